"""The search for near hashes: what it finds and leaves out, and that nothing is left out unsaid."""

import numpy as np
import pytest

from segrecord.duplicates import near
from segrecord.images import perceptual


def randoms(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def spoiled(value, *bits):
    for bit in bits:
        value ^= 1 << bit
    return value


def triples(found):
    columns = (found.first, found.second, found.turn)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def search(hashes):
    return near.search(np.array(hashes, np.uint64))


@pytest.fixture(params=["one band", "two bands"], autouse=True)
def tables(request, monkeypatch):
    """Every test runs with the tables for few hashes and with those for many."""
    if request.param == "two bands":
        monkeypatch.setattr(near, "_FEW", -1)


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one_have_no_pairs(count):
    found = near.search(randoms(count))
    assert triples(found) == []
    assert len(found.crowded) == 0


def test_random_hashes_are_not_near():
    assert triples(near.search(randoms(3000))) == []


@pytest.mark.parametrize("bits", [(), (0,), (63, 12), (0, 13, 26), (0, 12, 25, 38), (1, 2, 3, 4)])
def test_a_distance_of_up_to_four_is_found_once(bits):
    hashes = randoms(300).tolist()
    hashes[200] = spoiled(hashes[100], *bits)
    assert triples(search(hashes)) == [(100, 200, 0)]


@pytest.mark.parametrize("bits", [(0, 13, 26, 39, 52), (7, 8, 9, 10, 11)])
def test_a_distance_of_five_is_not(bits):
    hashes = randoms(300).tolist()
    hashes[200] = spoiled(hashes[100], *bits)
    assert triples(search(hashes)) == []


@pytest.mark.parametrize("turn", range(8))
def test_a_turned_copy_is_found_with_the_turn_that_brings_it_back(turn):
    hashes = randoms(300)
    hashes[200] = perceptual.turns(hashes)[turn, 100]
    assert triples(near.search(hashes)) == [(100, 200, perceptual.INVERSE[turn])]


def test_equal_hashes_are_paired_and_each_with_a_near_one():
    hashes = randoms(50).tolist()
    hashes[10] = hashes[30] = hashes[20]
    hashes[15] = spoiled(hashes[20], 40)
    pairs = [(10, 15), (10, 20), (10, 30), (15, 20), (15, 30), (20, 30)]
    assert triples(search(hashes)) == [(*pair, 0) for pair in pairs]


def test_a_picture_like_its_own_mirror_image_is_paired_under_each_turn_but_not_with_itself():
    mirrored = np.zeros(1, np.uint64)  # of its turns by flips, half of the bits differ
    turns = perceptual.turns(mirrored)[:, 0].tolist()
    assert [turn for turn in range(8) if turns[turn] == 0] == [0, 4]
    assert triples(search([0])) == []
    assert triples(search([0, 0])) == [(0, 1, 0), (0, 1, 4)]


# Crowds.


def test_many_equal_hashes_are_a_crowd_and_cost_no_memory():
    hashes = randoms(60_000)
    hashes[5_000:55_000] = hashes[0]
    hashes[1] = hashes[2]
    found = near.search(hashes)
    assert triples(found) == [(1, 2, 0)]
    assert found.crowded.tolist() == [0, *range(5_000, 55_000)]


def test_as_many_equal_hashes_as_the_limit_allows_are_all_paired(monkeypatch):
    monkeypatch.setattr(near, "limit", lambda _: 30)
    found = search([7] * 31)
    pairs = [(first, second) for first, second, turn in triples(found) if turn == 0]
    assert pairs == [(one, other) for one in range(31) for other in range(one + 1, 31)]


def test_one_more_is_a_crowd(monkeypatch):
    monkeypatch.setattr(near, "limit", lambda _: 30)
    (value,) = randoms(1).tolist()
    found = search([value] * 32)
    assert triples(found) == []
    assert found.crowded.tolist() == list(range(32))


def test_what_loses_a_pair_to_a_crowded_hash_is_named_with_it(monkeypatch):
    monkeypatch.setattr(near, "limit", lambda _: 3)
    centre, alone = randoms(2).tolist()
    around = [spoiled(centre, bit, 63 - bit, bit + 20) for bit in range(4)]  # 6 bits apart
    beside = spoiled(around[0], 50)  # near around[0] and, by four bits, near the centre
    pair = [alone, spoiled(alone, 3)]
    found = search([*pair, centre, *around, beside])
    assert triples(found) == [(0, 1, 0), (3, 7, 0)]
    assert found.crowded.tolist() == [2, 3, 4, 5, 6, 7]


def test_thinning_on_the_way_changes_nothing(monkeypatch):
    centre = randoms(1).tolist()[0]
    random = np.random.default_rng(3)
    hashes = [spoiled(centre, *random.integers(0, 24, 4).tolist()) for _ in range(200)]
    monkeypatch.setattr(near, "limit", lambda _: 45)
    whole = search(hashes)
    monkeypatch.setattr(near, "_THIN", 10)
    monkeypatch.setattr(near, "_CANDIDATES", 50)
    monkeypatch.setattr(near, "_ROWS", 7)
    pieces = search(hashes)
    assert len(whole.first) > 100
    assert len(whole.crowded) > 10
    assert triples(pieces) == triples(whole)
    assert pieces.crowded.tolist() == whole.crowded.tolist()


def test_the_limit_bounds_the_pairs_of_all():
    assert near.limit(10) == 1000
    assert near.limit(10**6) == 100
    assert near.limit(10**8) == 20
    assert all(near.limit(count) * count <= 10**8 for count in (10**5, 10**6, 5 * 10**6))
