"""The README does what it says: its commands and programs are run on drawn data of its names."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands():
    return [line for block in blocks("sh") for line in block.splitlines()]


def segrecord(line, folder):
    """The output of a command line `segrecord ...`, and its exit code."""
    command = [sys.executable, "-m", "segrecord.cli", *shlex.split(line)[1:]]
    done = subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


# The data that the README speaks of.


def draw(image, number, size=(24, 32)):
    image.parent.mkdir(parents=True, exist_ok=True)
    # Clouds, other ones for every path: no picture is nearly another.
    seed = zlib.crc32(f"{image.parent.name}/{image.name} {number}".encode())
    clouds = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(clouds).resize(size[::-1], Image.Resampling.BICUBIC).save(image)


def draw_mask(mask, size=(24, 32), *, smooth=False):
    mask.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[: size[0], : size[1]]
    inside = size[0] / 3 - np.hypot(y - size[0] / 2, x - size[1] / 2)
    values = np.clip(inside * 90 + 128, 0, 255) if smooth else (inside > 0) * 255
    Image.fromarray(values.astype(np.uint8)).save(mask)


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def draw_lesions(folder):
    for number in range(12):
        draw(folder / f"lesions/images/ISIC_{number:07d}.jpg", number)
        if number != 5:
            draw_mask(folder / f"lesions/masks/ISIC_{number:07d}_segmentation.png")


def draw_xrays(folder):
    rows = [["image", "mask", "class", "patient"]]
    for number in range(6):
        draw(folder / f"xrays/{number}.png", number)
        draw_mask(folder / f"xrays/lung-{number}.png")
        kind = ("COVID", "Normal")[number % 2]
        rows.append([f"xrays/{number}.png", f"xrays/lung-{number}.png", kind, number // 2])
    write_table(folder / "xrays.csv", rows)


def draw_class_folders(folder):
    top = folder / "COVID-19_Radiography_Dataset"
    for name in ("COVID", "Normal"):
        for number in range(1, 4):
            draw(top / f"{name}/images/{name}-{number}.png", number, (299, 299))
            draw_mask(top / f"{name}/masks/{name}-{number}.png", (256, 256))


def draw_ham(folder):
    rows = [["lesion_id", "image_id", "dx", "age"]]
    for number in range(40):
        name = f"ISIC_{number:07d}"
        draw(folder / f"HAM10000/HAM10000_images_part_{1 + number % 2}/{name}.jpg", number)
        masks = folder / "HAM10000/HAM10000_segmentations_lesion_tschandl"
        draw_mask(masks / f"{name}_segmentation.png")
        rows.append([f"HAM_{number // 2:07d}", name, ("nv", "mel")[number // 2 % 2], 40 + number])
    write_table(folder / "HAM10000_metadata.csv", rows)


def draw_isic(folder):
    rows = [["image_id", "melanoma", "seborrheic_keratosis"]]
    for number in range(4):
        draw(folder / f"ISIC/ISIC_{number:07d}.jpg", number)
        draw_mask(folder / f"ISIC/ISIC_{number:07d}_segmentation.png")
        rows.append([f"ISIC_{number:07d}", float(number == 1), float(number == 2)])
    write_table(folder / "ISIC_GroundTruth.csv", rows)


def draw_smooth(folder):
    for number in range(6):
        draw(folder / f"smooth/images/{number}.png", number, (64, 64))
        draw_mask(folder / f"smooth/masks/{number}.png", (64, 64), smooth=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the README's data, in which all its segrecord commands have run."""
    folder = tmp_path_factory.mktemp("readme")
    for some in (draw_lesions, draw_xrays, draw_class_folders, draw_ham, draw_isic, draw_smooth):
        some(folder)
    (folder / "secret.key").write_bytes(bytes(range(32)))
    (folder / "marks.csv").write_text("key,mark,note\nimages/ISIC_0000003,wrong,blurred\n")
    return folder


@pytest.fixture(scope="module")
def ran(place):
    ours = [line for line in commands() if line.startswith("segrecord ")]
    return [(line, *segrecord(line, place)) for line in ours]


def test_every_segrecord_command_of_the_readme_works(ran):
    assert len(ran) > 8
    for line, code, output in ran:
        assert code == 0, f"{line}\n{output}"


