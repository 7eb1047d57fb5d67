"""JPEG: a walk over the markers, then a strict decode; together they prove what can be proved.

A JPEG has no checksum, so pixels that changed without breaking the code stay unseen (a hash of
the source shows them later). What can be seen is refused here: truncation, junk between segments,
and all that makes libjpeg warn and go on with invented pixels, which Pillow and TensorFlow let
through. Rules are those of ITU-T T.81, annexes B, C and F.

For the few JPEGs whose sampling factors the strict decoder does not know (4:1:0 among them),
`scan_is_sound` reads every Huffman code of the scan. It is pure Python and takes about a second for
each MB, paid by such files alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simplejpeg

from segrecord.errors import PixelError
from segrecord.findings import Finding
from segrecord.images import exif, pillow
from segrecord.images.png import check_size

SIGNATURE = b"\xff\xd8\xff"

_SOI, _EOI, _SOS, _DHT, _DNL, _DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xDC, 0xDD
_APP1, _APP2 = 0xE1, 0xE2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}
"""Markers that begin a frame, SOF0 to SOF15; the three between are DHT, JPG and DAC."""

_MISPLACED = frozenset({0x01, _SOI, *range(0xD0, 0xD8), _DNL})
"""TEM, SOI, RST0 to RST7 and DNL may not stand between segments."""

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_RESTART = re.compile(rb"\xff+([\xd0-\xd7])")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends a scan: a marker that is neither a stuffed 0xFF, nor a fill byte, nor a restart."""

_MPF = b"MPF\0"

_MAX_SCANS = 500
"""More scans than any encoder writes; libjpeg-turbo's guidance against progressive bombs."""

_COLOURS = {1: "GRAY", 3: "RGB", 4: "CMYK"}
_BYTE = 8
_BASELINE = frozenset({0, 1})
"""Sequential, Huffman-coded."""

LOSSLESS = 3
DECODED = frozenset({0, 1, 2, LOSSLESS, 9, 10})
"""Processes that the strict decoder reads: sequential, progressive, lossless, arithmetic."""

_COEFFICIENTS, _LONG_RUN = 64, 15
_LARGEST_FACTOR = 4
_CODE_BITS = 16
"""The longest Huffman code."""

Pixels = npt.NDArray[np.uint8]

_Segment = tuple[int, int, int]
"""Code, start of the body, end."""

_Table = list[int]
"""For each 16 bits: 32 times the symbol that they begin with, plus the bits of its code, or 0."""


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
    orientation: int = 1
    """EXIF, 1 to 8; 1 where there is none or it is damaged."""
    end: int = 0
    """Offset just after EOI; bytes from here on are no part of the JPEG. 0 from `header`."""
    pictures: int = 1
    """Pictures of a multi-picture file (MPO), previews not counted."""
    ignored_orientation: int = 1
    """EXIF of a second segment, or of one behind the first scan, where it says something else."""
    unusual: str = ""
    """What the strict decoder refused and was proved harmless; set by `walk` alone."""

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What to warn of."""
        notes = []
        if self.unusual:
            notes.append(Finding("unusual-encoding", values={"case": "jpeg", "what": self.unusual}))
        if self.ignored_orientation != 1:
            notes.append(exif.ignored("a second EXIF", self.ignored_orientation, self.orientation))
        if self.pictures > 1:
            notes.append(Finding("several-pictures", values={"pictures": self.pictures}))
        return tuple(notes)


def header(head: bytes) -> Jpeg | None:
    """What the markers up to SOF say; None where `head` ends earlier.

    Args:
        head: the first bytes of a file.

    Raises:
        PixelError: the markers that were read break a rule.
    """
    try:
        read = []
        for segment in segments(head):
            read.append(segment)
            if segment[0] in _FRAMES:
                break
        return _facts(head, read)._replace(end=0)
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
        (H, W, 4) CMYK as stored, mostly inverted; None where the decoder does not read the kind
        (another precision than 8, 2 components, hierarchical), unchecked then.
        `Jpeg.unusual` names what the decoder refuses and is sound nevertheless.

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
        harmless = _harmless(own, facts, colour, error.code)
        if harmless is None:
            raise
    return facts._replace(unusual=harmless[0]), harmless[1]


def markers(data: bytes) -> Jpeg:
    """What all markers up to EOI say, their order checked; nothing is decoded.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    return _facts(data, segments(data))


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
            raise PixelError("jpeg-subsampling") from None
        raise PixelError("jpeg-data", reason=str(error) or "out of memory") from None
    return pixels


