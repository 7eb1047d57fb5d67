"""`--extend`: no sample that has a split moves, and what belongs to it follows it.

An old sample is known by its key, and its split stands above every tie. A new one is bound by what
it may not be divided from: old samples that are still there (same group, copies, near-duplicates:
the numbers of `splits.groups`), the groups of the old dataset, and pictures of the old dataset
that are no longer there under their key (a file that was renamed). Near-duplicates of pictures
that are gone cannot be found: their pixels are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import UsageError
from segrecord.findings import Finding, Related
from segrecord.options import PlanOptions

Numbers = npt.NDArray[np.int64]

NONE = -1
"""The code of "no split"."""


class Old(NamedTuple):
    """What the dataset that is extended says of its samples."""

    samples: pa.Table
    """Columns key, group, split (text) and pixels_sha256 (binary(32); null: was not looked at)."""
    split: tuple[tuple[str, float], ...] | None
    """Its shares, as --split gives them; None: see `folds`."""
    folds: int | None
    """None, with `split` None: all its samples are train, or its source fixed the splits."""
    pseudonymized: str
    """The check value of its key file; "": none."""
    fingerprint: str


class Settled(NamedTuple):
    """What is settled before the other samples are shared out."""

    fixed: list[str | None]
    """(N,) the split of each old sample and of what is bound to one; None: it is free."""
    numbers: Numbers
    """(N,) as given, but where old samples that are joined now stand in two splits already: there
    each split's samples have a number of their own, so that every number has one fixed split."""
    findings: tuple[Finding, ...]


class _Bounds(NamedTuple):
    """The first and the last split, by code, that each row is bound to; `low` > `high`: none."""

    low: Numbers
    high: Numbers


def extended(options: PlanOptions, old: Old) -> PlanOptions:
    """The options with the shares or folds of the old dataset.

    Raises:
        UsageError: --split or --folds are others than its own, or its source fixed its splits.
    """
    names = set(old.samples["split"].to_pylist())
    if old.split is None and old.folds is None and names - {"train"}:
        raise UsageError(
            f"the splits of {options.extend} were fixed by its source; fix those of the new "
            "samples there too and leave --extend out"
        )
    for flag, own, was in (
        ("--split", dict(options.split or ()), dict(old.split or ())),
        ("--folds", options.folds, old.folds),
    ):
        if own and own != was:
            shares = ",".join(f"{name}={share:g}" for name, share in old.split or ())
            built = (
                f"--folds {old.folds}"
                if old.folds is not None
                else f"--split {shares}" * bool(shares)
                or "neither --split nor --folds: all its samples are train"
            )
            raise UsageError(
                f"{flag} is not what {options.extend} was built with ({built}); leave it out to "
                "keep those, or leave --extend out to split all samples again"
            )
    return replace(options, split=old.split, folds=old.folds)


def settle(samples: pa.Table, pixels: pa.ChunkedArray, numbers: Numbers, old: Old) -> Settled:
    """Which samples have their split already.

    Args:
        samples: all samples, old and new (tables.SAMPLES), without splits of their source.
        pixels: (N,) SHA-256 of each sample's decoded pixels; null: not looked at.
        numbers: (N,) equal: may not be divided (group, copies, near-duplicates).
        old: the dataset that is extended.

    Returns:
        The settled splits, and findings: `extend-tie` (error) for each new sample that is bound to
        two splits; `extend-divided` (warning) for each set of joined samples that the old dataset
        has in two splits; `extend-changed` (warning) for each old sample with other pixels;
        `extend-gone` (info) with the number of old samples that are no longer there.
    """
    ties = _Ties.of(samples, pixels, numbers, old)
    divided = ties.of_set.low < ties.of_set.high
    bound = np.where(ties.of_set.low == ties.of_set.high, ties.of_set.low, NONE)
    code = np.where(ties.own == NONE, bound[ties.sets], ties.own)
    names: list[str | None] = [*ties.names, None]  # code -1 is the last
    apart = np.where(divided[ties.sets], code + 1, 0)
    pairs = ties.sets * (len(ties.names) + 1) + apart
    findings = [*_tie_findings(samples, ties, divided)]
    was = _take(old.samples["pixels_sha256"], ties.place)
    for row in pc.indices_nonzero(pc.not_equal(pixels, was)).to_pylist():
        about = {"split": ties.names[ties.own[row]]}
        findings.append(Finding("extend-changed", *_named(samples, row), values=about))
    gone = len(old.samples) - int((ties.place >= 0).sum())
    if gone:
        about = {"gone": gone, "samples": len(old.samples)}
        findings.append(Finding("extend-gone", values=about))
    return Settled(
        [names[number] for number in code],
        np.unique(pairs, return_inverse=True)[1].astype(np.int64),
        tuple(findings),
    )


