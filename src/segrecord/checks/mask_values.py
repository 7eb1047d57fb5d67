"""What the masks' values mean: decided once, from the union of all masks' values.

File by file it cannot be known: {0, 255} is "background and lesion" in one set and "background
and ignore" in another, and only the other masks tell which. Nothing is guessed that could be
wrong in silence: values that are neither 0/255 nor plausible class ids are an error that says
what to pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segrecord.findings import Finding
from segrecord.images.mask import ValueMap, clear_of
from segrecord.options import IGNORE, IGNORE_NAME, PixelOptions
from segrecord.wording import counted

PLAUSIBLE_ID = 32
"""Grey values below this may be class ids however few of them occur (a small set holds some of
its classes only); a lone 127 or 200 is a grey level until the user says otherwise."""

MAX_IDS_A_MASK = 64
"""One picture does not show more classes than this: more values are grey levels, a probability
map for example."""

SMOOTH_VALUES = 16
"""A mask with at least this many values between its lowest and highest may be a smoothed one;
real smoothed masks had at least 88, real masks with an extra 127 one (measured)."""

SMOOTH_SHARE = 0.5
"""... if at least this share of the odd pixels lies at edges: measured over 0.91 in smoothed
masks, at most 0.005 in masks with an extra value."""

NEAR = 32
"""JPEG of two levels keeps nearly all pixels within so many grey levels of them ..."""

NEAR_SHARE = 0.97
"""... at least this share: measured 0.989 and more in real masks saved as JPEG of quality 50 to
95, down to 128 x 128 pixels."""

BETWEEN_SHARE = 0.002
PEAK_SHARE = 0.7
"""A third class shows by a peak between: where more than the first share of the pixels lie there,
and of these more than the second within NEAR levels. Measured: at most 0.58 in two-valued masks,
0.81 and more where a third class of 2 % was drawn."""

_LOSSY = frozenset({"jpeg", "webp"})
"""Formats that may change values."""

_SHOWN = 6
"""Values that a line names."""

SPAN = 64
"""Grey levels at least between two classes that JPEG keeps apart."""


class MaskValues(NamedTuple):
    """The values of one mask file, as the scan found them."""

    key: str
    path: str
    kind: str
    values: tuple[int, ...]
    counts: tuple[int, ...]
    edge_share: float | None
    format: str = "png"


class Reading(NamedTuple):
    """How mask values are read, and what is to be said of it."""

    map: ValueMap
    classes: tuple[str, ...]
    findings: tuple[Finding, ...]


def decide(masks: list[MaskValues], options: PixelOptions) -> Reading:
    """The one way in which all these masks are read."""
    if options.mask_map is not None:
        return _mapped(masks, options)
    if options.mask_threshold is None:
        reading = _inferred(masks)
    else:
        palettes = (mask for mask in masks if mask.kind == "palette")
        findings = tuple(Finding("palette-threshold", mask.key, mask.path) for mask in palettes)
        value_map = ValueMap((), 1, options.mask_threshold)
        reading = Reading(value_map, ("background", "foreground"), findings)
    if not options.mask_invert or any(one.level == "error" for one in reading.findings):
        return reading
    if len(reading.classes) == 2:  # noqa: PLR2004 - what is swapped
        return reading._replace(map=reading.map.inverted())
    ids = dict(reading.map.ids)
    path, value = next(
        (mask.path, value)
        for mask in masks
        for value in mask.values
        if 1 < ids.get(value, 0) < IGNORE
    )
    about = {"value": value, "number": ids[value]}
    finding = Finding("mask-not-two-valued", path=path, values=about)
    return reading._replace(findings=(*reading.findings, finding))


def _mapped(masks: list[MaskValues], options: PixelOptions) -> Reading:
    """As --mask-map says; values that it does not name are findings."""
    names = options.mask_class_names or ()
    pairs = options.mask_map or ()
    ids = {value: IGNORE if name == IGNORE_NAME else names.index(name) for value, name in pairs}
    # The white of a 1-bit mask is whatever stands for white elsewhere.
    white = ids.get(1, ids.get(255))
    of_bilevel = ({0} & set(ids)) | (set() if white is None else {1})
    findings = []
    for mask in masks:
        expected = of_bilevel if mask.kind == "bilevel" else set(ids)
        if not set(mask.values) <= expected:
            findings.append(_off_values(mask, expected, {"case": "unmapped add"}))
    value_map = ValueMap(tuple(sorted(ids.items())), white or 0, clear=clear_of(names, ids))
    return Reading(value_map, names, tuple(findings))


def _off_values(mask: MaskValues, expected: set[int], why: Mapping[str, Any]) -> Finding:
    """What is wrong with a mask whose values are not all expected."""
    off = {v: n for v, n in zip(mask.values, mask.counts, strict=True) if v not in expected}
    shown = ", ".join(map(str, list(off)[:_SHOWN])) + ", ..." * (len(off) > _SHOWN)
    pixels = sum(off.values())
    about = {
        "number": counted(len(off), "mask value"),
        "shown": shown,
        "pixels": counted(pixels, "pixel"),
        "share": 100 * pixels / sum(mask.counts),
    }
    return Finding("mask-values", mask.key, mask.path, values={**about, **why})


def _inferred(masks: list[MaskValues]) -> Reading:
    """As 0/255 or as class ids, whichever the union of all values is."""
    numbers = [mask for mask in masks if mask.kind != "bilevel"]
    union = sorted({value for mask in numbers for value in mask.values})
    if set(union) <= {0, 255}:
        return Reading(ValueMap(((0, 0), (255, 1)), 1), ("background", "foreground"), ())
    odd = list(_odd_masks(numbers, union))
    # A few masks with other values in a set of 0/255 masks: read as class ids they would turn the
    # foreground of all the others into ignore.
    others = [mask for mask in numbers if not set(mask.values) <= {0, IGNORE}]
    plain = sum(map(_holds_ignore_only, numbers))
    if not odd and plain > len(others):
        beside = counted(plain, "mask that holds", "masks that hold")
        why = _to_be_named("outvoted", union) | {"beside": beside}
        odd = [_off_values(mask, {0, IGNORE}, why) for mask in others]
    ids = [value for value in union if value != IGNORE]
    classes = tuple(f"class {number}" for number in range(max(ids) + 1)) if ids else ()
    reading = ValueMap(tuple((value, value) for value in union if value <= IGNORE), 1)
    if odd:
        return Reading(reading, classes[:IGNORE], tuple(odd))
    if any(mask.kind == "bilevel" for mask in masks) and len(classes) < 2:  # noqa: PLR2004 - white is 1
        classes = ("class 0", "class 1")
    # A 0/255 mask among id masks reads as background and ignore: the user should look.
    findings = []
    for mask in filter(_holds_ignore_only, numbers if ids else []):
        about = {"held": " and ".join(map(str, mask.values)), "highest": ids[-1]}
        findings.append(Finding("mask-ignore-only", mask.key, mask.path, values=about))
    return Reading(reading, classes, tuple(findings))


def _odd_masks(masks: list[MaskValues], union: list[int]) -> Iterator[Finding]:
    """Findings for the masks whose values are no plausible class ids."""
    grey = sorted({v for mask in masks if mask.kind == "grey" for v in mask.values} - {IGNORE})
    smooth = [mask for mask in masks if _looks_smoothed(mask)]
    changed = [mask for mask in masks if _changed_by_jpeg(mask)]
    crowded = any(mask.kind == "grey" and len(mask.values) > MAX_IDS_A_MASK for mask in masks)
    dense = not grey or grey[-1] < PLAUSIBLE_ID or 2 * len(grey) > grey[-1]
    plausible = dense and not crowded and not changed
    if plausible and not smooth and union[-1] <= IGNORE:
        return
    off = [mask for mask in masks if mask.kind == "grey" and not set(mask.values) <= {0, 255}]
    only_changed = changed and dense and not crowded and not smooth
    blamed = changed if only_changed else _blamed(off, smooth, dense=dense)
    kind = "smooth" if smooth else "changed" if changed else "odd"
    if (smooth or changed) and len(blamed) < len(off):  # a threshold would ruin the others
        why: dict[str, Any] = {"case": f"{kind} single"}
    elif smooth:
        ends = min(mask.values[0] for mask in smooth) + max(mask.values[-1] for mask in smooth)
        why = {"case": f"{kind} threshold", "threshold": (ends + 1) // 2}
    elif changed:
        why = {"case": f"{kind} png"}
    else:
        why = _to_be_named(kind, union)
    for mask in blamed:
        yield _off_values(mask, {0, 255}, why)


def _blamed(off: list[MaskValues], smooth: list[MaskValues], *, dense: bool) -> list[MaskValues]:
    """The masks to complain of, among those with values besides 0 and 255: a few, or all.

    Among id masks a single smoothed one is at fault alone. Where most are smoothed, the others'
    odd values are no class ids either, however small they are.
    """
    keys = {mask.key for mask in smooth}
    highest_id = IGNORE if dense else PLAUSIBLE_ID - 1
    standing_out = [
        mask
        for mask in off
        if mask.key in keys
        or len(mask.values) > MAX_IDS_A_MASK
        or _changed_by_jpeg(mask)
        or any(value > highest_id and value != IGNORE for value in mask.values)
    ]
    few = 0 < 2 * len(standing_out) < len(off)
    return standing_out if few else off


def maybe_smoothed(values: Sequence[int]) -> bool:
    """Whether a mask of these values has so many that its `edge_share` matters."""
    return len(values) - 2 >= SMOOTH_VALUES


def _looks_smoothed(mask: MaskValues) -> bool:
    """Whether values come of smoothing two others, as far as their number and spread tell."""
    if mask.format not in _LOSSY or mask.kind != "grey" or len(mask.values) <= 2:  # noqa: PLR2004 - no value between
        share = mask.edge_share
        return maybe_smoothed(mask.values) and share is not None and share >= SMOOTH_SHARE
    if mask.values[-1] - mask.values[0] < SPAN:
        return False  # noise of an empty mask, or small ids
    values, counts = np.array(mask.values), np.array(mask.counts)
    between = (values > values[0] + NEAR) & (values < values[-1] - NEAR)
    share_between = counts[between].sum() / counts.sum()
    if share_between <= BETWEEN_SHARE:
        return True
    sums = np.append(0, np.cumsum(counts[between]))
    ends = np.searchsorted(values[between], values[between] + NEAR)
    peak = (sums[ends] - sums[:-1]).max() / sums[-1]
    return bool(share_between <= 1 - NEAR_SHARE and peak <= PEAK_SHARE)


def _changed_by_jpeg(mask: MaskValues) -> bool:
    """Whether values may be no longer those that were drawn; WebP may be lossless."""
    return mask.format == "jpeg" and not set(mask.values) <= {0, 255}


def _to_be_named(kind: str, union: list[int]) -> dict[str, Any]:
    """The case of values that only a person can name, with an example where it fits a line."""
    if len(union) > _SHOWN:
        return {"case": f"{kind} many"}
    names = {0: "background", 127: IGNORE_NAME, 255: "foreground"}
    example = ",".join(f"{value}={names.get(value, f'class{value}')}" for value in union)
    return {"case": f"{kind} few", "example": example}


def _holds_ignore_only(mask: MaskValues) -> bool:
    return IGNORE in mask.values and set(mask.values) <= {0, IGNORE}
