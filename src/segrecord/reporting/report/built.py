"""What was built, in words and numbers, and the command that builds it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from segrecord.building.command import build_command
from segrecord.reading.index import split_rows
from segrecord.reporting.layout import count_text, size_text

if TYPE_CHECKING:
    from segrecord.records.manifest import Manifest
    from segrecord.reporting.report.data import Data


class SplitRow(NamedTuple):
    """One split, as a row of a table."""

    name: str
    records: int
    share: float
    """Percent."""
    shards: int
    bytes: str
    groups: int | None
    """None: no sample has one."""
    masks: int


class Built(NamedTuple):
    """The dataset."""

    tiles: tuple[tuple[str, str], ...]
    """The few large numbers: what, how many."""
    splits: tuple[SplitRow, ...]
    facts: tuple[tuple[str, str], ...]
    command: str
    options: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


def built(data: Data, command: str, seconds: float | None) -> Built:
    """What was built.

    Args:
        data: the dataset.
        command: that built it; "": it is put together from the options.
        seconds: that it took; None: unknown.
    """
    manifest = data.manifest
    return Built(
        tiles=tuple(_tiles(manifest)),
        splits=tuple(_splits(data)),
        facts=tuple(_facts(manifest, seconds)),
        command=command or build_command(manifest)[1].strip(),
        options=tuple(
            (f"{group}: {name}", json.dumps(value, ensure_ascii=False))
            for group, options in manifest.options.items()
            for name, value in options.items()
        ),
        versions=tuple(manifest.versions.items()),
    )


def _tiles(manifest: Manifest) -> list[tuple[str, str]]:
    splits = manifest.splits.values()
    counts = [
        (manifest.samples, "sample", "samples"),
        (manifest.samples - manifest.masks.missing, "with a mask", "with a mask"),
        (len(manifest.classes), "class", "classes"),
        (len(manifest.masks.classes), "mask class", "mask classes"),
        (len(splits), "split", "splits"),
        (sum(len(split.shards) for split in splits), "shard", "shards"),
    ]
    tiles = [(one if count == 1 else many, f"{count:,}") for count, one, many in counts]
    return [*tiles, ("in all shards", size_text(sum(split.bytes for split in splits)))]


def _splits(data: Data) -> list[SplitRow]:
    manifest, rows = data.manifest, split_rows(data.manifest)
    found = []
    for name, split in manifest.splits.items():
        part = data.index.slice(rows[name].start, split.records)
        groups = pc.count_distinct(part["group"], mode="only_valid").as_py()
        found.append(
            SplitRow(
                *(name, split.records, 100 * split.records / max(manifest.samples, 1)),
                *(len(split.shards), size_text(split.bytes), groups),
                int(np.count_nonzero(part["has_mask"].to_numpy())),
            )
        )
    if not any(row.groups for row in found):
        return [row._replace(groups=None) for row in found]
    return found


def _facts(manifest: Manifest, seconds: float | None) -> list[tuple[str, str]]:
    found = [
        ("source", manifest.understood),
        ("schema", f"{manifest.schema_name}, compression {manifest.compression}"),
        ("seed", str(manifest.seed)),
        ("left out", count_text(manifest.quarantined, "sample")),
        ("segrecord", manifest.segrecord),
        ("fingerprint", manifest.fingerprint),
    ]
    if manifest.extends:
        found.append(("extends", manifest.extends))
    if manifest.pseudonymized:
        found.append(("pseudonyms", "keys and groups are pseudonyms"))
    if seconds is not None:
        found.append(("built in", f"{seconds:.1f} s"))
    return [(name, value) for name, value in found if value]
