"""Batches of NumPy arrays, decoded by threads straight into them: for JAX, plain loops, and whatever
else needs no framework.

Decoding releases Python's lock, so threads share the work. A batch is cut into one slice a thread:
a task for each record would spend as much on handing over as on decoding a mask.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from segrecord.errors import PixelError, RecordError, UsageError
from segrecord.options import IGNORE
from segrecord.reading.order import Order, State
from segrecord.records.schemas import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from segrecord.reading.dataset import Dataset
    from segrecord.reading.order import Flags, Rows, Step, Tail
    from segrecord.reading.store import Parts

    Pixels = npt.NDArray[np.uint8]

Size = tuple[int, int]
"""Height and width, in pixels."""


class Batch(NamedTuple):
    """N samples, decoded."""

    image: Pixels
    """(N, H, W, 3) uint8, RGB."""
    mask: Pixels
    """(N, H, W) uint8 class ids, 255 = ignore; zeros where the sample has no mask."""
    has_mask: Flags
    """(N,)."""
    label: Rows
    """(N,) int64 class ids; -1: none."""
    valid: Flags
    """(N,); False: a repeat that fills up the last batch (tail "pad")."""
    key: list[str]
    """N keys."""


class _Pending(NamedTuple):
    """A batch that threads are filling."""

    batch: Batch
    sound: Flags
    """(N,), set as the samples are decoded; stays False of those that are left out."""
    slices: list[Future[None]]
    consumed: int
    """Samples of the epoch that are delivered when this batch is."""


class Batches:
    """The batches of a dataset, epoch after epoch; made by `Dataset.batches`.

    An iteration gives what is left of the current epoch; the next one gives the next epoch, or,
    where the first was broken off, goes on behind the last batch that it gave. There may be one
    iteration at a time. Its threads end with it.

    Under on_error="skip" a batch lacks its damaged samples, and one without a sound sample is left
    out.

    Args:
        dataset: what to read; its shards must not be compressed.
        batch_size: samples a batch, on each rank.
        shuffle: in the order of `segrecord.reading.order`, another one each epoch; False: stored
            order.
        seed: of that order.
        ranks: processes that train together.
        rank: of this one, from 0.
        tail: "drop", "pad" or "exact": see `segrecord.reading.order.Tail`.
        image_size: height and width to resize to: images bilinear with antialiasing (Pillow), masks
            by the nearest neighbour. None: the images are of one size.
        threads: that decode; None: as many as the machine has cores.
        prefetch: batches that are decoded ahead.
        state: to go on from; the order is the state's then, whatever `shuffle` and `seed` say.

    Raises:
        UsageError: an argument is out of range; the state is of other data; images of unequal size
            without `image_size`. In iterating: the shards are compressed.
        RecordError: in iterating: a record is damaged; it names shard, record and offset.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        ranks: int = 1,
        rank: int = 0,
        tail: Tail = "drop",
        image_size: Size | None = None,
        threads: int | None = None,
        prefetch: int = 2,
        state: State | None = None,
    ) -> None:
        self._state = state or State(dataset.fingerprint, seed if shuffle else None)
        self._state.check(dataset.fingerprint)
        self._order = Order(len(dataset), batch_size, self._state.seed, ranks, rank, tail)
        self._order.steps(self._state.samples_consumed)  # refuses a state beyond the epoch's end
        self._dataset = dataset
        self._reader = dataset.reader
        self._resizes = image_size is not None
        self._size = _checked(image_size) if image_size else _common_size(dataset)
        self._threads = _at_least("threads", os.cpu_count() or 1 if threads is None else threads, 1)
        self._prefetch = _at_least("prefetch", prefetch, 0)

    @property
    def state(self) -> State:
        """Where to go on: it counts the samples of the batches that were given, no others."""
        return self._state

    def __len__(self) -> int:
        """The batches that are left of the current epoch."""
        return self._order.steps(self._state.samples_consumed)

    def __iter__(self) -> Iterator[Batch]:
        begun, waiting = self._state, deque[_Pending]()
        pool = ThreadPoolExecutor(self._threads, "segrecord")
        try:
            for step in self._order.batches(begun.epoch, begun.samples_consumed):
                waiting.append(self._begin(pool, step))
                if len(waiting) > self._prefetch:
                    yield from self._delivered(waiting.popleft())
            while waiting:
                yield from self._delivered(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)
        self._state = replace(begun, epoch=begun.epoch + 1, samples_consumed=0)

    def _begin(self, pool: ThreadPoolExecutor, step: Step) -> _Pending:
        """Have a batch filled by the pool."""
        batch, sound = _empty(step.valid, self._size), np.zeros(len(step.rows), np.bool_)
        rows = np.asarray(self._dataset.rows)[step.rows].tolist()
        width = -(-len(rows) // self._threads)
        slices = [
            pool.submit(self._fill, batch, sound, start, rows[start : start + width])
            for start in range(0, len(rows), width)
        ]
        return _Pending(batch, sound, slices, step.consumed)

    def _delivered(self, pending: _Pending) -> Iterator[Batch]:
        """The batch, when it is filled; nothing where all of it is damaged."""
        for part in pending.slices:
            part.result()
        self._state = replace(self._state, samples_consumed=pending.consumed)
        if pending.sound.all():
            yield pending.batch
        elif pending.sound.any():
            yield _only(pending.batch, pending.sound)

    def _fill(self, batch: Batch, sound: Flags, start: int, rows: Sequence[int]) -> None:
        """Read and decode these rows into the places of the batch from `start` on."""
        places = iter(range(start, start + len(rows)))
        for row, payload in self._reader.payloads(rows):
            # A damaged row does not come: the next place of this row is behind the last one.
            place = next(place for place in places if rows[place - start] == row)
            try:
                self._put(batch, place, self._reader.parts(row, payload))
            except PixelError as error:
                self._reader.skip(row, self._reader.undecodable(row, error))
            except RecordError as error:
                self._reader.skip(row, error)
            else:
                sound[place] = True

    def _put(self, batch: Batch, place: int, parts: Parts) -> None:
        image, mask = batch.image[place], batch.mask[place]
        if parts.size == self._size:
            self._put_straight(parts, image, mask)
        else:
            self._put_resized(parts, image, mask)
        has_mask = bool((mask != IGNORE).any()) if parts.has_mask is None else parts.has_mask
        if not has_mask:
            mask[...] = 0
        batch.has_mask[place] = has_mask
        batch.label[place] = NO_LABEL if parts.label is None else parts.label
        batch.key[place] = parts.key

    def _put_straight(self, parts: Parts, image: Pixels, mask: Pixels) -> None:
        codec = self._reader.codec
        codec.image(parts.image, self._size, parts.channels, image)
        if parts.mask:
            codec.mask(parts.mask, self._size, mask)

    def _put_resized(self, parts: Parts, image: Pixels, mask: Pixels) -> None:
        codec = self._reader.codec
        pixels = codec.image(parts.image, parts.size, parts.channels)
        size = (pixels.shape[0], pixels.shape[1])
        if size != self._size and not self._resizes:
            raise _unequal("the first image", self._size, repr(parts.key), size)
        image[...] = _resized(pixels, self._size, Image.Resampling.BILINEAR)
        if parts.mask:
            ids = codec.mask(parts.mask, size)
            mask[...] = _resized(ids, self._size, Image.Resampling.NEAREST)


def _empty(valid: Flags, size: Size) -> Batch:
    """Memory for a batch."""
    count = len(valid)
    return Batch(
        image=np.empty((count, *size, 3), np.uint8),
        mask=np.empty((count, *size), np.uint8),
        has_mask=np.zeros(count, np.bool_),
        label=np.full(count, NO_LABEL, np.int64),
        valid=valid,
        key=[""] * count,
    )


def _only(batch: Batch, sound: Flags) -> Batch:
    """The sound samples of a batch."""
    arrays = (array[sound] for array in batch[:-1])
    return Batch(*arrays, key=[batch.key[place] for place in np.flatnonzero(sound)])


def _resized(pixels: Pixels, size: Size, by: Image.Resampling) -> Pixels:
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), by))


