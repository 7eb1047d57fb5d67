"""Run the benchmarks of docs/benchmarks.md and print their table in Markdown.

python benches/run.py [--only NAME] [--pairs N] [--repeats K] [--write docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import cases
import measure
from cases import Bench, Row, Set

BEGIN = "<!-- table: begin; written by `python benches/run.py --write docs/benchmarks.md` -->"
END = "<!-- table: end -->"

_LARGER = 4  # times the pairs, for the growth of memory
_NAMED = ("segrecord", "numpy", "pillow", "pyarrow", "isal", "tensorflow")
_HEAD = ("against", "ours", "peer", "ratio or figure", "promised", "met")
_MET = {True: "yes", False: "**no**", None: ""}


def machine(workers: int) -> str:
    """One line on what the figures were measured with; no name and no path."""
    found = ", ".join(f"{name} {version(name)}" for name in _NAMED)
    kind = f"{platform.system()} {platform.machine()}"
    python = platform.python_version()
    return f"Measured on {kind}, {workers} cores, Python {python}, {found}."


def sets(folder: Path, pairs: int) -> Set:
    """The generated set, drawn by a process of its own, so that this one stays small."""
    script = str(Path(__file__).parent / "data.py")
    made = measure.run((sys.executable, script, str(folder), str(pairs))).printed
    return Set(pairs, made["ids"], made["rgb"], made["image_bytes"])


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [_line(_HEAD), _line(("---",) * len(_HEAD))]
    lines += [_line((*row[:-1], _MET[row.met])) for row in rows]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def write(path: Path, text: str) -> None:
    """Put the text between the two marks of a page.

    Raises:
        ValueError: the page lacks a mark.
    """
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the mark {BEGIN if not begin else END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="run the benchmarks and print their table")
    parser.add_argument(
        "--only",
        action="append",
        choices=sorted(cases.CASES),
        metavar="NAME",
        help=f"one of {', '.join(cases.CASES)}; may be given several times",
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
    parser.add_argument("--write", type=Path, help="page to put the table into")
    return parser.parse_args()


def main() -> None:
    """Run what was asked for; the table says which promises are kept."""
    given = parsed()
    given.data.mkdir(exist_ok=True)
    bench = Bench(
        small=sets(given.data, given.pairs),
        large=lambda: sets(given.data, given.pairs * _LARGER),
        repeats=given.repeats,
        workers=given.workers,
        out=given.data / "out",
    )
    size = bench.small.image_bytes / given.pairs / 1000
    parts = [
        machine(given.workers),
        f"{given.pairs:,} pairs, {size:.0f} kB an image; {given.repeats} turns.",
    ]
    for name in given.only or cases.CASES:
        title, case = cases.CASES[name]
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows = case(bench)
        parts += [f"### {title[0].upper()}{title[1:]}", table(rows)]
    text = "\n\n".join(parts)
    print(text)
    if given.write:
        write(given.write, text)


if __name__ == "__main__":
    main()
