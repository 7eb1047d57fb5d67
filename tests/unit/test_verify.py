"""`verify`: sound datasets have no problems; manifest, folder and source are checked."""

import csv
import hashlib
import pickle

import numpy as np
import pyarrow as pa
import pytest
from tests import datasets

from segrecord import tables
from segrecord.errors import OutputError
from segrecord.executors import InlineEngine, LocalEngine
from segrecord.format import manifest as manifests
from segrecord.images import png
from segrecord.read.index import open_index
from segrecord.verification.checker import check_dataset, tasks_of
from segrecord.verification.shard_check import check_shard
from segrecord.verification.source_compare import compare_dataset

VAL = "val-00000-of-00001.tfrecord"
KINDS = [
    {},
    {"missing_mask": "zeros"},
    {"missing_mask": "omit"},
    {"missing_mask": "empty"},
    {"masks": False},
    {"labelled": False},
    {"compression": "gzip"},
    {"compression": "zlib"},
    {"schema": "plain"},
    {"schema": "plain", "labelled": False},
    {"schema": "tfds"},
    {"schema": "raw"},
    {"schema": "raw", "one_hot": True},
    {"schema": "raw", "one_hot": True, "missing_mask": "zeros"},
    {"schema": "raw", "masks": False, "labelled": False},
]


def rules(folder, *, decode=True):
    report = check_dataset(folder, InlineEngine(), decode=decode)
    return [str(problem) for problem in report.problems]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_sound_dataset_of_every_kind_has_no_problems(tmp_path, kind):
    folder = datasets.make(tmp_path / "set", **kind)
    report = check_dataset(folder, InlineEngine())
    assert report.problems == ()
    assert (report.shards, report.records) == (3, 9)
    assert report.bytes == sum(path.stat().st_size for path in folder.glob("*.tfrecord*"))


def test_worker_processes_find_what_one_process_finds(tmp_path):
    folder = datasets.make(tmp_path / "set")
    datasets.edit_record(folder / "train-00001-of-00002.tfrecord", 1, image__width=[9])
    (folder / "val-00000-of-00001.tfrecord").unlink()
    inline = check_dataset(folder, InlineEngine())
    with LocalEngine(2) as engine:
        report = check_dataset(folder, engine)
    assert list(map(str, report.problems)) == list(map(str, inline.problems))
    assert len(report.problems) == 2


def test_tasks_are_plain_values_that_can_be_pickled_without_arrow(tmp_path):
    folder = datasets.make(tmp_path / "set")
    manifest = manifests.load(folder)
    tasks = list(tasks_of(folder, manifest, open_index(folder), decode=True))
    assert [task.name for task in tasks] == sorted(path.name for path in folder.glob("*.tfrecord"))
    data = pickle.dumps(tasks)
    assert b"pyarrow" not in data
    assert check_shard.__module__ == "segrecord.verification.shard_check"
    assert [check_shard(task) for task in pickle.loads(data)] == [()] * 3


def test_without_decoding_the_report_says_so(tmp_path):
    folder = datasets.make(tmp_path / "set")
    report = check_dataset(folder, InlineEngine(), decode=False)
    assert report.problems == ()
    assert report.not_checked == ("images and masks were not decoded",)


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path):
    with pytest.raises(OutputError, match="holds no finished dataset"):
        check_dataset(tmp_path, InlineEngine())


def test_a_damaged_manifest_is_a_problem(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "dataset.json").write_text("{")
    report = check_dataset(folder, InlineEngine())
    assert "is damaged" in report.problems[0].rule
    assert report.not_checked == ("the shards, since the manifest is damaged",)


MANIFEST_CHANGES = {
    "records": ("split 'train': records: says 8, the shards add up to 7",),
    "bytes": ("split 'train': bytes: says",),
    "class_counts": ("split 'train': class counts: says 5 of 'cat', the shards add up to 4",),
}


@pytest.mark.parametrize("field", MANIFEST_CHANGES)
def test_a_wrong_sum_of_a_split_is_found(tmp_path, field):
    folder = datasets.make(tmp_path / "set")

    def change(content):
        split = content["splits"]["train"]
        if field == "class_counts":
            split[field]["cat"] += 1
        else:
            split[field] += 1

    datasets.edit_manifest(folder, change)
    found = rules(folder)
    assert any(expected in found[0] for expected in MANIFEST_CHANGES[field])


def test_a_wrong_number_of_samples_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    datasets.edit_manifest(folder, lambda content: content.update(samples=10))
    assert rules(folder) == ["dataset.json: samples: says 10, the shards add up to 9"]


