"""The worker that writes one shard: pure, picklable, and its failures are values.

A shard goes into the stage under its final name only when it is whole; beside it lies a sidecar
(`.json`) with the fingerprint of the plan it belongs to and the index of its records. The parent
puts it on disk (`Stage.sync`) while the next ones are written. A file is hashed again as it is
read: a shard never holds bytes that were not scanned.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from segrecord import storage
from segrecord.errors import PixelError
from segrecord.findings import Finding
from segrecord.format import example, schemas, tfrecord
from segrecord.images import image, mask
from segrecord.images.files import load
from segrecord.images.metadata import stripped
from segrecord.options import IGNORE


class StoredDraft(NamedTuple):
    """A mask that the scan kept, and that can be stored as it is."""

    path: str
    offset: int
    length: int
    crc: int
    """CRC-32C of its bytes."""
    pixels: tuple[tuple[int, int], ...]
    """Pairs (class id, pixels)."""

    def read(self) -> bytes | None:
        """Its bytes, or None where they are not what the scan wrote (a power cut)."""
        try:
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.length)
        except OSError:
            return None
        return data if google_crc32c.value(data) == self.crc else None


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
    draft: StoredDraft | None


class WriteOptions(NamedTuple):
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
    resume_fingerprint: str
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
    options: WriteOptions


class ShardResult(NamedTuple):
    """What became of a shard: written, if there are no problems and no failure."""

    name: str
    problems: tuple[Finding, ...]
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

_FIXES = {
    errno.ENOSPC: "free some space and run the same command again: finished shards are kept",
    errno.EDQUOT: "the quota is used up; make room and run the same command again",
    errno.EROFS: "the output lies on a read-only file system; choose another",
    errno.EACCES: "the output may not be written; fix its permissions or choose another",
}


def write_shard(task: ShardTask) -> ShardResult:
    """Write one shard and its sidecar; see the module's docstring."""
    problems: list[Finding] = []
    index: list[list[Any]] = []
    size = 0
    path = Path(task.folder, task.name)
    try:
        with storage.new_file(path) as file:
            frames = _frames(task, index, problems)
            for chunk in tfrecord.compressed(frames, task.options.compression):
                file.write(chunk)
                size += len(chunk)
            file.keep = not problems
        if not problems:
            sidecar = {
                "fingerprint": task.options.resume_fingerprint,
                "bytes": size,
                "records": len(index),
                "columns": dict(zip(SIDECAR_COLUMNS, zip(*index, strict=True), strict=bool(index))),
            }
            with storage.new_file(f"{path}.json") as file:
                file.write(json.dumps(sidecar, separators=(",", ":")).encode())
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "fix that and run the same command again")
        failure = f"{task.name} cannot be written: {error.strerror or error}; {fix}"
        return ShardResult(task.name, tuple(problems), failure)
    return ShardResult(task.name, tuple(problems), "")


class _RowError(Exception):
    def __init__(self, problem: Finding) -> None:
        super().__init__(problem)
        self.problem = problem


@contextlib.contextmanager
def _using(row: ShardRow, path: str) -> Iterator[None]:
    """What makes a file of this row unusable is a finding."""
    try:
        yield
    except PixelError as error:
        raise _RowError(Finding(error.code, row.key, path, values=error.values)) from None


def _frames(task: ShardTask, index: list[list[Any]], problems: list[Finding]) -> Iterator[bytes]:
    """The frames of the sound rows; the others go to `problems`, and nothing is skipped over."""
    offset = 0
    for row in task.rows:
        try:
            stored, entry = _record(row, task.options)
        except _RowError as error:
            problems.append(error.problem)
            continue
        size = len(stored.image) + len(stored.mask or b"")
        if size > MAX_STORED:
            values = {"size": size, "limit": tfrecord.MAX_RECORD}
            problems.append(Finding("record-too-large", row.key, row.image, values=values))
            continue
        payload = example.encode(schemas.features(task.options.layout, stored))
        index.append([offset, len(payload), *entry])
        offset += len(payload) + tfrecord.FRAME_OVERHEAD
        yield from tfrecord.frame(payload)


