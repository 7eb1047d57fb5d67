"""Classes that can be told without looking at the picture: by its size, mode, format or folder.

Where all pictures of one class come from one source, a model learns the source (DeGrave et al.
2021, doi:10.1038/s42256-021-00338-7: it tells COVID-19 from other radiographs by their origin).

Each sample is told to be of a class or not by the other samples with the same value of one
attribute: of that class if a larger share of it than of all others has the value. Class and rest
weigh the same, so guessing is right in 50 % (balanced accuracy).
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

from segrecord.errors import Finding
from segrecord.quality.flat import Numbers, Rows, group_numbers, numbers, where

MOST = 20_000
"""Samples that are looked at, dealt out to the classes evenly: 1,000 of each of 20 classes tell a
share to 1.6 % (one standard deviation)."""

LEAST = 10
"""Samples, one a group, without which a class tells nothing: that ten coin tosses fall alike
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
"""Shufflings of the classes, of which none may be told apart as well: chance does so in one of
200 sets."""


class _Attribute(NamedTuple):
    name: str
    codes: Numbers
    """(N,) which of the values each sample has."""
    values: list[str]
    """The values in words."""


def shortcuts(samples: pa.Table, facts: pa.Table) -> Iterator[Finding]:
    """Attributes of the files that tell a class; one finding each, on the class told best."""
    rows, classes, names = _chosen(samples, facts)
    if len(names) < 2:  # noqa: PLR2004 - nothing to tell apart
        return
    for attribute in _attributes(samples, facts, rows, [names[at] for at in classes]):
        if len(attribute.values) > 1:
            told = _told(attribute.codes, classes)
            best = int(np.argmax(told))
            if told[best] >= HALF and not _by_chance(attribute.codes, classes, told[best]):
                yield _finding(attribute, classes, names, best, float(told[best]))


