"""The build as a whole: every schema, policy and compression, and the account of every sample."""

import csv
import hashlib
import io
import json
import os
import socket
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import segrecord
from make import blob, encoded, files, listing, picture, put, source
from segrecord.errors import DataError, SourceError, UsageError
from segrecord.export import sidecars
from segrecord.findings import Finding, Related
from segrecord.format import example, manifest, schemas, tfrecord
from segrecord.images import png
from segrecord.split_names import SIDE_FILES

pytestmark = pytest.mark.usefixtures("inline")

COUNT, BARE = 6, 3
SCHEMAS = ("deeplab", "plain", "raw", "tfds")
POLICIES = ("empty", "ignore", "zeros", "omit")


def read(out):
    """What every record holds, by the manifest's shards: (shard name, Read, features)."""
    described = manifest.load(out)
    layout = schemas.layout_of(described)
    for split in described.splits.values():
        for shard in split.shards:
            with tfrecord.open_shard(out / shard.name, described.compression) as stream:
                for _, payload in tfrecord.read_records(stream, shard.name):
                    features = example.decode(payload)
                    yield shard.name, schemas.stored_of(layout, features), features


def index(out):
    with pa.ipc.open_file(str(out / "records.arrow")) as reader:
        return reader.read_all()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def number_of(key):
    return int(key.rsplit("/", 1)[1])


def stored_mask(found, schema, classes):
    """(H, W) ids of the record's mask."""
    if schema != "raw":
        return pixels(found.mask)
    plane = np.frombuffer(found.mask, np.uint8)
    if len(plane) > 48:
        hot = plane.reshape(8, 6, classes)
        return np.where(hot.any(axis=2), hot.argmax(axis=2), 255).astype(np.uint8)
    return plane.reshape(8, 6)


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_policy_and_compression_reads_back_to_the_same_pixels(
    tmp_path, schema, policy, compression
):
    root, out = source(tmp_path / "src", COUNT, without=(BARE,)), tmp_path / "out"
    segrecord.build(
        str(root), out, shards=2, schema=schema, missing_mask=policy, compression=compression
    )
    records = list(read(out))
    keys = index(out)["key"].to_pylist()
    assert len(records) == COUNT == len(set(keys))
    for key, (_, found, _) in zip(keys, records, strict=True):
        number = number_of(key)
        assert found.label in {None, number % 2}
        assert found.label == number % 2 or schema == "tfds"
        assert found.key in {None, key}
        assert found.filename in {None, key + ".png"}
        image = found.image if schema == "raw" else pixels(found.image).tobytes()
        assert image == picture(number).tobytes()
        if number != BARE:
            assert (stored_mask(found, schema, 2) == blob(number, high=1)).all()
        elif policy == "omit":
            assert found.mask is None
        elif policy == "empty":
            assert found.mask == b""
        else:
            filled = 255 if policy == "ignore" else 0
            assert (stored_mask(found, schema, 2) == filled).all()


def test_one_hot_masks_leave_ignored_pixels_zero(tmp_path):
    root, out = source(tmp_path / "src", 4), tmp_path / "out"
    segrecord.build(
        str(root), out, schema="raw", one_hot=True, mask_map="0=ignore,255=lesion", shards=1
    )
    for key, (_, found, features) in zip(index(out)["key"].to_pylist(), read(out), strict=True):
        assert features["num_classes"] == [1]
        hot = np.frombuffer(found.mask, np.uint8).reshape(8, 6, 1)
        assert (hot[:, :, 0] == blob(number_of(key), high=1)).all()


@pytest.mark.parametrize("schema", ["deeplab", "raw"])
def test_masks_are_united_over_the_background_whatever_its_id(tmp_path, schema):
    root, out = tmp_path / "src", tmp_path / "out"
    put(root / "x.png", png.encode(picture(0)))
    upper, lower = np.zeros((2, 8, 6), np.uint8)
    upper[1:3, 1:3], lower[5:7, 3:5] = 255, 255
    put(root / "x_mask.png", png.encode(upper))
    put(root / "x_mask_1.png", png.encode(lower))
    options = {"mask_choice": "union", "mask_map": "255=lung,0=background", "schema": schema}
    segrecord.build(str(root), out, **options)
    ((_, found, _),) = read(out)
    assert (stored_mask(found, schema, 2) == ((upper | lower) == 0)).all()
    assert segrecord.verify(out, source=str(root)).problems == ()


def test_a_missing_mask_can_be_an_error(tmp_path):
    root = source(tmp_path / "src", COUNT, without=(BARE,))
    with pytest.raises(DataError) as raised:
        segrecord.build(str(root), tmp_path / "out", missing_mask="error")
    assert [f.key for f in raised.value.findings if f.level == "error"] == ["b/images/3"]


