"""segrecord.grain beyond what all adapters promise: Grain's own loaders and checkpoints."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import datasets
import segrecord
import segrecord.grain
from segrecord.errors import UsageError
from segrecord.read.sampler import ShardedSampler, State

grain = pytest.importorskip("grain")

COUNT = 11
SIZE = (8, 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("set") / "d", {"train": (6, 5), "val": (2,)})


@pytest.fixture(scope="module")
def source(folder):
    return segrecord.grain.dataset(folder, image_size=SIZE)


def numbers(batch):
    """Of the samples in a batch, by their keys."""
    return [int(key.removeprefix("set/")) for key in batch["key"]]


def iterated(batches):
    return iter(grain.MapDataset.source(batches).to_iter_dataset())


def _cropped(element):
    return element | {"image": element["image"][:4, :5], "mask": element["mask"][:4, :5]}


def _other(element):
    return element


# Elements.


def test_an_element_is_a_dict_of_arrays(folder):
    found = segrecord.grain.dataset(folder)[2]
    made = datasets.sample(2)
    assert np.array_equal(found["image"], made.image)
    assert np.array_equal(found["mask"], made.mask)
    assert found["image"].dtype == found["mask"].dtype == np.uint8
    assert (found["label"], found["label"].dtype) == (made.label, np.int64)
    assert (found["has_mask"], found["valid"], found["key"]) == (True, True, made.key)


def test_one_hot_masks_are_zero_where_pixels_are_ignored_or_missing(folder):
    source = segrecord.grain.dataset(folder, one_hot=True)
    ids = datasets.sample(0).mask
    assert np.array_equal(source[0]["mask"], ids[..., None] == np.arange(3))
    assert source[0]["mask"].dtype == np.float32
    assert not source[3]["mask"].any()


def test_an_open_selection_is_a_source_too(folder):
    source = segrecord.grain.dataset(segrecord.open(folder, "train").select(label="dog"))
    assert [source[number]["label"] for number in range(len(source))] == [1] * 5


def test_grain_takes_both_as_random_access_data_sources(source):
    protocol = grain.sources.RandomAccessDataSource
    assert isinstance(source, protocol)
    assert isinstance(segrecord.grain.batches(source, 2), protocol)


# Grain's own DataLoader.


def loader(source, workers=0):
    return grain.DataLoader(
        data_source=source,
        sampler=grain.samplers.IndexSampler(len(source), num_epochs=1, shuffle=True, seed=1),
        operations=[grain.transforms.Batch(3)],
        worker_count=workers,
    )


def test_grains_loader_goes_on_from_its_checkpoint_in_a_copy_of_the_dataset(folder, tmp_path):
    source = segrecord.grain.dataset(folder, transform=_cropped)
    whole = [numbers(batch) for batch in loader(source)]
    first = iter(loader(source))
    assert numbers(next(first)) == whole[0]
    copy = shutil.copytree(folder, tmp_path / "copy")
    second = iter(loader(segrecord.grain.dataset(copy, transform=_cropped)))
    second.set_state(first.get_state())
    assert [numbers(batch) for batch in second] == whole[1:]


def test_the_text_of_a_source_is_the_same_in_every_process(folder):
    source = segrecord.grain.dataset(folder, transform=_cropped)
    for one in (source, segrecord.grain.batches(source, 2)):
        assert "transform=_cropped" in repr(one)
        assert " at 0x" not in repr(one)
        assert str(folder) not in repr(one)
    assert "transform=None" in repr(segrecord.grain.dataset(folder))


def test_grains_loader_refuses_the_checkpoint_of_other_elements(folder, source):
    first = iter(loader(source))
    next(first)
    ds = segrecord.open(folder, "train")
    others = [
        segrecord.grain.dataset(folder),
        segrecord.grain.dataset(ds.select(range(10, -1, -1)), image_size=SIZE),
        segrecord.grain.dataset(folder, image_size=SIZE, one_hot=True),
        segrecord.grain.dataset(folder, image_size=SIZE, transform=_other),
    ]
    for other in others:
        with pytest.raises(ValueError, match="DataSource in checkpoint does not match"):
            iter(loader(other)).set_state(first.get_state())


@pytest.mark.slow
def test_the_workers_of_grains_loader_read_the_same(source):
    batches = iter(loader(source, workers=1))
    found = [number for batch in batches for number in numbers(batch)]
    assert found == [number for batch in loader(source) for number in numbers(batch)]


# Batches in our order.


def test_epochs_follow_one_another_each_in_its_own_order(source):
    batches = segrecord.grain.batches(source, 4, epochs=3, seed=5, drop_last=False)
    steps = [
        step
        for epoch in range(3)
        for step in ShardedSampler(COUNT, 4, 5, drop_last=False).batches(epoch)
    ]
    assert len(batches) == len(steps) == 9
    assert [numbers(batch) for batch in iterated(batches)] == [step.rows.tolist() for step in steps]


@pytest.mark.parametrize("last", [{}, {"pad": True}, {"drop_last": False}])
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_state_after_any_batch_leads_to_those_that_follow(source, last, ranks):
    order = {"world_size": ranks, "rank": ranks - 1, **last}
    batches = segrecord.grain.batches(source, 2, epochs=3, seed=5, **order)
    whole = [numbers(batch) for batch in iterated(batches)]
    for delivered in range(len(batches)):
        state = State.from_json(batches.state(delivered).to_json())
        rest = segrecord.grain.batches(source, 2, epochs=3 - state.epoch, state=state, **order)
        assert [numbers(batch) for batch in iterated(rest)] == whole[delivered:]
    assert batches.state(len(batches)) == State(state.fingerprint, 5, 3, 0)


def test_grains_checkpoint_counts_what_was_delivered_and_not_what_was_read_ahead(source):
    batches = segrecord.grain.batches(source, 2, seed=5)
    options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    running = iter(grain.MapDataset.source(batches).to_iter_dataset(options))
    found = [numbers(next(running)) for _ in range(2)]
    state = running.get_state()
    assert batches.state(state["next_index"]).samples_consumed == 4
    again = iterated(batches)
    again.set_state(state)
    assert found + [numbers(batch) for batch in again] == [numbers(one) for one in batches]


@pytest.mark.filterwarnings("ignore::segrecord.DamagedRecordWarning")
def test_a_batch_of_damaged_records_alone_is_left_out_and_counted(tmp_path):
    folder = datasets.make(tmp_path / "d", {"train": (6,)})
    shard = folder / "train-00000-of-00001.tfrecord"
    data = bytearray(shard.read_bytes())
    for row in segrecord.open(folder).records.slice(2, 2).to_pylist():
        data[row["offset"] + 60] ^= 4
    shard.write_bytes(data)
    source = segrecord.grain.dataset(folder, image_size=SIZE, on_error="skip")
    assert source[2] is None
    batches = segrecord.grain.batches(source, 2, shuffle=False)
    running = iterated(batches)
    assert [numbers(next(running)) for _ in range(2)] == [[0, 1], [4, 5]]
    assert batches.state(running.get_state()["next_index"]).epoch == 1


def test_a_transform_may_bring_images_to_one_size(folder):
    with pytest.raises(UsageError, match="images of one batch must be of one size"):
        segrecord.grain.batches(segrecord.grain.dataset(folder), 4)
    source = segrecord.grain.dataset(folder, transform=_cropped)
    assert segrecord.grain.batches(source, 4)[0]["image"].shape == (4, 4, 5, 3)


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"world_size": 2, "rank": 2}, r"rank must be in \[0, 2\), got 2"),
        ({"drop_last": "keep"}, "drop_last must be True or False, got 'keep'"),
        ({"state": State("ab" * 32)}, "open the same dataset, split and selection"),
    ],
)
def test_a_value_out_of_range_is_refused(source, options, message):
    with pytest.raises(UsageError, match=message):
        segrecord.grain.batches(source, 2, **options)


def test_a_state_past_the_end_is_refused(source):
    state = State(source.elements.dataset.fingerprint, 0, 0, COUNT + 1)
    with pytest.raises(UsageError, match="the state counts 12 samples, an epoch has 11"):
        segrecord.grain.batches(source, 2, state=state)


@pytest.mark.parametrize("number", [-1, 5])
def test_a_batch_that_there_is_not_is_an_index_error(source, number):
    batches = segrecord.grain.batches(source, 2)
    with pytest.raises(IndexError, match=f"there are 5 batches, counted from 0; got {number}"):
        _ = batches[number]


def test_a_state_after_more_batches_than_there_are_is_an_index_error(source):
    with pytest.raises(IndexError, match="there are 5 batches"):
        segrecord.grain.batches(source, 2).state(6)


def test_what_the_dataset_cannot_give_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="no split 'test', it has train, val"):
        segrecord.grain.dataset(folder, "test")
    packed = datasets.make(tmp_path / "packed", compression="gzip")
    with pytest.raises(UsageError, match="compressed"):
        segrecord.grain.dataset(packed)
    bare = datasets.make(tmp_path / "bare", masks=False)
    with pytest.raises(UsageError, match="one_hot needs mask classes"):
        segrecord.grain.dataset(bare, one_hot=True)


def test_importing_the_adapter_loads_no_grain():
    program = "import sys, segrecord.grain; print('grain' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
