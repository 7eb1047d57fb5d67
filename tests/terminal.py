"""Terminals for tests: a file that says it is one, and a real pseudo terminal."""

import io
import os
import subprocess
import sys

if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self):
        return True


def set_environment(monkeypatch, **variables):
    """The environment of a terminal of 24-bit colours, whatever the tests run in."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLORTERM": "truecolor", **variables}.items():
        monkeypatch.setenv(name, value)


def output_on_terminal(words, folder, columns=80, **environment):
    """What a segrecord command line, run in this folder, writes to a real terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "segrecord.cli", *words],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux says so that the other end is closed
                break
            if not part:
                break
            written += part
    os.close(ours)
    assert process.returncode == 0
    return written.decode()
