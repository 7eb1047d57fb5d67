"""The plot of docs/benchmarks.md: records a second, a panel a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from table import Bar

_OURS, _PEER, _RANGE = "#1f6f8b", "#b9c2c8", "#333333"
_ROW, _AROUND = 0.3, 0.9  # inches of a bar, and of what stands around a panel's bars


def draw(path: Path, panels: Mapping[str, Sequence[Bar]]) -> None:
    """Write the plot as SVG; the same figures give the same bytes.

    Args:
        path: of the file.
        panels: the bars of each panel by its title; thin lines show lowest and highest turn.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    heights = [_ROW * len(bars) + _AROUND for bars in panels.values()]
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axis, (title, bars) in zip(axes[:, 0], panels.items(), strict=True):
        _panel(axis, title, sorted(bars, key=lambda bar: table.middle(bar.rates)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "segrecord"}):
        figure.savefig(path, metadata={"Date": None})


def _panel(axis: Any, title: str, bars: Sequence[Bar]) -> None:
    """Draw the bars; the last one stands on top."""
    middles = [table.middle(bar.rates) for bar in bars]
    below = [middle - min(bar.rates) for middle, bar in zip(middles, bars, strict=True)]
    above = [max(bar.rates) - middle for middle, bar in zip(middles, bars, strict=True)]
    colours = [_OURS if bar.ours else _PEER for bar in bars]
    drawn = axis.barh(
        [bar.name for bar in bars], middles, xerr=(below, above), color=colours, ecolor=_RANGE
    )
    axis.bar_label(drawn, [f"{middle:,.0f}" for middle in middles], padding=4)
    axis.set_title(title, loc="left")
    axis.set_xlabel("records a second")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)
