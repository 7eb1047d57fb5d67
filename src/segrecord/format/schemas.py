"""The schemas: which feature keys a record has. The tables decide; nothing else names a key.

`features` writes a record by its table, `stored_of` reads it back, and `parse_function` prints
the TensorFlow code that reads it without segrecord. Docs: docs/format.md.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from segrecord.format.example import Value
    from segrecord.format.manifest import Manifest
    from segrecord.options import SchemaName

NO_LABEL = -1
"""The stored label of a sample that has none."""

RGB = 3
"""`image/channels` of deeplab: what its readers decode to, whatever the image holds."""


class Stored(NamedTuple):
    """What a record holds."""

    key: str
    filename: str
    image: bytes
    """The file's bytes; under schema raw, uint8 pixels (H, W, channels) in C order."""
    image_format: str
    """jpeg or png; raw under schema raw."""
    height: int
    """Of the stored image, in pixels."""
    width: int
    channels: int
    image_sha256: str
    """Of `image`, in hexadecimal."""
    mask: bytes | None
    """PNG; under schema raw uint8 class ids (H, W) or one-hot (H, W, classes); b"" is a mask
    stored as missing; None: this record has no mask keys."""
    has_mask: bool
    label: int | None
    class_name: str
    """Empty where there is no label."""
    meta: tuple[tuple[str, str], ...]
    """The kept columns and their texts."""
    num_classes: int
    """Mask classes."""


class Read(NamedTuple):
    """What a record was read to hold; None where its schema does not say."""

    image: bytes
    image_format: str
    height: int | None
    width: int | None
    channels: int | None
    """Under schema raw only: of the stored pixels."""
    mask: bytes | None
    """None: the record has no mask key; b"" is a mask stored as missing."""
    has_mask: bool | None
    """None: the schema cannot tell a real mask from a filled-in one."""
    label: int | None
    class_name: str | None
    key: str | None
    filename: str | None
    image_sha256: str | None
    num_classes: int | None
    meta: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Layout:
    """What decides the keys of a dataset's records."""

    schema: SchemaName
    masks: bool
    """At least one sample has a mask."""
    classes: bool
    """At least one sample has a class."""
    keep_columns: tuple[str, ...]
    one_hot: bool = False
    """Masks of schema raw are (H, W, classes); decides no key, but how a mask is read."""
    black_white: bool = False
    """Masks hold 0 and 255 for the class ids 0 and 1; see --mask-values."""


def layout_of(manifest: Manifest) -> Layout:
    """The layout of the dataset with this manifest."""
    options = manifest.build_options().records
    return Layout(
        schema=manifest.schema_name,
        masks=manifest.masks.missing < manifest.samples,
        classes=bool(manifest.classes),
        keep_columns=manifest.keep_columns,
        one_hot=options.one_hot,
        black_white=options.mask_values == "keep",
    )


class Key(NamedTuple):
    """One feature key of a schema."""

    name: str
    kind: Literal["bytes", "text", "int64"]
    holds: str
    """The field of `Stored` and `Read`, or "rgb", "mask_format": constants."""
    when: Literal["always", "masks", "mask", "classes"] = "always"
    """In every record; where the dataset has masks; where moreover this record has its mask keys;
    where the dataset has classes."""


# Sources of the names: research/deeplab/datasets/data_generator.py (segmentation), the ImageNet
# conversion of TensorFlow's models (image/class, image/key), Model Garden's TFExample decoders
# (image/source_id), TFDS' feature names.
SCHEMAS: dict[SchemaName, tuple[Key, ...]] = {
    "deeplab": (
        Key("image/encoded", "bytes", "image"),
        Key("image/filename", "text", "filename"),
        Key("image/format", "text", "image_format"),
        Key("image/height", "int64", "height"),
        Key("image/width", "int64", "width"),
        Key("image/channels", "int64", "rgb"),
        Key("image/segmentation/class/encoded", "bytes", "mask", "mask"),
        Key("image/segmentation/class/format", "text", "mask_format", "mask"),
        Key("image/segmentation/present", "int64", "has_mask", "masks"),
        Key("image/class/label", "int64", "label", "classes"),
        Key("image/class/text", "text", "class_name", "classes"),
        Key("image/source_id", "text", "key"),
        Key("image/key/sha256", "text", "image_sha256"),
    ),
    "plain": (
        Key("image", "bytes", "image"),
        Key("mask", "bytes", "mask", "mask"),
        Key("class", "int64", "label"),
    ),
    "raw": (
        Key("image", "bytes", "image"),
        Key("label", "bytes", "mask", "mask"),
        Key("height", "int64", "height"),
        Key("width", "int64", "width"),
        Key("channels", "int64", "channels"),
        Key("num_classes", "int64", "num_classes", "masks"),
        Key("class", "int64", "label", "classes"),
    ),
    "tfds": (
        Key("image", "bytes", "image"),
        Key("label", "int64", "label", "classes"),
        Key("segmentation_mask", "bytes", "mask", "mask"),
        Key("file_name", "text", "filename"),
    ),
}

