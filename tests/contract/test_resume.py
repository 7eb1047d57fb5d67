"""A training that is interrupted again and again reads what one reads that never was.

test_adapters.py stops each adapter once. Here every pair of settings (ranks, workers) meets at a
random stop point, one training is stopped twenty times over several epochs, and torchdata's
StatefulDataLoader goes on from its own checkpoints.
"""

import itertools
import random

import pytest

import datasets
import segrecord
import segrecord.torch
from segrecord.read.sampler import State

torch = pytest.importorskip("torch")
stateful = pytest.importorskip("torchdata.stateful_dataloader")
pytestmark = pytest.mark.torch

COUNT = 45
SETTINGS = [(ranks, workers) for ranks in (1, 2, 4) for workers in (0, 2)]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    made = datasets.make(tmp_path_factory.mktemp("set") / "d", {"train": (16, 14, 15)})
    return segrecord.torch.dataset(made, image_size=(8, 7))


@pytest.fixture(scope="module")
def whole(samples):
    """Every sample of the first epochs, as bytes, in the order of an uninterrupted reading."""
    loader = segrecord.torch.loader(samples, 1, seed=3)
    return [sample for _ in range(12) for batch in loader for sample in as_bytes(batch)]


def as_bytes(batch):
    """Of each sample of a batch that is no repeat, everything, as bytes."""
    fields = ("image", "mask", "has_mask", "label")
    return [
        key.encode() + b"".join(batch[name][number].numpy().tobytes() for name in fields)
        for number, key in enumerate(batch["key"])
        if batch["valid"][number]
    ]


def dealt(ranks):
    """A step's part of the global sequence, of what each rank got."""
    return [
        sample
        for place in itertools.zip_longest(*map(as_bytes, ranks))
        for sample in place
        if sample is not None
    ]


def train(loaders, steps=None):
    """What the ranks read together in so many steps, or to the epoch's end; and their one state."""
    running = [iter(loader) for loader in loaders]
    found = [dealt(step) for step in itertools.islice(zip(*running, strict=True), steps)]
    states = [loader.state_dict() for loader in loaders]
    for one in running:
        one.close()
    assert all(state == states[0] for state in states)
    return [sample for step in found for sample in step], states[0]


def loaders(samples, setting, batch_size, state=None, **options):
    ranks, workers = setting
    found = [
        segrecord.torch.loader(
            samples, batch_size, seed=3, world_size=ranks, rank=rank, num_workers=workers, **options
        )
        for rank in range(ranks)
    ]
    for loader in found if state else ():
        loader.load_state_dict(state)
    return found


DICE = random.Random(7)
PAIRS = [
    (before, after, DICE.randrange(COUNT // (before[0] * 2) + 1), DICE.randint(1, 5))
    for before, after in itertools.permutations(SETTINGS, 2)
]


@pytest.mark.parametrize(("before", "after", "steps", "batch_size"), PAIRS)
def test_every_setting_is_continued_by_every_other_to_the_byte(
    samples, whole, before, after, steps, batch_size
):
    first, state = train(loaders(samples, before, 2), steps)
    assert len(first) == steps * before[0] * 2
    rest, end = train(loaders(samples, after, batch_size, state, pad=True))
    # A stop behind the last whole step is the beginning of the next epoch.
    begun = state["epoch"] * COUNT
    assert first + rest == whole[: len(first)] + whole[begun or len(first) :][: len(rest)]
    assert (len(rest), end["samples_consumed"]) == (COUNT - state["samples_consumed"], 0)


def test_a_training_stopped_twenty_times_over_several_epochs_reads_the_same(samples, whole):
    found, state, setting, dice = [], None, None, random.Random(1)
    for _ in range(20):
        setting = dice.choice([other for other in SETTINGS if other != setting])
        batch_size = dice.randint(1, 4)
        ranks = loaders(samples, setting, batch_size, state, pad=True)
        part, state = train(ranks, dice.randint(1, 4))
        found += part
        state = State.from_json(State.from_dict(state).to_json()).to_dict()
    assert state["epoch"] >= 2
    assert found == whole[: len(found)]
    assert len(found) == state["epoch"] * COUNT + state["samples_consumed"]


def torchdata(samples, setting, rank, **options):
    ranks, workers = setting
    sampler = segrecord.torch.sampler(samples, 2, seed=3, world_size=ranks, rank=rank, **options)
    return stateful.StatefulDataLoader(samples, batch_sampler=sampler, num_workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("steps", [0, 1, 4, 10, 11])
def test_torchdata_goes_on_from_its_own_checkpoint_under_other_ranks(
    samples, whole, workers, steps
):
    before = [torchdata(samples, (2, workers), rank) for rank in (0, 1)]
    running = [iter(loader) for loader in before]
    found = [one for step in range(steps) for one in dealt([next(rank) for rank in running])]
    state = before[0].state_dict()
    after = [torchdata(samples, (4, workers), rank, pad=True) for rank in range(4)]
    for loader in after:
        loader.load_state_dict(state)
    rest = [one for step in zip(*after, strict=True) for one in dealt(step)]
    begun = COUNT if steps == 11 else len(found)  # the last whole step ends the epoch
    assert found + rest == whole[: len(found)] + whole[begun:][: len(rest)]
    assert len(rest) == (COUNT if steps == 11 else COUNT - len(found))
