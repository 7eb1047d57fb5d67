"""How many groups of each type a split gets: the rest dealt out, mended, then exchanged.

What is brought down is the number of traits that lack in a split, then the distance: the sum over
traits and splits of ((samples - due) / all samples of the trait)^2, in which the number of samples
itself (trait 0) weighs as much as all the other traits together. All is reckoned in whole numbers;
of equal choices the type, then the split, that comes first is taken.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNIT = 64
"""Due counts are kept in 64ths of a sample: rounding them never amounts to a sample."""

POOL = 1024
"""Exchanges are sought among so many types, the smallest: they even out what the large leave."""

WIDTH = 96
"""So many types of one split are compared with as many of another for one exchange."""

WORK = 1_000_000_000
"""Multiplications spent on exchanges, some seconds; a time would differ between machines."""

ROUNDS = 8
"""Exchanges and repairs that follow each other; two are enough but for rare, small tables."""

OVERHEAD = 20_000
"""What a search for an exchange costs beside its multiplications, in the same measure."""

BOUNDED = 1 << 20
"""How much less an error in a trait weighs than one in the number of samples, within bounds."""

PLACING_BITS = 120
"""Weights while groups are placed are Python's integers: there errors are as large as the set."""

FRACTION_BITS = 40
"""Quotients that are added up are kept in parts of 2^-40."""

HEADROOM = 59
"""Bits that the distance may take of the 63 there are; its changes take a few more."""

NEVER = np.iinfo(np.int64).max


