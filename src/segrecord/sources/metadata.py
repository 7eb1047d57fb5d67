"""Joins: a table about images gives the samples of a folder their class, group and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from segrecord.errors import Finding, SourceError
from segrecord.options import SourceOptions
from segrecord.sources.columns import Columns, find_columns, may_be_labels
from segrecord.sources.hints import GIVES_CLASSES, table_hints
from segrecord.sources.labels import Values, check_rest_class, read_values
from segrecord.sources.naming import SampleNames, described, key_column
from segrecord.sources.tabular import stacked
from segrecord.sources.understood import Sample, Understood, few, samples_table, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from segrecord.sources.tabular import Grid


class _Join(NamedTuple):
    """One table, and the samples that it has a row of."""

    grid: Grid
    column: str
    """The one that names the samples."""
    rows: dict[int, int]
    """The position of the row of each sample that has one, by the sample's number."""
    findings: list[Finding]


def join(found: Understood, grids: Sequence[Grid], options: SourceOptions) -> Understood:
    """The samples with class, group, split and kept columns of the tables' rows.

    A class column takes the place of classes by folder; a split in the table, that of the folder.
    Several tables are read as one: a column means the same in all of them.

    Findings: metadata-unmatched-row, metadata-missing-row, metadata-ambiguous-row,
    metadata-duplicate-row, metadata-conflict, metadata-unused, several-classes, no-class.

    Raises:
        SourceError: no column names the samples, several do and differently, or a named column
            does not exist.
    """
    samples = _samples(found.samples)
    if not samples:
        return found  # its findings say why
    names = SampleNames(samples)
    grid = stacked(grids)
    joins = [
        _match(one, key_column(one, names, _keys(one, grid, options)), names, samples)
        for one in grids
    ]
    columns = find_columns(
        grid, _others(options), with_images=False, used=[join.column for join in joins]
    )
    check_rest_class(grid, columns, options)
    findings = [*found.findings, *(told for join in joins for told in join.findings)]
    findings += _unused(joins, columns, options, len(samples))
    rows = []
    for i, sample in enumerate(samples):
        values, wrong = _values(grid, columns, options, _places(joins, i), sample)
        findings += wrong
        rows.append(_with_values(sample, values, columns, len(options.keep_columns)))
    said = "; ".join(
        f"{join.grid.name} joined on column {shown(join.column)} ({len(join.rows)} of "
        f"{len(samples)})"
        for join in joins
    )
    return Understood(
        samples_table(rows, options.keep_columns),
        tuple(findings),
        "; ".join(filter(None, [_without_class(found, columns), said, columns.sentence()])),
        found.passed_over,
        (*_other_hints(found, columns), *table_hints(grid, columns, options, rows)),
        passed_names=found.passed_names,
    )


def _keys(one: Grid, grid: Grid, options: SourceOptions) -> SourceOptions:
    """The options for the key column of one table: of several, each may call it otherwise."""
    named = {
        name: column
        for name in ("key_column", "image_column")
        if (column := getattr(options, name)) in one.columns or column not in grid.columns
    }
    return SourceOptions(**named)


def _places(joins: Sequence[_Join], sample: int) -> list[int]:
    """The positions of the sample's rows in all tables as one."""
    found, start = [], 0
    for join in joins:
        if sample in join.rows:
            found.append(start + join.rows[sample])
        start += len(join.grid.rows)
    return found


def _values(
    grid: Grid, columns: Columns, options: SourceOptions, places: Sequence[int], sample: Sample
) -> tuple[Values | None, list[Finding]]:
    """What the rows of one sample say together; where they differ, the first is taken."""
    if not places:
        return None, [_missing_row(grid, sample)]
    values, findings = read_values(grid, columns, options, places[0], sample.key)
    first = list(_told(values, options))
    for position in places[1:]:
        more, wrong = read_values(grid, columns, options, position, sample.key)
        findings += wrong
        for i, (what, other) in enumerate(_told(more, options)):
            one = first[i][1]
            if one and other and one != other:
                rows = grid.row(places[0]), grid.row(position)
                findings.append(_conflict(sample.key, rows, what, (one, other)))
            first[i] = (what, one or other)
    labels, group, split, *meta = (value for _, value in first)
    merged = Values((labels,) if labels else (), group, split, tuple(meta))
    return (values if len(places) == 1 else merged), findings


def _told(values: Values, options: SourceOptions) -> Iterator[tuple[str, str | None]]:
    """What a row says, by name; class, group and split first."""
    yield "class", values.labels[0] if values.labels else None
    yield "group", values.group
    yield "split", values.split
    yield from zip(options.keep_columns, values.meta, strict=True)


def _conflict(key: str, rows: tuple[str, str], what: str, told: tuple[str, str]) -> Finding:
    one, other = map(shown, told)
    return Finding(
        "error",
        "metadata-conflict",
        key,
        rows[0],
        f"{what} is {one} here and {other} in {rows[1]}; the first is taken",
        "correct the row that is wrong, or leave one of the tables out",
    )


def _unused(
    joins: Sequence[_Join], columns: Columns, options: SourceOptions, count: int
) -> Iterator[Finding]:
    """A warning for each table that joins and of which nothing is taken."""
    taken = {*columns.one_hot, columns.label, columns.group, columns.split, *options.keep_columns}
    for join in joins:
        if not taken.isdisjoint(join.grid.columns):
            continue
        likely = [shown(name) for name in may_be_labels(join.grid, {join.column})]
        one, name = (likely[0],) * 2 if len(likely) == 1 else ("a column", "NAME")
        among = f" ({few(likely)})" if len(likely) > 1 else ""
        fix = (
            f"if {one}{among} is the class, pass --label-column {name}; for other columns "
            "--group-column or --keep-columns; or leave the table out"
        )
        yield Finding(
            "warning",
            "metadata-unused",
            "",
            join.grid.name,
            f"it has a row for {len(join.rows)} of {count} samples and gives them nothing: none "
            f"of its columns ({few(join.grid.columns)}) is taken for class, group or split",
            fix,
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
            f"({described(grid, column, names)}); name another with --key-column, or leave the "
            "table out"
        )
    for i, positions in held.items():
        if len(positions) > 1:
            findings.append(_twice(grid, positions, samples[i].key))
    return _Join(grid, column, {i: places[0] for i, places in held.items()}, findings)


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
        f"{grid.name}: no row for this sample",
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


def _other_hints(found: Understood, columns: Columns) -> list[str]:
    """The folder's hints, less those on where classes may be found once they are."""
    known = columns.label is not None or bool(columns.one_hot)
    return [hint for hint in found.hints if not (known and GIVES_CLASSES in hint)]