def test_a_wrong_number_of_missing_masks_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    datasets.edit_manifest(folder, lambda content: content["masks"].update(missing=1))
    assert rules(folder) == ["dataset.json: masks: says 1 are missing, the index counts 2"]


def test_wrong_class_counts_of_a_shard_are_found(tmp_path):
    folder = datasets.make(tmp_path / "set")

    def change(content):
        split = content["splits"]["val"]
        for counts in (split["class_counts"], split["shards"][0]["class_counts"]):
            counts.update(cat=2, dog=0)

    datasets.edit_manifest(folder, change)
    assert rules(folder) == [
        f"dataset.json: {VAL}: class counts: says 2 of 'cat', the index counts 1",
        f"dataset.json: {VAL}: class counts: says 0 of 'dog', the index counts 1",
    ]


@pytest.mark.parametrize(
    "name", ["train-00007-of-00010.tfrecord", "test.tfrecord.gz", "train_notes.txt", "x.tfrecord"]
)
def test_a_file_that_readers_would_take_for_a_shard_is_found(tmp_path, name):
    folder = datasets.make(tmp_path / "set")
    (folder / name).write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    assert len(rules(folder)) == 1
    assert rules(folder)[0].startswith(f"{name}: is not of this dataset")


def test_a_missing_sidecar_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "findings.csv").unlink()
    assert rules(folder) == ["findings.csv: the file is missing"]


def test_a_class_mapping_that_is_not_the_manifests_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "class_mapping.json").write_text('{"cat": 1, "dog": 0}')
    assert rules(folder) == ["class_mapping.json: is not the mapping of the manifest"]


# The source.


def compared(folder, samples):
    return [str(problem) for problem in compare_dataset(folder, samples, InlineEngine())]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_dataset_equals_its_source(tmp_path, kind):
    folder = datasets.make(tmp_path / "set", **kind)
    wanted = {name: kind[name] for name in ("masks", "labelled") if name in kind}
    samples = datasets.write_source(tmp_path / "source", 9, **wanted)
    assert compared(folder, samples) == []


def test_one_changed_pixel_of_an_image_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    pixels = datasets.sample(1).image
    pixels[3, 3, 1] ^= 1
    (tmp_path / "source" / "001.png").write_bytes(png.encode(pixels))
    (found,) = compared(folder, samples)
    assert found.startswith("train-00000-of-00002.tfrecord record 1 at byte ")
    assert "the image differs from" in found
    assert found.endswith("001.png in 1 pixels")


@pytest.mark.parametrize("kind", [{}, {"schema": "raw", "one_hot": True}, {"schema": "plain"}])
def test_one_changed_pixel_of_a_mask_is_found(tmp_path, kind):
    folder = datasets.make(tmp_path / "set", **kind)
    samples = datasets.write_source(tmp_path / "source", 9)
    ids = datasets.sample(5).mask
    ids[7, 6] = 1
    (tmp_path / "source" / "005_mask.png").write_bytes(png.encode(ids))
    (found,) = compared(folder, samples)
    assert found.startswith("train-00001-of-00002.tfrecord record 1 at byte ")
    assert found.endswith("005_mask.png in 1 pixels")


def test_an_original_of_another_size_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    (tmp_path / "source" / "003.png").write_bytes(png.encode(np.zeros((4, 5), np.uint8)))
    (found,) = compared(folder, samples)
    assert "record 3" in found
    assert "is 4 x 5" in found


def test_an_original_that_is_gone_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    (tmp_path / "source" / "008.png").unlink()
    (found,) = compared(folder, samples)
    assert "record 1" in found
    assert "cannot be compared with" in found
    assert "missing-file" in found


def edited(samples, row, **values):
    rows = samples.to_pylist()
    rows[row] |= values
    return pa.Table.from_pylist(rows, samples.schema)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"labels": ["cat"]}, "has the label 1, its sample 'set/001' says 0"),
        ({"labels": []}, "has the label 1, its sample 'set/001' says None"),
        ({"meta/age": "99"}, "has age '21', its sample 'set/001' says '99'"),
        ({"mask": []}, "has a mask, its sample 'set/001' has none"),
        ({"split": "test"}, "key 'set/001' belongs in split 'test' by its source"),
        ({"group": "other"}, "is of group 'patient 0' in the index, of 'other' in the source"),
        ({"key": "set/none"}, "key 'set/001' is not in the source"),
    ],
    ids=str,
)
def test_a_sample_that_says_something_else_is_found(tmp_path, values, rule):
    folder = datasets.make(tmp_path / "set")
    samples = edited(datasets.write_source(tmp_path / "source", 9), 1, **values)
    assert any("record 1" in found and rule in found for found in compared(folder, samples))