def test_without_any_mask_the_mask_keys_are_left_out(tmp_path):
    root, out = source(tmp_path / "src", 3, masks=False), tmp_path / "out"
    built = segrecord.build(str(root), out)
    assert built.manifest.masks.classes == ()
    assert not (out / "image-segmentation-class-encoded.labels.txt").exists()
    for _, _, features in read(out):
        assert not [key for key in features if "segmentation" in key]


def test_the_index_tells_where_every_record_lies_and_what_it_holds(tmp_path):
    root, out = source(tmp_path / "src", COUNT, without=(BARE,)), tmp_path / "out"
    segrecord.build(str(root), out, shards=2, split="train=0.5,val=0.5")
    described = manifest.load(out)
    rows = index(out).to_pylist()
    for split, part in described.splits.items():
        for shard in part.shards:
            data = (out / shard.name).read_bytes()
            for row in rows[shard.first_row : shard.first_row + shard.records]:
                assert row["split"] == split
                start = row["offset"] + tfrecord.HEADER
                features = example.decode(data[start : start + row["length"]])
                assert features["image/source_id"] == [row["key"].encode()]
                stored = features["image/encoded"][0]
                assert hashlib.sha256(stored).digest() == row["sha256"]
                number = number_of(row["key"])
                assert (row["height"], row["width"], row["label"]) == (8, 6, number % 2)
                assert row["has_mask"] is (number != BARE)
                lit = int((blob(number) > 0).sum())
                wanted = None if number == BARE else [48 - lit, lit]
                assert row["mask_pixels"] == wanted
                assert row["ignore_pixels"] == (None if number == BARE else 0)


def test_the_manifest_adds_up_and_its_hashes_are_those_of_the_files(tmp_path):
    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    built = segrecord.build(str(root), out, shards=2, split="train=0.5,val=0.5")
    described = manifest.load(out)
    assert manifest.dumps(described) == manifest.dumps(built.manifest)
    first = 0
    for split in described.splits.values():
        assert split.records == sum(shard.records for shard in split.shards)
        assert split.bytes == sum(shard.bytes for shard in split.shards)
        for shard in split.shards:
            data = (out / shard.name).read_bytes()
            assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            assert (shard.first_row, sum(shard.class_counts.values())) == (first, shard.records)
            first += shard.records
    assert first == described.samples == COUNT
    shards = {s.name for split in described.splits.values() for s in split.shards}
    assert {path.name for path in out.iterdir()} == shards | set(described.files) | {"dataset.json"}


def test_side_files_hold_what_they_should_and_are_not_named_like_splits(tmp_path):
    root, out = source(tmp_path / "src", COUNT, without=(BARE,)), tmp_path / "out"
    segrecord.build(str(root), out, mask_map="0=background,255=lesion")
    assert (out / "image-class-label.labels.txt").read_text() == "a\nb\n"
    names = (out / "image-segmentation-class-encoded.labels.txt").read_text()
    assert names == "background\nlesion\n"
    assert json.loads((out / "class_mapping.json").read_text()) == {"a": 0, "b": 1}
    readme = (out / "README.md").read_text()
    for text in ("schema `deeplab`", "| 0 | a |", "| 1 | lesion |", "1 of 6 samples have no mask"):
        assert text in readme
    assert "def parse(record)" in readme
    names = [path.name for path in out.iterdir() if ".tfrecord" not in path.name]
    assert all(name.lower().startswith(SIDE_FILES) for name in names)


def test_the_facts_go_into_the_dataset_without_what_only_the_scan_needs(tmp_path):
    from segrecord.tables import FACTS

    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    segrecord.build(str(root), out)
    with pa.ipc.open_file(str(out / "facts.arrow")) as reader:
        table = reader.read_all()
    assert table.schema.equals(FACTS)
    assert len(table) == COUNT
    sha256 = hashlib.sha256((root / "a/images/0.png").read_bytes()).digest()
    assert table["image_sha256"][0].as_py() == sha256


def test_the_read_me_of_a_dataset_reads_it(tmp_path):
    """Its code is run by the contract tests; here it must at least compile."""
    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    segrecord.build(str(root), out, schema="plain")
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    compile(code, "README.md", "exec")


# No trace of place, time or machine.


