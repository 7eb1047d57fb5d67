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
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from segrecord.errors import PixelError
from segrecord.pixels import exif, png

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_FIX = "save it as an 8-bit PNG, or leave it out"


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
    """Decode a file of this format (one that `formats.identify` knows).

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
            return _load(data, form)
    except PixelError:
        raise
    except Image.DecompressionBombError as error:
        raise PixelError("too-many-pixels", str(error), "make the image smaller") from None
    except UnidentifiedImageError:  # its text holds an address in memory
        raise _broken(form, "its header is damaged") from None
    except Exception as error:  # noqa: BLE001 - on broken bytes Pillow raises almost anything
        raise _broken(form, str(error) or type(error).__name__) from None


def _broken(form: str, why: str) -> PixelError:
    return PixelError(
        "broken-image",
        f"the {form} image cannot be decoded: {why}",
        "get a sound copy of the file, or leave it out",
    )


def _load(data: bytes, form: str) -> Opened:
    if form == "png":
        return _load_png(data)
    opened: Image.Image = Image.open(io.BytesIO(data), formats=[form.upper()])
    png.check_size(opened.height, opened.width)
    if form != "jpeg" and getattr(opened, "n_frames", 1) > 1:  # a JPEG's previews are cut off
        raise PixelError(
            "several-frames",
            f"the {form} file holds several frames",
            "save the frame that is meant as a file of its own",
        )
    orientation = _orientation(opened)
    depth, alpha = _bit_depth(opened), _alpha(opened)
    if form == "bmp" and opened.mode == "RGB" and _fourth_byte_varies(data):
        alpha = "unread"
    if form == "bmp" and opened.mode == "1" and _bmp_bits(data) != 1:
        raise PixelError(
            "unsupported-mode",
            "Pillow reads a bmp of several bits a pixel wrong where its palette is black and white",
            _FIX,
        )
    if not isinstance(opened, TiffImagePlugin.TiffImageFile):
        opened.load()
        return Opened(opened, orientation, depth, alpha)
    turned = opened.getexif().get(_ORIENTATION, 1)  # by Pillow's reader: by the tag, else by XMP
    with _libtiff_heard():
        opened.load()
    if turned in _BACK:
        opened = opened.transpose(_BACK[turned])
    return Opened(opened, orientation, depth, alpha)


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
                complaints = _complaints(heard)
    finally:
        os.close(kept)
    if complaints:
        raise ValueError(complaints[0])


def _complaints(heard: IO[bytes]) -> list[str]:
    heard.seek(0)
    lines = heard.readlines()
    others = [line for line in lines if not _LIBTIFF.match(line)]
    if others:
        os.write(2, b"".join(others))
    return [line.decode(errors="replace").strip() for line in lines if _LIBTIFF.match(line)]


def _bmp_bits(data: bytes) -> int:
    """Bits a pixel, by the header: BITMAPCOREHEADER has 12 bytes, all later ones at least 40."""
    at = 24 if data[14] == 12 else 28  # noqa: PLR2004 - as above
    return int.from_bytes(data[at : at + 2], "little")


def _fourth_byte_varies(data: bytes) -> bool:
    """Whether a BMP of 32 bits a pixel keeps something, as alpha, in the byte that is reserved."""
    if _bmp_bits(data) != 32:  # noqa: PLR2004 - as above
        return False
    reserved = data[int.from_bytes(data[10:14], "little") + 3 :: 4]
    return reserved.count(reserved[:1]) < len(reserved)


def _load_png(data: bytes) -> Opened:
    facts, found = png.parse(data)
    opened = Image.open(io.BytesIO(png.bare(data, found)), formats=["PNG"])
    opened.load()
    return Opened(opened, facts.orientation, facts.bit_depth, _alpha(opened))


def _orientation(opened: Image.Image) -> int:
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        found = opened.tag_v2.get(_ORIENTATION, 1)
        return found if found in _BACK else 1
    return exif.orientation(opened.info.get("exif", b"").removeprefix(b"Exif\0\0"))


def _alpha(opened: Image.Image) -> Alpha:
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        if opened.tag_v2.get(_SAMPLES_PER_PIXEL, 1) > len(opened.getbands()):
            return "unread"
        if _ASSOCIATED in _tuple(opened.tag_v2.get(_EXTRA_SAMPLES, ())):
            return "premultiplied"
    return "straight" if opened.has_transparency_data else ""


def _bit_depth(opened: Image.Image) -> int:
    """Bits a sample; Pillow reads some deeper files as 8-bit without a word."""
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        _check_signs(opened)
        return max(_numbers(opened, _BITS_PER_SAMPLE))
    if opened.mode == "1":
        return 1
    most = max(_most(opened), default=_BYTE_MAX)
    return 16 if most > _BYTE_MAX or opened.mode == "I" else 8


def _most(opened: Image.Image) -> Iterator[int]:
    """The largest sample value that a PPM file declares."""
    if opened.format == "PPM":
        for tile in opened.tile:  # type: ignore[attr-defined]  # of every opened file
            yield from (part for part in _tuple(tile[3]) if isinstance(part, int))


def _check_signs(opened: TiffImagePlugin.TiffImageFile) -> None:
    formats = set(_numbers(opened, _SAMPLE_FORMAT))
    if formats != {1} and opened.mode in {"L", "RGB", "RGBA"}:
        raise PixelError(
            "unsupported-mode", f"the tiff image has samples of format {formats}, not {{1}}", _FIX
        )


def _numbers(opened: TiffImagePlugin.TiffImageFile, tag: int) -> tuple[int, ...]:
    return _tuple(opened.tag_v2.get(tag, 1))


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


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
        return _grey(opened, alpha=alpha)
    if image.mode in {"LA", "La"}:
        both = np.asarray(image.convert("LA"))
        return both if alpha else np.ascontiguousarray(both[:, :, 0])
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    both = np.asarray(image.convert("RGBA"))
    return both if alpha else np.ascontiguousarray(both[:, :, :3])


def _grey(opened: Opened, *, alpha: bool) -> Pixels:
    grey = np.asarray(opened.image.convert("L"))
    clear = opened.image.info.get("transparency")
    if not alpha or not isinstance(clear, int):
        return grey
    if opened.bit_depth < 8:  # noqa: PLR2004 - a PNG names the value before it is scaled
        clear = clear * _BYTE_MAX // ((1 << opened.bit_depth) - 1)
    return np.stack((grey, np.where(grey == clear, 0, 255).astype(np.uint8)), axis=2)
