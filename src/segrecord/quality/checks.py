"""Facts in, findings out: what a person should know before training on this.

Each check is one small function over the whole table. The facts say what stands in the files;
here it is held against the options.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding
from segrecord.options import Options
from segrecord.pixels.image import extension_agrees
from segrecord.pixels.mask import same_aspect
from segrecord.quality.values import MaskValues


def check(samples: pa.Table, facts: pa.Table, options: Options) -> list[Finding]:
    """All findings of these samples but those of the mask values and the classes.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        options: what was asked for.
    """
    return [
        *broken_files(facts),
        *sizes(samples, facts, options),
        *handling(samples, facts),
        *extensions(samples, facts),
        *splits(samples),
        *divided_groups(samples),
        *parts(samples),
        *missing_masks(samples, options),
    ]


def broken_files(facts: pa.Table) -> Iterator[Finding]:
    """What the scan could not read."""
    for row in facts.filter(pc.greater(pc.list_value_length(facts["problems"]), 0)).to_pylist():
        for problem in row["problems"]:
            yield Finding(key=row["key"], **problem)


def sizes(samples: pa.Table, facts: pa.Table, options: Options) -> Iterator[Finding]:
    """Masks of another size than their image, and mask parts of several sizes."""
    flat = facts["masks"].combine_chunks().flatten()
    parent = pc.list_parent_indices(facts["masks"].combine_chunks())
    height, width = flat.field("height"), flat.field("width")
    same = pc.and_(
        pc.equal(height, facts["height"].combine_chunks().take(parent)),
        pc.equal(width, facts["width"].combine_chunks().take(parent)),
    )
    differing = parent.filter(pc.fill_null(pc.invert(same), False)).unique().to_pylist()
    for row in differing:
        masks = samples["mask"][row].as_py()
        found = facts["masks"][row].as_py()
        yield from _sizes_of(facts.slice(row, 1).to_pylist()[0], masks, found, options)


def _sizes_of(
    facts: dict[str, Any],
    masks: list[dict[str, Any]],
    found: list[dict[str, Any]],
    options: Options,
) -> Iterator[Finding]:
    image = (facts["height"], facts["width"])
    all_sizes = [(mask["height"], mask["width"]) for mask in found]
    several = len(set(all_sizes) - {(None, None)}) > 1
    for mask, size in zip(masks, all_sizes, strict=True):
        if None in size or size == image:
            continue
        differ = (
            f"the mask is {size[0]}x{size[1]} (height x width), its image {image[0]}x{image[1]}"
        )
        if several:
            yield Finding(
                "error",
                "mask-parts-size",
                facts["key"],
                mask["source"],
                f"{differ}; masks of one image must have one size",
                "mend the mask, or leave it out",
            )
        elif not same_aspect(size, image):
            if options.pixels.mask_fit != "resize-any":
                yield Finding(
                    "error",
                    "aspect-mismatch",
                    facts["key"],
                    mask["source"],
                    f"{differ}: the aspect ratios differ, the picture may be cropped",
                    "if both show the same area pass --mask-fit resize-any, else mend the mask",
                )
        elif options.pixels.mask_fit == "error":
            yield Finding(
                "error",
                "size-mismatch",
                facts["key"],
                mask["source"],
                differ,
                "pass --mask-fit resize (nearest neighbour)",
            )


_HANDLING = {
    "encode": ("re-encoded", "is stored losslessly as PNG"),
    "trim": ("trimmed", "bytes after the end of the image are cut off"),
}


def handling(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Images whose bytes are not stored as they are; no pixel changes but for orientation."""
    changed = pc.fill_null(pc.is_in(facts["image_handling"], pa.array(list(_HANDLING))), False)
    rows = pc.indices_nonzero(changed)
    paths = samples["image"].take(rows).to_pylist()
    columns = ["key", "image_handling", "image_reason"]
    for path, row in zip(paths, facts.select(columns).take(rows).to_pylist(), strict=True):
        code, what = _HANDLING[row["image_handling"]]
        yield Finding("info", code, row["key"], path, f"{row['image_reason']}: {what}", "")


