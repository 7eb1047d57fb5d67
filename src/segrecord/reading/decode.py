"""Stored images and masks into arrays, fast: the hot path of a training.

What is stored is of few kinds (see `segrecord.pixels.image`: PNG of 8 bits, JPEG, raw pixels), and
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
from segrecord.pixels import formats, image, jpeg, png, png_reader
from segrecord.pixels.mask import ids_of
from segrecord.reading.content import read_mask

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.records.schemas import Layout

    Pixels = npt.NDArray[np.uint8]

Backend = Literal["auto", "core", "fast"]
"""core: simplejpeg, isal and Pillow. fast: OpenCV too, of the extra `fast`. auto: fast where it is
installed. The pixels are equal."""

RGB = 3
"""Channels of every image that is read."""

_JPEG_COLOURS = ("Gray", "YCbCr", "RGB")
"""What may be stored. Of CMYK, libjpeg-turbo makes another RGB than Pillow; TensorFlow none."""

_FIX = "build the dataset again, or read with on_error='skip'"


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
        return self._rgb(
            pixels, np.empty((*pixels.shape[:2], RGB), np.uint8) if out is None else out
        )

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

    def _rgb(self, pixels: Pixels, out: Pixels) -> Pixels:
        """Pixels (H, W) or (H, W, C) as RGB, in `out`."""
        plane = _plane(pixels)
        if plane is None:
            out[...] = pixels[:, :, :RGB]
        elif self.fast:
            import cv2  # noqa: PLC0415 - optional

            cv2.merge([plane] * RGB, out)
        else:
            for band in range(RGB):
                out[:, :, band] = plane
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
        raise PixelError(
            "raw-length",
            f"the image has {len(stored)} bytes, {' x '.join(map(str, shape))} are expected",
            _FIX,
        )
    return np.frombuffer(stored, np.uint8).reshape(shape)


def _plane(pixels: Pixels) -> Pixels | None:
    """The grey plane (H, W) of an image of one channel, or of one and alpha; None: colours."""
    if pixels.ndim == 2:  # noqa: PLR2004 - height and width
        return pixels
    return None if pixels.shape[2] >= RGB else pixels[:, :, 0]


def _require_size(what: str, found: tuple[int, ...], size: tuple[int, ...] | None) -> None:
    if size is not None and found[:2] != size[:2]:
        raise PixelError(
            "size",
            f"the {what} is {found[0]} x {found[1]} (height x width), it should be "
            f"{size[0]} x {size[1]}",
            _FIX,
        )


def _jpeg(stored: bytes, size: tuple[int, int] | None, out: Pixels | None) -> Pixels:
    """RGB of a JPEG; as `segrecord.pixels.jpeg` decodes, but into `out`."""
    try:
        height, width, colours = _jpeg_header(stored)
        if colours not in _JPEG_COLOURS:
            raise PixelError("jpeg-colours", f"a JPEG of colours {colours} cannot be read", _FIX)
        found = np.empty((height, width, RGB), np.uint8) if out is None else out
        # The decoder itself knows no more of `out` than how many bytes it has.
        _require_size("image", (height, width), size or found.shape)
        simplejpeg.decode_jpeg(stored, "RGB", buffer=found, strict=True)
    except (ValueError, MemoryError) as error:
        raise PixelError("jpeg-data", f"the JPEG cannot be decoded: {error}", _FIX) from None
    return found


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
    found = None
    if formats.identify(stored) == "png":
        found = png_reader.pixels(*png.walk_rows(stored))
    return image.decode(stored) if found is None else found


def _mask(stored: bytes) -> Pixels:
    """Class ids (H, W) of a mask PNG: 8 bits, one channel; others TensorFlow reads otherwise."""
    found, kind = None, formats.identify(stored)
    if kind == "png":
        facts, rows = png.walk_rows(stored)
        kind = f"png of colour type {facts.colour_type}, {facts.bit_depth} bits"
        found = png_reader.pixels(facts, rows) if facts.colour_type == 0 else None
    if found is None:
        raise PixelError(
            "mask-format",
            f"a mask must be stored as a grey 8-bit PNG, not interlaced; this is a {kind}",
            "build the dataset with --checks basic, which stores masks so",
        )
    return found
