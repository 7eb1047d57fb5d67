"""What --on-error quarantine leaves out stands in quarantine.csv, files without a sample too."""

import csv
import io

import pytest
from rich.console import Console

import segrecord
from make import blob, listing, picture, put, source
from segrecord.console import messages
from segrecord.images import png

pytestmark = pytest.mark.usefixtures("inline")


def quarantined(folder):
    with (folder / "quarantine.csv").open() as file:
        return [(row["key"], row["path"], row["code"]) for row in csv.DictReader(file)]


def test_a_mask_without_an_image_is_left_out_and_listed(tmp_path):
    place = source(tmp_path / "src", 4)
    put(place / "a" / "masks" / "orphan.png", png.encode(blob(9)))
    with pytest.raises(segrecord.DataError) as caught:
        segrecord.build(place, tmp_path / "out")
    (orphan,) = (it for it in caught.value.findings if it.code == "mask-without-image")
    assert "--on-error quarantine" in orphan.fix
    built = segrecord.build(place, tmp_path / "out", on_error="quarantine")
    assert (built.manifest.samples, built.manifest.quarantined) == (4, 0)
    assert quarantined(tmp_path / "out") == [("", "a/masks/orphan.png", "mask-without-image")]
    console = Console(file=io.StringIO(), width=200)
    messages.print_manifest(console, built.manifest, "out", 1.0)
    assert "masks without an image, left out: 1 (quarantine.csv lists them)" in (
        console.file.getvalue()
    )
    assert not segrecord.verify(tmp_path / "out", source=place).problems


def test_a_row_without_an_image_is_listed_beside_a_broken_sample(tmp_path):
    place = source(tmp_path, 4, masks=False)
    (place / "a" / "images" / "0.png").write_bytes(b"")
    rows = [f"a/images/{n}.png,a" for n in (0, 2)] + [f"b/images/{n}.png,b" for n in (1, 3)]
    table = listing(place / "set.csv", [*rows, ",a"], "image,class")
    segrecord.build(table, tmp_path / "out", on_error="quarantine")
    assert sorted(quarantined(tmp_path / "out")) == [
        ("", "set.csv row 6", "missing-image"),
        ("a/images/0", "a/images/0.png", "empty-file"),
    ]


def test_a_sample_without_a_class_is_told_once_with_one_advice(tmp_path):
    for n in range(3):
        put(tmp_path / "src" / f"{n}.png", png.encode(picture(n)))
    table = listing(
        tmp_path / "t.csv", ["0,1.0,0.0", "1,0.0,1.0", "2,0.0,0.0"], "image_id,melanoma,keratosis"
    )
    with pytest.raises(segrecord.DataError) as caught:
        segrecord.build(tmp_path / "src", tmp_path / "out", metadata=table)
    errors = [(it.code, it.key) for it in caught.value.findings if it.level == "error"]
    assert errors == [("no-class", "2")]


def test_what_is_passed_over_is_named_in_its_finding(tmp_path):
    place = source(tmp_path / "src", 4)
    (place / "notes.txt").write_text("")
    built = segrecord.build(place, tmp_path / "out")
    (found,) = (it for it in built.findings if it.code == "skipped-files")
    assert found.message == "1 x other files: not taken (notes.txt)"
