"""Who may know what, where keys and groups are pseudonyms.

The person who builds reads findings with the names that the source has (`with_names`), and gets a
crosswalk where asked for. The dataset's own lists say what is wrong with which pseudonym, and
nothing more (`redacted`, `redacted_facts`).
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.errors import UsageError
from segrecord.findings import Finding, problem_of
from segrecord.options import RecordOptions
from segrecord.privacy.pseudonyms import CROSSWALK, names_in, renamed
from segrecord.tables import FACTS, TEXT

_PSEUDONYM = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")

_TEXTS = ("message", "fix")

_PNG_TEXT = "PNG text"
"""Before the keyword of a PNG text; see `segrecord.images.metadata.held`."""


def with_names(findings: Iterable[Finding], crosswalk: pa.Table) -> tuple[Finding, ...]:
    """The findings with keys and groups by their original names, for the person who builds."""
    findings = tuple(findings)
    texts = (str(of.values[name]) for of in findings for name in _TEXTS if name in of.values)
    met = {name for finding in findings for name in names_in(finding)}
    met.update(name for text in texts for name in _PSEUDONYM.findall(text))

    def originals(column: str, pseudonyms: str) -> dict[str, str]:
        named = pc.is_in(crosswalk[pseudonyms], value_set=pa.array(sorted(met), TEXT))
        part = crosswalk.select([pseudonyms, column]).filter(named)
        return dict(zip(*(column.to_pylist() for column in part.columns), strict=True))

    groups, keys = originals("group", "group_pseudonym"), originals("key", "pseudonym")
    names = groups | keys

    def text_of(finding: Finding, name: str) -> str:
        return _PSEUDONYM.sub(lambda found: names.get(found[0], found[0]), finding.values[name])

    return tuple(
        replace(
            finding,
            values={
                name: text_of(finding, name) if name in _TEXTS else value
                for name, value in finding.values.items()
            },
        )
        for finding in renamed(findings, keys, groups)
    )


def redacted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What the dataset's lists may say of findings under pseudonyms, in the order of the keys.

    The path is left out, and the values, which may name files, keys and cells, give way to what
    the code stands for; the terminal shows the rest to the person who builds.
    """
    bare = (
        replace(
            finding,
            path="",
            related=tuple(other._replace(path="") for other in finding.related),
            values={"message": problem_of(finding.code) or finding.code, "fix": ""},
        )
        for finding in findings
    )
    # Not in the order of the source: that is the order of the names.
    return tuple(sorted(bare, key=lambda finding: finding.key))


def redacted_facts(facts: pa.Table) -> pa.Table:
    """What the dataset may say of facts (schema FACTS or longer).

    Without the paths and texts of problems, and without the keywords of PNG texts, which anybody
    may have chosen.
    """
    problems = [
        [problem | {"path": "", "values": ""} for problem in row]
        for row in facts["problems"].to_pylist()
    ]
    metadata = [
        None
        if held is None
        else [_PNG_TEXT if name.startswith(f"{_PNG_TEXT} ") else name for name in held]
        for held in facts["metadata"].to_pylist()
    ]
    for name, column in (("problems", problems), ("metadata", metadata)):
        at, field = facts.schema.get_field_index(name), FACTS.field(name)
        facts = facts.set_column(at, field, pa.array(column, field.type))
    return facts


def check_paths(records: RecordOptions, out: str | Path) -> None:
    """Refuse a key file or crosswalk that would go with the dataset, or that would be lost.

    Raises:
        UsageError: the key file or the crosswalk lies in the output, or the crosswalk would
            replace another file, or has no folder to stand in.
    """
    folder = Path(out).resolve()
    for flag in ("pseudonymize", "crosswalk"):
        path = getattr(records, flag)
        if path is not None and folder in (Path(path).resolve(), *Path(path).resolve().parents):
            raise UsageError(
                f"--{flag} {path} lies in the output {out}: whoever gets the dataset would get the "
                "names too; choose another place"
            )
    if records.crosswalk is None:
        return
    path = Path(records.crosswalk)
    if not path.parent.is_dir():
        raise UsageError(f"--crosswalk {path}: the folder {path.parent} does not exist; make it")
    head = _csv([CROSSWALK.names])
    try:
        with path.open("rb") as file:
            own = file.read(len(head)) == head
    except FileNotFoundError:
        own = True
    except OSError as error:
        raise UsageError(f"--crosswalk {path} cannot be replaced: {error.strerror}") from None
    if not own:
        raise UsageError(f"--crosswalk {path} is a file of another kind; choose another name")
    if not os.access(path.parent, os.W_OK):  # it is replaced by a new file beside it
        raise UsageError(
            f"--crosswalk {path}: there is no permission to write into {path.parent}; choose "
            "another place"
        )


def write_crosswalk(path: str | Path, crosswalk: pa.Table) -> None:
    """Write the crosswalk, readable by its owner alone (mode 0600), as CSV with quoted cells.

    A sample without a group has empty ones.

    Raises:
        OutputError: it cannot be written.
    """
    columns = (pc.fill_null(column, "").to_pylist() for column in crosswalk.columns)
    content = _csv([CROSSWALK.names, *zip(*columns, strict=True)])
    storage.write_file(path, content, mode=0o600, what=f"the crosswalk {path}")


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, csv.unix_dialect).writerows(rows)  # names may hold a bare CR
    return text.getvalue().encode()
