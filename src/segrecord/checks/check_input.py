"""What every check is given, and columns of its tables as flat NumPy arrays.

A sample has a list of mask parts: they are laid end to end here, each with the row of its sample.
Nothing is copied but the column that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks.mask_values import Reading
from segrecord.options import Options

Numbers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SLICE = 10_000


class CheckInput(NamedTuple):
    """Samples, row by row what the scan has found in their files, and what was asked for."""

    samples: pa.Table
    """Schema tables.SAMPLES."""
    facts: pa.Table
    """Schema tables.FACTS."""
    options: Options
    reading: Reading | None = None
    """How mask values are read; None: not known yet, so that no check of masks runs."""
    splits: Sequence[str] = ()
    """(N,) the split of each sample; empty: not known yet, so that no check of splits runs."""
    names: Sequence[str] = ()
    """The splits that there should be."""


def numbers(column: pa.ChunkedArray, missing: int = 0) -> Numbers:
    """(N,) a column of integers; `missing` where it is null."""
    return np.asarray(pc.fill_null(column.cast(pa.int64()), missing), np.int64)


def owners(lists: pa.ChunkedArray) -> Rows:
    """(P,) the row to which each element of a column of lists belongs."""
    return np.asarray(pc.list_parent_indices(lists), np.int64)


def part_field(lists: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """(P,) this field of all elements of a column of lists of structs."""
    return pc.struct_field(pc.list_flatten(lists), name)


def highest(lists: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """(N,) the highest element of each list of numbers; NaN where there is none."""
    top = np.full(len(lists), -np.inf)
    np.maximum.at(top, owners(lists), pc.list_flatten(lists).to_numpy())
    return np.where(np.isneginf(top), np.nan, top)


def where(flags: pa.ChunkedArray) -> Rows:
    """The rows of a column of booleans that are true, ascending; null is not."""
    return np.asarray(pc.indices_nonzero(pc.fill_null(flags, False)), np.int64)


def group_numbers(groups: pa.ChunkedArray) -> Numbers:
    """(N,) equal numbers, from 0, for samples of one group; one without a group stands alone."""
    encoded = groups.combine_chunks().dictionary_encode()
    codes = numbers(pa.chunked_array([encoded.indices]), -1)
    return np.where(codes < 0, len(encoded.dictionary) + np.arange(len(codes)), codes)


def named(samples: pa.Table, rows: Rows, *columns: pa.ChunkedArray) -> Iterator[tuple[Any, ...]]:
    """Key, image path and the values of these columns (N,), for these rows."""
    chosen = pa.array(rows)
    wanted = (samples["key"], samples["image"], *columns)
    return values(*(column.take(chosen) for column in wanted))


def named_parts(
    samples: pa.Table, parts: Rows, rows: Rows, *columns: npt.NDArray[Any]
) -> Iterator[tuple[Any, ...]]:
    """Key, mask path and the values of these arrays (P,), for these mask parts.

    Args:
        samples: the samples table.
        parts: which parts, by their places.
        rows: (P,) the row of each part.
        *columns: (P,) each.
    """
    keys = samples["key"].take(pa.array(rows[parts]))
    paths = part_field(samples["mask"], "source").take(pa.array(parts))
    return values(keys, paths, *(pa.array(column[parts]) for column in columns))


def values(*columns: pa.ChunkedArray | pa.Array) -> Iterator[tuple[Any, ...]]:
    """The rows of these columns as Python values, a slice at a time: these are ten times larger."""
    for start in range(0, len(columns[0]), _SLICE):
        parts = (column.slice(start, _SLICE).to_pylist() for column in columns)
        yield from zip(*parts, strict=True)
