"""TFDS reads a dataset as it is: every schema that it can, with equal images, masks and labels."""

import io
import json
import re
import shutil
import warnings

import numpy as np
import pytest
from rich.console import Console

import segrecord
from make import blob, encoded, files, listing, picture, put
from make import source as pairs
from segrecord.console import messages
from segrecord.format import manifest
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
    """Every sample of the split is what was written; `filling` None: sample BARE has its mask."""
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
            ids = mask(number)
            if number == BARE and filling is not None:
                ids = np.full(drawn.shape[:2], filling, np.uint8)
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


@pytest.mark.parametrize("schema", KEYS)
def test_mask_class_names_are_known(tmp_path, schema):
    out = build(tmp_path, schema, mask_map="0=skin,1=lesion,2=häir")
    feature = tfds.builder_from_directory(out).info.features
    for level in KEYS[schema][1].split("/"):
        feature = feature[level]
    if schema == "plain":  # whose default policy is empty
        assert isinstance(feature, tfds.features.Text)
    else:
        assert feature.names == ["skin", "lesion", "häir"]


def test_uneven_shards_and_many_splits_load(tmp_path):
    made = source(tmp_path / "src", bare=False)
    out = segrecord.build(made, tmp_path / "out", split="x=0.5,B_2=0.3,y=0.2", shards=3).path
    for split in ("x", "B_2", "y"):
        assert_equal(out, "deeplab", split=split, filling=None)
    lengths = tfds.builder_from_directory(out).info.splits["x"].shard_lengths
    assert len(lengths) == 3
    assert len(set(lengths)) == 2


@pytest.mark.parametrize("schema", KEYS)
def test_empty_masks_come_as_bytes(tmp_path, schema):
    out = build(tmp_path, schema, missing_mask="empty")
    found = assert_equal(out, schema, masks=False)
    keys = segrecord.open(out).records["key"].to_pylist()
    for one, key in zip(found, keys, strict=True):
        stored = one[KEYS[schema][1]]
        if int(key) == BARE:
            assert stored == b""
        else:
            assert np.array_equal(tf.io.decode_png(stored)[..., 0].numpy(), mask(int(key)))


@pytest.mark.parametrize("schema", KEYS)
def test_masks_that_some_records_lack_are_left_out(tmp_path, schema):
    out = build(tmp_path, schema, missing_mask="omit")
    found = assert_equal(out, schema, masks=False)
    assert all(KEYS[schema][1] not in one for one in found)


@pytest.mark.parametrize("policy", ["empty", "omit"])
def test_masks_that_all_records_have_are_decoded_whatever_the_policy(tmp_path, policy):
    out = build(tmp_path, bare=False, missing_mask=policy)
    assert_equal(out, "deeplab", filling=None)


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


def test_jpeg_and_png_stand_in_one_dataset(tmp_path):
    source(tmp_path / "src", form="JPEG")
    made = source(tmp_path / "src")  # puts PNG files beside the JPEG ones, and lists them
    made = put(made, made.read_bytes().replace(b"1.png,m1", b"1.jpeg,m1"))
    out = segrecord.build(made, tmp_path / "out", shards=2).path
    formats = []
    for one in read(out):
        formats.append(one["image/format"].decode())
        data = (tmp_path / "src" / one["image/filename"].decode()).read_bytes()
        drawn = tf.io.decode_image(data, channels=3, expand_animations=False).numpy()
        assert np.array_equal(one["image/encoded"], drawn)
    assert sorted(formats) == ["jpeg"] + ["png"] * (COUNT - 1)


def test_unchecked_masks_load(tmp_path):
    out = build(tmp_path, checks="none", bare=False)
    assert_equal(out, "deeplab", filling=None)


def raw(folder, *, images=picture, **options):
    """A raw dataset of six images of 8 x 6 pixels, the fourth without a mask; its samples."""
    root = pairs(folder / "src", 6, without=(3,))
    for path in root.rglob("images/*.png"):
        path.write_bytes(encoded(images(int(path.stem))))
    out = segrecord.build(str(root), folder / "out", schema="raw", shards=2, **options).path
    numbers = [int(key.rsplit("/", 1)[1]) for key in segrecord.open(out).records["key"].to_pylist()]
    return dict(zip(numbers, read(out), strict=True))


@pytest.mark.parametrize(("policy", "filling"), [("ignore", IGNORE), ("zeros", 0)])
def test_raw_pixels_of_one_size_come_in_their_shape(tmp_path, policy, filling):
    for number, one in raw(tmp_path, missing_mask=policy).items():
        assert np.array_equal(one["image"], picture(number))
        ids = blob(number, high=1) if number != 3 else np.full((8, 6), filling)
        assert np.array_equal(one["label"], ids)
        assert one["class"] == number % 2


def test_raw_grey_and_colour_images_of_one_size_come_in_their_shapes(tmp_path):
    found = raw(tmp_path, images=lambda number: picture(number, channels=1 + 2 * (number % 2)))
    for number, one in found.items():
        channels = 1 + 2 * (number % 2)
        assert np.array_equal(one["image"], picture(number, 8, 6, channels).reshape(8, 6, channels))


