"""--extend: old samples never move, what belongs to them follows, what ties two splits is told."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import datasets
import segrecord
from make import listing, put, samples_of
from segrecord.errors import RecordError, UsageError
from segrecord.export import sidecars
from segrecord.format import manifest as manifests
from segrecord.images import png
from segrecord.options import Options, PlanOptions
from segrecord.pipeline.context import read_old
from segrecord.privacy import pseudonyms
from segrecord.splits.extend import Old, extended, settle
from segrecord.splits.groups import join
from segrecord.splits.plan import shared_out
from segrecord.tables import FACTS, SHA256
from segrecord.write.assemble import recorded_options

SHARES = (("train", 0.5), ("val", 0.25), ("test", 0.25))
SECRET, OTHER = b"0123456789abcdef", b"fedcba9876543210"


def sha(name):
    return None if name is None else hashlib.sha256(name.encode()).digest()


def old_of(rows, split=SHARES, folds=None, pseudonymized=""):
    """What is extended, of (key, split, group, pixels) rows; absent tails are empty."""
    keys, splits, groups, pixels = zip(
        *((*row, None, None)[:4] if len(row) < 4 else row for row in rows), strict=True
    )
    table = pa.table(
        {
            "key": pa.array(keys, pa.large_string()),
            "group": pa.array(groups, pa.large_string()),
            "split": pa.array(splits, pa.string()),
            "pixels_sha256": pa.array(map(sha, pixels), SHA256),
        }
    )
    return Old(table, split, folds, pseudonymized, "")


def settled(rows, old, copies=None):
    """The settlement of (key, group, pixels) rows; `copies` gives what is joined beside groups.

    Splits and numbers come back by key.
    """
    rows = sorted((*row, None, None)[:3] for row in rows)
    samples = samples_of([(key, f"{key}.png", (), (), group) for key, group, _ in rows])
    pixels = pa.chunked_array([pa.array([sha(name) for *_, name in rows], SHA256)])
    joined = {key: number for number, keys in enumerate(copies or []) for key in keys}
    copied = np.array([joined.get(key, 1000 + row) for row, (key, *_) in enumerate(rows)])
    result = settle(samples, pixels, join(samples["group"], copied), old)
    keys = [key for key, *_ in rows]
    return (
        dict(zip(keys, result.fixed, strict=True)),
        dict(zip(keys, result.numbers.tolist(), strict=True)),
        result.findings,
    )


def codes(findings):
    return sorted((found.code, found.key) for found in findings)


OLD = old_of(
    [("a", "train", "p1", "A"), ("b", "test", "p2", "B"), ("c", "val", None, "C")],
)
PRESENT = [("a", "p1", "A"), ("b", "p2", "B"), ("c", None, "C")]


def test_an_old_sample_keeps_its_split_and_a_free_one_has_none():
    fixed, _, findings = settled([*PRESENT, ("n", "p9", "N")], OLD)
    assert fixed == {"a": "train", "b": "test", "c": "val", "n": None}
    assert findings == ()


def test_a_new_sample_follows_its_group_its_copy_and_what_they_belong_to():
    fixed, numbers, findings = settled(
        [*PRESENT, ("g", "p1", "G"), ("h", "p5", "H"), ("i", "p5", "I")], OLD, copies=[("c", "h")]
    )
    assert (fixed["g"], fixed["h"], fixed["i"]) == ("train", "val", "val")
    assert numbers["c"] == numbers["h"] == numbers["i"] != numbers["a"] == numbers["g"]
    assert findings == ()


def test_a_group_binds_when_none_of_its_old_samples_is_left():
    fixed, _, findings = settled([("n", "p2", "N"), ("a", "p1", "A"), ("c", None, "C")], OLD)
    assert fixed["n"] == "test"
    assert [(found.code, found.level, found.key) for found in findings] == [
        ("extend-gone", "info", "")
    ]
    assert "1 of 3" in findings[0].message


def test_a_renamed_file_keeps_the_split_of_its_pixels():
    fixed, _, _ = settled([("renamed", None, "B"), ("a", "p1", "A")], OLD)
    assert fixed["renamed"] == "test"


def test_a_picture_that_was_given_another_key_and_replaced_under_its_own_still_binds():
    fixed, _, findings = settled([("a", "p1", "other"), ("n", None, "A")], OLD)
    assert fixed == {"a": "train", "n": "train"}
    assert ("extend-changed", "a") in codes(findings)


def test_pictures_that_are_not_joined_to_a_copy_still_there_are_free():
    # Crowds of copies (black pictures) are deliberately not joined.
    fixed, _, _ = settled([*PRESENT, ("n", None, "A")], OLD)
    assert fixed["n"] is None


def test_pixels_that_the_old_dataset_has_in_two_splits_bind_nothing():
    old = old_of([("x", "train", None, "black"), ("y", "test", None, "black")])
    fixed, _, findings = settled([("n", None, "black")], old)
    assert fixed["n"] is None
    assert codes(findings) == [("extend-gone", "")]


def test_samples_without_known_pixels_are_no_copies_of_each_other():
    old = old_of([("x", "train")])
    fixed, _, findings = settled([("x", None, None), ("n", None, None)], old)
    assert fixed == {"x": "train", "n": None}
    assert findings == ()


def test_a_new_sample_that_ties_two_splits_is_an_error_that_names_both():
    fixed, numbers, findings = settled([*PRESENT, ("n", "p1", "N")], OLD, copies=[("n", "b")])
    assert (fixed["a"], fixed["b"], fixed["n"]) == ("train", "test", None)
    (found,) = [found for found in findings if found.code == "extend-tie"]
    assert (found.level, found.key, found.path) == ("error", "n", "n.png")
    assert "'b' in test and 'a' in train" in found.message
    assert numbers["a"] != numbers["b"]


def test_a_tie_names_the_group_or_the_pixels_where_the_old_samples_are_gone():
    fixed, _, findings = settled([("n", "p1", "B"), ("c", None, "C")], OLD)
    assert fixed["n"] is None
    (found,) = [found for found in findings if found.code == "extend-tie"]
    assert "a picture of the same pixels in test and the group 'p1' in train" in found.message


def test_an_old_sample_beside_a_tie_is_not_accused():
    _, _, findings = settled([("a", "p1", "A"), ("n", "p2", "N")], OLD, copies=[("a", "n")])
    assert codes(findings) == [("extend-gone", ""), ("extend-tie", "n")]


def test_a_new_sample_of_a_group_that_the_old_dataset_has_divided_is_a_tie():
    old = old_of([("x", "train", "p"), ("y", "val", "p")])
    _, _, findings = settled([("n", "p", None)], old)
    assert ("extend-tie", "n") in codes(findings)


def test_old_samples_that_belong_together_but_stand_apart_stay_and_are_told_once():
    rows = [("a", "p1", "A"), ("b", "p2", "B"), ("c", None, "C")]
    fixed, numbers, findings = settled(rows, OLD, copies=[("a", "b", "c")])
    assert fixed == {"a": "train", "b": "test", "c": "val"}
    assert len(set(numbers.values())) == 3, "each number has one fixed split"
    assert [(found.code, found.level) for found in findings] == [("extend-divided", "warning")]


def test_an_old_sample_with_other_pixels_keeps_its_split_with_a_warning():
    fixed, _, findings = settled([("a", "p1", "A2"), *PRESENT[1:]], OLD)
    assert fixed["a"] == "train"
    assert [(found.code, found.level, found.key) for found in findings] == [
        ("extend-changed", "warning", "a")
    ]


def test_a_source_that_fixes_splits_is_refused():
    rows = [
        (key, f"{key}.png", (), (), None, split) for key, split in (("a", "val"), ("b", "test"))
    ]
    with pytest.raises(UsageError, match=r"fixes the splits itself \(test, val\); leave --extend"):
        shared_out(samples_of(rows), PlanOptions(extend="old"))


NAMES = st.sampled_from("abcdefghijkl")
ROWS = st.lists(st.tuples(st.none() | NAMES, NAMES, st.booleans()), min_size=1, max_size=24)


@given(
    was=ROWS,
    new=ROWS,
    alike=st.lists(st.tuples(NAMES, NAMES), max_size=4),
    sides=st.lists(st.sampled_from(["train", "val", "test"]), min_size=12, max_size=12),
)
def test_no_old_sample_moves_and_no_joined_set_is_divided_but_by_the_old_dataset(
    was, new, alike, sides
):
    """Rows are (group, picture, whether an old sample is still there); `alike`: near-duplicates."""
    had = {
        f"o{row}": sides[row % 12 if group is None else ord(group) - ord("a")]
        for row, (group, _, _) in enumerate(was)
    }
    old = old_of([(f"o{i}", had[f"o{i}"], group, name) for i, (group, name, _) in enumerate(was)])
    rows = [(f"o{i}", group, name) for i, (group, name, there) in enumerate(was) if there]
    rows += [(f"n{i}", group, name) for i, (group, name, _) in enumerate(new)]
    looks = {name: name for name in "abcdefghijkl"}
    for one, other in alike:
        looks = {name: looks[one] if to == looks[other] else to for name, to in looks.items()}
    copies = [[key for key, _, name in rows if looks[name] == look] for look in looks.values()]
    fixed, numbers, findings = settled(rows, old, copies)

    assert all(fixed[key] == had[key] for key in fixed if key in had)
    tied = {found.key for found in findings if found.code == "extend-tie"}
    assert not tied & set(had), "no old sample is left out"
    of_group = {group: had[f"o{row}"] for row, (group, _, _) in enumerate(was) if group}
    splits, joined = {}, {}
    for key, group, name in rows:
        if key in tied:
            continue
        splits.setdefault(numbers[key], set()).add(fixed[key])
        for what in (group and f"group {group}", f"look {looks[name]}"):
            joined.setdefault(what, []).append(key)
        assert fixed[key] == of_group.get(group, fixed[key]), "it follows its group"
    assert all(len(of_number) == 1 for of_number in splits.values()), "one fixed split a number"
    joined.pop(None, None)
    for keys in joined.values():
        if set(keys) - set(had):
            assert len({numbers[key] for key in keys}) == 1, "only the old dataset divides"


def test_a_sample_without_a_group_is_bound_by_nothing():
    old = old_of([("x", "train", None, "X")])
    fixed, _, _ = settled([("x", None, "X"), ("n", None, "N")], old)
    assert fixed["n"] is None


def plan(**options):
    return PlanOptions(extend="OLD", **options)


@pytest.mark.parametrize(
    ("options", "old", "expected"),
    [
        ({}, old_of([("a", "train")]), (SHARES, None)),
        ({"split": "train=0.5,test=0.25,val=0.25"}, old_of([("a", "train")]), (SHARES, None)),
        ({}, old_of([("a", "fold0")], None, 4), (None, 4)),
        ({"folds": 4}, old_of([("a", "fold0")], None, 4), (None, 4)),
        ({}, old_of([("a", "train")], None), (None, None)),
    ],
)
def test_the_shares_are_those_of_the_old_dataset(options, old, expected):
    found = extended(plan(**options), old)
    assert (found.split, found.folds) == expected


@pytest.mark.parametrize(
    ("options", "old", "words"),
    [
        ({"split": "train=0.9,test=0.1"}, old_of([("a", "train")]), "--split is not .*val=0.25"),
        ({"folds": 4}, old_of([("a", "train")]), "--folds is not .*--split train=0.5"),
        ({"folds": 5}, old_of([("a", "fold0")], None, 4), "--folds is not .*--folds 4"),
        ({"split": "train=1"}, old_of([("a", "fold0")], None, 4), "--split is not .*--folds 4"),
        ({"split": "train=1"}, old_of([("a", "train")], None), "neither --split nor --folds"),
        ({}, old_of([("a", "train"), ("b", "val")], None), "fixed by its source"),
    ],
)
def test_other_shares_than_those_of_the_old_dataset_are_refused(options, old, words):
    with pytest.raises(UsageError, match=words):
        extended(plan(**options), old)


@pytest.fixture
def built(tmp_path):
    """A dataset of nine samples, two a group, whose facts lie in another order."""
    out = datasets.make(tmp_path / "old", {"train": (4, 3), "test": (2,)})
    facts = {
        "key": [f"set/{n:03d}" for n in reversed(range(9))],
        "checks": ["full"] * 9,
        "problems": [[]] * 9,
        "pixels_sha256": [sha(str(n)) if n else None for n in reversed(range(9))],
    }
    empty = {name: [None] * 9 for name in FACTS.names}
    (out / "facts.arrow").write_bytes(sidecars.arrow_file(pa.table(empty | facts, schema=FACTS)))
    edit(out, options={"plan": recorded_options(Options.of(split=SHARES, seed=7))["plan"]})
    return out


def edit(out, **values):
    path = out / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))


def test_an_old_dataset_is_read_with_groups_splits_and_pixels(built, tmp_path):
    edit(built, fingerprint="f" * 64)
    old = read_old(built, tmp_path / "new", None)
    rows = {row["key"]: row for row in old.samples.to_pylist()}
    assert rows["set/003"] == {
        "key": "set/003",
        "group": "patient 1",
        "split": "train",
        "pixels_sha256": sha("3"),
    }
    assert rows["set/000"]["pixels_sha256"] is None
    assert rows["set/008"]["split"] == "test"
    assert len(rows) == 9
    assert old[1:] == (SHARES, None, "", "f" * 64)


def test_the_folds_of_an_old_dataset_are_read(built, tmp_path):
    edit(built, options={"plan": recorded_options(Options.of(folds=4))["plan"]})
    old = read_old(built, tmp_path / "new", None)
    assert (old.split, old.folds) == (None, 4)


@pytest.mark.parametrize("inside", ["", "deeper/down"])
def test_an_output_in_the_old_dataset_is_refused(built, inside):
    with pytest.raises(UsageError, match="lies in the dataset that is extended"):
        read_old(built, built / inside, None)


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--extend: .*holds no finished dataset"):
        read_old(tmp_path / "none", tmp_path / "new", None)


def test_a_key_file_for_a_dataset_without_pseudonyms_is_refused(built, tmp_path):
    with pytest.raises(UsageError, match="built without --pseudonymize"):
        read_old(built, tmp_path / "new", SECRET)


@pytest.mark.parametrize(("secret", "words"), [(None, "holds pseudonyms"), (OTHER, "another key")])
def test_another_key_file_than_that_of_the_old_dataset_is_refused(built, tmp_path, secret, words):
    edit(built, pseudonymized=pseudonyms.check_value(SECRET))
    assert read_old(built, tmp_path / "new", SECRET).pseudonymized
    with pytest.raises(UsageError, match=words):
        read_old(built, tmp_path / "new", secret)


@pytest.mark.parametrize("damage", [None, b"", b"ARROW1 no more"])
def test_facts_that_are_missing_or_damaged_are_said_so(built, tmp_path, damage):
    path = built / "facts.arrow"
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(RecordError, match=r"facts.arrow: (the file is missing|is no sound)"):
        read_old(built, tmp_path / "new", None)


def hospital(folder, count):
    """A listing of so many samples, three a patient, and its pictures."""
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        put(folder / f"{number}.png", png.encode(noise))
    rows = [f"{n}.png,{'ab'[n % 2]},p{n // 3}" for n in range(count)]
    return str(listing(folder / "list.csv", rows, "image,class,patient"))


def sides(out):
    with pa.ipc.open_file(str(out / "records.arrow")) as reader:
        return {row["key"]: (row["split"], row["group"]) for row in reader.read_all().to_pylist()}


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("shares", [{"split": "train=0.5,val=0.25,test=0.25"}, {"folds": 3}])
def test_a_dataset_extended_twice_keeps_every_split_and_its_shares(
    tmp_path, inline, secret, shares
):
    options = {"group_column": "patient"}
    if secret is not None:
        options["pseudonymize"] = str(put(tmp_path / "key", secret))
    before, more = {}, shares
    for step, count in enumerate((24, 35, 45)):
        out = tmp_path / f"out{step}"
        source = hospital(tmp_path / "set", count)
        segrecord.build(source, out, seed=step, **options, **more)
        now, manifest = sides(out), manifests.load(out)
        assert len(now) == count
        assert now | before == now, "nothing has moved"
        assert len({group: split for split, group in now.values()}) == len(set(now.values()))
        before, more = now, {"extend": str(out)}
        plan = manifest.options["plan"]
        assert (plan["split"] is not None, plan["folds"]) == (
            "split" in shares,
            shares.get("folds"),
        )
    assert manifest.extends == manifests.load(tmp_path / "out1").fingerprint
