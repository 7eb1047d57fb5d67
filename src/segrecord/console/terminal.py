"""Lines and tables for the terminal: 80 columns, without colour where it is none.

Rich decides by the console whether there is colour (it honours NO_COLOR, FORCE_COLOR, TERM=dumb
and files). A person at a terminal gets lines that are wrapped; a log gets each of them whole, so
that it can be searched. Names that come from the data are never read as markup, and what a
terminal would obey or the output cannot encode is printed as an escape.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from segrecord.read.pixel_stats import Numbers

WIDTH = 80

SCREEN = 100
"""Columns at which lines on a wider terminal end: longer ones are hard to read."""

Part = str | tuple[str, str]
"""A piece of a line: text, or text and its style."""

_GAP = 2  # blanks between the columns of a table
_HEADING = 8  # characters that a line of a broken heading holds, where there is room
_TEXT = 32  # characters of a text that are not broken: the name of a shard has fewer


def numbers_text(numbers: Numbers | None, form: Callable[[float], str]) -> tuple[str, ...]:
    """The four numbers, each in this form."""
    return ("-",) * 4 if numbers is None else tuple(map(form, numbers))


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
    """A table whose first columns are texts and whose other columns are numbers.

    Where it is too wide headings are broken, then long texts. Numbers and short texts stay whole,
    even if it is wider then.
    """
    cells = [[printable(value, console.encoding) for value in row] for row in (header, *rows)]
    widths = _widths(cells, min(WIDTH, console.width), texts)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for number, name in enumerate(cells[0]):
        justify: Any = "left" if number < texts else "right"
        heading = Text(name, style="bold")
        table.add_column(heading, justify=justify, overflow="fold", width=widths[number])
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    # Rendered apart, since `print` would cut the columns beyond the console's width.
    options = console.options.update(width=sum(widths) + _GAP * len(widths))
    lines = console.render_lines(table, options, pad=False, new_lines=True)
    console.print(Segments(chain.from_iterable(lines)), soft_wrap=True, end="")


def _widths(cells: Sequence[Sequence[str]], room: int, texts: int) -> list[int]:
    """How wide each column of a table is; the first row is its heading."""
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    whole = [max(map(cell_len, column[1:]), default=1) for column in zip(*cells, strict=True)]
    named = [max(low, min(width, _HEADING)) for low, width in zip(whole, widths, strict=True)]
    texts_broken = [min(low, _TEXT) for low in whole[:texts]] + whole[texts:]
    for least in (named, whole, texts_broken):
        while sum(widths) + _GAP * (len(widths) - 1) > room:
            over = [width * (width > low) for width, low in zip(widths, least, strict=True)]
            if not any(over):
                break
            widths[over.index(max(over))] -= 1
    return widths
