"""Filters, sorts and pages over the index: which records a page shows, among millions.

All of it is array arithmetic on the mapped index. A filter is an array of truth values, a sort an
array of row numbers; each is kept once it was asked for, so that turning a page costs nothing.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import UsageError
from segrecord.export import sidecars
from segrecord.findings import suggestion
from segrecord.format.schemas import NO_LABEL
from segrecord.read.pixel_stats import counted_masks
from segrecord.tables import FINDINGS
from segrecord.viewer.marks import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from segrecord.read.shards import ShardSet
    from segrecord.viewer.marks import Marks

    Rows = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

Sort = Literal["row", "key", "coverage", "size"]
Order = Literal["asc", "desc"]

UNMARKED = "none"
"""The value of the mark filter for records without one."""

PER_PAGE = 60
MOST_PER_PAGE = 240

_KEPT = 16
"""Filters, and results of queries, that are kept: of ten million records 10 and 80 MB each."""


class Query(NamedTuple):
    """Which records are shown, and in which order; "" and None filter nothing."""

    split: str = ""
    label: int | None = None
    """Class id; NO_LABEL: records without a class."""
    has_mask: bool | None = None
    code: str = ""
    """Of a finding."""
    mark: str = ""
    """One of MARKS, or UNMARKED."""
    search: str = ""
    """Part of the key, whatever its case."""
    sort: Sort = "row"
    order: Order = "asc"


class Page(NamedTuple):
    """A part of what a query found."""

    rows: Rows
    """Of the index, in the query's order."""
    number: int
    """From 1; the last page where a later one was asked for."""
    pages: int
    """At least 1."""
    found: int
    """Records, on all pages."""


class Position(NamedTuple):
    """Where a record stands in what a query found."""

    number: int
    """From 0."""
    found: int
    """Records, in all."""
    previous: int | None
    """Row of the record before it; None: there is none."""
    next: int | None


def parse(given: Mapping[str, str]) -> Query:
    """The query of these parameters of a URL; others are skipped.

    Raises:
        UsageError: a value is none that the parameter can have.
    """
    label = given.get("label", "")
    try:
        number = int(label) if label else None
    except ValueError:
        raise UsageError(f"label must be the id of a class, got {label!r}") from None
    return Query(
        split=given.get("split", ""),
        label=number,
        has_mask={"": None, "0": False, "1": True}[_one_of("has_mask", given, ("", "0", "1"))],
        code=given.get("code", ""),
        mark=_one_of("mark", given, ("", *MARKS, UNMARKED)),
        search=given.get("search", ""),
        sort=_one_of("sort", given, get_args(Sort)),  # type: ignore[arg-type]  # it is one of them
        order=_one_of("order", given, get_args(Order)),  # type: ignore[arg-type]  # likewise
    )


