"""The report: one HTML file that needs nothing else, made of a committed dataset.

Everything that comes from data is escaped by jinja. The page may load nothing and run nothing but
its own style and script, by their hashes: a name that slipped through could still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segrecord import storage
from segrecord.export.sidecars import REPORT_FILE
from segrecord.export.snippets import build_command
from segrecord.format.manifest import MANIFEST
from segrecord.images.overlay import PALETTE
from segrecord.read.index import split_rows
from segrecord.read.stats import ShardStats, SplitStats, shard_balance_of
from segrecord.report import charts, distributions
from segrecord.report.gallery import THUMBS, gallery
from segrecord.report.inputs import Data, cut, read
from segrecord.report.verdict import Tally, outcome_of, verdict
from segrecord.wording import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HERE = "segrecord.report"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CLASS_ROWS = 400
"""Classes of the table of numbers."""


class Written(NamedTuple):
    """A report that was written."""

    path: Path
    damage: tuple[str, ...]
    """What is damaged in the dataset, a sentence each; the page says it first."""


def make(dataset: str | Path, **settings: Any) -> bytes:
    """The report of a dataset, as HTML in UTF-8; takes and raises what `render` does."""
    return render(dataset, **settings)[0]


def render(
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
        seconds: that the build took; None: unknown.
        sources: image paths by key of samples that were left out, for their thumbnails.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest or index is damaged; damage elsewhere is reported on the page.
    """
    data = read(Path(dataset))
    manifest, groups = data.manifest, data.findings.groups
    shown = gallery(data, sources or {}, pictures=thumbnails)
    damage = (*data.damage, *shown.damage)
    tallies = [
        Tally(group.level, group.code, group.count, next(iter(group.fixes), "")) for group in groups
    ]
    # The mask classes but the background, each with the class of its colour.
    mask_classes = [
        (name, f"m{number % len(PALETTE) + 1}")
        for number, name in enumerate(manifest.masks.classes[1:])
    ]
    if bool((data.masks.ignored > 0).any()):
        mask_classes.append(("ignore", f"m{len(PALETTE) + 1}"))
    context = {
        "verdict": verdict(tallies, outcome_of(manifest, len(damage))),
        "built": summary(data, command, seconds),
        "manifest": manifest,
        "findings": data.findings,
        "damage": damage,
        "gallery": shown,
        "thumbnails": thumbnails,
        "mask_classes": mask_classes,
        "not_checked": _not_checked(data, thumbnails=thumbnails),
        **_class_charts(data),
        **_measure_charts(data),
    }
    return _html(context), damage


def write(dataset: str | Path, **settings: Any) -> Written:
    """Write `report.html` into the dataset's folder, whole or not at all; takes what `render` does.

    Raises:
        OutputError: it cannot be written.
    """
    (content, damage), path = render(dataset, **settings), Path(dataset) / REPORT_FILE
    mode = (path.parent / MANIFEST).stat().st_mode & 0o777  # whoever reads the dataset
    storage.write_file(path, content, mode=mode)
    return Written(path, damage)


def summary(data: Data, command: str, seconds: float | None) -> dict[str, Any]:
    """What was built, in words and numbers, and the command that builds it again.

    Args:
        data: the dataset.
        command: that built it; "": it is put together from the options.
        seconds: that it took; None: unknown.
    """
    manifest, rows = data.manifest, split_rows(data.manifest)
    splits = manifest.splits.values()
    counts = [
        (manifest.samples, "sample", "samples"),
        (manifest.samples - manifest.masks.missing, "with a mask", "with a mask"),
        (len(manifest.classes), "class", "classes"),
        (len(manifest.masks.classes), "mask class", "mask classes"),
        (len(splits), "split", "splits"),
        (sum(len(split.shards) for split in splits), "shard", "shards"),
    ]
    tiles = [(one if count == 1 else many, f"{count:,}") for count, one, many in counts]
    table = []
    for name, split in manifest.splits.items():
        part = data.index.slice(rows[name].start, split.records)
        groups = pc.count_distinct(part["group"], mode="only_valid").as_py()
        row = {
            "name": name,
            "records": split.records,
            "share": 100 * split.records / max(manifest.samples, 1),  # percent
            "shards": len(split.shards),
            "bytes": size_text(split.bytes),
            "groups": groups,
            "masks": int(np.count_nonzero(part["has_mask"].to_numpy())),
        }
        table.append(row)
    if not any(row["groups"] for row in table):  # no sample has one
        table = [row | {"groups": None} for row in table]
    facts = [
        ("source", manifest.reads_as),
        ("schema", f"{manifest.schema_name}, compression {manifest.compression}"),
        ("seed", str(manifest.seed)),
        ("left out", counted(manifest.quarantined, "sample")),
        ("segrecord", manifest.segrecord),
        ("fingerprint", manifest.fingerprint),
        ("extends", manifest.extends),
        ("pseudonyms", manifest.pseudonymized and "keys and groups are pseudonyms"),
        ("built in", "" if seconds is None else f"{seconds:.1f} s"),
    ]
    return {
        # The few large numbers: what, how many.
        "tiles": (*tiles, ("in all shards", size_text(sum(split.bytes for split in splits)))),
        "splits": table,
        "facts": [(name, value) for name, value in facts if value],
        "command": command or build_command(manifest)[1].strip(),
        "options": [
            (f"{group}: {name}", json.dumps(value, ensure_ascii=False))
            for group, options in manifest.options.items()
            for name, value in options.items()
        ],
        "versions": manifest.versions.items(),
    }


