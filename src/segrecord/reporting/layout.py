"""Lines and tables for the terminal: 80 columns, without colour where it is none.

Rich decides by the console whether there is colour (it honours NO_COLOR, FORCE_COLOR, TERM=dumb
and files). A person at a terminal gets lines that are wrapped; a log gets each of them whole, so
that it can be searched. Names that come from the data are never read as markup, and what a
terminal would obey or the output cannot encode is printed as an escape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from segrecord.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from segrecord.reading.coverage import Numbers

__all__ = ["SCREEN", "WIDTH", "Part", "count_text", "counted", "cut", "numbers_text", "on_screen",
           "print_gap", "print_line", "print_next", "print_parts", "print_table", "printable",
           "screen_width", "size_text"]  # fmt: skip

WIDTH = 80

SCREEN = 100
"""Columns at which lines on a wider terminal end: longer ones are hard to read."""

Part = str | tuple[str, str]
"""A piece of a line: text, or text and its style."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """A number of bytes for people, decimal: 1234567 is 1.2 MB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - decimal units
        size, unit = size / 1000, unit + 1
    return f"{size:.{0 if unit == 0 else 1}f} {_UNITS[unit]}"


def count_text(count: int, one: str, many: str = "") -> str:
    """A number and its noun: 1 finding, 21,000 findings."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def numbers_text(numbers: Numbers | None, form: str) -> tuple[str, ...]:
    """The four numbers, each in this form."""
    return ("-",) * 4 if numbers is None else tuple(form.format(number) for number in numbers)


def cut(text: str, length: int) -> str:
    """The text, or so many characters of it."""
    return text if len(text) <= length else text[: length - 3] + "..."


def on_screen(console: Console) -> bool:
    """Whether a person sees this, and no file: FORCE_COLOR alone makes no terminal of a log."""
    return console.is_terminal and console.file.isatty()


def screen_width(console: Console) -> int:
    """The columns that a line on this terminal may take."""
    return min(console.width, SCREEN)


def printable(text: str, encoding: str) -> str:
    """The text with escapes for control characters and for what the encoding lacks."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_line(console: Console, text: str, style: str = "") -> None:
    """A line, or several where it is long."""
    print_parts(console, (text, style))


def print_parts(
    console: Console, *parts: Part, indent: int = 0, hang: int = 2, most: int = 0
) -> None:
    """A line of several styles; on a terminal it is wrapped at words.

    Args:
        console: where to.
        parts: put together as they are, without blanks between.
        indent: blanks before the first line.
        hang: further blanks before each further line.
        most: lines on a terminal after which the text ends in "..."; 0: all that it takes.
    """
    text = Text(" " * indent)
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(printable(words, console.encoding), style)
    if not on_screen(console):
        console.print(text, width=min(WIDTH, console.width))
        return
    room = max(screen_width(console) - indent - hang, 16)
    for number, line in enumerate(_lines(console, text[indent:], room, most)):
        margin = Text(" " * (indent + hang * (number > 0)))
        console.print(margin + line, soft_wrap=True)


def _lines(console: Console, text: Text, room: int, most: int) -> list[Text]:
    lines = list(text.wrap(console, room))
    if most and len(lines) > most:
        # Wrapped again, so that the dots have room after the last word.
        last = lines[most - 1].wrap(console, room - 4)[0]
        last.rstrip()
        lines = [*lines[: most - 1], last.append(" ...")]
    for line in lines:
        line.rstrip()
    return lines


def print_gap(console: Console) -> None:
    """An empty line where a person reads; a log goes without."""
    if on_screen(console):
        console.print()


def print_next(console: Console, steps: Iterable[tuple[str, str]]) -> None:
    """The commands to go on with, each to be copied as it is, with what it is for as a comment."""
    listed = [(printable(command, console.encoding), why) for command, why in steps]
    column = max(len(command) for command, _ in listed) + 2
    console.print("next:")
    for command, why in listed:
        text = Text(f"  {command}", "bold")
        comment = f"{'':{column - len(command)}}# {why}"
        if not on_screen(console) or text.cell_len + len(comment) <= console.width:
            text.append(comment, "not bold dim")
        console.print(text, soft_wrap=True)  # a command that is broken cannot be copied


def print_table(
    console: Console, header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1
) -> None:
    """A table whose first columns are texts and whose other columns are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header):
        justify: Any = "left" if number < texts else "right"
        heading = Text(printable(name, console.encoding), style="bold")
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value, console.encoding)) for value in row))
    console.print(table, width=min(WIDTH, console.width))
