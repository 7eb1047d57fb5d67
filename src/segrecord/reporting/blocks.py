"""A record in the terminal: two pixels a character, the image on the left, painted on the right.

The character is U+2580, the upper half block: its colour is the upper pixel, the colour behind it
the lower one, so that pixels are about square.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text

from segrecord.reporting.layout import on_screen, printable, screen_width
from segrecord.reporting.overlay import colour_of

if TYPE_CHECKING:
    from rich.console import Console

    from segrecord.reporting.overlay import Entry, Sides

LINES = 24
"""Lines that a picture takes at most: those of the smallest terminal in use."""

_GAP = 2  # columns between the two pictures
_HALF = "\N{UPPER HALF BLOCK}"


def can_draw(console: Console) -> bool:
    """Whether the console is a terminal that shows the character in at least 256 colours.

    Rich gives each colour as 24 bits where the terminal takes them, else as the nearest of 256.
    """
    coloured = console.color_system in ("truecolor", "256") and not console.no_color
    return on_screen(console) and coloured and console.encoding.startswith("utf")


def draw(console: Console, seen: Sides) -> None:
    """Print both sides beside each other, fitted to the width and to 24 lines, and the legend."""
    width = (screen_width(console) - _GAP) // 2
    plain, painted = (_fitted(side, width) for side in (seen.plain, seen.painted))
    for row in range(0, plain.shape[0], 2):
        line = _line(plain[row : row + 2])
        line.append(" " * _GAP).append_text(_line(painted[row : row + 2]))
        console.print(line, soft_wrap=True)
    for entry in seen.legend:
        text = _legend(entry, console.encoding)
        # Under the painted side, or further left where it is long.
        margin = min(plain.shape[1] + _GAP, max(screen_width(console) - text.cell_len, 0))
        console.print(Text(" " * margin) + text, soft_wrap=True)


def _fitted(picture: Image.Image, width: int) -> npt.NDArray[np.uint8]:
    """The picture as (H, W, 3) of this width or less, and an even height of 48 or less."""
    scale = min(width / picture.width, 2 * LINES / picture.height)
    columns = max(int(picture.width * scale), 1)
    lines = max(round(picture.height * scale / 2), 1)
    return np.asarray(picture.resize((columns, 2 * lines), Image.Resampling.LANCZOS))


def _line(pair: npt.NDArray[np.uint8]) -> Text:
    """Two rows of pixels (2, W, 3) as a line of W characters."""
    text = Text()
    for upper, lower in zip(*pair.tolist(), strict=True):
        text.append(_HALF, Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
    return text


def _legend(entry: Entry, encoding: str) -> Text:
    text = Text()
    if entry.number:
        colour = Color.from_rgb(*colour_of(entry.number))
        text.append(f"{2 * _HALF} ", Style(color=colour))
    return text.append(printable(entry.text, encoding))
