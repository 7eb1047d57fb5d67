"""croissant.json: what it lists and describes, and that nothing in it hangs on time or place."""

import datetime as dt
import hashlib
import json
from urllib.parse import quote

import pytest

import datasets
import segrecord
from make import source
from segrecord.export.card import Card
from segrecord.export.croissant import CROISSANT_FILE, croissant
from segrecord.format import manifest as manifests

FULL = Card(
    name="Lesions",
    description="Pictures of skin.",
    licence="CC-BY-4.0",
    source="https://example.org/data",
    citation="@misc{x}",
    authors=("A. B.", "C. D."),
    version="1.0.0",
    published=dt.date(2026, 1, 31),
    homepage="https://example.org/",
    tags=("skin",),
)


def described(folder, fields=None, *, change=None, **options):
    """The file's content, of a dataset made without the writer."""
    shards = options.pop("shards", None)
    out = datasets.make(folder, shards, **options)
    manifest = manifests.load(out)
    manifest = manifest.model_copy(update=change(manifest) if change else {})
    return json.loads(croissant(manifest, datasets.read_index(out), fields or Card()))


def by_id(nodes):
    found = {node["@id"]: node for node in nodes}
    assert len(found) == len(nodes)
    return found


def test_every_file_but_the_manifest_and_what_people_edit_stands_with_its_hash(tmp_path, inline):
    out = tmp_path / "out"
    built = segrecord.build(str(source(tmp_path / "src", 6)), out, shards=2)
    content = croissant(built.manifest, segrecord.open(out).all_records.shards.index, Card())
    nodes = by_id(json.loads(content)["distribution"])
    listed = {name: node for name, node in nodes.items() if node["@type"] == "cr:FileObject"}
    for name, node in listed.items():
        data = (out / name).read_bytes()
        assert node["sha256"] == hashlib.sha256(data).hexdigest()
        assert node["contentUrl"] == name
        assert node.get("contentSize", f"{len(data)} B") == f"{len(data)} B"
    edited = {name for name, sha256 in built.manifest.files.items() if not sha256}
    assert "README.md" in edited
    there = {path.name for path in out.iterdir()}
    assert set(listed) == there - edited - {"dataset.json", CROISSANT_FILE}


def test_it_does_not_list_itself(tmp_path):
    def change(manifest):
        return {"files": manifest.files | {CROISSANT_FILE: "00", "records.arrow": "01"}}

    listed = by_id(described(tmp_path, change=change)["distribution"])
    assert CROISSANT_FILE not in listed
    assert "records.arrow" in listed


@pytest.mark.parametrize(
    ("compression", "ending", "formats"),
    [
        ("none", "tfrecord", 1),
        ("gzip", "tfrecord.gz", ["application/gzip"]),
        ("zlib", "tfrecord.zlib", ["application/zlib"]),
    ],
)
def test_the_shards_of_each_split_are_a_set(tmp_path, compression, ending, formats):
    nodes = by_id(described(tmp_path, compression=compression)["distribution"])
    assert nodes["train-shards"]["includes"] == [f"train-*.{ending}"]
    assert nodes["val-shards"]["includes"] == [f"val-*.{ending}"]
    assert nodes["shards"]["includes"] == [f"train-*.{ending}", f"val-*.{ending}"]
    told = nodes["shards"]["encodingFormat"]
    assert told == nodes[f"val-00000-of-00001.{ending}"]["encodingFormat"]
    assert told[1:] == (formats if isinstance(formats, list) else [])


def test_splits_are_told_in_the_words_of_the_specification(tmp_path):
    found = described(tmp_path, shards={"train": (2,), "val": (1,), "test": (1,), "site": (3,)})
    rows = by_id(found["recordSet"])["splits"]["data"]
    assert [row["splits/name"] for row in rows] == ["train", "val", "test", "site"]
    assert [row["splits/records"] for row in rows] == [2, 1, 1, 3]
    word = "https://mlcommons.org/definitions/{}_split"
    urls = [row["splits/url"] for row in rows]
    assert urls == [*map(word.format, ("training", "validation", "test")), ""]


