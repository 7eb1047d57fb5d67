"""What all tests share: `make` is importable, also by workers, which get the parent's sys.path."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def inline(monkeypatch):
    """Scans and builds run in this process: ten times faster than starting workers."""
    from segrecord.engines import InlineEngine
    from segrecord.pipeline import scanning, writing

    for module in (scanning, writing):
        monkeypatch.setattr(module, "LocalEngine", lambda *_: InlineEngine())
