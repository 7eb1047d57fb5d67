"""Samples and facts in, copies out: which pictures are the same, or nearly the same.

Exact copies have equal pixels. Near ones (a re-save, another size, grey, turned) are nominated by
their perceptual hashes and confirmed by reading them again. Both are joined, so that a split
never divides them, but for crowds: where very many are joined in a chain, they are pictures of
one kind, or frames of a video, and no copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.engines import Runner
from segrecord.errors import Finding
from segrecord.options import NearDuplicates
from segrecord.pixels.perceptual import INVERSE, SAME
from segrecord.quality.confirm import NO_PAIRS, Compared, Numbers, Pairs, compare
from segrecord.quality.joining import Set, first_copies, is_large, join, sets
from segrecord.quality.near import Nominated, search
from segrecord.quality.same_mask import MaskComparison
from segrecord.quality.values import Reading

SAMPLE = 32
"""Pictures that are read again to know how much those of the set differ."""

UNSURE = 200
"""Nominated pairs that were not confirmed and are listed for a person to look at."""

ALIKE = 0.95
"""The correlation from which on these resemble each other. Measured at 32x32 pixels on random
pairs of eight real sets, of different patients: the most alike have 0.94, the median 0.5."""


class Duplicates(NamedTuple):
    """Which samples show the same picture; samples are named by their rows."""

    exact: tuple[Set, ...]
    """Sets of samples with the same pixels, two or more each."""
    pairs: Pairs
    """Confirmed near pairs but those of crowds, each of the first samples of their exact sets."""
    crowds: tuple[Set, ...]
    """Sets of near pictures that are too large to be copies; they are not joined."""
    unsure: Pairs
    """The best of the nominated pairs that were not confirmed, the highest correlation first."""
    numbers: Numbers
    """(N,) equal numbers are joined; every other sample has a number of its own."""

    def only(self, keep: npt.NDArray[np.bool_]) -> Duplicates:
        """The same of the samples where `keep` (N,) is true, by their rows among these."""
        new = np.cumsum(keep) - 1
        # The first of an exact set stands for it in the pairs: now the first that is kept.
        stands = np.arange(len(keep))
        for rows in self.exact:
            stands[rows[0]] = next((row for row in rows if keep[row]), rows[0])
        return Duplicates(
            _kept_sets(self.exact, keep, new),
            _kept_pairs(self.pairs, stands, keep, new),
            _kept_sets(self.crowds, keep, new),
            _kept_pairs(self.unsure, stands, keep, new),
            np.unique(self.numbers[keep], return_inverse=True)[1].ravel().astype(np.int64),
        )


def _kept_sets(sets: Iterable[Set], keep: npt.NDArray[np.bool_], new: Numbers) -> tuple[Set, ...]:
    left = (tuple(int(new[row]) for row in rows if keep[row]) for rows in sets)
    return tuple(rows for rows in left if len(rows) > 1)


def _kept_pairs(pairs: Pairs, stands: Numbers, keep: npt.NDArray[np.bool_], new: Numbers) -> Pairs:
    first, second = stands[pairs.first], stands[pairs.second]
    there = keep[first] & keep[second]
    first, second = new[first], new[second]
    turn = np.where(first < second, pairs.turn, INVERSE[pairs.turn])
    moved = Pairs(np.minimum(first, second), np.maximum(first, second), turn, pairs.correlation)
    return moved.take(there)


def find(
    samples: pa.Table,
    facts: pa.Table,
    engine: Runner,
    near: NearDuplicates,
    progress: Callable[[int], None],
) -> Duplicates:
    """All copies among these samples.

    Samples that full checks have not looked at, or could not, take part in nothing.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        engine: reads images again.
        near: whether near copies are joined, only found, or not looked for.
        progress: called with the number of images that were read again, now and then.
    """
    firsts = first_copies(facts)
    exact = sets(firsts)
    if near == "off":
        return Duplicates(exact, NO_PAIRS, (), NO_PAIRS, firsts)
    nominated = _nominated(facts, firsts)
    sample = _sample(facts, firsts, nominated)
    compared = compare(nominated, samples, facts, engine, progress, sample)
    confirmed = compared.pairs.take(compared.same)
    parts = join(firsts, confirmed)
    large = is_large(parts, confirmed)
    crowds = [*sets(np.where(large[parts], parts, np.arange(len(parts))))]
    if len(nominated.crowded):
        crowds.append(tuple(np.flatnonzero(np.isin(firsts, nominated.crowded)).tolist()))
    pairs = confirmed.take(~large[parts[confirmed.first]])
    numbers = join(firsts, pairs) if near == "group" else firsts
    return Duplicates(exact, pairs, tuple(crowds), _unsure(compared, parts), numbers)


def _nominated(facts: pa.Table, firsts: Numbers) -> Nominated:
    """Near hashes, of one sample of each exact set, by the rows of the table."""
    first = pa.array(firsts == np.arange(len(firsts)))
    rows = pc.indices_nonzero(pc.and_(first, pc.is_valid(facts["phash"].combine_chunks())))
    found = search(facts["phash"].take(rows).to_numpy())
    places = rows.to_numpy().astype(np.int32)
    return Nominated(places[found.first], places[found.second], found.turn, places[found.crowded])


def _sample(facts: pa.Table, firsts: Numbers, nominated: Nominated) -> Numbers:
    """Some pictures that are near to no other of these, by their rows; none where none are needed.

    Spread evenly over their hashes, so that they do not hang on names.
    """
    if not len(nominated.first):
        return np.zeros(0, np.int64)
    apart = firsts == np.arange(len(firsts))
    apart &= facts["phash"].is_valid().to_numpy()
    apart[nominated.second] = apart[nominated.crowded] = False
    rows = np.flatnonzero(apart)
    rows = rows[np.argsort(facts["phash"].take(pa.array(rows)).to_numpy(), kind="stable")]
    few = min(SAMPLE, len(rows))
    return rows[np.arange(few) * len(rows) // max(few, 1)]


def _unsure(compared: Compared, parts: Numbers) -> Pairs:
    """The best unconfirmed pairs, but those that are joined by way of others."""
    apart = parts[compared.pairs.first] != parts[compared.pairs.second]
    alike = compared.pairs.correlation >= ALIKE
    left = compared.pairs.take(~compared.same & apart & alike)
    order = np.argsort(-left.correlation, kind="stable")
    return left.take(order[:UNSURE])


def findings(
    samples: pa.Table,
    facts: pa.Table,
    duplicates: Duplicates,
    reading: Reading | None,
    near: NearDuplicates,
) -> list[Finding]:
    """What a person should know of the copies.

    Args:
        samples: the samples table.
        facts: the facts table, row by row of the same samples.
        duplicates: of the same samples.
        reading: how mask values are read.
        near: whether near copies were joined.
    """
    known = _known(samples, facts, duplicates)
    exact = [[known[row] for row in rows] for rows in duplicates.exact]
    masks = MaskComparison(reading)
    return [
        *chain.from_iterable(map(_copies, exact)),
        *chain.from_iterable(map(_copies_apart, exact)),
        *chain.from_iterable(map(_other_labels, exact)),
        *chain.from_iterable(_other_masks(same, masks) for same in exact),
        *_near(duplicates.pairs, known, near),
        *_near_apart(duplicates.pairs, known),
        *(_crowd(samples.take(pa.array(rows)), len(samples)) for rows in duplicates.crowds),
        *_alike(duplicates.unsure, known),
    ]


class _Sample(NamedTuple):
    """What the messages say of a sample."""

    key: str
    image: str
    split: str | None
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    """Paths of the mask parts."""
    masks: list[dict[str, Any]]
    """Facts of the mask parts."""


def _known(samples: pa.Table, facts: pa.Table, duplicates: Duplicates) -> dict[int, _Sample]:
    """The samples that are spoken of, by row; those of crowds not, which may be very many."""
    rows = {row for some in duplicates.exact for row in some}
    for pairs in (duplicates.pairs, duplicates.unsure):
        rows.update(pairs.first.tolist(), pairs.second.tolist())
    chosen = pa.array(sorted(rows), pa.int64())
    columns = samples.select(["key", "image", "split", "labels", "mask"]).take(chosen).to_pylist()
    masks = facts["masks"].take(chosen).to_pylist()
    return {
        row: _Sample(
            *(sample["key"], sample["image"], sample["split"], tuple(sorted(sample["labels"]))),
            *(tuple(part["source"] for part in sample["mask"]), found or []),
        )
        for row, sample, found in zip(sorted(rows), columns, masks, strict=True)
    }


_REMOVE = "remove it, or pass --keep-duplicates one to keep the first where mask and class agree"
_ONE_SPLIT = "give both the same split, remove one, or leave the splits out and pass --split"
_BOTH = "or leave both out: --on-error quarantine; to accept it"
_SHOWN = 3
_GROUP = "if they belong together say so: --group-column (patient, lesion, video)"


def _copies(same: list[_Sample]) -> Iterator[Finding]:
    for sample in same[1:]:
        message = f"the picture has exactly the pixels of {same[0].key!r}"
        yield Finding("warning", "duplicate", sample.key, sample.image, message, _REMOVE)


def _copies_apart(same: list[_Sample]) -> Iterator[Finding]:
    fixed = [sample for sample in same if sample.split is not None]
    for sample, other in _differing(fixed, attrgetter("split")):
        message = (
            f"it stands in split {sample.split!r}, and a picture with exactly its pixels, "
            f"{other.key!r}, in split {other.split!r}"
        )
        fix = f"{_ONE_SPLIT}; {_BOTH}: --ignore duplicate-split"
        yield Finding("error", "duplicate-split", sample.key, sample.image, message, fix)


def _other_labels(same: list[_Sample]) -> Iterator[Finding]:
    labelled = [sample for sample in same if sample.labels]
    for sample, other in _differing(labelled, attrgetter("labels")):
        message = (
            f"its label is {_listed(sample.labels)}, that of {other.key!r}, whose picture has "
            f"exactly the same pixels, {_listed(other.labels)}"
        )
        fix = f"correct the label that is wrong, {_BOTH}: --ignore duplicate-label"
        yield Finding("error", "duplicate-label", sample.key, sample.image, message, fix)


def _other_masks(same: list[_Sample], masks: MaskComparison) -> Iterator[Finding]:
    masked = [sample for sample in same if sample.masks]

    def differ(one: _Sample, other: _Sample) -> bool:
        return masks.differ(one.masks, other.masks)

    for sample, other in _differing(masked, _mask_key, differ):
        message = (
            f"its mask differs from that of {other.key!r}, whose picture has exactly the same "
            "pixels"
        )
        fix = f"correct the mask that is wrong, {_BOTH}: --ignore duplicate-mask"
        yield Finding("error", "duplicate-mask", sample.key, sample.sources[0], message, fix)


def _mask_key(sample: _Sample) -> tuple[Any, ...]:
    return tuple((mask["pixels_sha256"], mask["kind"], mask["mode"]) for mask in sample.masks)


def _differing(
    same: list[_Sample],
    key: Callable[[_Sample], Any],
    differ: Callable[[_Sample, _Sample], bool] | None = None,
) -> Iterator[tuple[_Sample, _Sample]]:
    """Each sample that differs from another of its set, with the first of those.

    Args:
        same: the set.
        key: those with an equal one do not differ.
        differ: whether two with different keys do; default: they do.
    """
    kinds: dict[Any, _Sample] = {}
    for sample in same:
        kinds.setdefault(key(sample), sample)
    for sample in same:
        others = (other for kind, other in kinds.items() if kind != key(sample))
        other = next((one for one in others if differ is None or differ(sample, one)), None)
        if other is not None:
            yield sample, other


def _listed(names: Iterable[str]) -> str:
    return " and ".join(map(repr, names))


_TURNED = (
    *("", ", mirrored", ", turned by 180 degrees", ", mirrored upside down"),
    *(", mirrored and turned by 90 degrees", ", turned by 90 degrees"),
    *(", mirrored and turned by 90 degrees", ", turned by 90 degrees"),
)
"""What each of `perceptual.turns` does to a picture."""


def _near(pairs: Pairs, known: dict[int, _Sample], near: NearDuplicates) -> Iterator[Finding]:
    """One finding for each sample that is nearly the same as earlier ones."""
    order = np.lexsort((pairs.first, -pairs.correlation, pairs.second))
    for row, some in groupby(_each(pairs.take(order)), key=itemgetter(1)):
        sample, likest = known[row], list(some)
        shown = ", ".join(
            f"{known[first].key!r} (correlation {_floored(correlation)}{_TURNED[turn]}"
            f"{_other_label(known[first], sample)})"
            for first, _, turn, correlation in likest[:_SHOWN]
        )
        more = f" and {len(likest) - _SHOWN} more" if len(likest) > _SHOWN else ""
        done, fix = _done(sample, near)
        message = f"nearly the same picture as {shown}{more}; {done}"
        yield Finding("warning", "near-duplicate", sample.key, sample.image, message, fix)


def _other_label(one: _Sample, other: _Sample) -> str:
    """Whether near copies have different classes: one of the two is wrong, or they are none."""
    if not (one.labels and other.labels) or one.labels == other.labels:
        return ""
    return f"; its label is {_listed(one.labels)}, here {_listed(other.labels)}"


def _done(sample: _Sample, near: NearDuplicates) -> tuple[str, str]:
    """What was done about a near copy, and what can be."""
    if sample.split is not None:
        return (
            "not grouped: the source fixes the splits",
            "look at both; remove one if it is a copy",
        )
    if near == "group":
        fix = "look at both; if they are no copies, pass --near-duplicates warn"
        return "grouped: they go to one split", fix
    return "not grouped", "look at both; pass --near-duplicates group to keep copies in one split"


def _each(pairs: Pairs) -> Iterator[tuple[int, int, int, float]]:
    return zip(*(column.tolist() for column in pairs), strict=True)


def _floored(correlation: float) -> str:
    """With three decimals, and never rounded up to what counts as the same."""
    return f"{math.floor(correlation * 1000 + 1e-6) / 1000:.3f}"


def _near_apart(pairs: Pairs, known: dict[int, _Sample]) -> Iterator[Finding]:
    for first, second, turn, correlation in _each(pairs):
        one, other = known[first], known[second]
        if one.split is not None and other.split is not None and one.split != other.split:
            message = (
                f"it stands in split {other.split!r}, and nearly the same picture, {one.key!r} "
                f"(correlation {_floored(correlation)}{_TURNED[turn]}), in split {one.split!r}"
            )
            yield Finding(
                "warning", "near-duplicate-split", other.key, other.image, message, _ONE_SPLIT
            )


def _crowd(samples: pa.Table, total: int) -> Finding:
    """The finding on the samples of a crowd, in a set of `total`."""
    shown = ", ".join(map(repr, samples["key"].slice(0, _SHOWN).to_pylist()))
    splits = pc.unique(samples["split"].drop_null()).sort().to_pylist()
    apart = f"; they stand in the splits {_listed(splits)}" if len(splits) > 1 else ""
    message = (
        f"{len(samples)} of {total} pictures ({shown}, ...) look nearly the same, each as one or "
        "more of the others: too many to be copies of one picture, so they were not grouped by "
        f"their looks{apart}"
    )
    return Finding("warning", "near-duplicate-crowd", "", "", message, _GROUP)


def _alike(pairs: Pairs, known: dict[int, _Sample]) -> Iterator[Finding]:
    for first, second, turn, correlation in _each(pairs):
        sample, other = known[first], known[second]
        alike = correlation >= SAME / 100
        why = (
            "many pictures of the set are about as like"
            if alike
            else f"from 0.{SAME} on they would count as one picture"
        )
        message = (
            f"it resembles {other.key!r} (correlation {_floored(correlation)}{_TURNED[turn]}; "
            f"{why}): not grouped"
        )
        yield Finding("info", "similar-pair", sample.key, sample.image, message, _GROUP)
