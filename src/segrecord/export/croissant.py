"""croissant.json: the dataset in the vocabulary of Croissant 1.0 (MLCommons), JSON-LD.

No reader of Croissant knows TFRecord, so what stands inside the shards is described, as the feature
keys of their Examples, and so is the index; only what stands in the file itself (splits, classes)
can be read by such tools. `dataset.json` is not listed: it holds this file's hash, so that this
file cannot hold its.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from segrecord.export.card_fields import LICENCES, Card
from segrecord.format import schemas
from segrecord.format.manifest import INDEX, Manifest
from segrecord.tables import META_PREFIX
from segrecord.wording import counted

CROISSANT_FILE = "croissant.json"

_Node = dict[str, Any]

# The context that the specification gives, without which its tools warn.
_CONTEXT: _Node = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key"),
            *("md5", "parentField", "path", "recordSet", "references", "regex", "repeated"),
            *("replace", "samplingRate", "separator", "source", "subField", "transform"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}

_TFRECORD = "https://www.tensorflow.org/tutorials/load_data/tfrecord"
"""TFRecord has no media type; the specification asks for an address that tells of the format."""

_FORMATS = {
    "arrow": "application/vnd.apache.arrow.file",
    "csv": "text/csv",
    "json": "application/json",
    "txt": "text/plain",
}
"""Media types by ending, as registered with IANA."""

_COMPRESSED = {"gzip": ["application/gzip"], "zlib": ["application/zlib"]}
"""RFC 6713."""

_SPLITS = {"train": "training", "val": "validation", "test": "test"}
"""The specification's words for splits: https://mlcommons.org/definitions/<word>_split."""

_COLUMNS = {
    "key": "The sample's key, unique.",
    "split": "The split.",
    "shard": "The shard within the split, from 0.",
    "offset": "Of the record's first byte in the uncompressed shard.",
    "length": "Of the serialized Example, in bytes; its frame is 16 longer.",
    "label": "The class id; null: none.",
    "group": "Patient, lesion or the like; null: none.",
    "height": "Of the stored image, in pixels.",
    "width": "Of the stored image, in pixels.",
    "has_mask": "Whether the sample has a mask.",
}
"""The columns of the index that are of a type of Croissant, and what they hold."""


def croissant(manifest: Manifest, index: pa.Table, fields: Card) -> bytes:
    """The content of croissant.json: equal bytes for equal input.

    Args:
        manifest: of the dataset, with the hashes of its other files.
        index: its records (schema tables.RECORDS and kept columns).
        fields: what the user says of it.
    """
    spdx = fields.licence in LICENCES
    said = {  # by the user; nothing stands for what they did not say
        "license": f"https://spdx.org/licenses/{fields.licence}.html" if spdx else fields.licence,
        "url": fields.homepage,
        "isBasedOn": fields.source,
        "citeAs": fields.citation,
        "creator": [{"@type": "sc:Person", "name": name} for name in fields.authors],
        "version": fields.version,
        "datePublished": fields.published and fields.published.isoformat(),
        "keywords": list(fields.tags),
    }
    masks = manifest.samples - manifest.masks.missing
    splits = ", ".join(f"{name}: {split.records}" for name, split in manifest.splits.items())
    description = (
        f"{counted(manifest.samples, 'image')}, {masks} of them with a segmentation mask, as "
        f"TFRecord shards ({splits})."
    )
    dataset: _Node = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": fields.name or "Dataset",
        "description": fields.description or description,
        **{name: value for name, value in said.items() if value},
        "distribution": _distribution(manifest),
        "recordSet": [
            _split_names(manifest),
            *_names("classes", manifest.classes),
            *_names("mask_classes", {n: i for i, n in enumerate(manifest.masks.classes)}),
            *_records(manifest, index),
        ],
    }
    return json.dumps(dataset, indent=2, ensure_ascii=False).encode() + b"\n"


