"""Filters, sorts and pages over the index, against what plain Python finds in the same rows."""

import numpy as np
import pyarrow as pa
import pytest

import datasets
import segrecord
from segrecord.errors import RecordError, UsageError
from segrecord.findings import Finding
from segrecord.tables import FINDINGS
from segrecord.viewer.marks import Marks
from segrecord.viewer.query import (
    Catalogue,
    Position,
    Query,
    RecordFindings,
    parse,
    read_findings,
    whole,
)


def findings_table(findings):
    """What `read_findings` gives of a list of these findings."""
    rows = [found.row() for found in findings]
    columns = list(zip(*rows, strict=True)) or [()] * len(FINDINGS)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=FINDINGS.names)


SHARDS = {"train": (4, 3), "val": (2,), "test": (3,)}
FOUND = [
    Finding(
        "dark", "set/005", "5.png", values={"message": "it is dark", "fix": "look"}, level="warning"
    ),
    Finding(
        "dark", "set/001", "1.png", values={"message": "it is dark", "fix": "look"}, level="warning"
    ),
    Finding(
        "small", "set/005", "5.png", values={"message": "it is small", "fix": ""}, level="info"
    ),
    Finding(
        "small",
        "set/005",
        "5.png",
        values={"message": "it is small twice", "fix": ""},
        level="info",
    ),
    Finding(
        "broken",
        "left/out",
        "x.png",
        values={"message": "it is in no shard", "fix": "mend it"},
        level="error",
    ),
    Finding("skipped-files", "", "", values={"message": "of the dataset as a whole", "fix": ""}),
]


@pytest.fixture
def folder(tmp_path):
    return datasets.make(tmp_path / "set", SHARDS)


@pytest.fixture
def marks(tmp_path, folder):
    return Marks(tmp_path / "marks.csv", folder)


@pytest.fixture
def catalogue(folder, marks):
    store = segrecord.open(folder).all_records.shards
    return Catalogue(store, RecordFindings(findings_table(FOUND), store.index["key"]), marks)


@pytest.fixture
def rows(folder):
    return datasets.read_index(folder).to_pylist()


def keys(catalogue, rows, query):
    return [rows[row]["key"] for row in catalogue.rows(query)]


def expected(rows, holds):
    return [row["key"] for row in rows if holds(row)]


def coverage(row):
    return sum(row["mask_pixels"][1:]) / (row["height"] * row["width"])


def test_no_filter_shows_every_record_in_its_order(catalogue, rows):
    assert keys(catalogue, rows, Query()) == [row["key"] for row in rows]


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (Query(split="val"), lambda row: row["split"] == "val"),
        (Query(label=1), lambda row: row["label"] == 1),
        (Query(has_mask=True), lambda row: row["has_mask"]),
        (Query(has_mask=False), lambda row: not row["has_mask"]),
        (Query(code="dark"), lambda row: row["key"] in ("set/001", "set/005")),
        (Query(code="small"), lambda row: row["key"] == "set/005"),
        (Query(search="T/00"), lambda row: "t/00" in row["key"]),
        (Query(search="."), lambda row: False),
        (Query(split="train", label=0, has_mask=True),
         lambda row: row["key"] < "set/007" and not row["label"] and row["has_mask"]),
        (Query(split="test", search="no such"), lambda row: False),
    ],
)  # fmt: skip
def test_filters_let_through_what_they_say_and_all_of_them_hold(catalogue, rows, query, holds):
    assert keys(catalogue, rows, query) == expected(rows, holds)


def test_records_without_a_class_are_found_by_the_id_that_stands_for_none(folder, marks):
    datasets.edit_index(folder, 2, label=None)
    store = segrecord.open(folder).all_records.shards
    catalogue = Catalogue(store, RecordFindings(findings_table([]), store.index["key"]), marks)
    assert catalogue.rows(Query(label=-1)).tolist() == [2]
    assert 2 not in catalogue.rows(Query(label=0))


def test_marks_are_a_filter_that_follows_each_change(catalogue, rows, marks):
    assert keys(catalogue, rows, Query(mark="wrong")) == []
    marks.put("set/004", "wrong")
    marks.put("set/002", "good")
    marks.put("of/another/dataset", "wrong")
    assert keys(catalogue, rows, Query(mark="wrong")) == ["set/004"]
    unmarked = expected(rows, lambda row: row["key"] not in ("set/002", "set/004"))
    assert keys(catalogue, rows, Query(mark="none")) == unmarked
    marks.put("set/004", "")
    assert keys(catalogue, rows, Query(mark="wrong")) == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_records_without_a_mask_come_last_in_both_orders_of_coverage(catalogue, rows, order):
    found = [rows[row] for row in catalogue.rows(Query(sort="coverage", order=order))]
    masked = sum(row["has_mask"] for row in rows)
    assert 0 < masked < len(rows)
    assert not any(row["has_mask"] for row in found[masked:])
    shares = [coverage(row) for row in found[:masked]]
    assert shares == sorted(shares, reverse=order == "desc")
    assert catalogue.coverage[0] == coverage(rows[0])


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_sizes_and_keys_sort_both_ways(catalogue, rows, order):
    found = catalogue.rows(Query(sort="size", order=order))
    sizes = [rows[row]["height"] * rows[row]["width"] for row in found]
    assert sizes == sorted(sizes, reverse=order == "desc")
    found = keys(catalogue, rows, Query(sort="key", order=order))
    assert found == sorted((row["key"] for row in rows), reverse=order == "desc")


