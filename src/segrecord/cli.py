"""The command line: parses and prints, nothing else.

Flags are made from the option objects, so that each option stands once (segrecord/options.py).
Exit codes: 0 done; 1 errors in the data or the output; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from segrecord.errors import DataError, OutputError, SegrecordError, UsageError
from segrecord.options import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from segrecord.pipeline import Scan

INTERRUPTED = 130


class _Command(click.Command):
    """A command that shows its options by stage."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            # The text above tells of the arguments.
            record = (
                parameter.get_help_record(ctx) if parameter.param_type_name == "option" else None
            )
            if record is not None:
                groups.setdefault(title_of(parameter), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


_GROUP_OF = {
    option.name: group for group, kind in GROUPS.items() for option in dataclasses.fields(kind)
}


def title_of(parameter: click.Parameter) -> str:
    """The stage that a flag belongs to, as a heading."""
    return _GROUP_OF.get(parameter.name or "", "options").capitalize()


def _flags(
    *groups: str, only: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The flags of these option groups, or of these options of theirs alone, as a decorator."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for group in reversed(groups):
            hints = get_type_hints(GROUPS[group])
            for option in reversed(dataclasses.fields(GROUPS[group])):
                if not only or option.name in only:
                    command = _flag(option, hints[option.name])(command)
        return command

    return decorate


def _flag(option: dataclasses.Field[Any], hint: Any) -> Any:
    """One flag. Values are passed on as text where the option object reads text itself."""
    name = f"--{option.name.replace('_', '-')}"
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    settings: dict[str, Any] = {"help": option.metadata["help"], "default": None}
    literal = hint if get_origin(hint) is Literal else kinds[0]
    if get_origin(literal) is Literal:
        settings["type"] = click.Choice(get_args(literal))
        if option.default is not None:
            settings["help"] += f" [default: {option.default}]"
    elif hint is bool:
        settings |= {"is_flag": True}
    else:
        settings["metavar"] = option.metadata["metavar"]
        if int in kinds and option.name != "shard_size":
            settings["type"] = int
    return click.option(name, option.name, **settings)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segrecord")
def cli() -> None:
    """Images, segmentation masks and class labels in, verified TFRecord shards out."""


@cli.command(cls=_Command)
@click.argument("directory", default="demo", type=click.Path(path_type=Path))
@click.option(
    "--count",
    default=600,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="images to draw",
)
def demo(directory: Path, count: int) -> None:
    """Draw a sample set of skin lesions, build it and verify it.

    All of it goes into DIRECTORY (default: demo): source/, dataset/ and example.png. A demo that
    is there already is made anew.
    """
    from segrecord.demo import tour  # noqa: PLC0415 - keeps --help light
    from segrecord.reporting import printed, told  # noqa: PLC0415 - as above

    console = _console()
    click.echo(f"drawing {count} images in {directory / 'source'}")
    monitor = told.ConsoleMonitor(console)
    try:
        made = tour(directory, count, monitor=monitor)
    finally:
        monitor.close()
    told.print_findings(console, made.built.findings)
    printed.print_report(console, made.report)
    told.print_manifest(console, made.built.manifest, str(made.built.path), made.built.seconds)
    click.echo(f"look: {made.picture} shows one image with its mask")
    if made.report.problems:
        sys.exit(1)


@cli.command(cls=_Command)
@click.argument("source")
@_flags("source", "pixels")
@_flags("checks", "run", only=("checks", "workers"))
@click.option(
    "--facts", "facts_file", metavar="FILE", help="keep what is found; unchanged files are reused"
)
@click.option("--findings", metavar="FILE", help="write all findings to this CSV")
@click.option(
    "--write-samples",
    metavar="FILE",
    help="write the pairs as an editable CSV, and class_mapping.json beside it",
)
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def scan(  # each parameter is a flag
    source: str,
    facts_file: str | None,
    findings: str | None,
    write_samples: str | None,
    as_json: bool,  # noqa: FBT001 - a flag
    **options: Any,
) -> None:
    """Read every file of SOURCE once and say what is wrong.

    SOURCE is a folder, a CSV, TSV, Parquet, Arrow or XLSX file, or module:function. Nothing is
    written but the files that --facts, --findings and --write-samples name.
    """
    from segrecord import pipeline  # noqa: PLC0415 - keeps --help light
    from segrecord.building import sidecars  # noqa: PLC0415 - as above
    from segrecord.reporting import told  # noqa: PLC0415 - as above

    console = _console()
    monitor = told.ConsoleMonitor(console, quiet=as_json)
    try:
        result = pipeline.scan(source, facts_file=facts_file, monitor=monitor, **_given(options))
    finally:
        monitor.close()
    if findings is not None:
        Path(findings).write_bytes(sidecars.findings_csv(result.findings))
    written = _write_samples(result, write_samples) if write_samples is not None else ""
    if as_json:
        document = told.scan_json(len(result.samples), result.understood, result.findings)
        click.echo(json.dumps(document, indent=2))
    else:
        told.print_findings(console, result.findings)
        told.print_scan(console, len(result.samples), result.findings, written or source)
    if result.errors:
        sys.exit(1)


def _write_samples(result: Scan, path: str) -> str:
    """Write the pairs and the class mapping; returns what `build` takes them back with."""
    from segrecord.building import sidecars  # noqa: PLC0415 - keeps --help light
    from segrecord.sources.listing import write_listing  # noqa: PLC0415 - as above

    write_listing(result.samples, path)
    if not result.classes:
        return path
    mapping = Path(path).parent / sidecars.MAPPING_FILE
    content = sidecars.mapping_json(result.classes)
    if mapping.exists() and mapping.read_bytes() != content:
        raise OutputError(
            f"{mapping} holds another mapping and is left as it is; pass --classes {mapping}, or "
            "move it away"
        )
    mapping.write_bytes(content)
    return f"{path} --classes {mapping}"


@cli.command(cls=_Command)
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path))
@_flags(*GROUPS)
def build(source: str, out: Path, **options: Any) -> None:
    """Make a dataset of SOURCE in the folder OUT.

    SOURCE is a folder, a CSV, TSV, Parquet, Arrow or XLSX file, or module:function. All files are
    scanned and checked before a shard is written, and every shard is read back before the dataset
    is there. Interrupted, the same command goes on where it stopped.
    """
    from segrecord import pipeline  # noqa: PLC0415 - keeps --help light
    from segrecord.reporting import told  # noqa: PLC0415 - as above

    console = _console()
    monitor = told.ConsoleMonitor(console)
    try:
        built = pipeline.build(source, out, monitor=monitor, **_given(options))
    except DataError as error:
        monitor.close()
        _print_data_error(error)
        if options["on_error"] != "quarantine":
            click.echo(told.way_out(error.findings, monitor.samples), err=True, nl=False)
        sys.exit(1)
    finally:
        monitor.close()
    told.print_findings(console, built.findings)
    if built.reused_shards:
        click.echo(f"{built.reused_shards} shards were finished by an earlier run")
    told.print_manifest(console, built.manifest, str(built.path), built.seconds)


