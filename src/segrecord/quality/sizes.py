"""Masks held against the size of their image, before and after EXIF orientation turns it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segrecord.errors import Finding
from segrecord.options import MaskFit
from segrecord.pixels.mask import ASPECT_TOLERANCE
from segrecord.quality.flat import Flags, Numbers, Rows, named_parts, numbers, owners, part_field

_Fit = npt.NDArray[np.int8]
_APART, _SCALED, _EQUAL = 0, 1, 2
"""How two sizes fit: not at all, in the aspect ratio, exactly."""


class _Size(NamedTuple):
    """Heights and widths (P,) in pixels; 0: unknown."""

    height: Numbers
    width: Numbers

    def fits(self, other: _Size) -> _Fit:
        known = (self.height > 0) & (other.height > 0)
        equal = known & (self.height == other.height) & (self.width == other.width)
        # The ratio of `pixels.mask.same_aspect`, of all parts at once.
        one, two = self.width * other.height, np.maximum(self.height * other.width, 1)
        scaled = known & (np.abs(one / two - 1) <= ASPECT_TOLERANCE)
        return np.select([equal, scaled], [_EQUAL, _SCALED], _APART).astype(np.int8)


class _Parts(NamedTuple):
    """All mask parts, and the image of each; arrays (P,)."""

    rows: Rows
    mask: _Size
    image: _Size
    """As oriented."""
    stored: _Size
    orientation: Numbers


def mask_sizes(samples: pa.Table, facts: pa.Table, fit: MaskFit) -> Iterator[Finding]:
    """Masks of another size than their image, or than each other; masks that lie across it.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        fit: what is done with a mask of another size.
    """
    parts = _parts(facts)
    upright, lying = parts.mask.fits(parts.image), parts.mask.fits(parts.stored)
    known = (parts.mask.height > 0) & (parts.image.height > 0)
    several = known & _several(parts, len(facts)) & (upright < _EQUAL)
    single = known & ~several
    oriented = single & (parts.orientation > 1)
    turned = oriented & (lying > upright)
    differing = single & ~turned
    apart = differing & (upright == _APART) & (fit != "resize-any")
    scaled = differing & (upright == _SCALED) & (fit == "error")
    yield from _parts_size(samples, parts, several)
    yield from _not_turned(samples, parts, turned)
    yield from _maybe_turned(samples, parts, oriented & (lying == upright) & (lying > _APART))
    yield from _aspect_mismatch(samples, parts, apart)
    yield from _size_mismatch(samples, parts, scaled)


def _parts(facts: pa.Table) -> _Parts:
    rows = owners(facts["masks"])

    def size(height: str, width: str) -> _Size:
        return _Size(numbers(facts[height])[rows], numbers(facts[width])[rows])

    masks = (numbers(part_field(facts["masks"], name)) for name in ("height", "width"))
    return _Parts(
        rows,
        _Size(*masks),
        size("height", "width"),
        size("stored_height", "stored_width"),
        numbers(facts["orientation"], 1)[rows],
    )


def _several(parts: _Parts, samples: int) -> Flags:
    """(P,) whether the readable parts of the same image have several sizes."""
    read = parts.mask.height > 0
    size = (parts.mask.height << 32) | parts.mask.width
    low, high = np.full(samples, np.iinfo(np.int64).max), np.zeros(samples, np.int64)
    np.minimum.at(low, parts.rows[read], size[read])
    np.maximum.at(high, parts.rows[read], size[read])
    several: Flags = (low != high)[parts.rows]
    return several


class _Found(NamedTuple):
    """One mask part, for the message."""

    key: str
    path: str
    mask: str
    image: str
    stored: str
    orientation: int

    @property
    def differ(self) -> str:
        return f"the mask is {self.mask} (height x width), its image {self.image}"


def _found(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[_Found]:
    columns = (*parts.mask, *parts.image, *parts.stored, parts.orientation)
    for key, path, *sizes, turn in named_parts(
        samples, np.flatnonzero(flags), parts.rows, *columns
    ):
        mask, image, stored = (f"{sizes[at]}x{sizes[at + 1]}" for at in (0, 2, 4))
        yield _Found(key, path, mask, image, stored, turn)


def _parts_size(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    for found in _found(samples, parts, flags):
        message = f"{found.differ}; masks of one image must have one size"
        fix = "correct the mask, or leave it out"
        yield Finding("error", "mask-parts-size", found.key, found.path, message, fix)


def _not_turned(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    for found in _found(samples, parts, flags):
        message = (
            f"{found.differ}, {found.stored} before EXIF orientation {found.orientation} turns "
            "it: the mask was drawn on the picture as it lies in the file"
        )
        fix = "turn the mask as the orientation says, or save image and mask upright"
        yield Finding("error", "mask-not-turned", found.key, found.path, message, fix)


def _maybe_turned(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    _, first = np.unique(parts.rows[flags], return_index=True)
    once = np.zeros_like(flags)
    once[np.flatnonzero(flags)[first]] = True
    for found in _found(samples, parts, once):
        message = (
            f"EXIF orientation {found.orientation} turns the image, and whether the mask was "
            f"drawn on it before or after that its size cannot tell ({found.differ})"
        )
        fix = "look at image and mask together; save both upright"
        yield Finding("warning", "mask-maybe-turned", found.key, found.path, message, fix)


def _aspect_mismatch(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    for found in _found(samples, parts, flags):
        message = f"{found.differ}: the aspect ratios differ, the picture may be cropped"
        fix = "if both show the same area pass --mask-fit resize-any, else correct the mask"
        yield Finding("error", "aspect-mismatch", found.key, found.path, message, fix)


def _size_mismatch(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    for found in _found(samples, parts, flags):
        fix = "pass --mask-fit resize (nearest neighbour)"
        yield Finding("error", "size-mismatch", found.key, found.path, found.differ, fix)
