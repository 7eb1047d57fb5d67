"""The index of a dataset, and where its rows stand: in shards, in splits, in the parts of a fold.

`records.arrow` is opened by memory map and checked against the manifest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.errors import RecordError, UsageError
from segrecord.format import manifest as manifests
from segrecord.split_names import SPLIT_NAMES, fold_names
from segrecord.tables import META_PREFIX, RECORDS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from segrecord.format.manifest import Manifest, Shard

Part = Literal["train", "val"]
"""Of a fold of a cross-validation, which `build --folds K` stores as K splits: `val` is the split
of that number, `train` all the others."""

Getter = Callable[[int], Any]


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
    rows, first = {}, 0
    for name, split in manifest.splits.items():
        rows[name] = range(first, first + split.records)
        first += split.records
    return rows


def require_size(shard: Path, size: int) -> None:
    """Refuse a shard that is not there, or was cut or swapped, before a record of it is read.

    Raises:
        RecordError: it has not so many bytes, or is no regular file.
    """
    try:
        length = storage.status(shard).st_size
    except OSError as error:
        raise RecordError(str(shard), f"cannot be opened: {error.strerror}") from None
    if length != size:
        raise RecordError(str(shard), f"has {length} bytes, {manifests.MANIFEST} says {size}")


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
        table = storage.map_table(path)
        table.validate(full=thorough)
        _check(table, manifest, str(path), thorough=thorough)
    except FileNotFoundError:
        raise RecordError(str(path), "the file is missing") from None
    # KeyError: a dictionary batch that is not there; NotImplementedError: an unknown type.
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no sound Arrow file: {reason}") from None
    return table


def _check(table: pa.Table, manifest: Manifest, path: str, *, thorough: bool) -> None:
    kept = [pa.field(META_PREFIX + name, TEXT) for name in manifest.keep_columns]
    expected = [*RECORDS, *kept]
    if table.schema.names != [field.name for field in expected]:
        raise RecordError(
            path,
            f"has the columns {', '.join(table.schema.names)}, the format says "
            f"{', '.join(field.name for field in expected)}",
        )
    for field in expected:
        kind = table.schema.field(field.name).type
        if kind != field.type:
            raise RecordError(path, f"column {field.name} must be {field.type}, is {kind}")
        if not field.nullable and table[field.name].null_count:
            raise RecordError(path, f"column {field.name} must have a value in every row")
    shards, row = [place.shard for place in places(manifest)], 0
    for shard in shards:
        if shard.first_row != row or shard.records < 0:
            rule = f"the rows of {shard.name} begin at {row}, the manifest says {shard.first_row}"
            raise RecordError(path, rule)
        row += shard.records
    if row != table.num_rows:
        raise RecordError(path, f"has {table.num_rows} rows, the manifest counts {row} records")
    if not thorough:
        return
    expected_shards = np.repeat(np.arange(len(shards)), [shard.records for shard in shards])
    wrong = shard_of_rows(table, manifest) != expected_shards
    if wrong.any():
        row = int(wrong.argmax())
        split, number = table["split"][row].as_py(), table["shard"][row].as_py()
        rule = f"row {row} says shard {number} of split {split!r}, which the manifest has elsewhere"
        raise RecordError(path, rule)


def shard_of_rows(table: pa.Table, manifest: Manifest) -> npt.NDArray[np.int64]:
    """(rows,) number over the whole dataset of the shard that each row names; -1: none such."""
    names = list(manifest.splits)
    counts = np.array([len(manifest.splits[name].shards) for name in names], np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])
    split = pc.index_in(table["split"], value_set=pa.array(names, pa.string()))
    split = pc.fill_null(split, len(names)).to_numpy().astype(np.int64)
    shard = table["shard"].to_numpy().astype(np.int64)
    exists = (split < len(names)) & (shard >= 0) & (shard < np.append(counts, 0)[split])
    return np.where(exists, first[split] + shard, -1)


class Choice(NamedTuple):
    """What of a dataset is asked for: a split by its name, or a part of a fold."""

    split: str | None = None
    fold: int | None = None
    part: Part | None = None

    def or_split(self, default: str) -> Choice:
        """This choice; the default split where it names neither split nor fold."""
        return Choice(default) if self == Choice() else self

    def refuse(self, dataset: object) -> None:
        """Refuse a fold of what is open already: its own records hold."""
        if self.fold is not None or self.part is not None:
            raise UsageError(
                f"{dataset!r} is open already, its own records hold: pass fold={self.fold} and "
                f"part={self.part!r} to segrecord.open"
            )

    def names(self, path: object, splits: Collection[str], folds: int | None) -> tuple[str, ...]:
        """The names of the splits that are asked for; all where nothing is.

        Args:
            path: of the dataset, for messages.
            splits: that it has.
            folds: of its cross-validation; None: it was not built with --folds.

        Raises:
            UsageError: there is no such split or fold, or the three do not go together.
        """
        if self.fold is not None or self.part is not None:
            return self._of_fold(path, splits, folds)
        if self.split is None:
            return tuple(splits)
        if self.split not in splits:
            names = ", ".join(splits) or "none: segrecord did not write it"
            fix = ""
            if folds is not None:
                fix = "; it has folds: pass fold= and part= instead"
            elif splits and self.split in SPLIT_NAMES:
                fix = "; build it with --split train=0.8,val=0.1,test=0.1"
            raise UsageError(f"{path} has no split {self.split!r}, it has {names}{fix}")
        return (self.split,)

    def _of_fold(self, path: object, splits: Collection[str], folds: int | None) -> tuple[str, ...]:
        fold, part = self.fold, self.part
        if self.split is not None:
            raise UsageError(
                f"split and fold exclude each other, got split={self.split!r}, fold={fold} and "
                f"part={part!r}: leave split out"
            )
        if fold is None:
            raise UsageError(f"part={part!r} is that of a fold: pass fold=0, 1, ... with it")
        if isinstance(fold, bool) or not isinstance(fold, int | np.integer):
            raise UsageError(f"fold must be an integer, got {fold!r}")
        if part is None or part not in get_args(Part):
            got = "none" if part is None else repr(part)
            raise UsageError(
                f"fold={fold} needs its part, got {got}: pass part='train' (all other folds) or "
                f"part='val' (fold {fold} itself)"
            )
        if folds is None:
            raise UsageError(
                f"{path} has no folds, it has {', '.join(splits) or 'no splits'}; got "
                f"fold={fold}: pass a split, or build with --folds K"
            )
        if not 0 <= fold < folds:
            raise UsageError(f"fold must be from 0 to {folds - 1} in {path}, got {fold}")
        names = fold_names(folds)
        present = (name for name in splits if name in names)  # an empty fold may have no split
        return tuple(name for name in present if (name == names[fold]) == (part == "val"))

    def rows(
        self, path: object, splits: Mapping[str, range], folds: int | None, count: int
    ) -> range | npt.NDArray[np.int64]:
        """The rows of the index that are asked for, ascending: a range where they are one.

        Args:
            path: as of `names`.
            splits: the rows of each.
            folds: as of `names`.
            count: rows of the index.

        Raises:
            UsageError: as `names`.
        """
        if self == Choice():
            return range(count)
        parts = [splits[name] for name in self.names(path, splits, folds)]
        if not parts:
            return range(0)
        if all(before.stop == after.start for before, after in pairwise(parts)):
            return range(parts[0].start, parts[-1].stop)
        return np.concatenate([np.arange(part.start, part.stop) for part in parts])


def folds_of(manifest: Manifest) -> int | None:
    """The folds that the dataset was built with; None: none."""
    return manifest.build_options().plan.folds


def getter(column: pa.ChunkedArray) -> Getter:
    """A function from a row to its value: int, bool, str, or None, without Arrow objects.

    `column[i].as_py()` searches the chunks and builds a scalar each time; here views of the
    column's buffers are made once.

    Args:
        column: of whole numbers, booleans or large_string.
    """
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    getters = [_chunk_getter(chunk) for chunk in chunks]
    if len(getters) == 1:
        return getters[0]
    starts = np.cumsum([0, *map(len, chunks[:-1])]).tolist()

    def at(row: int) -> Any:
        number = bisect_right(starts, row) - 1
        return getters[number](row - starts[number])

    return at


def _chunk_getter(chunk: pa.Array) -> Getter:
    first, buffers = chunk.offset, chunk.buffers()
    value: Getter
    if pa.types.is_boolean(chunk.type):
        bits = np.frombuffer(buffers[1], np.uint8)
        value = lambda row: _bit(bits, first + row)  # noqa: E731 - one of three
    elif pa.types.is_large_string(chunk.type):
        ends = np.frombuffer(buffers[1], np.int64)[first:]
        data = memoryview(buffers[2] if buffers[2] is not None else b"")
        value = lambda row: str(data[ends[row] : ends[row + 1]], "utf-8")  # noqa: E731
    else:
        numbers = np.frombuffer(buffers[1], chunk.type.to_pandas_dtype())
        value = lambda row: int(numbers[first + row])  # noqa: E731
    if chunk.null_count == 0:
        return value
    valid = np.frombuffer(buffers[0], np.uint8)
    return lambda row: value(row) if _bit(valid, first + row) else None


def _bit(bits: Any, number: int) -> bool:
    """Bit `number` of a bitmap, least significant first, as Arrow packs them."""
    return bool(bits[number >> 3] >> (number & 7) & 1)
