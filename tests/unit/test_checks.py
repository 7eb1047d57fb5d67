"""Facts to findings: each with the input that trips it."""

import struct

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import segrecord
from make import blob, encoded, listing, picture, put, samples_of, saved
from scanned import given, mask, scanned
from segrecord.catalogue import CODES
from segrecord.checks import registry
from segrecord.checks.class_checks import divided_groups
from segrecord.checks.image_checks import shared_files, unread_parts
from segrecord.checks.mask_checks import mask_sizes, resized_pictures
from segrecord.checks.mask_values import Reading
from segrecord.executors import InlineEngine
from segrecord.images import png
from segrecord.images.mask import ValueMap
from segrecord.options import Options
from segrecord.scanning import facts
from segrecord.scanning.checkpoint import KeptScan
from segrecord.tables import FACTS, SAMPLES


@pytest.fixture
def check(tmp_path):
    """Scans rows of (key, image bytes, mask bytes, ...) and gives the findings."""

    def run(*rows, splits=None, **options):
        chosen = Options.of(**options)
        table = []
        for number, (key, image, *masks) in enumerate(rows):
            paths = [
                str(put(tmp_path / f"{key}-{part}{_ending(data)}", data))
                for part, data in enumerate((image, *masks))
            ]
            split = splits[number] if splits else None
            table.append((key, paths[0], tuple(paths[1:]), (), f"patient {key}", split))
        samples = samples_of(table)
        kept = KeptScan(tmp_path / "scan", None)
        with InlineEngine() as engine:
            found = facts.scan(
                samples, engine, chosen.checks.checks, kept, kept.earlier(), lambda _: None
            )
        kept.close()
        return registry.run("files", given(samples, found, **options))

    return run


def _ending(data):
    return ".jpg" if data[:2] == b"\xff\xd8" else ".png"


IMAGE = png.encode(picture(0))
MASK = png.encode(blob(0))


def codes(findings):
    return [(finding.level, finding.code, finding.key) for finding in findings]


def test_sound_pairs_give_no_finding(check):
    assert check(("a", IMAGE, MASK), ("b", IMAGE)) == []


def test_a_broken_image_and_a_broken_mask_are_both_named(check):
    found = check(("a", IMAGE[:-30], MASK), ("b", IMAGE, MASK[:-30]), ("c", b"", b""))
    assert [(f.key, f.path[-7:]) for f in found] == [
        ("a", "a-0.png"),
        ("b", "b-1.png"),
        ("c", "c-0.png"),
        ("c", "c-1.png"),
    ]
    assert all(finding.level == "error" for finding in found)


def test_a_mask_of_another_size_is_an_error_until_resizing_is_asked_for(check):
    rows = ("a", png.encode(picture(0, 16, 12)), MASK)
    found = check(rows)
    assert codes(found) == [("error", "size-mismatch", "a")]
    assert found[0].message == "the mask is 8x6 (height x width), its image 16x12"
    assert "--mask-fit resize" in found[0].fix
    (told,) = check(rows, mask_fit="resize")
    assert (told.level, told.code, told.key) == ("info", "mask-resized", "")
    assert "one mask is resized" in told.message
    assert "1 of 8x6 to 16x12 (height x width)" in told.message


def test_another_aspect_ratio_is_an_error_of_its_own_even_when_resizing(check):
    rows = [(key, png.encode(picture(at, 16, 16)), MASK) for at, key in enumerate("ab")]
    for fit in ("error", "resize"):
        found = check(*rows, mask_fit=fit)
        assert codes(found) == [("error", "aspect-mismatch", key) for key in "ab"]
        assert "--mask-fit resize-any" in found[0].fix
    (told,) = check(*rows, mask_fit="resize-any")
    assert told.code == "mask-resized"
    assert "2 masks are resized" in told.message
    assert "2 of 8x6 to 16x16" in told.message


def pairs(*sizes):
    """A row of facts for each (mask size, image size)."""
    return [
        {
            "height": image[0],
            "width": image[1],
            "stored_height": image[0],
            "stored_width": image[1],
            "masks": [mask({0: 1, 255: 1}, *size)],
        }
        for size, image in sizes
    ]


