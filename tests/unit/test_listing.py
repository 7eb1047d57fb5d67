"""Listings: columns, roots, cells, and the round trip through --write-samples."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segrecord.errors import OutputError, SourceError, UsageError
from segrecord.options import SourceOptions
from segrecord.sources.listing import write_listing
from segrecord.sources.loaded import Sample, samples_table
from segrecord.sources.loading import load_source
from segrecord.tables import SAMPLES

DEFAULT = SourceOptions()


@pytest.fixture
def place(tmp_path):
    """images/1.png to 4.png, masks/1.png to 3.png."""
    for path in [f"images/{n}.png" for n in range(1, 5)] + [f"masks/{n}.png" for n in range(1, 4)]:
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    return tmp_path


def listing(place, text, name="index.csv", options=DEFAULT):
    data = text if isinstance(text, bytes) else text.encode()
    (place / name).write_bytes(data)
    return load_source(place / name, options)


def rows(found, *columns):
    table = found.samples.to_pylist()
    return [tuple(row[column] for column in columns) for row in table]


def masks(found):
    return [[Path(m["source"]).name for m in row["mask"]] for row in found.samples.to_pylist()]


def errors(found):
    return [(f.code, f.path) for f in found.findings if f.level == "error"]


@pytest.mark.parametrize("image", ["image_path", "image", "img", "filename", "File Name", "path"])
@pytest.mark.parametrize("mask", ["mask_path", "mask", "Segmentation"])
@pytest.mark.parametrize("label", ["class", "label", "Finding", "dx", "diagnosis"])
def test_columns_are_guessed_from_the_usual_names_and_said(place, image, mask, label):
    found = listing(place, f"{image},{mask},{label}\nimages/1.png,masks/2.png,a\n")
    assert rows(found, "key", "labels") == [("images/1", ["a"])]
    assert masks(found) == [["2.png"]]
    assert found.sentence == (
        f"index.csv: image = column {image}, mask = column {mask}, class = column {label}"
    )
    assert found.origin == f"paths start from {place}"


def test_columns_are_named_by_options(place):
    options = SourceOptions(
        image_column="a", mask_column="b", label_column="c", group_column="d", split_column="e",
        key_column="f", keep_columns="g",
    )  # fmt: skip
    text = "image,a,b,c,d,e,f,g\nx,images/1.png,masks/2.png,007,p1,Training,k1,1.0\n"
    found = listing(place, text, options=options)
    assert rows(found, "key", "labels", "group", "split", "meta/g") == [
        ("k1", ["007"], "p1", "train", "1.0")
    ]


@pytest.mark.parametrize("option", ["image_column", "group_column", "keep_columns"])
def test_a_named_column_that_does_not_exist_is_refused_with_the_columns_there_are(place, option):
    with pytest.raises(SourceError, match=r"no column nix for --.*image, mask"):
        listing(place, "image,mask\nimages/1.png,\n", options=SourceOptions(**{option: "nix"}))


def test_a_table_without_a_column_of_images_is_refused(place):
    with pytest.raises(SourceError, match=r"--image-column"):
        listing(place, "a,b\n1,2\n")


def test_a_label_column_that_holds_files_is_the_mask(place):
    found = listing(place, "image,label\nimages/1.png,masks/1.png\n")
    assert masks(found) == [["1.png"]]
    assert rows(found, "labels") == [([],)]


def test_a_label_column_that_holds_words_is_the_class(place):
    found = listing(place, "image,label\nimages/1.png,benign\n")
    assert rows(found, "labels") == [(["benign"],)]
    assert found.findings == ()


def test_a_group_is_never_guessed_but_hinted_at(place):
    found = listing(place, "image,patientid\nimages/1.png,7\n")
    assert rows(found, "group") == [(None,)]
    assert any("--group-column patientid" in hint for hint in found.hints)
    named = listing(
        place, "image,patientid\nimages/1.png,7\n", options=SourceOptions(group_column="patientid")
    )
    assert rows(named, "group") == [("7",)]
    assert named.hints == ()


def test_a_split_column_is_taken_when_it_holds_splits_and_said(place):
    found = listing(place, "image,Set\nimages/1.png,TRAIN\nimages/2.png,valid\nimages/3.png,\n")
    assert rows(found, "split") == [("train",), ("val",), (None,)]
    assert "split = column Set" in found.sentence


def test_a_fold_column_with_numbers_is_no_split(place):
    found = listing(place, "image,fold\nimages/1.png,1\nimages/2.png,2\n")
    assert rows(found, "split") == [(None,), (None,)]


def test_a_named_split_column_has_to_hold_names(place):
    with pytest.raises(SourceError, match="holds 1, 2; a split's name must be"):
        listing(
            place,
            "image,fold\nimages/1.png,1\nimages/2.png,2\n",
            options=SourceOptions(split_column="fold"),
        )


def test_an_empty_mask_cell_is_no_mask(place):
    found = listing(place, "image,mask\nimages/1.png,masks/1.png\nimages/2.png, \n")
    assert masks(found) == [["1.png"], []]
    assert [f.code for f in found.findings] == ["image-without-mask"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfimage,class\r\nimages/1.png,a\r\n",
        b"image;class\nimages/1.png;a\n",
        b"image\tclass\nimages/1.png\ta",
        b"image,class\nimages/1.png,a\n,\n\n  ,\n",
        b'image,class\n"images/1.png","a"\n',
        b"image,class\rimages/1.png,a\r",
        b"image , class\n images/1.png , a \n",
        b"image,class,\nimages/1.png,a,\n",
    ],
    ids=["bom-crlf", "semicolon", "tab", "blank-rows", "quoted", "cr", "blanks", "empty-column"],
)
def test_the_csvs_of_the_wild_are_read(place, text):
    assert rows(listing(place, text), "key", "labels") == [("images/1", ["a"])]


def test_blank_rows_are_counted_and_do_not_shift_the_row_numbers(place):
    found = listing(place, "image\nimages/1.png\n\nimages/9.png\n\n")
    assert found.skipped_files == {"blank rows": 2}
    assert errors(found) == [("missing-image", "index.csv row 4")]


def test_quoted_commas_and_line_breaks_stay_in_their_cells(place):
    text = 'image,class\nimages/1.png,"COVID-19, ARDS"\nimages/2.png,"a\nb"\nimages/9.png,c\n'
    found = listing(place, text)
    assert rows(found, "labels") == [(["COVID-19, ARDS"],), (["a\nb"],)]
    assert errors(found) == [("missing-image", "index.csv row 4")]


@pytest.mark.parametrize("label", ["007", "1.0", "1e3", "NA", "true", "01/02/2020"])
def test_no_reader_guesses_types(place, label):
    assert rows(listing(place, f"image,class\nimages/1.png,{label}\n"), "labels") == [([label],)]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"image,class\n", "no rows"),
        (b"image,class\nimages/1.png,a,b\n", "row 2 has 3 cells"),
        (b"image,image\nimages/1.png,a\n", "two columns"),
        (b'image\n"images/1.png\n', "no valid CSV"),
        (b"image\nl\xe4sion.png\n", "UTF-8"),
        ("image\nimages/1.png\n".encode("utf-16"), "UTF-16"),
        (b"image\nimages/\x001.png\n", "UTF-8"),
    ],
)
def test_a_broken_csv_is_refused_by_name(place, text, rule):
    with pytest.raises(SourceError, match=rule) as caught:
        listing(place, text)
    assert "index.csv" in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.text('",;\t\n\r\\ a/1.png=|', max_size=60)))
def test_any_bytes_below_a_header_are_read_or_refused(place, body):
    data = body if isinstance(body, bytes) else body.encode()
    try:
        schema = listing(place, b"image,mask\nimages/1.png,\n" + data).samples.schema
    except SourceError:
        return
    assert schema == SAMPLES


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.feather", "x.xlsx"])
def test_a_broken_binary_table_is_refused_by_name(place, name):
    with pytest.raises(SourceError, match=name):
        listing(place, b"image,class\n", name=name)


def test_a_tsv_is_read_by_tabs_whatever_its_header_holds(place):
    found = listing(place, "image\tclass,of,it\nimages/1.png\ta\n", name="x.tsv")
    assert rows(found, "key") == [("images/1",)]


TABLE = {"image": ["images/1.png", "images/2.png"], "class": ["007", None], "age": [61.0, None]}


@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather", "stream"])
def test_parquet_and_arrow_files_are_read(place, kind):
    path = place / f"index.{kind if kind != 'stream' else 'arrow'}"
    table = pa.table({**TABLE, "class": pa.array(TABLE["class"]).dictionary_encode()})
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
    found = load_source(path, SourceOptions(keep_columns="age"))
    assert rows(found, "labels", "meta/age") == [(["007"], "61.0"), ([], None)]


def test_an_arrow_file_with_damaged_offsets_is_refused(place):
    table = pa.table({"image": ["images/1.png"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    end = data.rindex(b"\x0c\0\0\0", 0, data.index(b"images/1.png"))
    damaged = data[:end] + b"\xff\xff\xff\0" + data[end + 4 :]
    (place / "index.arrow").write_bytes(damaged)
    with pytest.raises(SourceError, match=r"index\.arrow cannot be read"):
        load_source(place / "index.arrow", DEFAULT)


def test_an_xlsx_file_is_read(place):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["image", "class", "age"], ["images/1.png", "007", 61], [], ["images/9.png"]):
        book.active.append(row)
    book.save(place / "index.xlsx")
    found = load_source(place / "index.xlsx", SourceOptions(keep_columns="age"))
    assert rows(found, "labels", "meta/age") == [(["007"], "61")]
    assert errors(found) == [("missing-image", "index.xlsx row 4")]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_data_frames_are_listings_that_start_from_the_working_directory(
    place, monkeypatch, library
):
    monkeypatch.chdir(place)
    if library == "pyarrow":
        frame = pa.table(TABLE)
    else:
        frame = pytest.importorskip(library).DataFrame(TABLE)
    found = load_source(frame, SourceOptions(keep_columns="age"))
    assert rows(found, "key", "labels", "meta/age") == [
        ("images/1", ["007"], "61.0"),
        ("images/2", [], None),
    ]
    assert "working directory" in found.origin


def test_a_row_of_a_data_frame_is_numbered_from_0(place, monkeypatch):
    monkeypatch.chdir(place)
    found = load_source(pa.table({"image": ["images/1.png", "nix.png"]}), DEFAULT)
    assert errors(found) == [("missing-image", "the data frame row 1")]


def test_columns_of_lists_and_bytes_are_left_alone(place, monkeypatch):
    monkeypatch.chdir(place)
    found = load_source(pa.table({"image": ["images/1.png"], "x": [[1]], "y": [b"1"]}), DEFAULT)
    assert rows(found, "key", "labels") == [("images/1", [])]


def test_a_missing_image_is_a_finding_with_its_row_as_a_spreadsheet_counts(place):
    found = listing(place, "image\nimages/1.png\nimages/9.png\n")
    [finding] = found.findings
    assert (finding.code, finding.path, finding.key) == (
        "missing-image",
        "index.csv row 3",
        "images/9",
    )
    assert "images/9.png" in finding.message
    assert rows(found, "key") == [("images/1",)]


def test_a_column_of_images_without_any_is_refused(place):
    with pytest.raises(SourceError, match=r"no row of index\.csv names an image.*--image-column"):
        listing(place, "image,class\n  ,a\n,b\n")


def test_an_empty_image_cell_is_a_finding(place):
    found = listing(place, "image,class\nimages/1.png,a\n,b\n")
    assert errors(found) == [("missing-image", "index.csv row 3")]


def test_a_missing_mask_is_a_finding_and_the_sample_stays(place):
    found = listing(place, "image,mask\nimages/1.png,masks/9.png\n")
    assert errors(found) == [("missing-mask-file", "index.csv row 2")]
    assert found.findings[0].key == "images/1"
    assert masks(found) == [[]]


def test_an_image_that_is_its_own_mask_is_a_finding(place):
    found = listing(place, "image,mask\nimages/1.png,images/1.png\n")
    assert errors(found) == [("mask-is-image", "index.csv row 2")]


def test_two_rows_with_one_image_are_an_error_that_names_both_and_takes_neither(place):
    found = listing(place, "image\nimages/1.png\nimages/2.png\n./images//1.png\n")
    assert errors(found) == [("duplicate-key", "index.csv row 2")]
    assert "index.csv row 2, index.csv row 4" in found.findings[0].message
    assert rows(found, "key") == [("images/2",)]


def test_a_key_column_tells_two_rows_of_one_image_apart(place):
    found = listing(
        place, "id,image\na,images/1.png\nb,images/1.png\n", options=SourceOptions(key_column="id")
    )
    assert rows(found, "key") == [("a",), ("b",)]
    assert found.findings == ()


def test_two_rows_with_one_key_in_the_key_column_are_an_error(place):
    found = listing(
        place, "id,image\na,images/1.png\na,images/2.png\n", options=SourceOptions(key_column="id")
    )
    assert errors(found) == [("duplicate-key", "index.csv row 2")]


def test_absolute_paths_are_taken_as_they_are_and_keys_start_at_the_table(place):
    found = listing(place, f"image\n{place}/images/1.png\n{place}/images/2.png\n")
    assert rows(found, "key", "image") == [
        ("images/1", f"{place}/images/1.png"),
        ("images/2", f"{place}/images/2.png"),
    ]
    assert "paths are absolute" in found.origin


def test_keys_of_absolute_paths_elsewhere_start_at_their_common_folder(place):
    (place / "tables").mkdir()
    text = f"image\n{place}/images/1.png\n{place}/masks/1.png\n"
    found = listing(place / "tables", text)
    assert rows(found, "key") == [("images/1",), ("masks/1",)]


def test_backslashes_and_dots_are_understood(place):
    found = listing(place, "image,mask\nimages\\1.png,.\\masks\\2.png\n")
    assert rows(found, "key") == [("images/1",)]
    assert masks(found) == [["2.png"]]


def test_paths_upwards_are_understood_and_their_keys_stay_clean(place):
    (place / "tables").mkdir()
    found = listing(place / "tables", "image\n../images/1.png\n")
    assert rows(found, "key") == [("images/1",)]


def test_bare_stems_are_matched_against_image_files(place):
    found = listing(place, "image_id,mask\n1,\n", options=SourceOptions(root=str(place / "images")))
    assert rows(found, "key", "image") == [("1", f"{place}/images/1.png")]


def test_a_bare_stem_that_two_files_have_is_a_finding(place):
    (place / "images" / "1.jpg").write_bytes(b"")
    options = SourceOptions(root=str(place / "images"))
    found = listing(place, "image_id\n1\n2\n", options=options)
    assert errors(found) == [("ambiguous-file", "index.csv row 2")]
    assert rows(found, "key") == [("2",)]


@pytest.mark.parametrize(("disk", "cell"), [("a\u0308", "\u00e4"), ("\u00e4", "a\u0308")])
def test_composed_and_decomposed_spellings_of_a_file_name_are_one_name(place, disk, cell):
    (place / "images" / f"{disk}.png").write_bytes(b"")
    found = listing(place, f"image\nimages/{cell}.png\n")
    assert rows(found, "key") == [("images/\u00e4",)]
    assert Path(found.samples["image"][0].as_py()).exists()


def elsewhere(place, *names):
    folder = place / "elsewhere"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_the_root_where_most_images_exist_is_used_and_named(place, monkeypatch):
    monkeypatch.chdir(elsewhere(place, "images/1.png"))
    found = listing(place, "image\nimages/1.png\nimages/2.png\n")
    assert rows(found, "image") == [(f"{place}/images/1.png",), (f"{place}/images/2.png",)]
    assert found.origin == f"paths start from {place}"
    monkeypatch.chdir(elsewhere(place, "images/2.png", "images/8.png"))
    other = listing(place, "image\nimages/1.png\nimages/2.png\nimages/8.png\n")
    assert "the working directory" in other.origin


def test_a_tie_between_roots_is_an_error(place, monkeypatch):
    monkeypatch.chdir(elsewhere(place, "images/1.png"))
    with pytest.raises(SourceError, match=r"alike; say which are meant with --root"):
        listing(place, "image\nimages/1.png\n")


def test_a_root_that_is_given_is_the_only_one(place):
    root = elsewhere(place, "images/1.png")
    options = SourceOptions(root=str(root))
    found = listing(place, "image\nimages/1.png\nimages/2.png\n", options=options)
    assert rows(found, "image") == [(f"{root}/images/1.png",)]
    assert errors(found) == [("missing-image", "index.csv row 3")]


def test_no_image_anywhere_is_refused_with_the_way_out(place):
    with pytest.raises(SourceError, match=r"none of the 1 images.*--root"):
        listing(place, "image\nnix/1.png\n")


def test_urls_are_refused_for_now(place):
    with pytest.raises(SourceError, match="not supported yet"):
        listing(place, "image\ns3://bucket/1.png\n")


def test_metadata_beside_a_listing_is_refused(place):
    with pytest.raises(SourceError, match="goes with a folder"):
        listing(place, "image\nimages/1.png\n", options=SourceOptions(metadata="x.csv"))


ONE_HOT = "image,melanoma,keratosis\nimages/1.png,1.0,0.0\nimages/2.png,0.0,0.0\n"


def test_one_hot_columns_give_the_class_and_rest_class_the_others(place):
    found = listing(place, ONE_HOT, options=SourceOptions(rest_class="nevus"))
    assert rows(found, "labels") == [(["melanoma"],), (["nevus"],)]
    assert found.findings == ()
    assert "class (one-hot) = column melanoma, keratosis" in found.sentence


def test_a_row_without_a_class_is_an_error_without_rest_class(place):
    found = listing(place, ONE_HOT)
    assert errors(found) == [("no-class", "index.csv row 3")]
    assert found.findings[0].key == "images/2"
    assert "--rest-class" in found.findings[0].fix


def test_a_row_with_two_classes_is_an_error(place):
    found = listing(place, "image,a,b\nimages/1.png,true,TRUE\nimages/2.png,false,true\n")
    assert errors(found) == [("several-classes", "index.csv row 2")]
    assert rows(found, "labels") == [([],), (["b"],)]


def test_a_row_whose_class_cells_are_empty_is_unlabelled(place):
    found = listing(place, "image,a,b\nimages/1.png,1,0\nimages/2.png,,\n")
    assert rows(found, "labels") == [(["a"],), ([],)]
    assert errors(found) == []


def test_one_column_of_0_and_1_or_a_label_column_is_no_one_hot_set(place):
    assert rows(listing(place, "image,sick\nimages/1.png,1\n"), "labels") == [([],)]
    found = listing(place, "image,class,a,b\nimages/1.png,x,1,0\n")
    assert rows(found, "labels") == [(["x"],)]


def test_kept_columns_are_no_classes(place):
    found = listing(
        place, "image,a,b\nimages/1.png,1,0\n", options=SourceOptions(keep_columns="a,b")
    )
    assert rows(found, "labels", "meta/a") == [([], "1")]


def test_rest_class_without_one_hot_columns_is_refused(place):
    with pytest.raises(SourceError, match="needs one-hot"):
        listing(place, "image\nimages/1.png\n", options=SourceOptions(rest_class="x"))


def test_several_mask_columns_are_several_masks(place):
    text = "image,mask_path,mask_path_2\nimages/1.png,masks/1.png,masks/2.png\n"
    found = listing(place, text)
    assert errors(found) == [("several-masks", "index.csv row 2")]
    union = listing(place, text, options=SourceOptions(mask_choice="union"))
    assert masks(union) == [["1.png", "2.png"]]
    assert union.findings == ()


def real_paths(table):
    """The table's rows with real paths, which do not hang on the working directory."""
    found = table.to_pylist()
    for row in found:
        row["image"] = os.path.realpath(row["image"])
        row["mask"] = [m | {"source": os.path.realpath(m["source"])} for m in row["mask"]]
    return found


