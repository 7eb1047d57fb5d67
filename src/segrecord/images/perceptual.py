"""Pictures in, perceptual hashes and correlations out: do two pictures show the same?

The hash is the signs of 64 low frequencies of a picture's thumbnail. JPEG, another size, grey
instead of colour and a change of brightness turn few of them round. It is made by integer
arithmetic alone, so it is the same on every processor.

A mirrored picture has the same frequencies, some of them with the other sign, and a transposed one
has them with rows and columns exchanged. So one hash a picture is kept, and `turns` derives those
of its eight orientations.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from segrecord.errors import PixelError
from segrecord.images import exif, image
from segrecord.images.files import load

Thumbnails = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

SIDE = 32
"""Pixels a side of a thumbnail."""

TURNS = 8
"""Turn k of a picture is what `exif.turn(picture, k + 1)` makes of it; 0 leaves it as it is."""

INVERSE = np.array([0, 1, 2, 3, 4, 7, 6, 5], np.uint8)
"""The turn that undoes each turn: only the quarter turns (5 and 7) are not their own."""

MIN_STD = 4
"""Grey levels. Flatter thumbnails have no hash: noise would decide about its bits. Measured on
127 pictures of eight public sets, flattened to such a deviation and saved as JPEG of quality 50: at
4 levels 87 % are recognised, at 3 levels 58 %, at 2 levels 2 %. The flattest of the 127 has 6.5.
"""

SAME = 98
"""Per cent of correlation at which two aligned thumbnails show the same picture."""

MILLION = 10**6

CLOSER = 16
"""... and they differ by at most 1/16 of what two other pictures of the set differ by: fundus
photographs all show one disc, and different eyes correlate at 0.99. Measured in shares of the usual
difference (1 - correlation, its median): changed copies of public pictures differ by at most 0.05,
those of drawn eyes by 0.053; different drawn eyes that 0.98 took for copies by 0.07 or more at 256
pixels a side, and at 128, where they show little but the disc, all but a few by over 1/16."""

DISTINCT = 8
"""So many pictures of a set, at least, have to tell how much its pictures differ."""

_SAMPLED_ROWS = 256
"""Of a picture twice as high or more only every n-th row is looked at, so many at least: four times
as fast at 1500 x 2000, and no real copy was lost by it; with 128 rows some were (measured)."""

_QUARTER_WAVE = np.array(
    [
        *(8192, 8182, 8153, 8103, 8035, 7946, 7839, 7713, 7568, 7405, 7225),
        *(7027, 6811, 6580, 6333, 6070, 5793, 5501, 5197, 4880, 4551, 4212),
        *(3862, 3503, 3135, 2760, 2378, 1990, 1598, 1202, 803, 402, 0),
    ],
    np.int64,
)
"""8192 cos(k pi / 64) for k from 0 to 32: literals, since no library's cosine is promised."""

_HIGHEST = 10
"""The sum of the two frequencies of a coefficient is at most this."""


