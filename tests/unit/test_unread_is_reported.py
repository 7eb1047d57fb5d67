"""What was not looked at is said, and what a newcomer is told to do is what helps."""

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import blob, listing, png, put
from segrecord.errors import DataError

pytestmark = pytest.mark.usefixtures("inline")


def clouds(number, size=48):
    """Distinct pictures: smooth fields, of which none is nearly another."""
    coarse = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def source(folder, pictures, rows):
    """A listing of these rows, and the pictures by name."""
    for name, number in pictures.items():
        put(folder / f"{name}.png", png.encode(clouds(number), photo=True))
        put(folder / f"{name}m.png", png.encode(blob(number, 48, 48)))
    return listing(folder / "set.csv", rows, "image,mask,class,patient")


def found(findings, code):
    return [finding for finding in findings if finding.code == code]


@pytest.mark.parametrize("checks", ["basic", "none"])
def test_a_build_that_compares_no_pictures_says_so(tmp_path, checks):
    path = source(tmp_path / "in", {"a": 1, "b": 1}, ["a.png,am.png,x,p", "b.png,bm.png,x,q"])
    with_ids = {"mask_map": {0: "background", 255: "lesion"}} if checks == "basic" else {}
    built = segrecord.build(path, tmp_path / "out", checks=checks, **with_ids)
    assert any("copies" in text for text in built.manifest.not_checked)
    assert "copies" in (built.path / "README.md").read_text()


def test_unchecked_files_that_cannot_be_copied_are_not_said_to_have_changed(tmp_path):
    path = source(tmp_path / "in", {"a": 1}, ["a.png,am.png,x,p"])
    image = tmp_path / "in" / "a.png"
    image.write_bytes(image.read_bytes()[:-20])
    with pytest.raises(DataError, match="not what their headers say") as raised:
        segrecord.build(path, tmp_path / "out", checks="none")
    assert "changed" not in str(raised.value)


def test_more_splits_than_groups_are_not_mended_by_larger_shares(tmp_path):
    rows = [f"a{n}.png,a{n}m.png,x,p{n % 3}" for n in range(6)]
    path = source(tmp_path / "in", {f"a{n}": n for n in range(6)}, rows)
    (finding, _) = found(
        segrecord.scan(path, folds=5, group_column="patient").findings, "empty-split"
    )
    assert "3 groups for 5 splits" in finding.message
    assert "fewer splits" in finding.fix
    assert "share" not in finding.fix


def test_a_near_copy_with_another_class_is_told_with_both_classes(tmp_path):
    rows = [f"{name}.png,,{label}," for name, label in (("a", "x"), ("b", "y"), ("c", "x"))]
    path = source(tmp_path / "in", {"a": 1, "b": 2, "c": 3}, rows)
    for name in "bc":
        half = Image.fromarray(clouds(1)).resize((24, 24) if name == "b" else (36, 36))
        half.save(tmp_path / "in" / f"{name}.png")
    told = {f.key: f.message for f in found(segrecord.scan(path).findings, "near-duplicate")}
    assert "'y'" in told["b"]
    assert "label" not in told["c"].split("'a'")[1].split("'b'")[0]


def test_patients_tied_by_a_copy_stay_together_when_the_copy_is_left_out(tmp_path):
    pictures, rows = {}, []
    for pair in range(8):
        for patient in "pq":
            for number in range(3):
                name = f"{patient}{pair}{number}"
                pictures[name] = 1000 + pair if not number else 8 * len(pictures)
                rows.append(f"{name}.png,,x,{patient}{pair}")
    path = source(tmp_path / "in", pictures, rows)
    built = segrecord.build(
        path,
        tmp_path / "out",
        group_column="patient",
        split="train=0.5,test=0.5",
        keep_duplicates="one",
    )
    records = segrecord.open(built.path).records
    assert len(records) == len(rows) - 8
    sides = {}
    for group, split in zip(
        records["group"].to_pylist(), records["split"].to_pylist(), strict=True
    ):
        sides.setdefault(group[1:], set()).add(split)
    assert {len(side) for side in sides.values()} == {1}


def test_an_error_that_leaving_copies_out_brings_stops_the_build(tmp_path):
    rows = [f"a{n}.png,,{'x' if n < 20 else 'y'}," for n in range(22)]
    pictures = {f"a{n}": min(n, 20) for n in range(22)}  # both of class y are one picture
    path = source(tmp_path / "in", pictures, rows)
    segrecord.build(path, tmp_path / "all", error="class-ratio")
    with pytest.raises(DataError, match="copies"):
        segrecord.build(path, tmp_path / "one", error="class-ratio", keep_duplicates="one")


def test_few_groups_in_folds_are_told_in_order_and_not_mended_by_folds(tmp_path):
    rows = [f"a{n}.png,a{n}m.png,x,p{n}" for n in range(7)]
    path = source(tmp_path / "in", {f"a{n}": n for n in range(7)}, rows)
    (finding,) = found(segrecord.scan(path, folds=3, group_column="patient").findings, "few-groups")
    folds = [finding.message.index(f"'fold{number}'") for number in range(3)]  # each is held out
    assert folds == sorted(folds)
    assert "fewer folds" in finding.fix
    assert "--folds K" not in finding.fix