@pytest.fixture
def awkward(place):
    """Samples with everything a CSV may trip over."""
    names = [' "q", x', "a\nb", "c\rd", "ä;", "back\\slash", " blank "]
    for name in names:
        (place / f"{name}.png").write_bytes(b"")
    outside = place.parent / f"{place.name}-outside.png"
    outside.write_bytes(b"")
    samples = [
        Sample(name, str(place / f"{name}.png"), (str(place / "masks/1.png"),) * (i % 3),
               (name.strip(),) * (i % 2), name.strip() if i % 2 else None, ("train", None)[i % 2],
               (name, None))
        for i, name in enumerate(names)
    ]  # fmt: skip
    samples.append(Sample("out", str(outside), meta=(None, "007")))
    return samples_table(samples, ("age", "view"))


@pytest.mark.skipif(os.sep == "\\", reason="Windows refuses such names")
def test_written_samples_are_understood_again_as_they_were(place, awkward):
    write_listing(awkward, place / "pairs.csv")
    options = SourceOptions(keep_columns="age,view", mask_choice="union")
    found = load_source(place / "pairs.csv", options)
    assert found.findings[0].code == "image-without-mask"
    assert found.samples.schema == awkward.schema
    assert real_paths(found.samples) == real_paths(awkward)


def test_a_folder_written_as_a_listing_is_the_same_set(place):
    first = load_source(place, DEFAULT)
    write_listing(first.samples, place / "pairs.csv")
    again = load_source(place / "pairs.csv", DEFAULT)
    assert real_paths(again.samples) == real_paths(first.samples)
    assert [f.code for f in again.findings] == [f.code for f in first.findings]


