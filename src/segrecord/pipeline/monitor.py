"""Who is told how the work goes: the command line, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from segrecord.engines import Runner
from segrecord.sources.understood import Understood


class Monitor(Protocol):
    """Told how the work goes, from the process that called the verb."""

    def understood(self, source: Understood) -> None:
        """How the source was understood, before any file is read."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins: "scan" (of `total` samples), or another (of `total` shards)."""

    def progress(self, done: int) -> None:
        """So many of the stage's steps are done."""


class Silent:
    """A monitor that says nothing."""

    def understood(self, source: Understood) -> None:
        """Say nothing."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def progress(self, done: int) -> None:
        """Say nothing."""


class Watched:
    """An open engine whose next runs are a stage each, told to a monitor as results come."""

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
