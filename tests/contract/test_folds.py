"""Folds in every reader: over all folds each record is `val` once, and `train` is all the others.

A reader is a function from a dataset's folder, a fold and a part to the keys that it gives, in
their order.
"""

import numpy as np
import pytest

import datasets
import folds
import make
import segrecord
import segrecord.grain
import segrecord.tensorflow
import segrecord.torch
from segrecord.errors import UsageError

COUNTS = (5, 4, 6)
SIZE = (8, 7)
SAMPLES = [datasets.sample(number) for number in range(sum(COUNTS))]
ALL = [one.key for one in SAMPLES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folds.make(tmp_path_factory.mktemp("set") / "lesions", COUNTS)


def numpy_keys(source, **chosen):
    found = segrecord.open(source, **chosen).batches(2, image_size=SIZE, drop_last=False, seed=3)
    return [key for batch in found for key in batch.key]


def torch_keys(source, **chosen):
    pytest.importorskip("torch")
    samples = segrecord.torch.dataset(source, image_size=SIZE, **chosen)
    batches = segrecord.torch.loader(samples, 2, world_size=1, rank=0, drop_last=False, seed=3)
    return [key for batch in batches for key in batch["key"]]


def grain_keys(source, **chosen):
    found = segrecord.grain.dataset(source, image_size=SIZE, **chosen)
    batches = segrecord.grain.batches(found, 2, drop_last=False, seed=3)
    return [key for number in range(len(batches)) for key in batches[number]["key"]]


def exact_keys(source, **chosen):
    pytest.importorskip("tensorflow")
    found = segrecord.tensorflow.dataset(
        source,
        batch_size=2,
        image_size=SIZE,
        exact=True,
        shuffle=True,
        seed=3,
        drop_last=False,
        **chosen,
    )
    return [key.decode() for batch in found.as_numpy_iterator() for key in batch["key"]]


def native_keys(source, known=SAMPLES, **chosen):
    """The native reader gives no keys: a sample is known by its pixels."""
    pytest.importorskip("tensorflow")
    keys = {one.image.tobytes(): one.key for one in known}
    found = segrecord.tensorflow.dataset(source, shuffle=True, seed=3, **chosen)
    images = [one["image"] for one in found.as_numpy_iterator()]
    assert int(found.cardinality()) == len(images)
    return [keys[np.asarray(image).tobytes()] for image in images]


marked = pytest.mark.tensorflow
READERS = [
    numpy_keys,
    pytest.param(torch_keys, marks=pytest.mark.torch),
    grain_keys,
    pytest.param(exact_keys, marks=marked),
    pytest.param(native_keys, marks=marked),
]


@pytest.mark.parametrize("keys", READERS)
def test_over_all_folds_each_record_is_val_once_and_train_is_all_the_others(keys, folder):
    tested = []
    for fold in range(len(COUNTS)):
        val = keys(folder, fold=fold, part="val")
        train = keys(folder, fold=fold, part="train")
        assert sorted(val) == folds.keys(COUNTS, fold, "val")
        assert sorted(train) == folds.keys(COUNTS, fold, "train")
        tested += val
    assert sorted(tested) == ALL


@pytest.mark.parametrize("keys", READERS)
def test_folds_that_were_built_are_read_as_such(keys, tmp_path, inline):
    source = make.source(tmp_path / "source", 9)
    built = segrecord.build(str(source), tmp_path / "out", folds=3, shards=2)
    index = segrecord.open(built.path).records.to_pylist()
    known = {} if keys is not native_keys else {"known": segrecord.open(built.path)}
    for fold in range(3):
        val = [row["key"] for row in index if row["split"] == f"fold{fold}"]
        train = [row["key"] for row in index if row["split"] != f"fold{fold}"]
        assert sorted(keys(built.path, fold=fold, part="val", **known)) == sorted(val)
        assert sorted(keys(built.path, fold=fold, part="train", **known)) == sorted(train)


@pytest.mark.parametrize("keys", READERS)
def test_the_folds_of_a_train_part_come_mixed_and_not_one_after_the_other(keys, folder):
    found = keys(folder, fold=1, part="train")
    of_fold = [0 if ALL.index(key) < COUNTS[0] else 2 for key in found]
    assert of_fold not in (sorted(of_fold), sorted(of_fold, reverse=True))


@pytest.mark.parametrize("keys", READERS[1:4])
def test_the_order_is_the_same_in_every_reader(keys, folder):
    chosen = {"fold": 1, "part": "train"}
    assert keys(folder, **chosen) == numpy_keys(folder, **chosen)


@pytest.mark.parametrize("keys", READERS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": 1}, "fold=1 needs its part"),
        ({"part": "val"}, "is that of a fold"),
        ({"fold": 3, "part": "val"}, "fold must be from 0 to 2"),
        ({"split": "fold1", "fold": 1, "part": "val"}, "split and fold exclude each other"),
    ],
)
def test_every_reader_refuses_what_chooses_no_fold(keys, options, message, folder):
    with pytest.raises(UsageError, match=message):
        keys(folder, **options)


@pytest.mark.parametrize("keys", READERS[1:])
def test_an_adapter_without_any_choice_says_that_there_are_folds(keys, folder):
    with pytest.raises(UsageError, match="no split 'train', it has fold0, fold1, fold2; it has"):
        keys(folder)


@pytest.mark.parametrize("keys", READERS[1:4])
def test_a_dataset_that_is_open_takes_no_fold(keys, folder):
    opened = segrecord.open(folder, fold=1, part="train")
    assert keys(opened) == keys(folder, fold=1, part="train")
    with pytest.raises(UsageError, match=r"is open already.*part='val' to segrecord\.open"):
        keys(opened, fold=1, part="val")


@pytest.mark.parametrize("keys", READERS)
def test_a_fold_of_a_dataset_without_folds_is_refused(keys, tmp_path):
    with pytest.raises(UsageError, match="has no folds"):
        keys(datasets.make(tmp_path / "d"), fold=0, part="train")


@pytest.mark.torch
def test_a_state_of_one_folds_training_is_refused_by_anothers_in_torch(folder):
    pytest.importorskip("torch")
    first, second = (
        segrecord.torch.dataset(folder, fold=fold, part="train", image_size=SIZE) for fold in (1, 2)
    )
    state = segrecord.torch.sampler(first, 2, world_size=1, rank=0).state_dict()
    other = segrecord.torch.sampler(second, 2, world_size=1, rank=0)
    with pytest.raises(UsageError, match="open the same dataset, split and selection"):
        other.load_state_dict(state)


def test_a_state_of_one_folds_training_is_refused_by_anothers_in_grain(folder):
    first, second = (
        segrecord.grain.dataset(folder, fold=fold, part="train", image_size=SIZE) for fold in (1, 2)
    )
    state = segrecord.grain.batches(first, 2).state(1)
    assert state.samples_consumed == 2
    with pytest.raises(UsageError, match="open the same dataset, split and selection"):
        segrecord.grain.batches(second, 2, state=state)
    assert repr(first) != repr(second)  # what Grain's own loader compares


@pytest.mark.tensorflow
def test_a_state_of_one_folds_training_is_refused_by_anothers_in_tensorflow(folder):
    pytest.importorskip("tensorflow")
    order = {"batch_size": 2, "part": "train"}
    state = segrecord.tensorflow.state_after(1, folder, fold=1, **order)
    assert segrecord.tensorflow.state_after(0, folder, fold=1, state=state, **order) == state
    with pytest.raises(UsageError, match="open the same dataset, split and selection"):
        segrecord.tensorflow.state_after(0, folder, fold=2, state=state, **order)
