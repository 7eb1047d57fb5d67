"""Preloaded into workers by tests: from then on, writing some files ends the worker."""

import os
import signal

from segrecord.building import shard
from segrecord.pixels.load import load as _load


def load(path):
    """As `pixels.load.load`, but deadly on files whose name says so."""
    data = _load(path)
    if "deadly" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return data


shard.load = load
