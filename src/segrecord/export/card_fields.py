"""What a dataset's card can say that no file of the dataset shows: its name, licence, source ...

The user writes it in a TOML file: `--card card.toml`.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from segrecord.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Card:
    """The fields of a card file; "", () and None: not given."""

    name: str = ""
    """One line."""
    description: str = ""
    """Markdown, of any length."""
    licence: str = ""
    """SPDX identifier, or a text of one line, or a URL."""
    source: str = ""
    """URL of where the pictures come from."""
    citation: str = ""
    """How to cite the dataset; BibTeX or plain text, of any length."""
    authors: tuple[str, ...] = ()
    version: str = ""
    """MAJOR.MINOR.PATCH, if Croissant's tools are not to complain."""
    published: dt.date | None = None
    homepage: str = ""
    """URL."""
    tags: tuple[str, ...] = ()


LICENCES = {
    "ODC-By-1.0": "odc-by",
    "ODbL-1.0": "odbl",
    "PDDL-1.0": "pddl",
    **{
        name: name.lower()
        for name in (
            *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "MIT"),
            *("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0"),
            *("CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0"),
            *("CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0"),
            *("CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0"),
            *("CDLA-Sharing-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0"),
        )
    },
}
"""The Hub's names of licences for data, by SPDX identifier. Sources: the page "Licenses" of the
Hub's documentation, and the SPDX License List."""

_LISTS = ("authors", "tags")
_URLS = ("source", "homepage")
_LONG = ("description", "citation")
_URL = re.compile(r"https?://[!#-;=?-~]+")
"""Visible ASCII but for the quotes and angle brackets that would end it in the card."""
_NAMES = tuple(field.name for field in fields(Card))


def read_card(path: str | Path) -> Card:
    """The fields in a TOML file.

    Raises:
        UsageError: the file cannot be read, is no TOML, names a field that there is not, or gives
            one a value of the wrong kind.
    """
    try:
        content = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--card {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # decoding errors are ValueErrors too
        raise UsageError(f"--card {path} is no TOML in UTF-8: {error}; correct it") from None
    given: dict[str, Any] = {}
    for name, value in content.items():
        rule = _rule(name, value)
        if rule:
            raise UsageError(f"--card {path}: {rule}")
        given[name] = tuple(value) if name in _LISTS else value
    return Card(**given)


def _rule(name: str, value: Any) -> str:
    """The rule that the field breaks and how to write it, or ""."""
    if name not in _NAMES:
        near = difflib.get_close_matches(name, _NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_NAMES)}"
        return f"there is no field {name!r}; {hint}"
    if name == "published":
        fits = isinstance(value, dt.date) and not isinstance(value, dt.datetime)
        must, example = "a date", "2026-01-31"
    elif name in _LISTS:
        fits = isinstance(value, list) and value != [] and all(map(_is_line, value))
        must, example = "a list of texts of one line each", '["...", "..."]'
    elif name in _URLS:
        fits = isinstance(value, str) and _URL.fullmatch(value) is not None
        must = "a URL that begins with http:// or https://, in ASCII and without spaces"
        example = '"https://..."'
    elif name in _LONG:
        fits = isinstance(value, str) and value.strip() != ""
        must, example = "a text", '"""..."""'
    else:
        fits, must, example = _is_line(value), "a text of one line", '"..."'
    if fits:
        return ""
    return f"{name} must be {must}, got {value!r}; write {name} = {example}, or leave it out"


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()
