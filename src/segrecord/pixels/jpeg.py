"""JPEG: a walk over the markers, then a strict decode; together they prove what can be proved.

A JPEG has no checksum, so pixels that changed without breaking the code stay unseen (a hash of
the source shows them later). What can be seen is refused here: truncation, junk between segments,
and all that makes libjpeg warn and go on with invented pixels, which Pillow and TensorFlow let
through. Rules are those of ITU-T T.81 annex B.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import simplejpeg

from segrecord.errors import Note, PixelError
from segrecord.pixels import exif, jpeg_scan, opened
from segrecord.pixels.png import check_size, unusual
from segrecord.pixels.tags import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIGNATURE = b"\xff\xd8\xff"

_SOI, _EOI, _SOS, _DNL, _APP1, _APP2, _APP14 = 0xD8, 0xD9, 0xDA, 0xDC, 0xE1, 0xE2, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame, SOF0 to SOF15; the three between are DHT, JPG and DAC."""

_STANDALONE = frozenset({0x01, _SOI, *range(0xD0, 0xD8)})
"""TEM, SOI and RST0 to RST7 carry no length and may not stand between segments."""

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends a scan: a marker that is neither a stuffed 0xFF, nor a fill byte, nor a restart."""

_TRANSFORM = 11
"""Offset of the colour transform in the body of an Adobe APP14 segment."""

_EXIF = b"Exif\0\0"
_MPF = b"MPF\0"
_MP_ENTRIES, _PREVIEW = 0xB002, 0x01
"""Tag of the list of pictures, and the class of those that are previews; CIPA DC-007, 5.2.3."""

_MAX_SCANS = 500
"""More scans than any encoder writes; libjpeg-turbo's guidance against progressive bombs."""

_COLOURS = {1: "GRAY", 3: "RGB", 4: "CMYK"}
_BYTE = 8
_BASELINE = frozenset({0, 1})
"""Sequential, Huffman-coded."""

LOSSLESS = 3
DECODED = frozenset({0, 1, 2, LOSSLESS, 9, 10})
"""Processes that the strict decoder reads: sequential, progressive, lossless, arithmetic."""

_FIX = "get a sound copy of the file, or leave it out"

Pixels = npt.NDArray[np.uint8]


class Jpeg(NamedTuple):
    """What the markers of a JPEG say."""

    height: int
    """Pixels, as stored."""
    width: int
    components: int
    """1 grey, 3 YCbCr or RGB, 4 CMYK or YCCK."""
    precision: int
    """Bits a sample, mostly 8."""
    process: int
    """N of SOFn: 0 and 1 sequential, 2 progressive, 3 lossless, 9 and 10 arithmetic."""
    orientation: int
    """EXIF, 1 to 8; 1 where there is none or it is damaged."""
    end: int
    """Offset just after EOI; bytes from here on are no part of the JPEG. 0 from `header`."""
    adobe_transform: int | None
    """0 RGB or CMYK, 1 YCbCr, 2 YCCK; None where there is no Adobe marker."""
    pictures: int = 1
    """Pictures of a multi-picture file (MPO), previews not counted."""
    ignored_orientation: int = 1
    """EXIF of a second segment, or of one behind the first scan, where it says something else."""
    unusual: str = ""
    """What the strict decoder refused and was proved harmless; known to `walk` alone."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What to warn of."""
        notes = []
        if self.unusual:
            notes.append(unusual(f"the JPEG has {self.unusual}"))
        if self.ignored_orientation != 1:
            notes.append(exif.ignored("a second EXIF", self.ignored_orientation, self.orientation))
        if self.pictures > 1:
            message = f"the file holds {self.pictures} pictures (MPO); the first alone is stored"
            fix = "save the others as files of their own if they are meant too"
            notes.append(Note("several-pictures", message, fix))
        return tuple(notes)


_NO_FRAME = Jpeg(0, 0, 0, 0, 0, 1, 0, None)
_Segment = tuple[int, int, int]


def _fail(code: str, message: str, fix: str = _FIX) -> NoReturn:
    raise PixelError(code, message, fix)


def header(head: bytes) -> Jpeg | None:
    """What the markers up to SOF say; None where `head` ends earlier.

    Args:
        head: the first bytes of a file.

    Raises:
        PixelError: the markers that were read break a rule.
    """
    try:
        return _collect(head, _through_frame(segments(head)))._replace(end=0)
    except PixelError as error:
        if error.code == "jpeg-truncated":
            return None
        raise


