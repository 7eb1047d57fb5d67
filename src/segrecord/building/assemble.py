"""Tables in, shard tasks out; finished shards in, index and manifest out."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import features

from segrecord.building.shard import DraftRef, ShardRow, ShardRules, ShardTask
from segrecord.options import Options
from segrecord.pixels.image import ImageFacts
from segrecord.records import manifest as manifests
from segrecord.records import schemas
from segrecord.tables import META_PREFIX, RECORDS


class Ingredients(NamedTuple):
    """All that the shards of a dataset hang on."""

    samples: pa.Table
    facts: pa.Table
    """Row by row of the samples (schema quality.kept.KEPT)."""
    plan: pa.Table
    """Schema tables.PLAN, in the order split, shard, position."""
    drafts: pa.Array
    """(N,) whether a row's draft can be stored as it is."""
    draft_folder: str
    classes: dict[str, int]
    options: Options


class Block(NamedTuple):
    """The rows of one shard."""

    split: str
    shard: int
    shards: int
    """Shards of the split."""
    start: int
    """First row of the shard in the plan."""
    end: int


def versions() -> dict[str, str]:
    """The versions that stored bytes hang on: equality is promised where these are equal."""
    return {
        "segrecord": version("segrecord"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "pillow": version("pillow"),
        "libjpeg-turbo": str(features.version("libjpeg_turbo")),
        "simplejpeg": version("simplejpeg"),
        "protobuf": version("protobuf"),
    }


_PLACES = {
    "source": ("root", "classes"),
    "checks": ("facts", "on_error"),
    "plan": ("extend", "exclude"),
    "records": ("pseudonymize", "crosswalk"),
}
"""Options that say where things lie, or what to do: they change no byte of a record by
themselves, and a path has no place in an output."""


def told_options(options: Options) -> dict[str, dict[str, Any]]:
    """The options that a dataset's bytes hang on, by group."""
    told = {
        group: {
            name: value
            for name, value in vars(getattr(options, group)).items()
            if name not in _PLACES.get(group, ())
        }
        for group in ("source", "pixels", "checks", "plan", "records")
    }
    if options.source.metadata:  # by name, so that `verify --source` can look for it
        hidden = options.records.pseudonymize is not None  # a table's name may tell the hospital
        names = ["" if hidden else PurePath(path).name for path in options.source.metadata]
        told["source"]["metadata"] = names[0] if len(names) == 1 else names
    return told


def fingerprint(made_of: Ingredients) -> str:
    """SHA-256 over options, versions, plan, labels and source content, in hexadecimal.

    Under --checks none nobody has hashed the content; its sizes stand for it.
    """
    digest = hashlib.sha256()
    head = {
        "format": manifests.FORMAT_VERSION,
        "versions": versions(),
        "options": told_options(made_of.options),
        "classes": made_of.classes,
    }
    digest.update(json.dumps(head, sort_keys=True).encode())
    masks = made_of.facts["masks"].combine_chunks()
    content = [
        *made_of.plan.select(["key", "split", "shard", "position"]).columns,
        *(made_of.samples[name] for name in made_of.samples.column_names if name not in _UNTOLD),
        *(made_of.facts[name] for name in ("image_sha256", "image_bytes")),
        pc.replace_substring_regex(made_of.samples["image"], r"^.*?(\.[^./\\]*)?$", r"\1"),
        pc.list_value_length(masks),
        *(masks.flatten().field(name) for name in ("sha256", "bytes")),
    ]
    _add(digest, content)
    return digest.hexdigest()


def resume_mark(made_of: Ingredients, fingerprint: str) -> str:
    """What a shard must carry to be kept by a later run, in hexadecimal.

    The fingerprint and, under --checks none, the files' modification times: nothing else tells
    that a file of the same size is another one. They go into no file of a dataset.
    """
    digest = hashlib.sha256(fingerprint.encode())
    _add(digest, [made_of.facts["stamps"]])
    return digest.hexdigest()


def _add(digest: Any, columns: list[Any]) -> None:
    for column in columns:
        for start in range(0, len(column), _SLICE):
            values = column.slice(start, _SLICE).to_pylist()
            digest.update(json.dumps(values, default=bytes.hex).encode())


_SLICE = 100_000
_UNTOLD = ("image", "mask", "frame")
"""Columns of the samples that say where files lie; their content is told by its hash."""


def blocks(plan: pa.Table) -> list[Block]:
    """The shards of a plan, in its order: the rows of each follow each other."""
    # Not by group_by, which may exchange groups even where it uses one thread.
    names = plan["split"].combine_chunks().dictionary_encode().indices.to_numpy()
    new_split = np.diff(names, prepend=-1) != 0
    new_shard = np.diff(plan["shard"].to_numpy(), prepend=-1) != 0
    starts = np.flatnonzero(new_split | new_shard)
    heads = plan.select(["split", "shard"]).take(pa.array(starts)).to_pylist()
    shards = Counter(head["split"] for head in heads)
    bounds = pairwise([*starts.tolist(), len(plan)])
    return [
        Block(head["split"], head["shard"], shards[head["split"]], start, end)
        for head, (start, end) in zip(heads, bounds, strict=True)
    ]


def block_name(block: Block, compression: str) -> str:
    """The file name of a shard."""
    return manifests.shard_name(block.split, block.shard, block.shards, compression)


def tasks(
    made_of: Ingredients, wanted: list[Block], folder: str, rules: ShardRules
) -> Iterator[ShardTask]:
    """The tasks of these shards, made one by one as they are asked for."""
    for block in wanted:
        rows = made_of.plan["row"].slice(block.start, block.end - block.start)
        yield ShardTask(
            folder, block_name(block, rules.compression), tuple(_rows(made_of, rows)), rules
        )


def _rows(made_of: Ingredients, rows: pa.ChunkedArray) -> Iterator[ShardRow]:
    samples = made_of.samples.take(rows).to_pylist()
    found = made_of.facts.take(rows).to_pylist()
    drafted = made_of.drafts.take(rows.combine_chunks()).to_pylist()
    keep = made_of.options.source.keep_columns
    for sample, fact, draft in zip(samples, found, drafted, strict=True):
        name = sample["labels"][0] if sample["labels"] else ""
        yield ShardRow(
            key=sample["key"],
            image=sample["image"],
            masks=tuple(part["source"] for part in sample["mask"]),
            label=made_of.classes[name] if sample["labels"] else None,
            class_name=name,
            meta=tuple((column, sample[META_PREFIX + column] or "") for column in keep),
            facts=_image_facts(fact),
            image_bytes=fact["image_bytes"],
            image_sha256=fact["image_sha256"],
            mask_sha256s=tuple(mask["sha256"] for mask in fact["masks"]),
            mask_bytes=tuple(mask["bytes"] for mask in fact["masks"]),
            draft=_draft(fact, made_of.draft_folder) if draft else None,
        )


def _image_facts(fact: dict[str, Any]) -> ImageFacts:
    return ImageFacts(
        format=fact["image_format"],
        mode=fact["image_mode"],
        bit_depth=fact["bit_depth"],
        orientation=fact["orientation"],
        stored_height=fact["stored_height"],
        stored_width=fact["stored_width"],
        height=fact["height"],
        width=fact["width"],
        handling=fact["image_handling"],
        reason=fact["image_reason"],
    )


def _draft(fact: dict[str, Any], folder: str) -> DraftRef:
    return DraftRef(
        path=f"{folder}/{fact['draft_file']}",
        offset=fact["draft_offset"],
        length=fact["draft_length"],
        crc=fact["draft_crc"],
        pixels=tuple((pair["id"], pair["pixels"]) for pair in fact["draft_pixels"]),
    )


def index(made_of: Ingredients, block: Block, sidecar: dict[str, Any]) -> pa.Table:
    """The index of one shard (schema tables.RECORDS and kept columns), in the order of the plan."""
    plan = made_of.plan.slice(block.start, block.end - block.start)
    samples = made_of.samples.take(plan["row"])
    written = dict(sidecar["columns"])
    written["sha256"] = [bytes.fromhex(text) for text in written["sha256"]]
    names = [labels[0] if labels else None for labels in samples["labels"].to_pylist()]
    columns: dict[str, Any] = {
        "key": plan["key"],
        "split": plan["split"],
        "shard": plan["shard"],
        "label": [made_of.classes[name] if name is not None else None for name in names],
        "group": samples["group"],
        **written,
    }
    kept = [META_PREFIX + column for column in made_of.options.source.keep_columns]
    arrays = [_array(columns[field.name], field.type) for field in RECORDS]
    arrays += [samples[name] for name in kept]
    schema = pa.schema([*RECORDS, *(samples.schema.field(name) for name in kept)])
    return pa.table(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType) -> Any:
    return pa.array(values, kind) if isinstance(values, list) else values


def splits(
    made_of: Ingredients, found: list[Block], sizes: list[int], labels: pa.Array
) -> dict[str, manifests.Split]:
    """The manifest's account of the shards, by split.

    Args:
        made_of: the classes and options.
        found: the shards in the order of the plan.
        sizes: bytes of each of them.
        labels: (N,) the index's label column, in the order of the plan.
    """
    shards: dict[str, list[manifests.Shard]] = {}
    for block, size in zip(found, sizes, strict=True):
        shard = manifests.Shard(
            name=block_name(block, made_of.options.records.compression),
            records=block.end - block.start,
            bytes=size,
            sha256="",  # of the file as it stands on disk: the read-back gives it
            class_counts=_class_counts(
                labels.slice(block.start, block.end - block.start), made_of.classes
            ),
            first_row=block.start,
        )
        shards.setdefault(block.split, []).append(shard)
    return {
        name: manifests.Split(
            records=sum(shard.records for shard in own),
            bytes=sum(shard.bytes for shard in own),
            class_counts={
                name: sum(shard.class_counts[name] for shard in own) for name in made_of.classes
            },
            shards=tuple(own),
        )
        for name, own in shards.items()
    }


def _class_counts(labels: pa.Array, classes: dict[str, int]) -> dict[str, int]:
    counted = {pair["values"]: pair["counts"] for pair in pc.value_counts(labels).to_pylist()}
    return {name: counted.get(number, 0) for name, number in classes.items()}


def layout(made_of: Ingredients) -> schemas.Layout:
    """Which keys the records have."""
    return schemas.Layout(
        schema=made_of.options.records.schema,
        masks=bool(pc.any(pc.greater(pc.list_value_length(made_of.samples["mask"]), 0)).as_py()),
        classes=bool(made_of.classes),
        keep_columns=made_of.options.source.keep_columns,
        one_hot=made_of.options.records.one_hot,
        black_white=made_of.options.records.mask_values == "keep",
    )
