"""What a dataset holds, by its manifest, index and facts alone: no shard is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segrecord.reading.coverage import Masks, MaskStats, Numbers, counted_masks, mask_stats, numbers
from segrecord.reading.folds import Choice, folds_of
from segrecord.reading.index import open_index, split_rows
from segrecord.reading.levels import Images, Levels, known_levels
from segrecord.reading.mixing import Mixing, mixing_of
from segrecord.records import manifest as manifests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segrecord.records.manifest import Manifest, Split

Weights = dict[str, float | None]
"""Of each class by name; None: no record, or no pixel, is of it."""


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
    levels: Levels | None
    """None: unknown, or there are no records."""


class Training(NamedTuple):
    """What a training takes from the records that it learns from, and from no others."""

    part: str
    """Which records these are."""
    levels: Levels | None
    """To normalise images by; None: unknown."""
    class_weights: Weights
    """Balanced by records; those without a class are left out."""
    mask_weights: Weights
    """Balanced by pixels, those to ignore left out; empty: unchecked, or there are no masks."""


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
    levels_of: str
    """What all `levels` were measured on, or why they are not known."""
    training: Training


def stats(dataset: str | Path, *, fold: int | None = None) -> Stats:
    """The numbers of a dataset.

    Args:
        dataset: its folder.
        fold: of a dataset built with --folds: `training` is that of this fold. None: it is that of
            the split train, or of all records where there is none.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest, index or facts are damaged.
        UsageError: there is no such fold.
    """
    manifest = manifests.load(dataset)
    part, names = _training_part(str(dataset), manifest, fold)
    index = open_index(dataset, manifest)
    images, levels_of = known_levels(dataset, manifest, index)
    masks, rows = counted_masks(index), split_rows(manifest)
    splits = tuple(
        _split(name, split, images.levels([rows[name]]) if images else None)
        for name, split in manifest.splits.items()
    )
    return Stats(
        name=Path(dataset).resolve().name,
        records=index.num_rows,
        bytes=sum(split.bytes for split in splits),
        splits=splits,
        heights=numbers(index["height"].to_numpy()),
        widths=numbers(index["width"].to_numpy()),
        record_bytes=numbers(index["length"].to_numpy()),
        masks=mask_stats(manifest, index, masks),
        levels_of=levels_of,
        training=_training(part, {name: rows[name] for name in names}, manifest, masks, images),
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


def _split(name: str, split: Split, levels: Levels | None) -> SplitStats:
    shards = tuple(
        ShardStats(shard.name, shard.records, shard.bytes, shard.class_counts)
        for shard in split.shards
    )
    mixing = mixing_of({shard.name: shard.classes for shard in shards})
    return SplitStats(name, split.records, split.bytes, split.class_counts, shards, mixing, levels)


def _training_part(place: str, manifest: Manifest, fold: int | None) -> tuple[str, tuple[str, ...]]:
    """The records to learn from, in words, and the splits that hold them."""
    if fold is not None:
        choice = Choice(fold=fold, part="train")
        return f"fold {fold}, train", choice.names(place, manifest.splits, folds_of(manifest))
    if "train" in manifest.splits:
        return "split train", ("train",)
    return "all records", tuple(manifest.splits)


def _training(
    part: str,
    rows: Mapping[str, range],
    manifest: Manifest,
    masks: Masks,
    images: Images | None,
) -> Training:
    records = {
        name: sum(manifest.splits[split].class_counts.get(name, 0) for split in rows)
        for name in manifest.classes
    }
    return Training(
        part=part,
        levels=images.levels(rows.values()) if images else None,
        class_weights=balanced(records),
        mask_weights=balanced(masks.pixels(manifest.masks.classes, rows.values())),
    )


def balanced(counts: Mapping[str, int]) -> Weights:
    """Each class weighs n / (classes * count); n: sum of the counts, classes: those that occur.

    The formula of scikit-learn's `compute_class_weight("balanced", ...)`, after King and Zeng,
    "Logistic regression in rare events data", Political Analysis 9, 2001.
    """
    total, present = sum(counts.values()), sum(1 for count in counts.values() if count)
    return {name: total / (present * count) if count else None for name, count in counts.items()}
