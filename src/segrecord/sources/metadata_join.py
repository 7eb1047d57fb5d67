"""Joins: a table about images gives the samples of a folder their class, group and split."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from segrecord.errors import SourceError
from segrecord.findings import Finding, Related
from segrecord.options import SourceOptions
from segrecord.sources.columns import (
    IMAGE_NAMES,
    Columns,
    RowValues,
    column_suggestions,
    find_columns,
    holds_files,
    may_be_labels,
    plain,
    read_values,
)
from segrecord.sources.loaded import (
    LoadedSource,
    Note,
    Sample,
    forward,
    nfc,
    samples_of,
    samples_table,
)
from segrecord.sources.names import IMAGE_EXTENSIONS, extension
from segrecord.sources.tabular import Grid, stacked
from segrecord.wording import few, shown

_ENOUGH = 0.5
"""The share of values, or of samples, that have to match in a column that is joined on."""

# Names that say "image"; "id" and "name" may as well number the rows or name the patient.
_SURE_NAMES = frozenset(IMAGE_NAMES) - {"id", "name"}


class _Join(NamedTuple):
    """One table, and the samples that it has a row of."""

    grid: Grid
    column: str
    """The one that names the samples."""
    rows: dict[int, int]
    """By the sample's number, the position of its row, if it has one, in all tables as one."""
    findings: list[Finding]


def join(loaded: LoadedSource, grids: Sequence[Grid], options: SourceOptions) -> LoadedSource:
    """The samples with class, group, split and kept columns of the tables' rows.

    A class column replaces classes by folder; a split in the table, that of the folder.
    Several tables are read as one: a column means the same in all of them.

    Findings: metadata-unmatched-row, metadata-missing-row, metadata-ambiguous-row,
    metadata-duplicate-row, metadata-conflict, metadata-unused, several-classes, no-class.

    Raises:
        SourceError: no column names the samples, several do and differently, or a named column
            does not exist.
    """
    samples = list(samples_of(loaded.samples))
    if not samples:
        return loaded  # its findings say why
    names = SampleNames(samples)
    every = stacked(grids)
    starts = [0, *accumulate(len(grid.rows) for grid in grids)]
    joins = [
        _match(grid, start, _key_column(grid, every, names, options), names, samples)
        for grid, start in zip(grids, starts, strict=False)
    ]
    # The columns of keys and images have done their work.
    others = replace(options, key_column=None, image_column=None, mask_column=None)
    used = [join.column for join in joins]
    columns = find_columns(every, others, with_images=False, used=used)
    findings = [*loaded.findings, *(finding for join in joins for finding in join.findings)]
    findings += _unused(joins, columns, options, len(samples))
    rows = []
    for i, sample in enumerate(samples):
        positions = [join.rows[i] for join in joins if i in join.rows]
        values, wrong = _values(every, columns, options, positions, sample)
        findings += wrong
        # Folder names and the table's classes are two vocabularies: they are never mixed.
        labels = values.labels if columns.gives_class else sample.labels
        split = values.split or sample.split
        rows.append(Sample(*sample[:3], labels, values.group, split, values.meta))
    joined = [
        f"{join.grid.name} joined on column {shown(join.column)} ({len(join.rows)} of "
        f"{len(samples)})"
        for join in joins
    ]
    # What was said of the folder, less what it says of classes that the table now gives.
    given = {"class"} if columns.gives_class else set()
    suggestions = column_suggestions(every, columns, options, rows)
    return replace(
        loaded,
        samples=samples_table(rows, options.keep_columns),
        findings=tuple(findings),
        reads_as=(
            *(note for note in loaded.reads_as if note.topic not in given),
            *(Note("table", text) for text in (*joined, columns.sentence()) if text),
        ),
        suggestions=(
            *(note for note in loaded.suggestions if note.topic not in given),
            *(Note("table", text) for text in suggestions),
        ),
    )


