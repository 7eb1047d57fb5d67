"""`findings.csv` by code and level.

The list is read as a stream and only the first rows of a code are kept: there may be a million.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from segrecord.building.sidecars import FINDINGS_FILE
from segrecord.codes import CODES, problem_of, way_out
from segrecord.errors import Finding, Level
from segrecord.records import regular
from segrecord.tables import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ROWS = 40
"""Findings of one code that stand on the page; the list has all."""

LEVELS: tuple[Level, ...] = ("error", "warning", "info")

_TEXT = 600
"""Characters of a message that are kept: one may quote a whole cell of a table."""

_PICTURE_CODES = ("duplicate", "near-duplicate", "similar-pair")
PAIR_CODES = frozenset(
    {
        *_PICTURE_CODES,
        *(f"duplicate-{what}" for what in ("split", "label", "mask", "dropped")),
        "near-duplicate-split",
    }
)
"""The codes whose findings are about two samples: they are shown side by side."""


@dataclass
class Group:
    """The findings of one code and level."""

    level: Level
    code: str
    count: int = 0
    rows: list[Finding] = field(default_factory=list)
    """The first of them; a pair code keeps as many."""

    def add(self, found: Finding) -> None:
        """Count it, and keep it if it is one of the first."""
        self.count += 1
        if len(self.rows) < ROWS:
            self.rows.append(found)

    @property
    def problem(self) -> str:
        """What happened."""
        return problem_of(self.code)

    @property
    def rule(self) -> str:
        """What holds where there is no such finding; "": of an info, and of an unknown code."""
        return CODES[self.code].rule if self.code in CODES else ""

    @property
    def source(self) -> str:
        """Where the rule comes from."""
        return CODES[self.code].source if self.code in CODES else ""

    @property
    def fixes(self) -> tuple[str, ...]:
        """The ways out: those of the findings, or where they have none that of the code."""
        own = tuple(dict.fromkeys(way_out(row) for row in self.rows if row.fix))
        return own or ((CODES[self.code].fix,) if self.code in CODES else ())

    @property
    def more(self) -> int:
        """Findings that do not stand on the page."""
        return self.count - len(self.rows)


class Findings(NamedTuple):
    """All findings of a dataset, by level and code: errors first."""

    groups: tuple[Group, ...]

    def of(self, level: Level) -> list[Group]:
        """The groups of this level."""
        return [group for group in self.groups if group.level == level]

    def rows(self, *levels: Level) -> Iterator[Finding]:
        """The kept findings of these levels."""
        return (row for group in self.groups if group.level in levels for row in group.rows)

    @property
    def pairs(self) -> list[Finding]:
        """The kept findings about two samples."""
        return [row for group in self.groups if group.code in PAIR_CODES for row in group.rows]

    @property
    def pair_count(self) -> int:
        """How many findings are about two samples."""
        return sum(group.count for group in self.groups if group.code in PAIR_CODES)

    @property
    def total(self) -> int:
        """How many findings there are."""
        return sum(group.count for group in self.groups)


def grouped(findings: Iterable[Finding]) -> Findings:
    """The findings by level and code."""
    groups: dict[tuple[int, str], Group] = {}
    for found in findings:
        place = LEVELS.index(found.level), found.code
        groups.setdefault(place, Group(found.level, found.code)).add(found)
    return Findings(tuple(groups[place] for place in sorted(groups)))


def read_findings(folder: Path) -> tuple[Findings, list[str]]:
    """The findings of a dataset, and what is wrong with their list."""
    try:
        binary = regular.open_binary(folder / FINDINGS_FILE)
        with io.TextIOWrapper(binary, "utf-8", "replace", newline="") as file:
            reader = csv.reader(file)
            if next(reader, None) != FINDINGS.names:
                return Findings(()), [f"{FINDINGS_FILE} does not begin with the names of columns"]
            return grouped(_rows(reader)), []
    except FileNotFoundError:
        return Findings(()), [f"{FINDINGS_FILE} is missing"]
    except (OSError, csv.Error, _DamagedError) as error:
        return Findings(()), [f"{FINDINGS_FILE} cannot be read: {error}"]


class _DamagedError(ValueError):
    """A line that is no finding."""


def _rows(reader: Iterable[list[str]]) -> Iterator[Finding]:
    for number, row in enumerate(reader, 1):
        if len(row) != len(Finding._fields) or row[0] not in LEVELS:
            raise _DamagedError(f"finding {number} is none")
        level, code, key, path, message, fix = row
        yield Finding(LEVELS[LEVELS.index(level)], code, key, path, cut(message), cut(fix))


def cut(text: str, length: int = _TEXT) -> str:
    """The text, or its beginning."""
    return text if len(text) <= length else text[: length - 1] + "…"


def anchor(group: Group) -> str:
    """Where on the page this group stands."""
    return f"{group.level}-{group.code}"
