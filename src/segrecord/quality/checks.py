"""Facts in, findings out: what a person should know before training on this.

Each check is one small function over whole columns. The facts say what stands in the files; here
it is held against the options, against the other samples, and against what is known of sets
that went wrong. Copies are looked for in `segrecord.quality.duplicates`; rules, levels and
the sources of thresholds are listed in `segrecord.codes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding
from segrecord.options import Options
from segrecord.quality.balance import class_ratio, empty_splits, no_group, spread_classes
from segrecord.quality.coverage import foregrounds, mapped
from segrecord.quality.files import (
    extensions,
    handling,
    personal_metadata,
    stale_names,
    transparency,
)
from segrecord.quality.flat import part_field, values
from segrecord.quality.listed import (
    divided_groups,
    missing_masks,
    missing_splits,
    shared_files,
    unread_parts,
)
from segrecord.quality.pictures import flat_pictures, odd_sizes, strips
from segrecord.quality.shortcuts import shortcuts
from segrecord.quality.sizes import mask_sizes
from segrecord.quality.values import MaskValues, Reading

_Given = TypeVar("_Given")


class Check(NamedTuple, Generic[_Given]):
    """One check, and what it may say."""

    findings: Callable[[_Given], Iterable[Finding]]
    codes: tuple[str, ...]
    """Of the findings; empty: those of the `PixelError`s that reading files ends in."""


class Scanned(NamedTuple):
    """The samples, and row by row what the scan has found."""

    samples: pa.Table
    facts: pa.Table
    options: Options


class Masked(NamedTuple):
    """The same, and how mask values are read."""

    samples: pa.Table
    facts: pa.Table
    reading: Reading
    options: Options


class Divided(NamedTuple):
    """The samples, the split of each, and the splits that there should be."""

    samples: pa.Table
    splits: Sequence[str]
    names: Sequence[str]


def broken_files(facts: pa.Table) -> Iterator[Finding]:
    """What the scan could not read."""
    some = facts.filter(pc.greater(pc.list_value_length(facts["problems"]), 0))
    for key, problems in values(some["key"], some["problems"]):
        for problem in problems:
            yield Finding(key=key, **problem)


CHECKS: tuple[Check[Scanned], ...] = (
    Check(lambda of: broken_files(of.facts), ()),
    Check(
        lambda of: mask_sizes(of.samples, of.facts, of.options.pixels.mask_fit),
        (
            *("mask-parts-size", "mask-not-turned", "mask-maybe-turned"),
            *("aspect-mismatch", "size-mismatch"),
        ),
    ),
    Check(lambda of: handling(of.samples, of.facts), ("re-encoded", "trimmed")),
    Check(
        lambda of: transparency(of.samples, of.facts),
        ("transparent-pixels", "unread-channel", "alpha-channel"),
    ),
    Check(lambda of: extensions(of.samples, of.facts), ("wrong-extension",)),
    Check(lambda of: missing_splits(of.samples), ("no-split",)),
    Check(lambda of: divided_groups(of.samples), ("divided-group",)),
    Check(lambda of: unread_parts(of.samples), ("unsupported-part",)),
    Check(lambda of: missing_masks(of.samples, of.options.records), ("missing-mask",)),
    Check(lambda of: shared_files(of.samples), ("shared-file",)),
    Check(lambda of: stale_names(of.samples), ("stale-name",)),
    Check(
        lambda of: flat_pictures(of.samples, of.facts),
        ("constant-image", "dark-image", "bright-image"),
    ),
    Check(lambda of: strips(of.samples, of.facts), ("extreme-aspect",)),
    Check(lambda of: odd_sizes(of.samples, of.facts), ("outlier-size",)),
    Check(
        lambda of: personal_metadata(of.samples, of.facts, of.options.records),
        ("personal-metadata", "metadata-removed"),
    ),
    Check(lambda of: no_group(of.samples), ("no-group",)),
    Check(lambda of: class_ratio(of.samples), ("class-ratio",)),
    Check(lambda of: shortcuts(of.samples, of.facts), ("shortcut",)),
)
"""In the order in which their findings are told."""

MASK_CHECKS: tuple[Check[Masked], ...] = (
    Check(lambda of: mapped(of.facts, of.reading), ("mask-mapped",)),
    Check(
        lambda of: foregrounds(of.samples, of.facts, of.reading),
        ("empty-mask", "small-mask", "full-mask"),
    ),
)

SPLIT_CHECKS: tuple[Check[Divided], ...] = (
    Check(lambda of: empty_splits(of.samples, of.splits, of.names), ("empty-split",)),
    Check(lambda of: spread_classes(of.samples, of.splits), ("split-lacks-class", "few-groups")),
)


def check(samples: pa.Table, facts: pa.Table, options: Options) -> list[Finding]:
    """What is to be said of the files and of the set as a whole.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        options: what was asked for.
    """
    return _all(CHECKS, Scanned(samples, facts, options))


def check_masks(
    samples: pa.Table, facts: pa.Table, reading: Reading, options: Options
) -> list[Finding]:
    """What is to be said of the masks, now that it is known what their values mean.

    Args:
        samples: those whose masks can be read.
        facts: the facts table, row by row of the same samples.
        reading: how mask values are read; it has no errors.
        options: what was asked for.
    """
    return _all(MASK_CHECKS, Masked(samples, facts, reading, options))


def check_splits(samples: pa.Table, splits: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """What is to be said of the splits.

    Args:
        samples: the samples table.
        splits: the split of each sample, fixed by the source or dealt out.
        names: the splits that were asked for.
    """
    return _all(SPLIT_CHECKS, Divided(samples, splits, names))


def _all(checks: Iterable[Check[_Given]], given: _Given) -> list[Finding]:
    return [finding for check in checks for finding in check.findings(given)]


def mask_values(samples: pa.Table, facts: pa.Table) -> list[MaskValues]:
    """What the scan found in every mask file that it could read."""
    keys = samples["key"].take(pc.list_parent_indices(samples["mask"]))
    paths = part_field(samples["mask"], "source")
    fields = ("kind", "values", "counts", "edge_share")
    found = (part_field(facts["masks"], name) for name in fields)
    return [
        MaskValues(key, path, kind, tuple(numbers), tuple(counts), edge_share)
        for key, path, kind, numbers, counts, edge_share in values(keys, paths, *found)
        if numbers is not None
    ]
