"""The worker that checks one shard: pure, picklable, on plain values; what it finds are values.

One pass over the file: it is hashed while its frames go by. Records are matched with the rows of
the index by their key (by the hash of their image where the schema stores no key), so that a
record that was moved, copied or lost is reported as that, and not as damage of all that follow it.
Then each is compared with its row, by the strict decoders of `segrecord.images`.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from segrecord import storage
from segrecord.errors import PixelError, RecordError
from segrecord.format import example, schemas, tfrecord
from segrecord.format.stored_mask import read_mask
from segrecord.images import image, jpeg, mask, png
from segrecord.options import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segrecord.format.schemas import Layout, Read

_CHUNK = 1 << 20
_SHOWN_IDS = 6


class IndexRow(NamedTuple):
    """What the index says of one record; see `tables.RECORDS`."""

    key: str
    offset: int
    length: int
    label: int | None
    height: int
    width: int
    has_mask: bool
    mask_pixels: tuple[int, ...] | None
    ignore_pixels: int | None
    sha256: bytes


class CheckTask(NamedTuple):
    """One shard to check; plain values, so that a worker need not load Arrow."""

    path: str
    name: str
    """How errors name the shard."""
    layout: Layout
    compression: str
    mask_classes: int
    """Mask ids run from 0 to one less, and IGNORE; 0: masks are unchecked."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the file, in hexadecimal; empty: not known yet, this check tells it."""
    rows: tuple[IndexRow, ...]
    decode: bool
    """Hash and decode image and mask too; False is the fast read-back before a commit."""
    missing_mask: str
    """What a record without a mask holds: empty, ignore, zeros, omit or error."""
    class_names: tuple[tuple[str, int], ...] = ()
    """The manifest's classes; empty: the records' class names are not compared."""


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
        file = storage.open_binary(task.path)
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
            try:
                with tfrecord.open_shard(task.path, task.compression) as inflated:
                    walk.over(inflated, None)
            except RecordError as error:
                walk.stopped(error)
        sha256 = stream.finish()
    return Checked((*_file_problems(task, size, sha256), *walk.problems), sha256)


def check_file(task: CheckTask) -> Checked:
    """Size and SHA-256 alone, for where the index cannot be used."""
    try:
        with storage.open_binary(task.path) as file:
            sha256 = _Hashed(file).finish()
            size = file.tell()
    except OSError as error:
        return Checked((RecordError(task.name, f"cannot be read: {error.strerror}"),), "")
    return Checked(tuple(_file_problems(task, size, sha256)), sha256)


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
        self._rows_of: dict[str | bytes, list[int]] = defaultdict(list)
        for number, row in enumerate(task.rows):
            self._rows_of[self._identity(row.key, row.sha256)].append(number)
        self._class_ids = dict(task.class_names)
        self._count = 0
        self._end = 0
        self._highest = -1  # the last row of the index that was met, in the index's order
        self._shift: int | None = 0  # bytes by which records stand off the index; None: unknown
        self._seen: set[int] = set()
        self._named: set[int] = set()  # rows where another record stands, which is reported
        self._unlisted: list[RecordError] = []

    def over(self, stream: BinaryIO, size: int | None) -> None:
        """Walk over the whole stream."""
        rows = self._task.rows
        try:
            for offset, payload in tfrecord.read_records(stream, self._task.name, size):
                self._take(offset, payload)
        except RecordError as error:
            self.stopped(error)
            return
        self._add_unlisted()
        if self._count != len(rows):
            rule = f"holds {self._count} records, the index lists {len(rows)}"
            self.problems.insert(0, RecordError(self._task.name, rule))
        missing = set(range(len(rows))) - self._seen - self._named if self._seen else set()
        for number in sorted(missing):
            rule = f"the record of key {rows[number].key!r} is missing"
            self._problem(rule, number, rows[number].offset)

    def stopped(self, error: RecordError) -> None:
        """The walk ends at this damage."""
        self._add_unlisted()
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
            held = schemas.stored_of(self._task.layout, example.decode(payload))
        except ValueError as error:
            self._problem(str(error), number, offset)
            self._named.add(number)
            self._shift = None
            return
        # A fast check takes the record's word for the hash of its image.
        says_all = held.key is not None and held.image_sha256 is not None
        sha256 = None
        if self._task.decode or not says_all:
            sha256 = hashlib.sha256(held.image).digest()
        identity = self._identity(held.key, sha256 or b"")
        candidates = [at for at in self._rows_of.get(identity, ()) if at not in self._seen]
        if not candidates:
            self._unknown(number, offset, identity)
            return
        at = number if number in candidates else candidates[0]
        self._match(number, offset, len(payload), at)
        row = self._task.rows[at]
        for rule in _differences(self._task, self._class_ids, row, held, sha256):
            self._problem(rule, number, offset)

    def _unknown(self, number: int, offset: int, identity: str | bytes) -> None:
        self._shift = None
        if identity in self._rows_of:
            what = f"is a second copy of {_shown(identity)}, which the index lists once"
            self._problem(what, number, offset)
            return
        here = "no record"
        if number < len(self._task.rows):
            row = self._task.rows[number]
            here = _shown(self._identity(row.key, row.sha256))
            self._named.add(number)
        rule = f"holds {_shown(identity)}, where the index lists {here}"
        self._unlisted.append(RecordError(self._task.name, rule, number, offset))

    def _match(self, number: int, offset: int, length: int, at: int) -> None:
        """Check where the record stands, against its row of the index."""
        row = self._task.rows[at]
        self._seen.add(at)
        if at < self._highest:
            before = self._task.rows[self._highest].key
            rule = f"holds key {row.key!r}, which the index lists before key {before!r}"
            self._problem(rule, number, offset)
        self._highest = max(self._highest, at)
        if at != number:
            self._shift = None
        elif self._shift is not None and offset != row.offset + self._shift:
            self._problem(f"stands at byte {offset}, the index says {row.offset}", number, offset)
        if length != row.length:
            self._problem(f"has {length} bytes, the index says {row.length}", number, offset)
        if at == number:
            self._shift = offset + length - row.offset - row.length

    def _add_unlisted(self) -> None:
        """One finding a record; but only one for a shard that is another one altogether."""
        if self._seen or len(self._unlisted) <= 1:
            self.problems += self._unlisted
            return
        first = self._unlisted[0]
        rule = f"{first.rule}; none of the {self._count} records is one that the index lists"
        self._problem(rule, first.record or 0, first.offset or 0)


