"""Samples in, plan out: the split, shard and position of every sample.

It hangs on the keys, classes, groups, fixed splits and (with --shard-size) the sizes of the
samples, on the options and on the seed; never on the order of the table or on the machine.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from segrecord.errors import UsageError
from segrecord.options import SPLIT_NAMES, PlanOptions, split_name_rule
from segrecord.planning import order as ordering
from segrecord.planning import split as splitting
from segrecord.tables import PLAN

DEFAULT_SHARDS = 10


def make(samples: pa.Table, sizes: np.ndarray, options: PlanOptions) -> pa.Table:
    """The plan, in the order split, shard, position (splits: train, val, test, then by name).

    Args:
        samples: the samples table; every sample of it is planned.
        sizes: (N,) bytes of each sample's source files, for --shard-size.
        options: shares, shards and seed.

    Raises:
        UsageError: --split on a source that fixes splits itself, a fixed split's name against the
            rules, or a split that comes out empty.
    """
    keys = samples["key"].to_pylist()
    order = ordering.order(keys, options.seed)
    splits = np.array(_splits(samples, order, options), object)[order]
    parts = []
    for name in sorted(set(splits), key=_place):
        rows = order[splits == name]
        parts.append(_sharded(name, rows, sizes, options))
    rows, names, shards, positions = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pa.table(
        [samples["key"].take(pa.array(rows)), rows, pa.array(names), shards, positions],
        names=PLAN.names,
    ).cast(PLAN)


def _place(name: str) -> tuple[int, str]:
    return (SPLIT_NAMES.index(name) if name in SPLIT_NAMES else len(SPLIT_NAMES), name)


def _splits(samples: pa.Table, order: np.ndarray, options: PlanOptions) -> list[str]:
    fixed = samples["split"].to_pylist()
    if any(name is not None for name in fixed):
        if options.split is not None:
            named = ", ".join(sorted(set(filter(None, fixed))))
            raise UsageError(f"the source fixes the splits itself ({named}); leave --split out")
        for name in sorted(set(fixed)):
            if rule := split_name_rule(name):
                raise UsageError(f"{rule}, got {name!r} from the source")
        return list(fixed)
    if options.split is None:
        return ["train"] * len(fixed)
    strata = ["\0".join(names) for names in samples["labels"].to_pylist()]
    result = splitting.assign(strata, samples["group"].to_pylist(), order.tolist(), options.split)
    empty = {name for name, _ in options.split} - set(result)
    if empty:
        raise UsageError(
            f"split {', '.join(sorted(empty))} would get none of the {len(fixed)} samples; "
            "give it a larger share or leave it out"
        )
    return result


def _sharded(
    name: str, rows: np.ndarray, sizes: np.ndarray, options: PlanOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows dealt out to shards in their order."""
    total = len(rows)
    if options.shard_size is not None:
        bounds = _by_bytes(np.cumsum(sizes[rows], dtype=np.int64), options.shard_size)
    else:
        # An empty shard looks like a damaged one.
        shards = min(options.shards or DEFAULT_SHARDS, total)
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
