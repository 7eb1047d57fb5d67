"""The seeded order of all our adapters, with its resume, as a `tf.data.Dataset`.

`dataset(..., exact=True)` is made of `segrecord.read.batches`, which resizes by Pillow.
`shuffle` mixes all records of the split, `drop_last` and `pad` decide about an incomplete last
batch, and a dict holds `valid` and `key` too. A damaged record raises TensorFlow's UnknownError,
which quotes our RecordError.

Every iteration begins at the same `state` and gives what is left of its epoch; with `repeat` all
epochs from there on, which is what a training of several epochs takes. An iteration does not move
the state, because tf.data reads ahead and Keras looks at a first batch on its own: `state_after`
computes it from the number of batches that the training took.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from segrecord.errors import UsageError
from segrecord.read.dataset import Dataset, open  # noqa: A004 - segrecord.open
from segrecord.read.index import Choice, Part
from segrecord.read.sampler import SamplerOptions, ShardedSampler, State
from segrecord.tensorflow.shaping import Form, Shape, tensorflow


class Sharding(TypedDict, total=False):
    """Who shares an epoch, and where it goes on.

    world_size: processes that train together; 1.
    rank: of this one; 0.
    drop_last: True, the default: incomplete last batches are dropped. False: the last batches are
        shorter, and some ranks may get fewer.
    pad: fill incomplete last batches up with repeats whose `valid` is False and whose weight is 0;
        none is dropped then. With drop_last or pad every rank gets as many full batches.
    state: to go on from, with its seed and epoch.
    """

    world_size: int
    rank: int
    drop_last: bool
    pad: bool
    state: State | None


@dataclass(frozen=True)
class Plan:
    """Which batches there are.

    Attributes:
        dataset: what they are made of.
        options: of the sampler.
        seed: of the augmentation.
    """

    dataset: Dataset
    options: SamplerOptions
    seed: int

    def begin(self) -> tuple[ShardedSampler, State]:
        """The sampler, and where it begins; raises as `SamplerOptions.begin`."""
        return self.options.begin(len(self.dataset), self.dataset.fingerprint)


def plan(
    source: str | Path | Dataset,
    choice: Choice,
    batch_size: int | None,
    *,
    shuffle: bool,
    seed: int | None,
    **sharding: Unpack[Sharding],
) -> Plan:
    """The batches of one rank; raises as `segrecord.tensorflow.dataset`."""
    if batch_size is None:
        raise UsageError("exact=True gives batches: pass batch_size")
    if isinstance(source, Dataset):
        choice.refuse(source)
        dataset = source
    else:
        dataset = open(source, **choice.or_split("train")._asdict())
    options = SamplerOptions(batch_size, shuffle, seed or 0, **sharding)
    state = options.state
    resumed = None if state is None else state.seed
    return Plan(dataset, options, seed or 0 if resumed is None else resumed)


def state_after(
    delivered: int,
    path: str | Path | Dataset,
    split: str | None = None,
    *,
    fold: int | None = None,
    part: Part | None = None,
    batch_size: int,
    shuffle: bool = False,
    seed: int | None = None,
    **sharding: Unpack[Sharding],
) -> State:
    """Where a training stands that has taken so many batches of `dataset(..., exact=True)`.

    It is what `dataset(..., state=)` goes on from, with any world size. tf.data reads ahead, so
    only the training knows how many batches it took.

    Args:
        delivered: batches that were taken, in all epochs since the dataset's own `state`.
        path: as the dataset was made with.
        split: likewise.
        fold: likewise.
        part: likewise.
        batch_size: likewise.
        shuffle: likewise.
        seed: likewise.
        sharding: likewise: world_size, rank, drop_last, pad, state.

    Raises:
        UsageError: delivered is below 0, or as `dataset`.
    """
    if delivered < 0:
        raise UsageError(f"delivered must be at least 0, got {delivered}")
    choice = Choice(split, fold, part)
    found = plan(path, choice, batch_size, shuffle=shuffle, seed=seed, **sharding)
    sampler, begin = found.begin()
    return sampler.state_after(begin, delivered)


def batches(
    plan: Plan, shape: Shape, form: Form, *, repeat: bool, drop_remainder: bool = False
) -> Any:
    """The planned batches in their form, of the epoch that is begun or of all from there on."""
    tf, shards = tensorflow(), plan.dataset.all_records.shards
    form = form.fitted(shards.layout, shards.mask_classes, shards.path)
    if drop_remainder:
        raise UsageError("drop_remainder: with exact=True drop_last decides, leave it out")
    # Refuses at once, and not in iterating, what could not be read.
    plan.dataset.batches_of(plan.options, image_size=shape.size)
    sampler, begin = plan.begin()
    if repeat and not sampler.steps():
        raise UsageError(
            f"an epoch of {sampler.count} records holds no batch of {sampler.batch_size} for each "
            f"of {sampler.world_size} ranks, so it cannot repeat: lower batch_size or pass pad=True"
        )
    whole = plan.dataset.all_records.settings.on_error == "raise"  # no batch can lack records
    size = shape.size or (None, None)
    many = sampler.batch_size if sampler.full_batches and whole else None
    signature = {
        "image": tf.TensorSpec((many, *size, 3), tf.uint8),
        "mask": tf.TensorSpec((many, *size, 1), tf.uint8),
        "has_mask": tf.TensorSpec((many,), tf.bool),
        "label": tf.TensorSpec((many,), tf.int64),
        "sample_weight": tf.TensorSpec((many,), tf.float32),
        "valid": tf.TensorSpec((many,), tf.bool),
        "key": tf.TensorSpec((many,), tf.string),
        "seed": tf.TensorSpec((many, 2), tf.int64),
    }
    data = tf.data.Dataset.from_generator(
        lambda: _batches(plan, shape, repeat=repeat), output_signature=signature
    )
    if whole:
        steps = sampler.steps(begin.samples_consumed)
        steps = tf.data.INFINITE_CARDINALITY if repeat else steps
        data = data.apply(tf.data.experimental.assert_cardinality(steps))
    return data.map(
        lambda batch: form(_augmented(batch, shape)), num_parallel_calls=tf.data.AUTOTUNE
    )


def _batches(plan: Plan, shape: Shape, *, repeat: bool) -> Iterator[dict[str, Any]]:
    """Each batch as `parse` and its stacking would give it, with what only the order knows."""
    batches = plan.dataset.batches_of(plan.options, image_size=shape.size)
    while True:
        epoch = batches.state.epoch
        for batch in batches:
            if not len(batch.valid):  # a mean over no sample would be no number
                continue
            # A seed of each sample's augmentation hangs on no batch or rank: a resume repeats it.
            texts = (f"{plan.seed}/{epoch}/{key}".encode() for key in batch.key)
            digests = (hashlib.blake2b(text, digest_size=16).digest() for text in texts)
            yield {
                "image": batch.image,
                "mask": np.where(batch.has_mask[:, None, None], batch.mask, 0)[..., None],
                "has_mask": batch.has_mask,
                "label": batch.label,
                "sample_weight": (batch.has_mask & batch.valid).astype(np.float32),
                "valid": batch.valid,
                "key": batch.key,
                "seed": np.array([np.frombuffer(digest, "<i8") for digest in digests]),
            }
        if not repeat:
            return


def _augmented(batch: dict[str, Any], shape: Shape) -> dict[str, Any]:
    seeds = batch.pop("seed")
    if shape.augment is None:
        return batch
    tf = tensorflow()
    alike = Shape(None, shape.augment)  # they have their size already
    size = shape.augment.crop or shape.size or (None, None)
    image, mask = tf.map_fn(
        lambda one: alike(*one),
        (batch["image"], batch["mask"], seeds),
        fn_output_signature=(
            tf.TensorSpec((*size, 3), tf.uint8),
            tf.TensorSpec((*size, 1), tf.uint8),
        ),
    )
    return batch | {"image": image, "mask": mask}
