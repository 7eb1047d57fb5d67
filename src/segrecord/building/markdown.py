"""Names that others gave, as GitHub Flavored Markdown that shows them as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])")
"""What may begin something; an underscore inside a word does not."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def text(value: str) -> str:
    """A name as running text, of one line, also in the cell of a table."""
    marked = _SPECIAL.sub(r"\\\g<0>", printable(value))
    return re.sub("[&<>]", lambda found: _ENTITIES[found[0]], marked)


def printable(value: str) -> str:
    r"""The text with what does not print (a line break, say) as Python's escape: \n."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in value
    )


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(str, cells)) + " |\n" for cells in lines)


def code(content: str, language: str = "") -> str:
    """A block of code, with a fence that nothing in it ends."""
    longest = max(map(len, re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content.rstrip()}\n{fence}\n"
