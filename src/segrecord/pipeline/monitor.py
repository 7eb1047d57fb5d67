"""Who is told how the work goes: the command line, or nobody."""

from __future__ import annotations

from typing import Protocol

from segrecord.sources.understood import Understood


class Monitor(Protocol):
    """Told how the work goes, from the process that called the verb."""

    def understood(self, source: Understood) -> None:
        """How the source was understood, before any file is read."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins: "scan" (of `total` samples), "write" or "read back" (of shards)."""

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
