"""Numbers into charts: bars, lines and maps, each with axes, units, a title and a description.

Colours are classes of report.css: s1 to s7 are those of Okabe and Ito, which colour-blind people
tell apart; whatever a colour says is also said by a place or a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from segrecord.reporting.layout import count_text
from segrecord.reporting.report.findings import cut
from segrecord.reporting.report.spread import CELLS, LEVEL_BINS
from segrecord.reporting.report.svg import WIDTH, Frame, axes, bar, chart, floor, label, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segrecord.reading.stats import SplitStats
    from segrecord.reporting.report.spread import Heat, Histogram, Levels

SERIES = 7
"""Colours."""

BARS = 48
"""Of one chart of classes and splits."""

SHARDS = 40
"""Shards of a split that are drawn."""

_BAR, _GAP, _NAME, _EDGE = 12, 2, 18, 10  # in units
_LONG = 40  # characters of a name
_STEPS = 9
"""Shades of a map: h0 to h8."""

_CELL = 16


def series(number: int) -> str:
    """The class of the colour of this number, from 0."""
    return f"s{number % SERIES + 1}"


def histogram(title: str, found: Histogram, unit: str, noun: str) -> Markup:
    """Counts by value.

    Args:
        title: what is counted.
        found: how many fall where.
        unit: of the edges, for the axis.
        noun: of what is counted, in the plural with an s.
    """
    edges, counts = found
    frame = Frame((edges[0], edges[-1]), (0, max(*counts, 1)))
    marks = [axes(frame, unit, noun)]
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        left, right = frame.across(low), frame.across(high)
        said = f"{low:,.10g} to {high:,.10g}: {count_text(count, noun.removesuffix('s'))}"
        if count:
            top = frame.up(count)
            marks.append(bar(left, top, right - left - 0.7, frame.bottom - top, "s1", said))
    most = counts.index(max(counts))
    all_of_them = count_text(sum(counts), noun.removesuffix("s"))
    described = (
        f"{all_of_them} from {edges[0]:,.10g} to {edges[-1]:,.10g}, {unit}; most, "
        f"{counts[most]:,}, between {edges[most]:,.10g} and {edges[most + 1]:,.10g}."
    )
    return chart(title, described, frame.total, *marks)


def named_bars(title: str, found: Sequence[tuple[str, int]], unit: str) -> Markup:
    """A bar for each name."""
    step = _BAR + 14
    frame = Frame((0, max(count for _, count in found)), (0, 1), len(found) * step, left=90)
    marks = []
    for number, (name, count) in enumerate(found):
        top = frame.top + number * step + 5
        width = frame.across(count) - frame.left
        marks.append(label(cut(name, 14), frame.left - 6, top + _BAR, "end"))
        marks.append(bar(frame.left, top, width, _BAR + 4, "s1", f"{name}: {count:,}"))
        # Inside where there is no room behind the bar.
        full = width > (frame.right - frame.left) * 0.8
        at = frame.left + width + (-5 if full else 5)
        marks.append(label(f"{count:,}", at, top + _BAR, "end" if full else "start", "on" * full))
    described = f"Number of {unit}: " + "; ".join(f"{name}: {n:,}" for name, n in found) + "."
    marks.append(floor(frame, unit))
    return chart(title, described, frame.total, *marks)


def classes_by_split(classes: Sequence[str], splits: Sequence[SplitStats]) -> Markup:
    """Of each class its share of each split, in percent, and its records."""
    shares = {
        (name, split.name): 100 * split.classes.get(name, 0) / max(split.records, 1)
        for name in classes
        for split in splits
    }
    step = _NAME + len(splits) * (_BAR + _GAP) + 6
    # Texts stand behind the bars.
    height, high = len(classes) * step, max(*shares.values(), 1)
    frame = Frame((0, high), (0, 1), height, _EDGE, 0.58 * WIDTH)
    marks = [floor(frame, "% of the split's records")]
    for row, name in enumerate(classes):
        top = frame.top + row * step
        marks.append(label(cut(name, _LONG), _EDGE, top + 12, class_="name"))
        for number, split in enumerate(splits):
            share, y = shares[name, split.name], top + _NAME + number * (_BAR + _GAP)
            width = frame.across(share) - _EDGE
            text = f"{split.name}  {split.classes.get(name, 0):,}  ({share:.1f} %)"
            marks.append(bar(_EDGE, y, width, _BAR, series(number), f"{cut(name, _LONG)}, {text}"))
            marks.append(label(cut(text, _LONG), _EDGE + width + 5, y + 10))
    described = "; ".join(
        f"{cut(name, _LONG)}: "
        + ", ".join(f"{split.name} {shares[name, split.name]:.1f} %" for split in splits)
        for name in classes
    )
    return chart("Classes in each split", described, frame.total, *marks)


def classes_by_shard(split: SplitStats, classes: Sequence[str]) -> Markup:
    """The shards of a split as columns, each divided by class; the rest is grey, on top."""
    shards = [shard for shard in split.shards[:SHARDS] if shard.records]
    frame = Frame((-0.5, max(len(shards), 1) - 0.5), (0, 100))
    marks = [axes(frame, "shard number", "% of its records", _numbers(len(shards)))]
    for column, shard in enumerate(shards):
        left = frame.across(column - 0.5)
        width = frame.across(column + 0.5) - left
        below = 0.0
        rest = sum(shard.classes.values()) - sum(shard.classes.get(name, 0) for name in classes)
        counts = [(name, series(at), shard.classes.get(name, 0)) for at, name in enumerate(classes)]
        for name, colour, count in [*counts, ("others", "rest", rest)]:
            if count:
                above = below + 100 * count / shard.records
                top, bottom = frame.up(above), frame.up(below)
                said = f"shard {column}: {cut(name, _LONG)} {count:,} of {shard.records:,}"
                marks.append(bar(left, top, width - 1, bottom - top, colour, said))
                below = above
    described = f"{count_text(len(shards), 'shard')} of {split.name}. {split.mixing.sentence}."
    return chart(f"Classes in each shard of {split.name}", described, frame.total, *marks)


def _numbers(count: int) -> list[float]:
    """Where the numbers of some columns stand: the first and every so many."""
    step = max(1, -(-count // 10))
    return [float(number) for number in range(0, count, step)]


def intensities(found: Levels) -> Markup:
    """How often each level occurs: all images as an area, each class as a line."""
    high = max(max(line) for line in (found.all, *found.by_class.values()))
    frame = Frame((0, 256), (0, high))
    step = 256 / LEVEL_BINS
    marks = [axes(frame, "level, 0 (black) to 255 (white)", "% of pixel values",
                  [0, 64, 128, 192, 255])]  # fmt: skip
    for number, share in enumerate(found.all):
        left, top = frame.across(number * step), frame.up(share)
        width = frame.across((number + 1) * step) - left
        said = f"{number * step:.0f} to {(number + 1) * step - 1:.0f}: {share:.1f} %"
        marks.append(bar(left, top, width, frame.bottom - top, "area", said))
    if len(found.by_class) > 1:
        for number, (name, shares) in enumerate(found.by_class.items()):
            marks.append(_line(frame, name, shares, f"line {series(number)}"))
    most = found.all.index(high) if high in found.all else found.all.index(max(found.all))
    described = (
        f"Of {count_text(found.images, 'image')}; most values, {found.all[most]:.1f} %, lie from "
        f"{most * step:.0f} to {(most + 1) * step - 1:.0f}."
    )
    return chart("Intensity of the images", described, frame.total, *marks)


def _line(frame: Frame, name: str, shares: Sequence[float], class_: str) -> Markup:
    step = 256 / len(shares)
    points = " ".join(
        f"{frame.across((number + 0.5) * step):.1f},{frame.up(share):.1f}"
        for number, share in enumerate(shares)
    )
    return tag("polyline", tag("title", cut(name, _LONG)), points=points, class_=class_)


def heat_map(found: Heat, high: float) -> Markup:
    """Where the masks of one class lie; the darkest shade is `high`, a share from 0 to 1."""
    shades: dict[int, list[str]] = {}
    for place, share in enumerate(found.cells):
        row, column = divmod(place, CELLS)
        shade = min(round(share / (high or 1) * (_STEPS - 1)), _STEPS - 1)
        cell = f"M{column * _CELL} {row * _CELL}h{_CELL}v{_CELL}h-{_CELL}z"
        shades.setdefault(shade, []).append(cell)
    side = CELLS * _CELL
    marks = [
        tag("path", d="".join(cells), class_=f"h{shade}") for shade, cells in sorted(shades.items())
    ]
    rim = tag("rect", x=0.5, y=0.5, width=side - 1, height=side - 1, class_="rim")
    place = max(range(len(found.cells)), key=found.cells.__getitem__)
    row, column = divmod(place, CELLS)
    described = (
        f"{count_text(found.masks, 'mask')}; most often at {100 * (column + 0.5) / CELLS:.0f} % of "
        f"the width and {100 * (row + 0.5) / CELLS:.0f} % of the height, where "
        f"{100 * found.cells[place]:.0f} % is mask."
    )
    return tag(
        "svg",
        tag("title", f"Where the masks lie: {cut(found.name, _LONG)}"),
        tag("desc", described),
        *marks,
        rim,
        viewBox=f"0 0 {side} {side}",
        role="img",
        class_="map",
    )


def shade_key(high: float) -> Markup:
    """What the shades of the maps mean."""
    width = (WIDTH - 20) / _STEPS
    marks: list[Markup] = []
    for shade in range(_STEPS):
        left = 10 + shade * width
        marks.append(tag("rect", x=left, y=0, width=width, height=14, class_=f"h{shade} rim"))
        said = f"{100 * high * shade / (_STEPS - 1):.0f}"
        marks.append(label(said, left + width / 2, 28, "middle"))
    marks.append(label("% of the masks cover this place", WIDTH / 2, 43, "middle", "unit"))
    described = f"From 0 % to {100 * high:.0f} % of the masks."
    return chart("Shades of the maps", described, 48, *marks)


def series_of(names: Sequence[str]) -> Mapping[str, str]:
    """The colour of each name, for a legend."""
    return {name: series(number) for number, name in enumerate(names)}
