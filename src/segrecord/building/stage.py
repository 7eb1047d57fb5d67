"""The stage: a hidden folder in the output where a dataset is made, and its commit.

    OUT/.segrecord/lock            held by the build that is running
    OUT/.segrecord/scan/           what the scan has kept
    OUT/.segrecord/files/          finished shards, their sidecars, and at the end all other files

When `files/dataset.json` stands, everything beside it is whole, and all that is left is to move
it up: `dataset.json` comes last, so that a dataset is either whole or absent. A run killed on
the way is finished by the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.records import manifest as manifests

STAGE = ".segrecord"
STOPPED = ("findings.csv",)
"""What a build that was stopped by errors leaves in the output for people to read."""


_SYNCS = 2
"""Files that are put on disk at once: waiting costs no processor, and disks like some company."""


class Stage:
    """The stage of one output folder; made by `opened`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.scan = out / STAGE / "scan"
        self.files = out / STAGE / "files"
        self._disk = ThreadPoolExecutor(_SYNCS, "segrecord-sync")
        self._synced: list[Future[None]] = []

    def sync(self, name: str) -> None:
        """Begin to put a finished shard on disk, while workers go on; `seal` waits for it."""
        self._synced.append(self._disk.submit(_sync_file, self.files / name))

    def finished(self, mark: str, name: str) -> dict[str, Any] | None:
        """The sidecar of a shard finished under this mark; None if there is none."""
        try:
            sidecar = json.loads((self.files / f"{name}.json").read_bytes())
            size = (self.files / name).stat().st_size
        except (OSError, ValueError):
            return None
        same = isinstance(sidecar, dict) and (sidecar.get("mark"), sidecar.get("bytes"))
        return sidecar if same == (mark, size) else None

    def sidecar(self, name: str) -> dict[str, Any]:
        """The sidecar of a shard that is finished."""
        content: dict[str, Any] = json.loads((self.files / f"{name}.json").read_bytes())
        return content

    def drop(self, keep: set[str]) -> None:
        """Remove from the stage the shards and sidecars of other plans."""
        for path in self.files.iterdir():
            if path.name not in keep and path.name.removesuffix(".json") not in keep:
                path.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the dataset into the stage: whole or not at all."""
        temporary = self.files / f".{name}.tmp"
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.files / name)

    def seal(self, manifest: manifests.Manifest) -> None:
        """Finish the dataset in the stage: all shards are on disk, `dataset.json` is written.

        Raises:
            OSError: the disk is full or failing.
        """
        for synced in self._synced:
            synced.result()
        self.write(manifests.MANIFEST, manifests.dumps(manifest))
        sync_folder(self.files)

    def holds(self, manifest: manifests.Manifest, but: str) -> bool:
        """Whether all files of a dataset but this one stand here."""
        return all((self.files / name).exists() for name in _names(manifest) - {but})

    def move_up(self) -> None:
        """Move the files of a finished stage into the output, `dataset.json` last.

        May be killed anywhere and called again: the manifest of a dataset that is replaced is
        kept in the stage until the end, so that none of its files stays behind.
        """
        replaced = self.out / STAGE / "replaced.json"
        if (self.out / manifests.MANIFEST).exists():
            (self.out / manifests.MANIFEST).replace(replaced)
        new = manifests.read(self.files / manifests.MANIFEST)
        self._remove(replaced, keep=_names(new))
        for name in sorted(_names(new)):
            if (self.files / name).exists():  # or moved by the run that was killed
                (self.files / name).replace(self.out / name)
        self._sweep()
        sync_folder(self.out)
        (self.files / manifests.MANIFEST).replace(self.out / manifests.MANIFEST)
        sync_folder(self.out)

    def _sweep(self) -> None:
        """Remove what the dataset does not need, so that an empty stage tells that it is whole."""
        shutil.rmtree(self.scan, ignore_errors=True)
        self.drop({manifests.MANIFEST})

    def is_empty(self) -> bool:
        """Whether nothing is kept here: a build has not begun, or was killed after its commit."""
        folders = [folder for folder in (self.scan, self.files) if folder.exists()]
        return not any(path for folder in folders for path in folder.iterdir())

    def forget(self, name: str) -> None:
        """Have a shard written again by the next run."""
        (self.files / f"{name}.json").unlink(missing_ok=True)

    def staged(self) -> manifests.Manifest | None:
        """The manifest of a finished stage whose files were not all moved up."""
        path = self.files / manifests.MANIFEST
        return manifests.read(path) if path.exists() else None

    def abandon(self) -> None:
        """Give up a finished stage for another plan, with whatever of it was moved up already."""
        path = self.files / manifests.MANIFEST
        if not (self.out / manifests.MANIFEST).exists():
            self._remove(path, keep=set())
            self._remove(self.out / STAGE / "replaced.json", keep=set())
        path.unlink()

    def _remove(self, listed_in: Path, keep: set[str]) -> None:
        if listed_in.exists():
            for name in _names(manifests.read(listed_in)) - keep:
                (self.out / name).unlink(missing_ok=True)

    def still(self) -> None:
        """Drop what waits to be put on disk, and wait for what is under way."""
        self._disk.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Remove the stage of a dataset that is committed."""
        shutil.rmtree(self.out / STAGE, ignore_errors=True)


