"""Arrow files of a dataset, mapped into memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import pyarrow as pa

from segrecord.records import regular


def mapped(path: str | Path, *, links: bool = False) -> pa.Table:
    """The table in an Arrow IPC file, whose columns are views of the mapped file.

    Args:
        path: of the file.
        links: as of `records.regular.descriptor`.

    Raises:
        OSError: it is not there, cannot be read, or is no regular file.
        pa.ArrowException, ValueError, KeyError, NotImplementedError: it is no sound Arrow file.
    """
    # By the descriptor, and not by pa.memory_map: that opens a path, whatever stands there.
    with regular.open_binary(path, links=links) as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.py_buffer(content)).read_all()
