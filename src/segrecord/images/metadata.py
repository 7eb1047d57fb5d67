"""What an image file holds beside its pixels: what of it may be personal, and the file without it.

`held` gives names only ("EXIF GPS"), never content: a report must not spread what it warns of.
Damaged metadata are skipped, since decoders do so too; blank values, and what programs write of
themselves, name nobody. Not looked at: profiles, comments between the scans of a JPEG, bytes after
the image, and whatever is drawn into the picture itself.

`stripped` takes all of it out, and more. Nothing is decoded, so no pixel can change; what is not
listed here goes: EXIF, XMP, IPTC, comments, texts, times, thumbnails, maker data, previews, content
credentials and colour profiles, wherever in the file they stand, and bytes after its end. What
stays, because decoders go by it:

- JPEG: APP0 JFIF and APP14 Adobe, which decide whether three components are YCbCr or RGB; of both
  only the fields of the standard, JFIF without its thumbnail (JFIF 1.02; libjpeg, jdapimin.c).
- PNG: tRNS; and gAMA, cHRM and sRGB, by which libpng weighs colours where a decoder asks it for
  grey (`tf.io.decode_png(channels=1)`, `cv2.IMREAD_GRAYSCALE`), measured with TensorFlow 2.21.
  libpng does the same by an iCCP profile that it knows as sRGB: such a file decodes to another
  grey once its profile is gone; to the same colours always.

And what says something about the pixels alone: the density of JFIF, and pHYs, sBIT and bKGD.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Collection, Iterator
from itertools import takewhile
from typing import Any

from PIL import Image

from segrecord.errors import PixelError
from segrecord.findings import Finding
from segrecord.images import exif, jpeg, png

_EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE

_XMP = b"ns.adobe.com/x"
"""In the name of XMP, of its extension, and of what some programs write in their place."""

_PHOTOSHOP = b"Photoshop 3.0\0"
_CREDENTIALS = b"jumb"
"""Box type of content credentials (C2PA), which tell who made a picture with what, and when."""

_IMPERSONAL = (b"Ducky", b"Adobe_CM", b"SPIFF", b"AROT")
"""First bytes of APPn segments that hold numbers alone: quality, print settings, geometry."""

_LENGTH_AND_KIND = struct.Struct(">I4s")
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_NOTED = _TEXTS | {b"eXIf", b"tIME", b"caBX"}
_KEYWORDS = frozenset({"software", "source", "disclaimer", "warning", "raw profile type icc"})
"""PNG keywords, in lower case, that name a program, a device or nothing (section 11.3.3.2)."""

_XMP_KEYWORD = "XML:com.adobe.xmp"
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])")
_RAW_PROFILE = "Raw profile type "
"""How the keywords of ImageMagick's texts that hold EXIF or XMP begin."""

_LONGEST_TEXT = 1 << 20
"""Bytes of an inflated text that are looked at."""

_LONGEST = 40
"""Letters of a PNG keyword that are shown; it may have 79."""

_PNM = re.compile(rb"P(?:[14](?:(?:\s|#[^\n]*\n)+\d+){2}|[2356](?:(?:\s|#[^\n]*\n)+\d+){3})")
"""The header of PBM, PGM or PPM, with its comments."""

_BLANK = b"\0 \t\r\n"

_CODED = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDD, _SOS, _EOI}) - {0xC8}
"""SOFn, DHT, DAC, DQT, DRI, SOS and EOI: the picture itself (T.81, table B.1)."""

_SPOKEN = frozenset({*range(_APP0, _APP0 + 16), _COM})
"""APP0 to APP15 and COM. libjpeg refuses all other segments, and so do we."""

_ICC = b"ICC_PROFILE\0"
_JFIF_BODY, _ADOBE_BODY = 14, 12
"""Bytes of the fields that the standards define, and that libjpeg asks for; shorter: skipped."""

