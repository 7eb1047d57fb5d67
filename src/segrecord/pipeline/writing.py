"""The verb `build`: a source in, a verified dataset out, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.building import assemble, card, croissant, sidecars, stage, tfds
from segrecord.building.shard import ShardRules, write_shard
from segrecord.engines import Engine, EngineFailure, LocalEngine
from segrecord.errors import DataError, EngineError, Finding, OutputError, RecordError
from segrecord.options import Options
from segrecord.pipeline import disclosure, known, pseudonyms, scanning
from segrecord.pipeline.judging import Judge, Scan
from segrecord.pipeline.monitor import Monitor
from segrecord.pipeline.sifting import LeftOut, sift
from segrecord.pipeline.telling import tell, watching
from segrecord.planning import plan as planning
from segrecord.quality import facts
from segrecord.quality.kept import KeptScan
from segrecord.reading import verify as reading
from segrecord.reading.index import open_index
from segrecord.reading.shards import examine_shard
from segrecord.records import manifest as manifests


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

    judge: Judge
    engine: Engine
    place: stage.Stage
    monitor: Monitor
    card: card.Card

    @property
    def options(self) -> Options:
        """What was asked for, with the shares of the dataset that is extended."""
        return self.judge.options


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
    inputs = [Path(source)] if isinstance(source, str | Path) else []
    stage.check_output(target, inputs, overwrite=chosen.run.overwrite)
    disclosure.check_places(chosen.records, target)
    given = chosen.report.card
    said = card.read_card(given) if given is not None else card.Card()
    judge = Judge.of(chosen, target)
    with (
        watching(monitor) as watcher,
        LocalEngine(chosen.run.workers, scanning.PRELOAD) as engine,
        stage.opened(target) as place,
        _no_space_left(target),
    ):
        # Again, now that no other build can commit.
        stage.check_output(target, inputs, overwrite=chosen.run.overwrite)
        run = _Build(judge, engine, place, watcher, said)
        scanned = _scan(source, run)
        sound, left_out = sift(scanned, judge, partial(_stop, place, scanned))
        bases = _folders(source, scanned.samples, chosen)
        told = sidecars.told(scanned.recognised(left_out.findings), bases)
        own = told if judge.secret is None else disclosure.told(left_out.findings)
        manifest, reused = _write(sound, left_out._replace(findings=own), run)
        place.close()
    shown = watcher if monitor is None else None
    tell(told, "build", shown, private=judge.secret is not None, written=True)
    return Built(target, manifest, told, time.perf_counter() - began, reused)


@contextlib.contextmanager
def _no_space_left(out: Path) -> Iterator[None]:
    """A full or failing disk met here is said like one met by a worker."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}; mend that and run the same "
            "command again: what is finished is kept"
        ) from error


def _folders(source: Any, samples: pa.Table, options: Options) -> list[str]:
    """The folders in which the source lies, each as findings write it before a path."""
    named = [options.source.root]
    if isinstance(source, str | Path):
        place = os.fspath(source)
        named.append(place if os.path.isdir(place) else os.path.dirname(place))  # noqa: PTH112, PTH120 - as above
    masks = pc.list_flatten(samples["mask"]).combine_chunks().field("source")
    for paths in (samples["image"].to_pylist(), masks.to_pylist()):
        folders = {os.path.dirname(path) for path in paths if os.path.isabs(path)}  # noqa: PTH117, PTH120 - as above
        common = os.path.commonpath(folders) + os.sep if folders else ""
        if not any(common.startswith(os.path.abspath(name) + os.sep) for name in named if name):  # noqa: PTH100 - as above
            named.append(common)
    bases = {form.rstrip("/\\") for name in named if name for form in (name, os.path.abspath(name))}  # noqa: PTH100 - as above
    return [base + os.sep for base in sorted(bases - {"", "."}, key=len, reverse=True)]


def _scan(source: Any, run: _Build) -> Scan:
    rule = facts.draft_rule(run.options.pixels, run.options.records)
    store = KeptScan(run.place.scan, rule, assemble.versions())
    own = known.facts_at(run.place.out / manifests.FACTS_FILE)
    earlier = pa.concat_tables([own, known.given_facts(run.options.checks.facts)])
    try:
        return scanning.run(source, run.judge, run.engine, store, earlier, run.monitor)
    finally:
        store.close()


def _stop(place: stage.Stage, scanned: Scan, why: str, findings: tuple[Finding, ...]) -> NoReturn:
    """End the build; the list of findings is to mend the source by, and names its files."""
    findings = scanned.recognised(findings)
    holds_dataset = (place.out / manifests.MANIFEST).exists()  # whose findings are its own
    path = (place.scan.parent if holds_dataset else place.out) / sidecars.FINDINGS_FILE
    path.write_bytes(sidecars.findings_csv(findings))
    errors = sum(finding.level == "error" for finding in findings)
    some = f"{errors} error{'s' * (errors != 1)} in the data"
    end = f"{path} lists all"
    if holds_dataset and scanned.crosswalk is not None:
        end += f" with the names of the source: remove {path.parent} before you pass on {place.out}"
    raise DataError(f"{some}: {why}; {end}", findings)


