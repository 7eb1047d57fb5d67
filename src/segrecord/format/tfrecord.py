"""TFRecord framing: payloads in, the bytes of a shard out; and back, with every check made.

A record is framed as `uint64 length, uint32 crc(length), payload, uint32 crc(payload)`, all
little-endian; the CRCs are CRC-32C, masked (TensorFlow, tsl/lib/io/record_writer.h). TensorFlow
itself ends silently on a file cut inside a length field, so this reader refuses every tail.
Docs: docs/format.md.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import google_crc32c

from segrecord import storage
from segrecord.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed import WriteableBuffer

HEADER = 12
"""Bytes before the payload: its length and the CRC of that."""

FRAME_OVERHEAD = 16
"""Bytes that framing adds to a payload: 12 before it, 4 after it."""

MAX_RECORD = (1 << 31) - 1
"""Largest payload in bytes: protobuf refuses messages of 2 GiB and more."""

_MASK_DELTA = 0xA282EAD8  # tsl/lib/hash/crc32c.h
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_CHUNK = 1 << 24  # bytes read at once: a false length must not allocate more than the file holds
_DEFLATE_LEVEL = 6  # zlib's and TensorFlow's default
# RFC 1952 with no name and no time; zlib would put the operating system in the last byte.
_GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF])
_WBITS = {"gzip": 31, "zlib": 15}  # zlib's inflateInit2: 16 more asks for a gzip header


def masked_crc(data: bytes) -> int:
    """The masked CRC-32C of these bytes: rotated right by 15 bits, plus a constant."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def frame(payload: bytes) -> tuple[bytes, bytes, bytes]:
    """Header (12 bytes), payload, footer (4 bytes): a record, for `writelines` without a copy."""
    return _header(len(payload)), payload, _CRC.pack(masked_crc(payload))


def _header(length: int) -> bytes:
    """What stands before a payload of so many bytes."""
    packed = _LENGTH.pack(length)
    return packed + _CRC.pack(masked_crc(packed))


def compressed(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """The bytes of a shard file made of these frames.

    Args:
        chunks: the pieces of the frames, in order.
        compression: "none": as they are; "gzip": one RFC 1952 member; "zlib": one RFC 1950
            stream, which TensorFlow calls ZLIB. The same chunks give the same bytes, whatever
            their borders, for one version of zlib.
    """
    if compression == "none":
        yield from chunks
        return
    raw = compression == "gzip"  # its header and trailer are written here
    deflater = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, -15 if raw else _WBITS[compression])
    crc, size = 0, 0
    if raw:
        yield _GZIP_HEADER
    for chunk in chunks:
        if raw:
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
        if data := deflater.compress(chunk):
            yield data
    yield deflater.flush()
    if raw:
        yield struct.pack("<II", crc, size & 0xFFFFFFFF)


def open_shard(path: str | Path, compression: str, *, links: bool = False) -> BinaryIO:
    """A shard file as a stream of its uncompressed bytes, for reading from the start.

    Args:
        path: of the file.
        compression: none, gzip or zlib.
        links: whether the path may be a symbolic link, as of `storage.descriptor`.

    Raises:
        RecordError: the file cannot be opened; or, while reading, the compressed data is
            damaged, ends early, or has bytes after its end.
    """
    try:
        file = storage.open_binary(path, links=links)
    except OSError as error:
        raise RecordError(str(path), f"cannot be opened: {error.strerror}") from error
    if compression == "none":
        return file
    inflate = _Inflate(file, str(path), _WBITS[compression])
    return cast("BinaryIO", io.BufferedReader(inflate, 1 << 17))


class _Inflate(io.RawIOBase):
    """One deflated stream, read as bytes; stricter than `gzip`, which takes several members."""

    def __init__(self, file: BinaryIO, shard: str, wbits: int) -> None:
        self._file = file
        self._shard = shard
        self._inflater = zlib.decompressobj(wbits)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self._inflater.eof:
            data = self._inflater.unconsumed_tail or _read(self._file, 1 << 17, self._shard)
            try:
                out = self._inflater.decompress(data, len(view))
            except zlib.error as error:
                rule = f"the compressed data is damaged ({error})"
                raise RecordError(self._shard, rule) from None
            if out:
                view[: len(out)] = out
                return len(out)
            if not data and not self._inflater.eof:
                raise RecordError(self._shard, "the compressed data ends early: the file is cut")
        if self._inflater.unused_data or _read(self._file, 1, self._shard):
            raise RecordError(self._shard, "there are bytes after the end of the compressed data")
        return 0


def _read(file: BinaryIO, length: int, shard: str) -> bytes:
    try:
        return file.read(length)
    except OSError as error:
        raise RecordError(shard, f"cannot be read: {error.strerror or error}") from error


