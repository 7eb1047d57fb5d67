"""segrecord: single and batched random reads of three features; decoded batches.

    python benches/readers/segrecord_open.py features SHARDS RECORDS
    python benches/readers/segrecord_open.py core|fast SHARDS RECORDS

Reads are in random order, every CRC is checked. `features` uses one thread.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import subject

import segrecord
from segrecord.format import example

NAMES = (subject.IMAGE, subject.MASK, subject.LABEL)


def features(shards: str, records: int) -> dict[str, float]:
    """Three features as they are stored, one record a step and in batches."""
    dataset = segrecord.open(shards)
    order = list(range(len(dataset)))
    random.Random(0).shuffle(order)

    def single() -> int:
        return sum(len(dataset.features(number, NAMES)) == len(NAMES) for number in order)

    def batched() -> int:
        count = 0
        for start in range(0, records, subject.GETS):
            rows = sorted(order[start : start + subject.GETS])
            found = [example.extract(data, NAMES) for _, data in dataset.all_records.payloads(rows)]
            count += len(found)
        return count

    return {"single": subject.rate(single, records), "batched": subject.rate(batched, records)}


def decoded(shards: str, records: int, backend: Any) -> dict[str, float]:
    """Batches of image and mask, decoded by threads."""
    batches = segrecord.open(shards, backend=backend).batches(subject.BATCH, seed=0)
    whole = records // subject.BATCH * subject.BATCH

    def epoch() -> int:
        return sum(len(batch.image) for batch in batches)

    return {"decoded": subject.rate(epoch, whole)}


def main() -> None:
    """Print the rates as JSON."""
    work, shards, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if work == "features":
        subject.answer(features(shards, records))
    else:
        subject.answer(decoded(shards, records, work))


if __name__ == "__main__":
    main()
