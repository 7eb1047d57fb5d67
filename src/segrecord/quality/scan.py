"""Files in, facts out: what reading every file once has shown.

`scan_rows` is the worker: pure, picklable, and on plain values, so that a worker process need
not load Arrow. A file's problem is a value among its facts; one bad file never hides another.
The facts of a file depend on its bytes alone, never on the options: options are judged in
`segrecord.quality.checks`, so that a kept scan serves every later build.

The mask is decoded here anyway, so the bytes that would be stored are made in the same breath
(`Draft`): if the values then mean, over the whole dataset, what this draft took them to mean,
no mask is decoded twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from segrecord.errors import Note, PixelError
from segrecord.options import Checks
from segrecord.pixels import image, mask, metadata, perceptual
from segrecord.pixels.load import load, load_head
from segrecord.quality.values import maybe_smoothed

HEAD_BYTES = 1 << 14
"""What --checks none reads of a file at first; the whole file where its header is longer."""


class Row(NamedTuple):
    """What the scan needs of one sample."""

    key: str
    image: str
    masks: tuple[str, ...]


class DraftRule(NamedTuple):
    """How a mask would be stored, as far as that is known before all masks are read."""

    map: mask.ValueMap | None
    """The user's map or threshold; None: 0/255 as 0/1, other values as they are."""
    fit: str
    size: tuple[int, int] | None
    invert: bool = False
    """Whether the guess is turned around; `map` is already."""
    stored: str = "ids"
    """ids, or keep: 0 and 255 instead of 0 and 1."""


class ScanTask(NamedTuple):
    """Some rows to scan."""

    rows: tuple[Row, ...]
    checks: Checks
    draft: DraftRule | None
    """None: no drafts are wanted."""
    known: tuple[tuple[bytes | None, tuple[bytes, ...]] | None, ...]
    """For each row the SHA-256 of image and masks at an earlier scan, or None."""


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


def scan_rows(task: ScanTask) -> list[Scanned]:
    """The facts of each row of the task, in their order."""
    scan = _scan_headers if task.checks == "none" else _scan_row
    return [scan(row, task, known) for row, known in zip(task.rows, task.known, strict=True)]


def _scan_row(
    row: Row, task: ScanTask, known: tuple[bytes | None, tuple[bytes, ...]] | None
) -> Scanned:
    problems: list[dict[str, str]] = []
    loaded = [_attempt(problems, path, load, path) for path in (row.image, *row.masks)]
    digests = [hashlib.sha256(data).digest() if data is not None else None for data in loaded]
    if known is not None and None not in digests and [known[0], *known[1]] == digests:
        return Scanned(None, None)
    facts: dict[str, Any] = {"key": row.key, "checks": task.checks, "problems": problems}
    _image_facts(facts, row.image, loaded[0], digests[0], full=task.checks == "full")
    planes = [
        _attempt(problems, path, mask.read, data) if data is not None else None
        for path, data in zip(row.masks, loaded[1:], strict=True)
    ]
    for path, data, plane in zip(row.masks, loaded[1:], planes, strict=True):
        if plane is not None:
            held = metadata.held(data, plane.format)
            _note(problems, path, (*plane.notes, *metadata.ignored(data, plane.format, held)))
    facts["masks"] = [
        _mask_facts(data, digest, plane)
        for data, digest, plane in zip(loaded[1:], digests[1:], planes, strict=True)
    ]
    return Scanned(facts, _draft(facts, planes, task.draft))


def _attempt(problems: list[dict[str, str]], path: str, work: Any, *arguments: Any) -> Any:
    """The work's result, or None where a problem was noted instead."""
    try:
        return work(*arguments)
    except PixelError as error:
        problem = {"level": "error", "code": error.code, "path": path}
        problems.append(problem | {"message": error.message, "fix": error.fix})
        return None


def _note(problems: list[dict[str, str]], path: str, notes: Iterable[Note]) -> None:
    """Warn of a file that is used nevertheless."""
    problems += [{"level": "warning", "path": path, **note._asdict()} for note in notes]


def _image_facts(
    facts: dict[str, Any], path: str, data: bytes | None, digest: bytes | None, *, full: bool
) -> None:
    if data is None:
        return
    facts |= {"image_bytes": len(data), "image_sha256": digest}
    examined = _attempt(facts["problems"], path, partial(image.examine, decoded=full), data)
    if examined is None:
        return
    found, pixels = examined
    _note_image(facts, found)
    facts["metadata"] = held = metadata.held(data, found.format)
    ignored = metadata.ignored(data, found.format, held, found.orientation)
    _note(facts["problems"], path, (*found.notes, *ignored))
    if full and pixels is None:  # CMYK
        pixels = _attempt(facts["problems"], path, image.decode, data)
    if full and pixels is not None:
        facts |= _statistics(pixels) | {"transparent": found.transparent}


def _note_image(facts: dict[str, Any], found: image.ImageFacts) -> None:
    facts |= {
        "image_format": found.format,
        "image_mode": found.mode,
        "bit_depth": found.bit_depth,
        "orientation": found.orientation,
        "stored_height": found.stored_height,
        "stored_width": found.stored_width,
        "height": found.height,
        "width": found.width,
        "image_handling": found.handling,
        "image_reason": found.reason,
        "image_alpha": found.alpha,
    }


def _statistics(pixels: image.Pixels) -> dict[str, Any]:
    """Hashes, and the spread of the values, of decoded pixels (H, W) or (H, W, 3)."""
    counts = image.histogram(pixels)  # (channels, 256)
    levels = np.arange(256)
    total = counts.sum(axis=1)
    mean = (counts * levels).sum(axis=1) / total
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    return {
        "pixels_sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).digest(),
        "mean": mean.tolist(),
        "deviation": np.sqrt(variance).tolist(),
        "histogram": _shares(counts.sum(axis=0)),
        "phash": perceptual.phash(perceptual.thumbnail(pixels)),
    }