def test_the_written_csv_is_relative_sorted_utf8_and_has_no_empty_columns(place):
    write_listing(load_source(place, DEFAULT).samples, place / "pairs.csv")
    assert (place / "pairs.csv").read_bytes() == (
        b"key,image_path,mask_path\n"
        b"images/1,images/1.png,masks/1.png\n"
        b"images/2,images/2.png,masks/2.png\n"
        b"images/3,images/3.png,masks/3.png\n"
        b"images/4,images/4.png,\n"
    )


def test_paths_outside_the_csvs_folder_are_written_absolute(place):
    (place / "out").mkdir()
    write_listing(load_source(place, DEFAULT).samples, place / "out" / "pairs.csv")
    again = load_source(place / "out" / "pairs.csv", DEFAULT)
    assert rows(again, "key")[0] == ("images/1",)
    assert rows(again, "image")[0] == (str(place / "images/1.png"),)


def test_a_written_csv_starts_from_its_own_folder_only(place, monkeypatch):
    write_listing(load_source(place, DEFAULT).samples, place / "pairs.csv")
    monkeypatch.chdir(elsewhere(place, *(f"images/{n}.png" for n in range(1, 5))))
    again = load_source(place / "pairs.csv", DEFAULT)
    assert rows(again, "image")[0] == (str(place / "images/1.png"),)


