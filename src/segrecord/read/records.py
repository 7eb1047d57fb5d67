"""Records by their rows of the index: read, checked, taken apart, decoded.

`Records` is what a `Dataset` and everything that is made of it (selections, batches) share in one
process. Reads are `os.pread`, which neither uses nor moves a position: threads and forked
processes may share a descriptor. A map of the file into memory would be faster, but a file that is
cut while it is mapped kills the process.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from segrecord import storage
from segrecord.errors import PixelError, RecordError, UsageError
from segrecord.format import example, tfrecord
from segrecord.format.schemas import NO_LABEL
from segrecord.options import IGNORE
from segrecord.read.decode import Backend, codec
from segrecord.read.index import getter
from segrecord.read.shards import Schema, find_shards, streamed, with_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OnError = Literal["raise", "skip"]

WINDOW = 64
"""Records that are asked of the disk ahead: measured, 17,000 to 23,000 cold reads a second on NVMe
against 7,000 one by one."""

_OPEN = 128
"""Descriptors that are held open; processes are often allowed 1024."""

_SHARED = sys.platform != "win32"
"""Windows has no pread: there each thread has descriptors of its own."""

_INTS = frozenset({"label", "has_mask", "height", "width", "channels"})
"""What is held as int64; all else is bytes."""


class DamagedRecordWarning(UserWarning):
    """A record was left out, because on_error="skip" says so; the text names it."""


class Example(NamedTuple):
    """One sample, decoded."""

    image: npt.NDArray[np.uint8]
    """(H, W, 3) uint8, RGB."""
    mask: npt.NDArray[np.uint8] | None
    """(H, W) uint8 class ids, 255 = ignore; None: the sample has no mask."""
    label: int | None
    """Class id; None: the sample has no class."""
    key: str
    group: str | None
    """Patient, lesion or the like, where the dataset knows it."""


class Parts(NamedTuple):
    """A record taken apart, before anything is decoded."""

    image: bytes
    mask: bytes
    """b"": there is none."""
    size: tuple[int, int] | None
    """Height and width of the image, in pixels; None: not known before it is decoded."""
    channels: int | None
    """Of pixels stored raw."""
    has_mask: bool | None
    """None: the decoded mask tells; one of 255 all over is a missing one."""
    label: int | None
    key: str
    group: str | None


class Settings(NamedTuple):
    """What `segrecord.open` was asked for; travels to other processes."""

    path: str | tuple[str, ...]
    check_crc: bool = True
    on_error: OnError = "raise"
    schema: Schema | None = None
    index_file: str | None = None
    backend: Backend = "auto"


class Place(NamedTuple):
    """Where a record stands, by the index."""

    shard: int
    record: int
    """In the shard, from 0."""
    offset: int
    """Of its frame, in bytes."""
    length: int
    """Of its payload, in bytes."""


class _Descriptor:
    """An open file; closed when nobody reads from it any more."""

    _close = staticmethod(os.close)  # at the end of a process `os` may be gone first

    def __init__(self, path: str, links: bool, _thread: int | None) -> None:  # noqa: FBT001
        self.number = storage.descriptor(path, links=links)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            self._close(self.number)


class Records:
    """The records of a set of shards. Threads may share it, and forked children go on using it.

    Attributes:
        settings: what it was opened with.
        shards: what it reads, and what is known before anything is read.
        codec: decodes images and masks.
        skipped: the damaged records that were left out, by row.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.shards = find_shards(settings.path, settings.schema, settings.index_file)
        shards = self.shards
        self.codec = codec(shards.layout, len(shards.mask_classes), settings.backend)
        self.skipped: dict[int, RecordError] = {}
        self._first_rows = [file.first_row for file in shards.files]
        index = shards.index
        self._offset, self._length = getter(index["offset"]), getter(index["length"])
        columns = ("height", "width", "has_mask", "label", "key", "group") if shards.ours else ()
        self._columns = tuple(getter(index[name]) for name in columns)
        # Of the class, not of a method: a cycle would keep the files open until a collection.
        self._descriptor = lru_cache(_OPEN)(_Descriptor)

    def place(self, row: int) -> Place:
        """Where the record of this row stands."""
        shard = bisect_right(self._first_rows, row) - 1
        return Place(shard, row - self._first_rows[shard], self._offset(row), self._length(row))

    def error(self, row: int, rule: str) -> RecordError:
        """The error of this row's record."""
        place = self.place(row)
        return RecordError(self.shards.files[place.shard].name, rule, place.record, place.offset)

    def payload(self, row: int) -> bytes:
        """The serialized Example of this row.

        Raises:
            RecordError: it cannot be read, is cut, or a CRC does not hold.
            UsageError: the shards are compressed.
        """
        self.require_random_access()
        shard, record, offset, length = self.place(row)
        file = self.shards.files[shard]
        try:
            thread = None if _SHARED else threading.get_ident()
            descriptor = self._descriptor(file.path, file.links, thread)
        except OSError as error:
            raise self.error(row, f"cannot be opened: {error.strerror}") from None
        return tfrecord.read_at(
            descriptor.number, offset, length, file.name, record, check_crc=self.settings.check_crc
        )

    def payloads(self, rows: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Each of these rows with its payload, in their order, asked of the disk by windows.

        Damaged ones are left out under on_error="skip".
        """
        self.require_random_access()
        wanted = list(rows)
        for start in range(0, len(wanted), WINDOW):
            window = wanted[start : start + WINDOW]
            if len(window) > 1 and hasattr(os, "posix_fadvise"):
                self._advise(window)
            for row in window:
                try:
                    yield row, self.payload(row)
                except RecordError as error:
                    self.skip(row, error)

    def _advise(self, rows: Iterable[int]) -> None:
        """Tell the system that these records are read next."""
        for row in rows:
            shard, _, offset, length = self.place(row)
            file = self.shards.files[shard]
            try:
                number = self._descriptor(file.path, file.links, None).number
                size = length + tfrecord.FRAME_OVERHEAD
                os.posix_fadvise(number, offset, size, os.POSIX_FADV_WILLNEED)
            except (OSError, OverflowError):
                continue  # the read itself will tell, of a damaged index too

    def stream(self) -> Iterator[tuple[int, bytes]]:
        """Every row and payload, shard by shard from the start; compressed ones too."""
        for file, rows in with_rows(self.shards.files, self.shards.index.num_rows):
            row, rule = rows.start, "the file ends before this record"
            try:
                # What stands behind the index' last record of the shard is not ours to read.
                for payload in islice(streamed(file, self.shards.compression), len(rows)):
                    yield row, payload
                    row += 1
            except RecordError as error:
                rule = error.rule
            for lost in range(row, rows.stop):
                self.skip(lost, self.error(lost, rule))

    def examples(self, rows: Iterable[int]) -> Iterator[tuple[int, Example]]:
        """As `payloads`, decoded."""
        for row, payload in self.payloads(rows):
            try:
                yield row, self.example(row, payload)
            except RecordError as error:
                self.skip(row, error)

    def example(self, row: int, payload: bytes) -> Example:
        """The decoded sample of this row and payload.

        Raises:
            RecordError: it does not hold what it must, or cannot be decoded.
        """
        parts = self.parts(row, payload)
        try:
            image = self.codec.image(parts.image, parts.size, parts.channels)
            mask = self.codec.mask(parts.mask, image.shape[:2]) if parts.mask else None
        except PixelError as error:
            raise self.error(row, str(error)) from None
        if mask is not None and parts.has_mask is None and (mask == IGNORE).all():
            mask = None
        return Example(image, mask, parts.label, parts.key, parts.group)

    def parts(self, row: int, payload: bytes) -> Parts:
        """The record taken apart; raises RecordError where it does not hold what it must."""
        try:
            return self._own(row, payload) if self.shards.ours else self._foreign(row, payload)
        except ValueError as error:
            raise self.error(row, str(error)) from None

    def _own(self, row: int, payload: bytes) -> Parts:
        """Of a record of ours, which must be the one that the index has in this row."""
        keys = self.shards.keys
        features = example.extract(payload, keys.values())
        height, width, has_mask, label, key, group = (column(row) for column in self._columns)
        held = {
            holds: _one(features, name, holds)
            for holds, name in keys.items()
            if has_mask or holds != "mask"
        }
        # Where records are of one length, as under schema raw, nothing else tells a shard that was
        # swapped for another.
        expected = {"key": key.encode(), "label": NO_LABEL if label is None else label}
        for holds, value in expected.items():
            if held.get(holds, value) != value:
                raise ValueError(
                    f"it is another record than the index has here: its {holds} is "
                    f"{held[holds]!r}, the index says {value!r}"
                )
        mask = held.get("mask", b"")
        if has_mask and "mask" in held and not mask:
            raise ValueError("it has no mask, the index says that it has one")
        size = (height, width)
        return Parts(held["image"], mask, size, held.get("channels"), has_mask, label, key, group)

    def _foreign(self, row: int, payload: bytes) -> Parts:
        """Of a record that others wrote: it alone says what it holds."""
        keys = self.shards.keys
        features = example.extract(payload, keys.values())
        held = {
            holds: _one(features, name, holds)
            for holds, name in keys.items()
            if holds == "image" or features.get(name)
        }
        text = held.get("key", held.get("filename"))
        if not text:
            shard = bisect_right(self._first_rows, row) - 1
            name, number = self.shards.files[shard].name, row - self._first_rows[shard]
        mask = held.get("mask", b"") if held.get("has_mask", 1) else b""
        label = held.get("label", NO_LABEL)
        return Parts(
            image=held["image"],
            mask=mask,
            size=(held["height"], held["width"]) if {"height", "width"} <= held.keys() else None,
            channels=held.get("channels"),
            has_mask=None if mask else False,
            label=None if label == NO_LABEL else label,
            key=text.decode(errors="replace") if text else f"{name}:{number}",
            group=None,
        )

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of this row's image, in pixels, read from it where no index tells."""
        if self.shards.ours:
            height, width, *_ = self._columns
            return height(row), width(row)
        height, width = self.example(row, self.payload(row)).image.shape[:2]
        return height, width

    def skip(self, row: int, error: RecordError) -> None:
        """Leave a damaged record out and say so once, or raise its error, as was asked for."""
        if self.settings.on_error == "raise":
            raise error
        if row not in self.skipped:
            self.skipped[row] = error
            warnings.warn(f"left out: {error}", DamagedRecordWarning, stacklevel=4)

    def require_random_access(self) -> None:
        """Refuse what only iteration can read.

        Raises:
            UsageError: the shards are compressed.
        """
        compression = self.shards.compression
        if compression != "none":
            raise UsageError(
                f"the shards of {self.shards.path} are compressed ({compression}), and nothing can "
                "begin in the middle of them: iterate, or build with --compression none"
            )


def _one(features: Mapping[str, list[Any]], name: str, holds: str) -> Any:
    """The one value of this key, of the kind that what it holds must have."""
    values = features.get(name, [])
    if len(values) != 1:
        raise ValueError(f"the key {name} must hold one value, holds {len(values) or 'none'}")
    value, kind = values[0], int if holds in _INTS else bytes
    if isinstance(value, kind):
        return value
    raise ValueError(f"the key {name} must hold {kind.__name__}, holds {type(value).__name__}")
