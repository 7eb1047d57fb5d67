"""The real sets of ../shared/data: each is loaded, or refused in words."""

from collections import Counter
from pathlib import Path

import pytest

from segrecord.errors import SourceError
from segrecord.options import SourceOptions
from segrecord.sources.listing import write_listing
from segrecord.sources.loading import load_source

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
]


def read(name, **options):
    return load_source(DATA / name, SourceOptions(**options))


def counts(found):
    """Samples, those with a mask, samples by class."""
    rows = found.samples.to_pylist()
    classes = Counter(row["labels"][0] for row in rows if row["labels"])
    return len(rows), sum(bool(row["mask"]) for row in rows), dict(classes)


def codes(found):
    return dict(Counter(finding.code for finding in found.findings))


def test_chest_x_rays_in_a_csv():
    found = read("cxr-covid-csv/index.csv", group_column="patientid", keep_columns="age,sex,view")
    samples, masked, classes = counts(found)
    assert (samples, masked) == (22, 16)
    assert sum(classes.values()) == 22
    assert codes(found) == {"image-without-mask": 1}
    assert found.samples["group"].null_count == 0


def test_chest_x_rays_as_a_folder_pair_nothing_and_name_the_csv():
    found = read("cxr-covid-csv")
    assert counts(found)[:2] == (22, 0)
    assert codes(found) == {"mask-without-image": 16}
    assert any("index.csv OUT" in hint for hint in found.hints)


def test_parallel_folders_with_three_images_without_mask():
    found = read("cxr-tb-parallel-folders")
    assert counts(found) == (27, 24, {})
    assert found.sentence == "paired images/X with masks/X.png"
    assert codes(found) == {"image-without-mask": 1}


def test_a_suffix_in_one_folder_with_one_hot_classes():
    table = str(DATA / "isic2017-suffix" / "ground_truth.csv")
    found = read("isic2017-suffix", metadata=table, rest_class="nevus")
    samples, masked, classes = counts(found)
    assert (samples, masked, sum(classes.values())) == (8, 8, 8)
    assert found.findings == ()
    refused = read("isic2017-suffix", metadata=table)
    assert set(codes(refused)) == {"no-class"}
    assert "--rest-class" in refused.findings[0].fix


def test_two_folders_with_a_suffix_and_one_hot_classes():
    table = str(DATA / "isic2017-tiny-size-mismatch" / "classes.csv")
    found = read("isic2017-tiny-size-mismatch", metadata=table, rest_class="nevus")
    samples, masked, classes = counts(found)
    assert (samples, masked, sum(classes.values())) == (40, 40, 40)
    assert found.findings == ()


def test_class_folders_with_second_masks():
    found = read("busi-class-folders")
    assert counts(found) == (9, 9, {"benign": 3, "malignant": 3, "normal": 3})
    assert codes(found) == {"several-masks": 2}
    assert read("busi-class-folders", mask_choice="union").findings == ()


def test_a_csv_with_other_column_names_and_the_same_set_as_a_folder():
    found = read("jsrt-csv/idx.csv")
    assert counts(found) == (4, 4, {})
    assert found.findings == ()
    folder = read("jsrt-csv")
    assert folder.samples.select(["key", "mask"]) == found.samples.select(["key", "mask"])


def test_pascal_voc():
    found = read("voc-palette")
    assert counts(found) == (3, 3, {})
    assert found.sentence == "paired JPEGImages/X with SegmentationClass/X.png"


def test_colour_masks_pair_by_name():
    assert counts(read("leukocyte-colour-masks"))[:2] == (8, 8)


@pytest.mark.parametrize("name", ["nuclei-instance-masks", "coco-shapes"])
def test_masks_of_one_object_each_are_errors(name):
    found = read(name)
    assert counts(found)[1] == 0
    assert set(codes(found)) == {"mask-without-image"}


def test_dicom_is_refused_in_words():
    with pytest.raises(SourceError, match=r"no images.*21 \.dcm"):
        read("dicom")


def test_bad_files_are_understood_as_samples_for_the_scan_to_judge():
    found = read("bad-input")
    assert counts(found)[0] + found.skipped_files["._*"] == len(
        list((DATA / "bad-input").iterdir())
    )
    assert found.findings == ()


@pytest.mark.parametrize("name", ["busi-class-folders", "cxr-tb-parallel-folders", "voc-palette"])
def test_what_was_understood_survives_as_a_csv(tmp_path, name):
    found = read(name, mask_choice="union")
    write_listing(found.samples, tmp_path / "pairs.csv")
    again = load_source(tmp_path / "pairs.csv", SourceOptions(mask_choice="union"))
    assert again.samples.equals(found.samples)
