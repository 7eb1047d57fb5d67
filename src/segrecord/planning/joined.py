"""What may not be divided: samples of one group, copies of one picture, and chains of both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]


def join(groups: pa.ChunkedArray, copies: Numbers) -> Numbers:
    """(N,) numbers from 0: samples with equal ones must stand in one split.

    Args:
        groups: (N,) patient or lesion; null: the sample stands alone.
        copies: (N,) equal for copies of one picture.
    """
    count = len(copies)
    own = np.arange(count) + count  # apart from the numbers of the groups
    encoded = groups.combine_chunks().dictionary_encode().indices
    named = pc.fill_null(encoded.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    members = np.unique(np.where(named < 0, own, named), return_inverse=True)[1]
    others = np.unique(copies, return_inverse=True)[1]
    return _components(members, others)


def _components(members: Numbers, others: Numbers) -> Numbers:
    """Numbers of the connected components that two partitions of the same rows make together.

    Each round gives all of a part the least number found in it; a chain of n parts takes at most
    n rounds, and real chains are short.
    """
    found = members
    while True:
        before = found
        for parts in (others, members):
            least = np.full(int(parts.max(initial=-1)) + 1, len(parts), np.int64)
            np.minimum.at(least, parts, found)
            found = least[parts]
        if np.array_equal(before, found):
            return np.unique(found, return_inverse=True)[1].astype(np.int64)
