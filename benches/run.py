"""Run the benchmarks of docs/benchmarks.md and print their tables in Markdown.

python benches/run.py [--only NAME] [--pairs N] [--repeats K] [--write docs/benchmarks.md]

There are four groups of cases: building, knowing, reading and viewing; each has a table of its own
in the page. With --write the tables of those groups that were run are replaced, and the plot of
reading is drawn.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cases
import knowing
import measure
import plot
import reading
import reporting
import viewing
from table import Bar, Bench, Row, Set, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS: dict[str, dict[str, tuple[str, Callable[[Bench], list[Row]]]]] = {
    "building": cases.CASES,
    "knowing": knowing.CASES,
    "reading": reading.CASES,
    "viewing": viewing.CASES | reporting.CASES,
}

PLOT = Path("images/benchmarks.svg")
"""Beside the page."""

_LARGER = 4  # times the pairs, for the growth of memory
_NAMED = {
    "building": ("segrecord", "numpy", "pillow", "pyarrow", "isal", "tensorflow"),
    "viewing": ("segrecord", "pillow", "pyarrow", "starlette", "uvicorn"),
    "knowing": ("segrecord", "numpy", "pillow", "pyarrow", "isal"),
    "reading": (
        *("segrecord", "numpy", "pillow", "pyarrow", "isal", "protobuf", "opencv-python-headless"),
        *("tensorflow", "torch", "tfrecord", "grain", "array-record", "webdataset"),
    ),
}


def machine(group: str, workers: int) -> str:
    """One line on what the figures were measured with; no name and no path."""
    found = ", ".join(f"{name} {version(name)}" for name in _NAMED[group])
    kind = f"{platform.system()} {platform.machine()}"
    python = platform.python_version()
    return f"Measured on {kind}, {workers} cores, Python {python}, {found}."


def sets(folder: Path, pairs: int) -> Set:
    """The generated set, drawn by a process of its own, so that this one stays small."""
    script = str(Path(__file__).parent / "data.py")
    made = measure.run((sys.executable, script, str(folder), str(pairs))).printed
    return Set(pairs, made["ids"], made["rgb"], made["image_bytes"])


def marks(group: str) -> tuple[str, str]:
    """What stands around the group's tables in a page."""
    made = f"written by `python benches/run.py --only {group} --write docs/benchmarks.md`"
    return f"<!-- {group}: begin; {made} -->", f"<!-- {group}: end -->"


def write(path: Path, group: str, text: str) -> None:
    """Put the text between the group's two marks of a page.

    Raises:
        ValueError: the page lacks a mark.
    """
    page = path.read_text(encoding="utf-8")
    begins, ends = marks(group)
    before, begin, rest = page.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise ValueError(f"{path} lacks the mark {ends if begin else begins}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def parsed() -> argparse.Namespace:
    """The command line."""
    known = [name for group in GROUPS.values() for name in group]
    parser = argparse.ArgumentParser(description="run the benchmarks and print their table")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*GROUPS, *known],
        metavar="NAME",
        help=f"{', '.join(GROUPS)}, or a case: {', '.join(known)}; may be given several times",
    )
    parser.add_argument("--pairs", type=int, default=6000, help="pairs of the set (default 6000)")
    parser.add_argument("--repeats", type=int, default=5, help="counted turns (default 5)")
    parser.add_argument(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes of ours and of the peer (default: one a core)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).parents[1] / "bench-data",
        help="where the generated sets and the outputs go",
    )
    parser.add_argument("--write", type=Path, help="page to put the tables into")
    return parser.parse_args()


def run(group: str, bench: Bench, only: list[str]) -> tuple[str, dict[str, list[Row]]]:
    """Run these cases of a group, all where it is named itself; its part of the page, the rows."""
    parts, found = [_told(group, bench)], {}
    for name, (title, case) in GROUPS[group].items():
        if {name, group} & set(only):
            print(f"{name} ...", file=sys.stderr, flush=True)
            heading = title[0].upper() + title[1:]
            found[heading] = case(bench)
            parts += [f"### {heading}", markdown(found[heading])]
    return "\n\n".join(parts), found


def _told(group: str, bench: Bench) -> str:
    size = bench.small.image_bytes / bench.small.pairs / 1000
    set_ = f"{bench.small.pairs:,} pairs, {size:.0f} kB an image; {bench.repeats} turns."
    return f"{machine(group, bench.workers)}\n\n{set_}"


def bars(found: dict[str, list[Row]]) -> dict[str, list[Bar]]:
    """What can be drawn of the rows, each subject once."""
    panels = {
        title: list({bar.name: bar for row in rows for bar in row.bars}.values())
        for title, rows in found.items()
    }
    return {title: some for title, some in panels.items() if some}


def main() -> None:
    """Run what was asked for; the tables say which promises are kept."""
    given = parsed()
    given.data.mkdir(exist_ok=True)
    bench = Bench(
        small=sets(given.data, given.pairs),
        large=lambda: sets(given.data, given.pairs * _LARGER),
        repeats=given.repeats,
        workers=given.workers,
        out=given.data / "out",
    )
    for group in GROUPS:
        text, found = run(group, bench, given.only or list(GROUPS))
        if not found:
            continue
        print(text, flush=True)
        if given.write:
            write(given.write, group, text)
        if given.write and (panels := bars(found)):
            plot.draw(given.write.parent / PLOT, panels)


if __name__ == "__main__":
    main()
