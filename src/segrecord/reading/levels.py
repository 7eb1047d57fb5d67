"""Mean and deviation of each channel over many images, from what the scan knew of each one.

`facts.arrow` holds both for every source image as it was decoded and oriented, before any --size.
They combine exactly: for images of n pixels, mean m and deviation s, the mean is that of the m
weighted by n, and the variance that of s^2 + (m - mean)^2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import RecordError
from segrecord.reading.arrow import mapped
from segrecord.records import manifest as manifests
from segrecord.tables import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from segrecord.records.manifest import Manifest

    Floats = npt.NDArray[np.float64]

WHITE = 255
"""The highest level."""

_COLUMNS = ("key", "height", "width", "mean", "deviation")
_FIELDS = [FACTS.field(name) for name in _COLUMNS]


class Levels(NamedTuple):
    """The levels of all pixels of some images: one number for grey, three for R, G, B.

    Where a dataset has images of both kinds, a grey one counts as three equal channels.
    """

    images: int
    pixels: int
    mean: tuple[float, ...]
    """0 to 255."""
    deviation: tuple[float, ...]
    """Of the whole, not of a sample of it (divided by n)."""
    unit_mean: tuple[float, ...]
    """The same for levels from 0 to 1."""
    unit_deviation: tuple[float, ...]


class Images(NamedTuple):
    """What is known of each image, in the order of the index; N of them, C channels."""

    pixels: npt.NDArray[np.int64]
    """(N,)"""
    mean: Floats
    """(N, C), 0 to 255."""
    deviation: Floats
    """(N, C)"""

    def levels(self, parts: Iterable[range]) -> Levels | None:
        """The levels over these rows of the index; None: there are none."""
        rows = [np.arange(part.start, part.stop) for part in parts]
        chosen = np.concatenate([*rows, np.empty(0, np.int64)])
        pixels = self.pixels[chosen]
        total = int(pixels.sum())
        if not total:
            return None
        weights, means = (pixels / total)[:, None], self.mean[chosen]
        mean = (weights * means).sum(axis=0)
        variance = (weights * (self.deviation[chosen] ** 2 + (means - mean) ** 2)).sum(axis=0)
        deviation = np.sqrt(variance)
        numbers = (mean, deviation, mean / WHITE, deviation / WHITE)
        return Levels(len(chosen), total, *(tuple(found.tolist()) for found in numbers))


class Known(NamedTuple):
    """The images' levels, and what they were measured on."""

    images: Images | None
    """None: unknown."""
    said: str
    """What they were measured on, or why they are not known."""


def known_levels(dataset: str | Path, manifest: Manifest, index: pa.Table) -> Known:
    """The levels of the images of the index, from the facts beside it.

    Raises:
        RecordError: facts.arrow is damaged.
    """
    if not index.num_rows:
        return Known(None, "there are no records")
    facts = _facts(Path(dataset) / manifests.FACTS_FILE)
    if facts is None:
        return Known(None, f"there is no {manifests.FACTS_FILE} that holds them")
    rows = pc.index_in(index["key"], value_set=facts["key"])
    if rows.null_count:
        return Known(None, f"{manifests.FACTS_FILE} lacks {rows.null_count} of the records")
    height, width, means, deviations = (facts[name].take(rows) for name in _COLUMNS[1:])
    if any(map(_has_empty, (means, deviations))):
        return Known(None, "the build did not measure them: --checks full does")
    pixels = height.to_numpy().astype(np.int64) * width.to_numpy()
    images = Images(pixels, _channels(means), _channels(deviations))
    size = manifest.options.get("pixels", {}).get("size")
    said = (
        f"the images before resizing to {size[0]} x {size[1]} (height x width)"
        if size
        else "the stored images"
    )
    return Known(images, said)


def _facts(path: Path) -> pa.Table | None:
    """The columns that are read; None: the file is absent, or of a version that lacks them."""
    try:
        table = mapped(path)
        if [field for field in table.schema if field.name in _COLUMNS] != _FIELDS:
            return None
        table = table.select(_COLUMNS)
        table.validate(full=True)  # Arrow itself checks nothing, and noise for offsets crashes it
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no sound Arrow file: {reason}") from None
    return table


def _has_empty(column: pa.ChunkedArray) -> bool:
    """Whether a list is null or empty."""
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return bool((lengths.to_numpy() == 0).any())


def _channels(column: pa.ChunkedArray) -> Floats:
    """(N, C) of lists of one or three numbers, one repeated where others have three."""
    lists = column.combine_chunks()
    length = pc.list_value_length(lists).to_numpy()
    values = lists.flatten().to_numpy().astype(np.float64)
    first = np.cumsum(length) - length
    channels = np.arange(length.max(initial=0))
    found: Floats = values[first[:, None] + np.minimum(channels, length[:, None] - 1)]
    return found
