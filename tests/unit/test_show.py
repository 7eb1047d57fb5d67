"""`show`: one record found by key or number, its picture, and what is printed."""

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tests import datasets

from segrecord.console.results import print_record, print_report
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.images.overlay import MAX_SIDE, MIN_SIDE, PALETTE, colour_of, sheet, sides
from segrecord.read.lookup import read_record
from segrecord.verification.checker import Report
from segrecord.wording import size_text


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_a_record_is_found_by_number_key_and_ending(tmp_path, compression):
    folder = datasets.make(tmp_path / "set", compression=compression)
    for text in ("5", "set/005", "005", "/005"):
        record = read_record(folder, text)
        assert (record.key, record.split, record.number) == ("set/005", "train", 1)
        assert record.shard.startswith("train-00001-of-00002.tfrecord")
        assert record.features["image/height"] == [10]
        assert record.stored.label == 1
        assert record.stored.meta == (("age", "25"),)
    assert record.offset == datasets.read_index(folder)["offset"][5].as_py()
    pixels = np.asarray(Image.open(io.BytesIO(record.stored.image)))
    assert np.array_equal(pixels, datasets.sample(5).image)


def test_numbers_run_over_all_splits_in_the_order_of_the_index(tmp_path):
    folder = datasets.make(tmp_path / "set")
    assert [read_record(folder, str(n)).key for n in (0, 4, 8)] == ["set/000", "set/004", "set/008"]
    assert read_record(folder, "8").split == "val"


def test_a_key_goes_before_a_number(tmp_path):
    folder = datasets.make(tmp_path / "set")
    datasets.edit_index(folder, 6, key="2")
    assert read_record(folder, "2").number == 2
    assert read_record(folder, "2").shard == "train-00001-of-00002.tfrecord"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9", "there is no record 9: the dataset has 9, counted from 0"),
        ("99999999999999999999999", "there is no record 9999"),
        ("set/0050", "did you mean 'set/005'"),
        ("SET/00", "did you mean 'set/000', 'set/001', 'set/002'?"),
        ("xyz/qqqqqqqq", "there is no record of key 'xyz/qqqqqqqq'$"),
        ("", "there is no record of key ''$"),
    ],
)
def test_an_unknown_record_is_a_usage_error_with_near_matches(tmp_path, text, message):
    folder = datasets.make(tmp_path / "set")
    with pytest.raises(UsageError, match=message):
        read_record(folder, text)


def test_an_ending_of_several_keys_is_a_usage_error_that_lists_some(tmp_path):
    folder = datasets.make(tmp_path / "set", {"train": (12,)})
    datasets.edit_index(folder, 3, key="other/001x")
    datasets.edit_index(folder, 4, key="set/001x")
    with pytest.raises(UsageError, match="several keys end in '001x', for example 'other/001x'"):
        read_record(folder, "001x")


def test_a_damaged_record_is_named_with_shard_and_offset(tmp_path):
    folder = datasets.make(tmp_path / "set")
    path = folder / "train-00001-of-00002.tfrecord"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"train-00001-of-00002\.tfrecord record 0 at byte 0: "):
        read_record(folder, "4")
    assert read_record(folder, "5").key == "set/005"
    path.unlink()
    with pytest.raises(RecordError, match="cannot be opened"):
        read_record(folder, "5")


def test_a_record_that_is_no_longer_of_its_schema_is_named(tmp_path):
    folder = datasets.make(tmp_path / "set")
    path = folder / "train-00000-of-00002.tfrecord"
    payloads = datasets.payloads_of(path)
    datasets.rewrite(path, [payloads[0], b"\xff" * len(payloads[1]), *payloads[2:]])
    with pytest.raises(RecordError, match=r"record 1 at byte .*no tensorflow\.Example"):
        read_record(folder, "1")


def test_a_compressed_shard_that_ends_before_the_record_is_named(tmp_path):
    folder = datasets.make(tmp_path / "set", compression="gzip")
    path = folder / "train-00001-of-00002.tfrecord.gz"
    path.write_bytes(datasets.shard_bytes(datasets.payloads_of(path, "gzip")[:1], "gzip"))
    with pytest.raises(RecordError, match="holds no record 2"):
        read_record(folder, "6")


def test_a_folder_without_a_dataset_is_an_error(tmp_path):
    with pytest.raises(OutputError):
        read_record(tmp_path, "0")


# The picture.


def overlay(*record):
    return sheet(sides(*record))


def halves(picture, height, width):
    pixels = np.asarray(picture)
    return pixels[8 : 8 + height, 8 : 8 + width], pixels[8 : 8 + height, -8 - width : -8]


