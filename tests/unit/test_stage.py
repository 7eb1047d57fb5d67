"""The stage and its commit: whole or absent, whatever happens on the way."""

import errno
import json
import os
from pathlib import Path

import pytest

import segrecord
from make import files, picture, png, put, source
from segrecord import storage
from segrecord.errors import DataError, OutputError, UsageError
from segrecord.write import staging
from segrecord.write.staging import STAGE, Stage, check_output


class Killed(BaseException):
    """In place of a SIGKILL: nothing catches it."""


class Disk:
    """Counts what changes the folder, and dies after so many changes, for good."""

    def __init__(self, monkeypatch, after):
        self.left = after
        for name in ("replace", "unlink", "rmdir", "mkdir"):
            monkeypatch.setattr(os, name, self._dying(getattr(os, name)))

    def _dying(self, operation):
        def run(*arguments, **named):
            if self.left == 0:
                raise Killed
            self.left -= 1
            return operation(*arguments, **named)

        return run


def build(root, out, checks="basic", **options):
    return segrecord.build(str(root), out, shards=2, checks=checks, **options)


def killed_in_second_shard(monkeypatch, root, out, **options):
    """A build that has finished its first shard only."""
    real = os.replace

    def replace(source, target):
        if "-00001-of-" in str(target):
            raise Killed
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(Killed):
            build(root, out, **options)
    assert len(list((out / STAGE / "files").glob("*.tfrecord.json"))) == 1


def visible(out):
    """The files that are no part of the stage."""
    return {name: data for name, data in files(out).items() if not name.startswith(STAGE)}


@pytest.fixture
def root(tmp_path):
    return source(tmp_path / "src", 4, without=(3,))


@pytest.fixture
def other(tmp_path):
    """A smaller source of another kind, whose dataset has other files."""
    for number in range(2):
        put(tmp_path / "other" / f"{number}.png", png.encode(picture(number + 40)))
    return tmp_path / "other"


@pytest.fixture
def wanted(root, tmp_path, inline):
    build(root, tmp_path / "wanted")
    return files(tmp_path / "wanted")


def killed_builds(monkeypatch, work):
    """Runs the work, killed after 0, 1, 2, ... changes of the folder, until it gets through."""
    for after in range(500):
        with monkeypatch.context() as patch:
            Disk(patch, after)
            killed = False
            try:
                work(after)
            except Killed:
                killed = True
        if not killed:
            assert after > 10
            return
        yield after
    raise AssertionError("the build never gets through")


def test_a_build_killed_between_any_two_changes_is_whole_or_absent_and_goes_on(
    root, tmp_path, wanted, monkeypatch, inline
):
    def out(after):
        return tmp_path / f"out {after}"

    for after in killed_builds(monkeypatch, lambda number: build(root, out(number))):
        if (out(after) / "dataset.json").exists():
            assert visible(out(after)) == wanted
            with pytest.raises(OutputError, match="holds a finished dataset"):
                build(root, out(after))
        else:
            build(root, out(after))
        assert files(out(after)) == wanted


def test_a_replaced_dataset_is_the_old_one_the_new_one_or_none_and_leaves_nothing_behind(
    root, other, tmp_path, wanted, monkeypatch, inline
):
    build(other, tmp_path / "old", split="train=0.5,val=0.5")
    old = files(tmp_path / "old")
    assert set(old) - set(wanted)

    def out(after):
        folder = tmp_path / f"out {after}"
        if not folder.exists():
            for name, data in old.items():
                put(folder / name, data)
        return folder

    def work(number):
        build(root, out(number), overwrite=True)

    for after in range(200):
        out(after)
    for after in killed_builds(monkeypatch, work):
        if (out(after) / "dataset.json").exists():
            assert visible(out(after)) in (old, wanted)
        build(root, out(after), overwrite=True)
        assert files(out(after)) == wanted


def test_another_plan_after_a_kill_leaves_no_file_of_the_first(
    root, other, tmp_path, wanted, monkeypatch, inline
):
    def out(after):
        return tmp_path / f"out {after}"

    for after in killed_builds(
        monkeypatch, lambda number: build(other, out(number), split="train=0.5,val=0.5")
    ):
        build(root, out(after), overwrite=True)
        assert files(out(after)) == wanted


def test_finished_shards_are_kept_and_told(root, tmp_path, wanted, monkeypatch, inline):
    killed_in_second_shard(monkeypatch, root, tmp_path / "out")
    assert build(root, tmp_path / "out").reused_shards == 1
    assert files(tmp_path / "out") == wanted


