"""The plan: order, splits and shards."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from make import samples_of
from segrecord.errors import UsageError
from segrecord.options import PlanOptions
from segrecord.planning import plan
from segrecord.planning.order import order, ranks
from segrecord.planning.split import assign

SHARES = (("train", 0.8), ("val", 0.1), ("test", 0.1))


def planned(count=20, *, labels=None, groups=None, splits=None, sizes=None, **options):
    rows = [
        (
            f"k{number}",
            f"{number}.png",
            (),
            (labels[number],) if labels else (),
            groups[number] if groups else None,
            splits[number] if splits else None,
        )
        for number in range(count)
    ]
    samples = samples_of(rows)
    bytes_of = np.array(sizes or [10] * count, np.int64)
    return plan.make(samples, bytes_of, PlanOptions(**options)).to_pydict()


def lengths(table):
    return list(Counter(zip(table["split"], table["shard"], strict=True)).values())


def test_the_rank_is_the_documented_hash():
    state = hashlib.blake2b(
        b"a/1", digest_size=8, key=(7).to_bytes(8, "little"), person=b"segrecord.order1"
    )
    assert ranks(["a/1"], 7).tolist() == [int.from_bytes(state.digest(), "little")]


def test_the_order_of_a_few_keys_is_what_it_always_was():
    keys = ["a/1", "a/2", "b/1", "b/2", "\u00e9", "c"]
    assert [keys[row] for row in order(keys, 0)] == ["\u00e9", "c", "a/1", "b/1", "b/2", "a/2"]
    assert [keys[row] for row in order(keys, 1)] == ["a/1", "b/1", "a/2", "c", "\u00e9", "b/2"]


def test_equal_hashes_fall_back_on_the_key(monkeypatch):
    from segrecord.planning import order as module

    monkeypatch.setattr(module, "ranks", lambda keys, _: np.zeros(len(keys), np.uint64))
    assert module.order(["b", "c", "a"], 0).tolist() == [2, 0, 1]


def test_without_a_split_everything_is_train_in_ten_shards_of_equal_number():
    table = planned(25)
    assert set(table["split"]) == {"train"}
    assert sorted(lengths(table)) == [2] * 5 + [3] * 5
    keys = [f"k{number}" for number in range(25)]
    assert table["key"] == [keys[row] for row in order(keys, 0)]


def test_positions_count_from_0_in_every_shard():
    table = planned(7, shards=3)
    assert table["shard"] == [0, 0, 1, 1, 2, 2, 2]
    assert table["position"] == [0, 1, 0, 1, 0, 1, 2]


def test_rows_point_at_their_samples():
    table = planned(12)
    keys = sorted(f"k{number}" for number in range(12))
    assert [keys[row] for row in table["row"]] == table["key"]


def test_there_are_never_more_shards_than_records():
    assert lengths(planned(3, shards=10)) == [1, 1, 1]


def test_shards_by_bytes_are_equal_to_within_one_record():
    sizes = [100 + 37 * number % 90 for number in range(40)]
    table = planned(40, sizes=sizes, shard_size=1000)
    totals = Counter()
    for shard, row in zip(table["shard"], table["row"], strict=True):
        totals[shard] += sizes[row]
    assert len(totals) == round(sum(sizes) / 1000)
    assert max(totals.values()) - min(totals.values()) <= 2 * max(sizes)
    assert all(abs(total - sum(sizes) / len(totals)) <= max(sizes) for total in totals.values())


def test_a_record_larger_than_a_shard_leaves_no_empty_shard():
    table = planned(4, sizes=[1, 5000, 1, 1], shard_size=100)
    assert 0 not in lengths(table)
    assert sorted(set(table["shard"])) == list(range(max(table["shard"]) + 1))


def test_splits_come_as_train_val_test_and_then_by_name():
    table = planned(40, split="zeta=0.25,test=0.25,train=0.25,alpha=0.25", shards=1)
    assert list(dict.fromkeys(table["split"])) == ["train", "test", "alpha", "zeta"]


def test_splits_fixed_by_the_source_are_kept():
    table = planned(6, splits=["val", "train"] * 3, shards=1)
    assert dict(zip(table["key"], table["split"], strict=True)) == {
        f"k{n}": ["val", "train"][n % 2] for n in range(6)
    }


def test_split_on_a_source_that_fixes_splits_is_refused():
    with pytest.raises(UsageError, match=r"fixes the splits itself \(train, val\); leave --split"):
        planned(6, splits=["val", "train"] * 3, split="train=0.5,val=0.5")


@pytest.mark.parametrize("name", ["../up", "a b", "records", ""])
def test_a_fixed_split_that_cannot_name_a_file_is_refused(name):
    with pytest.raises(UsageError, match="a split's name must"):
        planned(2, splits=[name, name])


def test_a_split_that_would_come_out_empty_is_refused():
    with pytest.raises(UsageError, match="split test, val would get none of the 5 samples"):
        planned(5, split="train=0.9,val=0.09,test=0.01")


def test_every_class_is_shared_out_to_within_one_sample():
    strata = ["a"] * 103 + ["b"] * 11 + ["c"] * 5
    result = assign(strata, [None] * len(strata), list(range(len(strata))), SHARES)
    for name, share in SHARES:
        for stratum, total in Counter(strata).items():
            got = sum(s == name and t == stratum for s, t in zip(result, strata, strict=True))
            assert abs(got - share * total) < 1


def test_rounding_does_not_add_up_over_many_small_classes():
    strata = [f"class {number // 3}" for number in range(300)]
    result = Counter(assign(strata, [None] * 300, list(range(300)), SHARES))
    assert abs(result["train"] - 240) <= 1
    assert abs(result["val"] - 30) <= 1


def test_shares_that_miss_1_by_a_rounding_leave_no_sample_over():
    from segrecord.planning import split as module

    total = 9_000_000
    shares = module._adding_up((("train", 0.3333331), ("val", 0.3333331), ("test", 0.3333331)))
    counts = module._counts(total, shares, dict.fromkeys(("train", "val", "test"), 0.0))
    assert sum(counts.values()) == total


def test_groups_are_never_divided():
    groups = [f"patient {number // 3}" if number % 5 else None for number in range(90)]
    strata = [f"{number % 3}" for number in range(90)]
    result = assign(strata, groups, list(range(90)), SHARES)
    homes = {}
    for group, name in zip(groups, result, strict=True):
        if group is not None:
            assert homes.setdefault(group, name) == name
    assert set(result) == {"train", "val", "test"}


def test_the_largest_group_goes_to_the_largest_split_whatever_their_order():
    groups = ["big"] * 10 + [f"small {number}" for number in range(5)] * 2
    for shares in (SHARES, SHARES[::-1]):
        result = assign(["a"] * 20, groups, list(range(20)), shares)
        assert result[0] == "train"


def test_groups_of_one_are_shared_out_as_exactly_as_no_groups():
    strata = [f"class {number % 7}" for number in range(60)]
    order_ = list(range(60))
    alone = assign(strata, [None] * 60, order_, SHARES)
    assert assign(strata, [f"p{number}" for number in range(60)], order_, SHARES) == alone


def test_a_shuffle_by_another_seed_is_another_one():
    assert planned(30)["key"] != planned(30, seed=1)["key"]
