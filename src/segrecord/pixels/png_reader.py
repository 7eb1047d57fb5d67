"""A grey plane out of a PNG that was walked, without inflating it a second time.

PNG filters work byte by byte at the distance of one pixel (PNG specification, section 9.2), so the
channels of a row never mix: R, G and B of an RGB image are equal exactly when their filtered bytes
are. So an RGB mask that holds grey can be told, and decoded as one channel, from filtered rows.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from segrecord.pixels.png import Png

_CHANNELS = {0: 1, 2: 3}
"""The colour types that are read here, grey and RGB, and their bytes a pixel at 8 bits."""


def grey(facts: Png, rows: bytes) -> npt.NDArray[np.uint8] | None:
    """The plane (H, W) of an 8-bit grey image, or of an RGB one that holds grey.

    Args:
        facts: of a PNG that `png.walk_rows` has passed.
        rows: its inflated, still filtered rows.

    Returns:
        None where the image is of another kind (interlaced, animated, palette, alpha, other
        depths) or holds colours.
    """
    channels = _CHANNELS.get(facts.colour_type)
    if channels is None or facts.bit_depth != 8 or facts.interlaced or facts.animated:  # noqa: PLR2004 - 8 bits
        return None
    filtered = np.frombuffer(rows, np.uint8).reshape(facts.height, 1 + channels * facts.width)
    if channels > 1:
        pixels = filtered[:, 1:].reshape(facts.height, facts.width, channels)
        first = np.empty((facts.height, 1 + facts.width), np.uint8)
        first[:, 0] = filtered[:, 0]
        first[:, 1:] = pixels[:, :, 0]
        if any(not np.array_equal(first[:, 1:], pixels[:, :, band]) for band in (1, 2)):
            return None
        filtered = first
    # Pillow undoes the filters: its "zip" decoder is what reads PNG rows. Level 0 only stores.
    size = (facts.width, facts.height)
    return np.asarray(Image.frombytes("L", size, zlib.compress(filtered.data, 0), "zip", "L", 0))
