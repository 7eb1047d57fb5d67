"""The scan, kept on disk while it runs, so that a killed run goes on where it stopped.

A folder of pairs `facts-NNNN.batches` (Arrow record batches, each with its length and CRC) and
`drafts-NNNN.bin` (mask bytes as they would be stored); every run adds a pair. A file that was cut
short, or whose end is noise after a power cut, is read as far as its CRCs hold: Arrow itself
checks nothing, and noise for offsets would crash it. Bytes of a draft are written before the row
that names them, and carry a CRC.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import pyarrow as pa

from segrecord.quality.scan import Draft, DraftRule, Scanned
from segrecord.tables import FACTS

_PAIR = pa.struct([pa.field("value", pa.int32()), pa.field("id", pa.int32())])
_COUNT = pa.struct([pa.field("id", pa.int32()), pa.field("pixels", pa.int64())])

DRAFT_FIELDS = [
    pa.field("draft_file", pa.string()),
    pa.field("draft_offset", pa.int64()),  # bytes
    pa.field("draft_length", pa.int64()),
    pa.field("draft_crc", pa.int64()),  # CRC-32C
    pa.field("draft_ids", pa.list_(_PAIR)),
    pa.field("draft_white", pa.int32()),
    pa.field("draft_pixels", pa.list_(_COUNT)),
]

KEPT = pa.schema([*FACTS, pa.field("stamps", pa.list_(pa.int64())), *DRAFT_FIELDS])
"""A row of the facts table, the files' modification times (nanoseconds; --checks none has no
hash to know a file by), and where its draft lies. Neither goes into a dataset."""

_RULE = b"segrecord.draft-rule"
_VERSIONS = b"segrecord.versions"
_HEAD = struct.Struct("<QI")
"""Before each batch: its length in bytes, and its CRC-32C."""


class DraftRef(NamedTuple):
    """Where a draft lies."""

    path: str
    offset: int
    length: int
    crc: int


class KeptScan:
    """Appends scanned rows to one more pair of files, and knows those of earlier runs."""

    def __init__(
        self, folder: Path, rule: DraftRule | None, versions: Mapping[str, str] | None = None
    ) -> None:
        """Open the folder.

        Args:
            folder: is made where it is not there.
            rule: how masks are drafted.
            versions: of the libraries that decode; what others have found is scanned anew.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.rule = rule
        self._rule = json.dumps(rule).encode()
        self._versions = json.dumps(dict(versions or {}), sort_keys=True).encode()
        numbers = [int(path.stem[6:]) for path in folder.glob("facts-*.batches")]
        self._name = f"{max(numbers, default=-1) + 1:04d}"
        self._facts: BinaryIO | None = None
        self._drafts: BinaryIO | None = None
        self._offset = 0

    def earlier(self) -> pa.Table:
        """What earlier runs have kept (schema KEPT), the newest rows first."""
        tables = [self._read(path) for path in sorted(self._folder.glob("facts-*.batches"))]
        return pa.concat_tables([*reversed(tables), KEPT.empty_table()])

    def _read(self, path: Path) -> pa.Table:
        frames = _frames(path.read_bytes())
        first = next(frames, None)
        schema = pa.ipc.read_schema(pa.py_buffer(first)) if first else None
        told = (schema.metadata or {}) if schema is not None else {}
        if schema is None or not schema.equals(KEPT) or told.get(_VERSIONS) != self._versions:
            return KEPT.empty_table()
        batches = [pa.ipc.read_record_batch(pa.py_buffer(frame), KEPT) for frame in frames]
        table = pa.Table.from_batches(batches, KEPT)
        same_rule = told.get(_RULE) == self._rule
        return table if same_rule else _without_drafts(table)

    def add(self, rows: list[Scanned]) -> pa.Table:
        """Keep these rows; returns them as a table (schema KEPT)."""
        table = pa.Table.from_pylist([self._row(row) for row in rows], KEPT)
        if self._drafts is not None:
            self._drafts.flush()
        for batch in table.to_batches():
            self._write(batch.serialize().to_pybytes())
        return table

    def _write(self, data: bytes) -> None:
        if self._facts is None:
            self._facts = (self._folder / f"facts-{self._name}.batches").open("wb")
            told = {_RULE: self._rule, _VERSIONS: self._versions}
            self._write(KEPT.with_metadata(told).serialize().to_pybytes())
        self._facts.write(_HEAD.pack(len(data), google_crc32c.value(data)) + data)
        self._facts.flush()

    def _row(self, scanned: Scanned) -> dict[str, Any]:
        facts = dict(scanned.facts or {})
        if scanned.draft is not None:
            facts |= self._keep(scanned.draft)
        return facts

    def _keep(self, draft: Draft) -> dict[str, Any]:
        path = self._folder / f"drafts-{self._name}.bin"
        if self._drafts is None:
            self._drafts = path.open("wb")
        self._drafts.write(draft.png)
        offset, self._offset = self._offset, self._offset + len(draft.png)
        return {
            "draft_file": path.name,
            "draft_offset": offset,
            "draft_length": len(draft.png),
            "draft_crc": google_crc32c.value(draft.png),
            "draft_ids": [{"value": value, "id": number} for value, number in draft.ids],
            "draft_white": draft.white,
            "draft_pixels": [{"id": number, "pixels": n} for number, n in draft.pixels],
        }

    def close(self) -> None:
        """Write out what is still in buffers; on a full disk what is missing is scanned again."""
        facts, drafts, self._facts, self._drafts = self._facts, self._drafts, None, None
        for file in (facts, drafts):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()

    def draft_path(self, name: str) -> str:
        """The path of a draft file by its name in the table."""
        return str(self._folder / name)


def _frames(data: bytes) -> Iterator[bytes]:
    """The batches as far as they are whole."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        frame = data[at : at + length]
        if not frame or len(frame) < length or google_crc32c.value(frame) != crc:
            return
        yield frame
        at += length


def _without_drafts(table: pa.Table) -> pa.Table:
    for field in DRAFT_FIELDS:
        place = table.schema.get_field_index(field.name)
        table = table.set_column(place, field, pa.nulls(len(table), field.type))
    return table
