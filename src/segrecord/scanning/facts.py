"""Samples in, facts out: the scan as a stage over an engine.

Rows are scanned in small tasks, in any order; what an earlier scan knows of a file is used
again when the file's SHA-256 is still the same. A task that its worker did not survive is taken
apart row by row, so that the one bad file is named and no other is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks.mask_values import decide
from segrecord.executors import EngineFailure, Runner
from segrecord.findings import to_json
from segrecord.images.mask import ValueMap
from segrecord.options import Checks, PixelOptions, RecordOptions
from segrecord.scanning.checkpoint import KEPT, KeptScan
from segrecord.scanning.worker import Digests, DraftRule, Row, Scanned, ScanTask, scan_rows

TASK_ROWS = {"full": 32, "basic": 32, "none": 256}
"""Rows a task: small enough to share the work out evenly, large enough to hide a task's cost."""

RANK = {"none": 0, "basic": 1, "full": 2}

FULL_ONLY = ("pixels_sha256", "mean", "std", "histogram", "phash", "transparent")
"""Facts that only full checks find."""

Progress = Callable[[int], None]

_Reusable = dict[int, tuple[int, Digests]]
"""For each row with an earlier fact that is close enough: its row there and its hashes."""


def draft_rule(pixels: PixelOptions, records: RecordOptions) -> DraftRule | None:
    """How masks can be drafted during the scan, or None where they are not stored as PNG."""
    if records.schema == "raw":
        return None
    named = pixels.mask_map is not None or pixels.mask_threshold is not None
    value_map = decide([], pixels).map if named else None
    return DraftRule(
        value_map, pixels.mask_fit, pixels.size, pixels.mask_invert, records.mask_values
    )


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
    reusable = _reusable(samples, earlier, checks)
    tables, order, done = [], [], 0
    for start, rows in _scanned(engine, samples, checks, kept.rule, reusable):
        fresh = [row for row, scanned in enumerate(rows, start) if scanned.facts]
        if fresh:
            tables.append(kept.add([rows[row - start] for row in fresh]))
        same = [row for row, scanned in enumerate(rows, start) if not scanned.facts]
        if same:
            taken = earlier.take(pa.array([reusable[row][0] for row in same]))
            if checks != "full":  # as this scan would have found them, not a closer look
                taken = _with(taken, "checks", pa.array([checks] * len(same), pa.string()))
                for name in FULL_ONLY:
                    taken = _with(taken, name, pa.nulls(len(same), KEPT.field(name).type))
            tables.append(taken)
        order += fresh + same
        done += len(rows)
        progress(done)
    table = pa.concat_tables([*tables, KEPT.empty_table()])
    return table.take(pa.array(np.argsort(np.array(order, np.int64))))


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


def _reusable(samples: pa.Table, earlier: pa.Table, checks: Checks) -> _Reusable:
    if not len(earlier) or checks == "none":
        return {}
    places = pc.index_in(samples["key"], value_set=earlier["key"]).to_pylist()
    ranks = [RANK[each] for each in earlier["checks"].to_pylist()]
    images, masks = earlier["image_sha256"].to_pylist(), earlier["masks"].to_pylist()
    # Files that had problems are read again: a problem names the path it was met at.
    problems = pc.list_value_length(earlier["problems"]).to_pylist()
    return {
        row: (there, (images[there], tuple(mask["sha256"] for mask in masks[there] or ())))
        for row, there in enumerate(places)
        if there is not None and ranks[there] >= RANK[checks] and not problems[there]
    }


def _scanned(
    engine: Runner, samples: pa.Table, checks: Checks, draft: DraftRule | None, reusable: _Reusable
) -> Iterator[tuple[int, list[Scanned]]]:
    """(first row, results) of every task; rows that kill their worker come as a problem."""

    def task(start: int, step: int) -> ScanTask:
        rows = _rows(samples.slice(start, step))  # all at once they outweigh the tables
        own = (reusable.get(row) for row in range(start, start + len(rows)))
        earlier = tuple(digests[1] if digests else None for digests in own)
        return ScanTask(tuple(rows), checks, draft, earlier)

    step = TASK_ROWS[checks]
    failed: list[int] = []
    starts = range(0, len(samples), step)
    for number, result in engine.run(scan_rows, (task(start, step) for start in starts)):
        if isinstance(result, EngineFailure):
            failed += range(starts[number], min(starts[number] + step, len(samples)))
        else:
            yield starts[number], result
    for number, result in engine.run(scan_rows, (task(row, 1) for row in failed)):
        if not isinstance(result, EngineFailure):
            yield failed[number], result
            continue
        (lost,) = _rows(samples.slice(failed[number], 1))
        values = to_json({"end": result.message})
        problem = {"code": "crashed", "path": result.note or lost.image, "values": values}
        facts = {"key": lost.key, "checks": checks, "problems": [problem]}
        yield failed[number], [Scanned(facts | {"masks": [{} for _ in lost.masks]}, None)]


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
