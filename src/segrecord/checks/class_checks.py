"""Classes, groups and splits: how far a score on this set can be trusted.

A class may be recognised without looking at the picture: by its size, mode, format or folder.
Where all pictures of one class come from one source, a model learns the source (DeGrave et al.
2021, doi:10.1038/s42256-021-00338-7: it separates COVID-19 from other radiographs by origin).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks.check_input import (
    CheckInput,
    Numbers,
    Rows,
    group_numbers,
    numbers,
    owners,
    where,
)
from segrecord.findings import Finding
from segrecord.split_names import are_folds
from segrecord.wording import counted, quoted

RATIO = 10
"""The largest class has over so many times the samples of the smallest. Fernandez et al. 2008
(Fuzzy Sets and Systems 159) call ratios over 9 high."""

GROUPS = 5
"""With fewer groups of a class in a held-out split, one patient is over a fifth of its score."""

MOST = 20_000
"""Samples in which shortcuts are sought, dealt out to the classes evenly: 1,000 of each of 20
classes give a share to 1.6 % (one standard deviation)."""

LEAST = 10
"""Samples, one a group, that a class needs here: that ten coin tosses fall alike
happens once in 500 times."""

BINS = 16
"""Heights and widths are sorted into so many bins where there are more of them."""

FOLDERS = 64
"""More folders at one depth, or such of fewer than LEAST samples, are patients or batches, not
sources."""

HALF = 0.75
"""Half of what guessing (50 %) leaves to be explained. Weaker ties are in most sets: sizes differ
from camera to camera, and so do patients."""

ROUNDS = 199
"""Shufflings of the classes, of which none may be recognised as well: chance does so in one of
200 sets."""


def missing_splits(given: CheckInput) -> Iterator[Finding]:
    """Samples without a split where the source fixes the split of others."""
    fixed = given.samples["split"]
    if 0 < fixed.null_count < len(fixed):
        for key in given.samples["key"].filter(pc.is_null(fixed)).to_pylist():
            yield Finding("no-split", key)


def divided_groups(given: CheckInput) -> Iterator[Finding]:
    """Samples of one group in several of the splits that the source fixes itself."""
    samples = given.samples
    pairs = samples.select(["group", "split"]).drop_null().group_by(["group", "split"])
    counts = pairs.aggregate([]).group_by("group").aggregate([("split", "count")])
    divided = counts["group"].filter(pc.greater(counts["split_count"], 1))
    part = samples.filter(pc.is_in(samples["group"], divided.combine_chunks()))
    for row in part.select(["key", "image", "group", "split"]).to_pylist():
        values = {"group": row["group"], "split": row["split"]}
        yield Finding("divided-group", row["key"], row["image"], values=values)


def no_group(given: CheckInput) -> Iterator[Finding]:
    """The whole set, where nothing says which samples belong to one patient."""
    groups = given.samples["group"]
    if len(groups) and groups.null_count == len(groups):
        yield Finding("no-group")


def class_ratio(given: CheckInput) -> Iterator[Finding]:
    """The largest and the smallest class, where they are far apart."""
    counts = pc.value_counts(pc.list_flatten(given.samples["labels"])).to_pylist()
    ordered = sorted(counts, key=lambda pair: (-pair["counts"], pair["values"]))
    if ordered and ordered[0]["counts"] > RATIO * ordered[-1]["counts"]:
        largest, smallest = ordered[0], ordered[-1]
        values = {
            "largest": largest["values"],
            "samples": counted(largest["counts"], "sample"),
            "smallest": smallest["values"],
            "few": smallest["counts"],
            "ratio": largest["counts"] / smallest["counts"],
        }
        yield Finding("class-ratio", values=values)


def empty_splits(given: CheckInput) -> Iterator[Finding]:
    """Splits that were asked for and have no sample."""
    values = {}
    groups = np.count_nonzero(np.bincount(group_numbers(given.samples["group"])))
    if groups < len(given.names):
        unit = _unit(given.samples)
        splits = counted(len(given.names), "split")
        values = {"case": f"few {unit}s", "groups": counted(int(groups), unit), "splits": splits}
    for name in sorted(set(given.names) - set(given.splits)):
        yield Finding("empty-split", values={"split": name, **values})


def _unit(samples: pa.Table) -> str:
    """What is counted: groups, or samples where the set has no groups."""
    return "group" if samples["group"].null_count < len(samples) else "sample"


def spread_classes(given: CheckInput) -> Iterator[Finding]:
    """Classes that are in no sample of a split, or in those of too few groups."""
    samples, unit = given.samples, _unit(given.samples)
    rows = owners(samples["labels"])
    labels = pc.list_flatten(samples["labels"]).combine_chunks().dictionary_encode()
    of_split = pa.array(given.splits, pa.string()).take(pa.array(rows)).dictionary_encode()
    classes, splits = labels.dictionary.to_pylist(), of_split.dictionary.to_pylist()
    if len(splits) < 2:  # noqa: PLR2004 - nothing is held out
        return
    label = labels.indices.to_numpy().astype(np.int64)
    split = of_split.indices.to_numpy().astype(np.int64)
    groups = group_numbers(samples["group"])[rows]
    in_all = _different(label, groups, len(classes)).tolist()
    cells = label * len(splits) + split
    in_splits = _different(cells, groups, len(classes) * len(splits)).reshape(-1, len(splits))
    folds = are_folds(splits)
    held_out = (np.arange(len(splits)) != np.argmax(np.bincount(split))) | folds
    for name, total, own in zip(classes, in_all, in_splits, strict=True):
        values = {"class": name, "units": f"{unit}s"}
        lacking = [splits[at] for at in np.flatnonzero(own == 0)]
        if lacking:
            values |= {"case": "few" if total < len(splits) else "", "lacking": quoted(lacking)}
            total_text = {"groups": counted(total, unit), "splits": len(splits)}
            yield Finding("split-lacks-class", values={**values, **total_text})
        few = sorted(
            (splits[at], own[at]) for at in np.flatnonzero((own > 0) & (own < GROUPS) & held_out)
        )
        if few:
            values |= {"case": "folds" if folds else ""}
            counts = ", ".join(f"{number} in {split!r}" for split, number in few)
            yield Finding("few-groups", values={**values, "counts": counts, "share": 100 // GROUPS})


def _different(cells: Numbers, groups: Numbers, count: int) -> Numbers:
    """(count,) how many different groups each cell has; both arrays (L,) of each label."""
    width = int(groups.max(initial=0)) + 1
    pairs = np.sort(cells * width + groups)  # np.unique of NumPy 2.4 takes 100 times as long
    return np.bincount(pairs[np.diff(pairs, prepend=-1) > 0] // width, minlength=count)


class _Attribute(NamedTuple):
    name: str
    codes: Numbers
    """(N,) which of the values each sample has."""
    values: list[str]
    """The values in words."""

    @classmethod
    def numeric(cls, name: str, column: Numbers) -> _Attribute:
        """Of numbers, in BINS bins where there are more of them."""
        values, codes = np.unique(column, return_inverse=True)
        if len(values) <= BINS:
            return cls(name, codes, [str(value) for value in values])
        starts = np.unique(np.sort(column)[np.arange(BINS) * len(column) // BINS])
        ends = [*(starts[1:] - 1), column.max()]
        names = [f"{low} to {high}" for low, high in zip(starts, ends, strict=True)]
        return cls(name, np.searchsorted(starts, column, "right") - 1, names)

    @classmethod
    def textual(cls, name: str, column: list[str]) -> _Attribute:
        """Of texts."""
        values, codes = np.unique(np.array(column, object), return_inverse=True)
        return cls(name, codes, values.tolist())


def shortcuts(given: CheckInput) -> Iterator[Finding]:
    """Attributes of the files that give a class away; one finding each, on the class shown best.

    Each sample is guessed to be of a class or not by the other samples with the same value of one
    attribute: of that class if a larger share of it than of all others has the value. Class and
    rest weigh the same, so guessing is right in 50 % (balanced accuracy).
    """
    rows, classes, names = _chosen(given)
    if len(names) < 2:  # noqa: PLR2004 - nothing to separate
        return
    for attribute in _attributes(given, rows, [names[at] for at in classes]):
        if len(attribute.values) < 2:  # noqa: PLR2004 - constant
            continue
        accuracies = _accuracies(attribute.codes, classes)
        best = int(np.argmax(accuracies))
        accuracy = accuracies[best]
        # Hashes of the row numbers, another set each round, shuffle the classes.
        shuffled = (
            classes[np.argsort(_hashed(np.arange(len(classes)), turn))]
            for turn in range(1, ROUNDS + 1)
        )
        if accuracy < HALF or any(
            _accuracies(attribute.codes, other).max() >= accuracy for other in shuffled
        ):
            continue
        of_best = np.bincount(attribute.codes[classes == best], minlength=len(attribute.values))
        of_rest = np.bincount(attribute.codes[classes != best], minlength=len(attribute.values))
        shares, others = of_best / of_best.sum(), of_rest / of_rest.sum()
        at = int(np.argmax(shares - others))
        values = {
            "attribute": attribute.name,
            "class": names[best],
            "accuracy": 100 * float(accuracy),
            "value": attribute.values[at],
            "share": 100 * float(shares[at]),
            "rest": 100 * float(others[at]),
        }
        yield Finding("shortcut", values=values)


def _chosen(given: CheckInput) -> tuple[Rows, Numbers, list[str]]:
    """Rows to look at, their classes (as numbers), and the names of the classes."""
    samples = given.samples
    single = pc.equal(pc.list_value_length(samples["labels"]), 1)
    rows = where(pc.and_(single, pc.is_valid(given.facts["height"])))
    labels = pc.list_flatten(samples["labels"].take(pa.array(rows)))
    encoded = labels.combine_chunks().dictionary_encode()
    classes = encoded.indices.to_numpy().astype(np.int64)
    # The first sample of each class in each group: those of one patient go together anyway.
    both = classes * (2 * len(rows) + 1) + group_numbers(samples["group"].take(pa.array(rows)))
    keep = np.sort(np.unique(both, return_index=True)[1])
    rows, classes = rows[keep], classes[keep]
    # In an order that hangs on the row alone, so many of each class.
    order = np.lexsort((_hashed(rows, 0), classes))
    sizes = np.bincount(classes, minlength=len(encoded.dictionary))
    position = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[classes[order]]
    most = max(MOST // max(int((sizes >= LEAST).sum()), 1), LEAST)
    order = np.sort(order[(position < most) & (sizes[classes[order]] >= LEAST)])
    used, numbered = np.unique(classes[order], return_inverse=True)
    return rows[order], numbered, [encoded.dictionary[int(at)].as_py() for at in used]


def _hashed(rows: Rows, turn: int) -> npt.NDArray[np.uint64]:
    """(N,) a hash of each row number, another for each turn (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = (rows.astype(np.uint64) + np.uint64(turn << 32 | 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _attributes(given: CheckInput, rows: Rows, classes: list[str]) -> Iterator[_Attribute]:
    chosen = pa.array(rows)
    for name in ("height", "width"):
        yield _Attribute.numeric(name, numbers(given.facts[name].take(chosen)))
    for name, column in (("mode", "image_mode"), ("format", "image_format")):
        yield _Attribute.textual(name, given.facts[column].take(chosen).to_pylist())
    paths = given.samples["image"].take(chosen).to_pylist()
    # Depth by depth: a folder a patient may lie in a folder a hospital.
    for folders in zip_longest(*(re.split(r"[/\\]+", path)[:-1] for path in paths), fillvalue=""):
        attribute = _Attribute.textual("source folder", list(folders))
        few = len(attribute.values) <= min(FOLDERS, len(rows) // LEAST)
        if few and not any(_is_label(*pair) for pair in set(zip(folders, classes, strict=True))):
            yield attribute


def _is_label(folder: str, name: str) -> bool:
    """Whether a folder is named after its class, and so the label itself."""
    one, other = ("".join(filter(str.isalnum, text.casefold())) for text in (folder, name))
    short = min(len(one), len(other)) < 3  # noqa: PLR2004 - "a" is in every other word
    return one == other if short else one in other or other in one


def _accuracies(codes: Numbers, classes: Numbers) -> npt.NDArray[np.float64]:
    """(K,) the balanced accuracy at which each class is separated from the rest, 0 to 1.

    Quotients of equal fractions are equal doubles, so that ties, which count half, are exact.
    """
    kinds = int(classes.max()) + 1
    counts = np.bincount(codes * kinds + classes, minlength=(int(codes.max()) + 1) * kinds)
    own = counts.reshape(-1, kinds)  # (values, classes)
    rest = own.sum(axis=1, keepdims=True) - own
    return (_right(own, rest) + _right(rest, own)) / 2


def _right(own: Numbers, rest: Numbers) -> npt.NDArray[np.float64]:
    """(K,) share of each class that the others of its class, against the rest, give away."""
    share = (own - 1) / (own.sum(axis=0) - 1)
    others = rest / rest.sum(axis=0)
    credit = (share > others) + 0.5 * (share == others)
    right: npt.NDArray[np.float64] = (own * credit).sum(axis=0) / own.sum(axis=0)
    return right
