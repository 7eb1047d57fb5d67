"""An image file in, its facts, its pixels, or the bytes to store out.

Only bytes that are strictly sound and that TensorFlow reads right pass untouched: JPEG (8 bits,
grey or three components, Huffman-coded, upright) and PNG (8 bits, no palette, upright). All else
is re-encoded losslessly to PNG, or refused. `ImageFacts.reason` says why; `ImageFacts.notes` are
warnings of files that are used nevertheless.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from segrecord.errors import PixelError
from segrecord.findings import Finding
from segrecord.images import jpeg, metadata, pillow, png
from segrecord.images.exif import turn
from segrecord.images.files import identify

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


class ImageFacts(NamedTuple):
    """What a strict check of an image file has shown."""

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
    notes: tuple[Finding, ...] = ()
    """What to warn of."""
    alpha: pillow.Alpha = ""
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
        markers, stored = jpeg.walk_and_decode(data)
        facts = _jpeg_facts(markers, len(data))
        return facts, _jpeg_pixels(data, markers, stored)
    if form == "png":
        chunks, rows = png.walk_rows(data)
        facts = _png_facts(chunks, len(data))
        _check_depth(facts)
        if facts.handling != "encode" and not decoded:
            return facts, None
        pixels = None
        if facts.handling != "encode" and not chunks.transparent:  # tRNS is no channel of the rows
            pixels = png.pixels(chunks, rows)
        if pixels is None:  # or interlaced
            pixels = _decode(data, alpha=True)
        return _without_alpha(facts, pixels)
    picture = pillow.load(data, form)
    facts = _other_facts(picture, form)
    _check_depth(facts)
    return _without_alpha(facts, turn(pillow.pixels(picture, alpha=True), picture.orientation))


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
    if form not in ("png", "jpeg"):
        raise PixelError("header-not-enough", reason=f"format {form}")
    if form == "png":
        png_head = png.header(head)
        facts = _png_facts(png_head) if png_head else None
    else:
        jpeg_head = jpeg.header(head)
        facts = _jpeg_facts(jpeg_head) if jpeg_head else None
    if facts is not None:
        _check_depth(facts)
        if facts.handling != "keep":
            raise PixelError("header-not-enough", reason=facts.reason)
    return facts


def open_checked(data: bytes) -> tuple[ImageFacts, Image.Image]:
    """Check a file as strictly as `examine`, for masks: 16-bit planes and palettes as they are.

    Returns:
        Its facts; and the image as stored (EXIF orientation not applied), loaded.

    Raises:
        PixelError: the file is broken, no image, or of a kind that is not supported.
    """
    form = identify(data)
    if form == "jpeg":
        markers, stored = jpeg.walk_and_decode(data)
        facts = _jpeg_facts(markers, len(data))
        if stored is not None and markers.components in (1, 3):
            return facts, Image.fromarray(stored[:, :, 0] if markers.components == 1 else stored)
    elif form == "png":
        facts = _png_facts(png.walk(data), len(data))
    picture = pillow.load(data, form)
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
    picture = pillow.load(data, form)
    _check_depth(_other_facts(picture, form))
    return turn(pillow.pixels(picture, alpha=alpha), picture.orientation)


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
    form = facts.format
    if facts.handling == "encode":
        pixels, form = _decode(data, alpha=True), "png"
        stored = png.encode(pixels, photo=facts.mode not in _FLAT_MODES)
    elif keep != "all":
        stored = metadata.stripped(data, form, profile=keep == "profile")
    else:
        whole = png.parse(data)[0] if form == "png" else jpeg.markers(data)
        metadata.refuse_turned(whole.orientation)
        stored = data if facts.handling == "keep" else data[: whole.end]
    return stored, form, facts.height, facts.width


def resize(
    pixels: Pixels,
    height: int,
    width: int,
    method: Image.Resampling = Image.Resampling.BICUBIC,
) -> Pixels:
    """The pixels (H, W) or (H, W, 3), uint8, at another size; themselves where they have that size.

    What is stored is made by the bicubic filter, antialiased, and not by Lanczos: it rings less at
    hard edges, and its weights are made by addition and multiplication alone, so no mathematical
    library's sine decides about a pixel.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), method))


