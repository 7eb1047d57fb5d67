"""Shards that others wrote: what is found, indexed and kept, and the offset files made of them."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import datasets
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.format import tfrecord
from segrecord.read.shards import TABLE, find, open_shards, write_offsets

PAYLOADS = [[b"first", b"", b"third" * 100], [b"alone"], [b"a", b"b"]]
NAMES = ["a.tfrecord", "b.tfrecord", "c.tfrecord"]


def write(folder, payloads=PAYLOADS, names=NAMES, compression="none"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in zip(names, payloads, strict=True):
        (folder / name).write_bytes(datasets.shard_bytes(records, compression))
    return folder


@pytest.fixture
def shards(tmp_path):
    return write(tmp_path / "shards")


def payloads_at(found):
    """The payloads of each shard, read where the table says that they are."""
    payloads = []
    table = found.table.to_pylist()
    for number, shard in enumerate(found.files):
        descriptor = os.open(shard.path, os.O_RDONLY)
        rows = [row for row in table if row["shard"] == number]
        assert not rows or table[shard.first_row] == rows[0]
        payloads.append(
            [
                tfrecord.read_at(descriptor, row["offset"], row["length"], shard.name, record)
                for record, row in enumerate(rows)
            ]
        )
        os.close(descriptor)
    return payloads


def kept(folder):
    return [path for path in folder.iterdir() if path.suffix == ".arrow"]


def names_of(paths):
    return [path.name for path in paths]


# The scan.


def test_every_record_is_found_where_it_stands(shards):
    found = open_shards(shards)
    assert [shard.name for shard in found.files] == NAMES
    assert [shard.first_row for shard in found.files] == [0, 3, 4]
    assert found.compression == "none"
    assert found.table.schema.equals(TABLE)
    assert payloads_at(found) == PAYLOADS


@pytest.mark.tensorflow
def test_every_record_is_found_in_shards_that_tensorflow_wrote(tmp_path):
    tf = pytest.importorskip("tensorflow")
    for name, records in zip(NAMES, PAYLOADS, strict=True):
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for record in records:
                writer.write(record)
    assert payloads_at(open_shards(tmp_path)) == PAYLOADS


@pytest.mark.tensorflow
@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_compressed_shards_that_tensorflow_wrote_are_recognised_and_indexed(tmp_path, compression):
    tf = pytest.importorskip("tensorflow")
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord"), compression.upper()) as writer:
        for record in PAYLOADS[0]:
            writer.write(record)
    found = open_shards(tmp_path)
    assert found.compression == compression
    assert found.table["length"].to_pylist() == [len(record) for record in PAYLOADS[0]]


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_an_empty_shard_is_one_of_no_records(tmp_path, empty):
    payloads = [[] if number == empty else records for number, records in enumerate(PAYLOADS)]
    assert payloads_at(open_shards(write(tmp_path, payloads))) == payloads


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_compressed_shards_have_the_offsets_of_their_uncompressed_bytes(tmp_path, compression):
    packed = open_shards(write(tmp_path / "packed", compression=compression))
    assert packed.compression == compression
    assert packed.table.equals(open_shards(write(tmp_path / "plain")).table)


def test_a_record_whose_length_looks_like_the_start_of_zlib_is_not_taken_for_it(tmp_path):
    payload = bytes(0x9C78)
    write(tmp_path, [[payload]], ["a.tfrecord"])
    assert (tmp_path / "a.tfrecord").read_bytes()[:2] == b"\x78\x9c"
    assert open_shards(tmp_path).compression == "none"


def test_shards_compressed_in_different_ways_are_refused(shards):
    (shards / "b.tfrecord").write_bytes(datasets.shard_bytes(PAYLOADS[1], "gzip"))
    with pytest.raises(UsageError, match=r"alike.*b\.tfrecord: gzip"):
        open_shards(shards)


# Damage: the first two records of a.tfrecord are whole, the third begins at byte 37.

THIRD = 37


def flipped(data, byte):
    return data[:byte] + bytes([data[byte] ^ 1]) + data[byte + 1 :]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda data: data[: THIRD + 1], "1 of the 12 bytes of the header"),
        (lambda data: data[: THIRD + 11], "11 of the 12 bytes of the header"),
        (lambda data: data[: THIRD + 12], "0 of the 504 bytes after"),
        (lambda data: data[: THIRD + 112], "100 of the 504 bytes after"),
        (lambda data: data[:-4], "500 of the 504 bytes after"),
        (lambda data: data[:-1], "503 of the 504 bytes after"),
        (lambda data: flipped(data, THIRD), "CRC of the record's length"),
        (lambda data: flipped(data, THIRD + 7), "CRC of the record's length"),
        (lambda data: flipped(data, THIRD + 8), "CRC of the record's length"),
        (lambda data: data[:THIRD] + b"\0" * (len(data) - THIRD), "CRC of the record's length"),
    ],
)
def test_damage_is_named_with_shard_record_and_offset(shards, damage, rule):
    path = shards / "a.tfrecord"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RecordError, match=re.escape(rule)) as raised:
        open_shards(shards)
    assert raised.value.shard == str(path)
    assert (raised.value.record, raised.value.offset) == (2, THIRD)
    assert kept(shards) == []


@pytest.mark.parametrize("tail", [b"\0", b"\n", bytes(11), bytes(12), bytes(100), b"x" * 16])
def test_bytes_after_the_last_record_are_damage(shards, tail):
    path = shards / "a.tfrecord"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(RecordError) as raised:
        open_shards(shards)
    assert (raised.value.record, raised.value.offset) == (3, size)


def test_a_file_that_holds_no_records_is_told_at_its_first_byte(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(RecordError, match=r"a\.tfrecord record 0 at byte 0"):
        open_shards(tmp_path)


def test_damage_inside_a_payload_is_left_to_the_read(shards):
    path = shards / "a.tfrecord"
    path.write_bytes(flipped(path.read_bytes(), THIRD + 20))
    found = open_shards(shards)
    with pytest.raises(RecordError, match="CRC of the record's data"):
        payloads_at(found)


# What is found.


def test_a_folder_gives_its_shards_and_nothing_else(shards):
    for name in ("._a.tfrecord", "a.tfrecord.idx", "notes.txt", ".segrecord-index-0.arrow"):
        (shards / name).write_bytes(b"no shard")
    (shards / "d.tfrecord").mkdir()
    (shards / "set-train.tfrecord-00000-of-00001").write_bytes(b"")
    assert names_of(find(shards)) == [*NAMES, "set-train.tfrecord-00000-of-00001"]


def test_files_globs_and_folders_may_be_mixed_and_each_shard_counts_once(shards):
    several = [shards / "c.tfrecord", f"{shards}/[ab].tfrecord", shards]
    assert names_of(find(several)) == ["c.tfrecord", "a.tfrecord", "b.tfrecord"]


def test_a_file_is_taken_whatever_its_name_even_one_that_is_a_glob(tmp_path):
    write(tmp_path, [[b"x"]], ["set[1].records"])
    assert names_of(find(tmp_path / "set[1].records")) == ["set[1].records"]


def test_relative_paths_are_made_absolute(shards, monkeypatch):
    monkeypatch.chdir(shards)
    assert find("a.tfrecord") == (shards / "a.tfrecord",)


@pytest.mark.parametrize("paths", ["nothing.tfrecord", "nothing*.tfrecord", "empty"])
def test_what_names_no_shard_is_refused_by_its_name(tmp_path, monkeypatch, paths):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=re.escape(paths)):
        open_shards(paths)


def test_an_empty_list_is_refused():
    with pytest.raises(UsageError, match="no shards"):
        open_shards([])


# The kept index.


@pytest.fixture
def scans(monkeypatch):
    """The names of the shards whose headers were read."""
    scanned = []
    hop = tfrecord.hop

    def noted(file, size, shard):
        scanned.append(Path(shard).name)
        return hop(file, size, shard)

    monkeypatch.setattr(tfrecord, "hop", noted)
    return scanned


def reopened(shards, scans, index=None):
    """Open again; gives what is found and whether the shards were read for it."""
    scans.clear()
    return open_shards(shards, index), bool(scans)


def test_the_second_opening_reads_no_header_and_finds_the_same(shards, scans):
    first = open_shards(shards)
    again, scanned = reopened(shards, scans)
    assert not scanned
    assert again.table.equals(first.table)
    assert again.files == first.files
    assert payloads_at(again) == PAYLOADS


def test_the_index_is_kept_where_it_is_told(shards, scans, tmp_path):
    index = tmp_path / "elsewhere.arrow"
    open_shards(shards, index)
    assert index.is_file()
    assert kept(shards) == []
    assert not reopened(shards, scans, index)[1]


def test_the_index_goes_with_a_folder_that_is_moved(shards, scans, tmp_path):
    open_shards(shards)
    moved = shards.rename(tmp_path / "moved")
    found, scanned = reopened(moved, scans)
    assert not scanned
    assert payloads_at(found) == PAYLOADS


def test_several_choices_of_the_same_shards_have_an_index_each(shards, scans):
    for choice in ("a.tfrecord", "[bc].tfrecord"):
        open_shards(f"{shards}/{choice}")
    for choice in ("a.tfrecord", "[bc].tfrecord"):
        assert not reopened(f"{shards}/{choice}", scans)[1]
    assert len(kept(shards)) == 2


def longer(shards):
    """A record more, at the same time."""
    path = shards / "b.tfrecord"
    before = path.stat()
    path.write_bytes(datasets.shard_bytes([b"alone", b"no more"]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def later(shards):
    """Other records in as many bytes, a microsecond later."""
    path = shards / "a.tfrecord"
    before = path.stat()
    path.write_bytes(datasets.shard_bytes([b"", b"first", *PAYLOADS[0][2:]]))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))


def renamed(shards):
    (shards / "c.tfrecord").rename(shards / "d.tfrecord")


def exchanged(shards):
    """Each under the other's name; sizes differ, times do not."""
    for path in shards.glob("*.tfrecord"):
        os.utime(path, ns=(0, 0))
    (shards / "a.tfrecord").rename(shards / "x")
    (shards / "b.tfrecord").rename(shards / "a.tfrecord")
    (shards / "x").rename(shards / "b.tfrecord")


