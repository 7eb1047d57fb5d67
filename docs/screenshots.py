# ruff: noqa: INP001 - a script, no package
"""Make images/report.png and images/viewer.png anew: both pages of the demo set, in Chromium.

    python docs/screenshots.py [DEMO]

DEMO is the folder of a demo that is there (`make demo`); without it one is drawn.
"""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from segrecord import demo

IMAGES = Path(__file__).parent / "images"
SIZE = ViewportSize(width=1280, height=900)
"""In CSS pixels."""
COLOURS = 128
"""Of the PNG's palette: three times smaller, and no difference can be seen."""


def main() -> None:
    """Draw the demo where none is given, and photograph its pages."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(sys.argv[1]) if sys.argv[1:] else Path(folder) / "demo"
        if not sys.argv[1:]:
            demo.tour(made)
        marks = Path(folder) / "marks.csv"
        with browser() as page, viewer(made / "dataset", marks) as address:
            page.goto((made / "dataset" / "report.html").resolve().as_uri())
            picture(page, "report.png")
            page.goto(f"{address}#sort=coverage&order=desc")
            page.locator(".tile").nth(1).click()
            page.get_by_role("button", name="Good").click()
            page.get_by_text(re.compile("^Kept in")).wait_for()
            page.wait_for_load_state("networkidle")
            picture(page, "viewer.png")


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """A page of the system's Chromium, light."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened.new_page(viewport=SIZE, color_scheme="light")
        opened.close()


@contextlib.contextmanager
def viewer(dataset: Path, marks: Path) -> Iterator[str]:
    """The viewer's address, while it runs."""
    command = [sys.executable, "-m", "segrecord.cli", "view", str(dataset), "--marks", str(marks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        assert process.stdout is not None  # noqa: S101 - for the types: it is a pipe
        yield process.stdout.readline().split()[0]
        process.terminate()


def picture(page: Page, name: str) -> None:
    """What the window shows, as a small PNG."""
    path = IMAGES / name
    page.screenshot(path=path)
    with Image.open(path) as opened:
        small = opened.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
