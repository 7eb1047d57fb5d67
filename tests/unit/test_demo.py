"""The demo set: drawn alike each time, of the promised make, and not solved by a threshold."""

import collections
import csv

import numpy as np
import pytest
from PIL import Image, ImageFilter

from segrecord.demo import drawing as demo
from segrecord.errors import OutputError, UsageError

COUNT = 23


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return demo.draw(tmp_path_factory.mktemp("demo") / "set", COUNT, seed=3)


@pytest.fixture(scope="module")
def facts():
    return [demo.sample(0, index) for index in range(600)]


def read(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def otsu(grey):
    """Otsu's threshold: the one that divides the histogram with the largest variance between."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(float)
    below = np.cumsum(counts)
    mass = np.cumsum(counts * np.arange(256))
    spread = below * (below[-1] - below)
    gap = (mass[-1] * below / below[-1] - mass) ** 2
    return int(np.argmax(np.divide(gap, spread, out=np.zeros(256), where=spread > 0)))


def mean_iou(guess, truth):
    pairs = ((guess, truth), (~guess, ~truth))
    return np.mean([(a & b).sum() / max(1, (a | b).sum()) for a, b in pairs])


def test_a_second_drawing_has_the_same_bytes(drawn, tmp_path):
    # Another count: no image hangs on how many there are, or on which worker drew it.
    again = read(demo.draw(tmp_path, 2, seed=3))
    first = read(drawn)
    del again[demo.Path("metadata.csv")]
    assert len(again) in (3, 4)
    assert {path: first[path] for path in again} == again


def test_another_seed_draws_other_images():
    assert not np.array_equal(demo.picture(0, 0)[0], demo.picture(1, 0)[0])


def test_every_sample_has_its_files_and_no_file_is_alone(drawn):
    samples = [demo.sample(3, index) for index in range(COUNT)]
    expected = {f"images/{sample.image_id}.jpg" for sample in samples}
    expected |= {
        f"masks/{sample.image_id}_segmentation.png" for sample in samples if sample.has_mask
    }
    assert {path.as_posix() for path in read(drawn)} == expected | {"metadata.csv"}


def test_metadata_holds_a_row_for_each_image(drawn):
    with (drawn / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == [f"DEMO_{n:07d}" for n in range(COUNT)]
    assert list(rows[0]) == ["image_id", "diagnosis", "patient_id", "age", "sex", "site"]
    assert {row["diagnosis"] for row in rows} == set(demo.DIAGNOSES)


def test_masks_are_grey_0_and_255_of_their_images_size(drawn):
    for path in sorted((drawn / "masks").iterdir()):
        with Image.open(path) as mask:
            mask.load()
        with Image.open(drawn / "images" / path.name.replace("_segmentation.png", ".jpg")) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", mask.size)
        assert (mask.format, mask.mode) == ("PNG", "L")
        assert set(np.unique(mask)) == {0, 255}
        assert 0.01 < np.mean(np.asarray(mask) > 0) < 0.8


def test_classes_and_missing_masks_have_their_shares(facts):
    counts = collections.Counter(sample.diagnosis for sample in facts)
    assert counts["nevus"] / 600 == pytest.approx(0.6, abs=0.06)
    assert counts["melanoma"] / 600 == pytest.approx(0.2, abs=0.05)
    assert counts["seborrheic_keratosis"] / 600 == pytest.approx(0.2, abs=0.05)
    assert sum(not sample.has_mask for sample in facts) / 600 == pytest.approx(0.05, abs=0.02)


def test_a_patient_has_one_to_three_images_and_one_age_and_sex(facts):
    patients = collections.defaultdict(list)
    for sample in facts:
        patients[sample.patient_id].append(sample)
    assert {len(samples) for samples in patients.values()} == {1, 2, 3}
    assert 600 / len(patients) == pytest.approx(2, abs=0.1)
    for samples in patients.values():
        assert len({(sample.age, sample.sex) for sample in samples}) == 1


def test_a_threshold_does_not_solve_it():
    scores = []
    for index in range(60):
        pixels, mask = demo.picture(0, index)
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
        scores.append(mean_iou(grey <= otsu(grey), mask > 0))
    assert np.mean(scores) < 0.80


def test_lesions_are_darker_than_the_skin_at_their_border():
    # Else there would be nothing to learn.
    for index in range(30):
        pixels, mask = (Image.fromarray(array) for array in demo.picture(0, index))
        levels = np.asarray(pixels.convert("L"))
        lesion = np.asarray(mask) > 0
        ring = (np.asarray(mask.filter(ImageFilter.MaxFilter(31))) > 0) & ~lesion & (levels > 30)
        assert np.mean(levels[lesion]) < np.mean(levels[ring]) - 8


def test_a_folder_with_images_of_another_set_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mole.jpg").touch()
    with pytest.raises(OutputError, match=r"mole\.jpg does not belong to this set"):
        demo.draw(tmp_path, 1)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        demo.draw(tmp_path / "file" / "set", 1)


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, -1)])
def test_a_count_or_seed_out_of_range_is_refused(count, seed, tmp_path):
    with pytest.raises(UsageError, match="must be at least"):
        demo.draw(tmp_path, count, seed)


def test_a_drawing_that_fails_is_an_error(tmp_path):
    # A folder stands where an image should: the worker's failure is told.
    (tmp_path / "images" / "DEMO_0000000.jpg").mkdir(parents=True)
    with pytest.raises(demo.EngineError, match="IsADirectoryError"):
        demo.draw(tmp_path, 1)