def _common_size(dataset: Dataset) -> Size:
    """The size of all images; of shards of others, which have no index of sizes, of the first."""
    if not len(dataset):
        return (0, 0)
    index = dataset.reader.store.index
    if "height" not in index.column_names:
        height, width, _ = dataset[0].image.shape
        return height, width
    rows = dataset.rows
    table = index.select(["height", "width", "key"])
    own = (
        table.slice(rows.start, len(rows))
        if isinstance(rows, range)
        else table.take(pa.array(rows))
    )
    heights, widths = own["height"].to_numpy(), own["width"].to_numpy()
    first = (int(heights[0]), int(widths[0]))
    others = np.flatnonzero((heights != first[0]) | (widths != first[1]))
    if others.size:
        other = int(others[0])
        keys = [repr(own["key"][number].as_py()) for number in (0, other)]
        raise _unequal(keys[0], first, keys[1], (int(heights[other]), int(widths[other])))
    return first


def _unequal(one: str, size: Size, other: str, found: Size) -> UsageError:
    return UsageError(
        f"images must be of one size to be batched: {one} is {size[0]} x {size[1]}, {other} is "
        f"{found[0]} x {found[1]} (height x width); give image_size=(height, width)"
    )


def _checked(image_size: Size) -> Size:
    if len(image_size) != 2 or min(image_size) < 1:  # noqa: PLR2004 - height and width
        raise UsageError(f"image_size must be (height, width), each at least 1, got {image_size}")
    return image_size


def _at_least(name: str, value: int, least: int) -> int:
    if value < least:
        raise UsageError(f"{name} must be at least {least}, got {value}")
    return value
