"""The dataset's card: README.md, for people and for the Hugging Face Hub.

It says what the dataset is, how it was made and can be made again, what was checked, and how to
read it. All but the user's own fields comes from the manifest and the index. Names that others gave
are written as GitHub Flavored Markdown that shows them as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from segrecord.export import snippets, tfds
from segrecord.export.card_fields import LICENCES, Card, read_card
from segrecord.findings import problem_of
from segrecord.format import schemas
from segrecord.format.manifest import Manifest
from segrecord.options import IGNORE, IGNORE_NAME
from segrecord.wording import counted

__all__ = [
    "Card",
    "card",
    "code_block",
    "front_matter",
    "inline",
    "printable",
    "read_card",
    "table",
]

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
"""The Hub's size categories, of numbers of up to 3, 4, 5 ... digits."""

_CHECKS = {
    "full": "Every file was read, checked and decoded before a record was written.",
    "basic": "Every file was read and checked before a record was written.",
    "none": "Of each file only the header was read; its bytes were copied.",
}

_PSEUDONYMIZED = (
    "This dataset is pseudonymized: keys and groups are replaced by keyed hashes; whoever holds "
    "the key file or the original pictures can undo it."
)

_SPECIAL = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])")
"""What may begin Markdown; an underscore inside a word does not."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def card(manifest: Manifest, index: pa.Table, fields: Card) -> bytes:
    """The content of README.md, in UTF-8.

    Args:
        manifest: of the dataset.
        index: its records (schema tables.RECORDS).
        fields: what the user says of it.
    """
    size = tfds.common_size(index)
    pixels = f" of {size[0]} x {size[1]} pixels (height x width)" if size else ""
    having = counted(manifest.samples, "sample has", "samples have")
    form = f"schema `{manifest.schema_name}`, compression `{manifest.compression}`"
    sections = [
        front_matter(manifest, fields),
        f"# {inline(fields.name or 'Dataset')}\n",
        _lines(fields.description.strip()),
        _lines(
            f"{counted(manifest.samples, 'sample')}{pixels}.",
            f"TFRecord shards written by segrecord {manifest.segrecord}, {form}.",
            f"{manifest.masks.missing} of {having} no mask.",
            _PSEUDONYMIZED if manifest.pseudonymized else "",
        ),
        *_splits(manifest, index),
        *_classes(manifest, index),
        *_made_and_checked(manifest, card=fields != Card()),
        *_terms(fields),
        *_reading(manifest, equal=size is not None),
    ]
    return "\n".join(section for section in sections if section).encode()


def front_matter(manifest: Manifest, fields: Card) -> str:
    """The head that the Hugging Face Hub reads: YAML between two lines of dashes.

    Its keys are those of the Hub's dataset cards; what the user did not say is not there.
    """
    layout = schemas.layout_of(manifest)
    licence, terms = fields.licence, {}
    if licence in LICENCES:
        terms = {"license": LICENCES[licence]}
    elif licence:
        name = re.sub(r"[^a-z0-9.]+", "-", licence.lower())[:60].strip("-.") or "other"
        terms = {"license": "other", "license_name": name}
        if licence.startswith(("http://", "https://")):
            terms["license_link"] = licence
    tasks = ["image-segmentation"] * layout.masks + ["image-classification"] * layout.classes
    digits = len(str(manifest.samples))
    head: dict[str, Any] = {
        **terms,
        "pretty_name": fields.name,
        "task_categories": tasks,
        "size_categories": [_SIZES[min(max(digits - 3, 0), len(_SIZES) - 1)]],
        "tags": list(dict.fromkeys(["tfrecord", *fields.tags])),
    }
    head = {key: value for key, value in head.items() if value}
    head["viewer"] = False  # the Hub reads no TFRecord, and would show findings.csv as the data
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=math.inf)
    return f"---\n{text}---\n"


def _splits(manifest: Manifest, index: pa.Table) -> list[str]:
    """The splits, and what keeps them apart: groups are patients, lesions or the like."""
    named = index.select(["group", "split"]).filter(pc.is_valid(index["group"]))
    # Numbered and paired by NumPy: Arrow's group_by took four times as long (measured).
    groups, splits = (column.combine_chunks().dictionary_encode() for column in named.columns)
    width = max(len(splits.dictionary), 1)
    pairs = np.unique(
        groups.indices.to_numpy().astype(np.int64) * width + splits.indices.to_numpy()
    )
    group_of, split_of = np.divmod(pairs, width)
    in_split = dict(zip(splits.dictionary.to_pylist(), np.bincount(split_of).tolist(), strict=True))
    total, without = len(groups.dictionary), len(index) - len(named)
    rows = (
        [
            *(name, split.records, len(split.shards), split.bytes),
            *[in_split.get(name, 0)] * bool(total),
        ]
        for name, split in manifest.splits.items()
    )
    header = ["split", "records", "shards", "bytes", *["groups"] * bool(total)]
    text = ["## Splits\n", table(header, rows)]
    if len(manifest.splits) > 1 and not total:
        text.append(
            "No sample has a group (patient, lesion ...): whether pictures of one stand in several "
            "splits is not known.\n"
        )
    elif len(manifest.splits) > 1:
        divided = int(np.count_nonzero(np.bincount(group_of) > 1)) or "none"
        bare = f" {counted(without, 'sample has', 'samples have')} no group." if without else ""
        text.append(f"Groups that stand in more than one split: {divided} of {total}.{bare}\n")
    if folds := manifest.build_options().plan.folds:
        text.append(
            f"The splits are {folds} folds for cross-validation: of fold k, `val` is the k-th "
            "split and `train` all the others.\n"
        )
    return text


def _classes(manifest: Manifest, index: pa.Table) -> list[str]:
    """Records of each class, pixels of each mask class; nothing of what there is none of."""
    text, names = [], manifest.masks.classes
    if manifest.classes:
        splits = list(manifest.splits.values())
        rows: list[list[Any]] = []
        for name, number in manifest.classes.items():
            counts = [split.class_counts.get(name, 0) for split in splits]
            rows.append([number, inline(name), *counts, sum(counts)])
        bare = [split.records - sum(split.class_counts.values()) for split in splits]
        if sum(bare):
            rows.append(["", "(no class)", *bare, sum(bare)])
        text += ["## Classes\n", table(["id", "class", *manifest.splits, "all"], rows)]
    if names:
        measured = index.filter(pc.is_valid(index["mask_pixels"]))
        pixels = pc.list_flatten(measured["mask_pixels"]).to_numpy().reshape(-1, len(names))
        pixels = np.column_stack([pixels, measured["ignore_pixels"].to_numpy()])
        shares = (pixels.sum(0) / max(int(pixels.sum()), 1)).tolist()
        ids, masks = [*range(len(names)), IGNORE], np.count_nonzero(pixels, 0).tolist()
        listed = zip(ids, [*names, IGNORE_NAME], shares, masks, strict=True)
        text += [
            "## Mask classes\n",
            table(
                ["id", "mask class", "pixels of all masks", "masks that have it"],
                ([id_, inline(name), f"{100 * share:.3g} %", n] for id_, name, share, n in listed),
            ),
        ]
        if stored := manifest.mask_storage:
            stored = stored[0].upper() + stored[1:] + "."
            if 255 in manifest.masks.values and not schemas.layout_of(manifest).black_white:  # noqa: PLR2004 - white
                stored += " Code that divides masks by 255 would see them nearly empty."
            text.append(f"{stored}\n")
    return text


def _made_and_checked(manifest: Manifest, *, card: bool) -> list[str]:
    language, code = snippets.build_command(manifest, card=card)
    reads_as = manifest.reads_as and f"How the source was read: {inline(manifest.reads_as)}"
    extends = manifest.extends and (
        f"It extends the dataset with the fingerprint `{manifest.extends}`, whose samples kept "
        "their splits."
    )
    checks = manifest.build_options().checks
    rows = (
        [snippets.level_of(code, manifest), f"`{code}`", count, inline(problem_of(code))]
        for code, count in manifest.findings.items()
    )
    header = ["level", "finding", "count", "what happened"]
    again = f'`segrecord verify "{snippets.FOLDER}"` does it again'
    releveled = [
        f"Of level {level} because it was asked for: {', '.join(f'`{name}`' for name in names)}."
        for level, names in (("info", checks.ignore), ("error", checks.error))
        if names
    ]
    gone = counted(manifest.quarantined, "sample was", "samples were")
    unsought = checks.near_duplicates == "off"
    return [
        "## How it was made\n",
        _lines(reads_as, extends),
        "This makes it again; words in capitals stand for places, which no dataset tells:\n",
        code_block(code, language),
        "Equal input and equal versions (they stand in `dataset.json`) give equal bytes.\n",
        "## What was checked\n",
        _lines(
            _CHECKS[checks.checks],
            f"Every shard was read back before the dataset was finished; {again}.",
        ),
        table(header, rows) if manifest.findings else "Nothing was found.\n",
        _lines(
            *releveled,
            f"{gone} left out: see quarantine.csv." if manifest.quarantined else "",
            *(f"Not checked: {what}." for what in manifest.not_checked),
            "Not checked: pictures that are nearly the same." if unsought else "",
        ),
    ]


def _terms(fields: Card) -> list[str]:
    link = f"https://spdx.org/licenses/{fields.licence}.html"
    licence = f"[{fields.licence}]({link})" if fields.licence in LICENCES else ""
    rows = [
        ("Licence", licence or inline(fields.licence)),
        ("Source", fields.source and f"<{fields.source}>"),
        ("Homepage", fields.homepage and f"<{fields.homepage}>"),
        ("Authors", ", ".join(map(inline, fields.authors))),
        ("Version", inline(fields.version)),
        ("Published", str(fields.published or "")),
    ]
    unsaid = "No licence is given: ask who holds the pictures before you use or pass them on.\n"
    return [
        "## Licence and source\n",
        "" if fields.licence else unsaid,
        "".join(f"- {name}: {value}\n" for name, value in rows if value),
        *(["Cite it as:\n", code_block(fields.citation)] if fields.citation else []),
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
    sections = [f"## {title}\n\n{code_block(code, 'python')}" for title, code in parts]
    if manifest.compression != "none":
        sections.append("PyTorch and Grain read at random, which compressed shards do not allow.\n")
    why = tfds.why_not(manifest)
    return [*sections, f"There are no files for TFDS: {why}.\n" if why else ""]


def _lines(*lines: str) -> str:
    """Sentences that belong together, one a line."""
    return "".join(f"{line}\n" for line in lines if line)


def inline(value: str) -> str:
    """A name as running text, of one line, also in the cell of a table."""
    marked = _SPECIAL.sub(r"\\\g<0>", printable(value))
    return re.sub("[&<>]", lambda found: _ENTITIES[found[0]], marked)


def printable(value: str) -> str:
    r"""The text with what does not print (a line break, say) as Python's escape: \n."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in value
    )


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(str, cells)) + " |\n" for cells in lines)


def code_block(content: str, language: str = "") -> str:
    """A block of code, with a fence that nothing in it ends."""
    longest = max(map(len, re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content.rstrip()}\n{fence}\n"
