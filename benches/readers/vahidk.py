"""The package tfrecord (github.com/vahidk/tfrecord): three features in the order of the shards.

    python benches/readers/vahidk.py SHARDS RECORDS

It compares no CRC.
"""

from __future__ import annotations

import sys
from pathlib import Path

import subject
from tfrecord.reader import tfrecord_loader

KINDS = {subject.IMAGE: "byte", subject.MASK: "byte", subject.LABEL: "int"}


def main() -> None:
    """Print the rate as JSON."""
    files = sorted(map(str, Path(sys.argv[1]).glob("train-*.tfrecord")))

    def read() -> int:
        return sum(1 for file in files for _ in tfrecord_loader(file, None, KINDS))

    subject.answer({"single": subject.rate(read, int(sys.argv[2]))})


if __name__ == "__main__":
    main()
