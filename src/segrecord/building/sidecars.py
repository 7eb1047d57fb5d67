"""The files beside the shards: the index, the lists of names and findings, the read-me.

No name begins with a split's name, since readers glob `train*`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence

import pyarrow as pa

from segrecord.building import tfds
from segrecord.errors import Finding
from segrecord.records import schemas
from segrecord.records.manifest import Manifest
from segrecord.tables import FINDINGS

FINDINGS_FILE = "findings.csv"
QUARANTINE_FILE = "quarantine.csv"
README_FILE = "README.md"
MAPPING_FILE = "class_mapping.json"
REPORT_FILE = "report.html"

LEFT_OUT = frozenset({"duplicate-dropped", "excluded"})
"""Findings of samples that were left out although no error says so."""

INDEX_BATCH = 1_000_000
"""Rows a record batch: a batch a shard made a 10-million-row index 725 MB to open (measured)."""


def arrow_file(table: pa.Table) -> bytes:
    """An Arrow IPC file, uncompressed so that readers can map it into memory."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=INDEX_BATCH)
    return bytes(sink.getvalue())


def told(findings: Iterable[Finding], bases: Sequence[str]) -> tuple[Finding, ...]:
    """The findings with paths relative to these folders: no dataset says where its source lay."""
    if not bases:
        return tuple(findings)
    # Only where a path begins: the folder "a/" does not stand in "data/x.png".
    known = re.compile(r"(?<![\w./\\-])(?:" + "|".join(map(re.escape, bases)) + ")")

    def short(found: Finding) -> Finding:
        start = known.match(found.path)
        return found._replace(
            path=found.path[start.end() :] if start else found.path,
            message=known.sub("", found.message),
            fix=known.sub("", found.fix),
        )

    return tuple(map(short, findings))


def findings_csv(findings: Iterable[Finding]) -> bytes:
    """All findings, one a line, errors first."""
    order = {"error": 0, "warning": 1, "info": 2}
    ranked = sorted(findings, key=lambda found: (order[found.level], found.code))
    return _csv(FINDINGS.names, ranked)


def quarantine_csv(findings: Iterable[Finding], left_out: set[str]) -> bytes:
    """The samples that were left out: key, file, why, and what to do about it."""
    rows = (
        (found.key, found.path, found.code, found.message, found.fix)
        for found in findings
        if found.key in left_out and (found.level == "error" or found.code in LEFT_OUT)
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
    names = {"label": () if gaps else tuple(manifest.classes), "mask": manifest.masks.classes}
    return {
        tfds.labels_file(key): content
        for holds in names
        if (key := schemas.name_of(layout, holds)) and (content := tfds.labels(names[holds]))
    }
