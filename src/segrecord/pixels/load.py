"""A path in, the file's bytes out: the one place where source files are opened."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from segrecord.engines import note
from segrecord.errors import PixelError

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused: an Example must stay below protobuf's 2 GiB, mask included."""


_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe must not wait for a writer; regular files do not mind."""


class Head(NamedTuple):
    """The beginning of a file."""

    data: bytes
    size: int
    """Of the whole file, in bytes."""
    modified: int
    """Nanoseconds since the epoch."""


def load(path: str) -> bytes:
    """All bytes of a file.

    Notes the path first, so that an engine can name the file a worker died on.

    Raises:
        PixelError: the file is missing, unreadable, no regular file or over MAX_FILE_BYTES.
    """
    return load_head(path, MAX_FILE_BYTES).data


def load_head(path: str, limit: int) -> Head:
    """The first `limit` bytes of a file, or all if it is shorter; raises as `load`."""
    note(path)
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            return _read(descriptor, limit)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise PixelError("missing-file", "the file does not exist", "fix the path") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise PixelError(
            "unreadable-file",
            f"the file cannot be read: {reason}",
            "fix the permissions, or check the disk",
        ) from None


def _read(descriptor: int, limit: int) -> Head:
    status = os.fstat(descriptor)
    size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        raise PixelError(
            "unreadable-file",
            "it is no regular file but a folder, pipe or device",
            "fix the path",
        )
    if size > MAX_FILE_BYTES:
        raise PixelError(
            "file-too-large",
            f"the file has {size} bytes, the limit is {MAX_FILE_BYTES}",
            "leave it out or make it smaller",
        )
    wanted = min(size, limit)
    data = os.read(descriptor, wanted)
    while len(data) < wanted and (more := os.read(descriptor, wanted - len(data))):
        data += more
    return Head(data, size, status.st_mtime_ns)
