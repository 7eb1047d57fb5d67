"""segrecord.torch beyond what all adapters promise: tensors, workers, DataLoader's options."""

import builtins
import json
import random
import subprocess
import sys

import numpy as np
import pytest

import datasets
import segrecord
import segrecord.torch
from segrecord.errors import RecordError, UsageError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

COUNT = 11
SIZE = (8, 7)
SHARD = "train-00000-of-00002.tfrecord"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("set") / "d", {"train": (6, 5), "val": (2,)})


@pytest.fixture(scope="module")
def samples(folder):
    return segrecord.torch.dataset(folder, image_size=SIZE)


def keys(batches):
    return [key for batch in batches for key in batch["key"]]


def damage(folder, numbers):
    """Flip a bit of these records' data."""
    rows = segrecord.open(folder, "train").records.to_pylist()
    for number in numbers:
        shard = folder / f"train-{rows[number]['shard']:05d}-of-00002.tfrecord"
        data = bytearray(shard.read_bytes())
        data[rows[number]["offset"] + 60] ^= 4
        shard.write_bytes(data)
    return folder


# Samples.


def test_a_sample_is_made_of_tensors_with_the_channels_first(folder):
    found = segrecord.torch.dataset(folder)[2]
    made = datasets.sample(2)
    assert found["image"].dtype == found["mask"].dtype == torch.uint8
    assert found["image"].is_contiguous()
    assert np.array_equal(found["image"].permute(1, 2, 0).numpy(), made.image)
    assert np.array_equal(found["mask"].numpy(), made.mask)
    assert (found["label"].dtype, found["label"].item()) == (torch.int64, made.label)
    assert (found["has_mask"].dtype, found["has_mask"].item()) == (torch.bool, True)
    assert (found["valid"].item(), found["key"]) == (True, made.key)


def test_samples_are_given_in_the_order_that_they_are_asked_for_in(samples):
    found = samples.__getitems__([7, 0, 7, 3])
    assert [one["key"] for one in found] == [datasets.sample(n).key for n in (7, 0, 7, 3)]


def test_a_sample_may_be_written_to_and_changes_no_other(samples):
    samples[0]["image"].zero_()
    samples[0]["mask"].zero_()
    assert samples[0]["image"].any()
    assert samples[0]["mask"].any()


def test_a_missing_mask_adds_nothing_to_a_cross_entropy(samples):
    (batch,) = segrecord.torch.loader(samples, COUNT, shuffle=False)
    assert batch["has_mask"].tolist() == [n % 4 != 3 for n in range(COUNT)]
    logits = torch.randn(COUNT, 3, *SIZE, generator=torch.Generator().manual_seed(0))

    def loss(chosen):
        masks = batch["mask"][chosen].long()
        entropy = torch.nn.functional.cross_entropy
        return entropy(logits[chosen], masks, ignore_index=255, reduction="sum")

    assert torch.isclose(loss(batch["has_mask"]), loss(torch.full((COUNT,), fill_value=True)))
    assert loss(~batch["has_mask"]) == 0


def test_one_hot_masks_are_planes_that_are_zero_where_pixels_are_ignored(folder):
    found = segrecord.torch.dataset(folder, one_hot=True)[0]["mask"]
    ids = torch.from_numpy(datasets.sample(0).mask)
    assert (found.dtype, tuple(found.shape)) == (torch.float32, (3, 8, 7))
    for number in range(3):
        assert torch.equal(found[number], (ids == number).float())


def test_an_open_selection_is_a_dataset_too(folder):
    chosen = segrecord.open(folder, "train").select(label="dog")
    found = segrecord.torch.dataset(chosen)
    assert len(found) == 5
    assert {one["label"].item() for one in found.__getitems__(range(5))} == {1}


# Transforms.


def _cropped(element):
    image = element["image"][:4, :5].astype(np.float32) / 255
    return {"image": image, "mask": element["mask"][:4, :5], "weight": np.float32(0.5)}


def _drawn(element):
    numbers = (random.random(), np.random.random(), torch.rand(()).item())  # noqa: NPY002 - global
    return element | {"drawn": np.array(numbers)}