def _chosen(samples: pa.Table, facts: pa.Table) -> tuple[Rows, Numbers, list[str]]:
    """Rows to look at, their classes (as numbers), and the names of the classes."""
    single = pc.equal(pc.list_value_length(samples["labels"]), 1)
    rows = where(pc.and_(single, pc.is_valid(facts["height"])))
    labels = pc.list_flatten(samples["labels"].take(pa.array(rows)))
    encoded = labels.combine_chunks().dictionary_encode()
    classes = encoded.indices.to_numpy().astype(np.int64)
    keep = _one_a_group(samples["group"].take(pa.array(rows)), classes)
    rows, classes = rows[keep], classes[keep]
    # In an order that hangs on the row alone, so many of each class.
    order = np.lexsort((_mixed(rows, 0), classes))
    sizes = np.bincount(classes, minlength=len(encoded.dictionary))
    place = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[classes[order]]
    most = max(MOST // max(int((sizes >= LEAST).sum()), 1), LEAST)
    order = np.sort(order[(place < most) & (sizes[classes[order]] >= LEAST)])
    known, numbered = np.unique(classes[order], return_inverse=True)
    return rows[order], numbered, [encoded.dictionary[int(at)].as_py() for at in known]


def _one_a_group(groups: pa.ChunkedArray, classes: Numbers) -> Rows:
    """The first sample of each class in each group: those of one patient go together anyway."""
    both = classes * (2 * len(groups) + 1) + group_numbers(groups)
    return np.sort(np.unique(both, return_index=True)[1])


def _mixed(rows: Rows, turn: int) -> npt.NDArray[np.uint64]:
    """(N,) a hash of each row number, another for each turn (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = (rows.astype(np.uint64) + np.uint64(turn << 32 | 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _attributes(
    samples: pa.Table, facts: pa.Table, rows: Rows, classes: list[str]
) -> Iterator[_Attribute]:
    chosen = pa.array(rows)
    for name in ("height", "width"):
        yield _numeric(name, numbers(facts[name].take(chosen)))
    for name, column in (("mode", "image_mode"), ("format", "image_format")):
        yield _textual(name, facts[column].take(chosen).to_pylist())
    paths = samples["image"].take(chosen).to_pylist()
    # Depth by depth: a folder a patient may lie in a folder a hospital.
    for folders in zip_longest(*(re.split(r"[/\\]+", path)[:-1] for path in paths), fillvalue=""):
        attribute = _textual("source folder", list(folders))
        few = len(attribute.values) <= min(FOLDERS, len(rows) // LEAST)
        if few and not any(_is_label(*pair) for pair in set(zip(folders, classes, strict=True))):
            yield attribute


def _numeric(name: str, column: Numbers) -> _Attribute:
    values, codes = np.unique(column, return_inverse=True)
    if len(values) <= BINS:
        return _Attribute(name, codes, [str(value) for value in values])
    starts = np.unique(np.sort(column)[np.arange(BINS) * len(column) // BINS])
    ends = [*(starts[1:] - 1), column.max()]
    names = [f"{low} to {high}" for low, high in zip(starts, ends, strict=True)]
    return _Attribute(name, np.searchsorted(starts, column, "right") - 1, names)


def _textual(name: str, column: list[str]) -> _Attribute:
    values = sorted(set(column))
    number = {value: at for at, value in enumerate(values)}
    return _Attribute(name, np.array([number[value] for value in column]), values)


def _is_label(folder: str, name: str) -> bool:
    """Whether a folder is named after its class, and so the label itself."""
    one, other = ("".join(filter(str.isalnum, text.casefold())) for text in (folder, name))
    short = min(len(one), len(other)) < 3  # noqa: PLR2004 - "a" is in every other word
    return one == other if short else one in other or other in one


def _told(codes: Numbers, classes: Numbers) -> npt.NDArray[np.float64]:
    """(K,) the balanced accuracy at which each class is told from the rest, 0 to 1.

    Quotients of equal fractions are equal doubles, so that ties, which count half, are exact.
    """
    kinds = int(classes.max()) + 1
    counts = np.bincount(codes * kinds + classes, minlength=(int(codes.max()) + 1) * kinds)
    own = counts.reshape(-1, kinds)  # (values, classes)
    rest = own.sum(axis=1, keepdims=True) - own
    return (_right(own, rest) + _right(rest, own)) / 2


def _right(own: Numbers, rest: Numbers) -> npt.NDArray[np.float64]:
    """(K,) share of each class that is told by the others of its class, against the rest."""
    share = (own - 1) / (own.sum(axis=0) - 1)
    others = rest / rest.sum(axis=0)
    credit = (share > others) + 0.5 * (share == others)
    right: npt.NDArray[np.float64] = (own * credit).sum(axis=0) / own.sum(axis=0)
    return right


def _by_chance(codes: Numbers, classes: Numbers, told: float) -> bool:
    """Whether some shuffling of the classes tells one of them as well."""
    rows = np.arange(len(classes))
    shuffled = (classes[np.argsort(_mixed(rows, turn))] for turn in range(1, ROUNDS + 1))
    return any(_told(codes, other).max() >= told for other in shuffled)


def _finding(
    attribute: _Attribute, classes: Numbers, names: list[str], best: int, told: float
) -> Finding:
    of_best = np.bincount(attribute.codes[classes == best], minlength=len(attribute.values))
    of_rest = np.bincount(attribute.codes[classes != best], minlength=len(attribute.values))
    shares, others = of_best / of_best.sum(), of_rest / of_rest.sum()
    at = int(np.argmax(shares - others))
    return Finding(
        "warning",
        "shortcut",
        "",
        "",
        f"the {attribute.name} alone tells class {names[best]!r} from the rest in "
        f"{100 * told:.0f} % (balanced; 50 % by chance): {attribute.values[at]} in "
        f"{100 * shares[at]:.0f} % of the class and {100 * others[at]:.0f} % of the rest",
        "take all classes from the same sources, in the same sizes and formats: a model may learn "
        "this instead of the picture",
    )
