"""A record in pictures, as a browser takes them: its image, its mask in colours, a small overlay.

What is decoded is what a training reads (`segrecord.read.decode`); a record that cannot be
decoded raises, and never gives a picture of something else.
"""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from segrecord.errors import PixelError, RecordError
from segrecord.images import image, jpeg, png
from segrecord.images.files import load
from segrecord.images.overlay import MAX_SIDE, colour_of
from segrecord.options import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from segrecord.read.records import Parts, Records

    Pixels = npt.NDArray[np.uint8]

THUMB = 160
"""Pixels of the longer side of a thumbnail."""

_KEPT = 1024
"""Thumbnails that are kept: about 5 MB."""

_ALPHA = 0.45
"""Of a mask in a thumbnail; elsewhere the page decides."""

_BROWSERS_READ = {jpeg.SIGNATURE: "image/jpeg", png.SIGNATURE: "image/png"}

_QUALITY = 85
_STRIPES = ((225, 225, 225), (90, 90, 90))
_STRIPE = 4  # pixels
_PER_LINE = 400  # pixels of the longer side for each that an outline reaches into each class

_COLOURS = np.array([(*colour_of(number), 255) for number in range(256)], np.uint8)
_COLOURS[0] = 0  # the background, which shows the image


class Picture(NamedTuple):
    """What a browser is sent."""

    data: bytes
    media_type: str


class Pictures:
    """The pictures of a dataset's records, by row; threads may share it.

    Every method raises RecordError where the record is damaged.
    """

    def __init__(self, reader: Records) -> None:
        self._reader = reader
        self.thumb = lru_cache(_KEPT)(self._thumb)
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def image(self, row: int) -> Picture:
        """The bytes that are stored; of schema raw the pixels, as PNG."""
        parts = self._parts(row)
        if self._reader.shards.layout.schema != "raw":
            for signature, kind in _BROWSERS_READ.items():
                if parts.image.startswith(signature):
                    return Picture(parts.image, kind)
        return _png(self._image(row, parts))

    def mask(self, row: int, *, outline: bool = False) -> Picture | None:
        """The mask as RGBA: each class in its colour, the background clear, 255 hatched grey.

        Args:
            row: of the index.
            outline: only where one class meets another, reduced to a picture of MAX_SIDE so that
                the lines are seen.

        Returns:
            None: the record has no mask.
        """
        parts = self._parts(row)
        if not parts.mask:
            return None
        ids = self._mask(row, parts)
        if not outline:
            return _png(coloured(ids))
        ids = _nearest(ids, _fitted((ids.shape[0], ids.shape[1]), MAX_SIDE))
        edges = _edges(ids, max(1, round(max(ids.shape) / _PER_LINE)))
        # The side of the background is clear, that of the class has its colour.
        lines = _looked_up(ids)
        lines[ids == IGNORE, :3] = _STRIPES[0]
        return _png(np.where(edges[:, :, None], lines, np.uint8(0)))

    def thumbs(
        self, rows: Iterable[int], *, painted: bool
    ) -> Iterator[tuple[int, Picture | RecordError]]:
        """Each of these rows with its thumbnail or what is wrong with it, made in threads."""
        made = [(row, self._threads.submit(self.thumb, row, painted=painted)) for row in rows]
        try:
            for row, future in made:
                try:
                    yield row, future.result()
                except RecordError as error:
                    yield row, error
        finally:  # who turns the page before all are made wants no more of them
            for _, future in made:
                future.cancel()

    def _thumb(self, row: int, *, painted: bool) -> Picture:
        """A JPEG of THUMB pixels at most, with or without its mask."""
        parts = self._parts(row)
        size = _fitted(parts.size or (0, 0), THUMB)
        if parts.image.startswith(jpeg.SIGNATURE):
            try:
                # libjpeg reduces while it decodes: a twelfth of the time for a photograph.
                pixels = simplejpeg.decode_jpeg(
                    parts.image, "RGB", fastdct=True, min_height=size[0], min_width=size[1]
                )
            except (ValueError, MemoryError) as error:
                raise self._reader.error(row, f"the JPEG cannot be decoded: {error}") from None
        else:
            pixels = self._image(row, parts)
        small = _resized(pixels, size)
        if painted and parts.mask:
            # Half transparent, with a line around.
            ids = _nearest(self._mask(row, parts), (small.shape[0], small.shape[1]))
            over = coloured(ids)
            over[:, :, 3] = np.where(_edges(ids, 1), over[:, :, 3], over[:, :, 3] * _ALPHA)
            plain = Image.fromarray(small).convert("RGBA")
            small = np.asarray(Image.alpha_composite(plain, Image.fromarray(over)).convert("RGB"))
        small = np.ascontiguousarray(small)
        data = simplejpeg.encode_jpeg(small, _QUALITY, "RGB", "444")
        return Picture(data, "image/jpeg")

    def _parts(self, row: int) -> Parts:
        return self._reader.parts(row, self._reader.payload(row))

    def _image(self, row: int, parts: Parts) -> Pixels:
        try:
            return self._reader.codec.image(parts.image, parts.size, parts.channels)
        except PixelError as error:
            raise self._reader.error(row, str(error)) from None

    def _mask(self, row: int, parts: Parts) -> Pixels:
        try:
            return self._reader.codec.mask(parts.mask, parts.size or (0, 0))
        except PixelError as error:
            raise self._reader.error(row, str(error)) from None


