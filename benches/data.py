"""The generated set: pairs of 299x299 images and masks in the layout of a folder a class.

    bench-data/N/ids/COVID/images/COVID-1.png    N images, grey, with the entropy of X-rays
    bench-data/N/ids/COVID/masks/COVID-1.png     single-channel masks of class ids 0, 1, 2
    bench-data/N/rgb/...                         the same images (linked), RGB masks of 0 and 255

Even pairs are written by Pillow (adaptive filters), odd ones by the writer below (filter Sub,
runs and Huffman codes alone, as fast writers do), so that no figure hangs on one writer's files.
Pair i is drawn from the seed i; the set is made once and used again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import struct
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 299
"""Height and width in pixels: those of the COVID-19 Radiography Database."""

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")

VERSION = 1
"""Of the drawing: a set of another version is drawn anew."""

_PIXELS = SIDE * SIDE
_FINE, _COARSE = 48, 6  # nodes a side of the two grids that smooth structures are drawn from
_NOISE = (3.0, 9.0)  # deviation of the sensor noise in grey levels, from image to image
_MADE = "made.json"

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Sources(NamedTuple):
    """Where the generated set lies."""

    ids: Path
    rgb: Path
    image_bytes: int
    """Of all images together."""
    mask_bytes: int
    """Of all RGB masks together."""


class _Pair(NamedTuple):
    image: Plane
    ids: Plane


def make(folder: Path, pairs: int) -> Sources:
    """The set of so many pairs below this folder, drawn if it is not there yet."""
    place = folder / str(pairs)
    try:
        made = json.loads((place / _MADE).read_bytes())
    except (OSError, ValueError):
        made = {}
    if made.get("pairs") != pairs or made.get("version") != VERSION:
        made = _draw_all(place, pairs)
    return Sources(place / "ids", place / "rgb", made["image_bytes"], made["mask_bytes"])


def _draw_all(place: Path, pairs: int) -> dict[str, int]:
    shutil.rmtree(place, ignore_errors=True)
    for tree in ("ids", "rgb"):
        for name in CLASSES:
            for kind in ("images", "masks"):
                (place / tree / name / kind).mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        sizes = list(pool.map(partial(_write, place), range(pairs), chunksize=64))
    made = {
        "version": VERSION,
        "pairs": pairs,
        "image_bytes": sum(image for image, _ in sizes),
        "mask_bytes": sum(mask for _, mask in sizes),
    }
    (place / _MADE).write_text(json.dumps(made), encoding="utf-8")
    return made


def _write(place: Path, number: int) -> tuple[int, int]:
    """Write pair `number`; returns the bytes of its image and of its RGB mask."""
    pair = _draw(number)
    encode = _by_pillow if number % 2 == 0 else _by_sub
    name = CLASSES[number // 2 % len(CLASSES)]
    file = f"{name}-{number + 1}.png"
    white = np.where(pair.ids != 0, np.uint8(255), np.uint8(0))
    image, mask = encode(pair.image), encode(np.repeat(white[:, :, None], 3, axis=2))
    (place / "ids" / name / "images" / file).write_bytes(image)
    (place / "ids" / name / "masks" / file).write_bytes(encode(pair.ids))
    os.link(place / "ids" / name / "images" / file, place / "rgb" / name / "images" / file)
    (place / "rgb" / name / "masks" / file).write_bytes(mask)
    return len(image), len(mask)


def _draw(number: int) -> _Pair:
    """A chest of a bright body, two dark lungs with ribs, soft structures and sensor noise."""
    random = np.random.default_rng(number)
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    lungs = [_lung(random, down, across, side) for side in (-1, 1)]
    depth = np.clip(np.maximum(*lungs) * 3, 0, 1)
    ribs = np.sin(down * random.uniform(22, 30) + across**2 * random.uniform(4, 8)) * depth
    picture = 175 - 55 * down**2 - 85 * depth + 9 * ribs
    picture += 22 * _smooth(random, _COARSE) + 7 * _smooth(random, _FINE)
    noise = random.standard_normal((SIDE, SIDE), dtype=np.float32)
    picture += random.uniform(*_NOISE) * noise
    ids = np.zeros((SIDE, SIDE), np.uint8)
    for number_of_lung, lung in enumerate(lungs, 1):
        ids[lung > 0] = number_of_lung
    return _Pair(np.clip(picture, 0, 255).astype(np.uint8), ids)


def _lung(random: np.random.Generator, down: Floats, across: Floats, side: int) -> Floats:
    """Above 0 inside an ellipse with a wavy edge, rising to 1 at its middle."""
    middle = side * random.uniform(0.38, 0.46)
    height, width = random.uniform(0.6, 0.75), random.uniform(0.26, 0.34)
    angle = np.arctan2(down, across - middle)
    edge = 1 + 0.07 * np.sin(3 * angle + random.uniform(0, 2 * math.pi))
    edge += 0.02 * np.sin(11 * angle + random.uniform(0, 2 * math.pi))
    inside: Floats = 1 - ((down / height) ** 2 + ((across - middle) / width) ** 2) / edge**2
    return inside


def _smooth(random: np.random.Generator, nodes: int) -> Floats:
    """Noise of deviation about 1 on a grid of nodes, drawn out to the image's size."""
    grid = random.standard_normal((nodes, nodes), dtype=np.float32)
    size = (SIDE, SIDE)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))


def _by_pillow(pixels: Plane) -> bytes:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _by_sub(pixels: Plane) -> bytes:
    """A PNG with filter Sub in every row, deflated at level 1 with the strategy RLE."""
    samples = pixels.shape[2] if pixels.ndim == 3 else 1  # noqa: PLR2004 - height, width, channels
    rows = pixels.reshape(SIDE, SIDE * samples)
    raw = np.ones((SIDE, 1 + SIDE * samples), np.uint8)  # 1 is the number of the filter Sub
    raw[:, 1:] = rows
    raw[:, 1 + samples :] -= rows[:, :-samples]
    deflater = zlib.compressobj(1, strategy=zlib.Z_RLE)
    stream = deflater.compress(raw.tobytes()) + deflater.flush()
    size = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0 if samples == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", stream), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def main() -> None:
    """Draw the set, and print as JSON where it lies."""
    parser = argparse.ArgumentParser(description="draw the benchmark's set")
    parser.add_argument("folder", type=Path)
    parser.add_argument("pairs", type=int)
    given = parser.parse_args()
    began = time.perf_counter()
    made = make(given.folder, given.pairs)
    seconds = time.perf_counter() - began
    print(json.dumps(made._asdict() | {"seconds": round(seconds, 1)}, default=str))


if __name__ == "__main__":
    main()