def test_raw_one_hot_masks_come_in_their_shape(tmp_path):
    for number, one in raw(tmp_path, one_hot=True).items():
        ids = blob(number, high=1) if number != 3 else np.full((8, 6), IGNORE)
        assert np.array_equal(one["label"], ids[..., None] == np.arange(2))


def test_raw_pixels_of_many_sizes_come_flat(tmp_path):
    out = build(tmp_path, "raw")
    keys = segrecord.open(out).records["key"].to_pylist()
    for one, key in zip(read(out), keys, strict=True):
        drawn = image(int(key))
        shape = (one["height"], one["width"], one["channels"])
        assert np.array_equal(one["image"].reshape(shape), drawn.reshape(shape))
        ids = mask(int(key)) if int(key) != BARE else np.full(drawn.shape[:2], IGNORE)
        assert np.array_equal(one["label"].reshape(shape[:2]), ids)


def test_raw_masks_of_which_some_are_empty_come_flat(tmp_path):
    for number, one in raw(tmp_path, missing_mask="empty").items():
        assert one["image"].shape == (8, 6, 3)
        ids = blob(number, high=1).ravel() if number != 3 else []
        assert np.array_equal(one["label"], ids)


def test_raw_masks_that_some_records_lack_are_left_out(tmp_path):
    found = raw(tmp_path, missing_mask="omit")
    assert all("label" not in one and one["image"].shape == (8, 6, 3) for one in found.values())


@pytest.mark.parametrize(
    "mapping",
    [
        {"cat": 1, "dög": 5},
        {"": 0, "cat": 1, "dög": 2},
        {" cow": 0, "cat": 1, "dög": 2},
        {"a\nb": 0, "cat": 1, "dög": 2},
        {"a\rb": 0, "cat": 1, "dög": 2},
    ],
    ids=["gaps", "blank", "space", "line break", "carriage return"],
)
def test_names_that_tfds_would_give_to_other_ids_are_not_given(tmp_path, mapping):
    path = put(tmp_path / "classes.json", json.dumps(mapping).encode())
    out = segrecord.build(source(tmp_path / "src"), tmp_path / "out", classes=str(path)).path
    feature = tfds.builder_from_directory(out).info.features["image"]["class"]["label"]
    assert feature.names == [str(number) for number in range(max(mapping.values()) + 1)]
    labels = {mapping["cat"], mapping["dög"]}
    assert {int(one["image/class/label"]) for one in read(out)} == labels
    assert json.loads((out / "class_mapping.json").read_text()) == mapping


def test_mask_classes_that_fill_no_line_have_numbers_for_names(tmp_path):
    out = build(tmp_path, mask_map={0: "a\nb", 1: "c", 2: "d"})
    feature = tfds.builder_from_directory(out).info.features["image"]["segmentation"]["class"]
    assert feature["encoded"].names == ["0", "1", "2"]


def test_a_kept_column_whose_name_is_a_path_is_not_declared(tmp_path):
    source(tmp_path / "src")
    path = tmp_path / "src/index.csv"
    text = path.read_text().replace("class,age", "class,age/years")
    path.write_text(text)
    out = segrecord.build(path, tmp_path / "out", keep_columns=("age/years",)).path
    found = assert_equal(out, "deeplab")
    assert not any("image/meta" in key for one in found for key in one)


def test_tfds_reads_no_tfrecord_file_at_random(tmp_path):
    builder = tfds.builder_from_directory(build(tmp_path))
    with pytest.raises(NotImplementedError, match="Random access data source"):
        builder.as_data_source(split="train")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "gzip"}, "TFDS cannot read compressed shards"),
        ({"compression": "zlib"}, "TFDS cannot read compressed shards"),
        ({"split": "train=0.5,all=0.5"}, "TFDS takes the split name 'all' for all splits"),
    ],
)
def test_where_tfds_cannot_read_there_are_no_files_and_the_read_me_and_the_summary_say_why(
    tmp_path, options, reason
):
    out = build(tmp_path, **options)
    assert not {"features.json", "dataset_info.json"} & set(files(out))
    assert reason in (out / "README.md").read_text()
    assert reason in summary(out)


def summary(out):
    """What the command line prints of a build."""
    console = Console(file=io.StringIO(), width=200)
    messages.print_manifest(console, manifest.load(out), str(out), 1.0)
    return console.file.getvalue()


def test_the_summary_says_nothing_of_tfds_where_it_can_read(tmp_path):
    assert "TFDS" not in summary(build(tmp_path))


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


def test_a_file_that_was_edited_or_lost_is_told_by_verify(tmp_path):
    out = build(tmp_path)
    path = out / "dataset_info.json"
    (out / "features.json").unlink()
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"][0] = "99"
    path.write_text(json.dumps(info))
    problems = segrecord.verify(out).problems
    assert {problem.shard for problem in problems} == {"dataset_info.json", "features.json"}