def test_a_transform_takes_arrays_and_what_it_gives_become_tensors_of_their_own_types(folder):
    (found,) = segrecord.torch.dataset(folder, transform=_cropped).__getitems__([1])
    assert set(found) == {"image", "mask", "weight"}
    assert (found["image"].dtype, tuple(found["image"].shape)) == (torch.float32, (3, 4, 5))
    assert (found["mask"].dtype, tuple(found["mask"].shape)) == (torch.uint8, (4, 5))
    assert (found["weight"].dtype, found["weight"].item()) == (torch.float32, 0.5)


GIVEN = {
    "image": [(8, 7, 3), (8, 7, 1), (8, 7), (3, 9, 3)],
    "mask": [(8, 7), (8, 7, 1), (8, 7, len(datasets.MASK_CLASSES))],
}
REFUSED = {
    "image": [(3, 8, 7), (1, 8, 7), (8, 7, 4), (2, 8, 7, 3), (8,), ()],
    "mask": [(1, 8, 7), (3, 8, 7), (8, 7, 2), (2, 8, 7, 1)],
}
SHAPES = [(name, shape) for name, shapes in GIVEN.items() for shape in shapes]


@pytest.mark.parametrize(("name", "shape"), SHAPES)
def test_channels_that_a_transform_leaves_last_come_first(folder, name, shape):
    made = np.random.default_rng(0).random(shape, np.float32)
    samples = segrecord.torch.dataset(folder, transform=lambda element: element | {name: made})
    for found in (samples[0], *samples.__getitems__([0])):
        expected = np.moveaxis(made, 2, 0) if made.ndim == 3 else made
        assert np.array_equal(found[name].numpy(), expected)


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, shapes in REFUSED.items() for shape in shapes]
)
@pytest.mark.parametrize("one_hot", [False, True])
def test_an_array_of_another_shape_is_refused_and_a_tensor_left_as_it_is(
    folder, name, shape, one_hot
):
    made = np.zeros(shape, np.float32)

    def change(element):
        return element | {name: made}

    samples = segrecord.torch.dataset(folder, transform=change, one_hot=one_hot)
    for read in (lambda: samples[0], lambda: samples.__getitems__([0])):
        with pytest.raises(UsageError) as caught:
            read()
        assert f"gives {name} as an array of shape {shape}: give (H, W, " in str(caught.value)
        assert "or a tensor" in str(caught.value)
    given = torch.from_numpy(made)
    tensors = segrecord.torch.dataset(folder, transform=lambda element: element | {name: given})
    assert tensors[0][name] is given


def _first(element):
    return element | {"image": element["image"].transpose(2, 0, 1)}


def test_a_worker_tells_of_channels_that_are_first_already(folder):
    samples = segrecord.torch.dataset(folder, image_size=(8, 16), transform=_first)
    for workers in (0, 1):
        with pytest.raises(UsageError, match=r"image as an array of shape \(3, 8, 16\)"):
            next(iter(segrecord.torch.loader(samples, 2, num_workers=workers)))


def test_a_transform_may_bring_images_to_one_size(folder):
    with pytest.raises(UsageError, match="images of one batch must be of one size"):
        segrecord.torch.loader(segrecord.torch.dataset(folder), 4)
    samples = segrecord.torch.dataset(folder, transform=_cropped)
    shapes = {tuple(batch["image"].shape) for batch in segrecord.torch.loader(samples, 4)}
    assert shapes == {(4, 3, 4, 5)}


def test_a_collate_function_may_take_images_of_unequal_size(folder):
    samples = segrecord.torch.dataset(folder)
    found = next(iter(segrecord.torch.loader(samples, COUNT, collate_fn=list)))
    assert len({one["image"].shape for one in found}) > 1


