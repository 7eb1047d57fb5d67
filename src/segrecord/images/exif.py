"""TIFF and EXIF structures: orientation, and which fields may name a person, a place or a time.

EXIF is a TIFF structure inside another file (EXIF 2.32, section 4.5); one walk serves both. Offsets
come from the file: whatever leads out of it ends the walk, what was found before counts.

TensorFlow ignores the orientation, viewers and annotation tools apply it: left alone, a turned
photograph lies across its mask. Only the EXIF tag counts; orientations in XMP or in text chunks do
not, since few decoders go by them. `ignored` makes the warning where they say something else.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from segrecord.findings import Finding

MARKER = b"Exif\0\0"
"""What EXIF begins with in a JPEG, and in what some programs write elsewhere."""

_ORIENTATION = 0x0112
"""EXIF 2.32, section 4.6.4."""

_FORMATS = {1: "B", 3: "H", 4: "I"}
"""struct letters of the TIFF types BYTE, SHORT and LONG; SHORT is right, the others occur."""

_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
_BIG_TIFF = 43
"""Where a classic TIFF has 42."""

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_XMP, _IPTC, _PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_THUMBNAIL, _STRIPS = 0x0201, 0x0111
_GPS_VERSION, _USER_COMMENT = 0x0000, 0x9286

_MP_ENTRIES, _PREVIEW = 0xB002, 0x01
"""Tag of a list of pictures, and the class of those that are previews; CIPA DC-007, 5.2.3."""

_FIELDS = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x011D: "PageName",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    0x9003: "DateTime",  # original
    0x9004: "DateTime",  # digitized
    0x927C: "MakerNote",
    _USER_COMMENT: "UserComment",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
    0xA420: "ImageUniqueID",
    0xA430: "CameraOwnerName",
    0xA431: "serial number",  # body
    0xA435: "serial number",  # lens
    0xA436: "ImageTitle",
    0xA437: "Photographer",
    0xA438: "ImageEditor",
    0xC62F: "serial number",  # camera, DNG
    0x830E: "GeoTIFF",  # pixel scale
    0x8482: "GeoTIFF",  # tie points
    0x85D8: "GeoTIFF",  # transformation
}
"""TIFF 6.0, EXIF 3.0 section 4.6, DNG 1.7, GeoTIFF 1.1; XP fields are those of Windows."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8, 129: 1}
"""Bytes of a value of each TIFF type; 129 is UTF-8 of EXIF 3.0."""

_CHARACTER_CODE = re.compile(rb"ASCII\0{3}|UNICODE\0|JIS\0{5}|\0{8}")
"""How a UserComment begins."""

_PROGRAM = re.compile(
    rb"\s*(CREATOR: (gd-jpeg|GIMP|XV)|Created (by|with) (The |the )?(GIMP|IrfanView)|Lavc\d"
    rb"|LEAD Technologies|File written by Adobe|Intel\(R\) (JPEG|IPP)|Optimized by JPEGmini"
    rb"|AppleMark|Handmade Software|JPEG Encoder Copyright|ImageJ=|\{\"shape\": )"
)
"""How texts begin in which a program names itself, or tells the shape of an array."""

_BLANK = b"\0 :0\t\r\n"
"""Unknown times are zeros or blanks between colons (EXIF 2.32, section 4.6.5)."""

_MARK = 0x1C
"""What each IPTC field begins with."""

_IPTC_RESOURCE, _XMP_RESOURCE, _THUMBNAILS = 0x0404, 0x0424, frozenset({0x0409, 0x040C})
"""Photoshop image resources."""

_IMPERSONAL = frozenset({(1, 0), (1, 90), (2, 0), (2, 65), (2, 70)})
"""IPTC-IIM 4.2: versions, character set, name and version of the program."""

_ENTRIES, _LONGEST = 1000, 1 << 20
"""Entries of a directory and bytes of a value that are looked at: far more than files have."""


def orientation(tiff: bytes) -> int:
    """The orientation (1 to 8) in this TIFF structure; 1 where there is none or it is damaged.

    Args:
        tiff: the body of a PNG eXIf chunk, or of a JPEG APP1 segment after "Exif" and two zeros.
    """
    return tag(tiff) or 1


