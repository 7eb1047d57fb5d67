"""One record, decoded by TensorFlow's own operations: `parse`."""

from __future__ import annotations

from typing import Any

from segrecord.options import IGNORE
from segrecord.records.schemas import NO_LABEL, Layout, keys
from segrecord.tensorflow.framework import tensorflow

WHITE = 255
"""Of masks that are stored black and white: class id 1."""

DEEPLAB = Layout(schema="deeplab", masks=True, classes=True, keep_columns=())


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
    tf = tensorflow()
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


def _fields(record: Any, layout: Layout) -> dict[str, Any]:
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
    found = {holds: tf.constant(value) for holds, value in defaults.items()}
    found["label"] = tf.constant(NO_LABEL, tf.int64)
    return found | {holds: example[key.name] for holds, key in names.items()}


def _image(found: dict[str, Any], layout: Layout) -> Any:
    tf = tensorflow()
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
    tf = tensorflow()
    encoded, size = found["mask"], tf.shape(image)[:2]

    def decoded() -> Any:
        plane = stored()
        return tf.where(plane == WHITE, tf.ones_like(plane), plane) if layout.black_white else plane

    def stored() -> Any:
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
    tf = tensorflow()
    ids = tf.cast(tf.argmax(planes, -1), tf.uint8)
    ignored = tf.fill(tf.shape(ids), tf.constant(IGNORE, tf.uint8))
    return tf.where(tf.reduce_any(planes > 0, -1), ids, ignored)[..., tf.newaxis]
