"""Where the relative paths of a listing start: the folder in which they exist."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from segrecord.errors import SourceError
from segrecord.sources.understood import FEW, checked_path, few, nfc
from segrecord.sources.walk import IMAGE_EXTENSIONS, Existing, extension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segrecord.sources.tabular import Grid


_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


class Root(NamedTuple):
    """A folder that relative paths may start from."""

    path: str
    """As open() takes it from the working directory, which itself is ""."""
    named: str
    """What messages call it."""


def resolve(existing: Existing, root: str, cell: str) -> list[str]:
    """The files that a cell may mean: none, one, or several that differ in their extension.

    Tried are the path as written, without the blanks around it, with "/" for each backslash, and
    as the stem of an image file.
    """
    for text in dict.fromkeys((cell, cell.strip(), forward(cell))):
        found = existing.find(os.path.join(root, text))  # noqa: PTH118 - text, in a hot loop
        if found is not None:
            return [found]
    text = forward(cell)
    if extension(text) in IMAGE_EXTENSIONS:
        return []
    return existing.images_of_stem(os.path.join(root, text))  # noqa: PTH118 - as above


def forward(cell: str) -> str:
    """The path with "/" and without the blanks around it."""
    return cell.strip().replace("\\", "/")


def choose_root(
    grid: Grid, cells: Sequence[str], root: str | None, existing: Existing, *, own: bool
) -> Root:
    """The root under which most of the image paths exist.

    Args:
        grid: the listing; its folder is the first candidate, the working directory the second.
        cells: the image paths as written.
        root: the root that the user gave; then it is the only candidate.
        existing: what is known of the file system.
        own: the listing was written by segrecord: its paths start from its own folder.

    Raises:
        SourceError: no image exists under any candidate, or several do equally well.
    """
    candidates = _candidates(grid, root, own=own)
    found = {
        candidate: [resolve(existing, candidate.path, cell) for cell in cells]
        for candidate in candidates
    }
    counts = {candidate: sum(map(bool, files)) for candidate, files in found.items()}
    best = max(candidates, key=lambda candidate: counts[candidate])
    if not counts[best]:
        raise SourceError(_none_exists(grid, cells, candidates))
    equal = [c for c in candidates if counts[c] == counts[best] and found[c] != found[best]]
    if equal:
        places = " and in ".join(candidate.named for candidate in [best, *equal])
        raise SourceError(
            f"{counts[best]} of the {len(cells)} images of {grid.name} exist in {places} alike; "
            "say which are meant with --root"
        )
    return best


def _candidates(grid: Grid, root: str | None, *, own: bool) -> list[Root]:
    if root is not None:
        return [Root(checked_path(root), root)]
    folder = checked_path(os.path.dirname(grid.path))  # noqa: PTH120 - text
    here = Root("", "the working directory")
    if not grid.path or os.path.realpath(folder or ".") == os.path.realpath("."):
        return [here if not folder else Root(folder, folder)]
    return [Root(folder, folder)] if own else [Root(folder, folder), here]


def _none_exists(grid: Grid, cells: Sequence[str], candidates: Sequence[Root]) -> str:
    if any("://" in cell for cell in cells[:FEW]):
        return f"{grid.name} lists URLs ({cells[0]}); object stores are not supported yet"
    places = " or ".join(candidate.named for candidate in candidates)
    if common := _common_folder(cells):
        return (
            f"none of the {len(cells)} images of {grid.name} ({few(cells)}) exists: their paths "
            f"are absolute, as on another machine; take {common}/ off them all and pass --root "
            "FOLDER, the folder that holds the rest"
        )
    return (
        f"none of the {len(cells)} images of {grid.name} ({few(cells)}) exists in {places}; pass "
        "--root FOLDER, the folder that their paths start from, or, if the table only says more "
        f"about the images of a folder, build the folder with --metadata {grid.path or 'FILE'}"
    )


def _common_folder(cells: Sequence[str]) -> str:
    """What paths that are absolute, on POSIX or on Windows, have in common; "" for others."""
    paths = [forward(cell) for cell in cells]
    if not all(_ABSOLUTE.match(path) for path in paths):
        return ""
    try:
        return posixpath.commonpath(map(posixpath.dirname, paths)).rstrip("/")
    except ValueError:
        return ""  # of both systems


class Keys:
    """Keys of listed images: their paths without extension, relative to one common folder.

    Args:
        grid: the listing.
        cells: all image paths; what the absolute ones have in common is taken off them.
    """

    def __init__(self, grid: Grid, cells: Sequence[str]) -> None:
        absolute = [path for cell in cells if os.path.isabs(path := forward(cell))]  # noqa: PTH117 - text
        self._base = ""
        if absolute:
            folders = {os.path.dirname(path) for path in absolute}  # noqa: PTH120 - text
            try:
                self._base = os.path.commonpath(sorted(folders))
            except ValueError:
                # Different drives (Windows) have no common folder.
                self._base = ""
            if grid.path:
                table = os.path.dirname(os.path.abspath(grid.path))  # noqa: PTH100, PTH120 - text
                if (self._base + os.sep).startswith(table + os.sep):
                    self._base = table

    def of(self, cell: str) -> str:
        """The key of the image with this path."""
        text = forward(cell)
        if os.path.isabs(text) and self._base:  # noqa: PTH117 - text, in a hot loop
            text = os.path.relpath(text, self._base).replace(os.sep, "/")
        text = posixpath.normpath(text)
        while text.startswith("../"):
            text = text[3:]
        if extension(text) in IMAGE_EXTENSIONS:
            text = posixpath.splitext(text)[0]
        return nfc(text.lstrip("/"))
