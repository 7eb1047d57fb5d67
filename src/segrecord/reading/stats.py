"""What a dataset holds, by its manifest and index alone: no shard is opened.

Also the plain statement whether the shuffle mixed the classes over the shards, by the adjusted
standardised residuals of the table class x shard (Haberman, "The analysis of residuals in
cross-classified tables", Biometrics 29, 1973): under a random shuffle each is nearly standard
normal.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.reading.index import open_index
from segrecord.records import manifest as manifests

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from segrecord.records.manifest import Manifest, Split

MIN_EXPECTED = 5
"""A cell with fewer expected records is not near enough to normal (Cochran 1954)."""

FALSE_ALARM = 0.01
"""How often, at most, a random shuffle is called badly mixed; shared by a table's cells
(Bonferroni)."""


class Numbers(NamedTuple):
    """Many numbers in four."""

    min: float
    median: float
    mean: float
    max: float


class Mixing(NamedTuple):
    """How well the classes of a split are mixed over its shards."""

    mixed: bool | None
    """None: nothing can be said."""
    residual: float | None
    """The largest absolute adjusted standardised residual."""
    limit: float | None
    """What a random shuffle stays below."""
    class_name: str
    """Of the cell with the largest residual."""
    shard: str
    left_out: int
    """Cells with under MIN_EXPECTED expected records."""
    sentence: str


class ShardStats(NamedTuple):
    """One shard."""

    name: str
    records: int
    bytes: int
    classes: dict[str, int]
    """Records of each class, by name."""


class SplitStats(NamedTuple):
    """One split."""

    name: str
    records: int
    bytes: int
    classes: dict[str, int]
    shards: tuple[ShardStats, ...]
    mixing: Mixing


class MaskStats(NamedTuple):
    """The masks of a dataset."""

    records: int
    """With a mask."""
    missing: int
    """Without one."""
    foreground: Numbers | None
    """Share of a mask's pixels that belong to a class other than 0; None: unknown."""
    classes: dict[str, int]
    """Pixels of each mask class, by name; empty: unchecked."""
    ignore_share: float | None
    """Share of all mask pixels that are not to be trained on; None: unknown."""


class Stats(NamedTuple):
    """A dataset in numbers."""

    name: str
    """Of its folder."""
    records: int
    bytes: int
    """Of all shards, as files."""
    splits: tuple[SplitStats, ...]
    heights: Numbers | None
    """Of the stored images, in pixels; None: there are no records."""
    widths: Numbers | None
    record_bytes: Numbers | None
    """Of the serialized Examples."""
    masks: MaskStats


def stats(dataset: str | Path) -> Stats:
    """The numbers of a dataset.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest or index is damaged.
    """
    manifest = manifests.load(dataset)
    index = open_index(dataset, manifest)
    splits = tuple(_split(name, split) for name, split in manifest.splits.items())
    return Stats(
        name=Path(dataset).resolve().name,
        records=index.num_rows,
        bytes=sum(split.bytes for split in splits),
        splits=splits,
        heights=_numbers(index["height"].to_numpy()),
        widths=_numbers(index["width"].to_numpy()),
        record_bytes=_numbers(index["length"].to_numpy()),
        masks=_masks(manifest, index),
    )


def to_json(found: Any) -> Any:
    """`Stats`, or a part of it, as plain dicts, lists, numbers and texts."""
    if isinstance(found, tuple) and hasattr(found, "_asdict"):
        return {name: to_json(value) for name, value in found._asdict().items()}
    if isinstance(found, tuple | list):
        return [to_json(value) for value in found]
    if isinstance(found, dict):
        return {str(name): to_json(value) for name, value in found.items()}
    return found


def _numbers(values: npt.NDArray[Any]) -> Numbers | None:
    if not values.size:
        return None
    return Numbers(
        values.min().item(), float(np.median(values)), float(values.mean()), values.max().item()
    )


def _split(name: str, split: Split) -> SplitStats:
    shards = tuple(
        ShardStats(shard.name, shard.records, shard.bytes, shard.class_counts)
        for shard in split.shards
    )
    mixing = mixing_of({shard.name: shard.classes for shard in shards})
    return SplitStats(name, split.records, split.bytes, split.class_counts, shards, mixing)


