"""One build, timed from inside the process: prints seconds of import, work and each stage as JSON.

    python benches/ours.py SOURCE OUT none|basic|full WORKERS [--ready]

With --ready the workers have started and imported their modules before the clock runs: a peer
without workers has nothing to start. With --tables nothing is built; it prints the bytes a pair
of the tables that a finished build of SOURCE at OUT has held in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from segrecord.sources.loaded import LoadedSource

_STAGES = ("scan", "write", "read back")
_BETWEEN = ("list", "plan", "index", "commit")
"""What is done before, between and after the stages."""


class Clock:
    """A monitor that notes when each stage begins and when its last step is done."""

    def __init__(self) -> None:
        self.marks = [time.perf_counter()]

    def loaded(self, source: LoadedSource) -> None:
        """Take no note."""

    def stage(self, name: str, total: int) -> None:
        """Note the beginning, and make room for the end."""
        del name, total
        now = time.perf_counter()
        self.marks += [now, now]

    def progress(self, done: int) -> None:
        """Note the end anew."""
        del done
        self.marks[-1] = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Seconds of each stage and of what lies between them."""
        marks = [*self.marks, time.perf_counter()]
        spans = [end - start for start, end in itertools.pairwise(marks)]
        names = [_BETWEEN[0]]
        for stage, after in zip(_STAGES, _BETWEEN[1:], strict=True):
            names += [stage, after]
        return dict(zip(names, spans, strict=True))


def build(source: str, out: str, checks: Any, workers: int, *, ready: bool) -> dict[str, Any]:
    """Seconds of import and work, and of the work's stages."""
    began = time.perf_counter()
    from segrecord import pipeline

    with _ready(workers) if ready else contextlib.nullcontext():
        imported = time.perf_counter()
        clock = Clock()
        pipeline.build(source, out, monitor=clock, checks=checks, workers=workers)
        work = time.perf_counter() - imported
    return {"import": imported - began, "work": work, "stages": clock.seconds()}


@contextlib.contextmanager
def _ready(workers: int) -> Iterator[None]:
    """Every build in this block is given the same workers, which are up already."""
    from segrecord.executors import LocalEngine
    from segrecord.pipeline import build_dataset, scan_source

    with LocalEngine(workers, scan_source.PRELOAD) as engine:
        list(engine.run(abs, range(workers)))  # each worker answers once it has imported all
        with mock.patch.object(build_dataset, "LocalEngine", return_value=engine):
            yield


def tables(source: str, out: str) -> dict[str, float]:
    """Bytes a pair of each table; without the columns of the scan that no dataset keeps."""
    import numpy as np
    import pyarrow as pa

    from segrecord.options import PlanOptions, SourceOptions
    from segrecord.sources.loading import load_source
    from segrecord.splits import plan

    samples = load_source(source, SourceOptions()).samples
    planned = plan.make(
        samples, ["train"] * len(samples), np.zeros(len(samples), np.int64), PlanOptions()
    )
    found: dict[str, pa.Table] = {"samples": samples, "plan": planned}
    for name in ("facts", "records"):
        with pa.ipc.open_file(str(Path(out) / f"{name}.arrow")) as reader:
            found[name] = reader.read_all()
    return {name: table.nbytes / len(samples) for name, table in found.items()}


def main() -> None:
    """Print the result as JSON."""
    if sys.argv[1] == "--tables":
        print(json.dumps(tables(*sys.argv[2:4])))
        return
    source, out, checks, workers = sys.argv[1:5]
    ready = "--ready" in sys.argv[5:]
    print(json.dumps(build(source, out, checks, int(workers), ready=ready)))


if __name__ == "__main__":
    main()
