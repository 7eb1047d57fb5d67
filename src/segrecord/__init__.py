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
        OutputError,
        PixelError,
        RecordError,
        SegrecordError,
        SourceError,
        UsageError,
    )
    from segrecord.findings import Finding, Related
    from segrecord.format.manifest import Manifest
    from segrecord.options import Options
    from segrecord.pipeline import Built, Monitor, Scan, Silent, build, scan, verify
    from segrecord.read.batches import Batch, Batches
    from segrecord.read.dataset import Dataset, open  # noqa: A004 - it is segrecord.open
    from segrecord.read.records import DamagedRecordWarning, Example
    from segrecord.read.sampler import SamplerOptions, State
    from segrecord.read.stats import Stats, stats
    from segrecord.sources.loaded import LoadedSource
    from segrecord.verification.checker import Report

__all__ = [
    "Batch",
    "Batches",
    "Built",
    "DamagedRecordWarning",
    "DataError",
    "Dataset",
    "EngineError",
    "Example",
    "Finding",
    "LoadedSource",
    "Manifest",
    "Monitor",
    "Options",
    "OutputError",
    "PixelError",
    "RecordError",
    "Related",
    "Report",
    "SamplerOptions",
    "Scan",
    "SegrecordError",
    "Silent",
    "SourceError",
    "State",
    "Stats",
    "UsageError",
    "build",
    "open",
    "scan",
    "stats",
    "verify",
]

_HOMES = {
    "Batch": "segrecord.read.batches",
    "Batches": "segrecord.read.batches",
    "Built": "segrecord.pipeline",
    "DamagedRecordWarning": "segrecord.read.records",
    "Dataset": "segrecord.read.dataset",
    "Example": "segrecord.read.records",
    "Finding": "segrecord.findings",
    "LoadedSource": "segrecord.sources.loaded",
    "Manifest": "segrecord.format.manifest",
    "Monitor": "segrecord.pipeline",
    "Options": "segrecord.options",
    "Related": "segrecord.findings",
    "Report": "segrecord.verification.checker",
    "SamplerOptions": "segrecord.read.sampler",
    "Scan": "segrecord.pipeline",
    "Silent": "segrecord.pipeline",
    "State": "segrecord.read.sampler",
    "Stats": "segrecord.read.stats",
    "build": "segrecord.pipeline",
    "open": "segrecord.read.dataset",
    "scan": "segrecord.pipeline",
    "stats": "segrecord.read.stats",
    "verify": "segrecord.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'segrecord' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "segrecord.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
