"""Folds: which records are chosen, what is refused, and that a resume cannot cross folds."""

import pickle

import numpy as np
import pytest

import datasets
import folds
import segrecord
from segrecord.errors import UsageError
from segrecord.read.index import Choice

COUNTS = (5, 4, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folds.make(tmp_path_factory.mktemp("set") / "lesions", COUNTS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("set") / "plain")


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("fold", range(3))
def test_val_is_the_fold_and_train_all_others_in_their_order(folder, fold, part):
    found = segrecord.open(folder, fold=fold, part=part)
    assert [one.key for one in found] == folds.keys(COUNTS, fold, part)
    assert found.records["key"].to_pylist() == folds.keys(COUNTS, fold, part)


def test_without_a_fold_all_records_are_opened_and_a_fold_is_a_split_too(folder):
    assert len(segrecord.open(folder)) == 15
    assert len(segrecord.open(folder, "fold1")) == 4
    whole = segrecord.open(folder, "fold1").fingerprint
    assert segrecord.open(folder, fold=1, part="val").fingerprint == whole


def test_a_number_of_numpy_is_a_fold(folder):
    assert len(segrecord.open(folder, fold=np.int64(2), part="val")) == 6


def test_more_than_ten_folds_are_found_by_their_padded_names(tmp_path):
    counts = (3,) * 12
    made = datasets.make(tmp_path / "d", {f"fold{n:02d}": (3,) for n in range(12)})
    datasets.edit_manifest(made, lambda content: content["options"].update(plan={"folds": 12}))
    for fold in (0, 1, 10, 11):
        found = segrecord.open(made, fold=fold, part="val")
        assert [one.key for one in found] == folds.keys(counts, fold, "val")


def test_an_empty_fold_that_has_no_split_is_empty(tmp_path):
    made = folds.make(tmp_path / "d", COUNTS)
    datasets.edit_manifest(made, lambda content: content["options"].update(plan={"folds": 4}))
    assert len(segrecord.open(made, fold=3, part="val")) == 0
    assert len(segrecord.open(made, fold=3, part="train")) == 15


def test_compressed_folds_are_read_from_the_start(tmp_path):
    made = folds.make(tmp_path / "d", COUNTS, compression="gzip")
    found = segrecord.open(made, fold=1, part="train")
    assert [one.key for one in found] == folds.keys(COUNTS, 1, "train")


def test_a_fold_travels_to_other_processes_and_is_selected_further(folder):
    train = segrecord.open(folder, fold=1, part="train")
    assert [one.key for one in pickle.loads(pickle.dumps(train))] == folds.keys(COUNTS, 1, "train")
    assert train.select([5])[0].key == datasets.sample(9).key
    assert {one.label for one in train.select(label="dog")} == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": 1}, "fold=1 needs its part, got none: pass part='train' .* or part='val'"),
        ({"fold": 1, "part": "test"}, "fold=1 needs its part, got 'test'"),
        ({"part": "train"}, "part='train' is that of a fold: pass fold=0, 1, ... with it"),
        ({"fold": 3, "part": "val"}, r"fold must be from 0 to 2 in .*, got 3"),
        ({"fold": -1, "part": "val"}, r"fold must be from 0 to 2 in .*, got -1"),
        ({"fold": 1.0, "part": "val"}, r"fold must be an integer, got 1\.0"),
        ({"fold": True, "part": "val"}, "fold must be an integer, got True"),
        ({"fold": "1", "part": "val"}, "fold must be an integer, got '1'"),
        (
            {"split": "fold1", "fold": 1, "part": "val"},
            "split and fold exclude each other, got split='fold1', fold=1 .*: leave split out",
        ),
        ({"split": "fold1", "part": "val"}, "split and fold exclude each other"),
        ({"split": "train"}, r"no split 'train', it has fold0, .*: pass fold= and part= instead"),
    ],
)
def test_what_chooses_no_fold_is_refused(folder, options, message):
    with pytest.raises(UsageError, match=message):
        segrecord.open(folder, **options)


def test_a_dataset_without_folds_says_how_to_get_some(plain):
    message = r"has no folds, it has train, val; got fold=0: pass a split, or build with --folds K"
    with pytest.raises(UsageError, match=message):
        segrecord.open(plain, fold=0, part="train")


def test_shards_of_others_have_no_folds(folder, tmp_path):
    kept = tmp_path / "index.arrow"
    with pytest.raises(UsageError, match="has no folds, it has no splits; got fold=0"):
        segrecord.open(
            folder / "fold0-*.tfrecord", fold=0, part="val", schema="deeplab", index=kept
        )


def test_a_choice_of_nothing_is_the_default_split():
    assert Choice().or_split("train") == Choice("train")
    assert Choice("val").or_split("train") == Choice("val")
    assert Choice(fold=0, part="val").or_split("train") == Choice(None, 0, "val")


def test_a_state_of_one_fold_is_refused_by_every_other_part(folder):
    parts = {
        (fold, part): segrecord.open(folder, fold=fold, part=part)
        for fold in range(3)
        for part in ("train", "val")
    }
    assert len({found.fingerprint for found in parts.values()}) == 6
    state = parts[1, "train"].batches(2, image_size=(8, 8)).state
    parts[1, "train"].batches(2, image_size=(8, 8), state=state)
    for chosen, other in parts.items():
        if chosen != (1, "train"):
            with pytest.raises(UsageError, match="open the same dataset, split and selection"):
                other.batches(2, image_size=(8, 8), state=state)


def test_the_index_of_a_fold_that_is_in_one_piece_is_a_view_of_the_map(folder):
    train = segrecord.open(folder, fold=0, part="train")
    assert train.rows == range(5, 15)
    assert segrecord.open(folder, fold=2, part="train").rows == range(9)
