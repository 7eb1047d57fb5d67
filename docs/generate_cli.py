# noqa: INP001 - a script, no package
"""Writes docs/cli.md from the commands themselves: `python docs/generate_cli.py` (`make docs`)."""

from __future__ import annotations

from pathlib import Path

import click

from segrecord.cli import cli
from segrecord.cli.flags import title_of
from segrecord.options import OPTIONS

HEAD = """\
# The command line

Written by docs/generate_cli.py; `make docs` writes it anew.

| exit code | what it says |
|---|---|
| 0 | done |
| 1 | errors in the data or the dataset, or the output cannot be written |
| 2 | wrong usage: an option, its value, or an argument |
| 130 | interrupted; the same command goes on where it stopped |

Results stand on standard output, errors on standard error. With `--json` standard output holds \
one JSON document and nothing else. On a terminal long work shows a bar, elsewhere a line a stage; \
`NO_COLOR=1` turns colours off. Every command has `--help`.

What the findings mean stands in [checks.md](checks.md), what a dataset is in \
[format.md](format.md).
"""


def page() -> str:
    """The whole page."""
    names = ["demo", "scan", "build", "verify", "stats", "show"]
    names += sorted(set(cli.commands) - set(names))
    return HEAD + "".join(_command(name, cli.commands[name]) for name in names)


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"segrecord {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    text = [f"\n## segrecord {name}\n\n    segrecord {name} {usage}\n\n{_prose(command)}\n"]
    groups: dict[str, list[click.Option]] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            groups.setdefault(title_of(parameter), []).append(parameter)
    for title, options in groups.items():
        text.append(
            f"\n### {name}: {title.lower()}\n\n| option | default | what |\n|---|---|---|\n"
        )
        text += [_row(option) for option in options]
    return "".join(text)


def _prose(command: click.Command) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _row(option: click.Option) -> str:
    text, _, _ = (option.help or "").partition(" [default: ")  # which has a column of its own
    cells = (f"`{option.opts[0]}{_value(option)}`", _default(option), text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + "|".join(map(str, option.type.choices))
    return f" {option.metavar}"


def _default(option: click.Option) -> str:
    known = OPTIONS.get(option.name or "")
    value = known.default if known is not None else option.to_info_dict()["default"]
    plain = isinstance(value, int | str) and not isinstance(value, bool)
    return f"`{value}`" if plain else ""


if __name__ == "__main__":
    (Path(__file__).parent / "cli.md").write_text(page(), encoding="utf-8")
