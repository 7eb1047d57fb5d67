"""`Dataset.batches`: the seeded order in NumPy arrays, resumable; and damage while reading."""

import gc
import threading

import numpy as np
import pytest
from PIL import Image

import datasets
import segrecord
from segrecord.errors import RecordError, UsageError
from segrecord.format import example
from segrecord.read.records import DamagedRecordWarning
from segrecord.read.sampler import ShardedSampler, State

SHARD = "train-00000-of-00002.tfrecord"
COUNT, SIZE = 11, (8, 7)
"""Records, and the height and width that they are resized to."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("set") / "lesions", {"train": (6, 5)})


@pytest.fixture
def own(tmp_path):
    """A dataset that a test may damage."""
    return datasets.make(tmp_path / "own", {"train": (6, 5)})


@pytest.fixture
def ds(folder):
    return segrecord.open(folder, "train")


def numbers(batch):
    """Of the samples in a batch, by their keys."""
    return [int(key.removeprefix("set/")) for key in batch.key]


def read(batches):
    return [numbers(batch) for batch in batches]


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def spoil_image(shard, number):
    """Change a byte of a record's image; the record's own CRC holds, the length is the same."""
    payloads = datasets.payloads_of(shard)
    features = example.decode(payloads[number])
    image = bytearray(features["image/encoded"][0])
    image[60] ^= 1
    payloads[number] = example.encode({**features, "image/encoded": [bytes(image)]})
    shard.write_bytes(datasets.shard_bytes(payloads))


@pytest.fixture
def no_threads():
    """Whatever threads the test starts have ended with it."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_hold_the_rows_of_the_order_in_its_order(ds, threads):
    batches = ds.batches(4, seed=3, threads=threads, image_size=SIZE)
    for epoch in range(3):
        steps = ShardedSampler(COUNT, 4, 3).batches(epoch)
        assert read(batches) == [step.rows.tolist() for step in steps]


def test_without_shuffle_the_order_is_the_stored_one(ds):
    batches = ds.batches(4, shuffle=False, drop_last=False, image_size=SIZE)
    assert read(batches) == read(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


@pytest.mark.parametrize("schema", ["deeplab", "plain", "raw", "tfds"])
def test_a_batch_holds_what_the_dataset_gives_one_by_one(tmp_path, schema):
    ds = segrecord.open(datasets.make(tmp_path / "set", {"train": (6, 5)}, schema=schema))
    ds = ds.select(np.arange(COUNT) % 3 == 0)  # samples 0, 3, 6, 9, whose images are 8 x 7
    (batch,) = ds.batches(4)
    assert batch.image.shape == (4, 8, 7, 3)
    assert batch.image.dtype == batch.mask.dtype == np.uint8
    assert batch.has_mask.dtype == batch.valid.dtype == np.bool_
    assert batch.label.dtype == np.int64
    assert batch.valid.all()
    assert not batch.has_mask.all()
    for place, key in enumerate(batch.key):
        one = next(one for one in ds if one.key == key)
        assert np.array_equal(batch.image[place], one.image)
        assert batch.label[place] == one.label
        assert batch.has_mask[place] == (one.mask is not None)
        mask = np.full(SIZE, 255) if one.mask is None else one.mask
        assert np.array_equal(batch.mask[place], mask)


def test_without_labels_the_label_is_minus_one(tmp_path):
    ds = segrecord.open(datasets.make(tmp_path / "set", labelled=False))
    (batch,) = ds.select([0]).batches(1)
    assert batch.label.tolist() == [-1]


def test_the_arrays_of_a_batch_are_its_own(ds):
    kept = list(ds.batches(2, image_size=SIZE))
    again = list(ds.batches(2, image_size=SIZE))
    for one, other in zip(kept, again, strict=True):
        assert np.array_equal(one.image, other.image)
        assert not np.shares_memory(one.image, other.image)


def test_image_size_resizes_images_bilinear_and_masks_to_the_nearest(ds):
    (batch,) = ds.select([1]).batches(1, image_size=(5, 4))
    one = ds[1]
    image = Image.fromarray(one.image).resize((4, 5), Image.Resampling.BILINEAR)
    mask = Image.fromarray(one.mask).resize((4, 5), Image.Resampling.NEAREST)
    assert np.array_equal(batch.image[0], np.asarray(image))
    assert np.array_equal(batch.mask[0], np.asarray(mask))


def test_images_of_unequal_size_are_refused_and_both_named(ds):
    with pytest.raises(UsageError, match=r"'set/000' is 8 x 7, 'set/002' is 10 x 7; pass image_"):
        ds.batches(3)
    assert [batch.image.shape[1] for batch in ds.batches(1, shuffle=False)][:3] == [8, 9, 10]


def test_pad_flags_its_repeats(ds):
    last = list(ds.batches(4, shuffle=False, pad=True, image_size=SIZE))[-1]
    assert numbers(last) == [8, 9, 10, 0]
    assert last.valid.tolist() == [True, True, True, False]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_share_an_epoch_without_overlap(ds, ranks):
    dealt = [
        read(ds.batches(2, world_size=ranks, rank=rank, drop_last=False, image_size=SIZE))
        for rank in range(ranks)
    ]
    flat = [number for batches in dealt for batch in batches for number in batch]
    assert sorted(flat) == list(range(COUNT))


def test_len_counts_what_is_left_of_the_epoch(ds):
    batches = ds.batches(4, drop_last=False, image_size=SIZE)
    assert len(batches) == 3
    next(iter(batches))
    assert len(batches) == 2


def test_the_state_counts_what_was_given_and_not_what_was_decoded_ahead(ds):
    batches = ds.batches(2, seed=5, image_size=SIZE)
    assert batches.state == State(ds.fingerprint, 5)
    states = [batches.state for _ in batches]
    assert states == [State(ds.fingerprint, 5, 0, given) for given in (2, 4, 6, 8)] + [
        State(ds.fingerprint, 5, 1, 0)
    ]


@pytest.mark.parametrize("stop", range(5))
def test_a_state_goes_on_where_it_was_taken(ds, stop):
    whole = read(ds.batches(2, seed=9, image_size=SIZE))
    batches = ds.batches(2, seed=9, image_size=SIZE)
    first = [numbers(batch) for _, batch in zip(range(stop), batches, strict=False)]
    state = State.from_json(batches.state.to_json())
    resumed = ds.batches(2, image_size=SIZE, state=state)
    assert first + read(resumed) == whole
    assert read(resumed) == [step.rows.tolist() for step in ShardedSampler(COUNT, 2, 9).batches(1)]


def test_an_iteration_that_was_left_is_continued_by_the_next(ds):
    batches = ds.batches(2, image_size=SIZE)
    whole = read(ds.batches(2, image_size=SIZE))
    for batch in batches:
        assert numbers(batch) == whole[0]
        break
    assert read(batches) == whole[1:]


def test_a_state_of_other_data_is_refused(ds):
    state = ds.batches(2, image_size=SIZE).state
    with pytest.raises(UsageError, match="fingerprint"):
        ds.select([0, 1, 2]).batches(2, state=state)


def test_a_state_past_the_end_is_refused(ds):
    with pytest.raises(UsageError, match="counts 12 samples, an epoch has 11"):
        ds.batches(2, image_size=SIZE, state=State(ds.fingerprint, 0, 0, COUNT + 1))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"batch_size": 0}, "batch_size must be .* at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"image_size": (0, 4)}, r"image_size must be .*\(0, 4\)"),
        ({"image_size": (4,)}, r"image_size must be .*\(4,\)"),
        ({"rank": 1}, r"rank must be in \[0, 1\), got 1"),
        ({"pad": "wrap"}, "pad must be True or False, got 'wrap'"),
    ],
)
def test_a_value_out_of_range_is_refused(ds, options, rule):
    with pytest.raises(UsageError, match=rule):
        ds.batches(**{"batch_size": 2, **options})


