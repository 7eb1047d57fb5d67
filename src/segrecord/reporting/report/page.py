"""The report: one HTML file that needs nothing else, made of a committed dataset.

Everything that comes from data is escaped by jinja. The page may load nothing and run nothing but
its own style and script, by their hashes: a name that slipped through could still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segrecord.errors import OutputError
from segrecord.reading.mixing import mixing_of
from segrecord.reading.stats import ShardStats, SplitStats
from segrecord.reporting.layout import count_text
from segrecord.reporting.overlay import PALETTE
from segrecord.reporting.report import charts, spread
from segrecord.reporting.report.built import built
from segrecord.reporting.report.data import Data, read
from segrecord.reporting.report.findings import anchor, cut
from segrecord.reporting.report.gallery import THUMBS, gallery
from segrecord.reporting.verdict import Tally, outcome_of, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPORT = "report.html"

_HERE = "segrecord.reporting.report"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLASS_ROWS = 400
"""Classes of the table of numbers."""


class Written(NamedTuple):
    """A report that was written."""

    path: Path
    damage: tuple[str, ...]
    """What is damaged in the dataset, a sentence each; the page says it first."""


def make(dataset: str | Path, **settings: Any) -> bytes:
    """The report of a dataset, as HTML in UTF-8; takes what `_make` does."""
    return _make(dataset, **settings)[0]


def _make(
    dataset: str | Path,
    *,
    thumbnails: bool = True,
    command: str = "",
    seconds: float | None = None,
    sources: Mapping[str, str] | None = None,
) -> tuple[bytes, tuple[str, ...]]:
    """The report and what is damaged; the same for the same dataset and arguments.

    Args:
        dataset: its folder.
        thumbnails: False: no picture of a patient is in it, and no shard is opened.
        command: that built the dataset; "": it is put together from the manifest.
        seconds: that the build took; None: not told.
        sources: image paths by key of samples that were left out, for their thumbnails.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest or index is damaged; damage elsewhere is told on the page.
    """
    data = read(Path(dataset))
    shown = gallery(data, sources or {}, pictures=thumbnails)
    splits = _splits(data)
    damage = (*data.damage, *shown.damage)
    context = {
        "verdict": verdict(_tallies(data), outcome_of(data.manifest, len(damage))),
        "built": built(data, command, seconds),
        "manifest": data.manifest,
        "findings": data.findings,
        "damage": damage,
        "gallery": shown,
        "thumbnails": thumbnails,
        "mask_classes": _mask_classes(data),
        "splits": splits,
        "not_checked": _not_checked(data, thumbnails=thumbnails),
        **_drawn(data, splits),
    }
    return _html(context), damage


def write(dataset: str | Path, **settings: Any) -> Written:
    """Write `report.html` into the dataset's folder, whole or not at all; takes what `make` does.

    Raises:
        OutputError: it cannot be written.
    """
    (content, damage), path = _make(dataset, **settings), Path(dataset) / REPORT
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{REPORT}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            # mkstemp gives the owner alone the right to read; others may read as the dataset.
            Path(temporary).chmod((path.parent / "dataset.json").stat().st_mode & 0o777)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
    return Written(path, damage)


def _tallies(data: Data) -> Iterator[Tally]:
    for group in data.findings.groups:
        yield Tally(group.level, group.code, group.count, next(iter(group.fixes), ""))


def _checks(data: Data) -> str:
    return str(data.manifest.options.get("checks", {}).get("checks", "full"))


def _splits(data: Data) -> list[SplitStats]:
    """The splits with their shards, and whether classes are mixed."""
    found = []
    for name, split in data.manifest.splits.items():
        shards = tuple(
            ShardStats(shard.name, shard.records, shard.bytes, shard.class_counts)
            for shard in split.shards
        )
        mixing = mixing_of({shard.name: shard.classes for shard in shards})
        numbers = (split.records, split.bytes, split.class_counts)
        found.append(SplitStats(name, *numbers, shards, mixing, None))
    return found


def _drawn(data: Data, splits: list[SplitStats]) -> dict[str, Any]:
    """The charts, and the numbers that stand beside them."""
    found = spread.sizes(data)
    covered, levels, heat = spread.coverage(data), spread.levels(data), spread.heat_maps(data)
    largest = list(spread.largest_classes(data))
    return {
        **_class_charts(data, splits, largest),
        "size_charts": _size_charts(found),
        "sizes": found,
        "coverage": covered,
        "coverage_chart": covered
        and charts.histogram("Mask coverage", covered.histogram, "% of the mask's pixels", "masks"),
        "levels": levels,
        "level_chart": levels and charts.intensities(levels),
        "level_legend": _legend(levels.by_class) if levels else {},
        "heat": _heat_charts(heat),
        "heat_key": charts.shade_key(_high(heat)) if heat else "",
    }


def _class_charts(data: Data, splits: list[SplitStats], largest: list[str]) -> dict[str, Any]:
    names = list(data.manifest.classes)
    shown = list(spread.largest_classes(data, max(3, charts.BARS // max(len(splits), 1))))
    return {
        "class_chart": charts.classes_by_split(shown, splits) if names else "",
        "classes_shown": len(shown),
        "class_rows": names[:_CLASS_ROWS],
        "class_total": len(names),
        "shard_charts": [
            (split, charts.classes_by_shard(split, largest)) for split in splits if split.records
        ]
        if names
        else [],
        "shard_legend": _legend(largest),
        "others": len(names) > len(largest),
    }


def _legend(names: Any) -> Mapping[str, str]:
    found = charts.series_of(list(names))
    return found if len(found) > 1 else {}


def _size_charts(found: spread.Sizes) -> list[Markup]:
    if found.common:
        return [charts.named_bars("Sizes of the images", found.common, "images")]
    return [
        charts.histogram("Width of the images", found.widths, "width in pixels", "images"),
        charts.histogram("Height of the images", found.heights, "height in pixels", "images"),
    ]


def _heat_charts(heat: list[spread.Heat]) -> list[tuple[spread.Heat, Markup]]:
    """The maps; where there is one class alone, its map is that of all."""
    shown = heat if len(heat) != 2 else heat[:1]  # noqa: PLR2004 - all masks and one class
    return [(one, charts.heat_map(one, _high(heat))) for one in shown]


def _high(heat: list[spread.Heat]) -> float:
    return max(max(one.cells) for one in heat)


def _mask_classes(data: Data) -> list[tuple[str, str]]:
    """The names of the mask classes but the background, each with the class of its colour."""
    names = data.manifest.masks.classes
    found = [(name, f"m{number % len(PALETTE) + 1}") for number, name in enumerate(names[1:])]
    if bool((data.masks.ignored > 0).any()):
        found.append(("ignore", f"m{len(PALETTE) + 1}"))
    return found


def _not_checked(data: Data, *, thumbnails: bool) -> list[str]:
    """What nobody has looked at, in plain sentences."""
    manifest, checks = data.manifest, data.manifest.options.get("checks", {})
    found = [f"{what[:1].upper()}{what[1:]}." for what in manifest.not_checked]
    if checks.get("near_duplicates") == "off":
        found.append("Near duplicates: --near-duplicates off.")
    elif _checks(data) != "full":
        found.append("Duplicates and near duplicates: only --checks full decodes the images.")
    if checks.get("ignore"):
        found.append(
            f"Findings reported as info because --ignore says so: {', '.join(checks['ignore'])}."
        )
    if data.index["group"].null_count == data.index.num_rows:
        found.append("Leakage by patient: no sample has a group (--group-column).")
    if data.masks.row.size < data.index.num_rows and not manifest.masks.checked:
        found.append("What the masks hold: their values were not read.")
    found.append("Whether a mask is right, and a class: only a person who looks can tell.")
    read = "only the records shown were read" if thumbnails else "no record was read"
    found.append(
        "Whether the files have changed since the build: segrecord verify reads every byte "
        f"(for this page {read})."
    )
    return found


def _html(context: Mapping[str, Any]) -> bytes:
    """The page."""
    style, script = (_text(name) for name in ("report.css", "report.js"))
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            **context,
            style=Markup(style),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - a file of this package
            policy=_policy(style, script),
        )
    )
    return str(page).encode("utf-8", "backslashreplace")


def _environment() -> Environment:
    """Jinja with escaping of everything, and the filters of the templates."""
    environment = Environment(
        loader=PackageLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Characters that HTML forbids become visible.
        finalize=lambda value: (
            _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value
        ),
    )
    environment.filters |= {"cut": cut, "number": lambda value: f"{value:,}"}
    environment.globals |= {"anchor": anchor, "count_text": count_text, "THUMBS": THUMBS}
    return environment


def _visible(value: Any) -> Any:
    """Characters that HTML forbids become visible; markup of this package has none."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value


def _text(name: str) -> str:
    """A file of this package, as it stands in the page: with a newline at the end."""
    return files(_HERE).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the page may do: show its own pictures, run its own style and script."""
    own = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; img-src data:; style-src {own[0]}; script-src {own[1]}; "
        "base-uri 'none'; form-action 'none'"
    )