def test_samples_that_are_no_lines_of_a_csv_are_refused(place):
    table = samples_table([Sample("a", "a.png", labels=("x", "y"))])
    with pytest.raises(UsageError, match="sample a cannot be written"):
        write_listing(table, place / "pairs.csv")


def test_a_listing_that_cannot_be_written_is_an_output_error(place):
    with pytest.raises(OutputError, match="cannot be written"):
        write_listing(samples_table([]), place / "nix" / "pairs.csv")


def good_samples():
    table = samples_table([Sample("b", "b.png"), Sample("a", "a.png", labels=("x",))])
    return table.take([1, 0])


def test_a_function_gives_its_samples_sorted():
    found = load_source(good_samples, DEFAULT)
    assert good_samples()["key"].to_pylist() == ["b", "a"]
    assert found.samples.schema == SAMPLES
    assert rows(found, "key") == [("a",), ("b",)]
    assert found.sentence == "samples from good_samples"


def test_a_function_is_found_by_module_and_name_in_the_working_directory(place, monkeypatch):
    (place / "my_source_7.py").write_text(
        "import pyarrow as pa\n"
        "def pairs():\n"
        "    return pa.table({'key': ['a'], 'image': ['a.png'], 'frame': [0],\n"
        "                     'mask': pa.array([[]], pa.list_(pa.null())), 'labels': [['x']]})\n"
    )
    monkeypatch.chdir(place)
    found = load_source("my_source_7:pairs", DEFAULT)
    assert rows(found, "key", "frame", "mask", "labels") == [("a", 0, [], ["x"])]


