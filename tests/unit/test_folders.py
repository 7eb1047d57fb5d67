"""Folders: what is paired with what, what is passed over, and what is said about the rest."""

import os
import posixpath
import sys
import unicodedata
from pathlib import Path

import pytest

from segrecord.errors import SourceError
from segrecord.options import SourceOptions
from segrecord.sources.layout import lay_out
from segrecord.sources.loaded import SkippedFiles, choose_masks
from segrecord.sources.loading import load_source

DEFAULT = SourceOptions()


def make(folder, *paths):
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return str(folder)


def pairs(found):
    """Key -> names of the masks."""
    return {
        row["key"]: [Path(part["source"]).name for part in row["mask"]]
        for row in found.samples.to_pylist()
    }


def labels(found):
    return {row["key"]: row["labels"] for row in found.samples.to_pylist()}


def splits(found):
    return {row["key"]: row["split"] for row in found.samples.to_pylist()}


def codes(found):
    return [finding.code for finding in found.findings]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("images", "labels"),
        ("img", "annotations"),
        ("Images", "GroundTruth"),
        ("JPEGImages", "SegmentationClass"),
        ("scans", "seg"),
        ("X", "y"),
        ("photos 2020", "masks"),  # told by its neighbour
        ("HAM10000_images_part_1", "HAM10000_segmentations_lesion_tschandl"),
        ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"),
        ("imagesTr", "labelsTr"),
        ("CXR_png", "leftMask"),
    ],
)
def test_folders_of_images_and_masks_are_told_by_their_names(tmp_path, images, masks):
    found = load_source(make(tmp_path, f"{images}/a.jpg", f"{masks}/a.png"), DEFAULT)
    assert pairs(found) == {f"{images}/a": ["a.png"]}
    assert found.findings == ()
    assert found.sentence.startswith(f"paired {images}/X with {masks}/X.png")
    assert labels(found) == {f"{images}/a": []}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a", "a_segmentation"),
        ("a", "a-mask"),
        ("a", "a_lesion"),
        ("a", "a.gt"),
        ("a", "a label"),
        ("a", "a_MASK"),
        ("a", "a__mask"),
        ("a", "a_segmentation_mask"),
        ("a", "mask_a"),
        ("a", "a_mask_1"),
        ("a_sat", "a_mask"),
        ("image_01", "mask_01"),
        ("a_leftImg8bit", "a_gtFine"),
    ],
)
@pytest.mark.parametrize("folders", [("", ""), ("images/", "masks/")])
def test_a_suffix_or_prefix_on_either_side_still_pairs(tmp_path, folders, image, mask):
    source = make(tmp_path, f"{folders[0]}{image}.jpg", f"{folders[1]}{mask}.png")
    found = load_source(source, DEFAULT)
    assert pairs(found) == {folders[0] + image: [mask + ".png"]}
    assert found.findings == ()


def test_the_sentence_says_how_the_pairs_were_told(tmp_path):
    source = make(tmp_path, "images/1.png", "masks/1_mask.png", "images/2.png", "masks/2_mask.png")
    assert load_source(source, DEFAULT).sentence == "paired images/X with masks/X_mask.png"


def test_class_folders_with_images_directly_in_them_give_the_class(tmp_path):
    source = make(
        tmp_path, "benign/1.png", "benign/1_mask.png", "normal/1.png", "normal/1_mask.png"
    )
    found = load_source(source, DEFAULT)
    assert labels(found) == {"benign/1": ["benign"], "normal/1": ["normal"]}
    assert pairs(found) == {"benign/1": ["1_mask.png"], "normal/1": ["1_mask.png"]}
    assert found.sentence == (
        "paired CLASS/X with CLASS/X_mask.png; class = folder name (benign, normal)"
    )


def test_class_folders_with_images_and_masks_below_give_two_samples_of_one_name(tmp_path):
    classes = ("COVID", "Normal")
    files = [f"{c}/{role}/1.png" for c in classes for role in ("images", "masks")]
    found = load_source(make(tmp_path, *files, "COVID.metadata.xlsx"), DEFAULT)
    assert labels(found) == {"COVID/images/1": ["COVID"], "Normal/images/1": ["Normal"]}
    masks = [row["mask"][0]["source"] for row in found.samples.to_pylist()]
    assert masks == [str(tmp_path / c / "masks" / "1.png") for c in classes]
    assert found.skipped_files == {"other files": 1}


