"""TFDS reads a dataset as it is: every schema that it can, with equal images, masks and labels."""

import json
import re
import shutil
import warnings

import numpy as np
import pytest

import segrecord
from make import blob, encoded, files, listing, picture, put
from segrecord.options import IGNORE

tf = pytest.importorskip("tensorflow")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tfds = pytest.importorskip("tensorflow_datasets")

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.usefixtures("inline"),
    pytest.mark.filterwarnings("ignore"),  # TFDS' own, of many kinds
]

COUNT = 9
BARE = 4
KEYS = {
    "deeplab": ("image/encoded", "image/segmentation/class/encoded", "image/class/label"),
    "plain": ("image", "mask", "class"),
    "tfds": ("image", "segmentation_mask", "label"),
}


def image(number):
    """(H, W, 3), or grey (H, W) for every third."""
    return picture(number, 8 + number, 6, 1 if number % 3 == 2 else 3)


def mask(number):
    return blob(number, 8 + number, 6, high=1 + number % 2)


def source(folder, *, bare=True, masks=True, classes=True, unlabelled=(), form="PNG"):
    rows = []
    for number in range(COUNT):
        put(folder / f"{number}.{form.lower()}", encoded(image(number), form))
        has_mask = masks and not (bare and number == BARE)
        if has_mask:
            put(folder / f"m{number}.png", encoded(mask(number)))
        name = ("cat", "dög")[number % 2] if classes and number not in unlabelled else ""
        rows.append(f"{number}.{form.lower()},{f'm{number}.png' * has_mask},{name},{20 + number}")
    return listing(folder / "index.csv", rows, "image,mask,class,age")


def build(folder, schema="deeplab", **options):
    kept = {
        name: options.pop(name)
        for name in ("bare", "masks", "classes", "unlabelled", "form")
        if name in options
    }
    given = kept.pop("unlabelled", ())
    made = source(folder / "src", unlabelled=given, **kept)
    if given:
        options["unlabelled"] = "keep"
    out = segrecord.build(made, folder / "out", schema=schema, shards=2, **options).path
    assert segrecord.verify(out).problems == ()
    return out


def read(out, split="train"):
    """Each sample as TFDS gives it, flat: key to value; in the order of the shards."""
    data = tfds.builder_from_directory(out).as_dataset(split=split, shuffle_files=False)
    found = []
    for one in tfds.as_numpy(data):
        flat = {}
        _flatten("", one, flat)
        found.append(flat)
    return found


def _flatten(prefix, tree, flat):
    for name, value in tree.items():
        if isinstance(value, dict):
            _flatten(f"{prefix}{name}/", value, flat)
        else:
            flat[prefix + name] = value


def assert_equal(out, schema, *, split="train", masks=True, classes=True, filling=IGNORE):
    """Every sample of the split is what was written."""
    image_key, mask_key, label_key = KEYS[schema]
    records = segrecord.open(out, split).records
    found = read(out, split)
    assert len(found) == len(records) > 0
    for one, key in zip(found, records["key"].to_pylist(), strict=True):
        number = int(key)
        drawn = image(number)
        expected = drawn if drawn.ndim == 3 else np.stack([drawn] * 3, 2)
        assert np.array_equal(one[image_key], expected)
        if masks:
            ids = mask(number) if number != BARE else np.full(drawn.shape[:2], filling, np.uint8)
            assert np.array_equal(one[mask_key][..., 0], ids)
        if classes:
            assert one[label_key] == number % 2
    return found


@pytest.mark.parametrize("schema", KEYS)
@pytest.mark.parametrize(("policy", "filling"), [("ignore", IGNORE), ("zeros", 0)])
def test_image_mask_and_label_are_equal(tmp_path, schema, policy, filling):
    out = build(tmp_path, schema, missing_mask=policy)
    assert_equal(out, schema, filling=filling)


@pytest.mark.parametrize("schema", KEYS)
def test_class_names_and_split_sizes_are_known(tmp_path, schema):
    out = build(tmp_path, schema, split="train=0.6,val=0.4")
    info = tfds.builder_from_directory(out).info
    feature = info.features
    for level in KEYS[schema][2].split("/"):
        feature = feature[level]
    assert feature.names == ["cat", "dög"]
    sizes = {name: split.num_examples for name, split in info.splits.items()}
    assert sizes == {name: len(segrecord.open(out, name)) for name in ("train", "val")}
    assert_equal(out, schema, split="val", masks=False)


