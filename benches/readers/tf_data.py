"""tf.data on the same shards.

    python benches/readers/tf_data.py features SHARDS RECORDS
    python benches/readers/tf_data.py by_hand|adapter SHARDS RECORDS

`features` reads three features in the order of the shards (tf.data has no random access) and
without threads: one record a step, and in batches (`parse_example`). The other two give batches of
image and mask in shuffled order, all left to AUTOTUNE: by a pipeline as one writes it by hand
(schema deeplab), and by segrecord.tensorflow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import subject

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

import segrecord.tensorflow

SPEC = {
    subject.IMAGE: tf.io.FixedLenFeature([], tf.string),
    subject.MASK: tf.io.FixedLenFeature([], tf.string),
    subject.LABEL: tf.io.FixedLenFeature([], tf.int64),
}
SHUFFLED = 4096  # records in the buffer


def files(shards: str) -> list[str]:
    """The shards in their order."""
    return sorted(map(str, Path(shards).glob("train-*.tfrecord")))


def unthreaded(dataset: Any) -> Any:
    """The dataset with nothing done in another thread."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return dataset.with_options(options)


def features(shards: str, records: int) -> dict[str, float]:
    """Three features as they are stored."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    stored = tf.data.TFRecordDataset(files(shards))
    mapped = stored.map(lambda record: tf.io.parse_single_example(record, SPEC))
    single = unthreaded(mapped)
    in_batches = stored.batch(subject.GETS).map(lambda some: tf.io.parse_example(some, SPEC))
    batched = unthreaded(in_batches)
    return {
        "single": subject.rate(lambda: sum(1 for _ in single), records),
        "batched": subject.rate(
            lambda: sum(int(found[subject.LABEL].shape[0]) for found in batched), records
        ),
    }


def by_hand(shards: str) -> Any:
    """The usual pipeline."""

    def decode(record: Any) -> Any:
        found = tf.io.parse_single_example(record, SPEC)
        image = tf.io.decode_png(found[subject.IMAGE], channels=3)
        return image, tf.io.decode_png(found[subject.MASK], channels=1), found[subject.LABEL]

    auto = tf.data.AUTOTUNE
    names = tf.data.Dataset.from_tensor_slices(files(shards)).shuffle(len(files(shards)))
    stored = names.interleave(
        tf.data.TFRecordDataset, num_parallel_calls=auto, deterministic=False
    ).shuffle(SHUFFLED)
    images = stored.map(decode, num_parallel_calls=auto, deterministic=False)
    return images.batch(subject.BATCH, drop_remainder=True).prefetch(auto)


def adapter(shards: str) -> Any:
    """The pipeline of segrecord.tensorflow."""
    return segrecord.tensorflow.dataset(
        shards, batch_size=subject.BATCH, shuffle=True, drop_remainder=True, deterministic=False
    )


def decoded(pipeline: Any, records: int) -> dict[str, float]:
    """Batches of image and mask, decoded by a pipeline."""
    whole = records // subject.BATCH * subject.BATCH
    return {"decoded": subject.rate(lambda: sum(subject.BATCH for _ in pipeline), whole)}


def main() -> None:
    """Print the rates as JSON."""
    work, shards, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if work == "features":
        subject.answer(features(shards, records))
    else:
        subject.answer(decoded({"by_hand": by_hand, "adapter": adapter}[work](shards), records))


if __name__ == "__main__":
    main()
