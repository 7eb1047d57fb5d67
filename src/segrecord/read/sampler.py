"""The order of an epoch, computed and not kept: place to row in O(1), and the state to resume it.

The order is a documented integer hash and no library's generator, so it holds for ever, in every
framework and on every processor. Docs: docs/format.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from segrecord.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

STATE_VERSION = 1

MAX_SEED = (1 << 64) - 1

_ROUNDS = 6
"""Of the Feistel network. Four make it a pseudo-random permutation where the round function is a
pseudo-random function (Luby and Rackoff 1988); two more are a margin for small sets."""

_U64 = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15  # splitmix64's increment: 2^64 over the golden ratio
_FIRST = 0xBF58476D1CE4E5B9  # the multipliers of its finalizer (Steele, Lea, Flood 2014)
_SECOND = 0x94D049BB133111EB


def mix(value: int) -> int:
    """splitmix64's finalizer, a bijection of the 64-bit integers."""
    value = (value ^ (value >> 30)) * _FIRST & _U64
    value = (value ^ (value >> 27)) * _SECOND & _U64
    return value ^ (value >> 31)


def _mix_many(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


def _round_keys(seed: int, epoch: int) -> list[int]:
    """The outputs of a splitmix64 generator whose start is mix(mix(seed + GAMMA) + epoch)."""
    start = mix((mix((seed + _GAMMA) & _U64) + epoch) & _U64)
    return [mix((start + number * _GAMMA) & _U64) for number in range(1, _ROUNDS + 1)]


def _half_bits(count: int) -> int:
    """Half of the smallest even number of bits that holds all of 0 to count - 1."""
    return max(1, ((count - 1).bit_length() + 1) // 2)


def permute(place: int, count: int, seed: int, epoch: int) -> int:
    """The row that stands at this place of an epoch's order: a bijection of 0 to count - 1.

    A balanced Feistel network over the smallest even number of bits that holds `count`; what it
    takes out of the range is put in again until it is inside (cycle walking).

    Args:
        place: from 0 to count - 1.
        count: rows.
        seed: from 0 to 2^64 - 1.
        epoch: from 0 on.
    """
    keys, half = _round_keys(seed, epoch), _half_bits(count)
    mask = (1 << half) - 1
    row = place
    while True:
        left, right = row >> half, row & mask
        for key in keys:
            left, right = right, left ^ (mix((right + key) & _U64) & mask)
        row = left << half | right
        if row < count:
            return row


def permute_many(places: Rows, count: int, seed: int, epoch: int) -> Rows:
    """`permute` of each of these places; (N,) to (N,)."""
    keys = [np.uint64(key) for key in _round_keys(seed, epoch)]
    half, mask = np.uint64(_half_bits(count)), np.uint64((1 << _half_bits(count)) - 1)
    rows = np.array(places, np.uint64)
    walking = np.arange(len(rows))
    while walking.size:
        left, right = rows[walking] >> half, rows[walking] & mask
        for key in keys:
            left, right = right, left ^ (_mix_many(right + key) & mask)
        rows[walking] = left << half | right
        walking = walking[rows[walking] >= count]
    return rows.astype(np.int64)


@dataclass(frozen=True)
class State:
    """Where a training stands in its data: all that is needed to go on, under 200 bytes as JSON.

    It holds for any number of processes and workers, and any batch size.

    Attributes:
        fingerprint: of the dataset and what was selected of it, hexadecimal.
        seed: of the order; None: the rows stand in their stored order.
        epoch: from 0.
        samples_consumed: samples of this epoch that were delivered, over all ranks; never those
            that were only read ahead.
        version: of this form.
    """

    fingerprint: str
    seed: int | None = None
    epoch: int = 0
    samples_consumed: int = 0
    version: int = STATE_VERSION

    def __post_init__(self) -> None:
        if self.version != STATE_VERSION:
            raise UsageError(
                f"a state of version {self.version} cannot be read, this segrecord knows version "
                f"{STATE_VERSION}; use the segrecord that wrote it"
            )
        _require_seed(self.seed)
        for name in ("epoch", "samples_consumed"):
            _require_whole(f"the state's {name}", getattr(self, name), 0)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    def to_json(self) -> str:
        """The fields as compact JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_dict(cls, fields_by_name: Mapping[str, Any]) -> State:
        """The state of these fields.

        Raises:
            UsageError: a field is absent, unknown or out of range.
        """
        expected, given = {field.name for field in fields(cls)}, set(fields_by_name)
        if expected != given:
            raise UsageError(
                f"a state must have the fields {', '.join(sorted(expected))}, got "
                f"{', '.join(sorted(map(str, given))) or 'none'}"
            )
        return cls(**fields_by_name)

    @classmethod
    def from_json(cls, text: str) -> State:
        """The state that `to_json` wrote; raises as `from_dict`."""
        try:
            content = json.loads(text)
        except ValueError as error:
            raise UsageError(f"a state must be JSON, got {text[:60]!r} ({error})") from None
        if not isinstance(content, dict):
            raise UsageError(f"a state must be a JSON object, got {text[:60]!r}")
        return cls.from_dict(content)

    def next_epoch(self) -> State:
        """The beginning of the next epoch."""
        return replace(self, epoch=self.epoch + 1, samples_consumed=0)

    def check(self, fingerprint: str) -> None:
        """Refuse to go on in other data.

        Raises:
            UsageError: the state is of a dataset with another fingerprint.
        """
        if self.fingerprint != fingerprint:
            raise UsageError(
                f"the state is of a dataset with fingerprint {self.fingerprint[:12]}, this one has "
                f"{fingerprint[:12]}: open the same dataset, split and selection, or start over"
            )


class Repeat(int):
    """The number of a sample that only fills a batch up (`pad`): it is read, as not valid.

    An int, so that it passes through samplers, queues and other processes as a number does.
    """


class BatchIndices(NamedTuple):
    """One batch of one rank."""

    rows: Rows
    """(N,) rows of the dataset."""
    valid: Flags
    """(N,); False: a repeat that fills the batch up (`pad`)."""
    consumed: int
    """Samples of the epoch that all ranks together have delivered after this batch."""

    def numbers(self) -> list[int]:
        """The rows, the repeats marked."""
        pairs = zip(self.rows.tolist(), self.valid.tolist(), strict=True)
        return [row if valid else Repeat(row) for row, valid in pairs]


@dataclass(frozen=True)
class SamplerOptions:
    """How the samples of an epoch are shared out: what every framework's verbs ask for alike.

    Attributes:
        batch_size: samples a batch, on each rank.
        shuffle: False: the order of the dataset, in every epoch.
        seed: of the order, from 0 to 2^64 - 1; the same on all ranks.
        world_size: processes that train together; each sees its share.
        rank: of this one, from 0.
        drop_last: True: incomplete last batches are dropped. False: the last batches are shorter;
            nothing is left out or repeated, and some ranks may get one batch less, which a
            training that waits for all ranks must know.
        pad: fill incomplete last batches up, which are not dropped then, with the first samples of
            the epoch, flagged as not valid: every rank gets the same number of full batches.
        state: to go on from, with its seed and epoch; None: from the beginning.
    """

    batch_size: int
    shuffle: bool = True
    seed: int = 0
    world_size: int = 1
    rank: int = 0
    drop_last: bool = True
    pad: bool = False
    state: State | None = None

    def begin(self, count: int, fingerprint: str) -> tuple[ShardedSampler, State]:
        """The sampler of a dataset, and where it begins.

        Args:
            count: records of the dataset.
            fingerprint: of the dataset.

        Raises:
            UsageError: an option is out of range, there are records and not one batch of them for
                each rank, or the state is of other data or past the end of its epoch.
        """
        state = self.state
        if state is None:
            state = State(fingerprint, self.seed if self.shuffle else None)
        state.check(fingerprint)
        sampler = ShardedSampler(
            count, self.batch_size, state.seed, self.world_size, self.rank, self.drop_last, self.pad
        )
        if sampler.full_batches and count and not sampler.steps():
            raise UsageError(
                f"{count} records hold no batch of {self.batch_size} for each of "
                f"{self.world_size} ranks: lower batch_size, or pass pad=True"
            )
        sampler.steps(state.samples_consumed)  # refuses a state past the end
        return sampler, state


@dataclass(frozen=True)
class ShardedSampler:
    """Which rows each batch of each rank holds.

    The places 0 to count - 1 of an epoch are one global sequence. A step takes the next
    world_size * batch_size places of it, and rank r gets every world_size-th of them from the
    r-th on. So whoever goes on after `consumed` samples, with whatever world size and batch size,
    gets exactly the samples that were not delivered.

    Attributes:
        count: rows.
        batch_size: see `SamplerOptions`, as all that follow but the seed.
        seed: None: the stored order.
    """

    count: int
    batch_size: int
    seed: int | None = None
    world_size: int = 1
    rank: int = 0
    drop_last: bool = True
    pad: bool = False

    def __post_init__(self) -> None:
        _require_whole("count", self.count, 0)
        _require_whole("batch_size", self.batch_size, 1)
        _require_whole("world_size", self.world_size, 1)
        if not 0 <= self.rank < self.world_size:
            raise UsageError(f"rank must be in [0, {self.world_size}), got {self.rank}")
        _require_seed(self.seed)
        for name in ("drop_last", "pad"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be True or False, got {getattr(self, name)!r}")

    def steps(self, consumed: int = 0) -> int:
        """The batches that this rank still gets of an epoch."""
        left, width = self.count - consumed, self.world_size * self.batch_size
        if left < 0:
            raise UsageError(f"the state counts {consumed} samples, an epoch has {self.count}")
        full, rest = divmod(left, width)
        if self.pad:
            return full + (rest > 0)
        return full if self.drop_last else full + (rest > self.rank)

    @property
    def full_batches(self) -> bool:
        """Whether every batch has `batch_size` samples."""
        return self.pad or self.drop_last

    def step(self, number: int, epoch: int, consumed: int = 0) -> BatchIndices:
        """The batch of this number, counted from 0 after `consumed` samples of the epoch."""
        width = self.world_size * self.batch_size
        first = consumed + number * width
        places = np.arange(first + self.rank, first + width, self.world_size, dtype=np.int64)
        if not self.full_batches:
            places = places[places < self.count]
        valid = places < self.count
        rows = np.where(valid, places, (places - self.count) % max(self.count, 1))
        if self.seed is not None:
            rows = permute_many(rows, self.count, self.seed, epoch)
        return BatchIndices(rows, valid, min(first + width, self.count))

    def batches(self, epoch: int, consumed: int = 0) -> Iterator[BatchIndices]:
        """The batches of this rank that are left of an epoch."""
        for number in range(self.steps(consumed)):
            yield self.step(number, epoch, consumed)

    def walk(self, state: State) -> Iterator[tuple[BatchIndices, State]]:
        """Each batch that is left of the state's epoch, with the state after it.

        After the last one that is the beginning of the next epoch, on every rank.
        """
        steps = self.steps(state.samples_consumed)
        for number in range(steps):
            step = self.step(number, state.epoch, state.samples_consumed)
            after = replace(state, samples_consumed=step.consumed)
            yield step, after if number + 1 < steps else state.next_epoch()

    def locate(self, begin: State, number: int) -> tuple[State, int]:
        """Where the epoch of a batch is begun, and the batch's number in it.

        Args:
            begin: before batch 0.
            number: of the batch, counted on over as many epochs as it takes.
        """
        first = self.steps(begin.samples_consumed)
        if number < first:
            return begin, number
        epochs, step = divmod(number - first, max(1, self.steps()))
        return replace(begin, epoch=begin.epoch + 1 + epochs, samples_consumed=0), step

    def state_after(self, begin: State, delivered: int) -> State:
        """The state after so many batches from this one on, over as many epochs as that takes."""
        epoch, steps = self.locate(begin, delivered)
        consumed = epoch.samples_consumed + steps * self.world_size * self.batch_size
        return replace(epoch, samples_consumed=min(consumed, self.count))


def _require_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _require_seed(seed: object) -> None:
    if seed is None:
        return
    _require_whole("seed", seed, 0)
    if isinstance(seed, int) and seed > MAX_SEED:
        raise UsageError(f"seed must be below 2^64, got {seed}")
