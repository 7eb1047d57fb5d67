"""A dataset of ours in Grain, for JAX: `dataset(...)`, and its `batches(...)` in the seeded order.

Both are what Grain calls a RandomAccessDataSource, so `grain.MapDataset.source(...)` and
`grain.DataLoader` take them as they are, and nothing here imports Grain. The order of the samples
and the state to resume it are those of `segrecord.read.sampler`, as in every other adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segrecord.errors import UsageError
from segrecord.read.elements import Element, Elements, Transform, elements
from segrecord.read.index import Choice, Part
from segrecord.read.sampler import SamplerOptions, ShardedSampler, State

if TYPE_CHECKING:
    from segrecord.read.dataset import Dataset
    from segrecord.read.records import OnError


@dataclass(frozen=True, repr=False)
class Source:
    """A `grain.sources.RandomAccessDataSource` of dicts of NumPy arrays; see `Elements`."""

    elements: Elements

    def __repr__(self) -> str:
        return f"segrecord.grain.Source({_description(self.elements)})"

    def __len__(self) -> int:
        return len(self.elements)

    def __getitem__(self, number: int) -> Element | None:
        """The element of this number; raises as `segrecord.Dataset`.

        Under on_error="skip" a damaged record is None, which Grain leaves out of what it iterates.
        """
        elements = self.elements.__getitems__([number])
        return elements[0] if elements else None


def _description(elements: Elements) -> str:
    """What elements they are: the same text in another process, and in another folder.

    Grain's DataLoader compares it with the one in a checkpoint before it goes on from there.
    """
    transform = elements.transform
    name = getattr(transform, "__qualname__", type(transform).__name__) if transform else None
    return (
        f"dataset={elements.dataset.fingerprint[:16]}, records={len(elements)}, "
        f"image_size={elements.image_size}, one_hot={elements.one_hot}, transform={name}"
    )


def dataset(
    source: str | Path | Dataset,
    split: str | None = None,
    *,
    fold: int | None = None,
    part: Part | None = None,
    image_size: tuple[int, int] | None = None,
    one_hot: bool = False,
    transform: Transform | None = None,
    check_crc: bool = True,
    on_error: OnError = "raise",
) -> Source:
    """One split, or any selection, for Grain's own samplers, shuffles and loaders.

    Args:
        source: the dataset's folder; or an open `segrecord.Dataset`, whose own split, checks and
            selection hold then.
        split: its name; None: train, or what fold and part choose.
        fold: of a dataset built with --folds, from 0.
        part: of the fold: "train", all the other folds; "val", the fold itself.
        image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
            masks by the nearest neighbour.
        one_hot: masks as float32 (H, W, mask classes); pixels to ignore are zeros.
        transform: what is done to each element, a dict of NumPy arrays.
        check_crc: whether every record's CRC is checked.
        on_error: "skip": damaged records are None, with a warning for each.

    Raises:
        UsageError: no such split or fold, compressed shards, no mask classes to one-hot.
        OutputError: there is no finished dataset.
        RecordError: its manifest or index is damaged.
    """
    return Source(
        elements(
            source,
            Choice(split, fold, part),
            image_size=image_size,
            one_hot=one_hot,
            transform=transform,
            check_crc=check_crc,
            on_error=on_error,
        )
    )


@dataclass(frozen=True, repr=False)
class Batches:
    """A random access source of the batches of one rank, over several epochs.

    Attributes:
        elements: what they are made of.
        order: of each epoch.
        begin: the state before the first batch.
        epochs: how many, the one that is begun included.
    """

    elements: Elements
    order: ShardedSampler
    begin: State
    epochs: int

    def __repr__(self) -> str:
        return (
            f"segrecord.grain.Batches({_description(self.elements)}, order={self.order}, "
            f"begin={self.begin}, epochs={self.epochs})"
        )

    def __len__(self) -> int:
        first = self.order.steps(self.begin.samples_consumed)
        return first + (self.epochs - 1) * self.order.steps()

    def __getitem__(self, number: int) -> Element | None:
        """The batch of this number: each field stacked along a first axis; None: all damaged."""
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} batches, counted from 0; got {number}")
        at, step = self.order.locate(self.begin, number)
        indices = self.order.step(step, at.epoch, at.samples_consumed)
        elements = self.elements.__getitems__(indices.numbers())
        if not elements:
            return None
        return {name: np.stack([one[name] for one in elements]) for name in elements[0]}

    def state(self, delivered: int) -> State:
        """Where a training stands after so many batches: all that another one needs to go on.

        Args:
            delivered: batches that were taken from it, from 0 to its length. Those that Grain left
                out, as None, count too: it is the `next_index` in the state of Grain's iterator.

        Raises:
            IndexError: it has not so many batches.
        """
        if not 0 <= delivered <= len(self):
            raise IndexError(f"there are {len(self)} batches; got {delivered}")
        return self.order.state_after(self.begin, delivered) if delivered else self.begin


def batches(
    source: Source,
    batch_size: int,
    *,
    epochs: int = 1,
    shuffle: bool = True,
    seed: int = 0,
    world_size: int = 1,
    rank: int = 0,
    drop_last: bool = True,
    pad: bool = False,
    state: State | None = None,
) -> Batches:
    """The batches of one rank in the seeded order, as a random access source.

    Args:
        source: of `dataset(...)`.
        batch_size: samples a batch, on each rank.
        epochs: how many, the one that a state is in included.
        shuffle: False: the order of the dataset, in every epoch.
        seed: of the order; the same on all ranks.
        world_size: processes that train together, for example jax.process_count().
        rank: of this one, for example jax.process_index().
        drop_last: True: incomplete last batches are dropped. False: the last batches are shorter,
            and some ranks may get fewer.
        pad: fill incomplete last batches up with repeats whose `valid` is False; none is dropped
            then. With drop_last or pad every rank gets the same number of full batches.
        state: to go on from, with its seed and epoch.

    Raises:
        UsageError: a value is out of range, or the state is of other data.
    """
    if epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    source.elements.require_one_size(batch_size)
    options = SamplerOptions(batch_size, shuffle, seed, world_size, rank, drop_last, pad, state)
    return Batches(source.elements, *source.elements.begin(options), epochs)
