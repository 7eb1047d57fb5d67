"""Datasets of many records, for opening and resuming: made of numbers, not of images.

    python benches/synthetic.py OUT RECORDS [--shards]

The index has every column of a real one. With --shards there are records too: images of 8 x 8
pixels under schema raw, alike but for their class, since what is measured is how the right ones
are found. Made once and used again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import SegrecordError
from segrecord.format import example, tfrecord
from segrecord.format import manifest as manifests
from segrecord.read.dataset import open as open_dataset
from segrecord.tables import RECORDS, SHA256, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE = 8  # pixels
SHARDS = 10
CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
_BATCH = 1_000_000  # rows a record batch, as segrecord writes them


def payload(label: int) -> bytes:
    """The serialized Example of a record; of one length for every label."""
    pixels = bytes(range(SIDE * SIDE))
    sizes = {"height": SIDE, "width": SIDE, "channels": 1, "num_classes": 2}
    ids = bytes(value % 2 for value in pixels)
    return example.encode({"image": pixels, "label": ids, "class": label, **sizes})


def index_batches(rows: int, length: int) -> Iterator[pa.RecordBatch]:
    """The index: row i is record i % (rows / SHARDS) of its shard, and of class i % 4."""
    random = np.random.default_rng(0)
    a_shard = rows // SHARDS
    for start in range(0, rows, _BATCH):
        row = np.arange(start, min(start + _BATCH, rows))
        count = len(row)
        size, every = pa.repeat(pa.scalar(SIDE, pa.int32()), count), np.arange(count + 1) * 2
        pixels = pa.array(np.full(2 * count, SIDE * SIDE // 2))
        columns = {
            "key": pc.cast(pa.array(row), TEXT),
            "split": pa.repeat(pa.scalar("train"), count),
            "shard": pa.array(row // a_shard, pa.int32()),
            "offset": pa.array(row % a_shard * (length + tfrecord.FRAME_OVERHEAD)),
            "length": pa.repeat(pa.scalar(length, pa.int64()), count),
            "label": pa.array(row % len(CLASSES)),
            "group": pa.nulls(count, TEXT),
            "height": size,
            "width": size,
            "has_mask": pa.repeat(pa.scalar(True), count),
            "mask_pixels": pa.ListArray.from_arrays(pa.array(every, pa.int32()), pixels),
            "ignore_pixels": pa.repeat(pa.scalar(0, pa.int64()), count),
            "sha256": _hashes(random, count),
        }
        yield pa.record_batch([columns[name] for name in RECORDS.names], schema=RECORDS)


def _hashes(random: np.random.Generator, count: int) -> pa.Array:
    return pa.Array.from_buffers(SHA256, count, [None, pa.py_buffer(random.bytes(32 * count))])


def manifest(rows: int, length: int) -> manifests.Manifest:
    """The manifest of these rows."""
    a_shard = rows // SHARDS
    size = a_shard * (length + tfrecord.FRAME_OVERHEAD)
    counts = dict.fromkeys(CLASSES, a_shard // len(CLASSES))
    shards = tuple(
        manifests.Shard(
            name=manifests.shard_name("train", number, SHARDS, "none"),
            records=a_shard,
            bytes=size,
            sha256="",
            class_counts=counts,
            first_row=number * a_shard,
        )
        for number in range(SHARDS)
    )
    split = manifests.Split(records=rows, bytes=SHARDS * size, class_counts={}, shards=shards)
    return manifests.Manifest(
        segrecord="",
        versions={},
        fingerprint=hashlib.sha256(str(rows).encode()).hexdigest(),
        schema_name="raw",
        compression="none",
        seed=0,
        options={},
        reads_as="",
        classes={name: number for number, name in enumerate(CLASSES)},
        masks=manifests.Masks(
            classes=("background", "lung"), values={}, threshold=None, checked=True, missing=0
        ),
        keep_columns=(),
        samples=rows,
        quarantined=0,
        findings={},
        not_checked=(),
        splits={"train": split},
        files={},
    )


def write(out: Path, rows: int, *, shards: bool) -> None:
    """Write the dataset anew; the manifest last."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    payloads = [payload(label) for label in range(len(CLASSES))]
    length = len(payloads[0])
    with pa.ipc.new_file(str(out / manifests.INDEX), RECORDS) as writer:
        for batch in index_batches(rows, length):
            writer.write_batch(batch)
    made = manifest(rows, length)
    if shards:
        four = b"".join(part for one in payloads for part in tfrecord.frame(one))
        for shard in made.splits["train"].shards:
            (out / shard.name).write_bytes(four * (shard.records // len(CLASSES)))
    (out / manifests.MANIFEST).write_bytes(manifests.dumps(made))


def is_made(out: Path, rows: int) -> bool:
    """Whether the present segrecord opens it, and finds so many records."""
    try:
        return len(open_dataset(out)) == rows
    except SegrecordError:
        return False


def main() -> None:
    """Make the dataset if it is not there, and print where it lies as JSON."""
    out, rows, shards = Path(sys.argv[1]), int(sys.argv[2]), "--shards" in sys.argv
    if not is_made(out, rows):
        write(out, rows, shards=shards)
    print(json.dumps({"dataset": str(out)}))


if __name__ == "__main__":
    main()
