"""What the masks' values mean: the decision table."""

import numpy as np
import pytest
from PIL import Image

from make import encoded, picture
from segrecord.checks.mask_values import MaskValues, decide
from segrecord.images import mask
from segrecord.options import Options


def found(name, values, kind="grey", edge_share=None):
    """A mask of these values with their pixel counts."""
    return MaskValues(name, f"{name}.png", kind, tuple(values), tuple(values.values()), edge_share)


def scanned(name, plane):
    """The mask as the scan would find it."""
    read = mask.read(encoded(plane))
    values, counts = mask.count_values(read)
    return MaskValues(
        name, f"{name}.png", read.kind, tuple(values), tuple(counts), mask.edge_share(read)
    )


def reading(masks, **options):
    return decide(masks, Options.of(**options).pixels)


def codes(result):
    return [(finding.level, finding.code, finding.key) for finding in result.findings]


TWO = found("two", {0: 90, 255: 10})
IDS = found("ids", {0: 50, 1: 30, 2: 20})
PALETTE = found("voc", {0: 50, 15: 30, 255: 20}, "palette")
ONE_BIT = found("bit", {0: 60, 1: 40}, "bilevel")
EXTRA = found("extra", {0: 600, 127: 2, 255: 398}, edge_share=0.0)


@pytest.mark.parametrize(
    ("masks", "ids", "classes"),
    [
        ([TWO], {0: 0, 255: 1}, ("background", "foreground")),
        ([found("black", {0: 9})], {0: 0, 255: 1}, ("background", "foreground")),
        ([found("white", {255: 9})], {0: 0, 255: 1}, ("background", "foreground")),
        ([found("one", {0: 5, 1: 4})], {0: 0, 1: 1}, ("class 0", "class 1")),
        ([found("v", {0: 5, 1: 4, 255: 2})], {0: 0, 1: 1, 255: 255}, ("class 0", "class 1")),
        ([IDS], {0: 0, 1: 1, 2: 2}, ("class 0", "class 1", "class 2")),
        ([found("late", {0: 5, 3: 4})], {0: 0, 3: 3}, tuple(f"class {n}" for n in range(4))),
        ([found("only", {2: 5})], {2: 2}, ("class 0", "class 1", "class 2")),
        ([PALETTE], {0: 0, 15: 15, 255: 255}, tuple(f"class {n}" for n in range(16))),
        (
            [found("big", {0: 5, 200: 5}, "palette")],
            {0: 0, 200: 200},
            tuple(f"class {n}" for n in range(201)),
        ),
        ([ONE_BIT], {0: 0, 255: 1}, ("background", "foreground")),
        ([ONE_BIT, TWO], {0: 0, 255: 1}, ("background", "foreground")),
        ([ONE_BIT, IDS], {0: 0, 1: 1, 2: 2}, ("class 0", "class 1", "class 2")),
        ([ONE_BIT, found("void", {0: 3, 255: 2}, "palette")], {0: 0, 255: 1}, None),
    ],
)
def test_values_are_understood_from_all_masks_together(masks, ids, classes):
    result = reading(masks)
    assert dict(result.map.ids) == ids
    assert result.map.white == 1
    assert classes in {None, result.classes}
    assert not result.findings


def test_255_is_ignore_as_soon_as_any_other_mask_holds_ids_and_the_two_valued_one_is_named():
    result = reading([IDS, TWO])
    assert dict(result.map.ids) == {0: 0, 1: 1, 2: 2, 255: 255}
    assert codes(result) == [("warning", "mask-ignore-only", "two")]
    assert "255 is read as ignore" in result.findings[0].message
    assert "--mask-map" in result.findings[0].fix


def test_a_lone_third_grey_is_an_error_that_counts_it_and_asks_for_a_map():
    result = reading([TWO, EXTRA])
    assert codes(result) == [("error", "mask-values", "extra")]
    finding = result.findings[0]
    assert finding.path == "extra.png"
    assert "1 mask value (127)" in finding.message
    assert "2 pixels, 0.2 % of the mask" in finding.message
    assert "--mask-map 0=background,127=ignore,255=foreground" in finding.fix
    assert "--mask-threshold" not in finding.fix


