"""What a scan and a build print: how the source was loaded, progress, findings, the summary."""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections import Counter
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

from segrecord.console.terminal import on_screen, print_gap, print_next, print_parts, screen_width
from segrecord.export import tfds
from segrecord.findings import suggestion
from segrecord.report import verdict
from segrecord.wording import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from segrecord.console.terminal import Part
    from segrecord.findings import Finding
    from segrecord.format.manifest import Manifest
    from segrecord.sources.loaded import LoadedSource
    from segrecord.verification.checker import Report

SHOWN = 3
"""Findings of one kind that are printed; findings.csv holds all."""

MANY = 8
"""Kinds of errors and warnings from which on a terminal shows one finding of each."""

_LONG_ROOT = 16  # characters of a folder that are worth a line, to be left out of each path
_CLASSES = 12  # classes that are counted on one line

_STAYING = frozenset({"changed-since-scan", "empty-split", "split-lacks-class"})
"""Errors that leaving samples out does not remove: those about the set as a whole, and the file
that changed while it was read, which a second run reads as it is then."""

_STEPS = {
    "view": ("segrecord view {}", "browse the records, mark wrong ones"),
    "verify": ("segrecord verify {}", "read every record back"),
    "stats": ("segrecord stats {}", "classes, masks, weights for training"),
    "show": ("segrecord show {} 0", "the first record with its mask"),
}
"""What to do with a dataset: the command, and what it is for."""

_STATES = {"ready": "green", "look": "yellow", "open": "yellow", "fix": "red"}
"""The colours of the verdicts."""

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@dataclass
class ConsoleMonitor:
    """Tells a person how the work goes: a bar on a terminal, a line a stage elsewhere."""

    console: Console
    quiet: bool = False
    samples: int = field(default=0, init=False)
    """Samples of the source, once it is loaded."""
    _bar: Progress | None = field(default=None, init=False)
    _task: TaskID | None = field(default=None, init=False)

    def loaded(self, source: LoadedSource) -> None:
        """Print how the source was loaded."""
        self.samples = len(source.samples)
        if not self.quiet:
            print_loaded(self.console, source)

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        self.close()
        if self.quiet:
            return
        draws_bars = on_screen(self.console) and not self.console.is_dumb_terminal
        if self.console.is_jupyter:
            draws_bars = importlib.util.find_spec("ipywidgets") is not None
        if not draws_bars:
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


def print_loaded(console: Console, source: LoadedSource) -> None:
    """The sentence, what was skipped, and hints."""
    print_parts(console, (counted(len(source.samples), "sample"), "bold"), f": {source.sentence}")
    if source.origin:
        print_parts(console, source.origin)
    if source.skipped_files:
        some = ", ".join(f"{name} ({count})" for name, count in source.skipped_files.items())
        print_parts(console, f"skipped: {some}")
    for hint in source.hints:
        print_parts(console, ("hint:", "cyan"), f" {hint}")


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """The findings grouped by code: errors, then warnings, then infos, a line a code.

    An error or a warning is headed by its count; then follow the first few, with their paths, and
    the fix. A log has them whole. On a terminal the first takes two lines at most and the others
    one, paths go without the folder that they share, and of many kinds those with more findings
    than are shown anywhere show one each.
    """
    groups = _grouped(findings)
    if groups:
        print_gap(console)
    root = ""
    if on_screen(console):
        paths = [finding.path for group in groups for finding in group if finding.path]
        common = os.path.commonprefix(paths)  # noqa: RUF071 - cut at a folder in the next line
        root = common[: max(common.rfind("/"), common.rfind(os.sep)) + 1]
        root = root if len(root) >= _LONG_ROOT else ""
    if root:
        print_parts(console, f"paths below start from {root}")
    for group in groups:
        if group[0].level == "info":
            _print_info(console, group, root)
        else:
            _print_group(console, group, root, _shown_of(console, groups, group))


def _grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.code), []).append(finding)
    order = list(_COLOURS)
    return sorted(groups.values(), key=lambda group: order.index(group[0].level))


