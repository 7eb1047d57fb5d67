"""Which split each sample goes to: stratified by class, groups never divided.

Without groups each class is shared out exactly (largest remainder, within one sample). With
groups a group goes as a whole to the split that comes nearest to its due counts by it,
largest groups first: a greedy rule that leaves the small groups to even out the large ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict

Shares = tuple[tuple[str, float], ...]


def assign(
    strata: list[str], groups: list[str | None], order: list[int], shares: Shares
) -> list[str]:
    """The split of each sample.

    Args:
        strata: (N,) what is to be kept in proportion: the class.
        groups: (N,) patient or lesion; None: the sample stands alone.
        order: row numbers in the seeded order, which decides between equals.
        shares: name and share of each split.
    """
    shares = _adding_up(shares)
    named = [group for group in groups if group is not None]
    if len(set(named)) == len(named):
        return _each_alone(strata, order, shares)
    return _grouped(strata, groups, order, shares)


def _adding_up(shares: Shares) -> Shares:
    """The shares over their sum: 0.333333 three times leaves a sample of a million over."""
    total = sum(share for _, share in shares)
    return tuple((name, share / total) for name, share in shares)


def _each_alone(strata: list[str], order: list[int], shares: Shares) -> list[str]:
    members = defaultdict(list)
    for row in order:
        members[strata[row]].append(row)
    result = [""] * len(strata)
    owed = dict.fromkeys((name for name, _ in shares), 0.0)
    for _, rows in sorted(members.items()):
        start = 0
        for name, count in _counts(len(rows), shares, owed).items():
            for row in rows[start : start + count]:
                result[row] = name
            start += count
    return result


def _counts(total: int, shares: Shares, owed: dict[str, float]) -> dict[str, int]:
    """Whole numbers that add up to total, each within one of its share.

    `owed` carries what rounding took from each split over to the next class, so that the errors
    of many small classes do not add up on one side.
    """
    exact = {name: total * share for name, share in shares}
    counts = {name: int(value + 1e-9) for name, value in exact.items()}
    left = total - sum(counts.values())

    def claim(name: str) -> tuple[bool, float]:
        rest = exact[name] - counts[name]
        return rest > 0, rest + owed[name]

    for name in sorted(exact, key=claim, reverse=True)[:left]:
        counts[name] += 1
    for name, value in exact.items():
        owed[name] += value - counts[name]
    return counts


def _grouped(
    strata: list[str], groups: list[str | None], order: list[int], shares: Shares
) -> list[str]:
    members: dict[tuple[str | None, int], list[int]] = defaultdict(list)
    for row in order:
        group = groups[row]
        members[(group, -1 if group is not None else row)].append(row)
    totals = Counter(strata)
    filled: dict[str, Counter[str]] = {name: Counter() for name, _ in shares}
    result = [""] * len(strata)
    # Stable: groups of one size keep the seeded order.
    for rows in sorted(members.values(), key=len, reverse=True):
        content = Counter(strata[row] for row in rows)
        name = _furthest_behind(content, totals, filled, shares)
        filled[name] += content
        for row in rows:
            result[row] = name
    return result


def _furthest_behind(
    content: Counter[str], totals: Counter[str], filled: dict[str, Counter[str]], shares: Shares
) -> str:
    """The split whose distance from its due counts (chi-squared) falls most by this group."""

    def gain(item: tuple[str, float]) -> float:
        name, share = item
        change = 0.0
        for stratum, number in content.items():
            due = share * totals[stratum]
            off = filled[name][stratum] - due
            change += (off * off - (off + number) ** 2) / due
        return change

    return max(shares, key=gain)[0]
