"""Reading, measured against what others do: each case gives rows of the table.

Every reader is a process of its own (the package tfrecord and TensorFlow exclude each other), says
itself how many records a second it has read, and takes its turn with the others.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import measure
import table
from measure import Subject
from table import Bar, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from table import Bench

HERE = Path(__file__).parent

OPENED, RESUMED = 10_000_000, 1_000_000
"""Records of the synthetic datasets."""

_MEMORY = 50_000_000  # bytes


class Laid(NamedTuple):
    """Where `reading_data.py` has put what is read."""

    deeplab: str
    raw: str
    array_record: str
    tar: str
    records: str
    """How many there are; an argument like the others."""


@cache
def _laid_out(bench: Bench) -> Laid:
    out = str(bench.out.with_name("reading"))
    command = (sys.executable, str(HERE / "reading_data.py"), bench.small.ids, out)
    made = measure.run((*command, str(bench.workers))).printed
    return Laid(**{name: str(value) for name, value in made.items()})


def _subject(script: str, *arguments: str) -> Subject:
    command = (sys.executable, str(HERE / "readers" / script), *arguments)
    return Subject(" ".join((script, *arguments)), lambda _: command)


def _rates(subjects: Sequence[Subject], bench: Bench) -> Callable[[Subject, str], list[float]]:
    """Lets the subjects take turns; gives a subject's figures of one name."""
    runs = measure.alternate(subjects, bench.repeats, bench.out, warm=True)
    return lambda subject, name: [run.printed[name] for run in runs[subject.name]]


def _against(ours: Bar, peer: Bar, target: float | None = None) -> Row:
    """How many times the peer's records a second ours are."""
    found = measure.ratio(ours.rates, peer.rates)
    return Row(
        what=f"{ours.name}, against {peer.name}",
        ours=_a_second(ours),
        peer=_a_second(peer),
        figure=table.times(found),
        target=f"at least {target:g} times" if target else "",
        met=found.middle >= target if target else None,
        bars=(ours, peer),
    )


def _a_second(bar: Bar) -> str:
    return f"{table.middle(bar.rates):,.0f}/s"


def features(bench: Bench) -> list[Row]:
    """Three features a record, as they are stored."""
    laid = _laid_out(bench)
    ours = _subject("segrecord_open.py", "features", laid.deeplab, laid.records)
    tf_data = _subject("tf_data.py", "features", laid.deeplab, laid.records)
    vahidk = _subject("vahidk.py", laid.deeplab, laid.records)
    grain = _subject("grain_tfrecord.py", laid.deeplab, laid.records)
    array_record = _subject("array_records.py", laid.array_record, laid.records)
    web_dataset = _subject("web_dataset.py", laid.tar, laid.records)
    rates = _rates((ours, tf_data, vahidk, grain, array_record, web_dataset), bench)

    def peer(name: str, subject: Subject, figure: str = "single") -> Bar:
        return Bar(name, rates(subject, figure), ours=False)

    single = Bar("segrecord (random)", rates(ours, "single"), ours=True)
    batched = Bar("segrecord (random, 64 at a time)", rates(ours, "batched"), ours=True)
    return [
        _against(single, peer("tf.data", tf_data), 4.0),
        _against(single, peer("tf.data (64 at a time)", tf_data, "batched")),
        _against(single, peer("tfrecord (no CRC)", vahidk)),
        _against(single, peer("Grain TFRecord (no CRC)", grain)),
        _against(single, peer("ArrayRecord (random)", array_record)),
        _against(batched, peer("ArrayRecord (random, 64 at a time)", array_record, "batched")),
        _against(single, peer("WebDataset (no CRC)", web_dataset)),
    ]


def decode(bench: Bench) -> list[Row]:
    """Batches of image and mask in shuffled order, on all cores."""
    laid = _laid_out(bench)
    png, pixels = (laid.deeplab, laid.records), (laid.raw, laid.records)
    core, fast = (_subject("segrecord_open.py", backend, *png) for backend in ("core", "fast"))
    raw = _subject("segrecord_open.py", "core", *pixels)
    by_hand, adapter = (_subject("tf_data.py", work, *png) for work in ("by_hand", "adapter"))
    tf_raw = _subject("tf_data.py", "adapter", *pixels)
    workers = str(bench.workers)
    files = _subject("plain_files.py", bench.small.ids, laid.records, workers)
    rates = _rates((core, by_hand, fast, adapter, raw, files, tf_raw), bench)

    def bar(name: str, subject: Subject, *, ours: bool = False) -> Bar:
        return Bar(name, rates(subject, "decoded"), ours)

    with_core = bar("segrecord (core install)", core, ours=True)
    with_fast = bar("segrecord (with fast)", fast, ours=True)
    with_raw = bar("segrecord (schema raw)", raw, ours=True)
    peers = (
        bar("tf.data by hand", by_hand),
        bar("segrecord.tensorflow", adapter),
        bar("DataLoader and Pillow", files),
    )
    better = max(peers, key=lambda peer: table.middle(peer.rates))
    promised = ((with_core, 1.0), (with_fast, 1.15), (with_raw, 3.0))
    return [
        *(_against(ours, better, target) for ours, target in promised),
        *(_against(with_core, peer) for peer in peers if peer is not better),
        _against(with_raw, bar("segrecord.tensorflow (schema raw)", tf_raw)),
    ]


def opening(bench: Bench) -> list[Row]:
    """The index of ten million records: seconds and memory."""
    subject = _synthetic("open", OPENED, bench)
    rates = _rates((subject,), bench)
    spent, taken = rates(subject, "seconds"), rates(subject, "bytes")
    what = f"opening {OPENED:,} records"
    grown = f"{max(taken) / 1e6:.0f} MB"
    memory = Row(f"memory that {what} takes", grown, "", grown, "below 50 MB", max(taken) < _MEMORY)
    return [_below(what, spent, 0.1), memory]


def resuming(bench: Bench) -> list[Row]:
    """From opening to the first batch in the middle of an epoch."""
    subject = _synthetic("resume", RESUMED, bench, "--shards")
    spent = _rates((subject,), bench)(subject, "seconds")
    return [_below(f"opening {RESUMED:,} records, to the first batch", spent, 1.0)]


def _synthetic(work: str, records: int, bench: Bench, *options: str) -> Subject:
    """The subject that reads a synthetic dataset, made if it is not there."""
    out = bench.out.with_name("synthetic") / str(records)
    script = (sys.executable, str(HERE / "synthetic.py"))
    measure.run((*script, str(out), str(records), *options))
    return _subject("opening.py", work, str(out), str(records))


def _below(what: str, spent: Sequence[float], limit: float) -> Row:
    """Seconds that must stay below a limit, in milliseconds."""
    low, middle, high = (1000 * found(spent) for found in (min, table.middle, max))
    told = f"{middle:.1f} ms"
    figure = f"{told} ({low:.1f} to {high:.1f})"
    return Row(what, told, "", figure, f"below {1000 * limit:,.0f} ms", middle < 1000 * limit)


CASES: dict[str, tuple[str, Callable[[Bench], list[Row]]]] = {
    "features": ("three features a record, undecoded", features),
    "decode": ("image and mask decoded, in shuffled batches, all cores", decode),
    "open": ("opening", opening),
    "resume": ("going on in the middle of an epoch", resuming),
}
