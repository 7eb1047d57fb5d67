"""ArrayRecord: the same serialized Examples, in random order, single and in batches.

    python benches/readers/array_records.py FILE RECORDS

The file has a group a record and no compression; single gets use the reader without read-ahead and
threads, as the package advises for random access; batch gets use its defaults, threads and
read-ahead among them, with which they were found to be fastest. It checks a hash of every chunk. It
parses nothing: the parser is that of segrecord.
"""

from __future__ import annotations

import random
import sys

import subject
from array_record.python.array_record_module import ArrayRecordReader

from segrecord.format import example

NAMES = (subject.IMAGE, subject.MASK, subject.LABEL)
UNTHREADED = "readahead_buffer_size:0,max_parallelism:0"


def main() -> None:
    """Print the rates as JSON."""
    file, records = sys.argv[1], int(sys.argv[2])
    order = list(range(records))
    random.Random(0).shuffle(order)
    lone, many = ArrayRecordReader(file, UNTHREADED), ArrayRecordReader(file)

    def single() -> int:
        return sum(len(example.extract(lone.read([one])[0], NAMES)) == len(NAMES) for one in order)

    def batched() -> int:
        count = 0
        for start in range(0, records, subject.GETS):
            some = sorted(order[start : start + subject.GETS])
            count += len([example.extract(data, NAMES) for data in many.read(some)])
        return count

    subject.answer(
        {"single": subject.rate(single, records), "batched": subject.rate(batched, records)}
    )


if __name__ == "__main__":
    main()
