"""What a `Dataset` lies on: the shards, the index, and how a record is taken apart.

Two kinds of places end here as one: a dataset of ours, whose index tells label, size and mask of a
record before it is read, and shards that others wrote, where only the record itself does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pyarrow as pa

from segrecord.errors import RecordError, UsageError
from segrecord.options import SchemaName
from segrecord.reading import foreign
from segrecord.reading.columns import getter
from segrecord.reading.folds import folds_of
from segrecord.reading.frames import ShardFile, streamed
from segrecord.reading.index import open_index, places, split_rows
from segrecord.records import example, schemas
from segrecord.records import manifest as manifests
from segrecord.records.schemas import NO_LABEL, Layout

Schema = SchemaName | Mapping[str, str]
"""The name of a schema, or the feature keys that hold image, mask and label."""

_HOLDS = ("image", "mask", "label")
"""What a schema given as a mapping names."""

_INTS = frozenset({"label", "has_mask", "height", "width", "channels"})
"""What is held as int64; all else is bytes."""

_ENCODED_HOLDS = frozenset({*_HOLDS, "has_mask", "key", "filename"})
_RAW_HOLDS = frozenset({*_HOLDS, "height", "width", "channels"})


class Parts(NamedTuple):
    """A record taken apart, before anything is decoded."""

    image: bytes
    mask: bytes
    """b"": there is none."""
    size: tuple[int, int] | None
    """Height and width of the image, in pixels; None: not known before it is decoded."""
    channels: int | None
    """Of pixels stored raw."""
    has_mask: bool | None
    """None: the decoded mask tells; one of 255 all over is a missing one."""
    label: int | None
    key: str
    group: str | None


@dataclass(frozen=True)
class Store:
    """Shards, their index, and how to take their records apart."""

    place: str
    """As the user wrote it."""
    shards: tuple[ShardFile, ...]
    index: pa.Table
    """A row a record, in the order of the shards."""
    splits: dict[str, range]
    """The rows of each split; empty where the shards are not ours."""
    folds: int | None
    """Of a cross-validation, whose folds are the splits; None: there are none."""
    layout: Layout
    classes: dict[str, int]
    mask_classes: tuple[str, ...]
    compression: str
    fingerprint: str
    parts: Callable[[int, bytes], Parts]
    """A record's row and payload, taken apart; ValueError where it does not hold what it must."""


def of_dataset(path: str | Path) -> Store:
    """The dataset in this folder.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: its manifest or index is damaged.
    """
    manifest = manifests.load(path)
    index = open_index(path, manifest, thorough=False)
    # Shards are opened when they are first read: the working folder may be another one then.
    folder = Path(path).absolute()
    shards = tuple(
        ShardFile(str(folder / place.shard.name), place.shard.name, place.shard.first_row)
        for place in places(manifest)
    )
    layout = schemas.layout_of(manifest)
    return Store(
        place=str(path),
        shards=shards,
        index=index,
        splits=split_rows(manifest),
        folds=folds_of(manifest),
        layout=layout,
        classes=manifest.classes,
        mask_classes=manifest.masks.classes,
        compression=manifest.compression,
        fingerprint=manifest.fingerprint,
        parts=_own_parts(layout, index),
    )


def of_shards(
    paths: str | Path | Sequence[str | Path],
    schema: Schema | None,
    index: str | Path | None,
) -> Store:
    """Shards that others wrote.

    Args:
        paths: a shard, a glob, a folder, or several of them.
        schema: how records are read.
        index: where the index is kept; None: beside the shards.

    Raises:
        UsageError: no schema, one that does not exist, no shards, or compressed ones.
        RecordError: a shard is damaged.
    """
    names = _names(schema)
    found = foreign.open_shards(paths, index)
    if isinstance(schema, Mapping):
        _require_keys(schema, found)
    raw = schema == "raw"
    layout = Layout("raw" if raw else "plain", masks="mask" in names, classes=True, keep_columns=())
    return Store(
        place=str(paths) if isinstance(paths, str | Path) else ", ".join(map(str, paths)),
        shards=found.shards,
        index=found.table,
        splits={},
        folds=None,
        layout=layout,
        classes={},
        mask_classes=(),
        compression=found.compression,
        fingerprint=_fingerprint(found),
        parts=_foreign_parts(names, found),
    )


def _require_keys(schema: Mapping[str, str], shards: foreign.ForeignShards) -> None:
    """The first record has the keys: one that is misspelt would read as "no mask" everywhere."""
    for file in shards.shards:
        for payload in islice(streamed(file, shards.compression), 1):
            try:
                known = example.decode(payload)
            except ValueError as error:
                raise RecordError(file.name, str(error), 0, 0) from None
            absent = [name for name in schema.values() if name not in known]
            if absent:
                raise UsageError(
                    f"the first record of {file.path} has no key {', '.join(map(repr, absent))}; "
                    f"it has {', '.join(map(repr, known)) or 'none'}"
                )
            return


