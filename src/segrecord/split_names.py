"""The names of splits: which there are, and which a dataset's files can bear.

Shards begin with their split's name, and readers glob them (`train*`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

SPLIT_NAMES = ("train", "val", "test")

SIDE_FILES = (
    *("class", "croissant", "dataset", "facts", "features", "findings", "image-class"),
    *("image-segmentation", "label", "mask", "quarantine", "readme", "records", "report"),
    "segmentation_mask",
)
"""How the files beside the shards begin, in lower case."""

MAX_FOLDS = 100
"""More than in any published cross-validation; leave-one-out has no use for shards."""


def fold_names(folds: int) -> tuple[str, ...]:
    """The names of the splits of a K-fold dataset: none begins with another's."""
    digits = len(str(folds - 1))
    return tuple(f"fold{number:0{digits}d}" for number in range(folds))


def are_folds(names: Iterable[str]) -> bool:
    """Whether these are the splits of a K-fold dataset: each is held out in its turn."""
    different = set(names)
    return len(different) > 1 and different == set(fold_names(len(different)))


def name_rule(name: str) -> str:
    """The rule that a split's name breaks, or "": shards begin with it, and readers glob it."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is None:
        return "a split's name must be letters, digits and _, beginning with a letter"
    taken = [file for file in SIDE_FILES if file.startswith(name.lower())]
    if taken:
        return f"a split's name must not be how the file {taken[0]} begins (readers glob NAME*)"
    return ""


def together_rule(names: Iterable[str]) -> str:
    """The rule that these names of splits break together, or ""."""
    ordered = sorted(name.lower() for name in names)
    if any(later.startswith(name) for name, later in pairwise(ordered)):
        return "no split's name may begin with another's, in any case (readers glob NAME*)"
    return ""
