"""A table of paths in, samples out; and samples written as such a table."""

from __future__ import annotations

import csv
import io
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from segrecord.errors import OutputError, SourceError, UsageError
from segrecord.findings import Finding, Related
from segrecord.options import SourceOptions
from segrecord.sources.columns import (
    IMAGE_NAMES,
    Columns,
    column_suggestions,
    find_columns,
    holds_files,
    key_columns,
    read_values,
)
from segrecord.sources.loaded import (
    LoadedSource,
    Note,
    Sample,
    SkippedFiles,
    checked_path,
    choose_masks,
    duplicate_key,
    forward,
    nfc,
    samples_table,
    without_mask,
)
from segrecord.sources.names import IMAGE_EXTENSIONS, extension, junk
from segrecord.sources.tabular import Cells, Grid
from segrecord.tables import META_PREFIX
from segrecord.wording import FEW, few, shown

_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


def load_listing(grid: Grid, options: SourceOptions) -> LoadedSource:
    """The samples that a table lists, one a row.

    Findings: missing-image, missing-mask-file, ambiguous-file, mask-is-image, several-masks,
    duplicate-key, several-classes, no-class, image-without-mask.

    Raises:
        SourceError: there is no column of images, a named column does not exist, or it is unclear
            where the paths start.
    """
    columns = find_columns(grid, options, with_images=True)
    if columns.image is None:
        raise SourceError(
            f"{grid.name} has no column of image paths (one of {few(IMAGE_NAMES)}); its columns "
            f"are {', '.join(map(shown, grid.columns))}; name it with --image-column"
        )
    reader = _Reader(grid, columns, options, grid.columns[columns.image])
    samples = reader.samples()
    absolute = "paths are absolute"
    return LoadedSource(
        samples_table(samples, options.keep_columns),
        (*reader.findings, *without_mask(samples)),
        (Note("table", f"{grid.name}: {columns.sentence()}"),),
        reader.skipped_files.sorted_counts(),
        tuple(
            Note("table", text)
            for suggest in (column_suggestions, _path_suggestions)
            for text in suggest(grid, columns, options, samples)
        ),
        absolute if reader.absolute else f"paths start from {reader.root.shown}",
        skipped_names=reader.skipped_files.sorted_names(),
    )


class _Reader:
    """Reads the rows of one listing; gathers what is wrong with them."""

    def __init__(self, grid: Grid, columns: Columns, options: SourceOptions, images: Cells) -> None:
        self.grid = grid
        self.columns = columns
        self.options = options
        self.images = images
        self.findings: list[Finding] = []
        self.skipped_files = SkippedFiles(Counter({"blank rows": grid.blank} if grid.blank else {}))
        self._existing = ExistingFiles()
        cells = [cell for cell in images if cell and cell.strip()]
        self.root = choose_root(grid, cells, options.root, self._existing, own=columns.own)
        self.absolute = all(os.path.isabs(cell.strip()) for cell in cells)  # noqa: PTH117 - text
        self._keys = Keys(grid, cells)

    def samples(self) -> list[Sample]:
        """The samples of all rows whose image exists and whose key no other row has."""
        rows: dict[str, list[tuple[int, Sample]]] = {}
        for position, cell in enumerate(self.images):
            sample = self.sample(position, cell if cell and cell.strip() else None)
            if sample is not None:
                rows.setdefault(sample.key, []).append((position, sample))
        # No mask is an image, be it that of its own row or of another.
        images = {
            os.path.normpath(sample.image): sample for held in rows.values() for _, sample in held
        }
        for position, sample in [row for held in rows.values() for row in held]:
            for mask in sample.masks:
                other = images.get(os.path.normpath(mask))
                if other is not None:
                    own = other.key == sample.key
                    related = () if own else (Related(other.key, other.image),)
                    values = {"case": "own" if own else "other", "mask": shown(mask)}
                    self._add("mask-is-image", sample.key, position, values, related)
        for key, held in rows.items():
            if len(held) > 1:
                paths = [self.grid.row(position) for position, _ in held]
                self.findings.append(duplicate_key(key, paths, "listing"))
        return [held[0][1] for held in rows.values() if len(held) == 1]

    def sample(self, position: int, cell: str | None) -> Sample | None:
        """The sample of one row, by the path of its image; None where it can be none."""
        if self.columns.key is not None:
            key = self.grid.columns[self.columns.key][position] or ""
            key = nfc(key if self.columns.own else key.strip())
        else:
            key = self._keys.of(cell) if cell else ""
        image = self._file(position, key, cell, "image") if cell else None
        if not cell or not key:
            empty = "image" if not cell else "key"
            self._add("missing-image", key, position, {"case": "empty", "column": empty})
        if image is None or not key:
            return None
        cells = [self.grid.columns[column][position] for column in self.columns.masks]
        masks = [self._file(position, key, mask, "mask") for mask in cells if mask and mask.strip()]
        chosen, several = choose_masks(
            key, tuple(filter(None, masks)), self.options.mask_choice, self.skipped_files
        )
        self.findings += [replace(finding, path=self.grid.row(position)) for finding in several]
        values, wrong = read_values(self.grid, self.columns, self.options, position, key)
        self.findings += wrong
        return Sample(key, image, chosen, *values)

    def _file(self, position: int, key: str, cell: str, what: str) -> str | None:
        """The one file that the cell names, or None and a finding."""
        files = resolve(self._existing, self.root.path, cell)
        if len(files) > 1:
            values = {"what": what, "cell": shown(cell), "files": few(files)}
            self._add("ambiguous-file", key, position, values)
        elif not files:
            code = "missing-image" if what == "image" else "missing-mask-file"
            values = {"case": "absolute", "cell": shown(cell)}
            if not self.absolute:
                values |= {"case": "relative", "root": self.root.shown}
            self._add(code, key, position, values)
        return files[0] if len(files) == 1 else None

    def _add(
        self,
        code: str,
        key: str,
        position: int,
        values: dict[str, str],
        related: tuple[Related, ...] = (),
    ) -> None:
        self.findings.append(Finding(code, key, self.grid.row(position), related, values))


