"""Which column of a table means what, told by names and confirmed by values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segrecord.errors import SourceError
from segrecord.sources.understood import few, shown
from segrecord.sources.walk import IMAGE_EXTENSIONS, extension
from segrecord.sources.words import split_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from segrecord.options import SourceOptions
    from segrecord.sources.tabular import Cells, Grid

# Names as `plain` gives them, the surest first.
IMAGE_NAMES = [
    "imagepath",
    "imagefile",
    "imagefilename",
    "filepath",
    "filename",
    "imagename",
    "image",
    "img",
    "imgpath",
    "imgfile",
    "images",
    "imagefilepath",
    "file",
    "path",
    "imageid",
    "isicid",
    "imageindex",
    "imgid",
    "id",
    "name",
]
_MASK_NAMES = [
    "maskpath",
    "maskfile",
    "maskfilename",
    "maskname",
    "mask",
    "masks",
    "maskfilepath",
    "segmentationpath",
    "segmentationmask",
    "segmentation",
    "segmentationfile",
    "segpath",
    "seg",
    "gt",
    "groundtruth",
    "maskid",
    "annotationpath",
    "labelpath",
    "annotation",
    "label",
]
_LABEL_NAMES = [
    "class",
    "label",
    "classname",
    "labelname",
    "finding",
    "findings",
    "findinglabels",
    "diagnosis",
    "dx",
    "category",
    "target",
    "pathology",
    "disease",
    "classes",
    "labels",
    "y",
]
SPLIT_NAMES = ["split", "set", "subset", "fold", "partition", "splits", "datasplit"]
_SURE_SHARE = 0.5
_OWN_HEADER = ["key", "image_path"]
_DIGITS = re.compile(r"\d+")
_SPLIT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ON = frozenset(["1", "1.0", "true"])
_OFF = frozenset(["0", "0.0", "false"])


@dataclass(frozen=True)
class Columns:
    """The columns of a table by what they mean."""

    key: str | None
    image: str | None
    masks: tuple[str, ...]
    label: str | None
    one_hot: tuple[str, ...]
    group: str | None
    split: str | None
    own: bool
    """The table was written by segrecord (--write-samples): names are what they say."""
    binary: bool = False
    """The class column holds only 0 and 1 (or false and true): a class or not."""

    def sentence(self) -> str:
        """Which columns were taken, in words."""
        named = [("image", self.image), ("mask", ", ".join(self.masks) or None)]
        named += [("class", self.label), ("class (one-hot)", ", ".join(self.one_hot) or None)]
        named += [("group", self.group), ("split", self.split), ("key", self.key)]
        return ", ".join(f"{what} = column {shown(name)}" for what, name in named if name)


def plain(name: str) -> str:
    """A column's name in lower case without blanks, dots, "_" and "-"."""
    return re.sub(r"[\s._\-]+", "", name.lower())


def find_columns(
    grid: Grid, options: SourceOptions, *, with_images: bool, used: Sequence[str] = ()
) -> Columns:
    """The columns as named in the options, or guessed.

    Args:
        grid: the table.
        options: columns named there have to exist.
        with_images: whether the table lists images and masks (a listing) or not (metadata).
        used: columns that mean something else already; they are not guessed.

    Raises:
        SourceError: a named column does not exist, or a split column holds no split names.
    """
    own = with_images and list(grid.columns)[:2] == _OWN_HEADER
    named = {
        role: grid.column(name, f"--{role}-column")
        for role in ("key", "image", "mask", "label", "group", "split")
        if (name := getattr(options, f"{role}_column")) is not None
    }
    for name in options.keep_columns:
        grid.column(name, "--keep-columns")
    taken = {*named.values(), *used}
    image = named.get("image") or (_guess(grid, IMAGE_NAMES, taken) if with_images else None)
    taken |= {image} if image else set()
    masks = _masks(grid, named.get("mask"), taken) if with_images else ()
    taken |= set(masks)
    if own:
        taken |= set(options.keep_columns)
        for role in ("key", "group", "split"):
            if role in grid.columns:
                named.setdefault(role, role)
    elif with_images and "key" not in named:
        for name in key_columns(grid, taken, options)[:1]:
            if _is_key(grid, name):
                named["key"] = name
                taken.add(name)
    files = {name for name, cells in grid.columns.items() if holds_files(cells)}
    label = named.get("label") or _guess(grid, _LABEL_NAMES, taken | files)
    split = named.get("split") or _guess_split(grid, taken)
    if named.get("split"):
        _check_split(grid, named["split"])
    known = {*taken, *options.keep_columns, *named.values(), label, split}
    one_hot = () if label else _one_hot(grid, known)
    binary = label is not None and not own and _is_yes_or_no(label, grid.columns[label])
    return Columns(
        named.get("key"), image, masks, label, one_hot, named.get("group"), split, own, binary
    )


