"""PNG: a strict walk that proves a file sound, and pixels out of what the walk inflated.

Decoders are lenient (of 600 single-bit flips Pillow returned wrong pixels for 120 without an
error); the walk refuses everything that the checksums and lengths of a PNG can show. Rules are
those of the PNG specification, third edition (W3C, 2025).

`pixels` and `grey` take the rows that `walk_rows` has inflated: isal inflates four times faster
than what Pillow uses, but undoes no filters; Pillow's "zip" decoder does, and takes rows that were
only stored. Together they decode in two thirds of Pillow's time.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import Image

from segrecord.errors import PixelError
from segrecord.findings import Finding
from segrecord.images import exif
from segrecord.images.png_writer import SIGNATURE, encode

__all__ = ["SIGNATURE", "Png", "bare", "check_size", "chunks", "encode", "grey", "header"]
__all__ += ["orientation", "parse", "pixels", "walk", "walk_rows"]

MAX_PIXELS = 100_000_000
"""Larger images are refused before anything is allocated."""

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Legal bit depths of each colour type; section 11.2.1."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples a pixel of each colour type."""

_GREY, _RGB, _PALETTE = 0, 2, 3  # colour types

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's, of so many samples a pixel
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""First column, first row, column step and row step of each interlace pass; section 8.1."""

_LENGTH_AND_KIND = struct.Struct(">I4s")
_WORD = struct.Struct(">I")
_IHDR = struct.Struct(">IIBBBBB")
_KIND = re.compile(rb"[A-Za-z]{4}")

_UP = 2
"""The filter type that takes the byte above; all rows of the masks that segrecord writes."""

_BLOCK, _BLOCK_HEADER = 0xFFFF, struct.Struct("<BHH")
"""Bytes of the longest stored block; what each begins with: whether it is the last, its length,
and the length's complement (RFC 1951, section 3.2.4)."""

Planes = npt.NDArray[np.uint8]

Chunk = tuple[bytes, int, int]
"""Type, start of the body, and end (after the CRC-32)."""


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
    animated: bool = False
    transparent: bool = False
    """Whether there is a tRNS chunk."""
    orientation: int = 1
    """EXIF, 1 to 8; 1 where there is none."""
    end: int = 0
    """Offset just after IEND; bytes from here on are no part of the PNG. 0 from `header`."""
    padding: int = 0
    """Bytes inside IDAT behind the end of the pixels' zlib stream; set by `walk` alone."""
    ignored_orientation: int = 1
    """Of an eXIf chunk that begins as EXIF in a JPEG does: Pillow obeys it, others do not."""

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What to warn of."""
        notes = []
        if self.padding:
            values = {"case": "png", "padding": self.padding}
            notes.append(Finding("unusual-encoding", values=values))
        if self.ignored_orientation not in (1, self.orientation):
            where = "an eXIf chunk of the wrong form"
            notes.append(exif.ignored(where, self.ignored_orientation, self.orientation))
        return tuple(notes)


def header(head: bytes) -> Png | None:
    """What the chunks before the pixels say; None where `head` ends before the first IDAT.

    An eXIf chunk may stand behind the pixels too: where the whole file is at hand, `parse` gives
    its orientation, and this does not.

    Args:
        head: the first bytes of a file.

    Raises:
        PixelError: the chunks that were read break a rule.
    """
    if len(head) < len(SIGNATURE) and SIGNATURE.startswith(head):
        return None
    at, seen = _start(head), _Chunks()
    while at + 8 <= len(head):
        length, kind = _LENGTH_AND_KIND.unpack_from(head, at)
        if kind == b"IDAT":
            return seen.facts(0)
        if length < 1 << 31 and at + 12 + length > len(head):
            return None
        end = _end(head, at, length, kind)
        if kind == b"IEND":
            raise PixelError("png-chunk", case="no_pixels")
        seen.take(kind, head[at + 8 : end - 4])
        at = end
    return None


def walk(data: bytes) -> Png:
    """Prove a PNG sound: order and CRC-32 of its chunks, Adler-32 and length of its pixels.

    Bytes after IEND are allowed; `Png.end` tells where they begin. What ancillary chunks say is
    not checked, but their CRC-32 is.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    return walk_rows(data)[0]


