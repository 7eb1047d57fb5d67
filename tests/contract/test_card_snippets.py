"""Every piece of Python in a dataset's card runs as it stands, in a process of its own."""

import json
import os
import re
import subprocess
import sys

import pytest

import datasets
from segrecord.export import snippets, tfds
from segrecord.export.card import Card, card
from segrecord.format import manifest as manifests

# Sizes are unequal unless `equal`; the image of a record is 8 to 10 by 7 pixels.
DATASETS = {
    "deeplab": {},
    "plain": {"schema": "plain"},
    "raw": {"schema": "raw"},
    "one-hot": {"schema": "raw", "one_hot": True},
    "tfds": {"schema": "tfds", "missing_mask": "zeros"},
    "omitted": {"missing_mask": "omit"},
    "images": {"masks": False, "labelled": False},
    "masks": {"labelled": False, "schema": "tfds"},
    "classes": {"masks": False, "schema": "plain"},
    "gzip": {"compression": "gzip"},
    "zlib": {"compression": "zlib", "schema": "plain"},
    "no-train": {"shards": {"site_a": (2, 1), "site_b": (3,)}},
    "folds": {"shards": {"fold0": (2,), "fold1": (2,), "fold2": (1,)}, "folds": 3},
    "equal": {"shards": {"train": (1,)}},
}
COMPRESSED = {"gzip", "zlib"}
ALONE = "Read it in TensorFlow without segrecord"
MODULES = {
    "Read it in TensorFlow": "tensorflow",
    ALONE: "tensorflow",
    "Read it in NumPy": "numpy",
    "Read it in PyTorch": "torch",
    "Read it in JAX, with Grain": "grain",
    "Read it with TFDS": "tensorflow_datasets",
}
AT_RANDOM = {"Read it in PyTorch", "Read it in JAX, with Grain", "Read it with TFDS"}
"""TFDS is no such reader, but does not read what is compressed either."""
MARKS = {"tensorflow": "tensorflow", "tensorflow_datasets": "tensorflow", "torch": "torch"}


def make(folder, *, folds=None, shards=None, **options):
    datasets.make(folder, shards, **options)
    if folds:
        datasets.edit_manifest(folder, lambda told: told["options"].update(plan={"folds": folds}))
    manifest, index = manifests.load(folder), datasets.read_index(folder)
    for name, content in tfds.files(manifest, index).items():
        (folder / name).write_bytes(content)
    (folder / "README.md").write_bytes(card(manifest, index, Card()))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with all datasets, and their cards' programs, one file a heading."""
    place = tmp_path_factory.mktemp("cards")
    for name, options in DATASETS.items():
        make(place / name, **options)
        for title, code in programs(place / name):
            assert snippets.FOLDER in code
            script = place / f"{name} - {title}.py"
            script.write_text(code.replace(snippets.FOLDER, str(place / name)), encoding="utf-8")
    return place


def programs(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    return re.findall(
        r"^## (Read it [^\n]*)\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )


RUN_ALL = """
import json, runpy, sys
for path in sys.argv[1:]:
    found = runpy.run_path(path, run_name="__main__")
    last = found.get("batch", found.get("example"))
    parts = last._asdict() if hasattr(last, "_asdict") else last
    shapes = {name: list(getattr(part, "shape", [])) for name, part in parts.items()}
    print("\\nSHAPES", json.dumps(shapes))
"""


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(title, marks=[getattr(pytest.mark, MARKS[module])] if module in MARKS else [])
        for title, module in MODULES.items()
    ],
)
def test_the_programs_of_all_cards_run(place, title):
    pytest.importorskip(MODULES[title])
    names = [name for name in DATASETS if (place / f"{name} - {title}.py").exists()]
    assert set(names) == set(DATASETS) - (COMPRESSED if title in AT_RANDOM else set())
    found = run([f"{name} - {title}.py" for name in names], place)
    assert len(found) == len(names)
    for name, shapes in zip(names, found, strict=True):
        if title == "Read it with TFDS":
            assert any("image" in key for key in shapes), name
        else:
            wanted = expected(name, title)
            assert {key: shapes[key] for key in wanted} == wanted, name


def expected(name, title):
    """The shapes of the first sample, or of the one batch, of the records to learn from."""
    options = DATASETS[name]
    masks, labels = options.get("masks", True), options.get("labelled", True)
    one_hot = name == "one-hot"
    if title in {ALONE, "Read it in NumPy"}:
        channels = [] if title != ALONE else [3 if one_hot else 1]
        # Of sample 0; without segrecord the folds are files like others, so that fold 0 is read.
        height = 10 if name == "folds" and title != ALONE else 8
        whole = {"image": [height, 7, 3], "mask": [height, 7, *channels], "label": []}
    else:
        batch, size = {"no-train": 3, "folds": 3, "equal": 1}.get(name, 7), [256, 256]
        if name == "equal":
            size = [8, 7]
        torch, last = "PyTorch" in title, [1] if title == "Read it in TensorFlow" else []
        image = [3, *size] if torch else [*size, 3]
        whole = {"image": [batch, *image], "mask": [batch, *size, *last], "label": [batch]}
    return {
        key: shape
        for key, shape in whole.items()
        if key == "image" or (masks if key == "mask" else labels)
    }


def run(scripts, folder):
    """The shapes of what each reads last; all in one process, since frameworks load slowly."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, *scripts],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in re.findall("^SHAPES (.*)$", done.stdout, re.MULTILINE)]


def test_a_compressed_dataset_says_what_cannot_read_it(place):
    for name in COMPRESSED:
        text = (place / name / "README.md").read_text(encoding="utf-8")
        assert "PyTorch and Grain read at random, which compressed shards do not allow." in text
        assert "There are no files for TFDS: TFDS cannot read compressed shards." in text


def test_images_of_one_size_are_not_resized(place):
    for name, resized in (("equal", False), ("deeplab", True)):
        text = (place / name / "README.md").read_text(encoding="utf-8")
        assert ("image_size=(256, 256)" in text) is resized