def _layout() -> npt.NDArray[np.int64]:
    """(64, 2): which coefficient (row frequency, column frequency) each bit of a hash tells of.

    Bits b and b + 32 tell of coefficients that a transposition exchanges, or of two on the
    diagonal. Low frequencies, which similar pictures share, are dealt out over the hash, so that
    any 11 bits next to each other tell pictures apart.
    """
    pairs = [
        ((low, total - low), (total - low, low))
        for total in range(1, _HIGHEST + 1)
        for low in range((total + 1) // 2)
    ]
    pairs += [((1, 1), (2, 2)), ((3, 3), (4, 4))]
    layout = np.empty((2, len(pairs), 2), np.int64)
    for number, pair in enumerate(pairs):
        layout[:, 11 * number % len(pairs)] = pair
    return layout.reshape(-1, 2)


def _mask(bits: npt.NDArray[np.bool_]) -> np.uint64:
    """The number in which these of 64 bits are set, the lowest first."""
    return np.uint64(int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little"))


_ANGLE = np.arange(_HIGHEST + 1)[:, None] * (2 * np.arange(SIDE) + 1) % 128  # 128: a full turn
_HALF_WAVE: npt.NDArray[np.int64] = np.append(_QUARTER_WAVE, -_QUARTER_WAVE[-2::-1])
_COSINES: npt.NDArray[np.int64] = _HALF_WAVE[np.minimum(_ANGLE, 128 - _ANGLE)]
"""(11, 32): row u is the cosine of frequency u over a thumbnail's side, times 8192."""

_ROWS, _COLUMNS = _layout().T
_ODD_ROWS = _mask(_ROWS % 2 == 1)
_ODD_COLUMNS = _mask(_COLUMNS % 2 == 1)
_DIAGONAL = _mask(_ROWS == _COLUMNS)


def thumbnail(pixels: image.Pixels) -> Thumbnails:
    """(32, 32) grey levels of pixels (H, W) or (H, W, 3), aspect ratio given up.

    By Pillow's antialiased bilinear filter, which treats left and right, top and bottom alike. Its
    box filter takes 0.6 of the time, but gives each pixel on the border of two cells to the one:
    of pictures of 80 x 80 it lost 7 % of the turned and 19 % of the half-size copies, of 299 x 299
    1 % of the latter; `reducing_gap` loses 2 to 6 % of the turned ones (measured; bilinear none).
    """
    step = max(1, len(pixels) // _SAMPLED_ROWS)
    sampled = pixels[(len(pixels) - 1) % step // 2 :: step]
    picture = Image.fromarray(sampled).convert("L")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def phash(thumb: Thumbnails) -> int | None:
    """The 64-bit hash of a thumbnail (32, 32); None where its contrast is too low for one.

    Bit b is 1 where coefficient `_layout()[b]` of the thumbnail's discrete cosine transform
    (DCT-II) is over 0. The constant coefficient is none of them, so brightness does not matter.
    """
    values = thumb.astype(np.int64)
    variance = values.size * int((values * values).sum()) - int(values.sum()) ** 2
    if variance < (MIN_STD * values.size) ** 2:
        return None
    coefficients = _COSINES @ values @ _COSINES.T
    return int(_mask(coefficients[_ROWS, _COLUMNS] > 0))


def turns(hashes: Hashes) -> Hashes:
    """(8, N): row k is the hashes (N,) of the same pictures under turn k.

    Exact but for coefficients of exactly 0, which only pictures that are their own mirror image
    in every pixel of the thumbnail have.
    """
    half = np.uint64(32)
    swapped = (hashes << half) | (hashes >> half)
    transposed = (swapped & ~_DIAGONAL) | (hashes & _DIAGONAL)
    flips = (np.uint64(0), _ODD_COLUMNS, _ODD_ROWS ^ _ODD_COLUMNS, _ODD_ROWS)
    return np.stack([start ^ flip for start in (hashes, transposed) for flip in flips])


class Likeness(NamedTuple):
    """How alike the thumbnails of pairs are."""

    correlation: npt.NDArray[np.float64]
    """(P,) Pearson's, of the grey levels; 0 where a thumbnail is constant."""
    same: npt.NDArray[np.bool_]
    """(P,) it is at least what was asked for, decided without rounding."""


def same_from(thumbs: Thumbnails) -> int:
    """The correlation, in millionths, from which on two pictures of a set count as the same.

    Args:
        thumbs: (N, 32, 32) of some of its pictures, none a copy of another.
    """
    least = SAME * MILLION // 100
    if len(thumbs) < DISTINCT:
        return least
    first, second = np.triu_indices(len(thumbs), 1)
    # Sums of integers, products, a root and a quotient: rounded alike on every processor.
    usual = float(np.median(likeness(thumbs[first], thumbs[second]).correlation))
    return max(least, MILLION - int((1 - usual) * MILLION) // CLOSER)


def likeness(first: Thumbnails, second: Thumbnails, least: int = SAME * MILLION // 100) -> Likeness:
    """The likeness of thumbnails (P, 32, 32) and their counterparts (P, 32, 32).

    Args:
        first: the ones.
        second: the others, aligned.
        least: the correlation, in millionths, from which on they are the same.
    """
    a = first.reshape(len(first), SIDE * SIDE).astype(np.int64)
    b = second.reshape(len(second), SIDE * SIDE).astype(np.int64)
    count, total, other = a.shape[1], a.sum(axis=1), b.sum(axis=1)
    shared = count * (a * b).sum(axis=1) - total * other
    spread = count * (a * a).sum(axis=1) - total * total
    spreads = count * (b * b).sum(axis=1) - other * other
    # The squares exceed 64 bits: Python's integers.
    squared = shared.astype(object) ** 2 * MILLION**2
    needed = spread.astype(object) * spreads.astype(object) * least**2
    same = (shared > 0) & (squared >= needed).astype(np.bool_)
    scale = np.sqrt(spread.astype(np.float64) * spreads.astype(np.float64))
    return Likeness(shared / np.maximum(scale, 1), same)


def turned(thumbs: Thumbnails, turn: int) -> Thumbnails:
    """The thumbnails (P, 32, 32) under this turn."""
    return np.moveaxis(exif.turn(np.moveaxis(thumbs, 0, 2), turn + 1), 2, 0)


class Wanted(NamedTuple):
    """An image file to read again."""

    path: str
    sha256: bytes
    """Of the file, as it was when it was scanned."""


def thumbnails(files: tuple[Wanted, ...]) -> list[bytes | None]:
    """The thumbnail of each file, 1024 bytes; None where it is no longer what was scanned.

    A worker's function: pure, picklable, on plain values.
    """
    made: list[bytes | None] = []
    for file in files:
        try:
            data = load(file.path)
            same = hashlib.sha256(data).digest() == file.sha256
            made.append(thumbnail(image.decode(data)).tobytes() if same else None)
        except PixelError:
            made.append(None)
    return made