def _read_all(stream: BinaryIO, length: int, shard: str) -> bytes:
    """Up to `length` bytes, fewer only at the end of the stream."""
    data = _read(stream, min(length, _CHUNK), shard)
    if len(data) == length or not data:
        return data
    parts, left = [data], length - len(data)
    while left and (data := _read(stream, min(left, _CHUNK), shard)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def read_records(
    stream: BinaryIO, shard: str, size: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Each record's offset (bytes of the uncompressed shard) and payload, in order.

    Args:
        stream: stands at the shard's first byte.
        shard: how errors name the shard.
        size: of the uncompressed shard in bytes, where it is known.

    Raises:
        RecordError: a CRC does not hold; a length is over MAX_RECORD or runs past the end;
            1 to 15 bytes are left over.
    """
    offset, record = 0, 0
    while header := _read_all(stream, HEADER, shard):
        at = _Position(shard, record, offset)
        left = None if size is None else size - offset - HEADER
        length = _length(header, left, at)
        payload = _read_all(stream, length, shard)
        _check_payload(payload, _read_all(stream, 4, shard), length, at)
        yield offset, payload
        offset += FRAME_OVERHEAD + length
        record += 1


def hop(file: BinaryIO, size: int, shard: str) -> Iterator[tuple[int, int]]:
    """Each record's offset and the length of its payload, from the headers alone.

    Args:
        file: an uncompressed shard.
        size: of the shard, in bytes.
        shard: how errors name the shard.

    Raises:
        RecordError: a header's CRC does not hold, or the last frame does not end with the file.
    """
    offset, record = 0, 0
    while offset < size:
        file.seek(offset)
        header = _read(file, HEADER, shard)
        length = _length(header, size - offset - HEADER, _Position(shard, record, offset))
        yield offset, length
        offset, record = offset + FRAME_OVERHEAD + length, record + 1


def compression_of(head: bytes) -> str:
    """none, gzip or zlib, by the first HEADER bytes of a shard (RFC 1952; RFC 1950, 2.2)."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if len(head) == HEADER and _CRC.unpack_from(head, 8)[0] == masked_crc(head[:8]):
        return "none"
    deflated = len(head) > 1 and head[0] & 15 == 8 and int.from_bytes(head[:2]) % 31 == 0  # noqa: PLR2004 - as said
    return "zlib" if deflated else "none"


class _Position(NamedTuple):
    """Where a record stands, for its errors."""

    shard: str
    record: int
    offset: int

    def error(self, rule: str) -> RecordError:
        return RecordError(self.shard, rule, self.record, self.offset)


def _length(header: bytes, left: int | None, at: _Position) -> int:
    """The payload's length by its header, checked; `left`: bytes of the file after the header."""
    if len(header) < HEADER:
        raise at.error(f"the file is cut: {len(header)} of the {HEADER} bytes of the header")
    if _CRC.unpack_from(header, 8)[0] != masked_crc(header[:8]):
        raise at.error("the CRC of the record's length does not hold")
    length: int = _LENGTH.unpack_from(header)[0]
    if length > MAX_RECORD:
        raise at.error(f"a record may hold {MAX_RECORD} bytes, this one says {length}")
    if left is not None and length + 4 > left:
        raise at.error(_cut(max(left, 0), length))
    return length


def _check_payload(payload: bytes, footer: bytes, length: int, at: _Position) -> None:
    have = len(payload) + len(footer)
    if have < length + 4:
        raise at.error(_cut(have, length))
    if _CRC.unpack(footer)[0] != masked_crc(payload):
        raise at.error("the CRC of the record's data does not hold")


def _cut(have: int, length: int) -> str:
    return f"the file is cut: {have} of the {length + 4} bytes after the record's header"


def read_at(
    fd: int, offset: int, length: int, shard: str, record: int, *, check_crc: bool = True
) -> bytes:
    """The payload of the record whose frame begins at `offset`, its CRCs checked.

    Args:
        fd: descriptor of an uncompressed shard, opened for reading (binary). On POSIX its
            position is neither used nor moved, so threads may share it; on Windows, which has
            no pread, each thread needs its own.
        offset: of the frame, in bytes.
        length: of the payload, in bytes, as the index says.
        shard: how errors name the shard.
        record: number of the record in the shard, for errors.
        check_crc: False: the CRC of the payload is not computed; that of its length is.

    Raises:
        RecordError: the frame is not there, is cut, is of another length, or a CRC does not hold.
    """
    if offset < 0 or not 0 <= length <= MAX_RECORD:
        rule = f"the index is damaged: it says {length} bytes at {offset}"
        raise RecordError(shard, rule, record, offset)
    at, wanted = _Position(shard, record, offset), FRAME_OVERHEAD + length
    try:
        data = _pread_once(fd, min(wanted, _CHUNK), offset)
        parts, left = [data], wanted - len(data)
        while left and parts[-1]:  # a large record comes in parts; b"": the file ends
            parts.append(_pread_once(fd, min(left, _CHUNK), offset + wanted - left))
            left -= len(parts[-1])
    except OSError as error:
        raise at.error(f"cannot be read: {error.strerror}") from error
    if len(parts) > 1:
        data = b"".join(parts)
    payload = data[HEADER : HEADER + length]
    if not data.startswith(_header(length)):
        own = _length(data[:HEADER], None, at)
        raise at.error(f"the index says {length} bytes, the record itself {own}")
    if check_crc or len(data) < wanted:
        _check_payload(payload, data[HEADER + length :], length, at)
    return payload


def _seek_and_read(fd: int, length: int, offset: int) -> bytes:
    """What `os.pread` does, but moving the descriptor's position."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


_pread_once = _seek_and_read if sys.platform == "win32" else os.pread
