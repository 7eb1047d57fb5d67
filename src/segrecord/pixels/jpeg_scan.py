"""Whether the scan of a baseline JPEG is whole: every Huffman code of it read, nothing decoded.

For the few JPEGs whose sampling factors the strict decoder does not know (4:1:0 among them). Pure
Python: about a second for each MB, paid by such files alone. Rules are those of ITU-T T.81,
annexes C and F.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

_DHT, _DRI, _SOS = 0xC4, 0xDD, 0xDA
_RESTART = re.compile(rb"\xff+([\xd0-\xd7])")
_COEFFICIENTS, _LONG_RUN = 64, 15
_MOST = 4
"""The largest sampling factor."""

_LONGEST = 16
"""Bits of a code."""

_Table = list[int]
"""For each 16 bits: 32 times the symbol that they begin with, plus the bits of its code, or 0."""


def sound(data: bytes, segments: Iterable[tuple[int, int, int]], frame: bytes) -> bool:
    """Whether one scan holds all blocks of all components, each code valid, and nothing else.

    Args:
        data: a JPEG of process 0 or 1 that ends with EOI.
        segments: its segments: code, start of the body, end.
        frame: the body of its SOF segment.
    """
    tables: dict[int, _Table] = {}
    scans, interval = [], 0
    for code, start, end in segments:
        if code == _DHT:
            tables |= _tables(data[start:end])
        elif code == _DRI:
            interval = int.from_bytes(data[start:end], "big")
        elif code == _SOS:
            scans.append((data[start:end], data[end:-2]))
    components = {frame[at]: divmod(frame[at + 1], 16) for at in range(6, len(frame), 3)}
    legal = all(1 <= factor <= _MOST for pair in components.values() for factor in pair)
    if not legal or len(scans) != 1:
        return False
    header, body = scans[0]
    if len(header) != 4 + 2 * len(components) or bytes(components) != header[1:-3:2]:
        return False
    blocks = []
    for (across, down), chosen in zip(components.values(), header[2:-3:2], strict=True):
        pair = tables.get(chosen >> 4), tables.get(16 | chosen & 15)
        blocks += [pair] * (across * down)
    if any(None in pair for pair in blocks):
        return False
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    most = [max(factors) for factors in zip(*components.values(), strict=True)]
    units = -(-width // (8 * most[0])) * -(-height // (8 * most[1]))
    return _whole(body, blocks, units, interval or units)  # type: ignore[arg-type]  # no None


def _tables(body: bytes) -> dict[int, _Table]:
    """The tables of a DHT segment, by class (AC: 16) and number; T.81, annex C."""
    tables, at = {}, 0
    while at + 1 + _LONGEST <= len(body):
        counts, codes, place = body[at + 1 : at + 1 + _LONGEST], [], at + 1 + _LONGEST
        for bits, count in enumerate(counts, 1):
            for symbol in body[place : place + count]:
                codes += [symbol << 5 | bits] * (1 << (_LONGEST - bits))
            place += count
        tables[body[at]] = (codes + [0] * (1 << _LONGEST))[: 1 << _LONGEST]
        at = place
    return tables


def _whole(body: bytes, blocks: list[tuple[_Table, _Table]], units: int, interval: int) -> bool:
    """Whether the restart intervals follow each other, and each holds its blocks exactly."""
    parts = _RESTART.split(body)  # data, marker, data, ...
    markers = b"".join(parts[1::2])
    wanted = -(-units // interval)
    if markers != bytes(0xD0 + number % 8 for number in range(wanted - 1)):
        return False
    return all(
        _interval(
            part.replace(b"\xff\0", b"\xff"), blocks * min(interval, units - number * interval)
        )
        for number, part in enumerate(parts[::2])
    )


def _interval(data: bytes, blocks: list[tuple[_Table, _Table]]) -> bool:
    """Whether these blocks take all of these bytes, but for the ones that fill the last one up.

    A last byte of zeros may be a zeroed one, which a scan of short codes does not mind: no.
    """
    padded = np.frombuffer(data + b"\0\0\0", np.uint8).astype(np.uint32)
    windows = (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).tolist()
    at, end = 0, 8 * len(data)
    for dc, ac in blocks:
        place, table = 0, dc
        while place < _COEFFICIENTS:
            if at >= end:
                return False
            code = table[windows[at >> 3] >> (8 - (at & 7)) & 0xFFFF]
            run, size = (code >> 9, code >> 5 & 15) if place else (0, code >> 5)
            at += (code & 31) + size
            if not code:
                return False
            if place and not size and run != _LONG_RUN:
                break
            place, table = place + run + 1, ac
        if place > _COEFFICIENTS:
            return False
    fill = (1 << (end - at & 7)) - 1
    return end - 8 < at <= end and bool(data[-1]) and data[-1] & fill == fill