class _Ties(NamedTuple):
    """What each row and each set of joined rows is bound to; splits by their place in `names`."""

    names: list[str]
    place: Numbers
    """(N,) row of the sample in the old dataset, or -1."""
    own: Numbers
    """(N,) the split that the old dataset has for it, or NONE."""
    by_group: _Bounds
    by_pixels: _Bounds
    sets: Numbers
    """(N,) number of the set of joined samples, from 0."""
    of_set: _Bounds

    @classmethod
    def of(cls, samples: pa.Table, pixels: pa.ChunkedArray, numbers: Numbers, old: Old) -> _Ties:
        """See `settle`."""
        names = sorted(set(old.samples["split"].to_pylist()))
        codes = _index(old.samples["split"], pa.array(names, pa.string()))
        place = _index(samples["key"], old.samples["key"])
        own = np.append(codes, NONE)[place]  # -1 is the last
        by_group = _bounds(samples["group"], old.samples["group"], codes)
        by_pixels = _renamed(samples, pixels, old, codes)
        sets = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
        count = int(sets.max(initial=-1)) + 1
        of_set = _Bounds(np.full(count, len(names), np.int64), np.full(count, NONE, np.int64))
        by_key = _Bounds(np.where(own < 0, len(names), own), own)
        for bounds in (by_key, by_group, by_pixels):
            np.minimum.at(of_set.low, sets, bounds.low)
            np.maximum.at(of_set.high, sets, bounds.high)
        return cls(names, place, own, by_group, by_pixels, sets, of_set)

    def witness(self, rows: list[int], code: int) -> tuple[str, int]:
        """What binds these rows to this split (sample, group or pixels), and which of them."""
        for row in rows:
            if self.own[row] == code:
                return "sample", row
        for row in rows:
            if code in {self.by_group.low[row], self.by_group.high[row]}:
                return "group", row
        return "pixels", rows[0]


def _index(values: pa.ChunkedArray, others: pa.ChunkedArray | pa.Array) -> Numbers:
    """(N,) where each value stands among the others, or -1; null stands nowhere."""
    places = pc.index_in(values, value_set=others, skip_nulls=True)
    rows: Numbers = pc.fill_null(places, -1).to_numpy().astype(np.int64)
    return rows


def _bounds(values: pa.ChunkedArray, others: pa.ChunkedArray, codes: Numbers) -> _Bounds:
    """The splits in which the old dataset has each of these values.

    Args:
        values: (N,) of the samples.
        others: (M,) of the old samples.
        codes: (M,) their splits.
    """
    distinct = others.unique()
    low = np.full(len(distinct) + 1, int(codes.max(initial=-1)) + 1, np.int64)
    high = np.full(len(distinct) + 1, NONE, np.int64)
    at = _index(others, distinct)
    there = at >= 0
    np.minimum.at(low, at[there], codes[there])
    np.maximum.at(high, at[there], codes[there])
    rows = _index(values, distinct)  # -1: the last, which binds to nothing
    return _Bounds(low[rows], high[rows])


def _renamed(samples: pa.Table, pixels: pa.ChunkedArray, old: Old, codes: Numbers) -> _Bounds:
    """What pictures bind to that the old dataset has under keys which no longer show them.

    Copies of pictures that are still there are joined to them, or deliberately not (a crowd of
    black pictures); and what the old dataset has in two splits itself, it did not hold together.
    """
    was = old.samples["pixels_sha256"]
    still = _take(pixels, _index(old.samples["key"], samples["key"]))
    there = was.filter(pc.equal(was, still)).unique()
    bounds = _bounds(pixels, was, codes)
    free = (_index(pixels, there) >= 0) | (bounds.low != bounds.high)
    return _Bounds(np.where(free, len(codes), bounds.low), np.where(free, NONE, bounds.high))


def _take(values: pa.ChunkedArray, rows: Numbers) -> pa.ChunkedArray:
    """The values of these rows; null where the row is -1."""
    return values.take(pa.array(rows, mask=rows < 0))


def _tie_findings(
    samples: pa.Table, ties: _Ties, divided: npt.NDArray[np.bool_]
) -> Iterator[Finding]:
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(divided[ties.sets]).tolist():
        members.setdefault(int(ties.sets[row]), []).append(row)
    for number, rows in members.items():
        related, values, kinds = [], dict[str, Any](), []
        for prefix, bounds in zip(("", "other_"), ties.of_set, strict=True):
            code = int(bounds[number])
            kind, row = ties.witness(rows, code)
            kinds.append(kind)
            values[f"{prefix}split"] = ties.names[code]
            if kind == "sample":
                related.append(Related(*_named(samples, row)))
            elif kind == "group":
                values[f"{prefix}group"] = samples["group"][row].as_py()
        about = {"case": " and ".join(kinds), **values}
        for row in rows:
            if ties.own[row] == NONE:
                yield Finding("extend-tie", *_named(samples, row), tuple(related), about)
        # Old samples that a new one ties may have nothing else in common.
        if len(set(own := [int(ties.own[row]) for row in rows])) > 1 and NONE not in own:
            yield Finding("extend-divided", *_named(samples, rows[0]), tuple(related), about)


def _named(samples: pa.Table, row: int) -> tuple[str, str]:
    """Key and image path."""
    return samples["key"][row].as_py(), samples["image"][row].as_py()