def removed(shards):
    (shards / "b.tfrecord").unlink()


@pytest.mark.parametrize("change", [longer, later, renamed, exchanged, removed])
def test_shards_that_changed_are_scanned_anew(shards, scans, change, tmp_path):
    index = tmp_path / "index.arrow"
    open_shards(shards, index)
    change(shards)
    found, scanned = reopened(shards, scans, index)
    assert scanned
    expected = [datasets.payloads_of(path) for path in sorted(shards.glob("*.tfrecord"))]
    assert payloads_at(found) == expected
    assert not reopened(shards, scans, index)[1]


def another_table(path):
    """Of the same files, but with narrower numbers."""
    with pa.ipc.open_file(path.read_bytes()) as reader:
        table = reader.read_all()
    table = table.set_column(1, "offset", table["offset"].cast(pa.int32()))
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def without_metadata(path):
    with pa.ipc.open_file(path.read_bytes()) as reader:
        table = reader.read_all().replace_schema_metadata()
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b"no Arrow file at all"),
        another_table,
        without_metadata,
    ],
    ids=["empty", "one byte short", "cut", "garbage", "another table", "no metadata"],
)
def test_a_kept_index_that_is_spoilt_is_made_anew(shards, scans, spoil):
    open_shards(shards)
    (index,) = kept(shards)
    spoil(index)
    found, scanned = reopened(shards, scans)
    assert scanned
    assert payloads_at(found) == PAYLOADS
    assert not reopened(shards, scans)[1]


