"""A dataset of ours in PyTorch: `dataset(...)`, its `sampler(...)`, and both as a `loader(...)`.

The order of the samples and the state to resume it are those of `segrecord.reading.order`, the
same as in every other adapter. torch is imported by the functions that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segrecord.errors import UsageError
from segrecord.reading.elements import Element, Elements, Transform, elements, numbers_of
from segrecord.reading.folds import Choice, Part
from segrecord.reading.order import MAX_SEED, Order, State, Tail, mix

if TYPE_CHECKING:
    from segrecord.reading.dataset import Dataset
    from segrecord.reading.reader import OnError


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415 - heavy, and optional
    except ImportError as error:
        raise UsageError(f"this needs PyTorch: pip install segrecord[torch] ({error})") from error
    return torch


@dataclass(frozen=True)
class Samples:
    """A map-style dataset for DataLoader; workers may be forked or spawned.

    A sample is a dict of tensors, as `segrecord.reading.elements.Elements` says, but:
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
        found: Element = {}
        for name, value in element.items():
            if isinstance(value, np.ndarray | np.number | np.bool_):
                array = np.asarray(value)
                if name in channels:
                    array = _channels_first(name, array, channels[name])
                found[name] = _torch().from_numpy(np.array(array, order="C"))
            else:
                found[name] = value
        return found


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

    def __init__(self, order: Order, state: State) -> None:
        order.require_batch()
        order.steps(state.samples_consumed)  # refuses a state past the end
        self.order = order
        self.state = state

    def __len__(self) -> int:
        """The batches that are left of this epoch."""
        return self.order.steps(self.state.samples_consumed)

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.state
        for step, after in self.order.walk(begin):
            self.state = after
            yield numbers_of(step)
        if self.state == begin:  # not one batch was left
            self.state = begin.next_epoch()

    def state_dict(self) -> dict[str, Any]:
        """The state as plain values."""
        return self.state.to_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`, whatever the ranks and the batch size then were.

        Raises:
            UsageError: it is no state, of other data, or past the end of an epoch.
        """
        found = State.from_dict(state)
        found.check(self.state.fingerprint)
        self.order.steps(found.samples_consumed)
        self.order = replace(self.order, seed=found.seed)
        self.state = found


def sampler(
    samples: Samples,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    ranks: int | None = None,
    rank: int | None = None,
    tail: Tail = "drop",
    state: State | None = None,
) -> Sampler:
    """The seeded order of a dataset as batches of numbers, for one rank.

    Args:
        samples: of `dataset(...)`.
        batch_size: samples a batch, on each rank.
        shuffle: False: the order of the dataset, in every epoch.
        seed: of the order; the same on all ranks.
        ranks: processes that train together; None: as torch.distributed says, else 1.
        rank: of this process; None likewise.
        tail: "drop" or "pad": every rank gets the same number of full batches ("pad" fills the
            last ones with repeats whose `valid` is False); "exact": nothing is left out or
            repeated, some ranks get fewer batches, and DistributedDataParallel needs its `join()`.
        state: to go on from, with its seed and epoch.

    Raises:
        UsageError: a value is out of range, or the state is of other data.
    """
    begin = samples.elements.dataset.state(shuffle=shuffle, seed=seed, resumed=state)
    ranks, rank = _world(ranks, rank)
    return Sampler(Order(len(samples), batch_size, begin.seed, ranks, rank, tail), begin)


def _world(ranks: int | None, rank: int | None) -> tuple[int, int]:
    """Ranks and rank, from torch.distributed where they are not given."""
    if (ranks is None) != (rank is None):
        raise UsageError(f"give both ranks and rank, or none; got {ranks} and {rank}")
    if ranks is not None and rank is not None:
        return ranks, rank
    distributed = _torch().distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size(), distributed.get_rank()
    return 1, 0


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
        self._generator.manual_seed(_worker_seed(begin, delivered.order.rank))
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

    def __call__(self, found: list[Element]) -> Any:
        return self.collate(found) if found else None


def _worker_seed(state: State, rank: int) -> int:
    """Of the random numbers in the workers: another in each epoch, at each resume, on each rank."""
    seed = 0
    for value in (state.seed or 0, state.epoch, state.samples_consumed, rank):
        seed = mix((seed + value + 1) & MAX_SEED)
    return seed


def loader(
    samples: Samples,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    ranks: int | None = None,
    rank: int | None = None,
    tail: Tail = "drop",
    state: State | None = None,
    **options: Any,
) -> Loader:
    """Batches of a dataset, in the seeded order, resumable after any of them.

    In workers, random numbers (torch's, Python's and NumPy's global ones) begin from the order's
    seed, so that a transform repeats them with as many workers; without workers they are those of
    the process.

    Args:
        samples: of `dataset(...)`.
        batch_size: samples a batch, on each rank; shuffle to state: see `sampler`.
        shuffle: see `sampler`.
        seed: see `sampler`.
        ranks: see `sampler`.
        rank: see `sampler`.
        tail: see `sampler`.
        state: see `sampler`.
        options: further ones of DataLoader: num_workers, pin_memory, persistent_workers, ...

    Raises:
        UsageError: as `sampler`, or an option that the order decides (sampler, drop_last, ...).
    """
    ours = {"sampler", "batch_sampler", "drop_last", "generator"} & set(options)
    if ours:
        raise UsageError(f"the seeded order decides about {', '.join(sorted(ours))}: leave it out")
    plain = samples.elements.image_size is None and samples.elements.transform is None
    if batch_size > 1 and plain and "collate_fn" not in options:
        samples.elements.dataset.require_one_size()
    given = sampler(
        samples,
        batch_size,
        shuffle=shuffle,
        seed=seed,
        ranks=ranks,
        rank=rank,
        tail=tail,
        state=state,
    )
    return Loader(samples, given, options)
