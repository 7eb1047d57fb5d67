"""A stored mask into class ids, by strict checks that refuse what lenient decoders let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segrecord.errors import PixelError
from segrecord.images import mask, png
from segrecord.options import IGNORE

if TYPE_CHECKING:
    from segrecord.format.schemas import Layout
    from segrecord.images.mask import Ids

_BYTE = 8
"""Bits."""


def read_mask(layout: Layout, stored: bytes, size: tuple[int, int], classes: int) -> Ids:
    """The class ids (H, W) of a stored mask.

    Args:
        layout: says how masks are stored.
        stored: the bytes in the record.
        size: height and width of the record's image; raw masks do not say theirs.
        classes: mask classes; one-hot masks do not say theirs.

    Raises:
        PixelError: the bytes are no sound mask.
    """
    if layout.schema != "raw":
        png_plane = mask.read(stored)
        facts = png.header(stored) if png_plane.format == "png" else None
        if facts is None or (png_plane.mode, facts.bit_depth) != ("L", _BYTE):
            depth = "" if facts is None else f", {facts.bit_depth} bits"
            kind = f"{png_plane.format}, mode {png_plane.mode}{depth}"
            raise PixelError("mask-format", case="stored", kind=kind)
        plane = png_plane.values.astype(np.uint8, copy=False)
    else:
        shape = (*size, classes) if layout.one_hot else size
        expected = int(np.prod(shape, dtype=np.int64))
        if len(stored) != expected:
            sides = " x ".join(map(str, shape))
            raise PixelError("mask-length", size=len(stored), shape=sides, expected=expected)
        plane = np.frombuffer(stored, np.uint8).reshape(shape)
        if layout.one_hot:
            total = plane.sum(axis=2, dtype=np.int64)
            if int(plane.max(initial=0)) > 1 or int(total.max(initial=0)) > 1:
                raise PixelError("mask-one-hot")
            plane = np.where(total == 0, IGNORE, plane.argmax(axis=2)).astype(np.uint8)
    return mask.ids_of(plane) if layout.black_white else plane
