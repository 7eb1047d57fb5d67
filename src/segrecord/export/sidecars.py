"""The files beside the shards: the index, the lists of names and findings; and those read again.

No name begins with a split's name, since readers glob `train*`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from segrecord import storage
from segrecord.errors import RecordError
from segrecord.export import tfds
from segrecord.findings import Finding
from segrecord.format import schemas
from segrecord.format.manifest import Manifest
from segrecord.tables import FINDINGS

FINDINGS_FILE = "findings.csv"
QUARANTINE_FILE = "quarantine.csv"
README_FILE = "README.md"
REPORT_FILE = "report.html"

NO_SAMPLE = frozenset(
    {"mask-without-image", "missing-image", "name-not-unicode", "unreadable-folder"}
)
"""Errors of files and rows that became no sample, and so are left out as well."""

LEFT_OUT = frozenset({"duplicate-dropped", "excluded"})
"""Findings of samples that were left out although no error says so."""

INDEX_BATCH = 1_000_000
"""Rows a record batch: a batch a shard made a 10-million-row index 725 MB to open (measured)."""

_BLOCK = 1 << 24
"""Bytes that are parsed at a time; no row may be longer."""


def arrow_file(table: pa.Table) -> bytes:
    """An Arrow IPC file, uncompressed so that readers can map it into memory."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=INDEX_BATCH)
    return bytes(sink.getvalue())


def relative(findings: Iterable[Finding], folders: Sequence[str]) -> tuple[Finding, ...]:
    """The findings with paths relative to these folders: no dataset says where its source lay.

    Args:
        findings: whose paths, those of related files, and texts among the values are rewritten.
        folders: as they stand before a path, ending in a separator, the longest first.
    """
    if not folders:
        return tuple(findings)
    # Only where a path begins: the folder "a/" does not stand in "data/x.png". Not only in values
    # that are paths: what a decoder complains of may quote one.
    known = re.compile(r"(?<![\w./\\-])(?:" + "|".join(map(re.escape, folders)) + ")")

    def below(path: str) -> str:
        return path.removeprefix(next(filter(path.startswith, folders), ""))

    def value_of(name: str, value: Any) -> Any:
        if name == "paths" and not isinstance(value, str):
            return [below(path) for path in value]
        if name == "path":
            return below(value)
        return known.sub("", value) if isinstance(value, str) else value

    return tuple(
        replace(
            finding,
            path=below(finding.path),
            related=tuple(other._replace(path=below(other.path)) for other in finding.related),
            values={name: value_of(name, value) for name, value in finding.values.items()},
        )
        for finding in findings
    )


def findings_csv(findings: Iterable[Finding]) -> bytes:
    """All findings, one a line, errors first."""
    order = {"error": 0, "warning": 1, "info": 2}
    ranked = sorted(findings, key=lambda found: (order[found.level], found.code))
    return _csv(FINDINGS.names, (found.row() for found in ranked))


def read_findings(folder: Path) -> Iterator[pa.RecordBatch]:
    """The list of a dataset's findings, some thousand rows of schema `tables.FINDINGS` at a time.

    Raises:
        RecordError: it is missing or damaged.
    """
    path = folder / FINDINGS_FILE
    types = {field.name: field.type for field in FINDINGS}
    try:
        with storage.open_binary(path) as file:
            if file.readline() != ",".join(FINDINGS.names).encode() + b"\n":
                raise ValueError("it does not begin with the names of columns")  # noqa: TRY301 - one sentence for all damage
            file.seek(0)
            for batch in pyarrow.csv.open_csv(
                file,
                pyarrow.csv.ReadOptions(block_size=_BLOCK),
                pyarrow.csv.ParseOptions(newlines_in_values=True),
                pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
            ):
                yield pa.RecordBatch.from_arrays(batch.columns, schema=FINDINGS)
    except FileNotFoundError:
        raise RecordError(str(path), "is missing") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no list of findings: {reason}") from None


def finding_at(rows: pa.RecordBatch | pa.Table, number: int) -> Finding:
    """The finding in this row of what `read_findings` gives, for one that is shown.

    Raises:
        RecordError: it is damaged.
    """
    (cells,) = rows.slice(number, 1).select(FINDINGS.names).to_pylist()
    try:
        return Finding.of_row(tuple(cells.values()))
    except (ValueError, TypeError) as error:
        raise RecordError(FINDINGS_FILE, f"is no list of findings: {error}") from None


def quarantine_csv(findings: Iterable[Finding], left_out: set[str]) -> bytes:
    """What was left out, samples and files of none: key, file, why, and what to do about it."""
    rows = (
        (found.key, found.path, found.code, found.message, found.fix)
        for found in findings
        if (found.key in left_out and (found.level == "error" or found.code in LEFT_OUT))
        or (not found.key and found.code in NO_SAMPLE)
    )
    return _csv(["key", "path", "code", "message", "fix"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    # Names that are not valid unicode come from the file system as lone surrogates.
    return text.getvalue().encode("utf-8", "backslashreplace")


def mapping_json(classes: dict[str, int]) -> bytes:
    """The class ids by name, as --classes takes them."""
    return json.dumps(classes, indent=2, ensure_ascii=False).encode() + b"\n"


def labels(manifest: Manifest) -> dict[str, bytes]:
    """The names of classes and mask classes, one a line, in files that TFDS finds too.

    A line's number is an id: there is no file for ids with gaps, or names that fill no line.
    """
    layout = schemas.layout_of(manifest)
    gaps = list(manifest.classes.values()) != list(range(len(manifest.classes)))
    masks = () if layout.black_white else manifest.masks.classes
    names = {"label": () if gaps else tuple(manifest.classes), "mask": masks}
    return {
        tfds.labels_file(key): content
        for holds in names
        if (key := schemas.name_of(layout, holds)) and (content := tfds.labels(names[holds]))
    }