def test_places_in_a_kept_index_that_are_wrong_end_in_an_error_of_the_read(shards, scans):
    open_shards(shards)
    (index,) = kept(shards)
    with pa.ipc.open_file(index.read_bytes()) as reader:
        table = reader.read_all()
    offsets = pa.array(np.add(table["offset"].to_numpy(), [0, 0, 1, 0, 0, 0]), pa.int64())
    table = table.set_column(1, table.schema.field("offset"), offsets)
    with pa.ipc.new_file(str(index), table.schema) as writer:
        writer.write_table(table)
    found, scanned = reopened(shards, scans)
    assert not scanned
    with pytest.raises(RecordError, match=r"a\.tfrecord record 2 at byte 38"):
        payloads_at(found)


def in_the_way(shards):
    """Makes a folder where the index of these shards would be written."""
    open_shards(shards)
    (index,) = kept(shards)
    index.unlink()
    index.mkdir()


def test_a_folder_that_takes_no_index_is_a_warning_and_leaves_nothing_behind(shards):
    in_the_way(shards)
    with pytest.warns(UserWarning, match="scanned again next time; index= names another file"):
        found = open_shards(shards)
    assert payloads_at(found) == PAYLOADS
    assert [path.name for path in shards.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="folders are closed in another way there")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_a_warning(shards):
    shards.chmod(0o500)
    with pytest.warns(UserWarning, match="index= names another file"):
        found = open_shards(shards)
    shards.chmod(0o700)
    assert payloads_at(found) == PAYLOADS


@pytest.mark.parametrize("index", ["nowhere/index.arrow", "a.tfrecord/index.arrow"])
def test_an_index_that_is_named_and_cannot_be_written_is_an_error(shards, index):
    with pytest.raises(OutputError, match=re.escape(index)):
        open_shards(shards, shards / index)


# Offset files.


def lines_of(path):
    """Offset and size of each line; DALI reads pairs of whole numbers (`fin >> pos >> size`)."""
    assert re.fullmatch(r"(\d+ \d+\n)*", path.read_bytes().decode("ascii"))
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()]


