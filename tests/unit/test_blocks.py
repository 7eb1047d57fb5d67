"""Pictures in the terminal: half blocks in the colours of the pixels, where these can be shown."""

import io
import re
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tests import datasets
from tests.terminal import Terminal, output_on_terminal, set_environment

from segrecord.console import results
from segrecord.images.overlay import PALETTE, Entry, Sides, sides

CELL = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀\x1b\[0m")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


def drawn(seen, width=80):
    """Lines as text, and the pixels of the lines that hold some."""
    file = Terminal()
    results.draw(Console(file=file, width=width, force_terminal=True, soft_wrap=True), seen)
    rows = []
    for line in file.getvalue().splitlines():
        cells = np.array([list(map(int, cell)) for cell in CELL.findall(line)], np.uint8)
        if cells.size:
            rows += [cells[:, :3], cells[:, 3:]]
    return ESCAPE.sub("", file.getvalue()).splitlines(), rows


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_character_is_two_pixels_the_image_left_and_the_painted_one_right():
    image = Image.fromarray(picture(48, 39))
    painted = Image.fromarray(255 - np.asarray(image))
    lines, rows = drawn(Sides(image, painted, []))
    assert len(lines) == 24
    assert lines[0] == "▀" * 39 + "  " + "▀" * 39
    pixels = np.stack(rows)
    assert np.array_equal(pixels[:, :39], np.asarray(image))
    assert np.array_equal(pixels[:, 39:], np.asarray(painted))


@pytest.mark.parametrize("width", [20, 80, 200])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1024, 768), (768, 1024), (1, 1024), (1024, 1)])
def test_pictures_of_any_shape_fit_the_width_and_24_lines(size, width):
    side = Image.fromarray(picture(*size))
    lines, rows = drawn(Sides(side, side, []), width)
    assert 1 <= len(lines) <= results.LINES
    assert max(map(len, lines)) <= width
    columns = len(rows[0]) // 2
    # A pixel is about square: the shape stays, within the rounding of a line and a column.
    scale = min((min(width, 100) - 2) // 2 / size[1], 48 / size[0])
    assert abs(columns - size[1] * scale) <= 1
    assert abs(len(rows) - size[0] * scale) <= 2


def test_the_mask_is_seen_in_its_colour_and_named_below_it():
    image = np.full((300, 300), 128, np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    mask[100:200, 100:200] = 1
    lines, rows = drawn(sides(image, mask, ("background", "lesion")))
    pixels = np.stack(rows)
    middle = len(rows) // 2, pixels.shape[1] * 3 // 4
    expected = 0.6 * 128 + 0.4 * np.array(PALETTE[0])
    assert np.abs(pixels[middle] - expected).max() <= 2
    assert (pixels[:, : pixels.shape[1] // 2] == 128).all()
    assert lines[-1] == " " * (pixels.shape[1] // 2 + 2) + "▀▀ lesion  11.1 %"


def test_a_long_or_wide_legend_ends_within_the_terminal_and_no_mask_has_no_colour():
    side = Image.fromarray(picture(10, 10))
    lines, _ = drawn(Sides(side, side, [Entry(1, "n" * 70), Entry(0, "no mask")]))
    assert len(lines[-2]) == 80
    assert lines[-1].strip() == "no mask"


class Latin(Terminal):
    encoding = "latin-1"


@pytest.mark.parametrize(
    ("file", "variables", "can"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"COLORTERM": ""}, True),  # 256 colours
        (Terminal(), {"TERM": "xterm", "COLORTERM": ""}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Latin(), {}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_pictures_are_for_terminals_with_colours_and_unicode(monkeypatch, file, variables, can):
    set_environment(monkeypatch, **variables)
    assert results.can_draw(Console(file=file)) is can


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize(
    ("variables", "blocky"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"PYTHONIOENCODING": "ascii"}, False)],
)
def test_show_draws_on_a_terminal_that_can_and_writes_the_picture_on_each(
    tmp_path, variables, blocky
):
    datasets.make(tmp_path / "set")
    text = output_on_terminal(["show", "set", "5"], tmp_path, **variables)
    assert bool(CELL.search(text)) is blocky
    assert "image/class/text" in text
    assert max(len(line) for line in ESCAPE.sub("", text).split("\r\n")) <= 80
    assert text.endswith("picture: 005.overlay.png\r\n")
    with Image.open(tmp_path / "005.overlay.png") as written:
        assert written.format == "PNG"
