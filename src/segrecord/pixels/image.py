"""An image file in, its facts, its pixels, or the bytes to store out.

Only bytes that are strictly sound and that TensorFlow reads right pass untouched: JPEG (8 bits,
grey or three components, Huffman-coded, upright) and PNG (8 bits, no palette, upright). All else
is re-encoded losslessly to PNG, or refused. `ImageFacts.reason` says why; `ImageFacts.notes` are
warnings of files that are used nevertheless.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image

from segrecord.errors import Note, PixelError
from segrecord.pixels import jpeg, opened, png, png_reader
from segrecord.pixels.exif import turn as orient
from segrecord.pixels.formats import extension_agrees, identify
from segrecord.pixels.strip import refuse_turned, stripped

__all__ = [
    "ImageFacts",
    "Keep",
    "Pixels",
    "decode",
    "examine",
    "examine_header",
    "extension_agrees",
    "histogram",
    "open_checked",
    "orient",
    "resize",
    "store",
]

Pixels = npt.NDArray[np.uint8]
Handling = Literal["keep", "trim", "encode"]
Keep = Literal["nothing", "profile", "all"]
"""What a file that is stored as it is may hold beside pixels."""

_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_PLANES = frozenset({"I;16", "I;16B", "I;16L", "I"})
"""Pillow's modes of one channel deeper than 8 bits."""

