"""Damage while reading: told with shard, record and offset; `skip` loses what is damaged alone."""

import re
import shutil
import warnings
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

import datasets
import segrecord
from segrecord.errors import RecordError
from segrecord.format import example, tfrecord
from segrecord.read import records

SHARDS = {"train": (4, 3), "val": (2,)}
COUNT = 9
NAME = "train-00000-of-00002.tfrecord"
RECORDS = range(4)
FDS = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("sound") / "set", SHARDS)


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "set")


def borders(folder, name=NAME):
    """Where the frames of a shard begin, and where the last one ends."""
    sizes = [len(one) + tfrecord.FRAME_OVERHEAD for one in datasets.payloads_of(folder / name)]
    return [0, *accumulate(sizes)]


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def keys(numbers):
    return [datasets.sample(number).key for number in numbers]


def read_all(ds):
    """Every example, by iterating, by a batch in another order, and of a selection."""
    backwards = range(len(ds) - 1, -1, -1)
    yield "iteration", [found.key for found in ds]
    yield "batch", [found.key for found in ds.__getitems__(backwards)][::-1]
    yield "selection", [found.key for found in ds.select(np.ones(len(ds), bool))]


def assert_lost(folder, lost, rule):
    """Each of these records raises its own error; skipping loses them alone, and tells each."""
    offsets = borders_of_index(folder)
    ds = segrecord.open(folder)
    for number in range(COUNT):
        if number not in lost:
            made = datasets.sample(number)
            assert np.array_equal(ds[number].image, made.image)
            continue
        for read in (ds.__getitem__, ds.raw, ds.features, lambda n: ds.__getitems__([n])):
            with pytest.raises(RecordError, match=rule) as caught:
                read(number)
            name, record, offset = offsets[number]
            assert caught.value.shard.endswith(name)
            assert (caught.value.record, caught.value.offset) == (record, offset)
            assert f"{name} record {record} at byte {offset}: " in str(caught.value)
    with pytest.raises(RecordError, match=rule):
        list(ds)
    assert_skipped(folder, lost)


def assert_skipped(folder, lost):
    offsets = borders_of_index(folder)
    for how in ("iteration", "batch", "selection"):
        ds = segrecord.open(folder, on_error="skip")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = dict(read_all(ds))
        assert found[how] == keys(n for n in range(COUNT) if n not in lost)
        places = [(error.record, error.offset) for error in ds.skipped]
        assert places == [offsets[number][1:] for number in lost]
        assert len(told) == len(lost)
        for warning, error in zip(sorted(told, key=str), sorted(ds.skipped, key=str), strict=True):
            assert warning.category is segrecord.DamagedRecordWarning
            assert str(error) in str(warning.message)


def borders_of_index(folder):
    """(shard's name, record, offset) of each row."""
    rows = datasets.read_index(folder).select(["split", "shard", "offset"]).to_pylist()
    counted, places = {}, []
    for row in rows:
        of = SHARDS[row["split"]]
        name = f"{row['split']}-{row['shard']:05d}-of-{len(of):05d}.tfrecord"
        record = counted[name] = counted.get(name, -1) + 1
        places.append((name, record, row["offset"]))
    return places


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ("length", "the CRC of the record's length does not hold"),
        ("crc of the length", "the CRC of the record's length does not hold"),
        ("payload", "the CRC of the record's data does not hold"),
        ("crc of the payload", "the CRC of the record's data does not hold"),
    ],
)
def test_a_flipped_bit_loses_its_record_alone(folder, record, part, rule):
    begin, end = borders(folder)[record : record + 2]
    at = {"length": begin, "crc of the length": begin + 9, "payload": begin + 50}
    flip(folder / NAME, at.get(part, end - 1))
    assert_lost(folder, [record], rule)


def test_two_damaged_records_of_two_shards_are_both_told(folder):
    flip(folder / NAME, borders(folder)[1] + 60)
    flip(folder / "val-00000-of-00001.tfrecord", 60)
    assert_lost(folder, [1, 7], "the CRC of the record's data does not hold")


@pytest.mark.parametrize("extra", [0, 1, 11, 12, 13, 500, -1])
@pytest.mark.parametrize("record", RECORDS)
def test_a_cut_shard_loses_the_records_behind_the_cut(folder, record, extra):
    ends = borders(folder)
    cut = ends[record] + extra if extra >= 0 else ends[record + 1] - 1
    with (folder / NAME).open("r+b") as file:
        file.truncate(cut)
    assert_lost(folder, list(range(record, 4)), "the file is cut: ")


