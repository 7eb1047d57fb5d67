"""Payloads by row: which shard and where, the descriptors, and the read with its checks.

Reads are `os.pread`, which neither uses nor moves a position: threads and forked processes may
share a descriptor. A map of the file into memory would be faster, but a file that is cut while it
is mapped kills the process.
"""

from __future__ import annotations

import os
import sys
import threading
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from segrecord.errors import RecordError
from segrecord.reading.columns import getter
from segrecord.records import regular, tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

_OPEN = 128
"""Descriptors that are held open; processes are often allowed 1024."""

_SHARED = sys.platform != "win32"
"""Windows has no pread: there each thread has descriptors of its own."""


class ShardFile(NamedTuple):
    """A shard and the row of its first record."""

    path: str
    name: str
    """How errors name it."""
    first_row: int
    links: bool = False
    """Whether the path may be a symbolic link: of shards that the user named, and no manifest."""


class Place(NamedTuple):
    """Where a record stands."""

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
        self.number = regular.descriptor(path, links=links)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            self._close(self.number)


class Frames:
    """The records of uncompressed shards, by row.

    Threads may share it, and forked children may go on using it.
    """

    def __init__(self, shards: Sequence[ShardFile], index: pa.Table, *, check_crc: bool) -> None:
        self._shards = shards
        self._first_rows = [shard.first_row for shard in shards]
        self._offset, self._length = getter(index["offset"]), getter(index["length"])
        self._check_crc = check_crc
        # Of the class, not of a method: a cycle would keep the files open until a collection.
        self._descriptor = lru_cache(_OPEN)(_Descriptor)

    def place(self, row: int) -> Place:
        """Where the record of this row stands, by the index."""
        shard = bisect_right(self._first_rows, row) - 1
        record = row - self._first_rows[shard]
        return Place(shard, record, self._offset(row), self._length(row))

    def error(self, row: int, rule: str) -> RecordError:
        """The error of this row's record."""
        place = self.place(row)
        return RecordError(self._shards[place.shard].name, rule, place.record, place.offset)

    def read(self, row: int) -> bytes:
        """The payload of this row's record.

        Raises:
            RecordError: it cannot be read, is cut, or a CRC does not hold.
        """
        shard, record, offset, length = self.place(row)
        try:
            thread = None if _SHARED else threading.get_ident()
            file = self._shards[shard]
            descriptor = self._descriptor(file.path, file.links, thread)
        except OSError as error:
            raise self.error(row, f"cannot be opened: {error.strerror}") from None
        name = self._shards[shard].name
        return tfrecord.read_at(
            descriptor.number, offset, length, name, record, check_crc=self._check_crc
        )

    def advise(self, rows: Iterable[int]) -> None:
        """Tell the system that these records are read next, where it can be told."""
        if not hasattr(os, "posix_fadvise"):
            return
        for row in rows:
            shard, _, offset, length = self.place(row)
            try:
                file = self._shards[shard]
                number = self._descriptor(file.path, file.links, None).number
                size = length + tfrecord.FRAME_OVERHEAD
                os.posix_fadvise(number, offset, size, os.POSIX_FADV_WILLNEED)
            except (OSError, OverflowError):
                continue  # the read itself will tell, of a damaged index too


def streamed(shard: ShardFile, compression: str) -> Iterator[bytes]:
    """The payload of each record of a shard, compressed or not, from the start.

    Raises:
        RecordError: the shard is damaged.
    """
    with tfrecord.open_shard(shard.path, compression, links=shard.links) as stream:
        for _, payload in tfrecord.read_records(stream, shard.name):
            yield payload