def _write(sound: Scan, left_out: LeftOut, run: _Build) -> tuple[manifests.Manifest, int]:
    """Plan, write and read back the shards, and commit the dataset."""
    made_of = _ingredients(sound, run)
    fingerprint = assemble.fingerprint(made_of)
    rules = _rules(made_of, sound, assemble.resume_mark(made_of, fingerprint))
    blocks = assemble.blocks(made_of.plan)
    staged = run.place.staged()
    # Under --checks none the fingerprint alone does not tell that the files are the same.
    if staged and staged.fingerprint == fingerprint and staged.masks.checked:
        _publish(staged, left_out, run)
        return staged, len(blocks)
    if staged is not None:
        run.place.abandon()
    reused = _write_shards(made_of, blocks, rules, sound, run)
    names = [assemble.block_name(block, rules.compression) for block in blocks]
    parts, sizes = [], []
    for block, name in zip(blocks, names, strict=True):
        sidecar = run.place.sidecar(name)
        parts.append(assemble.index(made_of, block, sidecar))
        sizes.append(sidecar["bytes"])
    index = pa.concat_tables(parts).combine_chunks()
    if run.options.records.crosswalk is not None and sound.crosswalk is not None:
        disclosure.write_crosswalk(run.options.records.crosswalk, sound.crosswalk)
    splits = assemble.splits(made_of, blocks, sizes, index["label"].combine_chunks())
    manifest = _manifest(sound, left_out, fingerprint, run, splits)
    files = _files(made_of, left_out, index) | sidecars.labels(manifest)
    files |= tfds.files(manifest, index)
    manifest = manifest.with_hashes(_read_back(manifest, index, run)).with_files(files)
    described = croissant.croissant(manifest, index, run.card)
    manifest = manifest.with_files({croissant.CROISSANT_FILE: described})
    files[croissant.CROISSANT_FILE] = described
    files[sidecars.README_FILE] = card.card(manifest, index, run.card)
    for name, content in files.items():
        run.place.write(name, content)
    open_index(run.place.files, manifest)  # its rows must be those of the shards
    run.place.seal(manifest)
    _publish(manifest, left_out, run)
    return manifest, reused


def _publish(manifest: manifests.Manifest, left_out: LeftOut, run: _Build) -> None:
    """Write the report of what stands in the stage, and commit the dataset."""
    report_file = sidecars.REPORT_FILE
    # Where files were moved up already, by a run that was killed, it was written before.
    if report_file in manifest.files and run.place.holds(manifest, but=report_file):
        from segrecord.reporting import report  # noqa: PLC0415 - jinja2, only where it is written

        thumbnails = not run.options.report.no_thumbnails
        report.write(run.place.files, thumbnails=thumbnails, sources=left_out.images)
    run.place.move_up()


def _ingredients(sound: Scan, run: _Build) -> assemble.Ingredients:
    masks = sound.facts["masks"].combine_chunks()
    sizes = sound.facts["image_bytes"].to_numpy().copy()
    in_masks = pc.fill_null(masks.flatten().field("bytes"), 0).to_numpy()
    parents = pc.list_parent_indices(masks).to_numpy()
    np.add.at(sizes, parents, in_masks)
    drafts = pa.array([False] * len(sound.samples))
    if sound.reading is not None:
        drafts = facts.usable_drafts(sound.facts, sound.reading.map)
    names = [name for name in sound.splits if name is not None]  # a missing one is an error
    return assemble.Ingredients(
        samples=sound.samples,
        facts=sound.facts if sound.crosswalk is None else disclosure.told_facts(sound.facts),
        plan=planning.make(sound.samples, names, sizes, run.options.plan),
        drafts=drafts,
        draft_folder=str(run.place.scan),
        classes=sound.classes,
        options=run.options,
    )


def _rules(made_of: assemble.Ingredients, sound: Scan, mark: str) -> ShardRules:
    records = made_of.options.records
    return ShardRules(
        layout=assemble.layout(made_of),
        compression=records.compression,
        missing_mask=records.missing_mask or "ignore",
        num_classes=len(sound.reading.classes) if sound.reading else 0,
        map=sound.reading.map if sound.reading else None,
        size=made_of.options.pixels.size,
        mark=mark,
        keep_metadata=records.keep_metadata,
        keep_profile=records.keep_profile,
    )


