"""Which split each sample goes to: in proportion, groups never divided.

What a split is due of a trait (a class, has-mask, and being a sample at all) is its share of the
samples that have it. Groups of equal content are one type; what is decided is how many groups of
each type a split gets: first the whole numbers of its due, here, then the rest and its
improvement, in `segrecord.planning.balance`.

The result hangs on the contents of the groups, the settled splits, the shares and the seeded
order alone. Neither the order of the table nor the numbers of the groups count, and all
arithmetic is in whole numbers, so that no machine sums otherwise than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from math import gcd, lcm
from typing import NamedTuple

import numpy as np

from segrecord.errors import UsageError
from segrecord.planning import balance
from segrecord.planning.balance import UNIT, Flags, Numbers, Standing, Types, spans

Shares = tuple[tuple[str, float], ...]

FINEST = 1 << 20
"""Shares are told apart to a millionth, so that products with counts stay within 64 bits."""

RATE_BITS = 32
"""Shares of what is owed are kept in parts of 2^-32: times a hundred million samples, 64 bits."""

MAX_SPLITS = 2 * UNIT - 1
"""The due counts of so many splits, each rounded, still add up to within a sample."""


def assign(
    traits: Sequence[Sequence[str]],
    groups: Numbers,
    order: Numbers,
    shares: Shares,
    fixed: Sequence[str | None] | None = None,
) -> list[str]:
    """The split of each sample.

    A trait that at least as many groups have as there are splits stands in every split, even
    where that costs proportion: a class of 5 samples at 0.8, 0.1, 0.1 becomes 3, 1, 1. So it is
    wherever groups have one trait each; where they have several, to bring all of them to all
    splits may be impossible or too long to find, and what holds is that no move of one group
    brings more traits to splits that lack them than it takes away.

    Samples that stand alone and have one trait each are shared out to within one sample a trait
    and split, of what is due after that.

    Args:
        traits: (N,) all that is to be kept in proportion, each name once a sample.
        groups: (N,) samples with equal numbers go to one split.
        order: (N,) row numbers in the seeded order, which decides between equals.
        shares: name and share of each split; only their ratios count.
        fixed: (N,) the split of each sample that has one already, by its name in `shares`, one
            at most in a group: the whole group goes there, the other groups fill up what is behind.

    Raises:
        UsageError: more than MAX_SPLITS splits.
    """
    names = [name for name, _ in shares]
    if len(names) > MAX_SPLITS:
        raise UsageError(f"there may be at most {MAX_SPLITS} splits, got {len(names)}")
    members = _members(groups, order)
    content = _content(traits, members)
    homes = _homes(members, names, fixed)
    free = np.flatnonzero(homes < 0)
    if len(free):
        types, type_of = _types(content, free)
        counts = _counts(types, _settled(content, homes, len(names)), _parts(shares))
        # Stable: of each type the groups that come first in the seeded order fill the first split.
        rows = free[np.argsort(type_of, kind="stable")]
        places = np.broadcast_to(np.arange(len(names)), counts.shape)
        homes[rows] = np.repeat(places.ravel(), counts.ravel())
    return [names[place] for place in homes[members].tolist()]


def _parts(shares: Shares) -> Numbers:
    """(S,) whole numbers in the ratio of the shares: 14, 3 and 3 for 0.7, 0.15 and 0.15."""
    exact = [Fraction(str(float(share))) for _, share in shares]
    scale = lcm(*(share.denominator for share in exact))
    parts = [int(share * scale) for share in exact]
    if sum(parts) // gcd(*parts) > FINEST:
        total = sum(parts)
        parts = [max(1, round(Fraction(part * FINEST, total))) for part in parts]
    return np.array([part // gcd(*parts) for part in parts], np.int64)


def _members(groups: Numbers, order: Numbers) -> Numbers:
    """(N,) the group of each sample, numbered as their first samples come in the seeded order."""
    _, first, group = np.unique(groups[order], return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))
    members = np.empty(len(order), np.int64)
    members[order] = place[group]
    return members


class _Content(NamedTuple):
    """How many samples of each trait a group has: (E,) entries, ascending by group and trait."""

    groups: Numbers
    traits: Numbers
    counts: Numbers
    width: int
    """Traits there are; 0 is the trait of every sample, the others follow by name."""


def _content(traits: Sequence[Sequence[str]], members: Numbers) -> _Content:
    names = sorted(set(chain.from_iterable(traits)))
    numbers = {name: number for number, name in enumerate(names, 1)}
    width = len(names) + 1
    lengths = np.fromiter(map(len, traits), np.int64, len(members))
    found = np.fromiter(map(numbers.__getitem__, chain.from_iterable(traits)), np.int64)
    codes = np.concatenate([members * width, np.repeat(members, lengths) * width + found])
    entries, counts = np.unique(codes, return_counts=True)
    return _Content(entries // width, entries % width, counts, width)


def _homes(members: Numbers, names: list[str], fixed: Sequence[str | None] | None) -> Numbers:
    """(G,) place of the split in which a group is settled already, or -1."""
    homes = np.full(int(members.max(initial=-1)) + 1, -1, np.int64)
    for row, name in enumerate(fixed or ()):
        if name is not None:
            homes[members[row]] = names.index(name)
    return homes


def _types(content: _Content, free: Numbers) -> tuple[Types, Numbers]:
    """The types of these groups, largest first, and the type of each of the groups."""
    starts = np.searchsorted(content.groups, np.arange(int(free[-1]) + 2))
    data = np.stack([content.traits, content.counts], axis=1).astype(np.int64)
    raw = data.tobytes()
    row_bytes = data.strides[0]
    seen: dict[bytes, int] = {}
    found = [
        seen.setdefault(raw[start:stop], len(seen))
        for start, stop in zip(
            (starts[free] * row_bytes).tolist(),
            (starts[free + 1] * row_bytes).tolist(),
            strict=True,
        )
    ]
    of_group, first = np.array(found, np.int64), np.unique(found, return_index=True)[1]
    # Every group's first entry is trait 0, its number of samples. Stable: first seen, first.
    by_size = np.argsort(-content.counts[starts[free[first]]], kind="stable")
    samples_of = free[first[by_size]]
    rows, entries = spans(starts[samples_of], starts[samples_of + 1])
    types = Types(
        np.searchsorted(rows, np.arange(len(first) + 1)),
        content.traits[entries],
        content.counts[entries],
        np.bincount(of_group)[by_size],
    )
    return types, np.argsort(by_size)[of_group]


class _Settled(NamedTuple):
    """(C, S) samples and groups with each trait that stand in a split already."""

    samples: Numbers
    groups: Numbers


def _settled(content: _Content, homes: Numbers, splits: int) -> _Settled:
    samples = np.zeros((content.width, splits), np.int64)
    groups = np.zeros_like(samples)
    known = np.flatnonzero(homes[content.groups] >= 0)
    cells = content.traits[known], homes[content.groups[known]]
    np.add.at(samples, cells, content.counts[known])
    np.add.at(groups, cells, 1)
    return _Settled(samples, groups)


def _counts(types: Types, settled: _Settled, parts: Numbers) -> Numbers:
    """(T, S) how many groups of each type each split gets.

    The largest come first, and what they leave is the due of those half their size, and so on:
    one large group does not upset what was dealt out before it.
    """
    samples, groups = types.held(len(settled.samples))
    totals = samples + settled.samples.sum(axis=1)
    required = _reachable(groups, settled.groups)
    owed, scale = _owed(totals, settled.samples, parts, required)
    due = settled.samples * UNIT + _rounded(owed * UNIT, scale[:, None])
    ideal = np.zeros((len(types.number), len(parts)), np.int64)
    standing = Standing(
        groups=np.zeros_like(ideal),
        off=settled.samples * UNIT - due,
        present=settled.groups,
        totals=totals,
        required=required,
        exact=types.simple(),
    )
    for tier in types.tiers():
        part = types.part(tier)
        filled = (standing.off + due) // UNIT
        owed, _ = _owed(totals, filled, parts, _reachable(groups, standing.present))
        ideal[tier] = _ideal(part, owed)
        balance.place(part, standing._replace(groups=standing.groups[tier]), ideal[tier], parts)
        groups -= part.held(len(groups))[1]
    balance.improve(types, standing, ideal)
    return standing.groups


def _reachable(groups: Numbers, present: Numbers) -> Flags:
    """(C,) whether (C,) groups are enough to bring a trait to the splits that lack it."""
    return np.asarray(groups >= (present == 0).sum(axis=1))


def _owed(
    totals: Numbers, filled: Numbers, parts: Numbers, required: Flags
) -> tuple[Numbers, Numbers]:
    """What each split is still due of each trait, (C, S), in 1 / (C,) samples.

    The splits are filled to one level, as a share of their parts; one that stands above it
    already, or needs a first sample above it, is left at that.
    """
    floor = np.maximum(filled, required[:, None])
    above = np.zeros(filled.shape, bool)
    while True:
        room = totals - np.where(above, floor, 0).sum(axis=1)
        scale = np.where(above, 0, parts).sum(axis=1)
        more = ~above & (floor * scale[:, None] > room[:, None] * parts)
        if not more.any():
            break
        above |= more
    level = np.where(above, floor * scale[:, None], room[:, None] * parts)
    return level - filled * scale[:, None], scale


def _rounded(numerator: Numbers, denominator: Numbers | int) -> Numbers:
    return (2 * numerator + denominator) // (2 * denominator)


def _ideal(types: Types, owed: Numbers) -> Numbers:
    """(T, S) groups of each type that splits would get if groups could be divided, in UNITs."""
    whole = np.maximum(1, owed.sum(axis=1, keepdims=True))
    rates = np.array((owed.astype(object) << RATE_BITS) // whole, np.int64)
    # The number of samples itself (trait 0) guides only groups that have no other trait.
    alone = np.diff(types.starts) == 1
    counts = np.where((types.traits > 0) | alone[types.rows()], types.counts, 0)
    shares = types.total(counts[:, None] * rates[types.traits])
    shares //= types.total(counts[:, None])
    return _rounded(types.number[:, None] * shares, (1 << RATE_BITS) // UNIT)
