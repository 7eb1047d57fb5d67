"""Shards that others wrote: found, indexed by hopping from header to header, the index kept.

A TFRecord file has no index of its own. One is made by reading the 12 bytes of each record's
header, and kept beside the shards, so that the second opening costs nothing. From an index of ours
or theirs come also the offset files that DALI and the package tfrecord read.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import warnings
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.reading.arrow import mapped
from segrecord.reading.frames import ShardFile
from segrecord.reading.index import open_index, places, require_size
from segrecord.records import manifest as manifests
from segrecord.records import regular, tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLE = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),  # of the record's frame, in bytes
        pa.field("length", pa.int64(), nullable=False),  # of its payload, in bytes
    ]
)

OFFSETS_FOLDER = "idx"
"""Below a folder of shards: beside them, readers that glob `train*` would take the offset files
for shards."""

_BUFFER = 1024
"""Bytes read at a time: it doubles the speed where records are tiny, and costs a fifth where they
are large (measured: 900,000 and 350,000 records a second)."""

_FILES = b"files"
"""The key of the cached table's metadata that tells of which files it is."""


class ForeignShards(NamedTuple):
    """Shards and the places of their records."""

    shards: tuple[ShardFile, ...]
    table: pa.Table
    """Columns as TABLE, in the order of the shards."""
    compression: str
    """none, gzip or zlib, of all of them; offsets are of the uncompressed bytes."""


def open_shards(
    paths: str | Path | Sequence[str | Path], index: str | Path | None = None
) -> ForeignShards:
    """These shards with their index, made if it is not kept from an earlier opening.

    Args:
        paths: a file, a glob, a folder (its files with ".tfrecord" in their names), or several.
        index: the file to keep the index in; None: `.segrecord-index-<hash>.arrow` beside the
            first shard. A kept index is used where name, size and modification time of every
            shard are those that it was made of.

    Raises:
        UsageError: there are no such files, or some are compressed and others not.
        RecordError: a shard is damaged, or cannot be opened.
        OutputError: the index cannot be written to the file named.
    """
    files = find(paths)
    compressions = {path: _compression(path) for path in files}
    if len(set(compressions.values())) > 1:
        said = ", ".join(f"{path.name}: {kind}" for path, kind in compressions.items())
        raise UsageError(f"the shards must be compressed alike: {said}")
    (compression,) = set(compressions.values())
    kept = Path(index) if index is not None else _kept_name(files)
    signature = _signature(files, kept)
    table = _load(kept, signature)
    if table is None:
        table = _scan(files, compression)
        _keep(table.replace_schema_metadata({_FILES: signature}), kept, named=index is not None)
    counts = np.bincount(table["shard"].to_numpy(), minlength=len(files))
    first = np.concatenate([[0], np.cumsum(counts)]).tolist()
    shards = (
        ShardFile(str(path), path.name, row, links=True)
        for path, row in zip(files, first, strict=False)
    )
    return ForeignShards(tuple(shards), table, compression)


