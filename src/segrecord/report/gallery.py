"""The samples that are shown: which they are, each with its pictures and what the index says of it.

Shown are some of all, those with extreme masks, those with findings, and pairs. No chance is at
work, so that a dataset has one report: records lie in the order of a hash, and evenly spaced ones
of them are a random choice.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from segrecord.report import thumbnails
from segrecord.report.distributions import foreground
from segrecord.report.thumbnails import LARGE, SMALL, Picture, Taken
from segrecord.tables import TEXT
from segrecord.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from segrecord.findings import Finding
    from segrecord.report.inputs import Data

RANDOM = 12
"""Samples that stand for all."""

EXTREME = 6
"""Samples of the smallest masks, and as many of the largest."""

SUSPICIOUS = 12
"""Samples with findings."""

PAIRS = 12
"""Pairs that are shown with their pictures."""

THUMBS = 12
"""Findings of one code that have a picture."""

_EMPTY = 2
"""Empty masks among the smallest: one looks like the other."""

_CLASSES = 3
"""Mask classes of one sample that are named."""


class Choice(NamedTuple):
    """The rows of the index that are shown, in the order in which they are."""

    random: tuple[int, ...]
    smallest: tuple[int, ...]
    largest: tuple[int, ...]
    suspicious: tuple[int, ...]


_TITLES = (
    ("Random samples", "Evenly spaced in the order of the shards, which is that of a hash."),
    ("Smallest masks", "The least foreground: empty masks (two at most), then the smallest."),
    ("Largest masks", "The most foreground."),
    ("Suspicious samples", "Those that warnings name, some of each code."),
)


class Shown(NamedTuple):
    """One sample."""

    key: str
    label: str
    """Name of its class; "": it has none, or was left out."""
    split: str
    """"": it was left out."""
    masks: str
    """What its mask holds, in words."""
    size: str
    """Height x width; "": it was left out."""
    picture: Picture | None
    why: str
    """Why there is no picture; "": there is one, or pictures are left out altogether."""
    codes: tuple[str, ...]
    """Of its findings."""


class ShownPair(NamedTuple):
    """Two samples side by side."""

    finding: Finding
    one: Shown
    other: Shown | None
    """None: the finding does not name it."""


class Gallery(NamedTuple):
    """All samples that are shown."""

    sections: tuple[tuple[str, str, tuple[Shown, ...]], ...]
    """Title, what they are, the samples."""
    pairs: tuple[ShownPair, ...]
    thumbs: dict[str, Picture]
    """Small pictures by key, for the lists of findings."""
    pictures: int
    damage: tuple[str, ...]
    note: str


def gallery(data: Data, sources: Mapping[str, str], *, pictures: bool) -> Gallery:
    """The samples of this dataset that are worth a look.

    Args:
        data: the dataset.
        sources: image paths by key of samples that were left out.
        pictures: False: their pictures are left out, nothing is read.
    """
    choice, pairs = choose(data), choose_pairs(data)
    chosen = list(dict.fromkeys(row for rows in choice for row in rows))
    listed = [found.key for group in data.findings.groups for found in group.rows[:THUMBS]]
    paired = [key for found in pairs for key in (found.key, other_key(found))]
    keys = list(dict.fromkeys(key for key in listed + paired if key))
    rows = dict(zip(keys, data.rows_of(pa.array(keys, TEXT)).tolist(), strict=True))
    taken, left_out = Taken({}, {}, ""), {}
    if pictures:
        # Grid, pairs, lists: in this order what is wanted most, each as often as it is shown.
        wanted = [(row, LARGE) for part in choice for row in part]
        for some, side in ((paired, LARGE), (listed, SMALL)):
            wanted += [(rows[key], side) for key in some if rows.get(key, -1) >= 0]
        taken = thumbnails.take(data.folder, wanted)
        absent = ((key, sources[key]) for key, row in rows.items() if row < 0 and key in sources)
        left_out = thumbnails.of_sources(absent, SMALL)
    names = data.index["key"].take(pa.array(chosen, pa.int64())).to_pylist()
    rows |= dict(zip(names, chosen, strict=True))
    show = _Show(data, rows, taken, left_out)
    small = {key: taken.pictures[row, SMALL] for key, row in rows.items()
             if (row, SMALL) in taken.pictures}  # fmt: skip
    return Gallery(
        sections=tuple(
            (*words, tuple(map(show.row, some)))
            for words, some in zip(_TITLES, choice, strict=True)
            if some
        ),
        pairs=tuple(
            ShownPair(found, show.key(found.key), show.key(other) if other else None)
            for found in pairs
            for other in (other_key(found),)
        ),
        thumbs=left_out | small,
        pictures=len(taken.pictures) + len(left_out),
        damage=tuple(taken.damage.values()),
        note=taken.note,
    )


def choose(data: Data) -> Choice:
    """The samples of the grid."""
    count = data.index.num_rows
    parts = min(RANDOM, count)
    evenly = tuple((2 * part + 1) * count // (2 * parts) for part in range(parts))
    share = foreground(data.masks)
    order = np.argsort(share, kind="stable")
    empty = order[share[order] == 0][:_EMPTY]
    low = np.concatenate([empty, order[share[order] > 0]])[:EXTREME]
    high = order[~np.isin(order, low)][::-1][:EXTREME]
    smallest, largest = (tuple(data.masks.row[some].tolist()) for some in (low, high))
    # A few of each code before more of the first. Samples with errors were left out, without a row.
    groups = [group for group in data.findings.groups if group.level != "info"]
    lists = ([found.key for found in group.rows if found.key] for group in groups)
    keys = [key for turn in zip_longest(*lists) for key in turn if key]
    rows = data.rows_of(pa.array(keys, TEXT)).tolist()
    suspicious = tuple(dict.fromkeys(row for row in rows if row >= 0))
    return Choice(evenly, smallest, largest, suspicious[:SUSPICIOUS])


def choose_pairs(data: Data) -> list[Finding]:
    """The first findings about two samples, of each pair one."""
    pairs: dict[frozenset[str], Finding] = {}
    for group in data.findings.pairs:
        for found in group.rows:
            pairs.setdefault(frozenset({found.key, other_key(found)}), found)
    return list(pairs.values())[:PAIRS]


def other_key(finding: Finding) -> str:
    """The key of the other sample that this finding names; "": it names none."""
    return finding.related[0].key if finding.related else ""


class _Show:
    """Puts together what there is of a sample."""

    def __init__(
        self,
        data: Data,
        rows: Mapping[str, int],
        taken: Taken,
        left_out: Mapping[str, Picture],
    ) -> None:
        self._data, self._rows, self._taken, self._left_out = data, rows, taken, left_out
        self._codes: dict[str, dict[str, None]] = {}
        for found in data.findings.rows("error", "warning"):
            self._codes.setdefault(found.key, {})[found.code] = None

    def row(self, row: int) -> Shown:
        """The sample of this row of the index."""
        (record,) = self._data.index.slice(row, 1).to_pylist()
        number = -1 if record["label"] is None else record["label"]
        picture = self._taken.pictures.get((row, LARGE))
        return Shown(
            key=record["key"],
            label=self._data.class_names.get(number, f"class {number}"),
            split=record["split"],
            masks=mask_text(record, self._data.manifest.masks.classes),
            size=f"{record['height']} x {record['width']}",
            picture=picture or self._taken.pictures.get((row, SMALL)),
            why=self._taken.damage.get(row, ""),
            codes=tuple(self._codes.get(record["key"], ())),
        )

    def key(self, key: str) -> Shown:
        """The sample of this key, perhaps one that was left out."""
        if self._rows.get(key, -1) >= 0:
            return self.row(self._rows[key])
        codes = tuple(self._codes.get(key, ()))
        return Shown(key, "", "", "left out", "", self._left_out.get(key), "", codes)


def mask_text(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """What the mask of a row of the index holds, in words; `names` are those of its classes."""
    if not record["has_mask"]:
        return "no mask"
    if record["mask_pixels"] is None:
        return "mask not checked"
    counts = [
        (count, names[number] if number < len(names) else f"class {number}")
        for number, count in enumerate(record["mask_pixels"])
        if number and count
    ]
    if record["ignore_pixels"]:
        counts.append((record["ignore_pixels"], "ignore"))
    counts.sort(key=lambda item: -item[0])
    area = max(record["height"] * record["width"], 1)
    shares = [f"{name} {100 * count / area:.1f} %" for count, name in counts]
    if more := len(shares[_CLASSES:]):
        shares[_CLASSES:] = [counted(more, "more class", "more classes")]
    return ", ".join(shares) or "empty mask"
