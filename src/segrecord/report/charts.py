"""Numbers into charts as SVG: bars, lines and maps, each with axes, units, a title, a description.

Everything is escaped. Colours and fonts are classes of report.css, so that charts follow light and
dark; s1 to s7 are those of Okabe and Ito, which colour-blind people tell apart. Whatever a colour
says is also said by a place or a word. A chart is 360 units wide: on a telephone a unit is a pixel,
so that its texts can be read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from segrecord.report.distributions import CELLS, LEVEL_BINS
from segrecord.report.inputs import cut
from segrecord.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from segrecord.read.stats import SplitStats
    from segrecord.report.distributions import Heat, Histogram, Intensities

SERIES = 7
"""Colours."""

BARS = 48
"""Of one chart of classes and splits."""

SHARDS = 40
"""Shards of a split that are drawn."""

WIDTH = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 36
_PLOT = 150
"""Height of the plot of most charts."""

_BAR, _GAP, _NAME, _EDGE = 12, 2, 18, 10  # in units
_LONG = 40  # characters of a name
_STEPS = 9
"""Shades of a map: h0 to h8."""

_CELL = 16


def series(number: int) -> str:
    """The class of the colour of this number, from 0."""
    return f"s{number % SERIES + 1}"


def histogram(title: str, bins: Histogram, unit: str, noun: str) -> Markup:
    """Counts by value.

    Args:
        title: what is counted.
        bins: how many fall where.
        unit: of the edges, for the axis.
        noun: of what is counted, in the plural with an s.
    """
    edges, counts = bins
    frame = Frame((edges[0], edges[-1]), (0, max(*counts, 1)))
    marks = [axes(frame, unit, noun)]
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        left, right = frame.across(low), frame.across(high)
        said = f"{low:,.10g} to {high:,.10g}: {counted(count, noun.removesuffix('s'))}"
        if count:
            top = frame.up(count)
            marks.append(bar(left, top, right - left - 0.7, frame.bottom - top, "s1", said))
    most = counts.index(max(counts))
    all_of_them = counted(sum(counts), noun.removesuffix("s"))
    described = (
        f"{all_of_them} from {edges[0]:,.10g} to {edges[-1]:,.10g}, {unit}; most, "
        f"{counts[most]:,}, between {edges[most]:,.10g} and {edges[most + 1]:,.10g}."
    )
    return chart(title, described, frame.total, *marks)


def named_bars(title: str, counts: Sequence[tuple[str, int]], unit: str) -> Markup:
    """A bar for each name."""
    step = _BAR + 14
    frame = Frame((0, max(count for _, count in counts)), (0, 1), len(counts) * step, left=90)
    marks = []
    for number, (name, count) in enumerate(counts):
        top = frame.top + number * step + 5
        width = frame.across(count) - frame.left
        marks.append(label(cut(name, 14), frame.left - 6, top + _BAR, "end"))
        marks.append(bar(frame.left, top, width, _BAR + 4, "s1", f"{name}: {count:,}"))
        # Inside where there is no room behind the bar.
        full = width > (frame.right - frame.left) * 0.8
        at = frame.left + width + (-5 if full else 5)
        marks.append(label(f"{count:,}", at, top + _BAR, "end" if full else "start", "on" * full))
    described = f"Number of {unit}: " + "; ".join(f"{name}: {n:,}" for name, n in counts) + "."
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
    # The first and every so many.
    numbers = range(0, len(shards), max(1, -(-len(shards) // 10)))
    marks = [axes(frame, "shard number", "% of its records", list(map(float, numbers)))]
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
    described = f"{counted(len(shards), 'shard')} of {split.name}. {split.shard_balance.sentence}."
    return chart(f"Classes in each shard of {split.name}", described, frame.total, *marks)


def intensities(levels: Intensities) -> Markup:
    """How often each level occurs: all images as an area, each class as a line."""
    high = max(max(line) for line in (levels.all, *levels.by_class.values()))
    frame = Frame((0, 256), (0, high))
    step = 256 / LEVEL_BINS
    marks = [axes(frame, "level, 0 (black) to 255 (white)", "% of pixel values",
                  [0, 64, 128, 192, 255])]  # fmt: skip
    for number, share in enumerate(levels.all):
        left, top = frame.across(number * step), frame.up(share)
        width = frame.across((number + 1) * step) - left
        said = f"{number * step:.0f} to {(number + 1) * step - 1:.0f}: {share:.1f} %"
        marks.append(bar(left, top, width, frame.bottom - top, "area", said))
    if len(levels.by_class) > 1:
        for number, (name, shares) in enumerate(levels.by_class.items()):
            points = " ".join(
                f"{frame.across((place + 0.5) * step):.1f},{frame.up(share):.1f}"
                for place, share in enumerate(shares)
            )
            title = tag("title", cut(name, _LONG))
            marks.append(tag("polyline", title, points=points, class_=f"line {series(number)}"))
    most = levels.all.index(high) if high in levels.all else levels.all.index(max(levels.all))
    described = (
        f"Of {counted(levels.images, 'image')}; most values, {levels.all[most]:.1f} %, lie from "
        f"{most * step:.0f} to {(most + 1) * step - 1:.0f}."
    )
    return chart("Intensity of the images", described, frame.total, *marks)


def heat_map(heat: Heat, high: float) -> Markup:
    """Where the masks of one class lie; the darkest shade is `high`, a share from 0 to 1."""
    shades: dict[int, list[str]] = {}
    for number, share in enumerate(heat.cells):
        row, column = divmod(number, CELLS)
        shade = min(round(share / (high or 1) * (_STEPS - 1)), _STEPS - 1)
        cell = f"M{column * _CELL} {row * _CELL}h{_CELL}v{_CELL}h-{_CELL}z"
        shades.setdefault(shade, []).append(cell)
    side = CELLS * _CELL
    marks = [
        tag("path", d="".join(cells), class_=f"h{shade}") for shade, cells in sorted(shades.items())
    ]
    rim = tag("rect", x=0.5, y=0.5, width=side - 1, height=side - 1, class_="rim")
    number = max(range(len(heat.cells)), key=heat.cells.__getitem__)
    row, column = divmod(number, CELLS)
    described = (
        f"{counted(heat.masks, 'mask')}; most often at {100 * (column + 0.5) / CELLS:.0f} % of "
        f"the width and {100 * (row + 0.5) / CELLS:.0f} % of the height, where "
        f"{100 * heat.cells[number]:.0f} % is mask."
    )
    return tag(
        "svg",
        tag("title", f"Where the masks lie: {cut(heat.name, _LONG)}"),
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


class Frame(NamedTuple):
    """Where a chart's plot lies, and what its axes mean."""

    x: tuple[float, float]
    """The values at the left and the right end."""
    y: tuple[float, float]
    """The values at the bottom and the top."""
    height: float = _PLOT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT

    @property
    def top(self) -> float:
        """The upper end."""
        return _TOP

    @property
    def bottom(self) -> float:
        """The lower end."""
        return _TOP + self.height

    @property
    def total(self) -> float:
        """Height of the chart with its axis."""
        return self.bottom + _BOTTOM

    def across(self, value: float) -> float:
        """Where this value of x lies."""
        low, high = self.x
        return self.left + (self.right - self.left) * (value - low) / ((high - low) or 1)

    def up(self, value: float) -> float:
        """Where this value of y lies."""
        low, high = self.y
        return self.bottom - self.height * (value - low) / ((high - low) or 1)


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element: `class_` is class, `text_anchor` text-anchor, floats have one decimal."""
    named = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value))
        for key, value in attributes.items()
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), named, inner)  # noqa: S704 - a literal of this package


def _text(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def chart(title: str, description: str, height: float, *marks: object) -> Markup:
    """The whole drawing: a picture with a name and a description for those who hear it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *marks,
        viewBox=f"0 0 {WIDTH} {_text(float(height))}",
        role="img",
        class_="chart",
    )


