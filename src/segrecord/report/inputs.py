"""The dataset's own files as the tables that the report is made of; no shard is opened.

Index and manifest must be sound, for nothing can be said without them. Whatever else is absent or
damaged is reported on the page, and does not stop it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.catalogue import CODES, Code
from segrecord.errors import RecordError
from segrecord.export import sidecars
from segrecord.findings import Finding, Level, problem_of, suggestion
from segrecord.format import manifest as manifests
from segrecord.read.index import open_index, places, require_size
from segrecord.read.pixel_stats import Masks, counted_masks
from segrecord.tables import FACTS
from segrecord.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from segrecord.format.manifest import Manifest

NO_CLASS = ""
"""The name of the class of samples that have none."""

ROWS = 40
"""Findings of one code that stand on the page; the list has all."""

LEVELS: tuple[Level, ...] = ("error", "warning", "info")

PAIR_CODES = frozenset(
    {
        *("duplicate", "near-duplicate", "near-duplicate-split", "similar-pair"),
        *(f"duplicate-{what}" for what in ("split", "label", "mask", "dropped")),
    }
)
"""The codes whose findings are about two samples: they are shown side by side."""

_COLUMNS = ("key", "histogram", "masks")
_SHOWN = 20
"""Damaged shards that are named."""


@dataclass
class Group:
    """The findings of one code and level."""

    level: Level
    code: str
    count: int = 0
    rows: list[Finding] = field(default_factory=list)
    """The first of them, at most ROWS."""

    @property
    def problem(self) -> str:
        """What happened."""
        return problem_of(self.code)

    @property
    def entry(self) -> Code | None:
        """The rule, and where it comes from; None: the catalogue has no such code."""
        return CODES.get(self.code)

    @property
    def fixes(self) -> tuple[str, ...]:
        """What to do: as the findings have it, or where they have nothing as the code has it."""
        own = tuple(dict.fromkeys(suggestion(row) for row in self.rows if row.fix))
        return own or ((self.entry.fix,) if self.entry else ())

    @property
    def more(self) -> int:
        """Findings that do not stand on the page."""
        return self.count - len(self.rows)

    @property
    def anchor(self) -> str:
        """Where on the page this group stands."""
        return f"{self.level}-{self.code}"


class Findings(NamedTuple):
    """All findings of a dataset, by level and code: errors first."""

    groups: tuple[Group, ...]

    def of(self, level: Level) -> list[Group]:
        """The groups of this level."""
        return [group for group in self.groups if group.level == level]

    def rows(self, *levels: Level) -> Iterator[Finding]:
        """The kept findings of these levels."""
        return (row for group in self.groups if group.level in levels for row in group.rows)

    @property
    def pairs(self) -> list[Group]:
        """The groups whose findings are about two samples."""
        return [group for group in self.groups if group.code in PAIR_CODES]

    @property
    def total(self) -> int:
        """How many findings there are."""
        return sum(group.count for group in self.groups)


class Data(NamedTuple):
    """The tables of a dataset, without its records."""

    folder: Path
    manifest: Manifest
    index: pa.Table
    """`tables.RECORDS`."""
    masks: Masks
    """The masks whose pixels are counted."""
    facts: pa.Table | None
    """Those of `_COLUMNS` that there are, in an order of their own; None: there are no facts."""
    findings: Findings
    damage: tuple[str, ...]
    """Shards and tables that are not as the manifest says, a sentence each."""

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the classes by id; the last one is that of samples without a class."""
        names = {number: name for name, number in self.manifest.classes.items()}
        return names | {-1: NO_CLASS}

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) the class id of each row of the index; -1: none."""
        found: npt.NDArray[np.int64] = pc.fill_null(self.index["label"], -1).to_numpy()
        return found

    def rows_of(self, keys: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """(K,) the row of the index of each of these keys; -1: it was not written."""
        found = pc.index_in(keys, value_set=self.index["key"].combine_chunks())
        rows: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        return rows


def read(folder: Path) -> Data:
    """The tables of the dataset in this folder.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: manifest or index are damaged.
    """
    manifest = manifests.load(folder)
    index = open_index(folder, manifest)
    damage = []
    for place in places(manifest):  # no byte of a shard is read
        try:
            require_size(folder / place.shard.name, place.shard.bytes)
        except RecordError as error:
            damage.append(f"{place.shard.name} {error.rule}")
    if more := len(damage[_SHOWN:]):
        damage[_SHOWN:] = [f"and {counted(more, 'more shard')} not as written"]
    try:
        findings = grouped(sidecars.read_findings(folder))
    except RecordError as error:
        findings = Findings(())
        damage.append(f"{sidecars.FINDINGS_FILE} {error.rule}")
    facts = None  # an earlier version wrote none
    try:
        fields = [FACTS.field(name) for name in _COLUMNS]
        facts = storage.read_columns(folder / manifests.FACTS_FILE, fields)
    except RecordError as error:
        damage.append(f"{manifests.FACTS_FILE} {error.rule}")
    if facts is not None and "key" not in facts.column_names:
        facts = None
    return Data(folder, manifest, index, counted_masks(index), facts, findings, tuple(damage))


def grouped(batches: Iterable[pa.RecordBatch]) -> Findings:
    """The findings by level and code; of each the first ones, for there may be a million.

    Raises:
        RecordError: one of them is damaged.
    """
    groups: dict[tuple[str, str], Group] = {}
    for batch in batches:
        names = zip(batch["level"].to_pylist(), batch["code"].to_pylist(), strict=True)
        for number, name in enumerate(names):
            if name not in groups:
                groups[name] = Group(*name)
            group = groups[name]
            group.count += 1
            if len(group.rows) < ROWS:
                group.rows.append(sidecars.finding_at(batch, number))
    ranked = sorted(groups.values(), key=lambda group: (LEVELS.index(group.level), group.code))
    return Findings(tuple(ranked))


def cut(text: str, length: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= length else text[: length - 1] + "…"