@pytest.mark.parametrize("how", ["folder", "relative", "listing", "absolute"])
def test_no_output_file_tells_where_when_or_on_what_machine_it_was_made(tmp_path, how, monkeypatch):
    root = source(tmp_path / "secret-place", COUNT, without=(BARE,))
    put(root / "a/images/8.png", encoded(picture(8), mode="P"))  # an info finding with its path
    put(root / "a/images/10.png", b"broken")  # a quarantined one
    monkeypatch.chdir(tmp_path)
    given = {"folder": root, "relative": "secret-place"}.get(how)
    options = {}
    if given is None:
        names = [path for path in sorted(root.rglob("*.png")) if "images" in str(path)]
        where = names if how == "absolute" else [path.relative_to(root) for path in names]
        given = listing(tmp_path / "lists" / "rows.csv", map(str, where), "image")
        options = {"root": str(root)} if how == "listing" else {}
    segrecord.build(given, tmp_path / "out", on_error="quarantine", **options)
    for name, data in files(tmp_path / "out").items():
        assert b"secret-place" not in data, name
        assert str(tmp_path).encode() not in data, name
        assert socket.gethostname().encode() not in data, name
    assert b"10.png" in (tmp_path / "out" / "quarantine.csv").read_bytes()


def test_findings_are_told_below_the_source_and_else_as_they_are():
    found = Finding(
        "x",
        "k",
        "a/data/my a/1.png",
        values={"message": "is 'a/m.png', not data/a/m.png", "fix": "a/b"},
        level="error",
    )
    (told,) = sidecars.relative([found], ["/home/a/", "a/"])
    assert told.path == "data/my a/1.png"
    assert told.message == "is 'm.png', not data/a/m.png"
    assert told.fix == "b"
    (told,) = sidecars.relative([replace(found, path="/home/a/1.png")], ["/home/a/", "a/"])
    assert told.path == "1.png"
    assert sidecars.relative([found], []) == (found,)


def test_paths_of_related_files_and_in_values_are_relative_too():
    values = {"path": "a/x.png", "paths": ["a/y.png", "b/a/y.png"], "count": 1}
    found = Finding("duplicate", "k", "a/1.csv row 3", (Related("l", "/home/a/2.png"),), values)
    (relative,) = sidecars.relative([found], ["/home/a/", "a/"])
    assert relative.path == "1.csv row 3"
    assert relative.related == (Related("l", "2.png"),)
    assert relative.values == {"path": "x.png", "paths": ["y.png", "b/a/y.png"], "count": 1}


def test_the_same_source_elsewhere_gives_the_same_bytes(tmp_path):
    for place in ("here", "there/and/deeper"):
        root = source(tmp_path / place, COUNT, without=(BARE,))
        put(root / "a/images/8.png", encoded(picture(8), mode="P"))
        segrecord.build(str(root), tmp_path / "out" / place)
    here = files(tmp_path / "out" / "here")
    assert here == files(tmp_path / "out" / "there/and/deeper")


def test_facts_given_or_left_from_a_replaced_dataset_change_no_byte(tmp_path):
    root = source(tmp_path / "src", COUNT)
    segrecord.scan(str(root), facts_file=tmp_path / "facts.arrow")
    segrecord.build(str(root), tmp_path / "plain", checks="basic")
    options = {"checks": "basic", "facts": str(tmp_path / "facts.arrow")}
    segrecord.build(str(root), tmp_path / "given", **options)
    segrecord.build(str(root), tmp_path / "replaced", checks="full")
    segrecord.build(str(root), tmp_path / "replaced", checks="basic", overwrite=True)
    wanted = files(tmp_path / "plain")
    assert files(tmp_path / "given") == wanted
    assert files(tmp_path / "replaced") == wanted


@pytest.mark.parametrize("content", [None, b"", b"no arrow file"])
def test_facts_that_cannot_be_used_are_refused_and_not_passed_over(tmp_path, content):
    root = source(tmp_path / "src", 3)
    path = tmp_path / "facts.arrow"
    if content is not None:
        put(path, content)
    with pytest.raises(UsageError, match=r"facts\.arrow"):
        segrecord.build(str(root), tmp_path / "out", facts=str(path))


# Options of the source.


def test_kept_columns_stand_in_records_and_index(tmp_path):
    root = source(tmp_path / "src", 2)
    rows = ["a/images/0.png,a,51,", "b/images/1.png,b,,left"]
    path = listing(root / "rows.csv", rows, "image,class,age,view")
    out = tmp_path / "out"
    segrecord.build(str(path), out, keep_columns="age,view", shards=1)
    table = {row["key"]: row for row in index(out).to_pylist()}
    assert [table[key]["meta/age"] for key in sorted(table)] == ["51", None]
    for _, found, features in read(out):
        wanted = {"a/images/0": ("51", ""), "b/images/1": ("", "left")}[found.key]
        assert tuple(text for _, text in found.meta) == wanted
        assert features["image/meta/age"] == [wanted[0].encode()]


