"""The verb `scan`: a source in, everything that is known and wrong about it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.building import sidecars
from segrecord.engines import Engine, LocalEngine
from segrecord.errors import Finding, OutputError, UsageError
from segrecord.options import Options
from segrecord.pipeline.monitor import Monitor, Silent
from segrecord.planning import classes as classing
from segrecord.quality import checks, facts, values
from segrecord.quality.kept import KEPT, KeptScan
from segrecord.sources.source import understand
from segrecord.sources.understood import Understood
from segrecord.tables import FACTS

PRELOAD = ("segrecord.quality.scan", "segrecord.building.shard", "segrecord.reading.shards")
"""What workers import while the parent lists the source."""


class Scan(NamedTuple):
    """What is known of a source before anything is written."""

    samples: pa.Table
    """All samples, those with errors included (schema tables.SAMPLES and kept columns)."""
    facts: pa.Table
    """Row by row of the same samples (schema quality.kept.KEPT)."""
    findings: tuple[Finding, ...]
    classes: dict[str, int]
    """Class ids by name, ascending; empty: the set is unlabelled."""
    reading: values.Reading | None
    """How mask values are read; None: no masks, or unchecked."""
    understood: Understood

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a build."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    def without(self, keys: set[str], options: Options) -> Scan:
        """The scan of the other samples, judged anew; what the source said stands already."""
        gone = pa.array(sorted(keys), pa.large_string())
        keep = pc.invert(pc.is_in(self.samples["key"], gone))
        quiet = replace(self.understood, findings=())
        return judge(quiet, self.samples.filter(keep), self.facts.filter(keep), options)


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
        monitor: is told how the work goes.
        **options: see `segrecord.options`.

    Raises:
        SourceError: the source as a whole cannot be understood.
        UsageError: an option is wrong.
        OutputError: the facts cannot be written.
    """
    chosen = Options.of(**options)
    with LocalEngine(chosen.run.workers, PRELOAD) as engine, TemporaryDirectory() as folder:
        store = KeptScan(Path(folder), None)
        earlier = [given_facts(chosen.checks.facts)]
        if facts_file is not None:
            earlier.insert(0, facts_at(facts_file))
        result = run(source, chosen, engine, store, pa.concat_tables(earlier), monitor or Silent())
        store.close()
    if facts_file is not None:
        _write_facts(Path(facts_file), result.facts)
    return result


def _write_facts(path: Path, found: pa.Table) -> None:
    try:
        path.write_bytes(sidecars.arrow_file(found.select(FACTS.names)))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


def facts_at(path: str | Path) -> pa.Table:
    """The facts in a file as rows of schema KEPT; none where it is no such file."""
    found = _read_facts(path)
    return KEPT.empty_table() if found is None else found


def given_facts(path: str | None) -> pa.Table:
    """The facts in the file that the user named, if any, as rows of schema KEPT.

    Raises:
        UsageError: it holds none.
    """
    found = KEPT.empty_table() if path is None else _read_facts(path)
    if found is None:
        raise UsageError(
            f"--facts {path} is no facts file of this version; make one with segrecord scan "
            "--facts, or leave the option out"
        )
    return found


def _read_facts(path: str | Path) -> pa.Table | None:
    if not Path(path).is_file():
        return None
    try:
        with pa.ipc.open_file(str(path)) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    if not table.schema.equals(FACTS):  # of another version: scan anew
        return None
    for field in list(KEPT)[len(FACTS) :]:
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.cast(KEPT)


def run(
    source: Any,
    options: Options,
    engine: Engine,
    store: KeptScan,
    earlier: pa.Table,
    monitor: Monitor,
) -> Scan:
    """The stages of a scan.

    Args:
        source: as for `scan`.
        options: what was asked for.
        engine: runs the workers.
        store: keeps what is found as it is found.
        earlier: facts of earlier scans (schema KEPT).
        monitor: is told how the work goes.
    """
    understood = understand(source, options.source)
    monitor.understood(understood)
    samples = understood.samples
    monitor.stage("scan", len(samples))
    known = pa.concat_tables([store.earlier(), earlier])
    found = facts.scan(samples, engine, options.checks.checks, store, known, monitor.progress)
    return judge(understood, samples, found, options)


def judge(understood: Understood, samples: pa.Table, found: pa.Table, options: Options) -> Scan:
    """All findings of these samples, and how classes and mask values are read."""
    assigned = classing.assign(samples, options.source)
    reading = None
    if options.checks.checks != "none":
        masks = checks.mask_values(samples, found)
        reading = values.decide(masks, options.pixels) if masks else None
    findings = (
        *understood.findings,
        *checks.check(samples, found, options),
        *assigned.findings,
        *(reading.findings if reading else ()),
    )
    return Scan(samples, found, findings, assigned.ids, reading, understood)
