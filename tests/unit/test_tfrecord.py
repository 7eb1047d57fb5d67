"""The framing: what is written, and that every damage is told, with record and offset."""

import gzip
import io
import os
import struct
import zlib

import pytest

from segrecord.errors import RecordError
from segrecord.format import tfrecord
from segrecord.format.tfrecord import (
    FRAME_OVERHEAD,
    MAX_RECORD,
    compressed,
    frame,
    masked_crc,
    open_shard,
    read_at,
    read_records,
)

PAYLOADS = [b"first", b"", b"x" * 1000]
SHARD = b"".join(part for payload in PAYLOADS for part in frame(payload))
OFFSETS = [0, 21, 37]


def records(data, size=None):
    return list(read_records(io.BytesIO(data), "s", size))


def header(length):
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc(packed))


def write(tmp_path, compression, data=SHARD):
    path = tmp_path / "shard"
    path.write_bytes(b"".join(compressed([data[:7], data[7:]], compression)))
    return path


def test_frames_read_back_with_their_offsets():
    assert records(SHARD, len(SHARD)) == list(zip(OFFSETS, PAYLOADS, strict=True))
    assert len(SHARD) == sum(map(len, PAYLOADS)) + 3 * FRAME_OVERHEAD


def test_frame_passes_the_payload_on_without_a_copy():
    payload = b"x" * 100
    assert frame(payload)[1] is payload


def test_an_empty_shard_holds_no_records():
    assert records(b"", 0) == []


@pytest.mark.parametrize("size", [None, "known"])
def test_every_cut_is_refused_or_ends_at_a_border(size):
    for end in range(len(SHARD)):
        cut = SHARD[:end]
        if end in OFFSETS:
            assert len(records(cut)) == OFFSETS.index(end)
            continue
        with pytest.raises(RecordError, match="the file is cut") as caught:
            records(cut, len(cut) if size else None)
        assert caught.value.record == sum(offset <= end for offset in OFFSETS) - 1
        assert caught.value.offset == OFFSETS[caught.value.record]


@pytest.mark.parametrize("extra", range(1, 16))
def test_a_tail_of_1_to_15_bytes_is_refused(extra):
    tail = frame(b"next")[0][:extra] + b"\0" * max(0, extra - 12)
    with pytest.raises(RecordError) as caught:
        records(SHARD + tail)
    assert (caught.value.record, caught.value.offset) == (3, len(SHARD))


@pytest.mark.parametrize(
    ("byte", "rule"),
    [(0, "length"), (8, "length"), (12, "data"), (17, "data")],
)
def test_a_flipped_bit_is_told_by_its_crc(byte, rule):
    data = bytearray(SHARD)
    data[byte] ^= 4
    with pytest.raises(RecordError, match=f"CRC of the record's {rule} does not hold"):
        records(bytes(data))


def test_a_length_over_2_gib_is_refused_before_anything_is_allocated():
    with pytest.raises(RecordError, match=f"may hold {MAX_RECORD} bytes, this one says {1 << 40}"):
        records(header(1 << 40) + b"x" * 100)


def test_a_length_past_the_end_is_refused_before_reading():
    class Unreadable(io.BytesIO):
        def read(self, length=-1):
            assert length == 12
            return super().read(length)

    data = header(MAX_RECORD) + b"x" * 10
    with pytest.raises(RecordError, match="the file is cut: 10 of the 2147483651 bytes"):
        list(read_records(Unreadable(data), "s", len(data)))


def test_a_false_length_in_a_stream_of_unknown_size_allocates_no_more_than_a_chunk():
    class Watched(io.BytesIO):
        def read(self, length=-1):
            assert length <= 1 << 24
            return super().read(length)

    with pytest.raises(RecordError, match="the file is cut: 10 of"):
        list(read_records(Watched(header(MAX_RECORD) + b"x" * 10), "s"))


def test_a_record_longer_than_one_read_is_joined(monkeypatch):
    monkeypatch.setattr(tfrecord, "_CHUNK", 100)
    assert records(SHARD) == list(zip(OFFSETS, PAYLOADS, strict=True))


def test_an_error_names_shard_record_and_offset():
    with pytest.raises(RecordError, match=r"^s record 2 at byte 37: "):
        records(SHARD[:-1])


