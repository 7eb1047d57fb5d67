"""Shards read by TensorFlow's own reader: fast, in no order that can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from segrecord.errors import UsageError
from segrecord.reading.folds import folds_of
from segrecord.reading.index import require_size
from segrecord.records import manifest as manifests
from segrecord.records.schemas import layout_of
from segrecord.tensorflow.framework import tensorflow
from segrecord.tensorflow.parsing import parse

if TYPE_CHECKING:
    from segrecord.reading.folds import Choice
    from segrecord.records.manifest import Manifest
    from segrecord.tensorflow.shaping import Form, Shape

_SHUFFLE_BUFFER = 4096
"""Records: the shards are shuffled as they are written, so the buffer need not hold a dataset."""


class Shuffle(NamedTuple):
    """Whether and how the records are mixed."""

    on: bool
    seed: int | None
    """Of the augmentation too."""


def elements(
    path: Path, choice: Choice, shape: Shape, form: Form, shuffle: Shuffle, *, repeat: bool
) -> Any:
    """The samples of the chosen splits, in their form; raises as `segrecord.tensorflow.dataset`."""
    manifest = manifests.load(path)
    layout = layout_of(manifest)
    form = form.fitted(layout, manifest.masks.classes, str(path))
    tf = tensorflow()
    # An epoch's augmentation must not hang on which thread is first: each record has its seed.
    seeds = tf.data.Dataset.random(shuffle.seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip((_records(path, manifest, choice, shuffle), seeds))

    def element(record: Any, seed: Any) -> Any:
        found = parse(record, layout)
        image, mask = shape(found["image"], found["mask"], seed)
        return form(found | {"image": image, "mask": mask})

    data = data.repeat() if repeat else data
    return data.map(element, num_parallel_calls=tf.data.AUTOTUNE)


def require_batch_size(batch_size: int | None) -> None:
    """Refuse what is no number of elements."""
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}")


def _records(path: Path, manifest: Manifest, choice: Choice, shuffle: Shuffle) -> Any:
    """The serialized records of the chosen splits as one stream, of known cardinality."""
    names = choice.or_split("train").names(path, manifest.splits, folds_of(manifest))
    shards = [shard for name in names for shard in manifest.splits[name].shards]
    records, tf = sum(shard.records for shard in shards), tensorflow()
    for shard in shards:
        require_size(path / shard.name, shard.bytes)  # not at an epoch's end
    files = tf.data.Dataset.from_tensor_slices(
        tf.constant([str(path / shard.name) for shard in shards], tf.string)
    )
    if shuffle.on:
        files = files.shuffle(max(1, len(shards)), seed=shuffle.seed)
    compression = "" if manifest.compression == "none" else manifest.compression.upper()
    found = files.interleave(
        lambda file: tf.data.TFRecordDataset(file, compression_type=compression),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    if shuffle.on:
        found = found.shuffle(_SHUFFLE_BUFFER, seed=shuffle.seed)
    # TensorFlow ends silently on a shard that was cut; with this it says so.
    return found.apply(tf.data.experimental.assert_cardinality(records))
