"""The command line: parses and prints, nothing else.

Exit codes: 0 done; 1 errors in the data or the output; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback

import click

from segrecord.cli.commands import cli, print_data_error
from segrecord.errors import DataError, SegrecordError, UsageError

__all__ = ["cli", "main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line; every expected error ends in one or two lines on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that its encoding lacks are escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        cli(standalone_mode=False, prog_name="segrecord")
    except click.ClickException as error:
        _print_usage_error(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to continue", err=True)
        sys.exit(INTERRUPTED)
    except DataError as error:
        print_data_error(error)
        sys.exit(1)
    except SegrecordError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = error.filename or "a file"
        click.echo(f"error: {where} cannot be read or written: {error.strerror or error}", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        _print_fault(error)
        sys.exit(1)


def _print_fault(error: Exception) -> None:
    """Say that segrecord itself is at fault, and where the traceback lies."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="segrecord-fault-", suffix=".txt", encoding="utf-8", delete=False
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    text = " ".join(str(error).split())[:200]
    click.echo(f"error: a fault in segrecord itself: {type(error).__name__}: {text}", err=True)
    click.echo(f"please report it with {file.name}; what is finished is kept", err=True)


def _print_usage_error(error: click.ClickException) -> None:
    """What click has against the words of the command line."""
    text = error.format_message()
    context: click.Context | None = getattr(error, "ctx", None)
    if text.startswith("Usage:") or context is None:  # no arguments at all: the help itself
        click.echo(text, err=True)
        return
    click.echo(f"error: {text[:1].lower()}{text[1:]}", err=True)
    click.echo(f"see {context.command_path} --help", err=True)
