"""What stands in the pixels of a dataset, for the terminal: masks, levels, and class weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segrecord.reporting.layout import (
    counted,
    cut,
    numbers_text,
    print_line,
    print_table,
    share_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from segrecord.reading.coverage import Coverage, MaskStats
    from segrecord.reading.levels import Levels
    from segrecord.reading.stats import Stats, Weights

_ROWS = 30
"""Rows of one table that are printed."""

_NAME = 20  # characters of a name beside numbers
_SHARE = ("min", "median", "mean", "max")


def print_masks(console: Console, masks: MaskStats) -> None:
    """How many masks there are, and what they cover."""
    if not masks.records:
        print_line(console, "masks: none")
        return
    print_line(
        console, f"masks: {counted(masks.records, 'record')} with one, {masks.missing} without"
    )
    if masks.foreground is None:
        print_line(console, "mask pixels: unchecked")
        return
    total = max(sum(masks.classes.values()), 1)
    rows = [
        (
            cut(name, _NAME),
            str(pixels),
            share_text(pixels / total, 2),
            *_covered(masks.coverage[name]),
        )
        for name, pixels in masks.classes.items()
    ]
    print_table(console, ("mask class", "pixels", "share", "masks", *_SHARE), rows)
    if masks.ignore_share:
        print_line(console, f"to ignore: {share_text(masks.ignore_share, 2)} of all mask pixels")
    print_line(
        console, "masks: how many hold the class; min to max: its share of a mask, over all masks"
    )
    shares = numbers_text(masks.foreground, share_text)
    told = ", ".join(f"{name} {share}" for name, share in zip(_SHARE, shares, strict=True))
    print_line(console, f"foreground (all but class 0) of a mask: {told}")
    _print_by_label(console, masks.by_label)


def _print_by_label(console: Console, by_label: dict[str, dict[str, Coverage]]) -> None:
    if not by_label:
        return
    rows = [
        (cut(label, _NAME), cut(name, _NAME), *_covered(found))
        for label, classes in by_label.items()
        for name, found in classes.items()
    ]
    console.print()
    print_table(console, ("class", "mask class", "masks", *_SHARE), rows[:_ROWS], texts=2)
    _print_rest(console, len(rows))


def _covered(coverage: Coverage) -> tuple[str, ...]:
    return str(coverage.masks), *numbers_text(coverage.share, share_text)


def _print_rest(console: Console, rows: int) -> None:
    if rows > _ROWS:
        print_line(
            console,
            f"({counted(rows - _ROWS, 'more row is', 'more rows are')} not shown: --json has them)",
        )


def print_levels(console: Console, stats: Stats) -> None:
    """Mean and deviation of each channel, of each split and of what a training learns from."""
    known = [(split.name, split.levels) for split in stats.splits if split.levels is not None]
    if not known:
        print_line(console, f"channel levels: unknown, {stats.levels_of}")
        return
    training, part = stats.training.levels, stats.training.part
    names = ("",) if len(known[0][1].mean) == 1 else (" R", " G", " B")
    header = ("levels", *(f"{what}{name}" for what in ("mean", "dev") for name in names))
    rows = [(cut(name, _NAME), *_told(levels)) for name, levels in known[:_ROWS]]
    if training is not None:
        unit = (*training.unit_mean, *training.unit_deviation)
        rows.append((f"{part}, 0 to 255", *_told(training)))
        rows.append((f"{part}, 0 to 1", *(f"{number:.4f}" for number in unit)))
    print_table(console, header, rows)
    _print_rest(console, len(known))
    print_line(console, f"measured on {stats.levels_of}")


def _told(levels: Levels) -> Iterable[str]:
    return (f"{number:.2f}" for number in (*levels.mean, *levels.deviation))


def print_weights(console: Console, stats: Stats) -> None:
    """The class weights of what a training learns from."""
    training = stats.training
    rows = [*_weights("class", training.class_weights), *_weights("mask", training.mask_weights)]
    if not rows:
        print_line(console, "class weights: there are no classes")
        return
    print_table(console, ("weight of", "name", "weight"), rows[:_ROWS], texts=2)
    _print_rest(console, len(rows))
    how = "n / (classes x count), of records; masks: of pixels, those to ignore left out"
    print_line(console, f"weights of {training.part}: {how}")


def _weights(what: str, weights: Weights) -> list[tuple[str, str, str]]:
    return [
        (what, name, "-" if weight is None else f"{weight:.4f}") for name, weight in weights.items()
    ]
