"""Joins: a table about images gives the samples of a folder their class, group and split."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from segrecord.errors import Finding, SourceError
from segrecord.options import SourceOptions
from segrecord.sources.columns import IMAGE_NAMES, Columns, find_columns, group_hints, plain
from segrecord.sources.labels import Values, check_rest_class, read_values
from segrecord.sources.roots import forward
from segrecord.sources.understood import Sample, Understood, few, nfc, samples_table, shown
from segrecord.sources.walk import IMAGE_EXTENSIONS, extension

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from segrecord.sources.tabular import Cells, Grid

_ENOUGH = 0.5
"""The share of values, or of samples, that have to match in a column that is joined on."""


class _Names:
    """The samples by every name that a table may give them."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.keys = {sample.key: i for i, sample in enumerate(samples)}
        self.names: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            name = nfc(os.path.basename(sample.image))  # noqa: PTH119 - text, in a hot loop
            stem = sample.key.rpartition("/")[2]
            full = sample.key + extension(name)
            for spelled in {full, name, stem} - {sample.key}:
                self.names.setdefault(spelled, []).append(i)

    def find(self, cell: str | None) -> list[int]:
        """The samples that the cell may mean: by key, else by path, name or stem."""
        text = nfc(forward(cell)) if cell else ""
        if text in self.keys:
            return [self.keys[text]]
        if found := self.names.get(text):
            return found
        bare, kind = os.path.splitext(text)  # noqa: PTH122 - text, in a hot loop
        if kind.lower() not in IMAGE_EXTENSIONS:
            return []
        # The table may call a PNG copy by its original's name, x.jpg.
        return [self.keys[bare]] if bare in self.keys else self.names.get(bare, [])


class _Join(NamedTuple):
    rows: dict[int, int]
    """The position of the row of each sample that has one, by the sample's number."""
    findings: list[Finding]


def join(found: Understood, grid: Grid, options: SourceOptions) -> Understood:
    """The samples with class, group, split and kept columns of the table's rows.

    A class column takes the place of classes by folder; a split in the table, that of the folder.

    Findings: metadata-unmatched-row, metadata-missing-row, metadata-ambiguous-row,
    metadata-duplicate-row, several-classes, no-class.

    Raises:
        SourceError: no column names the samples, or a named column does not exist.
    """
    samples = _samples(found.samples)
    names = _Names(samples)
    column = _key_column(grid, names, len(samples), options)
    columns = find_columns(grid, _others(options), with_images=False, used=(column,))
    check_rest_class(grid, columns, options)
    joined = _match(grid, column, names, samples)
    findings = [*found.findings, *joined.findings]
    rows = []
    for i, sample in enumerate(samples):
        values = None
        if i in joined.rows:
            values, wrong = read_values(grid, columns, options, joined.rows[i], sample.key)
            findings += wrong
        else:
            findings.append(_missing_row(grid, sample))
        rows.append(_with_values(sample, values, columns, len(options.keep_columns)))
    said = f"{grid.name} joined on column {shown(column)} ({len(joined.rows)} of {len(samples)})"
    return Understood(
        samples_table(rows, options.keep_columns),
        tuple(findings),
        "; ".join(filter(None, [_without_class(found, columns), said, columns.sentence()])),
        found.passed_over,
        (*_other_hints(found, grid), *group_hints(grid, columns)),
    )


def _samples(table: pa.Table) -> list[Sample]:
    return [
        Sample(
            row["key"],
            row["image"],
            tuple(part["source"] for part in row["mask"]),
            tuple(row["labels"]),
            row["group"],
            row["split"],
        )
        for row in table.to_pylist()
    ]


def _others(options: SourceOptions) -> SourceOptions:
    """The options without the key column, which has done its work."""
    return SourceOptions(
        label_column=options.label_column,
        group_column=options.group_column,
        split_column=options.split_column,
        keep_columns=options.keep_columns,
        rest_class=options.rest_class,
    )


