"""Samples in, plan out: the split, shard and position of every sample.

It hangs on the keys, classes, groups, fixed splits and (with --shard-size) the sizes of the
samples, on the options and on the seed; never on the order of the table or on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import splits as naming
from segrecord.errors import UsageError
from segrecord.options import PlanOptions
from segrecord.planning import order as ordering
from segrecord.planning import split as splitting
from segrecord.tables import PLAN

DEFAULT_SHARDS = 10
"""Of the largest split. The others have as many as their share of its records asks for, so that
all shards hold about as many."""


def splits(
    samples: pa.Table,
    joined: npt.NDArray[np.int64],
    options: PlanOptions,
    settled: Sequence[str | None] | None = None,
) -> Sequence[str | None]:
    """The split of each sample: the source's own, or by --split or --folds, or `train`.

    Args:
        samples: the samples table.
        joined: (N,) samples with equal numbers are never divided.
        options: shares or folds, and seed.
        settled: (N,) splits that an earlier dataset has given already; None: none.

    Raises:
        UsageError: --split or --folds on a source that fixes splits itself, or fixed splits whose
            names break a rule.
    """
    fixed: list[str | None] = samples["split"].to_pylist()
    if any(name is not None for name in fixed):
        _check_fixed(sorted({name for name in fixed if name is not None}), options)
        return fixed
    if options.shares is None:
        return ["train"] * len(fixed)
    order = ordering.order(samples["key"].to_pylist(), options.seed)
    return splitting.assign(_traits(samples), joined, order, options.shares, settled)


def _check_fixed(names: list[str], options: PlanOptions) -> None:
    listed = ", ".join(names)
    if options.shares is not None:
        flag = "--split" if options.folds is None else "--folds"
        raise UsageError(f"the source fixes the splits itself ({listed}); leave {flag} out")
    for name in names:
        if rule := naming.name_rule(name):
            raise UsageError(f"{rule}, got {name!r} from the source")
    if rule := naming.together_rule(names):
        raise UsageError(f"{rule}, got {listed} from the source")


def _traits(samples: pa.Table) -> list[tuple[str, ...]]:
    """What is kept in proportion: each sample's classes, and whether it has a mask."""
    masked = pc.greater(pc.list_value_length(samples["mask"]), 0).to_pylist()
    both = len(set(masked)) > 1
    return [
        (*labels, *(["has-mask" if has else "no-mask"] if both else []))
        for labels, has in zip(samples["labels"].to_pylist(), masked, strict=True)
    ]


def make(
    samples: pa.Table, names: Sequence[str], sizes: np.ndarray, options: PlanOptions
) -> pa.Table:
    """The plan, in the order split, shard, position (splits: train, val, test, then by name).

    Args:
        samples: the samples table; every sample of it is planned.
        names: (N,) each sample's split.
        sizes: (N,) bytes of each sample's source files, for --shard-size.
        options: shards and seed.
    """
    order = ordering.order(samples["key"].to_pylist(), options.seed)
    ordered = np.array(names, object)[order]
    by_split = {name: order[ordered == name] for name in sorted(set(names), key=_place)}
    largest = max(map(len, by_split.values()))
    parts = [_sharded(name, rows, largest, sizes, options) for name, rows in by_split.items()]
    rows, split, shards, positions = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pa.table(
        [samples["key"].take(pa.array(rows)), rows, pa.array(split), shards, positions],
        names=PLAN.names,
    ).cast(PLAN)


def _place(name: str) -> tuple[int, str]:
    known = naming.SPLIT_NAMES
    return (known.index(name) if name in known else len(known), name)


def _sharded(
    name: str, rows: np.ndarray, largest: int, sizes: np.ndarray, options: PlanOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows dealt out to shards in their order; `largest` is the number of the largest split."""
    total = len(rows)
    if options.shard_size is not None:
        bounds = _by_bytes(np.cumsum(sizes[rows], dtype=np.int64), options.shard_size)
    else:
        # Never more than there are records: an empty shard looks like a damaged one.
        most = min(options.shards or DEFAULT_SHARDS, largest)
        shards = max(1, (2 * most * total + largest) // (2 * largest))  # to the nearest
        bounds = np.arange(shards + 1) * total // shards
    shard = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    return rows, np.full(total, name, object), shard, np.arange(total) - bounds[shard]


def _by_bytes(ends: np.ndarray, size: int) -> np.ndarray:
    """Where shards begin, and the end: equal in bytes to within one record.

    Args:
        ends: (N,) bytes up to the end of each row.
        size: of a shard, in bytes, approximate.
    """
    total = int(ends[-1])
    shards = max(1, round(total / size))
    wanted = [number * total // shards for number in range(1, shards)]
    # A row larger than a shard leaves fewer shards, none of them empty.
    return np.unique([0, *(np.searchsorted(ends, wanted) + 1), len(ends)])