_MODES = frozenset({"1", "L", "LA", "La", "P", "PA"})
_MODES |= {"RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
"""Pillow's modes of up to 8 bits that it converts to RGB as meant."""

_TENSORFLOW_READS = frozenset({0, 1, 2})
"""JPEG processes: sequential and progressive, Huffman-coded."""

_ALPHA_MODES = frozenset({"LA", "RGBA"})

_FLAT_MODES = frozenset({"1", "P"})
"""Few values in large areas: these compress as masks do."""

_OPAQUE = 255
_BYTE, _DEEP = 8, 16
_FIX = "save it as an 8-bit PNG, or leave it out"


class ImageFacts(NamedTuple):
    """What is known of an image file after a strict check."""

    format: str
    """By content: jpeg, png, bmp, gif, tiff, webp or ppm."""
    mode: str
    """Pillow's name of the pixel layout."""
    bit_depth: int
    """Bits a sample in the file."""
    orientation: int
    """EXIF, 1 to 8."""
    stored_height: int
    """Pixels, as stored in the file."""
    stored_width: int
    height: int
    """Pixels, as oriented."""
    width: int
    handling: Handling
    """What `store` does with the pixels: the bytes as they are, cut at their end, or re-encoded."""
    reason: str
    """Why the bytes are not kept; "" where they are."""
    notes: tuple[Note, ...] = ()
    """What to warn of."""
    alpha: opened.Alpha = ""
    transparent: int | None = None
    """Pixels that are not wholly opaque; None without alpha, or where they were not counted."""


def examine(data: bytes, *, decoded: bool = False) -> tuple[ImageFacts, Pixels | None]:
    """Check a file strictly.

    Args:
        data: its bytes.
        decoded: whether its pixels are wanted; of a PNG the check leaves them half decoded.

    Returns:
        Its facts; and its pixels as `decode` gives them, where they are wanted, or where the check
        has decoded them anyway. Transparent pixels are counted where there are pixels.

    Raises:
        PixelError: the file is broken, no image, or of a kind that is not supported.
    """
    form = identify(data)
    if form == "jpeg":
        found, stored = jpeg.walk_and_decode(data)
        facts = _jpeg_facts(found, len(data))
        return facts, _jpeg_pixels(data, found, stored)
    if form == "png":
        walked, rows = png.walk_rows(data)
        facts = _png_facts(walked, len(data))
        _check_depth(facts)
        if facts.handling == "encode":
            return _without_alpha(facts, _decode(data, alpha=True))
        if decoded:
            return _without_alpha(facts, _png_pixels(data, walked, rows))
        return facts, None
    picture = opened.load(data, form)
    facts = _other_facts(picture, form)
    _check_depth(facts)
    pixels = opened.pixels(picture, alpha=True)
    return _without_alpha(facts, orient(pixels, picture.orientation))


def examine_header(head: bytes) -> ImageFacts | None:
    """The facts, where the first bytes of a file alone show that it can be copied untouched.

    Whether the rest of the file is sound and ends where it should stays unknown. An eXIf chunk
    behind the pixels that turns the image is met by `store`, which refuses the file then.

    Returns:
        Facts of handling "keep"; None where `head` is too short to tell.

    Raises:
        PixelError: what was read is broken or not supported; header-not-enough: the image has to
            be decoded.
    """
    form = identify(head)
    if form == "png":
        png_found = png.header(head)
        facts = _png_facts(png_found) if png_found else None
    elif form == "jpeg":
        jpeg_found = jpeg.header(head)
        facts = _jpeg_facts(jpeg_found) if jpeg_found else None
    else:
        _not_enough(f"format {form}")
    if facts is not None:
        _check_depth(facts)
        if facts.handling != "keep":
            _not_enough(facts.reason)
    return facts


def _not_enough(reason: str) -> NoReturn:
    raise PixelError(
        "header-not-enough",
        f"the image cannot be copied unread but has to be re-encoded: {reason}",
        "pass --checks basic",
    )


def open_checked(data: bytes) -> tuple[ImageFacts, Image.Image]:
    """Check a file as strictly as `examine`, for masks: 16-bit planes and palettes as they are.

    Returns:
        Its facts; and the image as stored (EXIF orientation not applied), loaded.

    Raises:
        PixelError: the file is broken, no image, or of a kind that is not supported.
    """
    form = identify(data)
    if form == "jpeg":
        found, stored = jpeg.walk_and_decode(data)
        facts = _jpeg_facts(found, len(data))
        if stored is not None and found.components in (1, 3):
            return facts, Image.fromarray(stored[:, :, 0] if found.components == 1 else stored)
    elif form == "png":
        facts = _png_facts(png.walk(data), len(data))
    picture = opened.load(data, form)
    if form not in ("jpeg", "png"):
        facts = _other_facts(picture, form)
    if not (facts.mode in _PLANES and facts.bit_depth == _DEEP):
        _check_depth(facts)
    return facts, picture.image


def decode(data: bytes) -> Pixels:
    """The pixels of a file that `examine` has passed, by decoders that are trusted.

    Returns:
        uint8, (H, W) grey or (H, W, 3) RGB, EXIF orientation applied. Alpha is dropped and the
        colours under it stay, as `tf.io.decode_png(channels=3)` does.

    Raises:
        PixelError: the file cannot be decoded, or is of a kind that is not supported.
    """
    return _decode(data, alpha=False)


def _decode(data: bytes, *, alpha: bool) -> Pixels:
    form = identify(data)
    if form == "jpeg":
        return _jpeg_pixels(data, *jpeg.walk_and_decode(data))
    picture = opened.load(data, form)
    _check_depth(_other_facts(picture, form))
    return orient(opened.pixels(picture, alpha=alpha), picture.orientation)


def store(
    data: bytes,
    facts: ImageFacts,
    size: tuple[int, int] | None = None,
    *,
    keep: Keep = "nothing",
) -> tuple[bytes, str, int, int]:
    """What goes into a record: the encoded image, "jpeg" or "png", its height and its width.

    Args:
        data: the file's bytes.
        facts: what `examine` or `examine_header` has found.
        size: height and width to resize to, in pixels; alpha is dropped then.
        keep: what stays of metadata. An image that is re-encoded holds none, whatever is asked.

    Returns:
        As image `data` itself, where it stays whole.

    Raises:
        PixelError: the file cannot be decoded after all, its segments or chunks are damaged, or
            EXIF turns it though the facts say otherwise (header-not-enough).
    """
    if size is not None and size != (facts.height, facts.width):
        return png.encode(resize(decode(data), *size), photo=True), "png", *size
    if facts.handling != "encode":
        return _passed(data, facts, keep), facts.format, facts.height, facts.width
    pixels = _decode(data, alpha=True)
    stored = png.encode(pixels, photo=facts.mode not in _FLAT_MODES)
    return stored, "png", facts.height, facts.width


def _passed(data: bytes, facts: ImageFacts, keep: Keep) -> bytes:
    if keep != "all":
        return stripped(data, facts.format, profile=keep == "profile")
    found = png.parse(data)[0] if facts.format == "png" else jpeg.markers(data)
    refuse_turned(found.orientation)
    return data if facts.handling == "keep" else data[: found.end]


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """The pixels (H, W) or (H, W, 3) at another size, antialiased: Pillow's bicubic filter.

    Bicubic and not Lanczos: it rings less at hard edges, and its weights are made by addition and
    multiplication alone, so no mathematical library's sine decides about a pixel.
    """
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def histogram(pixels: Pixels) -> npt.NDArray[np.int64]:
    """(channels, 256): how often each value occurs in pixels (H, W) or (H, W, 3)."""
    return np.array(Image.fromarray(pixels).histogram(), np.int64).reshape(-1, 256)


def _png_facts(found: png.Png, length: int = 0) -> ImageFacts:
    """Facts of a PNG in a file of `length` bytes; 0: unknown."""
    if found.animated:
        raise PixelError(
            "several-frames",
            "the png file is animated",
            "save the frame that is meant as a file of its own",
        )
    depth = found.bit_depth
    mode = _PNG_MODES[found.colour_type]
    if mode == "L":
        mode = {1: "1", _DEEP: "I;16"}.get(depth, mode)
    reasons = ["palette"] if mode == "P" else [f"{depth}-bit"] if depth < _BYTE else []
    reasons += ["padding in IDAT"] * bool(found.padding)
    size = (found.height, found.width)
    trailing = length > found.end
    facts = _facts("png", mode, depth, found.orientation, size, reasons=reasons, trailing=trailing)
    alpha: opened.Alpha = "straight" if found.transparent or mode in _ALPHA_MODES else ""
    return facts._replace(alpha=alpha, notes=found.notes)


def _jpeg_facts(found: jpeg.Jpeg, length: int = 0) -> ImageFacts:
    """Facts of a JPEG in a file of `length` bytes; 0: unknown."""
    mode = _JPEG_MODES.get(found.components)
    if mode is None or found.precision != _BYTE or found.process not in jpeg.DECODED:
        raise PixelError(
            "unsupported-mode",
            f"JPEG images of {found.components} components, {found.precision} bits, process "
            f"{found.process} (SOF) are not supported",
            _FIX,
        )
    reasons = ["CMYK"] if mode == "CMYK" else []
    if found.process not in _TENSORFLOW_READS:
        reasons.append("lossless JPEG" if found.process == jpeg.LOSSLESS else "arithmetic coding")
    reasons += [found.unusual] * bool(found.unusual)
    size = (found.height, found.width)
    trailing = length > found.end
    facts = _facts("jpeg", mode, _BYTE, found.orientation, size, reasons=reasons, trailing=trailing)
    return facts._replace(notes=found.notes) if found.notes else facts


def _other_facts(picture: opened.Opened, form: str) -> ImageFacts:
    """Facts of an image that Pillow has decoded."""
    size = (picture.image.height, picture.image.width)
    mode, depth = picture.image.mode, picture.bit_depth
    reasons = [f"format {form}"]
    facts = _facts(form, mode, depth, picture.orientation, size, reasons=reasons, trailing=False)
    return facts._replace(alpha=picture.alpha)


def _facts(
    form: str,
    mode: str,
    depth: int,
    orientation: int,
    size: tuple[int, int],
    *,
    reasons: list[str],
    trailing: bool,
) -> ImageFacts:
    """The facts, from what the file holds and the reasons against storing it as it is."""
    height, width = size if orientation < 5 else size[::-1]  # noqa: PLR2004 - 5 to 8 transpose
    if orientation != 1:
        reasons = [*reasons, f"EXIF orientation {orientation}"]
    handling: Handling = "encode" if reasons else "trim" if trailing else "keep"
    reason = ", ".join(reasons) or ("bytes after the end" if trailing else "")
    return ImageFacts(form, mode, depth, orientation, *size, height, width, handling, reason)


def _check_depth(facts: ImageFacts) -> None:
    """Refuse what would lose bits on the way to 8."""
    deep = _BYTE < facts.bit_depth <= _DEEP
    if deep and facts.mode != "F":
        raise PixelError("sixteen-bit", "16-bit images are not supported yet", _FIX)
    if facts.bit_depth > _BYTE or facts.mode not in _MODES:
        raise PixelError(
            "unsupported-mode",
            f"{facts.bit_depth}-bit images of mode {facts.mode} are not supported",
            _FIX,
        )


def _png_pixels(data: bytes, walked: png.Png, rows: bytes) -> Pixels:
    """Upright pixels, with their alpha, of a PNG that is stored as it is; the walk inflated it."""
    # A transparent colour is no channel of the rows.
    found = None if walked.transparent else png_reader.pixels(walked, rows)
    return _decode(data, alpha=True) if found is None else found  # None: interlaced


def _without_alpha(facts: ImageFacts, pixels: Pixels) -> tuple[ImageFacts, Pixels]:
    """The facts with the transparent pixels counted; and the pixels (H, W) or (H, W, 3)."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:  # noqa: PLR2004 - height and width; RGB
        return facts, pixels
    clear = int(np.count_nonzero(pixels[:, :, -1] != _OPAQUE))
    colours = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :3]  # noqa: PLR2004 - LA
    return facts._replace(transparent=clear), np.ascontiguousarray(colours)


def _jpeg_pixels(data: bytes, found: jpeg.Jpeg, stored: Pixels | None) -> Pixels:
    """Upright grey or RGB pixels; CMYK by Pillow, whose conversion is the usual one."""
    if stored is None or found.components not in (1, 3):
        pixels = opened.pixels(opened.load(data, "jpeg"), alpha=False)
    else:
        pixels = stored[:, :, 0] if found.components == 1 else stored
    return orient(pixels, found.orientation)
