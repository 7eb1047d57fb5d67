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

from segrecord.checks.mask_values import Reading
from segrecord.format import manifest as manifests
from segrecord.format import schemas
from segrecord.images.image import ImageFacts
from segrecord.options import OPTIONS, Options
from segrecord.tables import META_PREFIX, RECORDS
from segrecord.write.shard_writer import ShardRow, ShardTask, StoredDraft, WriteOptions


class BuildInputs(NamedTuple):
    """All that the shards of a dataset depend on."""

    samples: pa.Table
    facts: pa.Table
    """Row by row of the samples (schema scanning.checkpoint.KEPT)."""
    plan: pa.Table
    """Schema tables.PLAN, in the order split, shard, position."""
    drafts: pa.Array
    """(N,) whether a row's draft can be stored as it is."""
    draft_folder: str
    classes: dict[str, int]
    options: Options


class ShardSpec(NamedTuple):
    """The rows of one shard."""

    split: str
    shard: int
    shards: int
    """Shards of the split."""
    start: int
    """First row of the shard in the plan."""
    end: int

    def name(self, compression: str) -> str:
        """The file name of the shard."""
        return manifests.shard_name(self.split, self.shard, self.shards, compression)


def versions() -> dict[str, str]:
    """The versions that stored bytes depend on: equality is promised where these are equal."""
    return {
        "segrecord": version("segrecord"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "pillow": version("pillow"),
        "libjpeg-turbo": str(features.version("libjpeg_turbo")),
        "simplejpeg": version("simplejpeg"),
        "protobuf": version("protobuf"),
    }


def recorded_options(options: Options) -> dict[str, dict[str, Any]]:
    """The options that a dataset's bytes depend on, by stage."""
    recorded: dict[str, dict[str, Any]] = {}
    for option in OPTIONS.values():
        if option.changes_bytes:
            recorded.setdefault(option.stage, {})[option.name] = options.value(option)
    if options.source.metadata:  # by name, so that `verify --source` can look for it
        hidden = options.records.pseudonymize is not None  # a table's name may tell the hospital
        names = ["" if hidden else PurePath(path).name for path in options.source.metadata]
        recorded["source"]["metadata"] = names[0] if len(names) == 1 else names
    return recorded


def fingerprint(inputs: BuildInputs) -> str:
    """SHA-256 over options, versions, plan, labels and source content, in hexadecimal.

    Under --checks none nobody has hashed the content; its sizes stand for it.
    """
    digest = hashlib.sha256()
    head = {
        "format": manifests.FORMAT_VERSION,
        "versions": versions(),
        "options": recorded_options(inputs.options),
        "classes": inputs.classes,
    }
    digest.update(json.dumps(head, sort_keys=True).encode())
    masks = inputs.facts["masks"].combine_chunks()
    content = [
        *inputs.plan.select(["key", "split", "shard", "position"]).columns,
        *(inputs.samples[name] for name in inputs.samples.column_names if name not in _PATHS),
        *(inputs.facts[name] for name in ("image_sha256", "image_bytes")),
        pc.replace_substring_regex(inputs.samples["image"], r"^.*?(\.[^./\\]*)?$", r"\1"),
        pc.list_value_length(masks),
        *(masks.flatten().field(name) for name in ("sha256", "bytes")),
    ]
    _add(digest, content)
    return digest.hexdigest()


def resume_fingerprint(inputs: BuildInputs, fingerprint: str) -> str:
    """What a shard must carry to be kept by a later run, in hexadecimal.

    The fingerprint and, under --checks none, the files' modification times: nothing else tells
    that a file of the same size is another one. They go into no file of a dataset.
    """
    digest = hashlib.sha256(fingerprint.encode())
    _add(digest, [inputs.facts["stamps"]])
    return digest.hexdigest()


def _add(digest: Any, columns: list[Any]) -> None:
    for column in columns:
        for start in range(0, len(column), _SLICE):
            values = column.slice(start, _SLICE).to_pylist()
            digest.update(json.dumps(values, default=bytes.hex).encode())


_SLICE = 100_000
_PATHS = ("image", "mask", "frame")
"""Columns of the samples that say where files lie: the hash of their content stands for them."""


def specs(plan: pa.Table) -> list[ShardSpec]:
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
        ShardSpec(head["split"], head["shard"], shards[head["split"]], start, end)
        for head, (start, end) in zip(heads, bounds, strict=True)
    ]


