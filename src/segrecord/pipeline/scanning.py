"""The verb `scan`: a source in, everything that is known and wrong about it out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from segrecord.building import assemble, stage
from segrecord.engines import Engine, LocalEngine
from segrecord.options import Options
from segrecord.pipeline import excluding, known, pseudonyms
from segrecord.pipeline.judging import Judge, Scan
from segrecord.pipeline.monitor import Monitor
from segrecord.pipeline.telling import tell, tell_hints, watching
from segrecord.quality import duplicates, facts
from segrecord.quality.kept import KeptScan
from segrecord.sources.source import understand

PRELOAD = ("segrecord.quality.scan", "segrecord.building.shard", "segrecord.reading.shards")
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
        SourceError: the source as a whole cannot be understood.
        UsageError: an option is wrong.
        OutputError: the facts cannot be written.
    """
    chosen = Options.of(**options)
    if facts_file is not None:
        stage.check_file(Path(facts_file))
    judge = Judge.of(chosen)
    with (
        watching(monitor) as told,
        LocalEngine(chosen.run.workers, PRELOAD) as engine,
        TemporaryDirectory() as folder,
    ):
        store = KeptScan(Path(folder), None, assemble.versions())
        earlier = [known.given_facts(chosen.checks.facts)]
        if facts_file is not None:
            earlier.insert(0, known.facts_at(facts_file))
        result = run(source, judge, engine, store, pa.concat_tables(earlier), told)
        store.close()
    if facts_file is not None:
        known.write_facts(Path(facts_file), result.facts)
    result = result._replace(findings=result.recognised(result.findings))
    shown = told if monitor is None else None
    tell(result.findings, "scan", shown, private=judge.secret is not None)
    return result


def run(
    source: Any,
    judge: Judge,
    engine: Engine,
    store: KeptScan,
    earlier: pa.Table,
    monitor: Monitor,
) -> Scan:
    """The stages of a scan.

    Args:
        source: as for `scan`.
        judge: knows the options, and judges what is found.
        engine: runs the workers.
        store: keeps what is found as it is found.
        earlier: facts of earlier scans (schema KEPT).
        monitor: is told how the work goes.
    """
    options = judge.options
    understood = understand(source, options.source)
    monitor.understood(understood)
    tell_hints(understood.hints if judge.secret is None else ())
    crosswalk = None
    if judge.secret is not None:
        understood, crosswalk = pseudonyms.disguise(understood, judge.secret)
        earlier = pa.concat_tables([earlier, pseudonyms.rekeyed(earlier, judge.secret)])
    if judge.wrong:
        wrong = judge.wrong
        if judge.secret is not None:
            wrong = excluding.under_pseudonyms(wrong, understood.samples, judge.secret)
        understood = excluding.without(understood, wrong)
    samples = understood.samples
    monitor.stage("scan", len(samples))
    kept = pa.concat_tables([store.earlier(), earlier])
    found = facts.scan(samples, engine, options.checks.checks, store, kept, monitor.progress)
    near = options.checks.near_duplicates
    copies = duplicates.find(samples, found, engine, near, monitor.progress)
    return judge(understood, samples, found, copies)._replace(crosswalk=crosswalk)
