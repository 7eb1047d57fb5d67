"""The search for near hashes finds what a comparison of all pairs finds."""

from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segrecord.duplicates import near
from segrecord.images.perceptual import turns

BITS = st.lists(st.integers(0, 63), max_size=6)
COPIES = st.tuples(st.integers(0, 3), st.integers(0, 7), BITS)


@st.composite
def crowds(draw):
    """Hashes of a few centres and of turned copies of them, each with some bits turned round."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4))
    turned = turns(np.array(centres, np.uint64))
    hashes = []
    for centre, turn, bits in draw(st.lists(COPIES, max_size=40)):
        value = int(turned[turn, centre])
        for bit in bits:
            value ^= 1 << bit
        hashes.append(value)
    return np.array(hashes, np.uint64)


def all_pairs(hashes):
    turned = turns(hashes).tolist()
    return [
        (first, second, turn)
        for first in range(len(hashes))
        for second in range(first + 1, len(hashes))
        for turn in range(8)
        if (int(hashes[first]) ^ turned[turn][second]).bit_count() <= 4
    ]


@given(crowds(), st.booleans())
def test_the_search_equals_the_comparison_of_all_pairs(hashes, many):
    with mock.patch.object(near, "_FEW", 0 if many else 100):
        found = near.search(hashes)
    columns = (found.first.tolist(), found.second.tolist(), found.turn.tolist())
    assert list(zip(*columns, strict=True)) == all_pairs(hashes)
    assert len(found.crowded) == 0


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 2**64 - 1), st.integers(0, 12))
def test_nothing_is_left_out_unsaid_where_hashes_crowd(places, centre, limit):
    hashes = np.array([centre ^ (1 << place) for place in places], np.uint64)
    with mock.patch.object(near, "limit", return_value=limit):
        found = near.search(hashes)
    listed = set(zip(found.first.tolist(), found.second.tolist(), found.turn.tolist(), strict=True))
    pairs = all_pairs(hashes)
    count = np.bincount([row for pair in pairs for row in pair[:2]], minlength=len(hashes))
    left_out = [pair for pair in pairs if max(count[pair[0]], count[pair[1]]) > limit]
    assert listed == set(pairs) - set(left_out)
    assert found.crowded.tolist() == sorted({row for pair in left_out for row in pair[:2]})
