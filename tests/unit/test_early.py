"""What cannot work is said before the source is looked at: nobody waits an hour for a typo."""

import os
import sys
from pathlib import Path

import pytest

import segrecord
from make import listing, put, source
from segrecord import cli
from segrecord.errors import OutputError, SegrecordError, UsageError

pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def folder(tmp_path):
    """Four pairs, and what no option can use."""
    source(tmp_path / "src", 4)
    put(tmp_path / "bad", b"\xff\xfe [ no")
    (tmp_path / "dir").mkdir()
    put(tmp_path / "short.key", b"1234")
    return tmp_path


@pytest.fixture
def unread(monkeypatch):
    """Looking at the source fails."""

    def looked(*_, **__):
        raise AssertionError("the source was looked at")

    monkeypatch.setattr("segrecord.sources.loading.load_folder", looked)
    monkeypatch.setattr("segrecord.scanning.facts.scan", looked)


BAD = [
    ({"classes": "{}/nope.json"}, UsageError, "--classes .*nope.json cannot be read"),
    ({"classes": "{}/bad"}, UsageError, "--classes .*bad is no JSON"),
    ({"classes": "{}/dir"}, UsageError, "--classes .*dir cannot be read"),
    ({"metadata": "{}/nope.csv"}, SegrecordError, "nope.csv"),
    ({"metadata": "{}/bad.csv"}, SegrecordError, "bad.csv"),
    ({"exclude": "{}/nope.csv"}, UsageError, "--exclude .*nope.csv: there is no such file"),
    ({"exclude": "{}/bad"}, UsageError, "marks file .*bad cannot be read: it is not UTF-8"),
    ({"exclude": "{}/dir"}, UsageError, "marks file .*dir cannot be read"),
    ({"pseudonymize": "{}/nope.key"}, UsageError, "nope.key does not exist"),
    ({"pseudonymize": "{}/short.key"}, UsageError, "short.key"),
    ({"facts": "{}/nope.arrow"}, UsageError, "--facts .*nope.arrow"),
    ({"facts": "{}/bad"}, UsageError, "--facts .*bad is no facts file"),
    ({"extend": "{}/nope"}, UsageError, "--extend: .*nope holds no finished dataset"),
    ({"extend": "{}/dir"}, UsageError, "--extend: .*dir holds no finished dataset"),
    ({"root": "{}/nope"}, UsageError, "--root .*nope is no folder"),
]

BUILD_ALONE = [
    ({"card": "{}/nope.toml"}, UsageError, "--card .*nope.toml cannot be read"),
    ({"card": "{}/bad"}, UsageError, "--card .*bad is no TOML"),
]


def placed(options, folder):
    return {name: value.format(folder) for name, value in options.items()}


@pytest.mark.parametrize(("options", "kind", "said"), [*BAD, *BUILD_ALONE])
def test_a_build_says_what_it_cannot_use_before_it_reads_the_source(
    folder, unread, options, kind, said
):
    put(folder / "bad.csv", b"\xff\x00")
    with pytest.raises(kind, match=said):
        segrecord.build(folder / "src", folder / "new/out", **placed(options, folder))
    assert not (folder / "new").exists()  # nothing was made on the way


@pytest.mark.parametrize(("options", "kind", "said"), BAD)
def test_a_scan_says_what_it_cannot_use_before_it_reads_the_source(
    folder, unread, options, kind, said
):
    put(folder / "bad.csv", b"\xff\x00")
    with pytest.raises(kind, match=said):
        segrecord.scan(folder / "src", **placed(options, folder))


def no_permission(monkeypatch, folder):
    """As it is for whoever is not root."""
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != folder and access(path, mode)
    )


