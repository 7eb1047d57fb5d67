"""What both examples ask, print and draw: mean IoU beside two baselines, predictions and truth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import segrecord

Pixels = npt.NDArray[np.uint8]

IGNORE = 255
"""The mask value that no score counts."""

COLOURS = [(0, 0, 0), (255, 176, 0), (100, 143, 255), (220, 38, 127), (120, 94, 240), (254, 97, 0)]


def count_mask_classes(dataset: str | Path) -> int:
    """The mask classes of a dataset that can be trained on.

    Raises:
        segrecord.UsageError: it has no split train or test, or one of them has no masks.
    """
    for split in ("train", "test"):
        found = segrecord.open(dataset, split)
        if not len(found.select(found.records["has_mask"])):
            raise segrecord.UsageError(
                f"the split {split} of {dataset} has no sample with a mask: give the build masks, "
                "or this split a larger share"
            )
    return len(found.mask_classes)


class Scores:
    """Pixels counted by true and predicted class, for a model and two baselines.

    Args:
        classes: of the mask.
    """

    def __init__(self, classes: int) -> None:
        names = ("model", "all background", "Otsu's threshold")
        self.counts = {name: np.zeros((classes, classes), np.int64) for name in names}

    def add(self, images: Pixels, truths: Pixels, predictions: Pixels) -> None:
        """Count a batch: images (N, H, W, 3), class ids (N, H, W), without pixels to ignore."""
        otsu = np.stack([darker_than_otsu(image) for image in images])
        for name, found in zip(
            self.counts, (predictions, np.zeros_like(truths), otsu), strict=True
        ):
            classes = len(self.counts[name])
            kept = truths != IGNORE
            pairs = truths[kept].astype(np.int64) * classes + found[kept]
            self.counts[name] += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def mean_iou(self, name: str = "model") -> float:
        """Intersection over union, averaged over the classes that occur in truth or prediction."""
        counts = self.counts[name]
        both = np.diag(counts)
        either = counts.sum(0) + counts.sum(1) - both
        return float((both[either > 0] / either[either > 0]).mean())

    def __str__(self) -> str:
        told = ", ".join(f"{name} {self.mean_iou(name):.3f}" for name in self.counts)
        return f"mean IoU on the test split: {told}"


def darker_than_otsu(image: Pixels) -> Pixels:
    """Class 1 where an RGB image (H, W, 3) is darker than its threshold after Otsu (1979)."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    counts = np.bincount(grey.ravel(), minlength=256).astype(float)
    below, sums = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    threshold = int(np.nan_to_num(between).argmax())
    return (grey <= threshold).astype(np.uint8)


def save_picture(path: Path, rows: Iterable[tuple[Pixels, Pixels, Pixels]]) -> None:
    """Write a row for each image (H, W, 3), truth (H, W) and prediction (H, W); ignored is grey."""
    palette = np.full((256, 3), 128, np.uint8)
    palette[: len(COLOURS)] = COLOURS
    drawn = [
        np.concatenate([image, palette[truth], palette[predicted]], 1)
        for image, truth, predicted in rows
    ]
    Image.fromarray(np.concatenate(drawn)).save(path)
