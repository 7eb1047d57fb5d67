"""What is printed where something went wrong: one or two lines, and never a traceback."""

from __future__ import annotations

import tempfile
import traceback
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from segrecord.errors import DataError


def console() -> Console:
    """Where results are printed."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help light

    return Console(highlight=False, soft_wrap=True)


def print_fault(error: Exception) -> None:
    """Say that segrecord itself is at fault, and where the traceback lies."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="segrecord-fault-", suffix=".txt", encoding="utf-8", delete=False
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    text = " ".join(str(error).split())[:200]
    click.echo(f"error: a fault in segrecord itself: {type(error).__name__}: {text}", err=True)
    click.echo(f"please report it with {file.name}; what is finished is kept", err=True)


def print_usage_error(error: click.ClickException) -> None:
    """What click has against the words of the command line."""
    text = error.format_message()
    context: click.Context | None = getattr(error, "ctx", None)
    if text.startswith("Usage:") or context is None:  # no arguments at all: the help itself
        click.echo(text, err=True)
        return
    click.echo(f"error: {text[:1].lower()}{text[1:]}", err=True)
    click.echo(f"{context.command_path} --help lists what there is", err=True)


def print_data_error(error: DataError) -> None:
    """The findings, and what stopped the run."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help light

    from segrecord.reporting import told  # noqa: PLC0415 - as above

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    told.print_findings(console, error.findings)
    click.echo(f"error: {error.summary}", err=True)
