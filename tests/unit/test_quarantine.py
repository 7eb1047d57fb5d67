"""From what is known to what is written: levels, copies, splits, folds and extensions of builds."""

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import blob, listing, png, put
from segrecord.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("inline")


def clouds(number, size=48):
    """Distinct pictures: smooth fields, of which none is nearly another."""
    coarse = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


@pytest.fixture
def folder(tmp_path):
    """24 distinct pairs of two classes and eight patients, and a writer of the listing."""
    for number in range(24):
        put(tmp_path / f"{number:02}.png", png.encode(clouds(number), photo=True))
        put(tmp_path / f"{number:02}m.png", png.encode(blob(number, 48, 48)))
    return tmp_path


def rows(numbers=range(24)):
    return [f"{n:02}.png,{n:02}m.png,{'ab'[n % 2]},p{n // 3}" for n in numbers]


def table(folder, some, name="set.csv"):
    return listing(folder / name, some, "image,mask,class,patient")


def codes(findings, level=None):
    return {f.code for f in findings if level in (None, f.level)}


def splits(built):
    ds = segrecord.open(built.path)
    return dict(zip(ds.records["key"].to_pylist(), ds.records["split"].to_pylist(), strict=True))


def copy(folder, number, name, edit=lambda picture: picture, **options):
    """Another file of the same picture."""
    picture = edit(Image.fromarray(clouds(number)))
    picture.save(folder / f"{name}.png", **options)
    put(folder / f"{name}m.png", (folder / f"{number:02}m.png").read_bytes())
    return f"{name}.png,{name}m.png,{'ab'[number % 2]},"


def test_near_duplicates_go_to_one_split_whatever_the_seed(folder, tmp_path):
    half = copy(folder, 0, "half", lambda picture: picture.resize((24, 24)))
    put(folder / "halfm.png", png.encode(blob(0, 24, 24)))
    path = table(folder, [*(row[: row.rindex(",")] + "," for row in rows()), half])
    for seed in range(6):
        options = {"split": "train=0.5,test=0.5", "seed": seed}
        built = segrecord.build(path, tmp_path / f"out{seed}", **options)
        found = splits(built)
        assert found["00"] == found["half"]
    assert "near-duplicate" in codes(built.findings, "warning")


def test_copies_are_told_and_kept_unless_one_is_enough(folder, tmp_path):
    path = table(folder, [*rows(), copy(folder, 3, "again")])
    both = segrecord.build(path, tmp_path / "both", group_column="patient")
    assert both.manifest.samples == 25
    assert [f.key for f in both.findings if f.code == "duplicate"] == ["again"]
    one = segrecord.build(path, tmp_path / "one", group_column="patient", keep_duplicates="one")
    assert one.manifest.samples == 24
    assert one.manifest.quarantined == 1
    assert [f.key for f in one.findings if f.code == "duplicate-dropped"] == ["again"]
    assert b"again" in (one.path / "quarantine.csv").read_bytes()
    assert "again" not in splits(one)
    assert segrecord.verify(one.path, source=path).problems == ()


def test_a_copy_with_another_class_stops_the_build_and_can_be_ignored_or_left_out(folder, tmp_path):
    twisted = copy(folder, 3, "again").replace(",b,", ",a,")
    path = table(folder, [*rows(), twisted])
    with pytest.raises(DataError) as raised:
        segrecord.build(path, tmp_path / "out")
    assert codes(raised.value.findings, "error") == {"duplicate-label"}
    built = segrecord.build(path, tmp_path / "ignored", ignore="duplicate-label")
    assert built.manifest.samples == 25
    assert built.manifest.options["checks"]["ignore"] == ("duplicate-label",)
    assert "duplicate-label" in codes(built.findings, "info")
    built = segrecord.build(path, tmp_path / "sound", on_error="quarantine")
    assert built.manifest.samples == 23  # nobody knows which of the two is right


def test_a_warning_made_an_error_stops_the_build_and_stands_in_the_manifest(folder, tmp_path):
    path = table(folder, rows())
    with pytest.raises(DataError) as raised:
        segrecord.build(path, tmp_path / "out", error="no-group")
    assert codes(raised.value.findings, "error") == {"no-group"}
    built = segrecord.build(path, tmp_path / "out", error="no-group", group_column="patient")
    assert built.manifest.options["checks"]["error"] == ("no-group",)


def test_an_error_of_the_whole_set_is_not_mended_by_leaving_samples_out(folder, tmp_path):
    path = table(folder, rows())
    with pytest.raises(DataError, match="does not help against what concerns all"):
        segrecord.build(path, tmp_path / "out", error="no-group", on_error="quarantine")


def test_folds_divide_no_patient_and_are_read_as_train_and_val(folder, tmp_path):
    path = table(folder, rows())
    built = segrecord.build(path, tmp_path / "out", group_column="patient", folds=4)
    assert set(splits(built).values()) == {f"fold{number}" for number in range(4)}
    held = []
    for fold in range(4):
        val = segrecord.open(built.path, fold=fold, part="val")
        train = segrecord.open(built.path, fold=fold, part="train")
        patients = [set(part.records["group"].to_pylist()) for part in (train, val)]
        assert not patients[0] & patients[1]
        assert len(train) + len(val) == 24
        held += val.records["key"].to_pylist()
    assert len(set(held)) == len(held) == 24


