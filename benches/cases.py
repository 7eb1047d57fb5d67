"""Building, measured against what others do: each case gives rows of the table.

Every figure is a median over turns, every ratio is formed of runs of one invocation.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measure
import table
from measure import Run, Subject
from table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from table import Bench

HERE = Path(__file__).parent


def command_line(*arguments: str) -> tuple[str, ...]:
    """Ours, as a process of its own."""
    return (sys.executable, "-m", "segrecord.cli", *arguments)


def built(source: str, checks: str, bench: Bench) -> Subject:
    """A whole build of this folder."""

    def command(out: Path) -> Sequence[str]:
        workers = str(bench.workers)
        return command_line("build", source, str(out), "--checks", checks, "--workers", workers)

    return Subject(f"build --checks {checks}", command)


def _timed(source: str, checks: str, bench: Bench, *options: str) -> Subject:
    """The same build, timed from inside."""
    script = (sys.executable, str(HERE / "ours.py"))
    name = " ".join(("work", *options))
    return Subject(
        name, lambda out: (*script, source, str(out), checks, str(bench.workers), *options)
    )


def _peer(script: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(HERE / "peers" / script), *arguments)


def _walls(runs: Sequence[Run]) -> list[float]:
    return [run.wall for run in runs]


def _work(runs: Sequence[Run]) -> list[float]:
    return [run.printed["work"] for run in runs]


def _faster(what: str, ours: list[float], peer: list[float], target: float | None) -> Row:
    """How many times the peer's time ours goes into."""
    found = measure.ratio(peer, ours)
    promised = f"at least {target} times faster" if target else ""
    met = found.middle >= target if target else None
    return Row(what, table.seconds(ours), table.seconds(peer), table.times(found), promised, met)


def copy(bench: Bench) -> list[Row]:
    """(a) Bytes copied, against a TensorFlow writer and against tar."""
    source = bench.small.ids
    ours, timed = built(source, "none", bench), _timed(source, "none", bench)
    ready = _timed(source, "none", bench, "--ready")
    writer = Subject("TensorFlow", lambda out: _peer("tensorflow_writer.py", source, str(out)))
    tar = Subject("tar", lambda out: ("tar", "cf", str(out), source))
    synced = Subject(
        "tar, synced", lambda out: ("sh", "-c", 'tar cf "$0" "$1" && sync "$0"', str(out), source)
    )
    subjects = (ours, timed, ready, writer, tar, synced)
    runs = measure.alternate(subjects, bench.repeats, bench.out)
    work, wall = _work(runs[timed.name]), _walls(runs[ours.name])
    started = _work(runs[ready.name])
    return [
        _faster("whole process, TensorFlow writer", wall, _walls(runs[writer.name]), 2.5),
        _faster("work alone, TensorFlow writer", work, _work(runs[writer.name]), 1.5),
        _faster("work alone, `tar cf`", work, _walls(runs[tar.name]), 1.0),
        _faster("work alone, `tar cf` and `sync`", work, _walls(runs[synced.name]), None),
        _faster("work with workers up, TensorFlow writer", started, _work(runs[writer.name]), None),
        _faster("work with workers up, `tar cf`", started, _walls(runs[tar.name]), None),
        _stage_row("the work by stages", runs[timed.name]),
        _stage_row("the same with workers up", runs[ready.name]),
    ]


def check(bench: Bench) -> list[Row]:
    """(b) Every image checked, every mask rewritten, against decoding alone."""
    source = bench.small.rgb
    ours, timed = built(source, "basic", bench), _timed(source, "basic", bench)
    workers = str(bench.workers)
    pillow = Subject("Pillow", lambda _: _peer("pillow_decode.py", source, workers))
    runs = measure.alternate((ours, timed, pillow), bench.repeats, bench.out)
    wall, peer = _walls(runs[ours.name]), _walls(runs[pillow.name])
    found = measure.ratio(wall, peer)
    cost = [run.processor for run in runs[ours.name]]
    peer_cost = [run.processor for run in runs[pillow.name]]
    return [
        Row(
            "whole process, bare Pillow decode",
            *(table.seconds(wall), table.seconds(peer), table.times(found)),
            *("at most 1.9 times its time", found.middle <= 1.9),  # noqa: PLR2004 - the promise
        ),
        Row(
            "processor time of the same",
            *(
                table.seconds(cost),
                table.seconds(peer_cost),
                table.times(measure.ratio(cost, peer_cost)),
            ),
            *("", None),
        ),
        _stage_row("the work by stages", runs[timed.name]),
    ]


def _stage_row(what: str, runs: Sequence[Run]) -> Row:
    """Where the time of the work phase went."""
    names = runs[0].printed["stages"]
    parts = {name: table.middle([run.printed["stages"][name] for run in runs]) for name in names}
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
    return Row(what, f"{told} s", "", "", "", None)