def spans(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Which span each entry is of, and the entries of the spans, one span after the other."""
    lengths = stops - starts
    rows = np.repeat(np.arange(len(starts)), lengths)
    return rows, np.arange(len(rows)) + (starts - np.cumsum(lengths) + lengths)[rows]


class Types(NamedTuple):
    """Groups by their content, largest first; type t has the entries `starts[t]:starts[t + 1]`."""

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

    def simple(self) -> bool:
        """Whether all groups are single samples with one trait (and trait 0) or none."""
        with_trait_0 = 2
        return bool(self.counts.max() == 1 and np.diff(self.starts).max() <= with_trait_0)

    def held(self, width: int) -> tuple[Numbers, Numbers]:
        """(C,) samples and groups with each trait there are in all."""
        samples, groups = np.zeros((2, width), np.int64)
        number = self.number[self.rows()]
        np.add.at(samples, self.traits, number * self.counts)
        np.add.at(groups, self.traits, number)
        return samples, groups

    def tiers(self) -> list[slice]:
        """The types from one power of two in size to the next, largest first."""
        # The first entry of a type is trait 0, the size of the group; frexp gives its bit length.
        bits = np.frexp(self.counts[self.starts[:-1]])[1]
        bounds = [0, *(np.flatnonzero(np.diff(bits)) + 1).tolist(), len(bits)]
        return [slice(*pair) for pair in pairwise(bounds)]

    def part(self, types: slice) -> Types:
        """These types alone."""
        starts = self.starts[types.start : types.stop + 1]
        entries = slice(starts[0], starts[-1])
        return Types(
            starts - starts[0], self.traits[entries], self.counts[entries], self.number[types]
        )

    def dense(self, types: Numbers, width: int) -> Numbers:
        """(len(types), width) samples of every trait in one group of these types."""
        rows, entries = spans(self.starts[types], self.starts[types + 1])
        content = np.zeros((len(types), width), np.int64)
        content[rows, self.traits[entries]] = self.counts[entries]
        return content


class Standing(NamedTuple):
    """What stands where; the first three arrays change as groups are placed."""

    groups: Numbers
    """(T, S) groups of each type."""
    off: Numbers
    """(C, S) samples of each trait over what is due, in UNITs."""
    present: Numbers
    """(C, S) groups with the trait."""
    totals: Numbers
    """(C,) samples of each trait."""
    required: Flags
    """(C,) traits that should stand in every split."""
    exact: bool
    """Whether all groups are single samples with one trait: all stay within one of their due."""

    def add(self, traits: Numbers, counts: Numbers, split: int, number: int) -> None:
        """Add a number of groups of one content to a split; a negative one takes them away."""
        self.off[traits, split] += number * UNIT * counts
        self.present[traits, split] += number


def place(types: Types, standing: Standing, ideal: Numbers, parts: Numbers) -> None:
    """Place all groups of these types.

    First the whole numbers of (T, S) `ideal`, in UNITs; then, one by one, each of the rest where
    the distance, as a share of the split's (S,) part, falls most.
    """
    standing.groups[:] = ideal // UNIT
    groups = standing.groups[types.rows()]
    np.add.at(standing.off, types.traits, UNIT * types.counts[:, None] * groups)
    np.add.at(standing.present, types.traits, groups)
    weights = (1 << PLACING_BITS) // _scales(standing)
    rest = types.number - standing.groups.sum(axis=1)
    most = _limits(standing, ideal)[1]
    for kind in np.repeat(np.arange(len(rest)), rest).tolist():
        entries = slice(types.starts[kind], types.starts[kind + 1])
        traits, counts = types.traits[entries], types.counts[entries, None]
        change = weights[traits] @ (counts * (2 * standing.off[traits] + UNIT * counts)) // parts
        takers = np.flatnonzero(standing.groups[kind] < most[kind])
        split = int(takers[change[takers].argmin()])
        standing.groups[kind, split] += 1
        standing.add(traits, counts[:, 0], split, 1)


def _limits(standing: Standing, ideal: Numbers) -> tuple[Numbers, Numbers]:
    """(T, S) fewest and most groups of a type in a split."""
    if standing.exact:
        return ideal // UNIT, -(-ideal // UNIT)
    return np.zeros_like(ideal), np.full_like(ideal, NEVER)


def _scales(standing: Standing) -> npt.NDArray[np.object_]:
    """(C,) what a squared error in each trait is divided by: in proportion to its samples, squared.

    Being a sample weighs as much as all other traits together; where limits keep those in
    proportion, it comes first.
    """
    scales = standing.totals.astype(object) ** 2
    if standing.exact:
        scales[0], scales[1:] = 1, BOUNDED
    else:
        scales[1:] *= max(1, len(scales) - 1)
    return scales


class _Rules(NamedTuple):
    """What holds while groups are moved."""

    fewest: Numbers
    most: Numbers
    weights: Numbers
    """(C,) of a squared error in each trait."""


def improve(types: Types, standing: Standing, ideal: Numbers) -> None:
    """Bring traits where they lack, then the counts nearer to what is due."""
    rules = _Rules(*_limits(standing, ideal), _weights(types, standing))
    _mend(types, standing, rules)
    for _ in range(ROUNDS):
        _exchange(types, standing, rules)
        before = standing.groups.copy()
        # Exchanges never let more traits lack, but may open a way to bring one; and where a
        # class cannot give a sample within its limits, a split without it is worse.
        _mend(types, standing, rules._replace(fewest=np.zeros_like(ideal)))
        if np.array_equal(before, standing.groups):
            return


def _weights(types: Types, standing: Standing) -> Numbers:
    """(C,) the inverse of the scales, as large as the sums of products in 63 bits allow."""
    scales = _scales(standing)
    largest = np.zeros(len(scales), np.int64)
    np.maximum.at(largest, types.traits, 4 * UNIT * types.counts)
    reach = (standing.off.astype(object) ** 2).sum(axis=1) + largest.astype(object) ** 2
    total = int(((reach << FRACTION_BITS) // scales + 1).sum())
    return np.array((1 << HEADROOM + FRACTION_BITS) // total // scales, np.int64)


def _mend(types: Types, standing: Standing, rules: _Rules) -> None:
    """Move single groups as long as fewer traits lack in a split by it.

    Of the moves that help most the one after which the distance is least.
    """
    required = standing.required[:, None]
    while (lacking := required & (standing.present == 0)).any():
        sole = required & (standing.present == 1)
        gain = types.total(lacking[types.traits].astype(np.int64))
        loss = types.total(sole[types.traits].astype(np.int64))
        loss[standing.groups <= rules.fewest] = len(lacking)
        helps = gain.max(axis=1) - loss.min(axis=1)
        if helps.max() <= 0:
            return
        kinds = np.flatnonzero(helps == helps.max())[-POOL:]
        content = types.dense(kinds, len(rules.weights))
        pull = (content * rules.weights) @ standing.off
        source = np.where(loss[kinds] == loss[kinds].min(axis=1)[:, None], -pull, NEVER)
        target = np.where(gain[kinds] == gain[kinds].max(axis=1)[:, None], pull, NEVER)
        change = (
            UNIT * (content * content) @ rules.weights + source.min(axis=1) + target.min(axis=1)
        )
        best = int(change.argmin())
        _move(
            standing,
            content[best],
            int(kinds[best]),
            int(source[best].argmin()),
            int(target[best].argmin()),
        )


def _move(standing: Standing, content: Numbers, kind: int, source: int, target: int) -> None:
    traits = np.flatnonzero(content)
    for split, number in ((source, -1), (target, 1)):
        standing.groups[kind, split] += number
        standing.add(traits, content[traits], split, number)


class _Pool(NamedTuple):
    """The types that exchanges are sought among; its last row is nothing, for mere moves."""

    kinds: Numbers
    """(P,) the types."""
    content: Numbers
    """(P + 1, C) samples of each trait in one group."""
    weighted: Numbers
    """(P + 1, C) the same, times the weights."""
    square: Numbers
    """(P + 1,) what its own size adds to the distance of a split that it leaves or enters."""


def _pool(types: Types, weights: Numbers) -> _Pool:
    kinds = np.arange(max(0, len(types.number) - POOL), len(types.number))
    content = np.zeros((len(kinds) + 1, len(weights)), np.int64)
    content[:-1] = types.dense(kinds, len(weights))
    weighted = content * weights
    return _Pool(kinds, content, weighted, UNIT * (content * weighted).sum(axis=1))


def _exchange(types: Types, standing: Standing, rules: _Rules) -> None:
    """Exchange single groups of two splits, or move one, as long as the distance falls.

    The two splits that differ most come first; two between which nothing was found come again
    when one of them has changed.
    """
    pool = _pool(types, rules.weights)
    splits = len(standing.off[0])
    gaps = np.stack([_gaps(standing, rules.weights, split) for split in range(splits)])
    untried = np.triu(np.ones((splits, splits), bool), 1)
    work = 0
    while untried.any() and work < WORK:
        one, other = divmod(int(np.where(untried, gaps, -1).argmax()), splits)
        leaving = _movable(pool, standing, rules, one, other)
        coming = _movable(pool, standing, rules, other, one)
        work += OVERHEAD + (len(leaving) * len(coming) + len(pool.kinds)) * len(rules.weights)
        untried[one, other] = False
        if not (found := _best(pool, standing, one, other, leaving, coming)):
            continue
        for row, source, target in zip(found, (one, other), (other, one), strict=True):
            if row < len(pool.kinds):
                _move(standing, pool.content[row], int(pool.kinds[row]), source, target)
        for split in (one, other):
            gaps[split] = gaps[:, split] = _gaps(standing, rules.weights, split)
            untried[split, split + 1 :] = untried[:split, split] = True


def _gaps(standing: Standing, weights: Numbers, split: int) -> Numbers:
    """(S,) how far each split is from this one."""
    apart = standing.off - standing.off[:, split, None]
    return np.asarray(weights @ (apart * apart))


def _costs(pool: _Pool, standing: Standing, rows: Numbers, source: int, target: int) -> Numbers:
    """(len(rows),) how the distance changes when a group goes from one split to another."""
    apart = standing.off[:, target] - standing.off[:, source]
    return pool.square[rows] + pool.weighted[rows] @ apart


def _movable(pool: _Pool, standing: Standing, rules: _Rules, source: int, target: int) -> Numbers:
    """Rows of the pool that may go from one split to another, the best ones; nothing is last."""
    spare = standing.groups[pool.kinds, source] > rules.fewest[pool.kinds, source]
    room = standing.groups[pool.kinds, target] < rules.most[pool.kinds, target]
    rows = np.flatnonzero(spare & room)
    if len(rows) > WIDTH:
        costs = _costs(pool, standing, rows, source, target)
        rows = rows[np.argsort(costs, kind="stable")[:WIDTH]]
    return np.append(rows, len(pool.kinds))


def _best(
    pool: _Pool, standing: Standing, one: int, other: int, leaving: Numbers, coming: Numbers
) -> tuple[int, int] | None:
    """The rows whose exchange leaves the fewest traits lacking, then the least distance."""
    change = _costs(pool, standing, leaving, one, other)[:, None]
    change = change + _costs(pool, standing, coming, other, one)
    change -= 2 * UNIT * (pool.weighted[leaving] @ pool.content[coming].T)
    gone, come = pool.content[leaving] > 0, pool.content[coming] > 0
    lacking = _lacking(standing, one, gone, come) + _lacking(standing, other, come, gone).T
    change[lacking > lacking.min()] = NEVER
    row, column = divmod(int(change.argmin()), len(coming))
    if (lacking[row, column], change[row, column]) >= (0, 0):
        return None
    return int(leaving[row]), int(coming[column])


def _lacking(standing: Standing, split: int, gone: Flags, come: Flags) -> Numbers:
    """(len(gone), len(come)) how many more traits a split lacks after each exchange."""
    rare = np.flatnonzero(standing.required & (standing.present[:, split] <= 1))
    sole = standing.present[rare, split] == 1
    lost = (gone[:, rare] & sole).astype(np.int64) @ ~come[:, rare].T
    return np.asarray(lost - (come[:, rare] & ~sole).sum(axis=1))
