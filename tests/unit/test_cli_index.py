"""`segrecord index`: offset files for other readers, from the command line."""

import sys

import pytest

import datasets
from segrecord import cli


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `segrecord index` in this process; gives exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["segrecord", "index", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as exited:
            code = exited.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


@pytest.fixture
def shards(tmp_path):
    """Two shards that others might have written, of two records and of one."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "a.tfrecord").write_bytes(datasets.shard_bytes([b"one", b"two"]))
    (folder / "b.tfrecord").write_bytes(datasets.shard_bytes([b"three"]))
    return folder


def test_each_shard_gets_its_offset_file_beside_it_and_the_place_is_told(run, shards):
    code, out, err = run(shards / "a.tfrecord", shards / "b.tfrecord")
    assert (code, err) == (0, "")
    assert out == f"offsets of 2 shards: {shards / 'idx'}\n"
    assert (shards / "idx" / "a.tfrecord.idx").read_text() == "0 19\n19 19\n"
    assert (shards / "idx" / "b.tfrecord.idx").read_text() == "0 21\n"


@pytest.mark.parametrize("named", ["theirs", "theirs/*.tfrecord"])
def test_a_folder_or_a_glob_names_its_shards(run, shards, named):
    assert run(named)[0] == 0
    assert len(list((shards / "idx").iterdir())) == 2


def test_the_files_go_to_the_folder_named(run, shards, tmp_path):
    code, out, _ = run(shards / "a.tfrecord", "--out", "offsets")
    assert (code, out) == (0, "offsets of 1 shard: offsets\n")
    assert (tmp_path / "offsets" / "a.tfrecord.idx").is_file()
    assert not (shards / "idx").exists()


def test_a_dataset_of_ours_is_named_by_its_folder(run, tmp_path):
    folder = datasets.make(tmp_path / "ours", {"train": (4, 3), "val": (2,)})
    code, out, _ = run("ours")
    assert (code, out.partition(":")[0]) == (0, "offsets of 3 shards")
    assert len(list((folder / "idx").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "missing argument 'SHARDS...'"),
        (("nothing.tfrecord",), 2, "nothing.tfrecord names no file"),
        (("packed.tfrecord",), 2, "compressed (gzip)"),
        (("cut.tfrecord",), 1, "cut.tfrecord record 1 at byte 19: the file is cut"),
        (("theirs", "--out", "cut.tfrecord"), 1, "cut.tfrecord"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_or_two(run, shards, tmp_path, words, code, told):
    (tmp_path / "packed.tfrecord").write_bytes(datasets.shard_bytes([b"one"], "gzip"))
    whole = (shards / "a.tfrecord").read_bytes()
    (tmp_path / "cut.tfrecord").write_bytes(whole[:-1])
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert told in err
    assert err.count("\n") <= 2
    assert not (shards / "idx").exists()