def test_a_vanished_shard_loses_its_records(folder):
    (folder / NAME).unlink()
    assert_lost(folder, [0, 1, 2, 3], "cannot be opened: No such file or directory")


def test_a_shard_that_has_become_a_folder_loses_its_records(folder):
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    assert_lost(folder, [0, 1, 2, 3], "cannot be opened: it is a folder and no regular file")


def test_a_shard_cut_while_it_is_read_loses_the_rest(folder, monkeypatch):
    monkeypatch.setattr("segrecord.read.dataset.WINDOW", 1)
    ds = segrecord.open(folder, on_error="skip")
    found = iter(ds)
    got = [next(found).key, next(found).key]
    with (folder / NAME).open("r+b") as file:
        file.truncate(borders(folder)[2])
    with pytest.warns(segrecord.DamagedRecordWarning, match="the file is cut"):
        got += [one.key for one in found]
    assert got == keys([0, 1, 4, 5, 6, 7, 8])
    assert [error.record for error in ds.skipped] == [2, 3]


def test_a_shard_that_vanishes_while_another_is_read_loses_its_records(folder, monkeypatch):
    monkeypatch.setattr("segrecord.read.dataset.WINDOW", 1)
    ds = segrecord.open(folder, on_error="skip")
    found = iter(ds)
    got = [next(found).key]
    (folder / "train-00001-of-00002.tfrecord").unlink()
    with pytest.warns(segrecord.DamagedRecordWarning, match="cannot be opened"):
        got += [one.key for one in found]
    assert got == keys([0, 1, 2, 3, 7, 8])
    assert len(ds.skipped) == 3


def test_a_disk_that_fails_names_the_record(folder, monkeypatch):
    def fail(fd, length, offset):
        raise OSError(5, "Input/output error")

    ds = segrecord.open(folder)
    monkeypatch.setattr(tfrecord, "_pread_once", fail)
    with pytest.raises(RecordError, match=rf"{NAME} record 2 at byte \d+: cannot be read: Input"):
        ds[2]


def test_a_record_that_is_skipped_twice_is_told_once(folder):
    flip(folder / NAME, 50)
    ds = segrecord.open(folder, on_error="skip")
    with pytest.warns(segrecord.DamagedRecordWarning) as told:
        assert [len(list(ds)), len(list(ds)), len(ds.__getitems__([0, 0, 1]))] == [8, 8, 1]
    assert len(told) == len(ds.skipped) == 1


def test_a_damaged_record_asked_for_by_itself_is_an_error_even_with_skip(folder):
    flip(folder / NAME, 50)
    ds = segrecord.open(folder, on_error="skip")
    for read in (ds.__getitem__, ds.raw, ds.features):
        with pytest.raises(RecordError):
            read(0)


# What the record holds, its CRC being right.


def store(folder, payload, record=1):
    """Put this payload in a record's place, with right CRCs and a right index."""
    path = folder / NAME
    payloads = datasets.payloads_of(path)
    payloads[record] = payload
    datasets.rewrite(path, payloads)
    rows = datasets.read_index(folder).to_pylist()
    offset = 0
    for row, data in zip(rows[: len(payloads)], payloads, strict=True):
        row |= {"offset": offset, "length": len(data)}
        offset += len(data) + tfrecord.FRAME_OVERHEAD
    datasets.write_index(folder, datasets.index_table(rows))


def changed(folder, **features):
    """The payload of record 1 with these features; None leaves one out."""
    found = example.decode(datasets.payloads_of(folder / NAME)[1])
    found |= {name.replace("__", "/"): value for name, value in features.items()}
    return example.encode({name: value for name, value in found.items() if value is not None})