def _harmless(data: bytes, facts: Jpeg, colour: str, code: str) -> tuple[str, Pixels] | None:
    """What is unusual, and the pixels, of a sound JPEG that the strict decoder refused; else None.

    TurboJPEG knows the usual six sampling factors only. That no code of the scan is damaged is
    shown without it; the pixels are Pillow's, which equal TensorFlow's.

    Of zeros before EOI, the strict decode of what stands before them needs no bit, so they are no
    zeroed part of the picture: that would have ended too early.
    """
    if code == "jpeg-subsampling":
        frame = next(data[start:end] for code, start, end in segments(data) if code in _FRAMES)
        usual = facts.process in _BASELINE and facts.components == 3  # noqa: PLR2004 - colours
        if not usual or not scan_is_sound(data, segments(data), frame):
            return None
        factors = ", ".join(f"{frame[at] >> 4}x{frame[at] & 15}" for at in range(7, len(frame), 3))
        pixels = pillow.pixels(pillow.load(data, "jpeg"), alpha=False)
        return f"unusual sampling factors ({factors})", pixels
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
    lenient = pillow.pixels(pillow.load(data, "jpeg"), alpha=False)
    if colour != "CMYK" and not np.array_equal(strict.reshape(lenient.shape), lenient):
        return None
    return f"{padding} bytes of padding before EOI", strict


def _facts(data: bytes, segments: Iterable[_Segment]) -> Jpeg:
    """What these segments say, their order checked."""
    frame, scans, end, pictures = None, 0, 0, 1
    orientations: list[tuple[int, int]] = []
    for code, start, end in segments:
        if code in _FRAMES:
            if frame is not None:
                raise PixelError("jpeg-marker", case="second")
            frame = _frame(code - 0xC0, data[start:end])
        elif code == _APP1 and data.startswith(exif.MARKER, start):
            value = exif.orientation(data[start + len(exif.MARKER) : end])
            orientations.append((value, scans))
        elif code == _APP2 and data.startswith(_MPF, start):
            pictures = exif.pictures(data[start + len(_MPF) : end])
        elif code == _SOS:
            scans += 1
            if frame is None:
                raise PixelError("jpeg-marker", case="early")
            if scans > _MAX_SCANS:
                raise PixelError("jpeg-scans", limit=_MAX_SCANS)
    if frame is None or (code == _EOI and not scans):
        raise PixelError("jpeg-marker", case="empty")
    applied = applied_orientation(orientations)
    return frame._replace(
        orientation=applied,
        end=end,
        pictures=pictures,
        ignored_orientation=next((it for it, _ in orientations if it not in (1, applied)), 1),
    )


def applied_orientation(orientations: list[tuple[int, int]]) -> int:
    """The orientation that decoders go by: of the first EXIF segment, if it stands ahead of scans.

    Args:
        orientations: that of each EXIF segment, and how many scans stand before it.
    """
    return orientations[0][0] if orientations and not orientations[0][1] else 1


def _frame(process: int, body: bytes) -> Jpeg:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:  # noqa: PLR2004 - T.81 B.2.2
        raise PixelError("jpeg-header", case="length", length=len(body))
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not height or not width or not body[5]:
        raise PixelError("jpeg-header", height=height, width=width, components=body[5])
    check_size(height, width)
    return Jpeg(height, width, body[5], body[0], process)


def segments(data: bytes) -> Iterator[_Segment]:
    """Code, start of the body, and end of each marker segment, EOI last; scans are skipped.

    Raises:
        PixelError: not-an-image, jpeg-marker or jpeg-truncated.
    """
    if not SIGNATURE.startswith(data[: len(SIGNATURE)]):
        raise PixelError("not-an-image", case="jpeg", head=repr(data[:4]))
    at = 2
    while True:
        code, start, at = _segment(data, at)
        yield code, start, at
        if code == _EOI:
            return
        if code == _SOS:
            scan_end = _SCAN_END.search(data, at)
            if scan_end is None:
                raise PixelError("jpeg-truncated", length=len(data))
            at = scan_end.start()


