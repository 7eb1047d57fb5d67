"""The splitter on tables made by hand."""

from collections import Counter

import numpy as np
import pytest

from segrecord.errors import UsageError
from segrecord.splits import stratify
from segrecord.splits.stratify import MAX_SPLITS, assign

SHARES = (("train", 0.8), ("val", 0.1), ("test", 0.1))
HAM_SHARES = (("train", 0.7), ("val", 0.15), ("test", 0.15))
HAM_CLASSES = (6705, 1113, 1099, 514, 327, 142, 115)
"""Images of each class in HAM10000 (Tschandl et al. 2018)."""


def split(classes, groups=None, shares=SHARES, seed=None, fixed=None):
    count = len(classes)
    order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
    numbers = np.arange(count) if groups is None else np.array(groups)
    return assign([(str(name),) for name in classes], numbers, order, shares, fixed)


def ham(seed):
    """10,015 samples of 7,470 lesions: (N,) classes and groups, each lesion of one class."""
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(7), HAM_CLASSES)
    first = np.ones(len(classes), bool)
    within = np.flatnonzero(classes[1:] == classes[:-1]) + 1
    first[random.choice(within, len(classes) - 7470, replace=False)] = False
    return classes, np.cumsum(first) - 1


@pytest.mark.parametrize("seed", range(3))
def test_no_class_of_a_set_like_ham10000_is_off_by_2_percent(seed):
    classes, groups = ham(seed)
    result = split(classes, groups, HAM_SHARES, seed)
    assert len(set(zip(groups.tolist(), result, strict=True))) == 7470
    counted = Counter(zip(classes.tolist(), result, strict=True))
    for number, total in enumerate(HAM_CLASSES):
        for name, share in HAM_SHARES:
            # What one sample more or less is, of the smallest class: 0.9 percent.
            assert abs(counted[number, name] / total - share) < 0.01


def test_no_samples_have_no_splits():
    assert split([]) == []


def test_one_split_gets_all():
    assert split([1, 1, 2], [5, 5, 6], (("train", 1.0),)) == ["train"] * 3


def test_only_the_ratio_of_the_shares_counts():
    classes = [number % 3 for number in range(90)]
    assert split(classes, shares=(("a", 0.2), ("b", 0.1))) == split(
        classes, shares=(("a", 1.0), ("b", 0.5))
    )


def test_shares_of_many_digits_leave_no_sample_over():
    shares = (("train", 0.33333331234567), ("val", 0.33333331234567), ("test", 0.3333333123457))
    assert Counter(split([0] * 9000, shares=shares)) == dict.fromkeys(dict(shares), 3000)


def test_a_share_of_a_third_in_three_splits_is_exact():
    shares = (("a", 1 / 3), ("b", 1 / 3), ("c", 1 / 3))
    assert sorted(Counter(split([0] * 100, shares=shares)).values()) == [33, 33, 34]


def test_every_class_is_shared_out_to_within_one_sample():
    classes = ["a"] * 103 + ["b"] * 11 + ["c"] * 10
    counted = Counter(zip(classes, split(classes), strict=True))
    for name, share in SHARES:
        for label, total in Counter(classes).items():
            assert abs(counted[label, name] - share * total) < 1


