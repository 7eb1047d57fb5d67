"""The marks CSV: read and continued, written whole, refused where it is something else."""

import os
import threading

import pytest

from segrecord.errors import OutputError, UsageError
from segrecord.viewer.marks import LONGEST_NOTE, Mark, Marks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "marks.csv"


@pytest.fixture
def marks(path, tmp_path):
    return Marks(path, tmp_path / "dataset")


def test_no_file_is_made_before_the_first_mark(marks, path):
    assert marks.by_key == {}
    assert not path.exists()


def test_a_mark_is_kept_at_once_and_read_again(marks, path, tmp_path):
    marks.put("a/1", "wrong", 'hair, "much"\nand a ruler ü')
    marks.put("a/2", "good")
    assert path.read_bytes().startswith(b"key,mark,note\na/1,wrong,")
    again = Marks(path, tmp_path / "dataset")
    assert again.by_key == {
        "a/1": Mark("wrong", 'hair, "much"\nand a ruler ü'),
        "a/2": Mark("good", ""),
    }


def test_a_mark_that_is_set_again_keeps_its_place_and_an_empty_one_goes(marks, path):
    for key in ("a", "b", "c"):
        marks.put(key, "good")
    marks.put("a", "unsure", "look again")
    marks.put("b", "")
    assert path.read_text() == "key,mark,note\na,unsure,look again\nc,good,\n"
    marks.put("never marked", "")
    assert list(marks.by_key) == ["a", "c"]


def test_an_existing_file_is_continued_and_what_others_wrote_meanwhile_is_kept(path, tmp_path):
    path.write_bytes(b"\xef\xbb\xbfkey,mark,note\r\nold,wrong,by Excel\r\n\r\n")
    marks = Marks(path, tmp_path / "dataset")
    with path.open("a") as file:
        file.write("other,good,by another program\n")
    marks.put("new", "unsure")
    assert list(marks.by_key) == ["old", "other", "new"]
    assert marks.by_key["old"] == Mark("wrong", "by Excel")


def test_changes_tell_one_state_from_another(marks):
    before = marks.by_key
    marks.put("a", "good")
    assert marks.changes == 1
    assert before == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"key,label\na,cat\n", "columns must be key,mark,note"),
        (b"key,mark,note\na,fine,\n", "line 2"),
        (b"key,mark,note\na,good\n", "line 2"),
        (b'key,mark,note\na,good,"open\n', "line 2"),
        (b"key,mark,note\n\xff\xfe,good,\n", "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_marks_file_is_refused_and_stays(path, tmp_path, content, said):
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        Marks(path, tmp_path / "dataset")
    assert path.read_bytes() == content


def test_a_file_that_became_something_else_is_not_overwritten(marks, path):
    marks.put("a", "good")
    path.write_text("key,label\n")
    with pytest.raises(UsageError, match="no marks file"):
        marks.put("b", "good")
    assert path.read_text() == "key,label\n"


@pytest.mark.parametrize("inside", ["marks.csv", "deeper/marks.csv", "../dataset/marks.csv"])
def test_marks_never_lie_inside_the_dataset(tmp_path, inside):
    (tmp_path / "dataset").mkdir()
    with pytest.raises(UsageError, match="lies inside it; pass --marks"):
        Marks(tmp_path / "dataset" / inside, tmp_path / "dataset")


@pytest.mark.parametrize(
    ("mark", "note", "said"),
    [
        ("bad", "", "must be one of good, wrong, unsure"),
        ("", "why", "a note needs a mark"),
        ("good", "x" * (LONGEST_NOTE + 1), f"{LONGEST_NOTE} characters at most, got"),
        ("good", "\ud800", "Unicode"),
    ],
)
def test_a_mark_that_cannot_be_is_refused(marks, path, mark, note, said):
    with pytest.raises(UsageError, match=said):
        marks.put("a", mark, note)
    assert not path.exists()


def test_a_failed_write_leaves_the_old_file_and_no_litter(marks, path, monkeypatch):
    marks.put("a", "good")

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"cannot be written: No space left"):
        marks.put("b", "good")
    assert path.read_text() == "key,mark,note\na,good,\n"
    assert [file.name for file in path.parent.iterdir()] == ["marks.csv"]
    assert list(marks.by_key) == ["a"]


def test_threads_lose_no_mark(marks, path, tmp_path):
    def mark(first):
        for number in range(10):
            marks.put(f"{first}/{number}", "good")

    threads = [threading.Thread(target=mark, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Marks(path, tmp_path / "dataset").by_key) == 40
