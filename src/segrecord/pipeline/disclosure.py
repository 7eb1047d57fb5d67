"""Who may know what, where keys and groups are pseudonyms.

The person who builds reads findings with the names that the source has (`recognised`), and gets a
crosswalk where asked for. The dataset's own lists say what is wrong with which pseudonym, and
nothing more (`told`, `told_facts`).
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.codes import problem_of
from segrecord.errors import Finding, OutputError, UsageError
from segrecord.options import RecordOptions
from segrecord.pipeline.pseudonyms import CROSSWALK
from segrecord.tables import FACTS, TEXT

_PSEUDONYM = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")

_KEYWORD = re.compile(r"^(PNG text) .*", re.DOTALL)
"""See `segrecord.pixels.metadata.held`."""


def recognised(findings: Iterable[Finding], crosswalk: pa.Table) -> tuple[Finding, ...]:
    """The findings with keys and groups by their original names, for the person who builds."""
    findings = tuple(findings)
    texts = (text for found in findings for text in (found.key, found.message, found.fix))
    met = pa.array(sorted({name for text in texts for name in _PSEUDONYM.findall(text)}), TEXT)
    names: dict[str, str] = {}
    for own, other in (("group", "group_pseudonym"), ("key", "pseudonym")):
        part = crosswalk.select([other, own]).filter(pc.is_in(crosswalk[other], value_set=met))
        names |= zip(*(column.to_pylist() for column in part.columns), strict=True)

    def original(text: str) -> str:
        return _PSEUDONYM.sub(lambda found: names.get(found[0], found[0]), text)

    return tuple(
        found._replace(
            key=original(found.key), message=original(found.message), fix=original(found.fix)
        )
        for found in findings
    )


def told(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What the dataset's lists may say of findings under pseudonyms, in the order of the keys.

    The path is left out, and the texts, which may name files, keys and cells, give way to what
    the code stands for; the terminal tells the rest to the person who builds.
    """
    bare = (
        found._replace(path="", message=problem_of(found.code) or found.code, fix="")
        for found in findings
    )
    # Not in the order of the source: that is the order of the names.
    return tuple(sorted(bare, key=lambda found: found.key))


def told_facts(facts: pa.Table) -> pa.Table:
    """What the dataset may say of facts (schema FACTS or longer).

    Without the paths and texts of problems, and without the keywords of PNG texts, which anybody
    may have chosen.
    """
    problems = [
        [
            problem
            | {"path": "", "message": problem_of(problem["code"]) or problem["code"], "fix": ""}
            for problem in row
        ]
        for row in facts["problems"].to_pylist()
    ]
    metadata = [
        None if held is None else [_KEYWORD.sub(r"\1", name) for name in held]
        for held in facts["metadata"].to_pylist()
    ]
    for name, column in (("problems", problems), ("metadata", metadata)):
        place, field = facts.schema.get_field_index(name), FACTS.field(name)
        facts = facts.set_column(place, field, pa.array(column, field.type))
    return facts


def check_places(records: RecordOptions, out: str | Path) -> None:
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
    if records.crosswalk is not None:
        _check_crosswalk(Path(records.crosswalk))


def _check_crosswalk(path: Path) -> None:
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


def crosswalk_csv(crosswalk: pa.Table) -> bytes:
    """The crosswalk as CSV, all cells in quotes; a sample without a group has empty ones."""
    columns = (pc.fill_null(column, "").to_pylist() for column in crosswalk.columns)
    return _csv([CROSSWALK.names, *zip(*columns, strict=True)])


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, csv.unix_dialect).writerows(rows)  # names may hold a bare CR
    return text.getvalue().encode()


def write_crosswalk(path: str | Path, crosswalk: pa.Table) -> None:
    """Write the crosswalk, whole or not at all, readable by its owner alone (mode 0600).

    Raises:
        OutputError: it cannot be written.
    """
    target = Path(path)
    try:
        # A new file, which mkstemp makes with mode 0600: an old one may be open to all.
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(crosswalk_csv(crosswalk))
            Path(temporary).replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise OutputError(f"the crosswalk {path} cannot be written: {error.strerror}") from None
