"""The schemas: which keys a record has, and that reading a record back finds every fault."""

import ast
import re
from pathlib import Path

import pytest

from segrecord.format.example import decode, encode
from segrecord.format.manifest import Manifest, Masks, Shard, Split, shard_name
from segrecord.format.schemas import (
    SCHEMAS,
    Layout,
    Stored,
    features,
    keys,
    layout_of,
    meta_key,
    name_of,
    parse_function,
    stored_of,
)

PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff and so on"
STORED = Stored(
    key="a/b",
    filename="a/b.png",
    image=PNG,
    image_format="png",
    height=2,
    width=3,
    channels=1,
    image_sha256="00" * 32,
    mask=b"a mask",
    has_mask=True,
    label=1,
    class_name="nevus",
    meta=(("age", "50"), ("sex", "f")),
    num_classes=2,
)


def layout(schema, *, masks=True, classes=True, keep=()):
    return Layout(schema=schema, masks=masks, classes=classes, keep_columns=keep)


def manifest(schema="deeplab", **changes):
    shard = Shard(
        name=shard_name("train", 0, 1, changes.get("compression", "none")),
        records=4,
        bytes=1,
        sha256="",
        class_counts={},
        first_row=0,
    )
    split = Split(records=4, bytes=1, class_counts={}, shards=(shard,))
    masks = Masks(classes=("a", "b"), values={}, threshold=None, checked=True, missing=1)
    fields = {
        "segrecord": "0",
        "versions": {},
        "fingerprint": "",
        "schema_name": schema,
        "compression": "none",
        "seed": 0,
        "options": {"records": {}},
        "reads_as": "",
        "classes": {"nevus": 0},
        "masks": masks,
        "keep_columns": (),
        "samples": 4,
        "quarantined": 0,
        "findings": {},
        "not_checked": (),
        "splits": {"train": split},
        "files": {},
    }
    return Manifest(**(fields | changes))


def read(a_layout, found):
    return stored_of(a_layout, decode(encode(found)))


DEEPLAB = {
    "image/encoded": PNG,
    "image/filename": "a/b.png",
    "image/format": "png",
    "image/height": 2,
    "image/width": 3,
    "image/channels": 3,
    "image/segmentation/class/encoded": b"a mask",
    "image/segmentation/class/format": "png",
    "image/segmentation/present": 1,
    "image/class/label": 1,
    "image/class/text": "nevus",
    "image/source_id": "a/b",
    "image/key/sha256": "00" * 32,
}
PLAIN = {"image": PNG, "mask": b"a mask", "class": 1}
RAW = {
    "image": PNG,
    "label": b"a mask",
    "height": 2,
    "width": 3,
    "channels": 1,
    "num_classes": 2,
    "class": 1,
}
TFDS = {"image": PNG, "label": 1, "segmentation_mask": b"a mask", "file_name": "a/b.png"}
FULL = {"deeplab": DEEPLAB, "plain": PLAIN, "raw": RAW, "tfds": TFDS}
MASK_KEYS = {
    "deeplab": {k for k in DEEPLAB if k.startswith("image/segmentation")},
    "plain": {"mask"},
    "raw": {"label", "num_classes"},
    "tfds": {"segmentation_mask"},
}
CLASS_KEYS = {
    "deeplab": {"image/class/label", "image/class/text"},
    "plain": set(),
    "raw": {"class"},
    "tfds": {"label"},
}

every_schema = pytest.mark.parametrize("schema", SCHEMAS)


@every_schema
def test_a_full_record_has_exactly_the_keys_of_the_format(schema):
    assert features(layout(schema), STORED) == FULL[schema]


@every_schema
def test_without_any_mask_the_mask_keys_are_left_out(schema):
    missing = STORED._replace(mask=None, has_mask=False)
    found = features(layout(schema, masks=False), missing)
    assert found.keys() == FULL[schema].keys() - MASK_KEYS[schema]


