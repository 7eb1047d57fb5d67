"""The peer of `build --checks basic`: a bare loop that only decodes image and mask with Pillow.

    python benches/peers/pillow_decode.py SOURCE WORKERS

Nothing is checked, hashed, kept or written. Prints the number of pairs and their pixels.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

from PIL import Image

CHUNK = 64
"""Pairs handed to a process at once; more or fewer make no difference that can be measured."""


def listed(source: str) -> list[tuple[str, str]]:
    """Image and mask path of every pair, in the order of the folder."""
    pairs = []
    for folder in Path(source).iterdir():
        with os.scandir(folder / "images") as entries:
            pairs += [(entry.path, f"{folder}/masks/{entry.name}") for entry in entries]
    return pairs


def decode(pair: tuple[str, str]) -> int:
    """Decode both files; returns their pixels."""
    pixels = 0
    for path in pair:
        with Image.open(path) as image:
            image.load()
            pixels += image.width * image.height
    return pixels


def main() -> None:
    """Decode all pairs on so many processes."""
    pairs = listed(sys.argv[1])
    # Forked processes start at once; nothing here has threads that a fork could break.
    with multiprocessing.get_context("fork").Pool(int(sys.argv[2])) as pool:
        pixels = sum(pool.imap_unordered(decode, pairs, chunksize=CHUNK))
    print(len(pairs), pixels)


if __name__ == "__main__":
    main()
