"""Files in, facts out: what reading every file once has shown.

`scan_rows` is the worker: pure, picklable, and on plain values, so that a worker process need
not load Arrow. A file's problem is a value among its facts; one bad file never hides another.
The facts of a file depend on its bytes alone, never on the options: `segrecord.checks.registry`
applies those, so that a kept scan serves every later build.

The mask is decoded here anyway, so the bytes that would be stored are made as well (`Draft`): if
the values then mean, over the whole dataset, what this draft took them to mean, no mask is decoded
twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from segrecord.checks.mask_values import maybe_smoothed
from segrecord.errors import PixelError
from segrecord.findings import Finding, to_json
from segrecord.images import image, mask, metadata, perceptual
from segrecord.images.files import load, load_head
from segrecord.options import Checks

HEAD_BYTES = 1 << 14
"""What --checks none reads of a file at first; the whole file where its header is longer."""


class Row(NamedTuple):
    """What the scan needs of one sample."""

    key: str
    image: str
    masks: tuple[str, ...]


class DraftRule(NamedTuple):
    """How a mask would be stored, as far as that is decided before all masks are read."""

    map: mask.ValueMap | None
    """The user's map or threshold; None: 0/255 as 0/1, other values as they are."""
    fit: str
    size: tuple[int, int] | None
    invert: bool = False
    """Whether the guess is turned around; `map` is already."""
    stored: str = "ids"
    """ids, or keep: 0 and 255 instead of 0 and 1."""


Digests = tuple[bytes | None, tuple[bytes, ...]]
"""SHA-256 of the image and of each mask of a row."""


class ScanTask(NamedTuple):
    """Some rows to scan."""

    rows: tuple[Row, ...]
    checks: Checks
    draft: DraftRule | None
    """None: no drafts are wanted."""
    earlier: tuple[Digests | None, ...]
    """For each row the hashes of its files at an earlier scan, or None."""


class Draft(NamedTuple):
    """The mask of one sample as it would be stored."""

    png: bytes
    ids: tuple[tuple[int, int], ...]
    """Pairs (value, id) that this draft took for granted, over all parts but bilevel ones."""
    white: int | None
    """The id it gave to the white of bilevel parts; None: there are none."""
    pixels: tuple[tuple[int, int], ...]
    """Pairs (class id, pixels) of the stored mask."""


class Scanned(NamedTuple):
    """What the scan of one row gives."""

    facts: dict[str, Any] | None
    """A row of the facts table; None: the files are those of the earlier scan."""
    draft: Draft | None


_Problems = list[dict[str, str]]


def scan_rows(task: ScanTask) -> list[Scanned]:
    """The facts of each row of the task, in their order."""
    if task.checks == "none":  # without hashes an earlier scan cannot be recognised
        return [Scanned(_header_facts(row), None) for row in task.rows]
    return [
        _scan_row(row, earlier, task) for row, earlier in zip(task.rows, task.earlier, strict=True)
    ]


def _scan_row(row: Row, earlier: Digests | None, task: ScanTask) -> Scanned:
    problems: _Problems = []
    files = [_attempt(problems, path, load, path) for path in (row.image, *row.masks)]
    digests = [None if data is None else hashlib.sha256(data).digest() for data in files]
    if earlier is not None and None not in digests and [earlier[0], *earlier[1]] == digests:
        return Scanned(None, None)
    facts: dict[str, Any] = {"key": row.key, "checks": task.checks, "problems": problems}
    if files[0] is not None:
        facts |= {"image_bytes": len(files[0]), "image_sha256": digests[0]}
        facts |= _image_facts(problems, row.image, files[0], full=task.checks == "full")
    masks = list(zip(row.masks, files[1:], digests[1:], strict=True))
    planes = [
        None if data is None else _attempt(problems, path, mask.read, data)
        for path, data, _ in masks
    ]
    facts["masks"] = [
        {} if data is None else _mask_facts(problems, path, data, plane) | {"sha256": digest}
        for (path, data, digest), plane in zip(masks, planes, strict=True)
    ]
    return Scanned(facts, _draft(facts, planes, task.draft))


def _attempt(problems: _Problems, path: str, work: Any, *arguments: Any) -> Any:
    """The work's result, or None where a problem was noted instead."""
    try:
        return work(*arguments)
    except PixelError as error:
        _note(problems, path, [Finding(error.code, values=error.values)])
        return None


def _note(problems: _Problems, path: str, notes: Iterable[Finding]) -> None:
    """Keep what is wrong with a file, or what to warn of."""
    problems += [
        {"code": note.code, "path": path, "values": to_json(note.values)} for note in notes
    ]


