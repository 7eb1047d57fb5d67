"""Which TIFF, EXIF, Photoshop and IPTC fields of a file may name a person, a place or a time.

EXIF is a TIFF structure inside another file (EXIF 2.32, section 4.5); one walk serves both. Offsets
come from the file: whatever leads out of it ends the walk, what was found before counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
_BIG_TIFF = 43
"""Where a classic TIFF has 42."""

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_XMP, _IPTC, _PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_THUMBNAIL, _STRIPS = 0x0201, 0x0111
_GPS_VERSION, _USER_COMMENT = 0x0000, 0x9286

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
        for place in range(first, self._end(at), size):
            if place + size > len(self.data):
                return
            count = self.number(place + 4, self.wide)
            length = min(_SIZES.get(self.number(place + 2, 2), 0) * count, _LONGEST)
            value = place + 4 + self.wide
            if length > self.wide:
                value = self.number(value, self.wide)
            yield self.number(place, 2), self.data[value : value + length]

    def offset(self, value: bytes) -> int:
        """The offset that this value is."""
        return int.from_bytes(value, self.order)

    def following(self, at: int) -> int:
        """The offset of the directory behind the one at this offset; 0: there is none."""
        return self.number(self._end(at), self.wide)

    def _layout(self, at: int) -> tuple[int, int]:
        """Where the entries of a directory begin, and how long each is."""
        return (at + 8, 20) if self.wide > 4 else (at + 2, 12)  # noqa: PLR2004 - a BigTIFF

    def _end(self, at: int) -> int:
        first, size = self._layout(at)
        return first + size * min(self.number(at, first - at), _ENTRIES)


def named(tiff: bytes, where: str) -> Iterator[str]:
    """Names of what a TIFF structure holds, such as "EXIF GPS"; none where it is damaged.

    Args:
        tiff: a TIFF file, or the EXIF of another file from its byte order on.
        where: "EXIF" or "TIFF", which the names begin with.
    """
    found = _tiff(tiff)
    if found is None:
        return
    first = found.number(found.wide, found.wide)
    for tag, value in found.entries(first):
        if tag == _EXIF_IFD:
            for inner, text in found.entries(found.offset(value)):
                yield from _field(inner, text, where)
        elif tag == _GPS_IFD:
            place = {inner for inner, _ in found.entries(found.offset(value))}
            yield from [f"{where} GPS"] * bool(place - {_GPS_VERSION})
        else:
            yield from _field(tag, value, where)
    behind = found.following(first) if where == "EXIF" else 0
    if behind and {tag for tag, _ in found.entries(behind)} & {_THUMBNAIL, _STRIPS}:
        yield "EXIF thumbnail"


def entries(tiff: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each entry of a TIFF structure's first directory; none if it is damaged."""
    found = _tiff(tiff)
    if found is not None:
        yield from found.entries(found.number(found.wide, found.wide))


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
