"""Arrow files of a dataset, mapped into memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from segrecord.records import regular


def mapped(path: str | Path, *, links: bool = False) -> pa.Table:
    """The table in an Arrow IPC file, whose columns are views of the mapped file.

    Args:
        path: of the file.
        links: as of `records.regular.status`.

    Raises:
        OSError: it is not there, cannot be read, or is no regular file.
        pa.ArrowException, ValueError, KeyError, NotImplementedError: it is no sound Arrow file.
    """
    regular.status(path, links=links)  # Arrow opens whatever stands there
    # Arrow's map and not Python's, which holds a descriptor for as long as the table lives.
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
