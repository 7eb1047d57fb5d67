"""A place in, a samples table out: tells what kind of source it is and has it read."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from segrecord.errors import Finding, SourceError
from segrecord.sources.folders import understand_folder
from segrecord.sources.listing import understand_listing
from segrecord.sources.metadata import join
from segrecord.sources.tabular import arrow_table, frame_grid, is_table, read_grid
from segrecord.sources.understood import Understood, duplicate_key
from segrecord.sources.walk import TABLE_EXTENSIONS
from segrecord.tables import META_PREFIX, SAMPLES, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segrecord.options import SourceOptions

__all__ = ["Understood", "understand"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
_COLUMN_OPTIONS = [
    "image_column",
    "mask_column",
    "label_column",
    "group_column",
    "split_column",
    "key_column",
    "keep_columns",
    "rest_class",
]


def understand(source: str | Path | Callable[[], Any] | Any, options: SourceOptions) -> Understood:
    """The samples of a source, and how it was understood; no pixel is read.

    Args:
        source: a folder; a CSV, TSV, Parquet, Arrow or XLSX file; a data frame (pandas, polars,
            Arrow: anything with `__arrow_c_stream__`); a function that returns a samples table,
            or its name as "module:function".
        options: which columns mean what, where relative paths start, and so on.

    Raises:
        SourceError: the source as a whole cannot be understood.
    """
    if hasattr(source, "__arrow_c_stream__"):
        return _listing(lambda: frame_grid(source), options)
    if callable(source):
        return _from_function(source, getattr(source, "__name__", "function"), options)
    try:
        path = os.fspath(source)
    except TypeError:
        raise SourceError(
            f"a source is a folder, a table file, a data frame or a function, not a "
            f"{type(source).__name__}"
        ) from None
    return _from_path(path, options)


def _from_path(path: str, options: SourceOptions) -> Understood:
    if os.path.isdir(path):  # noqa: PTH112 - the path stays as the user wrote it
        return _folder(path, options)
    if os.path.exists(path):  # noqa: PTH110 - likewise
        if not is_table(path):
            raise SourceError(
                f"{path} is neither a folder nor a table ({', '.join(sorted(TABLE_EXTENSIONS))})"
            )
        return _listing(lambda: read_grid(path), options)
    if _URL.match(path):
        raise SourceError(f"{path}: object stores are not supported yet; copy the files here")
    if match := _FUNCTION.fullmatch(path):
        return _from_function(_imported(match[1], match[2], path), path, options)
    raise SourceError(f"{path} does not exist")


def _folder(path: str, options: SourceOptions) -> Understood:
    if options.root is not None:
        raise SourceError(f"--root {options.root} goes with a listing; {path} is a folder")
    if options.metadata:
        # Read first: a mistyped file name should not cost a walk over a million files.
        grids = [read_grid(table) for table in options.metadata]
        return join(understand_folder(path, options), grids, options)
    for name in _COLUMN_OPTIONS:
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise SourceError(f"{flag} needs a table; {path} is a folder: pass --metadata FILE too")
    return understand_folder(path, options)


def _listing(read: Callable[[], Any], options: SourceOptions) -> Understood:
    if options.metadata:
        raise SourceError(
            f"--metadata {options.metadata[0]} goes with a folder; a listing has its own columns"
        )
    return understand_listing(read(), options)


def _imported(module: str, function: str, name: str) -> Callable[[], Any]:
    try:
        with _working_directory_importable():
            found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SourceError(f"{name} cannot be imported: {error}") from error
    if not callable(found):
        raise SourceError(f"{name} is no function")
    return found  # type: ignore[no-any-return]


@contextlib.contextmanager
def _working_directory_importable() -> Iterator[None]:
    """As under `python -m`: an installed command does not look in the working directory."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def _from_function(function: Callable[[], Any], name: str, options: SourceOptions) -> Understood:
    for option in ("root", "metadata", *_COLUMN_OPTIONS):
        if getattr(options, option):
            flag = "--" + option.replace("_", "-")
            raise SourceError(f"{flag} has no effect on a function's samples; let {name} do it")
    try:
        result = function()
    except SourceError:
        raise
    except Exception as error:
        # Anything may go wrong in a user's function; the cause is kept for its author.
        raise SourceError(f"{name} failed: {type(error).__name__}: {error}") from error
    samples, findings = _checked(result, name)
    return Understood(samples, findings, f"samples from {name}", {})


def _checked(result: Any, name: str) -> tuple[pa.Table, tuple[Finding, ...]]:
    """The samples table that a function returned, in the schema's order and sorted by key.

    Raises:
        SourceError: a column is missing, of another type, or null where it may not be.
    """
    if not hasattr(result, "__arrow_c_stream__"):
        raise SourceError(f"{name} must return a samples table, got {type(result).__name__}")
    table = arrow_table(result)
    columns = [_cast(table, field, name) for field in SAMPLES]
    extra = [column for column in table.schema.names if column not in SAMPLES.names]
    unknown = [column for column in extra if not column.startswith(META_PREFIX)]
    if unknown:
        raise SourceError(
            f"{name} returned columns that samples do not have: {', '.join(unknown)}; columns to "
            f"keep are called {META_PREFIX}NAME"
        )
    fields = [*SAMPLES, *(pa.field(column, TEXT) for column in extra)]
    columns += [_cast(table, field, name) for field in fields[len(SAMPLES) :]]
    samples = pa.table(columns, schema=pa.schema(fields)).sort_by("key")
    return _unique(samples, name)


def _cast(table: pa.Table, field: pa.Field, name: str) -> pa.ChunkedArray:
    if field.name not in table.schema.names:
        if field.nullable:
            return pa.nulls(table.num_rows, field.type)
        raise SourceError(f"{name} returned no column {field.name} ({field.type})")
    column = table.column(field.name)
    try:
        column = column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        raise SourceError(
            f"{name}: column {field.name} must be {field.type}, got {column.type}"
        ) from error
    if column.null_count and not field.nullable:
        raise SourceError(f"{name}: column {field.name} has {column.null_count} nulls")
    return column


def _unique(samples: pa.Table, name: str) -> tuple[pa.Table, tuple[Finding, ...]]:
    keys = samples.column("key").to_pylist()
    counts = Counter(keys)
    twice = {key for key, count in counts.items() if count > 1}
    images = samples.column("image").to_pylist()
    findings = [
        duplicate_key(
            key,
            [image for k, image in zip(keys, images, strict=True) if k == key],
            f"let {name} give each sample a key of its own",
        )
        for key in sorted(twice)
    ]
    return samples.filter(pa.array([key not in twice for key in keys], pa.bool_())), tuple(findings)
