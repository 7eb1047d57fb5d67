"""Functions that the engine tests run in workers; importable, since workers import no __main__."""

import os
import signal
import sys
import time
from pathlib import Path

from segrecord.executors import note


def double(number):
    return number * 2


def own_pid(_task):
    return os.getpid()


def slow_pid(_task):
    time.sleep(0.2)
    return os.getpid()


def big(megabytes):
    return bytes([megabytes]) * (megabytes << 20)


def measure(blob):
    return len(blob)


def echo(blob):
    return blob


def fail_on_three(number):
    note(f"/data/{number}.png")
    if number == 3:
        raise ValueError("three is not allowed")
    return number


def leave(_task):
    sys.exit(4)


def unpicklable_on_three(number):
    return (lambda: number) if number == 3 else number


class Unreadable:
    """Can be pickled, but not read back."""

    def __reduce__(self):
        return int, ("no number",)


def unreadable_on_three(number):
    return Unreadable() if number == 3 else number


class Unsendable:
    def __reduce__(self):
        raise OSError("stays at home")


def chatter(number):
    os.write(1, b"out")
    os.write(2, b"err" * 1000)
    return number


def shout(_task):
    for _ in range(40):
        sys.stderr.write("noise " * 10_000)
    sys.stderr.flush()
    return os.fstat(2).st_size


def stderr_size(_task):
    return os.fstat(2).st_size


def die_on_three(number):
    note(f"/data/läsion {number}.png")
    if number == 3:
        sys.stderr.write("libpng: cannot go on\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def exit_always(number):
    note(f"/data/{number}.png")
    os._exit(7)


def exit_counted(log):
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    os._exit(7)


def note_or_fail(path):
    """Note a path; fail where there is none to note."""
    if not path:
        raise ValueError("no path")
    note(path)


def exit_first_time(marker):
    path = Path(marker)
    if not path.exists():
        path.write_text(str(os.getpid()))
        os._exit(7)
    return int(path.read_text()), os.getpid()


def wait_and_double(number):
    time.sleep(0.002)
    return number * 2


def stall(task):
    """Give a number back; for a path, make the file and never come back."""
    if not isinstance(task, str):
        return task
    Path(task).write_text(str(os.getpid()))
    time.sleep(60)
    return None


def divide(number, by):
    return number / by


def thread_settings(_task):
    return os.environ["OMP_NUM_THREADS"]


def loaded(name):
    return name in sys.modules