def _shown(identity: str | bytes) -> str:
    if isinstance(identity, str):
        return f"key {identity!r}"
    return f"an image of SHA-256 {identity.hex()[:16]}..."


def _differences(
    task: CheckTask, class_ids: dict[str, int], row: IndexRow, held: Read, sha256: bytes | None
) -> Iterator[str]:
    """What in a record is not as its row says, a sentence each.

    Args:
        task: the shard.
        class_ids: `task.class_names` as a dict, made once.
        row: the record's row of the index.
        held: what the record holds.
        sha256: of the record's image bytes; None: not computed, what the record says is taken.
    """
    if held.label != row.label:
        yield f"has the label {held.label}, the index says {row.label}"
    if held.height is not None and held.height != row.height:
        yield f"says height {held.height}, the index says {row.height}"
    if held.width is not None and held.width != row.width:
        yield f"says width {held.width}, the index says {row.width}"
    own, said = None if sha256 is None else sha256.hex(), held.image_sha256
    if own is not None and own != row.sha256.hex():
        yield f"the image has the SHA-256 {own}, the index says {row.sha256.hex()}"
    if said is not None and said != (own or row.sha256.hex()):
        where = "the index says" if own is None else "the image has"
        yield f"says SHA-256 {said} of its image, {where} {own or row.sha256.hex()}"
    if class_ids and held.class_name is not None:
        expected = class_ids.get(held.class_name, -1) if held.class_name else None
        if expected != held.label:
            yield f"has the label {held.label} and the class name {held.class_name!r}"
    yield from _presence(task, row, held)
    yield from (_pixels if task.decode else _sizes)(task, row, held)


def _presence(task: CheckTask, row: IndexRow, held: Read) -> Iterator[str]:
    """Whether there is a mask as the index says, and else what the policy puts there."""
    policy, length = task.missing_mask, None if held.mask is None else len(held.mask)
    if held.has_mask is not None and held.has_mask != row.has_mask:
        own, other = ("has" if has else "has not" for has in (held.has_mask, row.has_mask))
        yield f"{own} a mask, the index says it {other} one"
    elif row.has_mask and not held.mask:
        yield "has no mask, the index says it has one"
    elif not row.has_mask and task.layout.masks and policy == "error":
        yield "has no mask, and missing masks are an error in this dataset"
    elif (
        not row.has_mask
        and task.layout.masks
        and not {"omit": length is None, "empty": length == 0}.get(policy, bool(length))
    ):
        there = "no mask key" if length is None else f"a mask of {length} bytes"
        yield f"is without a mask and holds {there}, which is not the policy {policy!r}"
    if held.num_classes is not None and task.mask_classes != held.num_classes:
        yield f"says {held.num_classes} mask classes, the manifest says {task.mask_classes}"