def test_a_partly_labelled_set_is_kept_where_that_was_said(tmp_path):
    root = source(tmp_path / "src", 2)
    path = listing(root / "rows.csv", ["a/images/0.png,a", "b/images/1.png,"], "image,class")
    with pytest.raises(DataError, match="1 error"):
        segrecord.build(str(path), tmp_path / "stopped")
    out = tmp_path / "out"
    segrecord.build(str(path), out, unlabelled="keep", shards=1)
    labels = {found.key: found.label for _, found, _ in read(out)}
    assert labels == {"a/images/0": 0, "b/images/1": None}
    assert sorted(index(out)["label"].to_pylist(), key=str) == [0, None]


def test_a_mapping_with_gaps_gives_its_own_ids(tmp_path):
    root, out = source(tmp_path / "src", 4), tmp_path / "out"
    mapping = put(tmp_path / "m.json", b'{"b": 3, "a": 7, "never": 9}')
    built = segrecord.build(str(root), out, classes=str(mapping))
    assert list(built.manifest.classes.items()) == [("b", 3), ("a", 7), ("never", 9)]
    assert built.manifest.splits["train"].class_counts == {"b": 2, "a": 2, "never": 0}
    assert {found.label for _, found, _ in read(out)} == {3, 7}


def test_a_source_that_cannot_be_understood_leaves_no_output(tmp_path):
    with pytest.raises(SourceError):
        segrecord.build(str(tmp_path / "nothing"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Quarantine.


def quarantined(out):
    with (out / "quarantine.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_bad_samples_are_left_out_listed_and_counted(tmp_path):
    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    put(root / "a/images/0.png", b"broken")
    put(root / "b/masks/1.png", png.encode(blob(1))[:-20])
    put(root / "a/masks/2.png", png.encode(blob(2, 9, 9)))
    built = segrecord.build(str(root), out, on_error="quarantine")
    rows = quarantined(out)
    assert [row["key"] for row in rows] == ["a/images/0", "b/images/1", "a/images/2"]
    assert all(row["code"] and row["message"] and row["fix"] for row in rows)
    assert (built.manifest.samples, built.manifest.quarantined) == (3, 3)
    assert len(list(read(out))) + built.manifest.quarantined == COUNT
    assert "3 samples were left out: see quarantine.csv" in (out / "README.md").read_text()


def test_the_values_are_judged_again_once_bad_masks_have_left(tmp_path):
    """Masks are 0/255, but one of another size holds ids: without it 255 is no ignore."""
    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    put(root / "a/masks/0.png", png.encode(blob(0, 9, 9, high=3)))
    built = segrecord.build(str(root), out, on_error="quarantine")
    assert built.manifest.masks.values == {0: 0, 255: 1}
    assert built.manifest.masks.classes == ("background", "foreground")
    for key, (_, found, _) in zip(index(out)["key"].to_pylist(), read(out), strict=True):
        assert (pixels(found.mask) == blob(number_of(key), high=1)).all()


def test_what_is_said_of_the_values_that_are_left_is_told(tmp_path):
    """Only once the mask with 200 has left is 255 read as ignore, which is a warning."""
    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    for number in range(3):
        put(root / "ab"[number % 2] / f"masks/{number}.png", png.encode(blob(number, high=2)))
    put(root / "b/masks/3.png", png.encode(blob(3, high=200)))
    built = segrecord.build(str(root), out, on_error="quarantine")
    assert [row["key"] for row in quarantined(out)] == ["b/images/3"]
    assert built.manifest.masks.values == {0: 0, 2: 2, 255: 255}
    warned = [found.key for found in built.findings if found.code == "mask-ignore-only"]
    assert warned == ["a/images/4", "b/images/5"]
    about_values = {"mask-ignore-only": 2, "mask-values": 1}
    assert about_values.items() <= built.manifest.findings.items()


def test_where_every_sample_is_bad_nothing_is_written(tmp_path):
    root = source(tmp_path / "src", 2)
    for number, name in enumerate("ab"):
        put(root / name / "images" / f"{number}.png", b"broken")
    with pytest.raises(DataError, match="every sample has an error, nothing is left to write"):
        segrecord.build(str(root), tmp_path / "out", on_error="quarantine")
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_errors_stop_the_build_before_a_shard_and_findings_csv_lists_all(tmp_path):
    root, out = source(tmp_path / "src", COUNT), tmp_path / "out"
    for number in range(COUNT):
        put(root / "ab"[number % 2] / "images" / f"{number}.png", b"broken")
    with pytest.raises(DataError, match="6 errors in the data: no shard was written") as raised:
        segrecord.build(str(root), out)
    with (out / "findings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(raised.value.findings)
    errors = [row for row in rows if row["level"] == "error"]
    assert len(errors) == COUNT
    assert all(row["fix"] for row in errors)
    assert not list(out.rglob("*.tfrecord"))


def test_every_sample_of_a_messy_source_is_accounted_for(tmp_path):
    root = source(tmp_path / "src", COUNT)
    put(root / "b/images/1.png", b"")
    put(root / "a/images/2.png", encoded(picture(2), "JPEG")[:-9])
    rows = [f"{'ab'[n % 2]}/images/{n}.png,{'ab'[n % 2]}/masks/{n}.png,x" for n in range(COUNT)]
    rows += ["a/images/none.png,,x", rows[0]]
    path = listing(root / "rows.csv", rows)
    out = tmp_path / "out"
    built = segrecord.build(str(path), out, on_error="quarantine")
    lost = {finding.key for finding in built.findings if finding.level == "error"} - {""}
    written = set(index(out)["key"].to_pylist())
    assert not lost & written
    assert built.manifest.quarantined == len({row["key"] for row in quarantined(out)}) == len(lost)
    assert built.manifest.samples == len(written) == len(list(read(out)))
    assert len(written | lost) == COUNT + 1


# How closely.


def test_under_checks_none_bytes_are_copied_and_that_is_said(tmp_path):
    root, out = source(tmp_path / "src", COUNT, without=(BARE,), high=1), tmp_path / "out"
    built = segrecord.build(str(root), out, checks="none")
    assert built.manifest.masks.checked is False
    assert any("masks were copied unread" in what for what in built.manifest.not_checked)
    assert "Not checked: mask values" in (out / "README.md").read_text()
    for _, found, _ in read(out):
        name, _, number = found.key.split("/")
        assert found.image == (root / name / "images" / f"{number}.png").read_bytes()
        if int(number) != BARE:
            assert found.mask == (root / name / "masks" / f"{number}.png").read_bytes()
    assert index(out)["mask_pixels"].null_count == COUNT


def test_under_checks_none_what_would_need_decoding_is_refused_by_name(tmp_path):
    root = source(tmp_path / "src", 3, high=1)
    put(root / "a/images/0.png", encoded(picture(0), mode="P"))
    put(root / "b/masks/1.png", encoded(blob(1), mode="RGB"))
    put(root / "a/masks/2.png", png.encode(blob(2, 9, 9)))
    with pytest.raises(DataError) as raised:
        segrecord.build(str(root), tmp_path / "out", checks="none")
    errors = [f for f in raised.value.findings if f.level == "error"]
    assert {(f.code, os.path.relpath(f.path, root)) for f in errors} == {
        ("header-not-enough", "a/images/0.png"),
        ("header-not-enough", "b/masks/1.png"),
        ("aspect-mismatch", "a/masks/2.png"),
    }


@pytest.mark.parametrize(("checks", "decoded"), [("full", True), ("basic", False)])
def test_only_full_checks_know_the_pixels_and_the_others_say_so(tmp_path, checks, decoded):
    root, out = source(tmp_path / "src", 3), tmp_path / "out"
    built = segrecord.build(str(root), out, checks=checks)
    with pa.ipc.open_file(str(out / "facts.arrow")) as reader:
        table = reader.read_all()
    assert (table["mean"].null_count == 0) is decoded
    assert (not built.manifest.not_checked) is decoded
    assert table["masks"][0].as_py()[0]["values"] == [0, 255]
    if decoded:
        assert table["pixels_sha256"][0].as_py() == hashlib.sha256(picture(0).tobytes()).digest()
        mean = picture(0).reshape(-1, 3).mean(axis=0)
        assert np.allclose(table["mean"][0].as_py(), mean)
        assert np.allclose(table["std"][0].as_py(), picture(0).reshape(-1, 3).std(axis=0))


def test_a_record_too_large_for_protobuf_is_named_and_not_a_traceback(tmp_path, monkeypatch):
    from segrecord.write import shard_writer as shard

    monkeypatch.setattr(shard, "MAX_STORED", 150)
    root = source(tmp_path / "src", 2)
    with pytest.raises(DataError) as raised:
        segrecord.build(str(root), tmp_path / "out", schema="raw")
    assert {finding.code for finding in raised.value.findings} == {"record-too-large"}
    assert {finding.key for finding in raised.value.findings} == {"a/images/0", "b/images/1"}