def test_masks_whose_pixels_nobody_counted_have_no_coverage(folder, marks):
    for row in range(len(datasets.read_index(folder))):
        datasets.edit_index(folder, row, mask_pixels=None, ignore_pixels=None)
    store = segrecord.open(folder).all_records.shards
    catalogue = Catalogue(store, RecordFindings(findings_table([]), store.index["key"]), marks)
    assert np.isnan(catalogue.coverage).all()
    assert catalogue.rows(Query(sort="coverage", order="desc")).tolist() == list(range(12))


def test_pages_cut_what_is_found_and_a_late_page_is_the_last(catalogue):
    page = catalogue.page(Query(), 2, 5)
    assert (page.rows.tolist(), page.number, page.pages, page.found) == ([5, 6, 7, 8, 9], 2, 3, 12)
    late = catalogue.page(Query(), 10**18, 5)
    assert (late.rows.tolist(), late.number) == ([10, 11], 3)
    none = catalogue.page(Query(search="no such"), 1, 5)
    assert (none.rows.tolist(), none.number, none.pages, none.found) == ([], 1, 1, 0)


def test_a_position_tells_the_neighbours_within_what_is_found(catalogue):
    query = Query(split="train", order="desc")
    assert catalogue.rows(query).tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert catalogue.position(query, 6) == Position(0, 7, None, 5)
    assert catalogue.position(query, 3) == Position(3, 7, 4, 2)
    assert catalogue.position(query, 0) == Position(6, 7, 1, None)
    assert catalogue.position(query, 8) is None


def test_a_record_is_found_by_its_key_alone(catalogue):
    assert catalogue.row_of("set/003") == 3
    for unknown in ("set/00", "", "\ud800", "SET/003"):
        assert catalogue.row_of(unknown) is None


def test_an_index_of_several_batches_gives_the_same(folder, marks, rows):
    table = datasets.read_index(folder)
    path = folder / "records.arrow"
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    store = segrecord.open(folder).all_records.shards
    assert store.index["key"].num_chunks == 3
    catalogue = Catalogue(store, RecordFindings(findings_table(FOUND), store.index["key"]), marks)
    assert catalogue.coverage[8] == coverage(rows[8])
    dark = Query(code="dark", sort="key", order="desc")
    assert keys(catalogue, rows, dark) == ["set/005", "set/001"]
    assert keys(catalogue, rows, Query(search="set/01")) == ["set/010", "set/011"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (Query(split="valid"), "no split 'valid'; there are: train, val, test"),
        (Query(label=7), "no label 7; there are: 0, 1, -1"),
        (Query(code="broken"), "no code 'broken'; there are: dark, small"),
    ],
)
def test_a_filter_that_is_not_there_is_refused_by_name(catalogue, query, said):
    with pytest.raises(UsageError, match=said):
        catalogue.rows(query)


def test_a_query_is_parsed_of_a_url(catalogue):
    assert parse({}) == Query()
    given = {"split": "val", "label": "-1", "has_mask": "0", "code": "dark", "mark": "none"}
    given |= {"search": "x", "sort": "size", "order": "desc", "page": "3"}
    assert parse(given) == Query("val", -1, False, "dark", "none", "x", "size", "desc")


@pytest.mark.parametrize(
    "given",
    [
        {"label": "cat"}, {"has_mask": "yes"}, {"mark": "fine"}, {"sort": "colour"},
        {"order": "up"}, {"sort": ""},
    ],
)  # fmt: skip
def test_a_value_that_a_parameter_cannot_have_is_refused(given):
    with pytest.raises(UsageError, match=next(iter(given))):
        parse(given)


def test_a_number_is_refused_outside_its_range():
    assert whole({}, "page", 7, 9) == 7
    assert whole({"page": "9"}, "page", 7, 9) == 9
    for text in ("0", "10", "-1", "1.5", "x", "٣", "9" * 30):
        with pytest.raises(UsageError, match="page must be from 1 to 9"):
            whole({"page": text}, "page", 7, 9)


def test_findings_are_told_by_record_and_the_rest_is_left_out(catalogue, folder):
    keys = segrecord.open(folder).all_records.shards.index["key"]
    found = RecordFindings(findings_table(FOUND), keys)
    assert found.codes == {"dark": 2, "small": 1}
    assert found.rows("dark").tolist() == [1, 5]
    said = [one["message"] for one in found.of_row(5)]
    assert said == ["it is dark", "it is small", "it is small twice"]
    assert found.of_row(0) == []


def test_the_list_of_findings_is_read_with_its_commas_and_lines(folder):
    (folder / "findings.csv").write_text(
        f'{",".join(FINDINGS.names)}\ninfo,dark,set/001,1.png,,,"it is, well,\ndark",\n'
    )
    assert read_findings(folder).to_pylist() == [
        {"level": "info", "code": "dark", "key": "set/001", "path": "1.png",
         "related": "", "values": "", "message": "it is, well,\ndark", "fix": ""}
    ]  # fmt: skip


def test_a_dataset_without_a_list_of_findings_has_none_and_a_damaged_one_is_told(folder):
    (folder / "findings.csv").unlink()
    assert len(read_findings(folder)) == 0
    (folder / "findings.csv").write_bytes(b"what,is,this\n1,2,3\n")
    with pytest.raises(RecordError, match=r"findings\.csv: is no list of findings"):
        read_findings(folder)
