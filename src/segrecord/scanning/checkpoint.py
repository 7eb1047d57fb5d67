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
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import pyarrow as pa

from segrecord.scanning.worker import DraftRule, Scanned
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


class KeptScan:
    """Appends scanned rows to one more pair of files, and reads those of earlier runs."""

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
        tables = [KEPT.empty_table()]
        for path in sorted(self._folder.glob("facts-*.batches")):
            data, at, frames = path.read_bytes(), 0, []
            while at + _HEAD.size <= len(data):  # as far as they are whole
                length, crc = _HEAD.unpack_from(data, at)
                frame = data[at + _HEAD.size : at + _HEAD.size + length]
                if not frame or len(frame) < length or google_crc32c.value(frame) != crc:
                    break
                frames.append(pa.py_buffer(frame))
                at += _HEAD.size + length
            schema = pa.ipc.read_schema(frames[0]) if frames else pa.schema([])
            metadata = schema.metadata or {}
            if not schema.equals(KEPT) or metadata.get(_VERSIONS) != self._versions:
                continue
            batches = [pa.ipc.read_record_batch(frame, KEPT) for frame in frames[1:]]
            table = pa.Table.from_batches(batches, KEPT)
            if metadata.get(_RULE) != self._rule:
                columns = [pa.nulls(len(table), field.type) for field in DRAFT_FIELDS]
                others = table.drop_columns([field.name for field in DRAFT_FIELDS]).columns
                table = pa.Table.from_arrays([*others, *columns], schema=KEPT)
            tables.append(table)
        return pa.concat_tables([*reversed(tables)])

    def add(self, rows: list[Scanned]) -> pa.Table:
        """Keep these rows; returns them as a table (schema KEPT)."""
        kept = []
        for facts, draft in rows:
            kept.append(dict(facts or {}))
            if draft is None:
                continue
            path = self._folder / f"drafts-{self._name}.bin"
            if self._drafts is None:
                self._drafts = path.open("wb")
            self._drafts.write(draft.png)
            kept[-1] |= {
                "draft_file": path.name,
                "draft_offset": self._offset,
                "draft_length": len(draft.png),
                "draft_crc": google_crc32c.value(draft.png),
                "draft_ids": [{"value": value, "id": number} for value, number in draft.ids],
                "draft_white": draft.white,
                "draft_pixels": [{"id": number, "pixels": n} for number, n in draft.pixels],
            }
            self._offset += len(draft.png)
        table = pa.Table.from_pylist(kept, KEPT)
        if self._drafts is not None:
            self._drafts.flush()
        for batch in table.to_batches():
            self._write(batch.serialize().to_pybytes())
        return table

    def _write(self, data: bytes) -> None:
        if self._facts is None:
            self._facts = (self._folder / f"facts-{self._name}.batches").open("wb")
            metadata = {_RULE: self._rule, _VERSIONS: self._versions}
            self._write(KEPT.with_metadata(metadata).serialize().to_pybytes())
        self._facts.write(_HEAD.pack(len(data), google_crc32c.value(data)) + data)
        self._facts.flush()

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