def test_one_folder_is_no_class(tmp_path):
    found = load_source(make(tmp_path, "benign/1.png", "benign/2.png"), DEFAULT)
    assert labels(found) == {"benign/1": [], "benign/2": []}


def test_class_folders_are_found_below_a_folder_that_holds_everything(tmp_path):
    found = load_source(make(tmp_path, "BUSI_with_GT/a/1.png", "BUSI_with_GT/b/1.png"), DEFAULT)
    assert labels(found) == {"BUSI_with_GT/a/1": ["a"], "BUSI_with_GT/b/1": ["b"]}


def test_a_few_folders_of_one_image_each_are_classes_and_many_are_cases(tmp_path):
    few = load_source(make(tmp_path / "few", "a/1.png", "b/1.png"), DEFAULT)
    assert labels(few) == {"a/1": ["a"], "b/1": ["b"]}
    assert any("2 folders" in hint and "for classes" in hint for hint in few.hints)
    many = load_source(make(tmp_path / "many", *(f"p{n}/1.png" for n in range(11))), DEFAULT)
    assert set(map(tuple, labels(many).values())) == {()}
    assert any("11 folders" in hint and "not for classes" in hint for hint in many.hints)


def test_lesion_folders_of_ph2_are_masks(tmp_path):
    files = [f"PH2 images/{c}/{c}{end}" for c in ("IMD002", "IMD003")
             for end in (f"_Dermoscopic_Image/{c}.bmp", f"_lesion/{c}_lesion.bmp")]  # fmt: skip
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert list(pairs(found).values()) == [["IMD002_lesion.bmp"], ["IMD003_lesion.bmp"]]


def test_class_folders_whose_names_speak_of_masks_stay_classes(tmp_path):
    found = load_source(make(tmp_path, "with_mask/1.png", "without_mask/1.png"), DEFAULT)
    assert labels(found) == {"with_mask/1": ["with_mask"], "without_mask/1": ["without_mask"]}


def test_class_folders_whose_names_speak_of_images_stay_classes(tmp_path):
    found = load_source(make(tmp_path, "normal_images/1.png", "sick_images/1.png"), DEFAULT)
    assert list(labels(found).values()) == [["normal_images"], ["sick_images"]]


def test_folders_below_the_images_are_no_classes_and_a_hint_says_so(tmp_path):
    files = ["images/a/1.png", "images/b/1.png", "masks/a/1.png", "masks/b/1.png"]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {"images/a/1": ["1.png"], "images/b/1": ["1.png"]}
    assert labels(found) == {"images/a/1": [], "images/b/1": []}
    assert any("a, b" in hint and "--write-samples" in hint for hint in found.hints)


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("valid", "val"),
        ("VAL", "val"),
        ("validation", "val"),
        ("test", "test"),
        ("testing", "test"),
    ],
)
def test_split_folders_fix_the_split_and_are_no_classes(tmp_path, folder, split):
    files = [f"{folder}/images/1.png", f"{folder}/masks/1.png", "other/images/1.png"]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert splits(found) == {f"{folder}/images/1": split, "other/images/1": None}


def test_splits_stand_above_classes_and_masks_pair_within_their_split(tmp_path):
    files = [
        f"{s}/{c}/{r}/1.png"
        for s in ("train", "test")
        for c in ("a", "b")
        for r in ("images", "masks")
    ]
    found = load_source(make(tmp_path, *files), DEFAULT)
    rows = found.samples.to_pylist()
    assert [(row["split"], row["labels"]) for row in rows] == [
        ("test", ["a"]), ("test", ["b"]), ("train", ["a"]), ("train", ["b"])
    ]  # fmt: skip
    for row in rows:
        assert row["mask"][0]["source"] == row["image"].replace("images", "masks")
    assert "split = folder name (test, train)" in found.sentence


def test_train_images_and_train_masks_are_a_split_each(tmp_path):
    files = ["train_images/1.png", "train_masks/1.png", "test_images/1.png"]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {"test_images/1": [], "train_images/1": ["1.png"]}
    assert splits(found) == {"test_images/1": "test", "train_images/1": "train"}