def walk(data: bytes) -> Jpeg:
    """Prove a JPEG as sound as can be proved; see `walk_and_decode`."""
    return walk_and_decode(data)[0]


def walk_and_decode(data: bytes) -> tuple[Jpeg, Pixels | None]:
    """Walk to EOI, then decode with every warning an error.

    Returns:
        What the markers say, and the pixels as stored: uint8, (H, W, 1) grey, (H, W, 3) RGB,
        (H, W, 4) CMYK as stored, mostly inverted; None where the decoder does
        not know the kind (another precision than 8, 2 components, hierarchical), unchecked then.
        What the decoder refuses and is sound nevertheless is told by `Jpeg.unusual`.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    facts = markers(data)
    colour = _COLOURS.get(facts.components)
    if facts.precision != _BYTE or facts.process not in DECODED or colour is None:
        return facts, None
    own = data if facts.end == len(data) else data[: facts.end]
    try:
        return facts, decode(own, colour)
    except PixelError as error:
        unusual_sampling = error.code == "jpeg-subsampling"
        found = _sampled(own, facts) if unusual_sampling else _unpadded(own, colour)
        if found is None:
            raise
    return facts._replace(unusual=found[0]), found[1]


def markers(data: bytes) -> Jpeg:
    """What all markers up to EOI say, their order checked; nothing is decoded.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    return _collect(data, segments(data))


def decode(data: bytes, colour: str) -> Pixels:
    """The pixels (H, W, C) as stored: accurate DCT, smooth upsampling, no warning tolerated.

    Args:
        data: a JPEG without trailing bytes.
        colour: GRAY, RGB or CMYK.

    Raises:
        PixelError: jpeg-data or jpeg-subsampling.
    """
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, colour, strict=True)
    except (ValueError, MemoryError) as error:
        if "subsampling level" in str(error):  # the decoder knows the usual six
            _fail(
                "jpeg-subsampling",
                "the JPEG has unusual sampling factors, and nothing shows that it is undamaged",
                "look at it: if it is whole, save it as PNG; else get a sound copy",
            )
        _fail("jpeg-data", f"the JPEG cannot be decoded: {str(error) or 'out of memory'}")
    return pixels


def _sampled(data: bytes, facts: Jpeg) -> tuple[str, Pixels] | None:
    """What is unusual, and the pixels, of a sound JPEG of other sampling factors; None: not sound.

    TurboJPEG knows the usual six only. That no code of the scan is damaged is shown without it;
    the pixels are Pillow's, which equal TensorFlow's.
    """
    frame = next(data[start:end] for code, start, end in segments(data) if code in _FRAMES)
    usual = facts.process in _BASELINE and facts.components == 3  # noqa: PLR2004 - YCbCr or RGB
    if not usual or not jpeg_scan.sound(data, segments(data), frame):
        return None
    factors = ", ".join(f"{frame[at] >> 4}x{frame[at] & 15}" for at in range(7, len(frame), 3))
    pixels = opened.pixels(opened.load(data, "jpeg"), alpha=False)
    return f"unusual sampling factors ({factors})", pixels


def _unpadded(data: bytes, colour: str) -> tuple[str, Pixels] | None:
    """What is unusual, and the pixels, of a JPEG that is sound without zeros before EOI; else None.

    The strict decode of what stands before them needs no bit of them, so they are no zeroed part
    of the picture: that would have ended too early.
    """
    bare = data[:-2].rstrip(b"\0")
    if bare.endswith(b"\xff"):  # a stuffed byte
        bare += b"\0"
    padding = len(data) - 2 - len(bare)
    if not padding:
        return None
    try:
        strict = decode(bare + data[-2:], colour)
    except PixelError:
        return None
    lenient = opened.pixels(opened.load(data, "jpeg"), alpha=False)
    if colour != "CMYK" and not np.array_equal(strict.reshape(lenient.shape), lenient):
        return None
    return f"{padding} bytes of padding before EOI", strict


def _through_frame(segments: Iterable[_Segment]) -> Iterator[_Segment]:
    for segment in segments:
        yield segment
        if segment[0] in _FRAMES:
            return