def _distribution(manifest: Manifest) -> list[_Node]:
    """A FileObject for each file of known hash; a FileSet for each split's shards, and for all."""
    shard_formats = [_TFRECORD, *_COMPRESSED.get(manifest.compression, [])]
    found = [
        _file(name, sha256, [_FORMATS.get(name.rpartition(".")[2], "application/octet-stream")])
        for name, sha256 in manifest.files.items()
        if sha256 and name != CROISSANT_FILE
    ]
    sets: dict[str, list[str]] = {}
    for name, split in manifest.splits.items():
        found += [
            _file(shard.name, shard.sha256, shard_formats) | {"contentSize": f"{shard.bytes} B"}
            for shard in split.shards
        ]
        if split.shards:
            sets[f"{name}-shards"] = [f"{name}-*.{split.shards[0].name.partition('.')[2]}"]
    sets["shards"] = [glob for globs in sets.values() for glob in globs]
    return found + [
        {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "encodingFormat": shard_formats,
            "includes": includes,
        }
        for name, includes in sets.items()
    ]


def _file(name: str, sha256: str, formats: list[str]) -> _Node:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": formats,
        "sha256": sha256,
    }


def _split_names(manifest: Manifest) -> _Node:
    url = "https://mlcommons.org/definitions/{}_split"
    rows = [
        {
            "splits/name": name,
            "splits/url": url.format(_SPLITS[name]) if name in _SPLITS else "",
            "splits/records": split.records,
        }
        for name, split in manifest.splits.items()
    ]
    fields = [
        _field("splits/name", "sc:Text", "The split's name."),
        _field("splits/url", "sc:URL", "What kind of split it is; empty: another."),
        _field("splits/records", "cr:Int64", "Its records."),
    ]
    return _record_set("splits", "The splits.", fields) | {
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "data": rows,
    }


def _names(record_set: str, ids: dict[str, int]) -> list[_Node]:
    """The names of classes by id, as an enumeration; none where there are none."""
    if not ids:
        return []
    what = record_set.replace("_", " ")
    fields = [
        _field(f"{record_set}/id", "cr:Int64", "The id."),
        _field(f"{record_set}/name", "sc:Text", "The name."),
    ]
    return [
        _record_set(record_set, f"The {what}.", fields)
        | {
            "dataType": "sc:Enumeration",
            "key": {"@id": f"{record_set}/id"},
            "data": [
                {f"{record_set}/id": number, f"{record_set}/name": name}
                for name, number in ids.items()
            ],
        }
    ]


_TYPES = {
    "bool": "sc:Boolean",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "large_string": "sc:Text",
    "string": "sc:Text",
}
"""Croissant's types by Arrow's."""


def _records(manifest: Manifest, index: pa.Table) -> list[_Node]:
    """The index, whose columns tools that read Arrow find; and the features of the Examples."""
    columns = []
    for name in index.column_names:
        text = _COLUMNS.get(name) or ("A kept column." if name.startswith(META_PREFIX) else "")
        if text:
            kind = _TYPES[str(index.schema.field(name).type)]
            source = _source({"fileObject": {"@id": INDEX}}, name)
            columns.append(_field(f"records/{quote(name, safe='')}", kind, text, name) | source)
    text = f"The records, as in {INDEX}, an Arrow IPC file."
    records = _record_set("records", text, columns) | {"key": {"@id": "records/key"}}

    layout, pixels = schemas.layout_of(manifest), "cr:UInt8"
    kinds = {
        "bytes": pixels if layout.schema == "raw" else "sc:ImageObject",
        "int64": "cr:Int64",
        "text": "sc:Text",
    }
    keys = {key.name: kinds[key.kind] for key in schemas.keys(layout)}
    keys |= {schemas.meta_key(layout.schema, column): "sc:Text" for column in layout.keep_columns}
    features = [
        _field(f"examples/{quote(name, safe='')}", kind, "A feature of the Example.", name)
        | _source({"fileSet": {"@id": "shards"}}, name)
        | ({"repeated": True} if kind == pixels else {})
        for name, kind in keys.items()
    ]
    text = "The tensorflow.Examples in the shards; a column is a feature key."
    return [records, _record_set("examples", text, features)]


def _record_set(name: str, description: str, fields: list[_Node]) -> _Node:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": fields,
    }


def _field(place: str, kind: str, description: str, name: str = "") -> _Node:
    return {
        "@type": "cr:Field",
        "@id": place,
        "name": name or place.partition("/")[2],
        "description": description,
        "dataType": kind,
    }


def _source(source: _Node, column: str) -> _Node:
    return {"source": source | {"extract": {"column": column}}}
