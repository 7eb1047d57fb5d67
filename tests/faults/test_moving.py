"""A source that does not hold still: files change, vanish or become unreadable during the run."""

import os
import shutil
import threading

import pytest

import segrecord
from make import blob, picture, png, put, source
from segrecord.errors import DataError
from segrecord.pipeline import Silent

ROWS = 8


class At(Silent):
    """Does something to the source when a stage begins."""

    def __init__(self, stage, work):
        self._stage, self._work = stage, work

    def stage(self, name, total):
        if name == self._stage:
            self._work()


def vanish(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path):
    path.write_bytes(b"")


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path)


DEEDS = {
    vanish: "missing-file",
    cut: "png-truncated",
    emptied: "empty-file",
    folder: "unreadable-file",
    pipe: "unreadable-file",
    loop: "unreadable-file",
}


@pytest.fixture
def root(tmp_path):
    return source(tmp_path / "src", ROWS)


def errors(findings):
    return {(f.code, f.key) for f in findings if f.level == "error"}


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_what_happens_to_a_listed_file_before_it_is_read_is_a_finding(root, deed, kind):
    found = segrecord.scan(root, monitor=At("scan", lambda: deed(root / "a" / kind / "0.png")))
    assert errors(found.findings) == {(DEEDS[deed], "a/images/0")}
    assert len(found.samples) == ROWS


@pytest.mark.usefixtures("inline")
def test_a_source_that_vanishes_as_a_whole_is_a_finding_for_each_file(root):
    found = segrecord.scan(root, monitor=At("scan", lambda: shutil.rmtree(root)))
    assert sum(f.code == "missing-file" for f in found.findings) == 2 * ROWS


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize(
    "deed", [*DEEDS, None], ids=lambda deed: getattr(deed, "__name__", "other")
)
def test_what_happens_to_a_scanned_file_stops_the_build_that_would_write_it(
    root, tmp_path, deed, kind
):
    path = root / "a" / kind / "0.png"
    other = png.encode(picture(99) if kind == "images" else blob(2))
    change = (lambda: deed(path)) if deed else (lambda: path.write_bytes(other))
    with pytest.raises(DataError) as raised:
        segrecord.build(root, tmp_path / "out", monitor=At("write", change))
    (told,) = errors(raised.value.findings)
    assert told[1] == "a/images/0"
    assert told[0] in {"changed-since-scan", "missing-file", "unreadable-file", "empty-file"}
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.usefixtures("inline")
def test_after_the_files_have_come_to_rest_the_same_command_ends_well(root, tmp_path):
    path = root / "a" / "images" / "0.png"
    other = png.encode(picture(99))
    change = At("write", lambda: path.write_bytes(other))
    with pytest.raises(DataError):
        segrecord.build(root, tmp_path / "out", monitor=change)
    segrecord.build(root, tmp_path / "out")
    assert segrecord.verify(tmp_path / "out", source=root).problems == ()


def test_files_that_are_written_all_the_time_end_in_findings_and_never_in_a_traceback(
    root, tmp_path
):
    done, paths = threading.Event(), sorted(root.rglob("*.png"))

    def disturb():
        for number in range(1_000_000):
            if done.is_set():
                return
            path = paths[number % len(paths)]
            deed = number // len(paths) % 3
            if deed == 0:
                path.unlink(missing_ok=True)
            elif deed == 1:
                path.write_bytes(b"")
            else:
                put(path, png.encode(picture(number)))

    disturber = threading.Thread(target=disturb)
    try:
        # From the listing on: a source without a single image left is refused as a whole.
        found = segrecord.scan(root, workers=1, monitor=At("scan", disturber.start))
        with pytest.raises(DataError):
            segrecord.build(root, tmp_path / "out", workers=1)
    finally:
        done.set()
        disturber.join()
    assert {f.level for f in found.findings} <= {"error", "warning", "info"}
    assert not (tmp_path / "out" / "dataset.json").exists()
