"""Lines and tables for the terminal: 80 columns, without colour where it is none.

Rich decides by the console whether there is colour (it honours NO_COLOR and files); names that
come from the data are printed as they are, never read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from segrecord.reading.coverage import Numbers

WIDTH = 80

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """A number of bytes for people, decimal: 1234567 is 1.2 MB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - decimal units
        size, unit = size / 1000, unit + 1
    return f"{size:.{0 if unit == 0 else 1}f} {_UNITS[unit]}"


def numbers_text(numbers: Numbers | None, form: str) -> tuple[str, ...]:
    """The four numbers, each in this form."""
    return ("-",) * 4 if numbers is None else tuple(form.format(number) for number in numbers)


def cut(text: str, length: int) -> str:
    """The text, or so many characters of it."""
    return text if len(text) <= length else text[: length - 3] + "..."


def print_line(console: Console, text: str, style: str = "") -> None:
    """A line, or several where it is long."""
    console.print(Text(text, style=style), width=min(WIDTH, console.width))


def print_table(
    console: Console, header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1
) -> None:
    """A table whose first columns are texts and whose other columns are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header):
        justify: Any = "left" if number < texts else "right"
        table.add_column(Text(name, style="bold"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table, width=min(WIDTH, console.width))
