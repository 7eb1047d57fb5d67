"""Images by their statistics, sizes, names and metadata: what is told, and what just is not."""

import pytest

from scanned import SPREAD, given, histogram, scanned, told
from segrecord.checks.image_checks import (
    extensions,
    flat_pictures,
    odd_sizes,
    personal_metadata,
    stale_names,
    strips,
)


def flat(**facts):
    return told(flat_pictures(given(*scanned(facts))))


@pytest.mark.parametrize(("std", "code"), [([0.0], True), ([0.9, 0.0, 0.9], True), ([1.0], False)])
def test_a_picture_of_one_colour_deviates_by_less_than_a_level_in_all_channels(std, code):
    found = flat(std=std, mean=[7.0] * len(std))
    assert found == [("warning", "constant-image", "k000")] * code


def test_one_channel_that_changes_makes_a_picture():
    assert flat(std=[0.0, 0.0, 30.0], mean=[0.0, 0.0, 50.0]) == []


def test_the_colour_of_a_constant_picture_is_told_with_its_path():
    (found,) = flat_pictures(given(*scanned({"std": [0.0] * 3, "mean": [255.0, 7.4, 0.0]})))
    assert (found.message, found.path) == ("all its pixels have one value: 255, 7, 0", "k000.png")


@pytest.mark.parametrize(("place", "code"), [(0, "dark-image"), (31, "bright-image")])
def test_almost_black_and_white_is_99_per_cent_of_the_outermost_bin(place, code):
    least = -(-65535 * 99 // 100)
    full = {"std": [3.0], "histogram": histogram({place: least, 9: 600})}
    short = full | {"histogram": histogram({place: least - 1, 9: 600})}
    assert flat(**full) == [("warning", code, "k000")]
    assert flat(**short) == []


def test_few_bright_spots_on_black_are_a_picture():
    assert flat(std=[8.0], histogram=histogram({0: 65535})) == []
    assert flat(std=[7.9], histogram=histogram({0: 65535})) != []


def test_a_constant_black_picture_is_told_once():
    assert flat(std=[0.0], histogram=histogram({0: 65535})) == [
        ("warning", "constant-image", "k000")
    ]


def test_the_share_of_an_almost_black_picture_is_never_rounded_up():
    share = {"std": [3.0], "histogram": histogram({0: 65500, 1: 35})}
    (found,) = flat_pictures(given(*scanned(share)))
    assert found.message == "it is almost black: 99.9 % of its values are below 8 of 255"


def test_statistics_of_some_rows_only_are_those_of_their_rows():
    sound = {"histogram": histogram(SPREAD)}
    unread = {"histogram": None, "mean": None, "std": None}
    dark = {"histogram": histogram({0: 65535}), "std": [2.0]}
    samples, facts = scanned(unread, sound, unread, dark, unread)
    assert told(flat_pictures(given(samples, facts))) == [("warning", "dark-image", "k003")]
    assert told(flat_pictures(given(samples[3:], facts[3:]))) == [("warning", "dark-image", "k003")]
    assert told(flat_pictures(given(samples[4:], facts[4:]))) == []


@pytest.mark.parametrize(
    ("size", "odd"), [((401, 100), True), ((100, 401), True), ((400, 100), False), ((1, 4), False)]
)
def test_a_side_over_four_times_the_other_makes_a_strip(size, odd):
    found = told(strips(given(*scanned({"height": size[0], "width": size[1]}))))
    assert found == [("warning", "extreme-aspect", "k000")] * odd


def test_a_strip_is_told_with_its_size_and_ratio():
    (found,) = strips(given(*scanned({"height": 401, "width": 100})))
    assert found.message == "one side is 4.01 times the other: 401x100 (height x width)"


def sizes(*pairs):
    return told(odd_sizes(given(*scanned(*({"height": h, "width": w} for h, w in pairs)))))


def test_a_picture_far_smaller_or_larger_than_all_others_is_told():
    usual = [(299, 299)] * 40
    assert sizes(*usual, (32, 32)) == [("warning", "outlier-size", "k040")]
    assert sizes((3000, 2000), *usual) == [("warning", "outlier-size", "k000")]


def test_half_the_side_is_just_four_times_the_area_and_told_and_a_little_more_is_not():
    usual = [(300, 300)] * 40
    assert sizes(*usual, (150, 150)) == [("warning", "outlier-size", "k040")]
    assert sizes(*usual, (151, 150)) == []


def test_sizes_that_spread_anyway_have_no_outlier():
    spread = [(100 + 40 * step, 100 + 40 * step) for step in range(40)]
    assert sizes(*spread, (80, 80)) == []


def test_what_is_odd_is_measured_by_the_deviation_that_half_of_all_exceed():
    # log2 of the areas: 13, 14 and 15, so that half deviate by 1; odd are those over 5.2 away.
    usual = [(64, 128)] * 14 + [(128, 128)] * 13 + [(128, 256)] * 14
    assert sizes(*usual, (16, 32)) == []
    assert sizes(*usual, (16, 16)) == [("warning", "outlier-size", "k041")]


def test_more_than_one_in_twenty_are_a_kind_of_their_own():
    usual, small = [(299, 299)] * 38, (32, 32)
    assert len(sizes(*usual, small, small)) == 2
    assert sizes(*usual, *[small] * 3) == []


def test_pictures_without_a_known_size_are_left_out():
    gone = {"height": None, "width": None}
    rows = [{"height": 299, "width": 299}] * 30
    assert told(odd_sizes(given(*scanned(gone, *rows)))) == []
    assert told(strips(given(*scanned(gone)))) == []
    assert told(odd_sizes(given(*scanned(gone)))) == []


def names(*paths):
    return [
        (found.code, found.path)
        for found in stale_names(given(*scanned(*({"image": p} for p in paths))))
    ]


USUAL = [f"set/{number}.png" for number in range(4)]


@pytest.mark.parametrize(
    "path",
    [
        *("set/9_downsampled.jpg", "set/9_resized.png", "set/9_Thumb.PNG", "set/9-thumbnail.png"),
        *("set/9_copy.png", "set/9 - Copy.png", "set/9_old.png", "set/9_tmp.tif"),
        *("set/9.bak.png", "set/9.png.bak", "set/9_downsampled"),
    ],
)
def test_a_left_over_among_other_names_is_told(path):
    assert names(*USUAL, path) == [("stale-name", path)]


@pytest.mark.parametrize(
    "path",
    ["set/photocopy.png", "set/gold.png", "set_old/9.png", "set/9_copy_b.png", "a.b/tmp.png"],
)
def test_a_name_that_only_resembles_one_is_not(path):
    assert names(*USUAL, path) == []


def test_a_name_that_half_of_all_images_carry_is_their_way():
    assert len(names("1_resized.png", *USUAL)) == 1
    assert len(names("1_resized.png", "2_RESIZED.png", *USUAL[:3])) == 2
    assert names("1_resized.png", "2_resized.png", *USUAL[:2]) == []


def test_a_numbered_name_is_a_copy_only_beside_the_first():
    assert names("set/a.png", "set/a (1).png", "set/b.png") == [("stale-name", "set/a (1).png")]
    assert names("set/benign (1).png", "set/benign (2).png", "set/b.png", "set/c.png") == []
    assert names("set/a.png", "set/a (1).png") == []


def test_personal_metadata_is_told_by_sample_and_once_that_it_is_taken_out():
    rows = [{"metadata": ["EXIF GPS", "PNG text Author"]}, {}, {"metadata": ["XMP"]}]
    found = list(personal_metadata(given(*scanned(*rows))))
    assert told(found) == [
        ("warning", "personal-metadata", "k000"),
        ("warning", "personal-metadata", "k002"),
        ("info", "metadata-removed", ""),
    ]
    assert found[0].message == (
        "the file holds EXIF GPS, PNG text Author, which is not written to the record"
    )
    assert "2 images" in found[2].message


def test_metadata_that_is_kept_is_said_to_be_kept():
    found = list(personal_metadata(given(*scanned({"metadata": ["XMP"]}), keep_metadata=True)))
    assert told(found) == [("warning", "personal-metadata", "k000")]
    assert found[0].message == "the file holds XMP, which is kept in the record"


def test_files_without_metadata_and_unread_ones_are_not_told():
    assert list(personal_metadata(given(*scanned({}, {"metadata": None})))) == []


def test_endings_are_compared_kind_by_kind():
    rows = [
        {"image": "a.png"},
        {"image": "b.JPG"},
        {"image": "c.jpg", "image_format": "jpeg"},
        {"image": "d.dat"},
        {"image": "d.e/f"},
        {"image": "g.tif", "image_format": None},
        {"image": "h.BMP", "image_format": "gif"},
    ]
    found = list(extensions(given(*scanned(*rows))))
    assert [(f.path, f.message[:18]) for f in found] == [
        ("b.JPG", "the file holds png"),
        ("h.BMP", "the file holds gif"),
    ]