def tasks(
    inputs: BuildInputs, wanted: list[ShardSpec], folder: str, options: WriteOptions
) -> Iterator[ShardTask]:
    """The tasks of these shards, made one by one as they are asked for."""
    keep = inputs.options.source.keep_columns
    for spec in wanted:
        rows = inputs.plan["row"].slice(spec.start, spec.end - spec.start)
        samples = inputs.samples.take(rows).to_pylist()
        facts = inputs.facts.take(rows).to_pylist()
        drafted = inputs.drafts.take(rows.combine_chunks()).to_pylist()
        shard_rows = []
        for sample, fact, has_draft in zip(samples, facts, drafted, strict=True):
            name = sample["labels"][0] if sample["labels"] else ""
            draft = StoredDraft(
                path=f"{inputs.draft_folder}/{fact['draft_file']}",
                offset=fact["draft_offset"],
                length=fact["draft_length"],
                crc=fact["draft_crc"],
                pixels=tuple((pair["id"], pair["pixels"]) for pair in fact["draft_pixels"] or ()),
            )
            row = ShardRow(
                key=sample["key"],
                image=sample["image"],
                masks=tuple(part["source"] for part in sample["mask"]),
                label=inputs.classes[name] if sample["labels"] else None,
                class_name=name,
                meta=tuple((column, sample[META_PREFIX + column] or "") for column in keep),
                facts=ImageFacts(
                    format=fact["image_format"],
                    mode=fact["image_mode"],
                    handling=fact["image_handling"],
                    reason=fact["image_reason"],
                    **{name: fact[name] for name in _SAME_NAMES},
                ),
                image_bytes=fact["image_bytes"],
                image_sha256=fact["image_sha256"],
                mask_sha256s=tuple(mask["sha256"] for mask in fact["masks"]),
                mask_bytes=tuple(mask["bytes"] for mask in fact["masks"]),
                draft=draft if has_draft else None,
            )
            shard_rows.append(row)
        yield ShardTask(folder, spec.name(options.compression), tuple(shard_rows), options)


_SAME_NAMES = ("bit_depth", "orientation", "stored_height", "stored_width", "height", "width")
"""Columns of the facts that `ImageFacts` has under the same names."""


def index(inputs: BuildInputs, spec: ShardSpec, sidecar: dict[str, Any]) -> pa.Table:
    """The index of one shard (schema tables.RECORDS and kept columns), in the order of the plan."""
    plan = inputs.plan.slice(spec.start, spec.end - spec.start)
    samples = inputs.samples.take(plan["row"])
    written = dict(sidecar["columns"])
    written["sha256"] = [bytes.fromhex(text) for text in written["sha256"]]
    names = [labels[0] if labels else None for labels in samples["labels"].to_pylist()]
    columns: dict[str, Any] = {
        "key": plan["key"],
        "split": plan["split"],
        "shard": plan["shard"],
        "label": [inputs.classes[name] if name is not None else None for name in names],
        "group": samples["group"],
        **written,
    }
    kept = [META_PREFIX + column for column in inputs.options.source.keep_columns]
    arrays = [
        pa.array(values, field.type) if isinstance(values, list) else values
        for field in RECORDS
        for values in [columns[field.name]]
    ]
    arrays += [samples[name] for name in kept]
    schema = pa.schema([*RECORDS, *(samples.schema.field(name) for name in kept)])
    return pa.table(arrays, schema=schema)


def splits(
    inputs: BuildInputs, written: list[ShardSpec], sizes: list[int], labels: pa.Array
) -> dict[str, manifests.Split]:
    """The manifest's account of the shards, by split.

    Args:
        inputs: the classes and options.
        written: the shards in the order of the plan.
        sizes: bytes of each of them.
        labels: (N,) the index's label column, in the order of the plan.
    """
    shards: dict[str, list[manifests.Shard]] = {}
    for spec, size in zip(written, sizes, strict=True):
        records = spec.end - spec.start
        counted = pc.value_counts(labels.slice(spec.start, records)).to_pylist()
        counts = {pair["values"]: pair["counts"] for pair in counted}
        shard = manifests.Shard(
            name=spec.name(inputs.options.records.compression),
            records=records,
            bytes=size,
            sha256="",  # of the file as it stands on disk: the read-back gives it
            class_counts={name: counts.get(label, 0) for name, label in inputs.classes.items()},
            first_row=spec.start,
        )
        shards.setdefault(spec.split, []).append(shard)
    return {
        name: manifests.Split(
            records=sum(shard.records for shard in own),
            bytes=sum(shard.bytes for shard in own),
            class_counts={
                name: sum(shard.class_counts[name] for shard in own) for name in inputs.classes
            },
            shards=tuple(own),
        )
        for name, own in shards.items()
    }


def write_options(
    inputs: BuildInputs, reading: Reading | None, resume_fingerprint: str
) -> WriteOptions:
    """What is the same for all shards; `reading` is None where no mask values are read."""
    records = inputs.options.records
    masks = pc.any(pc.greater(pc.list_value_length(inputs.samples["mask"]), 0)).as_py()
    return WriteOptions(
        layout=schemas.Layout(
            schema=records.schema,
            masks=bool(masks),
            classes=bool(inputs.classes),
            keep_columns=inputs.options.source.keep_columns,
            one_hot=records.one_hot,
            black_white=records.mask_values == "keep",
        ),
        compression=records.compression,
        missing_mask=records.missing_mask or "ignore",
        num_classes=len(reading.classes) if reading else 0,
        map=reading.map if reading else None,
        size=inputs.options.pixels.size,
        resume_fingerprint=resume_fingerprint,
        keep_metadata=records.keep_metadata,
        keep_profile=records.keep_profile,
    )
