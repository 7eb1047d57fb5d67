"""Filters, sorts and pages over the index: which records a page shows, among millions.

All of it is array arithmetic on the mapped index. A filter is an array of truth values, a sort an
array of row numbers; each is kept once it was asked for, so that turning a page costs nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import UsageError
from segrecord.reading.coverage import counted_masks
from segrecord.records.schemas import NO_LABEL
from segrecord.reporting.view.marks import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from segrecord.reading.store import Store
    from segrecord.reporting.view.findings import Findings
    from segrecord.reporting.view.marks import Marks

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


class Seat(NamedTuple):
    """Where a record stands in what a query found."""

    number: int
    """From 0."""
    found: int
    """Records, in all."""
    previous: int | None
    """Row of the record before it; None: there is none."""
    next: int | None


def parse(given: Mapping[str, str]) -> Query:
    """The query of these parameters of a URL; others are passed over.

    Raises:
        UsageError: a value is none that the parameter can have.
    """
    return Query(
        split=given.get("split", ""),
        label=_label(given.get("label", "")),
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


def _one_of(name: str, given: Mapping[str, str], known: tuple[str, ...]) -> str:
    value = given.get(name, known[0])
    if value not in known:
        raise UsageError(f"{name} must be one of {', '.join(filter(None, known))}, got {value!r}")
    return value


def _label(text: str) -> int | None:
    try:
        return int(text) if text else None
    except ValueError:
        raise UsageError(f"label must be the id of a class, got {text!r}") from None


class Catalogue:
    """The records of a dataset, to be asked by queries; threads may share it.

    Attributes:
        coverage: (records,) share of the pixels that are of a mask class other than 0; NaN: there
            is no mask, or masks are unchecked.
    """

    def __init__(self, store: Store, findings: Findings, marks: Marks) -> None:
        self._store, self._findings, self._marks = store, findings, marks
        self.coverage = _coverage(store.index)
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

    def seat(self, query: Query, row: int) -> Seat | None:
        """Where this record stands in what the query finds; None: it is not in it."""
        rows = self.rows(query)
        found = np.flatnonzero(rows == row)
        if not found.size:
            return None
        at = int(found[0])
        return Seat(
            number=at,
            found=len(rows),
            previous=int(rows[at - 1]) if at else None,
            next=int(rows[at + 1]) if at + 1 < len(rows) else None,
        )

    def row_of(self, key: str) -> int | None:
        """The row of the record of this key."""
        keys = self._store.index["key"]
        try:
            found = pc.index(keys, pa.scalar(key, keys.type)).as_py()
        except UnicodeEncodeError:  # half of a surrogate pair: no key holds one
            return None
        return None if found < 0 else int(found)

    def _rows_of(self, query: Query, _changes: int) -> Rows:
        """`_changes` only tells results of different marks apart."""
        chosen = [
            self._flags(name, value)
            for name, value in zip(query._fields, query, strict=True)
            if name not in ("mark", "search", "sort", "order") and value not in ("", None)
        ]
        if query.mark:
            chosen.append(self._marked(query.mark))
        if query.search:
            chosen.append(self._found(query.search))
        order = _turned(self._order(query.sort), self._unknown(query.sort), query.order)
        return order[np.logical_and.reduce(chosen)[order]] if chosen else order

    def _flags_of(self, name: str, value: str | int) -> Flags:
        """(records,) whether this filter lets each one through."""
        index, flags = self._store.index, np.zeros(self._store.index.num_rows, np.bool_)
        _require_known(name, value, self._known(name))
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

    def _known(self, name: str) -> Iterable[str | int]:
        """The values that a filter can have."""
        if name == "label":
            return (*self._store.classes.values(), NO_LABEL)
        return {"split": self._store.splits, "code": self._findings.codes}.get(name, (0, 1))

    def _marked(self, mark: str) -> Flags:
        named = self._marks.by_key
        keys = [key for key, found in named.items() if mark in (UNMARKED, found.mark)]
        column = self._store.index["key"]
        found: Flags = pc.is_in(column, value_set=pa.array(keys, column.type)).to_numpy()
        return ~found if mark == UNMARKED else found

    def _found(self, text: str) -> Flags:
        keys = self._store.index["key"]
        found: Flags = pc.match_substring(keys, text, ignore_case=True).to_numpy()
        return found

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

    def _unknown(self, sort: Sort) -> int:
        return int(np.isnan(self.coverage).sum()) if sort == "coverage" else 0


def _turned(rows: Rows, unknown: int, order: Order) -> Rows:
    """Descending, the last `unknown` ones stay the last."""
    if order == "asc":
        return rows
    known = len(rows) - unknown
    return np.concatenate([rows[:known][::-1], rows[known:]])


def _require_known(name: str, value: str | int, known: Iterable[str | int]) -> None:
    if value not in known:
        listed = ", ".join(map(str, known)) or "none"
        raise UsageError(f"there is no {name} {value!r}; there are: {listed}")


def _coverage(index: pa.Table) -> Floats:
    masks = counted_masks(index)
    inside = np.zeros(len(masks.row), np.int64)
    longest = max((int(chunk.length.max(initial=0)) for chunk in masks.chunks), default=0)
    for number in range(1, longest):
        inside += masks.pixels_of(number)
    found = np.full(index.num_rows, np.nan)
    found[masks.row] = inside / np.maximum(masks.area, 1)
    return found
