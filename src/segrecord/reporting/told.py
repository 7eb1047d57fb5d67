"""What the command line says: how the source was understood, findings, progress, the summary."""

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

from segrecord import codes
from segrecord.building import tfds
from segrecord.reporting import verdict
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

WHOLE = frozenset({"empty-split", "split-lacks-class"})
"""Findings about the set as a whole: they stay, whichever samples are left out."""

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
        if not _draws_bars(self.console):
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


def _draws_bars(console: Console) -> bool:
    """Whether a bar can move there; a notebook needs ipywidgets for it."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return on_screen(console) and not console.is_dumb_terminal


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
    others one, paths go without the folder that they share, and of many kinds those with more
    findings than are shown anywhere show one each.
    """
    groups = _grouped(findings)
    if groups:
        print_gap(console)
    paths = [found.path for group in groups for found in group if found.path]
    root = _root(paths) if on_screen(console) else ""
    if root:
        print_parts(console, f"paths below start from {root}")
    for group in groups:
        if group[0].level == "info":
            _print_info(console, group, root)
        else:
            _print_group(console, group, root, _most(console, groups, group))


def _grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.code), []).append(finding)
    order = list(_COLOURS)
    return sorted(groups.values(), key=lambda group: order.index(group[0].level))


def _most(console: Console, groups: list[list[Finding]], group: list[Finding]) -> int:
    """How many findings of this group are printed."""
    kinds = sum(group[0].level != "info" for group in groups)
    one = on_screen(console) and kinds > MANY and len(group) > SHOWN
    return 1 if one else SHOWN


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
            where = _subject(console, finding, root)
            line = (f"{where}: " * bool(where), finding.message)
            print_parts(console, *line, indent=2, most=1 if number else 2)
        if most < len(group) and not some:
            print_parts(console, f"... and {len(group) - most} more", indent=2)
    fixes = dict.fromkeys(filter(None, map(codes.way_out, group)))
    for fix in list(fixes)[:SHOWN]:
        print_parts(console, ("->", "green"), f" {fix}", indent=2, hang=3)


def _subject(console: Console, found: Finding, root: str) -> str:
    """What the finding is about: its file, or else its sample."""
    return _tail(console, found.path.removeprefix(root) or found.key)


def _tail(console: Console, path: str) -> str:
    """The path, or on a terminal as much of its end as leaves half of the line."""
    room = screen_width(console) // 2
    return f"...{path[3 - room :]}" if on_screen(console) and len(path) > room else path


def _print_info(console: Console, group: list[Finding], root: str) -> None:
    """A line: each reason with the first few files that it is about."""
    by_reason: dict[str, list[Finding]] = {}
    for finding in group:
        by_reason.setdefault(finding.message, []).append(finding)
    reasons = list(by_reason)
    some = list(by_reason.items())[:SHOWN]
    told = "; ".join(_reason(console, reason, found, root) for reason, found in some)
    if len(reasons) > SHOWN:
        told += f"; and {counted(len(reasons) - SHOWN, 'more reason')}"
    if len(reasons) > 1:
        told = f"{counted(len(group), 'finding')}: {told}"
    print_parts(console, ("info", _COLOURS["info"]), f" {group[0].code}: {told}", most=2)


def _reason(console: Console, reason: str, found: list[Finding], root: str) -> str:
    names = [name for one in found[:SHOWN] if (name := _subject(console, one, root))]
    if len(found) == 1:
        return f"{names[0]}: {reason}" if names else reason
    more = ", ..." * (len(found) > SHOWN)
    return f"{len(found)} x {reason}" + f" ({', '.join(names)}{more})" * bool(names)


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
    print_verdict(console, verdict.of_manifest(manifest))
    page = Path(path) / "report.html"
    if page.exists():
        print_parts(console, f"report: {page}")
    print_steps(console, path, "view", "verify", "stats")


def print_verdict(console: Console, found: verdict.Verdict) -> None:
    """Whether to train, in a line."""
    print_parts(console, ("verdict: ", "bold"), (found.line, _STATES[found.state]))


def _remarks(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Style and text of what there is to say of the whole dataset."""
    if manifest.masks.classes:
        yield "", f"mask classes: {_listed(manifest.masks.classes)}"
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
    if len(listed) > _CLASSES:
        more = counted(len(listed) - _CLASSES, "class", "classes")
        listed = [*listed[:_CLASSES], f"and {more} more"]
    return "; ".join(listed)


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
    print_gap(console)
    print_parts(console, (counted(outcome.samples, "sample"), "bold"), ": ", *_tally(findings))
    counts = Counter((found.level, found.code) for found in findings)
    tallies = [verdict.Tally(*kind, count) for kind, count in sorted(counts.items())]
    print_verdict(console, verdict.verdict(tallies, outcome))
    errors = any(finding.level == "error" for finding in findings)
    groups = _grouped(findings)
    if any(len(group) > _most(console, groups, group) for group in groups):
        print_parts(console, "all findings in a file: segrecord scan ... --findings FILE")
    if not errors:
        print_parts(console, f"next: segrecord build {source} OUT, with the options given here")
        return
    print_parts(
        console, "next: correct the files, or pass what the arrows (->) ask for; scan again"
    )
    if way := way_out(findings, outcome.samples):
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
    stays = any(found.code == CHANGED or found.code in WHOLE for found in errors)
    if not 0 < len(bad) < samples or stays:
        return ""
    them = "the bad sample" if len(bad) == 1 else f"the {len(bad)} bad samples"
    return f"or leave {them} out: segrecord build ... --on-error quarantine\n"
