"""Marks and extensions: what is said and left out is what was meant."""

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import listing, picture, png, put
from segrecord.errors import DataError
from segrecord.privacy.pseudonyms import pseudonym

pytestmark = pytest.mark.usefixtures("inline")

SECRET = b"0123456789abcdef"


@pytest.mark.parametrize("hidden", [False, True])
def test_marks_of_a_dataset_with_and_without_pseudonyms_leave_samples_out(tmp_path, hidden):
    for number in range(3):
        put(tmp_path / f"{number}.png", png.encode(picture(number), photo=True))
    path = listing(tmp_path / "set.csv", [f"{n}.png" for n in range(3)], "image")
    key = put(tmp_path / "secret.key", SECRET)
    wrong = pseudonym(SECRET, "key", "1") if hidden else "1"
    marks = put(tmp_path / "marks.csv", f"key,mark,note\n{wrong},wrong,\ngone,wrong,\n".encode())
    options = {"pseudonymize": str(key), "exclude": str(marks)}
    built = segrecord.build(path, tmp_path / "out", **options)
    keys = set(segrecord.open(built.path).records["key"].to_pylist())
    assert keys == {pseudonym(SECRET, "key", name) for name in "02"}
    (unknown,) = [f for f in built.findings if f.code == "exclude-unknown"]
    assert unknown.message.endswith("is not in this source: gone")


def test_old_samples_that_only_a_new_one_ties_are_not_said_to_belong_together(tmp_path):
    def draw(name, number):
        coarse = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
        Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(
            tmp_path / f"{name}.png"
        )

    for number in range(8):
        draw(number, number)
    rows = [f"{n}.png,p{n}" for n in range(8)]
    options = {"group_column": "patient"}
    table = listing(tmp_path / "old.csv", rows, "image,patient")
    old = segrecord.build(table, tmp_path / "old", split="train=0.5,test=0.5", **options)
    records = segrecord.open(old.path).records
    side = dict(zip(records["split"].to_pylist(), records["key"].to_pylist(), strict=True))
    draw("tie", int(side["train"]))
    more = listing(tmp_path / "new.csv", [*rows, f"tie.png,p{side['test']}"], "image,patient")
    with pytest.raises(DataError) as raised:
        segrecord.build(more, tmp_path / "new", extend=str(old.path), **options)
    told = {f.code for f in raised.value.findings}
    assert "extend-tie" in told
    assert "extend-divided" not in told
