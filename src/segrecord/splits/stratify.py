"""Which split each sample goes to: in proportion, groups never divided.

Groups of equal content are one type; what is decided is how many groups of each type a split gets.
They are dealt out by what is due to each split, then repaired until no move brings a trait to a
split that lacks it, then exchanged while that brings the counts nearer to what is due: the method
and its measure stand in docs/splits.md.

All arithmetic is in whole numbers, so that no machine sums otherwise than another; of equal choices
the type, then the split, that comes first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segrecord.errors import UsageError
from segrecord.splits.groups import GroupTypes, Numbers, contents, group_types

Flags = npt.NDArray[np.bool_]
Shares = tuple[tuple[str, float], ...]

UNIT = 64
"""Due counts are kept in 64ths of a sample: rounding them never amounts to a sample."""

MAX_SPLITS = 2 * UNIT - 1
"""The due counts of so many splits, each rounded, still add up to within a sample."""

FINEST = 1 << 20
"""Shares are kept apart to a millionth, so that products with counts stay within 64 bits."""

POOL = 1024
"""Exchanges are sought among so many types, the smallest: they even out what the large leave."""

WIDTH = 96
"""So many types of one split are compared with as many of another for one exchange."""

WORK, OVERHEAD = 1_000_000_000, 20_000
"""Multiplications spent on exchanges, some seconds (a time would differ between machines), and what
a search for one costs beside them, in the same measure."""

ROUNDS = 8
"""Exchanges and repairs that follow each other; two are enough but for rare, small tables."""

BOUNDED = 1 << 20
"""How much less an error in a trait weighs than one in the number of samples, within bounds."""

RATE_BITS, FRACTION_BITS, PLACING_BITS = 32, 40, 120
"""Binary digits behind the point: of shares of what is owed (times a hundred million samples these
are 64 bits), of quotients that are added up, and of weights while groups are placed, which are
Python's integers, since errors are as large as the set there."""

HEADROOM = 59
"""Bits that the distance may take of the 63 there are; its changes take a few more."""

NEVER = np.iinfo(np.int64).max


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
    # (N,) the group of each sample, numbered as their first samples come in the seeded order.
    _, first, group = np.unique(groups[order], return_index=True, return_inverse=True)
    members = np.empty(len(order), np.int64)
    members[order] = np.argsort(np.argsort(first))[group]
    # (G,) place of the split in which a group is settled already, or -1.
    homes = np.full(int(members.max(initial=-1)) + 1, -1, np.int64)
    for row, name in enumerate(fixed or ()):
        if name is not None:
            homes[members[row]] = names.index(name)
    free = np.flatnonzero(homes < 0)
    if len(free):
        of_group, trait, number, width = contents(traits, members)
        types, type_of = group_types(of_group, trait, number, free)
        at_home = np.flatnonzero(homes[of_group] >= 0)
        cells = trait[at_home], homes[of_group[at_home]]
        samples, present = np.zeros((2, width, len(names)), np.int64)
        np.add.at(samples, cells, number[at_home])
        np.add.at(present, cells, 1)
        counts = _deal(types, samples, present, _parts(shares))
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