def tag(tiff: bytes) -> int | None:
    """As `orientation`, but None where there is no such tag or it is damaged."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * entries, 12):
            number, kind, count = struct.unpack_from(order + "HHI", tiff, at)
            if number == _ORIENTATION and count == 1 and kind in _FORMATS:
                (value,) = struct.unpack_from(order + _FORMATS[kind], tiff, at + 8)
                return value if 1 <= value <= 8 else None  # noqa: PLR2004 - eight orientations
    except struct.error:
        pass
    return None


def ignored(where: str, value: int, applied: int) -> Finding:
    """The warning that an orientation is there and not applied.

    Args:
        where: what says it, for example "XMP".
        value: what it says, 1 to 8.
        applied: the orientation that was applied; 1: the picture is left as it lies in the file.
    """
    case = "left" if applied == 1 else "turned"
    values = {"case": case, "where": where, "value": value, "applied": applied}
    return Finding("orientation-ignored", values=values)


def turn(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """The pixels (H, W) or (H, W, C) as they are meant to be seen, C order.

    Orientations 5 to 8 exchange height and width. Equal to Pillow's `ImageOps.exif_transpose`.
    """
    if orientation >= 5:  # noqa: PLR2004 - 5 to 8 are transposed
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


class _Tiff(NamedTuple):
    """A TIFF structure."""

    data: bytes
    order: Literal["little", "big"]
    wide: int
    """Bytes of an offset: 4, or 8 in a BigTIFF."""

    def number(self, at: int, length: int) -> int:
        return int.from_bytes(self.data[at : at + length], self.order)

    def entries(self, at: int) -> Iterator[tuple[int, bytes]]:
        """Tag and value of each entry of the directory at this offset that lies in the file."""
        first, size = self._layout(at)
        for entry in range(first, self._end(at), size):
            if entry + size > len(self.data):
                return
            count = self.number(entry + 4, self.wide)
            length = min(_SIZES.get(self.number(entry + 2, 2), 0) * count, _LONGEST)
            value = entry + 4 + self.wide
            if length > self.wide:
                value = self.number(value, self.wide)
            yield self.number(entry, 2), self.data[value : value + length]

    def following(self, at: int) -> int:
        """The offset of the directory behind the one at this offset; 0: there is none."""
        return self.number(self._end(at), self.wide)

    def _layout(self, at: int) -> tuple[int, int]:
        """Where the entries of a directory begin, and how long each is."""
        return (at + 8, 20) if self.wide > 4 else (at + 2, 12)  # noqa: PLR2004 - a BigTIFF

    def _end(self, at: int) -> int:
        first, size = self._layout(at)
        return first + size * min(self.number(at, first - at), _ENTRIES)


def personal_fields(tiff: bytes, where: str) -> Iterator[str]:
    """Names of what a TIFF structure holds, such as "EXIF GPS"; none where it is damaged.

    Args:
        tiff: a TIFF file, or the EXIF of another file from its byte order on.
        where: "EXIF" or "TIFF", which the names begin with.
    """
    structure = _tiff(tiff)
    if structure is None:
        return
    first = structure.number(structure.wide, structure.wide)
    for tag, value in structure.entries(first):
        if tag == _EXIF_IFD:
            for inner, text in structure.entries(int.from_bytes(value, structure.order)):
                yield from _field(inner, text, where)
        elif tag == _GPS_IFD:
            tags = {inner for inner, _ in structure.entries(int.from_bytes(value, structure.order))}
            yield from [f"{where} GPS"] * bool(tags - {_GPS_VERSION})
        else:
            yield from _field(tag, value, where)
    behind = structure.following(first) if where == "EXIF" else 0
    if behind and {tag for tag, _ in structure.entries(behind)} & {_THUMBNAIL, _STRIPS}:
        yield "EXIF thumbnail"


def pictures(tiff: bytes) -> int:
    """Pictures that the index of a multi-picture file (MPO) lists, previews not counted.

    Args:
        tiff: a JPEG's APP2 segment after "MPF" and a zero; of a damaged one it is 1.
    """
    structure = _tiff(tiff)
    if structure is None:
        return 1
    listed = dict(structure.entries(structure.number(structure.wide, structure.wide))).get(
        _MP_ENTRIES, b""
    )
    entries = (listed[at : at + 4] for at in range(0, len(listed), 16))
    kinds = [int.from_bytes(entry, structure.order) >> 16 & 0xFF for entry in entries]
    return max(len(kinds) - kinds.count(_PREVIEW), 1)


def _tiff(tiff: bytes) -> _Tiff | None:
    order = _ORDERS.get(tiff[:2])
    if order is None:
        return None
    return _Tiff(tiff, order, 8 if int.from_bytes(tiff[2:4], order) == _BIG_TIFF else 4)


def _field(tag: int, value: bytes, where: str) -> Iterator[str]:
    if tag == _PHOTOSHOP:
        yield from resources(value)
    elif tag == _IPTC:
        yield from _iptc(value)
    elif tag == _XMP:
        yield from ["XMP"] * bool(value.strip(_BLANK))
    elif tag in _FIELDS:
        text = _CHARACTER_CODE.sub(b"", value, count=1) if tag == _USER_COMMENT else value
        yield from [f"{where} {_FIELDS[tag]}"] * personal(text)


def personal(text: bytes) -> bool:
    """Whether a text says anything, and more than a program's name or an array's shape."""
    return bool(text.strip(_BLANK)) and not _PROGRAM.match(text)


def resources(data: bytes) -> Iterator[str]:
    """Names of what Photoshop's image resources hold (Adobe Photoshop File Formats)."""
    at = 0
    while data[at : at + 4] == b"8BIM" and len(data) >= at + 12:
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        at += 6 + (data[at + 6] + 2) // 2 * 2  # its name, padded to even
        length = int.from_bytes(data[at : at + 4], "big")
        if kind == _IPTC_RESOURCE:
            yield from _iptc(data[at + 4 : at + 4 + length])
        elif kind == _XMP_RESOURCE:
            yield "XMP"
        elif kind in _THUMBNAILS:
            yield "Photoshop thumbnail"
        at += 4 + (length + 1) // 2 * 2


def _iptc(data: bytes) -> Iterator[str]:
    at = 0
    while len(data) >= at + 5 and data[at] == _MARK:
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if (data[at + 1], data[at + 2]) not in _IMPERSONAL and length:
            yield "IPTC"
            return
        at += 5 + length
