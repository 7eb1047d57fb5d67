"""Whether the shuffle mixed the classes over the shards: a plain statement, and what it rests on.

By the largest of the adjusted standardised residuals of the table class x shard (Haberman, "The
analysis of residuals in cross-classified tables", Biometrics 29, 1973), and how often a random
shuffle has one as large: the cell is hypergeometric then. The normal distribution would not do:
where few records are expected, it calls ten times as many shuffles bad as it says (measured).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

MIN_EXPECTED = 5
"""A cell with fewer expected records says little (Cochran 1954)."""

FALSE_ALARM = 0.0001
"""How often, at most, a random shuffle is called badly mixed: a person who builds a set of four
splits each day hears one false alarm in seven years."""

_LEAST = 1e-300
"""The smallest p that is told."""


class Mixing(NamedTuple):
    """How well the classes of a split are mixed over its shards."""

    mixed: bool | None
    """None: nothing can be said."""
    residual: float | None
    """The largest absolute adjusted standardised residual."""
    p: float | None
    """How often, at most, a random shuffle has a cell that deviates so rarely."""
    class_name: str
    """Of the cell with the largest residual."""
    shard: str
    left_out: int
    """Cells with under MIN_EXPECTED expected records."""
    sentence: str


def mixing_of(counts: Mapping[str, Mapping[str, int]]) -> Mixing:
    """The mixing statement for the records of each class (inner key) in each shard (outer key)."""
    classes = sorted({name for shard in counts.values() for name, times in shard.items() if times})
    shards = [name for name, shard in counts.items() if any(shard.values())]
    if not classes:
        return _unsaid("the records have no classes")
    if len(classes) == 1 or len(shards) == 1:
        what = "class" if len(classes) == 1 else "shard"
        return _unsaid(f"there is only one {what}: nothing to mix")
    table = np.array([[counts[shard].get(name, 0) for shard in shards] for name in classes])
    found, usable = residuals(table)
    left_out = int(usable.size - usable.sum())
    if not usable.any():
        return _unsaid("too few records in a shard to say whether the classes are mixed", left_out)
    worst = int(np.where(usable, np.abs(found), -1).argmax())
    row, column = divmod(worst, len(shards))
    residual = float(abs(found[row, column]))
    # Of each cell on both sides (Bonferroni).
    p = min(2 * int(usable.sum()) * tail(table, row, column), 1.0)
    sentence = _sentence(residual, p, f"{classes[row]!r} in {shards[column]}", left_out)
    mixed = p >= FALSE_ALARM
    return Mixing(mixed, residual, p, classes[row], shards[column], left_out, sentence)


def _unsaid(why: str, left_out: int = 0) -> Mixing:
    return Mixing(None, None, None, "", "", left_out, why)


def _sentence(residual: float, p: float, cell: str, left_out: int) -> str:
    note = ""
    if left_out:
        cells = "cell" if left_out == 1 else "cells"
        note = f" ({left_out} {cells} with under {MIN_EXPECTED} expected records left out)"
    if p >= FALSE_ALARM:
        return (
            f"classes are well mixed over shards: largest residual {residual:.1f}, as random "
            f"shuffles have it (p {_p_text(p)}){note}"
        )
    return (
        f"classes are NOT well mixed over shards: largest residual {residual:.1f} ({cell}), as "
        f"fewer than 1 in {1 / FALSE_ALARM:,.0f} random shuffles have it (p {_p_text(p)}){note}"
    )


def _p_text(p: float) -> str:
    """In two digits, or as many more as show on which side of FALSE_ALARM it lies."""
    texts = (f"{p:.{digits}g}" for digits in range(2, 18))
    return next(text for text in texts if (float(text) < FALSE_ALARM) == (p < FALSE_ALARM))


def residuals(
    table: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Adjusted standardised residuals of a table of counts (classes, shards), and which to use.

    The cells with at least MIN_EXPECTED expected records are to be used. No row or column may be
    all zero, and there must be two of each.
    """
    total = table.sum()
    rows = table.sum(axis=1, keepdims=True) / total
    columns = table.sum(axis=0, keepdims=True) / total
    expected = rows * columns * total
    deviation = np.sqrt(expected * (1 - rows) * (1 - columns))
    return (table - expected) / deviation, expected >= MIN_EXPECTED


def tail(table: npt.NDArray[np.int64], row: int, column: int) -> float:
    """How often a random shuffle takes this cell so far from what is expected, to its side.

    The tail of the hypergeometric distribution with the table's own sums, `_LEAST` at least.
    """
    total, size = int(table.sum()), int(table[:, column].sum())
    of_class, found = int(table[row].sum()), int(table[row, column])
    if found * total < of_class * size:  # too few of the class are too many of the others
        of_class, found = total - of_class, size - found
    log = _log_choose(of_class, found) + _log_choose(total - of_class, size - found)
    summed = term = 1.0
    while term > summed * np.finfo(float).eps:
        others = total - of_class - size + found + 1
        term *= (of_class - found) * (size - found) / ((found + 1) * others)
        summed, found = summed + term, found + 1
    return max(math.exp(max(log - _log_choose(total, size), -700)) * summed, _LEAST)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
