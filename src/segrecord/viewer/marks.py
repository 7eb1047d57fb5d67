"""What people said of the records: a CSV of key, mark and note, written whole at each change."""

from __future__ import annotations

import csv
import io
import threading
from pathlib import Path
from typing import NamedTuple

from segrecord import storage
from segrecord.errors import UsageError

MARKS = ("good", "wrong", "unsure")
COLUMNS = ("key", "mark", "note")
DEFAULT_FILE = "marks.csv"

LONGEST_NOTE = 2000
"""Characters."""


class Mark(NamedTuple):
    """What was said of one record."""

    mark: str
    """One of MARKS."""
    note: str


class Marks:
    """The marks of a file, by key, in its order; threads may share it.

    Each change reads the file again first, so that what another program wrote to it in the
    meantime is kept. Keys that no record has are kept as they are.

    Attributes:
        path: of the CSV; it is made at the first mark.
        by_key: the marks; replaced at each change, never changed itself.
        changes: how many there were; tells the marks of one time from those of another.
    """

    def __init__(self, path: str | Path, dataset: str | Path) -> None:
        """Read the file, if it is there.

        Raises:
            UsageError: it is no marks file, or would lie inside the dataset.
        """
        self.path = Path(path)
        if self.path.resolve().is_relative_to(Path(dataset).resolve()):
            raise UsageError(
                f"marks are no part of the dataset, and {path} lies inside it; pass --marks FILE "
                "with a place elsewhere"
            )
        self.by_key = read(self.path)
        self.changes = 0
        self._lock = threading.Lock()

    def put(self, key: str, mark: str, note: str = "") -> None:
        """Set the mark of a record and keep it; mark "" takes it away.

        Raises:
            UsageError: no such mark, a note without a mark or too long, or the file has become
                something else.
            OutputError: the file cannot be written.
        """
        if mark not in ("", *MARKS):
            raise UsageError(f"a mark must be one of {', '.join(MARKS)}, or empty; got {mark!r}")
        if note and not mark:
            raise UsageError("a note needs a mark")
        if len(note) > LONGEST_NOTE:
            raise UsageError(f"a note has {LONGEST_NOTE} characters at most, got {len(note)}")
        if any("\ud800" <= letter <= "\udfff" for letter in note):
            raise UsageError("a note must be Unicode text, got half of a surrogate pair")
        with self._lock:
            marks = read(self.path)
            if mark:
                marks[key] = Mark(mark, note)
            else:
                marks.pop(key, None)
            _write(self.path, marks)
            self.by_key = marks
            self.changes += 1


def read(path: Path) -> dict[str, Mark]:
    """The marks in this file, by key, in its order; none where there is no file.

    Raises:
        UsageError: it cannot be read or holds something else; names the line.
    """
    try:
        # utf-8-sig: Excel puts a byte order mark before what it saves as UTF-8.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"marks file {path} cannot be read: {reason}") from None
    lines, marks = csv.reader(io.StringIO(text, newline=""), strict=True), {}
    try:
        header = next(lines, list(COLUMNS))
        if tuple(header) != COLUMNS:
            raise UsageError(
                f"{path} is no marks file: its columns must be {','.join(COLUMNS)}, but are "
                f"{','.join(header)[:80]}"
            )
        for line in filter(None, lines):
            if len(line) != len(COLUMNS) or line[1] not in MARKS:
                raise UsageError(
                    f"{path} line {lines.line_num}: a line holds a key, one of {', '.join(MARKS)}, "
                    f"and a note; this one is {','.join(line)[:80]!r}"
                )
            marks[line[0]] = Mark(line[1], line[2])
    except csv.Error as error:
        raise UsageError(f"{path} line {lines.line_num}: {error}") from None
    return marks


def _write(path: Path, marks: dict[str, Mark]) -> None:
    """Whole, by a temporary file beside it and a rename: no reader ever sees half of it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((key, *mark) for key, mark in marks.items())
    storage.write_file(path, text.getvalue().encode(), what=f"marks file {path}")