def key_columns(grid: Grid, taken: Collection[str], options: SourceOptions) -> list[str]:
    """The free columns that are called "key"."""
    taken = {*taken, *options.keep_columns}
    return [name for name in grid.columns if plain(name) == "key" and name not in taken]


def _is_key(grid: Grid, name: str) -> bool:
    """Whether each row has a value of its own there."""
    values = [cell.strip() for cell in grid.columns[name] if cell and cell.strip()]
    return len(set(values)) == len(grid.rows)


def _guess(grid: Grid, names: Sequence[str], taken: set[str]) -> str | None:
    """The first of these names that a free column with any value has."""
    free = {plain(name): name for name in reversed(grid.columns) if name not in taken}
    for name in names:
        if name in free and any(grid.columns[free[name]]):
            return free[name]
    return None


def _masks(grid: Grid, named: str | None, taken: set[str]) -> tuple[str, ...]:
    """The columns of masks by number: mask_path and mask_path_2, or mask1 and mask2."""
    if named is not None:
        return (named,)
    for name in _MASK_NAMES:
        found = [
            column
            for column, cells in grid.columns.items()
            if _DIGITS.sub("", plain(column)) == name
            and column not in taken
            and _may_be_masks(plain(column), cells)
        ]
        if found:
            return tuple(sorted(found, key=_number))
    return ()


def _number(column: str) -> int:
    """The first number in a column's name; a name without one comes first."""
    match = _DIGITS.search(column)
    return int(match[0]) if match else -1


def _may_be_masks(name: str, cells: Cells) -> bool:
    """Whether a column of this name is one of masks, or may hold something else."""
    bare = _DIGITS.sub("", name)
    if bare in {"label", "annotation"}:
        return holds_files(cells)
    # mask1 may hold paths or bare stems; seg1, a number: a score, an area.
    return name == bare or not all(_is_number(cell) for cell in cells if cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def holds_files(cells: Cells) -> bool:
    """Whether most of the full cells end like an image file."""
    full = [cell.strip() for cell in cells if cell and cell.strip()]
    files = sum(extension(cell) in IMAGE_EXTENSIONS for cell in full)
    return files > _SURE_SHARE * len(full)


def _guess_split(grid: Grid, taken: set[str]) -> str | None:
    for name in SPLIT_NAMES:
        for column in grid.columns:
            if plain(column) == name and column not in taken:
                values = {cell for cell in grid.columns[column] if cell and cell.strip()}
                if values and all(split_of(value) for value in values):
                    return column
    return None


def _check_split(grid: Grid, column: str) -> None:
    values = {cell.strip() for cell in grid.columns[column] if cell and cell.strip()}
    bad = sorted(value for value in values if not _SPLIT.fullmatch(value))
    if bad:
        raise SourceError(
            f"column {shown(column)} of {grid.name} holds {few(bad)}; a split's name must be "
            "letters, digits and _, beginning with a letter"
        )


def split_name(cell: str | None) -> str | None:
    """The split that a cell names: train, val and test in one spelling, others as written."""
    if cell is None or not cell.strip():
        return None
    return split_of(cell) or cell.strip()


def _one_hot(grid: Grid, known: set[str | None]) -> tuple[str, ...]:
    """The columns that hold only 0 and 1, where there are at least two."""
    found = [
        name for name, cells in grid.columns.items() if name not in known and _is_binary(cells)
    ]
    return tuple(found) if len(found) > 1 else ()


def _is_binary(cells: Cells) -> bool:
    values = {cell.strip().lower() for cell in cells if cell and cell.strip()}
    return bool(values) and values <= _ON | _OFF


def _is_yes_or_no(column: str, cells: Cells) -> bool:
    """Whether a class column holds 0 and 1; of one called "class" 1.0 alone may be a name."""
    both = len({is_on(cell) for cell in cells} - {None}) > 1
    return _is_binary(cells) and (both or not names_a_class(column))


def names_a_class(column: str) -> bool:
    """Whether 0 and 1 below this name are numbers of classes rather than no and yes."""
    return plain(column) in _LABEL_NAMES


def may_be_labels(grid: Grid, taken: Collection[str | None]) -> list[str]:
    """The columns that may hold classes, those of 0 and 1 first: few values, each several times."""
    found = []
    for name, cells in grid.columns.items():
        full = [cell.strip() for cell in cells if cell and cell.strip()]
        values = set(full)
        few = 1 < len(values) <= min(_MOST_CLASSES, len(full) // 2)
        words = not any(_is_number(value) for value in values) and not holds_files(cells)
        if name not in taken and (_is_binary(cells) or (words and few)):
            found.append(name)
    return sorted(found, key=lambda name: not _is_binary(grid.columns[name]))


_MOST_CLASSES = 50
"""Where more different words stand in a column, it is no class that comes unnamed."""


def is_on(cell: str | None) -> bool | None:
    """Whether a one-hot cell is set; None where it is empty."""
    return None if cell is None or not cell.strip() else cell.strip().lower() in _ON
