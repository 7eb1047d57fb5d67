"""Grain's TFRecord reader: three features in the order of the shards.

    python benches/readers/grain_tfrecord.py SHARDS RECORDS

It compares no CRC and parses nothing: the parser is that of segrecord.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import subject
from grain.experimental import TFRecordIterDataset

from segrecord.format import example


def main() -> None:
    """Print the rate as JSON."""
    names = (subject.IMAGE, subject.MASK, subject.LABEL)
    files = sorted(map(str, Path(sys.argv[1]).glob("train-*.tfrecord")))
    parsed = [
        TFRecordIterDataset(file).map(partial(example.extract, names=names)) for file in files
    ]

    def read() -> int:
        return sum(1 for dataset in parsed for _ in dataset)

    subject.answer({"single": subject.rate(read, int(sys.argv[2]))})


if __name__ == "__main__":
    main()
