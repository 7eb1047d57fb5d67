"""A worker process of `executors.LocalEngine`: the parent's end (`Worker`) and its own (`main`).

A worker is started as `python -c BOOT handle preload path...`, so it never imports the user's
`__main__`. It speaks through one duplex pipe, whose messages are bytes:

    to the worker      FUNCTION + pickled function    answered by b"", or why it cannot be loaded
                       TASK + pickled task            answered by a pickled `Reply`
    from the worker    the answers, in the order of the messages

Its stderr is an anonymous temporary file that the parent holds too. The file's first `_PAGE`
bytes are mapped into memory and hold the worker's note, so the parent can read note and last
words of a worker that is dead.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing import connection as mp
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

from segrecord.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FUNCTION = b"F"
TASK = b"T"

_BOOT = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from segrecord._worker import main; main(int(sys.argv[1]), sys.argv[2])"
)
_PAGE = 4096  # bytes at the file's start: the note's length in 2 bytes, then the note
_STDERR = 2
_STDERR_LIMIT = 1 << 20  # bytes; noise beyond it is dropped, so that no disk is filled
_LAST_WORDS = 300  # characters of a dead worker's stderr that are reported
_SHORT = 0.1  # seconds; a worker with shorter tasks gets the next one before it asks
_GRACE = 5.0  # seconds for a worker whose pipe is closed to be gone (it may be dumping core)
# Each worker is one core's work: numerical libraries must not start a thread a core in each.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Reply(NamedTuple):
    """What became of one task."""

    done: bool
    value: Any
    """The result; where not done, the exception's type and text."""
    note: str
    """The file the worker was on; "" where the task is done or noted none."""


def describe(error: BaseException) -> str:
    """The exception's type and text."""
    return f"{type(error).__name__}: {error}".strip().removesuffix(":")


# The parent's end.


@dataclass(eq=False)
class Job:
    """A task on its way."""

    number: int
    message: bytes
    deaths: int = 0
    """Workers that died on it."""


@dataclass(eq=False)
class Worker:
    """A worker process as the parent sees it."""

    process: subprocess.Popen[bytes]
    pipe: mp.Connection[Any, Any]
    file: IO[bytes]
    """Note and stderr; anonymous."""
    jobs: deque[Job] = field(default_factory=deque)
    """Sent and not answered; the first is the one it works on."""
    run: object = None
    """The run whose function it was sent."""
    ready: bool = False
    """It has loaded that function."""
    depth: int = 1
    """How many jobs it may hold: 2 while its tasks are short."""
    since: float = 0.0
    """When it began its first job, in seconds of the monotonic clock."""

    def send(self, message: bytes) -> None:
        """Send a message; where the worker is dead, the end of its pipe is about to tell."""
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(message)

    def give(self, job: Job) -> None:
        """Hand it a job."""
        if not self.jobs:
            self.since = time.monotonic()
        self.jobs.append(job)
        self.send(job.message)

    def is_ready(self) -> None:
        """Take in that it has loaded the function and begins its first job."""
        self.ready = True
        self.since = time.monotonic()

    def answered(self) -> Job:
        """Take off the job just answered, and judge how short such jobs are."""
        now = time.monotonic()
        # A long task must not wait behind another one while other workers are idle.
        self.depth = 2 if now - self.since < _SHORT else 1
        self.since = now
        return self.jobs.popleft()

    def wait(self) -> None:
        """See the process off; one that only closed its pipe is killed."""
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> tuple[str, str]:
        """How the dead worker ended, with the end of its stderr; and the file it was on."""
        self.file.seek(0)
        content = self.file.read()
        said = " ".join(content[_PAGE:].decode(errors="replace").split())[-_LAST_WORDS:]
        status = self.process.returncode
        if status >= 0:
            ended = f"worker exited with status {status}"
        else:
            names = {number.value: number.name for number in signal.Signals}
            hint = ", as when memory runs out" if names.get(-status) == "SIGKILL" else ""
            ended = f"worker died with signal {-status} ({names.get(-status, 'no name')}){hint}"
        return (f"{ended}; it said: {said}" if said else ended), _read_note(content[:_PAGE])

    def release(self) -> None:
        """Close the parent's end."""
        self.pipe.close()
        self.file.close()


