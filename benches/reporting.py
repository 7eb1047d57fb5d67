"""Reporting, measured: the report of 21,000 samples, from the finished dataset to the file.

    python benches/reporting.py OUT

FEW samples of the demonstration set, enlarged to the size of photographs, are built once. OUT/many
is a dataset of SAMPLES rows over their shards: each record stands in the index, in the facts and
in the list of findings many times, under a key of its own. Prints seconds and bytes as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measure
from table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from segrecord.findings import Finding
    from segrecord.format.manifest import Manifest, Split
    from table import Bench

SAMPLES = 21_000
FEW = 60
SCALE = 4
"""The demonstration's 256 x 192 become 1024 x 768."""

SECONDS = 20.0
BYTES = 5_000_000
_CODES = (
    *("empty-mask", "small-mask", "near-duplicate", "duplicate", "similar-pair", "outlier-size"),
    *("personal-metadata", "dark-image", "duplicate-split", "png-crc", "stale-name", "full-mask"),
)
_EVERY = 14  # samples from one that a code names to the next


def reports(bench: Bench) -> list[Row]:
    """How long the report of a large dataset takes, and how large it is."""
    out = str(bench.out.with_name("reporting"))
    done = measure.run((sys.executable, __file__, out), memory=True)
    seconds, size, peak = done.printed["seconds"], done.printed["bytes"], max(done.peaks)
    what = f"the report of {SAMPLES:,} samples"
    figure, promised = f"{seconds:.1f} s, {peak / 1e6:.0f} MB of memory", f"below {SECONDS:.0f} s"
    return [
        Row(what, f"{seconds:.1f} s", "", figure, promised, seconds < SECONDS),
        Row(f"{what}, as a file", f"{size / 1e6:.1f} MB", "", "", "below 5 MB", size < BYTES),
    ]


CASES: dict[str, tuple[str, Callable[[Bench], list[Row]]]] = {"report": ("the report", reports)}


def draw(folder: Path) -> Path:
    """The demonstration's pictures and masks, enlarged, with the grain of a sensor."""
    import numpy as np
    from PIL import Image

    from segrecord import demo

    demo.draw(folder, FEW)
    rng = np.random.default_rng(0)
    for path in sorted(folder.glob("*/*.*")):
        picture = Image.open(path)
        size = (picture.width * SCALE, picture.height * SCALE)
        if path.suffix == ".png":
            picture.resize(size, Image.Resampling.NEAREST).save(path)
            continue
        pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
        grain = pixels + rng.normal(0, 6, pixels.shape)
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(path, quality=92)
    return folder


def make(out: Path) -> Path:
    """The dataset of SAMPLES rows, written anew; the manifest last."""
    import segrecord
    from segrecord.export import sidecars
    from segrecord.format import manifest as manifests

    shutil.rmtree(out, ignore_errors=True)
    few, many = out / "few", out / "many"
    source = draw(out / "source")
    metadata = str(source / "metadata.csv")
    columns: dict[str, Any] = {"label_column": "diagnosis", "group_column": "patient_id"}
    segrecord.build(source, few, schema="plain", shards=2, metadata=metadata, **columns)
    shutil.copytree(few, many, ignore=shutil.ignore_patterns(manifests.MANIFEST))
    manifest = _enlarged(manifests.load(few))
    keys = _write_tables(few, many, manifest)
    (many / sidecars.FINDINGS_FILE).write_bytes(sidecars.findings_csv(_findings(keys)))
    (many / manifests.MANIFEST).write_bytes(manifests.dumps(manifest))
    return many


def _enlarged(manifest: Manifest) -> Manifest:
    """Every shard with so many times its records."""
    times, first = SAMPLES // manifest.samples, 0
    splits: dict[str, Split] = {}
    for name, split in manifest.splits.items():
        shards = []
        for shard in split.shards:
            counts = {label: count * times for label, count in shard.class_counts.items()}
            numbers = {"records": shard.records * times, "first_row": first, "class_counts": counts}
            shards.append(shard.model_copy(update=numbers))
            first += shard.records * times
        whole = {label: count * times for label, count in split.class_counts.items()}
        numbers = {"records": split.records * times, "shards": tuple(shards), "class_counts": whole}
        splits[name] = split.model_copy(update=numbers)
    masks = manifest.masks.model_copy(update={"missing": manifest.masks.missing * times})
    told = {"samples": first, "splits": splits, "masks": masks, "files": {}}
    return manifest.model_copy(update=told)


def _write_tables(few: Path, many: Path, manifest: Manifest) -> list[str]:
    """Index and facts with the rows of each shard again and again; returns the keys."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    import segrecord

    index = segrecord.open(few).records.combine_chunks()
    with pa.memory_map(str(few / "facts.arrow")) as file:
        facts = pa.ipc.open_file(file).read_all().combine_chunks()
    times = manifest.samples // len(index)
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    starts = [shard.first_row // times + np.arange(shard.records) % (shard.records // times)
              for shard in shards]  # fmt: skip
    rows = pa.array(np.concatenate(starts))
    stands = pc.index_in(index["key"], value_set=facts["key"]).take(rows)
    keys = [f"{key}-{number:05d}" for number, key in enumerate(index["key"].take(rows).to_pylist())]
    _write(many / "records.arrow", index.take(rows), keys)
    _write(many / "facts.arrow", facts.take(stands), keys)
    return keys


def _write(path: Path, table: pa.Table, keys: list[str]) -> None:
    import pyarrow as pa

    table = table.set_column(0, table.schema.field("key"), pa.array(keys, pa.large_string()))
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table.combine_chunks())


def _findings(keys: list[str]) -> Iterator[Finding]:
    """Findings of many codes: those about two samples name the next one."""
    from segrecord.findings import Finding, Related

    for offset, code in enumerate(_CODES):
        for number in range(offset, len(keys) - 1, _EVERY):
            path, other = f"images/{keys[number]}.jpg", Related(keys[number + 1])
            text = {
                "message": "a value of 17 stands where 3 is allowed",
                "fix": "look at it, and correct what is wrong",
            }
            yield Finding(code, keys[number], path, (other,), text, "warning")


def main() -> None:
    """Make the dataset, then its report, and print what that took."""
    dataset = make(Path(sys.argv[1]))
    began = time.perf_counter()
    from segrecord.report import page

    path = page.write(dataset).path
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "bytes": path.stat().st_size}))


if __name__ == "__main__":
    main()
