"""`records.arrow`: the index opened by memory map, checked against the manifest, cut by shard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import RecordError
from segrecord.reading.arrow import mapped
from segrecord.reading.content import IndexRow
from segrecord.records import manifest as manifests
from segrecord.records import regular
from segrecord.tables import META_PREFIX, RECORDS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from segrecord.records.manifest import Manifest, Shard


class Place(NamedTuple):
    """Where a shard stands in the dataset."""

    split: str
    number: int
    """Within the split, from 0."""
    shard: Shard


def places(manifest: Manifest) -> Iterator[Place]:
    """Every shard, in the order of the index: by split, then by number."""
    for name, split in manifest.splits.items():
        for number, shard in enumerate(split.shards):
            yield Place(name, number, shard)


def split_rows(manifest: Manifest) -> dict[str, range]:
    """The rows of each split, which follow each other."""
    found, row = {}, 0
    for name, split in manifest.splits.items():
        found[name] = range(row, row + split.records)
        row += split.records
    return found


def require_size(shard: Path, size: int) -> None:
    """Refuse a shard that is not there, or was cut or swapped, before a record of it is read.

    Raises:
        RecordError: it has not so many bytes, or is no regular file.
    """
    try:
        found = regular.status(shard).st_size
    except OSError as error:
        raise RecordError(str(shard), f"cannot be opened: {error.strerror}") from None
    if found != size:
        raise RecordError(str(shard), f"has {found} bytes, {manifests.MANIFEST} says {size}")


def open_index(
    dataset: str | Path, manifest: Manifest | None = None, *, thorough: bool = True
) -> pa.Table:
    """The index of a dataset, mapped into memory; columns as `tables.RECORDS`.

    Args:
        dataset: the folder.
        manifest: of the dataset, where it is loaded already.
        thorough: False: no row is looked at, so that ten million of them open at once; whoever
            reads a record by its row checks that it stands there.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: the index is missing, damaged, or contradicts the manifest: other columns,
            another number of rows, or rows of a shard that do not stand where it says.
    """
    manifest = manifest or manifests.load(dataset)
    path = Path(dataset) / manifests.INDEX
    try:
        table = mapped(path)
        table.validate(full=thorough)
        _check_columns(table, manifest.keep_columns, str(path))
        _check_ranges(table, manifest, str(path))
        if thorough:
            _check_order(table, manifest, str(path))
    except FileNotFoundError:
        raise RecordError(str(path), "the file is missing") from None
    # KeyError: a dictionary batch that is not there; NotImplementedError: an unknown type.
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no sound Arrow file: {reason}") from None
    return table


def _check_columns(table: pa.Table, keep_columns: tuple[str, ...], path: str) -> None:
    kept = [pa.field(META_PREFIX + name, TEXT) for name in keep_columns]
    expected = [*RECORDS, *kept]
    if table.schema.names != [field.name for field in expected]:
        raise RecordError(
            path,
            f"has the columns {', '.join(table.schema.names)}, the format says "
            f"{', '.join(field.name for field in expected)}",
        )
    for field in expected:
        found = table.schema.field(field.name).type
        if found != field.type:
            raise RecordError(path, f"column {field.name} must be {field.type}, is {found}")
        if not field.nullable and table[field.name].null_count:
            raise RecordError(path, f"column {field.name} must have a value in every row")


def _check_ranges(table: pa.Table, manifest: Manifest, path: str) -> None:
    """The manifest's row ranges cover the table."""
    row = 0
    for place in places(manifest):
        if place.shard.first_row != row or place.shard.records < 0:
            rule = f"the rows of {place.shard.name} begin at {row}, the manifest says "
            raise RecordError(path, rule + str(place.shard.first_row))
        row += place.shard.records
    if row != table.num_rows:
        raise RecordError(path, f"has {table.num_rows} rows, the manifest counts {row} records")


def _check_order(table: pa.Table, manifest: Manifest, path: str) -> None:
    """Each row names the shard in whose range it stands."""
    wrong = shard_of_rows(table, manifest) != np.repeat(
        np.arange(sum(1 for _ in places(manifest))),
        [place.shard.records for place in places(manifest)],
    )
    if wrong.any():
        row = int(wrong.argmax())
        split, shard = table["split"][row].as_py(), table["shard"][row].as_py()
        rule = f"row {row} says shard {shard} of split {split!r}, which the manifest has elsewhere"
        raise RecordError(path, rule)


def shard_of_rows(table: pa.Table, manifest: Manifest) -> npt.NDArray[np.int64]:
    """(rows,) number over the whole dataset of the shard that each row names; -1: none such."""
    names = list(manifest.splits)
    counts = np.array([len(manifest.splits[name].shards) for name in names], np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])
    split = pc.index_in(table["split"], value_set=pa.array(names, pa.string()))
    split = pc.fill_null(split, len(names)).to_numpy().astype(np.int64)
    shard = table["shard"].to_numpy().astype(np.int64)
    known = (split < len(names)) & (shard >= 0) & (shard < np.append(counts, 0)[split])
    return np.where(known, first[split] + shard, -1)


def rows_of(table: pa.Table, shard: Shard) -> tuple[IndexRow, ...]:
    """The rows of one shard as plain values."""
    part = table.slice(shard.first_row, shard.records).select(list(IndexRow._fields))
    columns = [column.to_pylist() for column in part.columns]
    at = IndexRow._fields.index("mask_pixels")
    columns[at] = [None if pixels is None else tuple(pixels) for pixels in columns[at]]
    return tuple(IndexRow(*values) for values in zip(*columns, strict=True))
