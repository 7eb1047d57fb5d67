"""Image files: which there are, how they are named and stored, and what their pictures show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks.check_input import (
    CheckInput,
    Flags,
    Numbers,
    Rows,
    highest,
    named,
    named_parts,
    numbers,
    owners,
    part_field,
    values,
    where,
)
from segrecord.findings import Finding, Related, from_json
from segrecord.images.files import extension_agrees
from segrecord.wording import counted, more

_LISTED = 5
"""How many keys a message lists before it says how many more there are."""

FEW_TRANSPARENT = 1
"""Per cent of a picture's pixels: corners rounded by a tenth of its side are 0.9 %."""

_STALE = (
    r"(?i)(?P<ending>[_-](?:downsampled|resized|thumb|thumbnail|copy|old|tmp|temp|bak|backup)"
    r"| - copy|\.(?:bak|old|orig|tmp))(?:\.[^./\\]*)?$"
)
"""Endings that programs and people give to a step on the way or to a copy put aside; the ISIC
archive of 2019 has images named `_downsampled` beside others that are not."""

_NUMBERED = r" \(\d+\)(\.[^./\\]*)$"
"""What browsers and file managers add to the name of a second copy. Whole sets are named so, too
("benign (1).png"): only beside the name without it does it say copy."""

MIN_STD = 1.0
"""Grey levels. Below that in every channel the values are one, give or take the rounding of a
decoder: JPEG leaves 0 of a picture of one colour at any quality (measured); the flattest of 150
pictures of nine public sets, one of nuclei, has 7.1."""

ALMOST_ALL = 99
"""Per cent of the values in the outermost of the histogram's 32 bins: below 8, or from 248 on."""

FLAT = 8.0
"""Grey levels: one bin of the histogram. Few bright spots on black are a picture: the darkest of
the nuclei images of the Data Science Bowl 2018 at hand deviates by 9.7, with 96 % below 8."""

STRIP = 4
"""A side over 4 times the other: dental panoramas have about 2, radiographs of a spine 3."""

ODD = 3.5
"""Modified z-score from which a value counts as an outlier: Iglewicz and Hoaglin 1993."""

NORMAL = 0.6745
"""The median absolute deviation of a normal distribution, in its standard deviations."""

ODD_FACTOR = 4
"""... and a factor of the median area: half or twice the side is still the same kind."""

FEW = 20
"""... and at most one in so many: more are a kind of their own."""


def broken_files(given: CheckInput) -> Iterator[Finding]:
    """What the scan could not read."""
    facts = given.facts
    some = facts.filter(pc.greater(pc.list_value_length(facts["problems"]), 0))
    for key, problems in values(some["key"], some["problems"]):
        for problem in problems:
            about = from_json(problem["values"])
            yield Finding(problem["code"], key, problem["path"], values=about)


def unread_parts(given: CheckInput) -> Iterator[Finding]:
    """What the samples table can describe and nothing reads yet: frames, and parts of masks."""
    samples, masks = given.samples, given.samples["mask"]
    flat = masks.combine_chunks().flatten()
    odd = pc.or_(pc.not_equal(flat.field("encoding"), "file"), pc.is_valid(flat.field("value")))
    for name in ("top", "left"):
        odd = pc.or_(odd, pc.not_equal(flat.field(name), 0))
    frames = where(pc.not_equal(samples["frame"], 0))
    for key, path in named(samples, np.union1d(owners(masks)[where(odd)], frames)):
        yield Finding("unsupported-part", key, path)


def missing_masks(given: CheckInput) -> Iterator[Finding]:
    """Samples without a mask, where that was said to be an error."""
    if given.options.records.missing_mask == "error":
        absent = where(pc.equal(pc.list_value_length(given.samples["mask"]), 0))
        for key, path in named(given.samples, absent):
            yield Finding("missing-mask", key, path)