def whole(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A parameter that is a number from 1 on.

    Raises:
        UsageError: it is none, or above `most`.
    """
    text = given.get(name, "") or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 19 and 1 <= int(text) <= most):  # noqa: PLR2004 - digits of an int64
        raise UsageError(f"{name} must be from 1 to {most}, got {text!r}")
    return int(text)


def _one_of(name: str, given: Mapping[str, str], allowed: tuple[str, ...]) -> str:
    value = given.get(name, allowed[0])
    if value not in allowed:
        listed = ", ".join(filter(None, allowed))
        raise UsageError(f"{name} must be one of {listed}, got {value!r}")
    return value


def read_findings(dataset: str | Path) -> pa.Table:
    """The findings of the dataset in this folder (`tables.FINDINGS`); none where it has no list.

    Raises:
        RecordError: the list is damaged.
    """
    path = Path(dataset) / sidecars.FINDINGS_FILE
    if not (path.exists() or path.is_symlink()):
        return FINDINGS.empty_table()
    return pa.Table.from_batches(sidecars.read_findings(path.parent), FINDINGS)


class RecordFindings:
    """The findings that name a record of the dataset, ordered by its row.

    Those of samples that were left out, and those of the dataset as a whole, are in the report.

    Attributes:
        codes: how many records each code concerns, by code.
    """

    def __init__(self, table: pa.Table, keys: pa.ChunkedArray) -> None:
        rows = pc.index_in(table["key"], value_set=keys.combine_chunks())
        self._table = table.append_column("row", rows).filter(rows.is_valid()).sort_by("row")
        self._row = self._table["row"].to_numpy().astype(np.int64)
        named = zip(self._table["code"].to_pylist(), self._row.tolist(), strict=True)
        self.codes = dict(sorted(Counter(code for code, _ in set(named)).items()))

    def rows(self, code: str) -> Rows:
        """The rows, ascending, of the records that this code concerns; some perhaps twice."""
        rows: Rows = self._row[pc.equal(self._table["code"], code).to_numpy()]
        return rows

    def of_row(self, row: int) -> list[dict[str, str]]:
        """The findings of this record: level, code, message and fix of each.

        Raises:
            RecordError: one of them is damaged.
        """
        first, end = np.searchsorted(self._row, [row, row + 1]).tolist()
        found = (sidecars.finding_at(self._table, number) for number in range(first, end))
        return [
            {"level": one.level, "code": one.code, "message": one.message, "fix": suggestion(one)}
            for one in found
        ]


class Catalogue:
    """The records of a dataset, to be asked by queries; threads may share it.

    Attributes:
        coverage: (records,) share of the pixels that are of a mask class other than 0; NaN: there
            is no mask, or masks are unchecked.
    """

    def __init__(self, store: ShardSet, findings: RecordFindings, marks: Marks) -> None:
        self._store, self._findings, self._marks = store, findings, marks
        masks, self.coverage = counted_masks(store.index), np.full(store.index.num_rows, np.nan)
        inside = np.zeros(len(masks.row), np.int64)
        longest = max((int(chunk.length.max(initial=0)) for chunk in masks.chunks), default=0)
        for number in range(1, longest):
            inside += masks.pixels_of(number)
        self.coverage[masks.row] = inside / np.maximum(masks.area, 1)
        self._flags = lru_cache(_KEPT)(self._flags_of)
        self._order = lru_cache(len(get_args(Sort)))(self._order_of)
        self._rows = lru_cache(_KEPT)(self._rows_of)

    def rows(self, query: Query) -> Rows:
        """The rows of the index that this query finds, in its order.

        Raises:
            UsageError: there is no such split, class or code.
        """
        return self._rows(query, self._marks.changes if query.mark else 0)

    def page(self, query: Query, number: int, per_page: int = PER_PAGE) -> Page:
        """A page of what the query finds; raises as `rows`."""
        rows = self.rows(query)
        pages = max(1, -(-len(rows) // per_page))
        number = min(number, pages)
        return Page(rows[(number - 1) * per_page :][:per_page], number, pages, len(rows))

    def position(self, query: Query, row: int) -> Position | None:
        """Where this record stands in what the query finds; None: it is not in it."""
        rows = self.rows(query)
        places = np.flatnonzero(rows == row)
        if not places.size:
            return None
        number = int(places[0])
        return Position(
            number=number,
            found=len(rows),
            previous=int(rows[number - 1]) if number else None,
            next=int(rows[number + 1]) if number + 1 < len(rows) else None,
        )

    def row_of(self, key: str) -> int | None:
        """The row of the record of this key."""
        keys = self._store.index["key"]
        try:
            row = int(pc.index(keys, pa.scalar(key, keys.type)).as_py())
        except UnicodeEncodeError:  # half of a surrogate pair: no key holds one
            return None
        return None if row < 0 else row

    def _rows_of(self, query: Query, _changes: int) -> Rows:
        """`_changes` only tells results of different marks apart."""
        keys = self._store.index["key"]
        chosen = [
            self._flags(name, value)
            for name, value in zip(query._fields, query, strict=True)
            if name not in ("mark", "search", "sort", "order") and value not in ("", None)
        ]
        if query.mark:
            said = self._marks.by_key.items()
            named = [key for key, one in said if query.mark in (UNMARKED, one.mark)]
            marked: Flags = pc.is_in(keys, value_set=pa.array(named, keys.type)).to_numpy()
            chosen.append(~marked if query.mark == UNMARKED else marked)
        if query.search:
            chosen.append(pc.match_substring(keys, query.search, ignore_case=True).to_numpy())
        rows = self._order(query.sort)
        if query.order == "desc":  # where the coverage is unknown stays last
            unknown = np.isnan(self.coverage).sum() if query.sort == "coverage" else 0
            rows = np.concatenate([rows[: len(rows) - unknown][::-1], rows[len(rows) - unknown :]])
        return rows[np.logical_and.reduce(chosen)[rows]] if chosen else rows

    def _flags_of(self, name: str, value: str | int) -> Flags:
        """(records,) whether this filter lets each one through."""
        index, flags = self._store.index, np.zeros(self._store.index.num_rows, np.bool_)
        allowed: dict[str, Iterable[str | int]] = {
            "split": self._store.splits,
            "code": self._findings.codes,
            "label": (*self._store.classes.values(), NO_LABEL),
            "has_mask": (False, True),
        }
        if value not in allowed[name]:
            listed = ", ".join(map(str, allowed[name])) or "none"
            raise UsageError(f"there is no {name} {value!r}; there are: {listed}")
        if name == "split":
            rows = self._store.splits[str(value)]
            flags[rows.start : rows.stop] = True
        elif name == "code":
            flags[self._findings.rows(str(value))] = True
        elif name == "label":
            flags |= pc.fill_null(index["label"], NO_LABEL).to_numpy() == value
        else:
            flags |= index["has_mask"].to_numpy() == value
        return flags

    def _order_of(self, sort: Sort) -> Rows:
        """(records,) the rows, ascending by what is sorted by; what is not known comes last."""
        index = self._store.index
        if sort == "row":
            return np.arange(index.num_rows)
        if sort == "key":
            rows: Rows = pc.sort_indices(index["key"]).to_numpy().astype(np.int64)
            return rows
        if sort == "coverage":
            return np.argsort(self.coverage, kind="stable")
        area = index["height"].to_numpy().astype(np.int64) * index["width"].to_numpy()
        return np.argsort(area, kind="stable")
