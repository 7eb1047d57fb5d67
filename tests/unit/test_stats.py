"""`stats`: the numbers of a dataset, and the statement whether its classes are well mixed."""

import json
import math

import numpy as np
import pytest
from rich.console import Console
from tests import datasets

from segrecord.errors import RecordError
from segrecord.reading.stats import (
    mixing_of,
    residuals,
    shuffle_limit,
    stats,
    to_json,
)
from segrecord.reporting.printed import print_stats


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


def test_the_numbers_are_those_of_the_records(tmp_path):
    folder = datasets.make(tmp_path / "lesions")
    found = stats(folder)
    samples = [datasets.sample(number) for number in range(9)]
    heights = [made.image.shape[0] for made in samples]
    assert (found.name, found.records) == ("lesions", 9)
    assert found.bytes == sum(path.stat().st_size for path in folder.glob("*.tfrecord"))
    assert found.heights == (min(heights), np.median(heights), np.mean(heights), max(heights))
    assert found.widths == (7, 7, 7, 7)
    lengths = datasets.read_index(folder)["length"].to_pylist()
    assert found.record_bytes == (min(lengths), np.median(lengths), np.mean(lengths), max(lengths))
    assert [split.name for split in found.splits] == ["train", "val"]
    assert found.splits[0].classes == {"cat": 4, "dog": 3}
    assert [shard.records for shard in found.splits[0].shards] == [4, 3]
    assert found.splits[0].shards[1].classes == {"cat": 2, "dog": 1}


def test_mask_coverage_is_that_of_the_masks(tmp_path):
    found = stats(datasets.make(tmp_path / "lesions")).masks
    ids = [made.mask for made in map(datasets.sample, range(9)) if made.mask is not None]
    shares = [float(((mask > 0) & (mask < 255)).mean()) for mask in ids]
    assert (found.records, found.missing) == (7, 2)
    assert np.allclose(
        found.foreground, [min(shares), np.median(shares), np.mean(shares), max(shares)]
    )
    flat = np.concatenate([mask.ravel() for mask in ids])
    assert list(found.classes) == list(datasets.MASK_CLASSES)
    assert list(found.classes.values()) == [int((flat == number).sum()) for number in range(3)]
    assert math.isclose(found.ignore_share, (flat == 255).mean())


def test_without_masks_and_classes_there_is_nothing_to_say_of_them(tmp_path):
    found = stats(datasets.make(tmp_path / "set", masks=False, labelled=False))
    assert found.masks == (0, 9, None, {}, None)
    assert found.splits[0].mixing.sentence == "the records have no classes"


def test_unchecked_masks_have_no_coverage(tmp_path):
    folder = datasets.make(tmp_path / "set")
    for row in range(9):
        datasets.edit_index(folder, row, mask_pixels=None, ignore_pixels=None)
    datasets.edit_manifest(
        folder, lambda content: content["masks"].update(checked=False, classes=[])
    )
    assert stats(folder).masks == (7, 2, None, {}, None)


def test_json_holds_plain_values_only(tmp_path):
    found = stats(datasets.make(tmp_path / "set"))
    content = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert content == to_json(found)
    assert content["splits"][0]["mixing"]["mixed"] is None
    assert content["masks"]["foreground"]["max"] == found.masks.foreground.max


def test_a_damaged_index_is_an_error(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "records.arrow").write_bytes(b"")
    with pytest.raises(RecordError, match="no sound Arrow file"):
        stats(folder)


def printed(found, **options):
    console = Console(width=80, record=False, **options)
    with console.capture() as capture:
        print_stats(console, found)
    return capture.get()


def test_the_printed_table_fits_80_columns_and_holds_every_shard(tmp_path):
    found = stats(datasets.make(tmp_path / "set", {"train": (2, 2, 2), "test": (2,)}))
    text = printed(found)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    for split in found.splits:
        for shard in split.shards:
            assert shard.name.removesuffix(".tfrecord") in text
    assert "train: too few records in a shard to say" in text
    assert "masks: 6 records with one, 2 without" in text
    assert "lesion" in text


def test_many_classes_are_printed_a_line_each(tmp_path):
    found = stats(datasets.make(tmp_path / "set"))
    classes = {f"a class of a rather long name, number {n} [b]": n for n in range(12)}
    split = found.splits[0]._replace(classes=classes)
    text = printed(found._replace(splits=(split,)))
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in classes)
