"""Records against the files they were made from: every pixel, label and kept column.

The originals are decoded here again, by `segrecord.images` and what the manifest says of the
masks' values; nothing that the writer made on its way is used.
"""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from segrecord import storage
from segrecord.errors import PixelError, RecordError
from segrecord.executors import EngineFailure
from segrecord.format import example, schemas, tfrecord
from segrecord.format.stored_mask import read_mask
from segrecord.images import files, image, mask
from segrecord.images.files import load
from segrecord.images.metadata import held, stripped
from segrecord.read.mask_meaning import value_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyarrow as pa

    from segrecord.executors import Runner
    from segrecord.format.manifest import Manifest
    from segrecord.format.schemas import Layout, Read
    from segrecord.read.index import Place

QUARANTINE_FILE = "quarantine.csv"


class CompareRow(NamedTuple):
    """One sample, and the record that should hold it."""

    number: int
    """Of the record in its shard, from 0."""
    key: str
    image: str
    masks: tuple[str, ...]
    label: int | None
    class_name: str
    meta: tuple[tuple[str, str], ...]


class CompareTask(NamedTuple):
    """The records of one shard to compare; plain values."""

    path: str
    name: str
    layout: Layout
    compression: str
    mask_classes: int
    map: mask.ValueMap | None
    """None: masks were copied unread."""
    size: tuple[int, int] | None
    """Height and width to which images and masks were resized."""
    rows: tuple[CompareRow, ...]
    keep_metadata: bool
    """Whether image files were to be stored with all that they hold beside pixels."""
    keep_profile: bool
    """Whether with their colour profile."""


def compare_rows(task: CompareTask) -> tuple[RecordError, ...]:
    """What in the records of one shard is not as in the originals; a worker's function.

    A record or an original that cannot be read is a finding too.
    """
    wanted = {row.number: row for row in task.rows}
    lut = task.map.lut() if task.map else None
    problems: list[RecordError] = []
    try:
        with tfrecord.open_shard(task.path, task.compression) as stream:
            for number, (offset, payload) in enumerate(tfrecord.read_records(stream, task.name)):
                if number in wanted:
                    problems += [
                        RecordError(task.name, rule, number, offset)
                        for rule in _differences(task, wanted[number], payload, lut)
                    ]
    except RecordError as error:
        rule = f"cannot be compared: {error.rule}"
        problems.append(RecordError(task.name, rule, error.record, error.offset))
    return tuple(problems)


def _differences(
    task: CompareTask, row: CompareRow, payload: bytes, lut: mask.Ids | None
) -> Iterator[str]:
    try:
        record = schemas.stored_of(task.layout, example.decode(payload))
    except ValueError as error:
        yield f"cannot be compared: {error}"
        return
    if record.key is not None and record.key != row.key:
        yield f"holds key {record.key!r}, the index says {row.key!r}"
        return
    yield from _values(row, record)
    path = row.image
    try:
        original = image.decode(load(path))
        if task.size is not None and original.shape[:2] != task.size:
            original = image.resize(original, *task.size)
        stored = _stored_image(task.layout, record)
        if stored.shape[:2] != original.shape[:2]:
            yield f"the image is {_size(stored)}, {path} is {_size(original)}"
        elif differing := _differing(_rgb(stored), _rgb(original)):
            yield f"the image differs from {path} in {differing} pixels"
        if task.layout.schema != "raw":
            yield from _metadata(task, "image", record.image)
        if row.masks and task.layout.masks:
            path = row.masks[0]
            yield from _mask(task, row, record, original.shape[:2], lut)
        elif record.has_mask:
            yield f"has a mask, its sample {row.key!r} has none"
    except PixelError as error:
        yield f"cannot be compared with {path}: {error.message} ({error.code})"


