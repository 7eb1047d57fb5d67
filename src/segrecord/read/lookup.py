"""One record of a dataset, found by its key or number, and drawn: what `segrecord show` shows."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.errors import RecordError, UsageError
from segrecord.format import example, schemas, tfrecord
from segrecord.format import manifest as manifests
from segrecord.format.stored_mask import read_mask
from segrecord.images import image
from segrecord.images.overlay import Sides, sheet, sides
from segrecord.read.index import open_index, places

if TYPE_CHECKING:
    from PIL import Image

_NEAR = 3
"""Keys that are proposed where one is not found."""

_SEARCHED = 20_000
"""Keys that are compared letter by letter with one that is not found; the first ones."""


class Record(NamedTuple):
    """One record, and where it stands."""

    key: str
    split: str
    shard: str
    """Name of the file."""
    number: int
    """In the shard, from 0."""
    offset: int
    """Of the record's frame, in bytes of the uncompressed shard."""
    features: dict[str, list[Any]]
    """As they are stored: a list of bytes, int or float for each key."""
    stored: schemas.Read


def read_record(dataset: str | Path, key_or_number: str) -> Record:
    """The record of this key, or of this row of the index, counted from 0.

    A key is taken before a number; a text that is neither may be the unique ending of a key.

    Raises:
        OutputError: there is no finished dataset.
        UsageError: there is no such record, or several keys end in this text.
        RecordError: the record, the index or the manifest is damaged.
    """
    manifest = manifests.load(dataset)
    index = open_index(dataset, manifest)
    row = _row(index, key_or_number)
    place = next(p for p in places(manifest) if row < p.shard.first_row + p.shard.records)
    number = row - place.shard.first_row
    offset, length = index["offset"][row].as_py(), index["length"][row].as_py()
    payload = _payload(
        Path(dataset) / place.shard.name, manifest.compression, offset, length, number
    )
    try:
        features = example.decode(payload)
        stored = schemas.stored_of(schemas.layout_of(manifest), features)
    except ValueError as error:
        raise RecordError(place.shard.name, str(error), number, offset) from None
    key = index["key"][row].as_py()
    return Record(key, place.split, place.shard.name, number, offset, features, stored)


def _row(index: pa.Table, text: str) -> int:
    keys = index["key"]
    exact = pc.index(keys, pa.scalar(text, keys.type)).as_py()
    if exact >= 0:
        return int(exact)
    if text.isascii() and text.isdigit():
        if int(text) < index.num_rows:
            return int(text)
        raise UsageError(
            f"there is no record {text}: the dataset has {index.num_rows}, counted from 0"
        )
    ending = pc.indices_nonzero(pc.ends_with(keys, text)) if text else []
    if len(ending) == 1:
        return int(ending[0].as_py())
    if len(ending):
        names = ", ".join(repr(keys[row.as_py()].as_py()) for row in ending[:_NEAR])
        raise UsageError(f"several keys end in {text!r}, for example {names}")
    near = pc.indices_nonzero(pc.match_substring(keys, text, ignore_case=True))[:_NEAR]
    alike = [keys[row.as_py()].as_py() for row in near] if text else []
    alike = alike or difflib.get_close_matches(text, keys[:_SEARCHED].to_pylist(), _NEAR)
    hint = f"; did you mean {', '.join(map(repr, alike))}?" if alike else ""
    raise UsageError(f"there is no record of key {text!r}{hint}")


def _payload(shard: Path, compression: str, offset: int, length: int, number: int) -> bytes:
    """Of this record; a compressed shard has no random access and is read up to it."""
    if compression != "none":
        with tfrecord.open_shard(shard, compression) as stream:
            for count, (_, payload) in enumerate(tfrecord.read_records(stream, shard.name)):
                if count == number:
                    return payload
        raise RecordError(shard.name, f"holds no record {number}")
    try:
        descriptor = storage.descriptor(shard)
    except OSError as error:
        raise RecordError(str(shard), f"cannot be opened: {error.strerror}") from None
    try:
        return tfrecord.read_at(descriptor, max(offset, 0), max(length, 0), shard.name, number)
    finally:
        os.close(descriptor)


def picture_of(record: Record, manifest: manifests.Manifest) -> Image.Image:
    """The record's image, and beside it the image with its mask; takes what `sides_of` does."""
    return sheet(sides_of(record, manifest))


def sides_of(record: Record, manifest: manifests.Manifest) -> Sides:
    """The record's image, the image with its mask, and the legend.

    Args:
        record: of the dataset of this manifest.
        manifest: for the layout and the names of the mask classes.

    Raises:
        PixelError: the stored image or mask is damaged.
        RecordError: their sizes do not fit each other or what the record says.
    """
    stored, classes, mask = record.stored, manifest.masks.classes, None
    try:
        if stored.image_format == "raw":
            shape = (stored.height or 0, stored.width or 0, stored.channels or 0)
            pixels = np.frombuffer(stored.image, np.uint8).reshape(shape)
            pixels = pixels[:, :, 0] if shape[2] == 1 else pixels
        else:
            pixels = image.decode(stored.image)
        if stored.mask and stored.has_mask is not False:
            layout, size = schemas.layout_of(manifest), (pixels.shape[0], pixels.shape[1])
            mask = read_mask(layout, stored.mask, size, len(classes))
        return sides(pixels, mask, classes)
    except ValueError as error:
        raise RecordError(record.shard, str(error), record.number, record.offset) from None
