"""Under `segrecord.open`: odd encodings, what is asked of the disk, other folders, many rows."""

import os
import pickle
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

import datasets
import segrecord
from segrecord.errors import RecordError, UsageError
from segrecord.format import example
from segrecord.read import records
from segrecord.read.index import getter


def varint(number):
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def field(number, data):
    """A length-delimited field of the wire format."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def entry(key, feature):
    return field(1, field(1, key.encode()) + field(2, feature))


BYTES, FLOATS, INTS = 1, 2, 3
ODD = {
    "packed numbers": (entry("k", field(INTS, field(1, varint(5) + varint(300)))), [5, 300]),
    "unpacked numbers": (entry("k", field(INTS, b"\x08\x05" + b"\x08\xac\x02")), [5, 300]),
    "a negative number": (entry("k", field(INTS, field(1, b"\xff" * 9 + b"\x01"))), [-1]),
    "an empty list": (entry("k", field(BYTES, b"")), []),
    "no kind": (entry("k", b""), []),
    "one empty value": (entry("k", field(BYTES, field(1, b""))), [b""]),
    "the last of two entries": (
        entry("k", field(BYTES, field(1, b"a"))) + entry("k", field(INTS, b"\x08\x05")),
        [5],
    ),
    "the last of two kinds": (
        entry("k", field(BYTES, field(1, b"a")) + field(FLOATS, field(1, b"\0\0\0?"))),
        [0.5],
    ),
    "unknown fields": (
        field(9, b"x") + entry("k", field(7, b"y") + field(INTS, b"\x08\x05") + b"\x78\x01"),
        [5],
    ),
    "the value before the key": (
        field(1, field(2, field(INTS, b"\x08\x05")) + field(1, b"k")),
        [5],
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_every_encoding_of_a_feature_is_extracted_as_it_is_decoded(kind):
    features, values = ODD[kind]
    data = field(1, entry("before", field(BYTES, field(1, b"b"))) + features)
    assert example.decode(data) == {"before": [b"b"], "k": values}
    assert example.extract(data, ["k", "absent"]) == {"k": values}
    assert example.extract(data, []) == {}


def test_features_of_two_parts_of_an_example_are_joined():
    data = field(1, entry("a", field(INTS, b"\x08\x01"))) * 2
    data += field(1, entry("k", field(INTS, b"\x08\x05")))
    assert example.extract(data, ["a", "k"]) == example.decode(data) == {"a": [1], "k": [5]}


def test_extracting_from_what_is_no_example_is_a_value_error():
    with pytest.raises(ValueError, match=r"no tensorflow\.Example"):
        example.extract(b"\xff", ["k"])


# The disk.


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice")
def test_the_disk_is_told_of_a_window_before_it_is_read_in_the_order_of_the_shards(
    tmp_path, monkeypatch
):
    folder = datasets.make(tmp_path / "set", {"train": (70, 60)})
    calls, pread, advise = [], records.tfrecord._pread_once, os.posix_fadvise

    def advised(fd, offset, length, advice):
        calls.append(("advice", fd, offset, length))
        advise(fd, offset, length, advice)

    def read(fd, length, offset):
        calls.append(("read", fd, offset, length))
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "posix_fadvise", advised)
    monkeypatch.setattr(records.tfrecord, "_pread_once", read)
    segrecord.open(folder).__getitems__(range(129, -1, -1))
    kinds = [kind for kind, *_ in calls]
    assert kinds == ["advice"] * 64 + ["read"] * 64 + ["advice"] * 64 + ["read"] * 64 + [
        "advice",
        "advice",
        "read",
        "read",
    ]
    places = [place for kind, *place in calls if kind == "read"]
    assert places == [place for kind, *place in calls if kind == "advice"]
    fds = [fd for fd, *_ in places]
    assert [fds.index(fd) for fd in dict.fromkeys(fds)] == [0, 70]
    assert all(a[1] < b[1] for a, b in pairwise(places) if a[0] == b[0])


def test_a_system_that_takes_no_advice_reads_the_same(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    ds = segrecord.open(datasets.make(tmp_path / "set"))
    assert [one.key for one in ds.__getitems__([5, 2])] == ["set/005", "set/002"]


def test_threads_of_a_system_without_pread_have_descriptors_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_SHARED", False)
    opened = []
    monkeypatch.setattr(records.threading, "get_ident", lambda: len(opened))
    ds = segrecord.open(datasets.make(tmp_path / "set"))
    real = records.os.open
    monkeypatch.setattr(records.os, "open", lambda *a: opened.append(a[0]) or real(*a))
    ds.raw(0)
    ds.raw(1)
    assert len(opened) == 2


def test_it_is_read_from_another_working_folder(tmp_path, monkeypatch):
    datasets.make(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    ds = segrecord.open("set")
    monkeypatch.chdir("/")
    assert ds[0].key == "set/000"
    assert pickle.loads(pickle.dumps(ds))[8].key == "set/008"


# Shards of others.


def foreign(tmp_path, **features):
    """A shard of a sound record and one with these features."""
    path, sound = tmp_path / "two.tfrecord", {"i": b"a", "m": b"b", "l": 1}
    path.write_bytes(datasets.shard_bytes([example.encode(sound), example.encode(features)]))
    return path


@pytest.mark.parametrize(
    ("features", "rule"),
    [
        ({"i": 7}, "the key i must hold bytes, holds int"),
        ({"x": b""}, "the key i must hold one value, holds none"),
        ({"i": [b"a", b"b"]}, "the key i must hold one value, holds 2"),
        ({"i": b"a", "m": [b"a", b"b"]}, "the key m must hold one value, holds 2"),
        ({"i": b"a", "m": 1}, "the key m must hold bytes, holds int"),
        ({"i": b"a", "l": b"cat"}, "the key l must hold int, holds bytes"),
        ({"i": b"a", "l": [1, 2]}, "the key l must hold one value, holds 2"),
        ({"i": b"a", "l": 1.5}, "the key l must hold int, holds float"),
    ],
)
def test_a_feature_of_another_kind_or_number_is_told(tmp_path, features, rule):
    path = foreign(tmp_path, **features)
    ds = segrecord.open(path, schema={"image": "i", "mask": "m", "label": "l"})
    with pytest.raises(RecordError, match=rf"two\.tfrecord record 1 at byte \d+: {rule}"):
        ds[1]


@pytest.mark.parametrize("schema", [{"image": "I"}, {"image": "i", "mask": "mask"}])
def test_a_key_that_the_first_record_lacks_is_told_at_the_opening(tmp_path, schema):
    wrong = list(schema.values())[-1]
    with pytest.raises(UsageError, match=f"has no key '{wrong}'; it has 'i', 'l', 'm'"):
        segrecord.open(foreign(tmp_path), schema=schema)


# The index.


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, -2, 3, 4, 5], pa.int32()),
        pa.array([1, None, -(1 << 62), None, 5], pa.int64()),
        pa.array([True, False, False, True, True]),
        pa.array([True, None, False, True, None]),
        pa.array(["", "ä", "ccc", "d", "é"], pa.large_string()),
        pa.array([None, "b", None, "", "e"], pa.large_string()),
        pa.array([None] * 5, pa.large_string()),
    ],
    ids=str,
)
def test_values_of_a_column_are_what_arrow_says_wherever_its_chunks_end(values):
    whole = values.to_pylist()
    for cut in range(len(whole) + 1):
        chunks = [values.slice(0, cut), values.slice(cut, 0), values.slice(cut)]
        at = getter(pa.chunked_array(chunks, values.type))
        assert [at(row) for row in range(len(whole))] == whole


def test_many_rows_are_found_without_looking_at_them(tmp_path):
    """The rows of a selection and of a batch are computed, not listed: a batch costs its size."""
    ds = segrecord.open(datasets.make(tmp_path / "set", {"train": (1,)}))
    many = segrecord.Dataset(ds.all_records, range(5, 1 << 60))
    assert many.index_rows(np.array([0, 1 << 50])).tolist() == [5, 5 + (1 << 50)]
    picked = segrecord.Dataset(ds.all_records, np.array([9, 4, 7]))
    assert picked.index_rows(np.array([2, 0, 0])).tolist() == [7, 9, 9]