def source_picture(path: str) -> Picture:
    """The file that a record was made of, at most MAX_SIDE pixels a side.

    Raises:
        PixelError: it cannot be read, or is no image that can be used.
    """
    pixels = image.decode(load(path))
    return _png(_resized(pixels, _fitted((pixels.shape[0], pixels.shape[1]), MAX_SIDE)))


def coloured(ids: Pixels) -> Pixels:
    """(H, W, 4) RGBA of class ids (H, W): a colour a class, 0 clear, 255 hatched grey."""
    found = _looked_up(ids)
    ignored = ids == IGNORE
    if ignored.any():
        down, across = np.ogrid[: ids.shape[0], : ids.shape[1]]
        stripe = (down + across) // _STRIPE % 2
        found[ignored, :3] = np.array(_STRIPES, np.uint8)[stripe][ignored]
    return found


def _looked_up(ids: Pixels) -> Pixels:
    """(H, W, 4) the colours of the ids, four bytes at a time: five times faster than one by one."""
    found: Pixels = np.take(_COLOURS.view(np.uint32)[:, 0], ids).view(np.uint8)
    return found.reshape(*ids.shape, 4)


def _edges(ids: Pixels, reach: int) -> npt.NDArray[np.bool_]:
    """(H, W) whether another class lies within so many pixels in the row or column."""
    found = np.zeros(ids.shape, np.bool_)
    for step in range(1, reach + 1):
        for axis in (0, 1):
            first, second = np.moveaxis(ids, axis, 0), np.moveaxis(found, axis, 0)
            differs = first[step:] != first[:-step]
            second[step:] |= differs
            second[:-step] |= differs
    return found


def _fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Height and width with no side longer than this; smaller pictures stay as they are."""
    scale = min(1.0, longest / max(*size, 1))
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if pixels.shape[:2] == size:
        return pixels
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BOX, reducing_gap=2.0))


def _nearest(ids: Pixels, size: tuple[int, int]) -> Pixels:
    """The ids in the middle of each of the pixels of this size."""
    height, width = ids.shape
    down = ((np.arange(size[0]) + 0.5) * height / size[0]).astype(np.int64)
    across = ((np.arange(size[1]) + 0.5) * width / size[1]).astype(np.int64)
    found: Pixels = ids[down][:, across]
    return found


def _png(pixels: Pixels) -> Picture:
    """(H, W), (H, W, 3) or (H, W, 4) without loss; fast rather than small: it goes nowhere."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=1)
    return Picture(out.getvalue(), "image/png")