def _values(
    grid: Grid, columns: Columns, options: SourceOptions, positions: Sequence[int], sample: Sample
) -> tuple[RowValues, list[Finding]]:
    """What the rows of one sample say together; where they differ, the first is taken."""
    if not positions:
        missing = Finding(
            "metadata-missing-row", sample.key, sample.image, values={"table": grid.name}
        )
        return RowValues((), None, None, (None,) * len(options.keep_columns)), [missing]
    first, findings = read_values(grid, columns, options, positions[0], sample.key)
    for position in positions[1:]:
        more, wrong = read_values(grid, columns, options, position, sample.key)
        findings += wrong
        merged = []
        cells = [
            (one.labels[0] if one.labels else None, one.group, one.split, *one.meta)
            for one in (first, more)
        ]
        titles = ("class", "group", "split", *options.keep_columns)
        for title, here, there in zip(titles, *cells, strict=True):
            if here and there and here != there:
                row = grid.row(positions[0])
                related = (Related(sample.key, grid.row(position)),)
                values = {"column": title, "here": shown(here), "there": shown(there)}
                findings.append(Finding("metadata-conflict", sample.key, row, related, values))
            merged.append(here or there)
        label, group, split, *meta = merged
        first = RowValues((label,) if label else (), group, split, tuple(meta))
    return first, findings


def _unused(
    joins: Sequence[_Join], columns: Columns, options: SourceOptions, count: int
) -> Iterator[Finding]:
    """A warning for each table that joins and of which nothing is taken."""
    taken = {*columns.one_hot, columns.label, columns.group, columns.split, *options.keep_columns}
    for join in joins:
        if taken.isdisjoint(join.grid.columns):
            likely = may_be_labels(join.grid, {join.column})
            values = {
                "case": ("none", "one", "several")[min(len(likely), 2)],
                "rows": len(join.rows),
                "samples": count,
                "columns": few(join.grid.columns),
                "likely": few(likely),
            }
            yield Finding("metadata-unused", "", join.grid.name, values=values)


def _match(
    grid: Grid, start: int, column: str, names: SampleNames, samples: Sequence[Sample]
) -> _Join:
    """The row of each sample; rows and samples that fit badly are findings.

    Args:
        grid: one table.
        start: the position of its first row in all tables as one.
        column: names the samples.
        names: those of the samples.
        samples: those of the folder.

    Raises:
        SourceError: not one row names a sample.
    """
    held: dict[int, list[int]] = {}
    findings: list[Finding] = []
    for position, cell in enumerate(grid.columns[column]):
        row, matches = grid.row(position), names.find(cell)
        if len(matches) == 1:
            held.setdefault(matches[0], []).append(position)
        elif not matches:
            case = "unknown" if cell else "empty"
            values: dict[str, Any] = {"case": case, "cell": shown(cell or "")}
            values["column"] = shown(column)
            findings.append(Finding("metadata-unmatched-row", "", row, values=values))
        # A finding for each of the samples: all of them are left out, or none is bad.
        keys = sorted(samples[i].key for i in matches) if len(matches) > 1 else []
        for key in keys:
            related = tuple(Related(other) for other in keys if other != key)
            values = {"cell": shown(cell or ""), "count": len(keys), "keys": few(keys)}
            findings.append(Finding("metadata-ambiguous-row", key, row, related, values))
    if not held and all(finding.code == "metadata-unmatched-row" for finding in findings):
        raise SourceError(
            f"no row of {grid.name} names a sample in column {shown(column)} "
            f"({_described(grid, column, names)}); name another with --key-column, or leave the "
            "table out"
        )
    for i, positions in held.items():
        if len(positions) > 1:
            rows = ", ".join(str(grid.rows[position]) for position in positions)
            values = {"count": len(positions), "rows": rows}
            row = grid.row(positions[0])
            findings.append(Finding("metadata-duplicate-row", samples[i].key, row, values=values))
    return _Join(grid, column, {i: start + positions[0] for i, positions in held.items()}, findings)