def test_folders_below_images_and_masks_have_to_correspond(tmp_path):
    files = ["images/p1/1.png", "images/p2/1.png", "masks/p2/1.png", "masks/p3/1.png"]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {"images/p1/1": [], "images/p2/1": ["1.png"]}
    [orphan] = [finding for finding in found.findings if finding.level == "error"]
    assert (orphan.code, orphan.path) == (
        "mask-without-image",
        str(tmp_path / "masks/p3/1.png"),
    )


def test_blanks_brackets_upper_case_extensions_and_unicode_work(tmp_path):
    names = ["benign (4)", "Läsion №7", "a b [c]", "皮膚"]
    files = [f"{name}{end}" for name in names for end in (".PNG", "_mask.Png")]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {name: [f"{name}_mask.Png"] for name in names}


def test_composed_and_decomposed_spellings_of_a_name_pair(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Läsion") for form in ("NFC", "NFD"))
    found = load_source(make(tmp_path, f"images/{nfd}.png", f"masks/{nfc}.png"), DEFAULT)
    assert pairs(found) == {f"images/{nfc}": [f"{nfc}.png"]}
    assert Path(found.samples["image"][0].as_py()).exists()


@pytest.mark.parametrize(
    ("junk", "kind"),
    [
        ("._1.png", "._*"),
        ("Thumbs.db", "Thumbs.db"),
        (".DS_Store", ".DS_Store"),
        ("__MACOSX/1.png", "__MACOSX"),
        ("1_superpixels.png", "*_superpixels.png"),
        (".hidden/1.png", "hidden files"),
        ("notes.txt", "other files"),
        ("VOC/SegmentationObject/1.png", "SegmentationObject"),
    ],
)
def test_what_is_no_sample_is_passed_over_and_counted(tmp_path, junk, kind):
    found = load_source(make(tmp_path, "1.png", junk), DEFAULT)
    assert pairs(found) == {"1": []}
    assert found.skipped_files == {kind: 1}


def test_an_image_without_a_mask_is_a_sample_and_is_said_once(tmp_path):
    files = ["images/1.png", "masks/1.png", "images/2.png", "images/3.png"]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {"images/1": ["1.png"], "images/2": [], "images/3": []}
    [finding] = found.findings
    assert (finding.level, finding.code) == ("info", "image-without-mask")
    assert finding.message == "2 of 3 images have no mask: images/2, images/3"


def test_a_set_without_any_mask_says_nothing_of_missing_masks(tmp_path):
    found = load_source(make(tmp_path, "1.png", "2.png"), DEFAULT)
    assert found.findings == ()
    assert found.sentence == "images X, none with a mask"


@pytest.mark.parametrize("files", [("1.png", "1_mask.png", "2_mask.png"), ("a.png", "2_mask.png")])
def test_a_mask_without_an_image_is_an_error_that_names_it(tmp_path, files):
    found = load_source(make(tmp_path, *files), DEFAULT)
    [finding] = [finding for finding in found.findings if finding.level == "error"]
    assert finding.code == "mask-without-image"
    assert finding.path == str(tmp_path / "2_mask.png")


def test_a_mask_that_fits_two_images_is_given_to_neither(tmp_path):
    found = load_source(
        make(tmp_path, "images/a_image.png", "images/a_rgb.png", "masks/a.png"), DEFAULT
    )
    assert [(f.code, f.key) for f in found.findings] == [
        ("mask-without-image", "images/a_image"),
        ("mask-without-image", "images/a_rgb"),
    ]
    assert "fits 2 images" in found.findings[0].message
    assert pairs(found) == {"images/a_image": [], "images/a_rgb": []}


def test_several_masks_are_an_error_that_keeps_the_sample(tmp_path):
    found = load_source(make(tmp_path, "1.png", "1_mask_1.png", "1_mask.png"), DEFAULT)
    [finding] = found.findings
    assert (finding.level, finding.code, finding.key) == ("error", "several-masks", "1")
    assert "1_mask.png, 1_mask_1.png" in finding.message
    assert "--mask-choice" in finding.fix
    assert pairs(found) == {"1": ["1_mask.png", "1_mask_1.png"]}


def test_mask_choice_says_which_of_several_masks_to_take(tmp_path):
    source = make(tmp_path, "1.png", *(f"1_mask{n}.png" for n in ("_10", "_2", "")))
    first = load_source(source, SourceOptions(mask_choice="first"))
    assert pairs(first) == {"1": ["1_mask.png"]}
    assert first.skipped_files == {"further masks of an image": 2}
    union = load_source(source, SourceOptions(mask_choice="union"))
    assert pairs(union) == {"1": ["1_mask.png", "1_mask_2.png", "1_mask_10.png"]}
    assert first.findings == union.findings == ()


def test_two_images_with_one_key_are_an_error_that_names_both_and_takes_neither(tmp_path):
    source = make(tmp_path, "images/a.png", "images/a.JPG", "images/b.png", "masks/a.png")
    found = load_source(source, DEFAULT)
    [finding] = [finding for finding in found.findings if finding.level == "error"]
    assert (finding.code, finding.key) == ("duplicate-key", "images/a")
    assert "a.JPG" in finding.message
    assert "a.png" in finding.message
    assert pairs(found) == {"images/b": []}


def test_files_beside_images_and_masks_are_not_taken_and_said(tmp_path):
    source = make(tmp_path, "images/a.png", "masks/a.png", "overlays/a.png", "figure.png")
    found = load_source(source, DEFAULT)
    assert pairs(found) == {"images/a": ["a.png"]}
    [finding] = found.findings
    assert (finding.level, finding.code) == ("warning", "file-beside-images")
    assert "figure.png, overlays/a.png" in finding.message


def test_masks_of_one_object_each_are_errors_and_a_hint(tmp_path):
    files = [f"{case}/{role}" for case in "ab" for role in ("images/i.png",)]
    files += [f"{case}/masks/{n}.png" for case in "ab" for n in range(3)]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert codes(found) == ["mask-without-image"] * 6
    assert any("one object" in hint for hint in found.hints)


def test_masks_named_by_image_class_and_number_are_errors(tmp_path):
    files = ["train/shapes/1.jpg", "train/annotations/1_square_0.png"]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert codes(found) == ["mask-without-image"]
    assert pairs(found) == {"train/shapes/1": []}


def test_a_table_beside_unpaired_masks_is_hinted_at(tmp_path):
    found = load_source(make(tmp_path, "images/a.png", "masks/77.png", "index.csv"), DEFAULT)
    assert any(f"segrecord build {tmp_path / 'index.csv'} OUT" in hint for hint in found.hints)


def test_a_table_beside_an_unlabelled_set_is_hinted_at_as_metadata(tmp_path):
    found = load_source(make(tmp_path, "a.png", "a_mask.png", "classes.csv"), DEFAULT)
    [hint] = found.hints
    assert f"--metadata {tmp_path / 'classes.csv'}" in hint


def test_a_folder_without_images_says_what_was_looked_for_and_what_lies_there(tmp_path):
    with pytest.raises(SourceError, match=r"no images \(\.png.*there lie 2 \.dcm"):
        load_source(make(tmp_path, "1.dcm", "2.dcm"), DEFAULT)


def test_a_folder_of_masks_alone_is_refused(tmp_path):
    with pytest.raises(SourceError, match="pass the folder above"):
        load_source(make(tmp_path, "masks/1.png"), DEFAULT)


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        load_source(tmp_path / "nothing", DEFAULT)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    make(tmp_path, "a.png")
    with pytest.raises(SourceError, match="neither a folder nor a table"):
        load_source(tmp_path / "a.png", DEFAULT)


def test_an_object_store_is_refused_for_now():
    with pytest.raises(SourceError, match="not supported yet"):
        load_source("s3://bucket/images", DEFAULT)


@pytest.mark.parametrize("option", [{"group_column": "p"}, {"rest_class": "x"}, {"root": "."}])
def test_options_that_need_a_table_are_refused_for_a_folder(tmp_path, option):
    with pytest.raises(SourceError, match="--"):
        load_source(make(tmp_path, "a.png"), SourceOptions(**option))


def test_samples_are_sorted_by_key_and_paths_are_joined_to_the_source_as_given(
    tmp_path, monkeypatch
):
    make(tmp_path, "set/b.png", "set/B.png", "set/a/1.png")
    monkeypatch.chdir(tmp_path)
    found = load_source("set", DEFAULT)
    assert found.samples["key"].to_pylist() == ["B", "a/1", "b"]
    assert found.samples["image"].to_pylist() == ["set/B.png", "set/a/1.png", "set/b.png"]


needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX file names and links")


@needs_posix
def test_linked_folders_are_followed_and_loops_end(tmp_path):
    make(tmp_path, "elsewhere/1.png", "set/2.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "set")
    found = load_source(str(tmp_path / "set"), DEFAULT)
    assert found.samples["key"].to_pylist() == ["2", "linked/1"]
    assert found.skipped_files == {"links to a folder above": 1}


@needs_posix
def test_a_broken_link_stays_a_sample_for_the_scan_to_name(tmp_path):
    (tmp_path / "1.png").symlink_to(tmp_path / "gone.png")
    assert pairs(load_source(str(tmp_path), DEFAULT)) == {"1": []}


@needs_posix
def test_a_pipe_is_passed_over_since_reading_it_would_hang(tmp_path):
    make(tmp_path, "1.png")
    os.mkfifo(tmp_path / "2.png")
    found = load_source(str(tmp_path), DEFAULT)
    assert found.skipped_files == {"devices, pipes and sockets": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere refuse such names")
def test_a_name_that_is_no_unicode_is_a_finding(tmp_path):
    make(tmp_path, "1.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/l\xe4sion.png")).touch()
    found = load_source(str(tmp_path), DEFAULT)
    [finding] = found.findings
    assert (finding.level, finding.code) == ("error", "name-not-unicode")
    assert finding.path == r"'l\udce4sion.png'"
    assert pairs(found) == {"1": []}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder"
)
def test_a_folder_that_cannot_be_listed_is_a_finding(tmp_path):
    make(tmp_path, "1.png", "shut/2.png")
    (tmp_path / "shut").chmod(0)
    found = load_source(str(tmp_path), DEFAULT)
    (tmp_path / "shut").chmod(0o700)
    assert codes(found) == ["unreadable-folder"]


def test_a_folder_that_fails_to_list_is_a_finding(tmp_path, monkeypatch):
    make(tmp_path, "1.png", "shut/2.png")
    scandir = os.scandir

    def failing(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    found = load_source(str(tmp_path), DEFAULT)
    [finding] = found.findings
    assert (finding.code, finding.path) == ("unreadable-folder", str(tmp_path / "shut"))


def test_each_image_that_a_mask_may_belong_to_has_the_error_and_can_be_left_out(tmp_path):
    source = make(
        tmp_path, "images_part_1/0.png", "images_part_1/1.png", "images_part_2/1.png",
        "masks/0.png", "masks/1.png",
    )  # fmt: skip
    found = load_source(source, DEFAULT)
    errors = [(f.code, f.key) for f in found.findings if f.level == "error"]
    assert errors == [
        ("mask-without-image", "images_part_1/1"),
        ("mask-without-image", "images_part_2/1"),
    ]


def test_a_mask_among_the_images_is_a_mask_though_others_have_a_folder_of_their_own(tmp_path):
    found = load_source(
        make(tmp_path, "images/1.png", "images/1_mask.png", "images/2.png", "masks/2.png"), DEFAULT
    )
    assert pairs(found) == {"images/1": ["1_mask.png"], "images/2": ["2.png"]}


def test_a_second_mask_among_the_images_is_an_error(tmp_path):
    source = make(tmp_path, "images/1.png", "images/1_mask.png", "masks/1.png")
    found = load_source(source, DEFAULT)
    assert [(f.code, f.key) for f in found.findings] == [("several-masks", "images/1")]


def test_an_image_that_is_called_a_mask_and_has_a_mask_of_its_own_is_an_image(tmp_path):
    files = [f"{folder}/{name}.png" for folder in ("images", "masks") for name in ("1", "1_mask")]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {"images/1": ["1.png"], "images/1_mask": ["1_mask.png"]}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("train_images", "train_masks"),
        ("scan_img", "scan_seg"),
        ("CXR_png", "leftMask"),
        ("leftImg8bit/aachen", "gtFine/aachen"),
        ("trainimages", "trainmasks"),
    ],
)
def test_folders_of_masks_that_pair_with_nothing_are_never_images_of_a_class(
    tmp_path, images, masks
):
    found = load_source(make(tmp_path, f"{images}/a.png", f"{masks}/b.png"), DEFAULT)
    assert pairs(found) == {f"{images}/a": []}
    assert labels(found) == {f"{images}/a": []}
    assert codes(found) == ["mask-without-image"]


