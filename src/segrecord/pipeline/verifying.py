"""The verb `verify`: every record of a dataset checked, and compared with its source if given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from segrecord.engines import LocalEngine
from segrecord.errors import RecordError, UsageError
from segrecord.options import PlanOptions, SourceOptions
from segrecord.pipeline import pseudonyms, scanning
from segrecord.pipeline.monitor import Monitor, Watched
from segrecord.pipeline.telling import tell_problems, watching
from segrecord.planning import classes as classing
from segrecord.planning import plan as planning
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
            mapped = _mappings(manifest, source, _options(manifest, source, metadata, root))
            report = report._replace(problems=(*report.problems, *mapped, *problems), compared=True)
    tell_problems(report.problems, "verify")
    return report


def _mappings(
    manifest: manifests.Manifest, source: Any, options: SourceOptions
) -> list[RecordError]:
    """Files of class ids beside the source that give other ids than the dataset has."""
    found: list[RecordError] = []
    if "mapping-contradicts" in manifest.options.get("checks", {}).get("ignore", ()):
        return found
    for path in scanning.mappings(source, options):
        ids = classing.mapping_or_none(path)
        if ids and manifest.classes and (told := classing.contradiction(ids, manifest.classes)):
            found.append(RecordError(path, f"{told} as the dataset does; build it again"))
    return found


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
        SourceError: the source cannot be understood.
    """
    manifest = manifests.load(dataset)
    secret = _secret(manifest, dataset, pseudonymize)
    understood = understand(source, _options(manifest, source, metadata, root))
    if secret is not None:
        understood, _ = pseudonyms.disguise(understood, secret)
    return planning.shared_out(understood.samples, _plan(manifest)).samples


def _plan(manifest: manifests.Manifest) -> PlanOptions:
    """What shared the samples out in the build: the source's splits say nothing then."""
    told = manifest.options.get("plan", {})
    extended = "DATASET" if manifest.extends else None
    return PlanOptions(split=told.get("split"), folds=told.get("folds"), extend=extended)


def _secret(
    manifest: manifests.Manifest, dataset: str | Path, pseudonymize: str | None
) -> bytes | None:
    secret = pseudonyms.read_secret(pseudonymize) if pseudonymize is not None else None
    pseudonyms.require_same(manifest.pseudonymized, secret, dataset)
    return secret


def _options(
    manifest: manifests.Manifest,
    source: Any,
    metadata: str | Path | Sequence[str | Path] | None,
    root: str | None,
) -> SourceOptions:
    """The source options of the build, as the manifest tells them."""
    told = dict(manifest.options["source"])
    names = told.pop("metadata", None)
    if names is not None and not metadata:
        names = [names] if isinstance(names, str) else names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(
                f"the dataset was built with two tables called {twice}; pass both with --metadata"
            )
        metadata = [_find(name, source) for name in names]
    return SourceOptions(**told, metadata=metadata, root=root)  # type: ignore[arg-type]


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
