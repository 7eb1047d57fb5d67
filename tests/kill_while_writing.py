"""Preloaded into workers by tests: from then on, writing some files ends the worker."""

import os
import signal

from segrecord.images.files import load as _load
from segrecord.write import shard_writer


def load(path):
    """As `images.files.load`, but deadly on files whose name says so."""
    data = _load(path)
    if "deadly" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return data


shard_writer.load = load