def shared_files(given: CheckInput) -> Iterator[Finding]:
    """Files that several samples name, as image or as mask; one finding a file."""
    samples = given.samples
    masks = part_field(samples["mask"], "source")
    paths = pa.chunked_array([*samples["image"].chunks, *masks.chunks], masks.type)
    counts = pc.value_counts(paths)
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    places = where(pc.is_in(paths, several))
    rows = np.concatenate([np.arange(len(samples)), owners(samples["mask"])])[places]
    users: dict[str, dict[int, str]] = {}
    keys = samples["key"].take(pa.array(rows))
    for path, key, row in values(paths.take(pa.array(places)), keys, pa.array(rows)):
        users.setdefault(path, {})[row] = key
    for path, by_row in sorted(users.items()):
        if len(by_row) > 1:  # one sample may name a file twice
            first, *others = (by_row[row] for row in sorted(by_row))
            related = tuple(map(Related, others[: _LISTED - 1]))
            about = {"samples": len(by_row), "more": more(len(by_row) - _LISTED)}
            yield Finding("shared-file", first, path, related, about)


def handling(given: CheckInput) -> Iterator[Finding]:
    """Images whose bytes are not stored as they are; no pixel changes but for orientation."""
    done = given.facts["image_handling"]
    rows = where(pc.is_in(done, pa.array(["encode", "trim"])))
    for key, path, how, reason in named(given.samples, rows, done, given.facts["image_reason"]):
        code = "re-encoded" if how == "encode" else "trimmed"
        yield Finding(code, key, path, values={"reason": reason})


def transparency(given: CheckInput) -> Iterator[Finding]:
    """Images with an alpha channel or others beside the colours: no reader of a dataset sees it."""
    facts = given.facts
    opaque = len(where(pc.equal(facts["transparent"], 0)))
    if opaque:
        images = counted(opaque, "image has", "images have")
        yield Finding("alpha-channel", values={"case": "opaque", "images": images})
    rows = where(pc.not_equal(facts["image_alpha"], ""))
    columns = [facts[name] for name in ("image_alpha", "transparent", "height", "width")]
    for key, path, alpha, clear, height, width in named(given.samples, rows, *columns):
        if alpha == "unread":
            yield Finding("unread-channel", key, path)
        elif clear is None:
            yield Finding("alpha-channel", key, path, values={"case": "unseen"})
        if clear:
            total = height * width
            code = (
                "transparent-pixels" if 100 * clear > FEW_TRANSPARENT * total else "alpha-channel"
            )
            case = "premultiplied" if alpha == "premultiplied" else ""
            about = {"case": case, "pixels": clear, "share": 100 * clear / total}
            yield Finding(code, key, path, values=about)


def extensions(given: CheckInput) -> Iterator[Finding]:
    """Files whose extension says another format than their bytes."""
    samples, forms = given.samples, given.facts["image_format"]
    for key, path, form in named(samples, _misnamed(samples["image"], forms), forms):
        yield Finding("wrong-extension", key, path, values={"format": form})
    forms = part_field(given.facts["masks"], "format")
    parts = _misnamed(part_field(samples["mask"], "source"), forms)
    masks = named_parts(samples, parts, owners(samples["mask"]))
    for (key, path), form in zip(masks, forms.take(pa.array(parts)).to_pylist(), strict=True):
        yield Finding("wrong-extension", key, path, values={"format": form})


def _misnamed(paths: pa.ChunkedArray, forms: pa.ChunkedArray) -> Rows:
    """The places where the ending is one of another format."""
    endings = pc.struct_field(pc.extract_regex(paths, r"(?P<ending>\.[^./\\]*)$"), "ending")
    kinds = pa.table({"ending": endings, "form": forms}).group_by(["ending", "form"])
    wrong = [
        pc.and_(pc.equal(endings, kind["ending"]), pc.equal(forms, kind["form"]))
        for kind in kinds.aggregate([]).drop_null().to_pylist()
        if not extension_agrees(f"name{kind['ending']}", kind["form"])
    ]
    places = [where(flags) for flags in wrong]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *places]))


def stale_names(given: CheckInput) -> Iterator[Finding]:
    """Images named as copies or steps on the way, where most others are not."""
    samples, paths = given.samples, given.samples["image"]
    rows = where(pc.match_substring_regex(paths, _STALE))
    parts = pc.extract_regex(paths.take(pa.array(rows)), _STALE)
    endings = pc.utf8_lower(pc.struct_field(parts, "ending"))
    counts = pc.value_counts(endings)
    few = pc.less(pc.multiply(counts.field("counts"), 2), len(samples))
    chosen = where(pc.is_in(endings, counts.field("values").filter(few)))
    names = endings.take(pa.array(chosen)).to_pylist()
    for (key, path), ending in zip(named(samples, rows[chosen]), names, strict=True):
        yield Finding("stale-name", key, path, values={"case": "ending", "ending": ending})
    rows = where(pc.match_substring_regex(paths, _NUMBERED))
    original = pc.replace_substring_regex(paths.take(pa.array(rows)), _NUMBERED, r"\1")
    beside = rows[where(pc.is_in(original, paths.combine_chunks()))]
    if 2 * len(beside) < len(samples):
        for key, path in named(samples, beside):
            yield Finding("stale-name", key, path, values={"case": "numbered"})


