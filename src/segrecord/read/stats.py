"""What a dataset holds, by its manifest, index and facts alone: no shard is opened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from segrecord.format import manifest as manifests
from segrecord.read.index import Choice, folds_of, open_index, split_rows
from segrecord.read.pixel_stats import (
    ChannelStats,
    MaskStats,
    Numbers,
    counted_masks,
    mask_stats,
    measured_images,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

MIN_EXPECTED = 5
"""A cell with fewer expected records says little (Cochran 1954)."""

FALSE_ALARM = 0.0001
"""How often, at most, a random shuffle is called badly mixed: a person who builds a set of four
splits each day hears one false alarm in seven years."""

_LEAST = 1e-300
"""The smallest p that is reported."""

Weights = dict[str, float | None]
"""Of each class by name; None: no record, or no pixel, is of it."""


class ShardBalance(NamedTuple):
    """How well the classes of a split are mixed over its shards."""

    mixed: bool | None
    """None: nothing can be said."""
    residual: float | None
    """The largest absolute adjusted standardised residual."""
    p: float | None
    """How often, at most, a random shuffle has a cell that deviates so rarely."""
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
    shard_balance: ShardBalance
    channel_stats: ChannelStats | None
    """None: unknown, or there are no records."""


class Training(NamedTuple):
    """What a training takes from the records that it learns from, and from no others."""

    part: str
    """Which records these are."""
    channel_stats: ChannelStats | None
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
    channel_stats_of: str
    """What all `channel_stats` were measured on, or why they are not known."""
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
    if fold is not None:
        names = Choice(fold=fold, part="train").names(dataset, manifest.splits, folds_of(manifest))
        part = f"fold {fold}, train"
    elif "train" in manifest.splits:
        part, names = "split train", ("train",)
    else:
        part, names = "all records", tuple(manifest.splits)
    index = open_index(dataset, manifest)
    images, channel_stats_of = measured_images(dataset, manifest, index)
    masks, rows = counted_masks(index), split_rows(manifest)
    splits = []
    for name, split in manifest.splits.items():
        shards = tuple(
            ShardStats(shard.name, shard.records, shard.bytes, shard.class_counts)
            for shard in split.shards
        )
        balance = shard_balance_of({shard.name: shard.classes for shard in shards})
        channels = images.channel_stats([rows[name]]) if images else None
        totals = (split.records, split.bytes, split.class_counts)
        splits.append(SplitStats(name, *totals, shards, balance, channels))
    learned = [rows[name] for name in names]
    counts = {
        label: sum(manifest.splits[name].class_counts.get(label, 0) for name in names)
        for label in manifest.classes
    }
    return Stats(
        name=Path(dataset).resolve().name,
        records=index.num_rows,
        bytes=sum(split.bytes for split in splits),
        splits=tuple(splits),
        heights=numbers(index["height"].to_numpy()),
        widths=numbers(index["width"].to_numpy()),
        record_bytes=numbers(index["length"].to_numpy()),
        masks=mask_stats(manifest, index, masks),
        channel_stats_of=channel_stats_of,
        training=Training(
            part=part,
            channel_stats=images.channel_stats(learned) if images else None,
            class_weights=balanced(counts),
            mask_weights=balanced(masks.pixels(manifest.masks.classes, learned)),
        ),
    )


def to_json(value: Any) -> Any:
    """`Stats`, or a part of it, as plain dicts, lists, numbers and texts."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: to_json(field) for name, field in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(name): to_json(item) for name, item in value.items()}
    return value


def balanced(counts: Mapping[str, int]) -> Weights:
    """Each class weighs n / (classes * count); n: sum of the counts, classes: those that occur.

    The formula of scikit-learn's `compute_class_weight("balanced", ...)`, after King and Zeng,
    "Logistic regression in rare events data", Political Analysis 9, 2001.
    """
    total, present = sum(counts.values()), sum(1 for count in counts.values() if count)
    return {name: total / (present * count) if count else None for name, count in counts.items()}


