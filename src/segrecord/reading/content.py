"""One record against its row of the index: its values, and where asked its pixels.

Decoding is done by the strict checks of `segrecord.pixels`, which refuse what lenient decoders
let through. Rules are plain sentences; the caller knows shard, record and offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from segrecord.errors import PixelError
from segrecord.options import IGNORE
from segrecord.pixels import image, jpeg, mask, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segrecord.pixels.mask import Ids
    from segrecord.records.schemas import Layout, Read

_CHANNELS = (1, 3)
"""Of images stored as raw pixels: grey or RGB."""

_BYTE = 8
"""Bits."""


class IndexRow(NamedTuple):
    """What the index says of one record; see `tables.RECORDS`."""

    key: str
    offset: int
    length: int
    label: int | None
    height: int
    width: int
    has_mask: bool
    mask_pixels: tuple[int, ...] | None
    ignore_pixels: int | None
    sha256: bytes


class CheckTask(NamedTuple):
    """One shard to check; plain values, so that a worker need not load Arrow."""

    path: str
    name: str
    """How errors name the shard."""
    layout: Layout
    compression: str
    mask_classes: int
    """Mask ids run from 0 to one less, and IGNORE; 0: masks are unchecked."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the file, in hexadecimal; empty: not known yet, this check tells it."""
    rows: tuple[IndexRow, ...]
    decode: bool
    """Hash and decode image and mask too; False is the fast read-back before a commit."""
    missing_mask: str
    """What a record without a mask holds: empty, ignore, zeros, omit or error."""
    one_hot: bool
    class_names: tuple[tuple[str, int], ...] = ()
    """The manifest's classes; empty: the records' class names are not compared."""


def differences(
    task: CheckTask, class_ids: dict[str, int], row: IndexRow, found: Read, sha256: bytes | None
) -> Iterator[str]:
    """What in a record is not as its row says.

    Args:
        task: the shard.
        class_ids: `task.class_names` as a dict, made once.
        row: the record's row of the index.
        found: what the record holds.
        sha256: of the record's image bytes; None: not computed, what the record says is taken.
    """
    yield from _values(row, found)
    yield from _hashes(row, found, sha256)
    if class_ids and found.class_name is not None:
        yield from _class_name(class_ids, found)
    yield from _mask_presence(task, row, found)
    if task.decode:
        yield from _image(row, found)
        if found.mask:
            yield from _mask(task, row, found.mask)
    else:
        yield from _sizes(task, row, found)


def _values(row: IndexRow, found: Read) -> Iterator[str]:
    if found.label != row.label:
        yield f"has the label {found.label}, the index says {row.label}"
    if found.height is not None and found.height != row.height:
        yield f"says height {found.height}, the index says {row.height}"
    if found.width is not None and found.width != row.width:
        yield f"says width {found.width}, the index says {row.width}"


def _hashes(row: IndexRow, found: Read, sha256: bytes | None) -> Iterator[str]:
    own, said = None if sha256 is None else sha256.hex(), found.image_sha256
    if own is not None and own != row.sha256.hex():
        yield f"the image has the SHA-256 {own}, the index says {row.sha256.hex()}"
    if said is not None and said != (own or row.sha256.hex()):
        where = "the index says" if own is None else "the image has"
        yield f"says SHA-256 {said} of its image, {where} {own or row.sha256.hex()}"


def _class_name(ids: dict[str, int], found: Read) -> Iterator[str]:
    expected = None if not found.class_name else ids.get(found.class_name, -1)
    if expected != found.label:
        yield f"has the label {found.label} and the class name {found.class_name!r}"


def _mask_presence(task: CheckTask, row: IndexRow, found: Read) -> Iterator[str]:
    """Whether there is a mask as the index says, and else what the policy puts there."""
    if found.has_mask is not None and found.has_mask != row.has_mask:
        yield f"{_has(found.has_mask)} a mask, the index says it {_has(row.has_mask)} one"
    elif row.has_mask and not found.mask:
        yield "has no mask, the index says it has one"
    elif not row.has_mask and task.layout.masks:
        yield from _missing(task.missing_mask, found.mask)
    if found.num_classes is not None and task.mask_classes != found.num_classes:
        yield f"says {found.num_classes} mask classes, the manifest says {task.mask_classes}"


