"""The worker that writes one shard: pure, picklable, and its failures are values.

A shard goes into the stage under its final name only when it is whole; beside it lies a sidecar
(`.json`) with the mark of the plan it belongs to and the index of its records. The parent puts
it on disk (`Stage.sync`) while the next ones are written. A file is hashed again as it is read: a
shard never holds bytes that were not scanned.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from segrecord.errors import PixelError
from segrecord.options import IGNORE
from segrecord.pixels import image, mask
from segrecord.pixels.load import load
from segrecord.pixels.strip import stripped
from segrecord.records import example, schemas, tfrecord


class DraftRef(NamedTuple):
    """Where the scan kept a mask that can be stored as it is."""

    path: str
    offset: int
    length: int
    crc: int
    """CRC-32C of its bytes."""
    pixels: tuple[tuple[int, int], ...]
    """Pairs (class id, pixels)."""


class ShardRow(NamedTuple):
    """One sample, as the writer needs it."""

    key: str
    image: str
    masks: tuple[str, ...]
    label: int | None
    class_name: str
    meta: tuple[tuple[str, str], ...]
    facts: image.ImageFacts
    image_bytes: int
    image_sha256: bytes | None
    """Of the scanned file; None under --checks none."""
    mask_sha256s: tuple[bytes | None, ...]
    mask_bytes: tuple[int, ...]
    draft: DraftRef | None


class ShardRules(NamedTuple):
    """What is the same for all shards of a build."""

    layout: schemas.Layout
    compression: str
    missing_mask: str
    num_classes: int
    """Mask classes; 0: unchecked."""
    map: mask.ValueMap | None
    """None: mask bytes are copied unread."""
    size: tuple[int, int] | None
    """Height and width to resize to."""
    mark: str
    """What a later run has to find in the sidecar to keep the shard."""
    keep_metadata: bool
    """Whether files that are stored as they are keep what they hold beside pixels."""
    keep_profile: bool
    """Whether such images keep their colour profile, if nothing else."""

    @property
    def keep(self) -> image.Keep:
        """As `image.store` takes it."""
        return "all" if self.keep_metadata else "profile" if self.keep_profile else "nothing"


class ShardTask(NamedTuple):
    """One shard to write."""

    folder: str
    name: str
    rows: tuple[ShardRow, ...]
    rules: ShardRules


class Problem(NamedTuple):
    """What kept one sample from being written."""

    key: str
    path: str
    code: str
    message: str
    fix: str


class ShardResult(NamedTuple):
    """What became of a shard: written, if there are no problems and no failure."""

    name: str
    problems: tuple[Problem, ...]
    failure: str
    """Why the output could not be written; empty if it could."""


class Mask(NamedTuple):
    """The mask of one record."""

    stored: bytes | None
    """None: the record has no mask keys."""
    present: bool
    pixels: dict[int, int] | None
    """Pixels of each class id; None: unchecked or missing."""


MAX_STORED = tfrecord.MAX_RECORD - (1 << 20)
"""Bytes that image and mask may have: a record holds names and texts too."""

SIDECAR_COLUMNS = (
    "offset", "length", "height", "width", "has_mask", "mask_pixels", "ignore_pixels", "sha256",
)  # fmt: skip


def write_shard(task: ShardTask) -> ShardResult:
    """Write one shard and its sidecar; see the module's docstring."""
    problems: list[Problem] = []
    temporary = os.path.join(task.folder, f".{task.name}.tmp")  # noqa: PTH118 - worker, hot start
    try:
        sidecar = _write(task, temporary, problems)
        if not problems:
            _settle(temporary, os.path.join(task.folder, task.name))  # noqa: PTH118 - as above
            _write_sidecar(task, sidecar)
    except OSError as error:
        return ShardResult(task.name, tuple(problems), _failure(task.name, error))
    finally:
        if os.path.exists(temporary):  # noqa: PTH110 - as above
            os.unlink(temporary)  # noqa: PTH108 - as above
    return ShardResult(task.name, tuple(problems), "")


