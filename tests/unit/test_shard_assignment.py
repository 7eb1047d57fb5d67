"""Each record lies in the shard of its own split, however many splits and shards there are."""

import pyarrow as pa
import pytest

import segrecord
from make import listing, picture, png, put, source
from segrecord.errors import RecordError
from segrecord.split_names import fold_names
from segrecord.tables import PLAN
from segrecord.write import assemble


@pytest.mark.parametrize("each", [1, 3, 100])
@pytest.mark.parametrize("shards", [1, 8, 10, 64, 100])
@pytest.mark.parametrize("names", [("train", "test"), ("train", "val", "test"), fold_names(5)])
def test_the_shards_of_a_plan_stand_in_its_order_and_cover_it(names, shards, each):
    order = [(name, shard) for name in names for shard in range(shards)]
    rows = [
        {"key": str(row), "row": row, "split": name, "shard": shard, "position": row % each}
        for row, (name, shard) in enumerate(part for part in order for _ in range(each))
    ]
    found = assemble.specs(pa.Table.from_pylist(rows, PLAN))
    assert [(spec.split, spec.shard) for spec in found] == order
    assert [spec.start for spec in found] == list(range(0, len(rows), each))
    assert [spec.end for spec in found] == list(range(each, len(rows) + 1, each))
    assert {spec.shards for spec in found} == {shards}


@pytest.mark.usefixtures("inline")
def test_five_small_folds_hold_their_own_records_and_no_patient_of_another(tmp_path):
    for number in range(40):
        put(tmp_path / "in" / f"{number}.png", png.encode(picture(number), photo=True))
    rows = [f"{n}.png,{'ab'[n // 2 % 2]},p{n // 2}" for n in range(40)]
    path = listing(tmp_path / "in" / "set.csv", rows, "image,class,patient")
    built = segrecord.build(path, tmp_path / "out", group_column="patient", folds=5)
    assert segrecord.verify(built.path, source=path).problems == ()
    held = {}
    for fold in fold_names(5):
        for example in segrecord.open(built.path, split=fold):
            held.setdefault(example.group, set()).add(fold)
    assert len(held) == 20
    assert {len(folds) for folds in held.values()} == {1}


@pytest.mark.usefixtures("inline")
def test_a_build_whose_index_contradicts_its_shards_is_not_committed(tmp_path, monkeypatch):
    path = source(tmp_path / "in", 4)
    specs = assemble.specs

    def exchanged(plan):
        """The last shard of one split and the first of the next, each with the other's rows."""
        first, last, other, *more = specs(plan)
        taken = other._replace(start=last.start, end=last.end)
        given = last._replace(start=other.start, end=other.end)
        return [first, taken, given, *more]

    monkeypatch.setattr(assemble, "specs", exchanged)
    options = {"split": "train=0.5,test=0.5", "shards": 2, "no_report": True}
    with pytest.raises(RecordError, match="the manifest says"):
        segrecord.build(path, tmp_path / "out", **options)
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert not (tmp_path / "out" / ".segrecord" / "files" / "dataset.json").exists()