def test_a_shard_of_another_plan_is_not_kept(root, tmp_path, monkeypatch, inline):
    killed_in_second_shard(monkeypatch, root, tmp_path / "out")
    assert build(root, tmp_path / "out", seed=1).reused_shards == 0


def test_under_checks_none_a_file_of_the_same_size_but_a_later_time_is_written_again(
    tmp_path, monkeypatch, inline
):
    root = source(tmp_path / "src", 4, high=1)
    killed_in_second_shard(monkeypatch, root, tmp_path / "out", checks="none")
    for path in root.rglob("*.png"):
        before = path.stat().st_mtime_ns
        os.utime(path, ns=(before, before + 1_000_000))
    built = segrecord.build(str(root), tmp_path / "out", shards=2, checks="none")
    assert built.reused_shards == 0


def test_no_time_of_a_file_goes_into_a_dataset_even_under_checks_none(tmp_path, inline):
    for turn in range(2):
        root = source(tmp_path / f"{turn}" / "src", 4, high=1)
        for path in root.rglob("*.png"):
            os.utime(path, ns=(0, turn * 10**9))
        segrecord.build(str(root), tmp_path / f"out {turn}", checks="none")
    assert files(tmp_path / "out 0") == files(tmp_path / "out 1")


def test_a_shard_damaged_in_the_stage_is_found_and_written_again_by_the_next_run(
    root, tmp_path, wanted, monkeypatch, inline
):
    killed_in_second_shard(monkeypatch, root, tmp_path / "out")
    shard = next((tmp_path / "out" / STAGE / "files").glob("*.tfrecord"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(segrecord.RecordError, match=r"found on reading it back.*run again"):
        build(root, tmp_path / "out")
    build(root, tmp_path / "out")
    assert files(tmp_path / "out") == wanted


def test_a_damaged_sidecar_means_an_unfinished_shard(tmp_path):
    place = Stage(tmp_path)
    place.files.mkdir(parents=True)
    (place.files / "s").write_bytes(b"12")
    for sidecar in (b"", b"{", b"[]", b"3", json.dumps({"fingerprint": "m", "bytes": 3}).encode()):
        (place.files / "s.json").write_bytes(sidecar)
        assert not place.finished("s", "m")
    (place.files / "s.json").write_bytes(json.dumps({"fingerprint": "m", "bytes": 2}).encode())
    assert place.finished("s", "m")
    assert not place.finished("s", "n")


def test_overwrite_removes_all_files_of_the_old_dataset_and_nothing_else(
    root, other, tmp_path, wanted, inline
):
    out = tmp_path / "out"
    build(other, out, split="train=0.5,val=0.5")
    put(out / "notes.txt", b"mine")
    put(out / "train-extra" / "a.bin", b"mine too")
    build(root, out, overwrite=True)
    assert files(out) == wanted | {"notes.txt": b"mine", "train-extra/a.bin": b"mine too"}


def test_a_manifest_that_names_files_elsewhere_removes_none_of_them(root, other, tmp_path, inline):
    out = tmp_path / "out"
    build(other, out)
    put(tmp_path / "precious.txt", b"mine")
    manifest = json.loads((out / "dataset.json").read_bytes())
    manifest["files"] = {**dict.fromkeys(manifest["files"], ""), "../precious.txt": ""}
    manifest["splits"]["train"]["shards"][0]["name"] = str(tmp_path / "precious.txt")
    (out / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(OutputError, match=r"manifest no longer says .* must be the plain name"):
        build(root, out, overwrite=True)
    assert (tmp_path / "precious.txt").read_bytes() == b"mine"


def test_bad_data_under_overwrite_leaves_the_old_dataset_as_it_was(root, tmp_path, inline):
    out = tmp_path / "out"
    build(root, out)
    before = files(out)
    put(root / "a/images/0.png", b"broken")
    with pytest.raises(DataError) as raised:
        build(root, out, overwrite=True)
    assert visible(out) == before
    listed = raised.value.summary.split("; ")[1].removesuffix(" lists all")
    assert b"a/images/0" in Path(listed).read_bytes()


# Refusals.


def test_a_finished_dataset_is_not_overwritten_unasked(root, tmp_path, inline):
    build(root, tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(OutputError, match="holds a finished dataset; pass --overwrite"):
        build(root, tmp_path / "out")
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize("out", ["src", "src/out", "src/a/../out", "link/out"])
def test_an_output_inside_the_source_is_refused(root, tmp_path, out, inline):
    (tmp_path / "link").symlink_to(root)
    before = files(root)
    with pytest.raises(UsageError, match="lies inside the source"):
        build(root, tmp_path / out)
    assert files(root) == before


def test_an_output_that_is_a_file_is_refused(root, tmp_path, inline):
    path = put(tmp_path / "out", b"mine")
    with pytest.raises(OutputError, match="is a file; choose a folder"):
        build(root, path)
    assert path.read_bytes() == b"mine"


def test_an_output_that_holds_other_things_is_refused(root, tmp_path, inline):
    for name in "abcde":
        put(tmp_path / "out" / name, b"mine")
    with pytest.raises(OutputError, match=r"is not empty \(a, b, c, ...\) and holds no dataset"):
        build(root, tmp_path / "out", overwrite=True)
    assert len(files(tmp_path / "out")) == 5


def test_an_output_with_a_damaged_manifest_is_not_overwritten(root, tmp_path, inline):
    put(tmp_path / "out" / "dataset.json", b"{}")
    with pytest.raises(OutputError, match="no longer says which files are its own"):
        build(root, tmp_path / "out", overwrite=True)
    assert files(tmp_path / "out") == {"dataset.json": b"{}"}


def test_an_output_below_a_file_or_with_an_impossible_name_is_refused(root, tmp_path, inline):
    put(tmp_path / "file", b"mine")
    for out in (tmp_path / "file" / "out", tmp_path / ("n" * 300)):
        with pytest.raises(OutputError, match=r"cannot be written|is a file"):
            build(root, out)


def test_an_empty_folder_and_a_stopped_build_are_built_in(root, tmp_path, wanted, inline):
    out = tmp_path / "out"
    out.mkdir()
    broken = put(root / "a/images/0.png", b"broken")
    with pytest.raises(DataError, match="1 error in the data: no shard was written"):
        build(root, out)
    assert set(visible(out)) == {"findings.csv"}
    put(broken, png.encode(picture(0)))
    build(root, out)
    assert files(out) == wanted


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_output_is_said_in_one_line(root, tmp_path, monkeypatch, code, inline):
    real = os.mkdir

    def mkdir(path, *rest, **named):
        if str(path).startswith(str(tmp_path / "out")):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(OutputError, match=f"cannot be written: {os.strerror(code)}") as raised:
        build(root, tmp_path / "out")
    assert "\n" not in str(raised.value)


def test_a_second_build_at_the_same_time_is_refused(root, tmp_path, inline):
    out = tmp_path / "out"
    with (
        staging.opened(out),
        pytest.raises(OutputError, match="another segrecord build is running"),
    ):
        build(root, out)
    build(root, out)


def test_a_lock_that_a_build_has_just_taken_away_is_no_lock(tmp_path, monkeypatch):
    def lock(*_):
        (tmp_path / STAGE / "lock").unlink()

    monkeypatch.setattr("fcntl.flock", lock)
    with pytest.raises(OutputError, match="another segrecord build"), staging.opened(tmp_path):
        pass


def test_a_dataset_finished_while_this_build_started_is_not_overwritten(
    root, tmp_path, monkeypatch, inline
):
    """Another build may commit between the first look at the output and the lock."""
    out = tmp_path / "out"
    looked = []
    real = check_output

    def late(*arguments, **named):
        real(*arguments, **named)
        if not looked:
            looked.append(1)
            build(root, out)
            before.update(files(out))

    before = {}
    monkeypatch.setattr(staging, "check_output", late)
    with pytest.raises(OutputError, match="holds a finished dataset"):
        build(root, out, seed=5)
    assert files(out) == before


def test_a_shard_that_cannot_be_put_on_disk_is_never_committed(
    root, tmp_path, wanted, monkeypatch, inline
):
    sync = storage.sync_file

    def failing(path):
        if "-00001-of-" in path.name:
            raise OSError(errno.EIO, "Input/output error")
        sync(path)

    monkeypatch.setattr(storage, "sync_file", failing)
    with pytest.raises(OutputError, match="Input/output error"):
        segrecord.build(root, tmp_path / "out", shards=3)
    assert not (tmp_path / "out" / "dataset.json").exists()
    monkeypatch.undo()
    segrecord.build(root, tmp_path / "out", shards=3, workers=1)
    assert segrecord.verify(tmp_path / "out").problems == ()
