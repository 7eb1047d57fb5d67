"""EXIF orientation: how a picture has to be turned before it is looked at.

TensorFlow ignores it, viewers and annotation tools apply it: left alone, a turned photograph lies
across its mask. Only the EXIF tag counts; orientations in XMP or in text chunks do not.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

_TAG = 0x0112
"""Orientation, EXIF 2.32 section 4.6.4."""

_FORMATS = {1: "B", 3: "H", 4: "I"}
"""struct letters of the TIFF types BYTE, SHORT and LONG; SHORT is right, the others occur."""


def orientation(tiff: bytes) -> int:
    """The orientation (1 to 8) in this TIFF structure; 1 where there is none or it is damaged.

    Args:
        tiff: the body of a PNG eXIf chunk, or of a JPEG APP1 segment after "Exif" and two zeros.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
            if tag == _TAG and count == 1 and kind in _FORMATS:
                (value,) = struct.unpack_from(order + _FORMATS[kind], tiff, at + 8)
                return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - the eight orientations
    except struct.error:
        pass
    return 1


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