def test_an_offset_file_has_a_line_of_offset_and_size_for_each_record(shards):
    written = write_offsets(shards)
    assert written == tuple(shards / "idx" / f"{name}.idx" for name in NAMES)
    assert lines_of(written[0]) == [(0, 21), (21, 16), (37, 516)]
    assert lines_of(written[1]) == [(0, 21)]


def test_the_sizes_add_up_to_the_shard_without_a_gap(shards):
    for name, path in zip(NAMES, write_offsets(shards), strict=True):
        offsets, sizes = np.array(lines_of(path)).T
        size = (shards / name).stat().st_size
        assert np.append(offsets, size).tolist() == [0, *np.cumsum(sizes)]


def test_the_offset_files_go_where_they_are_told(shards, tmp_path):
    written = write_offsets(shards / "a.tfrecord", tmp_path / "some" / "where")
    assert written == (tmp_path / "some" / "where" / "a.tfrecord.idx",)


def test_an_empty_shard_has_an_empty_offset_file(tmp_path):
    (written,) = write_offsets(write(tmp_path, [[]], ["a.tfrecord"]))
    assert written.read_bytes() == b""


def test_a_dataset_of_ours_gets_offset_files_of_the_shards_in_its_manifest(tmp_path):
    dataset = datasets.make(tmp_path / "set", {"train": (4, 3), "val": (2,)})
    (dataset / "stray.tfrecord").write_bytes(b"not in the manifest")
    written = write_offsets(dataset)
    assert [len(lines_of(path)) for path in written] == [4, 3, 2]
    assert names_of(written) == [
        f"{name}.idx" for name in sorted(path.name for path in dataset.glob("*-of-*.tfrecord"))
    ]
    for path in written:
        shard = dataset / path.name.removesuffix(".idx")
        assert sum(size for _, size in lines_of(path)) == shard.stat().st_size
    assert kept(dataset) == [dataset / "records.arrow"]


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_compressed_shards_get_no_offset_files(tmp_path, compression):
    theirs = write(tmp_path / "theirs", compression=compression)
    ours = datasets.make(tmp_path / "ours", compression=compression)
    for folder in (theirs, ours):
        with pytest.raises(UsageError, match=f"compressed \\({compression}\\)"):
            write_offsets(folder)
        assert not (folder / "idx").exists()


def test_two_shards_of_one_name_are_not_written_to_one_file(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "copy")
    with pytest.raises(UsageError, match="one name"):
        write_offsets([shards, tmp_path / "copy"], tmp_path / "out")


def test_shards_in_two_folders_have_their_offset_files_beside_them(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "copy")
    written = write_offsets([shards, tmp_path / "copy"])
    assert {path.parent for path in written} == {shards / "idx", tmp_path / "copy" / "idx"}
    assert len(written) == 2 * len(NAMES)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_shard_of_ours_that_is_not_the_one_in_the_manifest_gets_no_offset_file(tmp_path, damage):
    dataset = datasets.make(tmp_path / "set")
    shard = min(dataset.glob("val-*"))
    damage(shard)
    with pytest.raises(RecordError, match=re.escape(shard.name)):
        write_offsets(dataset)
    assert not (dataset / "idx").exists()


def test_a_damaged_shard_gets_no_offset_file(shards):
    (shards / "c.tfrecord").write_bytes(b"cut")
    with pytest.raises(RecordError, match=r"c\.tfrecord record 0 at byte 0"):
        write_offsets(shards)
    assert not (shards / "idx").exists()


def test_a_folder_that_cannot_be_made_is_named(shards):
    with pytest.raises(OutputError, match=r"a\.tfrecord"):
        write_offsets(shards, shards / "a.tfrecord" / "idx")


# In a process of its own: its protobuf classes clash with those of TensorFlow.
THEIR_READER = """
import sys
from tfrecord.reader import tfrecord_iterator
path, index, parts = sys.argv[1], sys.argv[2], int(sys.argv[3])
for part in range(parts):
    for record in tfrecord_iterator(path, index, shard=(part, parts)):
        print(part, bytes(record).hex())
"""


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_package_tfrecord_finds_each_record_once_by_our_offset_file(tmp_path, parts):
    if importlib.util.find_spec("tfrecord") is None:
        pytest.skip("the package tfrecord is not installed")
    payloads = [bytes([65 + number]) * (number + 1) * 10 for number in range(7)]
    (index,) = write_offsets(write(tmp_path, [payloads], ["a.tfrecord"]))
    done = subprocess.run(
        [sys.executable, "-c", THEIR_READER, tmp_path / "a.tfrecord", index, str(parts)],
        capture_output=True,
        text=True,
        check=True,
    )
    read = [line.split() for line in done.stdout.splitlines()]
    assert [bytes.fromhex(record) for _, record in read] == payloads
    assert len({part for part, _ in read}) == parts