def shard_balance_of(counts: Mapping[str, Mapping[str, int]]) -> ShardBalance:
    """Whether a shuffle mixed the classes over the shards: a plain statement, and what it rests on.

    By the largest of the adjusted standardised residuals of the table class x shard (Haberman,
    "The analysis of residuals in cross-classified tables", Biometrics 29, 1973), and how often a
    random shuffle has one as large: the cell is hypergeometric then. The normal distribution would
    not do: where few records are expected, it calls ten times as many shuffles bad as it says
    (measured).

    Args:
        counts: records of each class (inner key) in each shard (outer key).
    """
    classes = sorted({name for shard in counts.values() for name, times in shard.items() if times})
    shards = [name for name, shard in counts.items() if any(shard.values())]
    if not classes:
        return _undecided("the records have no classes")
    if len(classes) == 1 or len(shards) == 1:
        what = "class" if len(classes) == 1 else "shard"
        return _undecided(f"there is only one {what}: nothing to mix")
    table = np.array([[counts[shard].get(name, 0) for shard in shards] for name in classes])
    values, usable = residuals(table)
    left_out = int(usable.size - usable.sum())
    if not usable.any():
        return _undecided(
            "too few records in a shard to say whether the classes are mixed", left_out
        )
    worst = int(np.where(usable, np.abs(values), -1).argmax())
    row, column = divmod(worst, len(shards))
    residual = float(abs(values[row, column]))
    # Of each cell on both sides (Bonferroni).
    p = min(2 * int(usable.sum()) * tail_probability(table, row, column), 1.0)
    note = ""
    if left_out:
        cells = "cell" if left_out == 1 else "cells"
        note = f" ({left_out} {cells} with under {MIN_EXPECTED} expected records left out)"
    mixed, largest = p >= FALSE_ALARM, f"largest residual {residual:.1f}"
    if mixed:
        sentence = (
            f"classes are well mixed over shards: {largest}, as random shuffles have it "
            f"(p {_p_text(p)}){note}"
        )
    else:
        sentence = (
            f"classes are NOT well mixed over shards: {largest} ({classes[row]!r} in "
            f"{shards[column]}), as fewer than 1 in {1 / FALSE_ALARM:,.0f} random shuffles have it "
            f"(p {_p_text(p)}){note}"
        )
    return ShardBalance(mixed, residual, p, classes[row], shards[column], left_out, sentence)


def _undecided(why: str, left_out: int = 0) -> ShardBalance:
    return ShardBalance(None, None, None, "", "", left_out, why)


def _p_text(p: float) -> str:
    """In two digits, or as many more as show on which side of FALSE_ALARM it lies."""
    texts = (f"{p:.{digits}g}" for digits in range(2, 18))
    return next(text for text in texts if (float(text) < FALSE_ALARM) == (p < FALSE_ALARM))


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
    std = np.sqrt(expected * (1 - rows) * (1 - columns))
    return (table - expected) / std, expected >= MIN_EXPECTED


def tail_probability(table: npt.NDArray[np.int64], row: int, column: int) -> float:
    """How often a random shuffle takes this cell so far from what is expected, to its side.

    The tail of the hypergeometric distribution with the table's own sums, `_LEAST` at least.
    """
    total, size = int(table.sum()), int(table[:, column].sum())
    of_class, here = int(table[row].sum()), int(table[row, column])
    if here * total < of_class * size:  # too few of the class are too many of the others
        of_class, here = total - of_class, size - here
    log = _log_choose(of_class, here) + _log_choose(total - of_class, size - here)
    summed = term = 1.0
    while term > summed * np.finfo(float).eps:
        others = total - of_class - size + here + 1
        term *= (of_class - here) * (size - here) / ((here + 1) * others)
        summed, here = summed + term, here + 1
    return max(math.exp(max(log - _log_choose(total, size), -700)) * summed, _LEAST)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
