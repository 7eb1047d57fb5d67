"""The peer of `build --checks none`: how a notebook writes TFRecords with TensorFlow.

    python benches/peers/tensorflow_writer.py SOURCE OUT

One thread; the bytes of image and mask are copied, the class is the folder's number; 10 shards.
Prints seconds of import and work as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

SHARDS = 10


def listed(source: str) -> list[tuple[str, str, int]]:
    """Image path, mask path and class of every pair, shuffled."""
    pairs = []
    for label, folder in enumerate(sorted(Path(source).iterdir())):
        with os.scandir(folder / "images") as entries:
            pairs += [(entry.path, f"{folder}/masks/{entry.name}", label) for entry in entries]
    random.Random(0).shuffle(pairs)
    return pairs


def example(tf: Any, image: str, mask: str, label: int) -> bytes:
    """The serialized Example of one pair."""
    with open(image, "rb") as file:  # noqa: PTH123 - the fastest form is the fairest
        image_bytes = file.read()
    with open(mask, "rb") as file:  # noqa: PTH123 - as above
        mask_bytes = file.read()
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image_bytes])),
        "mask": tf.train.Feature(bytes_list=tf.train.BytesList(value=[mask_bytes])),
        "class": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    message = tf.train.Example(features=tf.train.Features(feature=feature))
    return bytes(message.SerializeToString())


def write(tf: Any, source: str, out: Path) -> None:
    """Write the shards."""
    pairs = listed(source)
    out.mkdir(parents=True)
    for shard in range(SHARDS):
        path = out / f"train-{shard:05d}-of-{SHARDS:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for pair in pairs[shard::SHARDS]:
                writer.write(example(tf, *pair))


def main() -> None:
    """Print the result as JSON."""
    began = time.perf_counter()
    import tensorflow as tf

    imported = time.perf_counter()
    write(tf, sys.argv[1], Path(sys.argv[2]))
    done = time.perf_counter()
    print(json.dumps({"import": imported - began, "work": done - imported}))


if __name__ == "__main__":
    main()
