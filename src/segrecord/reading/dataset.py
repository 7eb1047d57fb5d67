"""`segrecord.open`: a dataset as a sequence of examples, read at random or in order.

Every read checks the record's CRC, and an error names shard, record and offset. The index is
mapped into memory, so that ten million records open at once.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import RecordError, UsageError
from segrecord.reading.batches import Batches
from segrecord.reading.decode import Backend
from segrecord.reading.folds import Choice, Part, rows_of
from segrecord.reading.order import Order, State, Tail
from segrecord.reading.reader import WINDOW, Example, OnError, Reader, Settings
from segrecord.reading.store import Schema
from segrecord.records import example

if TYPE_CHECKING:
    from segrecord.reading.order import Flags, Rows


def open(  # noqa: A001 - it is `segrecord.open`
    path: str | Path | Sequence[str | Path],
    split: str | None = None,
    *,
    fold: int | None = None,
    part: Part | None = None,
    check_crc: bool = True,
    on_error: OnError = "raise",
    schema: Schema | None = None,
    index: str | Path | None = None,
    backend: Backend = "auto",
) -> Dataset:
    """Open a dataset, or shards that others wrote.

    Args:
        path: a dataset's folder, that of `dataset.json`; or a shard, a glob, a folder or several
            of them, written by others.
        split: its name; None: all records, or those of the fold.
        fold: of a dataset built with --folds, from 0.
        part: of the fold: "train", all the other folds; "val", the fold itself.
        check_crc: False leaves out the CRC of the data; a flipped bit may then become a pixel.
        on_error: "skip" leaves damaged records out where several are read, warns of each
            (`DamagedRecordWarning`) and remembers them in `Dataset.skipped`.
        schema: for shards of others: deeplab, plain, raw, tfds, or a mapping of image, mask and
            label to feature keys.
        index: for shards of others: where their index is kept; None: beside them.
        backend: "core": simplejpeg, isal, Pillow; "fast": OpenCV too; "auto": fast where it is
            installed. The pixels are equal.

    Raises:
        UsageError: no such split, fold, file or schema, or fold without part.
        OutputError: there is no finished dataset.
        RecordError: manifest or index are damaged, or headers of shards of others.
    """
    if on_error not in ("raise", "skip"):
        raise UsageError(f"on_error must be raise or skip, got {on_error!r}")
    places = _absolute(path) if isinstance(path, str | Path) else tuple(map(_absolute, path))
    index_file = None if index is None else _absolute(index)
    reader = Reader(Settings(places, check_crc, on_error, schema, index_file, backend))
    return Dataset(reader, rows_of(reader.store, Choice(split, fold, part)))


def _absolute(path: str | Path) -> str:
    """Files are opened when they are first read, perhaps by a process that is elsewhere."""
    return str(Path(path).absolute())


class Dataset:
    """Records of a dataset, as a sequence of `Example`s; made by `segrecord.open`.

    It satisfies Grain's RandomAccessDataSource. Threads may share it. It may be pickled or
    forked: another process opens the files itself, and refuses a dataset that has changed.

    Attributes:
        reader: what selections of one dataset share.
        rows: of the index, ascending unless they were selected otherwise.
    """

    def __init__(self, reader: Reader, rows: range | Rows) -> None:
        self.reader = reader
        self.rows = rows

    def __repr__(self) -> str:
        store = self.reader.store
        of = "" if len(self) == store.index.num_rows else f" of {store.index.num_rows}"
        return (
            f"Dataset({store.place!r}: {len(self)}{of} records, schema {store.layout.schema}, "
            f"classes {', '.join(store.classes) or 'none'}, "
            f"mask classes {', '.join(store.mask_classes) or 'none'})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_again, (self.reader.settings, self.reader.store.fingerprint, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Example:
        """The example of this number; negative ones count from the end.

        Raises:
            IndexError: there is no such number.
            RecordError: the record is damaged, whatever on_error says: there is no other to give.
            UsageError: the shards are compressed.
        """
        row = self._row(number)
        return self.reader.example(row, self.reader.payload(row))

    def __getitems__(self, numbers: Iterable[int]) -> list[Example]:
        """The examples of these numbers: read in the order of the shards, given in this one.

        With on_error="skip" the list lacks those that are damaged.
        """
        return [example for _, example in self.numbered(numbers)]

    def numbered(self, numbers: Iterable[int]) -> list[tuple[int, Example]]:
        """As `__getitems__`, each with the number by which it was asked for."""
        rows = [(number, self._row(number)) for number in numbers]
        found = dict(self.reader.examples(sorted({row for _, row in rows})))
        return [(number, found[row]) for number, row in rows if row in found]

    def __iter__(self) -> Iterator[Example]:
        """Every example, in its order; of compressed shards too."""
        if self.reader.store.compression != "none":
            yield from self._streamed()
            return
        for start in range(0, len(self), WINDOW):
            yield from self.__getitems__(range(start, min(start + WINDOW, len(self))))

    def raw(self, number: int) -> bytes:
        """The serialized `tensorflow.Example` of this number; raises as indexing."""
        return self.reader.payload(self._row(number))

    def features(self, number: int, names: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """The features of this number as they are stored, nothing decoded.

        Args:
            number: of the record.
            names: the keys that are wanted, absent ones are left out; None: all.

        Returns:
            A list of bytes, int or float for each key; raises as indexing.
        """
        row = self._row(number)
        payload = self.reader.payload(row)
        try:
            return example.decode(payload) if names is None else example.extract(payload, names)
        except ValueError as error:
            raise self.reader.error(row, str(error)) from None

    def select(self, chosen: Any = None, *, label: str | int | None = None) -> Dataset:
        """The part of the dataset that is chosen.

        Args:
            chosen: a truth value for each record, or numbers of records in any order: of Arrow,
                NumPy, polars, pandas, or a list.
            label: name or id of a class.

        Raises:
            UsageError: another number of truth values than records, nulls among them, numbers out
                of range, or no such class.
        """
        count = len(self)
        numbers = np.arange(count) if chosen is None else _numbers(chosen, count)
        if label is not None:
            numbers = numbers[self._labelled(label)[numbers]]
        return Dataset(self.reader, self.index_rows(numbers))

    def index_rows(self, numbers: Rows) -> Rows:
        """The rows of the index of these numbers, which must be in [0, len)."""
        rows = self.rows
        return numbers + rows.start if isinstance(rows, range) else rows[numbers]

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        ranks: int = 1,
        rank: int = 0,
        tail: Tail = "drop",
        image_size: tuple[int, int] | None = None,
        threads: int | None = None,
        state: State | None = None,
    ) -> Batches:
        """The dataset as NumPy batches, decoded in threads; an iteration is an epoch.

        Args:
            batch_size: samples a batch, on each rank.
            shuffle: False: the order of the dataset, in every epoch.
            seed: of the order, from 0 to 2^64 - 1.
            ranks: processes that train together; each sees its share.
            rank: of this one.
            tail: what becomes of an incomplete last batch: "drop"; "pad" with repeats that are
                flagged; "exact": a shorter one, and not on every rank.
            image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
                masks by the nearest neighbour. None: images must be of one size.
            threads: that decode; None: as many as there are processors.
            state: of an earlier `Batches.state`: goes on there, with its seed and epoch.

        Raises:
            UsageError: a value is out of its range, the state is of other data, or the shards are
                compressed.
        """
        begin = self.state(shuffle=shuffle, seed=seed, resumed=state)
        order = Order(len(self), batch_size, begin.seed, ranks, rank, tail)
        return Batches(self, order, begin, image_size=image_size, threads=threads)

    def state(self, *, shuffle: bool, seed: int, resumed: State | None = None) -> State:
        """Where a training in this data begins, or goes on; raises as `State.check`."""
        if resumed is not None:
            resumed.check(self.fingerprint)
            return resumed
        return State(self.fingerprint, seed if shuffle else None)

    def require_one_size(self) -> None:
        """Refuse images that cannot stand in one array, where the index tells their sizes.

        Raises:
            UsageError: there are two sizes; names a sample of each.
        """
        index = self.reader.store.index
        if "height" not in index.column_names or not len(self):
            return
        for name in ("height", "width"):
            found = self._chosen(index[name])
            low, high = pc.min_max(found).as_py().values()
            if low != high:
                one, other = (self._size_and_key(pc.index(found, at).as_py()) for at in (low, high))
                raise UsageError(
                    f"images of one batch must be of one size: {one}, {other}; pass "
                    "image_size=(height, width)"
                )

    def _size_and_key(self, number: int) -> str:
        row = self.reader.store.index.slice(self._row(number), 1).to_pylist()[0]
        return f"{row['key']!r} is {row['height']} x {row['width']}"

    @property
    def records(self) -> pa.Table:
        """The index of these records (`tables.RECORDS`), mapped into memory: a row each.

        A query over it makes what `select` takes.
        """
        found: pa.Table = self._chosen(self.reader.store.index)
        return found

    @property
    def classes(self) -> dict[str, int]:
        """Class ids by name; empty where there are none, or where they are not known."""
        return self.reader.store.classes

    @property
    def mask_classes(self) -> tuple[str, ...]:
        """Names by class id; empty where there are none, or where they are not known."""
        return self.reader.store.mask_classes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, hexadecimal, of the dataset and of which records were chosen."""
        if isinstance(self.rows, range):
            chosen = f"{self.rows.start}:{self.rows.stop}".encode()
        else:
            chosen = self.rows.astype("<i8").tobytes()
        return hashlib.sha256(self.reader.store.fingerprint.encode() + chosen).hexdigest()

    @property
    def skipped(self) -> tuple[RecordError, ...]:
        """The damaged records that this process has left out, in the order of the shards."""
        return tuple(error for _, error in sorted(self.reader.skipped.items()))

    def _row(self, number: int) -> int:
        return int(self.rows[operator.index(number)])

    def _chosen(self, part: Any) -> Any:
        """The index, or a column of it, for these rows; a view where they follow each other."""
        if isinstance(self.rows, range):
            return part.slice(self.rows.start, len(self.rows))
        return part.take(pa.array(self.rows))

    def _streamed(self) -> Iterator[Example]:
        """The examples of compressed shards, which are read from their start."""
        wanted = np.asarray(self.rows)
        if (np.diff(wanted) <= 0).any():
            raise UsageError(
                "the shards are compressed and can only be read in their stored order: select "
                "records by truth values or by ascending numbers"
            )
        chosen = np.zeros(self.reader.store.index.num_rows, np.bool_)
        chosen[wanted] = True
        for row, payload in self.reader.stream():
            if chosen[row]:
                try:
                    found = self.reader.example(row, payload)
                except RecordError as error:
                    self.reader.skip(row, error)
                    continue
                yield found

    def _labelled(self, label: str | int) -> Flags:
        """Whether each record is of this class."""
        if "label" not in self.reader.store.index.column_names:
            raise UsageError("shards of others have no index of labels: select by truth values")
        number = self.classes.get(label, -1) if isinstance(label, str) else label
        if number not in self.classes.values():
            known = ", ".join(f"{name} ({at})" for name, at in self.classes.items()) or "none"
            raise UsageError(f"there is no class {label!r}; the classes are: {known}")
        labels = self._chosen(self.reader.store.index["label"])
        found = pc.fill_null(pc.equal(labels, number), False)
        return np.asarray(found, np.bool_)


def _numbers(chosen: Any, count: int) -> Rows:
    """Numbers of records, of truth values or numbers."""
    values = np.asarray(chosen)
    if values.dtype == np.bool_ and values.shape == (count,):
        return np.flatnonzero(values)
    if values.dtype == np.bool_:
        raise UsageError(f"there are {count} records, got {values.size} truth values")
    if values.size == 0:
        return np.empty(0, np.int64)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise UsageError(
            f"records are chosen by truth values or whole numbers without nulls, got an array of "
            f"{values.dtype}, shape {values.shape}"
        )
    if values.min() < 0 or values.max() >= count:
        raise UsageError(f"numbers must be in [0, {count}), got {values.min()} to {values.max()}")
    return values.astype(np.int64)


def _opened_again(settings: Settings, fingerprint: str, rows: range | Rows) -> Dataset:
    """The dataset in another process."""
    reader = Reader(settings)
    if reader.store.fingerprint != fingerprint:
        raise UsageError(f"{reader.store.place} has changed since it was opened: open it again")
    return Dataset(reader, rows)
