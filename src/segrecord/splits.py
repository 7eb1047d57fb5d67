"""The names of splits: which there are, and which a dataset's files can bear.

Shards begin with their split's name, and readers glob them (`train*`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from segrecord import _rules

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
    found = set(names)
    return len(found) > 1 and found == set(fold_names(len(found)))


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


def shares(value: Any) -> tuple[tuple[str, float], ...]:
    """Names and shares of splits, of `train=0.8,val=0.2`, a mapping or pairs.

    Raises:
        UsageError: a name or a share breaks a rule.
    """
    found = []
    for name, text in _rules.pairs("split", value):
        _rules.require(not name_rule(name), name_rule(name), name)
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        _rules.require(
            0 < share <= 1, f"the share of split {name} must be over 0 and at most 1", text
        )
        found.append((name, share))
    names = [name for name, _ in found]
    _rules.require(len(set(names)) == len(names), "split must name each split once", value)
    _rules.require(not together_rule(names), together_rule(names), value)
    total = sum(share for _, share in found)
    _rules.require(abs(total - 1) < 1e-6, "the shares of split must add up to 1", round(total, 6))  # noqa: PLR2004 - rounding
    return tuple(found)
