"""The verb `build`: a source in, a verified dataset out, whole or not at all."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.errors import DataError, EngineError, OutputError, RecordError
from segrecord.executors import Engine, EngineFailure, LocalEngine
from segrecord.export import card, croissant, sidecars, tfds
from segrecord.findings import Finding
from segrecord.format import manifest as manifests
from segrecord.options import MAPPING_FILE, Options
from segrecord.pipeline import scan_source
from segrecord.pipeline.context import BuildContext
from segrecord.pipeline.evaluate import Quarantined, Scan, quarantine
from segrecord.pipeline.monitor import Monitor, report_findings, watching
from segrecord.privacy import pseudonyms, redact
from segrecord.read.index import open_index
from segrecord.scanning import facts
from segrecord.scanning.checkpoint import KeptScan
from segrecord.splits import plan as planning
from segrecord.verification import checker
from segrecord.verification.shard_check import examine_shard
from segrecord.write import assemble, staging
from segrecord.write.shard_writer import WriteOptions, write_shard

_COPIES = "copies: pictures were not compared, splits may hold the same one"

NOT_CHECKED = {
    "full": (),
    "basic": ("image pixels: files are sound, but PNG images were not decoded", _COPIES),
    "none": (
        "pixels: only headers were read, no image or mask was decoded",
        "mask values: masks were copied unread, right only where they hold class ids",
        _COPIES,
    ),
}
"""What --checks leaves unchecked, in plain words."""


class Built(NamedTuple):
    """What a build made."""

    path: Path
    manifest: manifests.Manifest
    findings: tuple[Finding, ...]
    seconds: float
    """Wall time of the whole build."""
    reused_shards: int
    """Shards that an earlier, interrupted run had finished."""


class _Build(NamedTuple):
    """What every step of one build needs."""

    context: BuildContext
    engine: Engine
    stage: staging.Stage
    monitor: Monitor
    card: card.Card

    @property
    def options(self) -> Options:
        """What was asked for, with the shares of the dataset that is extended."""
        return self.context.options


def build(source: Any, out: str | Path, *, monitor: Monitor | None = None, **options: Any) -> Built:
    """Scan a source, check it, and write it as TFRecord shards, read back before the commit.

    Killed anywhere and called again with the same arguments, it goes on where it stopped.

    Args:
        source: as for `scan`.
        out: the folder of the dataset; it must be new, empty, or (with `overwrite`) a dataset.
        monitor: is told how the work goes; None: whoever sits at a terminal or notebook, if
            anybody does. `Silent()` tells nobody.
        **options: see `segrecord.options`.

    Raises:
        DataError: the data has errors; they are listed in `findings.csv` in the output.
        UsageError: an option is wrong, or does not fit the source.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    chosen, target = Options.of(**options), Path(out)
    sources = [Path(source)] if isinstance(source, str | Path) else []
    staging.check_output(target, sources, overwrite=chosen.run.overwrite)
    redact.check_paths(chosen.records, target)
    described = card.Card() if chosen.report.card is None else card.read_card(chosen.report.card)
    context = BuildContext.of(chosen, target)
    private = context.secret is not None
    with (
        watching(monitor) as watcher,
        LocalEngine(chosen.run.workers, scan_source.PRELOAD) as engine,
        staging.opened(target) as stage,
    ):
        try:
            # Again, now that no other build can commit.
            staging.check_output(target, sources, overwrite=chosen.run.overwrite)
            run = _Build(context, engine, stage, watcher, described)
            scanned = _scan(source, run)
            try:
                kept = quarantine(context, scanned)
                folders = _folders(source, scanned.samples, chosen)
                findings = sidecars.relative(scanned.with_names(kept.findings), folders)
                own = redact.redacted(kept.findings) if private else findings
                manifest, reused = _write(kept._replace(findings=own), run)
            except DataError as error:
                raise _listed(error, scanned, stage) from None
            stage.close()
        except OSError as error:  # a full or failing disk, met here and not by a worker
            raise OutputError(
                f"{out} cannot be written: {error.strerror or error}; fix that and run the same "
                "command again: what is finished is kept"
            ) from error
    shown = watcher if monitor is None else None
    report_findings(findings, "build", shown, private=private, written=True)
    return Built(target, manifest, findings, time.perf_counter() - began, reused)


