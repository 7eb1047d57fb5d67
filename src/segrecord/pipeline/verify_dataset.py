"""The verb `verify`: every record of a dataset checked, and compared with its source if given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from segrecord.errors import RecordError, UsageError
from segrecord.executors import LocalEngine
from segrecord.format import manifest as manifests
from segrecord.options import SourceOptions
from segrecord.pipeline import scan_source
from segrecord.pipeline.monitor import Monitor, Watched, report_problems, watching
from segrecord.privacy import pseudonyms
from segrecord.sources.loading import load_source
from segrecord.splits import classes as classing
from segrecord.splits import plan as planning
from segrecord.verification import checker, source_compare
from segrecord.verification.checker import Report

PRELOAD = ("segrecord.verification.shard_check", "segrecord.verification.source_compare")
"""What workers import at once."""


def verify(
    dataset: str | Path,
    *,
    source: Any = None,
    metadata: str | Path | Sequence[str | Path] | None = None,
    root: str | None = None,
    pseudonymize: str | None = None,
    workers: int | None = None,
    monitor: Monitor | None = None,
) -> Report:
    """Read and check every record; with the source, compare every pixel and label with it.

    Args:
        dataset: the folder of the dataset.
        source: what the dataset was built from; None: the dataset is checked by itself.
        metadata: where the tables lie that were passed as --metadata; by default they are looked
            for in the source folder and beside it.
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
        SourceError: the source cannot be loaded; likewise.
    """
    folder = Path(dataset)
    manifest = manifests.load(folder)
    if pseudonymize is not None and source is None:
        _secret(manifest, dataset, pseudonymize)
    shards = sum(len(split.shards) for split in manifest.splits.values())
    with watching(monitor) as watcher, LocalEngine(workers, PRELOAD) as engine:
        samples = None
        if source is not None:  # what is wrong with it is reported before the shards are read
            samples = originals(folder, source, metadata, root, pseudonymize)
        report = checker.check_dataset(folder, Watched(engine, watcher, "verify", shards))
        if samples is not None:
            watched = Watched(engine, watcher, "compare", shards)
            mapped: list[RecordError] = []
            problems = source_compare.compare_dataset(folder, samples, watched)
            if "mapping-contradicts" not in manifest.build_options().checks.ignore:
                options = _source_options(manifest, source, metadata, root)
                for path in scan_source.mappings(source, options):
                    ids = classing.mapping_or_none(path)
                    if not (ids and manifest.classes):
                        continue
                    if rule := classing.contradiction(ids, manifest.classes):
                        rule += " as the dataset does; build it again"
                        mapped.append(RecordError(path, rule))
            report = report._replace(problems=(*report.problems, *mapped, *problems), compared=True)
    report_problems(report.problems, "verify")
    return report


def originals(
    dataset: str | Path,
    source: Any,
    metadata: str | Path | Sequence[str | Path] | None = None,
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
        SourceError: the source cannot be loaded.
    """
    manifest = manifests.load(dataset)
    secret = _secret(manifest, dataset, pseudonymize)
    loaded = load_source(source, _source_options(manifest, source, metadata, root))
    if secret is not None:
        loaded, _ = pseudonyms.pseudonymize(loaded, secret)
    # What shared the samples out in the build: the source's splits say nothing then.
    extended = "DATASET" if manifest.extends else None
    plan = replace(manifest.build_options().plan, extend=extended)
    return planning.shared_out(loaded.samples, plan).samples


def _secret(
    manifest: manifests.Manifest, dataset: str | Path, pseudonymize: str | None
) -> bytes | None:
    secret = pseudonyms.read_secret(pseudonymize) if pseudonymize is not None else None
    pseudonyms.require_same(manifest.pseudonymized, secret, dataset)
    return secret


def _source_options(
    manifest: manifests.Manifest,
    source: Any,
    metadata: str | Path | Sequence[str | Path] | None,
    root: str | None,
) -> SourceOptions:
    """The source options of the build, with its tables where they lie now."""
    tables: Any = metadata
    if not metadata:
        names, tables = manifest.metadata_tables, []
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(
                f"the dataset was built with two tables called {twice}; pass both with --metadata"
            )
        beside = isinstance(source, str | Path)
        folders = (Path(source), Path(source).parent) if beside else ()
        for name in names:
            if not name or manifests.file_name_rule(name):  # one that leads elsewhere
                raise UsageError(
                    "the dataset was built with a metadata table; pass --metadata FILE"
                )
            there = [str(folder / name) for folder in folders if (folder / name).is_file()]
            if not there:
                raise UsageError(
                    f"the dataset was built with --metadata {name}, which lies neither in {source} "
                    "nor beside it; pass --metadata FILE"
                )
            tables.append(there[0])
    return replace(manifest.build_options().source, metadata=tables, root=root)
