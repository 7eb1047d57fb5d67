"""The one tree of errors.

    SegrecordError            everything segrecord raises on purpose; the message is one or two
    │                         lines that name the file, the rule, the value and the fix
    ├── UsageError            an option or argument is wrong              (exit code 2)
    ├── DataError             the data has findings of level error        (exit code 1)
    │   └── SourceError       the source as a whole cannot be loaded  (exit code 1)
    ├── PixelError            one image or mask file cannot be used; carries the finding's code
    ├── RecordError           a record or shard is damaged; carries shard, record and offset
    ├── OutputError           the output cannot be written                (exit code 1)
    └── EngineError           the workers as a whole cannot run           (exit code 1)

`PixelError` never ends a run: the worker that catches it returns a `Finding`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from segrecord.findings import Finding, first_of_each

_KINDS = 10
"""Kinds of errors that a message lists."""


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
    """The source as a whole cannot be loaded (no images found, no such column, ...)."""


class PixelError(SegrecordError):
    """One image or mask file cannot be used.

    Attributes:
        code: the finding's code, for example "png-crc".
        values: what its text is made of, as in a `Finding`.
    """

    def __init__(self, code: str, message: str = "", fix: str = "", **values: Any) -> None:
        texts = {"message": message, "fix": fix} if message else {}
        super().__init__(code, {**texts, **values})
        self.code = code
        self.values: Mapping[str, Any] = {**texts, **values}

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(PixelError, **self.values), (self.code,)

    @property
    def message(self) -> str:
        """What is wrong."""
        return Finding(self.code, values=self.values).message

    @property
    def fix(self) -> str:
        """What to do about it."""
        return Finding(self.code, values=self.values).fix

    def __str__(self) -> str:
        return f"{self.message} ({self.code}); {self.fix}"


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