_NEEDED = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"})
_NUMBERS = {
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


def held(data: bytes, form: str) -> tuple[str, ...]:
    """Short, stable names of what may be personal, each once; empty: there is nothing.

    "EXIF GPS", "EXIF Artist", "XMP", "IPTC", "JPEG comment", "PNG text Author", "TIFF DateTime".

    Args:
        data: an image file, sound or not.
        form: its format, as `files.identify` gives it.
    """
    names: dict[str, None] = {}
    with contextlib.suppress(PixelError):  # what was read up to the damage counts
        if form == "jpeg":
            read = _jpeg_names(data)
        else:
            read = _png_names(data) if form == "png" else _other_names(data, form)
        for name in read:
            names[name] = None
    return tuple(names)


def ignored(data: bytes, form: str, held: Collection[str], applied: int = 1) -> Iterator[Finding]:
    """Warnings of orientations outside EXIF that are not applied.

    Pillow's `exif_transpose` goes by XMP, and in PNG by the text chunk in which ImageMagick keeps
    EXIF, where the EXIF proper says nothing; TensorFlow, OpenCV and browsers do not.

    Args:
        data: a sound image file.
        form: its format.
        held: what `held` gives; where that names neither, nothing is looked for.
        applied: the orientation that was applied.
    """
    if not any(name == "XMP" or name.startswith(f"PNG text {_RAW_PROFILE}") for name in held):
        return
    if form == "png":
        said = list(_png_orientations(data))
    else:
        tiff = data
        if form != "tiff":
            tiff = _info(data, form.upper()).get("exif", b"").removeprefix(exif.MARKER)
        said = [("EXIF", exif.tag(tiff)), ("XMP", _xmp_orientation(data))]
    if not any(value for where, value in said if where == "EXIF"):
        others = [(where, value) for where, value in said if value not in (None, 1, applied)]
        yield from (exif.ignored(where, value or 1, applied) for where, value in others[:1])


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
    if form == "jpeg":
        cuts, end = _jpeg_cuts(data, profile=profile)
    else:
        facts, chunks = png.parse(data)
        refuse_turned(facts.orientation)
        end, stay = facts.end, _NEEDED | _PROFILES if profile else _NEEDED
        cuts = [
            (start - 8, end, b"")
            for kind, start, end in chunks
            if kind not in stay and end - 4 - start not in _NUMBERS.get(kind, ())
        ]
    if not cuts and end == len(data):
        return data
    parts, at = [], 0
    for first, last, instead in cuts:
        parts += [data[at:first], instead]
        at = last
    return b"".join((*parts, data[at:end]))


def refuse_turned(orientation: int) -> None:
    """Refuse to store the bytes of a picture that EXIF turns as if it lay upright.

    Only a file whose header alone was read comes as far: its eXIf stands behind the pixels.

    Raises:
        PixelError: header-not-enough.
    """
    if orientation != 1:
        raise PixelError("header-not-enough", case="turned", orientation=orientation)


def _jpeg_cuts(data: bytes, *, profile: bool) -> tuple[list[_Cut], int]:
    cuts, end, scans = [], 0, 0
    orientations: list[tuple[int, int]] = []
    for code, start, end in jpeg.segments(data):
        if code in _CODED:
            scans += code == _SOS
            continue
        if code not in _SPOKEN:
            raise PixelError("jpeg-marker", case="reserved", marker=code)
        body, instead = data[start:end], b""
        if code == _APP1 and body.startswith(exif.MARKER):
            orientations.append((exif.orientation(body[len(exif.MARKER) :]), scans))
        elif code == _APP0 and body.startswith(b"JFIF\0") and len(body) >= _JFIF_BODY:
            instead = body[: _JFIF_BODY - 2] + b"\0\0"  # a thumbnail of 0 x 0
        elif code == _APP14 and body.startswith(b"Adobe") and len(body) >= _ADOBE_BODY:
            instead = body[:_ADOBE_BODY]
        elif profile and code == _APP2 and body.startswith(_ICC):
            instead = body
        if not instead:
            cuts.append((start - 4, end, b""))
        elif instead != body:
            cuts.append((start - 2, end, (len(instead) + 2).to_bytes(2, "big") + instead))
    refuse_turned(jpeg.applied_orientation(orientations))
    return cuts, end


def _png_orientations(data: bytes) -> Iterator[tuple[str, int | None]]:
    """What says an orientation in a PNG, and which; None: it says none after all."""
    for kind, body in _png_noted(data):
        if kind == b"eXIf":
            yield "EXIF", exif.tag(body)
        elif kind in _TEXTS:
            keyword, text = _png_text(kind, body)
            if keyword == _XMP_KEYWORD:
                yield "XMP", _xmp_orientation(text)
            elif keyword.startswith(_RAW_PROFILE):  # a name, a length, hexadecimal digits
                digits = b"".join(text.split()[2:])
                with contextlib.suppress(ValueError):
                    inner = bytes.fromhex(digits.decode("ascii"))
                    value = exif.tag(inner.removeprefix(exif.MARKER)) or _xmp_orientation(inner)
                    yield f"PNG text {keyword}", value


def _png_text(kind: bytes, body: bytes) -> tuple[str, bytes]:
    """Keyword and text of a tEXt, zTXt or iTXt chunk; no text where it cannot be inflated."""
    name, _, text = body.partition(b"\0")
    packed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"iTXt":
        text = text[2:].split(b"\0", 2)[-1]  # behind language and translated keyword
    elif packed:
        text = text[1:]
    if packed:
        try:
            text = zlib.decompressobj().decompress(text, _LONGEST_TEXT)
        except zlib.error:
            text = b""
    return name.decode("latin-1"), text


def _xmp_orientation(text: bytes) -> int | None:
    match = _XMP_ORIENTATION.search(text)
    return int(match[1]) if match else None


def _jpeg_names(data: bytes) -> Iterator[str]:
    for code, start, end in takewhile(lambda segment: segment[0] != _SOS, jpeg.segments(data)):
        body = data[start:end]
        if code == _COM:
            yield from ["JPEG comment"] * exif.personal(body)
        elif code not in _SPOKEN or code == _APP14:
            continue
        elif code == _APP0:
            thumbnail = body.startswith(b"JFXX") or (body.startswith(b"JFIF") and any(body[12:14]))
            yield from ["JFIF thumbnail"] * thumbnail
        elif body.startswith(exif.MARKER):
            yield from exif.personal_fields(body[len(exif.MARKER) :], "EXIF")
        elif _XMP in body[:32]:
            yield "XMP"
        elif body.startswith(_PHOTOSHOP):
            yield from exif.resources(body[len(_PHOTOSHOP) :])
        elif _CREDENTIALS in body[:32]:
            yield "content credentials"
        elif code != _APP2 and body.strip(_BLANK) and not body.startswith(_IMPERSONAL):
            yield f"JPEG APP{code - _APP0}"


def _png_names(data: bytes) -> Iterator[str]:
    for kind, body in _png_noted(data):
        if kind == b"eXIf":
            yield from exif.personal_fields(body, "EXIF")
        elif kind not in _TEXTS:
            yield "PNG time" if kind == b"tIME" else "content credentials"
        else:
            name, _, text = body.partition(b"\0")
            keyword = "".join(filter(str.isprintable, name.decode("latin-1")))[:_LONGEST]
            if keyword == _XMP_KEYWORD:
                yield "XMP"
            elif keyword.lower() not in _KEYWORDS and exif.personal(text):
                yield f"PNG text {keyword}"


def _png_noted(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of the chunks that may be personal, on either side of the pixels."""
    at = len(png.SIGNATURE)
    while at + 12 <= len(data):
        length, kind = _LENGTH_AND_KIND.unpack_from(data, at)
        if kind in _NOTED:
            yield kind, data[at + 8 : at + 8 + length]
        elif kind == b"IEND":
            return
        at += 12 + length


def _other_names(data: bytes, form: str) -> Iterator[str]:
    if form == "tiff":
        yield from exif.personal_fields(data, "TIFF")
    elif form == "ppm":
        header = _PNM.match(data)
        if header and any(map(exif.personal, re.findall(rb"#([^\n]*)", header[0]))):
            yield "PPM comment"
    elif form in ("gif", "webp"):  # BMP holds nothing of the kind
        info = _info(data, form.upper())
        if exif.personal(info.get("comment", b"")):
            yield "GIF comment"
        if info.get("xmp") or info.get("extension", (b"",))[0].startswith(b"XMP Data"):
            yield "XMP"
        yield from exif.personal_fields(info.get("exif", b"").removeprefix(exif.MARKER), "EXIF")


def _info(data: bytes, form: str) -> dict[Any, Any]:
    """What Pillow reads beside the pixels, which are not decoded; empty: it cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=[form]).info
    except Exception:  # noqa: BLE001 - on broken bytes Pillow raises almost anything
        return {}
