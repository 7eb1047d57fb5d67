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
from segrecord.format import example
from segrecord.read.batches import Batches
from segrecord.read.decode import Backend
from segrecord.read.index import Choice, Part
from segrecord.read.records import WINDOW, Example, OnError, Records, Settings
from segrecord.read.sampler import SamplerOptions, State
from segrecord.read.shards import Schema

if TYPE_CHECKING:
    from segrecord.read.sampler import Rows


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
    # Files are opened when they are first read, perhaps by a process that is elsewhere.
    several = [path] if isinstance(path, str | Path) else path
    paths = tuple(str(Path(one).absolute()) for one in several)
    index_file = None if index is None else str(Path(index).absolute())
    place = paths[0] if isinstance(path, str | Path) else paths
    records = Records(Settings(place, check_crc, on_error, schema, index_file, backend))
    shards = records.shards
    choice = Choice(split, fold, part)
    rows = choice.rows(shards.path, shards.splits, shards.folds, shards.index.num_rows)
    return Dataset(records, rows)


class Dataset:
    """Records of a dataset, as a sequence of `Example`s; made by `segrecord.open`.

    It satisfies Grain's RandomAccessDataSource. Threads may share it. It may be pickled or
    forked: another process opens the files itself, and refuses a dataset that has changed.

    Attributes:
        all_records: what selections of one dataset share.
        rows: of the index, ascending unless they were selected otherwise.
    """

    def __init__(self, all_records: Records, rows: range | Rows) -> None:
        self.all_records = all_records
        self.rows = rows

    def __repr__(self) -> str:
        shards = self.all_records.shards
        of = "" if len(self) == shards.index.num_rows else f" of {shards.index.num_rows}"
        return (
            f"Dataset({shards.path!r}: {len(self)}{of} records, schema {shards.layout.schema}, "
            f"classes {', '.join(self.classes) or 'none'}, "
            f"mask classes {', '.join(self.mask_classes) or 'none'})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        records = self.all_records
        return _opened_again, (records.settings, records.shards.fingerprint, self.rows)

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
        return self.all_records.example(row, self.all_records.payload(row))

    def __getitems__(self, numbers: Iterable[int]) -> list[Example]:
        """The examples of these numbers: read in the order of the shards, given in this one.

        With on_error="skip" the list lacks those that are damaged.
        """
        return [example for _, example in self.numbered(numbers)]

    def numbered(self, numbers: Iterable[int]) -> list[tuple[int, Example]]:
        """As `__getitems__`, each with the number by which it was asked for."""
        rows = [(number, self._row(number)) for number in numbers]
        examples = dict(self.all_records.examples(sorted({row for _, row in rows})))
        return [(number, examples[row]) for number, row in rows if row in examples]

    def __iter__(self) -> Iterator[Example]:
        """Every example, in its order; of compressed shards too."""
        if self.all_records.shards.compression == "none":
            for start in range(0, len(self), WINDOW):
                yield from self.__getitems__(range(start, min(start + WINDOW, len(self))))
            return
        wanted = np.asarray(self.rows)
        if (np.diff(wanted) <= 0).any():
            raise UsageError(
                "the shards are compressed and can only be read in their stored order: select "
                "records by truth values or by ascending numbers"
            )
        chosen = np.zeros(self.all_records.shards.index.num_rows, np.bool_)
        chosen[wanted] = True
        for row, payload in self.all_records.stream():
            if chosen[row]:
                try:
                    sample = self.all_records.example(row, payload)
                except RecordError as error:
                    self.all_records.skip(row, error)
                    continue
                yield sample

    def raw(self, number: int) -> bytes:
        """The serialized `tensorflow.Example` of this number; raises as indexing."""
        return self.all_records.payload(self._row(number))

    def features(self, number: int, names: Sequence[str] | None = None) -> dict[str, list[Any]]:
        """The features of this number as they are stored, nothing decoded.

        Args:
            number: of the record.
            names: the keys that are wanted, absent ones are left out; None: all.

        Returns:
            A list of bytes, int or float for each key; raises as indexing.
        """
        row = self._row(number)
        payload = self.all_records.payload(row)
        try:
            return example.decode(payload) if names is None else example.extract(payload, names)
        except ValueError as error:
            raise self.all_records.error(row, str(error)) from None

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
            if not self.all_records.shards.ours:
                raise UsageError("shards of others have no index of labels: select by truth values")
            wanted = self.classes.get(label, -1) if isinstance(label, str) else label
            if wanted not in self.classes.values():
                names = ", ".join(f"{name} ({at})" for name, at in self.classes.items()) or "none"
                raise UsageError(f"there is no class {label!r}; the classes are: {names}")
            labels = self._chosen(self.all_records.shards.index["label"])
            is_wanted = pc.fill_null(pc.equal(labels, wanted), False)
            numbers = numbers[np.asarray(is_wanted, np.bool_)[numbers]]
        return Dataset(self.all_records, self.index_rows(numbers))

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
        world_size: int = 1,
        rank: int = 0,
        drop_last: bool = True,
        pad: bool = False,
        image_size: tuple[int, int] | None = None,
        threads: int | None = None,
        state: State | None = None,
    ) -> Batches:
        """The dataset as NumPy batches, decoded in threads; an iteration is an epoch.

        Args:
            batch_size: samples a batch, on each rank.
            shuffle: False: the order of the dataset, in every epoch.
            seed: of the order, from 0 to 2^64 - 1.
            world_size: processes that train together; each sees its share.
            rank: of this one, from 0.
            drop_last: True: incomplete last batches are dropped. False: the last batches are
                shorter, and some ranks may get one batch less.
            pad: fill incomplete last batches up with repeats that are flagged as not `valid`; none
                is dropped then.
            image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
                masks by the nearest neighbour. None: images must be of one size.
            threads: that decode; None: as many as there are processors.
            state: of an earlier `Batches.state`: goes on there, with its seed and epoch.

        Raises:
            UsageError: a value is out of its range, the state is of other data, or the shards are
                compressed.
        """
        options = SamplerOptions(batch_size, shuffle, seed, world_size, rank, drop_last, pad, state)
        return self.batches_of(options, image_size=image_size, threads=threads)

    def batches_of(
        self,
        options: SamplerOptions,
        *,
        image_size: tuple[int, int] | None = None,
        threads: int | None = None,
    ) -> Batches:
        """As `batches`, with the sampler's arguments as one object."""
        sampler, begin = options.begin(len(self), self.fingerprint)
        records, rows = self.all_records, self.index_rows
        batches = Batches(records, rows, sampler, begin, image_size=image_size, threads=threads)
        if image_size is None and options.batch_size > 1:
            self.require_one_size()
        return batches

    def require_one_size(self) -> None:
        """Refuse images that cannot stand in one array, where the index tells their sizes.

        Raises:
            UsageError: there are two sizes; names a sample of each.
        """
        if not self.all_records.shards.ours or not len(self):
            return
        index = self.all_records.shards.index
        for name in ("height", "width"):
            sides = self._chosen(index[name])
            low, high = pc.min_max(sides).as_py().values()
            if low != high:
                numbers = (pc.index(sides, side).as_py() for side in (low, high))
                rows = (index.slice(self._row(at), 1).to_pylist()[0] for at in numbers)
                one, other = (f"{row['key']!r} is {row['height']} x {row['width']}" for row in rows)
                raise UsageError(
                    f"images of one batch must be of one size: {one}, {other}; pass "
                    "image_size=(height, width)"
                )

    @property
    def records(self) -> pa.Table:
        """The index of these records (`tables.RECORDS`), mapped into memory: a row each.

        A query over it makes what `select` takes.
        """
        index: pa.Table = self._chosen(self.all_records.shards.index)
        return index

    @property
    def classes(self) -> dict[str, int]:
        """Class ids by name; empty where there are none, or where they are not known."""
        return self.all_records.shards.classes

    @property
    def mask_classes(self) -> tuple[str, ...]:
        """Names by class id; empty where there are none, or where they are not known."""
        return self.all_records.shards.mask_classes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, hexadecimal, of the dataset and of which records were chosen."""
        if isinstance(self.rows, range):
            chosen = f"{self.rows.start}:{self.rows.stop}".encode()
        else:
            chosen = self.rows.astype("<i8").tobytes()
        return hashlib.sha256(self.all_records.shards.fingerprint.encode() + chosen).hexdigest()

    @property
    def skipped(self) -> tuple[RecordError, ...]:
        """The damaged records that this process has left out, in the order of the shards."""
        return tuple(error for _, error in sorted(self.all_records.skipped.items()))

    def _row(self, number: int) -> int:
        return int(self.rows[operator.index(number)])

    def _chosen(self, part: Any) -> Any:
        """The index, or a column of it, for these rows; a view where they follow each other."""
        if isinstance(self.rows, range):
            return part.slice(self.rows.start, len(self.rows))
        return part.take(pa.array(self.rows))


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
    records = Records(settings)
    if records.shards.fingerprint != fingerprint:
        path = records.shards.path
        raise UsageError(f"{path} has changed since it was opened: open it again")
    return Dataset(records, rows)
