"""The files that a build writes for people: the card, croissant.json and the report."""

import json

import pytest

import segrecord
from make import put, source
from segrecord.errors import UsageError

pytestmark = pytest.mark.usefixtures("inline")


def test_what_the_card_file_says_stands_in_the_card_and_in_croissant(tmp_path):
    path = put(tmp_path / "card.toml", b'name = "Drawn"\nlicence = "CC-BY-4.0"\n')
    out = segrecord.build(source(tmp_path / "src", 4), tmp_path / "out", card=path).path
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "# Drawn" in text
    assert "CC-BY-4.0" in text
    described = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert described["name"] == "Drawn"


def test_a_card_file_with_a_fault_is_refused_before_any_work(tmp_path):
    path = put(tmp_path / "card.toml", b'color = "red"\n')
    with pytest.raises(UsageError, match="color"):
        segrecord.build(source(tmp_path / "src", 4), tmp_path / "out", card=path)
    assert not (tmp_path / "out").exists()


def test_the_report_is_part_of_the_dataset_and_goes_with_it(tmp_path):
    root, out = source(tmp_path / "src", 4), tmp_path / "out"
    segrecord.build(root, out)
    assert (out / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    segrecord.build(root, out, overwrite=True, no_report=True)
    assert not (out / "report.html").exists()
    assert segrecord.verify(out).problems == ()


def test_a_report_without_thumbnails_holds_no_picture(tmp_path):
    out = segrecord.build(source(tmp_path / "src", 4), tmp_path / "out", no_thumbnails=True).path
    assert b"data:image" not in (out / "report.html").read_bytes()
