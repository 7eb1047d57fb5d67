"""What the owner of a folder or a table may have meant: what was passed over, or looks odd."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from segrecord.sources.columns import (
    SPLIT_NAMES,
    Columns,
    holds_files,
    key_columns,
    may_be_labels,
    plain,
)
from segrecord.sources.layout import Layout, label_sizes
from segrecord.sources.pairing import ImageNames
from segrecord.sources.roles import Folder
from segrecord.sources.roots import forward
from segrecord.sources.understood import FEW, Sample, few, nfc, shown
from segrecord.sources.walk import TABLE_EXTENSIONS, Walk
from segrecord.sources.words import read_name, split_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from segrecord.options import SourceOptions
    from segrecord.sources.tabular import Cells, Grid

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


GIVES_CLASSES = "if it gives the classes, pass"

_LETTERED_ENDING = re.compile(r"[ _.\-](?=.*[^\W\d_])")
_OFTEN = 0.25
"""An ending that this share of the files have means something."""


def folder_hints(
    source: str, found: Walk, layout: Layout, classes: tuple[str, ...]
) -> Iterable[str]:
    """Hints on a folder: tables in it, files that are not read, what classes and masks may be.

    Args:
        source: the folder.
        found: the files in it.
        layout: what they are.
        classes: those that folders give.
    """
    unpaired = len(layout.matches) > layout.pairs or (not layout.masks and not classes)
    for table in found.tables[:FEW]:
        path = os.path.join(source, table)  # noqa: PTH118 - text
        if unpaired:
            yield (
                f"{shown(table)} lies in the folder; if it lists the pairs, run: "
                f"segrecord build {shown(path)} OUT"
            )
        if not classes:
            yield (f"{shown(table)} lies in the folder; {GIVES_CLASSES} --metadata {shown(path)}")
    for kind, count in found.extensions.items():
        if kind not in TABLE_EXTENSIONS and 1 < count >= len(layout.images) / 2:
            yield (
                f"{count} {kind or 'extensionless'} files are not read; if they are images or "
                "masks, convert them to PNG"
            )
    yield from _classes(layout, classes)
    if not layout.masks:
        yield from _masks_beside(source, layout)
        yield from _folders_of_masks(layout)
        yield from _endings_of_masks(layout)


def _classes(layout: Layout, classes: tuple[str, ...]) -> Iterable[str]:
    below = {
        seat.place[-1]
        for seat in layout.seats.values()
        if seat.role == "image" and seat.place and not seat.label
        if not seat.shown.endswith("{split}/")
    }
    if not classes and len(below) > 1:
        yield (
            f"the folders below the images ({few(sorted(below))}) are not taken for classes; if "
            "they are, write the pairs with segrecord scan --write-samples and fill in class"
        )
    sizes = label_sizes(layout)
    if len(sizes) > 1 and max(sizes.values()) == 1:
        taken = "for classes" if classes else "for patients or cases, not for classes"
        yield (
            f"each of {len(sizes)} folders holds a single image; they are taken {taken}; if that "
            "is wrong, build from a CSV (image_path,mask_path,class)"
        )
    if not layout.pairs and len(layout.masks) > 2 * len(layout.images):
        yield (
            "there are many more masks than images and none pairs by name: masks of one object "
            "each have to be merged before"
        )


def _masks_beside(source: str, layout: Layout) -> Iterable[str]:
    """A word on a folder of masks beside the source, which is the folder of images itself."""
    here = Path(source).resolve()
    own = ImageNames([(here.name, 0)])
    images = ImageNames((file.stem, i) for i, file in enumerate(layout.images))
    try:
        for other in sorted(here.parent.iterdir()):
            name = read_name(other.name, soft=False)
            # Called "masks", or as this folder with an affix: train_masks beside train_images.
            if name.role != "mask" and not own.match(other.name).images:
                continue
            if other == here or not other.is_dir():
                continue
            stems = [nfc(path.stem) for path in other.iterdir() if path.suffix]
            if pairs := sum(bool(images.match(stem).images) for stem in stems):
                yield (
                    f"{shown(str(other))} holds {pairs} masks of these images; to take them, build "
                    f"the folder above: segrecord build {shown(str(here.parent))} OUT"
                )
    except OSError:
        return  # what cannot be listed gives no hint


def _folders_of_masks(layout: Layout) -> Iterable[str]:
    """A word on folders of one split whose files have the same names."""
    stems: dict[Folder, set[str]] = {}
    for file in layout.images:
        stems.setdefault(file.folder, set()).add(file.stem)
    alike: dict[tuple[str | None, frozenset[str]], list[str]] = {}
    for folder, names in stems.items():
        same = alike.setdefault((layout.seats[folder].split, frozenset(names)), [])
        same.append("/".join(folder) or ".")
    for (_, shared), folders in alike.items():
        if len(shared) > 1 and len(folders) > 1:
            yield (
                f"{' and '.join(map(shown, folders[:2]))} hold files of the same names; if one "
                'holds the masks of the other, call it "masks"'
            )
            return


def _endings_of_masks(layout: Layout) -> Iterable[str]:
    """A word on an ending that makes the names of many files out of those of others."""
    names = {(file.folder, file.stem) for file in layout.images}
    endings = Counter(
        file.stem[gap.start() :]
        for file in layout.images
        for gap in _LETTERED_ENDING.finditer(file.stem)
        if (file.folder, file.stem[: gap.start()]) in names
    )
    for ending, count in endings.most_common(1):
        if 1 < count >= _OFTEN * len(layout.images):
            yield (
                f"{count} files are called like another with {shown(ending)} at the end; if they "
                "are its masks, call them X_mask"
            )


def table_hints(
    grid: Grid, columns: Columns, options: SourceOptions, samples: Sequence[Sample]
) -> tuple[str, ...]:
    """Hints on a table's columns, for listings and metadata alike.

    Args:
        grid: the table.
        columns: what was taken of it.
        options: the columns that are kept are meant as what they are.
        samples: what came of it.
    """
    return (
        *grid.hints,
        *_groups(grid, columns),
        *_without_group(columns, samples),
        *_splits(grid, columns, options),
        *_labels(grid, columns, options, samples),
    )


def _groups(grid: Grid, columns: Columns) -> Iterable[str]:
    """A word on each column that may name the patient, where no group column is given."""
    for name in grid.columns if columns.group is None else ():
        if plain(name) in _GROUP_NAMES:
            yield (
                f"column {shown(name)} may name the patient or lesion: pass --group-column "
                f"{shown(name)} so that no two splits share one"
            )


def _without_group(columns: Columns, samples: Sequence[Sample]) -> Iterable[str]:
    """Merged cells of a spreadsheet come as one full cell above empty ones."""
    bare = [sample.key for sample in samples if sample.group is None]
    if columns.group is not None and bare:
        yield (
            f"{len(bare)} of {len(samples)} samples have no group (column "
            f"{shown(columns.group)}): {few(bare)}; each may come into any split"
        )


def _labels(
    grid: Grid, columns: Columns, options: SourceOptions, samples: Sequence[Sample]
) -> Iterable[str]:
    """A word on columns that may be the class, where there is no class at all."""
    taken = {columns.key, columns.image, columns.group, columns.split, *columns.masks}
    if columns.label or columns.one_hot or any(sample.labels for sample in samples):
        return
    likely = may_be_labels(grid, {*taken, *options.keep_columns})
    # Of metadata that give nothing at all there is a warning (metadata-unused).
    if likely and (columns.image or columns.group or columns.split or options.keep_columns):
        yield f"no column is taken for the class; if one is it, pass --label-column: {few(likely)}"


def _splits(grid: Grid, columns: Columns, options: SourceOptions) -> Iterable[str]:
    """A word on a column of splits of which not every name is known."""
    for name, cells in grid.columns.items() if columns.split is None else ():
        values = {cell.strip() for cell in cells if cell and cell.strip()}
        if plain(name) in SPLIT_NAMES and name not in options.keep_columns:
            unknown = sorted(value for value in values if not split_of(value))
            if 0 < len(unknown) < len(values):
                yield (
                    f"column {shown(name)} is not taken for the split, since it also holds "
                    f"{few(unknown)}; if it is the split, pass --split-column {shown(name)}"
                )


def file_hints(grid: Grid, columns: Columns, options: SourceOptions) -> Iterable[str]:
    """A word on each column of a listing that holds image files and was not taken."""
    taken = {columns.image, columns.key, columns.group, columns.label, *columns.masks}
    images = _stems(grid.columns[columns.image or ""])
    for name, cells in grid.columns.items():
        known = name in taken or name in options.keep_columns
        if not known and holds_files(cells) and _stems(cells) != images:
            yield (
                f"column {shown(name)} holds image files and is not taken; if they are the masks, "
                f"pass --mask-column {shown(name)}, or call several such columns mask_1, mask_2, "
                "..."
            )


def key_hints(grid: Grid, columns: Columns, options: SourceOptions) -> Iterable[str]:
    """A word on a column called "key" that names no keys, since its values are not unique."""
    taken = {columns.key, columns.image, columns.group, columns.label, columns.split}
    for name in key_columns(grid, {*filter(None, taken), *columns.masks}, options):
        yield (
            f"column {shown(name)} is not taken for the keys, since its values are not one a row; "
            "keys are the paths of the images"
        )


def _stems(cells: Cells) -> list[str]:
    names = (posixpath.basename(forward(cell or "")) for cell in cells)
    return [posixpath.splitext(name)[0] for name in names]


def shared_masks(samples: Iterable[Sample]) -> Iterable[str]:
    """A word on masks that several images have: a copied line, or several views of one thing."""
    images: dict[str, list[str]] = {}
    for sample in samples:
        for mask in sample.masks:
            images.setdefault(os.path.normpath(mask), []).append(sample.key)
    shared = {mask: keys for mask, keys in images.items() if len(keys) > 1}
    if shared:
        mask, keys = next(iter(shared.items()))
        yield (
            f"{shown(mask)} is the mask of {len(keys)} images ({few(keys)})"
            + f", and so are {len(shared) - 1} more" * (len(shared) > 1)
            + "; if that is wrong, correct the table"
        )