def extensions(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Files whose extension says another format than their bytes."""
    images = _values(samples["key"], samples["image"], facts["image_format"])
    for key, path, form in chain(images, _mask_files(samples, facts, "format")):
        if form is not None and not extension_agrees(path, form):
            yield _extension(key, path, form)


def _values(*columns: pa.ChunkedArray | pa.Array) -> Iterator[tuple[Any, ...]]:
    """The rows of these columns as Python values, a slice at a time: these are ten times larger."""
    for start in range(0, len(columns[0]), _SLICE):
        parts = (column.slice(start, _SLICE).to_pylist() for column in columns)
        yield from zip(*parts, strict=True)


_SLICE = 10_000


def _mask_files(samples: pa.Table, facts: pa.Table, *fields: str) -> Iterator[tuple[Any, ...]]:
    """Key, path and these fields of the facts of every mask file."""
    parts, found = samples["mask"].combine_chunks(), facts["masks"].combine_chunks()
    keys = samples["key"].take(pc.list_parent_indices(parts))
    flat = found.flatten()
    columns = (flat.field(name) for name in fields)
    return _values(keys, parts.flatten().field("source"), *columns)


def _extension(key: str, path: str, form: str) -> Finding:
    return Finding(
        "warning",
        "wrong-extension",
        key,
        path,
        f"the file holds {form}, whatever its name says",
        "rename it; it is read by its content",
    )


def splits(samples: pa.Table) -> Iterator[Finding]:
    """Samples without a split where the source fixes the split of others."""
    fixed = samples["split"]
    if 0 < fixed.null_count < len(fixed):
        for key in samples["key"].filter(pc.is_null(fixed)).to_pylist():
            yield Finding(
                "error",
                "no-split",
                key,
                "",
                "the sample has no split while others have one",
                "give it a split",
            )


def divided_groups(samples: pa.Table) -> Iterator[Finding]:
    """Samples of one group in several of the splits that the source fixes itself."""
    pairs = samples.select(["group", "split"]).drop_null().group_by(["group", "split"])
    counts = pairs.aggregate([]).group_by("group").aggregate([("split", "count")])
    divided = counts["group"].filter(pc.greater(counts["split_count"], 1))
    part = samples.filter(pc.is_in(samples["group"], divided.combine_chunks()))
    for row in part.select(["key", "image", "group", "split"]).to_pylist():
        yield Finding(
            "error",
            "divided-group",
            row["key"],
            row["image"],
            f"it is of group {row['group']!r}, which stands in several splits, here in "
            f"{row['split']!r}",
            "mend the splits, leave them out and pass --split, or leave the group out",
        )


def parts(samples: pa.Table) -> Iterator[Finding]:
    """What the samples table can describe and nothing reads yet: frames, and parts of masks."""
    masks = samples["mask"].combine_chunks()
    flat = masks.flatten()
    odd = pc.or_(pc.not_equal(flat.field("encoding"), "file"), pc.is_valid(flat.field("value")))
    for name in ("top", "left"):
        odd = pc.or_(odd, pc.not_equal(flat.field(name), 0))
    rows = set(pc.list_parent_indices(masks).filter(odd).to_pylist())
    rows |= set(pc.indices_nonzero(samples["frame"]).to_pylist())
    for row in sorted(rows):
        yield Finding(
            "error",
            "unsupported-part",
            samples["key"][row].as_py(),
            samples["image"][row].as_py(),
            "frames, and mask parts that are not a file of the image's size, cannot be read yet",
            "save frame and mask as whole files",
        )


def missing_masks(samples: pa.Table, options: Options) -> Iterator[Finding]:
    """Samples without a mask, where that was said to be an error."""
    if options.records.missing_mask != "error":
        return
    absent = pc.equal(pc.list_value_length(samples["mask"]), 0)
    for key, path in zip(
        samples["key"].filter(absent).to_pylist(),
        samples["image"].filter(absent).to_pylist(),
        strict=True,
    ):
        yield Finding(
            "error",
            "missing-mask",
            key,
            path,
            "the image has no mask",
            "add its mask, or pass another --missing-mask",
        )


def mask_values(samples: pa.Table, facts: pa.Table) -> list[MaskValues]:
    """What the scan found in every mask file that it could read."""
    fields = ("kind", "values", "counts", "edge_share")
    return [
        MaskValues(key, path, kind, tuple(values), tuple(counts), edge_share)
        for key, path, kind, values, counts, edge_share in _mask_files(samples, facts, *fields)
        if values is not None
    ]
