"""segrecord: opening an index of millions of rows, and going on in the middle of an epoch.

    python benches/readers/opening.py open DATASET RECORDS
    python benches/readers/opening.py resume DATASET RECORDS

`open` prints the seconds, and the bytes of resident memory that it took; `resume` the seconds from
opening to the first batch after half of the fourth epoch. segrecord is imported before.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import subject

from segrecord.read import dataset as datasets
from segrecord.read.sampler import State, permute_many

EPOCH, SEED = 3, 1


def resident(field: str) -> int:
    """Bytes of this process, now (VmRSS) or at their peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def opening(path: str, records: int) -> dict[str, float]:
    """Open the dataset and count its records."""
    before, began = resident("VmRSS"), time.perf_counter()
    count = len(datasets.open(path))
    seconds = time.perf_counter() - began
    if count != records:
        raise ValueError(f"opened {count} records, there are {records}")
    return {"seconds": seconds, "bytes": resident("VmHWM") - before}


def resuming(path: str, records: int) -> dict[str, float]:
    """Open the dataset, go on, and take a batch; it must be the right one."""
    fingerprint, half = datasets.open(path).fingerprint, records // 2
    state = State(fingerprint, SEED, EPOCH, half)
    began = time.perf_counter()
    batches = datasets.open(path).batches(subject.BATCH, state=state)
    batch = next(iter(batches))
    seconds = time.perf_counter() - began
    rows = permute_many(np.arange(half, half + subject.BATCH), records, SEED, EPOCH)
    if batch.key.tolist() != [str(row) for row in rows]:
        raise ValueError("the batch after the resume is not that of the order")
    return {"seconds": seconds}


def main() -> None:
    """Print the result as JSON."""
    work, path, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
    subject.answer((opening if work == "open" else resuming)(path, records))


if __name__ == "__main__":
    main()