_META: dict[SchemaName, str] = {"deeplab": "image/meta/"}
_CONSTANTS: dict[str, str | int] = {"rgb": RGB, "mask_format": "png"}
_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


def meta_key(schema: SchemaName, column: str) -> str:
    """The feature key of a kept column: `image/meta/<column>` in deeplab, else `meta/<column>`."""
    return _META.get(schema, "meta/") + column


@functools.cache
def keys(layout: Layout) -> tuple[Key, ...]:
    """The keys that records of this layout may have, kept columns aside."""
    there = {"always": True, "classes": layout.classes}
    return tuple(key for key in SCHEMAS[layout.schema] if there.get(key.when, layout.masks))


def name_of(layout: Layout, holds: str) -> str | None:
    """The feature key under which records of this layout hold this field, if they do."""
    return next((key.name for key in keys(layout) if key.holds == holds), None)


def features(layout: Layout, stored: Stored) -> dict[str, Value]:
    """The features of one record, for `example.encode`."""
    values: dict[str, Value] = {}
    for key in keys(layout):
        if key.when == "mask" and stored.mask is None:
            continue
        value = _CONSTANTS.get(key.holds) or getattr(stored, key.holds)
        if value is None:  # only a label
            value = NO_LABEL
        values[key.name] = int(value) if isinstance(value, bool) else value
    meta = dict(stored.meta)
    for column in layout.keep_columns:
        values[meta_key(layout.schema, column)] = meta.get(column, "")
    return values


def stored_of(layout: Layout, features: dict[str, list[Any]]) -> Read:
    """What a record of this layout holds, by its decoded features; further keys are left out.

    Raises:
        ValueError: a key is absent, holds another kind or number of values, or contradicts
            another; the message names it.
    """
    values: dict[str, Any] = dict.fromkeys(Read._fields)
    omitted = name_of(layout, "mask") not in features
    for key in keys(layout):
        if not (omitted and key.when == "mask"):
            values[key.holds] = _one(key.name, key.kind, features)
        constant = _CONSTANTS.get(key.holds)
        if values.get(key.holds, constant) != constant and constant is not None:
            rule = f"must hold {constant}, holds {values[key.holds]}"
            raise ValueError(f"the key {key.name} {rule}")
    values["image_format"] = _image_format(layout, values)
    values["has_mask"] = _has_mask(layout, values)
    values["label"] = None if values["label"] == NO_LABEL else values["label"]
    values["meta"] = tuple(
        (column, _one(meta_key(layout.schema, column), "text", features))
        for column in layout.keep_columns
    )
    return Read(**{name: values[name] for name in Read._fields})


def _one(name: str, kind: str, features: dict[str, list[Any]]) -> Any:
    """The one value of this key, of its kind."""
    if name not in features:
        raise ValueError(f"the key {name} is absent")
    values = features[name]
    if len(values) != 1:
        raise ValueError(f"the key {name} must hold one value, holds {len(values)}")
    value: Any = values[0]
    fits = isinstance(value, int if kind == "int64" else bytes)
    if not fits:
        raise ValueError(f"the key {name} must hold {kind}, holds {type(value).__name__}")
    try:
        return value.decode() if kind == "text" else value
    except UnicodeDecodeError:
        raise ValueError(f"the key {name} must hold UTF-8, holds {value[:40]!r}") from None


def _image_format(layout: Layout, values: dict[str, Any]) -> str:
    name = name_of(layout, "image")
    if layout.schema == "raw":
        return "raw"
    image: bytes = values["image"]
    by_magic = next((form for magic, form in _MAGIC.items() if image.startswith(magic)), None)
    if by_magic is None:
        raise ValueError(f"the key {name} must hold a JPEG or PNG file, begins {image[:8]!r}")
    if values["image_format"] not in {None, by_magic}:
        raise ValueError(f"the key {name} holds {by_magic}, its format {values['image_format']!r}")
    return by_magic


