"""Records by their rows of the index: read, checked, taken apart, decoded; the damaged ones told.

A `Reader` is what a `Dataset` and everything that is made of it (selections, batches) share in
one process. Rows are those of the index; threads may share it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from segrecord.errors import PixelError, RecordError, UsageError
from segrecord.options import IGNORE
from segrecord.reading import store as stores
from segrecord.reading.decode import Backend, codec
from segrecord.reading.frames import Frames, ShardFile, streamed
from segrecord.records import manifest as manifests

if TYPE_CHECKING:
    import numpy.typing as npt

OnError = Literal["raise", "skip"]

WINDOW = 64
"""Records that are asked of the disk ahead: measured, 17,000 to 23,000 cold reads a second on NVMe
against 7,000 one by one."""


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


class Settings(NamedTuple):
    """What `segrecord.open` was asked for; travels to other processes."""

    path: str | tuple[str, ...]
    check_crc: bool
    on_error: OnError
    schema: stores.Schema | None
    index_file: str | None
    backend: Backend


class Reader:
    """The records of a store.

    Attributes:
        settings: what it was opened with.
        store: what it reads from.
        codec: decodes images and masks.
        skipped: the damaged records that were left out, by row.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = _store(settings)
        self.codec = codec(self.store.layout, len(self.store.mask_classes), settings.backend)
        self.skipped: dict[int, RecordError] = {}
        self._frames = Frames(self.store.shards, self.store.index, check_crc=settings.check_crc)

    def payload(self, row: int) -> bytes:
        """The serialized Example of this row.

        Raises:
            RecordError: it cannot be read, is cut, or a CRC does not hold.
            UsageError: the shards are compressed.
        """
        self.require_random_access()
        return self._frames.read(row)

    def payloads(self, rows: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Each of these rows with its payload, in their order, asked of the disk by windows.

        Damaged ones are left out under on_error="skip".
        """
        self.require_random_access()
        wanted = list(rows)
        for start in range(0, len(wanted), WINDOW):
            window = wanted[start : start + WINDOW]
            if len(window) > 1:
                self._frames.advise(window)
            for row in window:
                try:
                    yield row, self._frames.read(row)
                except RecordError as error:
                    self.skip(row, error)

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
            raise self.undecodable(row, error) from None
        if mask is not None and parts.has_mask is None and (mask == IGNORE).all():
            mask = None
        return Example(image, mask, parts.label, parts.key, parts.group)

    def parts(self, row: int, payload: bytes) -> stores.Parts:
        """The record taken apart; raises RecordError where it does not hold what it must."""
        try:
            return self.store.parts(row, payload)
        except ValueError as error:
            raise self.error(row, str(error)) from None

    def stream(self) -> Iterator[tuple[int, bytes]]:
        """Every row and payload, shard by shard from the start; compressed ones too."""
        shards = self.store.shards
        ends = [shard.first_row for shard in shards[1:]] + [self.store.index.num_rows]
        for shard, end in zip(shards, ends, strict=True):
            yield from self._stream_shard(shard, end)

    def _stream_shard(self, shard: ShardFile, end: int) -> Iterator[tuple[int, bytes]]:
        row, rule = shard.first_row, "the file ends before this record"
        try:
            # What stands behind the index' last record of the shard is not ours to read.
            for payload in islice(streamed(shard, self.store.compression), end - row):
                yield row, payload
                row += 1
        except RecordError as error:
            rule = error.rule
        for lost in range(row, end):
            self.skip(lost, self.error(lost, rule))

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of this row's image, in pixels, read from it where no index tells."""
        index = self.store.index
        if "height" in index.column_names:
            return index["height"][row].as_py(), index["width"][row].as_py()
        height, width = self.example(row, self.payload(row)).image.shape[:2]
        return height, width

    def error(self, row: int, rule: str) -> RecordError:
        """The error of this row's record."""
        return self._frames.error(row, rule)

    def undecodable(self, row: int, error: PixelError) -> RecordError:
        """The error of a record whose image or mask cannot be decoded."""
        return self.error(row, f"{error.message} ({error.code}); {error.fix}")

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
        compression = self.store.compression
        if compression != "none":
            raise UsageError(
                f"the shards of {self.store.place} are compressed ({compression}), and nothing can "
                "begin in the middle of them: iterate, or build with --compression none"
            )


def _store(settings: Settings) -> stores.Store:
    path = settings.path
    ours = isinstance(path, str) and os.path.lexists(Path(path) / manifests.MANIFEST)
    if ours and (settings.schema is not None or settings.index_file is not None):
        raise UsageError(f"{path} was written by segrecord: leave out schema and index")
    if isinstance(path, str) and (ours or (Path(path).is_dir() and settings.schema is None)):
        return stores.of_dataset(path)
    if isinstance(path, str) and settings.schema is None and not Path(path).exists():
        raise UsageError(f"{path} does not exist, or is a glob of shards that needs schema=")
    return stores.of_shards(path, settings.schema, settings.index_file)
