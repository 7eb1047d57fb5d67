"""The statement whether a dataset's classes are well mixed over its shards."""

import math

import numpy as np
import pytest

from segrecord.reading.mixing import mixing_of, residuals, shuffle_limit


def table_of(labels, shards):
    """Records of each class in each shard, where labels are dealt out to shards in their order."""
    return {
        f"shard {number}": {name: int((part == name).sum()) for name in np.unique(labels)}
        for number, part in enumerate(np.array_split(labels, shards))
    }


def test_residuals_are_those_reckoned_by_hand():
    found, usable = residuals(np.array([[30, 20], [20, 30]]))
    # expected 25 in each cell; (30 - 25) / sqrt(25 * 0.5 * 0.5)
    assert np.allclose(found, [[2, -2], [-2, 2]])
    assert usable.all()
    found, usable = residuals(np.array([[8, 2], [30, 60]]))
    # expected 10 * 38 / 100 = 3.8: too few; 90 * 62 / 100 = 55.8
    assert usable.tolist() == [[False, True], [True, True]]
    assert math.isclose(found[1, 1], (60 - 55.8) / math.sqrt(55.8 * 0.1 * 0.38))


def test_the_limit_is_the_normal_quantile_shared_by_the_cells():
    assert round(shuffle_limit(1), 2) == 2.58
    assert round(shuffle_limit(100), 2) == 3.89


@pytest.mark.parametrize("seed", range(10))
def test_a_random_shuffle_is_called_well_mixed(seed):
    labels = np.repeat(["nevus", "melanoma", "keratosis"], [1200, 400, 400])
    np.random.default_rng(seed).shuffle(labels)
    mixing = mixing_of(table_of(labels, 10))
    assert mixing.mixed is True
    assert mixing.residual < mixing.limit
    assert mixing.sentence == (
        f"classes are well mixed over shards: largest residual {mixing.residual:.1f}, "
        f"a random shuffle stays below {mixing.limit:.1f}"
    )


def test_false_alarms_on_random_shuffles_are_as_rare_as_stated():
    labels = np.repeat(["a", "b", "c"], [600, 200, 200])
    rng = np.random.default_rng(7)
    alarms = sum(
        mixing_of(table_of(rng.permutation(labels), 10)).mixed is False for _ in range(200)
    )
    assert alarms <= 6  # 1 % are 2


def test_sorted_classes_are_called_not_mixed_and_the_cell_is_named():
    labels = np.repeat(["cat", "dog"], [500, 500])
    mixing = mixing_of(table_of(labels, 10))
    assert mixing.mixed is False
    assert mixing.residual > 10
    assert mixing.sentence.startswith("classes are NOT well mixed over shards: largest residual")
    assert f"({mixing.class_name!r} in {mixing.shard})" in mixing.sentence


def test_a_slightly_sorted_table_is_called_not_mixed_too():
    labels = np.repeat(["cat", "dog"], [500, 500])
    rng = np.random.default_rng(0)
    rng.shuffle(labels[:300])  # dogs all at the end
    assert mixing_of(table_of(labels, 10)).mixed is False


def test_cells_with_few_expected_records_are_left_out_and_it_is_said():
    counts = {"a": {"common": 96, "rare": 4}, "b": {"common": 100, "rare": 0}}
    mixing = mixing_of(counts)
    assert mixing.left_out == 2
    assert mixing.sentence.endswith("(2 cells with under 5 expected records left out)")
    assert mixing.mixed is True


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"a": {"x": 9}, "b": {"x": 9}}, "there is only one class: nothing to mix"),
        ({"a": {"x": 9, "y": 9}}, "there is only one shard: nothing to mix"),
        ({"a": {}, "b": {}}, "the records have no classes"),
        (
            {"a": {"x": 1, "y": 2}, "b": {"x": 2, "y": 1}},
            "too few records in a shard to say whether the classes are mixed",
        ),
    ],
)
def test_where_nothing_can_be_said_that_is_said(counts, sentence):
    mixing = mixing_of(counts)
    assert (mixing.mixed, mixing.sentence) == (None, sentence)
