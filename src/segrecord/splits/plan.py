"""Samples in, plan out: the split, shard and position of every sample.

It hangs on the keys, classes, groups, fixed splits and (with --shard-size) the sizes of the
samples, on the options and on the seed; never on the order of the table or on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import split_names as naming
from segrecord.errors import UsageError
from segrecord.findings import Finding
from segrecord.options import PlanOptions
from segrecord.splits.groups import seeded_order
from segrecord.splits.stratify import assign
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
        samples: the samples table, as `shared_out` leaves it.
        joined: (N,) samples with equal numbers are never divided.
        options: shares or folds, and seed.
        settled: (N,) splits that an earlier dataset has given already; None: none.
    """
    if samples["split"].null_count < len(samples):
        fixed: list[str | None] = samples["split"].to_pylist()
        return fixed
    if options.shares is None:
        return ["train"] * len(samples)
    order = seeded_order(samples["key"].to_pylist(), options.seed)
    # Kept in proportion are each sample's classes, and whether it has a mask.
    masked = pc.greater(pc.list_value_length(samples["mask"]), 0).to_pylist()
    both = len(set(masked)) > 1
    traits = [
        (*labels, *(["has-mask" if has else "no-mask"] if both else []))
        for labels, has in zip(samples["labels"].to_pylist(), masked, strict=True)
    ]
    return assign(traits, joined, order, options.shares, settled)


class Shared(NamedTuple):
    """Samples whose splits are settled as far as the source and the options settle them."""

    samples: pa.Table
    findings: tuple[Finding, ...]
    note: str
    """What became of the source's splits, for the sentence; "": they stand, or there are none."""


def shared_out(samples: pa.Table, options: PlanOptions) -> Shared:
    """The samples without the source's splits where --split, --folds or --extend share them out.

    A split that all samples have by their source fixes nothing: there is no other to keep them
    from. Several give way to --split and --folds with a warning (split-replaced), and contradict
    --extend. All of this is reported before a file is read.

    Raises:
        UsageError: the source fixes splits, and --extend others; or its splits' names break a rule.
    """
    counts = {
        pair["values"]: pair["counts"] for pair in pc.value_counts(samples["split"]).to_pylist()
    }
    names = sorted(name for name in counts if name is not None)
    if not names:
        return Shared(samples, (), "")
    alone = len(counts) == 1
    if options.extend is not None and not alone:
        raise UsageError(
            f"the source fixes the splits itself ({', '.join(names)}); leave --extend out, or "
            "build from a CSV without them"
        )
    if options.extend is None and options.shares is None:
        for name in names:
            if rule := naming.name_rule(name):
                raise UsageError(f"{rule}, got {name!r} from the source")
        if rule := naming.together_rule(names):
            raise UsageError(f"{rule}, got {', '.join(names)} from the source")
        return Shared(samples, (), "")
    flags = [f"--{name}" for name in ("extend", "folds", "split") if getattr(options, name)]
    place = samples.schema.get_field_index("split")
    field = samples.schema.field(place)
    bare = samples.set_column(place, field, pa.nulls(len(samples), field.type))
    about = {"flag": flags[0], "split": names[0]}
    if not alone:
        about["splits"] = ", ".join(f"{name} {counts[name]}" for name in names)
    finding = Finding("split-alone" if alone else "split-replaced", values=about)
    return Shared(bare, (finding,), f"{flags[0]} instead")


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
    order = seeded_order(samples["key"].to_pylist(), options.seed)
    ordered = np.array(names, object)[order]
    used = set(names)
    usual = [name for name in naming.SPLIT_NAMES if name in used]
    in_order = [*usual, *sorted(used.difference(usual))]
    by_split = {name: order[ordered == name] for name in in_order}
    largest = max(map(len, by_split.values()))
    parts = [_sharded(name, rows, largest, sizes, options) for name, rows in by_split.items()]
    rows, split, shards, positions = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pa.table(
        [samples["key"].take(pa.array(rows)), rows, pa.array(split), shards, positions],
        names=PLAN.names,
    ).cast(PLAN)


def _sharded(
    name: str, rows: np.ndarray, largest: int, sizes: np.ndarray, options: PlanOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows dealt out to shards in their order; `largest` is the number of the largest split."""
    total = len(rows)
    if options.shard_size is not None:
        # Equal in bytes to within one record. A row larger than a shard leaves fewer shards, none
        # of them empty.
        ends = np.cumsum(sizes[rows], dtype=np.int64)
        size = int(ends[-1])
        shards = max(1, round(size / options.shard_size))
        wanted = [number * size // shards for number in range(1, shards)]
        bounds = np.unique([0, *(np.searchsorted(ends, wanted) + 1), total])
    else:
        # Never more than there are records: an empty shard looks like a damaged one.
        most = min(options.shards or DEFAULT_SHARDS, largest)
        shards = max(1, (2 * most * total + largest) // (2 * largest))  # to the nearest
        bounds = np.arange(shards + 1) * total // shards
    shard = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    return rows, np.full(total, name, object), shard, np.arange(total) - bounds[shard]
