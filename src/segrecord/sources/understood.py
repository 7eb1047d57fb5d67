"""What every kind of source ends in: the samples, and what there is to say about them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from segrecord.errors import Finding, SourceError
from segrecord.tables import MASK_PART, META_PREFIX, SAMPLES, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from segrecord.options import MaskChoice

FEW = 5
"""How many names a message lists before it says how many more there are."""


class ClassIds(NamedTuple):
    """Class ids that a file beside the source gives."""

    path: str
    ids: dict[str, int]
    """By class name."""


@dataclass(frozen=True)
class Understood:
    """A source as it was understood, before any pixel is read."""

    samples: pa.Table
    """Schema tables.SAMPLES plus a META_PREFIX column for each kept column; sorted by key."""
    findings: tuple[Finding, ...]
    sentence: str
    """How images, masks, classes and splits were told apart; for a person to agree with."""
    passed_over: dict[str, int]
    """How many files of each kind were not taken, for example {"._*": 3, "other files": 1}."""
    hints: tuple[str, ...] = ()
    """What the user may have meant, or may want to pass."""
    origin: str = ""
    """Where a listing's paths start, in words; apart from `sentence`, which goes into the dataset,
    where no path of this machine has a place."""
    mapping: ClassIds | None = None
    """Read where --classes names none, once the samples are known."""
    passed_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The first files of each kind that were not taken, relative to the source."""


@dataclass
class PassedOver:
    """What is not taken of a source, by kind."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)
    """The first few of each kind."""

    def add(self, kind: str, *names: str) -> None:
        """Count files of one kind."""
        if names:
            self.counts[kind] += len(names)
            first = self.names.setdefault(kind, [])
            first += names[: max(0, FEW - len(first))]

    def told(self) -> dict[str, int]:
        """The counts by kind."""
        return dict(sorted(self.counts.items()))

    def told_names(self) -> dict[str, tuple[str, ...]]:
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
    columns = [
        pa.array([row.key for row in rows], TEXT),
        pa.array([row.image for row in rows], TEXT),
        pa.array([0] * len(rows), pa.int32()),
        _mask_lists([row.masks for row in rows]),
        pa.array([row.labels for row in rows], pa.list_(pa.string())),
        pa.array([row.group for row in rows], TEXT),
        pa.array([row.split for row in rows], pa.string()),
    ]
    columns += [pa.array([row.meta[i] for row in rows], TEXT) for i in range(len(keep))]
    fields = [*SAMPLES, *(pa.field(META_PREFIX + name, TEXT) for name in keep)]
    return pa.table(columns, schema=pa.schema(fields))


def _mask_lists(masks: Sequence[tuple[str, ...]]) -> pa.Array:
    """Lists of whole-file mask parts, built by column: a dict a part is ten times slower."""
    paths = [path for paths in masks for path in paths]
    ends = [0]
    for parts in masks:
        ends.append(ends[-1] + len(parts))
    zeros = pa.array([0] * len(paths), pa.int32())
    columns = [
        pa.array(["file"] * len(paths), pa.string()),
        pa.array(paths, TEXT),
        pa.nulls(len(paths), pa.int32()),
        zeros,
        zeros,
    ]
    parts_array = pa.StructArray.from_arrays(columns, fields=list(MASK_PART))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), parts_array)


def nfc(text: str) -> str:
    """The text in Unicode's composed form, so that one name has one spelling on every system."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def named(text: str) -> str:
    """The name of a class or group: composed, without the blanks around it.

    Two that differ in nothing a person can see are one.
    """
    return nfc(text).strip()


def is_unicode(text: str) -> bool:
    """Whether a name is valid Unicode; file names need not be (they decode to surrogates)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    """The text, escaped where it cannot be printed."""
    return text if is_unicode(text) and text.isprintable() else repr(text)


def few(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    head = ", ".join(shown(name) for name in listed[:FEW])
    return head if len(listed) <= FEW else f"{head} and {len(listed) - FEW} more"


def checked_path(path: str) -> str:
    """The path, once it is known to be storable as text.

    Raises:
        SourceError: it is not valid Unicode.
    """
    if not is_unicode(path):
        raise SourceError(f"{path!r} is not valid Unicode; rename the folder")
    return path


def choose_masks(
    key: str, masks: tuple[str, ...], choice: MaskChoice | None, passed_over: PassedOver
) -> tuple[tuple[str, ...], list[Finding]]:
    """The masks to take of one image, and a finding where nobody has said how to choose."""
    if len(masks) < 2 or choice == "union":  # noqa: PLR2004 - one mask leaves no choice
        return masks, []
    if choice == "first":
        passed_over.add("further masks of an image", *(_within(masks)[1:]))
        return masks[:1], []
    finding = Finding(
        "error",
        "several-masks",
        key,
        masks[1],
        f"{len(masks)} masks for one image: {few(_within(masks))}",
        "pass --mask-choice first or --mask-choice union",
    )
    return masks, [finding]


def _within(masks: Sequence[str]) -> list[str]:
    """The names of files, with the folders by which they differ."""
    names = [os.path.basename(path) for path in masks]  # noqa: PTH119 - text
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([os.path.dirname(path) for path in masks])  # noqa: PTH120 - text
    return [os.path.relpath(path, common) for path in masks] if common else list(masks)


def duplicate_key(key: str, places: Sequence[str], fix: str) -> Finding:
    """The finding for samples with one key; none of them is taken."""
    return Finding(
        "error",
        "duplicate-key",
        key,
        places[0],
        f"{len(places)} samples have the key {shown(key)}: {few(places)}; none of them is taken",
        fix,
    )


def without_mask(samples: Sequence[Sample]) -> list[Finding]:
    """One finding for all images without a mask, where only some have one."""
    bare = [sample.key for sample in samples if not sample.masks]
    if not bare or len(bare) == len(samples):
        return []
    return [
        Finding(
            "info",
            "image-without-mask",
            "",
            "",
            f"{len(bare)} of {len(samples)} images have no mask: {few(bare)}",
            "nothing, if that is right; --missing-mask says what their records hold",
        )
    ]
