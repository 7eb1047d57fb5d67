"""Finding files: a folder's image files in an order of their own, and which paths exist."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from segrecord.errors import Finding, SourceError
from segrecord.options import MAPPING_FILE
from segrecord.sources.understood import PassedOver, is_unicode, nfc

IMAGE_EXTENSIONS = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".pbm",
    ]
)
TABLE_EXTENSIONS = frozenset([".csv", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx"])

OTHER = "other files"

# What systems, storage servers (thumbnails in @eaDir, bins) and SLIC tools leave beside images
# (ISIC 2016-2017 ship superpixels as PNG).
_JUNK = (
    *("._*", ".ds_store", "thumbs.db", "__macosx", "*_superpixels.png"),
    *("@eadir", "#recycle", "$recycle.bin"),
)
_JUNK_SHOWN = {
    ".ds_store": ".DS_Store",
    "thumbs.db": "Thumbs.db",
    "__macosx": "__MACOSX",
    "@eadir": "@eaDir",
    "$recycle.bin": "$RECYCLE.BIN",
}


@dataclass
class Walk:
    """What lies in a folder; paths are relative to it, with "/", sorted."""

    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    passed_over: PassedOver = field(default_factory=PassedOver)
    extensions: Counter[str] = field(default_factory=Counter)
    """Of the files that are no images."""
    findings: list[Finding] = field(default_factory=list)
    taken: frozenset[str] = frozenset()
    """The real paths of tables that were passed as --metadata: they are not passed over."""


def extension(name: str) -> str:
    """The last extension of a file name in lower case, with its dot; "" where it has none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - text, in a hot loop


def walk(folder: str, metadata: Sequence[str] = ()) -> Walk:
    """All files below the folder, symlinked folders included, sorted by name.

    Args:
        folder: the path.
        metadata: tables that are taken, wherever they lie.

    Raises:
        SourceError: the folder itself cannot be listed.
    """
    found = Walk(taken=frozenset(os.path.realpath(table) for table in metadata))
    try:
        _walk(folder, "", frozenset(), found)
    except RecursionError:
        raise SourceError(f"{folder} is nested too deeply; pass a folder further down") from None
    if found.findings and found.findings[0].path == folder:
        raise SourceError(f"{folder} cannot be listed: {found.findings[0].message}")
    return found


def _walk(folder: str, prefix: str, above: frozenset[tuple[int, int]], found: Walk) -> None:
    try:
        status = os.stat(folder)  # noqa: PTH116 - text, in a hot loop
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.findings.append(_unreadable(folder, error))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        # A link back to a folder above: everything below it has been or will be seen.
        found.passed_over.add("links to a folder above", prefix.rstrip("/"))
        return
    for entry in listed:
        kind = _junk(entry.name)
        if kind:
            found.passed_over.add(kind, prefix + entry.name)
        elif entry.is_dir():
            _walk(entry.path, f"{prefix}{entry.name}/", above | {identity}, found)
        else:
            _take(entry, prefix, found)


def _take(entry: os.DirEntry[str], prefix: str, found: Walk) -> None:
    kind = extension(entry.name)
    if not (entry.is_file() or entry.is_symlink()):
        found.passed_over.add("devices, pipes and sockets", prefix + entry.name)
    elif prefix + entry.name == MAPPING_FILE:
        pass  # it is read, and told of, with the classes
    elif kind not in IMAGE_EXTENSIONS:
        if found.taken and os.path.realpath(entry.path) in found.taken:
            return
        found.passed_over.add(OTHER, prefix + entry.name)
        found.extensions[kind] += 1
        if kind in TABLE_EXTENSIONS:
            found.tables.append(prefix + entry.name)
    elif not is_unicode(prefix + entry.name):
        found.findings.append(_not_unicode(prefix + entry.name))
    else:
        # A broken link is taken as well: the scan names it as a file that cannot be read.
        found.images.append(prefix + entry.name)


def _junk(name: str) -> str:
    """The pattern by which a name is passed over, or ""."""
    lower = name.lower()
    for pattern in _JUNK:
        if fnmatchcase(lower, pattern):
            return _JUNK_SHOWN.get(pattern, pattern)
    return "hidden files" if name.startswith(".") else ""


def _unreadable(folder: str, error: OSError) -> Finding:
    return Finding(
        "error",
        "unreadable-folder",
        "",
        folder if is_unicode(folder) else repr(folder),
        error.strerror or "cannot be listed",
        "grant the permission to read the folder, or move it away",
    )


def _not_unicode(path: str) -> Finding:
    return Finding(
        "error",
        "name-not-unicode",
        "",
        repr(path),
        "the name is not valid UTF-8, so that it cannot be a key",
        "rename the file",
    )


class Existing:
    """Which files exist, by one listing a folder instead of one question a file."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, str] | None] = {}
        self._stems: dict[str, dict[str, list[str]]] = {}

    def find(self, path: str) -> str | None:
        """The path of this file as the disk spells it, or None where there is none.

        Unicode's composed and decomposed spellings of a name are the same name.
        """
        folder, name = os.path.split(path)
        names = self._names(folder)
        if names is None or not name:
            return None
        actual = names.get(name) or names.get(nfc(name))
        if actual is not None:
            return path if actual == name else os.path.join(folder, actual)  # noqa: PTH118 - text
        # The file system may know the file by another case of its letters.
        return path if _is_file(path) else None

    def images_of_stem(self, path: str) -> list[str]:
        """The image files that have this path when their extension is taken off, sorted."""
        folder, stem = os.path.split(path)
        names = self._names(folder)
        if names is None or not stem:
            return []
        if folder not in self._stems:
            self._stems[folder] = _by_stem(names)
        found = self._stems[folder].get(nfc(stem), [])
        return [os.path.join(folder, name) for name in found]  # noqa: PTH118 - text

    def _names(self, folder: str) -> dict[str, str] | None:
        """The folder's files by name and by composed name; None where there is no such folder."""
        if folder not in self._folders:
            try:
                with os.scandir(folder or ".") as entries:
                    names = [entry.name for entry in entries if not entry.is_dir()]
            except (OSError, ValueError):  # ValueError: a null byte in the path
                self._folders[folder] = None
            else:
                composed = {nfc(name): name for name in sorted(names)}
                self._folders[folder] = composed | {name: name for name in names}
        return self._folders[folder]


def _by_stem(names: dict[str, str]) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for name in sorted(set(names.values())):
        if extension(name) in IMAGE_EXTENSIONS and not _junk(name):
            stems.setdefault(nfc(os.path.splitext(name)[0]), []).append(name)  # noqa: PTH122 - text
    return stems


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113 - text
    except ValueError:
        return False
