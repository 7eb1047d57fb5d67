"""What the masks cover, by the index alone: pixels of each class, and their share of each mask.

Everything is computed class by class on views of the mapped index, so that ten million masks take
one array of ten million numbers at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from segrecord.records.manifest import Manifest

    Counts = npt.NDArray[np.int64]


class Numbers(NamedTuple):
    """Many numbers in four."""

    min: float
    median: float
    mean: float
    max: float


def numbers(values: npt.NDArray[Any]) -> Numbers | None:
    """The four numbers of these; None: there are none."""
    return _numbers(values) if values.size else None


def _numbers(values: npt.NDArray[Any]) -> Numbers:
    return Numbers(
        values.min().item(), float(np.median(values)), float(values.mean()), values.max().item()
    )


class Coverage(NamedTuple):
    """How much of its masks a class takes."""

    masks: int
    """That hold the class."""
    share: Numbers
    """Of a mask's pixels, those to ignore among them; over all masks, also those without it."""


class MaskStats(NamedTuple):
    """The masks of a dataset."""

    records: int
    """With a mask."""
    missing: int
    """Without one."""
    foreground: Numbers | None
    """Share of a mask's pixels that belong to a class other than 0; None: unknown."""
    classes: dict[str, int]
    """Pixels of each mask class, by name; empty: unchecked."""
    ignore_share: float | None
    """Share of all mask pixels that are not to be trained on; None: unknown."""
    coverage: dict[str, Coverage]
    """Of each mask class, by name; empty: unchecked."""
    by_label: dict[str, dict[str, Coverage]]
    """The same among the records of each class (outer key) that have a mask; empty: unchecked, or
    there are no classes."""


class _Chunk(NamedTuple):
    """Masks of one chunk of the index."""

    values: Counts
    """Pixels of each class of each mask, one mask after the other."""
    first: Counts
    """(masks,) where each one's begin."""
    length: Counts
    """(masks,) how many there are."""

    def pixels_of(self, number: int) -> Counts:
        """(masks,) pixels of the class of this id."""
        if not self.values.size:
            return np.zeros(len(self.first), np.int64)
        at = np.where(number < self.length, self.first + number, 0)
        found: Counts = np.where(number < self.length, self.values[at], 0)
        return found


class Masks(NamedTuple):
    """The masks whose pixels are counted, in the order of the index."""

    row: Counts
    """(masks,) of the index."""
    area: Counts
    """(masks,) pixels."""
    ignored: Counts
    """(masks,) of these."""
    label: Counts
    """(masks,) class id; -1: none."""
    chunks: tuple[_Chunk, ...]

    def pixels_of(self, number: int) -> Counts:
        """(masks,) pixels of the class of this id."""
        return np.concatenate([chunk.pixels_of(number) for chunk in self.chunks])

    def pixels(self, names: Sequence[str], parts: Iterable[range]) -> dict[str, int]:
        """Pixels of each class, by name, in these rows of the index; empty: there are no masks."""
        inside = np.zeros(len(self.row), np.bool_)
        for part in parts:
            inside |= (self.row >= part.start) & (self.row < part.stop)
        return {
            name: int(self.pixels_of(number)[inside].sum())
            for number, name in enumerate(names if inside.any() else ())
        }


def counted_masks(index: pa.Table) -> Masks:
    """The masks of the index (`tables.RECORDS`) whose pixels are counted."""
    valid = pc.is_valid(index["mask_pixels"]).to_numpy()
    height, width = (index[name].to_numpy()[valid] for name in ("height", "width"))
    return Masks(
        row=np.flatnonzero(valid),
        area=height.astype(np.int64) * width,
        ignored=pc.fill_null(index["ignore_pixels"], 0).to_numpy()[valid],
        label=pc.fill_null(index["label"], -1).to_numpy()[valid],
        chunks=(_EMPTY, *map(_chunk, index["mask_pixels"].chunks)),
    )


_EMPTY = _Chunk(*(np.zeros(0, np.int64) for _ in _Chunk._fields))


def _chunk(column: pa.ListArray) -> _Chunk:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy().astype(np.int64)
    # Not `flatten`, which would copy a part: the offsets are those of the whole.
    values = column.values.to_numpy(zero_copy_only=False)
    return _Chunk(values, offsets[:-1][valid], np.diff(offsets)[valid])


def mask_stats(manifest: Manifest, index: pa.Table, masks: Masks) -> MaskStats:
    """The numbers of all masks."""
    names = manifest.masks.classes
    present = int(pc.sum(index["has_mask"]).as_py() or 0)
    pixels: dict[str, int] = {}
    coverage: dict[str, Coverage] = {}
    by_label: dict[str, dict[str, Coverage]] = {}
    foreground = np.zeros(len(masks.area), np.int64)
    groups = dict(_by_label(masks.label, manifest.classes)) if names else {}
    for number, name in enumerate(names if masks.area.size else ()):
        count = masks.pixels_of(number)
        foreground += count if number else 0
        pixels[name] = int(count.sum())
        coverage[name] = _coverage(count, masks.area)
        for label, chosen in groups.items():
            found = _coverage(count[chosen], masks.area[chosen])
            by_label.setdefault(label, {})[name] = found
    total = int(masks.area.sum())
    return MaskStats(
        records=present,
        missing=index.num_rows - present,
        foreground=numbers(foreground / np.maximum(masks.area, 1)) if pixels else None,
        classes=pixels,
        ignore_share=int(masks.ignored.sum()) / total if total else None,
        coverage=coverage,
        by_label=by_label,
    )


def _by_label(label: Counts, classes: dict[str, int]) -> Iterator[tuple[str, Counts]]:
    """The numbers of the masks of each class that has some."""
    order = np.argsort(label, kind="stable")
    ordered = label[order]
    for name, number in classes.items():
        first, end = np.searchsorted(ordered, [number, number + 1])
        if first < end:
            yield name, order[first:end]


def _coverage(count: Counts, area: Counts) -> Coverage:
    """Of one mask or more."""
    return Coverage(int(np.count_nonzero(count)), _numbers(count / np.maximum(area, 1)))
