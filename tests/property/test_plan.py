"""What holds of every plan."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segrecord.options import PlanOptions
from segrecord.sources.loaded import Sample, samples_table
from segrecord.splits import plan
from segrecord.splits.groups import seeded_order as order

KEYS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=40, unique=True)


@given(KEYS, st.integers(0, 2**63 - 1), st.randoms())
def test_the_order_depends_on_seed_and_keys_only(keys, seed, random):
    ordered = [keys[row] for row in order(keys, seed)]
    mixed = random.sample(keys, len(keys))
    assert [mixed[row] for row in order(mixed, seed)] == ordered
    some = [key for key in keys if random.random() < 0.5]
    left = [some[row] for row in order(some, seed)]
    assert left == [key for key in ordered if key in set(some)]


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=50),
    st.integers(1, 20),
    st.integers(1, 5000) | st.none(),
)
def test_shards_are_equal_and_hold_every_sample_once(sizes, shards, shard_size):
    samples = samples_table([Sample(f"{n:03}", f"{n}.png") for n in range(len(sizes))])
    chosen = {"shard_size": shard_size} if shard_size else {"shards": shards}
    names = ["train"] * len(sizes)
    table = plan.make(samples, names, np.array(sizes), PlanOptions(**chosen)).to_pydict()
    assert sorted(table["row"]) == list(range(len(sizes)))
    counted = Counter(table["shard"])
    assert sorted(counted) == list(range(len(counted)))
    if shard_size:
        mean = sum(sizes) / max(1, round(sum(sizes) / shard_size))
        own = Counter()
        for shard, row in zip(table["shard"], table["row"], strict=True):
            own[shard] += sizes[row]
        assert all(total <= mean + max(sizes) for total in own.values())
    else:
        assert len(counted) == min(shards, len(sizes))
        assert max(counted.values()) - min(counted.values()) <= 1
    places = list(zip(table["shard"], table["position"], strict=True))
    assert places == sorted(places)
    assert len(set(places)) == len(places)
