"""What every adapter promises, tested on each: the same order, and a resume that loses nothing.

An adapter is a function from a dataset and the options of an order to an object with `batches()`,
an iterator over the rest of the epoch that gives dicts of NumPy arrays, and `state`.
"""

import hashlib
import random
import warnings

import numpy as np
import pytest

import datasets
import segrecord
import segrecord.grain
import segrecord.torch
from segrecord.errors import RecordError, UsageError
from segrecord.read.sampler import permute

COUNT = 61
SIZE = (8, 7)
BATCH = 3

torch = pytest.importorskip("torch")
stateful = pytest.importorskip("torchdata.stateful_dataloader")
grain = pytest.importorskip("grain")
pytestmark = pytest.mark.torch


class Native:
    """`Dataset.batches`."""

    def __init__(self, ds, batch_size, *, workers=0, **order):
        self.it = ds.batches(batch_size, image_size=SIZE, threads=workers or 1, **order)

    def batches(self):
        for batch in self.it:
            yield batch._asdict()

    @property
    def state(self):
        return self.it.state


class Torch:
    """`segrecord.torch.loader`."""

    def __init__(self, ds, batch_size, *, workers=0, **order):
        samples = segrecord.torch.dataset(ds, image_size=SIZE)
        order = {"world_size": 1, "rank": 0} | order
        self.it = segrecord.torch.loader(samples, batch_size, num_workers=workers, **order)

    def batches(self):
        yield from map(_of_torch, self.it)

    @property
    def state(self):
        return segrecord.State.from_dict(self.it.state_dict())


class Stateful(Torch):
    """torchdata's StatefulDataLoader over our dataset and sampler."""

    def __init__(self, ds, batch_size, *, workers=0, **order):
        samples = segrecord.torch.dataset(ds, image_size=SIZE)
        order = {"world_size": 1, "rank": 0} | order
        sampler = segrecord.torch.sampler(samples, batch_size, **order)
        self.it = stateful.StatefulDataLoader(samples, batch_sampler=sampler, num_workers=workers)

    @property
    def state(self):
        # Whatever it wraps around it, one of its values is the state of our sampler.
        found = self.it.state_dict()
        while "fingerprint" not in found:
            inner = [found.get("_index_sampler_state"), *found.values()]
            found = next(value for value in inner if isinstance(value, dict) and value)
        return segrecord.State.from_dict(found)


class Grain:
    """Grain's own iterator over `segrecord.grain.batches`."""

    def __init__(self, ds, batch_size, *, workers=0, **order):
        source = segrecord.grain.dataset(ds, image_size=SIZE)
        self.source = segrecord.grain.batches(source, batch_size, **order)
        self.threads, self.delivered = workers, 0

    def batches(self):
        options = grain.ReadOptions(num_threads=self.threads, prefetch_buffer_size=4)
        for batch in grain.MapDataset.source(self.source).to_iter_dataset(options):
            self.delivered += 1
            yield batch

    @property
    def state(self):
        return self.source.state(self.delivered)


ADAPTERS = {"native": Native, "torch": Torch, "stateful": Stateful, "grain": Grain}


def _of_torch(batch):
    images = batch["image"].permute(0, 2, 3, 1)
    tensors = {name: batch[name].numpy() for name in ("mask", "has_mask", "label", "valid")}
    return tensors | {"image": images.numpy(), "key": np.array(batch["key"], object)}


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return ADAPTERS[request.param]


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    made = datasets.make(tmp_path_factory.mktemp("set") / "d", {"train": (20, 21, 20)})
    return segrecord.open(made, "train")


def digests(batch):
    """A digest of everything in each sample of a batch that is no repeat."""
    found = []
    for number in np.flatnonzero(batch["valid"]):
        one = [
            str(batch["key"][number]),
            int(batch["label"][number]),
            bool(batch["has_mask"][number]),
        ]
        told = hashlib.sha256(repr(one).encode())
        told.update(np.ascontiguousarray(batch["image"][number]).tobytes())
        told.update(np.ascontiguousarray(batch["mask"][number]).tobytes())
        found.append(told.hexdigest()[:12])
    return found


@pytest.fixture(scope="module")
def expected(ds):
    """The digests of epochs 0 and 1 in their order, made of single examples."""
    native = {}
    for batch in Native(ds, 1, shuffle=False).batches():
        native[str(batch["key"][0])] = digests(batch)[0]
    keys = ds.records["key"].to_pylist()
    return [
        [native[keys[permute(place, COUNT, 5, epoch)]] for place in range(COUNT)]
        for epoch in (0, 1)
    ]


def together(ranks):
    """The global sequence of a step, put together from what each rank got."""
    longest = max(map(len, ranks))
    return [rank[at] for at in range(longest) for rank in ranks if at < len(rank)]


def run(adapter, ds, ranks, workers, *, steps=None, **options):
    """What `ranks` processes get in an epoch or some steps of it, and the state after it."""
    loaders = [
        adapter(ds, BATCH, world_size=ranks, rank=rank, workers=workers, seed=5, **options)
        for rank in range(ranks)
    ]
    running = [loader.batches() for loader in loaders]
    found, done = [], 0
    while steps is None or done < steps:
        parts = [next(one, None) for one in running]
        if all(part is None for part in parts):
            break
        found += together([digests(part) for part in parts if part is not None])
        done += 1
    states = {loader.state for loader in loaders}
    for one in running:
        one.close()
    assert len(states) == 1
    return found, states.pop()


