"""What an image file holds beside its pixels that may name a person, a place or a time.

Only names of findings are given ("EXIF GPS"), never their content: a report must not spread what
it warns of. Damaged metadata are passed over, since decoders do so too; blank values, and what
programs write of themselves, name nobody. `segrecord.pixels.strip` takes all of it out, and more.

Not looked at: profiles, comments between the scans of a JPEG, bytes after the image, and whatever
is drawn into the picture itself.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any

from PIL import Image

from segrecord.errors import PixelError
from segrecord.pixels import exif, jpeg, png
from segrecord.pixels.tags import named, personal, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from segrecord.errors import Note

_SOS, _APP0, _APP1, _APP2, _APP13, _APP14, _COM = 0xDA, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE

_XMP = b"ns.adobe.com/x"
"""In the name of XMP, of its extension, and of what some programs write in their place."""

_EXIF = b"Exif\0\0"
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
_RAW_PROFILE = "PNG text Raw profile type "
"""How ImageMagick's texts that hold EXIF or XMP are named in findings."""

_LONGEST_TEXT = 1 << 20
"""Bytes of an inflated text that are looked at."""

_LONGEST = 40
"""Letters of a PNG keyword that are told; it may have 79."""

_PNM = re.compile(rb"P(?:[14](?:(?:\s|#[^\n]*\n)+\d+){2}|[2356](?:(?:\s|#[^\n]*\n)+\d+){3})")
"""The header of PBM, PGM or PPM, with its comments."""

_BLANK = b"\0 \t\r\n"


def held(data: bytes, form: str) -> tuple[str, ...]:
    """Short, stable names of what may be personal, each once; empty: there is nothing.

    "EXIF GPS", "EXIF Artist", "XMP", "IPTC", "JPEG comment", "PNG text Author", "TIFF DateTime".

    Args:
        data: an image file, sound or not.
        form: its format, as `formats.identify` tells it.
    """
    names: dict[str, None] = {}
    reader = _READERS.get(form)
    if reader is not None:
        with contextlib.suppress(PixelError):  # what was found up to the damage counts
            for name in reader(data):
                names[name] = None
    return tuple(names)


def ignored(data: bytes, form: str, held: Collection[str], applied: int = 1) -> Iterator[Note]:
    """Warnings of orientations outside EXIF that are not applied.

    Pillow's `exif_transpose` goes by XMP, and in PNG by the text chunk in which ImageMagick keeps
    EXIF, where the EXIF proper says nothing; TensorFlow, OpenCV and browsers do not.

    Args:
        data: a sound image file.
        form: its format.
        held: what `held` tells of it; where that names neither, nothing is looked for.
        applied: the orientation that was applied.
    """
    if not any(name == "XMP" or name.startswith(_RAW_PROFILE) for name in held):
        return
    if form == "png":
        said = list(_png_orientations(data))
    elif form == "tiff":
        said = [("EXIF", exif.tag(data)), ("XMP", _xmp_orientation(data))]
    else:
        inner = _info(data, form.upper()).get("exif", b"")
        said = [("EXIF", exif.tag(inner.removeprefix(_EXIF))), ("XMP", _xmp_orientation(data))]
    if not any(value for where, value in said if where == "EXIF"):
        others = [(where, value) for where, value in said if value not in (None, 1, applied)]
        yield from (exif.ignored(where, value or 1, applied) for where, value in others[:1])


def _png_orientations(data: bytes) -> Iterator[tuple[str, int | None]]:
    """What says an orientation in a PNG, and which; None: it says none after all."""
    for kind, body in _png_noted(data):
        if kind == b"eXIf":
            yield "EXIF", exif.tag(body)
        elif kind in _TEXTS:
            keyword, text = _png_text(kind, body)
            if keyword == _XMP_KEYWORD:
                yield "XMP", _xmp_orientation(text)
            elif keyword.startswith("Raw profile type "):  # a name, a length, hexadecimal digits
                digits = b"".join(text.split()[2:])
                with contextlib.suppress(ValueError):
                    inner = bytes.fromhex(digits.decode("ascii"))
                    value = exif.tag(inner.removeprefix(_EXIF)) or _xmp_orientation(inner)
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
    found = _XMP_ORIENTATION.search(text)
    return int(found[1]) if found else None


def _jpeg(data: bytes) -> Iterator[str]:
    for code, start, end in jpeg.segments(data):
        if code == _SOS:
            return
        if code == _COM and personal(data[start:end]):
            yield "JPEG comment"
        elif _APP0 <= code < _APP0 + 16 and code != _APP14:
            yield from _application(code, data[start:end])


def _application(code: int, body: bytes) -> Iterator[str]:
    """Names of what an APPn segment holds."""
    if code == _APP0:
        thumbnail = body.startswith(b"JFXX") or (body.startswith(b"JFIF") and any(body[12:14]))
        yield from ["JFIF thumbnail"] * thumbnail
    elif body.startswith(_EXIF):
        yield from named(body[len(_EXIF) :], "EXIF")
    elif _XMP in body[:32]:
        yield "XMP"
    elif body.startswith(_PHOTOSHOP):
        yield from resources(body[len(_PHOTOSHOP) :])
    elif _CREDENTIALS in body[:32]:
        yield "content credentials"
    elif code != _APP2 and body.strip(_BLANK) and not body.startswith(_IMPERSONAL):
        yield f"JPEG APP{code - _APP0}"


def _png(data: bytes) -> Iterator[str]:
    for kind, body in _png_noted(data):
        yield from _chunk(kind, body)


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


def _chunk(kind: bytes, body: bytes) -> Iterator[str]:
    if kind == b"eXIf":
        yield from named(body, "EXIF")
    elif kind in _TEXTS:
        yield from _text(body)
    else:
        yield "PNG time" if kind == b"tIME" else "content credentials"


def _text(body: bytes) -> Iterator[str]:
    name, _, text = body.partition(b"\0")
    keyword = "".join(filter(str.isprintable, name.decode("latin-1")))[:_LONGEST]
    if keyword == _XMP_KEYWORD:
        yield "XMP"
    elif keyword.lower() not in _KEYWORDS and personal(text):
        yield f"PNG text {keyword}"


def _gif(data: bytes) -> Iterator[str]:
    info = _info(data, "GIF")
    if personal(info.get("comment", b"")):
        yield "GIF comment"
    if info.get("extension", (b"",))[0].startswith(b"XMP Data"):
        yield "XMP"


def _webp(data: bytes) -> Iterator[str]:
    info = _info(data, "WEBP")
    if info.get("xmp"):
        yield "XMP"
    yield from named(info.get("exif", b"").removeprefix(_EXIF), "EXIF")


def _info(data: bytes, form: str) -> dict[Any, Any]:
    """What Pillow reads beside the pixels, which are not decoded; empty: it cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=[form]).info
    except Exception:  # noqa: BLE001 - on broken bytes Pillow raises almost anything
        return {}


def _tiff(data: bytes) -> Iterator[str]:
    yield from named(data, "TIFF")


def _ppm(data: bytes) -> Iterator[str]:
    header = _PNM.match(data)
    if header and any(map(personal, re.findall(rb"#([^\n]*)", header[0]))):
        yield "PPM comment"


_READERS: dict[str, Callable[[bytes], Iterator[str]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "tiff": _tiff,
    "ppm": _ppm,
}
"""BMP holds nothing of the kind."""
