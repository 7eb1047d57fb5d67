"""What a case gives: rows of the table, and the bars of the plot."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_HEAD = ("against", "ours", "peer", "ratio or figure", "promised", "met")
_MET = {True: "yes", False: "**no**", None: ""}


class Set(NamedTuple):
    """A generated set."""

    pairs: int
    ids: str
    """Folder with masks of class ids."""
    rgb: str
    """Folder with RGB masks."""
    image_bytes: int
    """Of all images together."""


class Bench(NamedTuple):
    """What every case needs."""

    small: Set
    large: Callable[[], Set]
    """The set that memory is compared on, four times as large; drawn when it is asked for."""
    repeats: int
    workers: int
    out: Path
    """Where outputs go: on the file system of the sets; deleted after each run."""


class Bar(NamedTuple):
    """One subject of a case."""

    name: str
    rates: Sequence[float]
    """Records a second, a turn each."""
    ours: bool


class Row(NamedTuple):
    """A line of the table."""

    what: str
    ours: str
    peer: str
    figure: str
    target: str
    met: bool | None
    """None: nothing was promised."""
    bars: tuple[Bar, ...] = ()
    """What it was formed of, for the plot."""


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def seconds(values: Sequence[float]) -> str:
    """The median of seconds, in words."""
    return f"{middle(values):.2f} s"


def times(found: measure.Ratio) -> str:
    """A ratio and its range, in words."""
    return f"{found.middle:.2f} ({found.low:.2f} to {found.high:.2f})"


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [_line(_HEAD), _line(("---",) * len(_HEAD))]
    told = [(row.what, row.ours, row.peer, row.figure, row.target, _MET[row.met]) for row in rows]
    return "\n".join(lines + [_line(cells) for cells in told])


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
