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

from segrecord.engines import EngineFailure
from segrecord.errors import RecordError
from segrecord.reading.content import CheckTask, IndexRow
from segrecord.reading.index import open_index, places, rows_of
from segrecord.reading.shards import Checked, check_file, check_shard, examine_shard
from segrecord.records import manifest as manifests
from segrecord.records import regular
from segrecord.records.schemas import layout_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from segrecord.engines import Runner
    from segrecord.reading.index import Place
    from segrecord.records.manifest import Manifest

__all__ = [
    "CheckTask",
    "IndexRow",
    "Report",
    "check_dataset",
    "check_shard",
    "open_index",
    "tasks_of",
]

MAPPING_FILE = "class_mapping.json"


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
        problems += _run(engine, check_file, list(_file_tasks(folder, manifest)), manifest)
    else:
        problems += _counts(manifest, index)
        problems += _run(
            engine, examine_shard, tasks_of(folder, manifest, index, decode=decode), manifest
        )
    parts = manifest.splits.values()
    return Report(
        tuple(problems),
        sum(len(split.shards) for split in parts),
        sum(split.records for split in parts),
        sum(split.bytes for split in parts),
        tuple(not_checked),
    )


def tasks_of(
    dataset: str | Path, manifest: Manifest, index: pa.Table, *, decode: bool
) -> Iterator[CheckTask]:
    """A task for each shard, in the order of the index, made as they are drawn."""
    for place in places(manifest):
        yield _task(Path(dataset), manifest, place, rows_of(index, place.shard), decode=decode)


def _file_tasks(folder: Path, manifest: Manifest) -> Iterator[CheckTask]:
    for place in places(manifest):
        yield _task(folder, manifest, place, (), decode=False)


def _task(
    folder: Path, manifest: Manifest, place: Place, rows: tuple[IndexRow, ...], *, decode: bool
) -> CheckTask:
    layout = layout_of(manifest)
    records = manifest.options.get("records", {})
    return CheckTask(
        path=str(folder / place.shard.name),
        name=place.shard.name,
        layout=layout,
        compression=manifest.compression,
        mask_classes=len(manifest.masks.classes) if manifest.masks.checked else 0,
        bytes=place.shard.bytes,
        sha256=place.shard.sha256,
        rows=rows,
        decode=decode,
        missing_mask=str(records.get("missing_mask", "ignore")),
        one_hot=layout.one_hot,
        class_names=tuple(manifest.classes.items()),
    )


def _run(
    engine: Runner,
    function: Callable[[CheckTask], Checked],
    tasks: Iterator[CheckTask] | list[CheckTask],
    manifest: Manifest,
) -> list[RecordError]:
    """The problems of all shards, in the order of the shards."""
    names = [place.shard.name for place in places(manifest)]
    hashes = {place.shard.sha256: place.shard.name for place in places(manifest)}
    found: dict[int, list[RecordError]] = {}
    for number, result in engine.run(function, tasks):
        if isinstance(result, EngineFailure):
            rule = f"could not be checked: {result.message}"
            found[number] = [RecordError(names[number], rule)]
            continue
        problems = list(result.problems)
        owner = hashes.get(result.sha256, names[number])
        if owner != names[number] and problems:
            problems.insert(0, RecordError(names[number], f"has the content of {owner}"))
        found[number] = problems
    return [problem for number in sorted(found) for problem in found[number]]


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
            found = _sha256(folder / name, wanted=bool(said))
        except FileNotFoundError:
            yield RecordError(name, "the file is missing")
        except OSError as error:
            yield RecordError(name, f"cannot be read: {error.strerror}")
        else:
            if found != said:
                rule = f"its SHA-256 is {found}, {manifests.MANIFEST} says {said}"
                yield RecordError(name, rule)
    known = {place.shard.name for place in places(manifest)}
    for path in sorted(folder.iterdir()):
        if path.name not in known and _globbed(path.name, manifest):
            yield RecordError(
                path.name,
                "is not of this dataset, and readers that look for shards by their name would "
                "read it; remove it",
            )
    if MAPPING_FILE in manifest.files and (folder / MAPPING_FILE).exists():
        yield from _mapping(folder / MAPPING_FILE, manifest)


def _sha256(path: Path, *, wanted: bool) -> str:
    """SHA-256 of a regular file, in hexadecimal; "" where it is not wanted."""
    with regular.open_binary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if wanted else ""


def _globbed(name: str, manifest: Manifest) -> bool:
    """Whether patterns such as `train*` or `*.tfrecord*` match this name, as readers use them."""
    if name.startswith(".") or name in manifest.files:
        return False
    return ".tfrecord" in name or name.startswith(tuple(manifest.splits))


def _mapping(path: Path, manifest: Manifest) -> Iterator[RecordError]:
    try:
        classes = json.loads(regular.read_bytes(path))
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
