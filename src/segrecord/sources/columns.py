"""What the columns of a table mean, by names and values, and what its rows say beyond files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from segrecord.errors import SourceError
from segrecord.findings import Finding
from segrecord.options import SourceOptions
from segrecord.sources.loaded import Sample, named
from segrecord.sources.names import IMAGE_EXTENSIONS, extension, split_of
from segrecord.sources.tabular import Cells, Grid
from segrecord.wording import few, shown

# Names as `plain` gives them, the surest first.
IMAGE_NAMES = (
    *("imagepath", "imagefile", "imagefilename", "filepath", "filename", "imagename", "image"),
    *("img", "imgpath", "imgfile", "images", "imagefilepath", "file", "path", "imageid", "isicid"),
    *("imageindex", "imgid", "id", "name"),
)
_MASK_NAMES = (
    *("maskpath", "maskfile", "maskfilename", "maskname", "mask", "masks", "maskfilepath"),
    *("segmentationpath", "segmentationmask", "segmentation", "segmentationfile", "segpath", "seg"),
    *("gt", "groundtruth", "maskid", "annotationpath", "labelpath", "annotation", "label"),
)
_LABEL_NAMES = (
    *("class", "label", "classname", "labelname", "finding", "findings", "findinglabels"),
    *("diagnosis", "dx", "category", "target", "pathology", "disease", "classes", "labels", "y"),
)
_SPLIT_NAMES = ("split", "set", "subset", "fold", "partition", "splits", "datasplit")

# Never taken unasked: a wrong group is as bad as none, and only a person knows which is right.
_GROUP_NAMES = frozenset(
    [
        *("patient", "patientid", "patientnumber", "lesion", "lesionid", "subject", "subjectid"),
        *("case", "caseid", "participant", "participantid", "group", "groupid"),
    ]
)

_MOST_CLASSES = 50
"""Where more different words stand in a column, it is no class that comes unnamed."""

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

    @property
    def gives_class(self) -> bool:
        """Whether the table says the samples' classes."""
        return self.label is not None or bool(self.one_hot)

    def sentence(self) -> str:
        """Which columns were taken, in words."""
        columns = {
            "image": self.image,
            "mask": ", ".join(self.masks),
            "class": self.label,
            "class (one-hot)": ", ".join(self.one_hot),
            "group": self.group,
            "split": self.split,
            "key": self.key,
        }
        return ", ".join(f"{what} = column {shown(name)}" for what, name in columns.items() if name)


