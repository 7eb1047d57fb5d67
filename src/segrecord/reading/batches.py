"""Batches as NumPy arrays, decoded by threads straight into place.

For JAX, for plain loops, and what the exact mode of the TensorFlow adapter is made of. The order
and the state are those of `segrecord.reading.order`; what counts as consumed is what was handed
out, never what was only read ahead.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from segrecord.errors import PixelError, RecordError, UsageError
from segrecord.options import IGNORE
from segrecord.records.schemas import NO_LABEL

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.reading.dataset import Dataset
    from segrecord.reading.order import Order, State, Step
    from segrecord.reading.reader import Reader
    from segrecord.reading.store import Parts

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
    """(N,); False: a repeat that fills the last batch up (tail "pad")."""
    key: npt.NDArray[np.object_]
    """(N,) str."""

    def take(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """The samples of these numbers."""
        return Batch._make(field[numbers] for field in self)


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
        dataset: Dataset,
        order: Order,
        state: State,
        *,
        image_size: Size | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        require_size(image_size)
        dataset.reader.require_random_access()
        if image_size is None and order.batch_size > 1:
            dataset.require_one_size()
        order.require_batch()
        order.steps(state.samples_consumed)  # refuses a state past the end
        self.state = state
        self._dataset = dataset
        self._order = order
        self._size = image_size
        self._threads = threads or os.cpu_count() or 1

    def __len__(self) -> int:
        """The batches that are left of this epoch."""
        return self._order.steps(self.state.samples_consumed)

    def __iter__(self) -> Iterator[Batch]:
        begin = self.state
        with ThreadPoolExecutor(self._threads, "segrecord") as pool:
            ahead: deque[_Begun] = deque()
            try:
                for step, after in self._order.walk(begin):
                    ahead.append(self._begin(pool, step, after))
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

    def _begin(self, pool: ThreadPoolExecutor, step: Step, after: State) -> _Begun:
        """Let the threads fill a batch: each takes a run of its rows in the order of the shards."""
        rows = self._dataset.index_rows(step.rows)
        batch = _empty(len(rows), self._size or self._size_of(rows), step)
        places = np.array_split(np.argsort(rows, kind="stable"), min(self._threads, len(rows)))
        filler = _Filler(self._dataset.reader, batch, rows, resized=self._size is not None)
        return _Begun(batch, [pool.submit(filler.fill, some) for some in places], after)

    def _size_of(self, rows: npt.NDArray[np.int64]) -> Size:
        """Of the first image of a batch that is sound; the others must be of the same."""
        reader = self._dataset.reader
        for row in rows.tolist():
            try:
                return reader.size(row)
            except RecordError as error:
                reader.skip(row, error)
        return 1, 1  # none is sound: the batch will be empty

    def _finish(self, begun: _Begun) -> Batch:
        """The batch when it is full, without the damaged records that were left out."""
        filled = [place for piece in begun.pieces for place in piece.result()]
        self.state = begun.after
        batch = begun.batch
        whole = len(filled) == len(batch.valid)
        return batch if whole else batch.take(np.array(sorted(filled), np.int64))


class _Begun(NamedTuple):
    """A batch that is being filled."""

    batch: Batch
    pieces: list[Future[list[int]]]
    """The places that each thread has filled."""
    after: State


class _Filler(NamedTuple):
    """What a thread needs to fill its part of a batch."""

    reader: Reader
    batch: Batch
    rows: npt.NDArray[np.int64]
    resized: bool

    def fill(self, places: npt.NDArray[np.int64]) -> list[int]:
        """Fill these places; gives those whose record was sound."""
        filled, left = [], iter(places.tolist())
        for row, payload in self.reader.payloads(self.rows[places].tolist()):
            place = next(at for at in left if self.rows[at] == row)
            try:
                self._put(place, self.reader.parts(row, payload))
                filled.append(place)
            except PixelError as error:
                self.reader.skip(row, self.reader.undecodable(row, error))
            except RecordError as error:
                self.reader.skip(row, error)
        return filled

    def _put(self, place: int, parts: Parts) -> None:
        batch, codec = self.batch, self.reader.codec
        image, mask = batch.image[place], batch.mask[place]
        if self.resized:
            found = codec.image(parts.image, parts.size, parts.channels)
            size = found.shape[:2]
            image[...] = resized(found, image.shape[:2], Image.Resampling.BILINEAR)
            ids = codec.mask(parts.mask, size) if parts.mask else None
            mask[...] = IGNORE if ids is None else resized(ids, mask.shape, _NEAREST)
        else:
            _require_alike(parts, image.shape[:2])
            codec.image(parts.image, image.shape[:2], parts.channels, image)
            if parts.mask:
                codec.mask(parts.mask, mask.shape, mask)
            else:
                mask[...] = IGNORE
        batch.has_mask[place] = (mask != IGNORE).any() if parts.has_mask is None else parts.has_mask
        batch.label[place] = NO_LABEL if parts.label is None else parts.label
        batch.key[place] = parts.key


_NEAREST = Image.Resampling.NEAREST


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


def _empty(count: int, size: Size, step: Step) -> Batch:
    return Batch(
        image=np.empty((count, *size, 3), np.uint8),
        mask=np.empty((count, *size), np.uint8),
        has_mask=np.empty(count, np.bool_),
        label=np.empty(count, np.int64),
        valid=step.valid,
        key=np.empty(count, np.object_),
    )


def _require_alike(parts: Parts, size: tuple[int, ...]) -> None:
    if parts.size is not None and parts.size != size:
        raise UsageError(
            f"images of one batch must be of one size: {parts.key!r} is {parts.size[0]} x "
            f"{parts.size[1]}, another {size[0]} x {size[1]}; pass image_size=(height, width)"
        )
