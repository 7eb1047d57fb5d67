"""Preloaded into workers by tests: from then on, scanning some files ends the worker."""

import os
import signal

from segrecord.images.files import load as _load
from segrecord.scanning import worker


def load(path):
    """As `images.files.load`, but deadly on files whose name says so."""
    data = _load(path)
    if "deadly" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return data


worker.load = load