@pytest.mark.parametrize("set_name", ["Dataset_with_GT", "set"])
def test_a_word_in_the_name_of_a_whole_set_makes_no_masks_of_it(tmp_path, set_name):
    files = [f"{set_name}/{c}/1{end}.png" for c in ("a", "b") for end in ("", "_mask")]
    found = load_source(make(tmp_path, *files, "more/a/3.png"), DEFAULT)
    assert pairs(found)[f"{set_name}/a/1"] == ["1_mask.png"]


def test_a_split_below_the_class_fixes_the_split(tmp_path):
    source = make(tmp_path, *(f"{c}/{s}/1.png" for c in "ab" for s in ("train", "test")))
    found = load_source(source, DEFAULT)
    rows = found.samples.to_pylist()
    assert [(row["labels"], row["split"]) for row in rows] == [
        (["a"], "test"), (["a"], "train"), (["b"], "test"), (["b"], "train"),
    ]  # fmt: skip
    assert found.sentence.startswith("images CLASS/SPLIT/X,")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train2017", "test2017"),
        ("training_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("Training Data", "Testing Data"),
        ("01_train", "02_test"),
        ("trainset", "testset"),
    ],
)
def test_folders_whose_names_add_a_number_or_set_to_a_split_are_splits_not_classes(
    tmp_path, train, test
):
    source = make(tmp_path, *(f"{s}/{c}/1.png" for c in "ab" for s in (train, test)))
    found = load_source(source, DEFAULT)
    assert splits(found) == {
        f"{folder}/{c}/1": split
        for c in "ab"
        for folder, split in ((train, "train"), (test, "test"))
    }
    if "Data" not in train:
        assert labels(found)[f"{train}/a/1"] == ["a"]


