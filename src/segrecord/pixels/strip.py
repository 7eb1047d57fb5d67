"""JPEG and PNG files without what they hold beside pixels: segments and chunks are cut out.

Nothing is decoded, so no pixel can change. What stays is listed, what is not listed goes: EXIF,
XMP, IPTC, comments, texts, times, thumbnails, maker data, previews, content credentials and colour
profiles, wherever in the file they stand, and bytes after its end.

What stays, because decoders go by it:

- JPEG: APP0 JFIF and APP14 Adobe, which decide whether three components are YCbCr or RGB; of both
  only the fields of the standard, JFIF without its thumbnail (JFIF 1.02; libjpeg, jdapimin.c).
- PNG: tRNS; and gAMA, cHRM and sRGB, by which libpng weighs colours where a decoder asks it for
  grey (`tf.io.decode_png(channels=1)`, `cv2.IMREAD_GRAYSCALE`), measured with TensorFlow 2.21.
  libpng does the same by an iCCP profile that it knows as sRGB: such a file decodes to another
  grey once its profile is gone; to the same colours always.

And what says something about the pixels alone: the density of JFIF, and pHYs, sBIT and bKGD.
"""

from __future__ import annotations

from typing import NoReturn

from segrecord.errors import PixelError
from segrecord.pixels import exif, jpeg, png

_EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE

_CODED = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDD, _SOS, _EOI}) - {0xC8}
"""SOFn, DHT, DAC, DQT, DRI, SOS and EOI: the picture itself (T.81, table B.1)."""

_SPOKEN = frozenset({*range(_APP0, _APP0 + 16), _COM})
"""APP0 to APP15 and COM. libjpeg refuses all other segments, and so do we."""

_EXIF = b"Exif\0\0"
_ICC = b"ICC_PROFILE\0"
_JFIF_BODY, _ADOBE_BODY = 14, 12
"""Bytes of the fields that the standards know, and that libjpeg asks for; shorter ones it skips."""

_CHUNKS = {
    b"gAMA": (4,),
    b"cHRM": (32,),
    b"sRGB": (1,),
    b"sBIT": (1, 2, 3, 4),
    b"bKGD": (1, 2, 6),
    b"pHYs": (9,),
}
"""Ancillary chunks of numbers that stay, and the lengths they may have (libpng skips others)."""

_PROFILES = frozenset({b"iCCP", b"cICP"})

_Cut = tuple[int, int, bytes]
"""First byte, end, and what stands there instead."""


def stripped(data: bytes, form: str, *, profile: bool) -> bytes:
    """The same image without anything beside its pixels; see the module for what stays.

    Args:
        data: a file that is stored as it is. It need not have been checked: what is read of it
            is checked here. An image that EXIF turns is refused, since it would lie then.
        form: "jpeg" or "png".
        profile: keep the colour profile (JPEG: APP2 ICC_PROFILE; PNG: iCCP and cICP).

    Returns:
        `data` itself where there is nothing to take out.

    Raises:
        PixelError: the segments or chunks break a rule, or the image is turned
            (header-not-enough).
    """
    cuts, end = _jpeg_cuts(data, profile) if form == "jpeg" else _png_cuts(data, profile)
    if not cuts and end == len(data):
        return data
    parts, at = [], 0
    for first, last, instead in cuts:
        parts += [data[at:first], instead]
        at = last
    return b"".join((*parts, data[at:end]))


def _jpeg_cuts(data: bytes, profile: bool) -> tuple[list[_Cut], int]:  # noqa: FBT001 - passed on
    cuts, end, scans = [], 0, 0
    exifs: list[tuple[int, int]] = []
    for code, start, end in jpeg.segments(data):
        if code in _CODED:
            scans += code == _SOS
            continue
        if code not in _SPOKEN:
            _fail("jpeg-marker", f"the JPEG has a segment of the reserved marker 0x{code:02x}")
        body = data[start:end]
        if code == _APP1 and body.startswith(_EXIF):
            exifs.append((exif.orientation(body[len(_EXIF) :]), scans))
        instead = _instead(code, body, profile)
        if not instead:
            cuts.append((start - 4, end, b""))
        elif instead != body:
            cuts.append((start - 2, end, (len(instead) + 2).to_bytes(2, "big") + instead))
    refuse_turned(jpeg.first(exifs))
    return cuts, end


def _instead(code: int, body: bytes, profile: bool) -> bytes:  # noqa: FBT001 - passed on
    """What remains of the body of an APPn or COM segment; empty: the segment goes."""
    if code == _APP0 and body.startswith(b"JFIF\0") and len(body) >= _JFIF_BODY:
        return body[: _JFIF_BODY - 2] + b"\0\0"  # a thumbnail of 0 x 0
    if code == _APP14 and body.startswith(b"Adobe") and len(body) >= _ADOBE_BODY:
        return body[:_ADOBE_BODY]
    return body if profile and code == _APP2 and body.startswith(_ICC) else b""


def _png_cuts(data: bytes, profile: bool) -> tuple[list[_Cut], int]:  # noqa: FBT001 - passed on
    facts, found = png.parse(data)
    refuse_turned(facts.orientation)
    cuts = [
        (start - 8, end, b"")
        for kind, start, end in found
        if not _stays(kind, end - 4 - start, profile)
    ]
    return cuts, facts.end


def _stays(kind: bytes, length: int, profile: bool) -> bool:  # noqa: FBT001 - passed on
    if kind in {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"}:
        return True
    return length in _CHUNKS.get(kind, ()) or (profile and kind in _PROFILES)


def refuse_turned(orientation: int) -> None:
    """Refuse to store the bytes of a picture that EXIF turns as if it lay upright.

    Only a file whose header alone was read comes as far: its eXIf stands behind the pixels.

    Raises:
        PixelError: header-not-enough.
    """
    if orientation != 1:
        raise PixelError(
            "header-not-enough",
            f"EXIF turns the image (orientation {orientation}): it has to be turned, not cut",
            "pass --checks basic",
        )


def _fail(code: str, message: str) -> NoReturn:
    raise PixelError(code, message, "get a sound copy of the file, or leave it out")