@pytest.mark.parametrize(
    ("others", "odd"),
    [
        ([((60, 80), (60, 80))] * 4, ((60, 60), (60, 80))),
        ([((60, 80), (32, 32)), ((90, 120), (64, 64)), ((61, 80), (48, 48))], ((60, 90), (64, 64))),
        ([], ((60, 60), (60, 80))),  # one pair shows no habit
        ([((60, 80), (60, 60)), ((90, 60), (50, 60))], ((60, 70), (60, 60))),  # nor do these
    ],
)
def test_a_pair_that_differs_otherwise_than_most_is_named_and_never_told_to_be_squashed(
    others, odd
):
    table = scanned(*pairs(*others, odd))
    key = f"k{len(others):03d}"
    for fit in ("error", "resize"):
        (error,) = [f for f in mask_sizes(given(*table, mask_fit=fit)) if f.key == key]
        assert error.code == "aspect-mismatch"
        assert "resize-any" not in error.fix
        assert "--on-error quarantine" in error.fix
    (warning,) = [f for f in mask_sizes(given(*table, mask_fit="resize-any")) if f.key == key]
    assert (warning.level, warning.code) == ("warning", "mask-stretched")


def test_pairs_that_all_differ_alike_are_no_warning_but_one_line_with_their_sizes():
    sizes = [((60, 80), (32, 32))] * 3 + [((90, 120), (64, 64))] * 2
    sizes += [((30 * n, 40 * n), (64, 64)) for n in range(4, 8)] + [((64, 64), (64, 64))]
    (told,) = mask_sizes(given(*scanned(*pairs(*sizes)), mask_fit="resize-any"))
    assert told.code == "mask-resized"
    assert told.message == (
        "9 masks are resized to the size of the image (nearest neighbour), as --mask-fit "
        "resize-any asks: 3 of 60x80 to 32x32, 2 of 90x120 to 64x64, 1 of 120x160 to 64x64, "
        "3 of 3 other sizes (height x width)"
    )


def test_what_size_does_to_the_pictures_is_counted():
    rows = pairs(*[((60, 80), (60, 80))] * 2, ((64, 64), (64, 64)), ((32, 32), (32, 32)))
    (told,) = resized_pictures(given(*scanned(*rows), size="32x32"))
    assert (told.level, told.code) == ("info", "resized")
    assert told.message == (
        "3 pictures are resized (antialiased), with the masks (nearest neighbour), as --size asks: "
        "2 of 60x80 to 32x32, 1 of 64x64 to 32x32 (height x width); the aspect ratio changes in "
        "2 of them"
    )
    assert not list(resized_pictures(given(*scanned(*pairs(((8, 8), (32, 32)))), size="32x32")))


def turned(pixels):
    """A JPEG of these pixels that EXIF turns by 90 degrees: seen, height and width are swapped."""
    tag = Image.Exif()
    tag[0x0112] = 6
    return saved(Image.fromarray(pixels), "JPEG", exif=tag)


@pytest.mark.parametrize("fit", ["error", "resize", "resize-any"])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_of_the_image_before_exif_turns_it_is_never_squashed_to_fit(check, fit, scale):
    lying = png.encode(blob(0, 8 * scale, 16 * scale))
    found = check(("a", turned(picture(0, 8, 16)), lying), mask_fit=fit)
    assert codes(found)[0] == ("error", "mask-not-turned", "a")
    assert "--mask-fit" not in found[0].fix


@pytest.mark.parametrize("fit", ["resize", "resize-any"])
def test_a_mask_of_the_image_as_exif_turns_it_fits_it(check, fit):
    upright = png.encode(blob(0, 32, 16))
    found = check(("a", turned(picture(0, 8, 16)), upright), mask_fit=fit)
    assert codes(found) == [("info", "mask-resized", ""), ("info", "re-encoded", "a")]