def _names(manifest: manifests.Manifest) -> set[str]:
    """The names of all files of a dataset but its manifest's own."""
    shards = {shard.name for split in manifest.splits.values() for shard in split.shards}
    return shards | set(manifest.files)


def check_output(out: Path, sources: list[Path], *, overwrite: bool) -> None:
    """Refuse an output that would destroy something or mix with the source.

    Raises:
        UsageError: the output lies inside the source.
        OutputError: it is a file, holds a dataset already, holds anything else, or cannot be
            looked at.
    """
    try:
        _check_output(out, sources, overwrite=overwrite)
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}; choose another folder"
        ) from None


def check_file(path: Path) -> None:
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
    elif not os.access(path if path.exists() else folder, os.W_OK):
        reason = "there is no permission; fix the permissions or choose another place"
    else:
        return
    raise OutputError(f"{path} cannot be written: {reason}")


def _check_output(out: Path, sources: list[Path], *, overwrite: bool) -> None:
    own = out.resolve()
    for source in sources:
        place = source.resolve()
        if place.is_dir() and (own == place or place in own.parents):
            raise UsageError(
                f"the output {out} lies inside the source {source}: the next run would read it as "
                "data; choose a folder outside"
            )
    if out.exists() and not out.is_dir():
        raise OutputError(f"the output {out} is a file; choose a folder")
    if not out.is_dir():
        return
    if (out / manifests.MANIFEST).exists():
        _check_dataset(out, overwrite=overwrite)
    elif not (out / STAGE).is_dir():
        there = sorted(path.name for path in out.iterdir() if path.name not in STOPPED)
        if there:
            raise OutputError(
                f"{out} is not empty ({', '.join(there[:3])}{', ...' * (len(there) > 3)}) and "  # noqa: PLR2004 - a line's worth
                "holds no dataset; choose a new folder"
            )


def _check_dataset(out: Path, *, overwrite: bool) -> None:
    if not overwrite:
        if (out / STAGE).is_dir():
            _tidy(out)
        raise OutputError(
            f"{out} holds a finished dataset; pass --overwrite to replace it, or choose "
            "another folder"
        )
    try:
        manifests.load(out)
    except RecordError as error:
        raise OutputError(
            f"{out} holds a dataset whose manifest tells no longer which files are its own "
            f"({error.rule}); remove the folder yourself, or choose another"
        ) from None


def _tidy(out: Path) -> None:
    """Remove the empty stage of a build that was killed after its commit."""
    with contextlib.suppress(OutputError), opened(out):
        pass


@contextlib.contextmanager
def opened(out: Path) -> Iterator[Stage]:
    """The stage of an output, made if need be, and locked against a second build.

    An empty one is removed at the end, and with it the folders that were made here.

    Raises:
        OutputError: the output cannot be written, or another build is running on it.
    """
    stage, made = Stage(out), [path for path in (out, *out.parents) if not path.exists()]
    try:
        stage.files.mkdir(parents=True, exist_ok=True)
        lock = (out / STAGE / "lock").open("wb")
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror}; fix the permissions or choose another "
            "folder"
        ) from None
    with lock:
        if not (_lock(lock.fileno()) and _still_there(lock.fileno(), out)):
            raise OutputError(f"another segrecord build is running on {out}; wait until it ends")
        try:
            yield stage
        finally:
            stage.still()
            if stage.is_empty():
                stage.close()
            with contextlib.suppress(OSError):  # one is not empty, so those above are not
                for path in made:
                    path.rmdir()


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows: not O_RDONLY
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _still_there(descriptor: int, out: Path) -> bool:
    """Whether the lock is the stage's own, and not that of a build which has just ended."""
    try:
        return os.path.samestat(os.fstat(descriptor), (out / STAGE / "lock").stat())
    except OSError:
        return False


def _lock(descriptor: int) -> bool:
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:  # pragma: no cover - Windows: two builds at once are not noticed
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk, where the system can do that."""
    with contextlib.suppress(OSError):  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
