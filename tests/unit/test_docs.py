"""The pages under docs/ say what the code does: every option, every finding, every link."""

import ast
import dataclasses
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from segrecord.options import GROUPS

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
    options = [option for group in GROUPS.values() for option in dataclasses.fields(group)]
    assert options
    for option in options:
        assert f"`--{option.name.replace('_', '-')}" in page
        assert option.metadata["help"].replace("|", "\\|") in page


# docs/findings.md lists the codes that the code can give.

CODE_AT = {"Finding": 1, "PixelError": 0, "Problem": 2, "_fail": 0, "_unsound": 0, "self._add": 0}
"""Where in the arguments of these calls the code stands."""
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*")


def texts(node):
    """The string constants that an expression can come out as."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return set()


def handed_on(node):
    """A code that was given elsewhere: a variable of that name, or another finding's."""
    return isinstance(node, ast.Name | ast.Attribute) and "code" in ast.unparse(node)


def code_of_call(call):
    name = ast.unparse(call.func)
    if name not in CODE_AT:
        return None
    named = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    given = named or call.args[CODE_AT[name] : CODE_AT[name] + 1]
    return given[0] if given else None


def codes_of(source, name):
    """The codes in one module; a call whose code cannot be read off fails the test."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (given := code_of_call(node)) is not None:
            assert texts(given) or handed_on(given), f"{name}:{node.lineno}: which code is this?"
            found |= texts(given)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {getattr(target, "id", "") for target in targets}
            if "code" in names:
                found |= texts(node.value)
            if "_HANDLING" in names:
                found |= {pair.elts[0].value for pair in node.value.values}
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found |= {
                text
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value == "code"
                for text in texts(value)
            }
    return {code for code in found if CODE.fullmatch(code)}


def codes_in_source():
    return {
        code
        for path in sorted((ROOT / "src").rglob("*.py"))
        for code in codes_of(path.read_text(encoding="utf-8"), path.name)
    }


def codes_in_page():
    page = (DOCS / "findings.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)


def test_the_collector_sees_every_way_in_which_a_code_is_given():
    source = """
Finding("error", "a-one", key, path, message, fix)
Finding(level="error", code="b-two", key=key)
raise PixelError("c-three", "x", "y")
code = "d-four" if x else "e-five"
_fail(code, "x")
self._add("f-six", key)
problem = {"level": "error", "code": "g-seven"}
_HANDLING = {"encode": ("h-eight", "x")}
Problem(key, path, "i-nine", "x", "y")
"""
    wanted = ["a-one", "b-two", "c-three", "d-four", "e-five", "f-six", "g-seven", "h-eight"]
    assert codes_of(source, "x.py") == {*wanted, "i-nine"}
    with pytest.raises(AssertionError, match=r"x\.py:1"):
        codes_of("Finding('error', pick(), key, path, message, fix)", "x.py")


def test_every_finding_of_the_code_is_listed_and_every_listed_one_exists():
    listed, given = codes_in_page(), codes_in_source()
    assert len(given) > 50, "the collector has lost sight of the code"
    assert sorted(given - set(listed)) == [], "missing in docs/findings.md"
    assert sorted(set(listed) - given) == [], "docs/findings.md lists what no code gives"


def test_no_finding_is_listed_twice():
    listed = codes_in_page()
    assert len(listed) == len(set(listed))


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
