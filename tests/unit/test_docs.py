"""The pages under docs/ say what the code does: every option, every link.

docs/checks.md is held against the catalogue of findings in test_codes.py.
"""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from segrecord.options import OPTIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]


# docs/cli.md is what docs/generate_cli.py makes of the commands.


def load_generator():
    spec = importlib.util.spec_from_file_location("generate_cli", DOCS / "generate_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_page_is_what_the_generator_writes():
    written = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert written == load_generator().page(), "run: make docs"


def test_every_option_stands_in_the_command_line_page_with_its_help():
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for option in OPTIONS.values():
        assert f"`--{option.flag}" in page
        assert option.help.replace("|", "\\|") in page


# Links, and nothing of the machine that the pages were written on.

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links {link}"


def project_files():
    """The files of the project: what git tracks, and what it would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or no checkout: the project's files cannot be told from others")
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_holds_a_path_or_name_of_this_machine():
    home = Path.home()
    personal = [f"{home}/"] if len(home.parts) > 1 else []
    words = [text.encode() for text in [*personal, f"{ROOT}", f"{ROOT.parent}/"]]
    files = project_files()
    assert Path(__file__) in files
    for path in files:
        data = path.read_bytes()
        for word in words:
            assert word not in data, f"{path.relative_to(ROOT)} holds {word.decode()}"
