"""What only Pillow decodes, fenced in: any of its errors and warnings becomes a PixelError.

PNG and JPEG are walked strictly first; of the other formats, what Pillow notices is what can be
noticed. Sizes are checked before anything is decoded.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from segrecord.errors import PixelError
from segrecord.images import exif, png

Pixels = npt.NDArray[np.uint8]
Alpha = Literal["", "straight", "premultiplied", "unread"]
"""How a file says which pixels are transparent: not at all; by an alpha channel, or a transparent
colour; the same, its colours multiplied by it; by further channels, whose meaning it leaves open
and which are not read."""

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
_SAMPLE_FORMAT = 339
_SAMPLES_PER_PIXEL = 277
_EXTRA_SAMPLES = 338
"""Tags of TIFF 6.0."""

_ASSOCIATED = 1
"""The value of ExtraSamples for an alpha by which the colours were multiplied."""

_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes each EXIF orientation."""

_LIBTIFF = re.compile(rb"\w[\w.]*: .*\.\r?\n")
"""How libtiff's error handler writes: where it happened, what happened, a full stop."""

_BYTE_MAX = 255


class Opened(NamedTuple):
    """A decoded image."""

    image: Image.Image
    """As stored: EXIF orientation not applied."""
    orientation: int
    """EXIF, 1 to 8."""
    bit_depth: int
    """Bits a sample in the file."""
    alpha: Alpha


def load(data: bytes, form: str) -> Opened:
    """Decode a file of this format (one that `files.identify` knows).

    PNG is decoded without its ancillary chunks and has to have passed `png.walk`.

    Raises:
        PixelError: broken data, too many pixels, several frames, or samples that Pillow would
            read wrong.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Pillow warns from 89 megapixels on; png.check_size has the say here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if form != "png":
                return _load_other(data, form)
            facts, chunks = png.parse(data)
            opened = Image.open(io.BytesIO(png.bare(data, chunks)), formats=["PNG"])
            opened.load()
            alpha: Alpha = "straight" if opened.has_transparency_data else ""
            return Opened(opened, facts.orientation, facts.bit_depth, alpha)
    except PixelError:
        raise
    except Image.DecompressionBombError as error:
        raise PixelError("too-many-pixels", case="pillow", reason=str(error)) from None
    except Exception as error:  # noqa: BLE001 - on broken bytes Pillow raises almost anything
        reason = str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # its text holds an address in memory
            reason = "its header is damaged"
        raise PixelError("broken-image", format=form, reason=reason) from None


def _load_other(data: bytes, form: str) -> Opened:
    opened: Image.Image = Image.open(io.BytesIO(data), formats=[form.upper()])
    png.check_size(opened.height, opened.width)
    if form != "jpeg" and getattr(opened, "n_frames", 1) > 1:  # a JPEG's previews are cut off
        raise PixelError("several-frames", format=form)
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        return _load_tiff(opened)
    orientation = exif.orientation(opened.info.get("exif", b"").removeprefix(exif.MARKER))
    alpha: Alpha = "straight" if opened.has_transparency_data else ""
    depth = 1 if opened.mode == "1" else 16 if opened.mode == "I" else 8
    if opened.format == "PPM" and depth != 1:  # what Pillow reads as 8 bits may declare more
        tiles = opened.tile  # type: ignore[attr-defined]  # of every opened file
        largest = (part for tile in tiles for part in _tuple(tile[3]) if isinstance(part, int))
        depth = 16 if max(largest, default=0) > _BYTE_MAX else depth
    if form == "bmp":
        # Bits a pixel: BITMAPCOREHEADER has 12 bytes, all later headers at least 40.
        at = 24 if data[14] == 12 else 28  # noqa: PLR2004 - as above
        bits = int.from_bytes(data[at : at + 2], "little")
        if opened.mode == "1" and bits != 1:
            raise PixelError("unsupported-mode", case="bmp")
        if opened.mode == "RGB" and bits == 32:  # noqa: PLR2004 - one byte of four is reserved
            reserved = data[int.from_bytes(data[10:14], "little") + 3 :: 4]
            alpha = "unread" if reserved.count(reserved[:1]) < len(reserved) else alpha
    opened.load()
    return Opened(opened, orientation, depth, alpha)


def _load_tiff(opened: TiffImagePlugin.TiffImageFile) -> Opened:
    tags = opened.tag_v2
    value = tags.get(_ORIENTATION, 1)
    orientation = value if value in _BACK else 1
    formats = set(_tuple(tags.get(_SAMPLE_FORMAT, 1)))
    if formats != {1} and opened.mode in {"L", "RGB", "RGBA"}:
        raise PixelError("unsupported-mode", case="tiff", formats=str(formats))
    depth = max(_tuple(tags.get(_BITS_PER_SAMPLE, 1)))
    alpha: Alpha = "straight" if opened.has_transparency_data else ""
    if tags.get(_SAMPLES_PER_PIXEL, 1) > len(opened.getbands()):
        alpha = "unread"
    elif _ASSOCIATED in _tuple(tags.get(_EXTRA_SAMPLES, ())):
        alpha = "premultiplied"
    turned = opened.getexif().get(_ORIENTATION, 1)  # by Pillow's reader: by the tag, else by XMP
    with _libtiff_heard():
        opened.load()
    image = opened.transpose(_BACK[turned]) if turned in _BACK else opened
    return Opened(image, orientation, depth, alpha)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@contextlib.contextmanager
def _libtiff_heard() -> Iterator[None]:
    """Raise ValueError where libtiff complains, which it does on file descriptor 2 alone.

    Of 1200 single-bit flips in a Group 4 TIFF Pillow returned wrong pixels without an error in
    990 of which libtiff had complained. What anyone else prints meanwhile is printed after.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no standard error: nothing is heard, nothing can leak
        yield
        return
    try:
        with tempfile.TemporaryFile() as heard:
            os.dup2(heard.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                heard.seek(0)
                lines = heard.readlines()
                os.write(2, b"".join(line for line in lines if not _LIBTIFF.match(line)))
    finally:
        os.close(kept)
    complaints = [line for line in lines if _LIBTIFF.match(line)]
    if complaints:
        raise ValueError(complaints[0].decode(errors="replace").strip())


def pixels(opened: Opened, *, alpha: bool) -> Pixels:
    """The samples as stored: (H, W) grey or (H, W, C), 2 grey and alpha, 3 RGB, 4 RGB and alpha.

    Palettes become RGB, 1, 2 and 4 bits are scaled to 0 to 255, CMYK and YCbCr become RGB as
    Pillow converts them.

    Args:
        opened: an image of at most 8 bits a sample.
        alpha: keep transparency; without it C is 3, colours under transparency as they are.
    """
    image = opened.image
    if image.mode in {"1", "L"}:
        grey = np.asarray(image.convert("L"))
        clear = image.info.get("transparency")
        if not alpha or not isinstance(clear, int):
            return grey
        if opened.bit_depth < 8:  # noqa: PLR2004 - a PNG names the value before it is scaled
            clear = clear * _BYTE_MAX // ((1 << opened.bit_depth) - 1)
        return np.stack((grey, np.where(grey == clear, 0, 255).astype(np.uint8)), axis=2)
    if image.mode in {"LA", "La"}:
        both = np.asarray(image.convert("LA"))
        return both if alpha else np.ascontiguousarray(both[:, :, 0])
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    both = np.asarray(image.convert("RGBA"))
    return both if alpha else np.ascontiguousarray(both[:, :, :3])
