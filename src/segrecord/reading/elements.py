"""The samples of a dataset as dicts of NumPy arrays: what the adapters hand to their frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from segrecord.errors import UsageError
from segrecord.options import IGNORE
from segrecord.reading.batches import require_size, resized
from segrecord.reading.dataset import Dataset, open  # noqa: A004 - segrecord.open
from segrecord.reading.folds import Choice
from segrecord.records.schemas import NO_LABEL

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.reading.order import Step
    from segrecord.reading.reader import Example, OnError

Element = dict[str, Any]
Transform = Callable[[Element], Element]


class Repeat(int):
    """The number of a sample that only fills a batch up (tail "pad"): it is read, as not valid.

    An int, so that it passes through samplers, queues and other processes as a number does.
    """


def numbers_of(step: Step) -> list[int]:
    """The numbers of a batch's samples, the repeats marked."""
    pairs = zip(step.rows.tolist(), step.valid.tolist(), strict=True)
    return [row if valid else Repeat(row) for row, valid in pairs]


@dataclass(frozen=True)
class Elements:
    """A dataset as a sequence of dicts; may travel to other processes.

    An element holds:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) uint8 class ids, 255 = ignore, and 255 all over where there is no mask; with
            `one_hot` (H, W, mask classes) float32, ignored pixels as zeros.
        has_mask: bool.
        label: int64 class id; -1: none.
        valid: bool; False: a repeat that only fills a batch up.
        key: str.

    Attributes:
        dataset: where the samples come from.
        image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
            masks by the nearest neighbour; None: as they are.
        one_hot: the mask's form.
        transform: what is done to each element, with NumPy arrays; None: nothing.
    """

    dataset: Dataset
    image_size: tuple[int, int] | None = None
    one_hot: bool = False
    transform: Transform | None = None

    def __post_init__(self) -> None:
        require_size(self.image_size)
        if self.one_hot and not self.dataset.mask_classes:
            raise UsageError(f"one_hot needs mask classes, {self.dataset!r} names none")

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Element:
        """The element of this number; raises as `Dataset`."""
        return self._element(number, self.dataset[number])

    def __getitems__(self, numbers: Iterable[int]) -> list[Element]:
        """The elements of these numbers; with on_error="skip" without the damaged ones."""
        wanted = list(numbers)
        found = self.dataset.numbered(wanted)
        return [self._element(number, example) for number, example in found]

    def _element(self, number: int, example: Example) -> Element:
        image, mask = example.image, example.mask
        if mask is None:
            mask = np.full(image.shape[:2], IGNORE, np.uint8)
        if self.image_size is not None:
            image = resized(image, self.image_size, Image.Resampling.BILINEAR)
            mask = resized(mask, self.image_size, Image.Resampling.NEAREST)
        element: Element = {
            "image": image,
            "mask": one_hot(mask, len(self.dataset.mask_classes)) if self.one_hot else mask,
            "has_mask": np.bool_(example.mask is not None),
            "label": np.int64(NO_LABEL if example.label is None else example.label),
            "valid": np.bool_(not isinstance(number, Repeat)),
            "key": example.key,
        }
        return element if self.transform is None else self.transform(element)


def one_hot(ids: npt.NDArray[np.uint8], classes: int) -> npt.NDArray[np.float32]:
    """Class ids (...) as float32 (..., classes); ids from `classes` on, as 255, are zeros."""
    planes = np.zeros((256, classes), np.float32)
    planes[:classes] = np.eye(classes, dtype=np.float32)
    return planes[ids]


def elements(
    source: str | Path | Dataset,
    choice: Choice,
    *,
    image_size: tuple[int, int] | None,
    one_hot: bool,
    transform: Transform | None,
    check_crc: bool,
    on_error: OnError,
) -> Elements:
    """The elements of a dataset by its path, or of one that is open (a selection, say)."""
    if isinstance(source, Dataset):
        choice.refuse(source)
    else:
        wanted = choice.or_split("train")._asdict()
        source = open(source, **wanted, check_crc=check_crc, on_error=on_error)
    source.reader.require_random_access()
    return Elements(source, image_size, one_hot, transform)