def find(paths: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """The shard files that these name, sorted by path within each.

    Raises:
        UsageError: one names no file.
    """
    several = [paths] if isinstance(paths, str | Path) else paths
    found = [path for one in several for path in _expanded(str(one))]
    if not found:
        raise UsageError("no shards are named")
    return tuple(dict.fromkeys(path.absolute() for path in found))


def _expanded(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        found = [file for file in path.iterdir() if _is_shard(file)]
        if not found:
            raise UsageError(f"{text} holds no file with .tfrecord in its name")
        return sorted(found)
    if path.is_file():
        return [path]
    named = map(Path, glob.glob(text, recursive=True))  # noqa: PTH207 - absolute too
    # A pipe or a link that leads nowhere stays: opening it tells of it.
    found = sorted(file for file in named if not file.is_dir())
    if not found:
        raise UsageError(f"{text} names no file; name a shard, a folder, or a glob in quotes")
    return found


def _is_shard(path: Path) -> bool:
    hidden, offsets = path.name.startswith("."), path.suffix == ".idx"
    return ".tfrecord" in path.name and not hidden and not offsets and not path.is_dir()


def _compression(path: Path) -> str:
    try:
        with regular.open_binary(path, links=True) as file:
            return tfrecord.compression_of(file.read(tfrecord.HEADER))
    except OSError as error:
        raise RecordError(str(path), f"cannot be opened: {error.strerror}") from None


def _scan(files: Sequence[Path], compression: str) -> pa.Table:
    """The places of all records, by reading every header, of compressed shards everything."""
    tables = []
    for number, path in enumerate(files):
        offsets, lengths = array("q"), array("q")
        walked = _hop(path) if compression == "none" else _read_through(path, compression)
        for offset, length in walked:
            offsets.append(offset)
            lengths.append(length)
        columns = [np.full(len(offsets), number, np.int32), np.array(offsets), np.array(lengths)]
        tables.append(pa.table(columns, schema=TABLE))
    return pa.concat_tables(tables).combine_chunks()


def _hop(path: Path) -> Iterator[tuple[int, int]]:
    with os.fdopen(regular.descriptor(path, links=True), "rb", _BUFFER) as file:
        yield from tfrecord.hop(file, os.fstat(file.fileno()).st_size, str(path))


def _read_through(path: Path, compression: str) -> Iterator[tuple[int, int]]:
    with tfrecord.open_shard(path, compression, links=True) as stream:
        for offset, payload in tfrecord.read_records(stream, str(path)):
            yield offset, len(payload)


def _signature(files: Sequence[Path], kept: Path) -> bytes:
    """Names as seen from the kept index, sizes and times of these files."""
    folder = kept.absolute().parent
    told = []
    for path in files:
        status = path.stat()
        told.append([os.path.relpath(path, folder), status.st_size, status.st_mtime_ns])
    return json.dumps(told).encode()


def _kept_name(files: Sequence[Path]) -> Path:
    folder = files[0].parent
    names = "\0".join(os.path.relpath(path, folder) for path in files)
    return folder / f".segrecord-index-{hashlib.sha256(names.encode()).hexdigest()[:8]}.arrow"


def _load(kept: Path, signature: bytes) -> pa.Table | None:
    """The kept index, if it is one, and of these files as they are now."""
    try:
        table = mapped(kept, links=True)
        table.validate()
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None
    metadata = table.schema.metadata or {}
    same = table.schema.equals(TABLE) and metadata.get(_FILES) == signature
    return table if same else None


def _keep(table: pa.Table, kept: Path, *, named: bool) -> None:
    part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
    try:
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1_000_000)
        part.replace(kept)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if named:
            raise OutputError(f"the index cannot be written to {kept}: {error.strerror}") from None
        warnings.warn(
            f"the index of the shards cannot be kept in {kept.parent} ({error.strerror}): they "
            "will be scanned again next time; index= names another file",
            stacklevel=4,
        )


def write_offsets(
    paths: str | Path | Sequence[str | Path], out: str | Path | None = None
) -> tuple[Path, ...]:
    """Write the text files of offsets that DALI (`tfrecord2idx`) and the package tfrecord read.

    A line a record: the offset of its frame and the size of its frame, in bytes.

    Args:
        paths: a dataset of ours, or shards as `open_shards` takes them.
        out: the folder to write to; None: the folder `idx` beside each shard.

    Returns:
        The files, `<name of the shard>.idx` each.

    Raises:
        UsageError: no shards, compressed ones, or two of one name.
        RecordError: a shard or the dataset's index is damaged.
        OutputError: they cannot be written.
    """
    shards, table, compression = _of_ours(paths) or open_shards(paths)
    if compression != "none":
        raise UsageError(
            f"the shards are compressed ({compression}): nothing can begin to read in the middle "
            "of them, so offsets are of no use; build with --compression none"
        )
    written = tuple(_offsets_path(shard, out) for shard in shards)
    if len(set(written)) < len(written):
        raise UsageError("two shards have one name: index the folders one by one")
    for path, rows in zip(written, _parts(shards, table), strict=True):
        _write_lines(path, rows)
    return written


def _offsets_path(shard: ShardFile, out: str | Path | None) -> Path:
    folder = Path(out) if out is not None else Path(shard.path).parent / OFFSETS_FOLDER
    return folder / f"{shard.name}.idx"


def _of_ours(paths: str | Path | Sequence[str | Path]) -> ForeignShards | None:
    """The shards and index of a dataset that segrecord built, if that is what is named."""
    if not isinstance(paths, str | Path):
        return None
    if not os.path.lexists(Path(paths) / manifests.MANIFEST):
        return None
    manifest = manifests.load(paths)
    for place in places(manifest):  # its index is taken at its word
        require_size(Path(paths) / place.shard.name, place.shard.bytes)
    shards = tuple(
        ShardFile(str(Path(paths) / place.shard.name), place.shard.name, place.shard.first_row)
        for place in places(manifest)
    )
    return ForeignShards(shards, open_index(paths, manifest), manifest.compression)


def _parts(shards: Sequence[ShardFile], table: pa.Table) -> Iterator[pa.Table]:
    """The rows of each shard."""
    ends = [shard.first_row for shard in shards[1:]] + [table.num_rows]
    for shard, end in zip(shards, ends, strict=True):
        yield table.slice(shard.first_row, end - shard.first_row)


def _write_lines(path: Path, rows: pa.Table) -> None:
    sizes = rows["length"].to_numpy() + tfrecord.FRAME_OVERHEAD
    lines = zip(rows["offset"].to_numpy().tolist(), sizes.tolist(), strict=True)
    text = "".join(f"{offset} {size}\n" for offset, size in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None
