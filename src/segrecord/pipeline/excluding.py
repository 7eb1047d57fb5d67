"""`--exclude`: samples that a person has marked as wrong stay out of the next dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, UsageError, counted
from segrecord.pipeline import pseudonyms
from segrecord.reporting.view import marks
from segrecord.sources.understood import Understood
from segrecord.tables import TEXT

EXCLUDED = "excluded"
"""The finding of a sample that was left out because it is marked as wrong."""

WRONG = "wrong"


def read_wrong(path: str | Path) -> dict[str, str]:
    """The notes of the samples that are marked as wrong, by key.

    Args:
        path: the CSV that `segrecord view` writes: key, mark (good, wrong or unsure) and note.

    Raises:
        UsageError: it is not there, cannot be read, or holds something else.
    """
    if not Path(path).exists():
        raise UsageError(f"--exclude {path}: there is no such file")
    return {key: mark.note for key, mark in marks.read(Path(path)).items() if mark.mark == WRONG}


def under_pseudonyms(wrong: dict[str, str], samples: pa.Table, secret: bytes) -> dict[str, str]:
    """The same notes, where marks name keys of the source by these samples' pseudonyms."""
    hidden = [pseudonyms.pseudonym(secret, "key", key) for key in wrong]
    known = pc.is_in(pa.array(hidden, TEXT), value_set=samples["key"]).to_pylist()
    names = zip(wrong, hidden, known, strict=True)
    return {other if there else key: wrong[key] for key, other, there in names}


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
                f"{counted(len(unknown), 'key that is', 'keys that are')} marked as wrong "
                f"{'is' if len(unknown) == 1 else 'are'} not in this source: "
                f"{', '.join(unknown[:3])}{', ...' * (len(unknown) > 3)}",  # noqa: PLR2004 - a line's worth
                "nothing, if they are gone; else correct the keys of the marks",
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
