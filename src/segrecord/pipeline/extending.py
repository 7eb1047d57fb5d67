"""`--extend`: what the dataset that is extended says, read and held against this run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.pipeline import pseudonyms
from segrecord.planning.extending import Old
from segrecord.reading.arrow import mapped
from segrecord.reading.index import open_index
from segrecord.records import manifest as manifests
from segrecord.tables import FACTS


def read_old(dataset: str | Path, out: Path | None, secret: bytes | None) -> Old:
    """The splits of the dataset that is extended, and what its samples are known by.

    Args:
        dataset: its folder.
        out: where this run writes; None: it writes no dataset.
        secret: of this run's pseudonyms; None: none.

    Raises:
        UsageError: there is no dataset, the output lies in it, or the pseudonyms of the two are
            not of one key file.
        RecordError: its manifest, index or facts are damaged.
    """
    folder = Path(dataset).resolve()
    if out is not None and folder in (out.resolve(), *out.resolve().parents):
        raise UsageError(
            f"the output {out} lies in the dataset that is extended, {dataset}; choose a new folder"
        )
    try:
        manifest = manifests.load(dataset)
    except OutputError as error:
        raise UsageError(f"--extend: {error}") from None
    pseudonyms.require_same(manifest.pseudonymized, secret, dataset)
    index = open_index(dataset, manifest).select(["key", "group", "split"])
    plan = manifest.options.get("plan", {})
    split = plan.get("split")
    return Old(
        index.append_column("pixels_sha256", _pixels(folder, index["key"])),
        tuple((name, share) for name, share in split) if split else None,
        plan.get("folds"),
        manifest.pseudonymized,
        manifest.fingerprint,
    )


def _pixels(folder: Path, keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """(N,) SHA-256 of the decoded pixels of these samples, by the facts of their scan."""
    path, name = folder / manifests.FACTS_FILE, "pixels_sha256"
    try:
        facts = mapped(path).select(["key", name])
        facts.validate(full=True)
        pixels = facts[name].cast(FACTS.field(name).type)
        return pixels.take(pc.index_in(keys, value_set=facts["key"]))
    except FileNotFoundError:
        raise RecordError(str(path), "the file is missing") from None
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no sound Arrow file of facts: {reason}") from None
