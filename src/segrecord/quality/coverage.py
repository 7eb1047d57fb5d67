"""Masks by what their values mean: how much is foreground, and what was read as what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, counted
from segrecord.options import IGNORE, IGNORE_NAME, PixelOptions, RecordOptions
from segrecord.pixels.mask import MAP_SIDE, Ids, ValueMap
from segrecord.quality.flat import Flags, Numbers, named_parts, owners, part_field
from segrecord.quality.values import Reading

SMALL = 1000
"""A mask whose foreground is less than one in so many of its pixels. The lesions of ISIC 2017
cover 0.3 to 93.8 % (measured), so 0.1 % and 99 % accuse none of them."""

FULL = 99
"""Per cent."""

CROWD = 20
"""Full masks: where they are more, and most of all, the set has no background."""

RIM = 0.9
"""Share of the outermost cells of the map of a mask (each 1/16 of a side) that the foreground
fills where it surrounds the picture. In 102 of 105 real masks (skin, lungs, breast, nuclei) the
background filled 0.93 and more (measured)."""

AGREEMENT = 0.15
"""The map says where a mask is not 0. Where that is more of the mask than its foreground, by this
share of the pixels, it does not show the foreground: a border of ignore alone has 0.2 and more,
the noise that JPEG leaves in the black 0.1 in masks of 48 x 48 pixels and less in larger ones."""

_SHOWN = 8
_SLICE = 10_000
"""Maps that are looked at together."""


class _Covered(NamedTuple):
    """Pixels of the masks of each sample, parts painted together; arrays (N,)."""

    foreground: Numbers
    judged: Numbers
    """All that are not ignored."""
    known: Flags
    """Whether there are masks and all of them were read."""


def foregrounds(samples: pa.Table, facts: pa.Table, reading: Reading) -> Iterator[Finding]:
    """Masks without foreground, with a speck of it, and with nothing else."""
    covered = _covered(facts["masks"], reading.map)
    full = covered.known & (covered.foreground * 100 > FULL * covered.judged)
    empty = covered.known & (covered.foreground == 0)
    small = covered.known & ~empty & (covered.foreground * SMALL < covered.judged)
    yield from _masks("empty-mask", samples, facts, empty, covered)
    yield from _masks("small-mask", samples, facts, small, covered)
    masked, filled = int(covered.known.sum()), int(full.sum())
    if filled > CROWD and 2 * filled > masked:
        yield _no_background(filled, masked)
    else:
        yield from _masks("full-mask", samples, facts, full, covered)


_FIXES = {
    "empty-mask": "draw it, or nothing if the picture shows none",
    "small-mask": "look for stray pixels in the mask",
    "full-mask": "look at it: is it inverted, or painted over?",
}


def _masks(
    code: str, samples: pa.Table, facts: pa.Table, flags: Flags, covered: _Covered
) -> Iterator[Finding]:
    rows = owners(facts["masks"])
    _, first = np.unique(rows, return_index=True)  # the first part stands for the mask
    parts = first[flags[rows[first]]]
    columns = (covered.foreground[rows], covered.judged[rows])
    for key, path, foreground, judged in named_parts(samples, parts, rows, *columns):
        if not judged:
            message = "the mask is all ignore"
        elif not foreground:
            message = "the mask has no foreground: all its pixels are background or ignore"
        else:
            share = 100 * foreground / judged
            whole = counted(judged, "pixel")
            message = f"{foreground} of {whole} of the mask are foreground, {share:.3g} %"
        yield Finding("warning", code, key, path, message, _FIXES[code])


def _no_background(filled: int, masked: int) -> Finding:
    return Finding(
        "warning",
        "full-mask",
        "",
        "",
        f"{filled} of {counted(masked, 'mask')} show foreground alone: class 0 is not the "
        "background here, or all masks are inverted",
        "nothing if there is no background; else --mask-invert, or name it with --mask-map "
        "VALUE=background,...",
    )


class _PartPixels(NamedTuple):
    """Pixels of each mask part; arrays (P,), 0 where it was not read."""

    whole: Numbers
    ignored: Numbers
    drawn: Numbers
    """Foreground: neither background nor ignored."""


def _part_pixels(masks: pa.ChunkedArray, meaning: ValueMap) -> _PartPixels:
    read = part_field(masks, "values")
    of_part = owners(read)  # (V,) the part of each value
    values = pc.list_flatten(read).to_numpy()
    counts = pc.list_flatten(part_field(masks, "counts")).to_numpy().astype(np.float64)
    bilevel = pc.fill_null(pc.equal(part_field(masks, "kind"), "bilevel"), False).to_numpy()
    ids = _ids(values, bilevel[of_part], meaning)

    def pixels(flags: Flags) -> Numbers:
        """(P,) of each part; sums of doubles are exact up to 2**53."""
        return np.bincount(of_part[flags], counts[flags], len(read)).astype(np.int64)

    drawn = pixels((ids != meaning.clear) & (ids < IGNORE))
    return _PartPixels(pixels(np.ones_like(of_part, bool)), pixels(ids == IGNORE), drawn)


def _covered(masks: pa.ChunkedArray, meaning: ValueMap) -> _Covered:
    rows, samples = owners(masks), len(masks)
    whole, ignored, drawn = _part_pixels(masks, meaning)
    area = np.zeros(samples, np.int64)
    np.maximum.at(area, rows, whole)
    judged = area - np.minimum(_total(rows, ignored, samples), area)
    known = area > 0
    known[rows[pc.is_null(part_field(masks, "values")).to_numpy()]] = False
    return _Covered(np.minimum(_total(rows, drawn, samples), judged), judged, known)


def surrounding(
    samples: pa.Table, facts: pa.Table, reading: Reading, options: PixelOptions
) -> Iterator[Finding]:
    """Masks whose foreground surrounds the picture, where most of the set are so: inverted ones.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        reading: how mask values are read.
        options: tell which way out there is.
    """
    if len(reading.classes) != 2:  # noqa: PLR2004 - foreground and background
        return
    meaning = reading.map
    whole, _, drawn = _part_pixels(facts["masks"], meaning)
    share = drawn / np.maximum(whole, 1)
    rim, inside = _map_shares(part_field(facts["masks"], "map"))
    if meaning.black != meaning.clear:  # the map is that of the background
        rim, inside = 1 - rim, 1 - inside
    shown = np.abs(rim * _RIM.mean() + inside * (1 - _RIM.mean()) - share) <= AGREEMENT
    judged = (drawn > 0) & (drawn * 100 <= FULL * whole)
    around = judged & shown & (rim >= RIM) & (inside < rim)
    masks, inverted = int(judged.sum()), np.flatnonzero(around)
    if 2 * len(inverted) <= masks:
        return
    fix = "if they are inverted pass --mask-invert"
    if options.mask_map is not None:
        fix = "if they are inverted name the values in --mask-map the other way round"
    elif options.mask_invert:
        fix = "if they are inverted now leave --mask-invert out"
    _, path = next(named_parts(samples, inverted[:1], owners(facts["masks"])))
    message = (
        f"as in {len(inverted)} of {masks} masks that show something, the foreground surrounds the "
        "picture and the background lies inside"
    )
    yield Finding("warning", "inverted-masks", "", path, message, fix)


_RIM = np.pad(np.zeros((MAP_SIDE - 2, MAP_SIDE - 2), bool), 1, constant_values=True).ravel()
"""(256,) which cells of a map touch the border."""


def _map_shares(maps: pa.ChunkedArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(P,) the share that is not 0, of the cells at the border and of those inside."""
    means = np.stack([_RIM / _RIM.sum(), ~_RIM / (~_RIM).sum()], axis=1).astype(np.float32) / 255
    shares = np.zeros((len(maps), 2))
    done = 0
    for chunk in maps.chunks:
        flat = np.frombuffer(chunk.buffers()[1] or b"", np.uint8)[chunk.offset * _RIM.size :]
        for start in range(0, len(chunk), _SLICE):
            many = min(_SLICE, len(chunk) - start)
            part = flat[start * _RIM.size :][: many * _RIM.size].reshape(-1, _RIM.size)
            shares[done : done + many] = part.astype(np.float32) @ means
            done += many
    return shares[:, 0], shares[:, 1]