def _shown_of(console: Console, groups: list[list[Finding]], group: list[Finding]) -> int:
    """How many findings of this group are printed."""
    kinds = sum(group[0].level != "info" for group in groups)
    return 1 if on_screen(console) and kinds > MANY and len(group) > SHOWN else SHOWN


def _print_group(console: Console, group: list[Finding], root: str, most: int) -> None:
    first = group[0]
    head = ((first.level, _COLOURS[first.level]), " ", (first.code, "bold"))
    if len(group) == 1 and not (first.path or first.key):  # of the dataset as a whole
        print_parts(console, *head, f": {first.message}")
    else:
        some = ", for example" * (most < len(group) and most < SHOWN)
        print_parts(console, *head, f": {counted(len(group), 'finding')}{some}")
        for number, finding in enumerate(group[:most]):
            where = _subject(console, finding, root)
            line = (f"{where}: " * bool(where), finding.message)
            print_parts(console, *line, indent=2, most=1 if number else 2)
        if most < len(group) and not some:
            print_parts(console, f"... and {len(group) - most} more", indent=2)
    fixes = dict.fromkeys(filter(None, map(suggestion, group)))
    for fix in list(fixes)[:SHOWN]:
        print_parts(console, ("->", "green"), f" {fix}", indent=2, hang=3)


def _subject(console: Console, finding: Finding, root: str) -> str:
    """The file or sample of a finding; on a terminal so much of its end as takes half a line."""
    path = finding.path.removeprefix(root) or finding.key
    room = screen_width(console) // 2
    return f"...{path[3 - room :]}" if on_screen(console) and len(path) > room else path


def _print_info(console: Console, group: list[Finding], root: str) -> None:
    """A line: each message with the first few files that it is about."""
    by_message: dict[str, list[Finding]] = {}
    for finding in group:
        by_message.setdefault(finding.message, []).append(finding)
    parts = []
    for message, findings in list(by_message.items())[:SHOWN]:
        names = [name for one in findings[:SHOWN] if (name := _subject(console, one, root))]
        more = ", ..." * (len(findings) > SHOWN)
        if len(findings) > 1:
            listed = f" ({', '.join(names)}{more})" * bool(names)
            parts.append(f"{len(findings)} x {message}{listed}")
        else:
            parts.append(f"{names[0]}: {message}" if names else message)
    if len(by_message) > SHOWN:
        parts.append(f"and {counted(len(by_message) - SHOWN, 'more reason')}")
    head = f"{counted(len(group), 'finding')}: " * (len(by_message) > 1)
    line = f" {group[0].code}: {head}{'; '.join(parts)}"
    print_parts(console, ("info", _COLOURS["info"]), line, most=2)


def findings_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings as plain values."""
    return [
        {
            "level": finding.level,
            "code": finding.code,
            "key": finding.key,
            "path": finding.path,
            "related": [other._asdict() for other in finding.related],
            "values": {k: v for k, v in finding.values.items() if k not in {"message", "fix"}},
            "message": finding.message,
            "fix": finding.fix,
        }
        for finding in findings
    ]


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
        # Names may hold commas: "COVID-19, ARDS".
        classes = [f"{name} {count}" for name, count in split.class_counts.items()]
        if len(classes) > _CLASSES:
            more = counted(len(classes) - _CLASSES, "class", "classes")
            classes[_CLASSES:] = [f"and {more} more"]
        counts = "; ".join(classes)
        print_parts(console, f"{name}: {held}{f' ({counts})' * bool(counts)}", indent=2)
    for style, line in _whole_dataset(manifest):
        print_parts(console, (line, style), indent=2)
    _print_verdict(console, verdict.of_manifest(manifest))
    page = Path(path) / "report.html"
    if page.exists():
        print_parts(console, f"report: {page}")
    print_steps(console, path, "view", "verify", "stats")


def _print_verdict(console: Console, given: verdict.Verdict) -> None:
    """Whether to train, in a line."""
    print_parts(console, ("verdict: ", "bold"), (given.line, _STATES[given.state]))


def _whole_dataset(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Style and text of what there is to say of the whole dataset."""
    if manifest.classes:
        yield "", f"classes: {_listed((number, name) for name, number in manifest.classes.items())}"
    if manifest.masks.classes:
        yield "", f"mask classes: {_listed(enumerate(manifest.masks.classes))}"
    if stored := manifest.mask_storage:
        yield "", stored
    if manifest.masks.missing:
        yield "", f"without a mask: {manifest.masks.missing}"
    if manifest.findings:
        yield "", f"findings: {sum(manifest.findings.values())} (findings.csv lists all)"
    if manifest.quarantined:
        yield "yellow", f"left out: {manifest.quarantined} (quarantine.csv says why)"
    orphans = manifest.findings.get("mask-without-image", 0)
    if orphans:
        yield "yellow", f"masks without an image, left out: {orphans} (quarantine.csv lists them)"
    for what in manifest.not_checked:
        yield "yellow", f"not checked: {what}"
    if reason := tfds.why_not(manifest):
        yield "", f"no files for TFDS: {reason}"


