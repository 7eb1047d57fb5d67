"""Records as small pictures in data URIs: the image, and over it the mask's fill and its outline.

Fill and outline are layers of their own, so that one slider moves the opacity of all masks. What
is decoded is what a training reads; a record that cannot be decoded is reported, never drawn.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from segrecord.errors import PixelError, RecordError
from segrecord.images import image, jpeg
from segrecord.images.overlay import PALETTE
from segrecord.options import IGNORE
from segrecord.read.records import Records, Settings
from segrecord.read.shards import streamed
from segrecord.wording import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from segrecord.read.records import Parts

    Pixels = npt.NDArray[np.uint8]

LARGE, SMALL = 448, 144
"""Pixels of the longer side: what can be enlarged, and what stands in a list."""

BYTES = 3_400_000
"""Of all pictures of a page, as they stand in it; what comes later is left out."""

PIXELS = 600_000_000
"""Of all records that are decoded for a page: about 8 s."""

STREAMED = 2_000_000_000
"""Bytes of compressed shards that are read: nothing can begin in the middle of them."""

SOURCES = 40
"""Files of samples that were left out which are opened."""

_SOURCE_BYTES = 1 << 26
_QUALITY = 78
_IGNORE_INDEX = len(PALETTE) + 1
_GREY = (150, 150, 150)
_COLOURS = bytes(value for colour in ((0, 0, 0), *PALETTE, _GREY) for value in colour)

# Class ids to the few colours of the palette, as `overlay.colour_of`; 0 is clear.
_INDEX = np.array([0, *((number - 1) % len(PALETTE) + 1 for number in range(1, 256))], np.uint8)
_INDEX[IGNORE] = _IGNORE_INDEX


class Picture(NamedTuple):
    """One sample in layers of one size."""

    width: int
    height: int
    photo: str
    """Data URI, as the others; JPEG."""
    fill: str
    """PNG; "": there is no mask, or it is empty."""
    outline: str

    @property
    def bytes(self) -> int:
        """That it takes in the page."""
        return len(self.photo) + len(self.fill) + len(self.outline)


class Taken(NamedTuple):
    """What has come of it."""

    pictures: dict[tuple[int, int], Picture]
    """By row and longer side."""
    damage: dict[int, str]
    """Why a record could not be read, by row."""
    note: str
    """Why pictures are missing that were wanted; "": none are."""


def take(folder: Path, wanted: Sequence[tuple[int, int]]) -> Taken:
    """The pictures of these records, the most wanted first: the last ones may be left out.

    Args:
        folder: of the dataset.
        wanted: row and longer side in pixels of each, as often as it is shown.
    """
    path = str(folder.absolute())
    reader = Records(Settings(path))
    chosen, note = _affordable(reader, wanted)
    pictures: dict[tuple[int, int], Picture] = {}
    damage: dict[int, str] = {}
    for row, payload in _payloads(reader, sorted(chosen)):
        try:
            if isinstance(payload, RecordError):
                raise payload
            parts = reader.parts(row, payload)
            for side in chosen[row]:
                pictures[row, side] = _picture(reader, row, parts, side)
        except RecordError as error:
            damage[row] = str(error)
    # What fits into the page as often as it is wanted.
    kept: dict[tuple[int, int], Picture] = {}
    spent = 0
    for name, count in Counter(wanted).items():
        if name not in pictures:
            continue
        spent += count * pictures[name].bytes
        if spent > BYTES:
            note = "Some pictures are left out to keep this page small."
            break
        kept[name] = pictures[name]
    return Taken(kept, damage, note)


def _affordable(
    reader: Records, wanted: Sequence[tuple[int, int]]
) -> tuple[dict[int, set[int]], str]:
    """The records to read, by row, with the sides that are wanted; and why it is not all."""
    index, note = reader.shards.index, ""
    sides: dict[int, set[int]] = {}
    for row, side in wanted:
        sides.setdefault(row, set()).add(side)
    rows = np.array(list(sides), np.int64)
    height, width = (index[name].take(rows).to_numpy() for name in ("height", "width"))
    area = np.maximum(height, 0).astype(np.int64) * np.maximum(width, 0)
    within = np.cumsum(area) <= PIXELS
    if not within.all():
        note = "Some pictures are left out: the images are so large that reading them takes long."
    if reader.shards.compression != "none":
        first_unread, read = int(index.num_rows), 0
        for shard in reader.shards.files:
            path = Path(shard.path)
            read += path.stat().st_size if path.is_file() else 0
            if read > STREAMED:
                first_unread = shard.first_row
                break
        reachable = rows < first_unread
        if not reachable.all():
            note = (
                f"Pictures are of the first {size_text(STREAMED)} alone: the shards are "
                "compressed and can only be read from their start."
            )
        within &= reachable
    return {row: sides[row] for row in rows[within].tolist()}, note


def _payloads(reader: Records, rows: Sequence[int]) -> Iterator[tuple[int, bytes | RecordError]]:
    """The payload of each of these ascending rows, or why there is none."""
    if reader.shards.compression == "none":
        for row in rows:
            try:
                yield row, reader.payload(row)
            except RecordError as error:
                yield row, error
        return
    # Each shard is read from its start up to the last row that is wanted of it.
    ends = [shard.first_row for shard in reader.shards.files[1:]] + [reader.shards.index.num_rows]
    for shard, end in zip(reader.shards.files, ends, strict=True):
        left = [row for row in rows if shard.first_row <= row < end]
        if not left:
            continue
        rule = "the file ends before this record"
        try:
            records = streamed(shard, reader.shards.compression)
            for row, payload in enumerate(records, shard.first_row):
                if row == left[0]:
                    yield left.pop(0), payload
                if not left:
                    break
        except RecordError as error:
            rule = error.rule
        yield from ((row, reader.error(row, rule)) for row in left)


def _picture(reader: Records, row: int, parts: Parts, side: int) -> Picture:
    """The layers of this record; raises RecordError where it cannot be decoded."""
    size = height, width = fitted(parts.size or (1, 1), side)
    fill = outline = ""
    try:
        if reader.shards.layout.schema == "raw" or not parts.image.startswith(jpeg.SIGNATURE):
            pixels = reader.codec.image(parts.image, parts.size, parts.channels)
        else:
            try:
                # libjpeg reduces while it decodes: a twelfth of the time for a photograph.
                pixels = simplejpeg.decode_jpeg(
                    parts.image, "RGB", min_height=height, min_width=width
                )
            except (ValueError, MemoryError) as error:
                raise reader.error(row, f"the JPEG cannot be decoded: {error}") from None
        if parts.mask:
            ids = reader.codec.mask(parts.mask, parts.size or (0, 0))
            # The ids in the middle of each pixel of the picture.
            down = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.int64)
            across = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.int64)
            fill, outline = layers(ids[down[:, None], across])
    except PixelError as error:
        raise reader.error(row, str(error)) from None
    return Picture(width, height, _jpeg(_resized(pixels, size)), fill, outline)


def of_sources(paths: Iterable[tuple[str, str]], side: int) -> dict[str, Picture]:
    """The pictures of files of samples that were left out, by key; those that can be decoded.

    Args:
        paths: key and path of each.
        side: pixels of the longer side.
    """
    found: dict[str, Picture] = {}
    for key, path in list(paths)[:SOURCES]:
        try:
            if Path(path).stat().st_size > _SOURCE_BYTES:
                continue
            pixels = image.decode(Path(path).read_bytes())
        except (OSError, PixelError, ValueError):
            continue  # the finding itself tells what is wrong with it
        size = fitted((pixels.shape[0], pixels.shape[1]), side)
        photo = _resized(pixels, size)
        found[key] = Picture(size[1], size[0], _jpeg(photo), "", "")
    return found


def layers(ids: Pixels) -> tuple[str, str]:
    """Fill and outline of class ids (H, W) as data URIs; "" where all of it is background.

    Lines are two pixels wide, within a class: the background's side is clear. The border of the
    picture ends a class too.
    """
    index = _INDEX[ids]
    if not index.any():
        return "", ""
    framed = np.pad(index, 2)
    height, width = index.shape
    edges = np.zeros(index.shape, np.bool_)
    for step in (-2, -1, 1, 2):
        edges |= framed[2 + step : 2 + step + height, 2:-2] != index
        edges |= framed[2:-2, 2 + step : 2 + step + width] != index
    return _png(index), _png(np.where(edges, index, np.uint8(0)))


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Height and width with no side longer than this; smaller pictures stay as they are."""
    scale = min(1.0, longest / max(*size, 1))
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """(h, w, 3) of an image (H, W), (H, W, 3) or (H, W, 4)."""
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)


def _jpeg(pixels: Pixels) -> str:
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, "RGB", "420")
    return _uri("jpeg", data)


def _png(index: Pixels) -> str:
    """Indices (H, W) into the palette, 0 clear."""
    picture = Image.fromarray(index, "L")
    picture.putpalette(_COLOURS)
    out = io.BytesIO()
    picture.save(out, "PNG", bits=4, transparency=0, optimize=True)
    return _uri("png", out.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
