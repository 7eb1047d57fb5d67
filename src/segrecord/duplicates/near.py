"""Hashes in, pairs of nearly equal ones out, without comparing all with all.

Two hashes that differ in at most 4 of 64 bits agree in one of any 5 bands of bits, and in two of
any 6. So a hash is compared with those alone that agree with it in one band, or in two: there is
a table for every choice of bands, addressed by their bits. Each is asked for the eight turns of
every hash (`segrecord.images.perceptual.turns`).

What is found is what a comparison of all pairs finds, with one exception, which is reported: hashes
near to very many others. They say nothing about a single picture, and their pairs would fill the
memory: n equal hashes make n (n - 1) / 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segrecord.images.perceptual import INVERSE, Hashes, turns

Rows = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
DISTANCE = 4
"""Bits that may differ: re-saves, half-size and grey copies differ in at most 4 (measured)."""

_FEW = 50_000
"""Up to so many hashes the 5 tables of one band are faster than the 15 of two (measured)."""

_ROWS, _CANDIDATES = 1 << 18, 1 << 17
"""Hashes that are asked for, and pairs that are compared, at a time: bounds the memory."""

_THIN = 1 << 22
"""Pairs that are kept before those of crowded hashes are taken out."""


class Nominated(NamedTuple):
    """Pairs of hashes that are near each other, in ascending order."""

    first: Rows
    """(P,) row of the one."""
    second: Rows
    """(P,) row of the other, the higher."""
    turn: npt.NDArray[np.uint8]
    """(P,) turn of the second that brings it near the first. A pair may stand with several."""
    crowded: Rows
    """Rows with pairs that are left out, since the one or the other has too many."""


class _Found(NamedTuple):
    """Pairs of near values: their places among the values, the first at most the second."""

    first: Rows
    second: Rows
    turn: npt.NDArray[np.uint8]

    def only(self, keep: npt.NDArray[np.bool_]) -> _Found:
        return _Found(self.first[keep], self.second[keep], self.turn[keep])


def limit(count: int) -> int:
    """How many pairs a hash may have, of `count` in all, before it counts as crowded.

    1000, or fewer where the pairs of all would be more than 50 million; 20 at least.
    """
    return max(20, min(1000, 10**8 // max(count, 1)))


def search(hashes: Hashes) -> Nominated:
    """All pairs of hashes (N,) at a distance of at most DISTANCE under any turn.

    Left out, and named in `crowded`, are the pairs of hashes that have more than `limit(N)`.
    """
    values, places, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    tally = _Tally(counts, limit(len(hashes)))
    several = counts > 1
    equal = np.flatnonzero(several).astype(np.int32)
    tally.add(_Found(equal, equal, np.zeros(len(equal), np.uint8)))
    for choice in _choices(len(values)):
        for found in _Table(values, choice).near(values):
            # A value is its own neighbour where several pictures have it, under a turn.
            own = (found.first == found.second) & several[found.first] & (found.turn > 0)
            tally.add(found.only((found.first < found.second) | own))
    found, lost = tally.result()
    return _of_rows(found, places.ravel(), np.flatnonzero(lost[places.ravel()]))


class _Tally:
    """Collects what is found, but for the pairs of values that prove to be crowded."""

    def __init__(self, counts: Counts, most: int) -> None:
        self._counts, self._most = counts, most
        self._pairs = np.zeros(len(counts), np.int64)  # of one picture of each value
        self._lost = np.zeros(len(counts), np.bool_)
        self._kept: list[_Found] = []
        self._length, self._allowed = 0, _THIN

    def add(self, found: _Found) -> None:
        own = found.first == found.second
        np.add.at(self._pairs, found.first, self._counts[found.second] - own)
        np.add.at(self._pairs, found.second[~own], self._counts[found.first[~own]])
        self._kept.append(found)
        self._length += len(own)
        if self._length > self._allowed:
            self._thin()
            self._allowed = 2 * self._length + _THIN

    def _thin(self) -> None:
        found = _Found(*map(np.concatenate, zip(*self._kept, strict=True)))
        crowded = self._pairs > self._most
        gone = crowded[found.first] | crowded[found.second]
        self._lost[found.first[gone]] = True
        self._lost[found.second[gone]] = True
        self._kept = [found.only(~gone)]
        self._length = len(self._kept[0].first)

    def result(self) -> tuple[_Found, npt.NDArray[np.bool_]]:
        """The pairs without crowded ones; and which values have lost pairs."""
        self._thin()
        return self._kept[0], self._lost


class _Band(NamedTuple):
    """Some bits next to each other."""

    low: int
    width: int

    def of(self, hashes: Hashes) -> Hashes:
        return (hashes >> np.uint64(self.low)) & np.uint64((1 << self.width) - 1)


class _Choice(NamedTuple):
    """The bands in which hashes have to agree."""

    bands: tuple[_Band, ...]
    others: tuple[_Band, ...]
    """Those before the last of `bands` that are none of them."""

    @property
    def width(self) -> int:
        return sum(band.width for band in self.bands)

    def keys(self, hashes: Hashes) -> npt.NDArray[np.intp]:
        key = np.zeros_like(hashes)
        for band in self.bands:
            key = (key << np.uint64(band.width)) | band.of(hashes)
        return key.astype(np.intp)

    def is_first(self, differing: Hashes) -> npt.NDArray[np.bool_]:
        """Whether hashes that agree in `bands` agree in no choice that stands before this one."""
        first = np.ones(len(differing), np.bool_)
        for band in self.others:
            first &= band.of(differing) != 0
        return first


def _choices(count: int) -> list[_Choice]:
    """What the tables for so many hashes are addressed by."""
    chosen = 1 if count <= _FEW else 2
    edges = [64 * number // (DISTANCE + chosen) for number in range(DISTANCE + chosen + 1)]
    bands = [_Band(low, high - low) for low, high in pairwise(edges)]
    return [
        _Choice(some, tuple(band for band in bands if band < some[-1] and band not in some))
        for some in combinations(bands, chosen)
    ]


class _Table:
    """Hashes by the bits of a choice of bands."""

    def __init__(self, hashes: Hashes, choice: _Choice) -> None:
        keys = choice.keys(hashes)
        counts = np.bincount(keys, minlength=1 << choice.width)
        self._choice = choice
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._order = np.argsort(keys).astype(np.int32)
        self._hashes = hashes[self._order]

    def near(self, hashes: Hashes) -> Iterator[_Found]:
        """The pairs of the table's hashes with these under their turns, each in one table only."""
        for begin in range(0, len(hashes), _ROWS):
            for turn, asked in enumerate(turns(hashes[begin : begin + _ROWS])):
                for place, row in self._candidates(asked):
                    differing = self._hashes[place] ^ asked[row]
                    left = differing
                    for _ in range(DISTANCE):  # each clears the lowest bit that is set
                        left = left & (left - np.uint64(1))
                    near = np.flatnonzero(left == 0)
                    near = near[self._choice.is_first(differing[near])]
                    second = (row[near] + begin).astype(np.int32)
                    number = np.full(len(near), turn, np.uint8)
                    yield _Found(self._order[place[near]], second, number)

    def _candidates(self, asked: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], ...]]:
        """Places in the table and rows of `asked` that agree, about _CANDIDATES at a time."""
        keys = self._choice.keys(asked)
        begins = self._starts[keys]
        counts = self._starts[keys + 1] - begins
        rows = np.flatnonzero(counts)
        begins, counts = begins[rows], counts[rows]
        ends = np.cumsum(counts)
        start = 0
        while start < len(rows):
            done = ends[start] - counts[start]
            stop = max(start + 1, int(np.searchsorted(ends, done + _CANDIDATES, "right")))
            part = slice(start, stop)
            # Each row's places follow each other from its begin on.
            offsets = begins[part] - (ends[part] - counts[part] - done)
            places = np.arange(ends[stop - 1] - done) + np.repeat(offsets, counts[part])
            yield places, np.repeat(rows[part], counts[part])
            start = stop


def _of_rows(found: _Found, places: npt.NDArray[np.intp], lost: npt.NDArray[np.intp]) -> Nominated:
    """The pairs of rows of these pairs of values, ascending.

    Args:
        found: pairs of values.
        places: (N,) the value of each row.
        lost: rows with pairs that are left out.
    """
    order = np.argsort(places, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(places))])
    counts = np.diff(starts)
    across = counts[found.second]
    each = counts[found.first] * across
    number = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
    one, other = np.divmod(number, np.repeat(across, each))
    first = order[np.repeat(starts[found.first], each) + one]
    second = order[np.repeat(starts[found.second], each) + other]
    turn = np.repeat(found.turn, each)
    # Pairs within one value come both ways round.
    keep = (first < second) | np.repeat(found.first != found.second, each)
    first, second, turn = first[keep], second[keep], turn[keep]
    exchanged = first > second
    turn = np.where(exchanged, INVERSE[turn], turn)
    first, second = np.minimum(first, second), np.maximum(first, second)
    ordered = np.lexsort((turn, second, first))
    return Nominated(first[ordered], second[ordered], turn[ordered], lost.astype(np.int32))