def _segment(data: bytes, at: int) -> _Segment:
    marker = _MARKER.match(data, at)
    if marker is None:
        if data[at:].strip(b"\xff"):
            raise PixelError("jpeg-marker", case="junk", junk=repr(data[at : at + 4]), at=at)
        raise PixelError("jpeg-truncated", length=len(data))
    code, start = marker[1][0], marker.end()
    if code == _EOI:
        return code, start, start
    if code in _MISPLACED:
        raise PixelError("jpeg-marker", case="misplaced", marker=code, at=at)
    length = int.from_bytes(data[start : start + 2], "big")
    if start + 2 <= len(data) and length < 2:  # noqa: PLR2004 - the length counts its two bytes
        raise PixelError("jpeg-marker", case="length", length=length, at=at)
    if start + max(length, 2) > len(data):
        raise PixelError("jpeg-truncated", length=len(data))
    return code, start + 2, start + length


def scan_is_sound(data: bytes, segments: Iterable[_Segment], frame: bytes) -> bool:
    """Whether one scan holds all blocks of all components, each code valid, and nothing else.

    Args:
        data: a JPEG of process 0 or 1 that ends with EOI.
        segments: its segments.
        frame: the body of its SOF segment.
    """
    tables: dict[int, _Table] = {}
    scans, interval = [], 0
    for code, start, end in segments:
        if code == _DHT:
            tables |= _huffman_tables(data[start:end])
        elif code == _DRI:
            interval = int.from_bytes(data[start:end], "big")
        elif code == _SOS:
            scans.append((data[start:end], data[end:-2]))
    components = {frame[at]: divmod(frame[at + 1], 16) for at in range(6, len(frame), 3)}
    legal = all(1 <= factor <= _LARGEST_FACTOR for factor in chain(*components.values()))
    if not legal or len(scans) != 1:
        return False
    head, body = scans[0]
    if len(head) != 4 + 2 * len(components) or bytes(components) != head[1:-3:2]:
        return False
    blocks = []
    for (across, down), chosen in zip(components.values(), head[2:-3:2], strict=True):
        dc, ac = tables.get(chosen >> 4), tables.get(16 | chosen & 15)
        if dc is None or ac is None:
            return False
        blocks += [(dc, ac)] * (across * down)
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    most = [max(factors) for factors in zip(*components.values(), strict=True)]
    units = -(-width // (8 * most[0])) * -(-height // (8 * most[1]))
    interval = interval or units
    parts = _RESTART.split(body)  # data, marker, data, ...
    wanted = bytes(0xD0 + number % 8 for number in range(-(-units // interval) - 1))
    return b"".join(parts[1::2]) == wanted and all(
        _holds(part.replace(b"\xff\0", b"\xff"), blocks * min(interval, units - number * interval))
        for number, part in enumerate(parts[::2])
    )


def _huffman_tables(body: bytes) -> dict[int, _Table]:
    """The tables of a DHT segment, by class (AC: 16) and number; T.81, annex C."""
    tables, at = {}, 0
    while at + 1 + _CODE_BITS <= len(body):
        counts, codes, symbols = body[at + 1 : at + 1 + _CODE_BITS], [], at + 1 + _CODE_BITS
        for bits, count in enumerate(counts, 1):
            for symbol in body[symbols : symbols + count]:
                codes += [symbol << 5 | bits] * (1 << (_CODE_BITS - bits))
            symbols += count
        tables[body[at]] = (codes + [0] * (1 << _CODE_BITS))[: 1 << _CODE_BITS]
        at = symbols
    return tables


def _holds(data: bytes, blocks: list[tuple[_Table, _Table]]) -> bool:
    """Whether these blocks take all of these bytes, but for the ones that fill the last one up.

    A last byte of zeros may be a zeroed one, which a scan of short codes does not mind: no.
    """
    padded = np.frombuffer(data + b"\0\0\0", np.uint8).astype(np.uint32)
    windows = (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).tolist()
    at, end = 0, 8 * len(data)
    for dc, ac in blocks:
        coefficient, table = 0, dc
        while coefficient < _COEFFICIENTS:
            if at >= end:
                return False
            code = table[windows[at >> 3] >> (8 - (at & 7)) & 0xFFFF]
            run, size = (code >> 9, code >> 5 & 15) if coefficient else (0, code >> 5)
            at += (code & 31) + size
            if not code:
                return False
            if coefficient and not size and run != _LONG_RUN:
                break
            coefficient, table = coefficient + run + 1, ac
        if coefficient > _COEFFICIENTS:
            return False
    fill = (1 << (end - at & 7)) - 1
    return end - 8 < at <= end and bool(data[-1]) and data[-1] & fill == fill
