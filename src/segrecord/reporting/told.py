"""What the command line says: how the source was understood, findings, progress, the summary."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from segrecord.building import tfds
from segrecord.reporting.layout import (
    counted,
    on_screen,
    print_gap,
    print_next,
    print_parts,
    screen_width,
    size_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import Console

    from segrecord.errors import Finding
    from segrecord.reading.verify import Report
    from segrecord.records.manifest import Manifest
    from segrecord.reporting.layout import Part
    from segrecord.sources.understood import Understood

SHOWN = 3
"""Findings of one kind that are printed; findings.csv holds all."""

MANY = 8
"""Kinds of errors and warnings from which on a terminal shows one finding of each."""

_LONG_ROOT = 16  # characters of a folder that are worth a line, to be left out of each path
_CLASSES = 12  # classes that are counted on one line

CHANGED = "changed-since-scan"
"""The finding of a file that changed while it was read: a second run reads it as it is then."""

_STEPS = {
    "view": ("segrecord view {}", "browse the records, mark wrong ones"),
    "verify": ("segrecord verify {}", "read every record back"),
    "stats": ("segrecord stats {}", "classes, masks, weights for training"),
    "show": ("segrecord show {} 0", "the first record with its mask"),
}
"""What to do with a dataset: the command, and what it is for."""

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
        if not on_screen(self.console) or self.console.is_dumb_terminal:
            unit = "sample" if name == "scan" else "shard"
            print_parts(self.console, f"{name}: {counted(total, unit)}")
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


def print_understood(console: Console, source: Understood) -> None:
    """The sentence, what was passed over, and hints."""
    print_parts(console, (counted(len(source.samples), "sample"), "bold"), f": {source.sentence}")
    if source.origin:
        print_parts(console, source.origin)
    if source.passed_over:
        some = ", ".join(f"{name} ({count})" for name, count in source.passed_over.items())
        print_parts(console, f"passed over: {some}")
    for hint in source.hints:
        print_parts(console, ("hint:", "cyan"), f" {hint}")


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """The findings grouped by code: errors, then warnings, then infos, a line a code.

    An error or a warning is headed by its count; then follow the first few, with their paths, and
    the way out. A log has them whole. On a terminal the first takes two lines at most and the
    others one, paths go without the folder that they share, and many kinds show one each.
    """
    groups = _grouped(findings)
    shown = [found for group in groups for found in group if found.level != "info"]
    if groups:
        print_gap(console)
    root = _root([found.path for found in shown if found.path]) if on_screen(console) else ""
    if root:
        print_parts(console, f"paths below start from {root}")
    most = _most(console, groups)
    for group in groups:
        if group[0].level == "info":
            _print_info(console, group)
        else:
            _print_group(console, group, root, most)


def _grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.code), []).append(finding)
    order = list(_COLOURS)
    return sorted(groups.values(), key=lambda group: order.index(group[0].level))


def _most(console: Console, groups: list[list[Finding]]) -> int:
    """How many findings of one kind are printed."""
    kinds = sum(group[0].level != "info" for group in groups)
    return 1 if on_screen(console) and kinds > MANY else SHOWN


def _root(paths: list[str]) -> str:
    """The folder that all paths begin with, where that is long."""
    common = os.path.commonprefix(paths)  # noqa: RUF071 - cut at a folder in the next line
    root = common[: max(common.rfind("/"), common.rfind(os.sep)) + 1]
    return root if len(root) >= _LONG_ROOT else ""


def _print_group(console: Console, group: list[Finding], root: str, most: int) -> None:
    first = group[0]
    head = ((first.level, _COLOURS[first.level]), " ", (first.code, "bold"))
    if len(group) == 1 and not (first.path or first.key):  # of the dataset as a whole
        print_parts(console, *head, f": {first.message}")
    else:
        some = ", for example" * (most < len(group) and most < SHOWN)
        print_parts(console, *head, f": {counted(len(group), 'finding')}{some}")
        for number, finding in enumerate(group[:most]):
            where = _tail(console, finding.path.removeprefix(root) or finding.key)
            line = (f"{where}: " * bool(where), finding.message)
            print_parts(console, *line, indent=2, most=1 if number else 2)
        if most < len(group) and not some:
            print_parts(console, f"... and {len(group) - most} more", indent=2)
    for fix in list(dict.fromkeys(finding.fix for finding in group if finding.fix))[:SHOWN]:
        print_parts(console, ("->", "green"), f" {fix}", indent=2, hang=3)


def _tail(console: Console, path: str) -> str:
    """The path, or on a terminal as much of its end as leaves half of the line."""
    room = screen_width(console) // 2
    return f"...{path[3 - room :]}" if on_screen(console) and len(path) > room else path


def _print_info(console: Console, group: list[Finding]) -> None:
    counts: dict[str, int] = {}
    for finding in group:
        counts[finding.message] = counts.get(finding.message, 0) + 1
    reasons = [f"{number} x " * (number > 1) + text for text, number in counts.items()]
    told = "; ".join(reasons[:SHOWN])
    if len(reasons) > SHOWN:
        told += f"; and {counted(len(reasons) - SHOWN, 'more reason')}"
    if len(reasons) > 1:
        told = f"{counted(len(group), 'finding')}: {told}"
    print_parts(console, ("info", _COLOURS["info"]), f" {group[0].code}: {told}", most=2)


def findings_json(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """The findings as plain values."""
    return [finding._asdict() for finding in findings]


def print_manifest(console: Console, manifest: Manifest, path: str, seconds: float) -> None:
    """What a build has made: samples, splits, classes, masks, what was left out, what is next."""
    total = sum(split.bytes for split in manifest.splits.values())
    shards = sum(len(split.shards) for split in manifest.splits.values())
    made = (counted(manifest.samples, "record"), "bold green")
    print_gap(console)
    where = f" in {counted(shards, 'shard')}, {size_text(total)}, {seconds:.1f} s: "
    print_parts(console, made, where, (path, "bold"))
    for name, split in manifest.splits.items():
        held = f"{counted(split.records, 'record')} in {counted(len(split.shards), 'shard')}"
        counts = _counts(split.class_counts)
        print_parts(console, f"{name}: {held}{f' ({counts})' * bool(counts)}", indent=2)
    for style, line in _remarks(manifest):
        print_parts(console, (line, style), indent=2)
    page = Path(path) / "report.html"
    if page.exists():
        print_parts(console, f"report: {page} says whether it is ready to train on")
    print_steps(console, path, "view", "verify", "stats")


def _remarks(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Style and text of what there is to say of the whole dataset."""
    if manifest.masks.classes:
        yield "", f"mask classes: {_listed(manifest.masks.classes)}"
    if told := manifest.mask_storage:
        yield "", told
    if manifest.masks.missing:
        yield "", f"without a mask: {manifest.masks.missing}"
    if manifest.findings:
        yield "", f"findings: {sum(manifest.findings.values())} (findings.csv lists all)"
    if manifest.quarantined:
        yield "yellow", f"left out: {manifest.quarantined} (quarantine.csv says why)"
    for what in manifest.not_checked:
        yield "yellow", f"not checked: {what}"
    if reason := tfds.why_not(manifest):
        yield "", f"no files for TFDS: {reason}"


