"""The command line: parses and prints, nothing else.

Exit codes: 0 done; 1 errors in the data or the output; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys

import click

from segrecord.cli.commands import cli
from segrecord.cli.failing import print_data_error, print_fault, print_usage_error
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
        print_usage_error(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to go on", err=True)
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
        print_fault(error)
        sys.exit(1)
