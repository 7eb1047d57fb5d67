"""Copies in, findings out: what a person should know of them, each with the other sample's key."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks.mask_values import Reading
from segrecord.duplicates.search import Duplicates, Pairs
from segrecord.findings import Finding, Related
from segrecord.images.perceptual import SAME
from segrecord.options import NearDuplicates
from segrecord.wording import more, quoted

_SHOWN = 3
"""Other samples that a finding names."""

_TURNED = (
    *("", ", mirrored", ", turned by 180 degrees", ", mirrored upside down"),
    *(", mirrored and turned by 90 degrees", ", turned by 90 degrees"),
    *(", mirrored and turned by 90 degrees", ", turned by 90 degrees"),
)
"""What each of `perceptual.turns` does to a picture."""


def duplicate_findings(
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
    by_row = _samples(samples, facts, duplicates)
    exact = [[by_row[row] for row in rows] for rows in duplicates.exact]
    found = [copy.finding("duplicate", same[0]) for same in exact for copy in same[1:]]
    for same in exact:
        fixed = [sample for sample in same if sample.split is not None]
        for sample, other in _differing(fixed, attrgetter("split")):
            about = {"split": sample.split, "other_split": other.split}
            found.append(sample.finding("duplicate-split", other, **about))
    for same in exact:
        labelled = [sample for sample in same if sample.labels]
        for sample, other in _differing(labelled, attrgetter("labels")):
            about = {"label": quoted(sample.labels), "other_label": quoted(other.labels)}
            found.append(sample.finding("duplicate-label", other, **about))
    differ = _MaskComparison(reading).differ
    for same in exact:
        masked = [sample for sample in same if sample.masks]
        for sample, other in _differing(masked, _Sample.mask_content, differ):
            found.append(sample.finding("duplicate-mask", other))
    found += _near(duplicates.pairs, by_row, near)
    for first, second, likeness in _each(duplicates.pairs):
        other, sample = by_row[first], by_row[second]
        if None not in {other.split, sample.split} and other.split != sample.split:
            about = {"split": sample.split, "other_split": other.split, "likeness": likeness}
            found.append(sample.finding("near-duplicate-split", other, **about))
    found += [_crowd(samples.take(pa.array(rows)), len(samples)) for rows in duplicates.crowds]
    correlations = duplicates.unsure.correlation
    for (first, second, likeness), correlation in zip(
        _each(duplicates.unsure), correlations, strict=True
    ):
        case = "alike" if correlation >= SAME / 100 else ""
        about = {"case": case, "likeness": likeness, "same": f"0.{SAME}"}
        found.append(by_row[first].finding("similar-pair", by_row[second], **about))
    return found


class _Sample(NamedTuple):
    """What the messages say of a sample."""

    key: str
    image: str
    split: str | None
    labels: tuple[str, ...]
    mask: str
    """Path of the first part; "": there is none."""
    masks: list[dict[str, Any]]
    """Facts of the mask parts (tables.MASK_FACTS)."""

    def mask_content(self) -> tuple[Any, ...]:
        """Equal where the masks were drawn alike."""
        return tuple((mask["pixels_sha256"], mask["kind"], mask["mode"]) for mask in self.masks)

    def finding(self, code: str, other: _Sample, **about: Any) -> Finding:
        """The finding on this sample and another one."""
        path = self.mask if code == "duplicate-mask" else self.image
        return Finding(code, self.key, path, (Related(other.key, other.image),), about)


def _samples(samples: pa.Table, facts: pa.Table, duplicates: Duplicates) -> dict[int, _Sample]:
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
            *(next((part["source"] for part in sample["mask"]), ""), read or []),
        )
        for row, sample, read in zip(sorted(rows), columns, masks, strict=True)
    }


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


class _MaskComparison:
    """Compares masks by what their values mean in this dataset.

    Args:
        reading: how values are read; None: unknown, so that no two masks are known to differ.
    """

    def __init__(self, reading: Reading | None) -> None:
        self._map = reading.map if reading else None
        self._lut = reading.map.lut() if reading else None

    def differ(self, sample: _Sample, copy: _Sample) -> bool:
        """Whether the stored masks of two equal images are certain to differ.

        Not certain, and so false: masks painted of several parts, of several sizes, and those
        whose values were not read.
        """
        if len(sample.masks) != 1 or len(copy.masks) != 1:
            return False
        one, other = sample.masks[0], copy.masks[0]
        if one["pixels_sha256"] is None or other["pixels_sha256"] is None:
            return False
        if (one["height"], one["width"]) != (other["height"], other["width"]):
            return False
        ids, others = self._ids(one), self._ids(other)
        if ids is None or others is None:
            return False
        if _pixels(one, ids) != _pixels(other, others):
            return True
        # The classes are as large. Where no two values mean one class, other values are other
        # classes; else the same mask may have been drawn in other values, or hashed as 16 bits.
        wide = [str(mask["mode"]).startswith("I") for mask in (one, other)]
        comparable = one["kind"] == other["kind"] and wide[0] == wide[1]
        is_one_to_one = len({*ids, *others}) == len({*one["values"], *other["values"]})
        return comparable and is_one_to_one and one["pixels_sha256"] != other["pixels_sha256"]

    def _ids(self, mask: dict[str, Any]) -> list[int] | None:
        """The class id of each value of the mask."""
        if self._map is None or self._lut is None:
            return None
        if mask["kind"] == "bilevel":
            return [(self._map.black, self._map.white)[value] for value in mask["values"]]
        return [int(self._lut[value]) for value in mask["values"]]


def _pixels(mask: dict[str, Any], ids: list[int]) -> dict[int, int]:
    """Pixels of each class id."""
    pixels: dict[int, int] = {}
    for number, count in zip(ids, mask["counts"], strict=True):
        pixels[number] = pixels.get(number, 0) + count
    return pixels


def _each(pairs: Pairs) -> Iterator[tuple[int, int, str]]:
    """Both rows of each pair, and how alike they are."""
    for first, second, turn, correlation in zip(*(c.tolist() for c in pairs), strict=True):
        yield first, second, f"correlation {floored(correlation)}{_TURNED[turn]}"


def floored(correlation: float) -> str:
    """With three decimals, and never rounded up to what counts as the same."""
    return f"{math.floor(correlation * 1000 + 1e-6) / 1000:.3f}"


def _near(pairs: Pairs, by_row: dict[int, _Sample], near: NearDuplicates) -> Iterator[Finding]:
    """One finding for each sample that is nearly the same as earlier ones."""
    order = np.lexsort((pairs.first, -pairs.correlation, pairs.second))
    for row, some in groupby(_each(pairs.take(order)), key=itemgetter(1)):
        sample, likest, notes = by_row[row], list(some), []
        for first, _, likeness in likest[:_SHOWN]:
            labels, own = by_row[first].labels, sample.labels
            differ = labels and own and labels != own
            other_label = f"; its label is {quoted(labels)}, here {quoted(own)}" if differ else ""
            notes.append(f"{likeness}{other_label}")
        others = (by_row[first] for first, *_ in likest[:_SHOWN])
        related = tuple(Related(other.key, other.image) for other in others)
        case = "fixed" if sample.split is not None else near
        about = {"case": case, "notes": notes, "more": more(len(likest) - _SHOWN)}
        yield Finding("near-duplicate", sample.key, sample.image, related, about)


def _crowd(samples: pa.Table, total: int) -> Finding:
    """The finding on the samples of a crowd, in a set of `total`."""
    shown = samples.select(["key", "image"]).slice(0, _SHOWN).to_pylist()
    splits = pc.unique(samples["split"].drop_null()).sort().to_pylist()
    about = {"case": "", "pictures": len(samples), "total": total}
    if len(splits) > 1:
        about |= {"case": "splits", "splits": quoted(splits)}
    related = tuple(Related(row["key"], row["image"]) for row in shown)
    return Finding("near-duplicate-crowd", related=related, values=about)
