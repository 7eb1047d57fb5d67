"""What all tests share: `make` is importable, also by workers, which get the parent's sys.path."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.append(str(Path(__file__).parent))

# `make fuzz` takes the second one: the same properties, on many more examples.
settings.register_profile("default", max_examples=50, deadline=None)
settings.register_profile("fuzz", max_examples=3000, deadline=None)
settings.load_profile("default")


@pytest.fixture
def inline(monkeypatch):
    """Scans and builds run in this process: ten times faster than starting workers."""
    from segrecord.executors import InlineEngine
    from segrecord.pipeline import build_dataset, scan_source

    for module in (scan_source, build_dataset):
        monkeypatch.setattr(module, "LocalEngine", lambda *_: InlineEngine())
