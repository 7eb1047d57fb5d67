"""Records as small pictures in data URIs: the image, and over it the mask's fill and its outline.

Fill and outline are layers of their own, so that one slider moves the opacity of all masks. What
is decoded is what a training reads; a record that cannot be decoded is told, never drawn.
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
from segrecord.options import IGNORE
from segrecord.pixels import image, jpeg
from segrecord.reading.frames import streamed
from segrecord.reading.reader import Reader, Settings
from segrecord.reporting.layout import size_text
from segrecord.reporting.overlay import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from segrecord.reading.store import Parts

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


class Wanted(NamedTuple):
    """One record of which pictures are wanted."""

    row: int
    sides: tuple[int, ...]
    """Pixels of the longer side of each."""


class Taken(NamedTuple):
    """What has come of it."""

    pictures: dict[tuple[int, int], Picture]
    """By row and longer side."""
    damage: dict[int, str]
    """Why a record could not be read, by row."""
    note: str
    """Why pictures are missing that were wanted; "": none are."""


def take(folder: Path, wanted: Sequence[Wanted]) -> Taken:
    """The pictures of these records, the most wanted first: the last ones may be left out."""
    path = str(folder.absolute())
    reader = Reader(Settings(path, True, "raise", None, None, "auto"))
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
    return _within_bytes(wanted, pictures, damage, note)


def _within_bytes(
    wanted: Sequence[Wanted],
    pictures: Mapping[tuple[int, int], Picture],
    damage: dict[int, str],
    note: str,
) -> Taken:
    """The pictures that fit into the page as often as they are wanted, the most wanted first."""
    times = Counter((want.row, side) for want in wanted for side in want.sides)
    kept: dict[tuple[int, int], Picture] = {}
    spent = 0
    for place, count in times.items():
        if place not in pictures:
            continue
        spent += count * pictures[place].bytes
        if spent > BYTES:
            return Taken(kept, damage, "Some pictures are left out to keep this page small.")
        kept[place] = pictures[place]
    return Taken(kept, damage, note)


def _affordable(reader: Reader, wanted: Sequence[Wanted]) -> tuple[dict[int, tuple[int, ...]], str]:
    """The records to read, by row, and why it is not all of them."""
    index, note = reader.store.index, ""
    sides: dict[int, dict[int, None]] = {}
    for want in wanted:
        sides.setdefault(want.row, {}).update(dict.fromkeys(want.sides))
    rows = np.array(list(sides), np.int64)
    height, width = (index[name].take(rows).to_numpy() for name in ("height", "width"))
    area = np.maximum(height, 0).astype(np.int64) * np.maximum(width, 0)
    within = np.cumsum(area) <= PIXELS
    if not within.all():
        note = "Some pictures are left out: the images are so large that reading them takes long."
    if reader.store.compression != "none":
        reachable = rows < _reachable(reader)
        if not reachable.all():
            note = (
                f"Pictures are of the first {size_text(STREAMED)} alone: the shards are "
                "compressed and can only be read from their start."
            )
        within &= reachable
    return {row: tuple(sides[row]) for row in rows[within].tolist()}, note


def _reachable(reader: Reader) -> int:
    """The first row that is not read, of compressed shards."""
    read = 0
    for shard in reader.store.shards:
        path = Path(shard.path)
        read += path.stat().st_size if path.is_file() else 0
        if read > STREAMED:
            return shard.first_row
    return int(reader.store.index.num_rows)


def _payloads(reader: Reader, rows: Sequence[int]) -> Iterator[tuple[int, bytes | RecordError]]:
    """The payload of each of these ascending rows, or why there is none."""
    if reader.store.compression != "none":
        yield from _streamed(reader, rows)
        return
    for row in rows:
        try:
            yield row, reader.payload(row)
        except RecordError as error:
            yield row, error


def _streamed(reader: Reader, rows: Sequence[int]) -> Iterator[tuple[int, bytes | RecordError]]:
    """As `_payloads`, each shard read from its start up to the last row that is wanted of it."""
    ends = [shard.first_row for shard in reader.store.shards[1:]] + [reader.store.index.num_rows]
    for shard, end in zip(reader.store.shards, ends, strict=True):
        left = [row for row in rows if shard.first_row <= row < end]
        if not left:
            continue
        rule = "the file ends before this record"
        try:
            for row, payload in enumerate(
                streamed(shard, reader.store.compression), shard.first_row
            ):
                if row == left[0]:
                    yield left.pop(0), payload
                if not left:
                    break
        except RecordError as error:
            rule = error.rule
        yield from ((row, reader.error(row, rule)) for row in left)


def _picture(reader: Reader, row: int, parts: Parts, side: int) -> Picture:
    """The layers of this record; raises RecordError where it cannot be decoded."""
    height, width = fitted(parts.size or (1, 1), side)
    try:
        photo = _photo(reader, row, parts, (height, width))
        fill = outline = ""
        if parts.mask:
            ids = reader.codec.mask(parts.mask, parts.size or (0, 0))
            fill, outline = layers(_nearest(ids, (height, width)))
    except PixelError as error:
        raise reader.undecodable(row, error) from None
    return Picture(width, height, _jpeg(photo), fill, outline)


def _photo(reader: Reader, row: int, parts: Parts, size: tuple[int, int]) -> Pixels:
    """The image (h, w, 3) of this size."""
    if reader.store.layout.schema == "raw" or not parts.image.startswith(jpeg.SIGNATURE):
        return _resized(reader.codec.image(parts.image, parts.size, parts.channels), size)
    try:
        # libjpeg reduces while it decodes: a twelfth of the time for a photograph.
        near = simplejpeg.decode_jpeg(parts.image, "RGB", min_height=size[0], min_width=size[1])
    except (ValueError, MemoryError) as error:
        raise reader.error(row, f"the JPEG cannot be decoded: {error}") from None
    return _resized(near, size)


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
    """Fill and outline of class ids (H, W) as data URIs; "" where all of it is background."""
    index = _INDEX[ids]
    if not index.any():
        return "", ""
    lines = np.where(_edges(index), index, np.uint8(0))
    return _png(index), _png(lines)


def _edges(index: Pixels) -> npt.NDArray[np.bool_]:
    """(H, W) whether a pixel lies within two of another class, or at the border of the picture.

    Lines of two pixels on the side of a class, for the background's side is clear.
    """
    framed = np.pad(index, 2)
    height, width = index.shape
    found = np.zeros(index.shape, np.bool_)
    for step in (-2, -1, 1, 2):
        found |= framed[2 + step : 2 + step + height, 2:-2] != index
        found |= framed[2:-2, 2 + step : 2 + step + width] != index
    return found


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


def _nearest(ids: Pixels, size: tuple[int, int]) -> Pixels:
    """The ids in the middle of each of the pixels of this size."""
    height, width = ids.shape
    down = ((np.arange(size[0]) + 0.5) * height / size[0]).astype(np.int64)
    across = ((np.arange(size[1]) + 0.5) * width / size[1]).astype(np.int64)
    found: Pixels = ids[down[:, None], across]
    return found


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
