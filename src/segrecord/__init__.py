"""segrecord: images, segmentation masks and class labels in, verified TFRecord shards out.

    segrecord.build("lesions", "out", split="train=0.8,val=0.1,test=0.1")

The names below are loaded when they are first used, so that importing segrecord costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrecord.errors import (
        DataError,
        EngineError,
        Finding,
        OutputError,
        PixelError,
        RecordError,
        SegrecordError,
        SourceError,
        UsageError,
    )
    from segrecord.options import Options
    from segrecord.pipeline import build, scan, verify
    from segrecord.reading.dataset import Dataset, open  # noqa: A004 - it is segrecord.open
    from segrecord.reading.order import State
    from segrecord.reading.reader import DamagedRecordWarning, Example
    from segrecord.reading.stats import stats

__all__ = [
    "DamagedRecordWarning",
    "DataError",
    "Dataset",
    "EngineError",
    "Example",
    "Finding",
    "Options",
    "OutputError",
    "PixelError",
    "RecordError",
    "SegrecordError",
    "SourceError",
    "State",
    "UsageError",
    "build",
    "open",
    "scan",
    "stats",
    "verify",
]

_HOMES = {
    "DamagedRecordWarning": "segrecord.reading.reader",
    "Dataset": "segrecord.reading.dataset",
    "Example": "segrecord.reading.reader",
    "Options": "segrecord.options",
    "State": "segrecord.reading.order",
    "build": "segrecord.pipeline",
    "open": "segrecord.reading.dataset",
    "scan": "segrecord.pipeline",
    "stats": "segrecord.reading.stats",
    "verify": "segrecord.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'segrecord' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "segrecord.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
