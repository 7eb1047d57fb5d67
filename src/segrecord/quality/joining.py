"""Rows that belong together: equal pixels, sets of equal numbers, and chains of pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.quality.confirm import Numbers, Pairs

Set = tuple[int, ...]
"""Rows of samples, ascending."""

CROWD = 20
"""Near pictures joined in one part: where they are more, and more than 1 % of all samples, they
are no copies of one picture."""


def first_copies(facts: pa.Table) -> Numbers:
    """(N,) the first row with the same pixels, which may be the row itself."""
    count = len(facts)
    hashes = facts["pixels_sha256"].combine_chunks().dictionary_encode().indices
    pixels = pc.fill_null(hashes.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    height, width = (
        pc.fill_null(facts[name].cast(pa.int64()), 0).to_numpy() for name in ("height", "width")
    )
    # Pictures of one colour have equal bytes at several sizes.
    sizes = np.unique((height << 32) | width, return_inverse=True)[1].ravel()
    same = np.where(pixels < 0, -1 - np.arange(count), pixels * max(count, 1) + sizes)
    _, firsts, places = np.unique(same, return_index=True, return_inverse=True)
    return firsts[places.ravel()].astype(np.int64)


def sets(numbers: Numbers) -> tuple[Set, ...]:
    """The sets of two or more rows with the same number, by the first of their rows."""
    rows = np.flatnonzero(np.bincount(numbers)[numbers] > 1)
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(numbers[rows]))
    return tuple(tuple(some.tolist()) for some in np.split(rows, starts + 1) if len(some))


def join(firsts: Numbers, pairs: Pairs) -> Numbers:
    """(N,) the lowest row that exact copies and these pairs join each row with.

    In each round a part takes the lowest number that it is paired with, and every row that of
    its part: parts at least halve in number.
    """
    parts = firsts
    while True:
        one, other = parts[pairs.first], parts[pairs.second]
        lowest = parts.copy()
        np.minimum.at(lowest, one, other)
        np.minimum.at(lowest, other, one)
        while not np.array_equal(lowest, lowest[lowest]):
            lowest = lowest[lowest]
        if np.array_equal(lowest, parts):
            return parts
        parts = lowest


def is_large(parts: Numbers, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """(N,) whether the part of this number is joined by pairs and too large for copies."""
    sizes = np.bincount(parts, minlength=len(parts))
    paired = np.zeros(len(parts), np.bool_)
    paired[parts[pairs.first]] = True
    return paired & (sizes > CROWD) & (sizes * 100 > len(parts))