def test_compressed_shards_are_refused(tmp_path):
    ds = segrecord.open(datasets.make(tmp_path / "set", compression="gzip"))
    with pytest.raises(UsageError, match="compressed"):
        list(ds.batches(2, image_size=SIZE))


def test_an_empty_selection_has_no_batches(ds):
    assert list(ds.select([]).batches(2, pad=True)) == []


def test_no_thread_is_left_behind(ds, no_threads):
    list(ds.batches(2, image_size=SIZE))
    for _ in ds.batches(2, image_size=SIZE):
        break
    started = iter(ds.batches(2, image_size=SIZE))
    next(started)
    del started


@pytest.mark.parametrize("threads", [1, 3])
def test_damage_names_shard_record_and_offset_and_ends_the_threads(own, threads, no_threads):
    flip(own / SHARD, 40)
    ds = segrecord.open(own, "train")
    with pytest.raises(RecordError) as found:
        list(ds.batches(4, drop_last=False, threads=threads, image_size=SIZE))
    assert (found.value.shard, found.value.record, found.value.offset) == (SHARD, 0, 0)


def test_an_image_that_cannot_be_decoded_names_its_record_too(own):
    spoil_image(own / SHARD, 2)
    ds = segrecord.open(own, "train")
    with pytest.raises(RecordError, match="png-crc") as found:
        list(ds.batches(4, drop_last=False, image_size=SIZE))
    assert (found.value.shard, found.value.record) == (SHARD, 2)


def test_skip_loses_the_damaged_records_alone_and_tells_of_each_once(own):
    spoil_image(own / SHARD, 2)
    flip(own / SHARD, 40)
    ds = segrecord.open(own, "train", on_error="skip")
    with pytest.warns(DamagedRecordWarning) as told:
        batches = list(ds.batches(4, shuffle=False, drop_last=False, image_size=SIZE))
    assert [numbers(batch) for batch in batches] == [[1, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert [(error.shard, error.record) for error in ds.skipped] == [(SHARD, 0), (SHARD, 2)]
    assert len(told) == 2
    for batch in batches:
        for place, number in enumerate(numbers(batch)):
            made = datasets.sample(number)
            assert batch.label[place] == made.label
            assert batch.has_mask[place] == (made.mask is not None)
    whole = segrecord.open(own, "train").select([1, 3]).batches(2, shuffle=False, image_size=SIZE)
    assert np.array_equal(batches[0].image, next(iter(whole)).image)


def test_a_batch_of_damaged_records_alone_is_empty_so_that_len_holds(own):
    flip(own / SHARD, 40)
    ds = segrecord.open(own, "train", on_error="skip")
    batches = ds.batches(1, shuffle=False, image_size=SIZE)
    expected = len(batches)
    with pytest.warns(DamagedRecordWarning):
        found = list(batches)
    assert len(found) == expected
    assert numbers(found[0]) == []
    assert found[0].image.shape == (0, *SIZE, 3)


def test_skip_finds_the_size_of_a_batch_though_its_first_record_is_damaged(own):
    flip(own / SHARD, 40)
    ds = segrecord.open(own, "train", on_error="skip").select([0, 3, 6])
    with pytest.warns(DamagedRecordWarning):
        (batch,) = ds.batches(3, shuffle=False)
    assert numbers(batch) == [3, 6]
    assert batch.image.shape == (2, *SIZE, 3)
