"""What the masks' values mean: decided once, from the union of all masks' values.

File by file it cannot be known: {0, 255} is "background and lesion" in one set and "background
and ignore" in another, and only the other masks tell which. Nothing is guessed that could be
wrong in silence: values that are neither 0/255 nor plausible class ids are an error that says
what to pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from segrecord.errors import Finding, counted
from segrecord.options import IGNORE, IGNORE_NAME, PixelOptions
from segrecord.pixels.mask import ValueMap, clear_of

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
    if options.mask_threshold is not None:
        reading = _thresholded(masks, options.mask_threshold)
    else:
        reading = _understood(masks)
    return _inverted(masks, reading) if options.mask_invert else reading


def _inverted(masks: list[MaskValues], reading: Reading) -> Reading:
    if any(finding.level == "error" for finding in reading.findings):
        return reading
    if len(reading.classes) == 2:  # noqa: PLR2004 - what is swapped
        return reading._replace(map=reading.map.inverted())
    ids = dict(reading.map.ids)
    first = next(mask for mask in masks if any(1 < ids.get(v, 0) < IGNORE for v in mask.values))
    more = next(value for value in first.values if 1 < ids.get(value, 0) < IGNORE)
    message = (
        f"--mask-invert swaps the two classes of two-valued masks, and this one holds the value "
        f"{more}, read as class {ids[more]}"
    )
    fix = "leave --mask-invert out; --mask-map VALUE=NAME,... says what each value means"
    finding = Finding("error", "mask-not-two-valued", "", first.path, message, fix)
    return reading._replace(findings=(*reading.findings, finding))


def _thresholded(masks: list[MaskValues], threshold: int) -> Reading:
    findings = [
        Finding(
            "error",
            "palette-threshold",
            mask.key,
            mask.path,
            "a palette mask holds class ids, which have no threshold",
            "leave --mask-threshold out, or save the mask as grey",
        )
        for mask in masks
        if mask.kind == "palette"
    ]
    return Reading(ValueMap((), 1, threshold), ("background", "foreground"), tuple(findings))


def _mapped(masks: list[MaskValues], options: PixelOptions) -> Reading:
    names = options.mask_class_names or ()
    pairs = options.mask_map or ()
    ids = {value: IGNORE if name == IGNORE_NAME else names.index(name) for value, name in pairs}
    # The white of a 1-bit mask is whatever stands for white elsewhere.
    white = ids.get(1, ids.get(255))
    findings = list(_off_map(masks, set(ids), white))
    value_map = ValueMap(tuple(sorted(ids.items())), white or 0, clear=clear_of(names, ids))
    return Reading(value_map, names, tuple(findings))


def _off_map(masks: list[MaskValues], known: set[int], white: int | None) -> Iterator[Finding]:
    for mask in masks:
        if mask.kind == "bilevel":
            unnamed = ({0} - known) | ({1} if white is None else set())
            off = {value: _count(mask, value) for value in sorted(unnamed & set(mask.values))}
        else:
            off = {v: n for v, n in zip(mask.values, mask.counts, strict=True) if v not in known}
        if off:
            yield _off_values(mask, off, "not in the mask map", "add them to --mask-map")


def _off_values(mask: MaskValues, off: dict[int, int], rule: str, fix: str) -> Finding:
    shown = ", ".join(str(value) for value in list(off)[:6]) + (", ..." if len(off) > 6 else "")  # noqa: PLR2004 - a line's worth
    pixels, total = sum(off.values()), sum(mask.counts)
    share = 100 * pixels / total
    message = (
        f"{counted(len(off), 'mask value')} ({shown}), {rule}: {counted(pixels, 'pixel')}, "
        f"{share:.3g} % of the mask"
    )
    return Finding("error", "mask-values", mask.key, mask.path, message, fix)


def _understood(masks: list[MaskValues]) -> Reading:
    numbers = [mask for mask in masks if mask.kind != "bilevel"]
    union = sorted({value for mask in numbers for value in mask.values})
    if set(union) <= {0, 255}:
        return Reading(ValueMap(((0, 0), (255, 1)), 1), ("background", "foreground"), ())
    odd = list(_odd_masks(numbers, union)) or list(_outvoted(numbers, union))
    ids = [value for value in union if value != IGNORE]
    classes = tuple(f"class {number}" for number in range(max(ids) + 1)) if ids else ()
    reading = ValueMap(tuple((value, value) for value in union if value <= IGNORE), 1)
    if odd:
        return Reading(reading, classes[:IGNORE], tuple(odd))
    if any(mask.kind == "bilevel" for mask in masks) and len(classes) < 2:  # noqa: PLR2004 - white is 1
        classes = ("class 0", "class 1")
    return Reading(reading, classes, tuple(_two_valued(numbers, ids)))


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
    rule = "neither 0/255 nor class ids"
    if smooth:
        rule = "looking like smoothed edges or JPEG"
    elif changed:
        rule = "which JPEG may have changed"
    off = [mask for mask in masks if mask.kind == "grey" and not set(mask.values) <= {0, 255}]
    only_changed = changed and dense and not crowded and not smooth
    blamed = changed if only_changed else _blamed(off, smooth, dense=dense)
    fix = _way_out(smooth, union, changed=bool(changed))
    if (smooth or changed) and len(blamed) < len(off):  # a threshold would ruin the others
        fix = "other masks hold class ids: correct this one, or pass --on-error quarantine"
    for mask in blamed:
        counts = zip(mask.values, mask.counts, strict=True)
        yield _off_values(mask, {v: n for v, n in counts if v not in {0, 255}}, rule, fix)


def _blamed(off: list[MaskValues], smooth: list[MaskValues], *, dense: bool) -> list[MaskValues]:
    """The masks to complain of, among those with values besides 0 and 255: a few, or all.

    Among id masks a single smoothed one is at fault alone. Where most are smoothed, the others'
    odd values are no class ids either, however small they are.
    """
    known = {mask.key for mask in smooth}
    standing_out = [
        mask
        for mask in off
        if mask.key in known
        or len(mask.values) > MAX_IDS_A_MASK
        or _changed_by_jpeg(mask)
        or any(not _may_be_id(value, dense=dense) for value in mask.values)
    ]
    few = 0 < 2 * len(standing_out) < len(off)
    return standing_out if few else off


def _may_be_id(value: int, *, dense: bool) -> bool:
    return value == IGNORE or (value < IGNORE and (dense or value < PLAUSIBLE_ID))


def maybe_smoothed(values: Sequence[int]) -> bool:
    """Whether a mask of these values has so many that its `edge_share` matters."""
    return len(values) - 2 >= SMOOTH_VALUES


def _looks_smoothed(mask: MaskValues) -> bool:
    if mask.format in _LOSSY and mask.kind == "grey" and len(mask.values) > 2:  # noqa: PLR2004 - a value between
        return _has_two_levels(mask)
    share = mask.edge_share
    return maybe_smoothed(mask.values) and share is not None and share >= SMOOTH_SHARE


def _has_two_levels(mask: MaskValues) -> bool:
    """Whether a lossy mask held two values, as far as the spread of what it holds now tells."""
    if mask.values[-1] - mask.values[0] < SPAN:
        return False  # noise of an empty mask, or small ids
    values, counts = np.array(mask.values), np.array(mask.counts)
    between = (values > values[0] + NEAR) & (values < values[-1] - NEAR)
    share = counts[between].sum() / counts.sum()
    if share <= BETWEEN_SHARE:
        return True
    sums = np.append(0, np.cumsum(counts[between]))
    ends = np.searchsorted(values[between], values[between] + NEAR)
    peak = (sums[ends] - sums[:-1]).max() / sums[-1]
    return bool(share <= 1 - NEAR_SHARE and peak <= PEAK_SHARE)


def _changed_by_jpeg(mask: MaskValues) -> bool:
    """Whether values may be no longer those that were drawn; WebP may be lossless."""
    return mask.format == "jpeg" and not set(mask.values) <= {0, 255}


def _way_out(smooth: list[MaskValues], union: list[int], *, changed: bool = False) -> str:
    if smooth:
        lowest = min(mask.values[0] for mask in smooth)
        highest = max(mask.values[-1] for mask in smooth)
        return f"pass --mask-threshold {(lowest + highest + 1) // 2}"
    if changed:
        return (
            "get the masks as PNG; or pass --mask-threshold N, which reads values from N on as "
            "class 1"
        )
    named = {0: "background", 127: IGNORE_NAME, 255: "foreground"}
    if len(union) <= 6:  # noqa: PLR2004 - more would not fit a line
        example = ",".join(f"{value}={named.get(value, f'class{value}')}" for value in union)
        return f"say what each value means, for example --mask-map {example}"
    return (
        "say what each value means with --mask-map VALUE=NAME,..., or where class 1 begins "
        "with --mask-threshold N"
    )


def _outvoted(masks: list[MaskValues], union: list[int]) -> Iterator[Finding]:
    """A few masks with other values in a set of 0/255 masks.

    Read as class ids they would turn the foreground of all the others into ignore.
    """
    others = [mask for mask in masks if not set(mask.values) <= {0, IGNORE}]
    plain = sum(map(_holds_ignore_only, masks))
    if plain <= len(others):
        return
    beside = counted(plain, "mask that holds", "masks that hold")
    rule = f"beside {beside} only 0 and 255"
    for mask in others:
        counts = zip(mask.values, mask.counts, strict=True)
        off = {value: n for value, n in counts if value not in {0, IGNORE}}
        yield _off_values(mask, off, rule, _way_out([], union))


def _holds_ignore_only(mask: MaskValues) -> bool:
    return IGNORE in mask.values and set(mask.values) <= {0, IGNORE}


def _two_valued(masks: list[MaskValues], ids: list[int]) -> Iterable[Finding]:
    """A 0/255 mask among id masks reads as background and ignore: the user should look."""
    return [
        Finding(
            "warning",
            "mask-ignore-only",
            mask.key,
            mask.path,
            f"holds only {' and '.join(map(str, mask.values))} while other masks hold class ids "
            f"up to {ids[-1]}: 255 is read as ignore",
            "if 255 is a class here, name it with --mask-map",
        )
        for mask in masks
        if ids and _holds_ignore_only(mask)
    ]


def _count(mask: MaskValues, value: int) -> int:
    return mask.counts[mask.values.index(value)]
