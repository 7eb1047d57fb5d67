"""Mask files in, planes of values out; values to class ids; ids to the one stored encoding.

What the values mean is not decided here, file by file, but once for the dataset
(`segrecord.checks.mask_values`): this module only reads what stands in a file and applies a
`ValueMap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from segrecord.errors import PixelError
from segrecord.findings import Finding
from segrecord.images import image, png
from segrecord.images.exif import turn
from segrecord.options import IGNORE, IGNORE_NAME

Kind = Literal["grey", "bilevel", "palette"]
Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Ids = npt.NDArray[np.uint8]

ASPECT_TOLERANCE = 0.01
"""Aspect ratios that differ by more than this share are no mere change of scale."""

EDGE_RADIUS = 2
"""Smoothing and JPEG leave odd values within 2 pixels of both sides of an edge (measured)."""

SHOWN_COLOURS = 6
MAX_COUNTED = 1 << 18
"""Pixels of a colour mask whose colours are counted, to name the most frequent ones."""

_OPAQUE = 255

MAP_SIDE = 16
"""Cells a side of the map of where masks lie."""


class MaskPlane(NamedTuple):
    """What one mask file holds."""

    values: Plane
    """(H, W); palette masks: the indices; bilevel masks: 0 and 1."""
    kind: Kind
    format: str
    mode: str
    notes: tuple[Finding, ...] = ()
    """What to warn of."""


class ValueMap(NamedTuple):
    """Which class id each mask value stands for, for the whole dataset."""

    ids: tuple[tuple[int, int], ...]
    """Pairs (value, class id or IGNORE), ascending by value."""
    white: int
    """Class id of the white of a bilevel mask; of two classes, black is the other one."""
    threshold: int | None = None
    """Values from here on are as white, lower ones as black; `ids` is empty then."""
    clear: int = 0
    """Class id that lets through what was painted before, where an image has several masks."""

    @property
    def black(self) -> int:
        """Class id of the black of a bilevel mask: what 0 means elsewhere."""
        if self.threshold is not None:
            return 1 - self.white
        return dict(self.ids).get(0, 0)

    def inverted(self) -> ValueMap:
        """The classes 0 and 1 swapped, for masks that hold no others."""
        swapped = {0: 1, 1: 0}
        white = swapped.get(self.white, self.white)
        if self.threshold is not None:
            return self._replace(white=white)
        ids = {0: 0} | dict(self.ids)  # the black of 1-bit masks, though no other holds a 0
        pairs = ((value, swapped.get(number, number)) for value, number in sorted(ids.items()))
        return self._replace(ids=tuple(pairs), white=white)

    def lut(self) -> Ids:
        """(65536,) class id of every value; values off the map are IGNORE."""
        table = np.full(1 << 16, IGNORE, np.uint8)
        if self.threshold is not None:
            table[: self.threshold] = self.black
            table[self.threshold :] = self.white
        for value, number in self.ids:
            table[value] = number
        return table

    def apply(self, plane: MaskPlane, lut: Ids) -> Ids:
        """The class ids (H, W) of a plane; `lut` is `self.lut()`, made once by the caller."""
        if plane.values.dtype == np.uint16:
            return lut[plane.values]
        if plane.kind == "bilevel":
            table = bytes([self.black, self.white]).ljust(256)
        else:
            table = lut[:256].tobytes()
        # bytes.translate is twice as fast as NumPy's indexing.
        translated = plane.values.tobytes().translate(table)
        return np.frombuffer(translated, np.uint8).reshape(plane.values.shape)


def read(data: bytes) -> MaskPlane:
    """The values of a mask file, checked as strictly as an image.

    Grey, 1-bit, palette (by index), RGB and RGBA holding grey are read; of colour, it is said
    that it is colour. 2- and 4-bit grey is read as the numbers stored, not scaled to 255.

    Raises:
        PixelError: broken data, several frames, colour, a palette whose order says something else
            than its greys, or an alpha channel that says something else than the colours.
    """
    if data.startswith(png.SIGNATURE):
        chunks, rows = png.walk_rows(data)
        grey = png.grey(chunks, rows)
        if grey is not None:  # most masks: nothing is inflated twice
            mode = "L" if chunks.colour_type == 0 else "RGB"
            return MaskPlane(turn(grey, chunks.orientation), "grey", "png", mode, chunks.notes)
    facts, opened = image.open_checked(data)
    if facts.alpha == "unread":
        raise PixelError("mask-alpha", case="unread")
    kind: Kind = {"1": "bilevel", "P": "palette"}.get(opened.mode, "grey")  # type: ignore[assignment]
    if kind == "palette" and facts.format == "gif":
        kind = "grey"
    values = turn(_values(opened, facts.bit_depth, kind), facts.orientation)
    return MaskPlane(values, kind, facts.format, opened.mode, facts.notes)


def _values(opened: Image.Image, bit_depth: int, kind: Kind) -> Plane:
    mode = opened.mode
    if mode == "1":
        return np.asarray(opened, dtype=np.uint8)
    if mode == "P":
        return _palette_values(opened, levels=kind == "grey")
    if mode == "L":
        plane: Ids = np.asarray(opened)
        scale = {2: 85, 4: 17}.get(bit_depth, 1)
        return plane // np.uint8(scale) if scale > 1 else plane
    if mode in {"I;16", "I;16B", "I;16L", "I"}:
        wide = np.asarray(opened)
        low, high = int(wide.min()), int(wide.max())
        if low < 0 or high >= 1 << 16:
            raise PixelError("mask-values", case="range", low=low, high=high)
        return wide.astype(np.uint16)
    if mode not in {"RGB", "RGBA", "LA"}:
        raise PixelError("mask-mode", mode=mode)
    colours, alpha = list(opened.split()), None
    if mode[-1] == "A":
        alpha = np.asarray(colours.pop())
    first = colours[0].tobytes()
    if any(band.tobytes() != first for band in colours[1:]):
        raise _colour_error(opened)
    grey = np.asarray(colours[0])
    clear = alpha != _OPAQUE if alpha is not None else np.zeros(1, bool)
    if clear.any() and (grey[clear].any() or int(grey.min()) == int(grey.max())):
        raise PixelError("mask-alpha", pixels=int(clear.sum()))
    return grey


def _palette_values(opened: Image.Image, *, levels: bool) -> Ids:
    """The indices of a palette mask; or, of a GIF, the grey levels that they stand for.

    A GIF has no grey but through a palette, and its indices mean nothing from file to file:
    encoders drop the colours a picture does not use, so that index 0 is black in one mask and
    white in the next. Elsewhere a palette of greys that does not rise is refused: its indices turn
    the picture around.
    """
    colours = np.zeros((256, 3), np.uint8)
    listed = np.array(opened.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(listed)] = listed
    counts, plane = opened.histogram(), np.asarray(opened)
    used = np.flatnonzero(counts)
    shown = colours[used, 0]
    grey = bool((colours[used] == shown[:, None]).all())
    if not levels:
        if grey and (np.diff(shown.astype(np.int16)) < 0).any():
            raise PixelError("palette-order", greys=", ".join(map(str, shown[:6])))
        return plane
    if not grey:
        raise PixelError("colour-mask", case="gif")
    of_index = np.zeros(256, np.uint8)
    of_index[used] = shown
    clear = opened.info.get("transparency")
    if clear is not None and of_index[clear]:
        raise PixelError("mask-alpha", pixels=counts[clear])
    grey_levels: Ids = of_index[plane]
    return grey_levels


def _colour_error(opened: Image.Image) -> PixelError:
    rgb = opened.convert("RGB")
    counted: Any = rgb.getcolors(maxcolors=256)
    if counted is None:  # a photograph, perhaps: a part of its pixels is enough
        step = int((rgb.width * rgb.height / MAX_COUNTED) ** 0.5) + 1
        red, green, blue = np.moveaxis(np.asarray(rgb)[::step, ::step].astype(np.uint32), 2, 0)
        packed, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
        most = np.argsort(-counts, kind="stable")[: SHOWN_COLOURS + 1]
        colours = np.stack([packed[most] >> bits & 255 for bits in (16, 8, 0)], axis=1).tolist()
        counted = list(zip(counts[most].tolist(), map(tuple, colours), strict=True))
    counted.sort(key=lambda each: (-each[0], each[1]))
    some = ", ".join(str(colour) for _, colour in counted[:SHOWN_COLOURS])
    if len(counted) > SHOWN_COLOURS:
        some = f"more than {SHOWN_COLOURS}, most often {some}"
    return PixelError("colour-mask", colours=some)


def count_values(plane: MaskPlane) -> tuple[list[int], list[int]]:
    """The values that occur, ascending, and the pixels of each."""
    values = plane.values
    low, high = int(values.min()), int(values.max())
    lows, highs = int(np.count_nonzero(values == low)), int(np.count_nonzero(values == high))
    if lows + highs == values.size:  # most masks: three passes beat a histogram
        return [low, high], [lows, highs]
    if low == high:
        return [low], [lows]
    if values.dtype == np.uint8:
        counts = np.array(Image.fromarray(values).histogram())
    else:
        counts = np.bincount(values.ravel())
    occurring = np.flatnonzero(counts)
    return occurring.tolist(), counts[occurring].tolist()


def edge_share(plane: MaskPlane) -> float | None:
    """Share of the pixels between the lowest and the highest value that lie at an edge.

    At an edge: within EDGE_RADIUS pixels of both the lowest and the highest value. None where
    there are no values between, or the plane is not 8-bit grey.
    """
    values = plane.values
    if plane.kind != "grey" or values.dtype != np.uint8:
        return None
    low, high = values == values.min(), values == values.max()
    between = _bits(~(low | high))
    if not between:
        return None
    row = 8 * (values.shape[1] // 8 + 2)
    at_edge = between & _grown(_bits(low), row) & _grown(_bits(high), row)
    return at_edge.bit_count() / between.bit_count()


def _bits(flags: npt.NDArray[np.bool_]) -> int:
    """Flags (H, W) as one number, the first its highest bit; 8 zeros or more end each row.

    Shifting it shifts the whole picture: with that an edge share takes 0.3 ms at 512 x 512, with
    Pillow's rank filters 26.
    """
    packed = np.packbits(flags, axis=1)
    height, width = flags.shape
    padded = np.zeros((height, width // 8 + 2), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return int.from_bytes(padded.data)


def _grown(bits: int, row: int) -> int:
    """What lies within EDGE_RADIUS pixels, also diagonally, of what is set; `row` bits a row."""
    for step in (1, row):
        for _ in range(EDGE_RADIUS):
            bits |= bits << step | bits >> step
    return bits


def where(plane: MaskPlane) -> bytes:
    """Where a mask is not 0: 16 x 16 cells in C order, the share of each cell as 0 to 255."""
    there = (plane.values != 0).view(np.uint8) * np.uint8(255)
    cells = Image.fromarray(there).resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)
    return cells.tobytes()


def class_name(names: Sequence[str], number: int) -> str:
    """The name of a mask class by its id; "class 7" where 7 has none, "ignore" for IGNORE."""
    if number == IGNORE:
        return IGNORE_NAME
    return names[number] if number < len(names) else f"class {number}"


def clear_of(names: tuple[str, ...], ids: Mapping[int, int]) -> int:
    """The class id that is transparent in painting, under a mask map.

    The class called background, whatever its place and value (a mask may be drawn black on
    white); without one, what the value 0 means.

    Args:
        names: of the mask classes, by id.
        ids: class id or IGNORE of each value.
    """
    return names.index("background") if "background" in names else ids.get(0, 0)


def paint(parts: list[Ids], clear: int) -> Ids:
    """The parts painted over each other in their order, but for the id `clear`.

    All are (H, W) alike. A pixel that is `clear` in all of them stays so.
    """
    canvas = parts[0]
    for part in parts[1:]:
        canvas = np.where(part != clear, part, canvas)
    return canvas


def fit(ids: Ids, height: int, width: int) -> Ids:
    """The mask resized to (height, width) by nearest neighbour; itself where it has that size."""
    return image.resize(ids, height, width, Image.Resampling.NEAREST)


def count_ids(ids: Ids) -> dict[int, int]:
    """Pixels of each class id that occurs, ignore included."""
    counts = Image.fromarray(ids).histogram()
    return {number: pixels for number, pixels in enumerate(counts) if pixels}


def black_and_white(ids: Ids) -> Ids:
    """Class ids 0 and 1 as 0 and 255, for --mask-values keep."""
    white: Ids = ids * np.uint8(255)
    return white


def ids_of(black_white: Ids) -> Ids:
    """Class ids 0 and 1 of a mask that was stored as 0 and 255.

    Raises:
        PixelError: it holds other values.
    """
    ids: Ids = (black_white > 127).view(np.uint8)  # noqa: PLR2004 - halfway
    if not np.array_equal(black_and_white(ids), black_white):
        raise PixelError("mask-not-kept")
    return ids


def encode(ids: Ids) -> bytes:
    """The stored form of a mask: single-channel 8-bit PNG of class ids."""
    return png.encode(ids)
