"""The verbs `scan`, `build` and `verify`: the stages joined in their order, and nothing else.

source -> samples -> facts -> findings -> plan -> shards -> read back -> committed
"""

from segrecord.pipeline.build_dataset import Built, build
from segrecord.pipeline.evaluate import Scan
from segrecord.pipeline.monitor import Monitor, Silent
from segrecord.pipeline.scan_source import scan
from segrecord.pipeline.verify_dataset import originals, verify

__all__ = ["Built", "Monitor", "Scan", "Silent", "build", "originals", "scan", "verify"]