def _collect(data: bytes, segments: Iterable[_Segment]) -> Jpeg:
    """What these segments say, their order checked."""
    frame, adobe, scans, end = _NO_FRAME, None, 0, 0
    exifs: list[tuple[int, int]] = []
    pictures = 1
    for code, start, end in segments:
        if code in _FRAMES:
            if frame is not _NO_FRAME:
                _fail("jpeg-marker", "the JPEG has a second SOF marker")
            frame = _frame(code - 0xC0, data[start:end])
        elif code == _APP1 and data.startswith(_EXIF, start):
            exifs.append((exif.orientation(data[start + len(_EXIF) : end]), scans))
        elif code == _APP2 and data.startswith(_MPF, start):
            pictures = _pictures(data[start + len(_MPF) : end])
        elif code == _APP14 and data.startswith(b"Adobe", start) and end > start + _TRANSFORM:
            adobe = data[start + _TRANSFORM]
        elif code == _SOS:
            scans += 1
            _check_scan(frame, scans)
    if frame is _NO_FRAME or (code == _EOI and not scans):
        _fail("jpeg-marker", "the JPEG holds no picture: SOF or SOS is missing")
    orientation = first(exifs)
    return frame._replace(
        orientation=orientation,
        end=end,
        adobe_transform=adobe,
        pictures=pictures,
        ignored_orientation=next((it for it, _ in exifs if it not in (1, orientation)), 1),
    )


def first(exifs: list[tuple[int, int]]) -> int:
    """The orientation that decoders go by: of the first EXIF segment, if it stands ahead of scans.

    Args:
        exifs: the orientation of each EXIF segment, and how many scans stand before it.
    """
    return exifs[0][0] if exifs and not exifs[0][1] else 1


def _pictures(body: bytes) -> int:
    """Pictures that a multi-picture index lists, but previews."""
    listed = dict(entries(body)).get(_MP_ENTRIES, b"")
    order: Literal["little", "big"] = "little" if body[:2] == b"II" else "big"
    attributes = (int.from_bytes(listed[at : at + 4], order) for at in range(0, len(listed), 16))
    return max(sum(kind >> 16 & 0xFF != _PREVIEW for kind in attributes), 1)


def _check_scan(frame: Jpeg, scans: int) -> None:
    if frame is _NO_FRAME:
        _fail("jpeg-marker", "the JPEG has SOS where SOF must come first")
    if scans > _MAX_SCANS:
        _fail("jpeg-scans", f"the JPEG has more than {_MAX_SCANS} scans")


def segments(data: bytes) -> Iterator[_Segment]:
    """Code, start of the body, and end of each marker segment, EOI last; scans are passed over.

    Raises:
        PixelError: not-an-image, jpeg-marker or jpeg-truncated.
    """
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        _fail("not-an-image", f"does not begin with a JPEG's marker SOI but with {data[:4]!r}")
    at = 2
    while True:
        code, start, at = _segment(data, at)
        yield code, start, at
        if code == _EOI:
            return
        if code == _SOS:
            found = _SCAN_END.search(data, at)
            if found is None:
                _truncated(data)
            at = found.start()


def _segment(data: bytes, at: int) -> _Segment:
    marker = _MARKER.match(data, at)
    if marker is None:
        if not data[at:].strip(b"\xff"):
            _truncated(data)
        _fail("jpeg-marker", f"the JPEG has {data[at : at + 4]!r} at byte {at}, not a marker")
    code, start = marker[1][0], marker.end()
    if code == _EOI:
        return code, start, start
    if code in _STANDALONE or code == _DNL:
        _fail("jpeg-marker", f"the JPEG has marker 0x{code:02x} at byte {at}, out of place")
    if start + 2 > len(data):
        _truncated(data)
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2:  # noqa: PLR2004 - the length counts its own two bytes
        _fail("jpeg-marker", f"the segment at byte {at} of the JPEG claims a length of {length}")
    if start + length > len(data):
        _truncated(data)
    return code, start + 2, start + length


def _truncated(data: bytes) -> NoReturn:
    _fail("jpeg-truncated", f"the JPEG ends after {len(data)} bytes without an EOI marker")


def _frame(process: int, body: bytes) -> Jpeg:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:  # noqa: PLR2004 - T.81 B.2.2
        _fail("jpeg-header", f"the SOF segment of the JPEG has the wrong length {len(body)}")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not height or not width or not body[5]:
        _fail(
            "jpeg-header",
            f"the JPEG has {height}x{width} pixels (height x width), {body[5]} components",
        )
    check_size(height, width)
    return Jpeg(height, width, body[5], body[0], process, 1, 0, None)
