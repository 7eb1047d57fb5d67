"""What the command line says: how the source was understood, findings, progress, the summary."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from segrecord.building import tfds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from segrecord.errors import Finding
    from segrecord.reading.verify import Report
    from segrecord.records.manifest import Manifest
    from segrecord.sources.understood import Understood

SHOWN = 3
"""Findings of one kind that are printed; findings.csv holds all."""

CHANGED = "changed-since-scan"
"""The finding of a file that changed while it was read: a second run reads it as it is then."""

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@dataclass
class ConsoleMonitor:
    """Tells a person how the work goes: a bar on a terminal, a line a stage elsewhere."""

    console: Console
    quiet: bool = False
    samples: int = field(default=0, init=False)
    """Samples of the source, once it is understood."""
    _bar: Progress | None = field(default=None, init=False)
    _task: TaskID | None = field(default=None, init=False)

    def understood(self, source: Understood) -> None:
        """Print how the source was understood."""
        self.samples = len(source.samples)
        if not self.quiet:
            print_understood(self.console, source)

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        self.close()
        if self.quiet:
            return
        if not self.console.is_terminal:
            self.console.print(f"{name}: {total} {_unit(name, total)}")
            return
        self._bar = Progress(
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(name, total=total, rate="")

    def progress(self, done: int) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            speed = self._bar.tasks[0].speed
            rate = f"{speed:.0f}/s" if speed else ""
            self._bar.update(self._task, completed=done, rate=rate)

    def close(self) -> None:
        """End the bar, if there is one."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _unit(name: str, number: int) -> str:
    return ("sample" if name == "scan" else "shard") + "s" * (number != 1)


def print_understood(console: Console, source: Understood) -> None:
    """The sentence, what was passed over, and hints."""
    console.print(f"[bold]{len(source.samples)} samples[/]: {escape(source.sentence)}")
    if source.origin:
        console.print(escape(source.origin))
    if source.passed_over:
        some = ", ".join(f"{name} ({count})" for name, count in source.passed_over.items())
        console.print(f"passed over: {escape(some)}")
    for hint in source.hints:
        console.print(f"[cyan]hint:[/] {escape(hint)}")


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """The findings grouped by code, errors first, the first few of each with path and remedy."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.code), []).append(finding)
    order = list(_COLOURS)
    for (level, code), group in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        colour = _COLOURS[level]
        console.print(f"[{colour}]{level}[/] [bold]{escape(code)}[/]: {_files(len(group))}")
        if level == "info":
            _print_reasons(console, group)
            continue
        for finding in group[:SHOWN]:
            where = finding.path or finding.key
            console.print(f"  {escape(f'{where}: ' * bool(where) + finding.message)}")
        if len(group) > SHOWN:
            console.print(f"  ... and {len(group) - SHOWN} more")
        for fix in list(dict.fromkeys(finding.fix for finding in group if finding.fix))[:SHOWN]:
            console.print(f"  [green]->[/] {escape(fix)}")


def _files(number: int) -> str:
    return f"{number} finding{'s' * (number != 1)}"


def _print_reasons(console: Console, group: list[Finding]) -> None:
    counts: dict[str, int] = {}
    for finding in group:
        counts[finding.message] = counts.get(finding.message, 0) + 1
    for message, number in list(counts.items())[:SHOWN]:
        console.print(f"  {escape(f'{number} x ' * (number > 1) + message)}")
    if len(counts) > SHOWN:
        console.print(f"  ... and {len(counts) - SHOWN} more reasons")


def findings_json(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """The findings as plain values."""
    return [finding._asdict() for finding in findings]


def print_manifest(console: Console, manifest: Manifest, path: str, seconds: float) -> None:
    """What a build has made: samples, splits, classes, masks, what was left out, what is next."""
    total = sum(split.bytes for split in manifest.splits.values())
    shards = sum(len(split.shards) for split in manifest.splits.values())
    console.print(
        f"[bold green]{manifest.samples} records[/] in {shards} shards, {size(total)}, "
        f"{seconds:.1f} s: [bold]{escape(path)}[/]"
    )
    for name, split in manifest.splits.items():
        # Names may hold commas: "COVID-19, ARDS".
        counts = "; ".join(f"{label} {count}" for label, count in split.class_counts.items())
        line = f"  {name}: {split.records} records in {len(split.shards)} shards"
        console.print(escape(line + f" ({counts})" * bool(counts)))
    if manifest.masks.classes:
        console.print(escape(f"  mask classes: {_listed(manifest.masks.classes)}"))
    if manifest.masks.missing:
        console.print(f"  without a mask: {manifest.masks.missing}")
    if manifest.quarantined:
        console.print(f"[yellow]  left out: {manifest.quarantined}[/] (quarantine.csv says why)")
    for what in manifest.not_checked:
        console.print(f"[yellow]  not checked:[/] {escape(what)}")
    if reason := tfds.why_not(manifest):
        console.print(f"  no files for TFDS: {escape(reason)}")
    quoted = escape(shlex.quote(path))
    console.print(f"next: segrecord verify {quoted}; segrecord stats {quoted}")


def _listed(names: tuple[str, ...]) -> str:
    listed = [f"{number} {name}" for number, name in enumerate(names)]
    return "; ".join(listed if len(listed) <= 8 else [*listed[:7], f"... {listed[-1]}"])  # noqa: PLR2004 - a line's worth


def size(number: int) -> str:
    """A number of bytes for people, decimal units."""
    value: float = number
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 - decimal units
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def scan_json(samples: int, understood: Understood, findings: Iterable[Finding]) -> dict[str, Any]:
    """What `scan --json` prints."""
    return {
        "samples": samples,
        "understood": understood.sentence,
        "passed_over": understood.passed_over,
        "hints": list(understood.hints),
        "findings": findings_json(findings),
    }


def report_json(report: Report) -> dict[str, Any]:
    """What `verify --json` prints."""
    return {
        "sound": not report.problems,
        "records": report.records,
        "shards": report.shards,
        "bytes": report.bytes,
        "not_checked": list(report.not_checked),
        "problems": [
            {"shard": it.shard, "record": it.record, "offset": it.offset, "rule": it.rule}
            for it in report.problems
        ],
    }


def print_scan(console: Console, samples: int, findings: tuple[Finding, ...], source: str) -> None:
    """The last lines of a scan: the count of findings, and what to do next."""
    counts = {level: sum(f.level == level for f in findings) for level in _COLOURS}
    some = ", ".join(
        f"{count} {level}{'s' * (count != 1)}"
        for level, count in counts.items()
        if count and level != "info"
    )
    console.print(f"[bold]{samples} samples[/], {some or 'no errors, no warnings'}")
    if counts["error"]:
        console.print("next: mend the files, or pass what the arrows ask for")
        console.print(escape(way_out(findings, samples)), end="")
    else:
        console.print(f"next: segrecord build {escape(source)} OUT, with the options given here")


def way_out(findings: Iterable[Finding], samples: int) -> str:
    """A line that says how to go on without the bad samples, or "" where that is no way."""
    errors = [finding for finding in findings if finding.level == "error"]
    bad = {finding.key for finding in errors} - {""}
    if not 0 < len(bad) < samples or any(found.code == CHANGED for found in errors):
        return ""
    them = "the bad sample" if len(bad) == 1 else f"the {len(bad)} bad samples"
    return f"or leave {them} out: segrecord build ... --on-error quarantine\n"