def test_workers_draw_other_random_numbers_in_each_epoch_and_on_each_rank_and_the_same_again(
    folder,
):
    samples = segrecord.torch.dataset(folder, image_size=SIZE, transform=_drawn)

    def drawn(rank):
        loader = segrecord.torch.loader(samples, 2, num_workers=1, world_size=2, rank=rank)
        return [tuple(batch["drawn"].flatten().tolist()) for _ in range(2) for batch in loader]

    first = drawn(0)
    assert drawn(0) == first
    assert len({value for batch in (*first, *drawn(1)) for value in batch}) == 2 * 4 * 2 * 3


def test_iterating_takes_nothing_from_torchs_own_random_numbers(samples):
    before = torch.get_rng_state()
    list(segrecord.torch.loader(samples, 2))
    list(segrecord.torch.loader(samples, 2, num_workers=1))
    assert torch.equal(torch.get_rng_state(), before)


# Workers.


def test_spawned_workers_open_the_dataset_themselves(samples):
    options = {"num_workers": 1, "multiprocessing_context": "spawn"}
    found = keys(segrecord.torch.loader(samples, 4, drop_last=False, **options))
    assert found == keys(segrecord.torch.loader(samples, 4, drop_last=False))


def _process(element):
    import os

    return element | {"process": np.int64(os.getpid())}


def test_persistent_workers_stay_over_epochs_and_an_iteration_that_was_left(folder):
    samples = segrecord.torch.dataset(folder, image_size=SIZE, transform=_process)
    loader = segrecord.torch.loader(samples, 3, num_workers=1, persistent_workers=True)
    expected = segrecord.torch.loader(samples, 3)
    found, processes = [], set()
    for stop in (2, None, None):
        for number, batch in enumerate(loader, 1):
            found += batch["key"]
            processes |= set(batch["process"].tolist())
            if number == stop:
                break
    assert found == [key for _ in range(2) for key in keys(expected)]
    assert len(processes) == 1


def test_the_state_counts_what_was_delivered_and_not_what_workers_have_read(samples):
    loader = segrecord.torch.loader(samples, 2, num_workers=2, prefetch_factor=2)
    counted = [loader.state.samples_consumed for _ in loader]
    assert counted == [2, 4, 6, 8, 0]
    assert loader.state.epoch == 1


def test_damage_is_named_by_a_worker_too(tmp_path):
    folder = damage(datasets.make(tmp_path / "d", {"train": (6, 5)}), [2])
    samples = segrecord.torch.dataset(folder, image_size=SIZE)
    with pytest.raises(RecordError, match=rf"{SHARD} record 2 at byte \d+"):
        list(segrecord.torch.loader(samples, 2, drop_last=False))
    loader = segrecord.torch.loader(samples, 2, drop_last=False, num_workers=1)
    with pytest.raises(RuntimeError, match=rf"RecordError: {SHARD} record 2 at byte \d+"):
        list(loader)


@pytest.mark.parametrize("workers", [0, 1])
def test_after_an_error_the_state_is_that_of_the_last_batch_delivered(tmp_path, workers):
    folder = damage(datasets.make(tmp_path / "d", {"train": (6, 5)}), [4])
    samples = segrecord.torch.dataset(folder, image_size=SIZE)
    loader = segrecord.torch.loader(samples, 2, shuffle=False, num_workers=workers)
    running = iter(loader)
    assert [len(next(running)["key"]) for _ in range(2)] == [2, 2]
    with pytest.raises((RecordError, RuntimeError), match="record 4"):
        next(running)
    assert (loader.state.epoch, loader.state.samples_consumed) == (0, 4)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore::segrecord.DamagedRecordWarning")
def test_a_batch_of_damaged_records_alone_is_left_out_and_counted(tmp_path, workers):
    folder = damage(datasets.make(tmp_path / "d", {"train": (6, 5)}), [2, 3, 7])
    samples = segrecord.torch.dataset(folder, image_size=SIZE, on_error="skip")
    loader = segrecord.torch.loader(samples, 2, shuffle=False, drop_last=False, num_workers=workers)
    found = [(loader.state.samples_consumed, len(batch["key"])) for batch in loader]
    assert found == [(2, 2), (6, 2), (8, 1), (10, 2), (0, 1)]


# Ranks and state.


