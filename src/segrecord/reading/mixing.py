"""Whether the shuffle mixed the classes over the shards: a plain statement, and what it rests on.

By the adjusted standardised residuals of the table class x shard (Haberman, "The analysis of
residuals in cross-classified tables", Biometrics 29, 1973): under a random shuffle each is nearly
standard normal.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

MIN_EXPECTED = 5
"""A cell with fewer expected records is not near enough to normal (Cochran 1954)."""

FALSE_ALARM = 0.01
"""How often, at most, a random shuffle is called badly mixed; shared by a table's cells
(Bonferroni)."""


class Mixing(NamedTuple):
    """How well the classes of a split are mixed over its shards."""

    mixed: bool | None
    """None: nothing can be said."""
    residual: float | None
    """The largest absolute adjusted standardised residual."""
    limit: float | None
    """What a random shuffle stays below."""
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
    residual, limit = float(abs(found[row, column])), shuffle_limit(int(usable.sum()))
    mixed = residual < limit
    return Mixing(
        mixed,
        residual,
        limit,
        classes[row],
        shards[column],
        left_out,
        _sentence(residual, limit, f"{classes[row]!r} in {shards[column]}", left_out),
    )


def _unsaid(why: str, left_out: int = 0) -> Mixing:
    return Mixing(None, None, None, "", "", left_out, why)


def _sentence(residual: float, limit: float, cell: str, left_out: int) -> str:
    note = ""
    if left_out:
        cells = "cell" if left_out == 1 else "cells"
        note = f" ({left_out} {cells} with under {MIN_EXPECTED} expected records left out)"
    if residual < limit:
        return (
            f"classes are well mixed over shards: largest residual {residual:.1f}, a random "
            f"shuffle stays below {limit:.1f}{note}"
        )
    return (
        f"classes are NOT well mixed over shards: largest residual {residual:.1f} ({cell}), a "
        f"random shuffle stays below {limit:.1f}{note}"
    )


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


def shuffle_limit(cells: int) -> float:
    """What the largest of so many residuals stays below in all but FALSE_ALARM of shuffles."""
    return NormalDist().inv_cdf(1 - FALSE_ALARM / (2 * cells))