def _failure(name: str, error: OSError) -> str:
    way_out = {
        errno.ENOSPC: "free some space and run the same command again: finished shards are kept",
        errno.EDQUOT: "the quota is used up; make room and run the same command again",
        errno.EROFS: "the output lies on a read-only file system; choose another",
        errno.EACCES: "the output may not be written; fix its permissions or choose another",
    }
    fix = way_out.get(error.errno or 0, "fix that and run the same command again")
    return f"{name} cannot be written: {error.strerror or error}; {fix}"


def _write(task: ShardTask, path: str, problems: list[Problem]) -> dict[str, Any]:
    size = 0
    index: list[list[Any]] = []
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - as above
        for chunk in tfrecord.compressed(_frames(task, index, problems), task.rules.compression):
            _write_all(file.fileno(), chunk)
            size += len(chunk)
    columns = dict(zip(SIDECAR_COLUMNS, zip(*index, strict=True), strict=True)) if index else {}
    return {
        "mark": task.rules.mark,
        "bytes": size,
        "records": len(index),
        "columns": columns,
    }


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _frames(task: ShardTask, index: list[list[Any]], problems: list[Problem]) -> Iterator[bytes]:
    """The frames of the sound rows; the others go to `problems`, and nothing is skipped over."""
    offset = 0
    for row in task.rows:
        try:
            stored, entry = _record(row, task.rules)
        except _RowError as error:
            problems.append(error.problem)
            continue
        if len(stored.image) + len(stored.mask or b"") > MAX_STORED:
            problems.append(_too_large(row, stored))
            continue
        payload = example.encode(schemas.features(task.rules.layout, stored))
        index.append([offset, len(payload), *entry])
        offset += len(payload) + tfrecord.FRAME_OVERHEAD
        yield from tfrecord.frame(payload)


def _too_large(row: ShardRow, stored: schemas.Stored) -> Problem:
    size = len(stored.image) + len(stored.mask or b"")
    return Problem(
        row.key,
        row.image,
        "record-too-large",
        f"image and mask take {size} bytes in the record, protobuf allows {tfrecord.MAX_RECORD}",
        "pass --size HxW, or another schema than raw",
    )


class _RowError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def _record(row: ShardRow, rules: ShardRules) -> tuple[schemas.Stored, list[Any]]:
    """What the record holds, and its entry in the index from `height` on."""
    data = _read(row, row.image, row.image_sha256, row.image_bytes)
    found = _guard(row, row.image, _image, data, row.facts, rules)
    own = found.data is data and row.image_sha256 is not None
    digest = row.image_sha256 if own and row.image_sha256 else hashlib.sha256(found.data).digest()
    drawn = _mask(row, rules, found.height, found.width)
    pixels = drawn.pixels
    stored = schemas.Stored(
        key=row.key,
        filename=row.key + os.path.splitext(row.image)[1],  # noqa: PTH122 - text
        image=found.data,
        image_format=found.format,
        height=found.height,
        width=found.width,
        channels=found.channels,
        image_sha256=digest.hex(),
        mask=drawn.stored,
        has_mask=drawn.present,
        label=row.label,
        class_name=row.class_name,
        meta=row.meta,
        num_classes=rules.num_classes,
    )
    by_class = [pixels.get(number, 0) for number in range(rules.num_classes)] if pixels else None
    ignored = pixels.get(IGNORE, 0) if pixels else None
    return stored, [found.height, found.width, drawn.present, by_class, ignored, digest.hex()]


class _Image(NamedTuple):
    data: bytes
    format: str
    height: int
    width: int
    channels: int


def _image(data: bytes, facts: image.ImageFacts, rules: ShardRules) -> _Image:
    size = rules.size if rules.size != (facts.height, facts.width) else None
    if rules.layout.schema != "raw":
        stored, form, height, width = image.store(data, facts, size, keep=rules.keep)
        return _Image(stored, form, height, width, 3)
    pixels = image.decode(data) if size is None else image.resize(image.decode(data), *size)
    channels = 1 if pixels.ndim == 2 else 3  # noqa: PLR2004 - height and width
    return _Image(pixels.tobytes(), "raw", pixels.shape[0], pixels.shape[1], channels)