def _ids(values: npt.NDArray[np.int32], bilevel: Flags, meaning: ValueMap) -> Ids:
    """(V,) the class id of each value."""
    white = np.where(values == 0, meaning.black, meaning.white).astype(np.uint8)
    ids: Ids = np.where(bilevel, white, meaning.lut()[values])
    return ids


def _total(rows: Numbers, pixels: Numbers, samples: int) -> Numbers:
    return np.bincount(rows, pixels, samples).astype(np.int64)


def not_black_and_white(
    samples: pa.Table, facts: pa.Table, reading: Reading, options: RecordOptions
) -> Iterator[Finding]:
    """Masks that cannot be stored as 0 and 255, where --mask-values keep asks for it."""
    told = {value for value, _ in reading.map.ids}
    if options.mask_values != "keep" or reading.map.threshold is not None or told <= {0, 255}:
        return
    read = part_field(facts["masks"], "values")
    values = pc.list_flatten(read).to_numpy()
    other = np.flatnonzero((values != 0) & (values != 255))  # noqa: PLR2004 - black and white
    parts = owners(read)[other[:1]]
    for key, path in named_parts(samples, parts, owners(facts["masks"])):
        del key
        message = f"--mask-values keep stores 0 and 255, and this mask holds {values[other[0]]}"
        fix = "leave --mask-values out: class ids are stored as they stand"
        yield Finding("error", "mask-not-black-white", "", path, message, fix)


def mapped(facts: pa.Table, reading: Reading) -> Iterator[Finding]:
    """How the values of all masks are read."""
    meaning, names = reading.map, reading.classes

    def name(number: int) -> str:
        if number == IGNORE:
            return IGNORE_NAME
        known = names[number] if number < len(names) else f"class {number}"
        return known if known == f"class {number}" else f"{known} ({number})"

    if meaning.threshold is not None:
        high, low = name(meaning.white), name(meaning.black)
        told = [f"values from {meaning.threshold} on as {high}, lower ones as {low}"]
    else:
        told = [f"{value} as {name(number)}" for value, number in meaning.ids]
    if len(told) > _SHOWN:
        told = [*told[:_SHOWN], counted(len(told) - _SHOWN, "more value")]
    if pc.any(pc.equal(part_field(facts["masks"], "kind"), "bilevel")).as_py():
        told.append(f"white of 1-bit masks as {name(meaning.white)}")
    message = f"the masks' values are read so: {', '.join(told)}"
    yield Finding("info", "mask-mapped", "", "", message, "pass --mask-map to read them otherwise")
