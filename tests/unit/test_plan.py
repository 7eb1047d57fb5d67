"""The plan: order, splits and shards."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from make import samples_of
from segrecord.errors import UsageError
from segrecord.options import PlanOptions
from segrecord.splits import plan
from segrecord.splits.groups import join
from segrecord.splits.groups import seeded_hashes as ranks
from segrecord.splits.groups import seeded_order as order


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
    chosen = PlanOptions(**options)
    samples = plan.shared_out(samples_of(rows), chosen).samples
    joined = join(samples["group"], np.arange(count))
    names = plan.splits(samples, joined, chosen)
    bytes_of = np.array(sizes or [10] * count, np.int64)
    return plan.make(samples, names, bytes_of, chosen).to_pydict()


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
    from segrecord.splits import groups as module

    monkeypatch.setattr(module, "seeded_hashes", lambda keys, _: np.zeros(len(keys), np.uint64))
    assert module.seeded_order(["b", "c", "a"], 0).tolist() == [2, 0, 1]


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


@pytest.mark.parametrize(
    ("records", "options", "shards"),
    [
        ({"train": 80, "val": 10, "test": 10}, {}, {"train": 10, "val": 1, "test": 1}),
        ({"train": 80, "val": 12, "test": 28}, {}, {"train": 10, "val": 2, "test": 4}),
        ({"train": 20, "val": 7, "test": 1}, {}, {"train": 10, "val": 4, "test": 1}),
        ({"train": 4, "val": 3}, {}, {"train": 4, "val": 3}),
        ({"train": 60, "val": 30}, {"shards": 4}, {"train": 4, "val": 2}),
        ({"train": 60, "val": 30}, {"shards": 1}, {"train": 1, "val": 1}),
        ({"train": 10, "val": 90}, {}, {"train": 1, "val": 10}),
    ],
)
def test_the_largest_split_has_ten_shards_and_the_others_their_share(records, options, shards):
    names = [name for name, count in records.items() for _ in range(count)]
    table = planned(len(names), splits=names, **options)
    found = {}
    for split, shard in zip(table["split"], table["shard"], strict=True):
        found.setdefault(split, set()).add(shard)
    assert found == {name: set(range(count)) for name, count in shards.items()}


def test_folds_have_equally_many_shards():
    table = planned(43, folds=4, shards=5)
    pairs = set(zip(table["split"], table["shard"], strict=True))
    assert Counter(split for split, _ in pairs) == {f"fold{number}": 5 for number in range(4)}


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


def test_split_on_a_source_that_fixes_splits_shares_its_samples_out():
    table = planned(6, splits=["val", "train", "val"] * 2, split="train=0.5,val=0.5")
    assert Counter(table["split"]) == {"train": 3, "val": 3}


@pytest.mark.parametrize("name", ["../up", "a b", "records", ""])
def test_a_fixed_split_that_cannot_name_a_file_is_refused(name):
    with pytest.raises(UsageError, match="a split's name must"):
        planned(2, splits=[name, name])


@pytest.mark.parametrize("names", [["test", "test_hard"], ["Train2", "train"], ["Hold", "hold"]])
def test_fixed_splits_that_one_pattern_or_file_name_would_mix_are_refused(names):
    with pytest.raises(UsageError, match="no split's name may begin with another's"):
        planned(2, splits=names)


def test_folds_are_equal_splits():
    table = planned(20, folds=4, shards=1)
    assert Counter(table["split"]) == {f"fold{number}": 5 for number in range(4)}


def test_classes_and_missing_masks_are_kept_in_proportion():
    rows = [
        (
            f"{number:02}",
            f"{number}.png",
            (f"{number}m.png",) * (number % 4 > 0),
            ("ab"[number % 2],),
        )
        for number in range(80)
    ]
    samples = samples_of(rows)
    names = plan.splits(samples, np.arange(80), PlanOptions(split="train=0.75,test=0.25"))
    counted = Counter(
        (name, row["labels"][0], bool(row["mask"]))
        for name, row in zip(names, samples.to_pylist(), strict=True)
    )
    assert counted["test", "a", True] + counted["test", "b", True] == 15
    assert counted["test", "a", False] + counted["test", "b", False] == 5
    assert counted["test", "a", True] + counted["test", "a", False] == 10


def test_joined_samples_are_not_divided():
    samples = samples_of([(f"{number:02}", f"{number}.png") for number in range(40)])
    copies = np.arange(40) // 4
    names = plan.splits(samples, copies, PlanOptions(split="train=0.5,test=0.5"))
    assert all(len(set(names[4 * n : 4 * n + 4])) == 1 for n in range(10))


def test_groups_and_copies_are_joined_through_each_other():
    rows = [(f"{n}", f"{n}.png", (), (), group) for n, group in enumerate("aabbc")]
    samples = samples_of([*rows, ("x", "x.png"), ("y", "y.png")])
    copies = np.array([0, 1, 1, 2, 3, 3, 4])
    assert join(samples["group"], copies).tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_settled_splits_stay_and_the_others_fill_up():
    samples = samples_of([(f"{number}", f"{number}.png") for number in range(10)])
    settled = ["test"] * 5 + [None] * 5
    chosen = PlanOptions(split="train=0.5,test=0.5")
    names = plan.splits(samples, np.arange(10), chosen, settled)
    assert names == ["test"] * 5 + ["train"] * 5


def test_a_shuffle_by_another_seed_is_another_one():
    assert planned(30)["key"] != planned(30, seed=1)["key"]
