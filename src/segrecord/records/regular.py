"""The files of a dataset: plain names in its own folder, opened only where they are regular files.

A manifest may come from anywhere. A name in it must not lead out of the folder, and what stands
under the name must neither lead to another file (a symbolic link) nor wait for a writer (a pipe).
The folder itself may be a symbolic link: whoever opens it names it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe must not wait for a writer; regular files do not mind
)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has none: there the file is looked at before

_KINDS = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}


class IrregularFileError(OSError):
    """It is a link, a folder, a pipe or a device; `strerror` says which, and what to do."""

    def __str__(self) -> str:
        return str(self.strerror)


def _require(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind, way = _KINDS.get(stat.S_IFMT(mode), "device"), "put the file itself in its place"
    if stat.S_ISLNK(mode):
        way += ", or copy the dataset with its links followed (cp -rL FROM TO)"
    raise IrregularFileError(errno.EINVAL, f"it is a {kind} and no regular file; {way}")


def name_rule(name: str) -> str:
    """The rule that the name of a dataset's file breaks, or ""."""
    plain = name.isprintable() and not re.search(r"^\.|[/\\]|^[A-Za-z]:", name)
    if not name or not plain:
        return (
            "must be the plain name of a file beside dataset.json: not empty, without /, \\, "
            "control characters or a drive letter, and not beginning with a dot"
        )
    return ""


def status(path: str | Path, *, links: bool = False) -> os.stat_result:
    """The status of a regular file, which is not opened; raises as `descriptor`."""
    found = Path(path).stat(follow_symlinks=links)
    _require(found.st_mode)
    return found


def descriptor(path: str | Path, *, links: bool = False) -> int:
    """A descriptor of a regular file, for reading; no pipe is waited for.

    Args:
        path: of the file.
        links: whether the path may be a symbolic link to one: of files that the user named, and
            no manifest.

    Raises:
        IrregularFileError: it is no regular file.
        OSError: it is not there, or may not be read.
    """
    if not (links or _NO_LINKS):
        status(path)
    try:
        number = os.open(path, _FLAGS | (0 if links else _NO_LINKS))
    except OSError:
        status(path, links=links)  # says more of a link or a socket than the system does
        raise
    try:
        _require(os.fstat(number).st_mode)
    except IrregularFileError:
        os.close(number)
        raise
    return number


def open_binary(path: str | Path, *, links: bool = False) -> BufferedReader:
    """A regular file as a stream of bytes; raises as `descriptor`."""
    return os.fdopen(descriptor(path, links=links), "rb")


def read_bytes(path: str | Path) -> bytes:
    """The content of a regular file; raises as `descriptor`."""
    with open_binary(path) as file:
        return file.read()
