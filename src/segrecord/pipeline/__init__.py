"""The verbs `scan`, `build` and `verify`: the stages joined in their order, and nothing else.

source -> samples -> facts -> findings -> plan -> shards -> read back -> committed
"""

from segrecord.pipeline.judging import Scan
from segrecord.pipeline.monitor import Monitor, Silent
from segrecord.pipeline.scanning import scan
from segrecord.pipeline.verifying import originals, verify
from segrecord.pipeline.writing import Built, build

__all__ = ["Built", "Monitor", "Scan", "Silent", "build", "originals", "scan", "verify"]
