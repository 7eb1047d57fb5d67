"""Engines: run one function over many tasks, on all cores, and survive what the tasks do.

Why not a ready pool: with `concurrent.futures` and loky one dead worker breaks the whole pool
and nobody learns which task killed it; multiprocessing and pebble re-import the caller's
`__main__`, so that a script without a guard starts itself again; forking under a threaded
framework deadlocks. Here workers are started through our own entry module (`_worker`), each on
its own pipe, so the parent knows at any time which task is where.
"""

from __future__ import annotations

import functools
import os
import pickle
from dataclasses import dataclass
from multiprocessing import connection as mp
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar

from segrecord._worker import FUNCTION, TASK, Job, Reply, Worker, describe, note, start
from segrecord.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

__all__ = [
    "Engine",
    "EngineFailure",
    "InlineEngine",
    "LocalEngine",
    "Runner",
    "available_cores",
    "note",
]

T = TypeVar("T")
R = TypeVar("R")

_TRIES = 2  # a task is run again once after its worker died
_BAD_STARTS = 3  # so many workers dead in a row before they could work: the engine gives up


class EngineFailure(NamedTuple):
    """A task that has no result."""

    task: int
    """Number of the task, from 0 in the order in which the tasks were given."""
    message: str
    """What happened: "worker died with signal 9 (SIGKILL)", or an exception's type and text."""
    note: str
    """The file the worker was on (see `note`), "" if none."""


class Runner(Protocol):
    """What an open engine is to those who give it work."""

    def run(
        self, function: Callable[[T], R], tasks: Iterable[T]
    ) -> Iterator[tuple[int, R | EngineFailure]]:
        """Each task's number (from 0) and result, in any order.

        Raises:
            EngineError: the workers as a whole cannot run: the function cannot be imported, or
                workers die before they can work.
        """
        ...


class Engine(Runner, Protocol):
    """Runs a function over tasks. A context manager; its workers live from enter to exit.

    Duties of the caller: the function is a module-level function that can be imported (not of
    `__main__`), or a `functools.partial` of one; function, tasks and results can be pickled. The
    function may run twice for one task. One run at a time; several may follow each other.

    Duties of the engine:

    - tasks are drawn lazily, never more than a few a worker ahead;
    - a task whose worker died is run once more in a fresh worker, and becomes an `EngineFailure`
      when it kills that too; the other tasks are not touched;
    - an exception in the function, or a task or result that cannot be pickled, becomes an
      `EngineFailure` and nothing is printed;
    - leaving (also by an exception, KeyboardInterrupt or by closing the iterator) ends the
      workers at once and leaves no process and no file behind;
    - workers ignore Ctrl-C, which the parent handles, and end by themselves when the parent
      dies, however it dies.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class InlineEngine:
    """The engine that works in this process, one task after the other."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def run(
        self, function: Callable[[T], R], tasks: Iterable[T]
    ) -> Iterator[tuple[int, R | EngineFailure]]:
        """As `Engine.run`; nothing is pickled, and notes are not taken."""
        for number, task in enumerate(tasks):
            try:
                yield number, function(task)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the contract: a value, whatever it is
                yield number, EngineFailure(number, describe(error), "")