def test_two_folders_of_one_split_are_told_apart_when_masks_are_paired(tmp_path):
    files = [f"{role}/train{n}/1.png" for role in ("images", "masks") for n in (1, 2)]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert splits(found) == {"images/train1/1": "train", "images/train2/1": "train"}
    assert pairs(found) == {"images/train1/1": ["1.png"], "images/train2/1": ["1.png"]}
    assert found.findings == ()


@pytest.mark.parametrize("name", ["train station", "contest", "tested", "valley", "retest_a"])
def test_a_class_whose_name_holds_the_word_of_a_split_stays_a_class(tmp_path, name):
    found = load_source(make(tmp_path, f"{name}/1.png", "other/1.png"), DEFAULT)
    assert labels(found) == {f"{name}/1": [name], "other/1": ["other"]}
    assert set(splits(found).values()) == {None}


def test_class_folders_are_one_class_however_their_name_is_spelled(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "Läsion") for form in ("NFC", "NFD"))
    found = load_source(
        make(tmp_path, f"train/{nfc}/1.png", f"test/{nfd} /2.png", "test/a/1.png"), DEFAULT
    )
    assert sorted(map(tuple, labels(found).values())) == [("Läsion",), ("Läsion",), ("a",)]


def test_many_files_of_a_kind_that_is_not_read_are_hinted_at(tmp_path):
    files = [
        f"{folder}/{n}.{end}" for n in range(3) for folder, end in (("x", "png"), ("y", "npy"))
    ]
    found = load_source(make(tmp_path, *files, "notes.txt"), DEFAULT)
    assert found.skipped_files == {"other files": 4}
    [hint] = found.hints
    assert "3 .npy files" in hint


