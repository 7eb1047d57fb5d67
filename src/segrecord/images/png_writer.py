"""Our own PNG writer: equal pixels give equal bytes wherever the same zlib is linked.

It uses Python's zlib alone: what Pillow's wheels and isal deflate may differ from one processor or
build to the next. Rules are those of the PNG specification, third edition (W3C, 2025).
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_IHDR = struct.Struct(">IIBBBBB")
_WORD = struct.Struct(">I")

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""The colour type of each number of samples a pixel."""

_MEMORY = 9
"""zlib's memLevel: larger blocks, so fewer Huffman tables; 3 % smaller masks for no time."""

_BAND = 64
"""Rows filtered at once; does not change a byte of the output."""

Planes = npt.NDArray[np.uint8]


def encode(pixels: Planes, *, photo: bool = False) -> bytes:
    """These pixels as an 8-bit PNG of one IDAT; equal pixels give equal bytes.

    Args:
        pixels: uint8, (H, W) or (H, W, C); C of 1 to 4 is grey, grey and alpha, RGB, RGBA.
        photo: compress as photographs need it (filter Paeth); without it as masks do (filter Up).

    Raises:
        ValueError: another dtype or shape.
    """
    samples = pixels.shape[2] if pixels.ndim == 3 else 1  # noqa: PLR2004 - height, width, channels
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or samples not in _COLOUR_TYPES:
        raise ValueError(
            f"pixels must be uint8 (H, W) or (H, W, 1 to 4), got {pixels.dtype} {pixels.shape}"
        )
    if not pixels.size:
        raise ValueError(f"pixels must not be empty, got {pixels.shape}")
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, width * samples)
    if photo:
        stream = _deflate_photo(rows, samples)
    else:
        raw = np.empty((height, rows.shape[1] + 1), np.uint8)
        raw[:, 0] = 2
        raw[0, 1:] = rows[0]
        np.subtract(rows[1:], rows[:-1], out=raw[1:, 1:])
        # Of 60 real masks of 1.4 megapixels: RLE 232 KB in 211 ms, level 4 272 KB in 249 ms, level
        # 3 611 KB in 109 ms, level 9 203 KB in 583 ms.
        deflater = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, zlib.Z_RLE)
        stream = deflater.compress(raw.data) + deflater.flush()
    size = _IHDR.pack(width, height, 8, _COLOUR_TYPES[samples], 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", size) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((_WORD.pack(len(body)), kind, body, _WORD.pack(crc)))


def _deflate_photo(rows: Planes, samples: int) -> bytes:
    """Filter and deflate band by band, so that memory does not grow with the image.

    The filter is Paeth: of the left, upper and upper left pixel the one nearest to left + up -
    corner; section 9.4. Of 8 photographs, X-rays and skin lesions, Paeth on all rows under zlib's
    strategy RLE made 419 KB in 7 ms, the best filter for each row as much in 3 times the filtering
    time, level 6 with the strategy FILTERED 417 KB in 75 ms, Pillow's writer 417 KB in 89 ms.
    """
    deflater = zlib.compressobj(1, strategy=zlib.Z_RLE)
    last = np.zeros_like(rows[:1])
    parts = []
    for top in range(0, len(rows), _BAND):
        band = rows[top : top + _BAND]
        above = np.vstack((last, band[:-1]))
        left, corner = np.zeros_like(band), np.zeros_like(band)
        left[:, samples:] = band[:, :-samples]
        corner[:, samples:] = above[:, :-samples]
        wide_left, wide_above, wide_corner = (p.astype(np.int16) for p in (left, above, corner))
        to_left = np.abs(wide_above - wide_corner)
        to_above = np.abs(wide_left - wide_corner)
        to_corner = np.abs(wide_left + wide_above - 2 * wide_corner)
        nearest = np.where(to_above <= to_corner, above, corner)
        nearest = np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
        raw = np.empty((len(band), band.shape[1] + 1), np.uint8)
        raw[:, 0] = 4
        raw[:, 1:] = band - nearest
        parts.append(deflater.compress(raw.data))
        last = band[-1:]
    return b"".join((*parts, deflater.flush()))
