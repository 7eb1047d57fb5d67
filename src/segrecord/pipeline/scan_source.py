"""The verb `scan`: a source in, everything that is known and wrong about it out."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.duplicates import search
from segrecord.errors import RecordError, UsageError
from segrecord.executors import Engine, LocalEngine
from segrecord.export import sidecars
from segrecord.options import MAPPING_FILE, Options, SourceOptions
from segrecord.pipeline.context import BuildContext, exclude
from segrecord.pipeline.evaluate import Scan, evaluate
from segrecord.pipeline.monitor import Monitor, report_findings, report_hints, watching
from segrecord.privacy import pseudonyms
from segrecord.scanning import facts
from segrecord.scanning.checkpoint import KEPT, KeptScan
from segrecord.sources.loaded import ClassIds, LoadedSource, Note
from segrecord.sources.loading import load_source
from segrecord.splits import classes as classing
from segrecord.splits import plan as planning
from segrecord.tables import FACTS, PROBLEM, TEXT
from segrecord.write import assemble

PRELOAD = (
    "segrecord.scanning.worker",
    "segrecord.write.shard_writer",
    "segrecord.verification.shard_check",
)
"""What workers import while the parent lists the source."""


def scan(
    source: Any,
    *,
    facts_file: str | Path | None = None,
    monitor: Monitor | None = None,
    **options: Any,
) -> Scan:
    """Read every file of a source once and say what is wrong; no record is written.

    Args:
        source: a folder, a listing (CSV, TSV, Parquet, Arrow, XLSX), a DataFrame, a function
            giving a samples table, or its name "module:function".
        facts_file: where to keep the facts (Arrow IPC); facts already there are used again.
        monitor: is told how the work goes; None: whoever sits at a terminal or notebook, if
            anybody does. `Silent()` tells nobody.
        **options: see `segrecord.options`.

    Raises:
        SourceError: the source as a whole cannot be loaded.
        UsageError: an option is wrong.
        OutputError: the facts cannot be written.
    """
    chosen = Options.of(**options)
    path = None if facts_file is None else Path(facts_file)
    if path is not None:
        storage.check_writable(path)
    context = BuildContext.of(chosen)
    with (
        watching(monitor) as watcher,
        LocalEngine(chosen.run.workers, PRELOAD) as engine,
        TemporaryDirectory() as folder,
    ):
        store = KeptScan(Path(folder), None, assemble.versions())
        earlier = earlier_facts(path, chosen.checks.facts)
        result = run(source, context, engine, store, earlier, watcher)
        store.close()
    if path is not None:
        storage.write_file(path, facts_bytes(result.facts))
    result = result._replace(findings=result.with_names(result.findings))
    shown = watcher if monitor is None else None
    report_findings(result.findings, "scan", shown, private=context.secret is not None)
    return result


def run(
    source: Any,
    context: BuildContext,
    engine: Engine,
    store: KeptScan,
    earlier: pa.Table,
    monitor: Monitor,
) -> Scan:
    """The stages of a scan.

    Args:
        source: as for `scan`.
        context: of the run.
        engine: runs the workers.
        store: keeps what is found as it is found.
        earlier: facts of earlier scans (schema KEPT).
        monitor: is told how the work goes.
    """
    options = context.options
    loaded = _settled(source, load_source(source, options.source), context)
    monitor.loaded(loaded)
    report_hints(loaded.hints if context.secret is None else ())
    crosswalk = None
    if context.secret is not None:
        loaded, crosswalk = pseudonyms.pseudonymize(loaded, context.secret)
        earlier = pa.concat_tables([earlier, pseudonyms.rekeyed(earlier, context.secret)])
    if context.wrong:
        loaded = exclude(loaded, context)
    samples = loaded.samples
    monitor.stage("scan", len(samples))
    kept = pa.concat_tables([store.earlier(), earlier])
    scanned = facts.scan(samples, engine, options.checks.checks, store, kept, monitor.progress)
    near = options.checks.near_duplicates
    copies = search.find(samples, scanned, engine, near, monitor.progress)
    return evaluate(context, loaded, samples, scanned, copies)._replace(crosswalk=crosswalk)


_VERSIONS = b"segrecord.versions"


def facts_bytes(found: pa.Table) -> bytes:
    """The facts as a file that says which versions have found them.

    It is the same wherever it is made: the paths of problems are left out.
    """
    found = found.select(FACTS.names)
    rows = found["problems"].combine_chunks()
    problems = rows.flatten()
    if len(problems):
        none = pa.array([""] * len(problems), TEXT)
        bare = [none if field.name == "path" else problems.field(field.name) for field in PROBLEM]
        ends = pc.cumulative_sum(pc.list_value_length(rows)).to_pylist()
        lists = pa.ListArray.from_arrays(
            pa.array([0, *ends], pa.int32()),
            pa.StructArray.from_arrays(bare, fields=list(PROBLEM)),
        )
        at = found.schema.get_field_index("problems")
        found = found.set_column(at, FACTS.field("problems"), lists)
    versions = {_VERSIONS: json.dumps(assemble.versions(), sort_keys=True)}
    return sidecars.arrow_file(found.replace_schema_metadata(versions))


def earlier_facts(own: Path | None, given: str | None) -> pa.Table:
    """What earlier scans have found (schema KEPT).

    Args:
        own: where this run will write facts; what stands there need be no facts file.
        given: the facts file that the user named, if any.

    Raises:
        UsageError: the file that the user named is none.
    """
    tables = [KEPT.empty_table()]
    for path in [path for path in (own, given) if path is not None]:
        try:
            table = storage.read_columns(path, FACTS, links=True)
            metadata = {} if table is None else table.schema.metadata or {}
            usable = json.loads(metadata.get(_VERSIONS, b"{}")) == assemble.versions()
        except (RecordError, ValueError):
            table, usable = None, False
        if table is not None and usable and table.schema.equals(FACTS):  # others: scan again
            table = table.replace_schema_metadata(None)
            for field in list(KEPT)[len(FACTS) :]:
                table = table.append_column(field, pa.nulls(len(table), field.type))
            tables.append(table.cast(KEPT))
        elif path is given:
            raise UsageError(
                f"--facts {given} is no facts file of this version; make one with segrecord scan "
                "--facts, or leave the option out"
            )
    return pa.concat_tables(tables)


def mappings(source: Any, options: SourceOptions) -> tuple[str, ...]:
    """The files of class ids that lie in a source folder, or beside a listing or a metadata table.

    Args:
        source: as for `scan`.
        options: name the metadata.
    """
    folders = [os.path.dirname(path) for path in options.metadata]  # noqa: PTH120 - as written
    if isinstance(source, str | Path):
        path = os.fspath(source)
        folders.insert(0, path if os.path.isdir(path) else os.path.dirname(path))  # noqa: PTH112, PTH120 - as above
    paths = [os.path.join(folder, MAPPING_FILE) for folder in folders]  # noqa: PTH118 - as above
    return tuple({os.path.realpath(path): path for path in paths if os.path.isfile(path)}.values())  # noqa: PTH113 - as above


def _settled(source: Any, loaded: LoadedSource, context: BuildContext) -> LoadedSource:
    """The source with what options and files beside it say of its splits.

    Here, since what contradicts an option is to be reported before a file is read.

    Raises:
        UsageError: splits or class ids of the source contradict an option, or each other.
    """
    shared = planning.shared_out(loaded.samples, context.options.plan)
    options = context.options.source
    beside = classing.beside(mappings(source, options), loaded.samples, options)
    for found in beside.findings:
        # Neither leaving samples out nor scanning them helps.
        if found.level == "error" and found.code not in context.options.checks.ignore:
            raise UsageError(f"{found.path}: {found.message}; {found.fix}")
    return replace(
        loaded,
        samples=shared.samples,
        findings=(*loaded.findings, *shared.findings, *beside.findings),
        mapping=ClassIds(beside.path, beside.ids) if beside.path else None,
        reads_as=(
            *loaded.reads_as,
            *[Note("split", f"splits by {shared.note}")] * bool(shared.note),
        ),
    )