def test_the_first_build_of_the_readme_has_what_the_examples_train_and_test_on(place, ran):
    line, code, output = ran[0]
    assert line.startswith("segrecord build lesions out/lesions ")
    assert code == 0, output
    splits = json.loads((place / "out/lesions/dataset.json").read_bytes())["splits"]
    assert {"train", "val", "test"} == set(splits)


def test_every_other_command_is_a_make_target_an_example_or_installs_this_checkout():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    others = [line for line in commands() if not line.startswith("segrecord ")]
    assert others
    for line in others:
        if line.startswith("make "):
            assert re.search(rf"^{line.removeprefix('make ')}:", makefile, re.MULTILINE), line
        elif line.startswith("python examples/"):  # run in short by tests/contract/test_examples.py
            _, script, *flags = shlex.split(line)
            known = (ROOT / script).read_text(encoding="utf-8")
            assert all(f'"{flag}"' in known for flag in flags if flag.startswith("--")), line
        else:
            assert line == "python -m pip install ."


def test_the_extras_that_the_readme_names_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {name for some in re.findall(r'"\.\[([\w,]+)\]"', README) for name in some.split(",")}
    assert len(named) > 4
    assert named <= set(project["optional-dependencies"])


def test_the_python_that_the_readme_asks_for_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Python {project['requires-python'].removeprefix('>=')} or newer" in README


def test_the_error_looks_as_the_readme_shows_it(tmp_path):
    draw_smooth(tmp_path)
    for block in blocks("console"):
        command, *shown = block.splitlines()
        code, output = segrecord(command.removeprefix("$ "), tmp_path)
        assert code == 1, output
        for line in shown:
            # "..." stands for figures that are of no interest; "... and 3 more" for itself.
            body = re.escape(line).replace(re.escape("..."), ".*")
            assert re.search(f"^{body}$", output, re.MULTILINE), f"{line}\nis not in\n{output}"


def test_the_folder_is_understood_as_the_readme_says(place):
    _, output = segrecord("segrecord scan lesions", place)
    assert "paired images/X with masks/X_segmentation.png" in output
    assert "paired images/X with masks/X_segmentation.png" in README


def run_python(source, folder):
    script = folder / "script.py"
    script.write_text(source, encoding="utf-8")
    command = [sys.executable, script.name]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# What the programs under each heading print.
PRINTED = {
    "In Python, with random access": [
        r"3\d \(24, 32, 3\) \(24, 32\) [01] HAM_\d+",
        r"\(4, 64, 64, 3\) \(4, 64, 64\) \[[01 ]+\]",
    ],
    "In PyTorch": [r"torch\.Size\(\[4, 3, 64, 64\]\) torch\.Size\(\[4, 64, 64\]\) tensor\(.*\)"],
    "In JAX, with Grain": [r"\(4, 64, 64, 3\) \(4, 64, 64\) \[[01 ]+\]"],
    "In TensorFlow": [r"\(4, 64, 64, 3\) \(4, 64, 64, 2\) .*", r"\(24, 32, 3\) \(24, 32, 1\) .*"],
    "Shards that others wrote": [r"HAM10000/.* \(24, 32, 3\)|HAM10000_images.* \(24, 32, 3\)"],
    "From Python": [r"12 \[.*"],
}


def programs():
    """The Python blocks by the heading above them, those of one heading as one program."""
    found = {}
    for part in re.split(r"^#+ ", README, flags=re.MULTILINE):
        inside = re.findall(r"^```python\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        if inside:
            found[part.partition("\n")[0]] = "\n".join(inside)
    return found


@pytest.mark.parametrize("heading", PRINTED)
def test_the_python_of_the_readme_works_at_a_scripts_top_level(place, ran, heading):
    assert all(code == 0 for _, code, _ in ran)
    lines = run_python(programs()[heading], place).splitlines()
    assert len(lines) == len(PRINTED[heading])
    for line, expected in zip(lines, PRINTED[heading], strict=True):
        assert re.fullmatch(expected, line), line


def test_no_python_of_the_readme_is_left_untested():
    assert set(programs()) == set(PRINTED)
