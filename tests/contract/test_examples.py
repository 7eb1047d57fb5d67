"""The examples in short: they train, score and draw; a killed training ends as one that was not."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import datasets

EXAMPLES = Path(__file__).parents[2] / "examples"

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set") / "d"
    return datasets.make(folder, {"train": (14, 13), "test": (5,)})


def unet(dataset, out):
    script = [sys.executable, str(EXAMPLES / "pytorch_unet.py"), str(dataset), "--out", str(out)]
    sizes = ["--image-size", "16", "--batch-size", "2", "--epochs", "3", "--save-every", "1"]
    return [*script, *sizes]


@pytest.mark.torch
@pytest.mark.slow
def test_a_killed_unet_ends_with_the_weights_of_one_that_ran_through(dataset, tmp_path):
    done = subprocess.run(unet(dataset, tmp_path / "whole"), capture_output=True, check=True)
    found = re.search(
        r"mean IoU on the test split: model (\S+), all background (\S+), Otsu's thr"
        r"eshold (\S+)\n",
        done.stdout.decode(),
    )
    assert all(0 <= float(score) <= 1 for score in found.groups())
    with Image.open(tmp_path / "whole/predictions.png") as drawn:
        assert drawn.size == (3 * 16, 3 * 16)  # two of the five have no mask

    cut = tmp_path / "cut"
    running = subprocess.Popen(unet(dataset, cut), stdout=subprocess.PIPE)
    while not (cut / "checkpoint.pt").exists() and running.poll() is None:
        time.sleep(0.002)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    assert b"epoch 3/3" not in running.communicate()[0]

    again = subprocess.run(unet(dataset, cut), capture_output=True, check=True)
    assert b"goes on from" in again.stdout
    whole, continued = (torch.load(tmp_path / name / "unet.pt") for name in ("whole", "cut"))
    assert whole.keys() == continued.keys()
    for name, weights in whole.items():
        assert torch.equal(weights, continued[name]), name