def _read(row: ShardRow, path: str, sha256: bytes | None, size: int | None) -> bytes:
    data: bytes = _guard(row, path, load, path)
    same = hashlib.sha256(data).digest() == sha256 if sha256 is not None else len(data) == size
    if not same:
        raise _RowError(
            Problem(
                row.key,
                path,
                "changed-since-scan",
                "the file is no longer the one that was scanned",
                "do not change files during a build; run the same command again",
            )
        )
    return data


def _guard(row: ShardRow, path: str, work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except PixelError as error:
        raise _RowError(Problem(row.key, path, error.code, error.message, error.fix)) from None


def _mask(row: ShardRow, rules: ShardRules, height: int, width: int) -> Mask:
    if not row.masks:
        return Mask(_missing(rules, height, width), present=False, pixels=None)
    if rules.map is None:
        copied = _read(row, row.masks[0], None, row.mask_bytes[0])
        bare = _guard(row, row.masks[0], _bare_mask, copied)  # refuses what EXIF turns
        return Mask(copied if rules.keep_metadata else bare, present=True, pixels=None)
    files = [
        _read(row, path, sha256, None)
        for path, sha256 in zip(row.masks, row.mask_sha256s, strict=True)
    ]
    if row.draft is not None:
        drafted = _drafted(row.draft)
        if drafted is not None:
            return Mask(drafted, present=True, pixels=dict(row.draft.pixels))
    lut = rules.map.lut()
    parts = []
    for path, data in zip(row.masks, files, strict=True):
        plane = _guard(row, path, mask.read, data)
        parts.append(rules.map.apply(plane, lut))
    ids = mask.fit(mask.paint(parts, rules.map.clear), height, width)
    return Mask(_stored_mask(ids, rules), present=True, pixels=mask.count_ids(ids))


def _bare_mask(copied: bytes) -> bytes:
    """A mask that is copied unread, always a PNG, without its metadata."""
    return stripped(copied, "png", profile=False)


def _drafted(draft: DraftRef) -> bytes | None:
    """The draft's bytes, or None where they are not what the scan wrote (a power cut)."""
    try:
        with open(draft.path, "rb") as file:  # noqa: PTH123 - as above
            file.seek(draft.offset)
            data = file.read(draft.length)
    except OSError:
        return None
    return data if google_crc32c.value(data) == draft.crc else None


def _stored_mask(ids: npt.NDArray[np.uint8], rules: ShardRules) -> bytes:
    if rules.layout.black_white:
        ids = mask.black_and_white(ids)
    if rules.layout.schema != "raw":
        return mask.encode(ids)
    if rules.layout.one_hot:
        # IGNORE is no class: such a pixel's row is all zero.
        one_hot: npt.NDArray[np.bool_] = ids[:, :, None] == np.arange(rules.num_classes)
        return one_hot.tobytes()
    return ids.tobytes()


def _missing(rules: ShardRules, height: int, width: int) -> bytes | None:
    if not rules.layout.masks or rules.missing_mask == "omit":
        return None
    if rules.missing_mask == "empty":
        return b""
    value = 0 if rules.missing_mask == "zeros" else IGNORE
    return _filled(height, width, value, rules)


@functools.lru_cache(maxsize=8)  # one-hot masks are large
def _filled(height: int, width: int, value: int, rules: ShardRules) -> bytes:
    return _stored_mask(np.full((height, width), value, np.uint8), rules)


def _settle(temporary: str, path: str) -> None:
    os.replace(temporary, path)  # noqa: PTH105 - as above


def _write_sidecar(task: ShardTask, sidecar: dict[str, Any]) -> None:
    path = os.path.join(task.folder, f"{task.name}.json")  # noqa: PTH118 - as above
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123 - as above
        json.dump(sidecar, file, separators=(",", ":"))
    _settle(temporary, path)
