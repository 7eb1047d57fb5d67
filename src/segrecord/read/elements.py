"""The samples of a dataset as dicts of NumPy arrays: what the adapters hand to their frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from segrecord.errors import UsageError
from segrecord.format.schemas import NO_LABEL
from segrecord.options import IGNORE
from segrecord.read.batches import require_size, resized
from segrecord.read.dataset import Dataset, open  # noqa: A004 - segrecord.open
from segrecord.read.index import Choice
from segrecord.read.sampler import Repeat

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.read.records import Example, OnError
    from segrecord.read.sampler import SamplerOptions, ShardedSampler, State

Element = dict[str, Any]
Transform = Callable[[Element], Element]


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
        return [self._element(*found) for found in self.dataset.numbered(numbers)]

    def begin(self, options: SamplerOptions) -> tuple[ShardedSampler, State]:
        """The sampler of these elements, and where it begins; raises as `SamplerOptions.begin`."""
        return options.begin(len(self), self.dataset.fingerprint)

    def require_one_size(self, batch_size: int) -> None:
        """Refuse elements that cannot be stacked; raises as `Dataset.require_one_size`."""
        if batch_size > 1 and self.image_size is None and self.transform is None:
            self.dataset.require_one_size()

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
    source.all_records.require_random_access()
    return Elements(source, image_size, one_hot, transform)
