"""The search for near hashes, timed: prints a line of JSON for each number of hashes.

    python benches/near.py [COUNT ...] [--brute-up-to N] [--one]

A line holds the seconds of the search, its pairs and crowded hashes, the seconds of comparing all
pairs under all turns (up to N hashes, 10,000 by default; the pairs are checked to be the same), and
the peak memory in bytes of the process. 1 hash in 20 is a copy of another, in any of the eight
orientations and with up to 4 bits changed; those that are copied have 2 or 3 copies. With --one
the counts are run in this process and the memory is not told.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import measure

if TYPE_CHECKING:
    from segrecord.duplicates.near import Nominated
    from segrecord.images.perceptual import Hashes

_COUNTS = [10_000, 100_000, 1_000_000]
_COPIES = 20  # one hash in so many is a copy
_CENTRES = 50  # of one in so many
_ROWS = 256  # of all against all at a time


def hashes(count: int) -> Hashes:
    """(count,) random ones and copies of some of them, in a random order."""
    import numpy as np

    from segrecord.images.perceptual import TURNS, turns

    random = np.random.default_rng(0)
    made = random.integers(0, 2**64, count, dtype=np.uint64)
    copies = count // _COPIES
    chosen = random.integers(0, max(1, count // _CENTRES), copies)
    turned = turns(made[chosen])[random.integers(0, TURNS, copies), np.arange(copies)]
    for _ in range(4):
        bits = np.uint64(1) << random.integers(0, 64, copies, dtype=np.uint64)
        turned ^= np.where(random.random(copies) < 0.5, bits, 0).astype(np.uint64)  # noqa: PLR2004 - half
    made[count - copies :] = turned
    return random.permutation(made)


def brute(values: Hashes) -> int:
    """How many pairs there are, by comparing all with all in all turns."""
    import numpy as np

    from segrecord.duplicates.near import DISTANCE
    from segrecord.images.perceptual import turns

    turned, found = turns(values), 0
    for start in range(0, len(values), _ROWS):
        rows = values[start : start + _ROWS, None]
        # Of each pair the higher row is turned.
        later = np.arange(start, len(values)) > np.arange(start, start + len(rows))[:, None]
        for row in turned:
            near = np.bitwise_count(rows ^ row[start:]) <= DISTANCE
            found += int(np.count_nonzero(near & later))
    return found


def run(count: int, brute_up_to: int) -> dict[str, Any]:
    """The figures of one number of hashes.

    Raises:
        RuntimeError: the search has not found what a comparison of all pairs finds.
    """
    from segrecord.duplicates import near

    values = hashes(count)
    seconds, found = _timed(lambda: near.search(values))
    figures = {"hashes": count, "seconds": seconds, **_told(found)}
    if count <= brute_up_to:
        figures["brute_seconds"], pairs = _timed(lambda: brute(values))
        if pairs != figures["pairs"]:
            raise RuntimeError(f"{figures['pairs']} pairs were found, there are {pairs}")
    return figures


def _timed(work: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return round(time.perf_counter() - began, 4), result


def _told(found: Nominated) -> dict[str, int]:
    return {"pairs": len(found.first), "crowded": len(found.crowded)}


def main() -> None:
    """Run each number of hashes in a process of its own."""
    parser = argparse.ArgumentParser(description="time the search for near hashes")
    parser.add_argument("counts", nargs="*", type=int, metavar="COUNT", default=_COUNTS)
    parser.add_argument("--brute-up-to", type=int, default=10_000, metavar="N")
    parser.add_argument("--one", action="store_true", help="run in this process")
    given = parser.parse_args()
    for count in given.counts:
        if given.one:
            print(json.dumps(run(count, given.brute_up_to)), flush=True)
            continue
        limit = str(given.brute_up_to)
        command = (sys.executable, __file__, str(count), "--brute-up-to", limit, "--one")
        done = measure.run(command, memory=True)
        print(json.dumps(done.printed | {"peak_bytes": done.peaks[0]}), flush=True)


if __name__ == "__main__":
    main()
