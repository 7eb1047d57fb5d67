"""Masks held against their images' sizes, and looked at by what their values mean.

What is resized, because an option asked for it, is counted here with its sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks.check_input import (
    CheckInput,
    Flags,
    Numbers,
    Rows,
    named_parts,
    numbers,
    owners,
    part_field,
    values,
)
from segrecord.checks.mask_values import MaskValues
from segrecord.findings import Finding
from segrecord.images.mask import ASPECT_TOLERANCE, MAP_SIDE, ValueMap
from segrecord.options import IGNORE, IGNORE_NAME
from segrecord.wording import counted

_APART, _SCALED, _EQUAL = 0, 1, 2
"""How two sizes fit: not at all, in the aspect ratio, exactly."""

ALIKE = 2
"""Pairs that differ in the same way, at least: one shows no habit."""

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

_SHOWN_CHANGES = 3
_SHOWN_VALUES = 8
"""Changes of size, and meanings of values, that a line names."""

_SLICE = 10_000
"""Maps that are looked at together."""


def mask_values(samples: pa.Table, facts: pa.Table) -> list[MaskValues]:
    """What the scan found in every mask file that it could read.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
    """
    keys = samples["key"].take(pc.list_parent_indices(samples["mask"]))
    paths = part_field(samples["mask"], "source")
    fields = ("kind", "values", "counts", "edge_share", "format")
    columns = (part_field(facts["masks"], name) for name in fields)
    return [
        MaskValues(key, path, kind, tuple(own), tuple(counts), edge_share, form)
        for key, path, kind, own, counts, edge_share, form in values(keys, paths, *columns)
        if own is not None
    ]


class _Size(NamedTuple):
    """Heights and widths (P,) in pixels; 0: unknown."""

    height: Numbers
    width: Numbers

    def fits(self, other: _Size) -> npt.NDArray[np.int8]:
        is_read = (self.height > 0) & (other.height > 0)
        equal = is_read & (self.height == other.height) & (self.width == other.width)
        # The ratio of `images.mask.same_aspect`, of all parts at once.
        one, two = self.width * other.height, np.maximum(self.height * other.width, 1)
        scaled = is_read & (np.abs(one / two - 1) <= ASPECT_TOLERANCE)
        return np.select([equal, scaled], [_EQUAL, _SCALED], _APART).astype(np.int8)


class _Parts(NamedTuple):
    """All mask parts, and the image of each; arrays (P,)."""

    samples: pa.Table
    rows: Rows
    mask: _Size
    image: _Size
    """As oriented."""
    stored: _Size
    orientation: Numbers

    def findings(self, code: str, flags: Flags, case: str = "") -> Iterator[Finding]:
        """One for each of these parts."""
        columns = (*self.mask, *self.image, *self.stored, self.orientation)
        found = named_parts(self.samples, np.flatnonzero(flags), self.rows, *columns)
        for key, path, *sizes, orientation in found:
            mask, image, stored = (f"{sizes[at]}x{sizes[at + 1]}" for at in (0, 2, 4))
            about = {"mask": mask, "image": image, "stored": stored, "orientation": orientation}
            yield Finding(code, key, path, values={"case": case, **about})

    def differ_as_usual(self, compared: Flags) -> Flags:
        """(P,) whether the aspect ratio of mask and image differ as in most of the compared pairs.

        Nowhere where there is no such habit; equal ratios are one, too.
        """
        one = (self.mask.width * self.image.height).astype(np.float64)
        factors = one / np.maximum(self.mask.height * self.image.width, 1)
        usual = float(np.median(factors[compared])) if compared.any() else 1.0
        alike: Flags = compared & (np.abs(factors / usual - 1) <= ASPECT_TOLERANCE)
        habit = max(int(compared.sum()) // 2 + 1, ALIKE)
        return alike if int(alike.sum()) >= habit else np.zeros_like(alike)

    def of_several_sizes(self) -> Flags:
        """(P,) whether the readable parts of the same image have several sizes."""
        read = self.mask.height > 0
        size = (self.mask.height << 32) | self.mask.width
        low, high = (
            np.full(len(self.samples), np.iinfo(np.int64).max),
            np.zeros(len(self.samples), np.int64),
        )
        np.minimum.at(low, self.rows[read], size[read])
        np.maximum.at(high, self.rows[read], size[read])
        several: Flags = (low != high)[self.rows]
        return several


def mask_sizes(given: CheckInput) -> Iterator[Finding]:
    """Masks of another size than their image, or than each other; masks that lie across it."""
    facts, fit = given.facts, given.options.pixels.mask_fit
    rows, masks = owners(facts["masks"]), facts["masks"]
    sides = [numbers(facts[name])[rows] for name in ("height", "width")]
    stored = [numbers(facts[f"stored_{name}"])[rows] for name in ("height", "width")]
    parts = _Parts(
        given.samples,
        rows,
        _Size(*(numbers(part_field(masks, name)) for name in ("height", "width"))),
        _Size(*sides),
        _Size(*stored),
        numbers(facts["orientation"], 1)[rows],
    )
    upright, lying = parts.mask.fits(parts.image), parts.mask.fits(parts.stored)
    is_read = (parts.mask.height > 0) & (parts.image.height > 0)
    several = is_read & parts.of_several_sizes() & (upright < _EQUAL)
    single = is_read & ~several
    oriented = single & (parts.orientation > 1)
    turned = oriented & (lying > upright)
    differing = single & ~turned
    apart, scaled = differing & (upright == _APART), differing & (upright == _SCALED)
    usual = parts.differ_as_usual(differing)
    yield from parts.findings("mask-parts-size", several)
    yield from parts.findings("mask-not-turned", turned)
    # One finding an image, however many parts its mask has.
    maybe = np.flatnonzero(oriented & (lying == upright) & (lying > _APART))
    once = np.zeros_like(oriented)
    once[maybe[np.unique(rows[maybe], return_index=True)[1]]] = True
    yield from parts.findings("mask-maybe-turned", once)
    if fit == "resize-any":
        yield from parts.findings("mask-stretched", apart & ~usual)
    else:
        yield from parts.findings("aspect-mismatch", apart & usual, "usual")
        yield from parts.findings("aspect-mismatch", apart & ~usual, "unusual")
    if fit == "error":
        yield from parts.findings("size-mismatch", scaled)
        return
    resized = np.flatnonzero(apart | scaled if fit == "resize-any" else scaled)
    for _, path in named_parts(given.samples, resized[:1], rows):
        changes = np.stack([*parts.mask, *parts.image], axis=1)[resized]
        about = {"masks": _are("mask", len(resized)), "fit": fit, "changes": _changes(changes)}
        yield Finding("mask-resized", path=path, values=about)


def _are(what: str, number: int) -> str:
    return f"{number} {what}s are" if number > 1 else f"one {what} is"


def _changes(changes: Numbers) -> str:
    """The most frequent changes of size; (N, 4): height and width before and after."""
    kinds, counts = np.unique(changes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = [
        f"{counts[at]} of {kinds[at][0]}x{kinds[at][1]} to {kinds[at][2]}x{kinds[at][3]}"
        for at in order[:_SHOWN_CHANGES]
    ]
    if len(order) > _SHOWN_CHANGES:
        rest = int(counts[order[_SHOWN_CHANGES:]].sum())
        shown.append(f"{rest} of {len(order) - _SHOWN_CHANGES} other sizes")
    return ", ".join(shown)


def resized_pictures(given: CheckInput) -> Iterator[Finding]:
    """What --size does to the pictures."""
    facts, size = given.facts, given.options.pixels.size
    if size is None:
        return
    own = _Size(numbers(facts["height"]), numbers(facts["width"]))
    target = _Size(*(np.full(len(facts), side, np.int64) for side in size))
    fits, is_read = own.fits(target), own.height > 0
    resized = is_read & (fits < _EQUAL)
    if resized.any():
        bent = int((is_read & (fits == _APART)).sum())
        changes = np.stack([*own, *target], axis=1)[resized]
        about = {"pictures": _are("picture", int(resized.sum())), "changes": _changes(changes)}
        case = "bent" if bent else ""
        yield Finding("resized", values={"case": case, "bent": bent, **about})


class _PartPixels(NamedTuple):
    """Pixels of each mask part; arrays (P,), 0 where it was not read."""

    whole: Numbers
    ignored: Numbers
    drawn: Numbers
    """Foreground: neither background nor ignored."""


def _part_pixels(masks: pa.ChunkedArray, meaning: ValueMap) -> _PartPixels:
    read = part_field(masks, "values")
    of_part = owners(read)  # (V,) the part of each value
    own = pc.list_flatten(read).to_numpy()
    counts = pc.list_flatten(part_field(masks, "counts")).to_numpy().astype(np.float64)
    bilevel = pc.fill_null(pc.equal(part_field(masks, "kind"), "bilevel"), False).to_numpy()
    white = np.where(own == 0, meaning.black, meaning.white).astype(np.uint8)
    ids = np.where(bilevel[of_part], white, meaning.lut()[own])

    def pixels(flags: Flags) -> Numbers:
        """(P,) of each part; sums of doubles are exact up to 2**53."""
        return np.bincount(of_part[flags], counts[flags], len(read)).astype(np.int64)

    drawn = pixels((ids != meaning.clear) & (ids < IGNORE))
    return _PartPixels(pixels(np.ones_like(of_part, bool)), pixels(ids == IGNORE), drawn)


def foregrounds(given: CheckInput) -> Iterator[Finding]:
    """Masks without foreground, with a speck of it, and with nothing else."""
    assert given.reading is not None  # noqa: S101 - for the type checker
    masks, samples = given.facts["masks"], len(given.samples)
    rows = owners(masks)
    whole, ignored, drawn = _part_pixels(masks, given.reading.map)
    # Of each sample, its parts painted together, arrays (N,): `valid` are not ignored.
    area = np.zeros(samples, np.int64)
    np.maximum.at(area, rows, whole)
    all_ignored, all_drawn = (
        np.bincount(rows, pixels, samples).astype(np.int64) for pixels in (ignored, drawn)
    )
    valid = area - np.minimum(all_ignored, area)
    is_read = area > 0
    is_read[rows[pc.is_null(part_field(masks, "values")).to_numpy()]] = False
    foreground = np.minimum(all_drawn, valid)
    _, first = np.unique(rows, return_index=True)  # the first part stands for the mask

    def findings(code: str, flags: Flags) -> Iterator[Finding]:
        parts = first[flags[rows[first]]]
        columns = (foreground[rows], valid[rows])
        for key, path, own, of in named_parts(given.samples, parts, rows, *columns):
            case = "ignore" if not of else "" if own else "none"
            about = {"pixels": own, "all": counted(of, "pixel"), "share": 100 * own / max(of, 1)}
            yield Finding(code, key, path, values={"case": case, **about})

    full, empty = is_read & (foreground * 100 > FULL * valid), is_read & (foreground == 0)
    yield from findings("empty-mask", empty)
    yield from findings("small-mask", is_read & ~empty & (foreground * SMALL < valid))
    masked, filled = int(is_read.sum()), int(full.sum())
    if filled > CROWD and 2 * filled > masked:
        about = {"case": "all", "full": filled, "masks": counted(masked, "mask")}
        yield Finding("full-mask", values=about)
    else:
        yield from findings("full-mask", full)


_RIM = np.pad(np.zeros((MAP_SIDE - 2, MAP_SIDE - 2), bool), 1, constant_values=True).ravel()
"""(256,) which cells of a map touch the border."""


def surrounding(given: CheckInput) -> Iterator[Finding]:
    """Masks whose foreground surrounds the picture, where most of the set are so: inverted ones."""
    reading, masks = given.reading, given.facts["masks"]
    if reading is None or len(reading.classes) != 2:  # noqa: PLR2004 - foreground and background
        return
    meaning = reading.map
    whole, _, drawn = _part_pixels(masks, meaning)
    share = drawn / np.maximum(whole, 1)
    rim, inside = _map_shares(part_field(masks, "map"))
    if meaning.black != meaning.clear:  # the map is that of the background
        rim, inside = 1 - rim, 1 - inside
    shown = np.abs(rim * _RIM.mean() + inside * (1 - _RIM.mean()) - share) <= AGREEMENT
    drawn_on = (drawn > 0) & (drawn * 100 <= FULL * whole)
    inverted = np.flatnonzero(drawn_on & shown & (rim >= RIM) & (inside < rim))
    many = int(drawn_on.sum())
    if 2 * len(inverted) <= many:
        return
    pixels = given.options.pixels
    case = "map" if pixels.mask_map is not None else "inverted" if pixels.mask_invert else ""
    _, path = next(named_parts(given.samples, inverted[:1], owners(masks)))
    about = {"case": case, "inverted": len(inverted), "masks": many}
    yield Finding("inverted-masks", path=path, values=about)


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


def not_black_and_white(given: CheckInput) -> Iterator[Finding]:
    """Masks that cannot be stored as 0 and 255, where --mask-values keep asks for it."""
    assert given.reading is not None  # noqa: S101 - for the type checker
    meaning, keep = given.reading.map, given.options.records.mask_values == "keep"
    if not keep or meaning.threshold is not None or {value for value, _ in meaning.ids} <= {0, 255}:
        return
    read = part_field(given.facts["masks"], "values")
    own = pc.list_flatten(read).to_numpy()
    other = np.flatnonzero((own != 0) & (own != 255))[:1]  # noqa: PLR2004 - black and white
    rows = owners(given.facts["masks"])
    for _, path in named_parts(given.samples, owners(read)[other], rows):
        yield Finding("mask-not-black-white", path=path, values={"value": int(own[other[0]])})


def mapped(given: CheckInput) -> Iterator[Finding]:
    """How the values of all masks are read."""
    assert given.reading is not None  # noqa: S101 - for the type checker
    meaning, names = given.reading.map, given.reading.classes

    def name(number: int) -> str:
        if number == IGNORE:
            return IGNORE_NAME
        class_name = names[number] if number < len(names) else f"class {number}"
        return class_name if class_name == f"class {number}" else f"{class_name} ({number})"

    if meaning.threshold is not None:
        high, low = name(meaning.white), name(meaning.black)
        parts = [f"values from {meaning.threshold} on as {high}, lower ones as {low}"]
    else:
        parts = [f"{value} as {name(number)}" for value, number in meaning.ids]
    if len(parts) > _SHOWN_VALUES:
        rest = counted(len(parts) - _SHOWN_VALUES, "more value")
        parts = [*parts[:_SHOWN_VALUES], rest]
    if pc.any(pc.equal(part_field(given.facts["masks"], "kind"), "bilevel")).as_py():
        parts.append(f"white of 1-bit masks as {name(meaning.white)}")
    yield Finding("mask-mapped", values={"meanings": ", ".join(parts)})
