"""What the pixels of a dataset are, by its facts and index alone: channels of images, masks.

`facts.arrow` holds mean and std of each channel for every source image as it was decoded and
oriented, before any --size. They combine exactly: for images of n pixels, mean m and std s, the
mean is that of the m weighted by n, and the variance that of s^2 + (m - mean)^2.

Masks are counted class by class on views of the mapped index, so that ten million of them take one
array of ten million numbers at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.format import manifest as manifests
from segrecord.tables import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from segrecord.format.manifest import Manifest

    Floats = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]

WHITE = 255
"""The highest value of a channel."""

_COLUMNS = ("key", "height", "width", "mean", "std")


class ChannelStats(NamedTuple):
    """Mean and std of all pixels of some images: one number for grey, three for R, G, B.

    Where a dataset has images of both kinds, a grey one counts as three equal channels.
    """

    images: int
    pixels: int
    mean: tuple[float, ...]
    """0 to 255."""
    std: tuple[float, ...]
    """Of the whole, not of a sample of it (divided by n)."""
    unit_mean: tuple[float, ...]
    """The same for values from 0 to 1."""
    unit_std: tuple[float, ...]


class Images(NamedTuple):
    """What is known of each image, in the order of the index; N of them, C channels."""

    pixels: npt.NDArray[np.int64]
    """(N,)"""
    mean: Floats
    """(N, C), 0 to 255."""
    std: Floats
    """(N, C)"""

    def channel_stats(self, parts: Iterable[range]) -> ChannelStats | None:
        """The numbers over these rows of the index; None: there are none."""
        rows = [np.arange(part.start, part.stop) for part in parts]
        chosen = np.concatenate([*rows, np.empty(0, np.int64)])
        pixels = self.pixels[chosen]
        total = int(pixels.sum())
        if not total:
            return None
        weights, means = (pixels / total)[:, None], self.mean[chosen]
        mean = (weights * means).sum(axis=0)
        variance = (weights * (self.std[chosen] ** 2 + (means - mean) ** 2)).sum(axis=0)
        std = np.sqrt(variance)
        vectors = (mean, std, mean / WHITE, std / WHITE)
        return ChannelStats(len(chosen), total, *(tuple(one.tolist()) for one in vectors))


class MeasuredImages(NamedTuple):
    """What the scan measured of the images, and of which ones."""

    images: Images | None
    """None: unknown."""
    source: str
    """What was measured, or why nothing is known."""


def measured_images(dataset: str | Path, manifest: Manifest, index: pa.Table) -> MeasuredImages:
    """Mean and std of each image of the index, from the facts beside it.

    Raises:
        RecordError: facts.arrow is damaged.
    """
    if not index.num_rows:
        return MeasuredImages(None, "there are no records")
    fields = [FACTS.field(name) for name in _COLUMNS]
    facts = storage.read_columns(Path(dataset) / manifests.FACTS_FILE, fields)
    if facts is None or facts.num_columns < len(fields):
        return MeasuredImages(None, f"there is no {manifests.FACTS_FILE} that holds them")
    rows = pc.index_in(index["key"], value_set=facts["key"])
    if rows.null_count:
        reason = f"{manifests.FACTS_FILE} lacks {rows.null_count} of the records"
        return MeasuredImages(None, reason)
    height, width, means, stds = (facts[name].take(rows) for name in _COLUMNS[1:])
    for column in (means, stds):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        if (lengths.to_numpy() == 0).any():
            return MeasuredImages(None, "the build did not measure them: --checks full does")
    pixels = height.to_numpy().astype(np.int64) * width.to_numpy()
    size = manifest.build_options().pixels.size
    source = (
        f"the images before resizing to {size[0]} x {size[1]} (height x width)"
        if size
        else "the stored images"
    )
    return MeasuredImages(Images(pixels, _channels(means), _channels(stds)), source)


def _channels(column: pa.ChunkedArray) -> Floats:
    """(N, C) of lists of one or three numbers, one repeated where others have three."""
    lists = column.combine_chunks()
    length = pc.list_value_length(lists).to_numpy()
    values = lists.flatten().to_numpy().astype(np.float64)
    first = np.cumsum(length) - length
    channels = np.arange(length.max(initial=0))
    per_image: Floats = values[first[:, None] + np.minimum(channels, length[:, None] - 1)]
    return per_image


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
        pixels: Counts = np.where(number < self.length, self.values[at], 0)
        return pixels


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
    chunks = [_Chunk(*(np.zeros(0, np.int64) for _ in _Chunk._fields))]
    for column in index["mask_pixels"].chunks:
        counted = column.is_valid().to_numpy(zero_copy_only=False)
        offsets = column.offsets.to_numpy().astype(np.int64)
        # Not `flatten`, which would copy a part: the offsets are those of the whole.
        values = column.values.to_numpy(zero_copy_only=False)
        chunks.append(_Chunk(values, offsets[:-1][counted], np.diff(offsets)[counted]))
    return Masks(
        row=np.flatnonzero(valid),
        area=height.astype(np.int64) * width,
        ignored=pc.fill_null(index["ignore_pixels"], 0).to_numpy()[valid],
        label=pc.fill_null(index["label"], -1).to_numpy()[valid],
        chunks=tuple(chunks),
    )


def mask_stats(manifest: Manifest, index: pa.Table, masks: Masks) -> MaskStats:
    """The numbers of all masks."""
    names = manifest.masks.classes
    present = int(pc.sum(index["has_mask"]).as_py() or 0)
    pixels: dict[str, int] = {}
    coverage: dict[str, Coverage] = {}
    by_label: dict[str, dict[str, Coverage]] = {}
    foreground = np.zeros(len(masks.area), np.int64)
    groups: dict[str, Counts] = {}
    order = np.argsort(masks.label, kind="stable")
    for name, number in manifest.classes.items() if names else ():
        first, end = np.searchsorted(masks.label[order], [number, number + 1])
        if first < end:
            groups[name] = order[first:end]
    for number, name in enumerate(names if masks.area.size else ()):
        count = masks.pixels_of(number)
        foreground += count if number else 0
        pixels[name] = int(count.sum())
        coverage[name] = _coverage(count, masks.area)
        for label, chosen in groups.items():
            of_label = by_label.setdefault(label, {})
            of_label[name] = _coverage(count[chosen], masks.area[chosen])
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


def _coverage(count: Counts, area: Counts) -> Coverage:
    """Of one mask or more."""
    return Coverage(int(np.count_nonzero(count)), _numbers(count / np.maximum(area, 1)))
