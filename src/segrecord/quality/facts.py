"""Samples in, facts out: the scan as a stage over an engine.

Rows are scanned in small tasks, in any order; what an earlier scan knows of a file is used
again when the file's SHA-256 is still the same. A task that its worker did not survive is taken
apart row by row, so that the one bad file is named and no other is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.engines import EngineFailure, Runner
from segrecord.options import Checks, PixelOptions, RecordOptions
from segrecord.pixels.mask import ValueMap
from segrecord.quality.kept import KEPT, KeptScan
from segrecord.quality.scan import DraftRule, Row, Scanned, ScanTask, scan_rows
from segrecord.quality.values import decide

TASK_ROWS = {"full": 32, "basic": 32, "none": 256}
"""Rows a task: small enough to share the work out evenly, large enough to hide a task's cost."""

RANK = {"none": 0, "basic": 1, "full": 2}

FULL_ONLY = ("pixels_sha256", "mean", "deviation", "histogram", "phash", "transparent")
"""Facts that only full checks find."""

Progress = Callable[[int], None]


def draft_rule(pixels: PixelOptions, records: RecordOptions) -> DraftRule | None:
    """How masks can be drafted during the scan, or None where they are not stored as PNG."""
    if records.schema == "raw":
        return None
    named = pixels.mask_map is not None or pixels.mask_threshold is not None
    return DraftRule(decide([], pixels).map if named else None, pixels.mask_fit, pixels.size)


def scan(
    samples: pa.Table,
    engine: Runner,
    checks: Checks,
    kept: KeptScan,
    earlier: pa.Table,
    progress: Progress,
) -> pa.Table:
    """The facts of these samples, row by row in their order (schema KEPT).

    Args:
        samples: the samples table.
        engine: runs `scan_rows`.
        checks: how closely to look.
        kept: where to keep what is found.
        earlier: facts of earlier scans (schema KEPT), the newest first.
        progress: called with the number of rows done, now and then.
    """
    known = _known(samples, earlier, checks)
    step = TASK_ROWS[checks]
    starts = list(range(0, len(samples), step))
    tables, places, done = [], [], 0
    for number, result in _scanned(engine, samples, starts, step, checks, kept, known):
        fresh = [(place, row) for place, row in enumerate(result, number) if row.facts]
        if fresh:
            tables.append(kept.add([row for _, row in fresh]))
            places += [place for place, _ in fresh]
        same = [place for place, row in enumerate(result, number) if not row.facts]
        if same:
            taken = earlier.take(pa.array([known[place][0] for place in same]))
            tables.append(_as_scanned(taken, checks))
            places += same
        done += len(result)
        progress(done)
    table = pa.concat_tables([*tables, KEPT.empty_table()])
    return table.take(pa.array(np.argsort(np.array(places, np.int64))))


def _as_scanned(rows: pa.Table, checks: Checks) -> pa.Table:
    """Earlier facts as this scan would have found them, were they found by a closer look."""
    if checks == "full":
        return rows
    rows = _with(rows, "checks", pa.array([checks] * len(rows), pa.string()))
    for name in FULL_ONLY:
        rows = _with(rows, name, pa.nulls(len(rows), KEPT.field(name).type))
    return rows


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), KEPT.field(name), column)


def _rows(samples: pa.Table) -> list[Row]:
    masks = samples["mask"].combine_chunks()
    sources = masks.flatten().field("source").to_pylist()
    ends = pc.cumulative_sum(pc.list_value_length(masks)).to_pylist()
    rows, start = [], 0
    keys, images = samples["key"].to_pylist(), samples["image"].to_pylist()
    for key, image, end in zip(keys, images, ends, strict=True):
        rows.append(Row(key, image, tuple(sources[start:end])))
        start = end
    return rows


_Known = dict[int, tuple[int, tuple[bytes | None, tuple[bytes, ...]]]]


def _known(samples: pa.Table, earlier: pa.Table, checks: Checks) -> _Known:
    """For each row with an earlier fact that is close enough: its place there and its hashes.

    Files that had problems are read again: a problem names the path it was met at.
    """
    if not len(earlier) or checks == "none":
        return {}
    found = pc.index_in(samples["key"], value_set=earlier["key"]).to_pylist()
    level = earlier["checks"].to_pylist()
    images = earlier["image_sha256"].to_pylist()
    masks = earlier["masks"].to_pylist()
    problems = pc.list_value_length(earlier["problems"]).to_pylist()
    return {
        row: (place, (images[place], tuple(mask["sha256"] for mask in masks[place] or ())))
        for row, place in enumerate(found)
        if place is not None and RANK[level[place]] >= RANK[checks] and not problems[place]
    }


def _scanned(
    engine: Runner,
    samples: pa.Table,
    starts: list[int],
    step: int,
    checks: Checks,
    rule: KeptScan,
    known: _Known,
) -> Iterator[tuple[int, list[Scanned]]]:
    """(first row, results) of every task; rows that kill their worker come as a problem."""

    def task(start: int, end: int) -> ScanTask:
        own = tuple(known[row][1] if row in known else None for row in range(start, end))
        rows = _rows(samples.slice(start, end - start))  # all at once they outweigh the tables
        return ScanTask(tuple(rows), checks, rule.rule, own)

    failed: list[int] = []
    tasks = (task(start, min(start + step, len(samples))) for start in starts)
    for number, result in engine.run(scan_rows, tasks):
        if isinstance(result, EngineFailure):
            start = starts[number]
            failed += range(start, min(start + step, len(samples)))
        else:
            yield starts[number], result
    for number, result in engine.run(scan_rows, (task(row, row + 1) for row in failed)):
        row = failed[number]
        if isinstance(result, EngineFailure):
            (lost,) = _rows(samples.slice(row, 1))
            yield row, [Scanned(_crashed(lost, checks, result), None)]
        else:
            yield row, result


def _crashed(row: Row, checks: Checks, failure: EngineFailure) -> dict[str, Any]:
    problem = {
        "level": "error",
        "code": "crashed",
        "path": failure.note or row.image,
        "message": f"reading the file ended in: {failure.message}",
        "fix": "open the file with another program; repair it or leave it out",
    }
    return {
        "key": row.key,
        "checks": checks,
        "problems": [problem],
        "masks": [{} for _ in row.masks],
    }


def usable_drafts(facts: pa.Table, reading: ValueMap) -> pa.Array:
    """(N,) whether each row's draft means what its values turned out to mean."""
    lut = reading.lut()
    pairs = facts["draft_ids"].combine_chunks()
    flat = pairs.flatten()
    value, number = flat.field("value").to_numpy(), flat.field("id").to_numpy()
    wrong_pair = lut[np.clip(value, 0, len(lut) - 1)] != number
    wrong = np.zeros(len(facts), bool)
    wrong[pc.list_parent_indices(pairs).to_numpy()[wrong_pair]] = True
    white = facts["draft_white"].fill_null(reading.white).to_numpy()
    there = pc.is_valid(facts["draft_file"]).to_numpy()
    return pa.array(there & ~wrong & (white == reading.white))
