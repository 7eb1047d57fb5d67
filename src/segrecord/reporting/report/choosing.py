"""Which samples are looked at: some of all, those with extreme masks, those with findings, pairs.

No chance is at work, so that a dataset has one report: records lie in the order of a hash, and
evenly spaced ones of them are a random choice.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from segrecord.tables import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from segrecord.errors import Finding
    from segrecord.reading.coverage import Masks
    from segrecord.reporting.report.data import Data

    Floats = npt.NDArray[np.float64]

RANDOM = 12
"""Samples that stand for all."""

EXTREME = 6
"""Samples of the smallest masks, and as many of the largest."""

SUSPICIOUS = 12
"""Samples with findings."""

PAIRS = 12
"""Pairs that are shown with their pictures."""

_EMPTY = 2
"""Empty masks among the smallest: one looks like the other."""

_OTHER = re.compile(
    r"(?:exactly the pixels of|exactly its pixels,|nearly the same picture as"
    r"|nearly the same picture,|label is .*?, that of|differs from that of|it resembles)"
    r""" ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
)
"""Where the messages of `quality.duplicates` name the other sample, as Python writes a text."""

_KEPT = re.compile(r"are those of (.+)\Z", re.DOTALL)
"""Where that of duplicate-dropped does, which writes it as it is."""


class Pair(NamedTuple):
    """Two samples of which one finding speaks."""

    finding: Finding
    other: str
    """Key of the other sample; "": the finding does not name it (pseudonyms)."""


class Choice(NamedTuple):
    """The rows of the index that are shown, in the order in which they are."""

    random: tuple[int, ...]
    smallest: tuple[int, ...]
    largest: tuple[int, ...]
    suspicious: tuple[int, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(row for rows in self for row in rows))


def choose(data: Data) -> Choice:
    """The samples of the grid."""
    share = foreground(data.masks)
    smallest, largest = _extremes(data.masks.row, share)
    return Choice(_evenly(data.index.num_rows), smallest, largest, _suspicious(data))


def foreground(masks: Masks) -> Floats:
    """(masks,) share of each mask's pixels that are neither class 0 nor ignored, 0 to 1."""
    inside = masks.area - masks.ignored - masks.pixels_of(0)
    found: Floats = inside / np.maximum(masks.area, 1)
    return found


def _evenly(count: int) -> tuple[int, ...]:
    """Rows at even distances: the middle of each of RANDOM parts."""
    parts = min(RANDOM, count)
    return tuple((2 * part + 1) * count // (2 * parts) for part in range(parts))


def _extremes(
    rows: npt.NDArray[np.int64], share: Floats
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The rows of the smallest and the largest masks, no row in both."""
    order = np.argsort(share, kind="stable")
    empty = order[share[order] == 0][:_EMPTY]
    low = np.concatenate([empty, order[share[order] > 0]])[:EXTREME]
    high = order[~np.isin(order, low)][::-1][:EXTREME]
    return tuple(rows[low].tolist()), tuple(rows[high].tolist())


def _suspicious(data: Data) -> tuple[int, ...]:
    """The rows that warnings name; a few of each code before more of the first.

    Samples with errors were left out and have no row.
    """
    groups = [group for group in data.findings.groups if group.level != "info"]
    keys = _in_turn([[row.key for row in group.rows if row.key] for group in groups])
    rows = data.rows_of(pa.array(keys, TEXT))
    found = dict.fromkeys(row for row in rows.tolist() if row >= 0)
    return tuple(found)[:SUSPICIOUS]


def _in_turn(lists: list[list[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on."""
    longest = max(map(len, lists), default=0)
    return [some[place] for place in range(longest) for some in lists if place < len(some)]


def pairs(findings: Iterable[Finding]) -> list[Pair]:
    """The pairs of these findings, each once."""
    found: dict[frozenset[str], Pair] = {}
    for finding in findings:
        other = other_key(finding)
        found.setdefault(frozenset({finding.key, other}), Pair(finding, other))
    return list(found.values())


def other_key(finding: Finding) -> str:
    """The key of the other sample that this finding names; "": it names none."""
    if finding.code == "duplicate-dropped":
        kept = _KEPT.search(finding.message)
        return kept[1] if kept else ""
    quoted = _OTHER.search(finding.message)
    return str(ast.literal_eval(quoted[1])) if quoted else ""
