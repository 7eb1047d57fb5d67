"""How things are spread over a dataset: coverage, sizes, levels, and where masks lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.read.mask_meaning import value_map

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.read.pixel_stats import Masks
    from segrecord.report.inputs import Data

    Counts = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

COVERAGE_BINS = 25
SIZE_BINS = 24
LEVEL_BINS = 32
"""Of `histogram` in the facts."""

CELLS = 16
"""Rows and columns of `masks.map` in the facts."""

FEW_SIZES = 8
"""Up to so many sizes are counted one by one."""

CLASSES = 7
"""Classes that get a line or a map of their own: the largest ones."""

_WHOLE = 65535  # a histogram's sum


class Histogram(NamedTuple):
    """How many fall into each of the bins."""

    edges: tuple[float, ...]
    """One more than bins."""
    counts: tuple[int, ...]


class Coverage(NamedTuple):
    """What the masks cover."""

    histogram: Histogram
    """Edges in percent of a mask's pixels."""
    masks: int
    empty: int
    median: float
    """Percent."""


class Sizes(NamedTuple):
    """The sizes of the stored images, in pixels."""

    common: tuple[tuple[str, int], ...]
    """"height x width" and how many; empty: there are too many sizes."""
    widths: Histogram
    heights: Histogram
    different: int


class Intensities(NamedTuple):
    """Shares of all pixel values, in percent for each of LEVEL_BINS bins."""

    images: int
    all: tuple[float, ...]
    by_class: dict[str, tuple[float, ...]]


class Heat(NamedTuple):
    """Where the masks of one class lie."""

    name: str
    masks: int
    cells: tuple[float, ...]
    """CELLS x CELLS in C order: the share of the cell's pixels that are mask, 0 to 1."""


def coverage(data: Data) -> Coverage | None:
    """What the masks cover; None: there are none whose pixels are counted."""
    share = 100 * foreground(data.masks)
    if not share.size:
        return None
    counts, edges = np.histogram(share, COVERAGE_BINS, (0, 100))
    empty = int(np.count_nonzero(share == 0))
    return Coverage(_histogram(edges, counts), share.size, empty, float(np.median(share)))


def foreground(masks: Masks) -> Floats:
    """(masks,) share of each mask's pixels that are neither class 0 nor ignored, 0 to 1."""
    inside = masks.area - masks.ignored - masks.pixels_of(0)
    share: Floats = inside / np.maximum(masks.area, 1)
    return share


def sizes(data: Data) -> Sizes:
    """The sizes of the images."""
    height, width = (data.index[name].to_numpy().astype(np.int64) for name in ("height", "width"))
    pairs, counts = np.unique(height << 32 | width, return_counts=True)
    order = np.lexsort((pairs, -counts))[: FEW_SIZES if len(pairs) <= FEW_SIZES else 0]
    common = tuple(
        (f"{pairs[at] >> 32} x {pairs[at] & 0xFFFFFFFF}", int(counts[at])) for at in order
    )
    return Sizes(common, _of_pixels(width), _of_pixels(height), len(pairs))


def _of_pixels(values: Counts) -> Histogram:
    """A histogram of whole numbers, whose bins are of whole width."""
    low, high = int(values.min()), int(values.max())
    step = -(-(high - low + 1) // SIZE_BINS)
    edges = np.arange(low, high + step + 1, step)
    return _histogram(edges, np.histogram(values, edges)[0])


def _histogram(edges: npt.NDArray[np.generic], counts: Counts) -> Histogram:
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def largest_classes(data: Data, most: int = CLASSES) -> dict[str, int]:
    """The ids of the classes with the most records by name, at most so many, in their order."""
    sums = dict.fromkeys(data.manifest.classes, 0)
    for split in data.manifest.splits.values():
        for name, count in split.class_counts.items():
            sums[name] = sums.get(name, 0) + count
    chosen = sorted(sums, key=lambda name: -sums[name])[:most]
    return {name: id_ for name, id_ in data.manifest.classes.items() if name in chosen}


def intensities(data: Data) -> Intensities | None:
    """The intensities of the images; None: the build did not measure them."""
    if data.facts is None or "histogram" not in data.facts.column_names:
        return None
    rows = data.rows_of(data.facts["key"])
    usable = pc.is_valid(data.facts["histogram"]).to_numpy() & (rows >= 0)
    if not usable.any():
        return None
    held = data.facts["histogram"].filter(pa.array(usable)).combine_chunks()
    shares = _bytes_of(held, 2 * LEVEL_BINS).view("<u2").astype(np.float64) * (100 / _WHOLE)
    label = data.labels[rows[usable]]
    by_class = {
        name: tuple(shares[label == number].mean(axis=0).tolist())
        for name, number in largest_classes(data).items()
        if (label == number).any()
    }
    return Intensities(len(shares), tuple(shares.mean(axis=0).tolist()), by_class)


def _bytes_of(column: pa.Array | pa.ChunkedArray, width: int) -> npt.NDArray[np.uint8]:
    """(N, width) the bytes of texts of one length, none null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat = np.frombuffer(array.buffers()[1], np.uint8)
    return flat[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)


def heat_maps(data: Data) -> list[Heat]:
    """Where the masks of all samples lie, and those of each of the largest classes.

    Empty: there are no masks, or the build did not look at them.
    """
    if data.facts is None or "masks" not in data.facts.column_names:
        return []
    masks = data.facts["masks"].combine_chunks()
    parts, parents = masks.flatten(), pc.list_parent_indices(masks)
    if not len(parts):
        return []
    maps = pc.struct_field(parts, "map")
    rows = data.rows_of(data.facts["key"].take(parents))
    usable = maps.is_valid().to_numpy(zero_copy_only=False) & (rows >= 0)
    if not usable.any():
        return []
    drawn = _bytes_of(maps.filter(pa.array(usable)), CELLS * CELLS)
    meaning = value_map(data.manifest)
    if len(data.manifest.masks.classes) == 2 and meaning and meaning.black != meaning.clear:  # noqa: PLR2004 - background and foreground
        drawn = 255 - drawn  # of the background: the facts' map says where a mask is not 0
    # The maps of the parts of each sample added up, in the order of the rows.
    order = np.argsort(rows[usable], kind="stable")
    samples, first = np.unique(rows[usable][order], return_index=True)
    added = np.add.reduceat(drawn[order].astype(np.uint32), first, axis=0)
    cells = np.minimum(added, 255).astype(np.uint8)
    label = data.labels[samples]
    found = [_heat("all masks", cells)]
    for name, number in largest_classes(data).items():
        chosen = cells[label == number]
        if len(chosen):
            found.append(_heat(name, chosen))
    return found


def _heat(name: str, maps: npt.NDArray[np.uint8]) -> Heat:
    return Heat(name, len(maps), tuple((maps.mean(axis=0) / 255).tolist()))