@pytest.mark.parametrize(
    ("features", "rule"),
    [
        ({"image__encoded": None}, "the key image/encoded must hold one value, holds none"),
        ({"image__encoded": [b"a", b"b"]}, "the key image/encoded must hold one value, holds 2"),
        ({"image__encoded": b"not an image"}, "no image of a known format"),
        ({"image__encoded": b"\xff\xd8\xff\xe0"}, "the JPEG cannot be decoded"),
        ({"image__segmentation__class__encoded": None}, "segmentation/class/encoded must hold one"),
        ({"image__segmentation__class__encoded": b"no"}, "no image of a known format"),
    ],
)
def test_a_record_that_does_not_hold_what_it_must_is_lost_alone(folder, features, rule):
    store(folder, changed(folder, **features))
    ds = segrecord.open(folder)
    with pytest.raises(RecordError, match=re.escape(rule)) as caught:
        ds[1]
    assert (caught.value.record, caught.value.offset) == (1, borders(folder)[1])
    assert_skipped(folder, [1])


def test_a_record_that_is_no_example_is_lost_alone(folder):
    store(folder, b"\xff" * 40)
    ds = segrecord.open(folder)
    for read in (ds.__getitem__, ds.features):
        with pytest.raises(RecordError, match=r"record 1 at byte \d+: .*no tensorflow\.Example"):
            read(1)
    assert_skipped(folder, [1])


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        ("deeplab", "its key is b'set/001', the index says b'set/004'"),
        ("raw", "its label is 0, the index says 1"),
    ],
)
def test_a_record_in_the_place_of_another_is_told(tmp_path, schema, rule):
    """Of one length, with right CRCs: only what the record says of itself is left."""
    folder = datasets.make(tmp_path / "set", {"train": (8,)}, schema=schema)
    path = folder / "train-00000-of-00001.tfrecord"
    payloads = datasets.payloads_of(path)
    first, second = (1, 4) if schema == "deeplab" else (0, 3)
    assert len(payloads[first]) == len(payloads[second])
    payloads[first], payloads[second] = payloads[second], payloads[first]
    datasets.rewrite(path, payloads)
    with pytest.raises(RecordError, match=re.escape(rule)):
        segrecord.open(folder)[second]
    ds = segrecord.open(folder, on_error="skip")
    with pytest.warns(segrecord.DamagedRecordWarning):
        assert len(list(ds)) == 6


def test_an_empty_mask_where_the_index_has_one_is_told(tmp_path):
    folder = datasets.make(tmp_path / "set", {"train": (3,)}, schema="plain")
    path = folder / "train-00000-of-00001.tfrecord"
    found = example.decode(datasets.payloads_of(path)[2])
    payload = example.encode(found | {"mask": b""})
    datasets.rewrite(path, [*datasets.payloads_of(path)[:2], payload])
    datasets.edit_index(folder, 2, length=len(payload))
    with pytest.raises(RecordError, match=r"record 2 at byte \d+: it has no mask"):
        segrecord.open(folder)[2]


# Batches.


def sizes(ds, **options):
    options = {"shuffle": False, "drop_last": False, "threads": 2, "image_size": (8, 8)} | options
    return [batch.key.tolist() for batch in ds.batches(3, **options)]


@pytest.mark.parametrize("lost", [[0], [1], [0, 1, 2], list(range(COUNT))])
@pytest.mark.parametrize("image_size", [(8, 7), None], ids=["resized", "as stored"])
def test_a_batch_lacks_what_is_damaged_and_nothing_else(tmp_path, lost, image_size):
    folder = datasets.make(tmp_path / "set", {"train": (COUNT * 3,)})
    path = folder / "train-00000-of-00001.tfrecord"
    begins = borders(folder, path.name)
    for number in lost:  # every third image is 8 x 7
        flip(path, begins[number * 3] + 50)
    ds = segrecord.open(folder, on_error="skip").select(range(0, COUNT * 3, 3))
    with pytest.warns(segrecord.DamagedRecordWarning):
        found = sizes(ds, image_size=image_size)
    assert found == [keys(3 * n for n in range(b, b + 3) if n not in lost) for b in (0, 3, 6)]
    assert [error.record for error in ds.skipped] == [3 * number for number in lost]


@pytest.mark.parametrize("number", [0, 4, 8])
def test_a_batch_with_a_damaged_record_is_an_error_that_names_it(folder, number):
    name, record, offset = borders_of_index(folder)[number]
    flip(folder / name, offset + 50)
    with pytest.raises(RecordError, match=f"{name} record {record} at byte {offset}: the CRC"):
        sizes(segrecord.open(folder))