class RowValues(NamedTuple):
    """What one row says beyond image and mask."""

    labels: tuple[str, ...]
    group: str | None
    split: str | None
    meta: tuple[str | None, ...]


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
        SourceError: a named column does not exist, a split column holds no split names, or
            --rest-class could do nothing.
    """
    own = with_images and list(grid.columns)[:2] == _OWN_HEADER
    given = {
        role: grid.column(name, f"--{role}-column")
        for role in ("key", "image", "mask", "label", "group", "split")
        if (name := getattr(options, f"{role}_column")) is not None
    }
    for name in options.keep_columns:
        grid.column(name, "--keep-columns")
    taken = {*given.values(), *used}
    image = given.get("image") or (_guess(grid, IMAGE_NAMES, taken) if with_images else None)
    taken |= {image} if image else set()
    masks: tuple[str, ...] = ()
    if with_images:
        masks = (given["mask"],) if "mask" in given else _mask_columns(grid, taken)
    taken |= set(masks)
    if own:
        taken |= set(options.keep_columns)
        for role in ("key", "group", "split"):
            if role in grid.columns:
                given.setdefault(role, role)
    elif with_images and "key" not in given:
        for name in key_columns(grid, taken, options)[:1]:
            if len(set(_full(grid.columns[name]))) == len(grid.rows):
                given["key"] = name
                taken.add(name)
    files = {name for name, cells in grid.columns.items() if holds_files(cells)}
    label = given.get("label") or _guess(grid, _LABEL_NAMES, taken | files)
    split = _split_column(grid, given.get("split"), taken)
    meant = {*taken, *options.keep_columns, *given.values(), label, split}
    flags = [name for name, cells in grid.columns.items() if name not in meant and _binary(cells)]
    one_hot = tuple(flags) if not label and len(flags) > 1 else ()
    # Of a column called "class" 1.0 alone may be a name.
    cells = grid.columns[label] if label and not own else []
    both = len({_is_on(cell) for cell in cells} - {None}) > 1
    binary = _binary(cells) and (both or plain(label or "") not in _LABEL_NAMES)
    if options.rest_class is not None and not (one_hot or binary):
        raise SourceError(
            f"--rest-class {options.rest_class} needs one-hot class columns (0 and 1); "
            f"{grid.name} has " + (f"the class column {shown(label)}" if label else "none")
        )
    return Columns(
        given.get("key"), image, masks, label, one_hot, given.get("group"), split, own, binary
    )


def key_columns(grid: Grid, taken: Collection[str], options: SourceOptions) -> list[str]:
    """The free columns that are called "key"."""
    taken = {*taken, *options.keep_columns}
    return [name for name in grid.columns if plain(name) == "key" and name not in taken]


def _full(cells: Cells) -> list[str]:
    """The cells that hold anything, without the blanks around it."""
    return [cell.strip() for cell in cells if cell and cell.strip()]


def _guess(grid: Grid, names: Sequence[str], taken: set[str]) -> str | None:
    """The first of these names that a free column with any value has."""
    free = {plain(name): name for name in reversed(grid.columns) if name not in taken}
    for name in names:
        if name in free and any(grid.columns[free[name]]):
            return free[name]
    return None


def _mask_columns(grid: Grid, taken: set[str]) -> tuple[str, ...]:
    """The columns of masks by number: mask_path and mask_path_2, or mask1 and mask2."""
    for name in _MASK_NAMES:
        numbered = []
        for column, cells in grid.columns.items():
            if column in taken or _DIGITS.sub("", plain(column)) != name:
                continue
            if name in {"label", "annotation"}:
                holds_masks = holds_files(cells)
            else:
                # mask1 may hold paths or bare stems; seg1, a number: a score, an area.
                unnumbered = plain(column) == name
                holds_masks = unnumbered or not all(_is_number(cell) for cell in cells if cell)
            if holds_masks:
                number = _DIGITS.search(column)
                numbered.append((int(number[0]) if number else -1, column))
        if numbered:
            return tuple(column for _, column in sorted(numbered, key=lambda pair: pair[0]))
    return ()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def holds_files(cells: Cells) -> bool:
    """Whether most of the full cells end like an image file."""
    full = _full(cells)
    return 2 * sum(extension(cell) in IMAGE_EXTENSIONS for cell in full) > len(full)


def _split_column(grid: Grid, given: str | None, taken: set[str]) -> str | None:
    """The column that was named, or one with the name and the values of a split's."""
    if given:
        bad = sorted(v for v in set(_full(grid.columns[given])) if not _SPLIT.fullmatch(v))
        if bad:
            raise SourceError(
                f"column {shown(given)} of {grid.name} holds {few(bad)}; a split's name must be "
                "letters, digits and _, beginning with a letter"
            )
        return given
    for name in _SPLIT_NAMES:
        for column, cells in grid.columns.items():
            if plain(column) == name and column not in taken:
                values = set(_full(cells))
                if values and all(split_of(value) for value in values):
                    return column
    return None


def _binary(cells: Cells) -> bool:
    values = {cell.lower() for cell in _full(cells)}
    return bool(values) and values <= _ON | _OFF


def _is_on(cell: str | None) -> bool | None:
    """Whether a one-hot cell is set; None where it is empty."""
    return None if cell is None or not cell.strip() else cell.strip().lower() in _ON


def may_be_labels(grid: Grid, taken: Collection[str | None]) -> list[str]:
    """The columns that may hold classes, those of 0 and 1 first: few values, each several times."""
    flags, words = [], []
    for name, cells in grid.columns.items():
        full = _full(cells)
        values = set(full)
        if name in taken:
            continue
        if _binary(cells):
            flags.append(name)
        elif 1 < len(values) <= min(_MOST_CLASSES, len(full) // 2) and not (
            any(map(_is_number, values)) or holds_files(cells)
        ):
            words.append(name)
    return flags + words


