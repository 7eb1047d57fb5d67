"""The order of an epoch for ever the same, and the state that resumes it."""

import json

import numpy as np
import pytest

from segrecord.errors import UsageError
from segrecord.read import sampler
from segrecord.read.sampler import MAX_SEED, ShardedSampler, State

PRINT = "ab" * 32


def test_the_hash_is_splitmix64():
    # The first outputs of the generator with state 0, as its authors' program prints them.
    outputs = [sampler.mix(number * 0x9E3779B97F4A7C15 & MAX_SEED) for number in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize(
    ("count", "seed", "epoch", "expected"),
    [
        (1, 0, 0, [0]),
        (10, 0, 0, [2, 6, 1, 8, 5, 3, 0, 4, 9, 7]),
        (10, 0, 1, [4, 0, 5, 1, 7, 6, 3, 2, 8, 9]),
        (10, MAX_SEED, 0, [7, 4, 8, 0, 3, 6, 1, 2, 5, 9]),
    ],
)
def test_the_order_is_this_for_ever(count, seed, epoch, expected):
    assert [sampler.permute(place, count, seed, epoch) for place in range(count)] == expected


def test_the_order_of_ten_billion_rows_is_this_for_ever():
    places = [0, 1, 9_999_999_999]
    expected = [6890383425, 9125274506, 9790300115]
    assert [sampler.permute(place, 10**10, 42, 7) for place in places] == expected
    assert sampler.permute_many(np.array(places), 10**10, 42, 7).tolist() == expected


def test_every_row_comes_to_every_place_alike():
    epochs, count = 4000, 7
    seen = np.zeros((count, count))
    for epoch in range(epochs):
        seen[np.arange(count), sampler.permute_many(np.arange(count), count, 1, epoch)] += 1
    expected = epochs / count
    # 36 degrees of freedom; a fair order exceeds 80 once in 30,000 seeds.
    assert ((seen - expected) ** 2 / expected).sum() < 80


def test_neighbours_and_epochs_are_not_alike():
    first, second = (sampler.permute_many(np.arange(5000), 5000, 1, epoch) for epoch in (0, 1))
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.06
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06
    assert (first == second).sum() < 10


def test_a_state_is_small_and_survives_json():
    state = State(PRINT, MAX_SEED, 10**6, 10**12)
    assert len(state.to_json()) < 200
    assert State.from_json(state.to_json()) == state
    assert State.from_dict(json.loads(State(PRINT).to_json())) == State(PRINT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "a state of version 2 cannot be read"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": MAX_SEED + 1}, "seed must be below 2\\^64"),
        ({"epoch": -1}, "the state's epoch must be a whole number of at least 0, got -1"),
        ({"samples_consumed": "7"}, "samples_consumed must be a whole number"),
        ({"samples_consumed": True}, "samples_consumed must be a whole number"),
        ({"more": 1}, "a state must have the fields .*, got .*more"),
    ],
)
def test_a_state_with_a_wrong_field_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        State.from_dict(State(PRINT).to_dict() | change)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1'])
def test_what_is_no_state_is_refused(text):
    with pytest.raises(UsageError, match="a state must"):
        State.from_json(text)


def test_a_state_of_other_data_is_refused():
    State(PRINT).check(PRINT)
    with pytest.raises(UsageError, match="open the same dataset, split and selection"):
        State(PRINT).check("cd" * 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": -1}, "count must be a whole number of at least 0, got -1"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number of at least 1, got 2.0"),
        ({"world_size": 0}, "world_size must be"),
        ({"rank": 2, "world_size": 2}, r"rank must be in \[0, 2\), got 2"),
        ({"rank": -1}, "rank must be"),
        ({"seed": -5}, "seed must be"),
        ({"drop_last": "keep"}, "drop_last must be True or False, got 'keep'"),
        ({"pad": 1}, "pad must be True or False, got 1"),
    ],
)
def test_a_wrong_order_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        ShardedSampler(**({"count": 10, "batch_size": 2} | change))


def rows(found):
    return [step.rows.tolist() for step in found]


def test_without_a_seed_the_stored_order_is_dealt_to_the_ranks():
    dealt = [ShardedSampler(10, 2, world_size=2, rank=rank) for rank in (0, 1)]
    assert [rows(one.batches(0)) for one in dealt] == [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]
    assert [step.consumed for step in dealt[1].batches(0)] == [4, 8]


def test_pad_fills_up_from_the_beginning_and_says_so():
    dealt = [ShardedSampler(5, 2, world_size=2, rank=rank, pad=True) for rank in (0, 1)]
    last = [list(one.batches(0))[-1] for one in dealt]
    assert rows(last) == [[4, 1], [0, 2]]
    assert [step.valid.tolist() for step in last] == [[True, False], [False, False]]
    assert {step.consumed for step in last} == {5}
    few = ShardedSampler(2, 5, pad=True).step(0, 0)
    assert (few.rows.tolist(), few.valid.sum()) == ([0, 1, 0, 1, 0], 2)


def test_without_drop_last_there_are_shorter_batches_and_to_some_ranks_none():
    dealt = [ShardedSampler(5, 2, world_size=2, rank=rank, drop_last=False) for rank in (0, 1)]
    assert [rows(one.batches(0)) for one in dealt] == [[[0, 2], [4]], [[1, 3]]]
    assert [one.steps() for one in dealt] == [2, 1]


def test_nothing_gives_no_batch():
    for last in ({}, {"pad": True}, {"drop_last": False}):
        assert ShardedSampler(0, 2, seed=1, **last).steps() == 0
        assert ShardedSampler(4, 2, seed=1, **last).steps(4) == 0


def test_a_state_past_the_end_is_refused():
    with pytest.raises(UsageError, match="the state counts 5 samples, an epoch has 4"):
        ShardedSampler(4, 2).steps(5)
