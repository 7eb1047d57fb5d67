"""Metadata: a table joined to the samples of a folder."""

import pytest

from segrecord.errors import SourceError
from segrecord.findings import Related
from segrecord.options import SourceOptions
from segrecord.sources.columns import may_be_labels
from segrecord.sources.loading import load_source
from segrecord.sources.tabular import Grid


@pytest.fixture
def place(tmp_path):
    for name in ("a", "b", "c"):
        for file in (f"{name}.jpg", f"{name}_segmentation.png"):
            (tmp_path / file).write_bytes(b"")
    return tmp_path


def joined(place, text, **options):
    table = place / "meta.csv"
    table.write_text(text)
    return load_source(place, SourceOptions(metadata=str(table), **options))


def rows(found, *columns):
    return [tuple(row[column] for column in columns) for row in found.samples.to_pylist()]


def findings(found):
    return [(f.level, f.code, f.path) for f in found.findings]


@pytest.mark.parametrize("column", ["image_id", "filename", "anything at all"])
@pytest.mark.parametrize("cell", ["{}", "{}.jpg", "{}.JPG", "{}.png"])
def test_the_column_whose_values_name_the_samples_is_joined_on_and_said(place, column, cell):
    lines = [f"{cell.format(name)},{name.upper()}" for name in "abc"]
    found = joined(place, "\n".join([f"{column},dx", *lines]))
    assert rows(found, "key", "labels") == [("a", ["A"]), ("b", ["B"]), ("c", ["C"])]
    assert len(found.samples["mask"][0]) == 1
    assert f"meta.csv joined on column {column} (3 of 3)" in found.sentence
    assert "class = column dx" in found.sentence
    assert found.findings == ()


def test_class_group_split_and_kept_columns_come_with_the_row(place):
    text = "id,dx,lesion_id,split,age\na,007,L1,training,61.0\nb,x,L1,test,\nc,x,L2,val,3\n"
    found = joined(place, text, group_column="lesion_id", keep_columns="age,id")
    assert rows(found, "labels", "group", "split", "meta/age", "meta/id") == [
        (["007"], "L1", "train", "61.0", "a"),
        (["x"], "L1", "test", None, "b"),
        (["x"], "L2", "val", "3", "c"),
    ]


def test_one_hot_columns_and_a_rest_class_give_the_class(place):
    text = "image_id,melanoma,keratosis\na,1.0,0.0\nb,0.0,1.0\nc,0.0,0.0\n"
    found = joined(place, text, rest_class="nevus")
    assert rows(found, "labels") == [(["melanoma"],), (["keratosis"],), (["nevus"],)]
    refused = joined(place, text)
    assert findings(refused) == [("error", "no-class", "meta.csv row 4")]


def test_a_group_is_hinted_at(place):
    found = joined(place, "id,patient_id\na,1\nb,1\nc,2\n")
    assert any("--group-column patient_id" in hint for hint in found.hints)
    assert not any("meta.csv lies in" in hint for hint in found.hints)


def test_unmatched_rows_and_samples_are_warnings_that_name_them(place):
    found = joined(place, "id,dx\na,x\nb,x\nzzz,x\n")
    assert findings(found) == [
        ("warning", "metadata-unmatched-row", "meta.csv row 4"),
        ("warning", "metadata-missing-row", str(place / "c.jpg")),
    ]
    assert rows(found, "key", "labels") == [("a", ["x"]), ("b", ["x"]), ("c", [])]


def test_a_table_of_many_more_images_than_the_folder_still_joins(place):
    more = "".join(f"other{n},x\n" for n in range(50))
    found = joined(place, f"id,dx\na,x\nb,x\nc,x\n{more}")
    assert "(3 of 3)" in found.sentence


def test_two_rows_for_one_sample_are_an_error(place):
    found = joined(place, "id,dx\na,x\na.jpg,y\nb,x\nc,x\n")
    assert findings(found) == [("error", "metadata-duplicate-row", "meta.csv row 2")]
    assert found.findings[0].key == "a"
    assert "rows 2, 3" in found.findings[0].message