@pytest.mark.parametrize(
    ("orientation", "stored", "mask_size", "expected"),
    [
        # 90 degrees: the size tells.
        (6, (8, 16), (16, 8), []),
        (6, (8, 16), (8, 16), ["mask-not-turned"]),
        (5, (8, 16), (32, 64), ["mask-not-turned"]),
        (8, (8, 16), (9, 64), ["aspect-mismatch"]),
        (7, (8, 16), (64, 32), ["size-mismatch"]),
        # Almost square: an equal size tells more than an aspect ratio within 1 %.
        (6, (300, 301), (301, 300), []),
        (6, (300, 301), (300, 301), ["mask-not-turned"]),
        (6, (300, 301), (600, 601), ["mask-maybe-turned", "size-mismatch"]),
        # Square, 180 degrees or mirrored: it cannot.
        (6, (8, 8), (8, 8), ["mask-maybe-turned"]),
        (3, (8, 16), (8, 16), ["mask-maybe-turned"]),
        (2, (8, 16), (8, 16), ["mask-maybe-turned"]),
        (3, (8, 16), (16, 8), ["aspect-mismatch"]),
        (1, (8, 8), (8, 8), []),
        (1, (8, 16), (16, 8), ["aspect-mismatch"]),
    ],
)
def test_the_size_of_a_mask_tells_whether_it_was_turned(orientation, stored, mask_size, expected):
    seen = stored[::-1] if orientation >= 5 else stored
    row = {"orientation": orientation, "height": seen[0], "width": seen[1]}
    row |= {"stored_height": stored[0], "stored_width": stored[1]}
    row["masks"] = [mask({0: 1, 255: 1}, *mask_size)]
    found = list(mask_sizes(given(*scanned({}, row, {}))))
    assert [(finding.code, finding.key) for finding in found] == [(c, "k001") for c in expected]
    assert [finding.level for finding in found if "maybe" in finding.code] == ["warning"] * (
        "mask-maybe-turned" in expected
    )


def test_a_doubt_about_several_parts_is_told_once_and_unread_files_are_passed_over():
    both = [mask({0: 1}), mask({255: 1})]
    rows = [
        {"orientation": 3, "masks": both},
        {"orientation": 3, "masks": [mask(None)]},
        {"orientation": None, "height": None, "width": None, "masks": both},
    ]
    assert codes(mask_sizes(given(*scanned(*rows)))) == [("warning", "mask-maybe-turned", "k000")]


def test_a_file_that_several_samples_name_is_told_once_with_their_keys():
    rows = [
        *[(f"k{number}", f"{number}.png", ("black.png",)) for number in range(7)],
        ("p", "same.png", ("m1.png", "m1.png")),
        ("q", "same.png", ("m2.png",)),
        ("r", "r.png", ("p.png",)),
        ("s", "p.png"),
    ]
    found = list(shared_files(given(samples_of(rows))))
    assert [(f.level, f.code, f.key, f.path) for f in found] == [
        ("warning", "shared-file", "k0", "black.png"),
        ("warning", "shared-file", "r", "p.png"),
        ("warning", "shared-file", "p", "same.png"),
    ]
    assert found[0].message == "7 samples name this file: 'k0', 'k1', 'k2', 'k3', 'k4' and 2 more"
    assert found[2].message == "2 samples name this file: 'p', 'q'"


def test_five_samples_that_name_a_file_are_all_listed():
    (found,) = shared_files(given(samples_of([(f"k{n}", "a.png") for n in range(5)])))
    assert found.message == "5 samples name this file: 'k0', 'k1', 'k2', 'k3', 'k4'"


@pytest.mark.usefixtures("inline")
def test_a_mask_that_a_listing_gives_to_two_images_is_told(tmp_path):
    for number in range(2):
        put(tmp_path / f"{number}.png", png.encode(picture(number)))
    put(tmp_path / "m.png", MASK)
    rows = ["0.png,m.png,a,p", "1.png,m.png,b,q"]
    table = listing(tmp_path / "index.csv", rows, "image,mask,class,patient")
    found = segrecord.scan(table, group_column="patient").findings
    assert codes(found) == [("warning", "shared-file", "0"), ("info", "mask-mapped", "")]


def test_masks_of_one_image_must_have_one_size(check):
    small = png.encode(blob(0, 16, 12))
    found = check(("a", IMAGE, MASK, small), mask_fit="resize-any")
    assert codes(found) == [("error", "mask-parts-size", "a")]
    assert found[0].path.endswith("a-2.png")


def test_an_unreadable_part_does_not_count_as_another_size(check):
    found = check(("a", png.encode(picture(0, 16, 12)), MASK, MASK[:-30]))
    assert ("error", "size-mismatch", "a") in codes(found)
    assert "mask-parts-size" not in {finding.code for finding in found}


def test_an_image_that_is_re_encoded_or_trimmed_is_told_with_its_path_and_reason(check):
    palette = encoded(picture(0), mode="P")
    found = check(("a", palette), ("b", IMAGE + b"junk"))
    assert codes(found) == [("info", "re-encoded", "a"), ("info", "trimmed", "b")]
    assert found[0].message == "palette: is stored losslessly as PNG"
    assert found[1].path.endswith("b-0.png")


def transparent(pixels, rows):
    """An RGBA PNG of these pixels (H, W, 3), so many rows of it transparent."""
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    alpha[:rows] = 0
    return png.encode(np.concatenate([pixels, alpha], axis=2))


