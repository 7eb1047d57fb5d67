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

from segrecord import storage
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.format import manifest as manifests

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
        self._synced.append(self._disk.submit(storage.sync_file, self.files / name))

    def finished(self, name: str, resume_fingerprint: str) -> bool:
        """Whether a shard is whole and was written under this fingerprint."""
        try:
            sidecar = self.sidecar(name)
            size = (self.files / name).stat().st_size
        except (OSError, ValueError, TypeError):
            return False
        return (sidecar.get("fingerprint"), sidecar.get("bytes")) == (resume_fingerprint, size)

    def sidecar(self, name: str) -> dict[str, Any]:
        """The sidecar of a shard that is finished."""
        return dict(json.loads((self.files / f"{name}.json").read_bytes()))

    def drop(self, keep: set[str]) -> None:
        """Remove from the stage the shards and sidecars of other plans."""
        for path in self.files.iterdir():
            if path.name not in keep and path.name.removesuffix(".json") not in keep:
                path.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the dataset into the stage.

        Raises:
            OSError: the disk is full or failing.
        """
        with storage.new_file(self.files / name, sync=True) as file:
            file.write(content)

    def seal(self, manifest: manifests.Manifest) -> None:
        """Finish the dataset in the stage: all shards are on disk, `dataset.json` is written.

        Raises:
            OSError: the disk is full or failing.
        """
        for synced in self._synced:
            synced.result()
        self.write(manifests.MANIFEST, manifests.dumps(manifest))
        storage.sync_folder(self.files)

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
        # What the dataset does not need goes first: an empty stage means that it is whole.
        shutil.rmtree(self.scan, ignore_errors=True)
        self.drop({manifests.MANIFEST})
        storage.sync_folder(self.out)
        (self.files / manifests.MANIFEST).replace(self.out / manifests.MANIFEST)
        storage.sync_folder(self.out)

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

    def stop_syncs(self) -> None:
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
        own = out.resolve()
        for source in sources:
            folder = source.resolve()
            if folder.is_dir() and (own == folder or folder in own.parents):
                raise UsageError(
                    f"the output {out} lies inside the source {source}: the next run would read it "
                    "as data; choose a folder outside"
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
                some = ", ".join([*there[:3], *["..."] * (len(there) > 3)])  # noqa: PLR2004 - a line's worth
                raise OutputError(
                    f"{out} is not empty ({some}) and holds no dataset; choose a new folder"
                )
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}; choose another folder"
        ) from None


def _check_dataset(out: Path, *, overwrite: bool) -> None:
    if not overwrite:
        if (out / STAGE).is_dir():
            # Opening and closing removes the empty stage of a build killed after its commit.
            with contextlib.suppress(OutputError), opened(out):
                pass
        raise OutputError(
            f"{out} holds a finished dataset; pass --overwrite to replace it, or choose "
            "another folder"
        )
    try:
        manifests.load(out)
    except RecordError as error:
        raise OutputError(
            f"{out} holds a dataset whose manifest no longer says which files are its own "
            f"({error.rule}); remove the folder yourself, or choose another"
        ) from None


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
        if not _lock(lock.fileno(), out / STAGE / "lock"):
            raise OutputError(f"another segrecord build is running on {out}; wait until it ends")
        try:
            yield stage
        finally:
            stage.stop_syncs()
            if stage.is_empty():
                stage.close()
            with contextlib.suppress(OSError):  # one is not empty, so those above are not
                for path in made:
                    path.rmdir()


def _lock(descriptor: int, path: Path) -> bool:
    """Whether the lock is ours now, and was not removed by a build that has just ended."""
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:  # pragma: no cover - Windows: two builds at once are not noticed
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
