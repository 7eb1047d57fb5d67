"""Facts to findings: each with the input that trips it."""

import pyarrow as pa
import pytest

from make import blob, encoded, picture, put, samples_of
from segrecord.engines import InlineEngine
from segrecord.options import Options
from segrecord.pixels import png
from segrecord.quality import checks, facts
from segrecord.quality.kept import KeptScan


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
            table.append((key, paths[0], tuple(paths[1:]), (), None, split))
        samples = samples_of(table)
        kept = KeptScan(tmp_path / "scan", None)
        with InlineEngine() as engine:
            found = facts.scan(
                samples, engine, chosen.checks.checks, kept, kept.earlier(), lambda _: None
            )
        kept.close()
        return checks.check(samples, found, chosen)

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
    assert check(rows, mask_fit="resize") == []


def test_another_aspect_ratio_is_an_error_of_its_own_even_when_resizing(check):
    rows = ("a", png.encode(picture(0, 16, 16)), MASK)
    for fit in ("error", "resize"):
        found = check(rows, mask_fit=fit)
        assert codes(found) == [("error", "aspect-mismatch", "a")]
        assert "--mask-fit resize-any" in found[0].fix
    assert check(rows, mask_fit="resize-any") == []


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


def test_a_wrong_extension_of_image_or_mask_is_a_warning_that_says_what_it_is(check, tmp_path):
    path = str(put(tmp_path / "x.jpg", IMAGE))
    mask = str(put(tmp_path / "y.bmp", MASK))
    samples = samples_of([("x", path, (mask,))])
    kept = KeptScan(tmp_path / "scan", None)
    with InlineEngine() as engine:
        found = facts.scan(samples, engine, "full", kept, kept.earlier(), lambda _: None)
    kept.close()
    warned = checks.check(samples, found, Options())
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
    found = list(checks.divided_groups(samples_of(rows)))
    assert codes(found) == [("error", "divided-group", "a"), ("error", "divided-group", "b")]
    assert "group 'p1'" in found[0].message
    assert list(checks.divided_groups(samples_of(rows[1:]))) == []
    unsplit = [(*row[:5], None) for row in rows]
    assert list(checks.divided_groups(samples_of(unsplit))) == []


@pytest.mark.parametrize(
    "change", [{"frame": 2}, {"value": 3}, {"top": 1}, {"left": 1}, {"encoding": "rle"}]
)
def test_what_the_table_can_say_and_nothing_reads_is_refused(change):
    sound = samples_of([("a", "a.png", ("m.png",)), ("b", "b.png")])
    assert list(checks.parts(sound)) == []
    rows = sound.to_pylist()
    rows[0] |= {name: value for name, value in change.items() if name == "frame"}
    rows[0]["mask"][0] |= {name: value for name, value in change.items() if name != "frame"}
    found = list(checks.parts(pa.Table.from_pylist(rows, sound.schema)))
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