def _write_shards(
    made_of: assemble.Ingredients,
    blocks: list[assemble.Block],
    rules: ShardRules,
    sound: Scan,
    run: _Build,
) -> int:
    """Write the shards that are not finished yet; returns how many were.

    Raises:
        DataError: files are no longer what was scanned, or broke a worker.
        OutputError: the output cannot be written.
    """
    names = [assemble.block_name(block, rules.compression) for block in blocks]
    run.place.drop(set(names))
    wanted = [
        block
        for block, name in zip(blocks, names, strict=True)
        if run.place.finished(rules.mark, name) is None
    ]
    for name in set(names) - {assemble.block_name(block, rules.compression) for block in wanted}:
        run.place.sync(name)  # the run that wrote it may have died before it was on disk
    reused = len(blocks) - len(wanted)
    run.monitor.stage("write", len(blocks))
    run.monitor.progress(reused)
    findings: list[Finding] = []
    failures: list[str] = []
    tasks = assemble.tasks(made_of, wanted, str(run.place.files), rules)
    for done, (number, result) in enumerate(run.engine.run(write_shard, tasks), reused + 1):
        if isinstance(result, EngineFailure):
            name = assemble.block_name(wanted[number], rules.compression)
            failures.append(f"{name}: {result.message}{f' on {result.note}' * bool(result.note)}")
            continue
        findings += [
            Finding("error", problem.code, problem.key, problem.path, problem.message, problem.fix)
            for problem in result.problems
        ]
        failures += [result.failure] * bool(result.failure)
        if not (result.problems or result.failure):
            run.place.sync(result.name)
        run.monitor.progress(done)
    if findings:
        changed = any(finding.code == "changed-since-scan" for finding in findings)
        # What --checks none has not read may turn out to be broken.
        why = "changed while they were read" if changed else "are not what their headers say"
        _stop(run.place, sound, f"files {why}", tuple(findings))
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise OutputError(failures[0] + more)
    return reused


def _manifest(
    sound: Scan,
    left_out: LeftOut,
    fingerprint: str,
    run: _Build,
    splits: dict[str, manifests.Split],
) -> manifests.Manifest:
    options = run.options
    counts = Counter(finding.code for finding in left_out.findings)
    return manifests.Manifest(
        segrecord=version("segrecord"),
        versions=assemble.versions(),
        fingerprint=fingerprint,
        schema_name=options.records.schema,
        compression=options.records.compression,
        seed=options.plan.seed,
        options=assemble.told_options(options),
        understood=sound.understood.sentence,
        classes=sound.classes,
        masks=_masks(sound, options),
        keep_columns=options.source.keep_columns,
        samples=len(sound.samples),
        quarantined=len(left_out.keys),
        pseudonymized=pseudonyms.check_value(run.judge.secret) if run.judge.secret else "",
        extends=run.judge.old.fingerprint if run.judge.old else "",
        findings=dict(sorted(counts.items())),
        not_checked=_not_checked(options),
        splits=splits,
        files={sidecars.README_FILE: ""}
        | ({} if options.report.no_report else {sidecars.REPORT_FILE: ""}),
    )


def _masks(sound: Scan, options: Options) -> manifests.Masks:
    return manifests.Masks(
        classes=sound.reading.classes if sound.reading else (),
        values=dict(sound.reading.map.ids) if sound.reading else {},
        threshold=sound.reading.map.threshold if sound.reading else None,
        checked=options.checks.checks != "none",
        missing=int(pc.sum(pc.equal(pc.list_value_length(sound.samples["mask"]), 0)).as_py() or 0),
    )


_COPIES = "copies: pictures were not compared, splits may hold the same one"


def _not_checked(options: Options) -> tuple[str, ...]:
    return {
        "full": (),
        "basic": ("image pixels: files are sound, but PNG images were not decoded", _COPIES),
        "none": (
            "pixels: only headers were read, no image or mask was decoded",
            "mask values: masks were copied unread, right only where they hold class ids",
            _COPIES,
        ),
    }[options.checks.checks]


def _files(made_of: assemble.Ingredients, left_out: LeftOut, index: pa.Table) -> dict[str, bytes]:
    """The tables and lists beside the shards, by name."""
    files = {
        manifests.INDEX: sidecars.arrow_file(index),
        manifests.FACTS_FILE: known.facts_file(made_of.facts),
        sidecars.FINDINGS_FILE: sidecars.findings_csv(left_out.findings),
    }
    if made_of.classes:
        files[sidecars.MAPPING_FILE] = sidecars.mapping_json(made_of.classes)
    if left_out.keys:
        files[sidecars.QUARANTINE_FILE] = sidecars.quarantine_csv(
            left_out.findings, set(left_out.keys)
        )
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
    tasks = reading.tasks_of(run.place.files, manifest, index, decode=False)
    for done, (number, result) in enumerate(run.engine.run(examine_shard, tasks), 1):
        if isinstance(result, EngineFailure):
            raise EngineError(f"reading a shard back ended in: {result.message}")
        hashes[names[number]] = result.sha256
        for problem in result.problems:
            run.place.forget(problem.shard)
            raise RecordError(
                problem.shard,
                f"{problem.rule}, found on reading it back; check the disk and run again",
                problem.record,
                problem.offset,
            )
        run.monitor.progress(done)
    return hashes
