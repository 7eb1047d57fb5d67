"""The samples that are shown, each with its pictures and what the index says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from segrecord.options import IGNORE
from segrecord.reporting.layout import count_text
from segrecord.reporting.report import choosing, thumbnails
from segrecord.reporting.report.thumbnails import LARGE, SMALL, Picture, Taken, Wanted
from segrecord.tables import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from segrecord.errors import Finding
    from segrecord.reporting.report.choosing import Choice, Pair
    from segrecord.reporting.report.data import Data

THUMBS = 12
"""Findings of one code that have a picture."""

_CLASSES = 3
"""Mask classes of one sample that are named."""


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
    choice = choosing.choose(data)
    pairs = choosing.pairs(data.findings.pairs)[: choosing.PAIRS]
    rows = _rows(data, choice, pairs)
    taken = Taken({}, {}, "")
    strange: dict[str, Picture] = {}
    if pictures:
        taken = thumbnails.take(data.folder, list(_wanted(data, choice, pairs, rows)))
        absent = ((key, sources[key]) for key, row in rows.items() if row < 0 and key in sources)
        strange = thumbnails.of_sources(absent, SMALL)
    show = _Show(data, rows, taken, strange)
    sections = tuple((*words, tuple(map(show.row, some))) for words, some in _sections(choice))
    small = {key: taken.pictures[row, SMALL] for key, row in rows.items()
             if (row, SMALL) in taken.pictures}  # fmt: skip
    return Gallery(
        sections=sections,
        pairs=tuple(map(show.pair, pairs)),
        thumbs=strange | small,
        pictures=len(taken.pictures) + len(strange),
        damage=tuple(taken.damage.values()),
        note=taken.note,
    )


_TITLES = (
    ("Random samples", "Evenly spaced in the order of the shards, which is that of a hash."),
    ("Smallest masks", "The least foreground: empty masks (two at most), then the smallest."),
    ("Largest masks", "The most foreground."),
    ("Suspicious samples", "Those that warnings name, some of each code."),
)


def _sections(choice: Choice) -> Iterator[tuple[tuple[str, str], tuple[int, ...]]]:
    for words, rows in zip(_TITLES, choice, strict=True):
        if rows:
            yield words, rows


def _rows(data: Data, choice: Choice, pairs: Iterable[Pair]) -> dict[str, int]:
    """The row of every key that is shown; -1: it was left out."""
    keys = [row.key for group in data.findings.groups for row in group.rows[:THUMBS]]
    keys += [key for pair in pairs for key in (pair.finding.key, pair.other)]
    keys = list(dict.fromkeys(key for key in keys if key))
    found = dict(zip(keys, data.rows_of(pa.array(keys, TEXT)).tolist(), strict=True))
    names = data.index["key"].take(pa.array(choice.rows, pa.int64())).to_pylist()
    return found | dict(zip(names, choice.rows, strict=True))


def _wanted(
    data: Data, choice: Choice, pairs: Iterable[Pair], rows: Mapping[str, int]
) -> Iterator[Wanted]:
    """Grid, pairs, lists: in this order what is wanted most, each as often as it is shown."""
    for row in (row for part in choice for row in part):
        yield Wanted(row, (LARGE,))
    for pair in pairs:
        for key in (pair.finding.key, pair.other):
            if rows.get(key, -1) >= 0:
                yield Wanted(rows[key], (LARGE,))
    for group in data.findings.groups:
        for found in group.rows[:THUMBS]:
            if rows.get(found.key, -1) >= 0:
                yield Wanted(rows[found.key], (SMALL,))


class _Show:
    """Puts together what is known of a sample."""

    def __init__(
        self,
        data: Data,
        rows: Mapping[str, int],
        taken: Taken,
        strange: Mapping[str, Picture],
    ) -> None:
        self._data, self._rows, self._taken, self._strange = data, rows, taken, strange
        self._codes: dict[str, dict[str, None]] = {}
        for found in data.findings.rows("error", "warning"):
            self._codes.setdefault(found.key, {})[found.code] = None

    def row(self, row: int) -> Shown:
        """The sample of this row of the index."""
        found = self._data.index.slice(row, 1).to_pylist()[0]
        number = -1 if found["label"] is None else found["label"]
        picture = self._taken.pictures.get((row, LARGE))
        return Shown(
            key=found["key"],
            label=self._data.class_names.get(number, f"class {number}"),
            split=found["split"],
            masks=self._masks(found),
            size=f"{found['height']} x {found['width']}",
            picture=picture or self._taken.pictures.get((row, SMALL)),
            why=self._taken.damage.get(row, ""),
            codes=tuple(self._codes.get(found["key"], ())),
        )

    def pair(self, pair: Pair) -> ShownPair:
        """Both samples of a finding."""
        other = self._of_key(pair.other) if pair.other else None
        return ShownPair(pair.finding, self._of_key(pair.finding.key), other)

    def _of_key(self, key: str) -> Shown:
        if self._rows.get(key, -1) >= 0:
            return self.row(self._rows[key])
        codes = tuple(self._codes.get(key, ()))
        return Shown(key, "", "", "left out", "", self._strange.get(key), "", codes)

    def _masks(self, found: Mapping[str, Any]) -> str:
        if not found["has_mask"]:
            return "no mask"
        if found["mask_pixels"] is None:
            return "mask not checked"
        names, area = self._data.manifest.masks.classes, found["height"] * found["width"]
        counts = [
            (count, number) for number, count in enumerate(found["mask_pixels"]) if number and count
        ]
        if found["ignore_pixels"]:
            counts.append((found["ignore_pixels"], IGNORE))
        counts.sort(key=lambda it: -it[0])
        told = [
            f"{_name(names, number)} {100 * count / max(area, 1):.1f} %" for count, number in counts
        ]
        more = [f"{count_text(len(told) - _CLASSES, 'more class', 'more classes')}"] * (
            len(told) > _CLASSES
        )
        return ", ".join(told[:_CLASSES] + more) or "empty mask"


def _name(names: tuple[str, ...], number: int) -> str:
    if number == IGNORE:
        return "ignore"
    return names[number] if number < len(names) else f"class {number}"