@pytest.mark.parametrize("out", ["bad", "bad/out", "bad/on/the/way", "dir"])
def test_an_output_that_cannot_be_made_is_told_before_the_source_is_read(folder, unread, out):
    put(folder / "dir/kept.txt", b"")
    with pytest.raises(OutputError, match=str(folder / out)):
        segrecord.build(folder / "src", folder / out)
    assert sorted(path.name for path in (folder / "dir").iterdir()) == ["kept.txt"]


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write anywhere")
def test_an_output_without_permission_is_told_before_the_source_is_read(folder, unread):
    (folder / "dir").chmod(0o500)
    with pytest.raises(OutputError, match="fix the permissions"):
        segrecord.build(folder / "src", folder / "dir/out")


def test_a_refused_folder_is_told_before_the_source_is_read(folder, unread, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(OutputError, match="out cannot be written: Permission denied; fix the"):
        segrecord.build(folder / "src", folder / "out")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nope/x.arrow", "there is no folder .*nope; make it"),
        ("dir", "a folder has this name"),
        ("bad/x", "there is no folder"),
        ("src/x", "there is no permission"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_source_is_read(
    folder, unread, monkeypatch, capsys, place, said
):
    no_permission(monkeypatch, folder / "src")
    with pytest.raises(OutputError, match=said):
        segrecord.scan(folder / "src", facts_file=folder / place)
    for flag in ("--facts", "--findings", "--write-samples"):
        words = ["segrecord", "scan", str(folder / "src"), flag, str(folder / place)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit):
            cli.main()
        out, err = capsys.readouterr()
        assert str(folder / place) in err
        assert not out


def test_a_crosswalk_that_cannot_be_written_is_told_before_the_source_is_read(
    folder, unread, monkeypatch
):
    put(folder / "long.key", bytes(32))
    options = {"pseudonymize": folder / "long.key", "crosswalk": folder / "dir/names.csv"}
    no_permission(monkeypatch, folder / "dir")
    with pytest.raises(UsageError, match="there is no permission to write into"):
        segrecord.build(folder / "src", folder / "out", **options)


def test_verify_says_what_it_cannot_use_before_it_reads_a_shard(folder, monkeypatch):
    table = put(folder / "table.csv", b"name,label\na/images/0,x\na/images/2,x\nb/images/1,y\n")
    plain = segrecord.build(folder / "src", folder / "plain").path
    options = {"metadata": str(table), "label_column": "label", "unlabelled": "keep"}
    joined = segrecord.build(folder / "src", folder / "joined", **options).path
    table.rename(folder / "moved.csv")
    monkeypatch.setattr(
        "segrecord.verification.checker.check_dataset", lambda *_: pytest.fail("shards were read")
    )
    for path, given, said in [
        (joined, {"source": folder / "src"}, "--metadata table.csv, which lies neither in"),
        (joined, {"source": folder / "src", "metadata": str(folder / "nope.csv")}, "nope.csv"),
        (plain, {"source": folder / "nope"}, "nope does not exist"),
        (plain, {"source": folder / "src", "pseudonymize": str(folder / "nope.key")}, "nope.key"),
        (plain, {"pseudonymize": str(folder / "short.key")}, "short.key"),
    ]:
        with pytest.raises(SegrecordError, match=said):
            segrecord.verify(path, **given)


def test_verify_says_whether_it_compared_with_the_source(folder, monkeypatch, capsys):
    path = segrecord.build(folder / "src", folder / "out").path
    assert "compared=False" in repr(segrecord.verify(path))
    assert "compared=True" in repr(segrecord.verify(path, source=folder / "src"))
    phrase = "all pixels and labels compared with the source"
    for words, told in [([], False), (["--source", str(folder / "src")], True)]:
        for more, form in [([], phrase), (["--json"], '"compared_with_source": true')]:
            monkeypatch.setattr(sys, "argv", ["segrecord", "verify", str(path), *words, *more])
            cli.main()
            assert (form in capsys.readouterr().out) is told


def test_the_listing_s_root_may_be_given(folder):
    path = listing(folder / "elsewhere.csv", ["a/images/0.png,,x"])
    assert len(segrecord.scan(path, root=folder / "src").samples) == 1
