"""A source in, a samples table out: which kind of source it is, and who reads it."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from segrecord.errors import SourceError
from segrecord.options import SourceOptions
from segrecord.sources.folders import load_folder
from segrecord.sources.listing import load_listing
from segrecord.sources.loaded import LoadedSource, Note, duplicate_key
from segrecord.sources.metadata_join import join
from segrecord.sources.names import TABLE_EXTENSIONS, extension
from segrecord.sources.tabular import Grid, arrow_table, frame_grid, read_grid
from segrecord.tables import META_PREFIX, SAMPLES, TEXT

__all__ = ["LoadedSource", "load_source"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
_COLUMN_OPTIONS = (
    *("image_column", "mask_column", "label_column", "group_column", "split_column"),
    *("key_column", "keep_columns", "rest_class"),
)


def load_source(
    source: str | Path | Callable[[], Any] | Any, options: SourceOptions
) -> LoadedSource:
    """The samples of a source, and how it was loaded; no pixel is read.

    Args:
        source: a folder; a CSV, TSV, Parquet, Arrow or XLSX file; a data frame (pandas, polars,
            Arrow: anything with `__arrow_c_stream__`); a function that returns a samples table,
            or its name as "module:function".
        options: which columns mean what, where relative paths start, and so on.

    Raises:
        SourceError: the source as a whole cannot be loaded.
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
    if os.path.isdir(path):  # noqa: PTH112 - the path stays as the user wrote it
        return _folder(path, options)
    if os.path.exists(path):  # noqa: PTH110 - likewise
        if extension(path) not in TABLE_EXTENSIONS:
            raise SourceError(
                f"{path} is neither a folder nor a table ({', '.join(sorted(TABLE_EXTENSIONS))})"
            )
        return _listing(lambda: read_grid(path), options)
    if _URL.match(path):
        raise SourceError(f"{path}: object stores are not supported yet; copy the files here")
    if match := _FUNCTION.fullmatch(path):
        return _from_function(_imported(*match.groups()), path, options)
    raise SourceError(f"{path} does not exist")


def _folder(path: str, options: SourceOptions) -> LoadedSource:
    if options.root is not None:
        raise SourceError(f"--root {options.root} goes with a listing; {path} is a folder")
    if options.metadata:
        # Read first: a mistyped file name should not cost a walk over a million files.
        grids = [read_grid(table) for table in options.metadata]
        return join(load_folder(path, options), grids, options)
    for name in _COLUMN_OPTIONS:
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise SourceError(f"{flag} needs a table; {path} is a folder: pass --metadata FILE too")
    return load_folder(path, options)


def _listing(read: Callable[[], Grid], options: SourceOptions) -> LoadedSource:
    if options.metadata:
        raise SourceError(
            f"--metadata {options.metadata[0]} goes with a folder; a listing has its own columns"
        )
    return load_listing(read(), options)


def _imported(module: str, name: str) -> Callable[[], Any]:
    # As under `python -m`: an installed command does not look in the working directory.
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SourceError(f"{module}:{name} cannot be imported: {error}") from error
    finally:
        sys.path[:] = before
    if not callable(function):
        raise SourceError(f"{module}:{name} is no function")
    return function  # type: ignore[no-any-return]


def _from_function(function: Callable[[], Any], name: str, options: SourceOptions) -> LoadedSource:
    """The samples table that a function returned, in the schema's order and sorted by key.

    Raises:
        SourceError: the function fails, or a column is missing, of another type, or null where it
            may not be.
    """
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
    if not hasattr(result, "__arrow_c_stream__"):
        raise SourceError(f"{name} must return a samples table, got {type(result).__name__}")
    table = arrow_table(result)
    extra = [column for column in table.schema.names if column not in SAMPLES.names]
    fields = [*SAMPLES, *(pa.field(column, TEXT) for column in extra)]
    columns = [_cast(table, field, name) for field in SAMPLES]
    unknown = [column for column in extra if not column.startswith(META_PREFIX)]
    if unknown:
        raise SourceError(
            f"{name} returned columns that samples do not have: {', '.join(unknown)}; columns to "
            f"keep are called {META_PREFIX}NAME"
        )
    columns += [_cast(table, field, name) for field in fields[len(SAMPLES) :]]
    samples = pa.table(columns, schema=pa.schema(fields)).sort_by("key")
    keys = samples["key"].to_pylist()
    images: dict[str, list[str]] = {}
    for key, image in zip(keys, samples["image"].to_pylist(), strict=True):
        images.setdefault(key, []).append(image)
    findings = tuple(
        duplicate_key(key, paths, "function", function=name)
        for key, paths in images.items()
        if len(paths) > 1
    )
    unique = pa.array([len(images[key]) == 1 for key in keys], pa.bool_())
    note = Note("samples", f"samples from {name}")
    return LoadedSource(samples.filter(unique), findings, (note,), {})


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
