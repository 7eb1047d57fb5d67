"""What the page is told: plain values of the dataset, of its records, of the marks."""

from __future__ import annotations

import base64
import json
import math
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segrecord.errors import RecordError, UsageError
from segrecord.reading.columns import getter
from segrecord.reading.dataset import open as open_dataset
from segrecord.records import manifest as manifests
from segrecord.records.schemas import NO_LABEL
from segrecord.reporting.view import details, findings, query
from segrecord.reporting.view.marks import COLUMNS, DEFAULT_FILE, MARKS, Marks
from segrecord.reporting.view.pictures import Picture, Pictures, source_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_TOGETHER = 12
"""Thumbnails that travel in one piece: each piece costs a millisecond of its own."""


class Answers:
    """The answers to a page's questions, each by plain values; threads may share it.

    Attributes:
        records: how many there are.
        marks: what people said of them.
        pictures: of them.
    """

    def __init__(
        self,
        dataset: str | Path,
        source: Mapping[str, str] | None = None,
        marks: str | Path | None = None,
    ) -> None:
        """Open the dataset.

        Raises:
            OutputError: there is no finished dataset.
            RecordError: its manifest, index or list of findings is damaged.
            UsageError: its shards are compressed, or the marks file is none or lies inside it.
        """
        self._manifest = manifests.load(dataset)
        self._reader = open_dataset(dataset).reader
        self._reader.require_random_access()
        self._store = self._reader.store
        index = self._store.index
        self._name = Path(dataset).resolve().name
        self._source = source
        self._findings = findings.Findings(findings.read(dataset), index["key"])
        self.marks = Marks(DEFAULT_FILE if marks is None else marks, dataset)
        self._catalogue = query.Catalogue(self._store, self._findings, self.marks)
        self.pictures = Pictures(self._reader)
        self.records = index.num_rows
        names = ("key", "label", "height", "width", "has_mask")
        self._columns = {name: getter(index[name]) for name in names}
        self._labels = {number: name for name, number in self._store.classes.items()}

    def dataset(self) -> dict[str, Any]:
        """What the page needs once: what can be filtered by, and what things are called."""
        labels: list[dict[str, Any]] = [
            {"id": number, "name": name, "records": self._labelled(name)}
            for name, number in self._store.classes.items()
        ]
        rest = self.records - sum(label["records"] for label in labels)
        if labels and rest:
            labels.append({"id": NO_LABEL, "name": "no class", "records": rest})
        splits = self._manifest.splits.items()
        return {
            "name": self._name,
            "records": self.records,
            "splits": [{"name": name, "records": split.records} for name, split in splits],
            "labels": labels,
            "codes": [{"code": name, "records": n} for name, n in self._findings.codes.items()],
            "masks": bool(self._manifest.masks.missing < self._manifest.samples),
            "missing_masks": self._manifest.masks.missing,
            "marks_file": str(self.marks.path),
            "source": self._source is not None,
        }

    def page(self, given: Mapping[str, str]) -> dict[str, Any]:
        """A page of what the query finds.

        Raises:
            UsageError: a parameter has a value that it cannot have.
        """
        per_page = query.whole(given, "per_page", query.PER_PAGE, query.MOST_PER_PAGE)
        number = query.whole(given, "page", 1, 10**18)
        page = self._catalogue.page(query.parse(given), number, per_page)
        return {
            "count": page.found,
            "total": self.records,
            "page": page.number,
            "pages": page.pages,
            "per_page": per_page,
            "records": [self._short(row) for row in page.rows.tolist()],
        }

    def record(self, row: int, given: Mapping[str, str]) -> dict[str, Any]:
        """All of one record, and where it stands in what the query finds.

        Raises:
            UsageError: as `page`.
        """
        found = details.facts(self._store, row)
        seat = self._catalogue.seat(query.parse(given), row)
        damage = details.damage(self._reader, row)
        return {
            **found,
            **self._short(row),
            "seat": None if seat is None else self._seat(seat),
            "findings": self._findings.of_row(row),
            "features": self._features(row),
            "damage": damage,
            "source": self._source is not None and found["key"] in self._source,
        }

    def row(self, text: str) -> int | None:
        """The row that a part of a URL names; None: there is none."""
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(self.records))
        return int(text) if digits and int(text) < self.records else None

    def row_of(self, key: str) -> int | None:
        """The row of the record of this key; None: there is none."""
        return self._catalogue.row_of(key)

    def thumbs(self, given: Mapping[str, str]) -> Iterator[str]:
        """The thumbnails of `rows` (1,2,...), a line of JSON each: row, and picture or error.

        They come in one answer because sixty requests cost more than the pictures themselves.

        Raises:
            UsageError: a row is not there, or there are too many.
        """
        texts = given.get("rows", "").split(",")
        rows = [row for row in map(self.row, texts) if row is not None]
        if len(rows) != len(texts) or len(rows) > query.MOST_PER_PAGE:
            raise UsageError(
                f"rows must be up to {query.MOST_PER_PAGE} numbers from 0 to {self.records - 1}, "
                f"got {given.get('rows', '')[:80]!r}"
            )
        made = self.pictures.thumbs(rows, painted=given.get("painted") != "0")
        lines = (json.dumps({"row": row, **_told(found)}) + "\n" for row, found in made)
        return iter(lambda: "".join(islice(lines, _TOGETHER)), "")

    def source_picture(self, row: int) -> Picture | None:
        """The file that the record was made of; None: it is not known. Raises PixelError."""
        path = (self._source or {}).get(self._columns["key"](row))
        return None if path is None else source_picture(path)

    def put_mark(self, given: Any) -> dict[str, Any]:
        """Keep a mark: an object of key, mark and note.

        Raises:
            UsageError: it is something else, no record has the key, or as `Marks.put`.
            OutputError: the file cannot be written.
        """
        if not isinstance(given, dict) or set(given) != set(COLUMNS):
            raise UsageError(f"a mark is an object of {', '.join(COLUMNS)}")
        if not all(isinstance(value, str) for value in given.values()):
            raise UsageError(f"{', '.join(COLUMNS)} must be texts")
        key, mark, note = (given[name] for name in COLUMNS)
        if self.row_of(key) is None:
            raise UsageError(f"there is no record of key {key!r}")
        self.marks.put(key, mark, note)
        return {"key": key, "mark": mark, "note": note}

    def all_marks(self) -> dict[str, Any]:
        """Every mark, those of unknown keys among them."""
        marks = [{"key": key, **mark._asdict()} for key, mark in self.marks.by_key.items()]
        return {"file": str(self.marks.path), "known": MARKS, "marks": marks}

    def _short(self, row: int) -> dict[str, Any]:
        """What a page shows of a record."""
        found = {name: column(row) for name, column in self._columns.items()}
        coverage = float(self._catalogue.coverage[row])
        mark = self.marks.by_key.get(found["key"])
        splits = self._store.splits.items()
        return {
            "row": row,
            **found,
            "split": next(name for name, rows in splits if row in rows),
            "label_name": self._labels.get(found["label"]),
            "coverage": None if math.isnan(coverage) else coverage,
            "mark": mark.mark if mark else "",
            "note": mark.note if mark else "",
            "codes": sorted({found["code"] for found in self._findings.of_row(row)}),
        }

    def _seat(self, seat: query.Seat) -> dict[str, Any]:
        """With the keys of the neighbours, by which links lead to them."""
        key = self._columns["key"]
        near = {"previous": seat.previous, "next": seat.next}
        keys = {name: None if row is None else key(row) for name, row in near.items()}
        return {"number": seat.number, "found": seat.found, **keys}

    def _features(self, row: int) -> list[dict[str, str]] | None:
        try:
            return details.features(self._reader, row)
        except RecordError:
            return None  # `damage` says why

    def _labelled(self, name: str) -> int:
        splits = self._manifest.splits.values()
        return sum(split.class_counts.get(name, 0) for split in splits)


def _told(found: Picture | RecordError) -> dict[str, str]:
    if isinstance(found, RecordError):
        return {"error": str(found)}
    data = base64.b64encode(found.data).decode()
    return {"picture": f"data:{found.media_type};base64,{data}"}