def read_values(
    grid: Grid, columns: Columns, options: SourceOptions, position: int, key: str
) -> tuple[RowValues, list[Finding]]:
    """The values of the row at this position, and what is wrong with its class.

    Findings: several-classes, no-class.
    """

    def cell(column: str | None) -> str | None:
        """A cell without the blanks around it, which segrecord's own listings mean."""
        text = grid.columns[column][position] if column is not None else None
        return text if columns.own or text is None else text.strip() or None

    label, findings = _label(grid, columns, options, position, key)
    split = (cell(columns.split) or "").strip()
    values = RowValues(
        (label,) if label else (),
        named(grid.columns[columns.group][position] or "") or None if columns.group else None,
        # Train, val and test in one spelling, others as written.
        split_of(split) or split or None,
        tuple(cell(column) for column in options.keep_columns),
    )
    return values, findings


def _label(
    grid: Grid, columns: Columns, options: SourceOptions, position: int, key: str
) -> tuple[str | None, list[Finding]]:
    """The class of a row by its one-hot columns, or by its cell in the class column.

    A cell of 0 or 1 gives the column's name, or "not" before it. But below a name such as "class"
    the cells are numbers of classes: 1.0 is the class "1".
    """
    label: str | None = None
    findings = []
    if columns.one_hot:
        states = {name: _is_on(grid.columns[name][position]) for name in columns.one_hot}
        on = [name for name, state in states.items() if state]
        if len(on) == 1:
            label = on[0]
        elif on:
            values = {"case": "one-hot", "count": len(on), "columns": ", ".join(map(shown, on))}
            findings.append(Finding("several-classes", key, grid.row(position), values=values))
        elif any(state is not None for state in states.values()):
            label = options.rest_class
            if label is None:
                names = {"columns": ", ".join(map(shown, columns.one_hot))}
                findings.append(Finding("no-class", key, grid.row(position), values=names))
    elif columns.label is not None:
        label = cell = (grid.columns[columns.label][position] or "").strip()
        numbered = plain(columns.label) in _LABEL_NAMES and options.rest_class is None
        if columns.binary and cell and numbered:
            label = str(int(_is_on(cell) or 0)) if cell[0].isdigit() else cell
        elif columns.binary and cell:
            label = columns.label if _is_on(cell) else options.rest_class or f"not {columns.label}"
    return named(label or "") or None, findings


def column_suggestions(
    grid: Grid, columns: Columns, options: SourceOptions, samples: Sequence[Sample]
) -> Iterator[str]:
    """What other columns of a table may mean, for listings and metadata alike.

    Args:
        grid: the table.
        columns: what was taken of it.
        options: the columns that are kept are meant as what they are.
        samples: what came of it.
    """
    yield from grid.hints
    for name in grid.columns if columns.group is None else ():
        if plain(name) in _GROUP_NAMES:
            yield (
                f"column {shown(name)} may name the patient or lesion: pass --group-column "
                f"{shown(name)} so that no two splits share one"
            )
    # Merged cells of a spreadsheet come as one full cell above empty ones.
    bare = [sample.key for sample in samples if sample.group is None]
    if columns.group is not None and bare:
        yield (
            f"{len(bare)} of {len(samples)} samples have no group (column "
            f"{shown(columns.group)}): {few(bare)}; each may come into any split"
        )
    for name, cells in grid.columns.items() if columns.split is None else ():
        if plain(name) in _SPLIT_NAMES and name not in options.keep_columns:
            values = set(_full(cells))
            unknown = sorted(value for value in values if not split_of(value))
            if 0 < len(unknown) < len(values):
                yield (
                    f"column {shown(name)} is not taken for the split, since it also holds "
                    f"{few(unknown)}; if it is the split, pass --split-column {shown(name)}"
                )
    taken = {columns.key, columns.image, columns.group, columns.split, *columns.masks}
    if not columns.gives_class and not any(sample.labels for sample in samples):
        likely = may_be_labels(grid, {*taken, *options.keep_columns})
        # Of metadata that give nothing at all there is a warning (metadata-unused).
        if likely and (columns.image or columns.group or columns.split or options.keep_columns):
            yield (
                "no column is taken for the class; if one is it, pass --label-column: "
                f"{few(likely)}"
            )
