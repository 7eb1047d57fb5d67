"""What the page shows, as plain values: of the dataset, of its records, of the marks."""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_right
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segrecord.errors import PixelError, RecordError, UsageError
from segrecord.format import example, schemas
from segrecord.format import manifest as manifests
from segrecord.format.schemas import NO_LABEL
from segrecord.images.overlay import colour_of
from segrecord.options import IGNORE
from segrecord.read.dataset import open as open_dataset
from segrecord.read.index import getter
from segrecord.tables import META_PREFIX
from segrecord.viewer import query
from segrecord.viewer.marks import COLUMNS, DEFAULT_FILE, MARKS, Marks
from segrecord.viewer.record_images import Picture, Pictures, source_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segrecord.read.records import Records
    from segrecord.read.shards import ShardSet

_TOGETHER = 12
"""Thumbnails that travel in one piece: each piece costs a millisecond of its own."""

_SHOWN = 2000
"""Characters of a text that are shown."""


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
        self._reader = open_dataset(dataset).all_records
        self._reader.require_random_access()
        self._store = self._reader.shards
        index = self._store.index
        self._name = Path(dataset).resolve().name
        self._source = source
        self._findings = query.RecordFindings(query.read_findings(dataset), index["key"])
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
            {
                "id": number,
                "name": name,
                "records": sum(
                    split.class_counts.get(name, 0) for split in self._manifest.splits.values()
                ),
            }
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
        asked = query.parse(given)
        position = self._catalogue.position(asked, row)
        place: dict[str, Any] | None = None
        if position is not None:  # with the keys of the neighbours, by which links lead to them
            near = {"previous": position.previous, "next": position.next}
            key = self._columns["key"]
            keys = {name: None if other is None else key(other) for name, other in near.items()}
            place = {"number": position.number, "found": position.found, **keys}
        wrong = damage(self._reader, row)
        try:
            stored = features(self._reader, row)
        except RecordError:
            stored = None  # the damage says why
        facts = index_facts(self._store, row)
        return {
            **facts,
            **self._short(row),
            "position": place,
            "findings": self._findings.of_row(row),
            "features": stored,
            "damage": wrong,
            "source": self._source is not None and facts["key"] in self._source,
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

        def line(row: int, thumb: Picture | RecordError) -> str:
            if isinstance(thumb, RecordError):
                said = {"error": str(thumb)}
            else:
                data = base64.b64encode(thumb.data).decode()
                said = {"picture": f"data:{thumb.media_type};base64,{data}"}
            return json.dumps({"row": row, **said}) + "\n"

        lines = (line(row, thumb) for row, thumb in made)
        return iter(lambda: "".join(islice(lines, _TOGETHER)), "")

    def source_picture(self, row: int) -> Picture | None:
        """The file that the record was made of; None: it was not given. Raises PixelError."""
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
        values = {name: column(row) for name, column in self._columns.items()}
        coverage = float(self._catalogue.coverage[row])
        mark = self.marks.by_key.get(values["key"])
        splits = self._store.splits.items()
        return {
            "row": row,
            **values,
            "split": next(name for name, rows in splits if row in rows),
            "label_name": self._labels.get(values["label"]),
            "coverage": None if math.isnan(coverage) else coverage,
            "mark": mark.mark if mark else "",
            "note": mark.note if mark else "",
            "codes": sorted({found["code"] for found in self._findings.of_row(row)}),
        }


def index_facts(store: ShardSet, row: int) -> dict[str, Any]:
    """What the index says of this row, as plain values; `tables.RECORDS` has the names."""
    (record,) = store.index.slice(row, 1).to_pylist()
    shard = store.files[bisect_right([shard.first_row for shard in store.files], row) - 1]
    names = ("key", "split", "label", "group", "height", "width", "has_mask")
    counts = list(enumerate(record["mask_pixels"] or ()))
    if record["ignore_pixels"]:
        counts.append((IGNORE, record["ignore_pixels"]))
    return {
        "row": row,
        **{name: record[name] for name in names},
        "shard": shard.name,
        "number": row - shard.first_row,
        "offset": record["offset"],
        "length": record["length"],
        "sha256": record["sha256"].hex(),
        "kept": {
            name.removeprefix(META_PREFIX): value
            for name, value in record.items()
            if name.startswith(META_PREFIX)
        },
        "mask_pixels": [
            {"id": number, **mask_class(store, number), "pixels": pixels}
            for number, pixels in counts
            if pixels
        ],
    }


def mask_class(store: ShardSet, number: int) -> dict[str, Any]:
    """Name and colour ("#rrggbb") of a mask class; the background and 255 have none."""
    if number == IGNORE:
        return {"name": "ignore", "colour": None}
    names = store.mask_classes
    name = names[number] if number < len(names) else f"class {number}"
    colour = "#" + bytes(colour_of(number)).hex() if number else None
    return {"name": name, "colour": colour}


def features(reader: Records, row: int) -> list[dict[str, str]]:
    """The record's features as they are stored: name, kind, and the value in words.

    Raises:
        RecordError: the record is damaged.
    """
    layout = reader.shards.layout
    texts = {key.name for key in schemas.keys(layout) if key.kind == "text"}
    texts |= {schemas.meta_key(layout.schema, name) for name in layout.keep_columns}
    try:
        stored = example.decode(reader.payload(row))
    except ValueError as error:
        raise reader.error(row, str(error)) from None

    def said(value: bytes | float, name: str) -> str:
        if isinstance(value, bytes):
            return value.decode(errors="replace") if name in texts else f"{len(value):,} bytes"
        return str(value)

    kinds = {"int": "int64", "float": "float32"}
    found = []
    for name, values in sorted(stored.items()):
        kind = type(values[0]).__name__ if values else "empty"
        value = ", ".join(said(value, name) for value in values[:_SHOWN])[:_SHOWN]
        found.append({"name": name, "kind": kinds.get(kind, kind), "value": value})
    return found


def damage(reader: Records, row: int) -> dict[str, str]:
    """What is wrong with the record: a sentence for "image" and for "mask", where there is one."""
    try:
        parts = reader.parts(row, reader.payload(row))
    except RecordError as error:
        return {"image": str(error), "mask": str(error)}
    wrong = {}
    try:
        reader.codec.image(parts.image, parts.size, parts.channels)
    except PixelError as error:
        wrong["image"] = str(reader.error(row, str(error)))
    try:
        if parts.mask:
            reader.codec.mask(parts.mask, parts.size or (0, 0))
    except PixelError as error:
        wrong["mask"] = str(reader.error(row, str(error)))
    return wrong
