"""The dataset's own files as the tables that the report is made of; no shard is opened.

Index and manifest must be sound, for nothing can be said without them. Whatever else is absent or
damaged is told on the page, and does not stop it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import RecordError, counted
from segrecord.reading.arrow import mapped
from segrecord.reading.coverage import Masks, counted_masks
from segrecord.reading.index import open_index, places, require_size
from segrecord.records import manifest as manifests
from segrecord.reporting.report.findings import Findings, read_findings
from segrecord.tables import FACTS

if TYPE_CHECKING:
    import numpy.typing as npt

    from segrecord.records.manifest import Manifest

NO_CLASS = ""
"""The name of the class of samples that have none."""

_COLUMNS = ("key", "histogram", "masks")
_SHOWN = 20
"""Damaged shards that are named."""


class Data(NamedTuple):
    """What is known of a dataset without a look at its records."""

    folder: Path
    manifest: Manifest
    index: pa.Table
    """`tables.RECORDS`."""
    masks: Masks
    """The masks whose pixels are counted."""
    facts: pa.Table | None
    """Those of `_COLUMNS` that there are, in an order of their own; None: there are no facts."""
    findings: Findings
    damage: tuple[str, ...]
    """Shards and tables that are not as the manifest says, a sentence each."""

    @property
    def class_names(self) -> dict[int, str]:
        """The names of the classes by id; the last one is that of samples without a class."""
        names = {number: name for name, number in self.manifest.classes.items()}
        return names | {-1: NO_CLASS}

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) the class id of each row of the index; -1: none."""
        found: npt.NDArray[np.int64] = pc.fill_null(self.index["label"], -1).to_numpy()
        return found

    def rows_of(self, keys: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """(K,) the row of the index of each of these keys; -1: it was not written."""
        found = pc.index_in(keys, value_set=self.index["key"].combine_chunks())
        rows: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        return rows


def read(folder: Path) -> Data:
    """The tables of the dataset in this folder.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: manifest or index are damaged.
    """
    manifest = manifests.load(folder)
    index = open_index(folder, manifest)
    findings, unread = read_findings(folder)
    facts, unsound = _facts(folder / manifests.FACTS_FILE)
    damage = [*_shards(folder, manifest), *unread, *unsound]
    return Data(folder, manifest, index, counted_masks(index), facts, findings, tuple(damage))


def _shards(folder: Path, manifest: Manifest) -> list[str]:
    """The shards that are absent or have another size; no byte of them is read."""
    found: list[str] = []
    for place in places(manifest):
        try:
            require_size(folder / place.shard.name, place.shard.bytes)
        except RecordError as error:
            found.append(f"{place.shard.name} {error.rule}")
    if len(found) > _SHOWN:
        return [*found[:_SHOWN], f"and {counted(len(found) - _SHOWN, 'more shard')} not as written"]
    return found


def _facts(path: Path) -> tuple[pa.Table | None, list[str]]:
    """The columns of the facts that are there, and what is wrong with them."""
    try:
        table = mapped(path)
        known = [FACTS.field(name) for name in _COLUMNS]
        table = table.select([field.name for field in known if field in list(table.schema)])
        table.validate(full=True)  # Arrow itself checks nothing, and noise for offsets crashes it
    except FileNotFoundError:
        return None, []
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        return None, [f"{path.name} is no sound Arrow file: {reason}"]
    return (table if "key" in table.column_names else None), []
