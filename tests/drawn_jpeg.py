"""Baseline JPEGs of any sampling factors, which no encoder at hand writes; slow, for small ones."""

import struct

import numpy as np

from make import segment

SIDE = 8
ZIGZAG = sorted(
    range(SIDE * SIDE),
    key=lambda at: (
        at // SIDE + at % SIDE,
        at // SIDE if (at // SIDE + at % SIDE) % 2 else at % SIDE,
    ),
)
BASIS = np.array(
    [
        [np.cos((2 * x + 1) * u * np.pi / 16) * (0.5 if u else np.sqrt(1 / 8)) for x in range(SIDE)]
        for u in range(SIDE)
    ]
)
AC = [0, *(run << 4 | size for run in range(16) for size in range(1, 11)), 0xF0]
"""All symbols, each with a code of 8 bits; the 12 of DC have 4."""


def jpeg(pixels, factors, *, quantum=8, interval=0):
    """(H, W, 3) RGB pixels, sampled by these (across, down) of Y, Cb and Cr, as a file's bytes.

    Args:
        pixels: uint8.
        factors: one pair for each of the three.
        quantum: what all coefficients are divided by.
        interval: units from one restart marker to the next; 0: there are none.
    """
    height, width = pixels.shape[:2]
    most = [max(pair) for pair in zip(*factors, strict=True)]
    rows, columns = -(-height // (SIDE * most[1])), -(-width // (SIDE * most[0]))
    planes = [
        sampled(plane, pair, most, (rows, columns))
        for plane, pair in zip(ycc(pixels), factors, strict=True)
    ]
    parts, bits, before = [], [], [0, 0, 0]
    for unit in range(rows * columns):
        if interval and unit and not unit % interval:
            parts.append(closed(bits))
            bits, before = [], [0, 0, 0]
        for number, (across, down) in enumerate(factors):
            row, column = unit // columns * down, unit % columns * across
            for at in np.ndindex(down, across):
                top, left = (row + at[0]) * SIDE, (column + at[1]) * SIDE
                block = planes[number][top : top + SIDE, left : left + SIDE]
                coded = np.rint(BASIS @ block @ BASIS.T / quantum).astype(int).ravel()[ZIGZAG]
                bits += coefficients(coded, before[number])
                before[number] = coded[0]
    parts.append(closed(bits))
    body = parts[0] + b"".join(
        bytes((0xFF, 0xD0 + number % 8)) + part for number, part in enumerate(parts[1:])
    )
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"".join(
        bytes((number, across << 4 | down, 0)) for number, (across, down) in enumerate(factors, 1)
    )
    dc = bytes((0, 0, 0, 0, 12, *bytes(12), *range(12)))
    ac = bytes((16, *bytes(7), len(AC), *bytes(8), *AC))
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + segment(0xDB, b"\0" + bytes([quantum] * 64))
        + segment(0xC0, frame)
        + segment(0xC4, dc)
        + segment(0xC4, ac)
        + (segment(0xDD, struct.pack(">H", interval)) if interval else b"")
        + segment(0xDA, b"\3\1\0\2\0\3\0\0\x3f\0")
        + body
        + b"\xff\xd9"
    )


def ycc(pixels):
    """Y, Cb and Cr of JFIF, less 128."""
    red, green, blue = pixels.astype(float).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402


def sampled(plane, pair, most, units):
    """A plane at its own resolution, filled up to whole units."""
    height, width = (SIDE * most[1] * units[0], SIDE * most[0] * units[1])
    fill = ((0, height - plane.shape[0]), (0, width - plane.shape[1]))
    full, down, across = np.pad(plane, fill, mode="edge"), most[1] // pair[1], most[0] // pair[0]
    return full.reshape(height // down, down, width // across, across).mean((1, 3))


def coefficients(coded, before):
    """The codes of a block, as texts of 0 and 1."""
    size, value = number(coded[0] - before)
    yield f"{size:04b}{value}"
    run, last = 0, np.flatnonzero(coded[1:]).max(initial=-1) + 1
    for coefficient in coded[1 : last + 1]:
        if not coefficient:
            run += 1
            continue
        yield f"{AC.index(0xF0):08b}" * (run // 16)
        size, value = number(coefficient)
        yield f"{AC.index(run % 16 << 4 | size):08b}{value}"
        run = 0
    if last < SIDE * SIDE - 1:
        yield f"{0:08b}"


def number(value):
    """The bits that a number takes, and these bits."""
    size = int(abs(value)).bit_length()
    bits = value if value > 0 else value + (1 << size) - 1
    return size, format(bits, f"0{size}b") if size else ""


def closed(bits):
    """The bytes of a restart interval, filled up with ones, 0xFF stuffed."""
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
