"""Stored images and masks into arrays, fast: the hot path of a training.

What is stored is of few kinds (see `segrecord.images.image`: PNG of 8 bits, JPEG, raw pixels), and
each is decoded straight into the place in a batch where it belongs. The PNG walk with all its
checks is free, since what it inflates is what is decoded.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import simplejpeg

from segrecord.errors import PixelError, UsageError
from segrecord.format.stored_mask import read_mask
from segrecord.images import files, image, jpeg, png
from segrecord.images.mask import ids_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.format.schemas import Layout

    Pixels = npt.NDArray[np.uint8]

Backend = Literal["auto", "core", "fast"]
"""core: simplejpeg, isal and Pillow. fast: OpenCV too, of the extra `fast`. auto: fast where it is
installed. The pixels are equal."""

RGB = 3
"""Channels of every image that is read."""

_JPEG_COLOURS = ("Gray", "YCbCr", "RGB")
"""What may be stored. Of CMYK, libjpeg-turbo makes another RGB than Pillow; TensorFlow none."""


@dataclass(frozen=True)
class Codec:
    """How the images and masks of a dataset are decoded; may travel to another process.

    Attributes:
        layout: of the dataset.
        mask_classes: needed for one-hot masks; 0: unknown.
        fast: whether OpenCV is used.
    """

    layout: Layout
    mask_classes: int
    fast: bool

    def image(
        self,
        stored: bytes,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
        out: Pixels | None = None,
    ) -> Pixels:
        """The image as RGB (H, W, 3) uint8; grey is repeated, alpha dropped.

        Args:
            stored: the bytes in the record.
            size: the height and width that the image must have; None: any. Schema raw needs it.
            channels: of the stored pixels, under schema raw.
            out: (H, W, 3) uint8, C-contiguous: where to decode to; None: a new array.

        Raises:
            PixelError: the bytes are not sound, or the image is of another size.
        """
        if self.layout.schema == "raw":
            pixels = raw_pixels(stored, size, channels)
        elif stored.startswith(jpeg.SIGNATURE):
            return _jpeg(stored, size, out)
        else:
            pixels = _png(stored)
        _require_size("image", pixels.shape, size)
        out = np.empty((*pixels.shape[:2], RGB), np.uint8) if out is None else out
        pixels = np.atleast_3d(pixels)
        plane = pixels[:, :, 0]  # all there is of grey, and of grey and alpha
        if pixels.shape[2] >= RGB:
            out[...] = pixels[:, :, :RGB]
        elif self.fast:
            import cv2  # noqa: PLC0415 - optional

            cv2.merge([plane] * RGB, out)
        else:
            for band in range(RGB):
                out[:, :, band] = plane
        return out

    def mask(self, stored: bytes, size: tuple[int, int], out: Pixels | None = None) -> Pixels:
        """The class ids (H, W) uint8, 255 = ignore.

        Args:
            stored: the bytes in the record, not empty.
            size: height and width of the record's image, which the mask must have.
            out: (H, W) uint8: where to put them; None: a new array, perhaps read-only.

        Raises:
            PixelError: the bytes are no sound mask, or it is of another size.
        """
        if self.layout.schema == "raw":
            ids = read_mask(self.layout, stored, size, self.mask_classes)
        else:
            ids = _mask(stored)
            ids = ids_of(ids) if self.layout.black_white else ids
        _require_size("mask", ids.shape, size)
        if out is None:
            return ids
        out[...] = ids
        return out


def codec(layout: Layout, mask_classes: int, backend: Backend = "auto") -> Codec:
    """The decoder of a dataset.

    Raises:
        UsageError: the backend is unknown, or `fast` and not installed.
    """
    if backend not in ("auto", "core", "fast"):
        raise UsageError(f"backend must be auto, core or fast, got {backend!r}")
    installed = backend != "core" and importlib.util.find_spec("cv2") is not None
    if backend == "fast" and not installed:
        raise UsageError("backend 'fast' needs OpenCV: pip install segrecord[fast]")
    return Codec(layout, mask_classes, installed)


def raw_pixels(stored: bytes, size: tuple[int, int] | None, channels: int | None) -> Pixels:
    """Pixels (H, W, channels) of schema raw: a view of the bytes.

    Raises:
        PixelError: there are more or fewer bytes than pixels.
    """
    shape = (*(size or (0, 0)), channels or 0)
    if channels not in (1, RGB) or len(stored) != shape[0] * shape[1] * channels:
        expected = " x ".join(map(str, shape))
        raise PixelError("raw-length", bytes=len(stored), expected=expected)
    return np.frombuffer(stored, np.uint8).reshape(shape)


def _require_size(what: str, shape: tuple[int, ...], size: tuple[int, ...] | None) -> None:
    if size is not None and shape[:2] != size[:2]:
        (height, width), expected = shape[:2], f"{size[0]} x {size[1]}"
        raise PixelError("size", what=what, height=height, width=width, expected=expected)


def _jpeg(stored: bytes, size: tuple[int, int] | None, out: Pixels | None) -> Pixels:
    """RGB of a JPEG; as `segrecord.images.jpeg` decodes, but into `out`."""
    try:
        height, width, colours = _jpeg_header(stored)
        if colours not in _JPEG_COLOURS:
            raise PixelError("jpeg-colours", colours=colours)
        pixels = np.empty((height, width, RGB), np.uint8) if out is None else out
        # The decoder itself knows no more of `out` than how many bytes it has.
        _require_size("image", (height, width), size or pixels.shape)
        simplejpeg.decode_jpeg(stored, "RGB", buffer=pixels, strict=True)
    except (ValueError, MemoryError) as error:
        raise PixelError("jpeg-data", case="stored", reason=str(error)) from None
    return pixels


def _jpeg_header(stored: bytes) -> tuple[int, int, str]:
    """Height, width and colours."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(stored)
    except KeyError:  # 4:4:1, which the decoder knows and its header's list of names does not
        found = jpeg.markers(stored)
        return found.height, found.width, {1: "Gray", RGB: "YCbCr"}.get(found.components, "CMYK")
    return height, width, colours


def _png(stored: bytes) -> Pixels:
    """(H, W) or (H, W, C) of a PNG of any kind, or of whatever else foreign shards hold."""
    pixels = None
    if files.identify(stored) == "png":
        pixels = png.pixels(*png.walk_rows(stored))
    return image.decode(stored) if pixels is None else pixels


def _mask(stored: bytes) -> Pixels:
    """Class ids (H, W) of a mask PNG: 8 bits, one channel; others TensorFlow reads otherwise."""
    ids, kind = None, files.identify(stored)
    if kind == "png":
        facts, rows = png.walk_rows(stored)
        kind = f"png of colour type {facts.colour_type}, {facts.bit_depth} bits"
        ids = png.pixels(facts, rows) if facts.colour_type == 0 else None
    if ids is None:
        raise PixelError("mask-format", case="read", kind=kind)
    return ids