class Root(NamedTuple):
    """A folder that relative paths may start from."""

    path: str
    """As open() takes it from the working directory, which itself is ""."""
    shown: str
    """What messages call it."""


class ExistingFiles:
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
        try:
            return path if os.path.isfile(path) else None  # noqa: PTH113 - text
        except ValueError:
            return None

    def images_of_stem(self, path: str) -> list[str]:
        """The image files that have this path when their extension is taken off, sorted."""
        folder, stem = os.path.split(path)
        names = self._names(folder)
        if names is None or not stem:
            return []
        if folder not in self._stems:
            stems = self._stems[folder] = {}
            for name in sorted(set(names.values())):
                if extension(name) in IMAGE_EXTENSIONS and not junk(name):
                    stems.setdefault(nfc(os.path.splitext(name)[0]), []).append(name)  # noqa: PTH122 - text
        names_of_stem = self._stems[folder].get(nfc(stem), [])
        return [os.path.join(folder, name) for name in names_of_stem]  # noqa: PTH118 - text

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


def resolve(existing: ExistingFiles, root: str, cell: str) -> list[str]:
    """The files that a cell may mean: none, one, or several that differ in their extension.

    Tried are the path as written, without the blanks around it, with "/" for each backslash, and
    as the stem of an image file.
    """
    for text in dict.fromkeys((cell, cell.strip(), forward(cell))):
        path = existing.find(os.path.join(root, text))  # noqa: PTH118 - text, in a hot loop
        if path is not None:
            return [path]
    text = forward(cell)
    if extension(text) in IMAGE_EXTENSIONS:
        return []
    return existing.images_of_stem(os.path.join(root, text))  # noqa: PTH118 - as above


def choose_root(
    grid: Grid, cells: Sequence[str], root: str | None, existing: ExistingFiles, *, own: bool
) -> Root:
    """The root under which most of the image paths exist.

    Args:
        grid: the listing; its folder is the first candidate, the working directory the second.
        cells: the image paths as written.
        root: the root that the user gave; then it is the only candidate.
        existing: the files that there are.
        own: the listing was written by segrecord: its paths start from its own folder.

    Raises:
        SourceError: no image exists under any candidate, or several do equally well.
    """
    folder = checked_path(os.path.dirname(grid.path))  # noqa: PTH120 - text
    here = Root("", "the working directory")
    if root is not None:
        candidates = [Root(checked_path(root), root)]
    elif not grid.path or os.path.realpath(folder or ".") == os.path.realpath("."):
        candidates = [Root(folder, folder) if folder else here]
    else:
        candidates = [Root(folder, folder), *[here] * (not own)]
    files = {
        candidate: [resolve(existing, candidate.path, cell) for cell in cells]
        for candidate in candidates
    }
    counts = {candidate: sum(map(bool, paths)) for candidate, paths in files.items()}
    best = max(candidates, key=lambda candidate: counts[candidate])
    if not counts[best]:
        raise SourceError(_none_exists(grid, cells, candidates))
    equal = [c for c in candidates if counts[c] == counts[best] and files[c] != files[best]]
    if equal:
        roots = " and in ".join(candidate.shown for candidate in [best, *equal])
        raise SourceError(
            f"{counts[best]} of the {len(cells)} images of {grid.name} exist in {roots} alike; "
            "say which are meant with --root"
        )
    return best