def _values(row: CompareRow, record: Read) -> Iterator[str]:
    says = f"its sample {row.key!r} says"
    if record.label != row.label:
        yield f"has the label {record.label}, {says} {row.label}"
    if record.class_name is not None and record.class_name != row.class_name:
        yield f"has the class {record.class_name!r}, {says} {row.class_name!r}"
    for (column, text), (_, said) in zip(record.meta, row.meta, strict=True):
        if text != said:
            yield f"has {column} {text!r}, {says} {said!r}"


def _stored_image(layout: Layout, record: Read) -> image.Pixels:
    if layout.schema != "raw":
        return image.decode(record.image)
    shape = (record.height or 0, record.width or 0, record.channels or 0)
    expected = shape[0] * shape[1] * shape[2]
    if len(record.image) != expected or shape[2] not in {1, 3}:
        raise PixelError("raw-length", case="compared")
    return np.frombuffer(record.image, np.uint8).reshape(shape)


def _metadata(task: CompareTask, what: str, stored: bytes) -> Iterator[str]:
    """Whether a stored file holds more beside its pixels than the options of the build let it."""
    form = files.identify(stored)
    if task.keep_metadata or form not in {"jpeg", "png"}:
        return
    if stripped(stored, form, profile=task.keep_profile) is not stored:
        names = ", ".join(held(stored, form)) or "data beside its pixels"
        yield f"the {what} holds {names}, which this dataset was to leave out"


def _rgb(pixels: image.Pixels) -> image.Pixels:
    """(H, W, 1 or 3); grey and RGB of the same grey compare as equal."""
    return pixels[:, :, None] if pixels.ndim == 2 else pixels  # noqa: PLR2004 - height and width


def _differing(one: image.Pixels, other: image.Pixels) -> int:
    """Pixels that differ."""
    if one.shape == other.shape and one.tobytes() == other.tobytes():
        return 0
    return int((one != other).any(axis=2).sum())


def _size(pixels: npt.NDArray[Any]) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]} (height x width)"


def _mask(
    task: CompareTask,
    row: CompareRow,
    record: Read,
    size: tuple[int, ...],
    lut: mask.Ids | None,
) -> Iterator[str]:
    path = row.masks[0]
    if not record.mask or record.has_mask is False:
        yield f"has no mask, its sample {row.key!r} has one"
        return
    if task.map is None or lut is None:  # copied unread, but for metadata that were cut out
        original = load(path)
        same = record.mask == original
        if not same and not task.keep_metadata:
            same = np.array_equal(mask.read(record.mask).values, mask.read(original).values)
        if not same:
            yield f"the mask's bytes are not those of {path}"
        yield from _metadata(task, "mask", record.mask)
        return
    height, width = size
    parts = [task.map.apply(mask.read(load(part)), lut) for part in row.masks]
    expected = mask.fit(mask.paint(parts, task.map.clear), height, width)
    stored = read_mask(task.layout, record.mask, (height, width), task.mask_classes)
    if stored.shape != expected.shape:
        yield f"the mask is {_size(stored)}, {path} gives {_size(expected)}"
    elif differing := _differing(stored[:, :, None], expected[:, :, None]):
        yield f"the mask differs from {path} in {differing} pixels"


def compare_dataset(
    dataset: str | Path, samples: pa.Table, engine: Runner
) -> tuple[RecordError, ...]:
    """Compare every record with its sample.

    Args:
        dataset: the folder.
        samples: of the source, loaded with the options of the build (tables.SAMPLES).
        engine: runs the shards; stays open.

    Returns:
        What differs; a record without a sample; a sample that has no record and is not listed
        in the quarantine.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest is damaged.
    """
    # Workers import this module, and need no Arrow.
    from segrecord.format import manifest as manifests  # noqa: PLC0415 - as said above
    from segrecord.read.index import open_index, places  # noqa: PLC0415 - as said above

    folder, manifest = Path(dataset), manifests.load(dataset)
    try:
        index = open_index(folder, manifest)
    except RecordError:
        rule = "is damaged, so the records were not compared with the source"
        return (RecordError(manifests.INDEX, rule),)
    matched = _Matched(folder, manifest, index, samples)
    shards = list(places(manifest))
    problems_of: dict[int, tuple[RecordError, ...]] = {}
    for number, result in engine.run(compare_rows, map(matched.task, shards)):
        if isinstance(result, EngineFailure):
            rule = f"could not be compared: {result.message} {result.note}".rstrip()
            result = (RecordError(shards[number].shard.name, rule),)  # noqa: PLW2901 - a value for it
        problems_of[number] = result
    pixels = [problem for number in sorted(problems_of) for problem in problems_of[number]]
    return (*matched.problems, *matched.unwritten(), *pixels)


