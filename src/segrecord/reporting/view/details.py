"""One record in words and numbers: what the index and the record itself say of it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from segrecord.errors import PixelError, RecordError
from segrecord.options import IGNORE
from segrecord.records import example, schemas
from segrecord.reporting.overlay import colour_of
from segrecord.tables import META_PREFIX

if TYPE_CHECKING:
    from segrecord.reading.reader import Reader
    from segrecord.reading.store import Store

_SHOWN = 2000
"""Characters of a text that are shown."""


def facts(store: Store, row: int) -> dict[str, Any]:
    """What the index says of this row, as plain values; `tables.RECORDS` has the names."""
    found = store.index.slice(row, 1).to_pylist()[0]
    shard = store.shards[bisect_right([shard.first_row for shard in store.shards], row) - 1]
    return {
        "row": row,
        "key": found["key"],
        "split": found["split"],
        "label": found["label"],
        "group": found["group"],
        "height": found["height"],
        "width": found["width"],
        "has_mask": found["has_mask"],
        "shard": shard.name,
        "number": row - shard.first_row,
        "offset": found["offset"],
        "length": found["length"],
        "sha256": found["sha256"].hex(),
        "kept": {
            name.removeprefix(META_PREFIX): value
            for name, value in found.items()
            if name.startswith(META_PREFIX)
        },
        "mask_pixels": _mask_pixels(store, found),
    }


def _mask_pixels(store: Store, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The classes of the mask, by the index: id, name, colour, pixels."""
    counts = list(enumerate(found["mask_pixels"] or ()))
    if found["ignore_pixels"]:
        counts.append((IGNORE, found["ignore_pixels"]))
    return [
        {"id": number, **mask_class(store, number), "pixels": pixels}
        for number, pixels in counts
        if pixels
    ]


def mask_class(store: Store, number: int) -> dict[str, Any]:
    """Name and colour ("#rrggbb") of a mask class; the background and 255 have none."""
    if number == IGNORE:
        return {"name": "ignore", "colour": None}
    names = store.mask_classes
    name = names[number] if number < len(names) else f"class {number}"
    colour = "#" + bytes(colour_of(number)).hex() if number else None
    return {"name": name, "colour": colour}


def features(reader: Reader, row: int) -> list[dict[str, str]]:
    """The record's features as they are stored: name, kind, and the value in words.

    Raises:
        RecordError: the record is damaged.
    """
    layout = reader.store.layout
    kinds: dict[str, str] = {key.name: key.kind for key in schemas.keys(layout)}
    kinds |= {schemas.meta_key(layout.schema, name): "text" for name in layout.keep_columns}
    try:
        found = example.decode(reader.payload(row))
    except ValueError as error:
        raise reader.error(row, str(error)) from None
    return [
        {"name": name, "kind": _kind(values), "value": _value(values, kinds.get(name, ""))}
        for name, values in sorted(found.items())
    ]


def _kind(values: list[Any]) -> str:
    kind = type(values[0]).__name__ if values else "empty"
    return {"int": "int64", "float": "float32"}.get(kind, kind)


def _value(values: list[Any], kind: str) -> str:
    said = [_said(value, kind) for value in values[:_SHOWN]]
    return ", ".join(said)[:_SHOWN]


def _said(value: bytes | float, kind: str) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace") if kind == "text" else f"{len(value):,} bytes"
    return str(value)


def damage(reader: Reader, row: int) -> dict[str, str]:
    """What is wrong with the record: a sentence for "image" and for "mask", where there is one."""
    try:
        parts = reader.parts(row, reader.payload(row))
    except RecordError as error:
        return {"image": str(error), "mask": str(error)}
    found = {}
    try:
        reader.codec.image(parts.image, parts.size, parts.channels)
    except PixelError as error:
        found["image"] = str(reader.undecodable(row, error))
    try:
        if parts.mask:
            reader.codec.mask(parts.mask, parts.size or (0, 0))
    except PixelError as error:
        found["mask"] = str(reader.undecodable(row, error))
    return found