def mixing_of(counts: Mapping[str, Mapping[str, int]]) -> Mixing:
    """The mixing statement for the records of each class (inner key) in each shard (outer key)."""
    classes = sorted({name for shard in counts.values() for name, times in shard.items() if times})
    shards = [name for name, shard in counts.items() if any(shard.values())]
    if not classes:
        return _unsaid("the records have no classes")
    if len(classes) == 1 or len(shards) == 1:
        what = "class" if len(classes) == 1 else "shard"
        return _unsaid(f"there is only one {what}: nothing to mix")
    table = np.array([[counts[shard].get(name, 0) for shard in shards] for name in classes])
    found, usable = residuals(table)
    left_out = int(usable.size - usable.sum())
    if not usable.any():
        return _unsaid("too few records in a shard to say whether the classes are mixed", left_out)
    worst = int(np.where(usable, np.abs(found), -1).argmax())
    row, column = divmod(worst, len(shards))
    residual, limit = float(abs(found[row, column])), shuffle_limit(int(usable.sum()))
    mixed = residual < limit
    return Mixing(
        mixed,
        residual,
        limit,
        classes[row],
        shards[column],
        left_out,
        _sentence(residual, limit, f"{classes[row]!r} in {shards[column]}", left_out),
    )


def _unsaid(why: str, left_out: int = 0) -> Mixing:
    return Mixing(None, None, None, "", "", left_out, why)


def _sentence(residual: float, limit: float, cell: str, left_out: int) -> str:
    note = ""
    if left_out:
        cells = "cell" if left_out == 1 else "cells"
        note = f" ({left_out} {cells} with under {MIN_EXPECTED} expected records left out)"
    if residual < limit:
        return (
            f"classes are well mixed over shards: largest residual {residual:.1f}, a random "
            f"shuffle stays below {limit:.1f}{note}"
        )
    return (
        f"classes are NOT well mixed over shards: largest residual {residual:.1f} ({cell}), a "
        f"random shuffle stays below {limit:.1f}{note}"
    )


def residuals(
    table: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Adjusted standardised residuals of a table of counts (classes, shards), and which to use.

    The cells with at least MIN_EXPECTED expected records are to be used. No row or column may be
    all zero, and there must be two of each.
    """
    total = table.sum()
    rows = table.sum(axis=1, keepdims=True) / total
    columns = table.sum(axis=0, keepdims=True) / total
    expected = rows * columns * total
    deviation = np.sqrt(expected * (1 - rows) * (1 - columns))
    return (table - expected) / deviation, expected >= MIN_EXPECTED


def shuffle_limit(cells: int) -> float:
    """What the largest of so many residuals stays below in all but FALSE_ALARM of shuffles."""
    return NormalDist().inv_cdf(1 - FALSE_ALARM / (2 * cells))


def _masks(manifest: Manifest, index: pa.Table) -> MaskStats:
    present = int(pc.sum(index["has_mask"]).as_py() or 0)
    names = manifest.masks.classes
    shares, pixels = [], np.zeros(len(names), np.int64)
    sizes, ignored = 0, 0
    for batch in index.to_batches():
        known = batch.filter(pc.is_valid(batch["mask_pixels"]))
        area = known["height"].to_numpy().astype(np.int64) * known["width"].to_numpy()
        share, by_class = _coverage(known["mask_pixels"], area, len(names))
        shares.append(share)
        pixels += by_class
        sizes += int(area.sum())
        ignored += int(pc.sum(known["ignore_pixels"]).as_py() or 0)
    return MaskStats(
        records=present,
        missing=index.num_rows - present,
        foreground=_numbers(np.concatenate(shares)) if shares else None,
        classes=dict(zip(names, pixels.tolist(), strict=True)) if sizes else {},
        ignore_share=ignored / sizes if sizes else None,
    )


def _coverage(
    column: pa.ListArray, area: npt.NDArray[np.int64], classes: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(N,) foreground share of each mask, and (classes,) pixels of each class; no nulls in."""
    lengths = pc.list_value_length(column).to_numpy().astype(np.int64)
    values = column.flatten().to_numpy(zero_copy_only=False)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    number = np.arange(len(values)) - first
    owner = np.repeat(np.arange(len(lengths)), lengths)
    foreground = np.bincount(owner, np.where(number > 0, values, 0), minlength=len(lengths))
    by_class = np.zeros(classes, np.int64)
    inside = number < classes
    np.add.at(by_class, number[inside], values[inside])
    return foreground / np.maximum(area, 1), by_class