def personal_metadata(given: CheckInput) -> Iterator[Finding]:
    """What stands in image files beside pixels, and what becomes of it."""
    facts, keeps = given.facts, given.options.records.keep_metadata
    rows = where(pc.greater(pc.list_value_length(facts["metadata"]), 0))
    for key, path, held in named(given.samples, rows, facts["metadata"]):
        about = {"case": "kept" if keeps else "", "held": ", ".join(held)}
        yield Finding("personal-metadata", key, path, values=about)
    if len(rows) and not keeps:
        yield Finding("metadata-removed", values={"images": counted(len(rows), "image")})


def flat_pictures(given: CheckInput) -> Iterator[Finding]:
    """Pictures of one colour, and such that are almost all black or white."""
    samples, std = given.samples, highest(given.facts["std"])
    constant = std < MIN_STD
    for key, path, mean in named(samples, np.flatnonzero(constant), given.facts["mean"]):
        colour = ", ".join(f"{level:.0f}" for level in mean)
        yield Finding("constant-image", key, path, values={"colour": colour})
    dark, bright = _outermost(given.facts["histogram"])
    flat = (std < FLAT) & ~constant
    for code, shares in (("dark-image", dark), ("bright-image", bright)):
        rows = np.flatnonzero(flat & (shares * 100 >= 65535 * ALMOST_ALL))
        for (key, path), share in zip(named(samples, rows), shares[rows].tolist(), strict=True):
            yield Finding(code, key, path, values={"share": share * 1000 // 65535 / 10})


def _outermost(histograms: pa.ChunkedArray) -> tuple[Numbers, Numbers]:
    """(N,) the shares, of 65535, of the lowest and the highest bin; 0 where there is none."""
    ends = [np.zeros((0, 2), np.int64)]
    for chunk in histograms.chunks:
        there, valid = np.zeros((len(chunk), 2), np.int64), chunk.drop_null()
        if len(valid):
            shares = np.frombuffer(valid.buffers()[1], "<u2").reshape(-1, 32)
            own = shares[valid.offset : valid.offset + len(valid)]
            there[chunk.is_valid().to_numpy(zero_copy_only=False)] = own[:, [0, 31]]
        ends.append(there)
    both = np.concatenate(ends)
    return both[:, 0], both[:, 1]


def strips(given: CheckInput) -> Iterator[Finding]:
    """Images that are many times as long as they are wide."""
    height, width = numbers(given.facts["height"]), numbers(given.facts["width"])
    long = np.maximum(height, width) > STRIP * np.minimum(height, width)
    for key, path, *sides in _sized(given, long):
        about = {"size": f"{sides[0]}x{sides[1]}", "times": max(sides) / min(sides)}
        yield Finding("extreme-aspect", key, path, values=about)


def odd_sizes(given: CheckInput) -> Iterator[Finding]:
    """The few images whose area is far from that of the others."""
    areas = numbers(given.facts["height"]) * numbers(given.facts["width"])
    is_read = areas > 0
    if not is_read.any():
        return
    area = np.log2(np.maximum(areas, 1))
    median = np.median(area[is_read])
    away: npt.NDArray[np.float64] = np.abs(area - median)
    spread = np.median(away[is_read])
    odd = is_read & (away >= np.log2(ODD_FACTOR)) & (NORMAL * away > ODD * spread)
    if FEW * np.count_nonzero(odd) > np.count_nonzero(is_read):
        return
    usual = round(2 ** (median / 2))
    for key, path, height, width in _sized(given, odd):
        about = {"size": f"{height}x{width}", "usual": f"{usual}x{usual}"}
        yield Finding("outlier-size", key, path, values=about)


def _sized(given: CheckInput, flags: Flags) -> Iterator[tuple[Any, ...]]:
    """Key, path, height and width (pixels, as oriented) of these images."""
    columns = (given.facts["height"], given.facts["width"])
    return named(given.samples, np.flatnonzero(flags), *columns)
