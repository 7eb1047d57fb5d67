"""A dataset of ours as a `tf.data.Dataset`: `dataset(...)`, and `parse(record)` for one record.

TensorFlow is imported by the functions that use it, so importing this module costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segrecord.errors import RecordError, UsageError
from segrecord.options import IGNORE
from segrecord.records import manifest as manifests
from segrecord.records.schemas import NO_LABEL, Layout, keys, layout_of

if TYPE_CHECKING:
    from segrecord.records.manifest import Manifest

DEEPLAB = Layout(schema="deeplab", masks=True, classes=True, keep_columns=())

_SHUFFLE_BUFFER = 4096
"""Records: the shards are shuffled as they are written, so the buffer need not hold a dataset."""


def _tensorflow() -> Any:
    try:
        import tensorflow as tf  # noqa: PLC0415 - heavy, and optional
    except ImportError as error:
        raise UsageError(
            f"this needs TensorFlow: pip install segrecord[tensorflow] ({error})"
        ) from error
    return tf


def dataset(
    path: str | Path,
    split: str = "train",
    *,
    batch_size: int | None = None,
    one_hot: bool = False,
    image_size: tuple[int, int] | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    drop_remainder: bool = False,
    deterministic: bool = True,
) -> Any:
    """One split as a `tf.data.Dataset` of dicts, of known cardinality, read in parallel.

    An element is what `parse` gives, with a further first axis where `batch_size` is set.

    Args:
        path: the dataset's folder, that of `dataset.json`.
        split: its name.
        batch_size: elements to a batch; their images must be of one size, or `image_size` set.
        one_hot: masks as float32 (H, W, mask classes). Pixels to ignore, and all of a missing
            mask, are rows of zeros, which add nothing to a categorical cross-entropy.
        image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
            rounded to uint8; masks by the nearest neighbour.
        shuffle: the order of the shards, and the records in a buffer, anew in each epoch.
        seed: of the shuffle.
        drop_remainder: leave out a last batch that is not full.
        deterministic: False: elements may come in the order in which they are ready, a little
            faster.

    Raises:
        UsageError: no such split; no mask classes to one-hot; TensorFlow is not installed.
        OutputError: there is no finished dataset at `path`.
        RecordError: the manifest is damaged, or a shard is absent or of another size than the
            manifest says. A CRC that does not hold is TensorFlow's DataLossError in iterating.
    """
    _require_sizes(batch_size, image_size)
    manifest = manifests.load(path)
    depth = _depth(manifest, path) if one_hot else None
    records = _records(Path(path), manifest, split, shuffle=shuffle, seed=seed)
    layout = layout_of(manifest)
    tf = _tensorflow()

    def element(record: Any) -> dict[str, Any]:
        found = parse(record, layout)
        found = found if image_size is None else _resized(found, image_size)
        return found if depth is None else _one_hot(found, depth)

    examples = records.map(element, num_parallel_calls=tf.data.AUTOTUNE)
    if batch_size is not None:
        examples = examples.batch(batch_size, drop_remainder=drop_remainder)
    options = tf.data.Options()
    options.deterministic = deterministic
    return examples.prefetch(tf.data.AUTOTUNE).with_options(options)


def parse(record: Any, layout: Layout | None = None) -> dict[str, Any]:
    """One record, decoded.

    Args:
        record: a scalar string tensor, as `tf.data.TFRecordDataset` gives it.
        layout: of the dataset (`segrecord.records.schemas.layout_of`); None: schema deeplab.

    Returns:
        image: (H, W, 3) uint8; grey is repeated, alpha dropped.
        mask: (H, W, 1) uint8 class ids, 255 = ignore; zeros where the sample has no mask.
        has_mask: bool. Schemas other than deeplab store no flag: there a mask is missing where
            it is absent, empty or 255 all over.
        label: int64; -1: none.
        sample_weight: float32; 0 where the mask is missing, else 1.
    """
    tf = _tensorflow()
    layout = layout or DEEPLAB
    found = _fields(record, layout)
    image = _image(found, layout)
    mask = _mask(found, image, layout)
    has_mask = tf.reduce_any(mask != IGNORE) & (tf.strings.length(found["mask"]) > 0)
    has_mask &= found["has_mask"] != 0
    return {
        "image": image,
        "mask": tf.where(has_mask, mask, tf.zeros_like(mask)),
        "has_mask": has_mask,
        "label": found["label"],
        "sample_weight": tf.cast(has_mask, tf.float32),
    }


def _require_sizes(batch_size: int | None, image_size: tuple[int, int] | None) -> None:
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}")
    if image_size is not None and min(image_size) < 1:
        raise UsageError(f"image_size must be (height, width), each at least 1, got {image_size}")


def _depth(manifest: Manifest, path: str | Path) -> int:
    depth = len(manifest.masks.classes)
    if not depth:
        why = "it has no masks" if manifest.masks.checked else "it was built with --checks none"
        raise UsageError(f"one_hot needs mask classes, {path} names none: {why}")
    return depth


def _records(path: Path, manifest: Manifest, split: str, *, shuffle: bool, seed: int | None) -> Any:
    """The split's serialized records, of known cardinality."""
    if split not in manifest.splits:
        raise UsageError(f"{path} has no split {split!r}, it has {', '.join(manifest.splits)}")
    tf = _tensorflow()
    shards = manifest.splits[split].shards
    for shard in shards:
        _check_size(path / shard.name, shard.bytes)
    files = tf.data.Dataset.from_tensor_slices(
        tf.constant([str(path / shard.name) for shard in shards], tf.string)
    )
    if shuffle:
        files = files.shuffle(max(1, len(shards)), seed=seed)
    compression = "" if manifest.compression == "none" else manifest.compression.upper()
    records = files.interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type=compression),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if shuffle:
        records = records.shuffle(_SHUFFLE_BUFFER, seed=seed)
    # TensorFlow ends silently on a shard that was cut; with this it says so.
    return records.apply(tf.data.experimental.assert_cardinality(manifest.splits[split].records))