def _has(mask: bool) -> str:  # noqa: FBT001 - a word for a truth value
    return "has" if mask else "has not"


def _missing(policy: str, stored: bytes | None) -> Iterator[str]:
    if policy == "error":
        yield "has no mask, and missing masks are an error in this dataset"
        return
    length = None if stored is None else len(stored)
    sound = {"omit": length is None, "empty": length == 0}.get(policy, bool(length))
    if not sound:
        held = "no mask key" if length is None else f"a mask of {length} bytes"
        yield f"is without a mask and holds {held}, which is not the policy {policy!r}"


def _image(row: IndexRow, found: Read) -> Iterator[str]:
    if found.image_format == "raw":
        yield from _raw_image(row, found)
        return
    try:
        facts, _ = image.examine(found.image)
    except PixelError as error:
        yield f"the image is damaged: {error.message} ({error.code})"
        return
    if facts.handling == "encode":
        yield f"the image is stored in a way that TensorFlow reads otherwise: {facts.reason}"
    if (facts.height, facts.width) != (row.height, row.width):
        yield (
            f"the image is {facts.height} x {facts.width} (height x width), the index says "
            f"{row.height} x {row.width}"
        )


def _sizes(task: CheckTask, row: IndexRow, found: Read) -> Iterator[str]:
    """Height and width that decoders make of image and mask, against the index.

    Nothing is decoded: every decoder gives a PNG the size of its IHDR and a JPEG that of its SOF,
    but for an orientation that it applies. So an orientation is refused, on whichever side of the
    pixels of a PNG it stands: what is stored lies upright.
    """
    size = (row.height, row.width)
    try:
        if found.image_format == "raw":
            yield from _raw_image(row, found)
        else:
            yield from _stored_size(found.image, size)
        if found.mask and task.layout.schema == "raw":
            expected = row.height * row.width * (task.mask_classes if task.one_hot else 1)
            if len(found.mask) != expected:
                yield f"the mask has {len(found.mask)} bytes, its size makes {expected}"
        elif found.mask:
            head = png.header(found.mask)
            if head is None or (head.height, head.width) != size:
                own = "of no size" if head is None else f"{head.height} x {head.width}"
                yield f"the mask is {own}, the image {size[0]} x {size[1]}"
    except PixelError as error:
        yield f"image or mask are damaged: {error.message} ({error.code})"


def _stored_size(stored: bytes, size: tuple[int, int]) -> Iterator[str]:
    is_png = stored.startswith(png.SIGNATURE)
    facts = png.header(stored) if is_png else jpeg.header(stored)
    if facts is None:
        yield "the image is damaged: its header has no end"
        return
    turned = png.orientation(stored) if is_png else facts.orientation
    if turned != 1:
        yield f"the image is not upright: EXIF says orientation {turned}"
    elif (facts.height, facts.width) != size:
        own = f"{facts.height} x {facts.width}"
        yield f"the image is {own}, the index says {size[0]} x {size[1]}"


def _raw_image(row: IndexRow, found: Read) -> Iterator[str]:
    channels = found.channels or 0
    if channels not in _CHANNELS:
        yield f"says {channels} channels, there may be 1 or 3"
    elif len(found.image) != row.height * row.width * channels:
        yield (
            f"the image has {len(found.image)} bytes, {row.height} x {row.width} x {channels} "
            f"(height x width x channels) are {row.height * row.width * channels}"
        )


