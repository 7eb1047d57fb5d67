# ruff: noqa: INP001 - a script, no package
"""Make images/report.png and images/viewer.png anew: both pages of the demo set, in Chromium.

    python docs/screenshots.py [DEMO]

DEMO is the folder of a demo that is there (`make demo`); without it one is drawn.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from segrecord import demo

IMAGES = Path(__file__).parent / "images"
WIDTH = 1280
"""Of the window, in CSS pixels."""
COLOURS = 256
"""Of the PNG's palette: three times smaller, and hardly to be told from the whole."""


def main() -> None:
    """Draw the demo where none is given, and photograph its pages."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(sys.argv[1]) if sys.argv[1:] else Path(folder) / "demo"
        if not sys.argv[1:]:
            demo.tour(made)
        dataset = (made / "dataset").resolve()
        with browser() as page, viewer(dataset, folder) as address:
            page.goto((dataset / "report.html").as_uri())
            picture(page, "report.png", height=1360)
            page.goto(address)
            page.locator(".tile img").nth(59).wait_for()
            picture(page, "viewer.png", height=900)


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """A page of the system's Chromium, light."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened.new_page(color_scheme="light")
        opened.close()


@contextlib.contextmanager
def viewer(dataset: Path, folder: str) -> Iterator[str]:
    """The viewer's address, while it runs; marks go to this folder."""
    command = [sys.executable, "-m", "segrecord.cli", "view", str(dataset)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, text=True) as process:  # noqa: S603 - our own words
        assert process.stdout is not None  # noqa: S101 - for the types: it is a pipe
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def picture(page: Page, name: str, height: int) -> None:
    """What a window of this height, in CSS pixels, shows, as a small PNG."""
    path = IMAGES / name
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.screenshot(path=path)
    with Image.open(path) as opened:
        small = opened.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE)
    small.save(path, optimize=True)
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
