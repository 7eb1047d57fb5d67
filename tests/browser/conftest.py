"""A real headless Chromium, watched, and the datasets whose report and viewer it opens."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from PIL import Image

import segrecord
from segrecord import demo
from segrecord.demo import drawing
from segrecord.demo.tour import OPTIONS
from segrecord.executors import InlineEngine
from segrecord.pipeline import build_dataset, scan_source

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
REAL = {
    "covid": (
        DATA / "cxr-covid-csv" / "index.csv",
        {
            "mask_map": "0=background,127=ignore,255=lung",
            "group_column": "patientid",
            "label_column": "finding",
        },
    ),
    "busi": (DATA / "busi-class-folders", {"mask_choice": "union", "on_error": "quarantine"}),
}
"""Two of the small real sets, and the options that segrecord asks for."""


class Made(NamedTuple):
    """A dataset, and what it was made of."""

    path: Path
    source: Path
    options: dict


class Watch:
    """Opens pages, and notes what none may do: log, fail, or ask anything of another machine.

    Attributes:
        faults: what was noted; a test that lets a page misbehave on purpose empties it.
        requests: the addresses that were asked for, of whatever page.
    """

    def __init__(self, browser):
        self._browser = browser
        self._contexts = []
        self.faults, self.requests = [], []

    def open(self, url, *, allowed="", dark=False, width=1280, script=True):
        """A page in a context of its own: no storage, no cache of another.

        Args:
            url: to open.
            allowed: the origin that may be asked; "": the opened file alone.
            dark: what the system prefers.
            width: of the window, in CSS pixels.
            script: whether JavaScript runs.
        """
        context = self._browser.new_context(
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
            viewport={"width": width, "height": 900},
        )
        context.set_default_timeout(10_000)
        self._contexts.append(context)
        context.route("**/*", lambda route: self._judge(route, url, allowed))
        context.on("console", lambda said: self._note("console", f"{said.type}: {said.text}"))
        context.on("weberror", lambda fault: self._note("error", str(fault.error)))
        page = context.new_page()
        page.on("websocket", lambda socket: self._note("request", socket.url))
        page.goto(url)
        return page

    def close(self):
        for context in self._contexts:
            context.close()

    def _judge(self, route, url, allowed):
        asked = route.request.url
        self.requests.append(asked)
        own = asked.partition("#")[0] == url.partition("#")[0] or asked.startswith("data:")
        parts = urlsplit(asked)
        if own or (allowed and f"{parts.scheme}://{parts.netloc}" == allowed):
            route.continue_()
        else:
            self._note("request", asked)
            route.abort()

    def _note(self, kind, words):
        self.faults.append(f"{kind} {words}")


class Viewer:
    """`segrecord view` as a user starts it.

    Attributes:
        origin: http://127.0.0.1:PORT.
        address: as it was printed.
    """

    def __init__(self, dataset, marks, *more):
        command = [sys.executable, "-m", "segrecord.cli", "view", str(dataset)]
        self._process = subprocess.Popen(
            [*command, "--marks", str(marks), *map(str, more)], stdout=subprocess.PIPE, text=True
        )
        self.address = self._process.stdout.readline().split()[0]
        self.origin = self.address.rstrip("/")

    def end(self):
        """Ctrl-C; returns the exit status."""
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=10)
        finally:
            self._process.kill()
            self._process.stdout.close()


@pytest.fixture(scope="session")
def browser():
    """One browser a worker. In CI (or with SEGRECORD_BROWSER=required) it has to be there."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        required = os.environ.get("CI") or os.environ.get("SEGRECORD_BROWSER") == "required"
        (pytest.fail if required else pytest.skip)(f"there is no {', '.join(CHROMIUM)} here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Names are not looked up at all: even what Chromium itself might ask stays here. Its
        # sandbox needs rights that a container lacks; it opens our own pages alone.
        # One name leads to this machine, as an attacker's would after DNS rebinding.
        names = "MAP rebound.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        arguments = ["--no-sandbox", f"--host-resolver-rules={names}"]
        opened = playwright.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def watch(browser):
    """Opens pages, and fails the test on any message, error, or request that leaves the machine."""
    watching = Watch(browser)
    yield watching
    watching.close()
    assert watching.faults == []


@pytest.fixture(params=["demo", *(pytest.param(name, marks=pytest.mark.real) for name in REAL)])
def name(request):
    """Of the sets that issue 5 names: the demo, and two folders of real pictures."""
    return request.param


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A dataset by its name, built at most once a worker; do not change it."""
    built = {}

    def dataset(name):
        if name not in built:
            built[name] = build(name, tmp_path_factory.mktemp(name))
        return built[name]

    return dataset


def build(name, folder):
    """The demo, one of the real sets, or `spoilt`: damage, a duplicate and an empty mask."""
    with in_process():
        source, options = drawn(name, folder / "source") if name not in REAL else REAL[name]
        if not source.exists():
            pytest.skip("../shared/data is absent")
        made = segrecord.build(source, folder / "dataset", **options)
    return Made(made.path, source, options)


def drawn(name, folder):
    """The source of the demo or of the spoilt set, and the options of its build."""
    if name == "demo":
        demo.draw(folder, 72)
        return folder, {**OPTIONS, "metadata": str(folder / "metadata.csv")}
    demo.draw(folder, 16)
    images, masks = (sorted((folder / name).iterdir()) for name in ("images", "masks"))
    shutil.copy(images[0], images[0].with_name("TWICE.jpg"))
    images[5].write_bytes(images[5].read_bytes()[:2000])
    with Image.open(masks[2]) as opened:
        empty = Image.new("L", opened.size)
    empty.save(masks[2])
    return folder, {"on_error": "quarantine"}


@contextlib.contextmanager
def in_process():
    """Work is done in this process: starting workers takes longer than the work."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (drawing, scan_source, build_dataset):
            patch.setattr(module, "LocalEngine", lambda *_: InlineEngine())
        yield


@pytest.fixture(scope="session")
def viewers(dataset, tmp_path_factory):
    """The viewer of a dataset by its name, started at most once a worker; set no marks in it."""
    started = {}

    def viewer(name):
        if name not in started:
            started[name] = Viewer(
                dataset(name).path, tmp_path_factory.mktemp("marks") / "marks.csv"
            )
        return started[name]

    yield viewer
    for one in started.values():
        one.end()


@pytest.fixture
def view(request):
    """Starts `segrecord view` of a folder with a file of marks, and ends it after the test.

    The pages are closed first: a server that ends while a picture is loaded resets the connection,
    which would be taken for a fault of the page.
    """
    started = []

    def view(folder, marks, *more):
        started.append(Viewer(folder, marks, *more))
        return started[-1]

    yield view
    if "watch" in request.fixturenames:
        request.getfixturevalue("watch").close()
    for one in started:
        one.end()
