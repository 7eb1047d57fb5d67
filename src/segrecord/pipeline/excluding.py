"""`--exclude`: samples that a person has marked as wrong stay out of the next dataset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

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


class Wrong(NamedTuple):
    """What is said of a sample that is marked as wrong."""

    files: tuple[str, ...]
    """The marks files that say so."""
    text: str
    """Their notes, and which files say otherwise."""


def read_wrong(paths: Iterable[str | Path]) -> dict[str, Wrong]:
    """The samples that any of these files marks as wrong, by key.

    Args:
        paths: CSVs as `segrecord view` writes them: key, mark (good, wrong or unsure) and note.

    Raises:
        UsageError: one is not there, cannot be read, or holds something else.
    """
    marked: dict[str, list[tuple[str, marks.Mark]]] = {}
    for path in paths:
        if not Path(path).exists():
            raise UsageError(f"--exclude {path}: there is no such file")
        for key, mark in marks.read(Path(path)).items():
            marked.setdefault(key, []).append((str(path), mark))
    return {
        key: _wrong(said)
        for key, said in marked.items()
        if any(mark.mark == WRONG for _, mark in said)
    }


def _wrong(said: list[tuple[str, marks.Mark]]) -> Wrong:
    """One mark is enough: whoever marks a sample as wrong has looked at it."""
    files = tuple(path for path, mark in said if mark.mark == WRONG)
    notes = dict.fromkeys(mark.note for _, mark in said if mark.mark == WRONG and mark.note)
    others = [f"as {mark.mark} in {Path(path).name}" for path, mark in said if mark.mark != WRONG]
    text = f": {'; '.join(notes)}" * bool(notes) + f" (but {', '.join(others)})" * bool(others)
    return Wrong(files, text)


def under_pseudonyms(wrong: dict[str, Wrong], samples: pa.Table, secret: bytes) -> dict[str, Wrong]:
    """The same, where marks name keys of the source by these samples' pseudonyms."""
    hidden = [pseudonyms.pseudonym(secret, "key", key) for key in wrong]
    known = pc.is_in(pa.array(hidden, TEXT), value_set=samples["key"]).to_pylist()
    names = zip(wrong, hidden, known, strict=True)
    return {other if there else key: wrong[key] for key, other, there in names}


def without(understood: Understood, wrong: dict[str, Wrong]) -> Understood:
    """The source without the samples that are marked as wrong, and a finding for each."""
    keys = understood.samples["key"]
    marked = pc.is_in(keys, value_set=pa.array(sorted(wrong), TEXT))
    left_out = understood.samples.select(["key", "image"]).filter(marked).to_pylist()
    findings = [_excluded(row["key"], row["image"], wrong[row["key"]].text) for row in left_out]
    unknown: dict[str, list[str]] = {}
    for key in sorted(set(wrong) - {row["key"] for row in left_out}):
        for path in wrong[key].files:
            unknown.setdefault(path, []).append(key)
    findings += [_unknown(path, missing) for path, missing in sorted(unknown.items())]
    return replace(
        understood,
        samples=understood.samples.filter(pc.invert(marked)),
        findings=(*understood.findings, *findings),
    )


def _unknown(path: str, keys: list[str]) -> Finding:
    some = counted(len(keys), "key that is", "keys that are")
    return Finding(
        "warning",
        "exclude-unknown",
        "",
        path,
        f"{some} marked as wrong {'is' if len(keys) == 1 else 'are'} not in this source: "
        f"{', '.join(keys[:3])}{', ...' * (len(keys) > 3)}",  # noqa: PLR2004 - a line's worth
        "nothing, if they are gone; else correct the keys of the marks",
    )


def _excluded(key: str, path: str, said: str) -> Finding:
    return Finding("info", EXCLUDED, key, path, f"left out: it is marked as wrong{said}", "")
