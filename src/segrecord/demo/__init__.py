"""The embedded default: a synthetic dermoscopy set, drawn, built and verified."""

from segrecord.demo.drawing import COLUMNS, DIAGNOSES, draw, draw_chunk, picture, sample
from segrecord.demo.tour import Tour, tour

__all__ = [
    "COLUMNS",
    "DIAGNOSES",
    "Tour",
    "draw",
    "draw_chunk",
    "picture",
    "sample",
    "tour",
]
