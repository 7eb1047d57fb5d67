"""Pixels out of a PNG that was walked, without inflating it a second time.

isal inflates four times faster than what Pillow uses, but undoes no filters; Pillow's "zip" decoder
does, and takes rows that were only stored. Together they decode in two thirds of Pillow's time.

PNG filters work byte by byte at the distance of one pixel (PNG specification, section 9.2), so the
channels of a row never mix: R, G and B of an RGB image are equal exactly when their filtered bytes
are. So an RGB mask that holds grey can be told, and decoded as one channel, from filtered rows.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import Image

from segrecord.pixels.png import Png

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""Of the colour types that are read here; at 8 bits also their bytes a pixel."""

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's modes of so many channels."""

_UP = 2
"""The filter type that takes the byte above; all rows of the masks that segrecord writes."""

_BLOCK = 0xFFFF
"""Bytes: the longest stored block."""

_BLOCK_HEADER = struct.Struct("<BHH")
"""Whether it is the last one; its length; the length's complement."""

Planes = npt.NDArray[np.uint8]


def pixels(facts: Png, rows: bytes) -> Planes | None:
    """The image (H, W) of a grey PNG, or (H, W, C) of one with 2 to 4 channels.

    Args:
        facts: of a PNG that `png.walk_rows` has passed.
        rows: its inflated, still filtered rows.

    Returns:
        None where the image is of another kind (interlaced, palette, other depths than 8).
    """
    filtered = _filtered(facts, rows)
    return None if filtered is None else _unfiltered(filtered, _CHANNELS[facts.colour_type])


def grey(facts: Png, rows: bytes) -> Planes | None:
    """As `pixels`, the plane (H, W) of a grey image, or of an RGB one that holds grey.

    Returns:
        None where the image is animated, of another kind, or holds colours.
    """
    filtered = None if facts.animated else _filtered(facts, rows)
    if filtered is None or facts.colour_type not in (0, 2):
        return None
    if facts.colour_type == 0:
        return _unfiltered(filtered, 1)
    bands = filtered[:, 1:].reshape(facts.height, facts.width, 3)
    first = np.empty((facts.height, 1 + facts.width), np.uint8)
    first[:, 0] = filtered[:, 0]
    first[:, 1:] = bands[:, :, 0]
    if any(not np.array_equal(first[:, 1:], bands[:, :, band]) for band in (1, 2)):
        return None
    return _unfiltered(first, 1)


def _filtered(facts: Png, rows: bytes) -> Planes | None:
    """(H, 1 + bytes a row): each row behind its filter type."""
    if facts.colour_type not in _CHANNELS or facts.bit_depth != 8 or facts.interlaced:  # noqa: PLR2004 - 8 bits
        return None
    return np.frombuffer(rows, np.uint8).reshape(facts.height, -1)


def _unfiltered(filtered: Planes, channels: int) -> Planes:
    height, width = len(filtered), (filtered.shape[1] - 1) // channels
    if (filtered[:, 0] == _UP).all():
        found = np.add.accumulate(filtered[:, 1:], 0, np.uint8)
        return found if channels == 1 else found.reshape(height, width, channels)
    mode, stream = _MODES[channels], _stored(filtered.reshape(-1).data)
    return np.asarray(Image.frombytes(mode, (width, height), stream, "zip", mode, 0))


def _stored(rows: memoryview) -> bytes:
    """These bytes as a zlib stream that only stores them (RFC 1951, section 3.2.4).

    zlib's own level 0 takes 28 µs for the 90 KB of a 299 x 299 image, this 9.
    """
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK]
        last = at + _BLOCK >= len(rows)
        parts += [_BLOCK_HEADER.pack(last, len(block), len(block) ^ _BLOCK), block]
    parts.append(isal_zlib.adler32(rows).to_bytes(4, "big"))
    return b"".join(parts)
