"""A dataset of ours in PyTorch: `dataset(...)`, its `sampler(...)`, and both as a `loader(...)`.

The order of the samples and the state to resume it are those of `segrecord.read.sampler`, the
same as in every other adapter. torch is imported by the functions that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segrecord.errors import UsageError
from segrecord.read.elements import Element, Elements, Transform, elements
from segrecord.read.index import Choice, Part
from segrecord.read.sampler import MAX_SEED, SamplerOptions, ShardedSampler, State, mix

if TYPE_CHECKING:
    from segrecord.read.dataset import Dataset
    from segrecord.read.records import OnError


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415 - heavy, and optional
    except ImportError as error:
        raise UsageError(f"this needs PyTorch: pip install segrecord[torch] ({error})") from error
    return torch


@dataclass(frozen=True)
class Samples:
    """A map-style dataset for DataLoader; workers may be forked or spawned.

    A sample is a dict of tensors, as `segrecord.read.elements.Elements` says, but:
        image: (3, H, W) uint8.
        mask: (H, W) uint8, an eighth of what `cross_entropy(..., ignore_index=255)` takes: move
            it to the device first, then `.long()`; with `one_hot` (mask classes, H, W) float32.
        key: str, no tensor.

    What a transform adds or changes becomes tensors too, of its own type. Its image must be an
    array (H, W, 3), (H, W, 1) or (H, W), its mask (H, W), (H, W, 1) or (H, W, mask classes): the
    channels are put first then, and (H, W) stays so. A tensor is left as it is.
    """

    elements: Elements

    def __len__(self) -> int:
        return len(self.elements)

    def __getitem__(self, number: int) -> Element:
        """The sample of this number.

        Raises:
            UsageError: image or mask of the transform have another shape.
            RecordError, IndexError: as of `segrecord.Dataset`.
        """
        return self._tensors(self.elements[number])

    def __getitems__(self, numbers: Iterable[int]) -> list[Element]:
        """The samples of these numbers, read in the order of the shards."""
        return [self._tensors(element) for element in self.elements.__getitems__(numbers)]

    def _tensors(self, element: Element) -> Element:
        """NumPy values as tensors with memory of their own, pixels with their channels first."""
        channels = {"image": (3, 1), "mask": (1, len(self.elements.dataset.mask_classes))}
        tensors: Element = {}
        for name, value in element.items():
            if isinstance(value, np.ndarray | np.number | np.bool_):
                array = np.asarray(value)
                if name in channels:
                    array = _channels_first(name, array, channels[name])
                tensors[name] = _torch().from_numpy(np.array(array, order="C"))
            else:
                tensors[name] = value
        return tensors


def _channels_first(name: str, array: Any, channels: tuple[int, ...]) -> Any:
    """(H, W, channels) as (channels, H, W); (H, W) as it is.

    Raises:
        UsageError: it is neither: a transform may have put the channels first already.
    """
    if array.ndim == 2:  # noqa: PLR2004 - height and width
        return array
    if array.ndim == 3 and array.shape[2] in channels:  # noqa: PLR2004 - and channels
        return np.moveaxis(array, 2, 0)
    forms = ", ".join(f"(H, W, {number})" for number in channels if number)
    raise UsageError(
        f"the transform gives {name} as an array of shape {array.shape}: give {forms} or (H, W), "
        "whose channels are then put first, or a tensor (torch.from_numpy), which is left as it is"
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
) -> Samples:
    """One split, or any selection, as a map-style dataset.

    Args:
        source: the dataset's folder; or an open `segrecord.Dataset`, whose own split, checks and
            selection hold then.
        split: its name; None: train, or what fold and part choose.
        fold: of a dataset built with --folds, from 0.
        part: of the fold: "train", all the other folds; "val", the fold itself.
        image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
            masks by the nearest neighbour.
        one_hot: masks as float32 planes; pixels to ignore are zeros.
        transform: what is done to each sample: a dict of NumPy arrays, image (H, W, 3) uint8 and
            mask (H, W) uint8, in and out; see `Samples` for what else it may give. It runs in the
            workers.
        check_crc: whether every record's CRC is checked.
        on_error: "skip": batches lack the damaged records, with a warning for each.

    Raises:
        UsageError: no such split or fold, compressed shards, no mask classes to one-hot.
        OutputError: there is no finished dataset.
        RecordError: its manifest or index is damaged.
    """
    return Samples(
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


class Sampler:
    """The batches of one rank, for `DataLoader(batch_sampler=...)`: lists of numbers.

    An iteration gives the rest of an epoch, the next one the next. The state counts what the
    sampler has given: with `torchdata`'s StatefulDataLoader that is what was delivered; a plain
    DataLoader reads ahead in its workers, so that there `loader(...)` has to count.

    Attributes:
        state: where it stands.
    """

    def __init__(self, order: ShardedSampler, state: State) -> None:
        self.order = order
        self.state = state

    def __len__(self) -> int:
        """The batches that are left of this epoch."""
        return self.order.steps(self.state.samples_consumed)

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.state
        for indices, after in self.order.walk(begin):
            self.state = after
            yield indices.numbers()
        if self.state == begin:  # not one batch was left
            self.state = begin.next_epoch()

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values."""
        return self.state.to_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`, whatever the world size and the batch size then were.

        Raises:
            UsageError: it is no state, of other data, or past the end of an epoch.
        """
        resumed = State.from_dict(state)
        resumed.check(self.state.fingerprint)
        self.order.steps(resumed.samples_consumed)
        self.order = replace(self.order, seed=resumed.seed)
        self.state = resumed


def sampler(
    samples: Samples,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    world_size: int | None = None,
    rank: int | None = None,
    drop_last: bool = True,
    pad: bool = False,
    state: State | None = None,
) -> Sampler:
    """The seeded order of a dataset as batches of numbers, for one rank.

    Args:
        samples: of `dataset(...)`.
        batch_size: samples a batch, on each rank.
        shuffle: False: the order of the dataset, in every epoch.
        seed: of the order; the same on all ranks.
        world_size: processes that train together; None: as torch.distributed says, else 1.
        rank: of this process; None likewise.
        drop_last: True: incomplete last batches are dropped. False: the last batches are shorter;
            some ranks may get fewer, and DistributedDataParallel needs its `join()` then.
        pad: fill incomplete last batches up with repeats whose `valid` is False; none is dropped
            then. With drop_last or pad every rank gets the same number of full batches.
        state: to go on from, with its seed and epoch.

    Raises:
        UsageError: a value is out of range, or the state is of other data.
    """
    if (world_size is None) != (rank is None):
        raise UsageError(f"give both world_size and rank, or none; got {world_size} and {rank}")
    if world_size is None or rank is None:
        world_size, rank = 1, 0
        distributed = _torch().distributed
        if distributed.is_available() and distributed.is_initialized():
            world_size, rank = distributed.get_world_size(), distributed.get_rank()
    options = SamplerOptions(batch_size, shuffle, seed, world_size, rank, drop_last, pad, state)
    return Sampler(*samples.elements.begin(options))


class Loader:
    """A DataLoader in the seeded order, which counts the samples that it has delivered.

    An iteration gives the rest of an epoch, the next one the next. Save `state_dict()` after any
    batch: it names the first sample that was not delivered, however many were read ahead.

    With on_error="skip" a batch of which every record is damaged is left out.

    Attributes:
        state: where it stands.
    """

    def __init__(self, samples: Samples, sampler: Sampler, options: dict[str, Any]) -> None:
        torch = _torch()
        data = torch.utils.data
        collate = _Collate(options.get("collate_fn") or data.default_collate)
        self._sampler = sampler
        # Without a generator, each iteration would take a number from torch's own: a training
        # that was continued would then go on with other random numbers than one that was not.
        self._generator = torch.Generator()
        self._batches = data.DataLoader(
            samples,
            batch_sampler=_Ahead(sampler),
            generator=self._generator,
            **options | {"collate_fn": collate},
        )

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._sampler.state

    def __len__(self) -> int:
        """The batches that are left of this epoch."""
        return len(self._sampler)

    def __iter__(self) -> Iterator[Element]:
        delivered, begin = self._sampler, self.state
        seed = 0  # another in each epoch, at each resume, on each rank
        for value in (begin.seed or 0, begin.epoch, begin.samples_consumed, delivered.order.rank):
            seed = mix((seed + value + 1) & MAX_SEED)
        self._generator.manual_seed(seed)
        for (_, after), batch in zip(delivered.order.walk(begin), self._batches, strict=True):
            delivered.state = after
            if batch is not None:
                yield batch
        if self.state == begin:  # not one batch was left
            delivered.state = begin.next_epoch()

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values, after the last batch that was delivered."""
        return self._sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`; raises as `Sampler.load_state_dict`."""
        self._sampler.load_state_dict(state)


@dataclass(frozen=True)
class _Ahead:
    """A loader's batches from where it stands, on a sampler that may run ahead of it."""

    delivered: Sampler

    def __len__(self) -> int:
        return len(self.delivered)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(Sampler(self.delivered.order, self.delivered.state))