@every_schema
def test_a_record_whose_mask_is_omitted_keeps_only_what_tells_so(schema):
    found = features(layout(schema), STORED._replace(mask=None, has_mask=False))
    told = {"image/segmentation/present": 0, "num_classes": 2}
    kept = {key: told[key] for key in MASK_KEYS[schema] if key in told}
    assert {key: found.get(key) for key in MASK_KEYS[schema] & found.keys()} == kept


@every_schema
def test_an_unlabelled_set_has_no_class_keys_but_plain_says_minus_1(schema):
    found = features(layout(schema, classes=False), STORED._replace(label=None, class_name=""))
    assert found.keys() == FULL[schema].keys() - CLASS_KEYS[schema]
    if schema == "plain":
        assert found["class"] == -1


@every_schema
def test_a_sample_without_label_in_a_labelled_set_has_label_minus_1(schema):
    found = features(layout(schema), STORED._replace(label=None, class_name=""))
    assert found[name_of(layout(schema), "label")] == -1
    assert found.get("image/class/text", "") == ""
    assert read(layout(schema), found).label is None


@every_schema
def test_kept_columns_stand_under_meta_and_an_absent_cell_is_empty_text(schema):
    a_layout = layout(schema, keep=("age", "site"))
    found = features(a_layout, STORED)
    prefix = "image/meta/" if schema == "deeplab" else "meta/"
    assert meta_key(schema, "age") == prefix + "age"
    assert (found[prefix + "age"], found[prefix + "site"]) == ("50", "")
    assert read(a_layout, found).meta == (("age", "50"), ("site", ""))


@every_schema
@pytest.mark.parametrize("mask", [b"a mask", b"", None])
@pytest.mark.parametrize("classes", [True, False])
def test_no_value_is_an_empty_list(schema, mask, classes):
    stored = STORED._replace(mask=mask, has_mask=bool(mask), class_name="", label=None)
    found = decode(encode(features(layout(schema, classes=classes), stored)))
    assert all(len(values) == 1 for values in found.values())


@every_schema
def test_a_record_reads_back(schema):
    back = read(layout(schema), features(layout(schema), STORED))
    assert (back.image, back.mask, back.label) == (PNG, b"a mask", 1)
    assert back.image_format == ("raw" if schema == "raw" else "png")
    assert back.has_mask is (True if schema == "deeplab" else None)
    sized = schema in {"deeplab", "raw"}
    assert (back.height, back.width) == ((2, 3) if sized else (None, None))
    assert back.key == ("a/b" if schema == "deeplab" else None)
    assert back.filename == ("a/b.png" if schema in {"deeplab", "tfds"} else None)
    assert back.class_name == ("nevus" if schema == "deeplab" else None)
    assert back.channels == (1 if schema == "raw" else None)
    assert back.num_classes == (2 if schema == "raw" else None)


@every_schema
@pytest.mark.parametrize("mask", [b"", None])
def test_a_missing_mask_is_told(schema, mask):
    stored = STORED._replace(mask=mask, has_mask=False)
    back = read(layout(schema), features(layout(schema), stored))
    assert (back.has_mask, back.mask) == (False, mask)


def test_a_filled_in_mask_is_told_by_deeplab():
    found = features(layout("deeplab"), STORED._replace(has_mask=False))
    back = read(layout("deeplab"), found)
    assert (back.has_mask, back.mask) == (False, b"a mask")


def test_the_format_is_sniffed_where_no_key_says_it():
    assert read(layout("plain"), PLAIN | {"image": JPEG}).image_format == "jpeg"


def test_further_keys_are_passed_over():
    assert read(layout("plain"), PLAIN | {"more": 1}) == read(layout("plain"), PLAIN)


@every_schema
def test_an_absent_key_is_named(schema):
    omittable = {key.name for key in SCHEMAS[schema] if key.when == "mask"}
    for name in FULL[schema].keys() - omittable:
        found = {key: value for key, value in FULL[schema].items() if key != name}
        with pytest.raises(ValueError, match=f"the key {name} is absent"):
            read(layout(schema), found)


