"""Marks of a person who has looked: what is marked as wrong stays out, and is accounted for."""

import pytest

import segrecord
from make import put, source
from segrecord.errors import UsageError

pytestmark = pytest.mark.usefixtures("inline")


def marks(path, text):
    return put(path, text.encode())


def test_what_is_marked_as_wrong_is_left_out_and_listed(tmp_path):
    root = source(tmp_path / "src", 6)
    text = "key,mark,note\na/images/0,wrong,blurred\na/images/2,good,\nb/images/1,unsure,?\n"
    path = marks(tmp_path / "marks.csv", text)
    built = segrecord.build(root, tmp_path / "out", exclude=path)
    assert built.manifest.samples == 5
    assert built.manifest.quarantined == 1
    (found,) = [f for f in built.findings if f.code == "excluded"]
    assert (found.level, found.key) == ("info", "a/images/0")
    assert "blurred" in found.message
    assert b"a/images/0" in (tmp_path / "out" / "quarantine.csv").read_bytes()
    assert segrecord.verify(tmp_path / "out", source=root).problems == ()


def test_marks_of_several_files_accumulate_and_one_wrong_is_enough(tmp_path):
    root = source(tmp_path / "src", 6)
    texts = {
        "one.csv": "key,mark,note\na/images/0,wrong,blurred\na/images/2,good,sharp\n",
        "two.csv": "key,mark,note\na/images/0,good,\na/images/2,wrong,twice\nx,wrong,\n",
    }
    paths = [marks(tmp_path / name, text) for name, text in texts.items()]
    for order in (paths, paths[::-1]):
        found = segrecord.scan(root, exclude=order)
        told = {f.key: f.message for f in found.findings if f.code == "excluded"}
        assert told == {
            "a/images/0": "left out: it is marked as wrong: blurred (but as good in two.csv)",
            "a/images/2": "left out: it is marked as wrong: twice (but as good in one.csv)",
        }
        (unknown,) = [f for f in found.findings if f.code == "exclude-unknown"]
        assert unknown.path == str(paths[1])
        assert unknown.message == "1 key that is marked as wrong is not in this source: x"
        assert len(found.samples) == 4


def test_the_same_note_in_two_files_is_told_once(tmp_path):
    root = source(tmp_path / "src", 4)
    text = "key,mark,note\na/images/0,wrong,blurred\n"
    paths = [marks(tmp_path / name, text) for name in ("one.csv", "two.csv")]
    (found,) = [f for f in segrecord.scan(root, exclude=paths).findings if f.code == "excluded"]
    assert found.message == "left out: it is marked as wrong: blurred"


def test_marks_of_other_samples_are_told(tmp_path):
    root = source(tmp_path / "src", 4)
    path = marks(tmp_path / "marks.csv", "key,mark,note\nelsewhere,wrong,\n")
    found = segrecord.scan(root, exclude=path)
    assert [f.level for f in found.findings if f.code == "exclude-unknown"] == ["warning"]
    assert len(found.samples) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key,mark,note\na,maybe,\n", "line 2: .*maybe"),
        ("key,mark,note\na,wrong\n", "line 2: a line holds"),
        ("sample,verdict\na,wrong\n", "its columns must be key,mark,note"),
        ("key,mark,note\n\xff,wrong,\n".encode("latin-1"), "it is not UTF-8"),
    ],
)
def test_what_is_no_list_of_marks_is_refused(tmp_path, text, said):
    data = text if isinstance(text, bytes) else text.encode()
    path = put(tmp_path / "marks.csv", data)
    with pytest.raises(UsageError, match=said):
        segrecord.scan(source(tmp_path / "src", 2), exclude=path)


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        segrecord.scan(source(tmp_path / "src", 2), exclude=tmp_path / "none.csv")