def _has_mask(layout: Layout, values: dict[str, Any]) -> bool | None:
    """By the record's own flag where there is one; else only an absent or empty mask tells."""
    present, mask = values["has_mask"], values["mask"]
    if present is None:
        return None if mask else False
    if present not in {0, 1} or (present and not mask):
        name, size = name_of(layout, "has_mask"), None if mask is None else len(mask)
        raise ValueError(f"the key {name} says {present}, the mask has {size} bytes")
    return bool(present)


def parse_function(layout: Layout, manifest: Manifest) -> str:
    """Python source that reads this dataset with TensorFlow alone, for its README.

    It defines `parse(record)`, which gives a dict of image (H, W, 3) uint8, where the dataset has
    masks, mask (H, W, 1) uint8 (under one-hot (H, W, classes)), and where it has classes, label
    int64; and `dataset(pattern)`, the pipeline over the shards that match a glob. A mask is as it
    is stored: class ids, or 0 and 255 where they were kept.
    """
    split = next(iter(manifest.splits), "train")
    shards = next((s.shards[0].name for s in manifest.splits.values() if s.shards), ".tfrecord")
    used = {"image", "mask", "label"}
    if layout.schema == "raw":
        used |= {"height", "width", "channels", "num_classes"}
    spec, results = [], ['"image": image']
    for key in keys(layout):
        if key.holds in used:
            kind = "int64" if key.kind == "int64" else "string"
            default = ', default_value=""' if key.when == "mask" else ""
            spec.append(f'    "{key.name}": tf.io.FixedLenFeature([], tf.{kind}{default}),')
    if layout.masks:
        results.append('"mask": mask')
    if label := name_of(layout, "label"):
        results.append(f'"label": example["{label}"]')
    body = [*_image_lines(layout), *_mask_lines(layout), f"return {{{', '.join(results)}}}"]
    return _READER.format(
        spec="\n".join(spec),
        body="\n".join(f"    {line}" for line in body),
        pattern=f"{split}-*{shards[shards.index('.tfrecord') :]}",
        compression="" if manifest.compression == "none" else manifest.compression.upper(),
    )


_READER = """import tensorflow as tf

FEATURES = {{
{spec}
}}


def parse(record):
    example = tf.io.parse_single_example(record, FEATURES)
{body}


def dataset(pattern="{pattern}"):
    files = tf.data.Dataset.list_files(pattern, shuffle=False)
    records = files.interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type="{compression}"),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    examples = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.prefetch(tf.data.AUTOTUNE)
"""


def _image_lines(layout: Layout) -> list[str]:
    image = f'example["{name_of(layout, "image")}"]'
    if layout.schema == "raw":
        return [
            'size = tf.stack([example["height"], example["width"]])',
            f"image = tf.io.decode_raw({image}, tf.uint8)",
            'image = tf.reshape(image, tf.concat([size, [example["channels"]]], 0))',
            "image = tf.broadcast_to(image, tf.concat([size, [3]], 0))  # grey images too",
            "image.set_shape([None, None, 3])",
        ]
    return [
        "# decode_jpeg reads PNG too. INTEGER_ACCURATE: the pixels that other decoders give.",
        f'image = tf.io.decode_jpeg({image}, channels=3, dct_method="INTEGER_ACCURATE")',
        "image.set_shape([None, None, 3])",
    ]


def _mask_lines(layout: Layout) -> list[str]:
    name = name_of(layout, "mask")
    if name is None:
        return []
    size, depth, decode = "tf.shape(image)[:2]", "1", "tf.io.decode_png(encoded, channels=1)"
    if layout.schema == "raw":
        size = "size"
        depth = 'example["num_classes"]' if layout.one_hot else "1"
        decode = "tf.reshape(tf.io.decode_raw(encoded, tf.uint8), shape)"
    return [
        f'encoded = example["{name}"]',
        f"shape = tf.concat([{size}, [{depth}]], 0)",
        "mask = tf.cond(",
        "    tf.equal(tf.strings.length(encoded), 0),  # this sample has no mask",
        "    lambda: tf.zeros(shape, tf.uint8),",
        f"    lambda: {decode},",
        ")",
        f"mask.set_shape([None, None, {'None' if layout.one_hot else 1}])",
        *["# It holds 0 and 255: `mask // 255` gives class ids."] * layout.black_white,
    ]