def test_empty_masks_come_as_bytes(tmp_path):
    out = build(tmp_path, "plain")
    found = assert_equal(out, "plain", masks=False)
    keys = segrecord.open(out).records["key"].to_pylist()
    for one, key in zip(found, keys, strict=True):
        stored = one["mask"]
        if int(key) == BARE:
            assert stored == b""
        else:
            assert np.array_equal(tf.io.decode_png(stored)[..., 0].numpy(), mask(int(key)))


def test_masks_that_some_records_lack_are_left_out(tmp_path):
    out = build(tmp_path, "plain", missing_mask="omit")
    assert all("mask" not in one for one in assert_equal(out, "plain", masks=False))


@pytest.mark.parametrize("schema", KEYS)
def test_sets_without_masks_or_classes_load(tmp_path, schema):
    out = build(tmp_path, schema, masks=False, classes=False)
    assert_equal(out, schema, masks=False, classes=False)


@pytest.mark.parametrize("schema", ["deeplab", "plain", "tfds"])
def test_a_sample_without_a_class_has_label_minus_1(tmp_path, schema):
    out = build(tmp_path, schema, unlabelled=(2,))
    keys = segrecord.open(out).records["key"].to_pylist()
    labels = {key: one[KEYS[schema][2]] for key, one in zip(keys, read(out), strict=True)}
    assert labels["2"] == -1
    assert labels["3"] == 1


def test_what_else_a_record_holds_is_there(tmp_path):
    out = build(tmp_path, keep_columns=("age",))
    records = segrecord.open(out).records.to_pylist()
    for one, row in zip(read(out), records, strict=True):
        assert one["image/source_id"].decode() == row["key"]
        assert one["image/meta/age"].decode() == str(20 + int(row["key"]))
        assert (one["image/height"], one["image/width"]) == (row["height"], row["width"])
        assert one["image/segmentation/present"] == row["has_mask"]


def test_jpeg_comes_as_tensorflow_decodes_it(tmp_path):
    out = build(tmp_path, form="JPEG")
    keys = segrecord.open(out).records["key"].to_pylist()
    for one, key in zip(read(out), keys, strict=True):
        data = (tmp_path / f"src/{key}.jpeg").read_bytes()
        assert np.array_equal(one["image/encoded"], tf.io.decode_jpeg(data, channels=3).numpy())


def test_unchecked_masks_load(tmp_path):
    out = build(tmp_path, checks="none", bare=False)
    assert_equal(out, "deeplab", masks=False)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "gzip"}, "TFDS cannot read compressed shards"),
        ({"schema": "raw"}, "TFDS has no feature for undecoded pixels"),
    ],
)
def test_where_tfds_cannot_read_there_are_no_files_and_the_read_me_says_why(
    tmp_path, options, reason
):
    out = build(tmp_path, **options)
    assert not {"features.json", "dataset_info.json"} & set(files(out))
    assert reason in (out / "README.md").read_text()


def test_a_dataset_that_was_moved_loads_and_its_bytes_do_not_hang_on_its_name(tmp_path):
    out = build(tmp_path)
    again = segrecord.build(tmp_path / "src/index.csv", tmp_path / "1 ödd-name!", shards=2).path
    assert files(out) == files(again)
    moved = tmp_path / "else" / "where"
    shutil.copytree(out, moved)
    shutil.rmtree(out)
    assert_equal(moved, "deeplab")


def test_the_lines_of_the_read_me_work(tmp_path):
    out = build(tmp_path)
    text = (out / "README.md").read_text().split("## Read it with TFDS")[1]
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    found = {}
    exec(program.replace("<this folder>", str(out)), found)  # the point of the test
    assert len(found["data"]) == COUNT


def test_a_file_that_was_edited_is_told_by_verify(tmp_path):
    out = build(tmp_path)
    path = out / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"][0] = "99"
    path.write_text(json.dumps(info))
    (problem,) = segrecord.verify(out).problems
    assert problem.shard == "dataset_info.json"
