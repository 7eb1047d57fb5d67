"""What it costs to know the data: all checks against decoding alone, and the near-duplicate search.

The generated set is that of `building`: 299x299 PNG images and 256x256 RGB masks.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measure
import table
from cases import built, command_line, fixed
from measure import Run, Subject
from table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from table import Bench

HERE = Path(__file__).parent

SCAN_LIMIT, BUILD_LIMIT = 1.7, 2.7
"""Times the bare decode of image and mask on as many processes: the promises."""


def everything(bench: Bench) -> list[Row]:
    """Scan and build with all checks, against a loop that only decodes with Pillow."""
    source, workers = bench.small.rgb, str(bench.workers)
    scan_line = command_line("scan", source, "--mask-fit", "resize", "--workers", workers)
    scan = Subject("scan --checks full", partial(fixed, scan_line))
    build = built(source, "full", bench)
    bare = (sys.executable, str(HERE / "peers" / "pillow_decode.py"), source, workers)
    pillow = Subject("Pillow", partial(fixed, bare))
    runs = measure.alternate((scan, build, pillow), bench.repeats, bench.out)
    peer = runs[pillow.name]
    return [
        _against("whole process, `scan --checks full`", runs[scan.name], peer, SCAN_LIMIT),
        _against("whole process, `build --checks full`", runs[build.name], peer, BUILD_LIMIT),
        _processor("processor time of the scan", runs[scan.name], peer),
        _processor("processor time of the build", runs[build.name], peer),
    ]


def _processor(what: str, runs: Sequence[Run], peer: Sequence[Run]) -> Row:
    ours, theirs = [run.processor for run in runs], [run.processor for run in peer]
    told = table.times(measure.ratio(ours, theirs))
    return Row(what, table.seconds(ours), table.seconds(theirs), told, "", None)


def _against(what: str, runs: Sequence[Run], peer: Sequence[Run], limit: float) -> Row:
    ours, theirs = [run.wall for run in runs], [run.wall for run in peer]
    found = measure.ratio(ours, theirs)
    return Row(
        *(what, table.seconds(ours), table.seconds(theirs), table.times(found)),
        *(f"at most {limit} times its time", found.middle <= limit),
    )


COUNTS = (10_000, 100_000, 1_000_000)
BRUTE = COUNTS[0]
"""All against all takes a minute at ten times as many."""


def near(bench: Bench) -> list[Row]:
    """The search for near hashes, against comparing all with all and against itself."""
    turns: dict[int, list[dict[str, Any]]] = {count: [] for count in COUNTS}
    for _ in range(bench.repeats):
        for count, found in turns.items():
            limit = ("--brute-up-to", str(BRUTE))
            script = (sys.executable, str(HERE / "near.py"), str(count), *limit)
            found.append(measure.run(script).printed)
    rows, before = [], None
    for count, found in turns.items():
        ours = [turn["seconds"] for turn in found]
        if count <= BRUTE:
            peer = [turn["brute_seconds"] for turn in found]
            figure = f"{table.times(measure.ratio(peer, ours))} times faster"
            rows.append(_searched(count, found, ours, table.seconds(peer), figure, "", met=None))
        else:
            grown = measure.ratio(ours, before or ours)
            figure = f"{table.times(grown)} times the time of a tenth"
            promised = "less than 100 (quadratic)"
            rows.append(
                _searched(count, found, ours, "", figure, promised, met=grown.middle < QUADRATIC)
            )
        before = ours
    return rows


QUADRATIC = 100
"""Times the time of a tenth of the hashes."""


def _searched(
    count: int,
    found: list[dict[str, Any]],
    ours: list[float],
    peer: str,
    figure: str,
    promised: str,
    *,
    met: bool | None,
) -> Row:
    peak = max(turn["peak_bytes"] for turn in found) / 1e6
    what = f"near-duplicate search, {count:,} hashes, {peak:.0f} MB at most"
    return Row(what, table.seconds(ours), peer, figure, promised, met)


CASES: dict[str, tuple[str, Callable[[Bench], list[Row]]]] = {
    "all-checks": ("all checks, against bare Pillow decode of image and mask", everything),
    "near": ("near-duplicates, against comparing all with all", near),
}