def _check_size(shard: Path, size: int) -> None:
    """An emptied shard must not wait for the end of an epoch to be noticed."""
    try:
        found = shard.stat().st_size
    except OSError as error:
        raise RecordError(str(shard), f"cannot be opened: {error.strerror}") from error
    if found != size:
        raise RecordError(str(shard), f"has {found} bytes, {manifests.MANIFEST} says {size}")


def _fields(record: Any, layout: Layout) -> dict[str, Any]:
    """The features that `parse` needs, by what they hold; those that may be absent by default."""
    tf = _tensorflow()
    defaults = {"mask": "", "label": NO_LABEL, "has_mask": 1}
    needed = {"image": None, **defaults}
    if layout.schema == "raw":
        needed |= {"height": None, "width": None, "channels": None, "num_classes": 1}
    names = {key.holds: key for key in keys(layout) if key.holds in needed}
    spec = {
        key.name: tf.io.FixedLenFeature(
            [], tf.int64 if key.kind == "int64" else tf.string, needed[holds]
        )
        for holds, key in names.items()
    }
    example = tf.io.parse_single_example(record, spec)
    found = {holds: tf.constant(value) for holds, value in defaults.items()}
    found["label"] = tf.constant(NO_LABEL, tf.int64)
    return found | {holds: example[key.name] for holds, key in names.items()}


def _image(found: dict[str, Any], layout: Layout) -> Any:
    tf = _tensorflow()
    if layout.schema == "raw":
        size = tf.stack([found["height"], found["width"]])
        pixels = tf.io.decode_raw(found["image"], tf.uint8)
        image = tf.reshape(pixels, tf.concat([size, [found["channels"]]], 0))
        image = tf.broadcast_to(image, tf.concat([size, [3]], 0))
    else:
        # decode_jpeg reads PNG too, and unlike decode_image can be told to be accurate: its
        # default differs from libjpeg's own pixels.
        image = tf.io.decode_jpeg(found["image"], channels=3, dct_method="INTEGER_ACCURATE")
    image.set_shape([None, None, 3])
    return image


def _mask(found: dict[str, Any], image: Any, layout: Layout) -> Any:
    """The stored mask as class ids (H, W, 1) uint8; zeros where it is empty."""
    tf = _tensorflow()
    encoded, size = found["mask"], tf.shape(image)[:2]

    def decoded() -> Any:
        if layout.schema != "raw":
            return tf.io.decode_png(encoded, channels=1)
        depth = tf.cast(found["num_classes"], tf.int32) if layout.one_hot else 1
        planes = tf.reshape(tf.io.decode_raw(encoded, tf.uint8), tf.concat([size, [depth]], 0))
        return _ids(planes) if layout.one_hot else planes

    mask = tf.cond(
        tf.strings.length(encoded) > 0,
        decoded,
        lambda: tf.zeros(tf.concat([size, [1]], 0), tf.uint8),
    )
    mask.set_shape([None, None, 1])
    return mask


def _ids(planes: Any) -> Any:
    """Class ids (H, W, 1) of one-hot planes (H, W, classes); rows of zeros are IGNORE."""
    tf = _tensorflow()
    ids = tf.cast(tf.argmax(planes, -1), tf.uint8)
    ignored = tf.fill(tf.shape(ids), tf.constant(IGNORE, tf.uint8))
    return tf.where(tf.reduce_any(planes > 0, -1), ids, ignored)[..., tf.newaxis]


def _resized(found: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    tf = _tensorflow()
    image = tf.image.resize(found["image"], size, "bilinear", antialias=True)
    mask = tf.image.resize(found["mask"], size, "nearest")
    return found | {"image": tf.saturate_cast(tf.round(image), tf.uint8), "mask": mask}


def _one_hot(found: dict[str, Any], depth: int) -> dict[str, Any]:
    """The mask as float32 (H, W, depth); ids from `depth` on, IGNORE among them, as zeros."""
    tf = _tensorflow()
    planes = tf.one_hot(tf.squeeze(found["mask"], -1), depth)
    return found | {"mask": planes * found["sample_weight"]}
