"""The public surface: its names, what importing it costs, and who may import whom."""

import importlib
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import segrecord

ROOT = Path(__file__).parents[2]
HEAVY = {"numpy", "pyarrow", "tensorflow", "torch", "matplotlib", "PIL", "pandas", "pydantic"}


def test_the_public_names_are_sorted_and_there_once():
    assert segrecord.__all__ == sorted(set(segrecord.__all__))
    assert dir(segrecord) == segrecord.__all__


@pytest.mark.parametrize("name", segrecord.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name):
    found = getattr(segrecord, name)
    assert found.__name__ == name
    assert found.__doc__
    assert found.__module__.startswith("segrecord.")


@pytest.mark.parametrize("verb", ["build", "open", "scan", "stats", "verify"])
def test_what_a_public_verb_takes_and_returns_is_public(verb):
    hints = typing.get_type_hints(getattr(segrecord, verb))
    named = [kind for hint in hints.values() for kind in (hint, *typing.get_args(hint))]
    ours = {kind.__name__ for kind in named if getattr(kind, "__module__", "")[:9] == "segrecord"}
    assert ours
    assert ours <= set(segrecord.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = segrecord.nonsense


def test_every_error_is_below_the_one_at_the_top():
    errors = [getattr(segrecord, name) for name in segrecord.__all__ if name.endswith("Error")]
    assert len(errors) > 5
    assert all(issubclass(error, segrecord.SegrecordError) for error in errors)


def loaded(program):
    """The top-level modules that are loaded once the program has run."""
    program += (
        "\nimport sys; sys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "program",
    [
        "import segrecord",
        "import segrecord.options, segrecord.errors",
        "from segrecord.cli import cli; cli(['--help'], standalone_mode=False)",
        "from segrecord.cli import cli; cli(['build', '--help'], standalone_mode=False)",
    ],
)
def test_importing_it_and_its_help_load_nothing_heavy(program):
    modules = loaded(program)
    assert "segrecord" in modules
    assert modules & HEAVY == set()


def test_the_tensorflow_module_loads_no_tensorflow_until_it_is_used():
    assert "tensorflow" not in loaded("import segrecord.tensorflow")


WORKERS = [
    "scanning.worker",
    "write.shard_writer",
    "verification.shard_check",
    "verification.source_compare",
    "_worker",
]


@pytest.mark.parametrize("module", WORKERS)
def test_what_workers_load_is_without_arrow_and_frameworks(module):
    modules = loaded(f"import segrecord.{module}")
    assert modules & {"pyarrow", "tensorflow", "pandas", "rich", "click"} == set()


def test_every_module_says_what_it_is_for():
    package = Path(segrecord.__file__).parent
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name != "segrecord.__main__":
            assert importlib.import_module(name).__doc__, name


def test_rooms_import_only_from_rooms_below_them():
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