class SampleNames:
    """The samples by every name that a table may give them.

    Args:
        samples: those of one folder, at least one.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.keys = {sample.key: i for i, sample in enumerate(samples)}
        self._names: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            name = nfc(os.path.basename(sample.image))  # noqa: PTH119 - text, in a hot loop
            stem = sample.key.rpartition("/")[2]
            full = sample.key + extension(name)
            for spelled in {full, name, stem} - {sample.key}:
                self._names.setdefault(spelled, []).append(i)
        # The name of the source's folder: what stands before the key in an image's path.
        above = Path(samples[0].image).absolute().parts[: -1 - samples[0].key.count("/")]
        self._folder = nfc(above[-1]) if above else ""

    def find(self, cell: str | None) -> list[int]:
        """The samples that the cell may mean: by key, else by path, name or stem."""
        text = nfc(forward(cell)).removeprefix("./") if cell else ""
        if text in self.keys:
            return [self.keys[text]]
        if samples := self._names.get(text):
            return samples
        bare, kind = os.path.splitext(text)  # noqa: PTH122 - text, in a hot loop
        if kind.lower() not in IMAGE_EXTENSIONS:
            return self._below_folder(text)
        # The table may call a PNG copy by its original's name, x.jpg.
        samples = [self.keys[bare]] if bare in self.keys else self._names.get(bare, [])
        return samples or self._below_folder(bare)

    def _below_folder(self, path: str) -> list[int]:
        """The sample of a path that starts above the source's folder, on this machine or another.

        Only what follows the folder's own name counts: test/1.png is no image of train/.
        """
        parts = path.split("/")
        for i, part in enumerate(parts[:-1], 1):
            if part == self._folder and (key := "/".join(parts[i:])) in self.keys:
                return [self.keys[key]]
        return []


def _key_column(grid: Grid, every: Grid, names: SampleNames, options: SourceOptions) -> str:
    """The column that was named, or the one whose values name the samples.

    Each table (`grid`) may call it otherwise than the others (`every`).

    Raises:
        SourceError: a named column does not exist, no column names the samples, or several do,
            and differently.
    """
    named = {"--key-column": options.key_column, "--image-column": options.image_column}
    for flag, name in named.items():
        if name is not None and (name in grid.columns or name not in every.columns):
            return grid.column(name, flag)
    shares = {}
    for column, cells in grid.columns.items():
        values = {cell for cell in cells if cell}
        matches = [names.find(value) for value in values]
        # The larger of: the share of the values that match a sample, of the samples matched.
        share = max(
            sum(map(bool, matches)) / max(1, len(values)),
            len({i for numbers in matches for i in numbers}) / len(names.keys),
        )
        # A column with few values (an age, a view) that match by chance names no samples.
        shares[column] = share * len(values) / max(1, sum(cell is not None for cell in cells))
    likely = [column for column, share in shares.items() if share >= _ENOUGH]
    if not likely:
        closest = max(shares, key=lambda column: shares[column] + _preference(column))
        raise SourceError(
            f"no column of {grid.name} names the samples (closest: {shown(closest)}, "
            f"{_described(grid, closest, names)}); name it with --key-column"
        )
    sure = [column for column in likely if plain(column) in _SURE_NAMES]
    matched = {name: [names.find(cell) for cell in grid.columns[name]] for name in sure or likely}
    best = max(
        matched,
        key=lambda column: (sum(len(one) == 1 for one in matched[column]), _preference(column)),
    )
    # Columns of image files by their last parts: folders may be unknown, or wrong.
    others = {
        column: [names.find(posixpath.basename(forward(cell or ""))) for cell in cells]
        for column, cells in grid.columns.items()
        if not sure and holds_files(cells)
    } | matched
    for other in others:
        # Of two columns one may be a row number, or name another image of the row.
        pair = sorted((best, other), key=list(grid.columns).index)
        rows = zip(*(others[column] for column in pair), strict=True)
        for position, (a, b) in enumerate(rows):
            if a and b and set(a).isdisjoint(b):
                both = (shown(grid.columns[column][position] or "") for column in pair)
                raise SourceError(
                    f"{' and '.join(map(shown, pair))} of {grid.name} both name samples, but not "
                    f"the same ones ({grid.row(position)}: {' and '.join(both)}); say which is "
                    "right with --key-column"
                )
    return best


def _preference(column: str) -> float:
    """A little more for the usual names, so that they win where two columns match alike."""
    name = plain(column)
    return 0.001 * (len(IMAGE_NAMES) - IMAGE_NAMES.index(name)) if name in IMAGE_NAMES else 0.0


def _described(grid: Grid, column: str, names: SampleNames) -> str:
    """What a column holds and what it should, where it names no sample."""
    example = next((cell for cell in grid.columns[column] if cell), "")
    return f"for example {shown(example)}; the samples are called {few(names.keys)}"
