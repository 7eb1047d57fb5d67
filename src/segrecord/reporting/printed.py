"""What verify, stats and show have found, for the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from segrecord.reporting.layout import (
    WIDTH,
    counted,
    cut,
    numbers_text,
    print_gap,
    print_line,
    print_parts,
    print_table,
    printable,
    size_text,
)
from segrecord.reporting.measured import print_levels, print_masks, print_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from segrecord.errors import RecordError
    from segrecord.reading.lookup import Record
    from segrecord.reading.stats import SplitStats, Stats
    from segrecord.reading.verify import Report

_SHOWN = 3
"""Problems of one kind that are printed; the rest is counted."""

_SHARDS = 30
"""Shards of one split that are printed."""

_CLASSES = 5
"""Classes that get a column of their own; more are printed a line each, without the shards."""

_VALUE = 36  # characters of a feature's value
_NAME = 20  # characters of a class name that heads a column


def print_stats(console: Console, stats: Stats) -> None:
    """Splits, classes, sizes, levels and masks, and whether the classes are well mixed."""
    print_line(
        console,
        f"{stats.name}: {counted(stats.records, 'record')}, {size_text(stats.bytes)}",
        "bold",
    )
    for split in stats.splits:
        console.print()
        _print_split(console, split)
    console.print()
    _print_sizes(console, stats)
    for print_part in (print_levels, print_weights):
        console.print()
        print_part(console, stats)
    console.print()
    print_masks(console, stats.masks)


def _print_split(console: Console, split: SplitStats) -> None:
    classes = list(split.classes)
    if len(classes) <= _CLASSES:
        header = [split.name, "records", "size", *(cut(name, _NAME) for name in classes)]
        rows = [
            (
                # Without its ending, so that it stays on one line.
                shard.name.partition(".tfrecord")[0],
                str(shard.records),
                size_text(shard.bytes),
                *(str(shard.classes.get(name, 0)) for name in classes),
            )
            for shard in split.shards[:_SHARDS]
        ]
        totals = tuple(str(split.classes[name]) for name in classes)
        print_table(
            console, header, [*rows, ("all", str(split.records), size_text(split.bytes), *totals)]
        )
        if len(split.shards) > _SHARDS:
            more = counted(len(split.shards) - _SHARDS, "more shard is", "more shards are")
            print_line(console, f"({more} not shown)")
    else:
        shards = f"{counted(len(split.shards), 'shard')}, {size_text(split.bytes)}"
        print_line(console, f"{split.name}: {counted(split.records, 'record')} in {shards}", "bold")
        print_table(console, ["class", "records"], [(n, str(c)) for n, c in split.classes.items()])
    style = "bold red" if split.mixing.mixed is False else ""
    print_line(console, f"{split.name}: {split.mixing.sentence}", style)


def _print_sizes(console: Console, stats: Stats) -> None:
    named = [("height", stats.heights), ("width", stats.widths)]
    rows = [(name, *numbers_text(numbers, "{:.0f}".format)) for name, numbers in named]
    print_table(console, ["pixels", "min", "median", "mean", "max"], rows)
    if stats.record_bytes is not None:
        least, median, mean, most = map(size_text, stats.record_bytes)
        print_line(console, f"a record: {least} to {most}, median {median}, mean {mean}")


def print_report(console: Console, report: Report) -> None:
    """What a check has found: the first few problems of each kind, and how many more there are."""
    held = f"{counted(report.records, 'record')} in {counted(report.shards, 'shard')}"
    what = f": {held}, {size_text(report.bytes)}"
    if report.compared:
        what += "; all pixels and labels compared with the source"
    for note in report.not_checked:
        print_parts(console, ("not checked:", "yellow"), f" {note}")
    if not report.problems:
        print_parts(console, ("sound", "green"), what)
        return
    for problems in _kinds(report.problems):
        for problem in problems[:_SHOWN]:
            where, rule = str(problem).removesuffix(problem.rule), problem.rule
            print_parts(console, (where, "bold"), (rule, "red"))
        if len(problems) > _SHOWN:
            print_parts(console, f"... and {len(problems) - _SHOWN} more of this kind", indent=2)
    print_gap(console)
    print_parts(console, (counted(len(report.problems), "problem"), "bold red"), what)
    print_parts(console, "next: copy the dataset again from an undamaged copy, or build it again")


def _kinds(problems: Iterable[RecordError]) -> list[list[RecordError]]:
    """Problems whose rules differ only in numbers, hashes and quoted names stand together."""
    kinds: dict[str, list[RecordError]] = {}
    for problem in problems:
        kind = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{8,}|-?\d+", "#", problem.rule)
        kinds.setdefault(kind, []).append(problem)
    return list(kinds.values())


def print_record(console: Console, record: Record) -> None:
    """Where a record stands, and its features."""
    print_line(console, record.key, "bold")
    place = f"record {record.number} at byte {record.offset}"
    print_line(console, f"split {record.split}, {record.shard}, {place}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("feature", "kind", "value"):
        table.add_column(Text(name, style="bold"), overflow="fold")
    for name, values in record.features.items():
        cells = (name, _kind(values), _value(values))
        table.add_row(*(Text(printable(cell, console.encoding)) for cell in cells))
    console.print(table, width=min(WIDTH, console.width))


def _kind(values: list[Any]) -> str:
    return type(values[0]).__name__ if values else "empty"


def _value(values: list[Any]) -> str:
    """The first value as text; bytes that are no text by their number and beginning."""
    if not values:
        return ""
    more = f" (+ {len(values) - 1} more)" if len(values) > 1 else ""
    first = values[0]
    if not isinstance(first, bytes):
        return f"{first}{more}"
    text = _text(first)
    if text is not None and len(first) <= 4 * _VALUE:
        return cut(text, _VALUE) + more
    return f"{len(first)} bytes, {first[:4]!r}..." + more


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