def test_an_extension_moves_no_sample_and_quarantines_what_ties_two_splits(folder, tmp_path):
    grouped = {"group_column": "patient"}
    old = segrecord.build(
        table(folder, rows(range(18))), tmp_path / "old", split="train=0.5,test=0.5", **grouped
    )
    was = splits(old)
    patients = {split: next(k for k, v in was.items() if v == split) for split in ("train", "test")}
    one, other = (int(patients[split]) for split in ("train", "test"))
    tie = copy(folder, one, "tie") + f"p{other // 3}"
    path = table(folder, [*rows(), tie], "more.csv")
    with pytest.raises(DataError) as raised:
        segrecord.build(path, tmp_path / "new", extend=str(old.path), **grouped)
    assert [f.key for f in raised.value.findings if f.level == "error"] == ["tie"]
    new = segrecord.build(
        path, tmp_path / "new", extend=str(old.path), on_error="quarantine", **grouped
    )
    assert was.items() <= splits(new).items()
    assert len(splits(new)) == 24
    assert new.manifest.extends == old.manifest.fingerprint
    again = segrecord.build(path, tmp_path / "third", extend=str(new.path), on_error="quarantine",
                            **grouped)  # fmt: skip
    assert splits(again) == splits(new)


def test_what_an_extension_cannot_keep_is_refused(folder, tmp_path):
    path = table(folder, rows())
    old = segrecord.build(path, tmp_path / "old", split="train=0.5,test=0.5")
    with pytest.raises(UsageError, match="--split is not what"):
        segrecord.build(path, tmp_path / "new", extend=str(old.path), split="train=0.6,test=0.4")
    with pytest.raises(UsageError, match="lies in the dataset that is extended"):
        segrecord.build(path, tmp_path / "old", extend=str(old.path), overwrite=True)


def test_a_scan_tells_what_a_build_with_these_splits_would(folder):
    path = table(folder, rows(range(5)))
    found = segrecord.scan(path, split="train=0.4,val=0.3,test=0.3").findings
    assert "split-lacks-class" in codes(found, "error")


def broken(folder, number):
    """Cuts the end off an image."""
    path = folder / f"{number:02}.png"
    path.write_bytes(path.read_bytes()[:-20])


def test_what_is_told_is_of_the_last_plan_alone(folder, tmp_path):
    labels = {n: "b" if n in (3, 7) else "a" for n in range(24)}
    path = table(folder, [f"{n:02}.png,{n:02}m.png,{labels[n]},p{n // 3}" for n in range(24)])
    put(folder / "11m.png", png.encode(np.uint8(blob(11, 48, 48) // 2)))  # 127: another reading
    for number in (7, 9):
        broken(folder, number)
    options = {"on_error": "quarantine", "group_column": "patient"}
    built = segrecord.build(path, tmp_path / "out", **options)
    assert sorted(segrecord.open(built.path).records["key"].to_pylist()) == [
        f"{n:02}" for n in range(24) if n not in (7, 9, 11)
    ]
    (ratio,) = [f.message for f in built.findings if f.code == "class-ratio"]
    assert "'a' has 20 samples, class 'b' 1" in ratio
    left = tuple(f for f in segrecord.scan(path, group_column="patient").findings if f.key in
                 {"07", "09", "11"} and f.level == "error")  # fmt: skip
    put(folder / "sound.csv", (folder / "set.csv").read_bytes())
    sound = table(folder, [f"{n:02}.png,{n:02}m.png,{labels[n]},p{n // 3}" for n in range(24)
                           if n not in (7, 9, 11)], "sound.csv")  # fmt: skip
    alone = segrecord.build(sound, tmp_path / "alone", group_column="patient")
    assert len(built.findings) == len(alone.findings) + len(left)
    assert set(alone.findings) <= set(built.findings)
    for code, count in built.manifest.findings.items():
        more = sum(f.code == code for f in left)
        assert count == alone.manifest.findings.get(code, 0) + more


def test_a_class_that_the_last_plan_gives_to_every_split_is_not_said_to_be_missing(
    folder, tmp_path
):
    # All of class b that is sound is enough for both splits; of p1 nothing can be read.
    some = [f"{n:02}.png,{n:02}m.png,{'b' if n < 6 else 'a'},p{n // 3}" for n in range(24)]
    path = table(folder, [*some, copy(folder, 0, "x").replace(",a,", ",c,") + "p8"])
    (folder / "x.png").write_bytes(b"")
    built = segrecord.build(
        path,
        tmp_path / "out",
        on_error="quarantine",
        group_column="patient",
        split="train=0.5,test=0.5",
    )
    assert not {"split-lacks-class"} & codes(built.findings)
    assert not any("'c'" in f.message for f in built.findings)
    assert b"'c'" not in (built.path / "findings.csv").read_bytes()
    assert b"lacks-class" not in (built.path / "report.html").read_bytes()


def test_of_a_copy_that_is_left_out_only_that_is_told(folder, tmp_path):
    path = table(folder, [*rows(), copy(folder, 3, "again")])
    one = segrecord.build(path, tmp_path / "one", keep_duplicates="one")
    assert [f.code for f in one.findings if f.key == "again"] == ["duplicate-dropped"]


def test_what_the_source_says_of_itself_is_told_after_a_second_plan(folder, tmp_path):
    path = table(folder, [*rows(), "gone.png,,a,p1"])
    broken(folder, 4)
    built = segrecord.build(path, tmp_path / "out", on_error="quarantine")
    assert {"missing-image", "png-truncated"} <= codes(built.findings, "error")
    assert built.manifest.samples == 23