def _scan(source: Any, run: _Build) -> Scan:
    draft_rule = facts.draft_rule(run.options.pixels, run.options.records)
    store = KeptScan(run.stage.scan, draft_rule, assemble.versions())
    facts_file = run.stage.out / manifests.FACTS_FILE
    earlier = scan_source.earlier_facts(facts_file, run.options.checks.facts)
    try:
        return scan_source.run(source, run.context, run.engine, store, earlier, run.monitor)
    finally:
        store.close()


def _folders(source: Any, samples: pa.Table, options: Options) -> list[str]:
    """The folders in which the source lies, each as findings write it before a path."""
    tables = options.source.metadata
    named = [options.source.root, *(os.path.dirname(table) for table in tables)]  # noqa: PTH120 - as written
    if isinstance(source, str | Path):
        path = os.fspath(source)
        named.append(path if os.path.isdir(path) else os.path.dirname(path))  # noqa: PTH112, PTH120 - as above
    masks = pc.list_flatten(samples["mask"]).combine_chunks().field("source")
    for paths in (samples["image"].to_pylist(), masks.to_pylist()):
        folders = {os.path.dirname(path) for path in paths if os.path.isabs(path)}  # noqa: PTH117, PTH120 - as above
        common = os.path.commonpath(folders) + os.sep if folders else ""
        if not any(common.startswith(os.path.abspath(name) + os.sep) for name in named if name):  # noqa: PTH100 - as above
            named.append(common)
    bases = {form.rstrip("/\\") for name in named if name for form in (name, os.path.abspath(name))}  # noqa: PTH100 - as above
    return [base + os.sep for base in sorted(bases - {"", "."}, key=len, reverse=True)]


def _listed(error: DataError, scanned: Scan, stage: staging.Stage) -> DataError:
    """The error that ends the build, once its findings stand in a list with the source's names."""
    findings = scanned.with_names(error.findings)
    holds_dataset = (stage.out / manifests.MANIFEST).exists()  # whose findings are its own
    path = (stage.scan.parent if holds_dataset else stage.out) / sidecars.FINDINGS_FILE
    with storage.new_file(path) as file:
        file.write(sidecars.findings_csv(findings))
    errors = sum(finding.level == "error" for finding in findings)
    end = f"{path} lists all"
    if holds_dataset and scanned.crosswalk is not None:
        end += f" with the names of the source: remove {path.parent} before you pass on {stage.out}"
    some = f"{errors} error{'s' * (errors != 1)} in the data"
    return DataError(f"{some}: {error.summary}; {end}", findings)


def _write(kept: Quarantined, run: _Build) -> tuple[manifests.Manifest, int]:
    """Plan, write and read back the shards, and commit the dataset."""
    inputs = _inputs(kept.scan, run)
    fingerprint = assemble.fingerprint(inputs)
    specs = assemble.specs(inputs.plan)
    staged = run.stage.staged()
    # Under --checks none the fingerprint alone does not tell that the files are the same.
    if staged and staged.fingerprint == fingerprint and staged.masks.checked:
        _publish(staged, kept, run)
        return staged, len(specs)
    if staged is not None:
        run.stage.abandon()
    resume_fingerprint = assemble.resume_fingerprint(inputs, fingerprint)
    options = assemble.write_options(inputs, kept.scan.reading, resume_fingerprint)
    reused = _write_shards(inputs, specs, options, run)
    parts, sizes = [], []
    for spec in specs:
        sidecar = run.stage.sidecar(spec.name(run.options.records.compression))
        parts.append(assemble.index(inputs, spec, sidecar))
        sizes.append(sidecar["bytes"])
    index = pa.concat_tables(parts).combine_chunks()
    if run.options.records.crosswalk is not None and kept.scan.crosswalk is not None:
        redact.write_crosswalk(run.options.records.crosswalk, kept.scan.crosswalk)
    splits = assemble.splits(inputs, specs, sizes, index["label"].combine_chunks())
    manifest = _manifest(kept, fingerprint, run, splits)
    files = _files(inputs, kept, index) | sidecars.labels(manifest) | tfds.files(manifest, index)
    manifest = manifest.with_hashes(_read_back(manifest, index, run)).with_files(files)
    described = croissant.croissant(manifest, index, run.card)
    manifest = manifest.with_files({croissant.CROISSANT_FILE: described})
    files[croissant.CROISSANT_FILE] = described
    files[sidecars.README_FILE] = card.card(manifest, index, run.card)
    for name, content in files.items():
        run.stage.write(name, content)
    open_index(run.stage.files, manifest)  # its rows must be those of the shards
    run.stage.seal(manifest)
    _publish(manifest, kept, run)
    return manifest, reused


