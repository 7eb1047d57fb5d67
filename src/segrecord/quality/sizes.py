"""Masks held against the size of their image, before and after EXIF orientation turns it.

What is resized, because an option asked for it, is counted here with its sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segrecord.errors import Finding
from segrecord.options import MaskFit, PixelOptions
from segrecord.pixels.mask import ASPECT_TOLERANCE
from segrecord.quality.flat import Flags, Numbers, Rows, named_parts, numbers, owners, part_field

_Fit = npt.NDArray[np.int8]
_APART, _SCALED, _EQUAL = 0, 1, 2
"""How two sizes fit: not at all, in the aspect ratio, exactly."""

ALIKE = 2
"""Pairs that differ in the same way, at least: one shows no habit."""

_SHOWN = 3
"""Changes of size that a line names."""


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
    apart, scaled = differing & (upright == _APART), differing & (upright == _SCALED)
    usual = _usual(parts, differing)
    yield from _parts_size(samples, parts, several)
    yield from _not_turned(samples, parts, turned)
    yield from _maybe_turned(samples, parts, oriented & (lying == upright) & (lying > _APART))
    if fit == "resize-any":
        yield from _stretched(samples, parts, apart & ~usual)
        yield from _resized(samples, parts, apart | scaled, fit)
        return
    yield from _aspect_mismatch(samples, parts, apart, usual)
    if fit == "resize":
        yield from _resized(samples, parts, scaled, fit)
    else:
        yield from _size_mismatch(samples, parts, scaled)


def _usual(parts: _Parts, judged: Flags) -> Flags:
    """(P,) whether the aspect ratio of mask and image differ as in most of the judged pairs.

    Nowhere where there is no such habit; equal ratios are one, too.
    """
    one = (parts.mask.width * parts.image.height).astype(np.float64)
    factors = one / np.maximum(parts.mask.height * parts.image.width, 1)
    usual = float(np.median(factors[judged])) if judged.any() else 1.0
    alike: Flags = judged & (np.abs(factors / usual - 1) <= ASPECT_TOLERANCE)
    habit = max(int(judged.sum()) // 2 + 1, ALIKE)
    return alike if int(alike.sum()) >= habit else np.zeros_like(alike)


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


def _aspect_mismatch(
    samples: pa.Table, parts: _Parts, flags: Flags, usual: Flags
) -> Iterator[Finding]:
    for found in _found(samples, parts, flags & usual):
        message = f"{found.differ}: the aspect ratios differ, as in most pairs"
        fix = "if both show the same area pass --mask-fit resize-any, else correct the masks"
        yield Finding("error", "aspect-mismatch", found.key, found.path, message, fix)
    for found in _found(samples, parts, flags & ~usual):
        message = (
            f"{found.differ}: the aspect ratios differ, and not as in most pairs: one of the two "
            "may be cropped"
        )
        fix = "get the mask of this very picture, or pass --on-error quarantine to leave it out"
        yield Finding("error", "aspect-mismatch", found.key, found.path, message, fix)


def _stretched(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    for found in _found(samples, parts, flags):
        message = (
            f"{found.differ}: it was resized although the aspect ratios differ, and not as in most "
            "pairs: one of the two may be cropped"
        )
        fix = "look at image and mask together; with --mask-fit resize such a pair is an error"
        yield Finding("warning", "mask-stretched", found.key, found.path, message, fix)


def _resized(samples: pa.Table, parts: _Parts, flags: Flags, fit: MaskFit) -> Iterator[Finding]:
    first = next(_found(samples, parts, _only_first(flags)), None)
    if first is None:
        return
    changes = np.stack([*parts.mask, *parts.image], axis=1)[flags]
    message = (
        f"{_many(int(flags.sum()), 'mask')} resized to the size of the image (nearest neighbour), "
        f"as --mask-fit {fit} asks: {_changes(changes)} (height x width)"
    )
    yield Finding("info", "mask-resized", "", first.path, message, "")


def _only_first(flags: Flags) -> Flags:
    only = np.zeros_like(flags)
    only[np.flatnonzero(flags)[:1]] = True
    return only


def _many(number: int, what: str) -> str:
    return f"{number} {what}s are" if number > 1 else f"one {what} is"


def _changes(changes: Numbers) -> str:
    """The most frequent changes of size; (N, 4): height and width before and after."""
    found, counts = np.unique(changes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    told = [
        f"{counts[at]} of {found[at][0]}x{found[at][1]} to {found[at][2]}x{found[at][3]}"
        for at in order[:_SHOWN]
    ]
    if len(order) > _SHOWN:
        rest = int(counts[order[_SHOWN:]].sum())
        told.append(f"{rest} of {len(order) - _SHOWN} other sizes")
    return ", ".join(told)


def resized_pictures(facts: pa.Table, options: PixelOptions) -> Iterator[Finding]:
    """What --size does to the pictures."""
    if options.size is None:
        return
    own = _Size(numbers(facts["height"]), numbers(facts["width"]))
    target = _Size(*(np.full(len(facts), side, np.int64) for side in options.size))
    fits, known = own.fits(target), own.height > 0
    resized = known & (fits < _EQUAL)
    if not resized.any():
        return
    bent = int((known & (fits == _APART)).sum())
    changes = np.stack([*own, *target], axis=1)[resized]
    message = (
        f"{_many(int(resized.sum()), 'picture')} resized (antialiased), with the masks (nearest "
        f"neighbour), as --size asks: {_changes(changes)} (height x width)"
    )
    if bent:
        message += f"; the aspect ratio changes in {bent} of them"
    yield Finding("info", "resized", "", "", message, "")


def _size_mismatch(samples: pa.Table, parts: _Parts, flags: Flags) -> Iterator[Finding]:
    for found in _found(samples, parts, flags):
        fix = "pass --mask-fit resize (nearest neighbour)"
        yield Finding("error", "size-mismatch", found.key, found.path, found.differ, fix)