@pytest.mark.parametrize(
    "junk", ["@eaDir/1.png/THUMB_M.png", "$RECYCLE.BIN/2.png", "#recycle/2.png"]
)
def test_thumbnails_and_bins_of_storage_servers_are_passed_over(tmp_path, junk):
    found = load_source(make(tmp_path, "1.png", junk), DEFAULT)
    assert pairs(found) == {"1": []}
    assert found.skipped_files == {junk.split("/")[0]: 1}


def test_split_folders_below_the_images_are_not_hinted_at_as_classes(tmp_path):
    files = [
        f"{role}/{split}2017/1.png" for role in ("images", "masks") for split in ("train", "val")
    ]
    assert load_source(make(tmp_path, *files), DEFAULT).hints == ()


@pytest.mark.parametrize(
    ("images", "masks"),
    [("{}images", "{}masks"), ("images{}", "labels{}"), ("{}", "{}annot"), ("{}", "{}labels")],
)
def test_split_and_role_in_one_word_are_both_read(tmp_path, images, masks):
    folders = [(images.format(split), masks.format(split)) for split in ("train", "test")]
    found = load_source(make(tmp_path, *(f"{f}/1.png" for pair in folders for f in pair)), DEFAULT)
    assert pairs(found) == {f"{folder}/1": ["1.png"] for folder, _ in folders}
    assert sorted(splits(found).values()) == ["test", "train"]
    assert found.findings == ()


