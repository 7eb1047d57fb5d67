"""Classes, groups and splits: imbalance, what a split lacks, and what it has too little of."""

from scanned import given, scanned, told
from segrecord.checks.class_checks import class_ratio, empty_splits, no_group, spread_classes


def samples(*rows):
    """A samples table of (label or None, group or None) rows."""
    table, _ = scanned(
        *({"labels": () if label is None else (label,), "group": group} for label, group in rows)
    )
    return table


def test_a_set_without_any_group_is_told_once_with_the_way_out():
    (found,) = no_group(given(samples(("a", None), ("b", None))))
    assert told([found]) == [("warning", "no-group", "")]
    assert "patient leakage cannot be excluded" in found.message
    assert "--group-column NAME" in found.fix
    assert "--metadata FILE" in found.fix


def test_one_group_is_enough_to_say_that_groups_are_known():
    assert list(no_group(given(samples(("a", None), ("b", "p"))))) == []
    assert list(no_group(given(samples()))) == []


def test_more_than_ten_to_one_is_told_with_both_classes_and_their_counts():
    (found,) = class_ratio(
        given(samples(*[("a", None)] * 21, *[("b", None)] * 5, *[("c", None)] * 2))
    )
    assert told([found]) == [("warning", "class-ratio", "")]
    assert found.message == "class 'a' has 21 samples, class 'c' 2: 10.5 to 1"


def test_ten_to_one_one_class_and_no_class_are_not_told():
    assert list(class_ratio(given(samples(*[("a", None)] * 20, *[("c", None)] * 2)))) == []
    assert list(class_ratio(given(samples(*[("a", None)] * 20, *[(None, None)] * 2)))) == []
    assert list(class_ratio(given(samples((None, None))))) == []


def test_a_split_that_was_asked_for_and_is_empty_is_an_error():
    three = samples(("a", "p"), ("a", "q"), ("a", "r"))
    splits = ["train", "val", "val"]
    found = list(empty_splits(given(three, splits=splits, names=["train", "val", "test"])))
    assert told(found) == [("error", "empty-split", "")]
    assert found[0].message == "split 'test' has no sample"
    assert list(empty_splits(given(three, splits=splits, names=["train", "val"]))) == []


def spread(*rows):
    """The findings on (split, label, group) rows."""
    table = samples(*((label, group) for _, label, group in rows))
    return list(spread_classes(given(table, splits=[split for split, _, _ in rows])))


def many(split, label, groups, *, each=1, start=0):
    """Rows of so many groups of a class, `each` samples a group."""
    return [
        (split, label, f"{label}{start + group}") for group in range(groups) for _ in range(each)
    ]


TRAIN = [*many("train", "a", 9), *many("train", "b", 9)]


def test_a_class_that_a_split_lacks_is_an_error_that_says_how_many_groups_it_has():
    found = spread(*TRAIN, *many("val", "a", 5, start=9))
    assert told(found) == [("error", "split-lacks-class", "")]
    assert found[0].message == (
        "class 'b' is in no sample of split 'val': it has 9 groups for 2 splits"
    )
    assert found[0].fix == (
        "correct the splits, or split all samples again: --split; to accept it: --ignore "
        "split-lacks-class"
    )


def test_a_class_of_fewer_groups_than_splits_cannot_be_in_all_and_the_way_out_says_so():
    rows = [*many("train", "a", 9), *many("val", "a", 5, start=20), *many("test", "a", 5, start=30)]
    found = spread(*rows, *many("train", "b", 2))
    assert told(found) == [("error", "split-lacks-class", "")]
    assert found[0].message == (
        "class 'b' is in no sample of split 'val' and 'test': it has 2 groups for 3 splits"
    )
    assert found[0].fix.startswith("get more groups of the class")


def test_as_many_groups_as_splits_are_enough_to_correct_the_splits():
    (found,) = spread(*many("train", "a", 9), *many("val", "a", 5, start=9), *many("train", "b", 2))
    assert found.message.endswith("it has 2 groups for 2 splits")
    assert found.fix.startswith("correct the splits")


def test_fewer_than_five_groups_in_a_held_out_split_are_told_however_many_samples_they_have():
    rows = [*TRAIN, *many("val", "a", 5, start=9), *many("val", "b", 4, each=3, start=9)]
    found = spread(*rows, *many("train", "a", 9, start=50))
    assert told(found) == [("warning", "few-groups", "")]
    assert found[0].message.startswith("class 'b' has few groups to be judged by: 4 in 'val'")
    rows = [*TRAIN, *many("val", "a", 5, start=9), *many("val", "b", 5, start=9)]
    assert spread(*rows) == []


def test_the_largest_split_is_not_held_out():
    rows = [*many("train", "a", 4, each=9), *many("val", "a", 5, start=9)]
    assert spread(*rows) == []


def test_samples_without_a_group_are_groups_of_their_own():
    rows = [*[("train", "a", None)] * 9, *[("val", "a", None)] * 4]
    found = spread(*rows)
    assert told(found) == [("warning", "few-groups", "")]
    assert "few samples to be judged by: 4 in 'val'" in found[0].message
    assert spread(*rows, ("val", "a", None)) == []
    assert spread(*rows, ("val", "a", "p"), ("val", "a", "p")) == []


def test_one_split_and_a_split_without_labels_lack_nothing():
    assert spread(*many("train", "a", 3)) == []
    unlabelled = [("test", None, f"t{number}") for number in range(9)]
    assert spread(*TRAIN, *unlabelled) == []
    assert spread(*unlabelled) == []
    assert spread() == []
