"""A table of paths in, samples out; and samples written as such a table."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from segrecord.errors import Finding, OutputError, SourceError, UsageError
from segrecord.sources.columns import IMAGE_NAMES, Columns, find_columns
from segrecord.sources.hints import file_hints, key_hints, shared_masks, table_hints
from segrecord.sources.labels import check_rest_class, read_values
from segrecord.sources.roots import Keys, Root, choose_root, resolve
from segrecord.sources.understood import (
    PassedOver,
    Sample,
    Understood,
    choose_masks,
    duplicate_key,
    few,
    nfc,
    samples_table,
    shown,
    without_mask,
)
from segrecord.sources.walk import Existing
from segrecord.tables import META_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from segrecord.options import SourceOptions
    from segrecord.sources.tabular import Grid


def understand_listing(grid: Grid, options: SourceOptions) -> Understood:
    """The samples that a table lists, one a row.

    Findings: missing-image, missing-mask-file, ambiguous-file, mask-is-image, several-masks,
    duplicate-key, several-classes, no-class, image-without-mask.

    Raises:
        SourceError: there is no column of images, a named column does not exist, or it cannot be
            told where the paths start.
    """
    columns = find_columns(grid, options, with_images=True)
    if columns.image is None:
        raise SourceError(
            f"{grid.name} has no column of image paths (one of {few(IMAGE_NAMES)}); its columns "
            f"are {', '.join(map(shown, grid.columns))}; name it with --image-column"
        )
    check_rest_class(grid, columns, options)
    reader = _Reader(grid, columns, options)
    samples = reader.samples()
    return Understood(
        samples_table(samples, options.keep_columns),
        (*reader.findings, *without_mask(samples)),
        f"{grid.name}: {columns.sentence()}",
        reader.passed_over.told(),
        (
            *table_hints(grid, columns, options, samples),
            *file_hints(grid, columns, options),
            *key_hints(grid, columns, options),
            *shared_masks(samples),
        ),
        reader.origin(),
        passed_names=reader.passed_over.told_names(),
    )


class _Reader:
    """Reads the rows of one listing; gathers what is wrong with them."""

    def __init__(self, grid: Grid, columns: Columns, options: SourceOptions) -> None:
        self.grid = grid
        self.columns = columns
        self.options = options
        self.findings: list[Finding] = []
        self.passed_over = PassedOver(Counter({"blank rows": grid.blank} if grid.blank else {}))
        self._existing = Existing()
        self._images = grid.columns[columns.image or ""]
        cells = [cell for cell in self._images if cell and cell.strip()]
        self._root: Root = choose_root(grid, cells, options.root, self._existing, own=columns.own)
        self._absolute = all(os.path.isabs(cell.strip()) for cell in cells)  # noqa: PTH117 - text
        self._keys = Keys(grid, cells)

    def origin(self) -> str:
        """Where the paths start, in words."""
        return "paths are absolute" if self._absolute else f"paths start from {self._root.named}"

    def samples(self) -> list[Sample]:
        """The samples of all rows whose image exists and whose key no other row has."""
        rows: dict[str, list[tuple[int, Sample]]] = {}
        for position, cell in enumerate(self._images):
            sample = self._sample(position, cell)
            if sample is not None:
                rows.setdefault(sample.key, []).append((position, sample))
        self._check_masks([row for held in rows.values() for row in held])
        fix = "delete the rows that are too many, or name a column of unique keys: --key-column"
        for key, held in rows.items():
            if len(held) > 1:
                places = [self.grid.row(position) for position, _ in held]
                self.findings.append(duplicate_key(key, places, fix))
        return [held[0][1] for held in rows.values() if len(held) == 1]

    def _check_masks(self, rows: Sequence[tuple[int, Sample]]) -> None:
        """No mask is an image, be it that of its own row or of another."""
        images = {os.path.normpath(sample.image): sample.key for _, sample in rows}
        for position, sample in rows:
            for mask in sample.masks:
                key = images.get(os.path.normpath(mask))
                if key is not None:
                    whose = "its own image" if key == sample.key else f"the image of {shown(key)}"
                    message = f"{shown(mask)} is the mask and {whose}"
                    self._add("mask-is-image", sample.key, position, message, _FIXES["both"])

    def _sample(self, position: int, cell: str | None) -> Sample | None:
        cell = cell if cell and cell.strip() else None
        key = self._key(position, cell)
        image = self._file(position, key, cell, "image") if cell else None
        if not cell or not key:
            what = "image" if not cell else "key"
            self._add("missing-image", key, position, f"the {what} cell is empty", "fill it in")
        if image is None or not key:
            return None
        masks, several = choose_masks(
            key, self._masks(position, key), self.options.mask_choice, self.passed_over
        )
        self.findings += [finding._replace(path=self.grid.row(position)) for finding in several]
        values, wrong = read_values(self.grid, self.columns, self.options, position, key)
        self.findings += wrong
        return Sample(key, image, masks, *values)

    def _key(self, position: int, cell: str | None) -> str:
        if self.columns.key is not None:
            key = self.grid.columns[self.columns.key][position] or ""
            return nfc(key if self.columns.own else key.strip())
        return self._keys.of(cell) if cell else ""

    def _masks(self, position: int, key: str) -> tuple[str, ...]:
        masks = []
        for column in self.columns.masks:
            cell = self.grid.columns[column][position]
            path = self._file(position, key, cell, "mask") if cell and cell.strip() else None
            if path is not None:
                masks.append(path)
        return tuple(masks)

    def _file(self, position: int, key: str, cell: str, what: str) -> str | None:
        """The one file that the cell names, or None and a finding."""
        found = resolve(self._existing, self._root.path, cell)
        if len(found) > 1:
            message = f"{what} {shown(cell)} may be any of {few(found)}"
            self._add("ambiguous-file", key, position, message, "write its extension as well")
        elif not found:
            code = "missing-image" if what == "image" else "missing-mask-file"
            where = "" if self._absolute else f" in {self._root.named}"
            message = f"{what} {shown(cell)} does not exist{where}"
            self._add(code, key, position, message, _FIXES[what])
        return found[0] if len(found) == 1 else None

    def _add(self, code: str, key: str, position: int, message: str, fix: str) -> None:
        row = self.grid.row(position)
        self.findings.append(Finding("error", code, key, row, message, fix))


_FIXES = {
    "image": "put the file there, fix the path or delete the row",
    "mask": "put the file there, fix the path, or empty the cell if there is no mask",
    "both": "name the mask, or leave the cell empty",
}


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
    header = ["key", "image_path", *_mask_columns(depth), "class", "group", "split"]
    names = [name.removeprefix(META_PREFIX) for name in kept]
    if twice := sorted(set(header).intersection(names)):
        raise UsageError(
            f"the kept column {shown(twice[0])} cannot be written beside the samples' own "
            f"{shown(twice[0])}; rename it in the table, or do not keep it"
        )
    header += names
    table = [_written(row, folder, depth, kept) for row in rows]
    # What no sample has is left out, image and key and first mask column excepted.
    always = {0, 1, 2, *range(len(header) - len(kept), len(header))}
    used = [i for i in range(len(header)) if i in always or any(line[i] for line in table)]
    lines = [[line[i] for i in used] for line in [header, *table]]
    try:
        Path(path).write_bytes(_csv(lines).encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _mask_columns(depth: int) -> list[str]:
    return ["mask_path", *(f"mask_path_{number}" for number in range(2, depth + 1))]


def _written(row: dict[str, object], folder: str, depth: int, kept: Sequence[str]) -> list[str]:
    masks, labels = row["mask"], row["labels"]
    assert isinstance(masks, list)  # noqa: S101 - for the type checker
    assert isinstance(labels, list)  # noqa: S101 - for the type checker
    whole = all(m["encoding"] == "file" and m["value"] is None for m in masks)
    if row["frame"] or len(labels) > 1 or not whole:
        raise UsageError(
            f"sample {row['key']} cannot be written as a line of a CSV: it takes whole images, "
            "masks in files and at most one class"
        )
    paths = [_relative(mask["source"], folder) for mask in masks]
    cells = [row["key"], _relative(str(row["image"]), folder)]
    cells += [*paths, *[""] * (depth - len(paths))]
    cells += [labels[0] if labels else "", row["group"], row["split"]]
    cells += [row[name] for name in kept]
    return ["" if cell is None else str(cell) for cell in cells]


def _relative(path: str, folder: str) -> str:
    """The path relative to the folder if it lies below it, else absolute; with "/"."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - text
    below = folder if folder.endswith(os.sep) else folder + os.sep
    text = absolute.removeprefix(below)
    return text if os.sep == "/" else text.replace(os.sep, "/")


def _csv(lines: Sequence[Sequence[str]]) -> str:
    """CSV text; all cells in quotes where one holds a bare CR, which the writer would not quote."""
    bare = any("\r" in cell for line in lines for cell in line)
    text = io.StringIO()
    dialect = csv.unix_dialect if bare else csv.excel  # the first quotes all cells
    csv.writer(text, dialect, lineterminator="\n").writerows(lines)
    return text.getvalue()
