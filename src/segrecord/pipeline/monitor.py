"""Who is told how the work goes: the command line, whoever looks on, the log, or nobody.

Findings are logged by the logger "segrecord": a line a code, whatever the number of findings, so
that a set of a million pictures does not flood a log; all findings are in the result. `logging` and
not `warnings`: those are shown once a place in the code, and filters turn them into exceptions,
which would end a build because of what its data look like.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from segrecord.executors import Runner
from segrecord.findings import Finding, first_of_each
from segrecord.sources.loaded import LoadedSource

_LOG = logging.getLogger("segrecord")
_LOG.addHandler(logging.NullHandler())  # who reads the log, and how, is the program's to say

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}

_HIDDEN = "what it says is not logged, since it may hold names"


class Monitor(Protocol):
    """Told how the work goes, from the process that called the verb."""

    def loaded(self, source: LoadedSource) -> None:
        """How the source was loaded, before any file is read."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins: "scan" (of `total` samples), or another (of `total` shards)."""

    def progress(self, done: int) -> None:
        """So many of the stage's steps are done."""


class Silent:
    """A monitor that says nothing."""

    def loaded(self, source: LoadedSource) -> None:
        """Say nothing."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def progress(self, done: int) -> None:
        """Say nothing."""


class Watched:
    """An open engine whose next runs are a stage each, reported to a monitor as results come."""

    def __init__(self, engine: Runner, monitor: Monitor, stage: str, total: int) -> None:
        self._engine = engine
        self._monitor = monitor
        self._stage = (stage, total)

    def run(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        """As the engine's."""
        self._monitor.stage(*self._stage)
        for done, result in enumerate(self._engine.run(function, tasks), 1):
            yield result
            self._monitor.progress(done)


@contextlib.contextmanager
def watching(monitor: Monitor | None) -> Iterator[Monitor]:
    """The monitor that was given; else one for whoever sits at the terminal or notebook, if any.

    What it prints goes to standard error, and nothing is printed where that is a file or a pipe.
    """
    if monitor is not None:
        yield monitor
        return
    terminal = sys.stderr is not None and sys.stderr.isatty()
    if not (terminal or "ipykernel" in sys.modules):
        yield Silent()
        return
    from rich.console import Console  # noqa: PLC0415 - only for whom it draws

    from segrecord.console.messages import ConsoleMonitor  # noqa: PLC0415 - as above

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not (terminal or console.is_jupyter):
        yield Silent()
        return
    shown = ConsoleMonitor(console)
    try:
        yield shown
    finally:
        shown.close()


def report_findings(
    findings: Sequence[Finding],
    verb: str,
    monitor: Monitor | None,
    *,
    private: bool,
    written: bool = False,
) -> None:
    """Log the findings, a line a code; or print them for a person where nobody reads the log.

    Args:
        findings: of the whole run.
        verb: that found them.
        monitor: of `watching`, where the caller gave none; None: the caller prints for itself.
        private: whether names are to become pseudonyms: a log, which others read, has none.
        written: whether there is a dataset: what was an error is left out of it, and no failure.
    """
    logged: Sequence[Finding] = findings
    if private:
        bare = {"message": _HIDDEN, "fix": ""}
        logged = [Finding(found.code, values=bare, level=found.level) for found in findings]
    for first, line in first_of_each(logged):
        if first.level == "error" and written:
            _LOG.warning("%s: left out: %s", verb, line)
        else:
            _LOG.log(_LEVELS[first.level], "%s: %s", verb, line)
    logger: logging.Logger | None = _LOG
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return  # the program takes what is logged
        logger = logger.parent if logger.propagate else None
    console = getattr(monitor, "console", None)
    if console is not None:
        from segrecord.console.messages import print_findings  # noqa: PLC0415 - as above

        print_findings(console, [found for found in findings if found.level != "info"])


def report_hints(hints: Sequence[str]) -> None:
    """Log what might be meant otherwise; a monitor gets it with `Monitor.loaded`."""
    for hint in hints:
        _LOG.info("hint: %s", hint)


def report_problems(problems: Sequence[Exception], verb: str) -> None:
    """Log that a dataset is damaged: the count, and the first."""
    if problems:
        _LOG.error("%s: problems: %d, first: %s", verb, len(problems), problems[0])
