"""What is done to a sample once it is decoded: its size, its augmentation, its form for Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from segrecord.errors import UsageError
from segrecord.options import IGNORE
from segrecord.read.batches import require_size

if TYPE_CHECKING:
    from segrecord.format.schemas import Layout


def tensorflow() -> Any:
    """The package TensorFlow, imported where it is used: importing the adapter costs nothing.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import tensorflow as tf  # noqa: PLC0415 - heavy, and optional
    except ImportError as error:
        raise UsageError(
            f"this needs TensorFlow: pip install segrecord[tensorflow] ({error})"
        ) from error
    return tf


Target = Literal["mask", "label"]
"""What `fit` of Keras is to learn; elements are (image, target, weight), weights float32.

mask: ids (H, W, 1) uint8, or one-hot; the weight (H, W) is 0 where the mask is 255 or missing, and
the id is 0 there, since a sparse cross-entropy takes no 255.
label: int64; weight and label are 0 where there is none.

Metrics must be given as `weighted_metrics`, else they count what has no weight.
"""

Sample = dict[str, Any]


@dataclass(frozen=True)
class Augment:
    """Random changes that image and mask undergo alike; in this order: scale, crop, flip.

    Images are scaled bilinearly with antialiasing, masks by the nearest neighbour, so that no new
    ids arise. Pixels beyond the border are black in the image and 255 (ignore) in the mask.

    Attributes:
        flip: probabilities of the flips (left-right, up-down), each from 0 to 1.
        crop: (height, width) in pixels of the window that is cut out, anywhere within the picture,
            or anywhere around it where the picture is smaller; None: its size before scaling.
        scale: (low, high) of the factor of both sides, drawn evenly between them. Together with
            `image_size` it is one resize, to the factor times that size (with `exact` two).
    """

    flip: tuple[float, float] = (0.0, 0.0)
    crop: tuple[int, int] | None = None
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not (_is_pair(self.flip) and all(0 <= share <= 1 for share in self.flip)):
            raise UsageError(f"flip must be two probabilities, each in [0, 1], got {self.flip}")
        if self.crop is not None and not (_is_pair(self.crop) and min(self.crop) >= 1):
            raise UsageError(f"crop must be (height, width), each at least 1, got {self.crop}")
        if not (_is_pair(self.scale) and 0 < self.scale[0] <= self.scale[1]):
            raise UsageError(f"scale must be (low, high), 0 < low <= high, got {self.scale}")


def _is_pair(values: Sequence[float]) -> bool:
    return len(values) == 2  # noqa: PLR2004 - a pair


@dataclass(frozen=True)
class Shape:
    """How large samples become, and by what ways.

    Attributes:
        size: (height, width) in pixels; None: as they are stored.
        augment: None: nothing is left to chance.
    """

    size: tuple[int, int] | None
    augment: Augment | None

    def __post_init__(self) -> None:
        require_size(self.size)

    def __call__(self, image: Any, mask: Any, seed: Any) -> tuple[Any, Any]:
        """Image (H, W, 3) and mask (H, W, 1), both uint8; seed (2,) int64, used to augment."""
        if self.augment is not None:
            return self._augmented(self.augment, image, mask, seed)
        return (image, mask) if self.size is None else resized(image, mask, self.size)

    def _augmented(self, augment: Augment, image: Any, mask: Any, seed: Any) -> tuple[Any, Any]:
        tf = tensorflow()
        draw = tf.random.stateless_uniform([5], seed)
        size = tf.shape(image)[:2] if self.size is None else tf.constant(self.size)
        if augment.scale != (1.0, 1.0):
            low, high = augment.scale
            factor = low + draw[0] * (high - low)
            scaled = tf.cast(tf.round(tf.cast(size, tf.float32) * factor), tf.int32)
            image, mask = resized(image, mask, tf.maximum(scaled, 1))
        elif self.size is not None:
            image, mask = resized(image, mask, self.size)
        window = size if augment.crop is None else tf.constant(augment.crop)
        image, mask = _cropped(image, mask, window, draw[1:3])
        static = augment.crop or self.size or (None, None)
        image, mask = tf.ensure_shape(image, (*static, 3)), tf.ensure_shape(mask, (*static, 1))
        flip = draw[3:5] < tf.constant(augment.flip, tf.float32)
        for number, axis in enumerate((1, 0)):  # left-right, up-down
            image, mask = (
                tf.where(flip[number], tf.reverse(each, [axis]), each) for each in (image, mask)
            )
        return image, mask