def classes(tmp_path):
    for path in ("A/images/1.png", "B/images/1.png", "B/images/2.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    return tmp_path


def test_a_stem_of_two_samples_is_an_error(tmp_path):
    found = joined(classes(tmp_path), "id,sex\n1,m\n2,f\n")
    assert ("error", "metadata-ambiguous-row", "meta.csv row 2") in findings(found)


def test_each_sample_that_an_ambiguous_row_may_mean_has_the_error_and_can_be_left_out(tmp_path):
    found = joined(classes(tmp_path), "id,patient\n1,p\n2,q\n", group_column="patient")
    keys = [f.key for f in found.findings if f.code == "metadata-ambiguous-row"]
    assert keys == ["A/images/1", "B/images/1"]


def test_of_two_columns_that_name_samples_differently_none_is_taken(tmp_path):
    for name in "123":
        (tmp_path / f"{name}.png").write_bytes(b"")
    text = "{},Picture,dx\n1,3,x\n2,2,y\n3,1,z\n"
    for row_number in ("n", "id", "Unnamed: 0"):
        with pytest.raises(SourceError, match=f"{row_number} and Picture .* with --key-column"):
            joined(tmp_path, text.format(row_number))
    found = joined(tmp_path, text.format("n"), key_column="Picture")
    assert rows(found, "key", "labels") == [("1", ["z"]), ("2", ["y"]), ("3", ["x"])]
    surely = joined(tmp_path, text.format("n").replace("Picture", "image_id"))
    assert rows(surely, "key", "labels") == rows(found, "key", "labels")


def test_two_columns_that_name_the_same_samples_are_as_good_as_one(tmp_path):
    for name in "123":
        (tmp_path / f"{name}.png").write_bytes(b"")
    found = joined(tmp_path, "n,Picture,dx\n3,3.png,x\n2,2.png,y\n1,1.png,z\n")
    assert rows(found, "key", "labels") == [("1", ["z"]), ("2", ["y"]), ("3", ["x"])]


def test_keys_and_paths_tell_samples_of_one_stem_apart(tmp_path):
    found = joined(
        classes(tmp_path),
        "id,sex\nA/images/1,m\nB\\images\\1.png,f\n2,x\n",
        keep_columns="sex",
    )
    assert rows(found, "labels", "meta/sex") == [(["A"], "m"), (["B"], "f"), (["B"], "x")]
    assert found.findings == ()


def test_the_tables_class_takes_the_place_of_the_folders(tmp_path):
    found = joined(classes(tmp_path), "id,dx\nA/images/1,x\nB/images/1,y\n")
    assert rows(found, "labels") == [(["x"],), (["y"],), ([],)]
    assert "folder name" not in found.sentence


def test_what_was_said_of_the_folders_classes_goes_whatever_they_are_called(tmp_path):
    for path in ("x; class = y/1.png", "B; split = z/2.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    alone = load_source(tmp_path, SourceOptions())
    assert [note.topic for note in alone.reads_as] == ["samples", "class"]
    found = joined(tmp_path, "id,dx\n1,m\n2,n\n")
    assert found.sentence == (
        "images CLASS/X, none with a mask; meta.csv joined on column id (2 of 2); class = column dx"
    )


def test_the_other_samples_of_a_finding_are_data(tmp_path):
    found = joined(classes(tmp_path), "id,sex\n1,m\n2,f\n", keep_columns="sex")
    related = {f.key: f.related for f in found.findings if f.code == "metadata-ambiguous-row"}
    assert related == {
        "A/images/1": (Related("B/images/1"),),
        "B/images/1": (Related("A/images/1"),),
    }


def test_a_table_that_names_no_sample_is_refused(place):
    with pytest.raises(
        SourceError, match=r"no column of meta\.csv names the samples.*--key-column"
    ):
        joined(place, "id,dx\nx1,x\nx2,y\n")


def test_a_key_column_is_taken_as_named(place):
    found = joined(place, "id,other,dx\na,c,x\nb,b,y\nc,a,z\n", key_column="other")
    assert rows(found, "labels") == [(["z"],), (["y"],), (["x"],)]


def test_a_named_column_that_does_not_exist_is_refused(place):
    with pytest.raises(SourceError, match="no column nix for --group-column"):
        joined(place, "id,dx\na,x\n", group_column="nix")


def test_a_missing_metadata_file_is_refused(place):
    with pytest.raises(SourceError, match=r"nix\.csv cannot be read"):
        load_source(place, SourceOptions(metadata=str(place / "nix.csv")))


def test_a_metadata_file_of_an_unknown_kind_is_refused(place):
    with pytest.raises(SourceError, match="no table that segrecord reads"):
        load_source(place, SourceOptions(metadata="classes.docx"))


def test_an_xlsx_table_is_joined(place):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["FILE NAME", "dx"], ["a", "x"], ["b", 7], ["c", True]):
        book.active.append(row)
    book.save(place / "meta.xlsx")
    found = load_source(place, SourceOptions(metadata=str(place / "meta.xlsx")))
    assert rows(found, "labels") == [(["x"],), (["7"],), (["true"],)]


def test_a_named_column_that_names_no_sample_is_refused(place):
    with pytest.raises(SourceError, match=r"no row of meta\.csv names a sample in column id"):
        joined(place, "id,dx\nx1,x\nx2,y\n", key_column="id")


def test_of_two_columns_that_agree_the_one_that_finds_more_single_samples_is_taken(tmp_path):
    text = "image_id,path,sex\n1,A/images/1.png,m\n1,B/images/1.png,f\n2,B/images/2.png,x\n"
    found = joined(classes(tmp_path), text, keep_columns="sex")
    assert rows(found, "meta/sex") == [("m",), ("f",), ("x",)]
    assert found.findings == ()


@pytest.mark.parametrize(
    "base", ["{}/", "/home/bob/{}/", "C:\\bob\\{}\\", "../{}/", "./", "/content/drive/My Drive/{}/"]
)
def test_paths_from_above_the_folder_and_of_other_machines_are_told_by_the_folders_name(
    tmp_path, base
):
    base = base.format(tmp_path.name)
    found = joined(classes(tmp_path), f"p,dx\n{base}A/images/1.png,x\n{base}B/images/1.png,y\n")
    assert rows(found, "labels") == [(["x"],), (["y"],), ([],)]


def test_paths_below_another_folder_name_no_sample(tmp_path):
    source = classes(tmp_path / "train")
    found = joined(source, "p,dx\ntrain/A/images/1.png,x\ntest/A/images/1.png,y\n")
    assert rows(found, "key", "labels")[0] == ("A/images/1", ["x"])
    assert ("warning", "metadata-unmatched-row", "meta.csv row 3") in findings(found)


def test_rows_without_a_group_are_said(place):
    found = joined(place, "id,patient\na,p\nb,p\nc,\n", group_column="patient")
    assert any("1 of 3 samples have no group" in hint for hint in found.hints)


def test_a_column_of_files_speaks_against_row_numbers_though_its_folders_are_unknown(tmp_path):
    for name in "123":
        (tmp_path / f"{name}.png").write_bytes(b"")
    text = "n,path,dx\n1,elsewhere/3.png,x\n2,elsewhere/2.png,y\n3,elsewhere/1.png,z\n"
    with pytest.raises(SourceError, match=r"n and path .* row 2: 1 and elsewhere/3\.png"):
        joined(tmp_path, text)


def test_an_empty_key_cell_is_called_empty(place):
    found = joined(place, "id,dx\na,x\n,y\nc,z\n")
    unmatched = [f for f in found.findings if f.code == "metadata-unmatched-row"]
    assert [f.message for f in unmatched] == ["the cell of column id is empty"]


def test_a_label_column_that_holds_files_is_no_class(place):
    found = joined(place, "id,label\na,a_segmentation.png\nb,b_segmentation.png\nc,\n")
    assert rows(found, "labels") == [([],), ([],), ([],)]


def test_errors_of_the_folder_are_told_where_no_sample_is_left_to_join(tmp_path):
    for name in ("1.png", "1.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert [f.code for f in joined(tmp_path, "id,dx\n1,x\n").findings] == ["duplicate-key"]


def test_a_file_that_an_image_was_made_from_does_not_speak_against_a_sure_column(place):
    found = joined(place, "image_id,made_from,dx\na,b.png,x\nb,b.png,y\nc,a.png,z\n")
    assert rows(found, "labels") == [(["x"],), (["y"],), (["z"],)]


def several(place, *texts, **options):
    tables = [place / f"meta{number}.csv" for number, _ in enumerate(texts, 1)]
    for table, text in zip(tables, texts, strict=True):
        table.write_text(text)
    return load_source(place, SourceOptions(metadata=tuple(map(str, tables)), **options))


def test_a_table_that_joins_and_gives_nothing_is_a_warning_that_names_what_may_be_the_class(place):
    text = "image_id,melanoma,age\na,0.0,31\nb,1.0,32\nc,0.0,33\n"
    (found,) = joined(place, text).findings
    assert (found.level, found.code, found.path) == ("warning", "metadata-unused", "meta.csv")
    assert "3 of 3 samples" in found.message
    assert "if melanoma is the class, pass --label-column melanoma" in found.fix
    for used in ({"label_column": "melanoma"}, {"group_column": "age"}, {"keep_columns": "age"}):
        assert joined(place, text, **used).findings == ()


def test_columns_of_repeated_words_or_of_0_and_1_may_be_the_class():
    columns = {
        "id": ["a", "b", "c", "d"],
        "kind": ["x", "y", "x", None],
        "view": ["ap", "ap", "pa", "pa"],
        "age": ["1", "2", "2", "1"],
        "file": ["1.png", "1.png", "2.png", "2.png"],
        "flag": ["0", "1", "0.0", "true"],
        "one": ["x", "x", "x", "x"],
    }
    grid = Grid("t.csv", "", columns, [2, 3, 4, 5])
    assert may_be_labels(grid, {"id", "kind"}) == ["flag", "view"]


@pytest.mark.parametrize("cells", [("1", "0", "0"), ("1.0", "0.0", "0.0"), ("TRUE", "false", "0")])
def test_a_class_column_of_0_and_1_gives_its_name_and_its_negation(place, cells):
    text = "image_id,melanoma\n" + "".join(
        f"{name},{cell}\n" for name, cell in zip("abc", cells, strict=True)
    )
    found = joined(place, text, label_column="melanoma")
    assert rows(found, "labels") == [(["melanoma"],), (["not melanoma"],), (["not melanoma"],)]
    named = joined(place, text, label_column="melanoma", rest_class="benign")
    assert rows(named, "labels") == [(["melanoma"],), (["benign"],), (["benign"],)]


def test_a_column_called_class_numbers_its_classes(place):
    found = joined(place, "image_id,target\na,0.0\nb,1.0\nc,\n")
    assert rows(found, "labels") == [(["0"],), (["1"],), ([],)]
    more = joined(place, "image_id,stage\na,0\nb,1\nc,2\n", label_column="stage")
    assert rows(more, "labels") == [(["0"],), (["1"],), (["2"],)]


def test_several_tables_are_taken_a_split_each(place):
    found = several(
        place,
        "image_id,melanoma,keratosis\na,1.0,0.0\n",
        "image_id,melanoma,keratosis\nb,0.0,1.0\nc,0.0,0.0\n",
        rest_class="nevus",
    )
    assert rows(found, "labels") == [(["melanoma"],), (["keratosis"],), (["nevus"],)]
    assert found.findings == ()
    assert "meta1.csv joined on column image_id (1 of 3)" in found.sentence
    assert "meta2.csv joined on column image_id (2 of 3)" in found.sentence


def test_several_tables_may_say_different_things_and_call_the_key_otherwise(place):
    found = several(
        place,
        "image_id,dx\na,x\nb,y\nc,x\n",
        "file,patient\na.jpg,P1\nb.jpg,P1\nc.jpg,P2\n",
        group_column="patient",
        key_column="image_id",
    )
    assert rows(found, "labels", "group") == [(["x"], "P1"), (["y"], "P1"), (["x"], "P2")]
    assert found.findings == ()


def test_a_sample_of_which_two_tables_say_different_things_is_an_error_that_names_both_rows(place):
    found = several(place, "image_id,dx\na,x\nb,y\n", "image_id,dx\nb,z\nc,x\na,x\n")
    (conflict,) = found.findings
    assert (conflict.level, conflict.code, conflict.key) == ("error", "metadata-conflict", "b")
    assert conflict.path == "meta1.csv row 3"
    assert "class is y here and z in meta2.csv row 2" in conflict.message
    assert conflict.related == (Related("b", "meta2.csv row 2"),)
    assert rows(found, "labels") == [(["x"],), (["y"],), (["x"],)]


def test_a_number_means_the_same_in_all_tables(place):
    texts = "image_id,stage\na,0\nb,1\n", "image_id,stage\nc,2\n"
    found = several(place, *texts, label_column="stage")
    assert rows(found, "labels") == [(["0"],), (["1"],), (["2"],)]


def test_of_several_tables_the_one_that_gives_nothing_is_named(place):
    found = several(place, "image_id,dx\na,x\nb,y\nc,x\n", "image_id,age\na,1\nb,2\nc,3\n")
    assert findings(found) == [("warning", "metadata-unused", "meta2.csv")]


def test_a_column_that_no_table_has_and_a_sample_in_none_are_told(place):
    with pytest.raises(SourceError, match=r"meta1\.csv and meta2\.csv has no column nix"):
        several(place, "image_id,dx\na,x\n", "image_id,dx\nb,y\n", label_column="nix")
    found = several(place, "image_id,dx\na,x\n", "image_id,dx\nb,y\n")
    assert findings(found) == [("warning", "metadata-missing-row", str(place / "c.jpg"))]


def test_a_table_that_was_passed_is_no_hint_wherever_it_lies(place):
    (place / "tables").mkdir()
    table = place / "tables" / "ages.csv"
    table.write_text("image_id,patient,age\na,1,2\nb,1,2\nc,1,2\n")
    (place / "x.csv").write_text("image_id,dx\na,1\n")
    options = SourceOptions(metadata=str(table), group_column="patient")
    hints = load_source(place, options).hints
    assert not any("ages.csv" in hint for hint in hints)
    assert any("x.csv lies in" in hint for hint in hints), "there is no class yet"
    table.write_text("image_id,dx\na,1\nb,1\nc,2\n")
    hints = load_source(place, SourceOptions(metadata=str(table))).hints
    assert not any("lies in" in hint for hint in hints)