def test_every_adapter_gives_the_same_order_epoch_after_epoch(adapter, ds, expected):
    first, state = run(adapter, ds, 1, 0, drop_last=False)
    second, _ = run(adapter, ds, 1, 0, drop_last=False, state=state)
    assert [first, second] == expected
    assert state == segrecord.State(ds.fingerprint, 5, 1, 0)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_share_an_epoch_without_loss(adapter, ds, expected, ranks):
    for options in ({"pad": True}, {"drop_last": False}):
        assert run(adapter, ds, ranks, 0, **options)[0] == expected[0]
    whole = COUNT // (ranks * BATCH) * ranks * BATCH
    assert run(adapter, ds, ranks, 0, drop_last=True)[0] == expected[0][:whole]


def test_with_drop_and_pad_every_rank_gets_as_many_full_batches(adapter, ds):
    for pad, steps in ((False, 5), (True, 6)):
        for rank in range(4):
            loader = adapter(ds, BATCH, world_size=4, rank=rank, pad=pad)
            sizes = [len(batch["label"]) for batch in loader.batches()]
            assert sizes == [BATCH] * steps


STOPS = [
    (stop, before, after)
    for stop, before, after in zip(
        random.Random(0).sample(range(COUNT), 20),
        [(ranks, workers) for ranks in (1, 2, 4) for workers in (0, 2)] * 4,
        random.Random(1).choices([(r, w) for r in (1, 2, 4) for w in (0, 2)], k=20),
        strict=False,
    )
]


@pytest.mark.parametrize(("stop", "before", "after"), STOPS)
def test_a_resume_with_other_ranks_and_workers_is_byte_identical(
    adapter, ds, expected, stop, before, after
):
    ranks, workers = before
    steps = max(1, stop // (ranks * BATCH))
    first, state = run(adapter, ds, ranks, workers, steps=steps)
    assert state.samples_consumed == len(first) == steps * ranks * BATCH
    ranks, workers = after
    rest, end = run(adapter, ds, ranks, workers, pad=True, state=state)
    assert first + rest == expected[0]
    assert (end.epoch, end.samples_consumed) == (1, 0)


def test_a_state_of_one_adapter_is_taken_by_all_others(ds, expected):
    found, state = [], None
    for adapter in (*ADAPTERS.values(), Native):
        part, state = run(adapter, ds, 1, 0, steps=4, state=state)
        found += part
    assert found == expected[0][: 5 * 4 * BATCH]


def test_an_epoch_of_which_all_would_be_dropped_is_refused(adapter, ds):
    for options in (
        {"batch_size": COUNT + 1},
        {"batch_size": COUNT // 2, "world_size": 3, "rank": 0},
    ):
        with pytest.raises(UsageError, match=f"{COUNT} records hold no batch of .* pad=True"):
            adapter(ds, **options)
        assert len(list(adapter(ds, pad=True, **options).batches())) == 1


def test_a_state_of_other_data_is_refused(adapter, ds):
    state = segrecord.State("ab" * 32, 5)
    with pytest.raises(UsageError, match="open the same dataset, split and selection"):
        adapter(ds, BATCH, state=state)


def test_a_repeat_is_flagged_and_a_missing_mask_is_all_ignored(adapter, ds):
    *_, last = adapter(ds, 7, pad=True, seed=1).batches()
    assert last["valid"].tolist() == [True] * 5 + [False] * 2
    for batch in adapter(ds, BATCH).batches():
        for mask, has_mask in zip(batch["mask"], batch["has_mask"], strict=True):
            assert has_mask or (mask == 255).all()
            assert mask.dtype == np.uint8


def damaged(tmp_path):
    """A dataset of 6 whose record 2 does not hold its CRC."""
    made = datasets.make(tmp_path / "d", {"train": (6,)})
    shard = made / "train-00000-of-00001.tfrecord"
    row = segrecord.open(made).records.slice(2, 1).to_pylist()[0]
    data = bytearray(shard.read_bytes())
    data[row["offset"] + 60] ^= 4
    shard.write_bytes(data)
    return made


def test_a_damaged_record_is_named(adapter, tmp_path):
    ds = segrecord.open(damaged(tmp_path))
    with pytest.raises(RecordError, match=r"train-00000-of-00001\.tfrecord record 2 at byte \d+"):
        list(adapter(ds, 2, shuffle=False).batches())


def test_skip_loses_that_record_alone(adapter, tmp_path):
    ds = segrecord.open(damaged(tmp_path), on_error="skip")
    with pytest.warns(segrecord.DamagedRecordWarning, match="left out: .* record 2 at byte"):
        batches = list(adapter(ds, 2, shuffle=False).batches())
    keys = [key for batch in batches for key in batch["key"]]
    assert keys == [datasets.sample(number).key for number in (0, 1, 3, 4, 5)]
    assert [error.record for error in ds.skipped] == [2]


def test_a_batch_of_nothing_but_damaged_records_is_left_out(tmp_path):
    source = segrecord.grain.dataset(segrecord.open(damaged(tmp_path), on_error="skip"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", segrecord.DamagedRecordWarning)
        assert source[2] is None
        found = list(grain.MapDataset.source(source).to_iter_dataset())
    assert len(found) == 5