def resized(image: Any, mask: Any, size: Any) -> tuple[Any, Any]:
    """Image and mask at (height, width): bilinear with antialiasing, and by nearest neighbour."""
    tf = tensorflow()
    pixels = tf.image.resize(image, size, "bilinear", antialias=True)
    return tf.saturate_cast(tf.round(pixels), tf.uint8), tf.image.resize(mask, size, "nearest")


def _cropped(image: Any, mask: Any, window: Any, place: Any) -> tuple[Any, Any]:
    """A window (2,) int32 of both; place (2,) float32 in [0, 1) says where, of what is possible."""
    tf = tensorflow()
    size = tf.shape(image)[:2]
    low, high = tf.minimum(size - window, 0), tf.maximum(size - window, 0)
    offset = low + tf.cast(place * tf.cast(high - low + 1, tf.float32), tf.int32)
    begin, end = tf.maximum(offset, 0), tf.minimum(offset + window, size)
    beyond = tf.concat([tf.stack([begin - offset, offset + window - end], 1), [[0, 0]]], 0)
    image, mask = (each[begin[0] : end[0], begin[1] : end[1]] for each in (image, mask))
    return tf.pad(image, beyond), tf.pad(mask, beyond, constant_values=IGNORE)


@dataclass(frozen=True)
class Form:
    """What a sample, or a batch of them, is handed out as.

    Attributes:
        target: None: the dict itself.
        one_hot: masks as planes.
        depth: how many; known when the form is `fitted` to a dataset.
    """

    target: Target | None
    one_hot: bool
    depth: int = 0

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in get_args(Target):
            raise UsageError(f"target must be mask, label or None, got {self.target!r}")
        if self.target == "label" and self.one_hot:
            raise UsageError(
                "one_hot is for masks: leave it out with target='label', and train with "
                "SparseCategoricalCrossentropy"
            )

    def fitted(self, layout: Layout, mask_classes: Sequence[str], place: str) -> Form:
        """The form for a dataset.

        Raises:
            UsageError: it has not what the form needs.
        """
        needed = {"mask": layout.masks, "label": layout.classes}
        if self.target is not None and not needed[self.target]:
            raise UsageError(f"target={self.target!r}: {place} has no {self.target}s to learn")
        if self.one_hot and not mask_classes:
            why = "no mask was read to know them" if layout.masks else "it has no masks"
            raise UsageError(f"one_hot needs mask classes, {place} names none: {why}")
        return replace(self, depth=len(mask_classes))

    def __call__(self, sample: Sample) -> Any:
        """The sample's form; its tensors may have a further first axis."""
        tf = tensorflow()
        if self.target == "mask":  # (image, mask, weight of each pixel)
            counts = sample["mask"] != IGNORE
            weight = tf.cast(counts[..., 0], tf.float32) * _inner(sample["sample_weight"], 2)
            # A sparse cross-entropy fails on an id that is no class, whatever its weight.
            ids = tf.where(counts, sample["mask"], tf.zeros_like(sample["mask"]))
            return sample["image"], self._planes(sample) if self.one_hot else ids, weight
        if self.target == "label":  # (image, label, weight); without a label, class 0 of weight 0
            label = sample["label"]
            weight = tf.cast((label >= 0) & sample.get("valid", True), tf.float32)
            return sample["image"], tf.maximum(label, 0), weight
        return sample | {"mask": self._planes(sample)} if self.one_hot else sample

    def _planes(self, sample: Sample) -> Any:
        """The mask as float32 (..., H, W, depth); ids from `depth` on, IGNORE among them, as 0."""
        tf = tensorflow()
        planes = tf.one_hot(sample["mask"][..., 0], self.depth)
        return planes * _inner(tf.cast(sample["has_mask"], tf.float32), 3)


def _inner(values: Any, axes: int) -> Any:
    """Values (...) as (..., 1, 1), with so many axes more."""
    return values[(..., *[tensorflow().newaxis] * axes)]