def _shares(counts: npt.NDArray[np.int64]) -> bytes:
    """How the values (256,) are spread over 32 equal bins, 65535 being all, as uint16."""
    bins = counts.reshape(32, 8).sum(axis=1)
    shares: bytes = (bins * 65535 // bins.sum()).astype("<u2").tobytes()
    return shares


def _mask_facts(
    data: bytes | None, digest: bytes | None, plane: mask.MaskPlane | None
) -> dict[str, Any]:
    if data is None:
        return {}
    facts: dict[str, Any] = {"bytes": len(data), "sha256": digest}
    if plane is None:
        return facts
    values, counts = mask.count_values(plane)
    height, width = plane.values.shape
    return facts | {
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
    """The mask as it would be stored, or None where that is an error or not yet known."""
    sound = [plane for plane in planes if plane is not None]
    if rule is None or not sound or len(sound) < len(planes) or "height" not in facts:
        return None
    if len({plane.values.shape for plane in sound}) > 1:
        return None
    own, target = sound[0].values.shape, rule.size or (facts["height"], facts["width"])
    if own != (facts["height"], facts["width"]) and rule.fit == "error":
        return None
    numbered = [found["values"] for found in facts["masks"] if found["kind"] != "bilevel"]
    values = {value for found in numbered for value in found}
    value_map = rule.map or _guess(values, invert=rule.invert)
    lut = value_map.lut()
    ids = mask.paint([value_map.apply(plane, lut) for plane in sound], value_map.clear)
    ids = mask.fit(ids, *target)
    if rule.stored == "keep" and int(ids.max()) > 1:
        return None
    return Draft(
        mask.encode(mask.black_and_white(ids) if rule.stored == "keep" else ids),
        tuple((value, int(lut[value])) for value in sorted(values)),
        value_map.white if len(numbered) < len(planes) else None,
        tuple(_pixels(facts["masks"], lut, value_map, ids).items()),
    )


def _pixels(
    found: list[dict[str, Any]], lut: mask.Ids, meaning: mask.ValueMap, ids: mask.Ids
) -> dict[int, int]:
    """Pixels of each class id; of a single mask in its own size the counts are known already."""
    if len(found) > 1 or ids.shape != (found[0]["height"], found[0]["width"]):
        return mask.count_ids(ids)
    pixels: dict[int, int] = {}
    bilevel = (meaning.black, meaning.white)
    for value, count in zip(found[0]["values"], found[0]["counts"], strict=True):
        number = bilevel[value] if found[0]["kind"] == "bilevel" else int(lut[value])
        pixels[number] = pixels.get(number, 0) + count
    return dict(sorted(pixels.items()))


def _guess(values: set[int], *, invert: bool) -> mask.ValueMap:
    """What the values would mean if the other masks hold nothing else."""
    ids = {value: value for value in sorted(values) if value < 256}  # noqa: PLR2004 - 8 bits
    found = mask.ValueMap(((0, 0), (255, 1)) if values <= {0, 255} else tuple(ids.items()), 1)
    return found.inverted() if invert else found


def _scan_headers(
    row: Row, task: ScanTask, known: tuple[bytes | None, tuple[bytes, ...]] | None
) -> Scanned:
    """Headers only: nothing is decoded, and what a header cannot prove is refused."""
    del known  # without a hash an earlier scan cannot be recognised; headers are read anew
    problems: list[dict[str, str]] = []
    facts: dict[str, Any] = {"key": row.key, "checks": task.checks, "problems": problems}
    found = _attempt(problems, row.image, _header, row.image)
    if found is not None:
        _note_image(facts, found.facts)
        _note(problems, row.image, found.facts.notes)
        facts["image_bytes"] = found.size
    masks = [_attempt(problems, path, _mask_header, path) for path in row.masks]
    facts["masks"] = [_header_facts(header) for header in masks]
    facts["stamps"] = [header.modified for header in (found, *masks) if header is not None]
    if len(row.masks) > 1:
        _attempt(problems, row.masks[1], _refuse, f"{len(row.masks)} masks of one image")
    return Scanned(facts, None)


class _Header(NamedTuple):
    """What the head of a file tells."""

    facts: image.ImageFacts
    size: int
    """Of the file, in bytes."""
    modified: int
    """Nanoseconds since the epoch."""


def _header(path: str) -> _Header:
    head = load_head(path, HEAD_BYTES)
    found = image.examine_header(head.data)
    if found is None:
        found = image.examine_header(load(path))
    if found is None:
        raise PixelError("not-an-image", "the header has no end", "repair or remove the file")
    return _Header(found, head.size, head.modified)


def _mask_header(path: str) -> _Header:
    found = _header(path)
    if (found.facts.format, found.facts.mode) != ("png", "L"):
        _refuse(f"a mask of format {found.facts.format}, mode {found.facts.mode}")
    return found


def _refuse(what: str) -> NoReturn:
    raise PixelError(
        "header-not-enough",
        f"{what} cannot be copied unread: one 8-bit single-channel PNG is needed",
        "pass --checks basic",
    )


def _header_facts(found: _Header | None) -> dict[str, Any]:
    if found is None:
        return {}
    facts, size = found.facts, found.size
    return {
        "bytes": size,
        "format": facts.format,
        "mode": facts.mode,
        "kind": "grey",
        "height": facts.height,
        "width": facts.width,
    }