def _sizes(task: CheckTask, row: IndexRow, held: Read) -> Iterator[str]:
    """Height and width that decoders make of image and mask, against the index.

    Nothing is decoded: every decoder gives a PNG the size of its IHDR and a JPEG that of its SOF,
    but for an orientation that it applies. So an orientation is refused, on whichever side of the
    pixels of a PNG it stands: what is stored lies upright.
    """
    size = (row.height, row.width)
    try:
        if held.image_format == "raw":
            yield from _raw_size(row, held)
        else:
            yield from _stored_size(held.image, size)
        if held.mask and task.layout.schema == "raw":
            expected = row.height * row.width * (task.mask_classes if task.layout.one_hot else 1)
            if len(held.mask) != expected:
                yield f"the mask has {len(held.mask)} bytes, its size makes {expected}"
        elif held.mask:
            head = png.header(held.mask)
            if head is None or (head.height, head.width) != size:
                own = "of no size" if head is None else f"{head.height} x {head.width}"
                yield f"the mask is {own}, the image {size[0]} x {size[1]}"
    except PixelError as error:
        yield f"image or mask are damaged: {error.message} ({error.code})"


def _stored_size(stored: bytes, size: tuple[int, int]) -> Iterator[str]:
    is_png = stored.startswith(png.SIGNATURE)
    facts = png.header(stored) if is_png else jpeg.header(stored)
    if facts is None:
        yield "the image is damaged: its header has no end"
        return
    turned = png.orientation(stored) if is_png else facts.orientation
    if turned != 1:
        yield f"the image is not upright: EXIF says orientation {turned}"
    elif (facts.height, facts.width) != size:
        own = f"{facts.height} x {facts.width}"
        yield f"the image is {own}, the index says {size[0]} x {size[1]}"


def _raw_size(row: IndexRow, held: Read) -> Iterator[str]:
    channels = held.channels or 0
    if channels not in {1, 3}:
        yield f"says {channels} channels, there may be 1 or 3"
    elif len(held.image) != row.height * row.width * channels:
        yield (
            f"the image has {len(held.image)} bytes, {row.height} x {row.width} x {channels} "
            f"(height x width x channels) are {row.height * row.width * channels}"
        )


def _pixels(task: CheckTask, row: IndexRow, held: Read) -> Iterator[str]:
    """Image and mask as they decode, against the index."""
    size = f"{row.height} x {row.width}"
    try:
        if held.image_format == "raw":
            yield from _raw_size(row, held)
        else:
            facts, _ = image.examine(held.image)
            if facts.handling == "encode":
                how = "in a way that TensorFlow reads otherwise"
                yield f"the image is stored {how}: {facts.reason}"
            if (facts.height, facts.width) != (row.height, row.width):
                own = f"{facts.height} x {facts.width} (height x width)"
                yield f"the image is {own}, the index says {size}"
    except PixelError as error:
        yield f"the image is damaged: {error.message} ({error.code})"
    if not held.mask:
        return
    try:
        ids = read_mask(task.layout, held.mask, (row.height, row.width), task.mask_classes)
    except PixelError as error:
        yield f"the mask is damaged: {error.message} ({error.code})"
        return
    if ids.shape != (row.height, row.width):
        own = f"{ids.shape[0]} x {ids.shape[1]} (height x width)"
        yield f"the mask is {own}, the image {size}"
    counts = mask.count_ids(ids)
    filling = {"ignore": IGNORE, "zeros": 0}.get(task.missing_mask)
    if row.has_mask and task.mask_classes:
        yield from _mask_counts(task.mask_classes, row, counts)
    elif not row.has_mask and filling is not None and set(counts) != {filling}:
        values = ", ".join(map(str, list(counts)[:_SHOWN_IDS]))
        policy = f"the policy {task.missing_mask!r} says {filling}"
        yield f"is without a mask and is filled with {values}, {policy}"


def _mask_counts(classes: int, row: IndexRow, counts: dict[int, int]) -> Iterator[str]:
    """The ids of a mask and their pixels, against the index."""
    off = [number for number in counts if number >= classes and number != IGNORE]
    if off:
        pixels = sum(counts[number] for number in off)
        yield (
            f"the mask holds the id{'s' * (len(off) > 1)} {', '.join(map(str, off[:_SHOWN_IDS]))} "
            f"in {pixels} pixels, ids run from 0 to {classes - 1} ({IGNORE}: ignore)"
        )
    by_class = tuple(counts.get(number, 0) for number in range(classes))
    if row.mask_pixels != by_class:
        own, said = (
            "none" if pixels is None else ", ".join(map(str, pixels))
            for pixels in (by_class, row.mask_pixels)
        )
        yield f"the mask has {own} pixels a class, the index says {said}"
    ignored = counts.get(IGNORE, 0)
    if row.ignore_pixels != ignored:
        yield f"the mask has {ignored} pixels to ignore, the index says {row.ignore_pixels}"
