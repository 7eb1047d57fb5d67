"""What verify, stats and show print."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.table import Table
from rich.text import Text

from segrecord.console.terminal import (
    WIDTH,
    numbers_text,
    on_screen,
    print_gap,
    print_line,
    print_parts,
    print_table,
    printable,
    screen_width,
)
from segrecord.images.overlay import colour_of
from segrecord.wording import counted, cut, share_text, size_text

if TYPE_CHECKING:
    from rich.console import Console

    from segrecord.errors import RecordError
    from segrecord.images.overlay import Sides
    from segrecord.read.lookup import Record
    from segrecord.read.pixel_stats import Coverage, MaskStats
    from segrecord.read.stats import SplitStats, Stats
    from segrecord.verification.checker import Report

LINES = 24
"""Lines that a picture takes at most: those of the smallest terminal in use."""

_SHOWN = 3
"""Problems of one kind that are printed; the rest is counted."""

_SHARDS = 30
"""Shards of one split that are printed."""

_ROWS = 30
"""Rows of another table that are printed."""

_CLASSES = 5
"""Classes that get a column of their own; more are printed a line each, without the shards."""

_VALUE = 36  # characters of a feature's value
_NAME = 20  # characters of a name that heads a column or stands beside numbers
_FOUR = ("min", "median", "mean", "max")
_HALF = "\N{UPPER HALF BLOCK}"


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
    # Problems whose rules differ only in numbers, hashes and quoted names are of one kind.
    kinds: dict[str, list[RecordError]] = {}
    for problem in report.problems:
        kind = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9a-f]{8,}|-?\d+", "#", problem.rule)
        kinds.setdefault(kind, []).append(problem)
    for problems in kinds.values():
        for problem in problems[:_SHOWN]:
            where, rule = str(problem).removesuffix(problem.rule), problem.rule
            print_parts(console, (where, "bold"), (rule, "red"))
        if len(problems) > _SHOWN:
            print_parts(console, f"... and {len(problems) - _SHOWN} more of this kind", indent=2)
    print_gap(console)
    print_parts(console, (counted(len(report.problems), "problem"), "bold red"), what)
    print_parts(console, "next: copy the dataset again from where it is sound, or build it again")


def print_stats(console: Console, stats: Stats) -> None:
    """Splits, classes, sizes, channels and masks, and whether the classes are well mixed."""
    head = f"{stats.name}: {counted(stats.records, 'record')}, {size_text(stats.bytes)}"
    print_line(console, head, "bold")
    for split in stats.splits:
        console.print()
        _print_split(console, split)
    console.print()
    named = [("height", stats.heights), ("width", stats.widths)]
    rows = [(name, *numbers_text(numbers, "{:.0f}".format)) for name, numbers in named]
    print_table(console, ["pixels", *_FOUR], rows)
    if stats.record_bytes is not None:
        least, median, mean, most = map(size_text, stats.record_bytes)
        print_line(console, f"a record: {least} to {most}, median {median}, mean {mean}")
    console.print()
    print_channel_stats(console, stats)
    console.print()
    print_weights(console, stats)
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
        rows.append(("all", str(split.records), size_text(split.bytes), *totals))
        print_table(console, header, rows)
        if len(split.shards) > _SHARDS:
            more = counted(len(split.shards) - _SHARDS, "more shard is", "more shards are")
            print_line(console, f"({more} not shown)")
    else:
        shards = f"{counted(len(split.shards), 'shard')}, {size_text(split.bytes)}"
        print_line(console, f"{split.name}: {counted(split.records, 'record')} in {shards}", "bold")
        print_table(console, ["class", "records"], [(n, str(c)) for n, c in split.classes.items()])
    style = "bold red" if split.shard_balance.mixed is False else ""
    print_line(console, f"{split.name}: {split.shard_balance.sentence}", style)


def print_masks(console: Console, masks: MaskStats) -> None:
    """How many masks there are, and what they cover."""
    if not masks.records:
        print_line(console, "masks: none")
        return
    held = f"masks: {counted(masks.records, 'record')} with one, {masks.missing} without"
    print_line(console, held)
    if masks.foreground is None:
        print_line(console, "mask pixels: unchecked")
        return
    total = max(sum(masks.classes.values()), 1)
    rows = [
        (cut(name, _NAME), str(n), share_text(n / total, 2), *_covered(masks.coverage[name]))
        for name, n in masks.classes.items()
    ]
    print_table(console, ("mask class", "pixels", "share", "masks", *_FOUR), rows)
    if masks.ignore_share:
        print_line(console, f"to ignore: {share_text(masks.ignore_share, 2)} of all mask pixels")
    print_line(
        console, "masks: how many hold the class; min to max: its share of a mask, over all masks"
    )
    shares = numbers_text(masks.foreground, share_text)
    listed = ", ".join(f"{name} {share}" for name, share in zip(_FOUR, shares, strict=True))
    print_line(console, f"foreground (all but class 0) of a mask: {listed}")
    by_label = [
        (cut(label, _NAME), cut(name, _NAME), *_covered(coverage))
        for label, classes in masks.by_label.items()
        for name, coverage in classes.items()
    ]
    if by_label:
        console.print()
        print_table(console, ("class", "mask class", "masks", *_FOUR), by_label[:_ROWS], texts=2)
        _print_rest(console, len(by_label))


def _covered(coverage: Coverage) -> tuple[str, ...]:
    return str(coverage.masks), *numbers_text(coverage.share, share_text)


def _print_rest(console: Console, rows: int) -> None:
    if rows > _ROWS:
        more = counted(rows - _ROWS, "more row is", "more rows are")
        print_line(console, f"({more} not shown: --json has them)")


def print_channel_stats(console: Console, stats: Stats) -> None:
    """Mean and standard deviation of each channel, by split and of what a training learns from."""
    measured = [(split.name, found) for split in stats.splits if (found := split.channel_stats)]
    if not measured:
        print_line(console, f"channel statistics: unknown, {stats.channel_stats_of}")
        return
    training, part = stats.training.channel_stats, stats.training.part
    rows = measured[:_ROWS]
    if training is not None:
        rows.append((f"{part}, 0 to 255", training))
    names = ("",) if len(measured[0][1].mean) == 1 else (" R", " G", " B")
    header = ("channels", *(f"{what}{name}" for what in ("mean", "std") for name in names))
    cells = [
        (cut(name, _NAME), *(f"{number:.2f}" for number in (*channels.mean, *channels.std)))
        for name, channels in rows
    ]
    if training is not None:
        unit = (*training.unit_mean, *training.unit_std)
        cells.append((f"{part}, 0 to 1", *(f"{number:.4f}" for number in unit)))
    print_table(console, header, cells)
    _print_rest(console, len(measured))
    print_line(console, f"measured on {stats.channel_stats_of}")


def print_weights(console: Console, stats: Stats) -> None:
    """The class weights of what a training learns from."""
    training = stats.training
    rows = [
        (what, name, "-" if weight is None else f"{weight:.4f}")
        for what, weights in (("class", training.class_weights), ("mask", training.mask_weights))
        for name, weight in weights.items()
    ]
    if not rows:
        print_line(console, "class weights: there are no classes")
        return
    print_table(console, ("weight of", "name", "weight"), rows[:_ROWS], texts=2)
    _print_rest(console, len(rows))
    how = "n / (classes x count), of records; masks: of pixels, those to ignore left out"
    print_line(console, f"weights of {training.part}: {how}")


def print_record(console: Console, record: Record) -> None:
    """Where a record stands, and its features."""
    print_line(console, record.key, "bold")
    where = f"record {record.number} at byte {record.offset}"
    print_line(console, f"split {record.split}, {record.shard}, {where}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("feature", "kind", "value"):
        table.add_column(Text(name, style="bold"), overflow="fold")
    for name, values in record.features.items():
        kind = type(values[0]).__name__ if values else "empty"
        cells = (name, kind, _value(values))
        table.add_row(*(Text(printable(cell, console.encoding)) for cell in cells))
    console.print(table, width=min(WIDTH, console.width))


def _value(values: list[Any]) -> str:
    """The first value as text; bytes that are no text by their number and beginning."""
    if not values:
        return ""
    more = f" (+ {len(values) - 1} more)" if len(values) > 1 else ""
    first = values[0]
    if not isinstance(first, bytes):
        return f"{first}{more}"
    try:
        text = first.decode()
    except UnicodeDecodeError:
        text = "\0"
    if text.isprintable() and len(first) <= 4 * _VALUE:
        return cut(text, _VALUE) + more
    return f"{len(first)} bytes, {first[:4]!r}..." + more


def can_draw(console: Console) -> bool:
    """Whether the console is a terminal that shows half blocks in at least 256 colours.

    Rich gives each colour as 24 bits where the terminal takes them, else as the nearest of 256.
    """
    coloured = console.color_system in ("truecolor", "256") and not console.no_color
    return on_screen(console) and coloured and console.encoding.startswith("utf")


def draw(console: Console, seen: Sides) -> None:
    """Print both sides beside each other, fitted to the width and to 24 lines, and the legend.

    A character is two pixels: the upper half block in the colour of the upper one, on the colour of
    the lower one, so that pixels are about square.
    """
    gap = 2
    width = (screen_width(console) - gap) // 2
    sides = []
    for side in (seen.plain, seen.painted):
        scale = min(width / side.width, 2 * LINES / side.height)
        columns = max(int(side.width * scale), 1)
        lines = max(round(side.height * scale / 2), 1)
        sides.append(np.asarray(side.resize((columns, 2 * lines), Image.Resampling.LANCZOS)))
    for row in range(0, len(sides[0]), 2):
        text = Text()
        for pixels in sides:
            text.append(" " * gap * bool(text))
            for upper, lower in zip(*pixels[row : row + 2].tolist(), strict=True):
                style = Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
                text.append(_HALF, style)
        console.print(text, soft_wrap=True)
    for entry in seen.legend:
        text = Text()
        if entry.number:
            text.append(f"{2 * _HALF} ", Style(color=Color.from_rgb(*colour_of(entry.number))))
        text.append(printable(entry.text, console.encoding))
        # Under the painted side, or further left where it is long.
        margin = min(sides[0].shape[1] + gap, max(screen_width(console) - text.cell_len, 0))
        console.print(Text(" " * margin) + text, soft_wrap=True)
