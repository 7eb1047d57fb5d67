"""`findings.csv` by record: which rows of the index have something said of them, and what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from segrecord.building.sidecars import FINDINGS_FILE
from segrecord.codes import way_out
from segrecord.errors import Finding, RecordError
from segrecord.records import regular
from segrecord.tables import FINDINGS

if TYPE_CHECKING:
    import numpy.typing as npt


class Findings:
    """The findings that name a record of the dataset, ordered by its row.

    Those of samples that were left out, and those of the dataset as a whole, are in the report.

    Attributes:
        codes: how many records each code concerns, by code.
    """

    def __init__(self, table: pa.Table, keys: pa.ChunkedArray) -> None:
        rows = pc.index_in(table["key"], value_set=keys.combine_chunks())
        table = table.append_column("row", rows).filter(rows.is_valid()).sort_by("row")
        self._table = table
        self._row = table["row"].to_numpy().astype(np.int64)
        named = zip(table["code"].to_pylist(), self._row.tolist(), strict=True)
        self.codes = dict(sorted(Counter(code for code, _ in set(named)).items()))

    def rows(self, code: str) -> npt.NDArray[np.int64]:
        """The rows, ascending, of the records that this code concerns; some perhaps twice."""
        found: npt.NDArray[np.int64] = self._row[pc.equal(self._table["code"], code).to_numpy()]
        return found

    def of_row(self, row: int) -> list[dict[str, str]]:
        """What was found of this record: level, code, message and fix of each finding."""
        first, end = np.searchsorted(self._row, [row, row + 1])
        part = self._table.slice(first, end - first)
        found = (Finding(**row) for row in part.select(FINDINGS.names).to_pylist())
        return [
            {"level": one.level, "code": one.code, "message": one.message, "fix": way_out(one)}
            for one in found
        ]


def read(dataset: str | Path) -> pa.Table:
    """The findings of the dataset in this folder (`tables.FINDINGS`); none where it has no list.

    Raises:
        RecordError: the list is damaged.
    """
    path = Path(dataset) / FINDINGS_FILE
    types = {field.name: field.type for field in FINDINGS}
    try:
        with regular.open_binary(path) as file:
            return pyarrow.csv.read_csv(
                file,
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types, include_columns=FINDINGS.names, strings_can_be_null=False
                ),
            )
    except FileNotFoundError:
        return FINDINGS.empty_table()
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(str(path), f"is no list of findings: {reason}") from None