def test_the_left_half_is_the_image_and_the_right_half_is_painted_where_the_mask_is():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (300, 280, 3), np.uint8)
    mask = np.zeros((300, 280), np.uint8)
    mask[100:200, 50:150] = 1
    mask[10:50, 200:240] = 2
    left, right = halves(overlay(image, mask, ("background", "lesion", "hair")), 300, 280)
    assert np.array_equal(left, image)
    outside = mask == 0
    outside[97:203, 47:153] = False
    outside[7:53, 197:243] = False
    assert np.array_equal(right[outside], image[outside])
    for number, row, column in ((1, 150, 100), (2, 30, 220)):
        expected = image[row, column] * 0.6 + np.array(colour_of(number)) * 0.4
        assert np.abs(right[row, column] - expected).max() <= 0.5
        inside = mask == number
        edge = right[inside & (np.roll(mask, 1, 0) == 0)]
        assert (edge == colour_of(number)).all()  # the outline is opaque


def test_ignored_pixels_are_hatched_in_grey():
    image = np.full((300, 300), 128, np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    mask[100:200, 100:200] = 255
    _, right = halves(overlay(image, mask), 300, 300)
    colours = np.unique(right[110:190, 110:190].reshape(-1, 3), axis=0)
    assert len(colours) == 2
    assert (colours[:, :1] == colours).all()


def test_small_images_are_enlarged_pixel_by_pixel_and_huge_ones_reduced():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    picture = overlay(image, np.zeros((4, 4), np.uint8))
    left, _ = halves(picture, MIN_SIDE, MIN_SIDE)
    assert np.array_equal(left[::64, ::64, 0], image)
    assert len(np.unique(left)) == 16
    huge = np.zeros((3000, 10), np.uint8)
    left, _ = halves(overlay(huge, huge), MAX_SIDE, 3)
    assert left.shape == (MAX_SIDE, 3, 3)


def test_a_missing_mask_leaves_the_image_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    left, right = halves(overlay(image, None), 256, 256)
    assert np.array_equal(left, right)


def test_names_in_any_script_and_ids_without_a_name_can_be_in_the_legend():
    mask = np.arange(256, dtype=np.uint8).repeat(2)[:511].reshape(7, 73)
    names = ("Hintergrund", "Läsion", "病変", "x" * 200)
    picture = overlay(np.zeros((7, 73), np.uint8), mask, names)
    assert picture.mode == "RGB"


def test_sizes_that_differ_are_refused():
    with pytest.raises(ValueError, match="must be of one size"):
        overlay(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))


def test_the_palette_has_distinct_colours_and_repeats_after_them():
    assert len(set(PALETTE)) == 7
    assert colour_of(1) == colour_of(8) == PALETTE[0]


# What is printed.


def plain(work, *arguments, **options):
    file = io.StringIO()
    work(Console(file=file, width=100, **options), *arguments)
    return file.getvalue()


def test_a_printed_record_shows_its_place_and_its_features(tmp_path):
    record = read_record(datasets.make(tmp_path / "set"), "5")
    text = plain(print_record, record)
    assert "split train, train-00001-of-00002.tfrecord, record 1 at byte" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for name in record.features:
        assert any(line.startswith(name) for line in lines)
    assert any("bytes, b'\\x89PNG" in line for line in lines)
    assert any(line.split() == ["image/class/text", "bytes", "dog"] for line in lines)


def test_keys_that_look_like_markup_are_printed_as_they_are(tmp_path):
    record = read_record(datasets.make(tmp_path / "set"), "5")
    text = plain(print_record, record._replace(key="benign [red](1)[/red]"))
    assert text.startswith("benign [red](1)[/red]\n")


def damage(number, rule="the CRC of the record's data does not hold"):
    return RecordError("train-00000-of-00001.tfrecord", rule, number, number * 10)


def test_a_printed_report_shows_some_of_each_kind_and_counts_the_rest():
    found = tuple(damage(n, f"has the label {n}, the index says '{n}'") for n in range(10))
    report = Report((*found, damage(3)), 1, 20, 123_456, ("masks",))
    text = plain(print_report, report)
    assert "\x1b" not in text
    assert text.count("has the label") == 3
    assert "... and 7 more of this kind" in text
    assert text.count("CRC") == 1
    assert "not checked: masks" in text
    assert "11 problems: 20 records in 1 shard, 123.5 kB" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_sound_report_is_one_line_without_colour_where_none_is_wanted(monkeypatch):
    report = Report((), 3, 9, 2_000_000, ())
    assert plain(print_report, report) == "sound: 9 records in 3 shards, 2.0 MB\n"
    assert "\x1b[32m" in plain(print_report, report, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in plain(print_report, report, force_terminal=True)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1.5e6, "1.5 MB"), (2e15, "2000.0 TB")],
)
def test_sizes_are_told_in_decimal_units(size, text):
    assert size_text(size) == text
