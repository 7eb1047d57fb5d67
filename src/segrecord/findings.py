"""Findings: what a person should know of a file, a sample or the dataset, as data.

A finding holds a code and values. Its level, rule and fix come from the one catalogue
(`segrecord.catalogue`), and its text is made where it is shown, of the catalogue's template and the
values: nobody parses a sentence. Pseudonyms and the removal of paths rewrite fields.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, NamedTuple, cast, get_args

from segrecord.catalogue import CODES, Level

__all__ = ["Finding", "Level", "Related", "first_of_each", "problem_of", "releveled", "suggestion"]


_TEXTS = ("message", "fix")
"""Names of values that are no values but the text itself, as a row of findings.csv gives it."""

_UNSET = cast("Level", "")


class Related(NamedTuple):
    """Another sample, or another file, that a finding is about."""

    key: str
    path: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing a person should know; a row of the findings table."""

    code: str
    """Short name of the rule, lower-case with hyphens; listed in docs/checks.md."""
    key: str = ""
    """The sample's key, or "" where it concerns a file that belongs to no sample."""
    path: str = ""
    """The file, or the listing's row ("index.csv row 17"), or "" for the dataset as a whole."""
    related: tuple[Related, ...] = ()
    """Other samples and files that it is about, for example the copy of this one."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the text is made of: numbers and names; `case` chooses among a code's texts, `notes`
    says something of each of the related samples."""
    level: Level = _UNSET
    """That of the catalogue, or the one that --ignore or --error asked for."""

    def __post_init__(self) -> None:
        if self.level not in get_args(Level):
            object.__setattr__(self, "level", CODES[self.code].level)

    def __hash__(self) -> int:
        return hash((self.code, self.key, self.path))

    @property
    def message(self) -> str:
        """What happened, with its values, without the path."""
        return self._text(0, "message", problem_of(self.code))

    @property
    def fix(self) -> str:
        """What to do about it: an option to pass or a thing to correct; "": nothing."""
        entry = CODES.get(self.code)
        return self._text(1, "fix", entry.fix if entry and entry.level != "info" else "")

    def row(self) -> tuple[str, ...]:
        """The cells of this finding; see `tables.FINDINGS`."""
        related = json.dumps(self.related, ensure_ascii=False) if self.related else ""
        values = {name: value for name, value in self.values.items() if name not in _TEXTS}
        return (
            *(self.level, self.code, self.key, self.path),
            *(related, to_json(values), self.message, self.fix),
        )

    @classmethod
    def of_row(cls, row: Sequence[str]) -> Finding:
        """The finding of such cells, with the texts that stand there.

        Raises:
            ValueError: they are none.
        """
        level, code, key, path, related, values, message, fix = row
        if level not in get_args(Level):
            raise ValueError(f"there is no level {level!r}")
        others = tuple(Related(*other) for other in json.loads(related or "[]"))
        known = {**from_json(values), "message": message, "fix": fix}
        return cls(code, key, path, others, known, cast("Level", level))

    def _text(self, part: int, name: str, default: str) -> str:
        if name in self.values:
            return str(self.values[name])
        texts = CODES[self.code].texts if self.code in CODES else {}
        chosen = texts.get(self.values.get("case", ""))
        if chosen is None:
            return default
        notes = self.values.get("notes", ())
        others = ", ".join(
            f"{other.key!r}" + f" ({note})" * bool(note)
            for other, note in zip_longest(self.related, notes[: len(self.related)])
        )
        names = {"key": self.key, "related": self.related, "others": others}
        other = self.related[0] if self.related else Related("")
        return chosen[part].format_map({**self.values, **names, "other": other})


def first_of_each(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """The first finding of each level and code, and a line of it.

    The line holds code, count, key and path, message and fix.
    """
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.code), []).append(finding)
    for first, *more in groups.values():
        head = f"{first.code} ({1 + len(more)} findings), first" if more else first.code
        where = first.path or first.key
        if first.key and first.key not in where:
            where = f"{first.key} ({first.path})"
        parts = [head, *[where] * bool(where), first.message]
        yield first, ": ".join(parts) + f"; {first.fix}" * bool(first.fix)


def problem_of(code: str) -> str:
    """What happened, where findings of this code are shown without their messages."""
    return CODES[code].problem if code in CODES else ""


def suggestion(finding: Finding) -> str:
    """The finding's own fix, and --ignore where a person may accept the data as they are.

    Not where there is nothing to do: that needs no option.
    """
    entry, fix = CODES.get(finding.code), finding.fix
    settled = "--ignore" in fix or fix.startswith("nothing")
    if not entry or not entry.ignorable or finding.level == "info" or settled:
        return fix
    accept = f"to accept it: --ignore {finding.code}"
    return f"{fix}; {accept}" if fix else accept


def releveled(
    findings: Iterable[Finding], ignore: Collection[str], error: Collection[str]
) -> list[Finding]:
    """The findings with the levels that were asked for, in their order.

    Args:
        findings: as the checks give them.
        ignore: codes whose findings become infos.
        error: codes whose findings become errors.
    """
    asked: dict[str, Level] = dict.fromkeys(error, "error")
    asked |= dict.fromkeys(ignore, "info")
    return [replace(one, level=asked[one.code]) if one.code in asked else one for one in findings]


def to_json(values: Mapping[str, Any]) -> str:
    """Values as a cell of a table; "" for none."""
    return json.dumps(dict(values), ensure_ascii=False) if values else ""


def from_json(cell: str) -> dict[str, Any]:
    """The values of such a cell."""
    values: dict[str, Any] = json.loads(cell) if cell else {}
    return values
