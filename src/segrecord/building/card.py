"""The dataset's card: README.md, for people and for the Hugging Face Hub.

It says what the dataset is, how it was made and can be made again, what was checked, and how to
read it. All but the user's own fields comes from the manifest and the index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segrecord.building import hub, markdown, snippets, tfds
from segrecord.building.card_fields import Card, read_card
from segrecord.building.command import build_command, level_of
from segrecord.codes import problem_of
from segrecord.errors import counted
from segrecord.options import IGNORE, IGNORE_NAME
from segrecord.records.manifest import Manifest

__all__ = ["Card", "card", "read_card"]

_CHECKS = {
    "full": "Every file was read, checked and decoded before a record was written.",
    "basic": "Every file was read and checked before a record was written.",
    "none": "Of each file only the header was read; its bytes were copied.",
}

_PSEUDONYMIZED = (
    "This dataset is pseudonymized: keys and groups are replaced by keyed hashes; whoever holds "
    "the key file or the original pictures can undo it."
)


def card(manifest: Manifest, index: pa.Table, fields: Card) -> bytes:
    """The content of README.md, in UTF-8.

    Args:
        manifest: of the dataset.
        index: its records (schema tables.RECORDS).
        fields: what the user says of it.
    """
    sections = [
        hub.front_matter(manifest, fields),
        f"# {markdown.text(fields.name or 'Dataset')}\n",
        _lines([fields.description.strip()]),
        _summary(manifest, index),
        "## Splits\n",
        *_splits(manifest, index),
        *_classes(manifest),
        *_mask_classes(manifest, index),
        "## How it was made\n",
        *_made(manifest, card=fields != Card()),
        "## What was checked\n",
        *_checked(manifest),
        "## Licence and source\n",
        *_terms(fields),
        *_reading(manifest, equal=_size(index) is not None),
    ]
    return "\n".join(section for section in sections if section).encode()


def _lines(lines: Iterable[str]) -> str:
    """Sentences that belong together, one a line."""
    return "".join(f"{line}\n" for line in lines if line)


def _summary(manifest: Manifest, index: pa.Table) -> str:
    size = _size(index)
    pixels = f" of {size[0]} x {size[1]} pixels (height x width)" if size else ""
    having = counted(manifest.samples, "sample has", "samples have")
    form = f"schema `{manifest.schema_name}`, compression `{manifest.compression}`"
    return _lines(
        [
            f"{counted(manifest.samples, 'sample')}{pixels}.",
            f"TFRecord shards written by segrecord {manifest.segrecord}, {form}.",
            f"{manifest.masks.missing} of {having} no mask.",
            _PSEUDONYMIZED if manifest.pseudonymized else "",
        ]
    )


def _size(index: pa.Table) -> tuple[int, int] | None:
    """Height and width of all images; None: they have several."""
    sides = [pc.min_max(index[name]).as_py() for name in ("height", "width")]
    if any(side["min"] != side["max"] for side in sides):
        return None
    return sides[0]["min"], sides[1]["min"]


class _Groups(NamedTuple):
    """Patients, lesions or the like."""

    of: dict[str, int]
    """How many each split has; one that stands in two counts in both."""
    all: int
    divided: int
    """How many stand in more than one split."""
    without: int
    """Samples that have none."""


def _groups(index: pa.Table) -> _Groups:
    named = index.select(["group", "split"]).filter(pc.is_valid(index["group"]))
    # Numbered and paired by NumPy: Arrow's group_by took four times as long (measured).
    groups, splits = (column.combine_chunks().dictionary_encode() for column in named.columns)
    numbers = groups.indices.to_numpy().astype(np.int64) * len(splits.dictionary)
    pairs = np.unique(numbers + splits.indices.to_numpy())
    each, split_of = np.divmod(pairs, max(len(splits.dictionary), 1))
    counts = np.bincount(split_of, minlength=len(splits.dictionary)).tolist()
    return _Groups(
        of=dict(zip(splits.dictionary.to_pylist(), counts, strict=True)),
        all=len(groups.dictionary),
        divided=int(np.count_nonzero(np.bincount(each) > 1)),
        without=len(index) - len(named),
    )


def _splits(manifest: Manifest, index: pa.Table) -> list[str]:
    groups = _groups(index)
    header = ["split", "records", "shards", "bytes", *["groups"] * bool(groups.all)]
    rows = (
        [
            *(name, split.records, len(split.shards), split.bytes),
            *[groups.of.get(name, 0)] * bool(groups.all),
        ]
        for name, split in manifest.splits.items()
    )
    return [markdown.table(header, rows), _grouping(manifest, groups), _folds(manifest)]


def _grouping(manifest: Manifest, groups: _Groups) -> str:
    """What keeps the splits apart, where there are several."""
    if len(manifest.splits) == 1:
        return ""
    if not groups.all:
        return (
            "No sample has a group (patient, lesion ...): whether pictures of one stand in several "
            "splits is not known.\n"
        )
    bare = (
        f" {counted(groups.without, 'sample has', 'samples have')} no group."
        if groups.without
        else ""
    )
    divided = f"{groups.divided or 'none'} of {groups.all}"
    return f"Groups that stand in more than one split: {divided}.{bare}\n"


def _folds(manifest: Manifest) -> str:
    folds = manifest.options.get("plan", {}).get("folds")
    if not folds:
        return ""
    return (
        f"The splits are {folds} folds for cross-validation: of fold k, `val` is the k-th split "
        "and `train` all the others.\n"
    )


def _classes(manifest: Manifest) -> list[str]:
    if not manifest.classes:
        return []
    splits = list(manifest.splits.values())
    rows: list[list[Any]] = []
    for name, number in manifest.classes.items():
        counts = [split.class_counts.get(name, 0) for split in splits]
        rows.append([number, markdown.text(name), *counts, sum(counts)])
    labelled = [sum(split.class_counts.values()) for split in splits]
    bare = [split.records - count for split, count in zip(splits, labelled, strict=True)]
    if sum(bare):
        rows.append(["", "(no class)", *bare, sum(bare)])
    header = ["id", "class", *manifest.splits, "all"]
    return ["## Classes\n", markdown.table(header, rows)]


def _mask_classes(manifest: Manifest, index: pa.Table) -> list[str]:
    names = manifest.masks.classes
    if not names:
        return []
    counted = index.filter(pc.is_valid(index["mask_pixels"]))
    pixels = pc.list_flatten(counted["mask_pixels"]).to_numpy().reshape(-1, len(names))
    table = np.column_stack([pixels, counted["ignore_pixels"].to_numpy()])
    total = max(int(table.sum()), 1)
    ids = [*range(len(names)), IGNORE]
    rows = [
        [number, markdown.text(name), f"{100 * share:.3g} %", records]
        for number, name, share, records in zip(
            ids,
            [*names, IGNORE_NAME],
            (table.sum(0) / total).tolist(),
            np.count_nonzero(table, 0).tolist(),
            strict=True,
        )
    ]
    header = ["id", "mask class", "pixels of all masks", "masks that have it"]
    return ["## Mask classes\n", markdown.table(header, rows)]


def _made(manifest: Manifest, *, card: bool) -> list[str]:
    language, code = build_command(manifest, card=card)
    extends = (
        f"It extends the dataset with the fingerprint `{manifest.extends}`, whose samples kept "
        "their splits."
    )
    return [
        _lines(
            [
                f"How the source was read: {markdown.text(manifest.understood)}"
                if manifest.understood
                else "",
                extends if manifest.extends else "",
            ]
        ),
        "This makes it again; words in capitals stand for places, which no dataset tells:\n",
        markdown.code(code, language),
        "Equal input and equal versions (they stand in `dataset.json`) give equal bytes.\n",
    ]


def _checked(manifest: Manifest) -> list[str]:
    checks = manifest.options.get("checks", {})
    rows = (
        [level_of(code, manifest), f"`{code}`", count, markdown.text(problem_of(code))]
        for code, count in manifest.findings.items()
    )
    header = ["level", "finding", "count", "what happened"]
    found = [markdown.table(header, rows)] if manifest.findings else ["Nothing was found.\n"]
    unsought = checks.get("near_duplicates") == "off"
    gone = counted(manifest.quarantined, "sample was", "samples were")
    again = f'`segrecord verify "{snippets.FOLDER}"` does it again'
    read_back = f"Every shard was read back before the dataset was finished; {again}."
    return [
        _lines([_CHECKS.get(checks.get("checks", ""), ""), read_back]),
        *found,
        _lines(
            [
                _levels("info", checks.get("ignore", ())),
                _levels("error", checks.get("error", ())),
                f"{gone} left out: see quarantine.csv." if manifest.quarantined else "",
                *(f"Not checked: {what}." for what in manifest.not_checked),
                "Not checked: pictures that are nearly the same." if unsought else "",
            ]
        ),
    ]


def _levels(level: str, names: Iterable[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return f"Of level {level} because it was asked for: {listed}." if listed else ""


def _terms(fields: Card) -> list[str]:
    link = f"https://spdx.org/licenses/{fields.licence}.html"
    licence = f"[{fields.licence}]({link})" if fields.licence in hub.LICENCES else ""
    rows = [
        ("Licence", licence or markdown.text(fields.licence)),
        ("Source", fields.source and f"<{fields.source}>"),
        ("Homepage", fields.homepage and f"<{fields.homepage}>"),
        ("Authors", ", ".join(map(markdown.text, fields.authors))),
        ("Version", markdown.text(fields.version)),
        ("Published", str(fields.published or "")),
    ]
    told = "".join(f"- {name}: {value}\n" for name, value in rows if value)
    unsaid = "No licence is given: ask who holds the pictures before you use or pass them on.\n"
    return [
        "" if fields.licence else unsaid,
        told,
        *(["Cite it as:\n", markdown.code(fields.citation)] if fields.citation else []),
    ]


def _reading(manifest: Manifest, *, equal: bool) -> list[str]:
    """The code to read the dataset; TFDS last."""
    parts = [
        ("Read it in TensorFlow", snippets.tensorflow(manifest, equal=equal)),
        ("Read it in TensorFlow without segrecord", snippets.tensorflow_alone(manifest)),
        ("Read it in NumPy", snippets.numpy(manifest)),
    ]
    if manifest.compression == "none":
        parts.append(("Read it in PyTorch", snippets.torch(manifest, equal=equal)))
        parts.append(("Read it in JAX, with Grain", snippets.grain(manifest, equal=equal)))
    if code := snippets.in_tfds(manifest):
        parts.append(("Read it with TFDS", code))
    sections = [f"## {title}\n\n{markdown.code(code, 'python')}" for title, code in parts]
    if manifest.compression != "none":
        sections.append("PyTorch and Grain read at random, which compressed shards do not allow.\n")
    why = tfds.why_not(manifest)
    return [*sections, f"There are no files for TFDS: {why}.\n" if why else ""]
