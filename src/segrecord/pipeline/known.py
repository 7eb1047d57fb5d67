"""What earlier scans have found: facts files, read and written."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.building import assemble, sidecars
from segrecord.errors import OutputError, UsageError
from segrecord.quality.kept import KEPT
from segrecord.reading.arrow import mapped
from segrecord.tables import FACTS, PROBLEM, TEXT

_VERSIONS = b"segrecord.versions"


def write_facts(path: Path, found: pa.Table) -> None:
    """Write the facts to a file.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.write_bytes(facts_file(found))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


def facts_file(found: pa.Table) -> bytes:
    """The facts as a file that says which versions have found them."""
    told = {_VERSIONS: json.dumps(assemble.versions(), sort_keys=True)}
    found = _placeless(found.select(FACTS.names))
    return sidecars.arrow_file(found.replace_schema_metadata(told))


def _placeless(found: pa.Table) -> pa.Table:
    """The facts without the paths of problems: a file of facts is the same wherever it is made."""
    rows = found["problems"].combine_chunks()
    problems = rows.flatten()
    if not len(problems):
        return found
    bare = [
        pa.array([""] * len(problems), TEXT) if field.name == "path" else problems.field(field.name)
        for field in PROBLEM
    ]
    offsets = pa.array([0, *pc.cumulative_sum(pc.list_value_length(rows)).to_pylist()], pa.int32())
    lists = pa.ListArray.from_arrays(
        offsets, pa.StructArray.from_arrays(bare, fields=list(PROBLEM))
    )
    place = found.schema.get_field_index("problems")
    return found.set_column(place, FACTS.field("problems"), lists)


def facts_at(path: str | Path) -> pa.Table:
    """The facts in a file as rows of schema KEPT; none where it is no such file."""
    found = _read_facts(path)
    return KEPT.empty_table() if found is None else found


def given_facts(path: str | None) -> pa.Table:
    """The facts in the file that the user named, if any, as rows of schema KEPT.

    Raises:
        UsageError: it holds none.
    """
    found = KEPT.empty_table() if path is None else _read_facts(path)
    if found is None:
        raise UsageError(
            f"--facts {path} is no facts file of this version; make one with segrecord scan "
            "--facts, or leave the option out"
        )
    return found


def _read_facts(path: str | Path) -> pa.Table | None:
    try:
        table = mapped(path, links=True)
        table.validate(full=True)
        versions = json.loads((table.schema.metadata or {}).get(_VERSIONS, b"{}"))
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError):
        return None
    if not table.schema.equals(FACTS) or versions != assemble.versions():  # scan anew
        return None
    table = table.replace_schema_metadata(None)
    for field in list(KEPT)[len(FACTS) :]:
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.cast(KEPT)