class _Standing(NamedTuple):
    """What stands where; the first three arrays change as groups are placed."""

    groups: Numbers
    """(T, S) groups of each type."""
    off: Numbers
    """(C, S) samples of each trait over what is due, in UNITs."""
    present: Numbers
    """(C, S) groups with the trait."""
    required: Flags
    """(C,) traits that should stand in every split."""
    scales: npt.NDArray[np.object_]
    """(C,) what a squared error in each trait is divided by: in proportion to its samples, squared.

    Being a sample weighs as much as all other traits together; where limits keep those in
    proportion, it comes first."""
    fewest: Numbers
    most: Numbers
    """(T, S) groups of each type that a split keeps, and that it may have."""
    weights: Numbers
    """(C,) of a squared error in each trait, when groups are moved: see `weights_of`."""

    def add(self, traits: Numbers, counts: Numbers, split: int, number: int) -> None:
        """Add a number of groups of one content to a split; a negative one takes them away."""
        self.off[traits, split] += number * UNIT * counts
        self.present[traits, split] += number

    def move(self, content: Numbers, kind: int, source: int, target: int) -> None:
        """Move one group of a type, of this content (C,), from one split to another."""
        traits = np.flatnonzero(content)
        for split, number in ((source, -1), (target, 1)):
            self.groups[kind, split] += number
            self.add(traits, content[traits], split, number)

    def place(self, types: GroupTypes, ideal: Numbers, parts: Numbers) -> None:
        """Place all groups of these types.

        First the whole numbers of (T, S) `ideal`, in UNITs; then, one by one, each of the rest
        where the distance, as a share of the split's (S,) part, falls most.
        """
        self.groups[:] = ideal // UNIT
        groups = self.groups[types.rows()]
        np.add.at(self.off, types.traits, UNIT * types.counts[:, None] * groups)
        np.add.at(self.present, types.traits, groups)
        weights = (1 << PLACING_BITS) // self.scales
        rest = types.number - self.groups.sum(axis=1)
        for kind in np.repeat(np.arange(len(rest)), rest).tolist():
            entries = slice(types.starts[kind], types.starts[kind + 1])
            traits, counts = types.traits[entries], types.counts[entries, None]
            change = weights[traits] @ (counts * (2 * self.off[traits] + UNIT * counts)) // parts
            takers = np.flatnonzero(self.groups[kind] < self.most[kind])
            split = int(takers[change[takers].argmin()])
            self.groups[kind, split] += 1
            self.add(traits, counts[:, 0], split, 1)

    def weights_of(self, types: GroupTypes) -> Numbers:
        """(C,) the inverse of the scales, as large as the sums of products in 63 bits allow."""
        largest = np.zeros(len(self.scales), np.int64)
        np.maximum.at(largest, types.traits, 4 * UNIT * types.counts)
        reach = (self.off.astype(object) ** 2).sum(axis=1) + largest.astype(object) ** 2
        total = int(((reach << FRACTION_BITS) // self.scales + 1).sum())
        return np.array((1 << HEADROOM + FRACTION_BITS) // total // self.scales, np.int64)


def _deal(types: GroupTypes, settled: Numbers, present: Numbers, parts: Numbers) -> Numbers:
    """(T, S) how many groups of each type each split gets.

    Args:
        types: the groups that are not settled.
        settled: (C, S) samples of each trait that stand in a split already.
        present: (C, S) groups of each trait that do.
        parts: (S,) the shares.
    """
    samples, groups = types.held(len(settled))
    totals = samples + settled.sum(axis=1)
    # Where groups are enough to bring a trait to the splits that lack it, they have to.
    required = np.asarray(groups >= (present == 0).sum(axis=1))
    owed, scale = _owed(totals, settled, parts, required)
    due = settled * UNIT + _rounded(owed * UNIT, scale[:, None])
    ideal = np.zeros((len(types.number), len(parts)), np.int64)
    with_trait_0 = 2
    exact = bool(types.counts.max() == 1 and np.diff(types.starts).max() <= with_trait_0)
    scales = totals.astype(object) ** 2
    if exact:
        scales[0], scales[1:] = 1, BOUNDED
    else:
        scales[1:] *= max(1, len(scales) - 1)
    fewest, most = np.zeros_like(ideal), np.full_like(ideal, NEVER)
    off, groups_of = settled * UNIT - due, np.zeros_like(ideal)
    standing = _Standing(groups_of, off, present, required, scales, fewest, most, totals)
    for tier, part in types.tiers():
        reachable = np.asarray(groups >= (standing.present == 0).sum(axis=1))
        owed, _ = _owed(totals, (standing.off + due) // UNIT, parts, reachable)
        ideal[tier] = _ideal(part, owed)
        if exact:
            fewest[tier], most[tier] = ideal[tier] // UNIT, -(-ideal[tier] // UNIT)
        own = standing._replace(groups=groups_of[tier], most=most[tier])
        own.place(part, ideal[tier], parts)
        groups -= part.held(len(groups))[1]
    standing = standing._replace(weights=standing.weights_of(types))
    _repair(types, standing)
    for _ in range(ROUNDS):
        _exchange(types, standing)
        before = groups_of.copy()
        # Exchanges never let more traits lack, but may open a way to bring one; and where a
        # class cannot give a sample within its limits, a split without it is worse.
        _repair(types, standing._replace(fewest=np.zeros_like(ideal)))
        if np.array_equal(before, groups_of):
            break
    return groups_of


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


def _ideal(types: GroupTypes, owed: Numbers) -> Numbers:
    """(T, S) groups of each type that splits would get if groups could be divided, in UNITs."""
    whole = np.maximum(1, owed.sum(axis=1, keepdims=True))
    rates = np.array((owed.astype(object) << RATE_BITS) // whole, np.int64)
    # The number of samples itself (trait 0) guides only groups that have no other trait.
    alone = np.diff(types.starts) == 1
    counts = np.where((types.traits > 0) | alone[types.rows()], types.counts, 0)
    shares = types.total(counts[:, None] * rates[types.traits])
    shares //= types.total(counts[:, None])
    return _rounded(types.number[:, None] * shares, (1 << RATE_BITS) // UNIT)


def _repair(types: GroupTypes, standing: _Standing) -> None:
    """Move single groups as long as fewer traits lack in a split by it.

    Of the moves that help most the one after which the distance is least.
    """
    required = standing.required[:, None]
    while (lacking := required & (standing.present == 0)).any():
        sole = required & (standing.present == 1)
        gain = types.total(lacking[types.traits].astype(np.int64))
        loss = types.total(sole[types.traits].astype(np.int64))
        loss[standing.groups <= standing.fewest] = len(lacking)
        helps = gain.max(axis=1) - loss.min(axis=1)
        if helps.max() <= 0:
            return
        kinds = np.flatnonzero(helps == helps.max())[-POOL:]
        content = types.dense(kinds, len(standing.weights))
        pull = (content * standing.weights) @ standing.off
        source = np.where(loss[kinds] == loss[kinds].min(axis=1)[:, None], -pull, NEVER)
        target = np.where(gain[kinds] == gain[kinds].max(axis=1)[:, None], pull, NEVER)
        change = UNIT * (content * content) @ standing.weights
        best = int((change + source.min(axis=1) + target.min(axis=1)).argmin())
        places = int(source[best].argmin()), int(target[best].argmin())
        standing.move(content[best], int(kinds[best]), *places)


class _Pool(NamedTuple):
    """The types that exchanges are sought among; the last row is nothing, for mere moves."""

    kinds: Numbers
    """(P,) the types."""
    content: Numbers
    """(P + 1, C) samples of each trait in one group."""
    weighted: Numbers
    """(P + 1, C) the same, times the weights."""
    square: Numbers
    """(P + 1,) what its own size adds to the distance of a split that it leaves or enters."""

    def costs(self, standing: _Standing, rows: Numbers, source: int, target: int) -> Numbers:
        """(len(rows),) how the distance changes when a group goes from one split to another."""
        apart = standing.off[:, target] - standing.off[:, source]
        return self.square[rows] + self.weighted[rows] @ apart

    def movable(self, standing: _Standing, source: int, target: int) -> Numbers:
        """The best rows that may go from one split to another; nothing is last."""
        spare = standing.groups[self.kinds, source] > standing.fewest[self.kinds, source]
        room = standing.groups[self.kinds, target] < standing.most[self.kinds, target]
        rows = np.flatnonzero(spare & room)
        if len(rows) > WIDTH:
            costs = self.costs(standing, rows, source, target)
            rows = rows[np.argsort(costs, kind="stable")[:WIDTH]]
        return np.append(rows, len(self.kinds))

    def best(
        self, standing: _Standing, one: int, other: int, leaving: Numbers, coming: Numbers
    ) -> tuple[int, int] | None:
        """The rows whose exchange leaves the fewest traits lacking, then the least distance."""
        change = self.costs(standing, leaving, one, other)[:, None]
        change = change + self.costs(standing, coming, other, one)
        change -= 2 * UNIT * (self.weighted[leaving] @ self.content[coming].T)
        gone, come = self.content[leaving] > 0, self.content[coming] > 0
        lacking = _lacking(standing, one, gone, come) + _lacking(standing, other, come, gone).T
        change[lacking > lacking.min()] = NEVER
        row, column = divmod(int(change.argmin()), len(coming))
        if (lacking[row, column], change[row, column]) >= (0, 0):
            return None
        return int(leaving[row]), int(coming[column])


def _exchange(types: GroupTypes, standing: _Standing) -> None:
    """Exchange single groups of two splits, or move one, as long as the distance falls.

    The two splits that differ most come first; two between which nothing was found come again
    when one of them has changed.
    """
    kinds = np.arange(max(0, len(types.number) - POOL), len(types.number))
    content = np.zeros((len(kinds) + 1, len(standing.weights)), np.int64)
    content[:-1] = types.dense(kinds, len(standing.weights))
    weighted = content * standing.weights
    pool = _Pool(kinds, content, weighted, UNIT * (content * weighted).sum(axis=1))
    splits = len(standing.off[0])

    def gaps_to(split: int) -> Numbers:
        """(S,) how far each split is from this one."""
        apart = standing.off - standing.off[:, split, None]
        return np.asarray(standing.weights @ (apart * apart))

    gaps = np.stack([gaps_to(split) for split in range(splits)])
    untried = np.triu(np.ones((splits, splits), bool), 1)
    work = 0
    while untried.any() and work < WORK:
        one, other = divmod(int(np.where(untried, gaps, -1).argmax()), splits)
        leaving = pool.movable(standing, one, other)
        coming = pool.movable(standing, other, one)
        work += OVERHEAD + (len(leaving) * len(coming) + len(kinds)) * len(standing.weights)
        untried[one, other] = False
        if not (best := pool.best(standing, one, other, leaving, coming)):
            continue
        for row, source, target in zip(best, (one, other), (other, one), strict=True):
            if row < len(kinds):
                standing.move(content[row], int(kinds[row]), source, target)
        for split in (one, other):
            gaps[split] = gaps[:, split] = gaps_to(split)
            untried[split, split + 1 :] = untried[:split, split] = True


def _lacking(standing: _Standing, split: int, gone: Flags, come: Flags) -> Numbers:
    """(len(gone), len(come)) how many more traits a split lacks after each exchange."""
    rare = np.flatnonzero(standing.required & (standing.present[:, split] <= 1))
    sole = standing.present[rare, split] == 1
    lost = (gone[:, rare] & sole).astype(np.int64) @ ~come[:, rare].T
    return np.asarray(lost - (come[:, rare] & ~sole).sum(axis=1))
