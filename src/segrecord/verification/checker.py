"""The check of a whole dataset: its manifest, its index, its files, and every record.

The manifest's sums and the folder's content are checked here; the shards by `check_shard`, under
any engine. What is wrong is a value; only a folder that holds no dataset is an exception.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.compute as pc

from segrecord import storage
from segrecord.errors import RecordError
from segrecord.executors import EngineFailure
from segrecord.format import manifest as manifests
from segrecord.format.schemas import layout_of
from segrecord.options import MAPPING_FILE
from segrecord.read.index import open_index, places
from segrecord.verification.shard_check import (
    Checked,
    CheckTask,
    IndexRow,
    check_file,
    examine_shard,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from segrecord.executors import Runner
    from segrecord.format.manifest import Manifest


class Report(NamedTuple):
    """What a check has found."""

    problems: tuple[RecordError, ...]
    """In the order manifest, folder, index, shards; empty: the dataset is sound."""
    shards: int
    records: int
    """As the manifest counts them."""
    bytes: int
    """Of all shards together, as the manifest counts them."""
    not_checked: tuple[str, ...]
    """What nobody checked, in plain words."""
    compared: bool = False
    """Whether pixels and labels of all records were compared with the source as well; a record
    that could not be is a problem."""


def check_dataset(dataset: str | Path, engine: Runner, *, decode: bool = True) -> Report:
    """Check a dataset as a whole.

    Args:
        dataset: the folder.
        engine: runs the shards; stays open.
        decode: decode every image and mask; False leaves it at framing, hashes and values.

    Raises:
        OutputError: there is no finished dataset.
    """
    folder = Path(dataset)
    try:
        manifest = manifests.load(folder)
    except RecordError as error:
        return Report((error,), 0, 0, 0, ("the shards, since the manifest is damaged",))
    problems = [*_sums(manifest), *_folder(folder, manifest)]
    not_checked = list(manifest.not_checked)
    if not decode:
        not_checked.append("images and masks were not decoded")
    try:
        index = open_index(folder, manifest)
    except RecordError as error:
        problems.append(error)
        not_checked.append("the records, since the index is damaged")
        tasks = tasks_of(folder, manifest, None, decode=False)
        problems += _run(engine, check_file, tasks, manifest)
    else:
        problems += _counts(manifest, index)
        tasks = tasks_of(folder, manifest, index, decode=decode)
        problems += _run(engine, examine_shard, tasks, manifest)
    parts = manifest.splits.values()
    return Report(
        tuple(problems),
        sum(len(split.shards) for split in parts),
        sum(split.records for split in parts),
        sum(split.bytes for split in parts),
        tuple(not_checked),
    )


def tasks_of(
    dataset: str | Path, manifest: Manifest, index: pa.Table | None, *, decode: bool
) -> Iterator[CheckTask]:
    """A task for each shard, in the order of the index, made as they are drawn.

    Without an index they list no records.
    """
    layout = layout_of(manifest)
    missing_mask = manifest.build_options().records.missing_mask or "ignore"
    at = IndexRow._fields.index("mask_pixels")
    for place in places(manifest):
        rows: tuple[IndexRow, ...] = ()
        if index is not None:
            part = index.slice(place.shard.first_row, place.shard.records)
            columns = [part[name].to_pylist() for name in IndexRow._fields]
            columns[at] = [None if pixels is None else tuple(pixels) for pixels in columns[at]]
            rows = tuple(IndexRow(*values) for values in zip(*columns, strict=True))
        yield CheckTask(
            path=str(Path(dataset) / place.shard.name),
            name=place.shard.name,
            layout=layout,
            compression=manifest.compression,
            mask_classes=len(manifest.masks.classes) if manifest.masks.checked else 0,
            bytes=place.shard.bytes,
            sha256=place.shard.sha256,
            rows=rows,
            decode=decode,
            missing_mask=missing_mask,
            class_names=tuple(manifest.classes.items()),
        )


def _run(
    engine: Runner,
    function: Callable[[CheckTask], Checked],
    tasks: Iterator[CheckTask],
    manifest: Manifest,
) -> list[RecordError]:
    """The problems of all shards, in the order of the shards."""
    names = [place.shard.name for place in places(manifest)]
    hashes = {place.shard.sha256: place.shard.name for place in places(manifest)}
    problems_of: dict[int, list[RecordError]] = {}
    for number, result in engine.run(function, tasks):
        if isinstance(result, EngineFailure):
            rule = f"could not be checked: {result.message}"
            problems_of[number] = [RecordError(names[number], rule)]
            continue
        problems = list(result.problems)
        owner = hashes.get(result.sha256, names[number])
        if owner != names[number] and problems:
            problems.insert(0, RecordError(names[number], f"has the content of {owner}"))
        problems_of[number] = problems
    return [problem for number in sorted(problems_of) for problem in problems_of[number]]


def _sums(manifest: Manifest) -> Iterator[RecordError]:
    """What the manifest says twice has to agree."""
    for name, split in manifest.splits.items():
        where = f"split {name!r}"
        yield from _same(f"{where}: records", split.records, sum(s.records for s in split.shards))
        yield from _same(f"{where}: bytes", split.bytes, sum(s.bytes for s in split.shards))
        classes: Counter[str] = Counter()
        for shard in split.shards:
            classes.update(shard.class_counts)
        yield from _same_counts(f"{where}: class counts", split.class_counts, classes)
    total = sum(split.records for split in manifest.splits.values())
    yield from _same("samples", manifest.samples, total)
    names = Counter(place.shard.name for place in places(manifest))
    for name, times in names.items():
        if times > 1:
            yield RecordError(manifests.MANIFEST, f"names the shard {name} {times} times")


def _same(what: str, said: int, found: int) -> Iterator[RecordError]:
    if said != found:
        yield RecordError(manifests.MANIFEST, f"{what}: says {said}, the shards add up to {found}")


def _same_counts(
    what: str,
    said: Mapping[str, int],
    found: Mapping[str, int],
    source: str = "the shards add up to",
) -> Iterator[RecordError]:
    for name in sorted({*said, *found}):
        if said.get(name, 0) != found.get(name, 0):
            rule = f"{what}: says {said.get(name, 0)} of {name!r}, {source} {found.get(name, 0)}"
            yield RecordError(manifests.MANIFEST, rule)


def _folder(folder: Path, manifest: Manifest) -> Iterator[RecordError]:
    """Files that are missing or changed, and shards that should not be there."""
    for name, said in manifest.files.items():
        try:
            with storage.open_binary(folder / name) as file:
                own = hashlib.file_digest(file, "sha256").hexdigest() if said else ""
        except FileNotFoundError:
            yield RecordError(name, "the file is missing")
        except OSError as error:
            yield RecordError(name, f"cannot be read: {error.strerror}")
        else:
            if own != said:
                rule = f"its SHA-256 is {own}, {manifests.MANIFEST} says {said}"
                yield RecordError(name, rule)
    own_names = {place.shard.name for place in places(manifest)} | set(manifest.files)
    for name in sorted(path.name for path in folder.iterdir()):
        # As patterns such as `train*` or `*.tfrecord*` match names, which readers use.
        matched = ".tfrecord" in name or name.startswith(tuple(manifest.splits))
        if matched and name not in own_names and not name.startswith("."):
            rule = "is not of this dataset, and readers that look for shards by their name would "
            yield RecordError(name, rule + "read it; remove it")
    if MAPPING_FILE in manifest.files and (folder / MAPPING_FILE).exists():
        yield from _mapping(folder / MAPPING_FILE, manifest)


def _mapping(path: Path, manifest: Manifest) -> Iterator[RecordError]:
    try:
        classes = json.loads(storage.read_bytes(path))
    except (OSError, ValueError, RecursionError):
        classes = None
    if classes != manifest.classes:
        yield RecordError(path.name, "is not the mapping of the manifest")


def _counts(manifest: Manifest, index: pa.Table) -> Iterator[RecordError]:
    """Class counts and missing masks of the manifest against the index."""
    names = {number: name for name, number in manifest.classes.items()}
    for place in places(manifest):
        labels = index["label"].slice(place.shard.first_row, place.shard.records)
        counted = {
            entry["values"]: entry["counts"]
            for entry in pc.value_counts(labels).to_pylist()
            if entry["values"] is not None
        }
        found = {names.get(number, f"id {number}"): times for number, times in counted.items()}
        what = f"{place.shard.name}: class counts"
        yield from _same_counts(what, place.shard.class_counts, found, "the index counts")
    missing = index.num_rows - (pc.sum(index["has_mask"]).as_py() or 0)
    if missing != manifest.masks.missing:
        rule = f"masks: says {manifest.masks.missing} are missing, the index counts {missing}"
        yield RecordError(manifests.MANIFEST, rule)
    twice = index.num_rows - pc.count_distinct(index["key"]).as_py()
    if twice:
        yield RecordError(manifests.INDEX, f"keys that occur more than once: {twice}")
