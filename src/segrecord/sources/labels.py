"""Class, group, split and kept columns of a table's rows, for listings and metadata alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from segrecord.errors import Finding, SourceError
from segrecord.sources.columns import Columns, is_on, names_a_class, split_name
from segrecord.sources.understood import named, shown

if TYPE_CHECKING:
    from segrecord.options import SourceOptions
    from segrecord.sources.tabular import Grid


class Values(NamedTuple):
    """What one row says beyond image and mask."""

    labels: tuple[str, ...]
    group: str | None
    split: str | None
    meta: tuple[str | None, ...]


def check_rest_class(grid: Grid, columns: Columns, options: SourceOptions) -> None:
    """Refuse --rest-class where it could do nothing.

    Raises:
        SourceError: the table has neither one-hot columns nor a class column of 0 and 1.
    """
    if options.rest_class is not None and not (columns.one_hot or columns.binary):
        raise SourceError(
            f"--rest-class {options.rest_class} needs one-hot class columns (0 and 1); "
            f"{grid.name} has "
            + (f"the class column {shown(columns.label)}" if columns.label else "none")
        )


def read_values(
    grid: Grid, columns: Columns, options: SourceOptions, position: int, key: str
) -> tuple[Values, list[Finding]]:
    """The values of the row at this position, and what is wrong with its class.

    Findings: several-classes, no-class.
    """
    labels, findings = _labels(grid, columns, options, position, key)
    values = Values(
        labels,
        _name(grid, columns.group, position),
        split_name(_text(grid, columns.split, position, columns)),
        tuple(_text(grid, name, position, columns) for name in options.keep_columns),
    )
    return values, findings


def _text(grid: Grid, column: str | None, position: int, columns: Columns) -> str | None:
    """A cell without the blanks around it, which segrecord's own listings mean."""
    cell = grid.columns[column][position] if column is not None else None
    if cell is None or columns.own:
        return cell
    return cell.strip() or None


def _name(grid: Grid, column: str | None, position: int) -> str | None:
    """A cell as the name of a class or group."""
    cell = grid.columns[column][position] if column is not None else None
    return named(cell) or None if cell else None


def _labels(
    grid: Grid, columns: Columns, options: SourceOptions, position: int, key: str
) -> tuple[tuple[str, ...], list[Finding]]:
    if columns.one_hot:
        return _one_hot(grid, columns, options, position, key)
    if columns.binary and columns.label is not None:
        label = _yes_or_no(columns.label, grid.columns[columns.label][position], options)
    else:
        label = _name(grid, columns.label, position)
    return ((label,) if label else ()), []


def _one_hot(
    grid: Grid, columns: Columns, options: SourceOptions, position: int, key: str
) -> tuple[tuple[str, ...], list[Finding]]:
    states = {name: is_on(grid.columns[name][position]) for name in columns.one_hot}
    on = tuple(name for name, state in states.items() if state)
    if len(on) == 1:
        return (named(on[0]),), []
    if len(on) > 1:
        message = f"{len(on)} class columns are set: {', '.join(map(shown, on))}"
        fix = "leave one of them set, or name the column of the class with --label-column"
        return (), [Finding("error", "several-classes", key, grid.row(position), message, fix)]
    if all(state is None for state in states.values()):
        return (), []
    if options.rest_class is not None:
        return (named(options.rest_class),), []
    message = f"none of the class columns is set: {', '.join(map(shown, columns.one_hot))}"
    fix = "pass --rest-class NAME to say what such rows are"
    return (), [Finding("error", "no-class", key, grid.row(position), message, fix)]


def _yes_or_no(column: str, cell: str | None, options: SourceOptions) -> str | None:
    """The class by a cell of 0 or 1: the column's name, or "not" before it.

    Below a name such as "class" the cells are numbers of classes: 1.0 is the class "1".
    """
    state = is_on(cell)
    if state is None or cell is None:
        return None
    if names_a_class(column) and options.rest_class is None:
        text = named(cell)
        return str(int(state)) if text[0].isdigit() else text
    return named(column if state else options.rest_class or f"not {column}")