@pytest.mark.parametrize("name", ["no_such_module_7:pairs", "json:no_such_name", "json:__doc__"])
def test_a_function_that_cannot_be_imported_is_refused(name):
    with pytest.raises(SourceError, match=name):
        load_source(name, DEFAULT)


def raising():
    raise KeyError("x")


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (raising, "raising failed: KeyError"),
        (lambda: 7, "must return a samples table"),
        (lambda: pa.table({"key": ["a"]}), "no column image"),
        (lambda: good_samples().append_column("age", pa.array(["1", "2"])), "meta/NAME"),
        (
            lambda: good_samples().set_column(2, "frame", pa.array(["x", "y"])),
            "frame must be int32",
        ),
        (lambda: good_samples().set_column(0, "key", pa.array(["a", None])), "key has 1 nulls"),
    ],
)
def test_a_function_that_returns_no_samples_is_refused(function, rule):
    with pytest.raises(SourceError, match=rule):
        load_source(function, DEFAULT)


def test_a_function_that_gives_one_key_twice_is_a_finding():
    table = samples_table([Sample("a", "1.png"), Sample("a", "2.png"), Sample("b", "3.png")])
    found = load_source(lambda: table, DEFAULT)
    assert [(f.code, f.key) for f in found.findings] == [("duplicate-key", "a")]
    assert rows(found, "key") == [("b",)]


