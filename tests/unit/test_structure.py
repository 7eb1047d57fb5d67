"""The structure of the code: figures stay within their limits, and the docs name real places."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "segrecord"


@pytest.fixture(scope="module")
def structure():
    spec = importlib.util.spec_from_file_location("structure", ROOT / "tools" / "structure.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figures_stay_within_their_limits(structure, capsys):
    assert structure.main() == 0, capsys.readouterr().out


def test_a_helper_that_is_used_once_is_counted_and_one_used_twice_is_not(structure):
    source = "def _a(): ...\ndef _b(): ...\ndef c(): return _a(), _b(), _b()\n"
    assert structure.helpers_used_once(ast.parse(source)) == ["_a"]


def test_modules_that_import_each_other_are_a_cycle(structure):
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert structure.cycles(graph) == [["a", "b", "c"]]
    assert structure.cycles({"a": {"b"}, "b": set()}) == []


def test_each_limit_can_be_broken(structure, tmp_path, monkeypatch, capsys):
    package = tmp_path / "segrecord"
    for room in ("one", "two"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text('"""A room."""\n')
        other = {"one": "two", "two": "one"}[room]
        (package / room / "same.py").write_text(
            f"from segrecord.{other} import same\n\ndef _once(): ...\n\n_once()\n"
        )
    monkeypatch.setattr(structure, "SOURCE", package)
    for name in ("MODULES", "LINES", "HELPERS"):
        monkeypatch.setattr(structure, name, 0)
    assert structure.main() == 1
    shown = capsys.readouterr().out
    assert shown.count("too many") == 5
    assert "segrecord.one.same <-> segrecord.two.same" in shown


def stops():
    """(file, name) of each stop of the walks in docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\d+\. `([\w/]+\.py)`: `([\w.]+)`", text, re.MULTILINE)


def test_there_are_two_walks_of_at_most_15_and_8_stops():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    numbers = [int(n) for n in re.findall(r"^(\d+)\. `[\w/]+\.py`: `", text, re.MULTILINE)]
    ends = [a for a, b in zip(numbers, [*numbers[1:], 1], strict=True) if b == 1]
    assert len(ends) == 2
    assert ends[0] <= 15
    assert ends[1] <= 8


@pytest.mark.parametrize(("file", "name"), stops())
def test_each_stop_of_the_walks_is_there(file, name):
    tree = ast.parse((SOURCE / file).read_text(encoding="utf-8"))
    for part in name.split("."):
        (tree,) = [
            node
            for node in ast.iter_child_nodes(tree)
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part
        ]