def print_steps(console: Console, path: str, *verbs: str) -> None:
    """What to do next with the dataset that lies there."""
    steps = [_STEPS[verb] for verb in verbs]
    quoted = shlex.quote(path)
    print_next(console, [(command.format(quoted), why) for command, why in steps])


def _counts(counts: Mapping[str, int]) -> str:
    # Names may hold commas: "COVID-19, ARDS".
    listed = [f"{name} {count}" for name, count in counts.items()]
    more = [f"and {len(listed) - _CLASSES} classes more"] * (len(listed) > _CLASSES)
    return "; ".join([*listed[:_CLASSES], *more])


def _listed(names: tuple[str, ...]) -> str:
    listed = [f"{number} {name}" for number, name in enumerate(names)]
    return "; ".join(listed if len(listed) <= 8 else [*listed[:7], f"... {listed[-1]}"])  # noqa: PLR2004 - a line's worth


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
    print_gap(console)
    print_parts(console, (counted(samples, "sample"), "bold"), ": ", *_tally(findings))
    errors = any(finding.level == "error" for finding in findings)
    groups = _grouped(findings)
    if max(map(len, groups), default=0) > _most(console, groups):
        print_parts(console, "all findings in a file: segrecord scan ... --findings FILE")
    if not errors:
        print_parts(console, f"next: segrecord build {source} OUT, with the options given here")
        return
    print_parts(console, "next: mend the files, or pass what the arrows (->) ask for; scan again")
    if way := way_out(findings, samples):
        print_parts(console, way.rstrip())


def _tally(findings: tuple[Finding, ...]) -> list[Part]:
    """How many errors and warnings there are, and of how many kinds."""
    parts: list[Part] = []
    for level in ("error", "warning"):
        codes = [finding.code for finding in findings if finding.level == level]
        kinds = f" of {len(set(codes))} kinds" * (len(set(codes)) > 1)
        if codes:
            parts += [", " * bool(parts), (counted(len(codes), level), _COLOURS[level]), kinds]
    return parts or [("no errors, no warnings", "green")]


def way_out(findings: Iterable[Finding], samples: int) -> str:
    """A line that says how to go on without the bad samples, or "" where that is no way."""
    errors = [finding for finding in findings if finding.level == "error"]
    bad = {finding.key for finding in errors} - {""}
    if not 0 < len(bad) < samples or any(found.code == CHANGED for found in errors):
        return ""
    them = "the bad sample" if len(bad) == 1 else f"the {len(bad)} bad samples"
    return f"or leave {them} out: segrecord build ... --on-error quarantine\n"
