"""The DeepLabv3+ example, in a short version: it trains, saves, scores and draws."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import datasets

pytest.importorskip("keras_hub")
pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SCRIPT = Path(__file__).parents[2] / "examples" / "deeplabv3plus.py"
SHORT = ("--image-size", "32", "--batch-size", "4", "--limit-steps", "2", "--epochs", "2")


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments, *SHORT],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which a set of three mask classes was trained on, and what was printed."""
    folder = tmp_path_factory.mktemp("example")
    datasets.make(folder / "set", {"train": (6, 5), "test": (6,)})
    return folder, run(folder, "set", "--out", "runs/a")


def test_it_prints_a_line_an_epoch_and_the_scores_beside_the_baselines(trained):
    _, printed = trained
    assert printed.count("2/2 - ") == 2
    assert len(re.findall(r"loss: \d+\.\d+ - mean_io_u: 0\.\d+", printed)) == 2
    number = r"[01]\.\d{3}"
    scores = f"model {number}, all background {number}, Otsu's threshold {number}"
    assert re.search(f"mean IoU on the test split: {scores}", printed)


def test_its_picture_shows_image_truth_and_prediction(trained):
    folder, _ = trained
    pixels = np.asarray(Image.open(folder / "runs/a/predictions.png"))
    with_masks = sum(datasets.sample(number).mask is not None for number in range(11, 17))
    assert pixels.shape == (32 * with_masks, 3 * 32, 3)
    assert (pixels[:, 32:64] == 128).all(-1).any()  # the pixels to ignore
    assert len(np.unique(pixels[:, :32])) > 50


@pytest.mark.filterwarnings("ignore::UserWarning:keras.*")  # it loads no optimizer; none is needed
def test_its_model_loads_and_takes_stored_pixels(trained):
    import keras
    import keras_hub  # noqa: F401 - loading needs its classes

    folder, _ = trained
    model = keras.models.load_model(folder / "runs/a/deeplabv3plus.keras")
    logits = model.predict_on_batch(np.full((1, 32, 48, 3), 200, np.uint8))
    assert logits.shape == (1, 32, 48, 3)
    assert np.isfinite(logits).all()


def test_a_folder_that_does_not_exist_gets_the_demo_set_once(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import deeplabv3plus

    drawn = []

    def tour(folder):
        drawn.append(folder)
        datasets.make(folder / "dataset")
        return SimpleNamespace(built=SimpleNamespace(path=folder / "dataset"))

    monkeypatch.setattr(deeplabv3plus.segrecord.demo, "tour", tour)
    for _ in range(2):
        assert deeplabv3plus.found_or_drawn(tmp_path / "demo") == tmp_path / "demo" / "dataset"
    assert drawn == [tmp_path / "demo"]
    assert deeplabv3plus.found_or_drawn(tmp_path / "demo/dataset") == tmp_path / "demo/dataset"
