"""Masks by what they cover: no foreground, a speck, nothing else; and how values are read."""

import pytest

from scanned import given, mask, scanned, told
from segrecord.checks.mask_checks import foregrounds, mapped
from segrecord.checks.mask_values import Reading
from segrecord.images.mask import ValueMap
from segrecord.options import IGNORE

BINARY = Reading(ValueMap(((0, 0), (255, 1)), 1), ("background", "foreground"), ())
IDS = Reading(ValueMap(tuple((n, n) for n in (0, 1, 2, IGNORE)), 1), ("class 0",) * 3, ())


def covered(*counts, reading=BINARY, **facts):
    """The findings on samples of one mask each."""
    rows = [{"masks": [mask(own, **facts)]} for own in counts]
    return told(foregrounds(given(*scanned(*rows), reading=reading)))


def test_a_mask_without_foreground_is_empty_whatever_its_background():
    assert covered({0: 64}) == [("warning", "empty-mask", "k000")]
    assert covered({0: 60, IGNORE: 4}, reading=IDS) == [("warning", "empty-mask", "k000")]
    assert covered({0: 60, 255: 4}) == []


def test_a_mask_of_nothing_but_ignore_is_empty_and_says_so():
    (found,) = foregrounds(given(*scanned({"masks": [mask({IGNORE: 64})]}), reading=IDS))
    assert (found.code, found.message) == ("empty-mask", "the mask is all ignore")
    assert found.path == "k000-mask0.png"


@pytest.mark.parametrize(("drawn", "small"), [(9, True), (10, False), (1, True)])
def test_foreground_below_a_thousandth_is_a_speck(drawn, small):
    found = covered({0: 10_000 - drawn, 255: drawn})
    assert found == [("warning", "small-mask", "k000")] * small


@pytest.mark.parametrize(("drawn", "full"), [(99, False), (100, True)])
def test_foreground_over_99_per_cent_is_full(drawn, full):
    counts = {value: n for value, n in {0: 100 - drawn, 255: drawn}.items() if n}
    assert covered(counts) == [("warning", "full-mask", "k000")] * full


def test_shares_are_of_the_pixels_that_are_not_ignored():
    assert covered({0: 1, 1: 999, IGNORE: 9000}, reading=IDS) == [("warning", "full-mask", "k000")]
    assert covered({0: 900, 1: 100, IGNORE: 999_000}, reading=IDS) == []


def test_all_classes_but_the_background_are_foreground():
    assert covered({0: 1, 1: 50, 2: 949}, reading=IDS) == [("warning", "full-mask", "k000")]


def test_the_background_is_the_class_that_a_map_calls_so():
    white = Reading(ValueMap(((0, 0), (255, 1)), 1, clear=1), ("lung", "background"), ())
    assert covered({255: 64}, {0: 32, 255: 32}, reading=white) == [
        ("warning", "empty-mask", "k000")
    ]


def test_values_are_read_by_a_threshold_and_bilevel_masks_by_their_white():
    threshold = Reading(ValueMap((), 1, 128), ("background", "foreground"), ())
    assert covered({0: 5, 90: 40, 127: 19}, reading=threshold) == [
        ("warning", "empty-mask", "k000")
    ]
    assert covered({0: 5, 128: 59}, reading=threshold) == []
    assert covered({0: 32, 1: 32}, kind="bilevel") == []
    assert covered({0: 64}, kind="bilevel") == [("warning", "empty-mask", "k000")]


def test_the_parts_of_a_mask_count_together_and_no_pixel_twice():
    empty, half, other = mask({0: 64}), mask({0: 32, 255: 32}), mask({0: 31, 255: 33})
    samples, facts = scanned(
        {"masks": [empty, half]}, {"masks": [half, other]}, {"masks": [empty] * 2}
    )
    assert told(foregrounds(given(samples, facts, reading=BINARY))) == [
        ("warning", "empty-mask", "k002"),
        ("warning", "full-mask", "k001"),
    ]


def test_the_share_is_told_in_per_cent():
    (found,) = foregrounds(given(*scanned({"masks": [mask({0: 9_995, 255: 5})]}), reading=BINARY))
    assert found.message == "5 of 10,000 pixels of the mask are foreground, 0.05 %"


def test_masks_with_unread_parts_are_not_judged():
    rows = [{"masks": [mask({0: 64}), mask(None)]}, {"masks": [mask(None)]}, {"masks": []}]
    assert told(foregrounds(given(*scanned(*rows), reading=BINARY))) == []


def test_where_most_masks_are_full_the_set_has_no_background_and_that_is_told_once():
    full, half = {255: 64}, {0: 32, 255: 32}
    assert covered(*[full] * 21, *[half] * 20) == [("warning", "full-mask", "")]
    assert len(covered(*[full] * 21, *[half] * 21)) == 21
    assert len(covered(*[full] * 20)) == 20


def reads(reading, **facts):
    (found,) = mapped(given(*scanned({"masks": [mask({0: 64}, **facts)]}), reading=reading))
    assert (found.level, found.code, found.key, found.path) == ("info", "mask-mapped", "", "")
    return found.message.removeprefix("the masks' values are read so: ")


def test_how_values_are_read_is_told_with_names_and_ids():
    named = Reading(ValueMap(((0, 0), (127, IGNORE), (255, 1)), 1), ("background", "lung"), ())
    assert reads(named) == "0 as background (0), 127 as ignore, 255 as lung (1)"


def test_how_values_are_read_is_told_for_thresholds_and_1_bit_masks():
    threshold = Reading(ValueMap((), 1, 128), ("background", "foreground"), ())
    assert reads(threshold) == (
        "values from 128 on as foreground (1), lower ones as background (0)"
    )
    assert reads(BINARY, kind="bilevel").endswith(", white of 1-bit masks as foreground (1)")


def test_many_values_are_told_by_the_first_of_them():
    many = Reading(ValueMap(tuple((n, n) for n in range(20)), 1), (), ())
    assert reads(many).endswith("7 as class 7, 12 more values")
    few = many._replace(map=ValueMap(many.map.ids[:8], 1))
    assert reads(few).endswith("7 as class 7")
