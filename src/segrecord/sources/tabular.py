"""Tables that people keep: CSV, TSV, Parquet, Arrow, XLSX and data frames, read as plain text.

No reader may guess types: a class "007" or "1.0" stays as it is written.
"""

from __future__ import annotations

import csv
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import SourceError
from segrecord.sources.names import TABLE_EXTENSIONS, extension
from segrecord.wording import few, shown

Cells = list[str | None]

_SEPARATORS = ",;\t|"
_EXCEL_EXTRA = "pip install 'segrecord[excel]'"


@dataclass(frozen=True)
class Grid:
    """A table as text."""

    name: str
    """What messages call it: the file's name."""
    path: str
    """The file, or "" for a data frame."""
    columns: dict[str, Cells]
    """The cells by column; null where a cell is empty."""
    rows: list[int]
    """The number of each row as its owner counts: from 2 below a header, else from 0."""
    blank: int = 0
    """Rows left out since all their cells are empty."""
    hints: tuple[str, ...] = ()
    """What was not read of the file."""
    files: tuple[str, ...] = ()
    """What messages call the file of each row, where several tables are taken as one."""

    def row(self, position: int) -> str:
        """What a finding calls this row: "index.csv row 17"."""
        name = self.files[position] if self.files else self.name
        return f"{name} row {self.rows[position]}"

    def column(self, name: str, option: str) -> str:
        """The name, once it has proved to be a column.

        Raises:
            SourceError: there is no such column; the message lists those there are.
        """
        if name not in self.columns:
            raise SourceError(
                f"{self.name} has no column {shown(name)} for {option}; its columns are "
                f"{', '.join(map(shown, self.columns))}"
            )
        return name


def read_grid(path: str) -> Grid:
    """The table in this file; XLSX gives its first sheet.

    Raises:
        SourceError: it cannot be read, or has no header or no rows.
    """
    name, kind = os.path.basename(path), extension(path)  # noqa: PTH119 - text
    if kind == ".xlsx":
        rows, others = _xlsx(path)
        hint = f"{name}: only the first sheet is read, not {few(others)}"
        return replace(_with_header(path, rows), hints=(hint,) if others else ())
    if kind in {".csv", ".tsv"}:
        return _with_header(path, _text_rows(path, kind))
    if kind not in TABLE_EXTENSIONS:
        raise SourceError(
            f"{path} is no table that segrecord reads; it takes "
            f"{', '.join(sorted(TABLE_EXTENSIONS))} files"
        )
    try:
        if kind == ".parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, seldom needed

            table = pq.read_table(path)
        else:
            data = pa.BufferReader(Path(path).read_bytes())
            try:
                table = pa.ipc.open_file(data).read_all()
            except pa.ArrowInvalid:
                data.seek(0)
                table = pa.ipc.open_stream(data).read_all()
        # Arrow trusts the offsets in a file; following damaged ones ends the process.
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise SourceError(f"{path} cannot be read as {kind[1:]}: {error}") from error
    return _arrow_grid(name, path, table)


def stacked(grids: Sequence[Grid]) -> Grid:
    """The rows of these tables as one; a cell of a column that a table lacks is null."""
    if len(grids) == 1:
        return grids[0]
    titles = list(dict.fromkeys(title for grid in grids for title in grid.columns))
    columns: dict[str, Cells] = {title: [] for title in titles}
    for grid in grids:
        for title in titles:
            columns[title] += grid.columns.get(title) or [None] * len(grid.rows)
    return Grid(
        " and ".join(grid.name for grid in grids),
        "",
        columns,
        [row for grid in grids for row in grid.rows],
        sum(grid.blank for grid in grids),
        tuple(hint for grid in grids for hint in grid.hints),
        tuple(grid.name for grid in grids for _ in grid.rows),
    )


def frame_grid(frame: Any) -> Grid:
    """A data frame (pandas, polars, Arrow) as a grid; rows are counted from 0.

    Raises:
        SourceError: it cannot be read as an Arrow table.
    """
    return _arrow_grid("the data frame", "", arrow_table(frame))


def arrow_table(frame: Any) -> pa.Table:
    """The Arrow table of an object with `__arrow_c_stream__`.

    Raises:
        SourceError: its columns cannot be converted.
    """
    try:
        return frame if isinstance(frame, pa.Table) else pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SourceError(f"the data frame cannot be read as an Arrow table: {error}") from error