def test_folders_of_which_each_names_a_split_are_splits_whatever_else_they_say(tmp_path):
    names = ("stage1_train", "stage1_test")
    found = load_source(make(tmp_path, *(f"{s}/{c}/1.png" for s in names for c in "ab")), DEFAULT)
    assert splits(found) == {f"{s}/{c}/1": s.split("_")[1] for s in names for c in "ab"}
    assert labels(found)["stage1_train/a/1"] == ["a"]


@pytest.mark.parametrize("other", ["harbour", "stress_test", "train_wagon"])
def test_one_folder_with_the_word_of_a_split_beside_others_stays_a_class(tmp_path, other):
    names = ["train_station", other, "bridge"]
    found = load_source(make(tmp_path, *(f"{name}/1.png" for name in names)), DEFAULT)
    assert labels(found) == {f"{name}/1": [name] for name in names}


def test_glas_annotations_are_masks(tmp_path):
    found = load_source(make(tmp_path, "testA_1.bmp", "testA_1_anno.bmp"), DEFAULT)
    assert pairs(found) == {"testA_1": ["testA_1_anno.bmp"]}


def test_two_folders_of_the_same_names_and_no_mask_are_hinted_at(tmp_path):
    files = [f"{folder}/{n}.png" for folder in ("images", "lungs") for n in range(3)]
    found = load_source(make(tmp_path, *files), DEFAULT)
    [hint] = found.hints
    assert "images and lungs hold files of the same names" in hint


def test_names_that_add_the_same_ending_to_others_are_hinted_at(tmp_path):
    files = [f"Image_0{n}{end}" for n in range(3) for end in ("L.jpg", "L_1stHO.png")]
    found = load_source(make(tmp_path, *files), DEFAULT)
    [hint] = found.hints
    assert "3 files are called like another with _1stHO" in hint


WRAPPERS = [
    *("data", "images", "masks", "labels", "raw", "x", "data/images", "images/data", "set/data"),
    *("segmentation", "Dataset_with_GT", "mask_study", "data/train"),
]


@pytest.mark.parametrize(
    ("images", "masks", "name"),
    [
        ("images", "masks", "{}"),
        ("train", "train_masks", "{}_mask"),
        ("train_images", "train_masks", "{}"),
        ("HAM_images_1", "HAM_segmentations", "{}_segmentation"),
        ("scans of 2020", "masks", "{}"),
        ("imagesTr", "labelsTr", "{}"),
        ("train", "trainannot", "{}"),
        ("orig", "annotated", "{}_anno"),
        (".", ".", "{}_mask"),
    ],
)
def test_a_folder_around_both_tells_nothing_whatever_it_is_called(images, masks, name):
    for wrapper in WRAPPERS:
        for beside in ([], ["preview.png"], ["docs/fig1.png"]):
            if beside and images in {"orig", "scans of 2020"} and wrapper == "Dataset_with_GT":
                continue  # a stray picture beside a folder is another matter
            files = [posixpath.normpath(f"{wrapper}/{images}/{stem}.png") for stem in "abc"]
            files += [
                posixpath.normpath(f"{wrapper}/{masks}/{name.format(stem)}.png") for stem in "abc"
            ]
            layout = lay_out(sorted({*files, *beside}))
            assert layout.pairs == 3, (wrapper, beside)
            assert len(layout.images) == 3 + len(beside), (wrapper, beside)


def test_a_folder_of_images_whose_subfolders_speak_of_masks_is_no_wrapper(tmp_path):
    files = [
        f"{role}/{part}/{stem}.png"
        for role in ("images", "masks")
        for part in ("segmentation_study", "other")
        for stem in ("1", "2")
    ]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert all(len(masks) == 1 for masks in pairs(found).values())
    assert len(pairs(found)) == 4


def test_a_third_folder_beside_both_is_beside_them_below_a_folder_called_data(tmp_path):
    files = [f"data/{folder}/1.png" for folder in ("images", "masks", "overlays")]
    found = load_source(make(tmp_path, *files), DEFAULT)
    assert pairs(found) == {"data/images/1": ["1.png"]}
    assert codes(found) == ["file-beside-images"]


