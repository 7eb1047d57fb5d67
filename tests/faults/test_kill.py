"""A build that is killed at any moment goes on, and ends byte for byte as if nothing had been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import segrecord
from make import files, png, put
from segrecord.errors import OutputError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc"),
]

SAMPLES, KILLS = 60, 20
OPTIONS = {"shards": 6, "split": "train=0.8,val=0.2"}
SCRIPT = f"import sys, segrecord; segrecord.build(*sys.argv[1:3], workers=2, **{OPTIONS!r})"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures large enough that reading and writing them is most of the run."""
    folder = tmp_path_factory.mktemp("kill") / "src"
    rows, columns = np.ogrid[:300, :300]
    for number in range(SAMPLES):
        plane = (rows * rows * (number + 3) + columns * 7 * number) % 253
        image = np.stack([plane, plane[::-1], plane.T], axis=2).astype(np.uint8)
        mask = np.where((rows - 150) ** 2 + (columns - 140) ** 2 < 90 * (number + 9), 255, 0)
        put(folder / f"{number % 3}" / "images" / f"{number}.png", png.encode(image))
        put(folder / f"{number % 3}" / "masks" / f"{number}.png", png.encode(mask.astype(np.uint8)))
    return folder


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The files of a build that nobody disturbed, and how long it took in seconds."""
    out = tmp_path_factory.mktemp("whole") / "out"
    began = time.perf_counter()
    run = start(root, out)
    said = run.communicate()[1].decode()
    assert run.returncode == 0, said
    return files(out), time.perf_counter() - began


def start(root, out):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root), str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def moments(seconds, seed):
    """When to kill, spread over the run with some chance in each."""
    chance = random.Random(seed)
    return [seconds * (number + chance.random()) / KILLS for number in range(KILLS)]


def test_a_build_killed_at_any_moment_and_run_again_is_as_if_undisturbed(
    root, whole, tmp_path, inline
):
    wanted, seconds = whole
    unfinished = 0
    for number, moment in enumerate(moments(seconds, 1)):
        out = tmp_path / f"out {number}"
        run = start(root, out)
        time.sleep(moment)
        run.kill()
        run.wait()
        run.stderr.close()
        if (out / "dataset.json").exists():
            visible = {n: d for n, d in files(out).items() if not n.startswith(".segrecord")}
            assert visible == wanted
            with pytest.raises(OutputError, match="holds a finished dataset"):
                segrecord.build(str(root), out, **OPTIONS)
        else:
            unfinished += 1
            segrecord.build(str(root), out, **OPTIONS)
        assert files(out) == wanted
    assert unfinished >= KILLS // 2


def test_a_build_killed_again_and_again_gets_through(root, whole, tmp_path, inline):
    """One output, killed ever later: every run goes on from what the last one left."""
    wanted, seconds = whole
    out = tmp_path / "out"
    for part in range(3, 8):
        if not (out / "dataset.json").exists():
            run = start(root, out)
            time.sleep(seconds * part / 10)
            run.kill()
            run.wait()
            run.stderr.close()
    if not (out / "dataset.json").exists():
        segrecord.build(str(root), out, **OPTIONS)
    assert {n: d for n, d in files(out).items() if not n.startswith(".segrecord")} == wanted


def test_a_worker_killed_at_any_moment_changes_nothing(root, whole, tmp_path):
    wanted, seconds = whole
    killed = 0
    for number, moment in enumerate(moments(seconds, 2)):
        out = tmp_path / f"out {number}"
        run = start(root, out)
        while not children(run.pid) and run.poll() is None:
            time.sleep(0.005)
        time.sleep(moment / 2)
        killed += kill_one(children(run.pid), number)
        said = run.communicate()[1].decode()
        assert run.returncode == 0, said
        assert files(out) == wanted
    assert killed >= KILLS // 4


def kill_one(workers, number):
    """Kill one of the workers; tells whether there was one to kill."""
    try:
        os.kill(workers[number % len(workers)], signal.SIGKILL)
    except (ProcessLookupError, ZeroDivisionError):
        return False
    return True


def children(pid):
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
