"""The verbs: each parses, calls the library, and prints."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrecord.cli.flags import Command, flags, given, source_flags
from segrecord.errors import DataError, OutputError
from segrecord.options import MAPPING_FILE, OPTIONS
from segrecord.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from segrecord.pipeline import Scan


def console(*, stderr: bool = False) -> Console:
    """Where results are printed."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help light

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_data_error(error: DataError) -> None:
    """The findings, and what stopped the run."""
    from segrecord.console import messages  # noqa: PLC0415 - keeps --help light

    messages.print_findings(console(stderr=True), error.findings)
    click.echo(f"error: {error.summary}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segrecord")
def cli() -> None:
    """Images, segmentation masks and class labels in, verified TFRecord shards out."""


@cli.command(cls=Command)
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
    is there already is replaced.
    """
    from segrecord.console import messages, results  # noqa: PLC0415 - as above
    from segrecord.demo import tour  # noqa: PLC0415 - keeps --help light

    screen = console()
    click.echo(f"drawing {counted(count, 'image')} in {directory / 'source'}")
    monitor = messages.ConsoleMonitor(screen)
    try:
        made = tour(directory, count, monitor=monitor)
    finally:
        monitor.close()
    messages.print_findings(screen, made.built.findings)
    results.print_report(screen, made.report)
    messages.print_manifest(screen, made.built.manifest, str(made.built.path), made.built.seconds)
    click.echo(f"look: {made.picture} shows one image with its mask")
    if made.report.problems:
        sys.exit(1)


@cli.command(cls=Command)
@click.argument("source")
@flags(option for option in OPTIONS.values() if option.scan)
@click.option(
    "--facts",
    "facts_file",
    metavar="FILE",
    help="keep what was measured here; unchanged files are not decoded again",
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
    from segrecord import pipeline, storage  # noqa: PLC0415 - keeps --help light
    from segrecord.console import messages  # noqa: PLC0415 - as above
    from segrecord.export import sidecars  # noqa: PLC0415 - as above
    from segrecord.report import verdict  # noqa: PLC0415 - as above

    for path in filter(None, (findings, write_samples)):
        storage.check_writable(Path(path))
    screen = console()
    monitor = messages.ConsoleMonitor(screen, quiet=as_json)
    try:
        result = pipeline.scan(source, facts_file=facts_file, monitor=monitor, **given(options))
    finally:
        monitor.close()
    if findings is not None:
        Path(findings).write_bytes(sidecars.findings_csv(result.findings))
    written = _write_samples(result, write_samples) if write_samples is not None else ""
    if as_json:
        document = messages.scan_json(len(result.samples), result.loaded, result.findings)
        click.echo(json.dumps(document, indent=2))
    else:
        messages.print_findings(screen, result.findings)
        outcome = verdict.Outcome(
            built=False,
            samples=len(result.samples),
            left_out=0,
            checked=options["checks"] != "none",
            splits=Counter(filter(None, result.splits)),
        )
        messages.print_scan(screen, outcome, result.findings, written or shlex.quote(source))
    if result.errors:
        sys.exit(1)


def _write_samples(result: Scan, path: str) -> str:
    """Write the pairs and the class mapping; returns what `build` takes them back with."""
    from segrecord.export import sidecars  # noqa: PLC0415 - keeps --help light
    from segrecord.sources.listing import write_listing  # noqa: PLC0415 - as above

    write_listing(result.samples, path)
    if not result.classes:
        return shlex.quote(path)
    mapping = Path(path).parent / MAPPING_FILE
    content = sidecars.mapping_json(result.classes)
    if mapping.exists() and mapping.read_bytes() != content:
        raise OutputError(
            f"{mapping} holds another mapping and is left as it is; pass --classes {mapping}, or "
            "move it away"
        )
    mapping.write_bytes(content)
    return shlex.join((path, "--classes", str(mapping)))


@cli.command(cls=Command)
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path))
@flags(OPTIONS.values())
def build(source: str, out: Path, **options: Any) -> None:
    """Make a dataset of SOURCE in the folder OUT.

    SOURCE is a folder, a CSV, TSV, Parquet, Arrow or XLSX file, or module:function. All files are
    scanned and checked before a shard is written, and every shard is read back before the dataset
    is there. Interrupted, the same command goes on where it stopped.
    """
    from segrecord import pipeline  # noqa: PLC0415 - keeps --help light
    from segrecord.console import messages  # noqa: PLC0415 - as above

    screen = console()
    monitor = messages.ConsoleMonitor(screen)
    try:
        built = pipeline.build(source, out, monitor=monitor, **given(options))
    except DataError as error:
        monitor.close()
        print_data_error(error)
        if options["on_error"] != "quarantine":
            hint = messages.quarantine_hint(error.findings, monitor.samples)
            click.echo(f"{hint}\n" * bool(hint), err=True, nl=False)
        sys.exit(1)
    finally:
        monitor.close()
    messages.print_findings(screen, built.findings)
    if built.reused_shards:
        some = counted(built.reused_shards, "shard")
        click.echo(f"finished by an earlier run: {some}")
    messages.print_manifest(screen, built.manifest, str(built.path), built.seconds)


@cli.command(cls=Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@source_flags("compare every pixel and label with this source")
@click.option("--workers", type=int, metavar="N", help="worker processes (default: one a core)")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def verify(dataset: Path, as_json: bool, **options: Any) -> None:  # noqa: FBT001 - a flag
    """Re-read every record of DATASET, and compare it with its source.

    Framing, CRCs, fields, pixels and mask ids of every record, counts and SHA-256 of every shard.
    With --source every pixel and label is compared with the originals.
    """
    from segrecord import pipeline  # noqa: PLC0415 - keeps --help light
    from segrecord.console import messages, results  # noqa: PLC0415 - as above

    monitor = messages.ConsoleMonitor(console(), quiet=as_json)
    try:
        report = pipeline.verify(dataset, monitor=monitor, **options)
    finally:
        monitor.close()
    if as_json:
        click.echo(json.dumps(messages.report_json(report), indent=2))
    else:
        results.print_report(console(), report)
        if not report.problems:
            messages.print_steps(console(), str(dataset), "view", "stats")
    if report.problems:
        sys.exit(1)


@cli.command(cls=Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--fold", type=int, metavar="K", help="weights and channel statistics for this fold's training"
)
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
def stats(dataset: Path, fold: int | None, as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Count the classes, sizes and mask pixels of DATASET.

    By split and shard, with a plain statement whether the shuffle mixed the classes well; and what
    a training asks for: mean and standard deviation of each channel, class weights, mask coverage
    by class.
    """
    from segrecord.console import messages, results  # noqa: PLC0415 - as above
    from segrecord.read import stats as counting  # noqa: PLC0415 - keeps --help light

    measured = counting.stats(dataset, fold=fold)
    if as_json:
        click.echo(json.dumps(counting.to_json(measured), indent=2))
    else:
        results.print_stats(console(), measured)
        messages.print_steps(console(), str(dataset), "view", "show")


