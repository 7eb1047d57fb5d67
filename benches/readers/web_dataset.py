"""WebDataset: a tar of the same images, masks and labels, in its order.

    python benches/readers/web_dataset.py TAR RECORDS

The tar has no checksum of the data.
"""

from __future__ import annotations

import sys

import subject
import webdataset


def main() -> None:
    """Print the rate as JSON."""
    dataset = webdataset.WebDataset(sys.argv[1], shardshuffle=False)

    def read() -> int:
        return sum(bool(one["image.png"] and one["mask.png"] and one["cls"]) for one in dataset)

    subject.answer({"single": subject.rate(read, int(sys.argv[2]))})


if __name__ == "__main__":
    main()