def test_ranks_are_those_of_torch_distributed_where_it_is_initialised(samples, monkeypatch):
    assert segrecord.torch.sampler(samples, 2).order.world_size == 1
    distributed = torch.distributed
    for name, value in (("is_initialized", True), ("get_world_size", 4), ("get_rank", 2)):
        monkeypatch.setattr(distributed, name, lambda value=value: value)
    order = segrecord.torch.sampler(samples, 2).order
    assert (order.world_size, order.rank) == (4, 2)
    order = segrecord.torch.sampler(samples, 2, world_size=3, rank=1).order
    assert (order.world_size, order.rank) == (3, 1)


def test_a_state_is_plain_and_brings_its_seed_into_a_loader_of_another(samples):
    first = segrecord.torch.loader(samples, 2, seed=8)
    got = next(iter(first))["key"]
    other = segrecord.torch.loader(samples, 3, seed=1, drop_last=False)
    other.load_state_dict(json.loads(json.dumps(first.state_dict())))
    whole = keys(segrecord.torch.loader(samples, 1, seed=8))
    assert len(other) == 3
    assert got + keys(other) == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "ab" * 32}, "open the same dataset, split and selection"),
        ({"version": 9}, "a state of version 9 cannot be read"),
        ({"samples_consumed": COUNT + 1}, "the state counts 12 samples, an epoch has 11"),
        ({"more": 1}, "a state must have the fields"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(samples, change, message):
    loader = segrecord.torch.loader(samples, 2)
    before = loader.state_dict()
    with pytest.raises(UsageError, match=message):
        loader.load_state_dict(before | change)
    assert loader.state_dict() == before


def test_len_is_what_is_left_of_the_epoch(samples):
    loader = segrecord.torch.loader(samples, 4, pad=True)
    assert len(loader) == 3
    next(iter(loader))
    assert len(loader) == len(list(loader)) == 2
    assert len(loader) == 3


def test_an_epoch_of_which_no_batch_is_left_is_followed_by_the_next(samples):
    state = segrecord.torch.loader(samples, 1).state
    late = segrecord.State(state.fingerprint, 0, 0, COUNT - 1)
    for make in (segrecord.torch.loader, segrecord.torch.sampler):
        found = make(samples, 4, state=late)
        assert list(found) == []
        assert found.state_dict() == state.next_epoch().to_dict()


# What is refused.


@pytest.mark.parametrize("option", ["sampler", "batch_sampler", "generator"])
def test_options_that_the_order_decides_are_refused(samples, option):
    with pytest.raises(UsageError, match=f"the seeded order decides about {option}"):
        segrecord.torch.loader(samples, 2, **{option: None})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world_size": 2}, "give both world_size and rank, or none; got 2 and None"),
        ({"rank": 0}, "give both world_size and rank, or none; got None and 0"),
        ({"world_size": 2, "rank": 2}, r"rank must be in \[0, 2\), got 2"),
        ({"drop_last": "keep"}, "drop_last must be True or False, got 'keep'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_a_value_out_of_range_is_refused(samples, options, message):
    for make in (segrecord.torch.loader, segrecord.torch.sampler):
        with pytest.raises(UsageError, match=message):
            make(samples, 2, **options)


def test_what_the_dataset_cannot_give_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="no split 'test', it has train, val"):
        segrecord.torch.dataset(folder, "test")
    with pytest.raises(UsageError, match=r"image_size must be .* got \(0, 5\)"):
        segrecord.torch.dataset(folder, image_size=(0, 5))
    packed = datasets.make(tmp_path / "packed", compression="gzip")
    with pytest.raises(UsageError, match="compressed"):
        segrecord.torch.dataset(packed)
    bare = datasets.make(tmp_path / "bare", masks=False)
    with pytest.raises(UsageError, match="one_hot needs mask classes"):
        segrecord.torch.dataset(bare, one_hot=True)


def test_without_torch_the_error_says_what_to_install(samples, monkeypatch):
    found = builtins.__import__

    def absent(name, *rest):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r"pip install segrecord\[torch\]"):
        _ = samples[0]


def test_importing_the_adapter_loads_no_torch():
    program = "import sys, segrecord.torch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