def test_column_options_are_refused_for_a_function():
    with pytest.raises(SourceError, match="--group-column has no effect"):
        load_source(good_samples, SourceOptions(group_column="x"))


def test_what_is_no_source_is_refused():
    with pytest.raises(SourceError, match="not a int"):
        load_source(7, DEFAULT)


@pytest.mark.parametrize("names", ["mask1,mask2", "mask_2,mask", "Mask 0,Mask 1", "mask,Mask"])
def test_numbered_mask_columns_are_all_taken_whether_or_not_one_has_no_number(place, names):
    options = SourceOptions(mask_choice="union")
    text = f"image,{names}\nimages/1.png,masks/1.png,masks/2.png\n"
    found = listing(place, text, options=options)
    assert sorted(masks(found)[0]) == ["1.png", "2.png"]


def test_numbered_columns_without_files_are_no_masks(place):
    found = listing(place, "image,seg1,gt2\nimages/1.png,0.5,0.7\n")
    assert masks(found) == [[]]
    assert found.findings == ()


def test_one_name_in_two_unicode_forms_is_one_class_and_one_group(place):
    composed, decomposed = "Caf\u00e9", "Cafe\u0301"
    text = f"image,class,patient\nimages/1.png,{composed},{decomposed}\n"
    text += f"images/2.png,{decomposed},{composed}\n"
    found = listing(place, text, options=SourceOptions(group_column="patient"))
    assert rows(found, "labels", "group") == [([composed], composed)] * 2


