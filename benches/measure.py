"""A command in, what it cost out: wall time, processor time and peak memory, seen from outside.

The runner itself stays small (no NumPy, no Arrow): on Linux a fresh process inherits its
parent's `ru_maxrss`, so memory is read from VmHWM in /proc, which begins anew at exec.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TICK = 0.02  # seconds between two looks at the processes' memory


class Run(NamedTuple):
    """What one run of a command cost."""

    wall: float
    """Seconds from before the start to after the end of the process."""
    processor: float
    """Seconds of user and system time, of the process and all below it."""
    peaks: tuple[int, ...]
    """Peak resident memory in bytes of the process, then of each below it; empty: not asked."""
    printed: Any
    """What it printed on its last line, where that is JSON."""


def run(command: Sequence[str], *, memory: bool = False) -> Run:
    """Run a command to its end.

    Args:
        command: program and arguments.
        memory: watch the memory of the process and of all below it.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    watch = _Watch(process.pid) if memory else None
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))  # type: ignore[union-attr]
    reader.start()
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    process.stdout.close()
    peaks = watch.end() if watch else ()
    if process.returncode:
        tail = b"".join(said).decode(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {tail}")
    return Run(wall, usage.ru_utime + usage.ru_stime, peaks, _json(printed))


def _json(printed: bytes) -> Any:
    try:
        return json.loads(printed.splitlines()[-1])
    except (ValueError, IndexError):
        return None


class _Watch:
    """Looks at VmHWM (the kernel's own peak) of a process and of all below it, again and again."""

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._peaks: dict[int, int] = {pid: 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(_TICK):
            for pid in _tree(self._root):
                # The last look counts: before its exec a process shows its parent's memory.
                self._peaks[pid] = _peak(pid) or self._peaks.get(pid, 0)

    def end(self) -> tuple[int, ...]:
        """The peaks in bytes, the process itself first."""
        self._ended.set()
        self._thread.join()
        first = self._peaks.pop(self._root)
        return (first, *self._peaks.values())


def _tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
        except OSError:  # ended meanwhile
            continue
    return found


def _peak(pid: int) -> int:
    """VmHWM of a process in bytes; 0 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    lines = (line.split() for line in text.splitlines() if line.startswith("VmHWM:"))
    return next((int(words[1]) * 1024 for words in lines), 0)


class Subject(NamedTuple):
    """A command to be measured."""

    name: str
    command: Callable[[Path], Sequence[str]]
    """Given the path of its output, which does not exist yet."""


def alternate(
    subjects: Sequence[Subject],
    repeats: int,
    out: Path,
    *,
    memory: bool = False,
    warm: bool = False,
) -> dict[str, list[Run]]:
    """Runs of each subject in turns (A B C A B C ...), after a turn that is not counted.

    Outputs are deleted, and the disk is given time to finish writing, outside the timing.

    Args:
        subjects: that take turns.
        repeats: counted turns.
        out: where outputs go.
        memory: watch the memory of each process and of all below it.
        warm: count the first turn too, since the subjects warm up themselves.
    """
    runs: dict[str, list[Run]] = {subject.name: [] for subject in subjects}
    for turn in range(1 if warm else 0, repeats + 1):
        for subject in subjects:
            remove(out)
            os.sync()
            found = run(subject.command(out), memory=memory)
            if turn:
                runs[subject.name].append(found)
    remove(out)
    return runs


def remove(path: Path) -> None:
    """Delete a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Ratio(NamedTuple):
    """One figure against another."""

    middle: float
    """Ratio of the medians."""
    low: float
    """Lowest ratio of two runs of one turn."""
    high: float


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """How many times `below` goes into `above`, turn by turn and over all."""
    turns = [one / other for one, other in zip(above, below, strict=True)]
    return Ratio(statistics.median(above) / statistics.median(below), min(turns), max(turns))