def test_a_sample_with_a_mask_whose_record_has_none_is_found(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    samples = edited(samples, 3, mask=samples["mask"][2].as_py())
    (found,) = compared(folder, samples)
    assert found.endswith("has no mask, its sample 'set/003' has one")


def test_a_sample_without_a_record_is_found_unless_it_is_in_the_quarantine(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 10)
    assert compared(folder, samples) == ["records.arrow: the sample 'set/009' has no record"]
    with (folder / "quarantine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["key", "path"], ["set/009", "009.png"]])
    assert compared(folder, samples) == []


def test_with_a_damaged_shard_or_index_the_comparison_says_so(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    path = folder / "val-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    (found,) = compared(folder, samples)
    assert "val-00000-of-00001.tfrecord record 1" in found
    assert "cannot be compared" in found
    (folder / "records.arrow").write_bytes(b"")
    (found,) = compared(folder, samples)
    assert "were not compared" in found


def mapped(folder, values, mask_map=None, threshold=None):
    def change(content):
        content["masks"] |= {"values": values, "threshold": threshold}
        content["options"]["pixels"]["mask_map"] = mask_map

    datasets.edit_manifest(folder, change)


def grey(source, number, table):
    """Write a sample's mask in other values: `table` maps the id to the value."""
    ids = datasets.sample(number).mask
    path = source / f"{number:03d}_mask.png"
    path.write_bytes(png.encode(np.vectorize(table.get)(ids).astype(np.uint8)))


def test_masks_are_read_through_the_manifests_value_map(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    for number in (0, 1, 2, 4, 5, 6, 8):
        grey(tmp_path / "source", number, {0: 0, 1: 255, 2: 127, 255: 7})
    assert len(compared(folder, samples)) == 7
    pairs = [[0, "background"], [255, "lesion"], [127, "hair"], [7, "ignore"]]
    mapped(folder, {"0": 0, "255": 1, "127": 2, "7": 255}, pairs)
    assert compared(folder, samples) == []


def test_images_and_masks_are_compared_at_the_size_of_the_dataset(tmp_path):
    from segrecord.images import image, mask

    folder = datasets.make(tmp_path / "set", {"train": (1,)}, size=(8, 7))
    samples = datasets.write_source(tmp_path / "source", 1)
    assert compared(folder, samples) == []
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (24, 21, 3), np.uint8)
    ids = rng.integers(0, 3, (20, 30), np.uint8)
    (tmp_path / "source" / "000.png").write_bytes(png.encode(large))
    (tmp_path / "source" / "000_mask.png").write_bytes(png.encode(ids))
    assert len(compared(folder, samples)) == 2
    datasets.edit_record(
        folder / "train-00000-of-00001.tfrecord",
        0,
        image__encoded=[png.encode(image.resize(large, 8, 7))],
        image__segmentation__class__encoded=[png.encode(mask.fit(ids, 8, 7))],
    )
    assert compared(folder, samples) == []


def test_unchecked_masks_are_compared_byte_by_byte(tmp_path):
    folder = datasets.make(tmp_path / "set")
    samples = datasets.write_source(tmp_path / "source", 9)
    datasets.edit_manifest(
        folder, lambda content: content["masks"].update(checked=False, classes=[])
    )
    assert compared(folder, samples) == []
    path = tmp_path / "source" / "000_mask.png"
    path.write_bytes(png.encode(np.zeros((5, 4), np.uint8)))
    (found,) = compared(folder, samples)
    assert "the mask's bytes are not those of" in found


def test_a_changed_file_beside_the_shards_is_named(tmp_path):
    folder = datasets.make(tmp_path / "set")
    manifest = manifests.load(folder)
    said = hashlib.sha256((folder / "class_mapping.json").read_bytes()).hexdigest()
    files = manifest.files | {"class_mapping.json": said}
    datasets.write_manifest(folder, manifest.model_copy(update={"files": files}))
    assert rules(folder) == []
    with (folder / "class_mapping.json").open("a") as file:
        file.write("\n")
    (problem,) = rules(folder)
    assert problem.startswith("class_mapping.json: its SHA-256 is ")
    assert said in problem


def test_a_source_of_other_samples_is_told_for_every_record(tmp_path):
    folder = datasets.make(tmp_path / "set")
    found = compare_dataset(folder, tables.SAMPLES.empty_table(), InlineEngine())
    assert len(found) == 9
    assert all("is not in the source" in str(problem) for problem in found)