def test_rounding_does_not_add_up_over_many_classes():
    result = Counter(split([number // 13 for number in range(1300)]))
    assert result == {"train": 1040, "val": 130, "test": 130}


def test_a_small_class_stands_in_every_split_at_the_cost_of_its_proportion():
    assert Counter(split(["a"] * 5)) == {"train": 3, "val": 1, "test": 1}


def test_a_class_with_fewer_groups_than_splits_goes_by_proportion():
    result = split(["a"] * 200 + ["b"] * 6, [*range(200), *[200] * 3, *[201] * 3])
    assert set(result[200:]) == {"train"}


def test_classes_stay_in_proportion_beside_another_trait():
    random = np.random.default_rng(0)
    classes = random.choice(5, 2000, p=[0.6, 0.2, 0.1, 0.07, 0.03])
    masks = random.random(2000) < 0.3
    traits = [(str(name), f"mask {mask}") for name, mask in zip(classes, masks, strict=True)]
    result = assign(traits, np.arange(2000), np.arange(2000), SHARES)
    for kind in (classes, masks):
        counted = Counter(zip(kind.tolist(), result, strict=True))
        for name, share in SHARES:
            for value, total in Counter(kind.tolist()).items():
                assert abs(counted[value, name] - share * total) < 2


def test_samples_of_no_class_are_shared_out_too():
    traits = [()] * 100 + [("a",)] * 100
    result = assign(traits, np.arange(200), np.arange(200), SHARES)
    assert Counter(result[:100]) == {"train": 80, "val": 10, "test": 10}


def test_the_largest_group_goes_to_the_largest_split_whatever_their_order():
    groups = [0] * 10 + [1, 2, 3, 4, 5] * 2
    for shares in (SHARES, SHARES[::-1]):
        assert split(["a"] * 20, groups, shares)[0] == "train"


def test_val_and_test_get_large_groups_too():
    sizes = [8] * 20 + [1] * 400
    groups = np.repeat(np.arange(len(sizes)), sizes)
    result = split(np.zeros(len(groups), int), groups)
    for name in ("val", "test"):
        assert len({group for group, home in zip(groups, result, strict=True) if home == name}) < 50
        assert any(home == name for home in result[:160])


def test_one_huge_group_leaves_the_others_to_even_it_out():
    groups = [0] * 700 + list(range(1, 301))
    classes = [number % 4 for number in range(1000)]
    result = split(classes, groups)
    assert Counter(result) == {"train": 800, "val": 100, "test": 100}
    assert set(Counter(zip(classes, result, strict=True)).values()) == {200, 25}


def test_another_order_is_another_split_as_near():
    classes, groups = ham(0)
    one, other = (split(classes, groups, HAM_SHARES, seed) for seed in (1, 2))
    assert one != other
    assert Counter(zip(classes.tolist(), one, strict=True)) == Counter(
        zip(classes.tolist(), other, strict=True)
    )


def test_the_first_groups_in_the_order_go_to_the_first_split():
    assert split([0] * 10, range(10), (("a", 0.5), ("b", 0.5))) == ["a"] * 5 + ["b"] * 5


def test_new_samples_fill_up_what_is_behind():
    fixed = ["train"] * 60 + ["val"] * 20 + [None] * 120
    result = split([0] * 200, fixed=fixed)
    assert result[:80] == fixed[:80]
    assert Counter(result) == {"train": 160, "val": 20, "test": 20}


def test_a_split_that_is_over_its_due_gets_nothing_more():
    fixed = ["val"] * 50 + [None] * 49
    result = split([0] * 99, fixed=fixed)
    assert Counter(result[50:]) == {"train": 44, "test": 5}


def test_new_samples_of_a_settled_group_join_it():
    result = split([0] * 30, [number // 3 for number in range(30)], fixed=["test"] + [None] * 29)
    assert result[:3] == ["test"] * 3


def test_where_all_is_settled_nothing_changes():
    fixed = ["train", "val", "val"]
    assert split([0, 1, 2], fixed=fixed) == fixed


def test_no_split_is_empty_for_the_sake_of_a_class():
    result = split("bab", fixed=[None, "train", None])
    assert sorted(result) == ["test", "train", "val"]


def test_a_class_lacking_in_a_split_is_brought_there_by_new_samples():
    fixed = ["train"] * 20 + [None] * 2
    result = split([0] * 22, fixed=fixed)
    assert sorted(result[20:]) == ["test", "val"]


def test_more_types_of_groups_than_are_searched_are_shared_out_all_the_same(monkeypatch):
    monkeypatch.setattr(stratify, "POOL", 8)
    monkeypatch.setattr(stratify, "WIDTH", 4)
    random = np.random.default_rng(0)
    classes, groups = random.choice(6, 3000), np.sort(random.choice(400, 3000))
    result = split(classes, groups)
    assert len(set(zip(groups.tolist(), result, strict=True))) == len(set(groups.tolist()))
    counted = Counter(zip(classes.tolist(), result, strict=True))
    for number, total in Counter(classes.tolist()).items():
        for name, share in SHARES:
            assert abs(counted[number, name] / total - share) < 0.02


def test_the_search_ends_where_its_work_is_done(monkeypatch):
    random = np.random.default_rng(0)
    classes, groups = random.choice(6, 600), random.choice(60, 600)
    best = split(classes, groups)
    monkeypatch.setattr(stratify, "WORK", 0)
    assert split(classes, groups) != best


def test_a_large_set_with_a_huge_group_does_not_overflow():
    count, huge = 300_000, 140_000
    classes = np.arange(count) % 3
    groups = np.concatenate([np.zeros(huge, int), 1 + np.arange(count - huge) // 4])
    result = Counter(zip(classes.tolist(), split(classes, groups), strict=True))
    for number in range(3):
        for name, share in SHARES:
            assert abs(result[number, name] - share * count / 3) <= 2


def test_more_splits_than_rounding_allows_are_refused():
    shares = tuple((f"s{number}", 0.001) for number in range(MAX_SPLITS + 1))
    with pytest.raises(UsageError, match="at most 127 splits, got 128"):
        split([0] * 500, shares=shares)
    assert len(set(split([0] * 127, shares=shares[:-1]))) == MAX_SPLITS
