"""What all readers that are measured have in common: the three features, the clock, the answer.

Each script reads what `reading_data.py` has laid out and prints records a second, by name, as JSON.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE, MASK, LABEL = "image/encoded", "image/segmentation/class/encoded", "image/class/label"
"""The keys of the three features, under schema deeplab."""

BATCH = 32
"""Samples a batch, of whatever decodes."""

GETS = 64
"""Records that a batch get asks for."""

_LEAST = 1.0  # seconds that are counted


def rate(read: Callable[[], int], records: int) -> float:
    """Records a second: a pass to warm up, then whole passes until a second has gone.

    Args:
        read: one pass; returns how many records it has read.
        records: how many it must read.

    Raises:
        ValueError: it has read another number.
    """
    if (found := read()) != records:
        raise ValueError(f"read {found} records, there are {records}")
    done, began, spent = 0, time.perf_counter(), 0.0
    while spent < _LEAST:
        done += read()
        spent = time.perf_counter() - began
    return done / spent


def answer(rates: dict[str, float]) -> None:
    """Print the rates for the runner."""
    print(json.dumps(rates))
