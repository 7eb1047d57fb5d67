"""What the values of the source's masks meant, by the manifest of the dataset made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segrecord.images import mask

if TYPE_CHECKING:
    from segrecord.format.manifest import Manifest


def value_map(manifest: Manifest) -> mask.ValueMap | None:
    """How mask values were read; None: masks were copied unread.

    See `segrecord.checks.mask_values` for the white of 1-bit masks.
    """
    masks, pixels = manifest.masks, manifest.build_options().pixels
    if not masks.checked:
        return None
    white, clear = 0 if pixels.mask_invert else 1, 0
    if masks.threshold is not None:
        return mask.ValueMap((), white, masks.threshold)
    if pixels.mask_map is not None:
        white = masks.values.get(1, masks.values.get(255, 0))
        clear = mask.clear_of(masks.classes, masks.values)
    return mask.ValueMap(tuple(sorted(masks.values.items())), white, clear=clear)