def test_masks_are_taken_in_the_order_of_their_numbers(place):
    options = SourceOptions(mask_choice="first")
    text = "image,mask10_path,mask_path,mask2_path\nimages/1.png,masks/1.png,masks/2.png,\n"
    found = listing(place, text, options=options)
    assert masks(found) == [["2.png"]]


def test_a_blank_cell_is_an_empty_cell(place):
    found = listing(place, "image,mask\nimages/1.png,masks/1.png\n \u00a0 ,masks/2.png\n")
    [finding] = found.findings
    assert (finding.code, finding.key) == ("missing-image", "")
    assert finding.message == "the image cell is empty"


@pytest.mark.parametrize("cell", ["images/2.png", "images//2.png", "images\\2.png", "images/2"])
def test_the_image_of_another_row_is_no_mask(place, cell):
    found = listing(place, f"image,mask\nimages/1.png,{cell}\nimages/2.png,masks/2.png\n")
    assert errors(found) == [("mask-is-image", "index.csv row 2")]
    assert found.findings[0].key == "images/1"
    assert "images/2" in found.findings[0].message


def test_an_image_that_is_its_own_mask_is_found_in_another_spelling(place):
    found = listing(place, "image,mask\nimages/1.png,./images/1.png\n")
    assert errors(found) == [("mask-is-image", "index.csv row 2")]


def test_a_mask_of_several_images_is_hinted_at(place):
    text = "image,mask\nimages/1.png,masks/1.png\nimages/2.png,./masks/1.png\nimages/3.png,\n"
    [hint] = listing(place, text).hints
    assert "masks/1.png is the mask of 2 images" in hint


@pytest.mark.parametrize("names", ["left_mask,right_mask", "mask,segmentation"])
def test_a_column_of_image_files_that_is_not_taken_is_hinted_at(place, names):
    text = f"image,{names}\nimages/1.png,masks/1.png,masks/2.png\n"
    found = listing(place, text)
    assert any(f"column {names.split(',')[1]} holds image files" in hint for hint in found.hints)
    named = listing(place, text, options=SourceOptions(keep_columns=names.split(",")))
    assert not any("holds image files" in hint for hint in named.hints)


