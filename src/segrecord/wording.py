"""Numbers and names in words, for every message: one form each, wherever it is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable

FEW = 5
"""How many names a message lists before it says how many more there are."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun: "1 finding", "21,000 findings", "2 classes"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def is_unicode(text: str) -> bool:
    """Whether a name is valid Unicode; file names need not be (they decode to surrogates)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """The text, escaped where it cannot be printed."""
    return text if is_unicode(text) and text.isprintable() else repr(text)


def few(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    head = ", ".join(shown(name) for name in listed[:FEW])
    return head if len(listed) <= FEW else f"{head} and {len(listed) - FEW} more"


def size_text(size: float) -> str:
    """A number of bytes for people, decimal: 1234567 is 1.2 MB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - decimal units
        size, unit = size / 1000, unit + 1
    return f"{size:.{0 if unit == 0 else 1}f} {_UNITS[unit]}"


def share_text(share: float, digits: int = 1) -> str:
    """A share in per cent; with as many more digits as show that it is not none, or not all."""
    if share in (0, 1):
        return f"{share:.{digits}%}"
    # Two digits of a part that the usual ones would show as none.
    rest = min(share, 1 - share)
    more = max(digits, -math.floor(math.log10(rest)) - 1) if 100 * rest < 10**-digits else digits
    return f"{share:.{more}%}"


def cut(text: str, length: int) -> str:
    """The text, or so many characters of it."""
    return text if len(text) <= length else text[: length - 3] + "..."


def quoted(names: Iterable[str]) -> str:
    """Names in quotes: "'a' and 'b'"."""
    return " and ".join(map(repr, names))


def more(number: int) -> str:
    """What follows a list of which so many are left out: " and 2 more"; "" for none."""
    return f" and {number:,} more" if number > 0 else ""