def _publish(manifest: manifests.Manifest, kept: Quarantined, run: _Build) -> None:
    """Write the report of what stands in the stage, and commit the dataset."""
    report_file = sidecars.REPORT_FILE
    # Where files were moved up already, by a run that was killed, it was written before.
    if report_file in manifest.files and run.stage.holds(manifest, but=report_file):
        from segrecord.report import page  # noqa: PLC0415 - jinja2, only where it is written

        thumbnails = not run.options.report.no_thumbnails
        page.write(run.stage.files, thumbnails=thumbnails, sources=kept.images)
    run.stage.move_up()


def _inputs(sound: Scan, run: _Build) -> assemble.BuildInputs:
    masks = sound.facts["masks"].combine_chunks()
    sizes = sound.facts["image_bytes"].to_numpy().copy()
    in_masks = pc.fill_null(masks.flatten().field("bytes"), 0).to_numpy()
    np.add.at(sizes, pc.list_parent_indices(masks).to_numpy(), in_masks)
    drafts = pa.array([False] * len(sound.samples))
    if sound.reading is not None:
        drafts = facts.usable_drafts(sound.facts, sound.reading.map)
    names = [name for name in sound.splits if name is not None]  # a missing one is an error
    return assemble.BuildInputs(
        samples=sound.samples,
        facts=sound.facts if sound.crosswalk is None else redact.redacted_facts(sound.facts),
        plan=planning.make(sound.samples, names, sizes, run.options.plan),
        drafts=drafts,
        draft_folder=str(run.stage.scan),
        classes=sound.classes,
        options=run.options,
    )


def _write_shards(
    inputs: assemble.BuildInputs,
    specs: list[assemble.ShardSpec],
    options: WriteOptions,
    run: _Build,
) -> int:
    """Write the shards that are not finished yet; returns how many were.

    Raises:
        DataError: files are no longer what was scanned, or broke a worker.
        OutputError: the output cannot be written.
    """
    names = [spec.name(options.compression) for spec in specs]
    run.stage.drop(set(names))
    wanted = []
    for spec, name in zip(specs, names, strict=True):
        if run.stage.finished(name, options.resume_fingerprint):
            run.stage.sync(name)  # the run that wrote it may have died before it was on disk
        else:
            wanted.append(spec)
    reused = len(specs) - len(wanted)
    run.monitor.stage("write", len(specs))
    run.monitor.progress(reused)
    findings: list[Finding] = []
    failures: list[str] = []
    tasks = assemble.tasks(inputs, wanted, str(run.stage.files), options)
    for done, (number, result) in enumerate(run.engine.run(write_shard, tasks), reused + 1):
        if isinstance(result, EngineFailure):
            name = wanted[number].name(options.compression)
            failures.append(f"{name}: {result.message}{f' on {result.note}' * bool(result.note)}")
            continue
        findings += [replace(problem, level="error") for problem in result.problems]
        failures += [result.failure] * bool(result.failure)
        if not (result.problems or result.failure):
            run.stage.sync(result.name)
        run.monitor.progress(done)
    if findings:
        changed = any(finding.code == "changed-since-scan" for finding in findings)
        # What --checks none has not read may turn out to be broken.
        why = "changed while they were read" if changed else "are not what their headers say"
        raise DataError(f"files {why}", tuple(findings))
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise OutputError(failures[0] + more)
    return reused


