"""Image files as such: their names, their handling, and what they hold beside pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, counted
from segrecord.options import RecordOptions
from segrecord.pixels.image import extension_agrees
from segrecord.quality.flat import Rows, named, named_parts, owners, part_field, where

_HANDLING = {
    "encode": ("re-encoded", "is stored losslessly as PNG"),
    "trim": ("trimmed", "cut off, no decoder reads them"),
}

FEW_TRANSPARENT = 1
"""Per cent of a picture's pixels: corners rounded by a tenth of its side are 0.9 %."""

_STALE = (
    r"(?i)(?P<mark>[_-](?:downsampled|resized|thumb|thumbnail|copy|old|tmp|temp|bak|backup)"
    r"| - copy|\.(?:bak|old|orig|tmp))(?:\.[^./\\]*)?$"
)
"""Endings that programs and people give to a step on the way or to a copy put aside; the ISIC
archive of 2019 has images named `_downsampled` beside others that are not."""

_NUMBERED = r" \(\d+\)(\.[^./\\]*)$"
"""What browsers and file managers add to the name of a second copy. Whole sets are named so, too
("benign (1).png"): only beside the name without it does it say copy."""


def handling(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Images whose bytes are not stored as they are; no pixel changes but for orientation."""
    changed = pc.is_in(facts["image_handling"], pa.array(list(_HANDLING)))
    rows = where(changed)
    columns = (facts["image_handling"], facts["image_reason"])
    for key, path, done, reason in named(samples, rows, *columns):
        code, what = _HANDLING[done]
        yield Finding("info", code, key, path, f"{reason}: {what}", "")


def transparency(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Images with an alpha channel or others beside the colours: no reader of a dataset sees it."""
    opaque = where(pc.equal(facts["transparent"], 0))
    if len(opaque):
        some = "1 image has" if len(opaque) == 1 else f"{len(opaque)} images have"
        message = f"{some} an alpha channel that is opaque everywhere: it is not read"
        yield Finding("info", "alpha-channel", "", "", message, "")
    rows = where(pc.not_equal(facts["image_alpha"], ""))
    columns = [facts[name] for name in ("image_alpha", "transparent", "height", "width")]
    for key, path, alpha, clear, height, width in named(samples, rows, *columns):
        if alpha == "unread":
            yield _unread(key, path)
        elif clear is None:
            yield _unseen(key, path)
        if clear:
            yield _transparent(key, path, clear, height * width, alpha)


def _unread(key: str, path: str) -> Finding:
    message = "the file has a channel beside the colours that is not read and not stored"
    fix = "nothing if it can be spared; else save what it shows as an image or mask of its own"
    return Finding("warning", "unread-channel", key, path, message, fix)


def _unseen(key: str, path: str) -> Finding:
    message = "the file has an alpha channel, which is not read; these checks do not look into it"
    fix = "pass --checks full to know whether pixels are transparent"
    return Finding("info", "alpha-channel", key, path, message, fix)


def _transparent(key: str, path: str, clear: int, total: int, alpha: str) -> Finding:
    stored = ", divided by the alpha they are stored multiplied by" * (alpha == "premultiplied")
    message = (
        f"{clear} of its pixels, {100 * clear / total:.3g} %, are transparent: what is read is "
        f"the colours under them{stored}"
    )
    if 100 * clear <= FEW_TRANSPARENT * total:
        return Finding("info", "alpha-channel", key, path, message, "")
    fix = "look at it; if those colours are not meant, save it without alpha on the right ground"
    return Finding("warning", "transparent-pixels", key, path, message, fix)


def extensions(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Files whose extension says another format than their bytes."""
    found = named(
        samples, _misnamed(samples["image"], facts["image_format"]), facts["image_format"]
    )
    for key, path, form in found:
        yield _extension(key, path, form)
    forms = part_field(facts["masks"], "format")
    parts = _misnamed(part_field(samples["mask"], "source"), forms)
    masks = named_parts(samples, parts, owners(samples["mask"]))
    for (key, path), form in zip(masks, forms.take(pa.array(parts)).to_pylist(), strict=True):
        yield _extension(key, path, form)


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


def _extension(key: str, path: str, form: str) -> Finding:
    message = f"the file holds {form}, whatever its name says"
    fix = "rename it; it is read by its content"
    return Finding("warning", "wrong-extension", key, path, message, fix)


def stale_names(samples: pa.Table) -> Iterator[Finding]:
    """Images named as copies or steps on the way, where most others are not."""
    yield from _marked(samples)
    yield from _numbered(samples)


def _marked(samples: pa.Table) -> Iterator[Finding]:
    rows = where(pc.match_substring_regex(samples["image"], _STALE))
    found = pc.extract_regex(samples["image"].take(pa.array(rows)), _STALE)
    mark = pc.utf8_lower(pc.struct_field(found, "mark"))
    counts = pc.value_counts(mark)
    few = pc.less(pc.multiply(counts.field("counts"), 2), len(samples))
    chosen = where(pc.is_in(mark, counts.field("values").filter(few)))
    names = mark.take(pa.array(chosen)).to_pylist()
    for (key, path), name in zip(named(samples, rows[chosen]), names, strict=True):
        message = f"its name ends in {name!r}, most others do not: a left-over of some step?"
        yield _stale(key, path, message)


def _numbered(samples: pa.Table) -> Iterator[Finding]:
    rows = where(pc.match_substring_regex(samples["image"], _NUMBERED))
    names = samples["image"].take(pa.array(rows))
    original = pc.replace_substring_regex(names, _NUMBERED, r"\1")
    beside = rows[where(pc.is_in(original, samples["image"].combine_chunks()))]
    if 2 * len(beside) < len(samples):
        for key, path in named(samples, beside):
            yield _stale(key, path, "it is named as a second copy, and the first is there too")


def _stale(key: str, path: str, message: str) -> Finding:
    fix = "leave it out if it is a left-over; nothing if the name means something else"
    return Finding("warning", "stale-name", key, path, message, fix)


def personal_metadata(
    samples: pa.Table, facts: pa.Table, records: RecordOptions
) -> Iterator[Finding]:
    """What stands in image files beside pixels, and what becomes of it."""
    rows = where(pc.greater(pc.list_value_length(facts["metadata"]), 0))
    keeps = records.keep_metadata
    done = "is kept in the record" if keeps else "is not written to the record"
    fix = (
        "leave --keep-metadata out; an image that has to be re-encoded loses it anyway"
        if keeps
        else "nothing for the dataset; mind it where you pass on the files themselves"
    )
    for key, path, held in named(samples, rows, facts["metadata"]):
        message = f"the file holds {', '.join(held)}, which {done}"
        yield Finding("warning", "personal-metadata", key, path, message, fix)
    if len(rows) and not keeps:
        some = counted(len(rows), "image")
        yield Finding(
            "info",
            "metadata-removed",
            "",
            "",
            f"what {some} held beside pixels is not written to the records",
            "pass --keep-metadata to keep it",
        )
