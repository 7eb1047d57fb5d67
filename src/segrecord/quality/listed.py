"""What the samples table shows by itself, before any file is read."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding
from segrecord.options import RecordOptions
from segrecord.quality.flat import named, owners, part_field, values, where

_FEW = 5
"""How many keys a message lists before it says how many more there are."""


def missing_splits(samples: pa.Table) -> Iterator[Finding]:
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
                "give it a split, or pass --split to split all samples again",
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
            "correct the splits, split all samples again with --split, or leave the group out: "
            "--on-error quarantine; to accept it: --ignore divided-group",
        )


def unread_parts(samples: pa.Table) -> Iterator[Finding]:
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


def missing_masks(samples: pa.Table, records: RecordOptions) -> Iterator[Finding]:
    """Samples without a mask, where that was said to be an error."""
    if records.missing_mask != "error":
        return
    absent = pc.equal(pc.list_value_length(samples["mask"]), 0)
    for key, path in named(samples, where(absent)):
        yield Finding(
            "error",
            "missing-mask",
            key,
            path,
            "the image has no mask",
            "add its mask, or pass another --missing-mask",
        )


def shared_files(samples: pa.Table) -> Iterator[Finding]:
    """Files that several samples name, as image or as mask; one finding a file."""
    masks = part_field(samples["mask"], "source")
    paths = pa.chunked_array([*samples["image"].chunks, *masks.chunks], masks.type)
    counts = pc.value_counts(paths)
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    places = where(pc.is_in(paths, several))
    rows = places.copy()
    in_masks = places >= len(samples)
    rows[in_masks] = owners(samples["mask"])[places[in_masks] - len(samples)]
    users: dict[str, dict[int, str]] = {}
    keys = samples["key"].take(pa.array(rows))
    for path, key, row in values(paths.take(pa.array(places)), keys, pa.array(rows)):
        users.setdefault(path, {})[row] = key
    for path, by_row in sorted(users.items()):
        if len(by_row) > 1:  # one sample may name a file twice
            yield _shared(path, [by_row[row] for row in sorted(by_row)])


def _shared(path: str, keys: list[str]) -> Finding:
    more = f" and {len(keys) - _FEW} more" if len(keys) > _FEW else ""
    return Finding(
        "warning",
        "shared-file",
        keys[0],
        path,
        f"{len(keys)} samples name this file: {', '.join(keys[:_FEW])}{more}",
        "correct the row that names the wrong file; nothing if it belongs to all of them",
    )
