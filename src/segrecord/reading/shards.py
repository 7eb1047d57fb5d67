"""The worker that checks one shard: pure, picklable, on plain values; what it finds are values.

One pass over the file: it is hashed while its frames go by. Records are matched with the rows of
the index by their key (by the hash of their image where the schema stores no key), so that a
record that was moved, copied or lost is told as that, and not as damage of all that follow it.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from segrecord.errors import RecordError
from segrecord.reading import content
from segrecord.records import example, regular, schemas, tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segrecord.reading.content import CheckTask

_CHUNK = 1 << 20


class Checked(NamedTuple):
    """What one shard was found to be."""

    problems: tuple[RecordError, ...]
    sha256: str
    """Of the file as it is, in hexadecimal; empty where it could not be read."""


def check_shard(task: CheckTask) -> tuple[RecordError, ...]:
    """Everything that is wrong with one shard; empty where it is as manifest and index say.

    The file's size and SHA-256, the framing and both CRCs of every record, then each record
    against its row of the index, the sizes of image and mask included; with `task.decode` these
    are decoded too, and the image is hashed (without it, only where the record does not say its
    hash: the file's own hash stands for the bytes, and a second one would halve the speed).
    Damaged framing ends the walk, since nothing after it can be trusted; the rule then says how
    many records were not reached. Every other finding stands for itself.
    """
    return examine_shard(task).problems


def examine_shard(task: CheckTask) -> Checked:
    """As `check_shard`, with the SHA-256 that the file has."""
    try:
        file = regular.open_binary(task.path)
    except FileNotFoundError:
        return Checked((RecordError(task.name, "the file is missing"),), "")
    except OSError as error:
        return Checked((RecordError(task.name, f"cannot be read: {error.strerror}"),), "")
    walk = _Walk(task)
    with file:
        size = os.fstat(file.fileno()).st_size
        stream = _Hashed(file)
        if task.compression == "none":
            walk.over(cast("BinaryIO", stream), size)
        else:
            _over_compressed(walk, task)
        sha256 = stream.finish()
    return Checked((*_file_problems(task, size, sha256), *walk.problems), sha256)


def check_file(task: CheckTask) -> Checked:
    """Size and SHA-256 alone, for where the index cannot be used."""
    try:
        with regular.open_binary(task.path) as file:
            sha256 = _Hashed(file).finish()
            size = file.tell()
    except OSError as error:
        return Checked((RecordError(task.name, f"cannot be read: {error.strerror}"),), "")
    return Checked(tuple(_file_problems(task, size, sha256)), sha256)


def _over_compressed(walk: _Walk, task: CheckTask) -> None:
    try:
        with tfrecord.open_shard(task.path, task.compression) as stream:
            walk.over(stream, None)
    except RecordError as error:
        walk.stopped(error)


def _file_problems(task: CheckTask, size: int, sha256: str) -> Iterator[RecordError]:
    if size != task.bytes:
        yield RecordError(task.name, f"has {size} bytes, the manifest says {task.bytes}")
    elif task.sha256 and sha256 != task.sha256:
        rule = f"has the SHA-256 {sha256 or '(unreadable)'}, the manifest says {task.sha256}"
        yield RecordError(task.name, rule)


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, length: int) -> bytes:
        data = self._file.read(length)
        self._digest.update(data)
        return data

    def finish(self) -> str:
        """The SHA-256 of the whole file; empty where the rest of it cannot be read."""
        try:
            while self.read(_CHUNK):
                pass
        except OSError:
            return ""
        return self._digest.hexdigest()


class _Walk:
    """One walk over a shard's records, and what it has found so far."""

    def __init__(self, task: CheckTask) -> None:
        self.problems: list[RecordError] = []
        self._task = task
        self._by_key = schemas.name_of(task.layout, "key") is not None
        self._places: dict[str | bytes, list[int]] = defaultdict(list)
        for place, row in enumerate(task.rows):
            self._places[self._identity(row.key, row.sha256)].append(place)
        self._class_ids = dict(task.class_names)
        self._count = 0
        self._end = 0
        self._highest = -1  # the last row of the index that was met, in the index's order
        self._shift: int | None = 0  # bytes by which records stand off the index; None: unknown
        self._seen: set[int] = set()
        self._named: set[int] = set()  # rows where another record stands, which is told of
        self._strangers: list[RecordError] = []

    def over(self, stream: BinaryIO, size: int | None) -> None:
        """Walk over the whole stream."""
        try:
            for offset, payload in tfrecord.read_records(stream, self._task.name, size):
                self._take(offset, payload)
        except RecordError as error:
            self.stopped(error)
        else:
            self._finish()

    def stopped(self, error: RecordError) -> None:
        """Note the damage that ends the walk."""
        self._tell_strangers()
        left = max(len(self._task.rows) - self._count - 1, 0)
        after = f"; {left} record{'s' * (left != 1)} after it could not be reached" if left else ""
        record = self._count if error.record is None else error.record
        offset = self._end if error.offset is None else error.offset
        self.problems.append(RecordError(self._task.name, error.rule + after, record, offset))

    def _identity(self, key: str | None, sha256: bytes) -> str | bytes:
        return key if self._by_key and key is not None else sha256

    def _problem(self, rule: str, number: int, offset: int) -> None:
        self.problems.append(RecordError(self._task.name, rule, number, offset))

    def _take(self, offset: int, payload: bytes) -> None:
        number, self._count = self._count, self._count + 1
        self._end = offset + tfrecord.FRAME_OVERHEAD + len(payload)
        try:
            found = schemas.stored_of(self._task.layout, example.decode(payload))
        except ValueError as error:
            self._problem(str(error), number, offset)
            self._named.add(number)
            self._shift = None
            return
        sha256 = self._image_hash(found)
        identity = self._identity(found.key, sha256 or b"")
        place = self._place(number, identity)
        if place is None:
            self._unknown(number, offset, identity)
            return
        self._match(number, offset, len(payload), place)
        row = self._task.rows[place]
        for rule in content.differences(self._task, self._class_ids, row, found, sha256):
            self._problem(rule, number, offset)

    def _image_hash(self, found: schemas.Read) -> bytes | None:
        """SHA-256 of the image; None where a fast check takes the record's word for it."""
        if not self._task.decode and found.key is not None and found.image_sha256 is not None:
            return None
        return hashlib.sha256(found.image).digest()

    def _place(self, number: int, identity: str | bytes) -> int | None:
        """The row of the index that this record answers; None: none that is still open."""
        open_places = [at for at in self._places.get(identity, ()) if at not in self._seen]
        if number in open_places:
            return number
        return open_places[0] if open_places else None

    def _unknown(self, number: int, offset: int, identity: str | bytes) -> None:
        self._shift = None
        if identity in self._places:
            what = f"is a second copy of {_shown(identity)}, which the index lists once"
            self._problem(what, number, offset)
            return
        here = "no record"
        if number < len(self._task.rows):
            row = self._task.rows[number]
            here = _shown(self._identity(row.key, row.sha256))
            self._named.add(number)
        rule = f"holds {_shown(identity)}, where the index lists {here}"
        self._strangers.append(RecordError(self._task.name, rule, number, offset))

    def _match(self, number: int, offset: int, length: int, place: int) -> None:
        """Check where the record stands, against its row."""
        row = self._task.rows[place]
        self._seen.add(place)
        if place < self._highest:
            before = self._task.rows[self._highest].key
            rule = f"holds key {row.key!r}, which the index lists before key {before!r}"
            self._problem(rule, number, offset)
        self._highest = max(self._highest, place)
        if place != number:
            self._shift = None
        elif self._shift is not None and offset != row.offset + self._shift:
            self._problem(f"stands at byte {offset}, the index says {row.offset}", number, offset)
        if length != row.length:
            self._problem(f"has {length} bytes, the index says {row.length}", number, offset)
        if place == number:
            self._shift = offset + length - row.offset - row.length

    def _finish(self) -> None:
        """What only the end of the shard shows."""
        self._tell_strangers()
        rows = self._task.rows
        if self._count != len(rows):
            rule = f"holds {self._count} records, the index lists {len(rows)}"
            self.problems.insert(0, RecordError(self._task.name, rule))
        if not self._seen:
            return
        for place, row in enumerate(rows):
            if place not in self._seen and place not in self._named:
                self._problem(f"the record of key {row.key!r} is missing", place, row.offset)

    def _tell_strangers(self) -> None:
        """One finding a record; but only one for a shard that is another one altogether."""
        if self._seen or len(self._strangers) <= 1:
            self.problems += self._strangers
            return
        first = self._strangers[0]
        rule = f"{first.rule}; none of the {self._count} records is one that the index lists"
        self._problem(rule, first.record or 0, first.offset or 0)


def _shown(identity: str | bytes) -> str:
    if isinstance(identity, str):
        return f"key {identity!r}"
    return f"an image of SHA-256 {identity.hex()[:16]}..."