def test_transparent_pixels_are_a_warning_and_an_info_where_they_are_few(check):
    wide = picture(0, 200, 150)
    files = [("a", transparent(wide, 2)), ("b", transparent(wide, 3)), ("c", transparent(wide, 0))]
    found = check(*files, ("d", IMAGE))
    assert codes(found) == [
        ("info", "alpha-channel", ""),
        ("info", "alpha-channel", "a"),
        ("warning", "transparent-pixels", "b"),
    ]
    assert found[0].message.startswith("1 image has an alpha channel that is opaque everywhere")
    assert found[1].message.startswith("300 of its pixels, 1 %, are transparent")
    assert found[2].message == (
        "450 of its pixels, 1.5 %, are transparent: what is read is the colours under them"
    )
    assert found[2].path.endswith("b-0.png")


@pytest.mark.parametrize("level", ["basic", "none"])
def test_checks_that_decode_no_png_say_that_alpha_is_not_read(check, level):
    rgba = transparent(picture(0), 4)
    found = check(("a", rgba), ("b", IMAGE), checks=level)
    assert codes(found) == [("info", "alpha-channel", "a")]
    assert "--checks full" in found[0].fix


def test_a_full_scan_is_told_as_a_basic_one_would_be_where_that_was_asked_for(check):
    rgba = transparent(picture(0), 4)
    assert codes(check(("a", rgba))) == [("warning", "transparent-pixels", "a")]
    assert codes(check(("a", rgba), checks="basic")) == [("info", "alpha-channel", "a")]


def tiff(meaning):
    """A TIFF of four channels, whose ExtraSamples (tag 338) says this of the fourth."""
    data = bytearray(encoded(picture(0, channels=4), "TIFF"))
    at = data.index(struct.pack("<HHI", 338, 3, 1)) + 8
    data[at : at + 2] = struct.pack("<H", meaning)
    return bytes(data)


def test_a_channel_that_nobody_reads_is_a_warning_and_of_a_mask_an_error(check):
    found = check(("a", tiff(0)))
    assert ("warning", "unread-channel", "a") in codes(found)
    found = check(("b", png.encode(picture(0)), tiff(0)))
    assert ("error", "mask-alpha", "b") in codes(found)


def test_colours_that_alpha_multiplied_are_told_as_read_divided(check):
    (found,) = [one for one in check(("a", tiff(1))) if one.code == "transparent-pixels"]
    assert found.message.endswith("divided by the alpha they are stored multiplied by")


def test_a_wrong_extension_of_image_or_mask_is_a_warning_that_says_what_it_is(check, tmp_path):
    path = str(put(tmp_path / "x.jpg", IMAGE))
    mask = str(put(tmp_path / "y.bmp", MASK))
    samples = samples_of([("x", path, (mask,), (), "patient")])
    kept = KeptScan(tmp_path / "scan", None)
    with InlineEngine() as engine:
        found = facts.scan(samples, engine, "full", kept, kept.earlier(), lambda _: None)
    kept.close()
    warned = registry.run("files", given(samples, found))
    assert codes(warned) == [("warning", "wrong-extension", "x")] * 2
    assert [finding.path for finding in warned] == [path, mask]
    assert "holds png" in warned[0].message


def test_a_sample_without_a_split_among_samples_with_one_is_an_error(check):
    found = check(("a", IMAGE), ("b", IMAGE), splits=["train", None])
    assert codes(found) == [("error", "no-split", "b")]
    assert check(("a", IMAGE), splits=["val"]) == []


def test_a_group_in_two_splits_of_the_source_is_an_error():
    rows = [
        ("a", "a.png", (), (), "p1", "train"),
        ("b", "b.png", (), (), "p1", "test"),
        ("c", "c.png", (), (), "p2", "test"),
        ("d", "d.png", (), (), None, "train"),
    ]
    found = list(divided_groups(given(samples_of(rows))))
    assert codes(found) == [("error", "divided-group", "a"), ("error", "divided-group", "b")]
    assert "group 'p1'" in found[0].message
    assert list(divided_groups(given(samples_of(rows[1:])))) == []
    unsplit = [(*row[:5], None) for row in rows]
    assert list(divided_groups(given(samples_of(unsplit)))) == []


