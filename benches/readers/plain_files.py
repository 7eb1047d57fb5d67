"""A PyTorch DataLoader over the plain files: batches of image and mask, decoded by Pillow.

python benches/readers/plain_files.py SOURCE RECORDS WORKERS

Nothing is checked beyond what Pillow needs to decode.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import subject
import torch
from PIL import Image
from torch.utils.data import DataLoader


class Pairs:
    """A map-style dataset: image (H, W, 3) and mask (H, W), both uint8, and the class."""

    def __init__(self, source: str) -> None:
        self.pairs: list[tuple[str, str, int]] = []
        for label, folder in enumerate(sorted(Path(source).iterdir())):
            with os.scandir(folder / "images") as entries:
                self.pairs += [(one.path, f"{folder}/masks/{one.name}", label) for one in entries]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> tuple[Any, Any, int]:
        image, mask, label = self.pairs[number]
        with Image.open(image) as picture:
            pixels = torch.from_numpy(np.array(picture.convert("RGB")))
        with Image.open(mask) as picture:
            ids = torch.from_numpy(np.array(picture))
        return pixels, ids, label


def main() -> None:
    """Print the rate as JSON."""
    records, workers = int(sys.argv[2]), int(sys.argv[3])
    loader = DataLoader(
        Pairs(sys.argv[1]),
        batch_size=subject.BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
    )
    whole = records // subject.BATCH * subject.BATCH
    rate = subject.rate(lambda: sum(len(label) for _, _, label in loader), whole)
    subject.answer({"decoded": rate})


if __name__ == "__main__":
    main()
