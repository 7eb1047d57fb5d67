"""Shards read by TensorFlow's own reader and operations: fast, in no order that can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segrecord.format import manifest as manifests
from segrecord.format.schemas import NO_LABEL, Layout, keys, layout_of
from segrecord.options import IGNORE
from segrecord.read.index import folds_of, require_size
from segrecord.tensorflow.shaping import tensorflow

if TYPE_CHECKING:
    from segrecord.format.manifest import Manifest
    from segrecord.read.index import Choice
    from segrecord.tensorflow.shaping import Form, Shape

_SHUFFLE_BUFFER = 4096
"""Records: the shards are shuffled as they are written, so the buffer need not hold a dataset."""

WHITE = 255
"""Of masks that are stored black and white: class id 1."""

DEEPLAB = Layout(schema="deeplab", masks=True, classes=True, keep_columns=())


class Shuffle(NamedTuple):
    """Whether and how the records are mixed."""

    on: bool
    seed: int | None
    """Of the augmentation too."""


def elements(
    path: Path, choice: Choice, shape: Shape, form: Form, shuffle: Shuffle, *, repeat: bool
) -> Any:
    """The samples of the chosen splits, in their form; raises as `segrecord.tensorflow.dataset`."""
    manifest = manifests.load(path)
    layout = layout_of(manifest)
    form = form.fitted(layout, manifest.masks.classes, str(path))
    tf = tensorflow()
    # An epoch's augmentation must not hang on which thread is first: each record has its seed.
    seeds = tf.data.Dataset.random(shuffle.seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip((_records(path, manifest, choice, shuffle), seeds))

    def element(record: Any, seed: Any) -> Any:
        sample = parse(record, layout)
        image, mask = shape(sample["image"], sample["mask"], seed)
        return form(sample | {"image": image, "mask": mask})

    data = data.repeat() if repeat else data
    return data.map(element, num_parallel_calls=tf.data.AUTOTUNE)


def _records(path: Path, manifest: Manifest, choice: Choice, shuffle: Shuffle) -> Any:
    """The serialized records of the chosen splits as one stream, of known cardinality."""
    names = choice.or_split("train").names(path, manifest.splits, folds_of(manifest))
    shards = [shard for name in names for shard in manifest.splits[name].shards]
    records, tf = sum(shard.records for shard in shards), tensorflow()
    for shard in shards:
        require_size(path / shard.name, shard.bytes)  # not at an epoch's end
    files = tf.data.Dataset.from_tensor_slices(
        tf.constant([str(path / shard.name) for shard in shards], tf.string)
    )
    if shuffle.on:
        files = files.shuffle(max(1, len(shards)), seed=shuffle.seed)
    compression = "" if manifest.compression == "none" else manifest.compression.upper()
    stream = files.interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type=compression),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if shuffle.on:
        stream = stream.shuffle(_SHUFFLE_BUFFER, seed=shuffle.seed)
    # TensorFlow ends silently on a shard that was cut; with this it says so.
    return stream.apply(tf.data.experimental.assert_cardinality(records))


def parse(record: Any, layout: Layout | None = None) -> dict[str, Any]:
    """One record, decoded.

    Args:
        record: a scalar string tensor, as `tf.data.TFRecordDataset` gives it.
        layout: of the dataset (`segrecord.format.schemas.layout_of`); None: schema deeplab.

    Returns:
        image: (H, W, 3) uint8; grey is repeated, alpha dropped.
        mask: (H, W, 1) uint8 class ids, 255 = ignore; zeros where the sample has no mask.
        has_mask: bool. Schemas other than deeplab store no flag: there a mask is missing where
            it is absent, empty or 255 all over.
        label: int64; -1: none.
        sample_weight: float32; 0 where the mask is missing, else 1.
    """
    tf = tensorflow()
    layout = layout or DEEPLAB
    stored = _features(record, layout)
    image = _image(stored, layout)
    mask = _mask(stored, image, layout)
    has_mask = tf.reduce_any(mask != IGNORE) & (tf.strings.length(stored["mask"]) > 0)
    has_mask &= stored["has_mask"] != 0
    return {
        "image": image,
        "mask": tf.where(has_mask, mask, tf.zeros_like(mask)),
        "has_mask": has_mask,
        "label": stored["label"],
        "sample_weight": tf.cast(has_mask, tf.float32),
    }


def _features(record: Any, layout: Layout) -> dict[str, Any]:
    """The features that `parse` needs, by what they hold; those that may be absent by default."""
    tf = tensorflow()
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
    stored = {holds: tf.constant(value) for holds, value in defaults.items()}
    stored["label"] = tf.constant(NO_LABEL, tf.int64)
    return stored | {holds: example[key.name] for holds, key in names.items()}


def _image(stored: dict[str, Any], layout: Layout) -> Any:
    tf = tensorflow()
    if layout.schema == "raw":
        size = tf.stack([stored["height"], stored["width"]])
        pixels = tf.io.decode_raw(stored["image"], tf.uint8)
        image = tf.reshape(pixels, tf.concat([size, [stored["channels"]]], 0))
        image = tf.broadcast_to(image, tf.concat([size, [3]], 0))
    else:
        # decode_jpeg reads PNG too, and unlike decode_image can be told to be accurate: its
        # default differs from libjpeg's own pixels.
        image = tf.io.decode_jpeg(stored["image"], channels=3, dct_method="INTEGER_ACCURATE")
    image.set_shape([None, None, 3])
    return image


def _mask(stored: dict[str, Any], image: Any, layout: Layout) -> Any:
    """The stored mask as class ids (H, W, 1) uint8; zeros where it is empty."""
    tf = tensorflow()
    encoded, size = stored["mask"], tf.shape(image)[:2]

    def decoded() -> Any:
        if layout.schema == "raw":
            depth = tf.cast(stored["num_classes"], tf.int32) if layout.one_hot else 1
            planes = tf.io.decode_raw(encoded, tf.uint8)
            plane = tf.reshape(planes, tf.concat([size, [depth]], 0))
        else:
            plane = tf.io.decode_png(encoded, channels=1)
        if layout.one_hot:  # rows of zeros are IGNORE
            ids = tf.cast(tf.argmax(plane, -1), tf.uint8)
            ignored = tf.fill(tf.shape(ids), tf.constant(IGNORE, tf.uint8))
            plane = tf.where(tf.reduce_any(plane > 0, -1), ids, ignored)[..., tf.newaxis]
        return tf.where(plane == WHITE, tf.ones_like(plane), plane) if layout.black_white else plane

    mask = tf.cond(
        tf.strings.length(encoded) > 0,
        decoded,
        lambda: tf.zeros(tf.concat([size, [1]], 0), tf.uint8),
    )
    mask.set_shape([None, None, 1])
    return mask
