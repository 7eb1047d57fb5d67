"""The verb `verify`: every record of a dataset checked, and compared with its source if given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from segrecord.engines import LocalEngine
from segrecord.errors import UsageError
from segrecord.options import SourceOptions
from segrecord.pipeline import pseudonyms
from segrecord.pipeline.monitor import Monitor, Watched
from segrecord.pipeline.telling import tell_problems, watching
from segrecord.reading import compare
from segrecord.reading import verify as reading
from segrecord.reading.verify import Report
from segrecord.records import manifest as manifests
from segrecord.records import regular
from segrecord.sources.source import understand

PRELOAD = ("segrecord.reading.shards", "segrecord.reading.compare")
"""What workers import at once."""


def verify(
    dataset: str | Path,
    *,
    source: Any = None,
    metadata: str | None = None,
    root: str | None = None,
    pseudonymize: str | None = None,
    workers: int | None = None,
    monitor: Monitor | None = None,
) -> Report:
    """Read and check every record; with the source, compare every pixel and label with it.

    Args:
        dataset: the folder of the dataset.
        source: what the dataset was built from; None: the dataset is checked by itself.
        metadata: where the table lies that was passed as --metadata; by default it is looked for
            in the source folder and beside it.
        root: as in the build.
        pseudonymize: the key file of the build, where it had one.
        workers: worker processes; None: one a core.
        monitor: is told how the work goes; None: whoever sits at a terminal or notebook, if
            anybody does. `Silent()` tells nobody.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: manifest or index are damaged.
        UsageError: the metadata table is not found, or the key file is not that of the build;
            told before a shard is read.
        SourceError: the source cannot be understood; likewise.
    """
    folder = Path(dataset)
    manifest = manifests.load(folder)
    if pseudonymize is not None and source is None:
        _secret(manifest, dataset, pseudonymize)
    shards = sum(len(split.shards) for split in manifest.splits.values())
    with watching(monitor) as told, LocalEngine(workers, PRELOAD) as engine:
        samples = None
        if source is not None:  # what is wrong with it is told before the shards are read
            samples = originals(folder, source, metadata, root, pseudonymize)
        report = reading.check_dataset(folder, Watched(engine, told, "verify", shards))
        if samples is not None:
            watched = Watched(engine, told, "compare", shards)
            problems = compare.compare_dataset(folder, samples, watched)
            report = report._replace(problems=(*report.problems, *problems), compared=True)
    tell_problems(report.problems, "verify")
    return report


def originals(
    dataset: str | Path,
    source: Any,
    metadata: str | None = None,
    root: str | None = None,
    pseudonymize: str | None = None,
) -> pa.Table:
    """The samples (schema tables.SAMPLES) that a dataset was built from, under its keys.

    Args:
        dataset: its folder.
        source: as for `verify`.
        metadata: as for `verify`.
        root: as for `verify`.
        pseudonymize: as for `verify`.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest is damaged.
        UsageError: as for `verify`.
        SourceError: the source cannot be understood.
    """
    manifest = manifests.load(dataset)
    secret = _secret(manifest, dataset, pseudonymize)
    understood = understand(source, _options(manifest, source, metadata, root))
    if secret is not None:
        understood, _ = pseudonyms.disguise(understood, secret)
    return understood.samples


def _secret(
    manifest: manifests.Manifest, dataset: str | Path, pseudonymize: str | None
) -> bytes | None:
    secret = pseudonyms.read_secret(pseudonymize) if pseudonymize is not None else None
    pseudonyms.require_same(manifest.pseudonymized, secret, dataset)
    return secret


def _options(
    manifest: manifests.Manifest, source: Any, metadata: str | None, root: str | None
) -> SourceOptions:
    """The source options of the build, as the manifest tells them."""
    told = dict(manifest.options["source"])
    name = told.pop("metadata", None)
    if name is not None and metadata is None:
        metadata = _find(name, source)
    return SourceOptions(**told, metadata=metadata, root=root)


def _find(name: str, source: Any) -> str:
    if not name or regular.name_rule(name):  # one that leads elsewhere is not looked for
        raise UsageError("the dataset was built with a metadata table; pass --metadata FILE")
    if isinstance(source, str | Path):
        for folder in (Path(source), Path(source).parent):
            if (folder / name).is_file():
                return str(folder / name)
    raise UsageError(
        f"the dataset was built with --metadata {name}, which lies neither in {source} nor beside "
        "it; pass --metadata FILE"
    )
