"""A record as a picture: what is stored, decoded and painted over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from segrecord.errors import RecordError
from segrecord.pixels import image
from segrecord.reading.content import read_mask
from segrecord.reading.lookup import Record
from segrecord.records.manifest import Manifest
from segrecord.records.schemas import Read, layout_of
from segrecord.reporting.overlay import Sides, sheet, sides


def of_record(record: Record, manifest: Manifest) -> Image.Image:
    """The record's image, and beside it the image with its mask; takes what `sides_of` does."""
    return sheet(sides_of(record, manifest))


def sides_of(record: Record, manifest: Manifest) -> Sides:
    """The record's image, the image with its mask, and the legend.

    Args:
        record: of the dataset of this manifest.
        manifest: tells the layout and the names of the mask classes.

    Raises:
        PixelError: the stored image or mask is damaged.
        RecordError: their sizes do not fit each other or what the record says.
    """
    try:
        return _drawn(record.stored, manifest)
    except ValueError as error:
        raise RecordError(record.shard, str(error), record.number, record.offset) from None


def _drawn(stored: Read, manifest: Manifest) -> Sides:
    pixels = _pixels(stored)
    mask = None
    if stored.mask and stored.has_mask is not False:
        size = (pixels.shape[0], pixels.shape[1])
        mask = read_mask(layout_of(manifest), stored.mask, size, len(manifest.masks.classes))
    return sides(pixels, mask, manifest.masks.classes)


def _pixels(stored: Read) -> npt.NDArray[np.uint8]:
    if stored.image_format != "raw":
        return image.decode(stored.image)
    shape = (stored.height or 0, stored.width or 0, stored.channels or 0)
    pixels = np.frombuffer(stored.image, np.uint8).reshape(shape)
    return pixels[:, :, 0] if shape[2] == 1 else pixels
