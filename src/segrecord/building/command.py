"""The command that builds a dataset again, put together from what its manifest tells.

A dataset tells no place: words in capitals (SOURCE, KEYFILE ...) stand for what the reader knows.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from segrecord import codes
from segrecord.errors import Level, UsageError
from segrecord.options import GROUPS, Options
from segrecord.records.manifest import Manifest

_ONE_EACH = frozenset(["metadata"])
"""Options whose flag is given once for each value."""

_Flags = dict[str, Any]
"""Options by name, with values as JSON holds them."""


def level_of(code: str, manifest: Manifest) -> Level:
    """The level that findings of this code have in the dataset."""
    checks = manifest.options.get("checks", {})
    if code in checks.get("ignore", ()):
        return "info"
    return "error" if code in checks.get("error", ()) else codes.CODES[code].level


def build_command(manifest: Manifest, *, card: bool = False) -> tuple[str, str]:
    """The language, sh or python, and the code that builds the dataset again.

    It is Python where a value fits no flag: a comma in the name of a column, say.

    Args:
        manifest: of the dataset.
        card: whether the user gave fields of its card.
    """
    known, untold = flags(manifest), _untold(manifest, card=card)
    given = known | untold
    if _readable({name: value for name, value in known.items() if name not in untold}):
        words = [
            f"--{name.replace('_', '-')}{_value(one)}"
            for name, value in given.items()
            for one in (value if name in _ONE_EACH and isinstance(value, list) else [value])
        ]
        return "sh", " ".join(["segrecord build SOURCE OUT", *words]) + "\n"
    lines = [f"    {name}={value!r},\n" for name, value in given.items()]
    return "python", "".join(
        ["import segrecord\n\nsegrecord.build(\n", '    "SOURCE",\n    "OUT",\n', *lines, ")\n"]
    )


def flags(manifest: Manifest) -> _Flags:
    """The options that are not as they are by default."""
    usual = Options.of(schema=manifest.schema_name)  # on which --missing-mask hangs
    found = {
        name: value
        for group, told in _plain(manifest.options).items()
        for name, value in told.items()
        if value != _plain(getattr(getattr(usual, group), name))
    }
    default = manifest.schema_name == Options().records.schema
    return found if default else found | {"schema": manifest.schema_name}


def _untold(manifest: Manifest, *, card: bool) -> _Flags:
    """The options that say where things lie; the dataset shows that they were given."""
    found: _Flags = {}
    ids = {name: number for number, name in enumerate(sorted(manifest.classes))}
    tables = manifest.options.get("source", {}).get("metadata")
    if tables == "":
        found["metadata"] = "TABLE"
    elif isinstance(tables, list) and "" in tables:
        found["metadata"] = [f"TABLE{number}" for number, _ in enumerate(tables, 1)]
    if manifest.classes != ids:
        found["classes"] = "class_mapping.json"  # it stands in the dataset
    if manifest.extends:
        found["extend"] = "EARLIER_DATASET"
    if "excluded" in manifest.findings:
        found["exclude"] = "MARKS.csv"
    if manifest.pseudonymized:
        found["pseudonymize"] = "KEYFILE"
    if any(level_of(code, manifest) == "error" for code in manifest.findings):
        found["on_error"] = "quarantine"  # else there would be no dataset
    if card:
        found["card"] = "CARD.toml"
    return found


def _plain(value: Any) -> Any:
    """As JSON holds it: a manifest that was just made has tuples."""
    return json.loads(json.dumps(value))


def _readable(known: _Flags) -> bool:
    """Whether the flags say these options and nothing else."""
    texts = {
        name: _text(value) if isinstance(value, list) and name not in _ONE_EACH else value
        for name, value in known.items()
    }
    try:
        read = Options.of(**texts)
    except UsageError:
        return False
    groups = (vars(getattr(read, group)) for group in GROUPS)
    again = _plain({name: value for group in groups for name, value in group.items()})
    return all(again[name] in (value, [value]) for name, value in known.items())


def _value(value: Any) -> str:
    return "" if value is True else f" {shlex.quote(_text(value))}"


def _text(value: Any) -> str:
    """A value as its flag takes it."""
    if not isinstance(value, list):
        return str(value)
    if all(isinstance(item, list) for item in value):
        return ",".join(f"{left}={right}" for left, right in value)
    return ("x" if all(isinstance(item, int) for item in value) else ",").join(map(str, value))
