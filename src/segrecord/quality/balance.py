"""How classes, groups and splits are spread over the set: what a score on it can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, counted
from segrecord.quality.flat import Numbers, group_numbers, owners
from segrecord.splits import are_folds

RATIO = 10
"""The largest class has over so many times the samples of the smallest. Fernandez et al. 2008
(Fuzzy Sets and Systems 159) call ratios over 9 high."""

GROUPS = 5
"""With fewer groups of a class in a held-out split, one patient is over a fifth of its score."""


def no_group(samples: pa.Table) -> Iterator[Finding]:
    """The whole set, where nothing says which samples belong to one patient."""
    if len(samples) and samples["group"].null_count == len(samples):
        yield Finding(
            "warning",
            "no-group",
            "",
            "",
            "no sample has a group: patient leakage cannot be excluded",
            "pass --group-column NAME, or --metadata FILE with such a column",
        )


def class_ratio(samples: pa.Table) -> Iterator[Finding]:
    """The largest and the smallest class, where they are far apart."""
    counts = pc.value_counts(pc.list_flatten(samples["labels"])).to_pylist()
    if not counts:
        return
    ordered = sorted(counts, key=lambda found: (-found["counts"], found["values"]))
    largest, smallest = ordered[0], ordered[-1]
    if largest["counts"] > RATIO * smallest["counts"]:
        ratio = largest["counts"] / smallest["counts"]
        message = (
            f"class {largest['values']!r} has {counted(largest['counts'], 'sample')}, class "
            f"{smallest['values']!r} {smallest['counts']}: {ratio:.3g} to 1"
        )
        fix = "train with the class weights of segrecord stats"
        yield Finding("warning", "class-ratio", "", "", message, fix)


def empty_splits(
    samples: pa.Table, splits: Sequence[str], names: Sequence[str]
) -> Iterator[Finding]:
    """Splits that were asked for and have no sample."""
    message, fix = "split {!r} has no sample", "give it a larger share, or leave it out"
    accept = "to accept it: --ignore empty-split"
    unit = _unit(samples)
    groups = np.count_nonzero(np.bincount(group_numbers(samples["group"])))
    if groups < len(names):
        some = counted(int(groups), unit.removesuffix("s"))
        message += f": {some} for {counted(len(names), 'split')}"
        fix = "make fewer splits: no group is divided" if unit == "groups" else "make fewer splits"
    for name in sorted(set(names) - set(splits)):
        yield Finding("error", "empty-split", "", "", message.format(name), f"{fix}; {accept}")


def _unit(samples: pa.Table) -> str:
    """What is counted: groups, or samples where the set knows no groups."""
    return "groups" if samples["group"].null_count < len(samples) else "samples"


class _Spread(NamedTuple):
    """How the classes of a set are spread over its splits."""

    classes: list[str]
    splits: list[str]
    """Those that hold labelled samples."""
    samples: Numbers
    """(S,) of each split."""
    groups: Numbers
    """(classes, S) different groups of each class in each split."""
    own: Numbers
    """(classes,) different groups of each class."""
    unit: str
    """See `_unit`."""


def spread_classes(samples: pa.Table, splits: Sequence[str]) -> Iterator[Finding]:
    """Classes that are in no sample of a split, or in those of too few groups."""
    found = _spread(samples, splits)
    if len(found.splits) > 1:
        largest = np.arange(len(found.splits)) == np.argmax(found.samples)
        held_out = ~largest | are_folds(found.splits)
        for number, name in enumerate(found.classes):
            groups = found.groups[number]
            lacking = np.flatnonzero(groups == 0)
            few = np.flatnonzero((groups > 0) & (groups < GROUPS) & held_out)
            if len(lacking):
                yield _lacking(name, [found.splits[at] for at in lacking], number, found)
            if len(few):
                yield _few(name, [(found.splits[at], int(groups[at])) for at in few], found)


def _spread(samples: pa.Table, splits: Sequence[str]) -> _Spread:
    rows = owners(samples["labels"])
    labels = pc.list_flatten(samples["labels"]).combine_chunks().dictionary_encode()
    of_split = pa.array(splits, pa.string()).take(pa.array(rows)).dictionary_encode()
    groups = group_numbers(samples["group"])[rows]
    classes, names = labels.dictionary.to_pylist(), of_split.dictionary.to_pylist()
    label = labels.indices.to_numpy().astype(np.int64)
    split = of_split.indices.to_numpy().astype(np.int64)
    cells = _different(label * len(names) + split, groups, len(classes) * len(names))
    return _Spread(
        classes,
        names,
        np.bincount(split, minlength=len(names)),
        cells.reshape(len(classes), len(names)),
        _different(label, groups, len(classes)),
        _unit(samples),
    )


def _different(cells: Numbers, groups: Numbers, count: int) -> Numbers:
    """(count,) how many different groups each cell has; both arrays (L,) of each label."""
    width = int(groups.max(initial=0)) + 1
    pairs = np.sort(cells * width + groups)  # np.unique of NumPy 2.4 takes 100 times as long
    return np.bincount(pairs[np.diff(pairs, prepend=-1) > 0] // width, minlength=count)


def _lacking(name: str, lacking: list[str], number: int, found: _Spread) -> Finding:
    own, splits = int(found.own[number]), len(found.splits)
    message = (
        f"class {name!r} is in no sample of split {' and '.join(map(repr, lacking))}: it has "
        f"{counted(own, found.unit.removesuffix('s'))} for {splits} splits"
    )
    fix = "correct the splits, or split all samples again: --split"
    if own < splits:
        fix = f"get more {found.unit} of the class, make fewer splits, or leave the class out"
    fix += "; to accept it: --ignore split-lacks-class"
    return Finding("error", "split-lacks-class", "", "", message, fix)


def _few(name: str, few: list[tuple[str, int]], found: _Spread) -> Finding:
    listed = ", ".join(f"{groups} in {split!r}" for split, groups in sorted(few))
    message = (
        f"class {name!r} has few {found.unit} to be judged by: {listed}; each is over "
        f"{100 // GROUPS} % of what a score says of the class"
    )
    way = "give the split a larger share, or pass --folds K"
    if are_folds(found.splits):
        way = "or make fewer folds"
    fix = f"get more {found.unit} of the class, {way}"
    return Finding("warning", "few-groups", "", "", message, fix)