def walk_rows(data: bytes) -> tuple[Png, bytes]:
    """As `walk`; and the inflated rows, still filtered, of all interlace passes."""
    facts, listed = parse(data)
    view, bits = memoryview(data), facts.bit_depth * _SAMPLES[facts.colour_type]
    passes = []  # rows, and bytes a row with its filter byte
    for left, top, across, down in _ADAM7 if facts.interlaced else [(0, 0, 1, 1)]:
        columns, rows = -((left - facts.width) // across), -((top - facts.height) // down)
        if columns and rows:
            passes.append((rows, 1 + (columns * bits + 7) // 8))
    parts = [view[start : end - 4] for kind, start, end in listed if kind == b"IDAT"]
    stream = parts[0] if len(parts) == 1 else b"".join(parts)
    expected = sum(rows * stride for rows, stride in passes)
    raw, padding = _inflate(stream, expected, max(stride for _, stride in passes))
    at = 0
    for rows, stride in passes:
        wrong = raw[at : at + rows * stride : stride].translate(None, b"\0\1\2\3\4")
        if wrong:
            raise PixelError("png-filter", type=wrong[0])
        at += rows * stride
    return facts._replace(padding=padding), raw


def parse(data: bytes) -> tuple[Png, list[Chunk]]:
    """What all chunks say, on whichever side of the pixels they stand; and the chunks themselves.

    Their order and CRC-32 are checked, the pixels are not inflated. Whoever needs the orientation
    of a whole file asks here: pixels and facts may not come from two different walks.

    Raises:
        PixelError: a rule is broken; the code says which.
    """
    end, seen, listed = _start(data), _Chunks(), []
    for kind, start, end in chunks(data, len(SIGNATURE)):
        listed.append((kind, start, end))
        if kind == b"IDAT":
            seen.take_pixels()
        else:
            seen.take(kind, data[start : end - 4])
    if not seen.pixels:
        raise PixelError("png-chunk", case="no_pixels")
    return seen.facts(end), listed


def orientation(data: bytes) -> int:
    """The EXIF orientation, on whichever side of the pixels its chunk stands.

    For bytes that have a checksum of their own: nothing is checked, so it costs a tenth of `parse`.
    """
    at, value = len(SIGNATURE), 1
    while at + 8 <= len(data):
        length, kind = _LENGTH_AND_KIND.unpack_from(data, at)
        if kind == b"eXIf":
            value = exif.orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    return value


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
    raise PixelError("png-truncated", length=len(data))


def bare(data: bytes, listed: list[Chunk]) -> bytes:
    """The same pixels without any ancillary chunk but tRNS, since others may trouble a decoder.

    Args:
        data: a PNG.
        listed: its chunks, from `parse`.
    """
    wanted = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
    kept = (data[start - 8 : end] for kind, start, end in listed if kind in wanted)
    return SIGNATURE + b"".join(kept)


def check_size(height: int, width: int) -> None:
    """Refuse an image of more than MAX_PIXELS pixels.

    Raises:
        PixelError: too-many-pixels.
    """
    if height * width > MAX_PIXELS:
        raise PixelError("too-many-pixels", height=height, width=width, limit=MAX_PIXELS)


def _start(data: bytes) -> int:
    if not data.startswith(SIGNATURE):
        raise PixelError("not-an-image", case="png", head=repr(data[:8]))
    return len(SIGNATURE)


def _end(data: bytes, at: int, length: int, kind: bytes) -> int:
    """The end of the chunk at this offset, its type, length and CRC-32 checked."""
    end = at + 12 + length
    if not _KIND.fullmatch(kind):
        raise PixelError("png-chunk", case="type", kind=repr(kind), at=at)
    if end > len(data):
        raise PixelError("png-truncated", case="inside", kind=kind.decode(), at=at)
    (stored,) = _WORD.unpack_from(data, end - 4)
    crc = isal_zlib.crc32(memoryview(data)[at + 4 : end - 4])
    if crc != stored:
        raise PixelError("png-crc", kind=kind.decode(), at=at, crc=crc, stored=stored)
    return end


class _Chunks:
    """What the chunks seen so far have said."""

    def __init__(self) -> None:
        self.header: Png | None = None
        self.palette = False
        self.frames = 1
        self.transparent = False
        self.orientation = 1
        self.exif = False
        self.ignored_orientation = 1
        self.pixels = False
        self.after_pixels = False

    def take_pixels(self) -> None:
        """Finding an IDAT."""
        if self.after_pixels:
            raise PixelError("png-chunk", case="gap")
        if not self.pixels:
            self.facts(0)  # refuses what has to stand before the first one and does not
        self.pixels = True

    def take(self, kind: bytes, body: bytes) -> None:
        """Finding a chunk that is no IDAT."""
        self.after_pixels = self.pixels
        if (self.header is None) != (kind == b"IHDR"):
            raise PixelError("png-chunk", case="first", kind=kind.decode())
        if kind == b"IHDR":
            self.header = _image_header(body)
        elif kind == b"PLTE":
            if self.palette or self.after_pixels:
                raise PixelError("png-chunk", case="palette")
            if len(body) % 3 or not 3 <= len(body) <= 768:  # noqa: PLR2004 - 1 to 256 RGB entries
                raise PixelError("png-chunk", case="palette_length", length=len(body))
            self.palette = True
        elif kind == b"IEND":
            if body:
                raise PixelError("png-chunk", case="end", length=len(body))
        elif kind[:1].isupper():  # a decoder must understand it; section 5.4
            raise PixelError("png-chunk", case="critical", kind=kind.decode())
        else:
            self._take_ancillary(kind, body)

    def _take_ancillary(self, kind: bytes, body: bytes) -> None:
        if kind == b"tRNS":  # out of place, Pillow obeys it and libpng passes over it
            indexed = self.header is not None and self.header.colour_type == _PALETTE
            if (indexed and not self.palette) or self.transparent or self.after_pixels:
                raise PixelError("png-chunk", case="transparency")
            self.transparent = True
        elif kind == b"eXIf":
            turned = exif.orientation(body)
            if turned != self.orientation and self.exif:  # the specification allows one chunk
                raise PixelError("png-chunk", case="exif")
            self.orientation, self.exif = turned, True
            if body.startswith(exif.MARKER):
                self.ignored_orientation = exif.orientation(body[len(exif.MARKER) :])
        elif kind == b"acTL" and len(body) >= 4:  # noqa: PLR2004 - it begins with a 4-byte count
            self.frames = max(self.frames, _WORD.unpack_from(body)[0])
        elif kind == b"fdAT":
            self.frames = max(self.frames, 2)

    def facts(self, end: int) -> Png:
        """The facts, as soon as the first IDAT is reached."""
        if self.header is None:
            raise PixelError("png-chunk", case="first", kind="IDAT")
        if self.header.colour_type == _PALETTE and not self.palette:
            raise PixelError("png-chunk", case="no_palette")
        return self.header._replace(
            animated=self.frames > 1,
            transparent=self.transparent,
            orientation=self.orientation,
            end=end,
            ignored_orientation=self.ignored_orientation,
        )


def _image_header(body: bytes) -> Png:
    if len(body) != _IHDR.size:
        raise PixelError("png-header", case="length", length=len(body), expected=_IHDR.size)
    width, height, depth, colour, compression, filtering, interlace = _IHDR.unpack(body)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        raise PixelError("png-header", case="size", height=height, width=width)
    if depth not in _DEPTHS.get(colour, ()):
        raise PixelError("png-header", case="depth", depth=depth, colour=colour)
    if compression or filtering or interlace > 1:
        methods = {"compression": compression, "filter": filtering, "interlace": interlace}
        raise PixelError("png-header", case="method", **methods)
    check_size(height, width)
    return Png(height, width, depth, colour, bool(interlace))


def _inflate(stream: bytes | memoryview, expected: int, stride: int) -> tuple[bytes, int]:
    """The inflated bytes, never many more than are expected; and the bytes behind the stream.

    What stands behind a stream whose length and Adler-32 hold is no part of the picture: isal,
    Pillow and libpng (so TensorFlow) pass over it (measured).

    A stream that looks back further than the window it declares (RFC 1950, CINFO) is refused: isal
    and Pillow read it, libpng inflates row by row into a window of the declared size and fails.
    Streams of small images declare small windows and are sound.
    """
    inflater = isal_zlib.decompressobj()
    try:
        raw: bytes = inflater.decompress(stream, expected + 1)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # its stub gives an instance
        code = "png-adler" if "checksum" in str(error) else "png-data"
        raise PixelError(code, reason=str(error)) from None
    if len(raw) != expected:
        case = "more" if len(raw) > expected else "less"
        raise PixelError("png-length", case=case, length=len(raw), expected=expected)
    if not inflater.eof:
        raise PixelError("png-adler", case="missing")
    padding, bits = len(inflater.unused_data), 8 + (stream[0] >> 4)
    if bits == zlib.MAX_WBITS or (bits < zlib.MAX_WBITS and 1 << bits >= expected):
        return raw, padding
    try:
        rows = zlib.decompressobj(min(bits, zlib.MAX_WBITS))
        for at in range(0, len(stream), 4096):
            rest = bytes(stream[at : at + 4096])
            while rest:
                rows.decompress(rest, stride)
                rest = rows.unconsumed_tail
    except zlib.error as error:
        raise PixelError("png-data", case="window", bits=bits, reason=str(error)) from None
    return raw, padding


def pixels(facts: Png, rows: bytes) -> Planes | None:
    """The image (H, W) of a grey PNG, or (H, W, C) of one with 2 to 4 channels, uint8.

    Args:
        facts: what `walk_rows` has given.
        rows: its inflated, still filtered rows.

    Returns:
        None where the image is of another kind (interlaced, palette, other depths than 8).
    """
    if facts.colour_type == _PALETTE or facts.bit_depth != 8 or facts.interlaced:  # noqa: PLR2004
        return None
    filtered = np.frombuffer(rows, np.uint8).reshape(facts.height, -1)
    return _unfiltered(filtered, _SAMPLES[facts.colour_type])


def grey(facts: Png, rows: bytes) -> Planes | None:
    """As `pixels`, the plane (H, W) of a grey image, or of an RGB one that holds grey.

    Filters work byte by byte at the distance of one pixel (section 9.2), so the channels of a row
    never mix: R, G and B are equal exactly when their filtered bytes are.

    Returns:
        None where the image is animated, of another kind, or holds colours.
    """
    if facts.animated or facts.colour_type not in (_GREY, _RGB):
        return None
    if facts.colour_type == _GREY or facts.bit_depth != 8 or facts.interlaced:  # noqa: PLR2004
        return pixels(facts, rows)
    filtered = np.frombuffer(rows, np.uint8).reshape(facts.height, -1)
    bands = filtered[:, 1:].reshape(facts.height, facts.width, 3)
    first = np.empty((facts.height, 1 + facts.width), np.uint8)
    first[:, 0] = filtered[:, 0]
    first[:, 1:] = bands[:, :, 0]
    if any(not np.array_equal(first[:, 1:], bands[:, :, band]) for band in (1, 2)):
        return None
    return _unfiltered(first, 1)


def _unfiltered(filtered: Planes, channels: int) -> Planes:
    """The pixels of rows (H, 1 + bytes a row), each behind its filter type."""
    height, width = len(filtered), (filtered.shape[1] - 1) // channels
    if (filtered[:, 0] == _UP).all():
        summed = np.add.accumulate(filtered[:, 1:], 0, np.uint8)
        return summed if channels == 1 else summed.reshape(height, width, channels)
    # As a zlib stream that only stores them: zlib's own level 0 takes 28 µs for the 90 KB of a
    # 299 x 299 image, this 9.
    rows = filtered.reshape(-1).data
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for at in range(0, len(rows), _BLOCK):
        block, last = rows[at : at + _BLOCK], at + _BLOCK >= len(rows)
        parts += [_BLOCK_HEADER.pack(last, len(block), len(block) ^ _BLOCK), block]
    parts.append(isal_zlib.adler32(rows).to_bytes(4, "big"))
    mode, stream = _MODES[channels], b"".join(parts)
    return np.asarray(Image.frombytes(mode, (width, height), stream, "zip", mode, 0))