def test_train_beside_train_masks_pairs_without_a_second_split(tmp_path):
    files = ["train/a.jpg", "train/b.jpg", "train_masks/a_mask.gif", "train_masks/b_mask.gif"]
    assert pairs(load_source(make(tmp_path, *files), DEFAULT)) == {
        "train/a": ["a_mask.gif"],
        "train/b": ["b_mask.gif"],
    }


def test_folders_of_masks_alone_are_still_refused(tmp_path):
    files = ["masks/a_mask.png", "masks/b_mask.png"]
    with pytest.raises(SourceError, match="pass the folder above"):
        load_source(make(tmp_path, *files), DEFAULT)


def test_masks_of_one_name_are_told_apart_by_their_folders():
    for masks, said in (
        (("a/l/1.png", "a/r/1.png"), "l/1.png, r/1.png"),
        (("a/l/1.png", "a/r/2.png"), "1.png, 2.png"),
        (("l/1.png", "r/1.png"), "l/1.png, r/1.png"),
    ):
        (wrong,) = choose_masks("k", masks, None, SkippedFiles())[1]
        assert wrong.message.replace(os.sep, "/") == f"2 masks for one image: {said}"


def test_what_is_passed_over_is_named(tmp_path):
    names = [f"n{n}.txt" for n in range(7)]
    found = load_source(make(tmp_path, "a.png", "sub/._a.png", *names), DEFAULT)
    assert found.skipped_files == {"._*": 1, "other files": 7}
    assert found.skipped_names == {"._*": ("sub/._a.png",), "other files": tuple(names[:5])}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["SegmentationObject/1.png", "SegmentationObject/2.png"], "2 numbered objects"),
        (["._1.png", "._2.png", "notes.txt"], "2 ._*"),
        (["a_superpixels.png"], "1 *_superpixels.png"),
        (["README"], "1 without extension"),
    ],
)
def test_a_folder_without_images_says_what_lies_there(tmp_path, files, said):
    with pytest.raises(SourceError, match="holds no images") as raised:
        load_source(make(tmp_path, *files), DEFAULT)
    assert said in str(raised.value)
    assert "no files" not in str(raised.value)


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images", "masks"), ("train", "train_masks"), ("train_images", "train_masks")],
)
def test_the_folder_of_images_itself_has_a_hint_at_the_masks_beside_it(tmp_path, images, masks):
    make(tmp_path, f"{images}/1.png", f"{images}/2.png", f"{masks}/1.png", "notes/1.png")
    hints = load_source(str(tmp_path / images), DEFAULT).hints
    (hint,) = (hint for hint in hints if "masks of these images" in hint)
    assert f"{masks} holds 1 masks of these images" in hint
    assert f"segrecord build {tmp_path} OUT" in hint
    assert not any("masks of these" in hint for hint in load_source(tmp_path, DEFAULT).hints)


def test_an_orphan_names_quarantine_where_it_is_the_way_out(tmp_path):
    files = ["images/1.png", "images/2.png", "masks/1.png", "masks/3.png"]
    (orphan,) = (
        it
        for it in load_source(make(tmp_path / "a", *files), DEFAULT).findings
        if it.code == "mask-without-image"
    )
    assert "--on-error quarantine leaves the mask out" in orphan.fix
    none = load_source(make(tmp_path / "b", "images/1.png", "masks/2.png"), DEFAULT)
    assert "quarantine" not in none.findings[0].fix


@pytest.mark.parametrize("below", ["data", "img", "images", "p1/data", "train/imgs"])
@pytest.mark.parametrize("outer", [("images", "masks"), ("data", "labels"), ("x", "groundtruth")])
def test_masks_in_a_folder_called_like_images_within_one_of_masks_are_masks(below, outer):
    files = [f"{role}/{below}/{stem}.png" for role in outer for stem in "abc"]
    layout = lay_out(sorted(files))
    assert (layout.pairs, len(layout.images)) == (3, 3)


def test_images_in_a_folder_called_like_masks_stay_images_where_nothing_pairs():
    files = [f"segmentation/images/{n}.png" for n in "ab"]
    files += [f"classification/images/{n}.png" for n in "cd"]
    assert len(lay_out(sorted(files)).images) == 4
