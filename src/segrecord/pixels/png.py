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

from segrecord.errors import Note, PixelError
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
    "header",
    "orientation",
    "parse",
    "walk",
]

MAX_PIXELS = 100_000_000
"""Larger images are refused before anything is allocated."""

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bit depths of each colour type; section 11.2.1."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples a pixel of each colour type."""

_PALETTE = 3
"""The colour type of palettes."""

_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""First column, first row, column step and row step of each interlace pass; section 8.1."""

_EXIF = b"Exif\0\0"
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
    padding: int = 0
    """Bytes inside IDAT behind the end of the pixels' zlib stream; known to `walk` alone."""

    ignored_orientation: int = 1
    """Of an eXIf chunk that begins as EXIF in a JPEG does: Pillow obeys it, others do not."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What to warn of."""
        notes = []
        if self.padding:
            what = f"{self.padding} bytes of padding behind its pixels in IDAT"
            notes.append(unusual(f"the PNG has {what}"))
        if self.ignored_orientation not in (1, self.orientation):
            where = "an eXIf chunk of the wrong form"
            notes.append(exif.ignored(where, self.ignored_orientation, self.orientation))
        return tuple(notes)


Chunk = tuple[bytes, int, int]
"""Type, start of the body, and end (after the CRC-32)."""


def unusual(what: str) -> Note:
    """The warning that a file is sound, though strict decoders refuse it."""
    return Note(
        "unusual-encoding",
        f"{what}: strict decoders refuse that, the others read the same pixels",
        "nothing: its pixels are stored losslessly; save it again if other programs refuse it",
    )


def _fail(code: str, message: str, fix: str = _FIX) -> NoReturn:
    raise PixelError(code, message, fix)


def header(head: bytes) -> Png | None:
    """What the chunks before the pixels say; None where `head` ends before the first IDAT.

    An eXIf chunk may stand behind the pixels too: where the whole file is at hand, `parse` tells
    its orientation, and this does not.

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
    facts, found = parse(data)
    view = memoryview(data)
    rows, padding = _rows(
        facts, [view[start : end - 4] for kind, start, end in found if kind == b"IDAT"]
    )
    return facts._replace(padding=padding), rows


def parse(data: bytes) -> tuple[Png, list[Chunk]]:
    """What all chunks say, on whichever side of the pixels they stand; and the chunks themselves.

    Their order and CRC-32 are checked, the pixels are not inflated. Whoever needs the orientation
    of a whole file asks here: pixels and facts may not come from two different walks.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    end, notes, found = _start(data), _Notes(), []
    for kind, start, end in chunks(data, len(SIGNATURE)):
        found.append((kind, start, end))
        if kind == b"IDAT":
            notes.take_pixels()
        else:
            notes.take(kind, data[start : end - 4])
    if not notes.pixels:
        _fail("png-chunk", "the PNG holds no IDAT chunk")
    return notes.facts(end), found


def orientation(data: bytes) -> int:
    """The EXIF orientation, on whichever side of the pixels its chunk stands.

    For bytes that have a checksum of their own: nothing is checked, so it costs a tenth of `parse`.
    """
    at, found = len(SIGNATURE), 1
    while at + 8 <= len(data):
        length, kind = _LENGTH_AND_KIND.unpack_from(data, at)
        if kind == b"eXIf":
            found = exif.orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    return found


def bare(data: bytes, found: list[Chunk]) -> bytes:
    """The same pixels without any ancillary chunk but tRNS.

    Text, colour profiles and animation frames cannot trouble a decoder then.

    Args:
        data: a PNG.
        found: its chunks, from `parse`.
    """
    wanted = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
    return SIGNATURE + b"".join(
        data[start - 8 : end] for kind, start, end in found if kind in wanted
    )


def _start(data: bytes) -> int:
    if not data.startswith(SIGNATURE):
        _fail("not-an-image", f"does not begin with the PNG signature but with {data[:8]!r}")
    return len(SIGNATURE)


def chunks(data: bytes, at: int) -> Iterator[Chunk]:
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
        self.exif = False
        self.ignored_orientation = 1
        self.pixels = False
        self.after_pixels = False

    def take_pixels(self) -> None:
        """Note an IDAT."""
        if self.after_pixels:
            _fail("png-chunk", "the IDAT chunks of the PNG do not follow each other")
        if not self.pixels:
            self.facts(0)  # refuses what has to stand before the first one and does not
        self.pixels = True

    def take(self, kind: bytes, body: bytes) -> None:
        """Note a chunk that is no IDAT."""
        self.after_pixels = self.pixels
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
            self._take_transparency()
        elif kind == b"eXIf":
            turned = exif.orientation(body)
            if turned != self.orientation and self.exif:  # the specification allows one chunk
                _fail("png-chunk", "the PNG has two eXIf chunks of different orientations")
            self.orientation, self.exif = turned, True
            if body.startswith(_EXIF):
                self.ignored_orientation = exif.orientation(body[len(_EXIF) :])
        elif kind == b"acTL" and len(body) >= 4:  # noqa: PLR2004 - it begins with a 4-byte count
            self.frames = max(self.frames, _WORD.unpack_from(body)[0])
        elif kind == b"fdAT":
            self.frames = max(self.frames, 2)

    def _take_transparency(self) -> None:
        """Refuse a tRNS chunk out of place, which Pillow obeys and libpng passes over."""
        early = self.size is not None and self.size[3] == _PALETTE and not self.palette
        if early or self.transparent or self.after_pixels:
            _fail(
                "png-chunk",
                "the PNG has a second tRNS chunk, or one before its PLTE or after its IDAT, and "
                "decoders differ on what is transparent",
            )
        self.transparent = True

    def facts(self, end: int) -> Png:
        """The facts, as soon as the first IDAT is reached."""
        if self.size is None:
            _fail("png-chunk", "the PNG has IDAT where IHDR must come first")
        height, width, bit_depth, colour_type, interlaced = self.size
        if colour_type == _PALETTE and not self.palette:
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
            ignored_orientation=self.ignored_orientation,
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


def _rows(facts: Png, parts: list[memoryview]) -> tuple[bytes, int]:
    """The inflated rows, their total length and filter bytes checked; and the bytes behind them."""
    passes = [(rows, stride) for rows, stride in _passes(facts) if rows and stride > 1]
    longest = max(stride for _, stride in passes)
    raw, padding = _inflate(parts, sum(rows * stride for rows, stride in passes), longest)
    at = 0
    for rows, stride in passes:
        wrong = raw[at : at + rows * stride : stride].translate(None, b"\0\1\2\3\4")
        if wrong:
            _fail("png-filter", f"the PNG has a row of filter type {wrong[0]}; only 0 to 4 exist")
        at += rows * stride
    return raw, padding


def _passes(facts: Png) -> Iterator[tuple[int, int]]:
    """Rows, and bytes a row with its filter byte, of each interlace pass."""
    bits = facts.bit_depth * _SAMPLES[facts.colour_type]
    steps = _ADAM7 if facts.interlaced else ((0, 0, 1, 1),)
    for left, top, across, down in steps:
        columns = -((left - facts.width) // across)
        rows = -((top - facts.height) // down)
        yield rows, 1 + (columns * bits + 7) // 8


def _inflate(parts: list[memoryview], expected: int, stride: int) -> tuple[bytes, int]:
    """The inflated bytes, never many more than are expected; and the bytes behind the stream.

    What stands behind a stream whose length and Adler-32 hold is no part of the picture: isal,
    Pillow and libpng (so TensorFlow) pass over it (measured).
    """
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
    _check_window(stream, expected, stride)
    return raw, len(inflater.unused_data)


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
