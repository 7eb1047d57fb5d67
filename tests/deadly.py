"""Preloaded into workers by tests: from then on, scanning some files ends the worker."""

import os
import signal

from segrecord.pixels.load import load as _load
from segrecord.quality import scan


def load(path):
    """As `pixels.load.load`, but deadly on files whose name says so."""
    data = _load(path)
    if "deadly" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return data


scan.load = load