@dataclass(frozen=True)
class _Collate:
    """Samples into a batch; None where on_error="skip" has left none of them."""

    collate: Callable[[list[Element]], Any]

    def __call__(self, samples: list[Element]) -> Any:
        return self.collate(samples) if samples else None


def loader(
    samples: Samples,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    world_size: int | None = None,
    rank: int | None = None,
    drop_last: bool = True,
    pad: bool = False,
    state: State | None = None,
    **options: Any,
) -> Loader:
    """Batches of a dataset, in the seeded order, resumable after any of them.

    In workers, random numbers (torch's, Python's and NumPy's global ones) begin from the order's
    seed, so that a transform repeats them with as many workers; without workers they are those of
    the process.

    Args:
        samples: of `dataset(...)`.
        batch_size: samples a batch, on each rank; it and all down to state: see `sampler`.
        shuffle: see `sampler`.
        seed: see `sampler`.
        world_size: see `sampler`.
        rank: see `sampler`.
        drop_last: see `sampler`.
        pad: see `sampler`.
        state: see `sampler`.
        options: further ones of DataLoader: num_workers, pin_memory, persistent_workers, ...

    Raises:
        UsageError: as `sampler`, or an option that the order decides (sampler, generator, ...).
    """
    ours = {"sampler", "batch_sampler", "generator"} & set(options)
    if ours:
        raise UsageError(f"the seeded order decides about {', '.join(sorted(ours))}: leave it out")
    if "collate_fn" not in options:
        samples.elements.require_one_size(batch_size)
    given = sampler(
        samples,
        batch_size,
        shuffle=shuffle,
        seed=seed,
        world_size=world_size,
        rank=rank,
        drop_last=drop_last,
        pad=pad,
        state=state,
    )
    return Loader(samples, given, options)