@cli.command(cls=Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("record")
@click.option(
    "--output", metavar="FILE", help="where to write the picture (default: KEY.overlay.png)"
)
def show(dataset: Path, record: str, output: str | None) -> None:
    """Show one RECORD of DATASET: its features and a picture.

    RECORD is a key, or a number from 0 in the order of the index. The picture shows the image,
    and beside it the image with its mask; a terminal with colours shows both too.
    """
    from segrecord.console import results  # noqa: PLC0415 - keeps --help light
    from segrecord.console.terminal import printable  # noqa: PLC0415 - as above
    from segrecord.format import manifest  # noqa: PLC0415 - as above
    from segrecord.images import overlay  # noqa: PLC0415 - as above
    from segrecord.read.lookup import read_record, sides_of  # noqa: PLC0415 - keeps --help light

    shown = read_record(dataset, record)
    path = Path(output or f"{shown.key.rpartition('/')[2]}.overlay.png")
    sides = sides_of(shown, manifest.load(dataset))
    try:
        overlay.sheet(sides).save(path, "PNG")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
    screen = console()
    results.print_record(screen, shown)
    if results.can_draw(screen):
        results.draw(screen, sides)
    click.echo(f"picture: {printable(str(path), screen.encoding)}")


@cli.command(cls=Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--no-thumbnails", is_flag=True, help="leave pictures out")
def report(dataset: Path, no_thumbnails: bool) -> None:  # noqa: FBT001 - a flag
    """Write report.html of DATASET again.

    It is one page to read before training, which a build writes too. It needs no network, and
    holds pictures of the images unless --no-thumbnails is given.
    """
    from segrecord.report.page import write  # noqa: PLC0415 - keeps --help light

    written = write(dataset, thumbnails=not no_thumbnails)
    click.echo(f"report: {written.path}")
    if written.damage:
        for line in written.damage:
            click.echo(f"error: {line}", err=True)
        click.echo("fix that first, or build the dataset again", err=True)
        sys.exit(1)


@cli.command(cls=Command)
@click.argument("dataset", type=click.Path(path_type=Path))
@source_flags("show the original files too")
@click.option(
    "--marks", metavar="FILE", default="marks.csv", show_default=True, help="where marks are kept"
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="default: a free one"
)
@click.option("--open", "open_browser", is_flag=True, help="open the page in the browser")
def view(
    dataset: Path,
    source: str | None,
    metadata: tuple[str, ...] | None,
    root: str | None,
    pseudonymize: str | None,
    **options: Any,
) -> None:
    """Browse the records of DATASET, and mark them.

    The page is served to this machine alone, until Ctrl-C. Records marked as wrong stay out of
    the next dataset by `segrecord build ... --exclude marks.csv`.
    """
    from segrecord.viewer.app import serve  # noqa: PLC0415 - keeps --help light

    files = None
    if source is not None:
        from segrecord import pipeline  # noqa: PLC0415 - as above

        samples = pipeline.originals(dataset, source, metadata, root, pseudonymize)
        files = dict(zip(*(samples[name].to_pylist() for name in ("key", "image")), strict=True))
    serve(dataset, source=files, **options)


@cli.command(cls=Command)
@click.argument("shards", nargs=-1, required=True)
@click.option("--out", metavar="DIR", help="where to write them (default: idx beside the shards)")
def index(shards: tuple[str, ...], out: str | None) -> None:
    """Write where each record of SHARDS begins, for other readers.

    SHARDS are TFRecord files, whoever wrote them, folders of such files, or one dataset. For each
    shard NAME there is a text file NAME.idx, as NVIDIA DALI and the package tfrecord want it: its
    lines are a record's offset and size in bytes.
    """
    from segrecord.read.shards import write_offsets  # noqa: PLC0415 - keeps --help light

    written = write_offsets(shards[0] if len(shards) == 1 else shards, out)
    folders = ", ".join(sorted({str(path.parent) for path in written}))
    click.echo(f"offsets of {counted(len(written), 'shard')}: {folders}")
