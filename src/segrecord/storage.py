"""The one place that writes, renames and syncs files, and that opens the files of a dataset.

Written: under a temporary name in the same folder, then renamed, so that a file is whole or absent.

Read: only regular files. A manifest may come from anywhere, and what stands under a name that it
gives must neither lead to another file (a symbolic link) nor wait for a writer (a pipe). The folder
itself may be a symbolic link: whoever opens it names it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from segrecord.errors import OutputError, RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader

    import pyarrow as pa

_BINARY = getattr(os, "O_BINARY", 0)  # Windows
_READ = (
    os.O_RDONLY
    | _BINARY
    | getattr(os, "O_NONBLOCK", 0)  # a pipe must not wait for a writer; regular files do not mind
)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has none: there the file is looked at before

_KINDS = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}


class NewFile:
    """A file that is being written; see `new_file`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.keep = True
        """False: nothing is to stand under the name."""

    def write(self, data: bytes) -> None:
        """Write all of these bytes."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


@contextlib.contextmanager
def new_file(path: str | Path, *, mode: int | None = None, sync: bool = False) -> Iterator[NewFile]:
    """A new file, which gets its name when all of it is written; until then an old one stays.

    Args:
        path: of the file.
        mode: its permissions; None: those of any new file.
        sync: put its content on disk before it gets its name.

    Raises:
        OSError: it cannot be written; the temporary file is gone.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    descriptor = os.open(temporary, flags, 0o666 if mode is None else mode)
    try:
        try:
            file = NewFile(descriptor)
            yield file
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not file.keep:
            temporary.unlink()
            return
        if mode is not None:  # whatever the process masks
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_file(
    path: str | Path, data: bytes, *, mode: int | None = None, what: str | None = None
) -> None:
    """Write a file, whole or not at all, and put it on disk.

    Args:
        path: of the file.
        data: its content.
        mode: its permissions; None: those of any new file.
        what: how an error names it; None: by its path.

    Raises:
        OutputError: it cannot be written.
    """
    target = Path(path).resolve()  # a link stays one
    try:
        if target.exists() and not target.is_file():  # a pipe or a device
            target.write_bytes(data)
        else:
            with new_file(target, mode=mode, sync=True) as file:
                file.write(data)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{what or path} cannot be written: {reason}") from None


def check_writable(path: Path) -> None:
    """Refuse, before long work, a file that could not be written after it.

    Raises:
        OutputError: a folder has its name, the folder that it would stand in does not exist, or
            there is no permission.
    """
    folder = path.parent
    if path.is_dir():
        reason = "a folder has this name; choose another name"
    elif not folder.is_dir():
        reason = f"there is no folder {folder}; make it"
    elif not os.access(path if path.exists() and not path.is_file() else folder, os.W_OK):
        reason = "there is no permission; fix the permissions or choose another place"
    else:
        return
    raise OutputError(f"{path} cannot be written: {reason}")


def sync_file(path: Path) -> None:
    """Put the content of a file on disk."""
    descriptor = os.open(path, os.O_RDWR | _BINARY)  # Windows: not O_RDONLY
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk, where the system can do that."""
    with contextlib.suppress(OSError):  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class IrregularFileError(OSError):
    """It is a link, a folder, a pipe or a device; `strerror` says which, and what to do."""

    def __str__(self) -> str:
        return str(self.strerror)


def _require_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind, fix = _KINDS.get(stat.S_IFMT(mode), "device"), "put the file itself in its place"
    if stat.S_ISLNK(mode):
        fix += ", or copy the dataset with its links followed (cp -rL FROM TO)"
    raise IrregularFileError(errno.EINVAL, f"it is a {kind} and no regular file; {fix}")


def status(path: str | Path, *, links: bool = False) -> os.stat_result:
    """The status of a regular file, which is not opened; raises as `descriptor`."""
    found = Path(path).stat(follow_symlinks=links)
    _require_regular(found.st_mode)
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
        number = os.open(path, _READ | (0 if links else _NO_LINKS))
    except OSError:
        status(path, links=links)  # says more of a link or a socket than the system does
        raise
    try:
        _require_regular(os.fstat(number).st_mode)
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


def map_table(path: str | Path, *, links: bool = False) -> pa.Table:
    """The table in an Arrow IPC file, whose columns are views of the mapped file.

    Args:
        path: of the file.
        links: as of `descriptor`.

    Raises:
        OSError: it is not there, cannot be read, or is no regular file.
        pa.ArrowException, ValueError, KeyError, NotImplementedError: it is no sound Arrow file.
    """
    import pyarrow as pa  # noqa: PLC0415 - workers do without it

    status(path, links=links)  # Arrow opens whatever stands there
    # Arrow's map and not Python's, which holds a descriptor for as long as the table lives.
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def read_columns(
    path: str | Path, fields: Iterable[pa.Field], *, links: bool = False
) -> pa.Table | None:
    """Those of these columns that an Arrow file has once, of these types; None: there is no file.

    Every value is checked, since Arrow itself checks nothing, and noise for offsets crashes it.

    Raises:
        RecordError: it is no sound Arrow file.
    """
    import pyarrow as pa  # noqa: PLC0415 - as above

    try:
        table = map_table(path, links=links)
        there, names = list(table.schema), table.column_names
        once = [field for field in fields if field in there and names.count(field.name) == 1]
        table = table.select([field.name for field in once])
        table.validate(full=True)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no sound Arrow file: {reason}") from None
    return table
