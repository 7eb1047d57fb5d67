"""One record of a dataset, found by its key or number: what `segrecord show` looks at."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import RecordError, UsageError
from segrecord.reading.index import open_index, places
from segrecord.records import example, regular, schemas, tfrecord
from segrecord.records import manifest as manifests

_NEAR = 3
"""Keys that are proposed where one is not found."""

_SEARCHED = 20_000
"""Keys that are compared letter by letter with one that is not found; the first ones."""


class Record(NamedTuple):
    """One record, and where it stands."""

    key: str
    split: str
    shard: str
    """Name of the file."""
    number: int
    """In the shard, from 0."""
    offset: int
    """Of the record's frame, in bytes of the uncompressed shard."""
    features: dict[str, list[Any]]
    """As they are stored: a list of bytes, int or float for each key."""
    stored: schemas.Read


def read_record(dataset: str | Path, key_or_number: str) -> Record:
    """The record of this key, or of this row of the index, counted from 0.

    A key is taken before a number; a text that is neither may be the unique ending of a key.

    Raises:
        OutputError: there is no finished dataset.
        UsageError: there is no such record, or several keys end in this text.
        RecordError: the record, the index or the manifest is damaged.
    """
    manifest = manifests.load(dataset)
    index = open_index(dataset, manifest)
    row = _row(index, key_or_number)
    place = next(p for p in places(manifest) if row < p.shard.first_row + p.shard.records)
    number = row - place.shard.first_row
    offset, length = index["offset"][row].as_py(), index["length"][row].as_py()
    if manifest.compression != "none":
        payload = _streamed(Path(dataset), place.shard.name, manifest.compression, number)
    else:
        payload = _at(Path(dataset), place.shard.name, offset, length, number)
    try:
        features = example.decode(payload)
        stored = schemas.stored_of(schemas.layout_of(manifest), features)
    except ValueError as error:
        raise RecordError(place.shard.name, str(error), number, offset) from None
    key = index["key"][row].as_py()
    return Record(key, place.split, place.shard.name, number, offset, features, stored)


def _row(index: pa.Table, text: str) -> int:
    keys = index["key"]
    exact = pc.index(keys, pa.scalar(text, keys.type)).as_py()
    if exact >= 0:
        return int(exact)
    if text.isascii() and text.isdigit():
        if int(text) < index.num_rows:
            return int(text)
        raise UsageError(
            f"there is no record {text}: the dataset has {index.num_rows}, counted from 0"
        )
    ending = pc.indices_nonzero(pc.ends_with(keys, text)) if text else []
    if len(ending) == 1:
        return int(ending[0].as_py())
    raise UsageError(_not_found(keys, text, [keys[row.as_py()].as_py() for row in ending[:_NEAR]]))


def _not_found(keys: pa.ChunkedArray, text: str, ending: list[str]) -> str:
    if ending:
        return f"several keys end in {text!r}, for example {', '.join(map(repr, ending))}"
    near = pc.indices_nonzero(pc.match_substring(keys, text, ignore_case=True))[:_NEAR]
    found = [keys[row.as_py()].as_py() for row in near] if text else []
    found = found or difflib.get_close_matches(text, keys[:_SEARCHED].to_pylist(), _NEAR)
    hint = f"; did you mean {', '.join(map(repr, found))}?" if found else ""
    return f"there is no record of key {text!r}{hint}"


def _at(folder: Path, shard: str, offset: int, length: int, number: int) -> bytes:
    path = folder / shard
    try:
        descriptor = regular.descriptor(path)
    except OSError as error:
        raise RecordError(str(path), f"cannot be opened: {error.strerror}") from None
    try:
        return tfrecord.read_at(descriptor, max(offset, 0), max(length, 0), shard, number)
    finally:
        os.close(descriptor)


def _streamed(folder: Path, shard: str, compression: str, number: int) -> bytes:
    """A compressed shard has no random access: it is read up to the record."""
    with tfrecord.open_shard(folder / shard, compression) as stream:
        for count, (_, payload) in enumerate(tfrecord.read_records(stream, shard)):
            if count == number:
                return payload
    raise RecordError(shard, f"holds no record {number}")
