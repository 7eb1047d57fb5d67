"""What the values of the source's masks meant, by the manifest of the dataset made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segrecord.pixels import mask

if TYPE_CHECKING:
    from segrecord.records.manifest import Manifest


def value_map(manifest: Manifest) -> mask.ValueMap | None:
    """How mask values were read; None: masks were copied unread.

    See `segrecord.quality.values` for the white of 1-bit masks.
    """
    masks, told = manifest.masks, manifest.options.get("pixels", {})
    if not masks.checked:
        return None
    white, clear = 0 if told.get("mask_invert") else 1, 0
    if masks.threshold is not None:
        return mask.ValueMap((), white, masks.threshold)
    if told.get("mask_map") is not None:
        white = masks.values.get(1, masks.values.get(255, 0))
        clear = mask.clear_of(masks.classes, masks.values)
    return mask.ValueMap(tuple(sorted(masks.values.items())), white, clear=clear)