def available_cores() -> int:
    """The number of cores this process may use (its affinity, where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalEngine:
    """The engine of worker processes on this machine.

    Args:
        workers: number of processes; default: one for each core this process may use.
        preload: modules that a worker imports when it starts. `__enter__` does not wait for that,
            so the parent can list the source meanwhile.

    Raises:
        UsageError: workers is below 1.
    """

    def __init__(self, workers: int | None = None, preload: Sequence[str] = ()) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"workers must be at least 1, got {workers}")
        self._count = available_cores() if workers is None else workers
        self._preload = tuple(preload)
        self._workers: list[Worker] = []
        self._open = False
        self._running = False

    def __enter__(self) -> Self:
        self._open = True
        try:
            self._fill()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open = False
        self._stop()

    def run(
        self, function: Callable[[T], R], tasks: Iterable[T]
    ) -> Iterator[tuple[int, R | EngineFailure]]:
        """As `Engine.run`. An iterator that is left before its end ends the workers."""
        if not self._open:
            raise EngineError("the engine is closed; use it within its with statement")
        inner: Any = function
        while isinstance(inner, functools.partial):
            inner = inner.func
        name = getattr(inner, "__qualname__", repr(inner))
        if getattr(inner, "__module__", None) == "__main__":
            raise EngineError(f"{name} is defined in __main__, which workers do not import")
        try:
            message = FUNCTION + pickle.dumps(function)
        except Exception as error:
            raise EngineError(f"{name} cannot be sent to workers: {describe(error)}") from error
        return self._results(_Run(message, enumerate(tasks)))

    def _results(self, run: _Run) -> Iterator[tuple[int, Any]]:
        if self._running:
            raise EngineError("the engine is in a run; finish that before the next")
        self._running = True
        finished = False
        try:
            self._fill()
            for worker in self._workers:
                worker.depth = 1  # how short this run's tasks are is seen from the first answers
            while not finished:
                for worker in self._workers:
                    yield from run.feed(worker)
                busy: dict[Any, Worker] = {w.pipe: w for w in self._workers if w.jobs}
                for pipe in mp.wait(list(busy)) if busy else ():
                    try:
                        answer = busy[pipe].pipe.recv_bytes()
                    except (EOFError, OSError):
                        yield from self._bury(busy[pipe], run)
                    else:
                        yield from run.take(busy[pipe], answer)
                finished = not busy
        finally:
            self._running = False
            if not finished:
                self._stop()

    def _bury(self, worker: Worker, run: _Run) -> Iterator[tuple[int, Any]]:
        """Put a fresh worker in the dead one's place and hand its jobs on, but for a killer."""
        worker.wait()
        message, path = worker.last_words()
        worker.release()
        jobs = list(worker.jobs)
        killer = run.killer(worker, message)
        fresh = start(self._preload)
        self._workers[self._workers.index(worker)] = fresh
        for job in jobs:
            if job is killer:
                yield job.number, EngineFailure(job.number, message, path)
            else:
                run.send(fresh, job)

    def _fill(self) -> None:
        """Start the workers that are missing, or died while there was no run."""
        for worker in [w for w in self._workers if w.process.poll() is not None]:
            self._workers.remove(worker)
            worker.release()
        while len(self._workers) < self._count:
            self._workers.append(start(self._preload))

    def _stop(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.wait()
            worker.release()


@dataclass(eq=False)
class _Run:
    """One function over its tasks."""

    function: bytes
    todo: Iterator[tuple[int, Any]]
    bad_starts: int = 0

    def feed(self, worker: Worker) -> Iterator[tuple[int, EngineFailure]]:
        """Give the worker what it may hold; tasks that cannot be pickled come back."""
        while len(worker.jobs) < worker.depth:
            number, task = next(self.todo, (-1, None))
            if number < 0:
                return
            try:
                message = TASK + pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
            except Exception as error:  # noqa: BLE001 - a task's own __reduce__ may raise anything
                reason = f"the task cannot be sent to a worker: {describe(error)}"
                yield number, EngineFailure(number, reason, "")
            else:
                self.send(worker, Job(number, message))

    def send(self, worker: Worker, job: Job) -> None:
        if worker.run is not self:
            worker.run, worker.ready = self, False
            worker.send(self.function)
        worker.give(job)

    def take(self, worker: Worker, message: bytes) -> Iterator[tuple[int, Any]]:
        """What the worker's answer says of its first job; nothing, where it says "ready"."""
        if not worker.ready:
            if message:
                raise EngineError(f"workers cannot load the function: {message.decode()}")
            worker.is_ready()
            self.bad_starts = 0
            return
        number = worker.answered().number
        try:
            reply: Reply = pickle.loads(message)  # noqa: S301 - from our own worker
        except Exception as error:  # noqa: BLE001 - a result's own __setstate__ may raise anything
            reply = Reply(False, f"the result cannot be read back: {describe(error)}", "")
        yield number, reply.value if reply.done else EngineFailure(number, reply.value, reply.note)

    def killer(self, worker: Worker, message: str) -> Job | None:
        """The job that has killed its last worker, if this death makes it so.

        Raises:
            EngineError: workers die before they can work, whatever the task.
        """
        if not worker.ready:
            self.bad_starts += 1
            if self.bad_starts >= _BAD_STARTS:
                raise EngineError(f"workers cannot start: {message}")
            return None
        job = worker.jobs[0]
        job.deaths += 1
        return job if job.deaths >= _TRIES else None
