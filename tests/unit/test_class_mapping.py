"""A class_mapping.json that lies beside the source decides the class ids."""

import io
import json

import pytest
from rich.console import Console

import segrecord
from make import listing, source
from segrecord.console import messages
from segrecord.format import manifest as manifests

pytestmark = pytest.mark.usefixtures("inline")

IDS = {"a": 3, "b": 1}


def levels(findings, *codes):
    return [(it.level, it.code) for it in findings if it.code in codes]


def rows(folder):
    return [f"{c}/images/{n}.png,{c}/masks/{n}.png,{c}" for n in range(4) for c in "ab"[n % 2]]


@pytest.mark.parametrize("kind", ["folder", "listing", "metadata"])
def test_it_is_taken_from_the_folder_or_from_beside_the_table(tmp_path, kind):
    place = source(tmp_path / "src", 4)
    table = listing(tmp_path / "tables" / "set.csv", rows(place))
    options = {}
    home = tmp_path / "tables" if kind == "metadata" else place
    by_id = {str(number): name for name, number in IDS.items()}
    (home / "class_mapping.json").write_text(json.dumps(by_id))
    start = place
    if kind == "listing":
        start = listing(place / "set.csv", rows(place))
    elif kind == "metadata":
        options["metadata"] = table
    built = segrecord.build(start, tmp_path / "out", ignore="few-groups", **options)
    assert built.manifest.classes == {"b": 1, "a": 3}
    assert levels(built.findings, "mapping-taken", "unknown-class") == [("info", "mapping-taken")]
    assert not any("other files" in it.message for it in built.findings)
    assert str(tmp_path) not in (tmp_path / "out" / "findings.csv").read_text()
    console = Console(file=io.StringIO(), width=200)
    messages.print_manifest(console, built.manifest, "out", 1.0)
    assert "classes: 1 b; 3 a" in console.file.getvalue()
    asked = {"metadata": table} if kind == "metadata" else {}
    assert not segrecord.verify(tmp_path / "out", source=start, **asked).problems
    assert segrecord.open(tmp_path / "out")[0].label in {1, 3}


def test_one_that_lacks_a_class_stops_the_build_and_names_the_file(tmp_path):
    place = source(tmp_path / "src", 4)
    (place / "class_mapping.json").write_text('{"a": 0}')
    with pytest.raises(segrecord.DataError) as caught:
        segrecord.build(place, tmp_path / "out")
    first = next(it for it in caught.value.findings if it.code == "unknown-class")
    assert first.path.endswith("class_mapping.json")
    assert "move the mapping file away" in first.fix


def test_a_contradiction_stops_the_build_unless_it_is_ignored(tmp_path):
    place = source(tmp_path / "src", 4)
    (place / "class_mapping.json").write_text(json.dumps(IDS))
    given = tmp_path / "given.json"
    given.write_text('{"a": 0, "b": 1}')
    for way in ("stop", "quarantine"):
        with pytest.raises(segrecord.UsageError, match="gives 'a' the id 3, not 0") as it:
            segrecord.build(place, tmp_path / "out", classes=given, on_error=way)
        assert "--ignore mapping-contradicts takes --classes given.json" in str(it.value)
    built = segrecord.build(place, tmp_path / "out", classes=given, ignore="mapping-contradicts")
    assert built.manifest.classes == {"a": 0, "b": 1}
    assert str(tmp_path) not in (tmp_path / "out" / "findings.csv").read_text()
    assert not segrecord.verify(tmp_path / "out", source=place).problems


def test_verify_tells_a_mapping_beside_the_source_that_the_dataset_does_not_follow(tmp_path):
    place = source(tmp_path / "src", 4)
    segrecord.build(place, tmp_path / "out")
    (place / "class_mapping.json").write_text(json.dumps(IDS))
    (problem,) = segrecord.verify(tmp_path / "out", source=place).problems
    assert "class_mapping.json" in str(problem)
    assert "gives 'b' the id 1" not in str(problem)
    assert "gives 'a' the id 3, not 0" in str(problem)


def test_it_stays_when_samples_are_left_out(tmp_path):
    place = source(tmp_path / "src", 6)
    (place / "class_mapping.json").write_text(json.dumps(IDS))
    (place / "a" / "images" / "0.png").write_bytes(b"")
    built = segrecord.build(place, tmp_path / "out", on_error="quarantine")
    assert manifests.load(tmp_path / "out").classes == {"b": 1, "a": 3}
    assert built.manifest.quarantined == 1
