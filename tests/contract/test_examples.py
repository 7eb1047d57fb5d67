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


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Datasets on which no training can be scored, and what is said of each."""
    folder = tmp_path_factory.mktemp("refused")
    datasets.make(folder / "one", {"train": (6,)})
    datasets.make(folder / "bare", {"train": (6,), "test": (3,)}, masks=False)
    return {
        folder / "one": "has no split 'test', it has train; build it with --split train=0.8,val=0",
        folder / "bare": f"the split train of {folder / 'bare'} has no sample with a mask",
        folder / "nowhere": "nowhere does not exist",
    }


def assert_refused(script, dataset, rule, *options):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), str(dataset), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert rule in done.stderr.splitlines()[-1]


@pytest.mark.torch
@pytest.mark.slow
def test_the_unet_tells_before_the_training_what_the_dataset_lacks(refused, dataset, tmp_path):
    out = ("--out", str(tmp_path / "out"))
    for folder, rule in refused.items():
        assert_refused("pytorch_unet.py", folder, rule, *out)
    assert_refused("pytorch_unet.py", dataset, "no batch of 100", *out, "--batch-size", "100")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_deeplab_tells_before_the_training_what_the_dataset_lacks(refused, tmp_path):
    pytest.importorskip("keras_hub")
    for folder, rule in list(refused.items())[:2]:  # it draws one that does not exist
        assert_refused("deeplabv3plus.py", folder, rule, "--out", str(tmp_path / "out"))


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
