"""What a caller from Python is told: findings by `logging`, progress where a person looks on.

The logger is "segrecord". Its records are a line a code, whatever the number of findings, so that
a set of a million pictures does not flood a log; all findings are in the result. `logging` and not
`warnings`: those are shown once a place in the code, and filters turn them into exceptions, which
would end a build because of what its data look like.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence

from segrecord.errors import Finding, first_of_each
from segrecord.pipeline.monitor import Monitor, Silent

_LOG = logging.getLogger("segrecord")
_LOG.addHandler(logging.NullHandler())  # who reads the log, and how, is the program's to say

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


_HIDDEN = "what it says is not logged, since it may hold names"


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

    from segrecord.reporting.told import ConsoleMonitor  # noqa: PLC0415 - as above

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not (terminal or console.is_jupyter):
        yield Silent()
        return
    shown = ConsoleMonitor(console)
    try:
        yield shown
    finally:
        shown.close()


def tell(
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
        logged = [found._replace(key="", path="", message=_HIDDEN, fix="") for found in findings]
    for first, line in first_of_each(logged):
        level = _LEVELS[first.level]
        if first.level == "error" and written:
            level, line = logging.WARNING, f"left out: {line}"  # noqa: PLW2901 - as it is then
        _LOG.log(level, "%s: %s", verb, line)
    console = getattr(monitor, "console", None)
    if console is not None and not _is_read():
        from segrecord.reporting.told import print_findings  # noqa: PLC0415 - as above

        print_findings(console, [found for found in findings if found.level != "info"])


def tell_hints(hints: Sequence[str]) -> None:
    """Log what might be meant otherwise; a monitor is told by `Monitor.understood`."""
    for hint in hints:
        _LOG.info("hint: %s", hint)


def tell_problems(problems: Sequence[Exception], verb: str) -> None:
    """Log that a dataset is damaged: the count, and the first."""
    if problems:
        _LOG.error("%s: problems: %d, first: %s", verb, len(problems), problems[0])


def _is_read() -> bool:
    """Whether a handler of the program takes what is logged."""
    logger: logging.Logger | None = _LOG
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