def test_a_split_column_that_is_not_taken_is_hinted_at(place):
    text = "image,split\nimages/1.png,train\nimages/2.png,dev\n"
    found = listing(place, text)
    assert rows(found, "split") == [(None,), (None,)]
    assert any("--split-column split" in hint and "dev" in hint for hint in found.hints)
    named = listing(place, text, options=SourceOptions(split_column="split"))
    assert (rows(named, "split"), named.hints) == ([("train",), ("dev",)], ())


def test_rows_without_a_group_are_said(place):
    text = "image,patient\nimages/1.png,p1\nimages/2.png,\nimages/3.png, \n"
    [hint] = listing(place, text, options=SourceOptions(group_column="patient")).hints
    assert "2 of 3 samples have no group" in hint


@pytest.mark.parametrize("base", ["/home/bob/set/", "C:\\bob\\set\\"])
def test_absolute_paths_of_another_machine_are_refused_with_the_way_out(place, base):
    with pytest.raises(SourceError) as caught:
        listing(place, f"image\n{base}images/1.png\n{base}images/2.png\n")
    text = str(caught.value)
    assert f"take {base}images".replace("\\", "/") in text
    assert "--root" in text


def test_blanks_around_a_class_or_a_group_make_no_second_one_in_a_written_csv_either(place):
    text = "key,image_path,class,group\na,images/1.png,x,p\nb,images/2.png,x ,p \n"
    assert rows(listing(place, text), "labels", "group") == [(["x"], "p")] * 2


def test_a_rest_class_is_one_class_in_both_unicode_forms(place):
    found = listing(place, ONE_HOT, options=SourceOptions(rest_class="Cafe\u0301"))
    assert rows(found, "labels")[1] == (["Caf\u00e9"],)


def test_further_sheets_of_a_workbook_are_said(place):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("Test")):
        for row in (["image"], ["images/1.png"]):
            sheet.append(row)
    book.create_sheet("Empty")
    book.save(place / "index.xlsx")
    [hint] = load_source(place / "index.xlsx", DEFAULT).hints
    assert "Test" in hint
    assert "Empty" not in hint


def test_a_second_column_of_other_images_is_hinted_at(place):
    same = listing(place, "image_path,filename\nimages/1.png,1.png\nimages/2.png,2.png\n")
    assert same.hints == ()
    other = listing(place, "image,path\nimages/1.png,images/2.png\n")
    assert any("column path holds image files" in hint for hint in other.hints)


@pytest.mark.parametrize("name", ["class", "split", "image_path", "mask_path"])
def test_a_kept_column_that_is_called_like_one_of_the_written_ones_is_refused(place, name):
    table = samples_table([Sample("a", "a.png", meta=("x",))], (name,))
    with pytest.raises(UsageError, match=f"kept column {name}"):
        write_listing(table, place / "pairs.csv")


def test_a_column_called_key_beside_image_gives_the_keys(place):
    found = listing(place, "image,key\nimages/1.png,one\nimages/2.png,two\n")
    assert rows(found, "key") == [("one",), ("two",)]
    assert "key = column key" in found.sentence
    kept = listing(
        place, "image,key\nimages/1.png,one\n", options=SourceOptions(keep_columns=("key",))
    )
    assert rows(kept, "key") == [("images/1",)]


@pytest.mark.parametrize("cells", [("one", "one"), ("one", "")])
def test_a_column_called_key_that_is_not_unique_is_left_and_said(place, cells):
    text = "image,Key\n" + "".join(f"images/{n}.png,{cell}\n" for n, cell in enumerate(cells, 1))
    found = listing(place, text)
    assert rows(found, "key") == [("images/1",), ("images/2",)]
    assert any("column Key is not taken for the keys" in hint for hint in found.hints)


def test_a_listing_without_a_class_names_the_columns_that_may_be_it(place):
    found = listing(place, "image,melanoma\nimages/1.png,1\nimages/2.png,0\n")
    assert any("pass --label-column: melanoma" in hint for hint in found.hints)
