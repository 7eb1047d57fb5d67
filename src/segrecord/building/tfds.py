"""The files by which TFDS reads a dataset as it is: `tfds.builder_from_directory(folder)`.

`features.json` describes the records, `dataset_info.json` the splits, and `*.labels.txt` name the
classes. Their form is that of TensorFlow Datasets 4.9 (its feature.proto and dataset_info.proto as
JSON); unknown fields are an error there, so nothing of ours stands in them.
"""

from __future__ import annotations

import json
from typing import Any

from segrecord.records import schemas
from segrecord.records.manifest import Manifest

FEATURES_FILE = "features.json"
INFO_FILE = "dataset_info.json"

_MODULES = {
    "ClassLabel": "class_label_feature",
    "FeaturesDict": "features_dict",
    "Image": "image_feature",
    "LabeledImage": "labeled_image",
    "Scalar": "scalar",
    "Text": "text_feature",
}

_NODE = dict[str, Any]


def labels_file(key: str) -> str:
    """The file with the names of the values of a feature, as TFDS looks for it."""
    return key.replace("/", "-") + ".labels.txt"


def why_not(manifest: Manifest) -> str:
    """Why TFDS cannot read this dataset; "" where it can."""
    if manifest.compression != "none":
        return "TFDS cannot read compressed shards"
    if manifest.schema_name == "raw":
        return "TFDS has no feature for undecoded pixels of any size (schema raw)"
    return ""


def files(manifest: Manifest) -> dict[str, bytes]:
    """The two files by name; none where TFDS cannot read the dataset."""
    if why_not(manifest):
        return {}
    return {FEATURES_FILE: _json(_features(manifest)), INFO_FILE: _json(_info(manifest))}


def _json(found: _NODE) -> bytes:
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _info(manifest: Manifest) -> _NODE:
    # The name is the same for all datasets: one after the folder would make the bytes hang on it.
    return {
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


def _features(manifest: Manifest) -> _NODE:
    """The tree of features: a key's parts between slashes are its levels."""
    layout = schemas.layout_of(manifest)
    top: _NODE = {}
    for key in schemas.keys(layout):
        found = _feature(key, manifest)
        if found:
            _put(top, key.name, found)
    for column in layout.keep_columns:
        if "/" not in column:  # else a column could be a level and a feature at once
            _put(top, schemas.meta_key(layout.schema, column), _node("Text", {"text": {}}))
    return _dict(top)


def _put(tree: _NODE, name: str, found: _NODE) -> None:
    *levels, last = name.split("/")
    for level in levels:
        tree = tree.setdefault(level, {})
    tree[last] = found


def _dict(tree: _NODE) -> _NODE:
    inner = {
        name: found if "pythonClassName" in found else _dict(found) for name, found in tree.items()
    }
    return _node("FeaturesDict", {"featuresDict": {"features": inner}})


def _feature(key: schemas.Key, manifest: Manifest) -> _NODE:
    """The node of a key; {} where TFDS had better not see it."""
    if key.holds == "image":
        return _node("Image", {"image": _pixels("3")})
    if key.holds == "label" and manifest.classes:
        return _node("ClassLabel", {"classLabel": {"numClasses": str(len(manifest.classes))}})
    if key.when == "mask":
        return _mask(key, manifest)
    if key.kind == "int64":
        scalar = {"dtype": "int64", "encoding": "none", "shape": {}}
        return _node("Scalar", {"tensor": scalar})
    return _node("Text", {"text": {}})


def _mask(key: schemas.Key, manifest: Manifest) -> _NODE:
    """Of a key that some records may lack (omit), or hold empty bytes in (empty)."""
    policy = manifest.options.get("records", {}).get("missing_mask") or "ignore"
    if manifest.masks.missing and policy == "omit":
        return {}
    if key.kind == "text" or (manifest.masks.missing and policy == "empty"):
        return _node("Text", {"text": {}})
    label = {"numClasses": str(len(manifest.masks.classes) or 256)}
    return _node("LabeledImage", {"image": _pixels("1") | {"label": label}})


def _pixels(channels: str) -> _NODE:
    return {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", channels]}}


def _node(name: str, payload: _NODE) -> _NODE:
    module = f"tensorflow_datasets.core.features.{_MODULES[name]}"
    return {"pythonClassName": f"{module}.{name}"} | payload
