"""`segrecord.open`: a dataset as a sequence, by itself and in other processes and threads."""

import json
import multiprocessing
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import datasets
import segrecord
from segrecord.errors import OutputError, UsageError
from segrecord.format import example

SHARDS = {"train": (4, 0, 3), "val": (5,)}
COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("set") / "lesions", SHARDS)


@pytest.fixture
def ds(folder):
    return segrecord.open(folder)


def assert_is(found, number):
    """The example is the sample of this number, to the pixel."""
    made = datasets.sample(number)
    assert (found.key, found.label, found.group) == (made.key, made.label, made.group)
    assert found.image.dtype == np.uint8
    assert np.array_equal(found.image, made.image)
    assert (found.mask is None) == (made.mask is None)
    if made.mask is not None:
        assert found.mask.dtype == np.uint8
        assert np.array_equal(found.mask, made.mask)


def test_it_is_a_sequence_of_examples(ds):
    assert len(ds) == COUNT
    for number in range(COUNT):
        assert_is(ds[number], number)
    assert_is(ds[-1], COUNT - 1)
    assert_is(ds[np.int64(3)], 3)
    for number, found in enumerate(ds):
        assert_is(found, number)
    for number in (1.0, "1", slice(2)):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            ds[number]
    for number in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError):
            ds[number]


@pytest.mark.parametrize("schema", ["deeplab", "plain", "raw", "tfds"])
@pytest.mark.parametrize("missing", ["empty", "ignore", "zeros", "omit"])
def test_every_schema_and_policy_gives_the_same_examples(tmp_path, schema, missing):
    if schema == "raw" and missing == "empty":
        missing = "ignore"
    made = datasets.make(tmp_path / "d", schema=schema, missing_mask=missing)
    for number, found in enumerate(segrecord.open(made)):
        assert_is(found, number)


def test_one_hot_masks_come_as_class_ids(tmp_path):
    made = datasets.make(tmp_path / "d", schema="raw", one_hot=True)
    assert_is(segrecord.open(made)[0], 0)


def test_several_come_in_the_order_asked_for(ds):
    asked = [11, 0, 7, 0, -1, 5]
    for number, found in zip(asked, ds.__getitems__(asked), strict=True):
        assert_is(found, number % COUNT)
    assert ds.__getitems__([]) == []


def test_a_split_is_a_part(folder):
    val = segrecord.open(folder, split="val")
    assert len(val) == 5
    assert_is(val[0], 7)
    assert [found.key for found in val] == [datasets.sample(n).key for n in range(7, 12)]
    with pytest.raises(
        UsageError, match="has no split 'test', it has train, val; build it with --split train=0"
    ):
        segrecord.open(folder, split="test")


def test_raw_and_features_are_what_is_stored(ds):
    features = ds.features(5)
    assert example.decode(ds.raw(5)) == features
    names = ["image/encoded", "image/class/label", "no/such"]
    assert ds.features(5, names) == {name: features[name] for name in names[:2]}


def test_it_is_selected_by_label(ds):
    dogs = ds.select(label="dog")
    assert [found.label for found in dogs] == [1] * 6
    assert ds.select(label=1).fingerprint == dogs.fingerprint
    assert len(dogs.select(label="cat")) == 0
    with pytest.raises(UsageError, match=r"no class 'cow'; the classes are: cat \(0\), dog \(1\)"):
        ds.select(label="cow")
    with pytest.raises(UsageError, match="no class 7"):
        ds.select(label=7)


def test_it_is_selected_by_truth_values_of_any_library(ds):
    table = ds.records
    large = pc.greater(table["height"], 8)
    frame = pl.from_arrow(table)
    expected = [n for n in range(COUNT) if datasets.sample(n).image.shape[0] > 8]
    for chosen in (large, large.combine_chunks(), large.to_pylist(), frame["height"] > 8):
        keys = [found.key for found in ds.select(chosen)]
        assert keys == [datasets.sample(n).key for n in expected]
    rows = frame.with_row_index().filter(pl.col("has_mask"), pl.col("label") == 0)["index"]
    assert len(ds.select(rows)) == len(rows) == 6


def test_it_is_selected_by_numbers_in_any_order_and_again(ds):
    part = ds.select([9, 2, 5])
    assert [found.key for found in part] == [datasets.sample(n).key for n in (9, 2, 5)]
    assert part.records["key"].to_pylist() == [datasets.sample(n).key for n in (9, 2, 5)]
    assert_is(part.select([2])[0], 5)
    assert len(ds.select([])) == 0


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([True, False], "there are 12 records, got 2 truth values"),
        (pa.array([True] * 11 + [None]), "without nulls"),
        ([1.0], "truth values or whole numbers"),
        ([[1], [2]], "shape \\(2, 1\\)"),
        ([12], r"numbers must be in \[0, 12\), got 12 to 12"),
        ([-1], "numbers must be"),
        ("train", "truth values or whole numbers"),
    ],
)
def test_what_selects_nothing_that_is_there_is_refused(ds, chosen, message):
    with pytest.raises(UsageError, match=message):
        ds.select(chosen)


