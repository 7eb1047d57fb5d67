"""PNG: a strict walk that proves a file sound without decoding it; the writer is `png_writer`.

Decoders are lenient (of 600 single-bit flips Pillow returned wrong pixels for 120 without an
error); the walk refuses everything that the checksums and lengths of a PNG can show. Rules are
those of the PNG specification, third edition (W3C, 2025).
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from isal import isal_zlib

from segrecord.errors import PixelError
from segrecord.pixels import exif
from segrecord.pixels.png_writer import SIGNATURE, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_PIXELS",
    "SIGNATURE",
    "Png",
    "bare",
    "check_size",
    "chunks",
    "encode",
    "extent",
    "header",
    "walk",
]

MAX_PIXELS = 100_000_000
"""Larger images are refused before anything is allocated."""

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bit depths of each colour type; section 11.2.1."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples a pixel of each colour type."""

_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""First column, first row, column step and row step of each interlace pass; section 8.1."""

_LENGTH_AND_KIND = struct.Struct(">I4s")
_WORD = struct.Struct(">I")
_IHDR = struct.Struct(">IIBBBBB")
_KIND = re.compile(rb"[A-Za-z]{4}")
_CRITICAL = 0x20
"""Bit 5 of a chunk type's first letter is 0 in chunks that a decoder must understand."""

_PIECE = 4096
"""Compressed bytes given to zlib at once."""

_FIX = "get a sound copy of the file, or leave it out"


class Png(NamedTuple):
    """What the chunks of a PNG say."""

    height: int
    """Pixels, as stored."""
    width: int
    bit_depth: int
    """Bits a sample: 1, 2, 4, 8 or 16."""
    colour_type: int
    """0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""
    interlaced: bool
    animated: bool
    transparent: bool
    """Whether there is a tRNS chunk."""
    orientation: int
    """EXIF, 1 to 8; 1 where there is none."""
    end: int
    """Offset just after IEND; bytes from here on are no part of the PNG. 0 from `header`."""


def _fail(code: str, message: str, fix: str = _FIX) -> NoReturn:
    raise PixelError(code, message, fix)


def header(head: bytes) -> Png | None:
    """What the chunks before the pixels say; None where `head` ends before the first IDAT.

    Args:
        head: the first bytes of a file.

    Raises:
        PixelError: the chunks that were read break a rule.
    """
    if len(head) < len(SIGNATURE) and SIGNATURE.startswith(head):
        return None
    at, notes = _start(head), _Notes()
    while at + 8 <= len(head):
        length, kind = _LENGTH_AND_KIND.unpack_from(head, at)
        if kind == b"IDAT":
            return notes.facts(0)
        if length < 1 << 31 and at + 12 + length > len(head):
            return None
        end = _end(head, at, length, kind)
        if kind == b"IEND":
            _fail("png-chunk", "the PNG holds no IDAT chunk")
        notes.take(kind, head[at + 8 : end - 4])
        at = end
    return None


def walk(data: bytes) -> Png:
    """Prove a PNG sound: order and CRC-32 of its chunks, Adler-32 and length of its pixels.

    Bytes after IEND are allowed; `Png.end` tells where they begin. What ancillary chunks say is
    not judged, but their CRC-32 is.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    return walk_rows(data)[0]


def walk_rows(data: bytes) -> tuple[Png, bytes]:
    """As `walk`; and the inflated rows, still filtered, of all interlace passes."""
    end, view, notes = _start(data), memoryview(data), _Notes()
    parts: list[memoryview] = []
    for kind, start, end in chunks(data, len(SIGNATURE)):
        if kind == b"IDAT":
            if notes.after_pixels:
                _fail("png-chunk", "the IDAT chunks of the PNG do not follow each other")
            if not parts:
                notes.facts(0)  # refuses a bad size before anything is inflated
            parts.append(view[start : end - 4])
        else:
            notes.after_pixels = bool(parts)
            notes.take(kind, data[start : end - 4])
    if not parts:
        _fail("png-chunk", "the PNG holds no IDAT chunk")
    facts = notes.facts(end)
    return facts, _rows(facts, parts)


def extent(data: bytes) -> int:
    """The offset just after IEND."""
    return max(end for _, _, end in chunks(data, len(SIGNATURE)))


