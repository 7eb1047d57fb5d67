"""What holds of every plan."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segrecord.options import PlanOptions
from segrecord.planning import plan
from segrecord.planning.order import order
from segrecord.planning.split import assign
from segrecord.sources.understood import Sample, samples_table

KEYS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=40, unique=True)
SHARES = st.sampled_from(
    [
        (("train", 1.0),),
        (("train", 0.8), ("val", 0.1), ("test", 0.1)),
        (("train", 0.34), ("val", 0.33), ("test", 0.33)),
        (("a", 0.05), ("b", 0.95)),
    ]
)


@given(KEYS, st.integers(0, 2**63 - 1), st.randoms())
def test_the_order_depends_on_seed_and_keys_only(keys, seed, random):
    ordered = [keys[row] for row in order(keys, seed)]
    mixed = random.sample(keys, len(keys))
    assert [mixed[row] for row in order(mixed, seed)] == ordered
    some = [key for key in keys if random.random() < 0.5]
    left = [some[row] for row in order(some, seed)]
    assert left == [key for key in ordered if key in set(some)]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), SHARES)
def test_a_split_is_exact_to_within_one_sample_a_class(strata, shares):
    result = assign(strata, [None] * len(strata), list(range(len(strata))), shares)
    counted = Counter(zip(result, strata, strict=True))
    totals = Counter(strata)
    for name, share in shares:
        for stratum, total in totals.items():
            assert abs(counted[name, stratum] - share * total) < 1
    assert set(result) <= {name for name, _ in shares}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9) | st.none()), min_size=1), SHARES
)
def test_groups_stand_in_one_split_and_every_sample_in_one(rows, shares):
    strata = [stratum for stratum, _ in rows]
    groups = [None if group is None else str(group) for _, group in rows]
    result = assign(strata, groups, list(range(len(rows))), shares)
    assert set(result) <= {name for name, _ in shares}
    homes = {(group, name) for group, name in zip(groups, result, strict=True) if group}
    assert len(homes) == len({group for group in groups if group})


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=50),
    st.integers(1, 20),
    st.integers(1, 5000) | st.none(),
)
def test_shards_are_equal_and_hold_every_sample_once(sizes, shards, shard_size):
    samples = samples_table([Sample(f"{n:03}", f"{n}.png") for n in range(len(sizes))])
    chosen = {"shard_size": shard_size} if shard_size else {"shards": shards}
    table = plan.make(samples, np.array(sizes), PlanOptions(**chosen)).to_pydict()
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
