"""`--exclude`: samples that a person has marked as wrong stay out of the next dataset."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, UsageError
from segrecord.sources.understood import Understood
from segrecord.tables import TEXT

EXCLUDED = "excluded"
"""The finding of a sample that was left out because it is marked as wrong."""

WRONG = "wrong"
MARKS = ("good", WRONG, "unsure")


def read_marks(path: str | Path) -> dict[str, str]:
    """The notes of the samples that are marked as wrong, by key.

    Args:
        path: a CSV with the columns key and mark (good, wrong or unsure), and perhaps note, as
            `segrecord view` writes it.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--exclude {path} cannot be read: {reason}") from None
    wrong = {}
    for number, row in enumerate(rows, 2):
        key, mark = row.get("key"), row.get("mark")
        if not key or mark not in MARKS:
            raise UsageError(
                f"--exclude {path} line {number}: there must be a key and a mark "
                f"({', '.join(MARKS)}), got {key!r} and {mark!r}"
            )
        if mark == WRONG:
            wrong[key] = row.get("note") or ""
    return wrong


def without(understood: Understood, wrong: dict[str, str], path: str) -> Understood:
    """The source without the samples that are marked as wrong, and a finding for each."""
    keys = understood.samples["key"]
    marked = pc.is_in(keys, value_set=pa.array(sorted(wrong), TEXT))
    left_out = understood.samples.select(["key", "image"]).filter(marked).to_pylist()
    findings = [_excluded(row["key"], row["image"], wrong[row["key"]]) for row in left_out]
    unknown = sorted(set(wrong) - {row["key"] for row in left_out})
    if unknown:
        findings.append(
            Finding(
                "warning",
                "exclude-unknown",
                "",
                path,
                f"{len(unknown)} keys that are marked as wrong are not in this source: "
                f"{', '.join(unknown[:3])}{', ...' * (len(unknown) > 3)}",  # noqa: PLR2004 - a line's worth
                "nothing, if they are gone; else mend the keys of the marks",
            )
        )
    return replace(
        understood,
        samples=understood.samples.filter(pc.invert(marked)),
        findings=(*understood.findings, *findings),
    )


def _excluded(key: str, path: str, note: str) -> Finding:
    said = f": {note}" * bool(note)
    return Finding("info", EXCLUDED, key, path, f"left out: it is marked as wrong{said}", "")