@cli.command(cls=_Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--source", metavar="SOURCE", help="compare every pixel and label with this source")
@click.option("--metadata", metavar="FILE", help="the build's --metadata, if it is not beside it")
@click.option("--root", metavar="DIR", help="the build's --root")
@click.option("--workers", type=int, metavar="N", help="worker processes (default: one a core)")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def verify(dataset: Path, as_json: bool, **options: Any) -> None:  # noqa: FBT001 - a flag
    """Re-read every record of DATASET, and compare it with its source.

    Framing, CRCs, fields, pixels and mask ids of every record, counts and SHA-256 of every shard.
    With --source every pixel and label is compared with the originals.
    """
    from segrecord import pipeline  # noqa: PLC0415 - keeps --help light
    from segrecord.reporting import printed, told  # noqa: PLC0415 - as above

    monitor = told.ConsoleMonitor(_console(), quiet=as_json)
    try:
        report = pipeline.verify(dataset, monitor=monitor, **options)
    finally:
        monitor.close()
    if as_json:
        click.echo(json.dumps(told.report_json(report), indent=2))
    else:
        printed.print_report(_console(), report)
    if report.problems:
        sys.exit(1)


@cli.command(cls=_Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def stats(dataset: Path, as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Count the classes, sizes and mask pixels of DATASET.

    By split and shard, with a plain statement whether the shuffle mixed the classes well.
    """
    from segrecord.reading import stats as counting  # noqa: PLC0415 - keeps --help light
    from segrecord.reporting import printed  # noqa: PLC0415 - as above

    counted = counting.stats(dataset)
    if as_json:
        click.echo(json.dumps(counting.to_json(counted), indent=2))
    else:
        printed.print_stats(_console(), counted)


@cli.command(cls=_Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("record")
@click.option(
    "--output", metavar="FILE", help="where to write the picture (default: KEY.overlay.png)"
)
def show(dataset: Path, record: str, output: str | None) -> None:
    """Show one RECORD of DATASET: its features and a picture.

    RECORD is a key, or a number from 0 in the order of the index. The picture shows the image,
    and beside it the image with its mask.
    """
    from segrecord.reading.lookup import read_record  # noqa: PLC0415 - keeps --help light
    from segrecord.records import manifest  # noqa: PLC0415 - as above
    from segrecord.reporting import picture, printed  # noqa: PLC0415 - as above

    found = read_record(dataset, record)
    path = Path(output or f"{found.key.rpartition('/')[2]}.overlay.png")
    sheet = picture.of_record(found, manifest.load(dataset))
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
    printed.print_record(_console(), found)
    click.echo(f"picture: {path}")


@cli.command(cls=_Command)
@click.argument("shards", nargs=-1, required=True)
@click.option("--out", metavar="DIR", help="where to write them (default: idx beside the shards)")
def index(shards: tuple[str, ...], out: str | None) -> None:
    """Write where each record of SHARDS begins, for other readers.

    SHARDS are TFRecord files, whoever wrote them, folders of such files, or one dataset. For each
    shard NAME there is a text file NAME.idx, as NVIDIA DALI and the package tfrecord want it: its
    lines are a record's offset and size in bytes.
    """
    from segrecord.reading.foreign import write_offsets  # noqa: PLC0415 - keeps --help light

    written = write_offsets(shards[0] if len(shards) == 1 else shards, out)
    folders = ", ".join(sorted({str(path.parent) for path in written}))
    click.echo(f"offsets of {len(written)} shard{'s' * (len(written) != 1)}: {folders}")


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - keeps --help light

    return Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; every expected error ends in one or two lines on stderr."""
    try:
        cli(standalone_mode=False, prog_name="segrecord")
    except click.ClickException as error:
        _print_usage_error(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to go on", err=True)
        sys.exit(INTERRUPTED)
    except DataError as error:
        _print_data_error(error)
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
    text = error.format_message()
    context: click.Context | None = getattr(error, "ctx", None)
    if text.startswith("Usage:") or context is None:  # no arguments at all: the help itself
        click.echo(text, err=True)
        return
    click.echo(f"error: {text[:1].lower()}{text[1:]}", err=True)
    click.echo(f"{context.command_path} --help lists what there is", err=True)


def _print_data_error(error: DataError) -> None:
    from rich.console import Console  # noqa: PLC0415 - keeps --help light

    from segrecord.reporting import told  # noqa: PLC0415 - as above

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    told.print_findings(console, error.findings)
    click.echo(f"error: {error}", err=True)


if __name__ == "__main__":
    main()
