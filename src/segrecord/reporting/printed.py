"""Summaries for the terminal: 80 columns, without colour where it is none.

Rich decides by the console whether there is colour (it honours NO_COLOR and files); names that
come from the data are printed as they are, never read as markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from segrecord.errors import RecordError
    from segrecord.reading.lookup import Record
    from segrecord.reading.stats import Numbers, SplitStats, Stats
    from segrecord.reading.verify import Report

WIDTH = 80

_SHOWN = 3
"""Problems of one kind that are printed; the rest is counted."""

_SHARDS = 30
"""Shards of one split that are printed."""

_CLASSES = 5
"""Classes that get a column of their own; more are printed a line each, without the shards."""

_VALUE = 54  # characters of a feature's value
_NAME = 20  # characters of a class name that heads a column
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """A number of bytes for people, decimal: 1234567 is 1.2 MB."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - decimal units
        size, unit = size / 1000, unit + 1
    return f"{size:.{0 if unit == 0 else 1}f} {_UNITS[unit]}"


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), width=min(WIDTH, console.width))


def _table(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose first column is text and whose other columns are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header):
        justify: Any = "left" if number == 0 else "right"
        table.add_column(Text(name, style="bold"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table, width=min(WIDTH, console.width))


def print_stats(console: Console, stats: Stats) -> None:
    """Splits, classes, sizes and masks of a dataset, and whether its classes are well mixed."""
    _line(console, f"{stats.name}: {stats.records} records, {size_text(stats.bytes)}", "bold")
    for split in stats.splits:
        console.print()
        _print_split(console, split)
    console.print()
    _print_sizes(console, stats)
    console.print()
    _print_masks(console, stats)


def _print_split(console: Console, split: SplitStats) -> None:
    classes = list(split.classes)
    if len(classes) <= _CLASSES:
        header = [split.name, "records", "size", *(_cut(name, _NAME) for name in classes)]
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
        _table(
            console, header, [*rows, ("all", str(split.records), size_text(split.bytes), *totals)]
        )
        if len(split.shards) > _SHARDS:
            _line(console, f"({len(split.shards) - _SHARDS} more shards are not shown)")
    else:
        shards = f"{len(split.shards)} shards, {size_text(split.bytes)}"
        _line(console, f"{split.name}: {split.records} records in {shards}", "bold")
        _table(console, ["class", "records"], [(n, str(c)) for n, c in split.classes.items()])
    style = "bold red" if split.mixing.mixed is False else ""
    _line(console, f"{split.name}: {split.mixing.sentence}", style)


def _print_sizes(console: Console, stats: Stats) -> None:
    named = [("height", stats.heights), ("width", stats.widths)]
    rows = [(name, *_numbers(numbers, "{:.0f}")) for name, numbers in named]
    _table(console, ["pixels", "min", "median", "mean", "max"], rows)
    if stats.record_bytes is not None:
        least, median, mean, most = map(size_text, stats.record_bytes)
        _line(console, f"a record: {least} to {most}, median {median}, mean {mean}")


def _numbers(numbers: Numbers | None, form: str) -> tuple[str, ...]:
    return ("-",) * 4 if numbers is None else tuple(form.format(number) for number in numbers)


def _print_masks(console: Console, stats: Stats) -> None:
    masks = stats.masks
    if not masks.records:
        _line(console, "masks: none")
        return
    _line(console, f"masks: {masks.records} records with one, {masks.missing} without")
    if masks.foreground is None or not masks.classes:
        _line(console, "mask pixels: unchecked")
        return
    shares = _numbers(masks.foreground, "{:.1%}")
    _table(console, ["foreground share", "min", "median", "mean", "max"], [("", *shares)])
    total = max(sum(masks.classes.values()), 1)
    rows = [(name, str(pixels), f"{pixels / total:.2%}") for name, pixels in masks.classes.items()]
    _table(console, ["mask class", "pixels", "share"], rows)
    if masks.ignore_share:
        _line(console, f"to ignore: {masks.ignore_share:.2%} of all mask pixels")


def print_report(console: Console, report: Report) -> None:
    """What a check has found: the first few problems of each kind, and how many more there are."""
    what = f"{report.records} records in {report.shards} shards, {size_text(report.bytes)}"
    for note in report.not_checked:
        _line(console, f"not checked: {note}")
    if not report.problems:
        _line(console, f"sound: {what}", "green")
        return
    for problems in _kinds(report.problems):
        for problem in problems[:_SHOWN]:
            _line(console, str(problem), "red")
        if len(problems) > _SHOWN:
            _line(console, f"  ... and {len(problems) - _SHOWN} more of this kind")
    count = len(report.problems)
    _line(console, f"{count} problem{'s' * (count > 1)}: {what}", "bold red")


def _kinds(problems: Iterable[RecordError]) -> list[list[RecordError]]:
    """Problems whose rules differ only in numbers, hashes and quoted names stand together."""
    kinds: dict[str, list[RecordError]] = {}
    for problem in problems:
        kind = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{8,}|-?\d+", "#", problem.rule)
        kinds.setdefault(kind, []).append(problem)
    return list(kinds.values())


def print_record(console: Console, record: Record) -> None:
    """Where a record stands, and its features."""
    _line(console, record.key, "bold")
    place = f"record {record.number} at byte {record.offset}"
    _line(console, f"split {record.split}, {record.shard}, {place}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("feature", "kind", "value"):
        table.add_column(Text(name, style="bold"), overflow="fold")
    for name, values in record.features.items():
        table.add_row(Text(name), Text(_kind(values)), Text(_value(values)))
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
        return _cut(text, _VALUE) + more
    return f"{len(first)} bytes, {first[:8]!r}..." + more


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
