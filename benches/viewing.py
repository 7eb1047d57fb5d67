"""Viewing, measured: a page of 60 thumbnails out of a million records, as a browser asks for it.

    python benches/viewing.py SOURCE OUT

SOURCE is built once (schema plain, four shards). OUT/viewing is a dataset of a million rows over
those shards: each record stands in the index many times, under a key of its own. A server process
answers; this one asks for random pages, the list first, then its pictures, as the page itself does,
and prints the milliseconds of each page as JSON.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measure
import table
from table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from segrecord.format.manifest import Manifest
    from table import Bench

RECORDS = 1_000_000
SHARDS = 4
PAGES = 60
LIMIT = 200.0
"""Milliseconds."""

_BATCH = 1_000_000  # rows a record batch, as segrecord writes them


def pages(bench: Bench) -> list[Row]:
    """A page of the list with its pictures, and a search whose answer nobody has kept."""
    out = str(bench.out.with_name("viewer"))
    found = measure.run((sys.executable, __file__, bench.small.ids, out)).printed
    what = f"a page of 60 thumbnails out of {RECORDS:,} records"
    return [
        _row(what, found["page"], LIMIT),
        _row(f"searching {RECORDS:,} keys, the first page without its pictures", found["search"]),
        _row(f"sorting {RECORDS:,} records for the first time", found["sort"]),
        _row(f"opening {RECORDS:,} records, until the first page is there", found["opened"]),
    ]


CASES: dict[str, tuple[str, Callable[[Bench], list[Row]]]] = {
    "pages": ("pages of the viewer", pages)
}


def _row(what: str, spent: list[float], limit: float | None = None) -> Row:
    middle = table.middle(spent)
    figure = f"{middle:.0f} ms ({min(spent):.0f} to {max(spent):.0f})"
    met = None if limit is None else middle < limit
    target = "" if limit is None else f"below {limit:.0f} ms"
    return Row(what, f"{middle:.0f} ms", "", figure, target, met)


def make(source: str, out: Path) -> Path:
    """The dataset of RECORDS rows, written anew; the manifest last."""
    import segrecord
    from segrecord.format import manifest as manifests

    shutil.rmtree(out, ignore_errors=True)
    few, many = out / "few", out / "viewing"
    segrecord.build(source, few, schema="plain", shards=SHARDS, checks="basic")
    shutil.copytree(few, many, ignore=shutil.ignore_patterns(manifests.MANIFEST, "*.csv"))
    manifest = manifests.load(few)
    _write_index(segrecord.open(few).records, manifest, many / manifests.INDEX)
    (many / manifests.MANIFEST).write_bytes(manifests.dumps(_enlarged(manifest)))
    return many


def _write_index(few: pa.Table, manifest: Manifest, path: Path) -> None:
    """The rows of each shard again and again, under new keys."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from segrecord.tables import TEXT

    shards = manifest.splits["train"].shards
    every = RECORDS // len(shards)
    rows = [shard.first_row + np.arange(every) % shard.records for shard in shards]
    index = few.combine_chunks().take(pa.array(np.concatenate(rows)))
    numbers = pc.utf8_lpad(pc.cast(pa.array(np.arange(len(index))), TEXT), 7, "0")
    keys = pc.binary_join_element_wise(index["key"], numbers, pa.scalar("-", TEXT))
    index = index.set_column(0, index.schema.field("key"), keys)
    with pa.ipc.new_file(str(path), index.schema) as writer:
        writer.write_table(index.combine_chunks(), max_chunksize=_BATCH)


def _enlarged(manifest: Manifest) -> Manifest:
    split = manifest.splits["train"]
    every = RECORDS // len(split.shards)
    shards = tuple(
        shard.model_copy(update={"records": every, "first_row": number * every})
        for number, shard in enumerate(split.shards)
    )
    whole = split.model_copy(update={"records": RECORDS, "shards": shards})
    return manifest.model_copy(update={"samples": RECORDS, "splits": {"train": whole}, "files": {}})


@contextmanager
def served(dataset: Path) -> Iterator[int]:
    """A server of this dataset in a process of its own; gives its port."""
    said = f"from segrecord.viewer.app import serve; serve({str(dataset)!r}, marks='m.csv')"
    command = (sys.executable, "-c", said)
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=dataset.parent) as server:
        assert server.stdout is not None
        try:
            yield int(re.findall(rb":(\d+)/", server.stdout.readline())[0])
        finally:
            server.terminate()


def _page(line: HTTPConnection, query: str) -> list[int]:
    """The rows of a page of the list."""
    answer = json.loads(_get(line, f"/api/records?{query}"))
    return [record["row"] for record in answer["records"]]


def _pictures(line: HTTPConnection, rows: list[int]) -> None:
    content = _get(line, f"/api/thumbs?rows={','.join(map(str, rows))}")
    if content.count(b'"picture"') != len(rows):
        raise RuntimeError(f"{len(rows)} pictures were asked for, {content[:200]!r} came")


def _get(line: HTTPConnection, path: str) -> bytes:
    line.request("GET", path)
    answer = line.getresponse()
    content = answer.read()
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"{path}: {answer.status} {content[:200]!r}")
    return content


def _milliseconds(began: float) -> float:
    return 1000 * (time.perf_counter() - began)


def measured(line: HTTPConnection) -> dict[str, list[float]]:
    """Milliseconds of sorting, of searching, and of PAGES pages with their pictures."""
    chance = random.Random(0)
    found: dict[str, list[float]] = {"sort": [], "search": [], "page": []}
    for sort in ("key", "coverage", "size"):
        began = time.perf_counter()
        _page(line, f"sort={sort}")
        found["sort"].append(_milliseconds(began))
    for _ in range(PAGES):
        began = time.perf_counter()
        _page(line, f"search={chance.randrange(1000):03}&sort=coverage&order=desc")
        found["search"].append(_milliseconds(began))
    for _ in range(PAGES):
        number = chance.randrange(RECORDS // 60)
        began = time.perf_counter()
        _pictures(line, _page(line, f"sort=coverage&order=desc&page={number + 1}"))
        found["page"].append(_milliseconds(began))
    return found


def main() -> None:
    """Make the dataset, and print what was measured as JSON."""
    dataset = make(sys.argv[1], Path(sys.argv[2]))
    began = time.perf_counter()
    with served(dataset) as port, closing(HTTPConnection("127.0.0.1", port)) as line:
        _page(line, "")
        found: dict[str, Any] = {"opened": [_milliseconds(began)], **measured(line)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