def _key_column(grid: Grid, names: _Names, samples: int, options: SourceOptions) -> str:
    """The column that was named, or the one most of whose values match a sample."""
    if options.key_column is not None:
        return grid.column(options.key_column, "--key-column")
    if options.image_column is not None:
        return grid.column(options.image_column, "--image-column")
    shares = {
        column: _share(cells, names, samples) + _preference(column)
        for column, cells in grid.columns.items()
    }
    best = max(shares, key=lambda column: shares[column])
    if shares[best] < _ENOUGH:
        example = next((cell for cell in grid.columns[best] if cell), "")
        raise SourceError(
            f"no column of {grid.name} names the samples (closest: {shown(best)}, for example "
            f"{shown(example)}; the samples are called {few(names.keys)}); name it with "
            "--key-column"
        )
    return best


def _share(cells: Cells, names: _Names, samples: int) -> float:
    """The larger of: the share of the values that match a sample, of the samples matched."""
    values = {cell for cell in cells if cell}
    matched = {i for value in values for i in names.find(value)}
    hits = sum(bool(names.find(value)) for value in values)
    # A column with few values (an age, a view) that match by chance names no samples.
    distinct = len(values) / max(1, sum(cell is not None for cell in cells))
    return max(hits / max(1, len(values)), len(matched) / max(1, samples)) * distinct


def _preference(column: str) -> float:
    """A little more for the usual names, so that they win where two columns match alike."""
    name = plain(column)
    return 0.001 * (len(IMAGE_NAMES) - IMAGE_NAMES.index(name)) if name in IMAGE_NAMES else 0.0


def _match(grid: Grid, column: str, names: _Names, samples: Sequence[Sample]) -> _Join:
    """The row of each sample; rows and samples that fit badly are findings."""
    held: dict[int, list[int]] = {}
    findings = []
    for position, cell in enumerate(grid.columns[column]):
        found = names.find(cell)
        if len(found) == 1:
            held.setdefault(found[0], []).append(position)
        elif found:
            keys = [samples[i].key for i in found]
            findings.append(_ambiguous(grid, position, cell, keys))
        else:
            findings.append(_unmatched(grid, position, column, cell))
    for i, positions in held.items():
        if len(positions) > 1:
            findings.append(_twice(grid, positions, samples[i].key))
    return _Join({i: positions[0] for i, positions in held.items()}, findings)


def _ambiguous(grid: Grid, position: int, cell: str | None, keys: list[str]) -> Finding:
    return Finding(
        "error",
        "metadata-ambiguous-row",
        "",
        grid.row(position),
        f"{shown(cell or '')} names {len(keys)} samples: {few(keys)}",
        "write the path below the source instead of the name alone",
    )


def _unmatched(grid: Grid, position: int, column: str, cell: str | None) -> Finding:
    return Finding(
        "warning",
        "metadata-unmatched-row",
        "",
        grid.row(position),
        f"no sample is called {shown(cell or '')} (column {shown(column)})",
        "nothing, if the image is meant to be left out; else add the image",
    )


def _twice(grid: Grid, positions: list[int], key: str) -> Finding:
    rows = ", ".join(str(grid.rows[position]) for position in positions)
    return Finding(
        "error",
        "metadata-duplicate-row",
        key,
        grid.row(positions[0]),
        f"{len(positions)} rows name this sample: rows {rows}; the first is taken",
        "delete the rows that are too many",
    )


def _missing_row(grid: Grid, sample: Sample) -> Finding:
    return Finding(
        "warning",
        "metadata-missing-row",
        sample.key,
        sample.image,
        f"{grid.name} has no row for this sample",
        "add the row, or nothing if the sample needs none",
    )


def _with_values(sample: Sample, values: Values | None, columns: Columns, kept: int) -> Sample:
    gives_class = columns.label is not None or bool(columns.one_hot)
    if values is None:
        # Folder names and the table's classes are two vocabularies: they are never mixed.
        labels = () if gives_class else sample.labels
        return sample._replace(labels=labels, meta=(None,) * kept)
    return sample._replace(
        labels=values.labels if gives_class else sample.labels,
        group=values.group,
        split=values.split or sample.split,
        meta=values.meta,
    )


def _without_class(found: Understood, columns: Columns) -> str:
    """The folder's sentence, less its classes where the table gives them."""
    if columns.label is None and not columns.one_hot:
        return found.sentence
    parts = found.sentence.split("; ")
    return "; ".join(part for part in parts if not part.startswith("class = "))


def _other_hints(found: Understood, grid: Grid) -> list[str]:
    return [hint for hint in found.hints if not hint.startswith(f"{grid.name} lies in")]
