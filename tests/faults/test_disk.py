"""Disks that fill up or fail, and files that cannot be read."""

import errno
import os
import subprocess

import pytest

import segrecord
from make import files, picture, png, put, source
from segrecord.errors import DataError, OutputError


@pytest.fixture
def root(tmp_path):
    """Six pictures of 40 KB."""
    folder = source(tmp_path / "src", 6)
    for number in range(6):
        pixels = picture(number, 120, 110)
        put(folder / "ab"[number % 2] / "images" / f"{number}.png", png.encode(pixels, photo=True))
        put(
            folder / "ab"[number % 2] / "masks" / f"{number}.png",
            png.encode((pixels[:, :, 0] > 99).astype("uint8")),
        )
    return folder


@pytest.fixture
def wanted(root, tmp_path, inline):
    segrecord.build(str(root), tmp_path / "wanted", shards=3)
    return files(tmp_path / "wanted")


@pytest.fixture
def tmpfs(tmp_path):
    """A folder on a file system of 1 MiB; skipped where it cannot be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder, leave):
    """Fill a file system up to so many bytes."""
    free = os.statvfs(folder)
    put(folder / "filler", bytes(free.f_bavail * free.f_frsize - leave))


def test_a_full_disk_ends_in_one_line_and_with_room_the_build_goes_on(root, tmpfs, wanted, inline):
    size = sum(map(len, wanted.values()))
    out = tmpfs / "out"
    fill(tmpfs, size // 2)
    with pytest.raises(OutputError, match="No space left on device") as raised:
        segrecord.build(str(root), out, shards=3)
    assert "\n" not in str(raised.value)
    assert not (out / "dataset.json").exists()
    (tmpfs / "filler").unlink()
    segrecord.build(str(root), out, shards=3)
    assert files(out) == wanted


def test_a_disk_that_fills_at_any_byte_ends_in_one_line_and_the_build_goes_on(
    root, tmpfs, wanted, inline
):
    free = os.statvfs(tmpfs)
    room = free.f_bavail * free.f_frsize
    out = tmpfs / "out"
    said = []
    for leave in range(4096, room, 4096):
        fill(tmpfs, leave)
        try:
            segrecord.build(str(root), out, shards=3)
        except OutputError as error:
            said.append(str(error))
        else:
            break
        finally:
            (tmpfs / "filler").unlink()
    assert len(said) > 5
    assert not any("\n" in message for message in said)
    assert files(out) == wanted


class Full:
    """os.write that fails once so many bytes were written, as a full disk does."""

    def __init__(self, monkeypatch, room):
        self.room = room
        self.write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, descriptor, data):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self.write(descriptor, data[: self.room])
        self.room -= done
        return done


def test_finished_shards_are_kept_when_the_disk_fills(root, tmp_path, wanted, monkeypatch, inline):
    first = len(wanted["train-00000-of-00003.tfrecord"])
    with monkeypatch.context() as patch:
        Full(patch, first + 5000)
        with pytest.raises(OutputError, match="free some space and run the same command") as raised:
            segrecord.build(str(root), tmp_path / "out", shards=3)
    assert "No space left on device" in str(raised.value)
    assert "(and 1 more)" in str(raised.value)
    left = [path.name for path in (tmp_path / "out/.segrecord/files").iterdir()]
    assert sorted(left) == [
        "train-00000-of-00003.tfrecord",
        "train-00000-of-00003.tfrecord.json",
    ]
    built = segrecord.build(str(root), tmp_path / "out", shards=3)
    assert built.reused_shards == 1
    assert files(tmp_path / "out") == wanted


@pytest.mark.parametrize("code", [errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_any_error_of_the_disk_is_said_in_one_line_with_a_way_out(
    root, tmp_path, monkeypatch, code, inline
):
    def fail(descriptor, data):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OutputError) as raised:
        segrecord.build(str(root), tmp_path / "out", shards=1)
    assert f"train-00000-of-00001.tfrecord cannot be written: {os.strerror(code)}; " in str(
        raised.value
    )


def test_a_full_disk_while_the_scan_is_kept_is_said_in_one_line(
    root, tmp_path, monkeypatch, inline
):
    from segrecord.scanning import checkpoint

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.KeptScan, "add", full)
    with pytest.raises(OutputError, match="No space left on device; fix that and run the same"):
        segrecord.build(str(root), tmp_path / "out")


def test_a_file_that_may_not_be_read_is_a_finding(root, tmp_path, monkeypatch, inline):
    """Root may read everything, so the refusal is made up."""
    real = os.open

    def refuse(path, *rest, **named):
        if str(path).endswith("images/0.png"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError) as raised:
        segrecord.build(str(root), tmp_path / "out")
    errors = [(f.code, f.key) for f in raised.value.findings if f.level == "error"]
    assert errors == [("unreadable-file", "a/images/0")]
    assert "Permission denied" in raised.value.findings[0].message


def test_folders_and_pipes_named_like_images_are_findings_and_nothing_waits(root, tmp_path, inline):
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    rows = put(root / "rows.csv", b"image\npipe.png\nfolder.png\na/images/0.png\n")
    with pytest.raises(DataError) as raised:
        segrecord.build(str(rows), tmp_path / "out")
    assert {f.path for f in raised.value.findings if f.level == "error"} >= {
        str(root / "pipe.png"),
    }