def _class_charts(data: Data) -> dict[str, Any]:
    """The charts of the classes in splits and shards, and what stands beside them."""
    names, splits = list(data.manifest.classes), []
    for name, split in data.manifest.splits.items():
        shards = tuple(
            ShardStats(shard.name, shard.records, shard.bytes, shard.class_counts)
            for shard in split.shards
        )
        balance = shard_balance_of({shard.name: shard.classes for shard in shards})
        counts = split.records, split.bytes, split.class_counts
        splits.append(SplitStats(name, *counts, shards, balance, None))
    largest = list(distributions.largest_classes(data))
    shown = list(distributions.largest_classes(data, max(3, charts.BARS // max(len(splits), 1))))
    return {
        "splits": splits,
        "class_chart": charts.classes_by_split(shown, splits) if names else "",
        "classes_shown": len(shown),
        "class_rows": names[:_CLASS_ROWS],
        "class_total": len(names),
        "shard_charts": [
            (split, charts.classes_by_shard(split, largest))
            for split in splits
            if split.records and names
        ],
        "shard_legend": _legend(largest),
        "others": len(names) > len(largest),
    }


def _measure_charts(data: Data) -> dict[str, Any]:
    """The charts of sizes, coverage, intensities and places of masks, with their numbers."""
    sizes, coverage = distributions.sizes(data), distributions.coverage(data)
    levels, heat = distributions.intensities(data), distributions.heat_maps(data)
    if sizes.common:
        size_charts = [charts.named_bars("Sizes of the images", sizes.common, "images")]
    else:
        size_charts = [
            charts.histogram(f"{side} of the images", bins, f"{side.lower()} in pixels", "images")
            for side, bins in (("Width", sizes.widths), ("Height", sizes.heights))
        ]
    high = max((max(one.cells) for one in heat), default=0)
    # Where there is one class alone, its map is that of all masks.
    maps = heat if len(heat) != 2 else heat[:1]  # noqa: PLR2004 - all masks and one class
    return {
        "size_charts": size_charts,
        "sizes": sizes,
        "coverage": coverage,
        "coverage_chart": coverage
        and charts.histogram(
            "Mask coverage", coverage.histogram, "% of the mask's pixels", "masks"
        ),
        "levels": levels,
        "level_chart": levels and charts.intensities(levels),
        "level_legend": _legend(levels.by_class) if levels else {},
        "heat": [(one, charts.heat_map(one, high)) for one in maps],
        "heat_key": charts.shade_key(high) if heat else "",
    }


def _legend(names: Iterable[str]) -> Mapping[str, str]:
    """The colour of each name; none of one alone."""
    colours = {name: charts.series(number) for number, name in enumerate(names)}
    return colours if len(colours) > 1 else {}


def _not_checked(data: Data, *, thumbnails: bool) -> list[str]:
    """What nobody has looked at, in plain sentences."""
    manifest, checks = data.manifest, data.manifest.build_options().checks
    found = [f"{what[:1].upper()}{what[1:]}." for what in manifest.not_checked]
    if checks.near_duplicates == "off":
        found.append("Near duplicates: --near-duplicates off.")
    elif checks.checks != "full":
        found.append("Duplicates and near duplicates: only --checks full decodes the images.")
    if checks.ignore:
        found.append(
            f"Findings reported as info because --ignore says so: {', '.join(checks.ignore)}."
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
    """The page: everything escaped, and what HTML forbids made visible."""
    environment = Environment(
        loader=PackageLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value) if type(value) is str else value
        ),
    )
    environment.filters |= {"cut": cut, "number": lambda value: f"{value:,}"}
    environment.globals |= {"counted": counted, "THUMBS": THUMBS}
    # Files of this package, as they stand in the page: with a newline at the end.
    style, script = (
        files(_HERE).joinpath(name).read_text(encoding="utf-8")
        for name in ("report.css", "report.js")
    )
    own = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (style, script)
    ]
    page = environment.get_template("report.html.j2").render(
        **context,
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        policy=(
            f"default-src 'none'; img-src data:; style-src {own[0]}; script-src {own[1]}; "
            "base-uri 'none'; form-action 'none'"
        ),
    )
    return page.encode("utf-8", "backslashreplace")
