"""The picture that shows whether a mask fits its image: plain on the left, painted on the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from segrecord.images.mask import class_name
from segrecord.options import IGNORE
from segrecord.wording import cut

Pixels = npt.NDArray[np.uint8]

# Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind people too. Black is
# left out, since it is lost on X-rays; orange comes last, since skin is of its hue.
PALETTE = (
    (86, 180, 233),  # sky blue
    (213, 94, 0),  # vermilion
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (204, 121, 167),  # reddish purple
    (0, 114, 178),  # blue
    (230, 159, 0),  # orange
)

MIN_SIDE = 256
"""Pictures of which the longer side is shorter are enlarged, by a whole factor."""

MAX_SIDE = 1024
"""Pictures of which the longer side is longer are reduced."""

_ALPHA = 0.4
_HATCH = 4  # pixels, the width of a stripe over what is to be ignored
_STRIPES = ((235, 235, 235), (110, 110, 110))
_GAP = 8
_PAPER = (255, 255, 255)
_INK = (40, 40, 40)
_LINE = 18  # pixels, the height of a line of the legend
_NAME = 40  # characters of a class name that are shown


class Entry(NamedTuple):
    """One line of the legend."""

    number: int
    """The mask class; 0: a remark without a colour."""
    text: str


class Sides(NamedTuple):
    """What is seen of a record."""

    plain: Image.Image
    """The image, RGB, at the size at which it is shown."""
    painted: Image.Image
    """The same with the mask painted over."""
    legend: list[Entry]


def sides(image: Pixels, mask: Pixels | None, classes: Sequence[str] = ()) -> Sides:
    """The image, the image with its mask painted over, and what the colours mean.

    Each class but 0 has a colour, half transparent with a crisp outline; pixels to ignore (255)
    are hatched grey. The legend says which colour is which class, with its share of the pixels.

    Args:
        image: (H, W, 3) or (H, W).
        mask: (H, W) class ids; None: there is none, and the legend says so.
        classes: the names of the mask classes, by id.

    Raises:
        ValueError: image and mask differ in size.
    """
    if mask is not None and mask.shape != image.shape[:2]:
        raise ValueError(f"image and mask must be of one size, got {image.shape} and {mask.shape}")
    height, width = image.shape[:2]
    longer = max(height, width)
    factor = -(-MIN_SIDE // longer) if longer < MIN_SIDE else min(1.0, MAX_SIDE / longer)
    size = max(round(height * factor), 1), max(round(width * factor), 1)
    plain = _resized(np.ascontiguousarray(image), size, Image.Resampling.LANCZOS).convert("RGB")
    if mask is None:
        return Sides(plain, plain, [Entry(0, "no mask")])
    ids = np.asarray(_resized(np.ascontiguousarray(mask), size, Image.Resampling.NEAREST))
    painted = Image.fromarray(_paint(np.asarray(plain), ids))
    counts = np.bincount(mask.ravel(), minlength=256)
    legend = []
    for number in (np.flatnonzero(counts[1:]) + 1).tolist():
        name = cut(class_name(classes, number), _NAME)
        legend.append(Entry(number, f"{name}  {100 * counts[number] / mask.size:.1f} %"))
    return Sides(plain, painted, legend or [Entry(0, "the mask is empty")])


def colour_of(number: int) -> tuple[int, int, int]:
    """The colour of a mask class from 1 on; after seven classes they come again."""
    return PALETTE[(number - 1) % len(PALETTE)]


def _resized(pixels: Pixels, size: tuple[int, int], reducing: Image.Resampling) -> Image.Image:
    """Enlarged by nearest neighbour, so that a pixel stays visible as one; else by `reducing`."""
    picture = Image.fromarray(pixels)
    if picture.size == (size[1], size[0]):
        return picture
    kind = Image.Resampling.NEAREST if size[0] > picture.height else reducing
    return picture.resize((size[1], size[0]), kind)


def _paint(plain: Pixels, ids: Pixels) -> Pixels:
    """The picture (H, W, 3) with the ids (H, W) painted over."""
    colours = np.array([colour_of(number) for number in range(256)], np.float32)[ids]
    diagonal = np.add.outer(np.arange(ids.shape[0]), np.arange(ids.shape[1]))
    stripe = diagonal // _HATCH % 2
    ignored = ids == IGNORE
    colours[ignored] = np.array(_STRIPES, np.float32)[stripe][ignored]
    weight = np.where(ids == 0, 0, np.where(_outline(ids), 1.0, _ALPHA))[:, :, None]
    mixed: npt.NDArray[Any] = plain * (1 - weight) + colours * weight
    painted: Pixels = np.rint(mixed).astype(np.uint8)
    return painted


def _outline(ids: Pixels) -> npt.NDArray[np.bool_]:
    """(H, W) where a pixel or its neighbour lies next to another class: lines of two pixels."""
    edge = np.zeros(ids.shape, bool)
    for reach in (1, 2):
        for axis in (0, 1):
            low = [slice(None), slice(None)]
            high = [slice(None), slice(None)]
            low[axis], high[axis] = slice(None, -reach), slice(reach, None)
            differs = ids[tuple(low)] != ids[tuple(high)]
            edge[tuple(low)] |= differs
            edge[tuple(high)] |= differs
    return edge


def sheet(seen: Sides) -> Image.Image:
    """Both sides beside each other, and the legend below."""
    plain, painted, entries = seen
    width, height = plain.size
    left = width + 3 * _GAP // 2
    below = height + 2 * _GAP
    paper = Image.new("RGB", (2 * width + 3 * _GAP, below + _LINE * len(entries) + _GAP), _PAPER)
    paper.paste(plain, (_GAP, _GAP))
    paper.paste(painted, (left + _GAP // 2, _GAP))
    draw = ImageDraw.Draw(paper)
    font = ImageFont.load_default(13)
    white = np.full((_LINE - 6, _LINE - 6, 3), 255, np.uint8)
    for line, entry in enumerate(entries):
        top, x = below + line * _LINE, left + _GAP // 2
        if entry.number:
            swatch = _paint(white, np.full(white.shape[:2], entry.number, np.uint8))
            paper.paste(Image.fromarray(swatch), (x, top + 2))
            x += _LINE
        # The built-in font knows Latin letters only.
        text = entry.text.encode("latin-1", "replace").decode("latin-1")
        draw.text((x, top), text, fill=_INK, font=font)
    return paper