def histogram(pixels: Pixels) -> npt.NDArray[np.int64]:
    """(channels, 256): how often each value occurs in pixels (H, W) or (H, W, 3)."""
    return np.array(Image.fromarray(pixels).histogram(), np.int64).reshape(-1, 256)


def _png_facts(chunks: png.Png, length: int = 0) -> ImageFacts:
    """Facts of a PNG in a file of `length` bytes; 0: unknown."""
    if chunks.animated:
        raise PixelError("several-frames", case="animated")
    depth, mode = chunks.bit_depth, _PNG_MODES[chunks.colour_type]
    if mode == "L":
        mode = {1: "1", _DEEP: "I;16"}.get(depth, mode)
    reasons = ["palette"] if mode == "P" else [f"{depth}-bit"] if depth < _BYTE else []
    reasons += ["padding in IDAT"] * bool(chunks.padding)
    size = (chunks.height, chunks.width)
    trailing = length > chunks.end
    facts = _facts("png", mode, depth, chunks.orientation, size, reasons=reasons, trailing=trailing)
    alpha: pillow.Alpha = "straight" if chunks.transparent or mode in _ALPHA_MODES else ""
    return facts._replace(alpha=alpha, notes=chunks.notes)


def _jpeg_facts(markers: jpeg.Jpeg, length: int = 0) -> ImageFacts:
    """Facts of a JPEG in a file of `length` bytes; 0: unknown."""
    mode = _JPEG_MODES.get(markers.components)
    if mode is None or markers.precision != _BYTE or markers.process not in jpeg.DECODED:
        raise PixelError(
            "unsupported-mode",
            case="jpeg",
            components=markers.components,
            bits=markers.precision,
            process=markers.process,
        )
    reasons = ["CMYK"] if mode == "CMYK" else []
    if markers.process not in _TENSORFLOW_READS:
        reasons.append("lossless JPEG" if markers.process == jpeg.LOSSLESS else "arithmetic coding")
    reasons += [markers.unusual] * bool(markers.unusual)
    size = (markers.height, markers.width)
    trailing = length > markers.end
    facts = _facts(
        "jpeg", mode, _BYTE, markers.orientation, size, reasons=reasons, trailing=trailing
    )
    return facts._replace(notes=markers.notes) if markers.notes else facts


def _other_facts(picture: pillow.Opened, form: str) -> ImageFacts:
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
    if _BYTE < facts.bit_depth <= _DEEP and facts.mode != "F":
        raise PixelError("sixteen-bit")
    if facts.bit_depth > _BYTE or facts.mode not in _MODES:
        raise PixelError("unsupported-mode", depth=facts.bit_depth, mode=facts.mode)


def _without_alpha(facts: ImageFacts, pixels: Pixels) -> tuple[ImageFacts, Pixels]:
    """The facts with the transparent pixels counted; and the pixels (H, W) or (H, W, 3)."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:  # noqa: PLR2004 - height and width; RGB
        return facts, pixels
    clear = int(np.count_nonzero(pixels[:, :, -1] != _OPAQUE))
    colours = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :3]  # noqa: PLR2004 - LA
    return facts._replace(transparent=clear), np.ascontiguousarray(colours)


def _jpeg_pixels(data: bytes, markers: jpeg.Jpeg, stored: Pixels | None) -> Pixels:
    """Upright grey or RGB pixels; CMYK by Pillow, whose conversion is the usual one."""
    if stored is None or markers.components not in (1, 3):
        pixels = pillow.pixels(pillow.load(data, "jpeg"), alpha=False)
    else:
        pixels = stored[:, :, 0] if markers.components == 1 else stored
    return turn(pixels, markers.orientation)
