"""Masks by what their values mean: how much is foreground, and what was read as what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, counted
from segrecord.options import IGNORE, IGNORE_NAME
from segrecord.pixels.mask import Ids, ValueMap
from segrecord.quality.flat import Flags, Numbers, named_parts, owners, part_field
from segrecord.quality.values import Reading

SMALL = 1000
"""A mask whose foreground is less than one in so many of its pixels. The lesions of ISIC 2017
cover 0.3 to 93.8 % (measured), so 0.1 % and 99 % accuse none of them."""

FULL = 99
"""Per cent."""

CROWD = 20
"""Full masks: where they are more, and most of all, the set has no background."""

_SHOWN = 8


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
        "nothing if there is no background; else name it with --mask-map VALUE=background,...",
    )


def _covered(masks: pa.ChunkedArray, meaning: ValueMap) -> _Covered:
    rows, read = owners(masks), part_field(masks, "values")
    of_part = owners(read)  # (V,) the part of each value
    values = pc.list_flatten(read).to_numpy()
    counts = pc.list_flatten(part_field(masks, "counts")).to_numpy().astype(np.float64)
    bilevel = pc.fill_null(pc.equal(part_field(masks, "kind"), "bilevel"), False).to_numpy()
    ids = _ids(values, bilevel[of_part], meaning)
    samples, parts = len(masks), len(rows)

    def pixels(flags: Flags) -> Numbers:
        """(P,) of each part; sums of doubles are exact up to 2**53."""
        return np.bincount(of_part[flags], counts[flags], parts).astype(np.int64)

    whole, ignored = pixels(np.ones_like(of_part, bool)), pixels(ids == IGNORE)
    drawn = pixels((ids != meaning.clear) & (ids < IGNORE))
    area = np.zeros(samples, np.int64)
    np.maximum.at(area, rows, whole)
    judged = area - np.minimum(_total(rows, ignored, samples), area)
    known = area > 0
    known[rows[pc.is_null(read).to_numpy()]] = False
    return _Covered(np.minimum(_total(rows, drawn, samples), judged), judged, known)


def _ids(values: npt.NDArray[np.int32], bilevel: Flags, meaning: ValueMap) -> Ids:
    """(V,) the class id of each value."""
    white = np.where(values == 0, meaning.black, meaning.white).astype(np.uint8)
    ids: Ids = np.where(bilevel, white, meaning.lut()[values])
    return ids


def _total(rows: Numbers, pixels: Numbers, samples: int) -> Numbers:
    return np.bincount(rows, pixels, samples).astype(np.int64)


def mapped(facts: pa.Table, reading: Reading) -> Iterator[Finding]:
    """How the values of all masks are read."""
    meaning, names = reading.map, reading.classes

    def name(number: int) -> str:
        if number == IGNORE:
            return IGNORE_NAME
        known = names[number] if number < len(names) else f"class {number}"
        return known if known == f"class {number}" else f"{known} ({number})"

    if meaning.threshold is not None:
        told = [f"values from {meaning.threshold} on as {name(1)}, lower ones as {name(0)}"]
    else:
        told = [f"{value} as {name(number)}" for value, number in meaning.ids]
    if len(told) > _SHOWN:
        told = [*told[:_SHOWN], counted(len(told) - _SHOWN, "more value")]
    if pc.any(pc.equal(part_field(facts["masks"], "kind"), "bilevel")).as_py():
        told.append(f"white of 1-bit masks as {name(meaning.white)}")
    message = f"the masks' values are read so: {', '.join(told)}"
    yield Finding("info", "mask-mapped", "", "", message, "pass --mask-map to read them otherwise")