@every_schema
def test_an_ill_typed_key_is_named(schema):
    for name, value in FULL[schema].items():
        other = b"1" if isinstance(value, int) else 1
        with pytest.raises(ValueError, match=f"the key {name} must hold .*, holds (int|bytes)"):
            read(layout(schema), FULL[schema] | {name: other})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image/height": [1, 2]}, "the key image/height must hold one value, holds 2"),
        ({"image/filename": b"\xff"}, "the key image/filename must hold UTF-8"),
        ({"image/channels": 1}, "the key image/channels must hold 3, holds 1"),
        ({"image/segmentation/class/format": "raw"}, "class/format must hold png, holds raw"),
        ({"image/format": "jpeg"}, "the key image/encoded holds png, its format 'jpeg'"),
        ({"image/encoded": b"GIF89a"}, "must hold a JPEG or PNG file, begins b'GIF89a'"),
        ({"image/segmentation/present": 2}, "image/segmentation/present says 2"),
        ({"image/segmentation/class/encoded": b""}, "present says 1, the mask has 0 bytes"),
    ],
)
def test_a_contradiction_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        read(layout("deeplab"), DEEPLAB | change)


def test_a_mask_without_its_format_is_named():
    found = {key: value for key, value in DEEPLAB.items() if not key.endswith("class/format")}
    with pytest.raises(ValueError, match="image/segmentation/class/format is absent"):
        read(layout("deeplab"), found)


def test_an_empty_list_is_named():
    with pytest.raises(ValueError, match="the key mask must hold one value, holds 0"):
        stored_of(layout("plain"), {"image": [PNG], "mask": [], "class": [1]})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, layout("deeplab")),
        ({"schema": "tfds", "keep_columns": ("age",)}, layout("tfds", keep=("age",))),
        ({"classes": {}}, layout("deeplab", classes=False)),
        ({"samples": 1}, layout("deeplab", masks=False)),
        (
            {"schema": "raw", "options": {"records": {"one_hot": True}}},
            Layout("raw", masks=True, classes=True, keep_columns=(), one_hot=True),
        ),
        ({"options": {}}, layout("deeplab")),
    ],
)
def test_the_layout_follows_from_the_manifest(changes, expected):
    assert layout_of(manifest(**changes)) == expected


@every_schema
@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("classes", [True, False])
def test_the_parse_function_names_the_keys_of_the_layout_and_no_other(schema, masks, classes):
    a_layout = layout(schema, masks=masks, classes=classes)
    tree = ast.parse(parse_function(a_layout, manifest(schema)))
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    named = {key.name for key in SCHEMAS[schema]} & strings
    named -= {"image", "mask", "label"}  # these are keys of the result, too
    assert named <= {key.name for key in keys(a_layout)}
    for holds in ("image", "mask", "label"):
        assert name_of(a_layout, holds) in strings | {None}


@pytest.mark.parametrize(
    ("compression", "pattern", "kind"),
    [
        ("none", "train-*.tfrecord", ""),
        ("gzip", "train-*.tfrecord.gz", "GZIP"),
        ("zlib", "train-*.tfrecord.zlib", "ZLIB"),
    ],
)
def test_the_parse_function_opens_the_shards_of_the_dataset(compression, pattern, kind):
    text = parse_function(layout("plain"), manifest("plain", compression=compression))
    assert f'def dataset(pattern="{pattern}")' in text
    assert f'compression_type="{kind}"' in text


@every_schema
def test_the_parse_function_fits_a_page(schema):
    text = parse_function(layout(schema), manifest(schema))
    assert "segrecord" not in text
    assert max(len(line) for line in text.splitlines()) <= 100


@every_schema
def test_the_format_document_lists_every_key_with_its_kind_and_when(schema):
    text = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {schema}\n(.*?)^##", text, re.DOTALL | re.MULTILINE)[1]
    listed = set()
    for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
        names, kind, when, _ = (cell.strip() for cell in row.split(" |"))
        listed |= {(name, kind, when) for name in re.findall("`(.*?)`", names)}
    meta = (meta_key(schema, "<column>"), "text", "kept columns")
    assert listed == {(key.name, key.kind, key.when) for key in SCHEMAS[schema]} | {meta}
