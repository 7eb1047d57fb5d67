# ruff: noqa: INP001 - a script, no package
"""Draw docs/images/report.png and viewer.png: the demo's report and viewer in a real browser.

python docs/screenshots.py [FOLDER OF THE DEMO, default: demo]

It needs Chromium and playwright; `make demo` makes the folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 860}


def report(page: Page, dataset: Path) -> None:
    """The top of the report."""
    page.goto((dataset / "report.html").resolve().as_uri())
    page.screenshot(path=IMAGES / "report.png")


def viewer(page: Page, dataset: Path) -> None:
    """The first page of the viewer."""
    command = [sys.executable, "-m", "segrecord.cli", "view", str(dataset)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own
        try:
            assert server.stdout is not None  # noqa: S101 - for the type checker
            page.goto(server.stdout.readline().split()[0])
            page.wait_for_load_state("networkidle")
            page.screenshot(path=IMAGES / "viewer.png")
        finally:
            server.terminate()


def main() -> None:
    """Draw both."""
    dataset = Path(sys.argv[1] if len(sys.argv) > 1 else "demo") / "dataset"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE)
        report(page, dataset)
        viewer(page, dataset)
        browser.close()
    for name in ("report.png", "viewer.png"):
        with Image.open(IMAGES / name) as shot:  # 256 colours: a third of the bytes
            shot.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(
                IMAGES / name, optimize=True
            )


if __name__ == "__main__":
    main()
