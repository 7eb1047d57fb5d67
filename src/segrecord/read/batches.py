"""Batches as NumPy arrays, decoded by threads straight into place.

For JAX, for plain loops, and what the exact mode of the TensorFlow adapter is made of. The order
and the state are those of `segrecord.read.sampler`; what counts as consumed is what was handed
out, never what was only read ahead.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from segrecord.errors import PixelError, RecordError, UsageError
from segrecord.format.schemas import NO_LABEL
from segrecord.options import IGNORE

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.read.records import Parts, Records
    from segrecord.read.sampler import BatchIndices, Rows, ShardedSampler, State

    Size = tuple[int, int]
    Pixels = npt.NDArray[np.uint8]

_AHEAD = 2
"""Batches that are decoded ahead of the one that is handed out."""


class Batch(NamedTuple):
    """Samples of one batch; all fields have the same length N."""

    image: npt.NDArray[np.uint8]
    """(N, H, W, 3) uint8, RGB."""
    mask: npt.NDArray[np.uint8]
    """(N, H, W) uint8 class ids, 255 = ignore; all 255 where the sample has no mask."""
    has_mask: npt.NDArray[np.bool_]
    """(N,)"""
    label: npt.NDArray[np.int64]
    """(N,) class ids; -1: none."""
    valid: npt.NDArray[np.bool_]
    """(N,); False: a repeat that fills the last batch up (`pad`)."""
    key: npt.NDArray[np.object_]
    """(N,) str."""


class Batches:
    """The batches of one rank: each iteration gives the rest of an epoch, the next one the next.

    Made by `Dataset.batches`. The arrays of a batch are its own and may be kept. An iteration that
    is left early ends its threads; the next one goes on after the last batch that it gave. With
    on_error="skip" a batch lacks its damaged records, and may be empty.

    Attributes:
        state: where it stands, counting the batches that were handed out; save it after any.
    """

    def __init__(
        self,
        records: Records,
        index_rows: Callable[[Rows], Rows],
        sampler: ShardedSampler,
        state: State,
        *,
        image_size: Size | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        require_size(image_size)
        records.require_random_access()
        self.state = state
        self._records = records
        self._index_rows = index_rows
        self._sampler = sampler
        self._size = image_size
        self._threads = threads or os.cpu_count() or 1

    def __len__(self) -> int:
        """The batches that are left of this epoch."""
        return self._sampler.steps(self.state.samples_consumed)

    def __iter__(self) -> Iterator[Batch]:
        begin = self.state
        with ThreadPoolExecutor(self._threads, "segrecord") as pool:
            ahead: deque[_Begun] = deque()
            try:
                for indices, after in self._sampler.walk(begin):
                    ahead.append(self._begin(pool, indices, after))
                    if len(ahead) > _AHEAD:
                        yield self._finish(ahead.popleft())
                while ahead:
                    yield self._finish(ahead.popleft())
            finally:
                for begun in ahead:
                    for piece in begun.pieces:
                        piece.cancel()
        if self.state == begin:  # not one batch was left
            self.state = begin.next_epoch()

    def _begin(self, pool: ThreadPoolExecutor, indices: BatchIndices, after: State) -> _Begun:
        """Let the threads fill a batch: each takes a run of its rows in the order of the shards."""
        rows = self._index_rows(indices.rows)
        count, size = len(rows), self._size
        for row in rows.tolist() if size is None else ():
            try:  # the first image that is sound; the others must be of the same size
                size = self._records.size(row)
                break
            except RecordError as error:
                self._records.skip(row, error)
        size = size or (1, 1)  # none is sound: the batch will be empty
        batch = Batch(
            image=np.empty((count, *size, 3), np.uint8),
            mask=np.empty((count, *size), np.uint8),
            has_mask=np.empty(count, np.bool_),
            label=np.empty(count, np.int64),
            valid=indices.valid,
            key=np.empty(count, np.object_),
        )
        slots = np.array_split(np.argsort(rows, kind="stable"), min(self._threads, count))
        return _Begun(batch, [pool.submit(self._fill, batch, rows, some) for some in slots], after)

    def _finish(self, begun: _Begun) -> Batch:
        """The batch when it is full, without the damaged records that were left out."""
        filled = [slot for piece in begun.pieces for slot in piece.result()]
        self.state = begun.after
        batch = begun.batch
        if len(filled) == len(batch.valid):
            return batch
        sound = np.array(sorted(filled), np.int64)
        return Batch._make(field[sound] for field in batch)

    def _fill(self, batch: Batch, rows: Rows, slots: Rows) -> list[int]:
        """Fill these slots of a batch; gives those whose record was sound."""
        records, filled, left = self._records, [], iter(slots.tolist())
        for row, payload in records.payloads(rows[slots].tolist()):
            slot = next(at for at in left if rows[at] == row)
            try:
                self._put(batch, slot, records.parts(row, payload))
                filled.append(slot)
            except PixelError as error:
                records.skip(row, records.error(row, str(error)))
            except RecordError as error:
                records.skip(row, error)
        return filled

    def _put(self, batch: Batch, slot: int, parts: Parts) -> None:
        codec, image, mask = self._records.codec, batch.image[slot], batch.mask[slot]
        size = image.shape[:2]
        if self._size is not None:
            pixels = codec.image(parts.image, parts.size, parts.channels)
            image[...] = resized(pixels, size, Image.Resampling.BILINEAR)
            ids = codec.mask(parts.mask, pixels.shape[:2]) if parts.mask else None
            mask[...] = IGNORE if ids is None else resized(ids, size, Image.Resampling.NEAREST)
        else:
            if parts.size is not None and parts.size != size:
                raise UsageError(
                    f"images of one batch must be of one size: {parts.key!r} is {parts.size[0]} x "
                    f"{parts.size[1]}, another {size[0]} x {size[1]}; pass "
                    "image_size=(height, width)"
                )
            codec.image(parts.image, size, parts.channels, image)
            if parts.mask:
                codec.mask(parts.mask, size, mask)
            else:
                mask[...] = IGNORE
        batch.has_mask[slot] = (mask != IGNORE).any() if parts.has_mask is None else parts.has_mask
        batch.label[slot] = NO_LABEL if parts.label is None else parts.label
        batch.key[slot] = parts.key


class _Begun(NamedTuple):
    """A batch that is being filled."""

    batch: Batch
    pieces: list[Future[list[int]]]
    """The slots that each thread has filled."""
    after: State


def resized(pixels: Pixels, size: tuple[int, ...], filter_: Image.Resampling) -> Pixels:
    """Pixels (H, W) or (H, W, 3) at another height and width, by Pillow."""
    if pixels.shape[:2] == size[:2]:
        return pixels
    picture = Image.fromarray(pixels).resize((size[1], size[0]), filter_)
    return np.asarray(picture)


def require_size(size: Any) -> None:
    """Refuse what is no height and width in pixels.

    Raises:
        UsageError: it is not.
    """
    if size is None:
        return
    if not isinstance(size, Sequence) or len(size) != 2 or min(size) < 1:  # noqa: PLR2004 - height and width
        raise UsageError(f"image_size must be (height, width), each at least 1, got {size}")
