"""The statement whether a dataset's classes are well mixed over its shards."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from segrecord.read.stats import residuals, shard_balance_of, tail_probability


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


def exact_tail(table, row, column):
    """By whole numbers: the share of all ways to fill the shard that are as far to this side."""
    total, size = int(table.sum()), int(table[:, column].sum())
    of_class, found = int(table[row].sum()), int(table[row, column])
    least = max(0, size - total + of_class)
    more = found * total >= of_class * size
    counts = range(found, min(of_class, size) + 1) if more else range(least, found + 1)
    ways = sum(math.comb(of_class, k) * math.comb(total - of_class, size - k) for k in counts)
    return Fraction(ways, math.comb(total, size))


@pytest.mark.parametrize("seed", range(20))
def test_the_tail_is_that_of_the_hypergeometric_distribution(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, (3, 30, 300)[seed % 3], (3, 4)) + np.eye(3, 4, dtype=int)
    for row, column in np.ndindex(table.shape):
        expected = float(exact_tail(table, row, column))
        assert math.isclose(tail_probability(table, row, column), expected, rel_tol=1e-9)


def test_the_tail_of_what_no_shuffle_does_is_no_error():
    assert tail_probability(np.array([[10**6, 0], [0, 10**6]]), 0, 0) == 1e-300
    assert 0.49 < tail_probability(np.full((2, 2), 10**7), 0, 0) < 0.51


@pytest.mark.parametrize("seed", range(10))
def test_a_random_shuffle_is_called_well_mixed(seed):
    labels = np.repeat(["nevus", "melanoma", "keratosis"], [1200, 400, 400])
    np.random.default_rng(seed).shuffle(labels)
    balance = shard_balance_of(table_of(labels, 10))
    assert balance.mixed is True
    assert balance.p >= 0.0001
    assert balance.sentence == (
        f"classes are well mixed over shards: largest residual {balance.residual:.1f}, "
        f"as random shuffles have it (p {balance.p:.2g})"
    )


@pytest.mark.parametrize("counts", [(600, 200, 200), (5000, 55, 52)])
def test_false_alarms_on_random_shuffles_are_as_rare_as_stated(counts):
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(4000):
        left, shards = np.array(counts), {}
        for number in range(9, -1, -1):
            dealt = rng.multivariate_hypergeometric(left, left.sum() // (number + 1))
            left = left - dealt
            shards[str(number)] = dict(zip("abc", dealt.tolist(), strict=True))
        alarms += shard_balance_of(shards).mixed is False
    assert alarms <= 2  # of 4000, 1 in 10,000 are 0.4; the normal distribution calls 5


def test_a_shuffle_that_is_a_little_uneven_is_no_alarm_and_no_two_figures_are_equal():
    counts = {"a": {"x": 70, "y": 30}, **{name: {"x": 50, "y": 50} for name in "bcdefghij"}}
    balance = shard_balance_of(counts)
    assert 0.0001 < balance.p < 0.01  # which was called NOT well mixed
    assert balance.mixed is True
    assert re.fullmatch(
        r"classes are well mixed over shards: largest residual 3\.8, as random shuffles have it "
        r"\(p 0\.00\d+\)",
        balance.sentence,
    )


@pytest.mark.parametrize("more", range(30))
def test_a_p_beside_the_limit_is_told_apart_from_it(more):
    counts = {name: {"x": 5000, "y": 5000} for name in "abcdefghij"}
    counts["a"] = {"x": 5200 + more, "y": 4800 - more}
    balance = shard_balance_of(counts)
    said = float(re.search(r"\(p (\S+)\)", balance.sentence)[1])
    assert math.isclose(said, balance.p, rel_tol=0.1)
    assert (said < 0.0001) == (balance.p < 0.0001)
    assert ("NOT" in balance.sentence) == (balance.mixed is False) == (balance.p < 0.0001)


def test_sorted_classes_are_called_not_mixed_and_the_cell_is_named():
    labels = np.repeat(["cat", "dog"], [500, 500])
    balance = shard_balance_of(table_of(labels, 10))
    assert balance.mixed is False
    assert balance.residual > 10
    assert balance.sentence.startswith("classes are NOT well mixed over shards: largest residual")
    assert "as fewer than 1 in 10,000 random shuffles have it (p " in balance.sentence
    assert f"({balance.class_name!r} in {balance.shard})" in balance.sentence


def test_a_slightly_sorted_table_is_called_not_mixed_too():
    labels = np.repeat(["cat", "dog"], [500, 500])
    rng = np.random.default_rng(0)
    rng.shuffle(labels[:300])  # dogs all at the end
    assert shard_balance_of(table_of(labels, 10)).mixed is False


def test_cells_with_few_expected_records_are_left_out_and_it_is_said():
    counts = {"a": {"common": 96, "rare": 4}, "b": {"common": 100, "rare": 0}}
    balance = shard_balance_of(counts)
    assert balance.left_out == 2
    assert balance.sentence.endswith("(2 cells with under 5 expected records left out)")
    assert balance.mixed is True


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
    balance = shard_balance_of(counts)
    assert (balance.mixed, balance.sentence) == (None, sentence)