def label(text: str, x: float, y: float, anchor: str = "start", class_: str = "") -> Markup:
    """A text."""
    return tag("text", text, x=x, y=y, text_anchor=anchor, **({"class_": class_} if class_ else {}))


def bar(x: float, y: float, width: float, height: float, class_: str, said: str) -> Markup:
    """A rectangle that tells its number where the pointer rests."""
    size = {"width": max(width, 0.0), "height": max(height, 0.0)}
    return tag("rect", tag("title", said), x=x, y=y, class_=class_, **size)


def floor(frame: Frame, x_label: str, x_ticks: Iterable[float] = ()) -> Markup:
    """The axis at the bottom: its numbers (default: round ones) and their unit."""
    marks = [
        label(short(value), frame.across(value), frame.bottom + 14, "middle")
        for value in x_ticks or ticks(*frame.x)
    ]
    base = {"x1": frame.left, "x2": frame.right, "y1": frame.bottom, "y2": frame.bottom}
    marks.append(tag("line", **base, class_="axis"))
    middle = (frame.left + frame.right) / 2
    return tag("g", *marks, label(x_label, middle, frame.bottom + 30, "middle", "unit"))


def axes(frame: Frame, x_label: str, y_label: str, x_ticks: Iterable[float] = ()) -> Markup:
    """Both axes, with grid lines for y."""
    marks = [floor(frame, x_label, x_ticks)]
    for value in ticks(*frame.y):
        at = frame.up(value)
        marks.append(tag("line", x1=frame.left, x2=frame.right, y1=at, y2=at, class_="grid"))
        marks.append(label(short(value), frame.left - 5, at + 3.5, "end"))
    turned = f"translate(11 {_text((frame.top + frame.bottom) / 2)}) rotate(-90)"
    marks.append(tag("text", y_label, transform=turned, text_anchor="middle", class_="unit"))
    return tag("g", *marks)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about so many: 1, 2, 5 times a power of ten apart."""
    span = (high - low) or 1
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(times * power for times in (1, 2, 5, 10) if span / (times * power) <= count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def short(value: float) -> str:
    """A number for an axis: 1500 is 1.5k, 20000 is 20k."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.10g}"
