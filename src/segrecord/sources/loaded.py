"""What every kind of source ends in: the samples, and what there is to say about them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, NamedTuple

import pyarrow as pa

from segrecord.errors import SourceError
from segrecord.findings import Finding, Related
from segrecord.options import MaskChoice
from segrecord.tables import MASK_PART, META_PREFIX, SAMPLES, TEXT
from segrecord.wording import FEW, few, is_unicode, shown


class ClassIds(NamedTuple):
    """Class ids that a file beside the source gives."""

    path: str
    ids: dict[str, int]
    """By class name."""


class Note(NamedTuple):
    """A part of what there is to say about a source, to be joined and printed."""

    topic: Literal["samples", "class", "split", "table", "files"]
    text: str


@dataclass(frozen=True)
class LoadedSource:
    """A source as it was loaded, before any pixel is read."""

    samples: pa.Table
    """Schema tables.SAMPLES plus a META_PREFIX column for each kept column; sorted by key."""
    findings: tuple[Finding, ...]
    reads_as: tuple[Note, ...]
    """How images, masks, classes and splits were identified; for a person to agree with."""
    skipped_files: dict[str, int]
    """How many files of each kind were not taken, for example {"._*": 3, "other files": 1}."""
    suggestions: tuple[Note, ...] = ()
    """What the user may have meant, or may want to pass; "class": where the classes may be."""
    origin: str = ""
    """Where a listing's paths start, in words; not in `reads_as`, which goes into the dataset: no
    dataset names a path of this machine."""
    mapping: ClassIds | None = None
    """Read where --classes names none, once the samples are known."""
    skipped_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The first files of each kind that were not taken, relative to the source."""

    @property
    def sentence(self) -> str:
        """What the source reads as, in one line."""
        return "; ".join(note.text for note in self.reads_as)

    @property
    def hints(self) -> tuple[str, ...]:
        """The texts of the suggestions."""
        return tuple(note.text for note in self.suggestions)


@dataclass
class SkippedFiles:
    """Files and rows of a source that are not taken, by kind."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)
    """The first few of each kind."""

    def add(self, kind: str, *names: str) -> None:
        """Count files of one kind."""
        if names:
            self.counts[kind] += len(names)
            first = self.names.setdefault(kind, [])
            first += names[: max(0, FEW - len(first))]

    def sorted_counts(self) -> dict[str, int]:
        """The counts by kind."""
        return dict(sorted(self.counts.items()))

    def sorted_names(self) -> dict[str, tuple[str, ...]]:
        """The first names by kind."""
        return {kind: tuple(names) for kind, names in sorted(self.names.items())}


class Sample(NamedTuple):
    """One row of the samples table, as plain values."""

    key: str
    image: str
    masks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    group: str | None = None
    split: str | None = None
    meta: tuple[str | None, ...] = ()
    """One value for each kept column."""


def samples_table(samples: Iterable[Sample], keep: Sequence[str] = ()) -> pa.Table:
    """The samples table of these samples, sorted by key.

    Args:
        samples: the rows, in any order.
        keep: the names of the kept columns; each sample's `meta` has one value for each.
    """
    rows = sorted(samples, key=lambda sample: sample.key)
    # Built by column: a dict for each mask part is ten times slower.
    paths = [path for row in rows for path in row.masks]
    zeros = pa.array([0] * len(paths), pa.int32())
    parts = [
        pa.array(["file"] * len(paths), pa.string()),
        pa.array(paths, TEXT),
        pa.nulls(len(paths), pa.int32()),
        *(zeros, zeros),
    ]
    mask_lists = pa.ListArray.from_arrays(
        pa.array([0, *accumulate(len(row.masks) for row in rows)], pa.int32()),
        pa.StructArray.from_arrays(parts, fields=list(MASK_PART)),
    )
    columns = [
        pa.array([row.key for row in rows], TEXT),
        pa.array([row.image for row in rows], TEXT),
        pa.array([0] * len(rows), pa.int32()),
        mask_lists,
        pa.array([row.labels for row in rows], pa.list_(pa.string())),
        pa.array([row.group for row in rows], TEXT),
        pa.array([row.split for row in rows], pa.string()),
    ]
    columns += [pa.array([row.meta[i] for row in rows], TEXT) for i in range(len(keep))]
    fields = [*SAMPLES, *(pa.field(META_PREFIX + name, TEXT) for name in keep)]
    return pa.table(columns, schema=pa.schema(fields))


def samples_of(table: pa.Table) -> Iterator[Sample]:
    """The rows of a samples table whose masks are whole files, without its kept columns."""
    columns = (table.column(name).to_pylist() for name in SAMPLES.names)
    for key, image, _, masks, labels, group, split in zip(*columns, strict=True):
        yield Sample(key, image, tuple(m["source"] for m in masks), tuple(labels), group, split)


def nfc(text: str) -> str:
    """The text in Unicode's composed form, so that one name has one spelling on every system."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def forward(path: str) -> str:
    """The path with "/" and without the blanks around it."""
    return path.strip().replace("\\", "/")


def named(text: str) -> str:
    """The name of a class or group: composed, without the blanks around it.

    Two that differ in nothing a person can see are one.
    """
    return nfc(text).strip()


def checked_path(path: str) -> str:
    """The path, once it has proved to be storable as text.

    Raises:
        SourceError: it is not valid Unicode.
    """
    if not is_unicode(path):
        raise SourceError(f"{path!r} is not valid Unicode; rename the folder")
    return path


def choose_masks(
    key: str, masks: tuple[str, ...], choice: MaskChoice | None, skipped_files: SkippedFiles
) -> tuple[tuple[str, ...], list[Finding]]:
    """The masks to take of one image, and a finding where nobody has said how to choose."""
    if len(masks) < 2 or choice == "union":  # noqa: PLR2004 - one mask leaves no choice
        return masks, []
    names = [os.path.basename(path) for path in masks]  # noqa: PTH119 - text
    if len(set(names)) < len(names):
        # With the folders by which they differ.
        common = os.path.commonpath([os.path.dirname(path) for path in masks])  # noqa: PTH120 - text
        names = [os.path.relpath(path, common) for path in masks] if common else list(masks)
    if choice == "first":
        skipped_files.add("further masks of an image", *names[1:])
        return masks[:1], []
    values = {"count": len(masks), "masks": few(names)}
    return masks, [Finding("several-masks", key, masks[1], values=values)]


def duplicate_key(key: str, paths: Sequence[str], case: str, **values: str) -> Finding:
    """The finding for samples with one key; none of them is taken.

    Args:
        key: the key.
        paths: the image or the row of each sample.
        case: the kind of source, by which the fix is chosen.
        values: what the fix names.
    """
    return Finding(
        "duplicate-key",
        key,
        paths[0],
        tuple(Related(key, path) for path in paths[1:]),
        {"case": case, "count": len(paths), "name": shown(key), "paths": few(paths), **values},
    )


def without_mask(samples: Sequence[Sample]) -> list[Finding]:
    """One finding for all images without a mask, where only some have one."""
    bare = [sample.key for sample in samples if not sample.masks]
    if not bare or len(bare) == len(samples):
        return []
    values = {"count": len(bare), "samples": len(samples), "keys": few(bare)}
    return [Finding("image-without-mask", values=values)]