def read(bench: Bench) -> list[Row]:
    """The read-back of a build, `verify` and `scan --checks full`: rates without a peer."""
    timed = _timed(bench.small.rgb, "basic", bench)
    runs = _alone(timed, bench)
    back = [run.printed["stages"]["read back"] for run in runs]
    rows = [_rate("read-back of a build (framing, CRCs, SHA-256)", back, bench)]
    dataset = bench.out.with_name("dataset")
    measure.remove(dataset)
    measure.run(built(bench.small.rgb, "basic", bench).command(dataset))
    workers = ("--workers", str(bench.workers))
    for what, arguments in (
        ("`verify`", ("verify", str(dataset))),
        ("`verify --source`", ("verify", str(dataset), "--source", bench.small.rgb)),
        ("`scan --checks full`", ("scan", bench.small.rgb, "--checks", "full")),
    ):
        command = command_line(*arguments, *workers)
        walls = _walls(_alone(Subject(what, partial(fixed, command)), bench))
        rows.append(_rate(f"{what}, whole process", walls, bench))
    shutil.rmtree(dataset)
    return rows


def fixed(command: Sequence[str], _: Path) -> Sequence[str]:
    """A command that writes nothing."""
    return command


def _alone(subject: Subject, bench: Bench) -> list[Run]:
    return measure.alternate((subject,), bench.repeats, bench.out)[subject.name]


def _rate(what: str, seconds: list[float], bench: Bench) -> Row:
    rate = bench.small.pairs / table.middle(seconds)
    return Row(what, table.seconds(seconds), "", f"{rate:,.0f} pairs/s", "", None)


_LIMIT = 300_000_000  # bytes a process; issue: "peak memory below 300 MB a process"


def memory(bench: Bench) -> list[Row]:
    """(c) The highest peak of any process of a build."""
    rows = []
    for checks, source in (("none", "ids"), ("basic", "rgb"), ("full", "rgb")):
        subject = built(getattr(bench.small, source), checks, bench)
        runs = measure.alternate((subject,), 1, bench.out, memory=True)[subject.name]
        first, *others = runs[0].peaks
        highest = max(first, *others)
        figure = f"{highest / 1e6:.0f} MB"
        told = f"parent {first / 1e6:.0f}, workers {max(others) / 1e6:.0f} MB"
        what = f"peak of a process, `{subject.name}`"
        rows.append(Row(what, told, "", figure, "below 300 MB", highest < _LIMIT))
    return rows


def growth(bench: Bench) -> list[Row]:
    """(c) How the parent's peak grows with the pairs, beside what the tables need."""
    large = bench.large()
    more = large.pairs - bench.small.pairs
    rows = []
    for checks, source in (("none", "ids"), ("basic", "rgb")):
        peaks = [
            _parent_peak(getattr(found, source), checks, bench) for found in (bench.small, large)
        ]
        held = _tables(getattr(large, source), checks, bench)
        grown, needed = (peaks[1] - peaks[0]) / more, sum(held.values())
        parts = ", ".join(f"{name} {size:.0f}" for name, size in held.items())
        rows.append(
            Row(
                f"growth of the parent, `build --checks {checks}`, {bench.small.pairs:,} to "
                f"{large.pairs:,} pairs",
                f"{grown:.0f} bytes a pair",
                f"tables: {needed:.0f} ({parts})",
                f"{grown / needed:.2f}",
                "no more than the tables",
                grown <= needed,
            )
        )
    return rows


def _parent_peak(source: str, checks: str, bench: Bench) -> float:
    """The median of three: the allocator's mood counts in megabytes."""
    subject = built(source, checks, bench)
    runs = measure.alternate((subject,), 3, bench.out, memory=True)[subject.name]
    return table.middle([run.peaks[0] for run in runs])


def _tables(source: str, checks: str, bench: Bench) -> dict[str, float]:
    """Bytes a pair of each table that the parent holds at the end of a build."""
    measure.run(built(source, checks, bench).command(bench.out))
    script = (sys.executable, str(HERE / "ours.py"), "--tables")
    found: Any = measure.run((*script, source, str(bench.out))).printed
    measure.remove(bench.out)
    return dict(found)


CASES: dict[str, tuple[str, Callable[[Bench], list[Row]]]] = {
    "copy": ("(a) bytes copied: `build --checks none`, single-channel masks of class ids", copy),
    "check": ("(b) everything checked: `build --checks basic`, RGB masks of 0 and 255", check),
    "memory": ("(c) memory", memory),
    "growth": ("(c) memory and the number of pairs", growth),
    "read": ("reading back", read),
}
