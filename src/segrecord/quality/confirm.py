"""Nominated pairs in, their correlation out: the pictures are read again, and each only once.

A hash of 64 bits only nominates: among chest X-rays some of different patients agree in 60 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segrecord.engines import EngineFailure, Runner
from segrecord.pixels import perceptual
from segrecord.pixels.perceptual import SIDE, TURNS, Likeness, Thumbnails, Wanted
from segrecord.quality.near import Nominated

_FILES = 16
"""Images a task."""

_PAIRS = 4096
"""Pairs that are compared at a time: 64 MB."""

Numbers = npt.NDArray[np.int64]


class Pairs(NamedTuple):
    """Pairs of samples whose pictures were compared."""

    first: Numbers
    """(P,) row of the one."""
    second: Numbers
    """(P,) row of the other, the higher."""
    turn: npt.NDArray[np.uint8]
    """(P,) `perceptual.turns` of the second that aligns it with the first."""
    correlation: npt.NDArray[np.float64]
    """(P,) of the aligned thumbnails."""

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Pairs:
        """These of the pairs, by mask, number or slice."""
        return Pairs(
            self.first[chosen], self.second[chosen], self.turn[chosen], self.correlation[chosen]
        )


NO_PAIRS = Pairs(
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.float64)
)


class Compared(NamedTuple):
    """The nominated pairs whose files could be read again, each once with its best turn."""

    pairs: Pairs
    same: npt.NDArray[np.bool_]
    """(P,) they show the same picture."""


def compare(
    nominated: Nominated,
    samples: pa.Table,
    facts: pa.Table,
    engine: Runner,
    progress: Callable[[int], None],
    sample: Numbers,
) -> Compared:
    """Read the pictures of these pairs of rows again and compare them.

    A pair of which a file is gone, or no longer the one that was scanned, is left out: the build
    notices that itself.

    Args:
        nominated: pairs of rows.
        samples: the samples table.
        facts: row by row of the same samples, with the hash of each image file.
        engine: runs `perceptual.thumbnails`.
        progress: called with the number of images read, now and then.
        sample: rows of pictures that are read too: how much those of the set differ.
    """
    rows = np.unique(np.concatenate([nominated.first, nominated.second, sample])).astype(np.int64)
    thumbs, is_read = _read_again(_wanted(rows, samples, facts), engine, progress)
    first, second = np.searchsorted(rows, nominated.first), np.searchsorted(rows, nominated.second)
    there = is_read[first] & is_read[second]
    first, second, turn = first[there], second[there], nominated.turn[there]
    some = np.searchsorted(rows, sample)
    least = perceptual.same_from(thumbs[some[is_read[some]]])
    found = _likeness(thumbs, first, second, turn, least)
    pairs = Pairs(rows[first], rows[second], turn, found.correlation)
    return _best(pairs, found.same)


def _wanted(rows: Numbers, samples: pa.Table, facts: pa.Table) -> list[Wanted]:
    chosen = pa.array(rows)
    paths = samples["image"].take(chosen).to_pylist()
    digests = facts["image_sha256"].take(chosen).to_pylist()
    return [Wanted(*file) for file in zip(paths, digests, strict=True)]


def _read_again(
    files: list[Wanted], engine: Runner, progress: Callable[[int], None]
) -> tuple[Thumbnails, npt.NDArray[np.bool_]]:
    """(F, 32, 32) the thumbnails; (F,) which of them could be read."""
    thumbs = np.zeros((len(files), SIDE, SIDE), np.uint8)
    is_read = np.zeros(len(files), np.bool_)
    starts = range(0, len(files), _FILES)
    done = 0
    tasks = (tuple(files[start : start + _FILES]) for start in starts)
    for number, result in engine.run(perceptual.thumbnails, tasks):
        end = min(starts[number] + _FILES, len(files))
        if not isinstance(result, EngineFailure):
            for place, data in enumerate(result, starts[number]):
                if data is not None:
                    thumbs[place] = np.frombuffer(data, np.uint8).reshape(SIDE, SIDE)
                    is_read[place] = True
        done += end - starts[number]
        progress(done)
    return thumbs, is_read


def _likeness(
    thumbs: Thumbnails,
    first: npt.NDArray[np.intp],
    second: npt.NDArray[np.intp],
    turn: npt.NDArray[np.uint8],
    least: int,
) -> Likeness:
    found = Likeness(np.zeros(len(first)), np.zeros(len(first), np.bool_))
    for number in range(TURNS):
        for part in _parts(np.flatnonzero(turn == number)):
            other = perceptual.turned(thumbs[second[part]], number)
            alike = perceptual.likeness(thumbs[first[part]], other, least)
            found.correlation[part], found.same[part] = alike
    return found


def _parts(places: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    for start in range(0, len(places), _PAIRS):
        yield places[start : start + _PAIRS]


def _best(pairs: Pairs, same: npt.NDArray[np.bool_]) -> Compared:
    """Each pair once: a picture near to its own mirror image is nominated under several turns."""
    order = np.lexsort((pairs.turn, -pairs.correlation, ~same, pairs.second, pairs.first))
    pairs, same = pairs.take(order), same[order]
    is_new = np.ones(len(same), np.bool_)
    is_new[1:] = (np.diff(pairs.first) != 0) | (np.diff(pairs.second) != 0)
    return Compared(pairs.take(is_new), same[is_new])