def _text_rows(path: str, kind: str) -> Iterator[Sequence[str]]:
    """The rows of a CSV or TSV.

    Raises:
        SourceError: it cannot be read, is not UTF-8, or is no valid CSV.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise SourceError(f"{path} is not UTF-8 text (UTF-16?); save it as CSV UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as CSV UTF-8"
        ) from error
    if "\n" not in text:
        text = text.replace("\r", "\n")
    # The separator that occurs most in the header outside quotes; a comma if none does.
    bare = "".join(text.split("\n", 1)[0].split('"')[::2])
    separator = "\t" if kind == ".tsv" else max(_SEPARATORS, key=bare.count)
    # Not text.splitlines(): it also splits at the form feeds and line separators within cells.
    lines = (line[0] for line in re.finditer(r"[^\n]*\n|[^\n]+", text))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise SourceError(f"{path} line {reader.line_num} is no valid CSV: {error}") from error


def _xlsx(path: str) -> tuple[list[list[str]], list[str]]:
    """The rows of the first sheet, and the names of the other sheets that hold anything."""
    try:
        import openpyxl  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise SourceError(f"{path} needs the extra excel: {_EXCEL_EXTRA}") from error
    try:
        with warnings.catch_warnings():
            # Styles and extensions that openpyxl does not know change no cell.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            rows = [
                [
                    str(v).lower() if isinstance(v, bool) else "" if v is None else str(v)
                    for v in row
                ]
                for row in book.worksheets[0].values
            ]
            others = [sheet.title for sheet in book.worksheets[1:] if any(map(any, sheet.values))]
            book.close()
    except Exception as error:
        # openpyxl raises whatever zip, XML and its own code raise on a damaged file.
        raise SourceError(f"{path} cannot be read as XLSX: {error}") from error
    return rows, others


def _with_header(path: str, rows: Iterable[Sequence[str]]) -> Grid:
    """The grid of rows whose first is the header; row numbers are those of a spreadsheet."""
    name = os.path.basename(path)  # noqa: PTH119 - text
    numbered = iter(enumerate(rows, 1))
    _, header = next(numbered, (1, ()))
    titles = [title.strip() for title in header]
    named = [title for title in titles if title]
    if not named:
        raise SourceError(f"{path} is empty: a table needs a header line with its columns' names")
    twice = sorted({title for title in named if named.count(title) > 1})
    if twice:
        raise SourceError(f"{name} has two columns called {few(twice)}; rename one")
    body, numbers, blank = [], [], 0
    for number, row in numbered:
        if not any(cell.strip() for cell in row):
            blank += 1
            continue
        if len(row) > len(titles) and any(cell.strip() for cell in row[len(titles) :]):
            raise SourceError(
                f"{name} row {number} has {len(row)} cells, its header {len(titles)}; put cells "
                "that hold the separator in quotes"
            )
        body.append(row)
        numbers.append(number)
    if not body:
        raise SourceError(f"{name} has a header and no rows")
    columns = {
        title: [row[i] or None if i < len(row) else None for row in body]
        for i, title in enumerate(titles)
        if title
    }
    return Grid(name, path, columns, numbers, blank)


def _arrow_grid(name: str, path: str, table: pa.Table) -> Grid:
    columns = {}
    for field in table.schema:
        cells = _cells(name, table, field)
        if cells is not None:
            columns[field.name] = cells
    if not columns:
        raise SourceError(f"{name} has no columns that hold text or numbers")
    if not table.num_rows:
        raise SourceError(f"{name} has columns and no rows")
    full = [any(cells) for cells in zip(*columns.values(), strict=True)]
    numbers = [i for i, some in enumerate(full) if some]
    if len(numbers) < len(full):
        columns = {title: [cells[i] for i in numbers] for title, cells in columns.items()}
    return Grid(name, path, columns, numbers, len(full) - len(numbers))


def _cells(name: str, table: pa.Table, field: pa.Field) -> Cells | None:
    """The column as text; None where it holds lists, bytes or structures."""
    if table.schema.names.count(field.name) > 1:
        raise SourceError(f"{name} has two columns called {shown(field.name)}; rename one")
    column, kind = table.column(field.name), field.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        # Arrow writes 1.0 as "1", which another table may call another class.
        return [
            None if value is None or math.isnan(value) else str(value)
            for value in column.to_pylist()
        ]
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return None
    try:
        text: Cells = pc.cast(column, pa.large_string()).to_pylist()
    except pa.ArrowException:
        return None
    return [cell or None for cell in text]