def _none_exists(grid: Grid, cells: Sequence[str], candidates: Sequence[Root]) -> str:
    if not cells:
        return f"no row of {grid.name} names an image; name the column with --image-column"
    if any("://" in cell for cell in cells[:FEW]):
        return f"{grid.name} lists URLs ({cells[0]}); object stores are not supported yet"
    none = f"none of the {len(cells)} images of {grid.name} ({few(cells)}) exists"
    paths = [forward(cell) for cell in cells]
    if all(_ABSOLUTE.match(path) for path in paths):
        try:
            common = posixpath.commonpath(map(posixpath.dirname, paths)).rstrip("/")
        except ValueError:
            common = ""  # paths of POSIX and of Windows
        if common:
            return (
                f"{none}: their paths are absolute, as on another machine; take {common}/ off "
                "them all and pass --root FOLDER, the folder that holds the rest"
            )
    return (
        f"{none} in {' or '.join(candidate.shown for candidate in candidates)}; pass "
        "--root FOLDER, the folder that their paths start from, or, if the table only says more "
        f"about the images of a folder, build the folder with --metadata {grid.path or 'FILE'}"
    )


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


def _path_suggestions(
    grid: Grid, columns: Columns, options: SourceOptions, samples: Sequence[Sample]
) -> Iterator[str]:
    """Columns of files and of keys that were not taken, and masks that several images have."""

    def stems(cells: Cells) -> list[str]:
        return [posixpath.splitext(posixpath.basename(forward(cell or "")))[0] for cell in cells]

    taken = {columns.image, columns.key, columns.group, columns.label, *columns.masks}
    images = stems(grid.columns[columns.image or ""])
    for name, cells in grid.columns.items():
        meant = name in taken or name in options.keep_columns
        if not meant and holds_files(cells) and stems(cells) != images:
            yield (
                f"column {shown(name)} holds image files and is not taken; if they are the masks, "
                f"pass --mask-column {shown(name)}, or call several such columns mask_1, mask_2, "
                "..."
            )
    for name in key_columns(grid, {*filter(None, (*taken, columns.split))}, options):
        yield (
            f"column {shown(name)} is not taken for the keys, since its values are not one a row; "
            "keys are the paths of the images"
        )
    # A copied line, or several views of one thing.
    keys: dict[str, list[str]] = {}
    for sample in samples:
        for mask in sample.masks:
            keys.setdefault(os.path.normpath(mask), []).append(sample.key)
    shared = [(mask, held) for mask, held in keys.items() if len(held) > 1]
    for mask, held in shared[:1]:
        more = f", and so are {len(shared) - 1} more" * (len(shared) > 1)
        yield (
            f"{shown(mask)} is the mask of {len(held)} images ({few(held)}){more}; if that is "
            "wrong, correct the table"
        )


def write_listing(samples: pa.Table, path: str | Path) -> None:
    """Write the samples as a CSV that people can edit and `build` takes back.

    Columns: key, image_path, mask_path (mask_path_2, ...), class, group, split and the kept
    columns, those that hold anything. Paths below the CSV's folder are relative to it.

    Raises:
        UsageError: a sample is no whole file with whole-file masks and at most one class, or a
            kept column has the name of one of the others.
        OutputError: the file cannot be written.
    """
    rows = samples.to_pylist()
    folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 - text
    depth = max([1, *(len(row["mask"]) for row in rows)])
    kept = [name for name in samples.schema.names if name.startswith(META_PREFIX)]
    masks = ["mask_path", *(f"mask_path_{number}" for number in range(2, depth + 1))]
    header = ["key", "image_path", *masks, "class", "group", "split"]
    names = [name.removeprefix(META_PREFIX) for name in kept]
    if twice := sorted(set(header).intersection(names)):
        raise UsageError(
            f"the kept column {shown(twice[0])} cannot be written beside the samples' own "
            f"{shown(twice[0])}; rename it in the table, or do not keep it"
        )
    header += names
    table = []
    for row in rows:
        whole = all(part["encoding"] == "file" and part["value"] is None for part in row["mask"])
        if row["frame"] or len(row["labels"]) > 1 or not whole:
            raise UsageError(
                f"sample {row['key']} cannot be written as a line of a CSV: it takes whole "
                "images, masks in files and at most one class"
            )
        files = [_relative(str(part["source"]), folder) for part in row["mask"]]
        cells = [row["key"], _relative(row["image"], folder), *files, *[""] * (depth - len(files))]
        cells += [*row["labels"], *[""] * (not row["labels"]), row["group"], row["split"]]
        cells += [row[name] for name in kept]
        table.append(["" if cell is None else str(cell) for cell in cells])
    # What no sample has is left out, image and key and first mask column excepted.
    always = {0, 1, 2, *range(len(header) - len(kept), len(header))}
    used = [i for i in range(len(header)) if i in always or any(line[i] for line in table)]
    lines = [[line[i] for i in used] for line in [header, *table]]
    text = io.StringIO()
    # All cells in quotes where one holds a bare CR, which the writer would not quote.
    bare = any("\r" in cell for line in lines for cell in line)
    dialect = csv.unix_dialect if bare else csv.excel
    csv.writer(text, dialect, lineterminator="\n").writerows(lines)
    try:
        Path(path).write_bytes(text.getvalue().encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _relative(path: str, folder: str) -> str:
    """The path relative to the folder if it lies below it, else absolute; with "/"."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - text
    below = folder if folder.endswith(os.sep) else folder + os.sep
    return absolute.removeprefix(below).replace(os.sep, "/")
