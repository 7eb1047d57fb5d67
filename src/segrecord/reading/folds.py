"""Which splits are read: one by its name, or those of one fold of a cross-validation.

`build --folds K` stores K splits. Fold k trains on all of them but the k-th, which is its `val`.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from segrecord.errors import UsageError
from segrecord.splits import SPLIT_NAMES, fold_names

if TYPE_CHECKING:
    from segrecord.reading.order import Rows
    from segrecord.reading.store import Store
    from segrecord.records.manifest import Manifest

Part = Literal["train", "val"]
"""The training part of a fold, or the one that it is tested on."""


class Choice(NamedTuple):
    """What of a dataset is asked for."""

    split: str | None = None
    fold: int | None = None
    part: Part | None = None

    def or_split(self, default: str) -> Choice:
        """This choice; the default split where it names neither split nor fold."""
        return Choice(default) if self == Choice() else self

    def refuse(self, place: object) -> None:
        """Refuse a fold of what is open already: its own records hold."""
        if self.fold is not None or self.part is not None:
            raise UsageError(
                f"{place!r} is open already, its own records hold: pass fold={self.fold} and "
                f"part={self.part!r} to segrecord.open"
            )

    def names(self, place: object, splits: Collection[str], folds: int | None) -> tuple[str, ...]:
        """The names of the splits that are asked for; all where nothing is.

        Args:
            place: the dataset, for messages.
            splits: that it has.
            folds: of its cross-validation; None: it was not built with --folds.

        Raises:
            UsageError: there is no such split or fold, or the three do not go together.
        """
        if self.fold is not None or self.part is not None:
            return self._fold_names(place, splits, folds)
        if self.split is None:
            return tuple(splits)
        if self.split not in splits:
            known = ", ".join(splits) or "none: segrecord did not write it"
            way = ""
            if folds is not None:
                way = "; it has folds: pass fold= and part= instead"
            elif splits and self.split in SPLIT_NAMES:
                way = "; build it with --split train=0.8,val=0.1,test=0.1"
            raise UsageError(f"{place} has no split {self.split!r}, it has {known}{way}")
        return (self.split,)

    def _fold_names(
        self, place: object, splits: Collection[str], folds: int | None
    ) -> tuple[str, ...]:
        fold, part = self._fold_and_part()
        if folds is None:
            known = ", ".join(splits) or "no splits"
            raise UsageError(
                f"{place} has no folds, it has {known}; got fold={fold}: pass a split, or build "
                "with --folds K"
            )
        if not 0 <= fold < folds:
            raise UsageError(f"fold must be from 0 to {folds - 1} in {place}, got {fold}")
        names = fold_names(folds)
        present = (name for name in splits if name in names)  # an empty fold may have no split
        return tuple(name for name in present if (name == names[fold]) == (part == "val"))

    def _fold_and_part(self) -> tuple[int, Part]:
        fold, part = self.fold, self.part
        if self.split is not None:
            raise UsageError(
                f"split and fold exclude each other, got split={self.split!r}, fold={fold} and "
                f"part={part!r}: leave split out"
            )
        if fold is None:
            raise UsageError(f"part={part!r} is that of a fold: pass fold=0, 1, ... with it")
        if isinstance(fold, bool) or not isinstance(fold, int | np.integer):
            raise UsageError(f"fold must be an integer, got {fold!r}")
        if part is None or part not in get_args(Part):
            got = "none" if part is None else repr(part)
            raise UsageError(
                f"fold={fold} needs its part, got {got}: pass part='train' (all other folds) or "
                f"part='val' (fold {fold} itself)"
            )
        return int(fold), part


def folds_of(manifest: Manifest) -> int | None:
    """The folds that the dataset was built with; None: none."""
    found = manifest.options.get("plan", {}).get("folds")
    return None if found is None else int(found)


def rows_of(store: Store, choice: Choice) -> range | Rows:
    """The rows of the index that are asked for, ascending: a range where they follow each other.

    Raises:
        UsageError: as `Choice.names`.
    """
    if choice == Choice():
        return range(store.index.num_rows)
    parts = [store.splits[name] for name in choice.names(store.place, store.splits, store.folds)]
    if not parts:
        return range(0)
    if all(before.stop == after.start for before, after in pairwise(parts)):
        return range(parts[0].start, parts[-1].stop)
    return np.concatenate([np.arange(part.start, part.stop) for part in parts])
