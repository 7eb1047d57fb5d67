"""The catalogue of findings: what the code makes stands in it, and its levels can be changed."""

import ast
import functools
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

import findings_in_source
from segrecord.catalogue import CODES, SECTIONS
from segrecord.errors import UsageError
from segrecord.findings import Finding, releveled
from segrecord.options import CheckOptions

ROOT = Path(__file__).parents[2]


# The catalogue and the code.


@functools.cache
def made_in_source():
    """All findings that the sources show."""
    sources = {
        path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py"))
    }
    constants = {
        name: text
        for source in sources.values()
        for name, text in findings_in_source.constants_of(ast.parse(source)).items()
        if text in CODES
    }
    return {
        made
        for path, source in sources.items()
        for made in findings_in_source.findings_of(source, path.name, constants)
    }


def test_every_finding_of_the_code_stands_in_the_catalogue():
    made = made_in_source()
    assert len(made) > 100, "the collector has lost sight of the code"
    assert [one for one in made if one.code not in CODES] == []


def test_every_code_of_the_catalogue_is_given_somewhere():
    assert sorted(set(CODES) - {one.code for one in made_in_source()}) == []


def test_no_code_stands_twice_in_the_catalogue():
    assert sum(len(section.codes) for section in SECTIONS) == len(CODES)
    assert len({section.title for section in SECTIONS}) == len(SECTIONS)


def test_every_entry_of_the_catalogue_is_whole():
    for code, entry in CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code)
        texts = (entry.problem, entry.source, entry.fix)
        assert all(part.strip() == part != "" for part in texts)
        assert (entry.rule.strip() == entry.rule != "") == (entry.level != "info")
        assert entry.problem != entry.rule
        assert entry.ignorable or entry.level == "error"
        assert entry.training or entry.level != "error"


def test_the_page_is_what_the_generator_writes():
    written = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    path = ROOT / "docs" / "generate_checks.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert written == generator.page(), "run: make docs"


def test_the_page_has_a_row_of_six_cells_for_every_code():
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|$", page, re.MULTILINE)
    assert [code for code, _ in rows] == list(CODES)
    assert {len(re.split(r"(?<!\\)\|", cells)) for _, cells in rows} == {5}


def test_the_collector_sees_every_way_in_which_a_finding_is_made():
    source = """
NAMED = "k-kilo"
def _fail(code: str, message: str): raise PixelError(code, message, "fix")
def _tell(key: str, code: str): return Finding(code, key, "")
class Rows:
    def _add(self, code: str, key: str): self.found.append(Finding(code, key))
Finding("a-alpha", key, path, values={"size": 1})
Finding(code="b-bravo", key=key)
raise PixelError("c-charlie", "x", "y")
code = "d-delta" if x else "e-echo"
_fail(code, "x")
_fail("f-foxtrot", "x")
self._add("g-golf", key)
problem = {"code": "h-hotel", "values": ""}
Finding("i-india", values={})
_tell(key, "j-juliett")
Finding(NAMED, key, path)
Finding(ELSEWHERE, key, path)
TABLE = {"encode": ("m-mike", "x")}
code, what = TABLE[handling]
for code, number in (("n-november", 1), ("o-oscar", 2)):
    Finding(code, key, path)
code = ""
"""
    found = {
        made.code
        for made in findings_in_source.findings_of(source, "x.py", {"ELSEWHERE": "l-lima"})
    }
    letters = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike"
    assert found == {f"{word[0]}-{word}" for word in f"{letters} november oscar".split()}


def test_the_collector_refuses_a_code_that_it_cannot_read_off():
    with pytest.raises(AssertionError, match=r"x\.py:1"):
        findings_in_source.findings_of("Finding(pick(), key, path)", "x.py")


# ChannelStats.


def found(level, code, key="a"):
    return Finding(code, key, "a.png", values={"message": "message", "fix": "fix"}, level=level)


def test_an_ignored_code_is_an_info_and_one_asked_for_an_error_and_the_others_stay():
    findings = [
        found("error", "duplicate-label"),
        found("warning", "small-mask"),
        found("info", "re-encoded"),
        found("warning", "empty-mask"),
        found("error", "png-crc"),
    ]
    told = releveled(iter(findings), ["duplicate-label"], ("small-mask", "re-encoded"))
    assert [one.level for one in told] == ["info", "error", "error", "warning", "error"]
    assert [replace(one, level="info") for one in told] == [
        replace(one, level="info") for one in findings
    ]


def test_no_wish_changes_no_level():
    findings = [found(entry.level, code) for code, entry in CODES.items()]
    assert releveled(findings, (), ()) == findings


@pytest.mark.parametrize("code", [code for code, entry in CODES.items() if entry.ignorable])
def test_every_ignorable_code_may_be_ignored(code):
    assert CheckOptions(ignore=code).ignore == (code,)
    assert releveled([found(CODES[code].level, code)], (code,), ()) == [found("info", code)]


@pytest.mark.parametrize("code", [code for code, entry in CODES.items() if not entry.ignorable])
def test_what_leaves_nothing_sound_to_write_cannot_be_ignored(code):
    with pytest.raises(UsageError, match=f"^{code} cannot be ignored.*--on-error quarantine"):
        CheckOptions(ignore=code)
    assert CheckOptions(error=code).error == (code,)


def test_errors_that_may_be_ignored_are_judgements_about_data_that_can_be_written():
    """A list by hand: to add a code here is a decision about what may be written."""
    overruled = {entry.code for entry in CODES.values() if entry.level == "error"}
    assert {code for code in overruled if CODES[code].ignorable} == {
        *("duplicate-split", "duplicate-label", "duplicate-mask", "divided-group"),
        *("empty-split", "split-lacks-class", "metadata-duplicate-row", "metadata-conflict"),
        "mapping-contradicts",
    }


@pytest.mark.parametrize("wish", ["ignore", "error"])
def test_an_unknown_code_is_refused_with_the_nearest_one(wish):
    with pytest.raises(UsageError, match="'smal-mask'; did you mean small-mask"):
        CheckOptions(**{wish: "smal-mask"})
    with pytest.raises(UsageError, match=r"'xyzzy'; all codes stand in docs/checks\.md"):
        CheckOptions(**{wish: ("small-mask", "xyzzy")})


def test_a_code_cannot_be_both_ignored_and_an_error():
    with pytest.raises(UsageError, match="small-mask cannot be both ignored and an error"):
        CheckOptions(ignore=("small-mask", "no-group"), error="small-mask")
