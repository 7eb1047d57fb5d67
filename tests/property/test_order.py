"""The order of an epoch, whatever the number of rows, ranks and the batch size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segrecord.read.sampler import MAX_SEED, ShardedSampler, permute, permute_many

COUNTS = st.integers(1, 700)
SEEDS = st.integers(0, MAX_SEED)
EPOCHS = st.integers(0, 2**32)


@given(COUNTS, SEEDS, EPOCHS)
def test_an_order_holds_every_row_once(count, seed, epoch):
    rows = permute_many(np.arange(count), count, seed, epoch)
    assert sorted(rows.tolist()) == list(range(count))


@given(st.integers(1, 2**40), SEEDS, EPOCHS, st.data())
def test_one_place_and_many_give_the_same_rows(count, seed, epoch, data):
    places = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=5))
    expected = [permute(place, count, seed, epoch) for place in places]
    assert permute_many(np.array(places), count, seed, epoch).tolist() == expected


def deal(count, seed, epoch, consumed, batch_size, ranks, last, steps=None):
    """The global sequence put together again from what each rank got, and what is consumed."""
    orders = [ShardedSampler(count, batch_size, seed, ranks, rank, **last) for rank in range(ranks)]
    left = [list(order.batches(epoch, consumed)) for order in orders]
    if last != SHORTER:
        assert len({len(batches) for batches in left}) == 1
    found = []
    for number in range(max(map(len, left)))[:steps]:
        parts = [batches[number] for batches in left if number < len(batches)]
        assert len({part.consumed for part in parts}) == 1
        consumed = parts[0].consumed
        dealt = [part.rows[part.valid].tolist() for part in parts]
        for place in range(max(map(len, dealt))):
            found += [rows[place] for rows in dealt if place < len(rows)]
    return found, consumed


DROP, PAD, SHORTER = {}, {"pad": True}, {"drop_last": False}
SPREADS = st.tuples(st.integers(1, 9), st.integers(1, 5))


@given(COUNTS, SEEDS, EPOCHS, SPREADS, SPREADS, st.data())
def test_a_resume_under_other_ranks_goes_on_with_what_was_not_delivered(
    count, seed, epoch, before, after, data
):
    whole = permute_many(np.arange(count), count, seed, epoch).tolist()
    stop = data.draw(st.integers(0, count // (before[0] * before[1])))
    first, consumed = deal(count, seed, epoch, 0, *before, DROP, stop)
    assert first == whole[:consumed]
    for last in (PAD, SHORTER):
        rest, end = deal(count, seed, epoch, consumed, *after, last)
        assert (rest, end) == (whole[consumed:], count)
    rest, end = deal(count, seed, epoch, consumed, *after, DROP)
    assert rest == whole[consumed:end]
    assert count - end < after[0] * after[1]