# The index.


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"offset": -1}, "the index is damaged: it says"),
        ({"length": -1}, "the index is damaged: it says -1 bytes"),
        ({"length": (1 << 63) - 1}, "the index is damaged: it says"),
        ({"offset": (1 << 63) - 1}, "at byte 9223372036854775807: "),
        ({"offset": 1 << 40}, "the file is cut: 0 of the 12 bytes of the header"),
        ({"offset": 1}, "the CRC of the record's length does not hold"),
        ({"length": 5}, "the index says 5 bytes, the record itself"),
        ({"height": 1}, "the image is 9 x 7 (height x width), it should be 1 x 7"),
    ],
)
def test_a_wrong_row_of_the_index_loses_its_record_alone(folder, values, rule):
    datasets.edit_index(folder, 1, **values)
    with pytest.raises(RecordError, match=re.escape(rule)):
        segrecord.open(folder)[1]
    assert_skipped(folder, [1])


# Compressed shards.


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_a_damaged_compressed_shard_loses_what_cannot_be_inflated(tmp_path, compression):
    folder = datasets.make(tmp_path / "set", SHARDS, compression=compression)
    path = next(folder.glob("train-00000*"))
    flip(path, path.stat().st_size // 2)
    with pytest.raises(RecordError, match=r"train-00000\S+ record \d at byte \d+: "):
        list(segrecord.open(folder))
    ds = segrecord.open(folder, on_error="skip")
    with pytest.warns(segrecord.DamagedRecordWarning):
        found = [one.key for one in ds]
    assert found[-5:] == keys(range(4, 9))
    assert len(found) + len(ds.skipped) == COUNT
    assert found == keys(range(len(found) - 5)) + keys(range(4, 9))
    assert [error.record for error in ds.skipped] == list(range(len(found) - 5, 4))


def test_a_vanished_compressed_shard_loses_its_records(tmp_path):
    folder = datasets.make(tmp_path / "set", SHARDS, compression="gzip")
    next(folder.glob("train-00000*")).unlink()
    with pytest.raises(RecordError, match="record 0 at byte 0: cannot be opened"):
        list(segrecord.open(folder))
    ds = segrecord.open(folder, on_error="skip")
    with pytest.warns(segrecord.DamagedRecordWarning, match="cannot be opened"):
        assert [one.key for one in ds] == keys(range(4, 9))
    assert [error.record for error in ds.skipped] == [0, 1, 2, 3]


@pytest.mark.parametrize("records", [3, 5])
def test_a_compressed_shard_of_another_count_gives_no_record_twice(tmp_path, records):
    folder = datasets.make(tmp_path / "set", SHARDS, compression="gzip")
    path = next(folder.glob("train-00000*"))
    payloads = datasets.payloads_of(path, "gzip")
    path.write_bytes(datasets.shard_bytes((payloads * 2)[:records], "gzip"))
    ds = segrecord.open(folder, on_error="skip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", segrecord.DamagedRecordWarning)
        found = [one.key for one in ds]
    assert found == keys(n for n in range(COUNT) if n < records or n > 3)
    assert len(ds.skipped) == max(0, 4 - records)


def test_a_record_of_a_compressed_shard_that_cannot_be_decoded_is_lost_alone(tmp_path):
    folder = datasets.make(tmp_path / "set", SHARDS, compression="gzip")
    path = next(folder.glob("train-00000*"))
    payloads = datasets.payloads_of(path, "gzip")
    found = example.decode(payloads[1])
    payloads[1] = example.encode(found | {"image/encoded": b"no image"})
    path.write_bytes(datasets.shard_bytes(payloads, "gzip"))
    ds = segrecord.open(folder, on_error="skip")
    with pytest.warns(segrecord.DamagedRecordWarning, match="record 1 at byte"):
        assert [one.key for one in ds] == keys(n for n in range(COUNT) if n != 1)


# Descriptors.


def descriptors():
    return len(list(FDS.iterdir()))


@pytest.mark.skipif(not FDS.is_dir(), reason="needs /proc")
def test_descriptors_are_few_and_closed_with_the_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_OPEN", 3)
    folder = datasets.make(tmp_path / "set", {"train": (1,) * 9})
    before = descriptors()
    ds = segrecord.open(folder)
    assert len(list(ds)) == 9
    assert descriptors() <= before + 3
    del ds
    assert descriptors() == before