def _manifest(
    kept: Quarantined, fingerprint: str, run: _Build, splits: dict[str, manifests.Split]
) -> manifests.Manifest:
    options, scan, context = run.options, kept.scan, run.context
    counts = Counter(finding.code for finding in kept.findings)
    bare = pc.sum(pc.equal(pc.list_value_length(scan.samples["mask"]), 0)).as_py()
    report = {} if options.report.no_report else {sidecars.REPORT_FILE: ""}
    return manifests.Manifest(
        segrecord=version("segrecord"),
        versions=assemble.versions(),
        fingerprint=fingerprint,
        schema_name=options.records.schema,
        compression=options.records.compression,
        seed=options.plan.seed,
        options=assemble.recorded_options(options),
        reads_as=scan.loaded.sentence,
        classes=scan.classes,
        masks=manifests.Masks(
            classes=scan.reading.classes if scan.reading else (),
            values=dict(scan.reading.map.ids) if scan.reading else {},
            threshold=scan.reading.map.threshold if scan.reading else None,
            checked=options.checks.checks != "none",
            missing=int(bare or 0),
        ),
        keep_columns=options.source.keep_columns,
        samples=len(scan.samples),
        quarantined=len(kept.keys),
        pseudonymized=pseudonyms.check_value(context.secret) if context.secret else "",
        extends=context.old.fingerprint if context.old else "",
        findings=dict(sorted(counts.items())),
        not_checked=NOT_CHECKED[options.checks.checks],
        splits=splits,
        files={sidecars.README_FILE: "", **report},
    )


def _files(inputs: assemble.BuildInputs, kept: Quarantined, index: pa.Table) -> dict[str, bytes]:
    """The tables and lists beside the shards, by name."""
    files = {
        manifests.INDEX: sidecars.arrow_file(index),
        manifests.FACTS_FILE: scan_source.facts_bytes(inputs.facts),
        sidecars.FINDINGS_FILE: sidecars.findings_csv(kept.findings),
    }
    if inputs.classes:
        files[MAPPING_FILE] = sidecars.mapping_json(inputs.classes)
    if kept.keys or any(finding.code in sidecars.NO_SAMPLE for finding in kept.findings):
        listed = sidecars.quarantine_csv(kept.findings, set(kept.keys))
        files[sidecars.QUARANTINE_FILE] = listed
    return files


def _read_back(manifest: manifests.Manifest, index: pa.Table, run: _Build) -> dict[str, str]:
    """Read every shard again, by code that shares nothing with the writer.

    Returns:
        The SHA-256 of each shard, by name, of the bytes whose CRCs and content were checked.

    Raises:
        RecordError: what stands on disk is not what was to be written.
        EngineError: a worker died.
    """
    run.monitor.stage("read back", sum(len(split.shards) for split in manifest.splits.values()))
    names = [shard.name for split in manifest.splits.values() for shard in split.shards]
    hashes: dict[str, str] = {}
    tasks = checker.tasks_of(run.stage.files, manifest, index, decode=False)
    for done, (number, result) in enumerate(run.engine.run(examine_shard, tasks), 1):
        if isinstance(result, EngineFailure):
            raise EngineError(f"reading a shard back ended in: {result.message}")
        hashes[names[number]] = result.sha256
        for problem in result.problems:
            run.stage.forget(problem.shard)
            raise RecordError(
                problem.shard,
                f"{problem.rule}, found on reading it back; check the disk and run again",
                problem.record,
                problem.offset,
            )
        run.monitor.progress(done)
    return hashes