def print_steps(console: Console, path: str, *verbs: str) -> None:
    """What to do next with the dataset that lies there."""
    steps = [_STEPS[verb] for verb in verbs]
    quoted = shlex.quote(path)
    print_next(console, [(command.format(quoted), why) for command, why in steps])


def _listed(names: Iterable[tuple[int, str]]) -> str:
    listed = [f"{number} {name}" for number, name in names]
    return "; ".join(listed if len(listed) <= 8 else [*listed[:7], f"... {listed[-1]}"])  # noqa: PLR2004 - a line's worth


def scan_json(samples: int, loaded: LoadedSource, findings: Iterable[Finding]) -> dict[str, Any]:
    """What `scan --json` prints."""
    return {
        "samples": samples,
        "reads_as": loaded.sentence,
        "skipped_files": loaded.skipped_files,
        "hints": list(loaded.hints),
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
        "compared_with_source": report.compared,
        "problems": [
            {"shard": it.shard, "record": it.record, "offset": it.offset, "rule": it.rule}
            for it in report.problems
        ],
    }


def print_scan(
    console: Console, outcome: verdict.Outcome, findings: tuple[Finding, ...], source: str
) -> None:
    """The last lines of a scan: the count of findings, the verdict, and what to do next."""
    counts: list[Part] = []
    for level in ("error", "warning"):
        codes = [finding.code for finding in findings if finding.level == level]
        kinds = f" of {len(set(codes))} kinds" * (len(set(codes)) > 1)
        if codes:
            counts += [", " * bool(counts), (counted(len(codes), level), _COLOURS[level]), kinds]
    samples = (counted(outcome.samples, "sample"), "bold")
    print_gap(console)
    print_parts(console, samples, ": ", *counts or [("no errors, no warnings", "green")])
    by_code = Counter((finding.level, finding.code) for finding in findings)
    tallies = [verdict.Tally(*kind, count) for kind, count in sorted(by_code.items())]
    _print_verdict(console, verdict.verdict(tallies, outcome))
    groups = _grouped(findings)
    if any(len(group) > _shown_of(console, groups, group) for group in groups):
        print_parts(console, "all findings in a file: segrecord scan ... --findings FILE")
    if all(finding.level != "error" for finding in findings):
        print_parts(console, f"next: segrecord build {source} OUT, with the options given here")
        return
    print_parts(
        console, "next: correct the files, or pass what the arrows (->) ask for; scan again"
    )
    if hint := quarantine_hint(findings, outcome.samples):
        print_parts(console, hint)


def quarantine_hint(findings: Iterable[Finding], samples: int) -> str:
    """A line on how to go on without the bad samples; "" where leaving them out does not help."""
    errors = [finding for finding in findings if finding.level == "error"]
    bad = {finding.key for finding in errors} - {""}
    if not 0 < len(bad) < samples or any(finding.code in _STAYING for finding in errors):
        return ""
    them = "the bad sample" if len(bad) == 1 else f"the {len(bad)} bad samples"
    return f"or leave {them} out: segrecord build ... --on-error quarantine"
