"""The real sets of ../shared/data, built with the options that segrecord itself asks for."""

import csv
import io
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageOps

from segrecord import cli, pipeline
from segrecord.images import image, png
from segrecord.read.lookup import read_record

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command line in this process; gives exit code, standard output, standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["segrecord", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as exited:
            code = exited.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


# How the masks of each set mean what they mean, said here a second time.


def plane(path):
    """The numbers in a mask file: indices of a palette, 0 and 255 of one bit, a channel's grey."""
    with Image.open(path) as opened:
        if opened.mode in "LP":
            return np.asarray(opened)
        return np.asarray(opened.convert("RGB"))[:, :, 0]


def black_and_white(planes, _size):
    return np.maximum.reduce([part == 255 for part in planes]).astype(np.uint8)


def with_127(planes, _size):
    meaning = np.full(256, 99, np.uint8)
    meaning[[0, 127, 255]] = 0, 255, 1
    return meaning[planes[0]]


def smoothed(planes, _size):
    return (planes[0] >= 128).astype(np.uint8)


def as_it_is(planes, _size):
    return planes[0]


def resized(planes, size):
    """The nearest neighbour: the source pixel under the centre of each target pixel."""
    mask = black_and_white(planes, size)
    rows, columns = (
        np.floor((np.arange(target) + 0.5) * own / target).astype(int)
        for target, own in zip(size, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


# Which files belong together, likewise.


def suffixed(suffix):
    return lambda folder, key: sorted(folder.glob(f"{key}{suffix}.png"))


def beside(images, masks, suffix=""):
    def files(folder, key):
        path = folder / f"{masks}{key.removeprefix(images)}{suffix}.png"
        return [path] if path.exists() else []

    return files


def listed(table, image_column):
    def files(folder, key):
        with (folder / table).open(newline="", encoding="utf-8") as file:
            rows = {row[image_column]: row["mask"] for row in csv.DictReader(file)}
        mask = {os.path.splitext(name)[0]: mask for name, mask in rows.items()}[key]  # noqa: PTH122 - text
        return [folder / mask] if mask else []

    return files


class Case(NamedTuple):
    source: str
    given: tuple[str, ...]
    """What the first run is told, apart from the source."""
    asked: tuple[str, ...]
    """Options that its error asks for, in its words, and the second run is given."""
    extra: tuple[str, ...]
    """What else it asks for, with a value of our own."""
    records: int
    meaning: object
    masks: object


CASES = {
    "cxr-covid": Case(
        source="cxr-covid-csv/index.csv",
        given=(),
        asked=("--mask-map 0=background,127=ignore,255=foreground",),
        extra=(),
        records=22,
        meaning=with_127,
        masks=listed("index.csv", "image"),
    ),
    "cxr-tb": Case(
        source="cxr-tb-parallel-folders",
        given=(),
        asked=("--mask-threshold 128",),
        extra=(),
        records=27,
        meaning=smoothed,
        masks=beside("images/", "masks/"),
    ),
    "isic": Case(
        source="isic2017-suffix",
        given=(),
        asked=(),
        extra=(),
        records=8,
        meaning=black_and_white,
        masks=suffixed("_segmentation"),
    ),
    "isic-metadata": Case(
        source="isic2017-suffix",
        given=("--metadata", "isic2017-suffix/ground_truth.csv"),
        asked=(),
        extra=("--rest-class", "nevus"),
        records=8,
        meaning=black_and_white,
        masks=suffixed("_segmentation"),
    ),
    "isic-tiny": Case(
        source="isic2017-tiny-size-mismatch",
        given=(),
        asked=("--mask-fit resize-any",),
        extra=(),
        records=40,
        meaning=resized,
        masks=beside("images/", "masks/", "_segmentation"),
    ),
    "busi": Case(
        source="busi-class-folders",
        given=(),
        asked=("--mask-choice union", "--on-error quarantine"),
        extra=(),
        records=8,
        meaning=black_and_white,
        masks=lambda folder, key: sorted((folder / key).parent.glob(f"{Path(key).name}_mask*.png")),
    ),
    "jsrt-csv": Case(
        source="jsrt-csv/idx.csv",
        given=(),
        asked=(),
        extra=(),
        records=4,
        meaning=black_and_white,
        masks=listed("idx.csv", "img"),
    ),
    "jsrt-folder": Case(
        source="jsrt-csv",
        given=(),
        asked=(),
        extra=(),
        records=4,
        meaning=black_and_white,
        masks=suffixed("-mask"),
    ),
    "voc": Case(
        source="voc-palette",
        given=(),
        asked=(),
        extra=(),
        records=3,
        meaning=as_it_is,
        masks=beside("JPEGImages/", "SegmentationClass/"),
    ),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_set_builds_with_what_the_error_asks_for_and_is_read_back(run, tmp_path, case):
    source, out = DATA / case.source, tmp_path / "out"
    given = [str(DATA / word) if "/" in word else word for word in case.given]
    code, _, err = run("build", source, out, *given)
    wanted = [word for words in case.asked for word in words.split(" ", 1)] + list(case.extra)
    if wanted:
        assert code == 1
        assert all(words in err for words in [*case.asked, *case.extra[::2]])
        code, _, err = run("build", source, out, *given, *wanted)
    assert (code, err) == (0, "")
    code, said, _ = run("verify", out, "--source", source)
    assert code == 0, said
    assert compare(source if source.is_dir() else source.parent, out, case) == case.records


def compare(folder, out, case):
    """Hold every record, as TensorFlow and we read it, against the originals; returns how many."""
    tf = pytest.importorskip("tensorflow")
    import segrecord.tensorflow

    count, ours = (
        0,
        [
            {one.key: one for one in segrecord.open(out, backend=backend)}
            for backend in ("core", "fast")
        ],
    )
    shards = sorted(str(path) for path in out.glob("*.tfrecord"))
    for record in tf.data.TFRecordDataset(shards):
        name = tf.io.FixedLenFeature([], tf.string)
        found = tf.io.parse_single_example(record, {"image/source_id": name})
        key = found["image/source_id"].numpy().decode()
        read = segrecord.tensorflow.parse(record)
        pixels = image.decode(image_of(folder, key).read_bytes())
        pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, 2)
        assert np.array_equal(read["image"], pixels), key
        masks = case.masks(folder, key)
        assert bool(read["has_mask"]) == bool(masks), key
        size = pixels.shape[:2]
        planes = [plane(path) for path in masks]
        expected = case.meaning(planes, size) if masks else np.zeros(size, np.uint8)
        assert np.array_equal(read["mask"][:, :, 0], expected), key
        for one in (examples[key] for examples in ours):
            assert np.array_equal(one.image, pixels), key
            assert (one.mask is None) == (not masks), key
            assert one.mask is None or np.array_equal(one.mask, expected), key
        count += 1
    return count


def image_of(folder, key):
    found = [folder / f"{key}{ending}" for ending in (".jpg", ".jpeg", ".png", ".JPG", ".gif")]
    return next(path for path in found if path.exists())


def test_what_the_quarantine_left_out_is_named(run, tmp_path):
    words = ["--mask-choice", "union", "--on-error", "quarantine"]
    assert run("build", DATA / "busi-class-folders", tmp_path / "out", *words)[0] == 0
    with (tmp_path / "out/quarantine.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["key"], row["code"]) for row in rows] == [("benign/benign (4)", "mask-parts-size")]


# Files that are broken or odd: named, or stored with a trusted decoder's pixels.

BAD = sorted(path for path in DATA.glob("bad-input/*") if path.is_file())


def trusted(data):
    """Pillow's pixels, upright, as RGB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def stored(out, key):
    return trusted(read_record(out, key).stored.image)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_file_alone_is_named_or_stored_with_its_pixels(run, tmp_path, path):
    (tmp_path / "set/images").mkdir(parents=True)
    shutil.copy(path, tmp_path / "set/images")
    out = tmp_path / "out"
    code, _, err = run("build", tmp_path / "set", out, "--workers", 1)
    if code == 0:
        assert np.array_equal(stored(out, f"images/{path.stem}"), trusted(path.read_bytes()))
        return
    assert code == 1
    # An AppleDouble file is passed over by its name, and then nothing is left.
    assert path.name in err if not path.name.startswith("._") else "holds no images" in err
    assert re.search(r"^error: ", err, re.MULTILINE)
    assert not (out / "dataset.json").exists()


def test_bad_files_among_good_ones_are_named_or_stored_and_the_good_ones_stay(tmp_path):
    assert len(BAD) >= 41
    folder = tmp_path / "set/images"
    folder.mkdir(parents=True)
    for path in BAD:
        shutil.copy(path, folder)
    good = {}
    for number in range(5):
        good[f"images/good{number}"] = np.full((8, 9, 3), 40 * number, np.uint8)
        (folder / f"good{number}.png").write_bytes(png.encode(good[f"images/good{number}"]))
    out = tmp_path / "out"
    built = pipeline.build(tmp_path / "set", out, on_error="quarantine", workers=2)
    assert pipeline.verify(out, source=tmp_path / "set").problems == ()
    for key, pixels in good.items():
        assert np.array_equal(stored(out, key), pixels)
    named = {finding.key for finding in built.findings if finding.level == "error"}
    for path in BAD:
        key = f"images/{path.stem}"
        if key not in named and not path.name.startswith("._"):
            assert np.array_equal(stored(out, key), trusted(path.read_bytes())), path.name
    assert len(named) == built.manifest.quarantined > 25
