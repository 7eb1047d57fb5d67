# noqa: INP001 - a script, no package
"""Writes docs/checks.md from the catalogue of findings: `python docs/generate_checks.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from segrecord import options
from segrecord.catalogue import SECTIONS, Code, Section

HEAD = """\
# Checks

Written by docs/generate_checks.py from src/segrecord/catalogue.py; `make docs` writes it anew.

A finding is one thing that a person should know about one file, sample or row, or about the set \
as a whole. Its level says what follows from it:

- **error**: the build stops before a shard is written and lists all errors; with `--on-error \
quarantine` the samples that have errors are left out instead, and `quarantine.csv` says which and \
why;
- **warning**: the build goes on; look at it before you train;
- **info**: what was done to the data, and is no reason to worry.

Only errors make `scan` and `build` end with exit code 1. The terminal shows the first few \
findings of each kind; `findings.csv` beside the dataset (and `segrecord scan --findings FILE`) \
holds all, with these columns: level, code, key, path, message, fix.

ChannelStats can be changed, and the manifest keeps how:

- `--ignore CODE` makes findings of that code infos: you have looked, and it is right as it is. It \
takes all warnings and infos, and of the errors those that are marked *can be ignored*: after the \
others there is nothing sound to write;
- `--error CODE` makes them errors: you want none of them in your set.

Both take several codes, separated by commas: `--ignore small-mask,class-ratio`.

In the tables below, *what happened* is what each finding of the code tells, and *rule* is what \
holds where there is none; an info breaks no rule. The threshold, or the rule itself, comes from a \
measurement, a standard, a publication, or the definition of the thing.
"""

COLUMNS = """\
| code | level | what happened | rule | source of the threshold | what to do |
|---|---|---|---|---|---|
"""

CHOICES = sorted(
    (
        value
        for named in vars(options).values()
        if get_origin(named) is Literal
        for value in get_args(named)
    ),
    key=len,
    reverse=True,
)
OPTION = re.compile(rf"--[a-z][a-z-]*(?: (?:(?:{'|'.join(CHOICES)})\b|[A-Z]\w*|[0-9][^ )]*))?")
"""An option, with its value where one stands behind it."""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(map(_section, SECTIONS))


def _section(section: Section) -> str:
    text = f"{_prose(section.text)}\n\n" if section.text else ""
    rows = "".join(map(_row, section.codes))
    return f"\n## {section.title}\n\n{text}{COLUMNS}{rows}"


def _row(code: Code) -> str:
    level = (
        f"{code.level}, can be ignored" if code.level == "error" and code.ignorable else code.level
    )
    cells = (
        f"`{code.code}`",
        level,
        *map(_prose, (code.problem, code.rule or "-", code.source, code.fix)),
    )
    return "| " + " | ".join(cells) + " |\n"


def _prose(text: str) -> str:
    """The text as Markdown: options as code, and nothing in it that would end a cell."""
    return OPTION.sub(r"`\g<0>`", text.replace("|", "\\|"))


if __name__ == "__main__":
    (Path(__file__).parent / "checks.md").write_text(page(), encoding="utf-8")
