"""Marks of a chart as SVG: elements with everything escaped, axes, round numbers for ticks.

Colours and fonts stand in report.css, so that charts follow light and dark; here are places only.
A chart is 360 units wide: on a telephone a unit is a pixel, so that its texts can be read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 36
_PLOT = 150
"""Height of the plot of most charts."""

_TICKS = 5


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


def ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
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