class _Matched:
    """The records of a dataset matched with the samples of its source."""

    def __init__(
        self, folder: Path, manifest: Manifest, index: pa.Table, samples: pa.Table
    ) -> None:
        self.problems: list[RecordError] = []
        self._folder = folder
        self._manifest = manifest
        self._index = index
        self._samples = samples
        self._rows = {key: row for row, key in enumerate(samples["key"].to_pylist())}
        self._map = value_map(manifest)
        self._met: set[str] = set()

    def task(self, place: Place) -> CompareTask:
        """The task of one shard; what needs no pixels is compared here."""
        manifest = self._manifest
        part = self._index.slice(place.shard.first_row, place.shard.records)
        records = part.select(["key", "offset", "group"]).to_pylist()
        self._met.update(record["key"] for record in records)
        known = [self._rows[record["key"]] for record in records if record["key"] in self._rows]
        samples = iter(self._samples.take(np.array(known, np.int64)).to_pylist())
        rows = []
        for number, record in enumerate(records):
            key, rules = record["key"], []
            if key not in self._rows:
                rules.append(f"key {key!r} is not in the source")
            else:
                sample = next(samples)
                rows.append(self._row(number, sample))
                if sample["split"] not in {None, place.split}:
                    belongs = f"belongs in split {sample['split']!r} by its source"
                    rules.append(f"key {key!r} {belongs}")
                if sample["group"] != record["group"]:
                    rules.append(
                        f"key {key!r} is of group {record['group']!r} in the index, of "
                        f"{sample['group']!r} in the source"
                    )
            for rule in rules:
                self.problems.append(RecordError(place.shard.name, rule, number, record["offset"]))
        manifest, options = self._manifest, self._manifest.build_options()
        return CompareTask(
            path=str(self._folder / place.shard.name),
            name=place.shard.name,
            layout=schemas.layout_of(manifest),
            compression=manifest.compression,
            mask_classes=len(manifest.masks.classes),
            map=self._map,
            size=options.pixels.size,
            rows=tuple(rows),
            keep_metadata=options.records.keep_metadata,
            keep_profile=options.records.keep_profile,
        )

    def _row(self, number: int, sample: dict[str, Any]) -> CompareRow:
        name = sample["labels"][0] if sample["labels"] else ""
        return CompareRow(
            number=number,
            key=sample["key"],
            image=sample["image"],
            masks=tuple(part["source"] for part in sample["mask"]),
            label=self._manifest.classes.get(name) if name else None,
            class_name=name,
            meta=tuple(
                (column, sample.get(f"meta/{column}") or "")
                for column in self._manifest.keep_columns
            ),
        )

    def unwritten(self) -> Iterator[RecordError]:
        """The samples that have no record, though nothing says that they were left out."""
        left_out: set[str] = set()
        # Where the list cannot be read, every sample left out is reported.
        with contextlib.suppress(OSError, ValueError, csv.Error):
            binary = storage.open_binary(self._folder / QUARANTINE_FILE)
            with io.TextIOWrapper(binary, "utf-8", newline="") as file:
                left_out = {row.get("key", "") for row in csv.DictReader(file)}
        for key in self._rows:
            if key not in self._met and key not in left_out:
                yield RecordError("records.arrow", f"the sample {key!r} has no record")
