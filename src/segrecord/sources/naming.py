"""Which samples the cells of a table mean, and which of its columns names them."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from segrecord.errors import SourceError
from segrecord.sources.columns import IMAGE_NAMES, holds_files, plain
from segrecord.sources.roots import forward
from segrecord.sources.understood import Sample, few, nfc, shown
from segrecord.sources.walk import IMAGE_EXTENSIONS, extension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segrecord.options import SourceOptions
    from segrecord.sources.tabular import Cells, Grid

_ENOUGH = 0.5
"""The share of values, or of samples, that have to match in a column that is joined on."""

# Names that say "image"; "id" and "name" may as well number the rows or name the patient.
_SURE_NAMES = frozenset(IMAGE_NAMES) - {"id", "name"}


class SampleNames:
    """The samples by every name that a table may give them.

    Args:
        samples: those of one folder.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.keys = {sample.key: i for i, sample in enumerate(samples)}
        self._names: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            name = nfc(os.path.basename(sample.image))  # noqa: PTH119 - text, in a hot loop
            stem = sample.key.rpartition("/")[2]
            full = sample.key + extension(name)
            for spelled in {full, name, stem} - {sample.key}:
                self._names.setdefault(spelled, []).append(i)
        self._folder = _folder_of(samples[0]) if samples else ""

    def find(self, cell: str | None) -> list[int]:
        """The samples that the cell may mean: by key, else by path, name or stem."""
        text = nfc(forward(cell)).removeprefix("./") if cell else ""
        if text in self.keys:
            return [self.keys[text]]
        if found := self._names.get(text):
            return found
        bare, kind = os.path.splitext(text)  # noqa: PTH122 - text, in a hot loop
        if kind.lower() not in IMAGE_EXTENSIONS:
            return self._below_folder(text)
        # The table may call a PNG copy by its original's name, x.jpg.
        found = [self.keys[bare]] if bare in self.keys else self._names.get(bare, [])
        return found or self._below_folder(bare)

    def _below_folder(self, path: str) -> list[int]:
        """The sample of a path that starts above the source's folder, on this machine or another.

        Only what follows the folder's own name counts: test/1.png is no image of train/.
        """
        parts = path.split("/")
        for i, part in enumerate(parts[:-1], 1):
            if part == self._folder and (key := "/".join(parts[i:])) in self.keys:
                return [self.keys[key]]
        return []


def _folder_of(sample: Sample) -> str:
    """The name of the source's folder: what stands before the key in the image's path."""
    parts = Path(sample.image).absolute().parts
    above = parts[: -1 - sample.key.count("/")]
    return nfc(above[-1]) if above else ""


def key_column(grid: Grid, names: SampleNames, options: SourceOptions) -> str:
    """The column that was named, or the one whose values name the samples.

    Raises:
        SourceError: a named column does not exist, no column names the samples, or several do,
            and differently.
    """
    if options.key_column is not None:
        return grid.column(options.key_column, "--key-column")
    if options.image_column is not None:
        return grid.column(options.image_column, "--image-column")
    shares = {column: _share(cells, names) for column, cells in grid.columns.items()}
    likely = [column for column, share in shares.items() if share >= _ENOUGH]
    if not likely:
        closest = max(shares, key=lambda column: shares[column] + _preference(column))
        raise SourceError(
            f"no column of {grid.name} names the samples (closest: {shown(closest)}, "
            f"{described(grid, closest, names)}); name it with --key-column"
        )
    sure = [column for column in likely if plain(column) in _SURE_NAMES]
    found = {name: [names.find(cell) for cell in grid.columns[name]] for name in sure or likely}
    best = max(
        found,
        key=lambda column: (sum(len(one) == 1 for one in found[column]), _preference(column)),
    )
    others = found if sure else _files(grid, names) | found
    for other in others:
        pair = sorted((best, other), key=list(grid.columns).index)
        _check_agreement(grid, pair, others)
    return best


def _files(grid: Grid, names: SampleNames) -> dict[str, list[list[int]]]:
    """What columns of image files mean by their last parts: folders may be unknown, or wrong."""
    return {
        column: [names.find(posixpath.basename(forward(cell or ""))) for cell in cells]
        for column, cells in grid.columns.items()
        if holds_files(cells)
    }


def _share(cells: Cells, names: SampleNames) -> float:
    """The larger of: the share of the values that match a sample, of the samples matched."""
    values = {cell for cell in cells if cell}
    found = [names.find(value) for value in values]
    matched = {i for numbers in found for i in numbers}
    hits = sum(map(bool, found))
    # A column with few values (an age, a view) that match by chance names no samples.
    distinct = len(values) / max(1, sum(cell is not None for cell in cells))
    return max(hits / max(1, len(values)), len(matched) / max(1, len(names.keys))) * distinct


def _preference(column: str) -> float:
    """A little more for the usual names, so that they win where two columns match alike."""
    name = plain(column)
    return 0.001 * (len(IMAGE_NAMES) - IMAGE_NAMES.index(name)) if name in IMAGE_NAMES else 0.0


def _check_agreement(grid: Grid, pair: list[str], found: dict[str, list[list[int]]]) -> None:
    """Refuse two columns of which one is a row number, or names another image of the row."""
    one, other = (found[column] for column in pair)
    for position, (a, b) in enumerate(zip(one, other, strict=True)):
        if a and b and set(a).isdisjoint(b):
            cells = (shown(grid.columns[column][position] or "") for column in pair)
            raise SourceError(
                f"{' and '.join(map(shown, pair))} of {grid.name} both name samples, but not the "
                f"same ones ({grid.row(position)}: {' and '.join(cells)}); say which is right "
                "with --key-column"
            )


def described(grid: Grid, column: str, names: SampleNames) -> str:
    """What a column holds and what it should, where it names no sample."""
    example = next((cell for cell in grid.columns[column] if cell), "")
    return f"for example {shown(example)}; the samples are called {few(names.keys)}"