def _record(row: ShardRow, options: WriteOptions) -> tuple[schemas.Stored, list[Any]]:
    """What the record holds, and its entry in the index from `height` on."""
    data = _read(row, row.image, row.image_sha256, row.image_bytes)
    with _using(row, row.image):
        written = _image(data, row.facts, options)
    as_scanned = written.data is data and row.image_sha256
    digest = as_scanned or hashlib.sha256(written.data).digest()
    drawn = _mask(row, options, written.height, written.width)
    pixels = drawn.pixels
    stored = schemas.Stored(
        key=row.key,
        filename=row.key + os.path.splitext(row.image)[1],  # noqa: PTH122 - text
        image=written.data,
        image_format=written.format,
        height=written.height,
        width=written.width,
        channels=written.channels,
        image_sha256=digest.hex(),
        mask=drawn.stored,
        has_mask=drawn.present,
        label=row.label,
        class_name=row.class_name,
        meta=row.meta,
        num_classes=options.num_classes,
    )
    by_class = [pixels.get(number, 0) for number in range(options.num_classes)] if pixels else None
    ignored = pixels.get(IGNORE, 0) if pixels else None
    return stored, [written.height, written.width, drawn.present, by_class, ignored, digest.hex()]


def _read(row: ShardRow, path: str, sha256: bytes | None, size: int | None) -> bytes:
    """The file's bytes, which must be those that were scanned."""
    with _using(row, path):
        data = load(path)
    same = hashlib.sha256(data).digest() == sha256 if sha256 is not None else len(data) == size
    if not same:
        raise _RowError(Finding("changed-since-scan", row.key, path))
    return data


class _Image(NamedTuple):
    data: bytes
    format: str
    height: int
    width: int
    channels: int


def _image(data: bytes, facts: image.ImageFacts, options: WriteOptions) -> _Image:
    size = options.size if options.size != (facts.height, facts.width) else None
    if options.layout.schema != "raw":
        stored, form, height, width = image.store(data, facts, size, keep=options.keep)
        return _Image(stored, form, height, width, 3)
    pixels = image.decode(data) if size is None else image.resize(image.decode(data), *size)
    channels = 1 if pixels.ndim == 2 else 3  # noqa: PLR2004 - height and width
    return _Image(pixels.tobytes(), "raw", pixels.shape[0], pixels.shape[1], channels)


def _mask(row: ShardRow, options: WriteOptions, height: int, width: int) -> Mask:
    if not row.masks:
        stored: bytes | None = None
        if options.layout.masks and options.missing_mask != "omit":
            value = 0 if options.missing_mask == "zeros" else IGNORE
            empty = options.missing_mask == "empty"
            stored = b"" if empty else _filled(height, width, value, options)
        return Mask(stored, present=False, pixels=None)
    if options.map is None:
        copied = _read(row, row.masks[0], None, row.mask_bytes[0])
        with _using(row, row.masks[0]):  # refuses what EXIF turns
            bare = stripped(copied, "png", profile=False)
        return Mask(copied if options.keep_metadata else bare, present=True, pixels=None)
    files = [
        _read(row, path, sha256, None)
        for path, sha256 in zip(row.masks, row.mask_sha256s, strict=True)
    ]
    if row.draft is not None and (draft := row.draft.read()) is not None:
        return Mask(draft, present=True, pixels=dict(row.draft.pixels))
    lut = options.map.lut()
    parts = []
    for path, data in zip(row.masks, files, strict=True):
        with _using(row, path):
            plane = mask.read(data)
        parts.append(options.map.apply(plane, lut))
    ids = mask.fit(mask.paint(parts, options.map.clear), height, width)
    return Mask(_stored_mask(ids, options), present=True, pixels=mask.count_ids(ids))


def _stored_mask(ids: npt.NDArray[np.uint8], options: WriteOptions) -> bytes:
    if options.layout.black_white:
        ids = mask.black_and_white(ids)
    if options.layout.schema != "raw":
        return mask.encode(ids)
    if options.layout.one_hot:
        # IGNORE is no class: such a pixel's row is all zero.
        one_hot: npt.NDArray[np.bool_] = ids[:, :, None] == np.arange(options.num_classes)
        return one_hot.tobytes()
    return ids.tobytes()


@functools.lru_cache(maxsize=8)  # one-hot masks are large
def _filled(height: int, width: int, value: int, options: WriteOptions) -> bytes:
    return _stored_mask(np.full((height, width), value, np.uint8), options)
