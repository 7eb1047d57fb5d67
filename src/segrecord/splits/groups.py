"""What may not be divided, what it holds, and the seeded order in which it is dealt out.

Samples of one group, copies of one picture, and chains of both stand in one split. The seeded order
is a hash of seed and key, so that it hangs on nothing else: not on the order in which files were
found, the number of workers, or a library's generator. A sample added later moves no other sample
past another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]

PERSON = b"segrecord.order1"
"""Set apart from every other use of BLAKE2b (RFC 7693, personalization); 1: the order's version."""


def join(groups: pa.ChunkedArray, copies: Numbers) -> Numbers:
    """(N,) numbers from 0: samples with equal ones must stand in one split.

    Args:
        groups: (N,) patient or lesion; null: the sample stands alone.
        copies: (N,) equal for copies of one picture.
    """
    count = len(copies)
    own = np.arange(count) + count  # apart from the numbers of the groups
    encoded = groups.combine_chunks().dictionary_encode().indices
    named = pc.fill_null(encoded.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    members = np.unique(np.where(named < 0, own, named), return_inverse=True)[1]
    others = np.unique(copies, return_inverse=True)[1]
    # Connected components: each round gives all of a part the least number found in it. A chain of
    # n parts takes at most n rounds, and real chains are short.
    joined = members
    while True:
        before = joined
        for parts in (others, members):
            least = np.full(int(parts.max(initial=-1)) + 1, len(parts), np.int64)
            np.minimum.at(least, parts, joined)
            joined = least[parts]
        if np.array_equal(before, joined):
            return np.unique(joined, return_inverse=True)[1].astype(np.int64)


def seeded_hashes(keys: Iterable[str], seed: int) -> npt.NDArray[np.uint64]:
    """(N,) BLAKE2b-64 of each key, keyed by the seed."""
    template = hashlib.blake2b(digest_size=8, key=seed.to_bytes(8, "little"), person=PERSON)
    digests = bytearray()
    for key in keys:
        state = template.copy()
        state.update(key.encode())
        digests += state.digest()
    return np.frombuffer(bytes(digests), "<u8").astype(np.uint64)


def seeded_order(keys: list[str], seed: int) -> npt.NDArray[np.int64]:
    """(N,) row numbers in the seeded order; equal hashes (never seen) fall back on the key."""
    hashed = seeded_hashes(keys, seed)
    first = np.argsort(hashed, kind="stable")
    ordered = hashed[first]
    if (ordered[1:] != ordered[:-1]).all():
        return first
    by_key = sorted(range(len(keys)), key=lambda row: (int(hashed[row]), keys[row]))
    return np.array(by_key, np.int64)


def contents(
    traits: Sequence[Sequence[str]], members: Numbers
) -> tuple[Numbers, Numbers, Numbers, int]:
    """How many samples of each trait a group has, and how many traits there are.

    Groups, traits and counts (E,), ascending by group and trait. Trait 0 is that of every sample,
    the others follow by name.
    """
    numbers = {name: number for number, name in enumerate(sorted({*chain(*traits)}), 1)}
    width = len(numbers) + 1
    lengths = np.fromiter(map(len, traits), np.int64, len(members))
    own = np.fromiter(map(numbers.__getitem__, chain.from_iterable(traits)), np.int64)
    codes = np.concatenate([members * width, np.repeat(members, lengths) * width + own])
    entries, counts = np.unique(codes, return_counts=True)
    return entries // width, entries % width, counts, width


def _spans(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Which span each entry is of, and the entries of the spans, one span after the other."""
    lengths = stops - starts
    rows = np.repeat(np.arange(len(starts)), lengths)
    return rows, np.arange(len(rows)) + (starts - np.cumsum(lengths) + lengths)[rows]


class GroupTypes(NamedTuple):
    """Groups by their content, largest first; type t has the entries `starts[t]:starts[t + 1]`.

    The first entry of a type is trait 0, the number of samples of the group.
    """

    starts: Numbers
    """(T + 1,)"""
    traits: Numbers
    """(E,) ascending within a type."""
    counts: Numbers
    """(E,) samples with the trait in each group of the type."""
    number: Numbers
    """(T,) groups there are of the type."""

    def rows(self) -> Numbers:
        """(E,) the type of each entry."""
        return np.repeat(np.arange(len(self.number)), np.diff(self.starts))

    def total(self, values: Numbers) -> Numbers:
        """(T, S) sums of (E, S) values over the entries of each type."""
        return np.add.reduceat(values, self.starts[:-1], axis=0)

    def held(self, width: int) -> tuple[Numbers, Numbers]:
        """(C,) samples and groups with each trait there are in all."""
        samples, groups = np.zeros((2, width), np.int64)
        number = self.number[self.rows()]
        np.add.at(samples, self.traits, number * self.counts)
        np.add.at(groups, self.traits, number)
        return samples, groups

    def tiers(self) -> Iterator[tuple[slice, GroupTypes]]:
        """The types from one power of two in size to the next, largest first."""
        bits = np.frexp(self.counts[self.starts[:-1]])[1]
        bounds = [0, *(np.flatnonzero(np.diff(bits)) + 1).tolist(), len(bits)]
        for first, end in pairwise(bounds):
            starts, number = self.starts[first : end + 1], self.number[first:end]
            own = slice(starts[0], starts[-1])
            part = GroupTypes(starts - starts[0], self.traits[own], self.counts[own], number)
            yield slice(first, end), part

    def dense(self, types: Numbers, width: int) -> Numbers:
        """(len(types), width) samples of every trait in one group of these types."""
        rows, entries = _spans(self.starts[types], self.starts[types + 1])
        content = np.zeros((len(types), width), np.int64)
        content[rows, self.traits[entries]] = self.counts[entries]
        return content


def group_types(
    groups: Numbers, traits: Numbers, counts: Numbers, free: Numbers
) -> tuple[GroupTypes, Numbers]:
    """The types of these groups, largest first, and the type of each of the groups."""
    starts = np.searchsorted(groups, np.arange(int(free[-1]) + 2))
    data = np.stack([traits, counts], axis=1).astype(np.int64)
    raw, size = data.tobytes(), data.strides[0]
    bounds = zip((starts[free] * size).tolist(), (starts[free + 1] * size).tolist(), strict=True)
    seen: dict[bytes, int] = {}
    of_group = np.array([seen.setdefault(raw[a:b], len(seen)) for a, b in bounds], np.int64)
    first = np.unique(of_group, return_index=True)[1]
    by_size = np.argsort(-counts[starts[free[first]]], kind="stable")  # first seen, first
    samples_of = free[first[by_size]]
    rows, entries = _spans(starts[samples_of], starts[samples_of + 1])
    ends = np.searchsorted(rows, np.arange(len(first) + 1))
    types = GroupTypes(ends, traits[entries], counts[entries], np.bincount(of_group)[by_size])
    return types, np.argsort(by_size)[of_group]