def _own_parts(layout: Layout, index: pa.Table) -> Callable[[int, bytes], Parts]:
    names = {
        holds: name
        for holds in ("image", "mask", "channels", "key", "label")
        if (name := schemas.name_of(layout, holds)) is not None
    }
    columns = ("height", "width", "has_mask", "label", "key", "group")
    height, width, has_mask, label, key, group = (getter(index[name]) for name in columns)

    def parts(row: int, payload: bytes) -> Parts:
        features, masked = example.extract(payload, names.values()), has_mask(row)
        found = {
            holds: _one(features, name, holds)
            for holds, name in names.items()
            if masked or holds != "mask"
        }
        part = Parts(
            image=found["image"],
            mask=found.get("mask", b""),
            size=(height(row), width(row)),
            channels=found.get("channels"),
            has_mask=masked,
            label=label(row),
            key=key(row),
            group=group(row),
        )
        _check_identity(found, part)
        return part

    return parts


def _check_identity(found: Mapping[str, Any], part: Parts) -> None:
    """The record is the one that the index has here, as far as its schema lets it say so.

    Where records are of one length, as under schema raw, nothing else tells a shard that was
    swapped for another.
    """
    said = {"key": part.key.encode(), "label": NO_LABEL if part.label is None else part.label}
    for holds, value in said.items():
        if found.get(holds, value) != value:
            raise ValueError(
                f"it is another record than the index has here: its {holds} is {found[holds]!r}, "
                f"the index says {value!r}"
            )
    if part.has_mask and found.get("mask") == b"":
        raise ValueError("it has no mask, the index says that it has one")


def _foreign_parts(
    names: Mapping[str, str], shards: foreign.ForeignShards
) -> Callable[[int, bytes], Parts]:
    shard = getter(shards.table["shard"])

    def parts(row: int, payload: bytes) -> Parts:
        features = example.extract(payload, names.values())
        found = {
            holds: _one(features, name, holds)
            for holds, name in names.items()
            if holds == "image" or features.get(name)
        }
        file = shards.shards[shard(row)]
        text = found.get("key", found.get("filename"))
        mask = found.get("mask", b"")
        return Parts(
            image=found["image"],
            mask=mask if found.get("has_mask", 1) else b"",
            size=(found["height"], found["width"]) if {"height", "width"} <= set(found) else None,
            channels=found.get("channels"),
            has_mask=None if mask and found.get("has_mask", 1) else False,
            label=None if found.get("label", NO_LABEL) == NO_LABEL else found["label"],
            key=text.decode(errors="replace") if text else f"{file.name}:{row - file.first_row}",
            group=None,
        )

    return parts


def _one(features: Mapping[str, list[Any]], name: str, holds: str) -> Any:
    """The one value of this key, of the kind that what it holds must have."""
    values = features.get(name, [])
    if len(values) != 1:
        raise ValueError(f"the key {name} must hold one value, holds {len(values) or 'none'}")
    value, kind = values[0], int if holds in _INTS else bytes
    if isinstance(value, kind):
        return value
    raise ValueError(f"the key {name} must hold {kind.__name__}, holds {type(value).__name__}")


def _names(schema: Schema | None) -> dict[str, str]:
    """The feature keys that are read, by what they hold."""
    known = ", ".join(get_args(SchemaName))
    if schema is None:
        raise UsageError(
            f"shards that segrecord did not write need schema=: one of {known}, or a mapping such "
            'as {"image": "image/encoded", "mask": ..., "label": ...}'
        )
    if isinstance(schema, Mapping):
        if not {"image"} <= set(schema) <= set(_HOLDS):
            said = ", ".join(map(repr, schema)) or "nothing"
            raise UsageError(f"a schema as a mapping has image, mask and label, got {said}")
        return dict(schema)
    if schema not in schemas.SCHEMAS:
        raise UsageError(f"schema must be one of {known}, or a mapping, got {schema!r}")
    wanted = _RAW_HOLDS if schema == "raw" else _ENCODED_HOLDS
    return {key.holds: key.name for key in schemas.SCHEMAS[schema] if key.holds in wanted}


def _fingerprint(shards: foreign.ForeignShards) -> str:
    """Of the shards' names and their records' places: it does not hang on where they lie."""
    found = hashlib.sha256()
    for file in shards.shards:
        found.update(f"{file.name}\0{file.first_row}\n".encode())
    for name in ("offset", "length"):
        for chunk in shards.table[name].chunks:
            found.update(chunk.to_numpy().data)
    return found.hexdigest()