@pytest.mark.parametrize(("masks", "labelled"), [(True, True), (False, True), (False, False)])
def test_classes_are_described_where_there_are_some(tmp_path, masks, labelled):
    sets = by_id(described(tmp_path, masks=masks, labelled=labelled)["recordSet"])
    assert ("classes" in sets) is labelled
    assert ("mask_classes" in sets) is masks
    if labelled:
        assert [row["classes/name"] for row in sets["classes"]["data"]] == ["cat", "dog"]
    if masks:
        assert [row["mask_classes/id"] for row in sets["mask_classes"]["data"]] == [0, 1, 2]


def test_the_index_is_described_by_its_columns(tmp_path):
    index = datasets.read_index(datasets.make(tmp_path / "index"))
    records = by_id(described(tmp_path / "other")["recordSet"])["records"]
    columns = [field["source"]["extract"]["column"] for field in records["field"]]
    # Lists and hashes have no type in Croissant.
    assert set(index.column_names) - set(columns) == {"mask_pixels", "ignore_pixels", "sha256"}
    assert {field["source"]["fileObject"]["@id"] for field in records["field"]} == {"records.arrow"}
    types = {field["name"]: field["dataType"] for field in records["field"]}
    assert (types["key"], types["label"], types["has_mask"]) == (
        *("sc:Text", "cr:Int64", "sc:Boolean"),
    )
    assert types["meta/age"] == "sc:Text"


@pytest.mark.parametrize(
    ("schema", "image", "kind"),
    [
        ("deeplab", "image/encoded", "sc:ImageObject"),
        ("plain", "image", "sc:ImageObject"),
        ("raw", "image", "cr:UInt8"),
        ("tfds", "image", "sc:ImageObject"),
    ],
)
def test_records_are_described_by_their_feature_keys(tmp_path, schema, image, kind):
    sets = by_id(described(tmp_path, schema=schema)["recordSet"])
    fields = {field["name"]: field for field in sets["examples"]["field"]}
    assert fields[image]["dataType"] == kind
    assert fields[image].get("repeated", False) is (schema == "raw")
    assert fields[image]["source"]["extract"]["column"] == image
    assert any(name.endswith("meta/age") for name in fields)


def test_columns_of_any_name_have_places_of_their_own(tmp_path):
    names = ("a b", "a/b", "ä#?", '"', "%20")

    def change(manifest):
        return {"keep_columns": names}

    fields = by_id(by_id(described(tmp_path, change=change)["recordSet"])["examples"]["field"])
    for name in names:
        place = "examples/" + quote(f"image/meta/{name}", safe="")
        assert fields[place]["source"]["extract"]["column"] == f"image/meta/{name}"
        assert place.isascii()


def test_what_the_user_said_is_told_and_nothing_else(tmp_path):
    found = described(tmp_path / "full", FULL)
    told = {
        "name": "Lesions",
        "description": "Pictures of skin.",
        "license": "https://spdx.org/licenses/CC-BY-4.0.html",
        "url": "https://example.org/",
        "isBasedOn": "https://example.org/data",
        "citeAs": "@misc{x}",
        "creator": [
            {"@type": "sc:Person", "name": "A. B."},
            {"@type": "sc:Person", "name": "C. D."},
        ],
        "version": "1.0.0",
        "datePublished": "2026-01-31",
        "keywords": ["skin"],
    }
    assert {key: found[key] for key in told} == told
    bare = described(tmp_path / "bare")
    assert not set(bare) & (set(told) - {"name", "description"})
    assert bare["name"] == "Dataset"
    assert bare["description"].startswith("9 images, 7 of them with a segmentation mask")


def test_a_licence_that_is_no_spdx_identifier_is_told_as_it_is(tmp_path):
    assert described(tmp_path, Card(licence="ask me"))["license"] == "ask me"


def test_equal_input_gives_equal_bytes_wherever_it_lies(tmp_path):
    contents = set()
    for name in ("one", "two"):
        out = datasets.make(tmp_path / name)
        contents.add(croissant(manifests.load(out), datasets.read_index(out), FULL))
    (content,) = contents
    assert str(tmp_path).encode() not in content
    assert content.endswith(b"}\n")
