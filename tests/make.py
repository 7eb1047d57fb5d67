"""Tiny pictures and sources, drawn by integer arithmetic alone: the same bytes everywhere."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from segrecord.executors import InlineEngine
from segrecord.images import png

SILENT = InlineEngine


def picture(number=0, height=8, width=6, channels=3):
    """(H, W, C) uint8 pixels, or (H, W) for one channel; every number gives another picture."""
    count = height * width * channels
    values = (np.arange(count, dtype=np.int64) * (7 + 2 * number) + 13 * number) % 251
    return values.astype(np.uint8).reshape((height, width, channels)[: 2 + (channels > 1)])


def blob(number=0, height=8, width=6, low=0, high=255):
    """(H, W) uint8: a rectangle of `high` on `low`, another for every number."""
    plane = np.full((height, width), low, np.uint8)
    plane[1 + number % 3 : height - 2, 1 + number % 2 : width - 1] = high
    return plane


def encoded(pixels, form="PNG", mode=None, **options):
    """The pixels as a file's bytes, by Pillow."""
    out = io.BytesIO()
    opened = Image.fromarray(pixels)
    (opened.convert(mode) if mode else opened).save(out, form, **options)
    return out.getvalue()


def palette_image(indices, colours):
    """A palette image of Pillow's, of these indices and (R, G, B) colours."""
    opened = Image.frombytes("P", indices.shape[::-1], np.ascontiguousarray(indices).tobytes())
    opened.putpalette([value for colour in colours for value in colour])
    return opened


def saved(opened, form="PNG", **options):
    """A Pillow image as a file's bytes."""
    out = io.BytesIO()
    opened.save(out, form, **options)
    return out.getvalue()


def chunk(kind, body=b""):
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(data, kind, body, *, before):
    """A PNG with one more chunk before the first IDAT or before IEND."""
    at = data.index(before) - 4
    return data[:at] + chunk(kind, body) + data[at:]


def segment(code, body):
    """A JPEG marker segment."""
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def exif(value, order="<"):
    """EXIF that holds this orientation alone, from its byte order on."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)


def put(path, data):
    """Write a file and the folders above it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def source(folder, count=6, *, classes=("a", "b"), without=(), masks=True, high=255):
    """A folder a class, images and masks below it: CLASS/images/N.png and CLASS/masks/N.png.

    Args:
        folder: where to write.
        count: samples.
        classes: dealt out in turn.
        without: numbers of the samples that get no mask.
        masks: whether there are masks at all.
        high: the value of the masks' foreground.
    """
    for number in range(count):
        name = classes[number % len(classes)]
        at = Path(folder) / name
        put(at / "images" / f"{number}.png", png.encode(picture(number)))
        if masks and number not in without:
            put(at / "masks" / f"{number}.png", png.encode(blob(number, high=high)))
    return Path(folder)


def listing(path, rows, header="image,mask,class"):
    """A CSV of these rows."""
    return put(path, "\n".join([header, *rows, ""]).encode())


def files(folder):
    """The bytes of all files below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def samples_of(rows):
    """A samples table of (key, image, masks, labels) rows; absent tails are empty."""
    from segrecord.sources.loaded import Sample, samples_table

    return samples_table([Sample(*row) for row in rows])
