"""Splits that the source gives, against --split, --folds and --extend."""

import pytest

import segrecord
from make import blob, listing, picture, put, samples_of
from segrecord.errors import UsageError
from segrecord.images import png
from segrecord.options import Options, PlanOptions
from segrecord.pipeline import scan_source
from segrecord.splits.plan import shared_out

pytestmark = pytest.mark.usefixtures("inline")

SHARES = {"split": "train=0.5,test=0.5"}


def pairs(folder, count=4, start=0, images="images", masks="masks"):
    for number in range(start, start + count):
        put(folder / images / f"{number}.png", png.encode(picture(number)))
        put(folder / masks / f"{number}.png", png.encode(blob(number)))
    return folder


def given(*splits):
    return samples_of(
        [(f"k{number}", f"{number}.png", (), (), None, name) for number, name in enumerate(splits)]
    )


def told(built, code):
    return [found for found in built.findings if found.code == code]


def sizes(built):
    return {name: split.records for name, split in built.manifest.splits.items()}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"),
        ("train/images", "train/masks"),
    ],
)
def test_one_split_folder_alone_fixes_nothing(tmp_path, images, masks):
    pairs(tmp_path / "src", images=images, masks=masks)
    built = segrecord.build(tmp_path / "src", tmp_path / "out", **SHARES)
    assert sizes(built) == {"train": 2, "test": 2}
    (found,) = told(built, "split-alone")
    assert (found.level, "'train'" in found.message) == ("info", True)
    assert not segrecord.verify(tmp_path / "out", source=tmp_path / "src").problems
    folds = segrecord.build(tmp_path / "src", tmp_path / "folds", folds=2)
    assert sizes(folds) == {"fold0": 2, "fold1": 2}


def test_an_explicit_split_wins_over_several_split_folders_and_says_so(tmp_path):
    pairs(tmp_path / "src" / "train")
    pairs(tmp_path / "src" / "test", 2, start=4)
    built = segrecord.build(tmp_path / "src", tmp_path / "out", split="train=0.5,val=0.5")
    assert sizes(built) == {"train": 3, "val": 3}
    (found,) = told(built, "split-replaced")
    assert found.level == "warning"
    assert "test 2, train 4" in found.message
    assert "leave --split out" in found.fix
    assert "splits by --split instead" in built.manifest.reads_as
    assert not segrecord.verify(tmp_path / "out", source=tmp_path / "src").problems
    kept = segrecord.build(tmp_path / "src", tmp_path / "kept")
    assert sizes(kept) == {"train": 4, "test": 2}
    assert told(kept, "split-replaced") == []


def test_split_mends_a_source_of_which_only_some_samples_have_a_split(tmp_path):
    pairs(tmp_path / "src" / "train")
    pairs(tmp_path / "src" / "more", 2, start=4)
    with pytest.raises(segrecord.DataError) as caught:
        segrecord.build(tmp_path / "src", tmp_path / "out")
    missing = [found for found in caught.value.findings if found.code == "no-split"]
    assert len(missing) == 2
    assert "--split" in missing[0].fix
    assert sum(sizes(segrecord.build(tmp_path / "src", tmp_path / "out", **SHARES)).values()) == 6


def test_a_split_column_that_was_guessed_gives_way_too(tmp_path):
    pairs(tmp_path)
    rows = [f"images/{n}.png,masks/{n}.png,{'train' if n else 'test'}" for n in range(4)]
    table = listing(tmp_path / "set.csv", rows, "image,mask,split")
    built = segrecord.build(table, tmp_path / "out", **SHARES)
    assert sizes(built) == {"train": 2, "test": 2}
    assert len(told(built, "split-replaced")) == 1


@pytest.mark.parametrize("flags", [SHARES, {"folds": 2}])
def test_a_split_column_that_was_named_contradicts_split_and_folds(flags):
    with pytest.raises(UsageError, match=r"split-column fixes the splits and (split|folds) shares"):
        Options.of(split_column="part", **flags)


def test_what_contradicts_is_told_before_a_file_is_read(tmp_path, monkeypatch):
    pairs(tmp_path / "src" / "train")
    pairs(tmp_path / "src" / "test", 2, start=4)
    segrecord.build(tmp_path / "src", tmp_path / "old", **SHARES)
    monkeypatch.setattr(scan_source.facts, "scan", lambda *_: pytest.fail("files were read"))
    with pytest.raises(UsageError, match="leave --extend out"):
        segrecord.build(tmp_path / "src", tmp_path / "new", extend=tmp_path / "old")
    rows = ["train/images/0.png,a b", "train/images/1.png,records"]
    table = listing(tmp_path / "src" / "set.csv", rows, "image,part")
    with pytest.raises(segrecord.SegrecordError, match="a split's name must"):
        segrecord.build(table, tmp_path / "new", split_column="part")


def test_a_lone_split_folder_does_not_hinder_extend(tmp_path):
    old = pairs(tmp_path / "src" / "train")
    segrecord.build(tmp_path / "src", tmp_path / "old", **SHARES)
    pairs(old, 4, start=4)
    built = segrecord.build(tmp_path / "src", tmp_path / "new", extend=tmp_path / "old")
    assert sum(sizes(built).values()) == 8
    assert not segrecord.verify(tmp_path / "new", source=tmp_path / "src").problems


def test_samples_without_a_split_and_splits_that_stand_are_left_as_they_are():
    for samples in (given(None, None), given("train", "test"), given("train", "train")):
        shared = shared_out(samples, PlanOptions())
        assert (shared.samples is samples, shared.findings, shared.note) == (True, (), "")
