"""One value of one row of an Arrow column, without making Arrow objects: views of its buffers.

`column[i].as_py()` searches the chunks and builds a scalar each time; a view is made once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

Getter = Callable[[int], Any]


def getter(column: pa.ChunkedArray) -> Getter:
    """A function from a row to its value: int, bool, str, or None.

    Args:
        column: of whole numbers, booleans or large_string.
    """
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    getters = [_chunk_getter(chunk) for chunk in chunks]
    if len(getters) == 1:
        return getters[0]
    starts = np.cumsum([0, *map(len, chunks[:-1])]).tolist()

    def at(row: int) -> Any:
        number = bisect_right(starts, row) - 1
        return getters[number](row - starts[number])

    return at


def _chunk_getter(chunk: pa.Array) -> Getter:
    validity, first = chunk.buffers()[0], chunk.offset
    value = _value_getter(chunk)
    if chunk.null_count == 0:
        return value
    valid = np.frombuffer(validity, np.uint8)
    return lambda row: value(row) if _bit(valid, first + row) else None


def _value_getter(chunk: pa.Array) -> Getter:
    """Of a chunk whose nulls are seen to."""
    first = chunk.offset
    if pa.types.is_boolean(chunk.type):
        bits = np.frombuffer(chunk.buffers()[1], np.uint8)
        return lambda row: _bit(bits, first + row)
    if pa.types.is_large_string(chunk.type):
        return _text_getter(chunk)
    numbers = np.frombuffer(chunk.buffers()[1], chunk.type.to_pandas_dtype())
    return lambda row: int(numbers[first + row])


def _text_getter(chunk: pa.Array) -> Getter:
    _, offsets, text = chunk.buffers()
    ends = np.frombuffer(offsets, np.int64)[chunk.offset :]
    data = memoryview(text if text is not None else b"")
    return lambda row: str(data[ends[row] : ends[row + 1]], "utf-8")


def _bit(bits: Any, number: int) -> bool:
    """Bit `number` of a bitmap, least significant first, as Arrow packs them."""
    return bool(bits[number >> 3] >> (number & 7) & 1)