def test_a_stream_that_cannot_be_read_is_a_record_error():
    class Broken(io.BytesIO):
        def read(self, length=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(RecordError, match="s: cannot be read: Input/output error"):
        list(read_records(Broken(), "s"))


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_a_shard_of_each_compression_reads_back(tmp_path, compression):
    with open_shard(write(tmp_path, compression), compression) as stream:
        assert [payload for _, payload in read_records(stream, "s")] == PAYLOADS


def test_compressed_bytes_are_what_other_readers_take():
    assert gzip.decompress(b"".join(compressed([SHARD], "gzip"))) == SHARD
    assert zlib.decompress(b"".join(compressed([SHARD], "zlib"))) == SHARD
    assert b"".join(compressed([SHARD], "none")) == SHARD


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_compressed_bytes_do_not_hang_on_the_borders_of_the_chunks(compression):
    one = b"".join(compressed([SHARD], compression))
    assert b"".join(compressed([SHARD[i : i + 1] for i in range(len(SHARD))], compression)) == one


def test_gzip_carries_no_time_no_name_and_no_system():
    assert b"".join(compressed([SHARD], "gzip"))[:10].hex() == "1f8b08000000000000ff"


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_every_cut_of_a_compressed_shard_is_refused(tmp_path, compression):
    path = write(tmp_path, compression)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with open_shard(path, compression) as stream, pytest.raises(RecordError, match="cut"):
            list(read_records(stream, str(path)))


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_a_damaged_compressed_shard_is_refused(tmp_path, compression):
    path = write(tmp_path, compression)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with (
        open_shard(path, compression) as stream,
        pytest.raises(RecordError, match="compressed data is damaged") as caught,
    ):
        stream.read()
    assert caught.value.shard == str(path)


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_bytes_after_the_compressed_data_are_refused(tmp_path, compression):
    path = write(tmp_path, compression)
    path.write_bytes(path.read_bytes() + b"x")
    with (
        open_shard(path, compression) as stream,
        pytest.raises(RecordError, match="bytes after the end"),
    ):
        stream.read()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_missing_shard_is_a_record_error(tmp_path, compression):
    with pytest.raises(RecordError, match="gone: cannot be opened: No such file"):
        open_shard(tmp_path / "gone", compression)


@pytest.fixture(params=["pread", "seek and read"])
def shard_fd(tmp_path, request, monkeypatch):
    if request.param == "seek and read":
        monkeypatch.setattr(tfrecord, "_pread_once", tfrecord._seek_and_read)
    fd = os.open(write(tmp_path, "none"), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    yield fd
    os.close(fd)


@pytest.mark.parametrize("record", [2, 0, 1])
def test_read_at_gives_the_payload(shard_fd, record):
    payload = PAYLOADS[record]
    assert read_at(shard_fd, OFFSETS[record], len(payload), "s", record) == payload


@pytest.mark.parametrize(
    ("offset", "length", "rule"),
    [
        (0, 6, "the index says 6 bytes, the record itself 5"),
        (1, 5, "the CRC of the record's length does not hold"),
        (len(SHARD), 5, "the file is cut: 0 of the 12 bytes of the header"),
    ],
)
def test_read_at_refuses_a_wrong_place(shard_fd, offset, length, rule):
    with pytest.raises(RecordError, match=rule) as caught:
        read_at(shard_fd, offset, length, "s", 7)
    assert (caught.value.record, caught.value.offset) == (7, offset)


@pytest.mark.parametrize(
    ("damaged", "rule"),
    [
        (SHARD[:-3], "the file is cut: 1001 of the 1004 bytes"),
        (SHARD[:-10] + b"?" + SHARD[-9:], "the CRC of the record's data does not hold"),
    ],
)
def test_read_at_refuses_a_damaged_record(tmp_path, damaged, rule):
    fd = os.open(write(tmp_path, "none", damaged), os.O_RDONLY)
    try:
        with pytest.raises(RecordError, match=rule):
            read_at(fd, OFFSETS[2], 1000, "s", 2)
    finally:
        os.close(fd)


def test_read_at_reports_a_descriptor_that_cannot_be_read():
    with pytest.raises(RecordError, match="s record 0 at byte 0: cannot be read: Bad file"):
        read_at(1 << 20, 0, 5, "s", 0)
