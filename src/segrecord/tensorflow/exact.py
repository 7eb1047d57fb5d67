"""The seeded order of all our adapters, with its resume, as a `tf.data.Dataset`.

`dataset(..., exact=True)` is made of `segrecord.reading.batches`, which resizes by Pillow.
`shuffle` mixes all records of the split, `tail` decides about a last batch that is not full, and a
dict holds `valid` and `key` too. A damaged record raises TensorFlow's UnknownError, which quotes
our RecordError.

Every iteration begins at the same `state` and gives what is left of its epoch; with `repeat` all
epochs from there on, which is what a training of several epochs takes. An iteration does not move
the state, because tf.data reads ahead and Keras looks at a first batch on its own: `state_after`
computes it from the number of batches that the training took.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from segrecord.errors import UsageError
from segrecord.reading.batches import Batch, Batches
from segrecord.reading.dataset import Dataset, open  # noqa: A004 - segrecord.open
from segrecord.reading.folds import Choice, Part
from segrecord.reading.order import Order, State, Tail
from segrecord.tensorflow.framework import tensorflow
from segrecord.tensorflow.shaping import Form, Shape


class Ranks(TypedDict, total=False):
    """Who shares an epoch, and where it goes on.

    ranks: processes that train together; 1.
    rank: of this one; 0.
    tail: "drop" or "pad": every rank gets the same number of full batches ("pad" fills the last
        ones with repeats whose `valid` is False and whose weight is 0); "exact": nothing is left
        out or repeated, and some ranks may get fewer batches. "drop".
    state: to go on from, with its seed and epoch.
    """

    ranks: int
    rank: int
    tail: Tail
    state: State | None


@dataclass(frozen=True)
class Plan:
    """Which batches there are.

    Attributes:
        dataset: what they are made of.
        order: of each epoch.
        begin: the state before the first batch.
        seed: of the augmentation.
    """

    dataset: Dataset
    order: Order
    begin: State
    seed: int

    def after(self, delivered: int) -> State:
        """The state after so many batches, over as many epochs as that takes."""
        first = self.order.steps(self.begin.samples_consumed)
        if delivered < first:
            return self._at(self.begin, delivered)
        epochs, steps = divmod(delivered - first, max(1, self.order.steps()))
        begun = self.begin.next_epoch()
        return self._at(replace(begun, epoch=begun.epoch + epochs), steps)

    def _at(self, begun: State, steps: int) -> State:
        width = self.order.ranks * self.order.batch_size
        consumed = min(begun.samples_consumed + steps * width, self.order.count)
        return replace(begun, samples_consumed=consumed)


def plan(
    source: str | Path | Dataset,
    choice: Choice,
    batch_size: int | None,
    *,
    shuffle: bool,
    seed: int | None,
    ranks: int = 1,
    rank: int = 0,
    tail: Tail = "drop",
    state: State | None = None,
) -> Plan:
    """The batches of one rank; raises as `segrecord.tensorflow.dataset`."""
    if batch_size is None:
        raise UsageError("exact=True gives batches: pass batch_size")
    if isinstance(source, Dataset):
        choice.refuse(source)
        dataset = source
    else:
        dataset = open(source, **choice.or_split("train")._asdict())
    begin = dataset.state(shuffle=shuffle, seed=seed or 0, resumed=state)
    order = Order(len(dataset), batch_size, begin.seed, ranks, rank, tail)
    return Plan(dataset, order, begin, seed or 0 if begin.seed is None else begin.seed)


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
    **ranks: Unpack[Ranks],
) -> State:
    """Where a training stands that has taken so many batches of `dataset(..., exact=True)`.

    It is what `dataset(..., state=)` goes on from, in any number of ranks. tf.data reads ahead, so
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
        ranks: likewise: ranks, rank, tail, state.

    Raises:
        UsageError: delivered is below 0, or as `dataset`.
    """
    if delivered < 0:
        raise UsageError(f"delivered must be at least 0, got {delivered}")
    choice = Choice(split, fold, part)
    found = plan(path, choice, batch_size, shuffle=shuffle, seed=seed, **ranks)
    return found.after(delivered)


def batches(
    found: Plan, shape: Shape, form: Form, *, repeat: bool, drop_remainder: bool = False
) -> Any:
    """The planned batches in their form, of the epoch that is begun or of all from there on."""
    tf, order, store = tensorflow(), found.order, found.dataset.reader.store
    form = form.fitted(store.layout, store.mask_classes, store.place)
    if drop_remainder:
        raise UsageError("drop_remainder: with exact=True the tail decides, leave it out")
    # Refuses at once, and not in iterating, what could not be read.
    Batches(found.dataset, order, found.begin, image_size=shape.size)
    if repeat and not order.steps():
        raise UsageError(
            f"an epoch of {order.count} records holds no batch of {order.batch_size} for each of "
            f"{order.ranks} ranks, so it cannot repeat: lower batch_size or pass tail='pad'"
        )
    data = tf.data.Dataset.from_generator(
        lambda: _batches(found, shape, repeat=repeat), output_signature=_signature(found, shape)
    )
    if _whole(found):
        steps = order.steps(found.begin.samples_consumed)
        steps = tf.data.INFINITE_CARDINALITY if repeat else steps
        data = data.apply(tf.data.experimental.assert_cardinality(steps))
    return data.map(
        lambda batch: form(_augmented(batch, shape)), num_parallel_calls=tf.data.AUTOTUNE
    )


def _signature(found: Plan, shape: Shape) -> dict[str, Any]:
    tf, order = tensorflow(), found.order
    size = shape.size or (None, None)
    many = order.batch_size if order.tail != "exact" and _whole(found) else None
    return {
        "image": tf.TensorSpec((many, *size, 3), tf.uint8),
        "mask": tf.TensorSpec((many, *size, 1), tf.uint8),
        "has_mask": tf.TensorSpec((many,), tf.bool),
        "label": tf.TensorSpec((many,), tf.int64),
        "sample_weight": tf.TensorSpec((many,), tf.float32),
        "valid": tf.TensorSpec((many,), tf.bool),
        "key": tf.TensorSpec((many,), tf.string),
        "seed": tf.TensorSpec((many, 2), tf.int64),
    }


def _whole(found: Plan) -> bool:
    """Whether no batch can lack records."""
    return found.dataset.reader.settings.on_error == "raise"


def _batches(found: Plan, shape: Shape, *, repeat: bool) -> Iterator[dict[str, Any]]:
    given = Batches(found.dataset, found.order, found.begin, image_size=shape.size)
    while True:
        epoch = given.state.epoch
        for batch in given:
            if len(batch.valid):  # a mean over no sample would be no number
                yield _content(batch, found.seed, epoch)
        if not repeat:
            return


def _content(batch: Batch, seed: int, epoch: int) -> dict[str, Any]:
    """A batch as `parse` and its stacking would give it, with what only the order knows."""
    return {
        "image": batch.image,
        "mask": np.where(batch.has_mask[:, None, None], batch.mask, 0)[..., None],
        "has_mask": batch.has_mask,
        "label": batch.label,
        "sample_weight": (batch.has_mask & batch.valid).astype(np.float32),
        "valid": batch.valid,
        "key": batch.key,
        "seed": np.array([_seed(seed, epoch, key) for key in batch.key]),
    }


def _seed(seed: int, epoch: int, key: str) -> Any:
    """Of a sample's augmentation: hangs on no batch or rank, so that a resume repeats it."""
    text = f"{seed}/{epoch}/{key}".encode()
    return np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), "<i8")


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
