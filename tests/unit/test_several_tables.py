"""Several --metadata tables: from the command line to the dataset, and back by verify."""

import pytest
from click.testing import CliRunner

import segrecord
from make import listing, picture, put
from segrecord.cli.commands import cli
from segrecord.errors import UsageError
from segrecord.export.snippets import build_command
from segrecord.format import manifest as manifests
from segrecord.images import png
from segrecord.options import SourceOptions

pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def place(tmp_path):
    for number in range(4):
        put(tmp_path / "src" / f"{number}.png", png.encode(picture(number)))
    listing(tmp_path / "src" / "one, two.csv", ["0,0.0", "1,1.0"], "image_id,melanoma")
    listing(tmp_path / "src" / "b.csv", ["2,0.0", "3,1.0"], "image_id,melanoma")
    return tmp_path / "src"


def test_a_flag_given_twice_takes_both_and_verify_finds_both(place, tmp_path):
    out = tmp_path / "out"
    words = ["build", str(place), str(out), "--label-column", "melanoma"]
    for name in ("one, two.csv", "b.csv"):
        words += ["--metadata", str(place / name)]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    made = manifests.load(out)
    assert made.classes == {"not melanoma": 0, "melanoma": 1}
    assert made.options["source"]["metadata"] == ["one, two.csv", "b.csv"]
    language, command = build_command(made)
    assert language == "sh"
    assert "--metadata 'one, two.csv' --metadata b.csv" in command
    assert not segrecord.verify(out, source=place).problems
    words = ["verify", str(out), "--source", str(place)]
    for name in ("one, two.csv", "b.csv"):
        words += ["--metadata", str(place / name)]
    assert CliRunner().invoke(cli, words).exit_code == 0


def test_one_table_may_be_given_as_a_text_or_a_path_and_reads_as_it_did(place, tmp_path):
    put(place / "c.csv", b"image_id,dx\n0,x\n1,y\n2,x\n3,y\n")
    built = segrecord.build(place, tmp_path / "out", metadata=place / "c.csv")
    assert built.manifest.options["source"]["metadata"] == "c.csv"
    assert "--metadata c.csv" in build_command(built.manifest)[1]
    assert not segrecord.verify(tmp_path / "out", source=place).problems
    assert not segrecord.verify(
        tmp_path / "out", source=place, metadata=str(place / "c.csv")
    ).problems


@pytest.mark.parametrize("value", [3, [3], ["a.csv", "a.csv"]])
def test_what_is_no_list_of_different_paths_is_refused(value):
    with pytest.raises(UsageError, match="metadata must"):
        SourceOptions(metadata=value)


def test_none_and_an_empty_list_are_no_metadata():
    assert SourceOptions(metadata=[]).metadata == SourceOptions(metadata=None).metadata == ()
    assert SourceOptions(metadata="a.csv") == SourceOptions(metadata=("a.csv",))


def test_a_table_that_is_taken_is_not_said_to_be_passed_over(place):
    found = segrecord.scan(place, metadata=place / "b.csv", label_column="melanoma")
    assert found.loaded.skipped_files == {"other files": 1}
    assert found.loaded.skipped_names == {"other files": ("one, two.csv",)}
    assert [hint for hint in found.loaded.hints if "b.csv lies" in hint] == []


def test_verify_asks_for_two_tables_of_one_name(place, tmp_path):
    tables = [place / "b.csv", place / "part" / "b.csv"]
    listing(tables[1], ["0,0.0", "1,1.0"], "image_id,melanoma")
    segrecord.build(place, tmp_path / "out", metadata=tables, label_column="melanoma")
    with pytest.raises(UsageError, match="two tables called"):
        segrecord.verify(tmp_path / "out", source=place)
    assert not segrecord.verify(tmp_path / "out", source=place, metadata=tables).problems
