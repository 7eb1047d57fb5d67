"""Samples and facts in, copies out: which pictures are the same, or nearly the same.

Exact copies have equal pixels. Near ones (a re-save, another size, grey, turned) are nominated by
their perceptual hashes and confirmed by reading them again, each picture once: a hash of 64 bits
only nominates, among chest X-rays some of different patients agree in 60 bits. Both are joined, so
that a split never divides them, but for crowds: where very many are joined in a chain, they are
pictures of one kind, or frames of a video, and no copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.duplicates.near import Nominated, search
from segrecord.executors import EngineFailure, Runner
from segrecord.images import perceptual
from segrecord.images.perceptual import INVERSE, SIDE, TURNS, Thumbnails, Wanted
from segrecord.options import NearDuplicates

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Set = tuple[int, ...]
"""Rows of samples, ascending."""

CROWD = 20
"""Near pictures joined in one part: where they are more, and more than 1 % of all samples, they
are no copies of one picture."""

SAMPLE = 32
"""Pictures that are read again to know how much those of the set differ."""

UNSURE = 200
"""Nominated pairs that were not confirmed and are listed for a person to look at."""

ALIKE = 0.95
"""The correlation from which on these resemble each other. Measured at 32x32 pixels on random
pairs of eight real sets, of different patients: the most alike have 0.94, the median 0.5."""

_FILES = 16
"""Images a task."""

_PAIRS = 4096
"""Pairs that are compared at a time: 64 MB."""


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

    def take(self, chosen: Flags | npt.NDArray[np.intp]) -> Pairs:
        """These of the pairs, by mask or number."""
        first, second, turn, correlation = self
        return Pairs(first[chosen], second[chosen], turn[chosen], correlation[chosen])


NO_PAIRS = Pairs(
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.float64)
)


class Duplicates(NamedTuple):
    """Which samples show the same picture; samples are named by their rows."""

    exact: tuple[Set, ...]
    """Sets of samples with the same pixels, two or more each."""
    pairs: Pairs
    """Confirmed near pairs but those of crowds, each of the first samples of their exact sets."""
    crowds: tuple[Set, ...]
    """Sets of near pictures that are too large to be copies; they are not joined."""
    unsure: Pairs
    """The best of the nominated pairs that were not confirmed, the highest correlation first."""
    numbers: Numbers
    """(N,) equal numbers are joined; every other sample has a number of its own."""

    def only(self, keep: Flags) -> Duplicates:
        """The same of the samples where `keep` (N,) is true, by their rows among these."""
        new = np.cumsum(keep) - 1
        # The first of an exact set stands for it in the pairs: now the first that is kept.
        stands = np.arange(len(keep))
        for rows in self.exact:
            stands[rows[0]] = next((row for row in rows if keep[row]), rows[0])

        def sets(some: Iterable[Set]) -> tuple[Set, ...]:
            left = (tuple(int(new[row]) for row in rows if keep[row]) for rows in some)
            return tuple(rows for rows in left if len(rows) > 1)

        def pairs(some: Pairs) -> Pairs:
            first, second = stands[some.first], stands[some.second]
            there = keep[first] & keep[second]
            first, second = new[first], new[second]
            turn = np.where(first < second, some.turn, INVERSE[some.turn])
            low, high = np.minimum(first, second), np.maximum(first, second)
            return Pairs(low, high, turn, some.correlation).take(there)

        numbers = np.unique(self.numbers[keep], return_inverse=True)[1].ravel().astype(np.int64)
        return Duplicates(
            sets(self.exact), pairs(self.pairs), sets(self.crowds), pairs(self.unsure), numbers
        )


def find(
    samples: pa.Table,
    facts: pa.Table,
    engine: Runner,
    near: NearDuplicates,
    progress: Callable[[int], None],
) -> Duplicates:
    """All copies among these samples.

    Samples that full checks have not looked at, or could not, take part in nothing.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        engine: reads images again.
        near: whether near copies are joined, only found, or not looked for.
        progress: called with the number of images that were read again, now and then.
    """
    firsts = first_copies(facts)
    exact = sets(firsts)
    if near == "off":
        return Duplicates(exact, NO_PAIRS, (), NO_PAIRS, firsts)
    # Near hashes, of one sample of each exact set, by the rows of the table.
    alone = (firsts == np.arange(len(firsts))) & facts["phash"].is_valid().to_numpy()
    places = np.flatnonzero(alone).astype(np.int32)
    by_place = search(facts["phash"].take(pa.array(places)).to_numpy())
    nominated = Nominated(
        places[by_place.first], places[by_place.second], by_place.turn, places[by_place.crowded]
    )
    pairs, same = _compare(nominated, samples, facts, engine, progress, alone)
    confirmed = pairs.take(same)
    parts = join(firsts, confirmed)
    large = is_large(parts, confirmed)
    crowds = [*sets(np.where(large[parts], parts, np.arange(len(parts))))]
    if len(nominated.crowded):
        crowds.append(tuple(np.flatnonzero(np.isin(firsts, nominated.crowded)).tolist()))
    # The best unconfirmed pairs, but those that are joined by way of others.
    apart = parts[pairs.first] != parts[pairs.second]
    left = pairs.take(~same & apart & (pairs.correlation >= ALIKE))
    unsure = left.take(np.argsort(-left.correlation, kind="stable")[:UNSURE])
    near_copies = confirmed.take(~large[parts[confirmed.first]])
    numbers = join(firsts, near_copies) if near == "group" else firsts
    return Duplicates(exact, near_copies, tuple(crowds), unsure, numbers)


def _compare(
    nominated: Nominated,
    samples: pa.Table,
    facts: pa.Table,
    engine: Runner,
    progress: Callable[[int], None],
    alone: Flags,
) -> tuple[Pairs, Flags]:
    """The nominated pairs, each once with its best turn; (P,) whether they show the same.

    A pair of which a file is gone, or no longer the one that was scanned, is left out: the build
    notices that itself. With the pairs SAMPLE of the other pictures with a hash (`alone`, (N,)) are
    read, spread evenly over their hashes, so that they do not hang on names: they tell how much
    pictures of the set differ.
    """
    sample = np.zeros(0, np.int64)
    if len(nominated.first):
        apart = alone.copy()
        apart[nominated.second] = apart[nominated.crowded] = False
        others = np.flatnonzero(apart)
        hashes = facts["phash"].take(pa.array(others)).to_numpy()
        few = min(SAMPLE, len(others))
        evenly = np.arange(few) * len(others) // max(few, 1)
        sample = others[np.argsort(hashes, kind="stable")][evenly]
    rows = np.unique(np.concatenate([nominated.first, nominated.second, sample])).astype(np.int64)
    chosen = pa.array(rows)
    columns = samples["image"].take(chosen), facts["image_sha256"].take(chosen)
    files = [Wanted(*file) for file in zip(*(c.to_pylist() for c in columns), strict=True)]
    thumbs, is_read = _read_again(files, engine, progress)
    first, second = np.searchsorted(rows, nominated.first), np.searchsorted(rows, nominated.second)
    there = is_read[first] & is_read[second]
    first, second, turn = first[there], second[there], nominated.turn[there]
    some = np.searchsorted(rows, sample)
    least = perceptual.same_from(thumbs[some[is_read[some]]])
    correlation, same = np.zeros(len(first)), np.zeros(len(first), np.bool_)
    for number in range(TURNS):
        of_turn = np.flatnonzero(turn == number)
        for start in range(0, len(of_turn), _PAIRS):
            part = of_turn[start : start + _PAIRS]
            other = perceptual.turned(thumbs[second[part]], number)
            alike = perceptual.likeness(thumbs[first[part]], other, least)
            correlation[part], same[part] = alike
    pairs = Pairs(rows[first], rows[second], turn, correlation)
    # A picture near to its own mirror image is nominated under several turns.
    order = np.lexsort((pairs.turn, -pairs.correlation, ~same, pairs.second, pairs.first))
    pairs, same = pairs.take(order), same[order]
    is_new = np.ones(len(same), np.bool_)
    is_new[1:] = (np.diff(pairs.first) != 0) | (np.diff(pairs.second) != 0)
    return pairs.take(is_new), same[is_new]


def _read_again(
    files: list[Wanted], engine: Runner, progress: Callable[[int], None]
) -> tuple[Thumbnails, Flags]:
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


def first_copies(facts: pa.Table) -> Numbers:
    """(N,) the first row with the same pixels, which may be the row itself."""
    count = len(facts)
    hashes = facts["pixels_sha256"].combine_chunks().dictionary_encode().indices
    pixels = pc.fill_null(hashes.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    height, width = (
        pc.fill_null(facts[name].cast(pa.int64()), 0).to_numpy() for name in ("height", "width")
    )
    # Pictures of one colour have equal bytes at several sizes.
    sizes = np.unique((height << 32) | width, return_inverse=True)[1].ravel()
    same = np.where(pixels < 0, -1 - np.arange(count), pixels * max(count, 1) + sizes)
    _, firsts, places = np.unique(same, return_index=True, return_inverse=True)
    return firsts[places.ravel()].astype(np.int64)


def sets(numbers: Numbers) -> tuple[Set, ...]:
    """The sets of two or more rows with the same number, by the first of their rows."""
    rows = np.flatnonzero(np.bincount(numbers)[numbers] > 1)
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(numbers[rows]))
    return tuple(tuple(some.tolist()) for some in np.split(rows, starts + 1) if len(some))


def join(firsts: Numbers, pairs: Pairs) -> Numbers:
    """(N,) the lowest row that exact copies and these pairs join each row with.

    In each round a part takes the lowest number that it is paired with, and every row that of
    its part: parts at least halve in number.
    """
    parts = firsts
    while True:
        one, other = parts[pairs.first], parts[pairs.second]
        lowest = parts.copy()
        np.minimum.at(lowest, one, other)
        np.minimum.at(lowest, other, one)
        while not np.array_equal(lowest, lowest[lowest]):
            lowest = lowest[lowest]
        if np.array_equal(lowest, parts):
            return parts
        parts = lowest


def is_large(parts: Numbers, pairs: Pairs) -> Flags:
    """(N,) whether the part of this number is joined by pairs and too large for copies."""
    sizes = np.bincount(parts, minlength=len(parts))
    paired = np.zeros(len(parts), np.bool_)
    paired[parts[pairs.first]] = True
    return paired & (sizes > CROWD) & (sizes * 100 > len(parts))