def _image_facts(problems: _Problems, path: str, data: bytes, *, full: bool) -> dict[str, Any]:
    examined = _attempt(problems, path, partial(image.examine, decoded=full), data)
    if examined is None:
        return {}
    facts, pixels = examined
    held = metadata.held(data, facts.format)
    ignored = metadata.ignored(data, facts.format, held, facts.orientation)
    _note(problems, path, (*facts.notes, *ignored))
    row = _columns(facts) | {"metadata": held}
    if full and pixels is None:  # CMYK
        pixels = _attempt(problems, path, image.decode, data)
    if not full or pixels is None:
        return row
    counts, levels = image.histogram(pixels), np.arange(256)  # (channels, 256)
    total = counts.sum(axis=1)
    mean = (counts * levels).sum(axis=1) / total
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    bins = counts.sum(axis=0).reshape(32, 8).sum(axis=1)
    return row | {
        "pixels_sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).digest(),
        "mean": mean.tolist(),
        "std": np.sqrt(variance).tolist(),
        "histogram": (bins * 65535 // bins.sum()).astype("<u2").tobytes(),
        "phash": perceptual.phash(perceptual.thumbnail(pixels)),
        "transparent": facts.transparent,
    }


def _columns(facts: image.ImageFacts) -> dict[str, Any]:
    """The columns of the facts table that the file's header decides."""
    return {
        "image_format": facts.format,
        "image_mode": facts.mode,
        "bit_depth": facts.bit_depth,
        "orientation": facts.orientation,
        "stored_height": facts.stored_height,
        "stored_width": facts.stored_width,
        "height": facts.height,
        "width": facts.width,
        "image_handling": facts.handling,
        "image_reason": facts.reason,
        "image_alpha": facts.alpha,
    }


def _mask_facts(
    problems: _Problems, path: str, data: bytes, plane: mask.MaskPlane | None
) -> dict[str, Any]:
    if plane is None:
        return {"bytes": len(data)}
    held = metadata.held(data, plane.format)
    _note(problems, path, (*plane.notes, *metadata.ignored(data, plane.format, held)))
    values, counts = mask.count_values(plane)
    height, width = plane.values.shape
    return {
        "bytes": len(data),
        "format": plane.format,
        "mode": plane.mode,
        "kind": plane.kind,
        "height": height,
        "width": width,
        "values": values,
        "counts": counts,
        "edge_share": mask.edge_share(plane) if maybe_smoothed(values) else None,
        "pixels_sha256": hashlib.sha256(np.ascontiguousarray(plane.values).data).digest(),
        "map": mask.where(plane),
    }


def _draft(
    facts: dict[str, Any], planes: list[mask.MaskPlane | None], rule: DraftRule | None
) -> Draft | None:
    """The mask as it would be stored, or None where that is an error or not yet decided."""
    sound = [plane for plane in planes if plane is not None]
    if rule is None or not sound or len(sound) < len(planes) or "height" not in facts:
        return None
    own, upright = sound[0].values.shape, (facts["height"], facts["width"])
    fits = own == upright or rule.fit != "error"
    if not fits or any(plane.values.shape != own for plane in sound):
        return None
    masks = facts["masks"]
    numbered = [part["values"] for part in masks if part["kind"] != "bilevel"]
    values = sorted({value for part in numbered for value in part})
    meaning = rule.map
    if meaning is None:  # what the values mean if the other masks hold nothing else
        two = set(values) <= {0, 255}
        pairs = [(value, value) for value in values if value < 256]  # noqa: PLR2004 - 8 bits
        meaning = mask.ValueMap(((0, 0), (255, 1)) if two else tuple(pairs), 1)
        meaning = meaning.inverted() if rule.invert else meaning
    lut = meaning.lut()
    ids = mask.paint([meaning.apply(plane, lut) for plane in sound], meaning.clear)
    ids = mask.fit(ids, *(rule.size or upright))
    keep = rule.stored == "keep"
    if keep and int(ids.max()) > 1:
        return None
    if len(masks) == 1 and ids.shape == own:  # the pixels of each value are counted already
        number_of = {0: meaning.black, 1: meaning.white} if not numbered else lut
        pixels: dict[int, int] = {}
        for value, count in zip(masks[0]["values"], masks[0]["counts"], strict=True):
            number = int(number_of[value])
            pixels[number] = pixels.get(number, 0) + count
    else:
        pixels = mask.count_ids(ids)
    return Draft(
        mask.encode(mask.black_and_white(ids) if keep else ids),
        tuple((value, int(lut[value])) for value in values),
        meaning.white if len(numbered) < len(planes) else None,
        tuple(sorted(pixels.items())),
    )


class _Header(NamedTuple):
    """What the head of a file tells."""

    facts: image.ImageFacts
    size: int
    """Of the file, in bytes."""
    modified: int
    """Nanoseconds since the epoch."""


def _header(path: str, *, mask: bool = False) -> _Header:
    head = load_head(path, HEAD_BYTES)
    facts = image.examine_header(head.data) or image.examine_header(load(path))
    if facts is None:
        raise PixelError("not-an-image", case="header")
    if mask and (facts.format, facts.mode) != ("png", "L"):
        values = {"format": facts.format, "mode": facts.mode}
        raise PixelError("header-not-enough", case="mask", **values)
    return _Header(facts, head.size, head.modified)


def _header_facts(row: Row) -> dict[str, Any]:
    """Of headers only: nothing is decoded, and what a header cannot prove is refused."""
    problems: _Problems = []
    facts: dict[str, Any] = {"key": row.key, "checks": "none", "problems": problems}
    header = _attempt(problems, row.image, _header, row.image)
    if header is not None:
        _note(problems, row.image, header.facts.notes)
        facts |= _columns(header.facts) | {"image_bytes": header.size}
    mask_header = partial(_header, mask=True)
    masks = [_attempt(problems, path, mask_header, path) for path in row.masks]
    facts["masks"] = [
        {}
        if part is None
        else {
            "bytes": part.size,
            "format": part.facts.format,
            "mode": part.facts.mode,
            "kind": "grey",
            "height": part.facts.height,
            "width": part.facts.width,
        }
        for part in masks
    ]
    facts["stamps"] = [each.modified for each in (header, *masks) if each is not None]
    if len(masks) > 1:
        several = Finding("header-not-enough", values={"case": "masks", "masks": len(masks)})
        _note(problems, row.masks[1], [several])
    return facts
