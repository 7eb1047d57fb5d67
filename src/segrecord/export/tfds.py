"""The files by which TFDS reads a dataset as it is: `tfds.builder_from_directory(folder)`.

`features.json` describes the records, `dataset_info.json` the splits, and `*.labels.txt` name the
classes. Their form is that of TensorFlow Datasets 4.9 (its feature.proto and dataset_info.proto as
JSON); unknown fields are an error there, so nothing of ours stands in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.format import schemas
from segrecord.format.manifest import Manifest

FEATURES_FILE = "features.json"
INFO_FILE = "dataset_info.json"

_MODULES = {
    "ClassLabel": "class_label_feature",
    "FeaturesDict": "features_dict",
    "Image": "image_feature",
    "LabeledImage": "labeled_image",
    "Scalar": "scalar",
    "Tensor": "tensor_feature",
    "Text": "text_feature",
}

_NODE = dict[str, Any]
_SIZE = tuple[int, int]
"""Height and width in pixels."""

_ANY = "-1"
"""As a dimension."""


def labels_file(key: str) -> str:
    """The file with the names of the values of a feature, as TFDS looks for it."""
    return key.replace("/", "-") + ".labels.txt"


def labels(names: Sequence[str]) -> bytes:
    """The content of that file: the name of id n on line n.

    TFDS trims the lines, passes over blank ones and numbers what is left, without an error. So
    there is no content (b"") where it would not find these names again.
    """
    if any(name != name.strip() or len(name.splitlines()) != 1 for name in names):
        return b""
    return "".join(f"{name}\n" for name in names).encode()


def why_not(manifest: Manifest) -> str:
    """Why TFDS cannot read this dataset; "" where it can."""
    if manifest.compression != "none":
        return "TFDS cannot read compressed shards"
    if "all" in manifest.splits:
        return "TFDS takes the split name 'all' for all splits together"
    return ""


def files(manifest: Manifest, index: pa.Table) -> dict[str, bytes]:
    """The two files by name; none where TFDS cannot read the dataset.

    Args:
        manifest: of the dataset.
        index: its records (schema tables.RECORDS).
    """
    if why_not(manifest):
        return {}
    # The name is the same for all datasets: one after the folder would make the bytes hang on it.
    info = {
        "name": "segrecord",
        "version": "1.0.0",
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": name,
                "numBytes": str(split.bytes),
                "shardLengths": [str(shard.records) for shard in split.shards],
                "filepathTemplate": "{SPLIT}-{SHARD_X_OF_Y}.tfrecord",
            }
            for name, split in manifest.splits.items()
        ],
    }
    layout, size = schemas.layout_of(manifest), common_size(index)
    described = ((key.name, _feature(key, manifest, size)) for key in schemas.keys(layout))
    nodes = {name: node for name, node in described if node}
    for column in layout.keep_columns:
        if "/" not in column:  # else a column could be a level and a feature at once
            nodes[schemas.meta_key(layout.schema, column)] = _node("Text", {"text": {}})
    # A tree: a key's parts between slashes are its levels.
    tree: _NODE = {}
    for name, node in nodes.items():
        *levels, last = name.split("/")
        below = tree
        for level in levels:
            below = below.setdefault(level, {})
        below[last] = node
    contents = {FEATURES_FILE: _dict(tree), INFO_FILE: info}
    return {
        name: json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        for name, content in contents.items()
    }


def common_size(index: pa.Table) -> tuple[int, int] | None:
    """Height and width of all images in pixels; None: they have several."""
    height, width = (pc.min_max(index[name]).as_py() for name in ("height", "width"))
    if height["min"] != height["max"] or width["min"] != width["max"]:
        return None
    return height["min"], width["min"]


def _dict(tree: _NODE) -> _NODE:
    inner = {
        name: node if "pythonClassName" in node else _dict(node) for name, node in tree.items()
    }
    return _node("FeaturesDict", {"featuresDict": {"features": inner}})


def _feature(key: schemas.Key, manifest: Manifest, size: _SIZE | None) -> _NODE:
    """The node of a key; {} where TFDS had better not see it."""
    if key.holds == "image":
        raw = manifest.schema_name == "raw"
        return _undecoded(size, _ANY) if raw else _node("Image", {"image": _pixels("3")})
    if key.holds == "label" and manifest.classes:
        count = max(manifest.classes.values()) + 1  # the user's mapping may leave ids out
        return _node("ClassLabel", {"classLabel": {"numClasses": str(count)}})
    if key.when == "mask":
        return _mask(key, manifest, size)
    if key.kind == "int64":
        scalar = {"dtype": "int64", "encoding": "none", "shape": {}}
        return _node("Scalar", {"tensor": scalar})
    return _node("Text", {"text": {}})


def _mask(key: schemas.Key, manifest: Manifest, size: _SIZE | None) -> _NODE:
    """Of a key that some records may lack (omit), or hold empty bytes in (empty)."""
    policy = manifest.build_options().records.missing_mask
    if manifest.masks.missing and policy == "omit":
        return {}
    empty = bool(manifest.masks.missing) and policy == "empty"
    if manifest.schema_name == "raw":
        one_hot = schemas.layout_of(manifest).one_hot
        return _undecoded(None if empty else size, *[_ANY] * one_hot)
    if key.kind == "text" or empty:
        return _node("Text", {"text": {}})
    if schemas.layout_of(manifest).black_white:  # 255 is no class id
        return _node("Image", {"image": _pixels("1")})
    label = {"numClasses": str(len(manifest.masks.classes) or 256)}
    return _node("LabeledImage", {"image": _pixels("1") | {"label": label}})


def _pixels(channels: str) -> _NODE:
    return {"dtype": "uint8", "shape": {"dimensions": [_ANY, _ANY, channels]}}


def _undecoded(size: _SIZE | None, *last: str) -> _NODE:
    """Pixels as schema raw stores them; flat without a size, as TFDS infers one dimension only."""
    shape = {"dimensions": [*map(str, size), *last] if size else [_ANY]}
    return _node("Tensor", {"tensor": {"dtype": "uint8", "encoding": "bytes", "shape": shape}})


def _node(name: str, payload: _NODE) -> _NODE:
    module = f"tensorflow_datasets.core.features.{_MODULES[name]}"
    return {"pythonClassName": f"{module}.{name}"} | payload
