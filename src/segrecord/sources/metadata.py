"""Joins: a table about images gives the samples of a folder their class, group and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from segrecord.errors import Finding, SourceError
from segrecord.options import SourceOptions
from segrecord.sources.columns import Columns, find_columns
from segrecord.sources.hints import table_hints
from segrecord.sources.labels import Values, check_rest_class, read_values
from segrecord.sources.naming import SampleNames, described, key_column
from segrecord.sources.understood import Sample, Understood, few, samples_table, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from segrecord.sources.tabular import Grid


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
        SourceError: no column names the samples, several do and differently, or a named column
            does not exist.
    """
    samples = _samples(found.samples)
    if not samples:
        return found  # its findings say why
    names = SampleNames(samples)
    column = key_column(grid, names, options)
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
        (*_other_hints(found, grid), *table_hints(grid, columns, options, rows)),
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


def _match(grid: Grid, column: str, names: SampleNames, samples: Sequence[Sample]) -> _Join:
    """The row of each sample; rows and samples that fit badly are findings.

    Raises:
        SourceError: not one row names a sample.
    """
    held: dict[int, list[int]] = {}
    findings = []
    for position, cell in enumerate(grid.columns[column]):
        found = names.find(cell)
        if len(found) == 1:
            held.setdefault(found[0], []).append(position)
        elif found:
            keys = [samples[i].key for i in found]
            findings += _ambiguous(grid, position, cell, keys)
        else:
            findings.append(_unmatched(grid, position, column, cell))
    if not held and all(found.code == "metadata-unmatched-row" for found in findings):
        raise SourceError(
            f"no row of {grid.name} names a sample in column {shown(column)} "
            f"({described(grid, column, names)}); name another with --key-column"
        )
    for i, positions in held.items():
        if len(positions) > 1:
            findings.append(_twice(grid, positions, samples[i].key))
    return _Join({i: positions[0] for i, positions in held.items()}, findings)


def _ambiguous(grid: Grid, position: int, cell: str | None, keys: list[str]) -> list[Finding]:
    """A finding for each of the samples: all of them are left out, or none is bad."""
    message = f"{shown(cell or '')} names {len(keys)} samples: {few(keys)}"
    fix = "write the path below the source instead of the name alone"
    row = grid.row(position)
    return [
        Finding("error", "metadata-ambiguous-row", key, row, message, fix) for key in sorted(keys)
    ]


def _unmatched(grid: Grid, position: int, column: str, cell: str | None) -> Finding:
    return Finding(
        "warning",
        "metadata-unmatched-row",
        "",
        grid.row(position),
        f"no sample is called {shown(cell)} (column {shown(column)})"
        if cell
        else f"the cell of column {shown(column)} is empty",
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
        "delete the rows that are too many; to accept it: --ignore metadata-duplicate-row",
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
