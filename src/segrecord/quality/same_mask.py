"""Two masks' facts in, out whether the masks differ, as far as facts can tell."""

from __future__ import annotations

from typing import Any

from segrecord.pixels.mask import Ids, ValueMap
from segrecord.quality.values import Reading

Mask = dict[str, Any]
"""A row of tables.MASK_FACTS."""


class MaskComparison:
    """Compares masks by what their values mean in this dataset.

    Args:
        reading: how values are read; None: unknown, so that no two masks are known to differ.
    """

    def __init__(self, reading: Reading | None) -> None:
        self._map: ValueMap | None = reading.map if reading else None
        self._lut: Ids | None = reading.map.lut() if reading else None

    def differ(self, one: list[Mask], other: list[Mask]) -> bool:
        """Whether the stored masks of two equal images are certain to differ.

        Not certain, and so false: masks painted of several parts, of several sizes, and those
        whose values were not read.
        """
        if len(one) != 1 or len(other) != 1:
            return False
        return self._planes_differ(one[0], other[0])

    def _planes_differ(self, one: Mask, other: Mask) -> bool:
        if one["pixels_sha256"] is None or other["pixels_sha256"] is None:
            return False
        if (one["height"], one["width"]) != (other["height"], other["width"]):
            return False
        ids, others = self._ids(one), self._ids(other)
        if ids is None or others is None:
            return False
        if _pixels(one, ids) != _pixels(other, others):
            return True
        # The classes are as large. Where no two values mean one class, other values are other
        # classes; else the same mask may have been drawn in other values.
        comparable = one["kind"] == other["kind"] and _is_wide(one) == _is_wide(other)
        is_one_to_one = len({*ids, *others}) == len({*one["values"], *other["values"]})
        return comparable and is_one_to_one and one["pixels_sha256"] != other["pixels_sha256"]

    def _ids(self, mask: Mask) -> list[int] | None:
        """The class id of each value of the mask."""
        if self._map is None or self._lut is None:
            return None
        if mask["kind"] == "bilevel":
            return [(self._map.black, self._map.white)[value] for value in mask["values"]]
        return [int(self._lut[value]) for value in mask["values"]]


def _pixels(mask: Mask, ids: list[int]) -> dict[int, int]:
    """Pixels of each class id."""
    pixels: dict[int, int] = {}
    for number, count in zip(ids, mask["counts"], strict=True):
        pixels[number] = pixels.get(number, 0) + count
    return pixels


def _is_wide(mask: Mask) -> bool:
    """Whether the hashed values are of 16 bits."""
    return str(mask["mode"]).startswith("I")