def test_smoothed_edges_are_an_error_that_asks_for_a_threshold():
    rows, columns = np.ogrid[:50, :50]
    plane = np.where((rows - 24) ** 2 + (columns - 26) ** 2 < 300, 255, 0).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(plane).resize((83, 83), Image.Resampling.BILINEAR))
    result = reading([TWO, scanned("smooth", smooth)])
    assert codes(result) == [("error", "mask-values", "smooth")]
    assert result.findings[0].fix == "pass --mask-threshold 128"


def jpeg(name, plane, quality=75):
    """The mask, saved as JPEG, as the scan would find it."""
    read = mask.read(encoded(plane, "JPEG", quality=quality))
    values, counts = mask.count_values(read)
    return MaskValues(
        name, f"{name}.jpg", read.kind, tuple(values), tuple(counts), mask.edge_share(read), "jpeg"
    )


def disc(side, radius, value=255, centre=0.4):
    rows, columns = np.ogrid[:side, :side]
    inside = (rows - centre * side) ** 2 + (columns - centre * side) ** 2 < radius**2
    return np.where(inside, value, 0).astype(np.uint8)


@pytest.mark.parametrize("quality", [50, 75, 90, 95, 100])
@pytest.mark.parametrize("side", [64, 300])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_jpeg_mask_is_an_error_that_asks_for_a_threshold(quality, side, inverted):
    planes = [disc(side, side / 5), disc(side, side / 12), np.zeros((side, side), np.uint8)]
    planes = [255 - plane if inverted else plane for plane in planes]
    masks = [jpeg(f"j{at}", plane, quality) for at, plane in enumerate(planes)]
    result = reading([*masks, TWO])
    blamed = [found.key for found in masks if not set(found.values) <= {0, 255}]
    assert codes(result) == [("error", "mask-values", key) for key in blamed]
    assert {finding.fix for finding in result.findings} <= {"pass --mask-threshold 128"}
    assert blamed or quality == 100
    right = mask.ValueMap((), 1, 128)
    for plane in planes:
        read = mask.read(encoded(plane, "JPEG", quality=quality))
        assert np.array_equal(right.apply(read, right.lut()), plane // 255)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_third_class_in_jpeg_masks_is_no_case_for_the_middle_threshold(quality):
    plane = np.maximum(disc(256, 60), disc(256, 20, 127, 0.8))
    result = reading([jpeg("j", plane, quality)])
    assert codes(result) == [("error", "mask-values", "j")]
    assert "get the masks as PNG" in result.findings[0].fix
    assert "128" not in result.findings[0].fix


def test_class_ids_out_of_jpeg_masks_are_never_taken_unasked():
    plane = disc(64, 20, 3)
    result = reading([jpeg("j", plane, 90), IDS])
    assert codes(result) == [("error", "mask-values", "j")]
    assert "JPEG" in result.findings[0].message
    assert "correct this one" in result.findings[0].fix


def test_a_probability_map_is_an_error_that_names_both_ways_out():
    plane = (np.arange(64 * 64) // 16).reshape(64, 64).astype(np.uint8)
    result = reading([scanned("p", plane)])
    assert codes(result) == [("error", "mask-values", "p")]
    assert "--mask-map" in result.findings[0].fix
    assert "--mask-threshold" in result.findings[0].fix


def test_16_bit_values_above_255_are_an_error():
    result = reading([found("deep", {0: 3, 300: 4})])
    assert codes(result) == [("error", "mask-values", "deep")]


def test_one_mask_that_stands_out_among_id_masks_is_blamed_alone():
    ids = [found(f"ids {n}", {0: 50, 1: 30, 2: 20}) for n in range(5)]
    result = reading([*ids, EXTRA])
    assert codes(result) == [("error", "mask-values", "extra")]


def test_one_smoothed_mask_among_id_masks_is_blamed_alone_and_no_threshold_is_asked_for():
    ids = [found(f"ids {n}", {0: 50, 1: 30, 2: 20}) for n in range(5)]
    smooth = found("smooth", dict.fromkeys(range(0, 256, 5), 4), edge_share=0.95)
    result = reading([*ids, smooth])
    assert codes(result) == [("error", "mask-values", "smooth")]
    assert "--mask-threshold" not in result.findings[0].fix


def test_where_most_masks_are_smoothed_a_small_odd_value_is_blamed_too():
    smooth = [
        found(f"smooth {n}", dict.fromkeys(range(0, 256, 5), 4), edge_share=0.95) for n in range(3)
    ]
    small = found("small", {0: 50, 2: 1, 255: 49})
    result = reading([*smooth, small])
    assert {finding.key for finding in result.findings} == {
        "smooth 0",
        "smooth 1",
        "smooth 2",
        "small",
    }


def test_many_dense_ids_are_taken_as_ids():
    result = reading([found("nuclei", dict.fromkeys(range(41), 5))])
    assert not result.findings
    assert len(result.classes) == 41


def test_a_map_names_the_classes_in_its_order():
    result = reading([EXTRA], mask_map="0=background,255=lung,127=ignore")
    assert dict(result.map.ids) == {0: 0, 127: 255, 255: 1}
    assert result.classes == ("background", "lung")
    assert not result.findings


def test_values_off_the_map_are_an_error_with_number_values_and_file():
    result = reading([IDS, EXTRA], mask_map="0=background,255=lung")
    assert codes(result) == [("error", "mask-values", "ids"), ("error", "mask-values", "extra")]
    assert "2 mask values (1, 2), not in the mask map: 50 pixels" in result.findings[0].message
    assert result.findings[0].fix == "add them to --mask-map"


@pytest.mark.parametrize(
    ("named", "black", "white"),
    [
        ("0=bg,255=fg", 0, 1),
        ("0=bg,1=fg,255=ignore", 0, 1),
        ("255=bg,0=fg", 1, 0),
        ("0=ignore,255=fg", 255, 0),
    ],
)
def test_bilevel_black_and_white_mean_what_the_map_says_of_0_and_1_or_255(named, black, white):
    result = reading([ONE_BIT], mask_map=named)
    assert (result.map.black, result.map.white) == (black, white)
    assert not result.findings


@pytest.mark.parametrize("named", ["0=bg,7=fg", "1=fg,255=x"])
def test_a_bilevel_value_that_the_map_lacks_is_an_error(named):
    assert codes(reading([ONE_BIT], mask_map=named)) == [("error", "mask-values", "bit")]


def test_a_threshold_reads_everything_grey_and_refuses_palettes():
    result = reading([EXTRA, ONE_BIT, PALETTE], mask_threshold=128)
    assert result.map.threshold == 128
    assert result.classes == ("background", "foreground")
    assert codes(result) == [("error", "palette-threshold", "voc")]


def test_nothing_is_thresholded_unasked():
    for masks in ([TWO], [IDS], [EXTRA], [scanned("g", picture(3, 40, 40, 1))]):
        assert reading(masks).map.threshold is None


def test_a_few_stray_ids_among_0_255_masks_are_an_error_and_not_a_reading_of_255_as_ignore():
    masks = [found(f"m{n}", {0: 50, 255: 50}) for n in range(5)]
    masks.append(found("stray", {0: 50, 3: 2, 255: 48}))
    result = reading(masks)
    assert codes(result) == [("error", "mask-values", "stray")]
    assert (
        "1 mask value (3), beside 5 masks that hold only 0 and 255: 2 pixels"
        in result.findings[0].message
    )
    assert "--mask-map 0=background,3=class3,255=foreground" in result.findings[0].fix
    assert codes(reading(masks[:1] + masks[5:])) == [("warning", "mask-ignore-only", "m0")]


def test_a_share_of_all_pixels_is_written_as_a_number_of_percent():
    [finding] = reading([TWO, TWO, found("grey", {7: 3600})]).findings
    assert "3,600 pixels, 100 % of the mask" in finding.message