def start(preload: Sequence[str]) -> Worker:
    """A new worker process, not waited for, that will import these modules first.

    Raises:
        EngineError: the system cannot start it.
    """
    if not sys.executable:
        raise EngineError("this Python does not know its own program file (sys.executable)")
    with contextlib.ExitStack() as undo:
        try:
            ours, theirs = mp.Pipe()
            undo.callback(ours.close)
            with theirs:
                file = undo.enter_context(tempfile.TemporaryFile(buffering=0))
                # Real bytes: a mapped hole would end the worker (SIGBUS) on a full disk.
                file.write(bytes(_PAGE))
                process = _spawn(theirs, file, preload)
        except OSError as error:
            raise EngineError(f"a worker process cannot be started: {error}") from error
        undo.pop_all()
        return Worker(process, ours, file)


def _spawn(
    pipe: mp.Connection[Any, Any], stderr: IO[bytes], preload: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start the process, with its end of the pipe and the parent's sys.path."""
    handle = pipe.fileno()
    inherit: dict[str, Any] = {}
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})
        inherit["startupinfo"] = startup
    else:
        inherit["pass_fds"] = (handle,)
    utf8 = f"utf8={sys.flags.utf8_mode}"  # both sides must read file names alike
    process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-X", utf8, "-c", _BOOT, str(handle), ",".join(preload), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env=_ONE_THREAD | os.environ,
        **inherit,
    )
    return process


# The worker's own end.

# The one piece of state that belongs to a process: None wherever the process is not a worker.
_page: mmap.mmap | None = None


def note(path: str) -> None:
    """Note the file that is about to be opened, in case it kills the worker.

    For functions that an engine runs; costs about a microsecond, and does nothing outside a
    worker. Of a path longer than 4094 bytes the end is kept.
    """
    if _page is not None:
        _write_note(_page, os.fsencode(path))


def _write_note(page: mmap.mmap, path: bytes) -> None:
    path = path[-(_PAGE - 2) :]
    page[: len(path) + 2] = len(path).to_bytes(2, "little") + path


def _read_note(page: bytes | mmap.mmap) -> str:
    return os.fsdecode(page[2 : 2 + int.from_bytes(page[:2], "little")])


def main(handle: int, preload: str) -> NoReturn:
    """Serve tasks until the parent closes the pipe, or is gone.

    Args:
        handle: of the worker's end of the pipe: a file descriptor, on Windows a handle.
        preload: modules to import before the first task, separated by commas.
    """
    global _page  # noqa: PLW0603 - see there
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent acts
    if sys.platform == "win32":
        pipe = mp.PipeConnection(handle)  # the class that Pipe makes there
    else:
        os.set_inheritable(handle, False)  # a process the task starts must not hold the pipe open
        pipe = mp.Connection(handle)
    _page = mmap.mmap(_STDERR, _PAGE)
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, messages), daemon=True).start()
    for name in filter(None, preload.split(",")):
        importlib.import_module(name)
    function: Callable[[Any], Any] = _none_yet
    while True:
        message = messages.get()
        body = memoryview(message)[1:]
        if message.startswith(FUNCTION):
            try:
                function, answer = pickle.loads(body), b""  # noqa: S301 - from our own parent, by a private pipe
            except BaseException as error:  # noqa: BLE001 - an import may raise anything
                function, answer = _none_yet, describe(error).encode(errors="replace")
        else:
            _write_note(_page, b"")
            try:
                # Without a name: the result may be large, and the next task long in coming.
                answer = pickle.dumps(
                    Reply(True, function(pickle.loads(body)), ""),  # noqa: S301 - as above
                    protocol=pickle.HIGHEST_PROTOCOL,
                )
            except BaseException as error:  # noqa: BLE001 - whatever it is, the other tasks go on
                answer = pickle.dumps(Reply(False, describe(error), _read_note(_page)))
        with contextlib.suppress(OSError):  # the parent is gone: `_receive` ends the process
            pipe.send_bytes(answer)
        if os.fstat(_STDERR).st_size > _PAGE + _STDERR_LIMIT:
            with contextlib.suppress(OSError):
                os.lseek(_STDERR, _PAGE, os.SEEK_SET)
                os.ftruncate(_STDERR, _PAGE)


def _receive(pipe: mp.Connection[Any, Any], messages: queue.SimpleQueue[bytes]) -> None:
    """Take in messages while the main thread works.

    So the parent is never blocked by a large task while this worker is blocked by a large reply,
    and the parent's death ends the worker in the middle of a task.
    """
    try:
        while True:
            messages.put(pipe.recv_bytes())
    finally:
        os._exit(0)


def _none_yet(_task: Any) -> NoReturn:
    raise RuntimeError("there is no function to run")
