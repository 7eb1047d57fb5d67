"""Shards and their index: a dataset of ours, or shards that others wrote.

A TFRecord file has no index of its own. For shards of others one is made by reading the 12 bytes
of each record's header, and kept beside them, so that the second opening costs nothing. From an
index of ours or theirs come also the offset files that DALI and the package tfrecord read.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import warnings
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import pyarrow as pa

from segrecord import storage
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.format import example, schemas, tfrecord
from segrecord.format import manifest as manifests
from segrecord.format.schemas import Layout
from segrecord.options import SchemaName
from segrecord.read.index import folds_of, open_index, places, require_size, split_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = SchemaName | Mapping[str, str]
"""The name of a schema, or the feature keys that hold image, mask and label."""

Paths = str | Path | Sequence[str | Path]
"""A file, a glob, a folder (its files with ".tfrecord" in their names), or several."""

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


_OURS = ("image", "mask", "channels", "key", "label")
"""What is read of a record of ours; the index says the rest."""

_MAPPED = ("image", "mask", "label")
"""What a schema given as a mapping names."""

_ENCODED = frozenset({*_MAPPED, "has_mask", "key", "filename"})
_RAW = frozenset({*_MAPPED, "height", "width", "channels"})
"""What is read of a record of others, by a schema of this name."""


class ShardFile(NamedTuple):
    """A shard and the row of its first record."""

    path: str
    name: str
    """How errors name it."""
    first_row: int
    links: bool = False
    """Whether the path may be a symbolic link: of shards that the user named, and no manifest."""


@dataclass(frozen=True)
class ShardSet:
    """Shards that belong together, their index, and all that is known before a record is read."""

    path: str
    """As the user wrote it."""
    files: tuple[ShardFile, ...]
    index: pa.Table
    """A row a record, in the order of the files: `tables.RECORDS`, of shards of others TABLE."""
    layout: Layout
    keys: Mapping[str, str]
    """The feature keys that are read, by what they hold."""
    compression: str
    fingerprint: str
    ours: bool
    """Whether segrecord wrote them: the index then says label, size and mask of each record; of
    others only the record itself does."""
    splits: Mapping[str, range]
    """The rows of each split; empty where the shards are not ours."""
    folds: int | None
    """Of a cross-validation, whose folds are the splits; None: there are none."""
    classes: dict[str, int]
    mask_classes: tuple[str, ...]


def with_rows(files: Sequence[ShardFile], count: int) -> Iterator[tuple[ShardFile, range]]:
    """Each file with its rows of an index of so many."""
    ends = [file.first_row for file in files[1:]] + [count]
    for file, end in zip(files, ends, strict=True):
        yield file, range(file.first_row, end)


def streamed(shard: ShardFile, compression: str) -> Iterator[bytes]:
    """The payload of each record of a shard, compressed or not, from the start.

    Raises:
        RecordError: the shard is damaged.
    """
    with tfrecord.open_shard(shard.path, compression, links=shard.links) as stream:
        for _, payload in tfrecord.read_records(stream, shard.name):
            yield payload


def find_shards(
    path: str | tuple[str, ...], schema: Schema | None = None, index_file: str | None = None
) -> ShardSet:
    """The dataset in this folder, or these shards that others wrote.

    Args:
        path: of a dataset; or as `open_shards` takes them.
        schema: how records of others are read.
        index_file: as of `open_shards`.

    Raises:
        UsageError: there is nothing, or no schema, or one that does not exist.
        OutputError: the folder holds no finished dataset.
        RecordError: manifest or index are damaged, or a shard of others.
    """
    ours = isinstance(path, str) and os.path.lexists(Path(path) / manifests.MANIFEST)
    if ours and (schema is not None or index_file is not None):
        raise UsageError(f"{path} was written by segrecord: leave out schema and index")
    if isinstance(path, str) and (ours or (Path(path).is_dir() and schema is None)):
        return _dataset(path)
    if isinstance(path, str) and schema is None and not Path(path).exists():
        raise UsageError(f"{path} does not exist, or is a glob of shards that needs schema=")
    keys = _keys(schema)
    shards = open_shards(path, index_file)
    if isinstance(schema, Mapping):
        _require_keys(schema, shards)
    raw = schema == "raw"
    fingerprint = hashlib.sha256()  # of names and places: it does not hang on where they lie
    for file in shards.files:
        fingerprint.update(f"{file.name}\0{file.first_row}\n".encode())
    for name in ("offset", "length"):
        for chunk in shards.table[name].chunks:
            fingerprint.update(chunk.to_numpy().data)
    return ShardSet(
        path=path if isinstance(path, str) else ", ".join(path),
        files=shards.files,
        index=shards.table,
        layout=Layout(
            "raw" if raw else "plain", masks="mask" in keys, classes=True, keep_columns=()
        ),
        keys=keys,
        compression=shards.compression,
        fingerprint=fingerprint.hexdigest(),
        ours=False,
        splits={},
        folds=None,
        classes={},
        mask_classes=(),
    )


def _dataset(path: str) -> ShardSet:
    manifest = manifests.load(path)
    layout = schemas.layout_of(manifest)
    return ShardSet(
        path=path,
        # Shards are opened when they are first read: the working folder may be another one then.
        files=_files(Path(path).absolute(), manifest),
        index=open_index(path, manifest, thorough=False),
        layout=layout,
        keys={
            holds: name for holds in _OURS if (name := schemas.name_of(layout, holds)) is not None
        },
        compression=manifest.compression,
        fingerprint=manifest.fingerprint,
        ours=True,
        splits=split_rows(manifest),
        folds=folds_of(manifest),
        classes=manifest.classes,
        mask_classes=manifest.masks.classes,
    )


def _files(folder: Path, manifest: manifests.Manifest) -> tuple[ShardFile, ...]:
    return tuple(
        ShardFile(str(folder / place.shard.name), place.shard.name, place.shard.first_row)
        for place in places(manifest)
    )


def _keys(schema: Schema | None) -> dict[str, str]:
    """The feature keys that are read of records of others, by what they hold."""
    names = ", ".join(get_args(SchemaName))
    if schema is None:
        raise UsageError(
            f"shards that segrecord did not write need schema=: one of {names}, or a mapping such "
            'as {"image": "image/encoded", "mask": ..., "label": ...}'
        )
    if isinstance(schema, Mapping):
        if not {"image"} <= set(schema) <= set(_MAPPED):
            got = ", ".join(map(repr, schema)) or "nothing"
            raise UsageError(f"a schema as a mapping has image, mask and label, got {got}")
        return dict(schema)
    if schema not in schemas.SCHEMAS:
        raise UsageError(f"schema must be one of {names}, or a mapping, got {schema!r}")
    wanted = _RAW if schema == "raw" else _ENCODED
    return {key.holds: key.name for key in schemas.SCHEMAS[schema] if key.holds in wanted}


def _require_keys(schema: Mapping[str, str], shards: ForeignShards) -> None:
    """The first record has the keys: one that is misspelt would read as "no mask" everywhere."""
    for file in shards.files:
        for payload in islice(streamed(file, shards.compression), 1):
            try:
                features = example.decode(payload)
            except ValueError as error:
                raise RecordError(file.name, str(error), 0, 0) from None
            absent = [name for name in schema.values() if name not in features]
            if absent:
                raise UsageError(
                    f"the first record of {file.path} has no key {', '.join(map(repr, absent))}; "
                    f"it has {', '.join(map(repr, features)) or 'none'}"
                )
            return


class ForeignShards(NamedTuple):
    """Shards and the places of their records."""

    files: tuple[ShardFile, ...]
    table: pa.Table
    """Columns as TABLE, in the order of the shards."""
    compression: str
    """none, gzip or zlib, of all of them; offsets are of the uncompressed bytes."""


def open_shards(paths: Paths, index: str | Path | None = None) -> ForeignShards:
    """These shards with their index, made if it is not kept from an earlier opening.

    Args:
        paths: of the shards.
        index: the file to keep the index in; None: `.segrecord-index-<hash>.arrow` beside the
            first shard. A kept index is used where name, size and modification time of every
            shard are those that it was made of.

    Raises:
        UsageError: there are no such files, or some are compressed and others not.
        RecordError: a shard is damaged, or cannot be opened.
        OutputError: the index cannot be written to the file named.
    """
    files = find(paths)
    compressions = {}
    for path in files:
        try:
            with storage.open_binary(path, links=True) as file:
                compressions[path] = tfrecord.compression_of(file.read(tfrecord.HEADER))
        except OSError as error:
            raise RecordError(str(path), f"cannot be opened: {error.strerror}") from None
    if len(set(compressions.values())) > 1:
        kinds = ", ".join(f"{path.name}: {kind}" for path, kind in compressions.items())
        raise UsageError(f"the shards must be compressed alike: {kinds}")
    compression = compressions[files[0]]
    if index is None:
        folder = files[0].parent
        names = "\0".join(os.path.relpath(path, folder) for path in files)
        digest = hashlib.sha256(names.encode()).hexdigest()[:8]
        kept = folder / f".segrecord-index-{digest}.arrow"
    else:
        kept = Path(index)
    entries = []  # names as seen from the kept index, sizes and times of these files
    for path in files:
        status, seen = path.stat(), os.path.relpath(path, kept.absolute().parent)
        entries.append([seen, status.st_size, status.st_mtime_ns])
    signature = json.dumps(entries).encode()
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


def find(paths: Paths) -> tuple[Path, ...]:
    """The shard files that these name, sorted by path within each.

    Raises:
        UsageError: one names no file.
    """
    found: list[Path] = []
    for text in [str(paths)] if isinstance(paths, str | Path) else map(str, paths):
        path = Path(text)
        if path.is_file():
            files = [path]
        elif path.is_dir():
            files = [
                file
                for file in path.iterdir()
                if ".tfrecord" in file.name
                and not file.name.startswith(".")
                and file.suffix != ".idx"
                and not file.is_dir()
            ]
            if not files:
                raise UsageError(f"{text} holds no file with .tfrecord in its name")
        else:
            matches = map(Path, glob.glob(text, recursive=True))  # noqa: PTH207 - absolute too
            # A pipe or a link that leads nowhere stays: opening it tells of it.
            files = [file for file in matches if not file.is_dir()]
            if not files:
                raise UsageError(
                    f"{text} names no file; name a shard, a folder, or a glob in quotes"
                )
        found += sorted(files)
    if not found:
        raise UsageError("no shards are named")
    return tuple(dict.fromkeys(path.absolute() for path in found))


def _scan(files: Sequence[Path], compression: str) -> pa.Table:
    """The places of all records, by reading every header, of compressed shards everything."""
    tables = []
    for number, path in enumerate(files):
        offsets, lengths = array("q"), array("q")
        for offset, length in _places(path, compression):
            offsets.append(offset)
            lengths.append(length)
        columns = [np.full(len(offsets), number, np.int32), np.array(offsets), np.array(lengths)]
        tables.append(pa.table(columns, schema=TABLE))
    return pa.concat_tables(tables).combine_chunks()


def _places(path: Path, compression: str) -> Iterator[tuple[int, int]]:
    """Offset and length of each record."""
    if compression == "none":
        with os.fdopen(storage.descriptor(path, links=True), "rb", _BUFFER) as file:
            yield from tfrecord.hop(file, os.fstat(file.fileno()).st_size, str(path))
    else:
        with tfrecord.open_shard(path, compression, links=True) as stream:
            for offset, payload in tfrecord.read_records(stream, str(path)):
                yield offset, len(payload)


def _load(kept: Path, signature: bytes) -> pa.Table | None:
    """The kept index, if it is one, and of these files as they are now."""
    try:
        table = storage.map_table(kept, links=True)
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


def write_offsets(paths: Paths, out: str | Path | None = None) -> tuple[Path, ...]:
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
    if isinstance(paths, str | Path) and os.path.lexists(Path(paths) / manifests.MANIFEST):
        manifest = manifests.load(paths)
        for place in places(manifest):  # its index is taken at its word
            require_size(Path(paths) / place.shard.name, place.shard.bytes)
        files = _files(Path(paths), manifest)
        shards = ForeignShards(files, open_index(paths, manifest), manifest.compression)
    else:
        shards = open_shards(paths)
    files, table = shards.files, shards.table
    if shards.compression != "none":
        raise UsageError(
            f"the shards are compressed ({shards.compression}): nothing can begin to read in the "
            "middle of them, so offsets are of no use; build with --compression none"
        )
    written = tuple(
        (Path(file.path).parent / OFFSETS_FOLDER if out is None else Path(out)) / f"{file.name}.idx"
        for file in files
    )
    if len(set(written)) < len(written):
        raise UsageError("two shards have one name: index the folders one by one")
    offsets = table["offset"].to_numpy()
    sizes = table["length"].to_numpy() + tfrecord.FRAME_OVERHEAD
    for path, (_, rows) in zip(written, with_rows(files, table.num_rows), strict=True):
        part = slice(rows.start, rows.stop)
        lines = zip(offsets[part].tolist(), sizes[part].tolist(), strict=True)
        text = "".join(f"{offset} {size}\n" for offset, size in lines)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from None
    return written