def bare(data: bytes) -> bytes:
    """The same pixels without any ancillary chunk but tRNS.

    Text, colour profiles and animation frames cannot trouble a decoder then.

    Args:
        data: a PNG that `walk` has passed.
    """
    wanted = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
    return SIGNATURE + b"".join(
        data[start - 8 : end] for kind, start, end in chunks(data, len(SIGNATURE)) if kind in wanted
    )


def _start(data: bytes) -> int:
    if not data.startswith(SIGNATURE):
        _fail("not-an-image", f"does not begin with the PNG signature but with {data[:8]!r}")
    return len(SIGNATURE)


def chunks(data: bytes, at: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start of the body, and end (after the CRC-32) of each chunk up to IEND.

    Args:
        data: of a PNG.
        at: where the first chunk begins; `len(SIGNATURE)` for all of them.

    Raises:
        PixelError: a type, length or CRC-32 is wrong, or IEND is missing.
    """
    while at + 12 <= len(data):
        length, kind = _LENGTH_AND_KIND.unpack_from(data, at)
        end = _end(data, at, length, kind)
        yield kind, at + 8, end
        if kind == b"IEND":
            return
        at = end
    _fail("png-truncated", f"the PNG ends after {len(data)} bytes without an IEND chunk")


def _end(data: bytes, at: int, length: int, kind: bytes) -> int:
    """The end of the chunk at this offset, its type, length and CRC-32 checked."""
    end = at + 12 + length
    if not _KIND.fullmatch(kind):
        _fail("png-chunk", f"the PNG has a chunk of the impossible type {kind!r} at byte {at}")
    if end > len(data):
        _fail("png-truncated", f"the PNG ends inside its {kind.decode()} chunk at byte {at}")
    (stored,) = _WORD.unpack_from(data, end - 4)
    crc = isal_zlib.crc32(memoryview(data)[at + 4 : end - 4])
    if crc != stored:
        _fail(
            "png-crc",
            f"the {kind.decode()} chunk at byte {at} has CRC-32 {crc:08x}, {stored:08x} is stored",
        )
    return end


class _Notes:
    """What the chunks seen so far have said."""

    def __init__(self) -> None:
        self.size: tuple[int, int, int, int, bool] | None = None
        self.palette = False
        self.frames = 1
        self.transparent = False
        self.orientation = 1
        self.after_pixels = False

    def take(self, kind: bytes, body: bytes) -> None:
        """Note a chunk that is no IDAT."""
        if (self.size is None) != (kind == b"IHDR"):
            _fail("png-chunk", f"the PNG has {kind.decode()} where IHDR must come first and once")
        if kind == b"IHDR":
            self.size = _image_header(body)
        elif kind == b"PLTE":
            self._take_palette(body)
        elif kind == b"IEND":
            if body:
                _fail("png-chunk", f"the IEND chunk of the PNG holds {len(body)} bytes, not 0")
        elif not kind[0] & _CRITICAL:
            _fail("png-chunk", f"the PNG has a critical chunk of unknown type {kind.decode()}")
        else:
            self._take_ancillary(kind, body)

    def _take_palette(self, body: bytes) -> None:
        if self.palette or self.after_pixels:
            _fail("png-chunk", "the PNG has a second PLTE chunk, or one after its IDAT")
        if len(body) % 3 or not 3 <= len(body) <= 768:  # noqa: PLR2004 - 1 to 256 RGB entries
            _fail("png-chunk", f"the PLTE chunk of the PNG holds {len(body)} bytes")
        self.palette = True

    def _take_ancillary(self, kind: bytes, body: bytes) -> None:
        if kind == b"tRNS":
            self.transparent = True
        elif kind == b"eXIf":
            self.orientation = exif.orientation(body)
        elif kind == b"acTL" and len(body) >= 4:  # noqa: PLR2004 - it begins with a 4-byte count
            self.frames = max(self.frames, _WORD.unpack_from(body)[0])
        elif kind == b"fdAT":
            self.frames = max(self.frames, 2)

    def facts(self, end: int) -> Png:
        """The facts, as soon as the first IDAT is reached."""
        if self.size is None:
            _fail("png-chunk", "the PNG has IDAT where IHDR must come first")
        height, width, bit_depth, colour_type, interlaced = self.size
        if colour_type == 3 and not self.palette:  # noqa: PLR2004 - the palette's colour type
            _fail("png-chunk", "the PNG has colour type 3 but no PLTE chunk before its IDAT")
        return Png(
            height,
            width,
            bit_depth,
            colour_type,
            interlaced,
            self.frames > 1,
            self.transparent,
            self.orientation,
            end,
        )


def _image_header(body: bytes) -> tuple[int, int, int, int, bool]:
    """Height, width, bit depth, colour type and whether interlaced."""
    if len(body) != _IHDR.size:
        _fail("png-header", f"the IHDR chunk of the PNG holds {len(body)} bytes, not {_IHDR.size}")
    width, height, depth, colour, compression, filtering, interlace = _IHDR.unpack(body)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        _fail("png-header", f"the PNG has the impossible size {height}x{width} (height x width)")
    if depth not in _DEPTHS.get(colour, ()):
        _fail("png-header", f"the PNG has bit depth {depth} with colour type {colour}")
    if compression or filtering or interlace > 1:
        _fail(
            "png-header",
            f"the PNG has compression {compression}, filter {filtering} and interlace method "
            f"{interlace}; only 0, 0 and 0 or 1 exist",
        )
    check_size(height, width)
    return height, width, depth, colour, bool(interlace)


def check_size(height: int, width: int) -> None:
    """Refuse an image of more than MAX_PIXELS pixels.

    Raises:
        PixelError: too-many-pixels.
    """
    if height * width > MAX_PIXELS:
        _fail(
            "too-many-pixels",
            f"the image has {height}x{width} pixels (height x width), more than {MAX_PIXELS:,}",
            "make the image smaller, or leave it out",
        )


def _rows(facts: Png, parts: list[memoryview]) -> bytes:
    """The inflated rows, their total length and the filter byte that each begins with checked."""
    passes = [(rows, stride) for rows, stride in _passes(facts) if rows and stride > 1]
    longest = max(stride for _, stride in passes)
    raw = _inflate(parts, sum(rows * stride for rows, stride in passes), longest)
    at = 0
    for rows, stride in passes:
        wrong = raw[at : at + rows * stride : stride].translate(None, b"\0\1\2\3\4")
        if wrong:
            _fail("png-filter", f"the PNG has a row of filter type {wrong[0]}; only 0 to 4 exist")
        at += rows * stride
    return raw


def _passes(facts: Png) -> Iterator[tuple[int, int]]:
    """Rows, and bytes a row with its filter byte, of each interlace pass."""
    bits = facts.bit_depth * _SAMPLES[facts.colour_type]
    steps = _ADAM7 if facts.interlaced else ((0, 0, 1, 1),)
    for left, top, across, down in steps:
        columns = -((left - facts.width) // across)
        rows = -((top - facts.height) // down)
        yield rows, 1 + (columns * bits + 7) // 8


def _inflate(parts: list[memoryview], expected: int, stride: int) -> bytes:
    """The inflated bytes; never many more than are expected, whatever the stream would give."""
    stream = parts[0] if len(parts) == 1 else b"".join(parts)
    inflater = isal_zlib.decompressobj()
    try:
        raw: bytes = inflater.decompress(stream, expected + 1)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # its stub gives an instance
        code = "png-adler" if "checksum" in str(error) else "png-data"
        _fail(code, f"the pixels of the PNG cannot be inflated: {error}")
    if len(raw) != expected:
        found = f"more than {expected}" if len(raw) > expected else str(len(raw))
        _fail("png-length", f"the PNG inflates to {found} bytes, not to the {expected} of its size")
    if not inflater.eof:
        _fail("png-adler", "the compressed pixels of the PNG end before their Adler-32 checksum")
    if inflater.unused_data:
        _fail("png-length", f"{len(inflater.unused_data)} bytes follow the pixels inside IDAT")
    _check_window(stream, expected, stride)
    return raw


def _check_window(stream: bytes | memoryview, expected: int, stride: int) -> None:
    """Refuse a stream that looks back further than the window it declares (RFC 1950, CINFO).

    isal and Pillow read it, libpng (so TensorFlow) inflates row by row into a window of the
    declared size and fails. Streams of small images declare small windows and are sound.
    """
    bits = 8 + (stream[0] >> 4)
    if bits == zlib.MAX_WBITS or (bits < zlib.MAX_WBITS and 1 << bits >= expected):
        return
    try:
        inflater = zlib.decompressobj(min(bits, zlib.MAX_WBITS))
        for at in range(0, len(stream), _PIECE):
            rest = bytes(stream[at : at + _PIECE])
            while rest:
                inflater.decompress(rest, stride)
                rest = inflater.unconsumed_tail
    except zlib.error as error:
        _fail("png-data", f"the PNG declares a window of 2**{bits} bytes that does not do: {error}")