@pytest.mark.parametrize(
    "change", [{"frame": 2}, {"value": 3}, {"top": 1}, {"left": 1}, {"encoding": "rle"}]
)
def test_what_the_table_can_say_and_nothing_reads_is_refused(change):
    sound = samples_of([("a", "a.png", ("m.png",)), ("b", "b.png")])
    assert list(unread_parts(given(sound))) == []
    rows = sound.to_pylist()
    rows[0] |= {name: value for name, value in change.items() if name == "frame"}
    rows[0]["mask"][0] |= {name: value for name, value in change.items() if name != "frame"}
    found = list(unread_parts(given(pa.Table.from_pylist(rows, sound.schema))))
    assert codes(found) == [("error", "unsupported-part", "a")]


def test_a_missing_mask_is_an_error_where_that_was_asked_for(check):
    rows = (("a", IMAGE, MASK), ("b", IMAGE))
    assert codes(check(*rows, missing_mask="error")) == [("error", "missing-mask", "b")]
    assert check(*rows) == []


def test_16_bit_images_are_refused_by_name(check):
    import numpy as np
    from PIL import Image

    from make import saved

    deep = saved(Image.fromarray(np.arange(48, dtype=np.uint16).reshape(8, 6) * 900))
    found = check(("a", deep))
    assert codes(found) == [("error", "sixteen-bit", "a")]


def test_no_masks_at_all_are_no_finding(check):
    assert check(("a", IMAGE), ("b", IMAGE)) == []


READING = Reading(ValueMap(((0, 0), (255, 1)), 1), ("background", "foreground"), ())
KEPT_IN_BASIC = {"key", "checks", "problems", "masks", "image_handling", "orientation"}


def everything(samples, facts_table):
    """The findings of all checks."""
    return [
        *registry.run("files", given(samples, facts_table)),
        *registry.run("masks", given(samples, facts_table, reading=READING)),
        *registry.run("splits", given(samples, splits=["train"] * len(samples))),
    ]


def test_every_code_of_the_tables_is_in_the_catalogue_and_has_its_level():
    named = [code for check in registry.CHECKS for code in check.codes]
    assert len(set(named)) == len(named)
    assert set(named) <= set(CODES)


def test_checks_give_only_the_codes_that_the_table_says(check):
    samples, table = scanned(*BAD)
    splits = ["train"] * len(samples)
    of = given(samples, table, reading=READING, splits=splits, names=["train", "val"])
    seen = set()
    for one in registry.CHECKS:
        found = {finding.code for finding in one.findings(of)}
        assert found <= set(one.codes) or not one.codes
        seen |= found
        for finding in one.findings(of):
            assert finding.level == CODES[finding.code].level
    assert len(seen) > 12


BAD = [
    {"masks": [mask({0: 64})], "metadata": ["XMP"], "std": [0.0], "image": "a.png"},
    {"masks": [mask({255: 64})], "orientation": 3, "width": 90, "image": "a_old.png"},
    {"masks": [mask({0: 64}), mask({0: 63, 255: 1}, 16, 4)], "image": "a_old.png"},
    {"masks": [mask({0: 64}, 16, 16)], "image_handling": "encode", "image_reason": "palette"},
    {"masks": [mask({0: 60, 255: 4}, 16, 4)], "image_format": "jpeg", "image_handling": "trim"},
    *[{}] * 30,
]


def test_checks_say_nothing_of_what_was_not_looked_at():
    rows = [{"group": "p", "labels": (str(number % 2),)} for number in range(40)]
    samples, full = scanned(*(row | {"masks": [mask(None)]} for row in rows))
    for kept in (KEPT_IN_BASIC, {"key", "checks", "problems", "masks"}):
        nulls = [
            full[name] if name in kept else pa.nulls(len(full), FACTS.field(name).type)
            for name in FACTS.names
        ]
        found = everything(samples, pa.table(nulls, FACTS))
        assert [finding.code for finding in found] == ["mask-mapped"]


def test_checks_take_empty_tables_in_any_number_of_chunks():
    for samples in (SAMPLES.empty_table(), pa.Table.from_batches([], SAMPLES)):
        for table in (FACTS.empty_table(), pa.Table.from_batches([], FACTS)):
            assert [finding.code for finding in everything(samples, table)] == ["mask-mapped"]


def test_checks_say_the_same_of_a_table_in_many_chunks():
    samples, table = scanned(*BAD)
    pieces = pa.concat_tables([table.slice(at, 3) for at in range(0, len(table), 3)])
    halves = pa.concat_tables([samples[:7], samples[7:]])
    assert everything(halves, pieces) == everything(samples, table)
