"""Which column of a table means what, told by names and confirmed by values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segrecord.errors import SourceError
from segrecord.sources.roles import split_of
from segrecord.sources.understood import few, shown
from segrecord.sources.walk import IMAGE_EXTENSIONS, extension

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_SPLIT_NAMES = ["split", "set", "subset", "fold", "partition", "splits", "datasplit"]
# Never taken unasked: a wrong group is as bad as none, and only a person knows which is right.
_GROUP_NAMES = frozenset(
    [
        "patient",
        "patientid",
        "patientnumber",
        "lesion",
        "lesionid",
        "subject",
        "subjectid",
        "case",
        "caseid",
        "participant",
        "participantid",
        "group",
        "groupid",
    ]
)
_SURE_SHARE = 0.5
_OWN_HEADER = ["key", "image_path"]
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
    label = named.get("label") or _guess(grid, _LABEL_NAMES, taken)
    split = named.get("split") or _guess_split(grid, taken)
    if named.get("split"):
        _check_split(grid, named["split"])
    known = {*taken, *options.keep_columns, *named.values(), label, split}
    one_hot = () if label else _one_hot(grid, known)
    return Columns(named.get("key"), image, masks, label, one_hot, named.get("group"), split, own)


def group_hints(grid: Grid, columns: Columns) -> tuple[str, ...]:
    """A word on each column that may name the patient, where no group column is given."""
    if columns.group is not None:
        return ()
    return tuple(
        f"column {shown(name)} may name the patient or lesion: pass --group-column {shown(name)} "
        "so that no two splits share one"
        for name in grid.columns
        if plain(name) in _GROUP_NAMES
    )


def _guess(grid: Grid, names: Sequence[str], taken: set[str]) -> str | None:
    """The first of these names that a free column with any value has."""
    free = {plain(name): name for name in reversed(grid.columns) if name not in taken}
    for name in names:
        if name in free and any(grid.columns[free[name]]):
            return free[name]
    return None


def _masks(grid: Grid, named: str | None, taken: set[str]) -> tuple[str, ...]:
    """The mask column and its numbered companions: mask_path, mask_path_2, ..."""
    if named is not None:
        return (named,)
    first = None
    for name in _MASK_NAMES:
        free = [c for c in grid.columns if plain(c) == name and c not in taken]
        # "label" and "annotation" are masks only where they hold file names.
        sure = name not in {"label", "annotation"}
        first = next((c for c in free if sure or _holds_files(grid.columns[c])), None)
        if first is not None:
            break
    if first is None:
        return ()
    more = re.compile(re.escape(plain(first)) + r"\d+")
    return (first, *(c for c in grid.columns if c not in taken and more.fullmatch(plain(c))))


def _holds_files(cells: Cells) -> bool:
    full = [cell for cell in cells if cell]
    files = sum(extension(cell) in IMAGE_EXTENSIONS for cell in full)
    return files > _SURE_SHARE * len(full)


def _guess_split(grid: Grid, taken: set[str]) -> str | None:
    for name in _SPLIT_NAMES:
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


def is_on(cell: str | None) -> bool | None:
    """Whether a one-hot cell is set; None where it is empty."""
    return None if cell is None or not cell.strip() else cell.strip().lower() in _ON
