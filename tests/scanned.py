"""Samples and facts made by hand, for the checks: a sound sample, but for what a row says."""

import numpy as np
import pyarrow as pa

from make import samples_of
from segrecord.checks.check_input import CheckInput
from segrecord.findings import Finding, from_json
from segrecord.options import Options
from segrecord.tables import FACTS

IMAGE = ("image", "labels", "group", "split")
SPREAD = dict.fromkeys(range(8, 16), 65535 // 8)
"""A histogram of middle greys."""


def histogram(shares):
    """(64 bytes) of shares of 65535 by bin, 0 to 31."""
    bins = np.zeros(32, "<u2")
    for place, share in shares.items():
        bins[place] = share
    return bins.tobytes()


def mask(counts, height=8, width=8, **facts):
    """The facts of a mask of these pixels by value; no counts: of a mask that was not read."""
    if counts is None:
        return {"bytes": 9}
    return {
        "format": "png",
        "mode": "L",
        "kind": "grey",
        "height": height,
        "width": width,
        "values": sorted(counts),
        "counts": [counts[value] for value in sorted(counts)],
    } | facts


def scanned(*rows):
    """(samples, facts) of rows like {"group": "p", "height": 9, "masks": [mask({0: 64})]}.

    A row's key is k000, k001, ...; what it does not say is that of a sound sample.
    """
    samples, facts = [], []
    for number, row in enumerate(rows):
        key = f"k{number:03d}"
        own = {name: row[name] for name in IMAGE if name in row}
        masks = row.get("masks", [])
        paths = tuple(f"{key}-mask{part}.png" for part in range(len(masks)))
        path, labels = own.get("image", f"{key}.png"), own.get("labels", ())
        samples.append((key, path, paths, labels, own.get("group"), own.get("split")))
        height, width = row.get("height", 8), row.get("width", 8)
        facts.append(
            {
                "key": key,
                "checks": "full",
                "image_format": "png",
                "image_mode": "L",
                "orientation": 1,
                "stored_height": height,
                "stored_width": width,
                "height": height,
                "width": width,
                "image_handling": "keep",
                "image_reason": "",
                "masks": masks,
                "mean": [100.0],
                "std": [40.0],
                "histogram": histogram(SPREAD),
                "metadata": [],
                "problems": [],
            }
            | {name: value for name, value in row.items() if name not in IMAGE}
        )
    return samples_of(samples), pa.Table.from_pylist(facts, FACTS)


def given(samples, facts=None, *, reading=None, splits=(), names=(), **options):
    """What a check is given of these tables."""
    facts = samples if facts is None else facts
    return CheckInput(samples, facts, Options.of(**options), reading, splits, names)


def told(findings):
    """Level, code and key of each finding."""
    return [(finding.level, finding.code, finding.key) for finding in findings]


def finding_of(problem):
    """The finding that a problem of the facts (`tables.PROBLEM`) stands for."""
    return Finding(problem["code"], path=problem["path"], values=from_json(problem["values"]))
