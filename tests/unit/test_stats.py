"""`stats`: the numbers of a dataset, by its manifest, index and facts."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

import datasets
import folds
import make
import segrecord
from segrecord.console.results import print_stats
from segrecord.errors import RecordError, UsageError
from segrecord.format import manifest as manifests
from segrecord.read.pixel_stats import Numbers
from segrecord.read.stats import balanced, stats, to_json
from segrecord.tables import FACTS
from segrecord.wording import share_text


def test_the_numbers_are_those_of_the_records(tmp_path):
    folder = datasets.make(tmp_path / "lesions")
    found = stats(folder)
    samples = [datasets.sample(number) for number in range(9)]
    heights = [made.image.shape[0] for made in samples]
    assert (found.name, found.records) == ("lesions", 9)
    assert found.bytes == sum(path.stat().st_size for path in folder.glob("*.tfrecord"))
    assert found.heights == (min(heights), np.median(heights), np.mean(heights), max(heights))
    assert found.widths == (7, 7, 7, 7)
    lengths = datasets.read_index(folder)["length"].to_pylist()
    assert found.record_bytes == (min(lengths), np.median(lengths), np.mean(lengths), max(lengths))
    assert [split.name for split in found.splits] == ["train", "val"]
    assert found.splits[0].classes == {"cat": 4, "dog": 3}
    assert [shard.records for shard in found.splits[0].shards] == [4, 3]
    assert found.splits[0].shards[1].classes == {"cat": 2, "dog": 1}


def test_mask_coverage_is_that_of_the_masks(tmp_path):
    found = stats(datasets.make(tmp_path / "lesions")).masks
    ids = [made.mask for made in map(datasets.sample, range(9)) if made.mask is not None]
    shares = [float(((mask > 0) & (mask < 255)).mean()) for mask in ids]
    assert (found.records, found.missing) == (7, 2)
    assert np.allclose(
        found.foreground, [min(shares), np.median(shares), np.mean(shares), max(shares)]
    )
    flat = np.concatenate([mask.ravel() for mask in ids])
    assert list(found.classes) == list(datasets.MASK_CLASSES)
    assert list(found.classes.values()) == [int((flat == number).sum()) for number in range(3)]
    assert math.isclose(found.ignore_share, (flat == 255).mean())


def test_without_masks_and_classes_there_is_nothing_to_say_of_them(tmp_path):
    found = stats(datasets.make(tmp_path / "set", masks=False, labelled=False))
    assert found.masks == (0, 9, None, {}, None, {}, {})
    assert (found.training.class_weights, found.training.mask_weights) == ({}, {})
    assert found.splits[0].shard_balance.sentence == "the records have no classes"


def test_unchecked_masks_have_no_coverage(tmp_path):
    folder = datasets.make(tmp_path / "set")
    for row in range(9):
        datasets.edit_index(folder, row, mask_pixels=None, ignore_pixels=None)
    datasets.edit_manifest(
        folder, lambda content: content["masks"].update(checked=False, classes=[])
    )
    found = stats(folder)
    assert found.masks == (7, 2, None, {}, None, {}, {})
    assert found.training.mask_weights == {}
    assert "mask pixels: unchecked" in printed(found)


def facts_of(numbers, **changed):
    """Facts of these samples (`datasets.sample`), as a full scan finds them."""
    rows = []
    for number in numbers:
        made = datasets.sample(number)
        flat = made.image.reshape(-1, 3)
        row = {"key": made.key, "checks": "full", "problems": []}
        row |= {"height": made.image.shape[0], "width": made.image.shape[1]}
        row |= {"mean": flat.mean(axis=0), "std": flat.std(axis=0)}
        rows.append(row | changed)
    return pa.Table.from_pylist(rows, FACTS)


def write_facts(folder, table):
    with pa.ipc.new_file(str(folder / manifests.FACTS_FILE), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


def assert_channel_stats(found, images):
    """They are those of all pixels (H, W) or (H, W, C) of these images."""
    channels = max(image.ndim for image in images) == 3
    images = [
        np.repeat(image[..., None], 3, axis=2) if channels and image.ndim == 2 else image
        for image in images
    ]
    flat = np.concatenate([image.reshape(-1, 3 if channels else 1) for image in images])
    assert (found.images, found.pixels) == (len(images), len(flat))
    assert np.allclose(found.mean, flat.mean(axis=0), atol=1e-4)
    assert np.allclose(found.std, flat.std(axis=0), atol=1e-4)
    assert np.allclose(found.unit_mean, (flat / 255).mean(axis=0), atol=1e-6)
    assert np.allclose(found.unit_std, (flat / 255).std(axis=0), atol=1e-6)


def test_channel_stats_are_those_of_all_pixels_whatever_the_order_of_the_facts(tmp_path):
    folder = datasets.make(tmp_path / "set")
    write_facts(folder, facts_of([8, 3, 20, 0, 7, 5, 1, 6, 2, 4]))  # 20 was left out of it
    found = stats(folder)
    images = [datasets.sample(number).image for number in range(9)]
    assert_channel_stats(found.splits[0].channel_stats, images[:7])
    assert_channel_stats(found.splits[1].channel_stats, images[7:])
    assert (found.training.part, found.training.channel_stats) == (
        "split train",
        found.splits[0].channel_stats,
    )
    assert found.channel_stats_of == "the stored images"


@pytest.mark.parametrize("checks", ["full", "basic"])
def test_channel_stats_of_a_build_are_those_of_its_images_grey_ones_as_three_channels(
    tmp_path, inline, checks
):
    channels = [1, 3, 3, 1, 3]
    images = [make.picture(number, 8 + number, 6, count) for number, count in enumerate(channels)]
    for number, image in enumerate(images):
        make.put(tmp_path / "src" / "ab"[number % 2] / f"{number}.png", make.encoded(image))
    built = segrecord.build(str(tmp_path / "src"), tmp_path / "out", checks=checks, shards=1)
    found = stats(built.path)
    if checks == "full":
        assert_channel_stats(found.training.channel_stats, images)
    else:
        assert found.training.channel_stats is found.splits[0].channel_stats is None
        assert found.channel_stats_of == "the build did not measure them: --checks full does"


def test_channel_stats_of_grey_images_have_one_channel(tmp_path, inline):
    images = [make.picture(number, channels=1) for number in range(3)]
    for number, image in enumerate(images):
        make.put(tmp_path / "src" / "a" / f"{number}.png", make.encoded(image))
    built = segrecord.build(str(tmp_path / "src"), tmp_path / "out", shards=1)
    assert_channel_stats(stats(built.path).training.channel_stats, images)


def test_it_is_said_that_channels_were_measured_before_resizing(tmp_path):
    folder = datasets.make(tmp_path / "set", size="16x12")
    write_facts(folder, facts_of(range(9)))
    found = stats(folder)
    assert found.channel_stats_of == "the images before resizing to 16 x 12 (height x width)"
    assert "measured on the images before resizing to 16 x 12 (height x width)" in printed(found)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (None, "there is no facts.arrow that holds them"),
        (facts_of(range(8)), "facts.arrow lacks 1 of the records"),
        (facts_of(range(9), mean=None), "the build did not measure them: --checks full does"),
        (facts_of(range(9), std=[]), "the build did not measure them: --checks full does"),
        (facts_of(range(9)).drop_columns("mean"), "there is no facts.arrow that holds them"),
        (
            facts_of(range(9)).drop_columns("width").append_column("width", pa.array(["7"] * 9)),
            "there is no facts.arrow that holds them",
        ),
        (
            facts_of(range(9)).append_column("width", pa.array([7] * 9, pa.int32())),
            "there is no facts.arrow that holds them",
        ),
    ],
)
def test_channel_stats_that_are_not_known_are_none_and_it_is_said_why(tmp_path, facts, reason):
    folder = datasets.make(tmp_path / "set")
    if facts is not None:
        write_facts(folder, facts)
    found = stats(folder)
    assert found.training.channel_stats is None
    assert [split.channel_stats for split in found.splits] == [None, None]
    assert found.channel_stats_of == reason
    assert f"channel statistics: unknown, {reason}" in printed(found)


def test_damaged_facts_are_an_error(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "facts.arrow").write_bytes(b"ARROW1\0\0 noise")
    with pytest.raises(RecordError, match=r"facts\.arrow: is no sound Arrow file"):
        stats(folder)


def test_a_dataset_without_records_has_no_channel_stats(tmp_path):
    found = stats(datasets.make(tmp_path / "set", {"train": (0,)}))
    assert found.channel_stats_of == "there are no records"
    assert found.training.class_weights == {"cat": None, "dog": None}
    assert "there are no records" in printed(found)


def test_a_split_without_records_has_no_channel_stats_and_the_others_have(tmp_path):
    folder = datasets.make(tmp_path / "set", {"train": (0,), "val": (3,)})
    write_facts(folder, facts_of(range(3)))
    found = stats(folder)
    assert found.training.channel_stats is None
    assert_channel_stats(
        found.splits[1].channel_stats, [datasets.sample(number).image for number in range(3)]
    )
    assert "split train" not in printed(found).partition("measured on")[0]


def test_weights_are_those_of_scikit_learn():
    weights = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.repeat([0, 1, 2], [70, 25, 5])
    expected = weights.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = balanced({"a": 70, "none": 0, "b": 25, "c": 5})
    assert found.pop("none") is None
    assert list(found.values()) == expected.tolist()


def test_weights_are_of_the_training_split_alone(tmp_path):
    found = stats(datasets.make(tmp_path / "set")).training
    made = [datasets.sample(number) for number in range(7)]
    dogs = sum(one.label for one in made)
    assert found.class_weights == {"cat": 7 / (2 * (7 - dogs)), "dog": 7 / (2 * dogs)}
    flat = np.concatenate([one.mask.ravel() for one in made if one.mask is not None])
    counts = np.bincount(flat[flat < 255], minlength=3)
    assert list(found.mask_weights) == list(datasets.MASK_CLASSES)
    assert np.allclose(list(found.mask_weights.values()), counts.sum() / (3 * counts))


def test_without_a_split_train_all_records_are_taken_and_it_is_said(tmp_path):
    folder = datasets.make(tmp_path / "set", {"left": (4,), "right": (3,)})
    found = stats(folder)
    assert found.training.part == "all records"
    assert found.training.class_weights == {"cat": 7 / 8, "dog": 7 / 6}
    assert "weights of all records" in printed(found)


def test_a_folds_training_part_is_all_the_other_folds(tmp_path):
    folder = folds.make(tmp_path / "set", (5, 4, 6))
    write_facts(folder, facts_of(range(15)))
    assert stats(folder).training.part == "all records"
    found = stats(folder, fold=1).training
    others = [datasets.sample(number) for number in (*range(5), *range(9, 15))]
    assert found.part == "fold 1, train"
    assert_channel_stats(found.channel_stats, [one.image for one in others])
    dogs = sum(one.label for one in others)
    assert found.class_weights == {"cat": 11 / (2 * (11 - dogs)), "dog": 11 / (2 * dogs)}
    lesion = sum(int((one.mask == 1).sum()) for one in others if one.mask is not None)
    known = sum(int((one.mask < 255).sum()) for one in others if one.mask is not None)
    assert math.isclose(found.mask_weights["lesion"], known / (3 * lesion))
    with pytest.raises(UsageError, match="fold must be from 0 to 2"):
        stats(folder, fold=3)
    with pytest.raises(UsageError, match="has no folds"):
        stats(datasets.make(tmp_path / "plain"), fold=0)


def assert_coverage(found, masks, number):
    shares = [float((mask == number).mean()) for mask in masks]
    assert found.masks == sum(share > 0 for share in shares)
    assert np.allclose(
        found.share, (min(shares), np.median(shares), np.mean(shares), max(shares)), atol=1e-12
    )


@pytest.mark.parametrize("rows", [100, 2])
def test_coverage_of_each_class_is_that_of_the_masks_by_label_too(tmp_path, rows):
    folder = datasets.make(tmp_path / "set")
    with pa.ipc.new_file(str(tmp_path / "index"), datasets.read_index(folder).schema) as writer:
        writer.write_table(datasets.read_index(folder), max_chunksize=rows)
    (tmp_path / "index").replace(folder / "records.arrow")
    found = stats(folder).masks
    made = [one for one in map(datasets.sample, range(9)) if one.mask is not None]
    for number, name in enumerate(datasets.MASK_CLASSES):
        assert_coverage(found.coverage[name], [one.mask for one in made], number)
        for label, label_id in datasets.CLASSES.items():
            own = [one.mask for one in made if one.label == label_id]
            assert_coverage(found.by_label[label][name], own, number)


def test_a_class_without_masks_has_no_coverage_and_short_lists_are_zeros(tmp_path):
    folder = datasets.make(tmp_path / "set", {"train": (2,)})
    for row in range(2):
        datasets.edit_index(folder, row, label=0, mask_pixels=[30], ignore_pixels=0)
    found = stats(folder).masks
    assert list(found.by_label) == ["cat"]
    assert found.classes == {"background": 60, "lesion": 0, "hair": 0}
    assert found.coverage["lesion"] == (0, (0, 0, 0, 0))


def test_json_holds_plain_values_only(tmp_path):
    folder = datasets.make(tmp_path / "set")
    write_facts(folder, facts_of(range(9)))
    found = stats(folder)
    content = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert content == to_json(found)
    assert content["splits"][0]["shard_balance"]["mixed"] is None
    assert content["masks"]["foreground"]["max"] == found.masks.foreground.max
    assert content["training"]["channel_stats"]["mean"] == list(found.training.channel_stats.mean)
    assert content["masks"]["by_label"]["dog"]["hair"]["share"]["max"] > 0


def test_a_damaged_index_is_an_error(tmp_path):
    folder = datasets.make(tmp_path / "set")
    (folder / "records.arrow").write_bytes(b"")
    with pytest.raises(RecordError, match="no sound Arrow file"):
        stats(folder)


def printed(found, **options):
    console = Console(width=80, record=False, **options)
    with console.capture() as capture:
        print_stats(console, found)
    return capture.get()


def test_the_printed_table_fits_80_columns_and_holds_every_shard(tmp_path):
    found = stats(datasets.make(tmp_path / "set", {"train": (2, 2, 2), "test": (2,)}))
    text = printed(found)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    for split in found.splits:
        for shard in split.shards:
            assert shard.name.removesuffix(".tfrecord") in text
    assert "train: too few records in a shard to say" in text
    assert "masks: 6 records with one, 2 without" in text
    assert "lesion" in text


def test_many_classes_are_printed_a_line_each(tmp_path):
    found = stats(datasets.make(tmp_path / "set"))
    classes = {f"a class of a rather long name, number {n} [b]": n for n in range(12)}
    split = found.splits[0]._replace(classes=classes)
    text = printed(found._replace(splits=(split,)))
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in classes)


def test_channel_stats_weights_and_coverage_are_printed_in_80_columns(tmp_path):
    folder = datasets.make(tmp_path / "set")
    write_facts(folder, facts_of(range(9)))
    found = stats(folder)
    text = printed(found)
    assert max(map(len, text.splitlines())) <= 80
    channels = found.training.channel_stats
    for number in (*channels.mean, *channels.std):
        assert f"{number:.2f}" in text
    for number in (*channels.unit_mean, *channels.unit_std):
        assert f"{number:.4f}" in text
    for weights in (found.training.class_weights, found.training.mask_weights):
        for name, weight in weights.items():
            assert any(line.split()[1:] == [name, f"{weight:.4f}"] for line in text.splitlines())
    hair = found.masks.by_label["dog"]["hair"]
    told = ["dog", "hair", str(hair.masks), *(f"{share:.1%}" for share in hair.share)]
    assert told in [line.split() for line in text.splitlines()]


def test_long_tables_are_cut_and_it_is_said(tmp_path):
    found = stats(datasets.make(tmp_path / "set"))
    weights = {f"a class of a rather long name, number {n} [b]": 1.5 for n in range(33)}
    weights["absent"] = None
    training = found.training._replace(class_weights=weights, mask_weights={})
    text = printed(found._replace(training=training))
    assert max(map(len, text.splitlines())) <= 80
    assert "number 29 [b]" in text
    assert "number 30 [b]" not in text
    assert "(4 more rows are not shown: --json has them)" in text


LONG = [f"a class of a rather long name, number {n}" for n in range(5)]


@pytest.mark.parametrize("classes", range(1, 6))
def test_names_of_shards_and_numbers_stay_whole_in_a_narrow_table(tmp_path, classes):
    found = stats(datasets.make(tmp_path / "set", {"validation": (3, 2)}))
    counts = {name: 1_234_560 + n for n, name in enumerate(LONG[:classes])}
    shards = [shard._replace(classes=counts) for shard in found.splits[0].shards]
    split = found.splits[0]._replace(classes=counts, shards=tuple(shards))
    lines = printed(found._replace(splits=(split,))).splitlines()
    assert max(map(len, lines[: lines.index("")])) <= (80 if classes < 5 else 90)
    for shard in shards:
        (line,) = [line for line in lines if shard.name.removesuffix(".tfrecord") in line]
        assert line.split()[-classes:] == [str(count) for count in counts.values()]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *((0, "0.0%"), (1, "100.0%"), (0.5, "50.0%"), (0.001, "0.1%"), (0.000075, "0.0075%")),
        *((1e-8, "0.0000010%"), (0.99996, "99.9960%"), (0.9991, "99.910%")),
    ],
)
def test_a_share_is_never_told_as_none_or_all_where_it_is_neither(share, text):
    assert share_text(share) == text


def test_small_shares_are_told_in_the_tables_of_masks(tmp_path):
    found = stats(datasets.make(tmp_path / "set"))
    few = found.masks.coverage["hair"]._replace(share=Numbers(0.0, 0.000075, 0.00002, 0.99996))
    coverage = found.masks.coverage | {"hair": few}
    masks = found.masks._replace(coverage=coverage, classes={"background": 999_975, "hair": 25})
    text = printed(found._replace(masks=masks))
    assert ["0.0%", "0.0075%", "0.0020%", "99.9960%"] in [x.split()[-4:] for x in text.splitlines()]
    assert "0.0025%" in text
