"""EXIF orientation: how a picture has to be turned before it is looked at.

TensorFlow ignores it, viewers and annotation tools apply it: left alone, a turned photograph lies
across its mask. Only the EXIF tag counts; orientations in XMP or in text chunks do not, since few
decoders go by them. `ignored` makes the warning where they say something else.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from segrecord.errors import Note

_TAG = 0x0112
"""Orientation, EXIF 2.32 section 4.6.4."""

_FORMATS = {1: "B", 3: "H", 4: "I"}
"""struct letters of the TIFF types BYTE, SHORT and LONG; SHORT is right, the others occur."""


def orientation(tiff: bytes) -> int:
    """The orientation (1 to 8) in this TIFF structure; 1 where there is none or it is damaged.

    Args:
        tiff: the body of a PNG eXIf chunk, or of a JPEG APP1 segment after "Exif" and two zeros.
    """
    return tag(tiff) or 1


def tag(tiff: bytes) -> int | None:
    """As `orientation`, but None where there is no such tag or it is damaged."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * entries, 12):
            number, kind, count = struct.unpack_from(order + "HHI", tiff, at)
            if number == _TAG and count == 1 and kind in _FORMATS:
                (value,) = struct.unpack_from(order + _FORMATS[kind], tiff, at + 8)
                return value if 1 <= value <= 8 else None  # noqa: PLR2004 - eight orientations
    except struct.error:
        pass
    return None


def ignored(where: str, value: int, applied: int) -> Note:
    """The warning that an orientation is there and not applied.

    Args:
        where: what says it, for example "XMP".
        value: what it says, 1 to 8.
        applied: the orientation that was applied; 1: the picture is left as it lies in the file.
    """
    done = "left as it lies in the file" if applied == 1 else f"turned by orientation {applied}"
    return Note(
        "orientation-ignored",
        f"{where} says orientation {value}, which some programs apply and others do not; the "
        f"picture is {done}",
        "look at it beside its mask; if it lies wrong, save it turned and without that entry",
    )


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
