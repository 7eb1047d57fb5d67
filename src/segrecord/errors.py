"""The one tree of errors, and the `Finding` that takes an error's place inside a run.

    SegrecordError            everything segrecord raises on purpose; the message is one or two
    │                         lines that name the file, the rule, the value and the way out
    ├── UsageError            an option or argument is wrong              (exit code 2)
    ├── DataError             the data has findings of level error        (exit code 1)
    │   └── SourceError       the source as a whole cannot be understood  (exit code 1)
    ├── PixelError            one image or mask file cannot be used; carries the finding's code
    ├── RecordError           a record or shard is damaged; carries shard, record and offset
    ├── OutputError           the output cannot be written                (exit code 1)
    └── EngineError           the workers as a whole cannot run           (exit code 1)

`PixelError` never ends a run: the worker that catches it returns a `Finding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

_KINDS = 10
"""Kinds of errors that a message lists."""

Level = Literal["error", "warning", "info"]


class Finding(NamedTuple):
    """One thing a person should know about one sample or file; a row of the findings table."""

    level: Level
    code: str
    """Short name of the rule, lower-case with hyphens; listed in docs/checks.md."""
    key: str
    """The sample's key, or "" where it concerns a file that belongs to no sample."""
    path: str
    """The file, or the listing's row ("index.csv row 17"), or "" for the dataset as a whole."""
    message: str
    """The rule and the value that broke it, without the path."""
    fix: str
    """What to do about it: an option to pass or a thing to correct."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things, for messages: "1 shard", "2 shards", "2 classes"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def first_of_each(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """The first finding of each level and code, and a line that tells it.

    The line holds code, count, key and path, message and the way out.
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


class SegrecordError(Exception):
    """Base of all errors that segrecord raises on purpose."""


class UsageError(SegrecordError):
    """An option or argument is wrong; the message states the rule and the value."""


class DataError(SegrecordError):
    """The data has errors that stop the run.

    As a text it is a line of what happened, and a line for each kind of error with its count and
    the first of them.

    Attributes:
        summary: what happened, without the errors.
        findings: every finding of the run; empty where there are none to list.
    """

    def __init__(self, summary: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(summary)
        self.summary = summary
        self.findings = findings

    def __str__(self) -> str:
        errors = [finding for finding in self.findings if finding.level == "error"]
        lines = [f"  {line}" for _, line in first_of_each(errors)]
        if len(lines) > _KINDS:
            lines[_KINDS:] = [f"  ... and {len(lines) - _KINDS} more kinds of error"]
        return "\n".join([self.summary, *lines])


class SourceError(DataError):
    """The source as a whole cannot be understood (no images found, no such column, ...)."""


class PixelError(SegrecordError):
    """One image or mask file cannot be used.

    Attributes:
        code: the finding's code, for example "png-crc".
        fix: what to do about it.
    """

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(code, message, fix)
        self.code = code
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} ({self.code}); {self.fix}"


class Note(NamedTuple):
    """A warning about one image or mask file that can be used."""

    code: str
    message: str
    fix: str


class RecordError(SegrecordError):
    """A record or a shard is damaged.

    Attributes:
        shard: the shard's path or name.
        record: the record's number in the shard, from 0; None where the shard as a whole is meant.
        offset: where the record begins, in bytes of the (uncompressed) shard; None likewise.
        rule: what does not hold.
    """

    def __init__(
        self, shard: str, rule: str, record: int | None = None, offset: int | None = None
    ) -> None:
        super().__init__(shard, rule, record, offset)
        self.shard = shard
        self.rule = rule
        self.record = record
        self.offset = offset

    def __str__(self) -> str:
        where = "" if self.record is None else f" record {self.record} at byte {self.offset}"
        return f"{self.shard}{where}: {self.rule}"


class OutputError(SegrecordError):
    """The output cannot be written: no space, no permission, another dataset in the way."""


class EngineError(SegrecordError):
    """The workers as a whole cannot run."""