def test_the_index_of_a_split_is_a_view_of_the_map(folder):
    val = segrecord.open(folder, "val")
    mapped = val.all_records.shards.index["offset"].chunk(0).buffers()[1]
    assert val.records["offset"].chunk(0).buffers()[1].address == mapped.address
    assert val.records.num_rows == 5


def test_fingerprints_tell_selections_apart(ds, folder):
    parts = [ds, segrecord.open(folder, "val"), ds.select([1, 2]), ds.select([2, 1])]
    assert len({part.fingerprint for part in parts}) == 4
    assert segrecord.open(folder).fingerprint == ds.fingerprint


def test_it_says_what_it_is(ds, folder):
    assert str(folder) in repr(ds)
    assert "12 records, schema deeplab, classes cat, dog, mask classes background" in repr(ds)
    assert "5 of 12 records" in repr(segrecord.open(folder, "val"))


def test_it_travels_to_other_processes(ds, folder):
    part = pickle.loads(pickle.dumps(ds.select([7, 3])))
    assert_is(part[0], 7)
    assert part.fingerprint == ds.select([7, 3]).fingerprint
    assert len(pickle.dumps(ds)) < 1000


def test_a_dataset_that_has_changed_is_refused_in_another_process(tmp_path):
    made = datasets.make(tmp_path / "d", SHARDS)
    pickled = pickle.dumps(segrecord.open(made))
    manifest = json.loads((made / "dataset.json").read_text())
    (made / "dataset.json").write_text(json.dumps(manifest | {"fingerprint": "ab" * 32}))
    with pytest.raises(UsageError, match="has changed since it was opened"):
        pickle.loads(pickled)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_read_what_the_parent_reads(ds, method):
    ds[0]  # a descriptor is open before the fork
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        found = pool.map(ds.raw, range(COUNT))
    assert found == [ds.raw(number) for number in range(COUNT)]


def test_threads_read_what_one_reads(ds, monkeypatch):
    from segrecord.read import records

    monkeypatch.setattr(records, "_OPEN", 1)  # descriptors are closed while others read
    numbers = [random.Random(1).randrange(COUNT) for _ in range(2000)]
    expected = [ds.raw(number) for number in range(COUNT)]
    fresh = segrecord.open(ds.all_records.settings.path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fresh.raw, numbers))
    assert found == [expected[number] for number in numbers]


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_compressed_shards_stream(tmp_path, compression):
    made = datasets.make(tmp_path / "d", SHARDS, compression=compression)
    ds = segrecord.open(made)
    for number, found in enumerate(ds):
        assert_is(found, number)
    assert [found.key for found in ds.select([2, 9])] == ["set/002", "set/009"]
    assert [found.key for found in segrecord.open(made, "val")] == [
        f"set/{n:03d}" for n in range(7, 12)
    ]
    for use in (
        lambda: ds[0],
        lambda: ds.raw(0),
        lambda: ds.__getitems__([1]),
        lambda: ds.features(1),
    ):
        with pytest.raises(UsageError, match=f"compressed \\({compression}\\).*iterate, or build"):
            use()
    with pytest.raises(UsageError, match="only be read in their stored order"):
        next(iter(ds.select([3, 1])))


def test_no_crc_is_computed_where_that_was_said(tmp_path):
    made = datasets.make(tmp_path / "d", SHARDS)
    shard = next(made.glob("train-00000*"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert_is(segrecord.open(made, check_crc=False)[3], 3)
    with pytest.raises(segrecord.RecordError):
        segrecord.open(made)[3]


def test_wrong_openings_are_refused(folder, tmp_path):
    with pytest.raises(OutputError, match="holds no finished dataset"):
        segrecord.open(tmp_path)
    with pytest.raises(
        UsageError, match="absent does not exist, or is a glob of shards that needs"
    ):
        segrecord.open(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"image_size must be \(height, width\).*, got 64"):
        segrecord.open(folder).batches(2, image_size=64)
    with pytest.raises(UsageError, match="leave out schema and index"):
        segrecord.open(folder, schema="deeplab")
    with pytest.raises(UsageError, match="on_error must be raise or skip, got 'ignore'"):
        segrecord.open(folder, on_error="ignore")
    with pytest.raises(UsageError, match="backend must be auto, core or fast, got 'gpu'"):
        segrecord.open(folder, backend="gpu")