def _mask(task: CheckTask, row: IndexRow, stored: bytes) -> Iterator[str]:
    try:
        ids = read_mask(task.layout, stored, (row.height, row.width), task.mask_classes)
    except PixelError as error:
        yield f"the mask is damaged: {error.message} ({error.code})"
        return
    if ids.shape != (row.height, row.width):
        yield (
            f"the mask is {ids.shape[0]} x {ids.shape[1]} (height x width), the image "
            f"{row.height} x {row.width}"
        )
    counts = mask.count_ids(ids)
    if not row.has_mask:
        yield from _filling(task.missing_mask, counts)
    elif task.mask_classes:
        yield from _mask_ids(task.mask_classes, row, counts)


def _filling(policy: str, counts: dict[int, int]) -> Iterator[str]:
    value = {"ignore": IGNORE, "zeros": 0}.get(policy)
    if value is not None and set(counts) != {value}:
        found = ", ".join(map(str, list(counts)[:6]))
        yield f"is without a mask and is filled with {found}, the policy {policy!r} says {value}"


def _mask_ids(classes: int, row: IndexRow, counts: dict[int, int]) -> Iterator[str]:
    off = [number for number in counts if number >= classes and number != IGNORE]
    if off:
        pixels = sum(counts[number] for number in off)
        yield (
            f"the mask holds the id{'s' * (len(off) > 1)} {', '.join(map(str, off[:6]))} in "
            f"{pixels} pixels, ids run from 0 to {classes - 1} ({IGNORE}: ignore)"
        )
    by_class = tuple(counts.get(number, 0) for number in range(classes))
    if row.mask_pixels != by_class:
        yield f"the mask has {_listed(by_class)} pixels a class, the index says " + _listed(
            row.mask_pixels
        )
    if row.ignore_pixels != counts.get(IGNORE, 0):
        yield (
            f"the mask has {counts.get(IGNORE, 0)} pixels to ignore, the index says "
            f"{row.ignore_pixels}"
        )


def _listed(pixels: tuple[int, ...] | None) -> str:
    return "none" if pixels is None else ", ".join(map(str, pixels))


def read_mask(layout: Layout, stored: bytes, size: tuple[int, int], classes: int) -> Ids:
    """The class ids (H, W) of a stored mask.

    Args:
        layout: says how masks are stored.
        stored: the bytes in the record.
        size: height and width of the record's image; raw masks do not say theirs.
        classes: mask classes; one-hot masks do not say theirs.

    Raises:
        PixelError: the bytes are no sound mask.
    """
    plane = _plane(layout, stored, size, classes)
    return mask.ids_of(plane) if layout.black_white else plane


def _plane(layout: Layout, stored: bytes, size: tuple[int, int], classes: int) -> Ids:
    """What the mask holds (H, W), of one-hot ones the class ids."""
    if layout.schema != "raw":
        return _png_ids(stored)
    shape = (*size, classes) if layout.one_hot else size
    expected = int(np.prod(shape, dtype=np.int64))
    if len(stored) != expected:
        raise _unsound(
            "mask-length",
            f"it has {len(stored)} bytes, {' x '.join(map(str, shape))} are {expected}",
        )
    pixels = np.frombuffer(stored, np.uint8).reshape(shape)
    return _of_one_hot(pixels) if layout.one_hot else pixels


def _png_ids(stored: bytes) -> Ids:
    plane = mask.read(stored)
    facts = png.header(stored) if plane.format == "png" else None
    if facts is None or (plane.mode, facts.bit_depth) != ("L", _BYTE):
        depth = "" if facts is None else f", {facts.bit_depth} bits"
        raise _unsound(
            "mask-format",
            f"it must be an 8-bit single-channel PNG, is {plane.format}, mode {plane.mode}{depth}",
        )
    return plane.values.astype(np.uint8, copy=False)


def _of_one_hot(pixels: Ids) -> Ids:
    total = pixels.sum(axis=2, dtype=np.int64)
    if int(pixels.max(initial=0)) > 1 or int(total.max(initial=0)) > 1:
        raise _unsound("mask-one-hot", "a pixel must have one class at most")
    return np.where(total == 0, IGNORE, pixels.argmax(axis=2)).astype(np.uint8)


def _unsound(code: str, message: str) -> PixelError:
    return PixelError(code, message, "build the dataset again")
