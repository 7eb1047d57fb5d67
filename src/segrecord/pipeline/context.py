"""What the options of a run name, read before the source is looked at: `BuildContext`.

The dataset that is extended (`--extend`), the secret of the pseudonyms, and the samples that a
person has marked as wrong (`--exclude`), which stay out of the next dataset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from segrecord import storage
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.findings import Finding
from segrecord.format import manifest as manifests
from segrecord.options import Options
from segrecord.privacy import pseudonyms
from segrecord.read.index import open_index
from segrecord.sources.loaded import LoadedSource
from segrecord.splits import classes as classing
from segrecord.splits import extend
from segrecord.tables import FACTS, TEXT
from segrecord.viewer import marks
from segrecord.wording import counted, few

EXCLUDED = "excluded"
"""The finding of a sample that was left out because it is marked as wrong."""

_WRONG = "wrong"


class Wrong(NamedTuple):
    """What is said of a sample that is marked as wrong."""

    files: tuple[str, ...]
    """The marks files that say so."""
    notes: tuple[str, ...]
    others: tuple[str, ...]
    """Which files say otherwise: "as good in two.csv"."""


class BuildContext(NamedTuple):
    """What the stages of a run need beside the tables."""

    options: Options
    """With the shares of the dataset that is extended."""
    secret: bytes | None
    """Of the pseudonyms."""
    old: extend.Old | None
    """The dataset that is extended."""
    wrong: dict[str, Wrong]
    """The samples that are to be left out, by key."""

    @classmethod
    def of(cls, options: Options, out: Path | None = None) -> BuildContext:
        """Read what the options name.

        Args:
            options: what was asked for.
            out: where a build writes.

        Raises:
            UsageError: a file that an option names cannot be used.
            OutputError, RecordError: the earlier dataset is damaged.
        """
        root = options.source.root
        if root is not None and not Path(root).is_dir():
            raise UsageError(f"--root {root} is no folder; pass the one that the paths start from")
        if options.source.classes is not None:
            classing.read_mapping(options.source.classes)
        path, old = options.records.pseudonymize, None
        secret = pseudonyms.read_secret(path) if path is not None else None
        if options.plan.extend is not None:
            old = read_old(options.plan.extend, out, secret)
            options = replace(options, plan=extend.extended(options.plan, old))
        return cls(options, secret, old, read_wrong(options.plan.exclude))


def read_old(dataset: str | Path, out: Path | None, secret: bytes | None) -> extend.Old:
    """The splits of the dataset that is extended, and what its samples are known by.

    Args:
        dataset: its folder.
        out: where this run writes; None: it writes no dataset.
        secret: of this run's pseudonyms; None: none.

    Raises:
        UsageError: there is no dataset, the output lies in it, or the pseudonyms of the two are
            not of one key file.
        RecordError: its manifest, index or facts are damaged.
    """
    folder = Path(dataset).resolve()
    if out is not None and folder in (out.resolve(), *out.resolve().parents):
        raise UsageError(
            f"the output {out} lies in the dataset that is extended, {dataset}; choose a new folder"
        )
    try:
        manifest = manifests.load(dataset)
    except OutputError as error:
        raise UsageError(f"--extend: {error}") from None
    pseudonyms.require_same(manifest.pseudonymized, secret, dataset)
    index = open_index(dataset, manifest).select(["key", "group", "split"])
    path, hashes = folder / manifests.FACTS_FILE, "pixels_sha256"
    facts = storage.read_columns(path, [FACTS.field("key"), FACTS.field(hashes)])
    if facts is None:
        raise RecordError(str(path), "the file is missing")
    if facts.column_names != ["key", hashes]:
        raise RecordError(str(path), f"has no columns key and {hashes} of this format")
    pixels = facts[hashes].take(pc.index_in(index["key"], value_set=facts["key"]))
    plan = manifest.build_options().plan
    return extend.Old(
        index.append_column(hashes, pixels),
        plan.split,
        plan.folds,
        manifest.pseudonymized,
        manifest.fingerprint,
    )


def read_wrong(paths: Iterable[str | Path]) -> dict[str, Wrong]:
    """The samples that any of these files marks as wrong, by key.

    One mark is enough: whoever marks a sample as wrong has looked at it.

    Args:
        paths: CSVs as `segrecord view` writes them: key, mark (good, wrong or unsure) and note.

    Raises:
        UsageError: one is not there, cannot be read, or holds something else.
    """
    marked: dict[str, list[tuple[str, marks.Mark]]] = {}
    for path in paths:
        if not Path(path).exists():
            raise UsageError(f"--exclude {path}: there is no such file")
        for key, mark in marks.read(Path(path)).items():
            marked.setdefault(key, []).append((str(path), mark))
    wrong = {}
    for key, given in marked.items():
        as_wrong = [(path, mark) for path, mark in given if mark.mark == _WRONG]
        others = (f"as {m.mark} in {Path(path).name}" for path, m in given if m.mark != _WRONG)
        notes = dict.fromkeys(mark.note for _, mark in as_wrong if mark.note)
        if as_wrong:
            wrong[key] = Wrong(tuple(path for path, _ in as_wrong), tuple(notes), tuple(others))
    return wrong


def exclude(loaded: LoadedSource, context: BuildContext) -> LoadedSource:
    """The source without the samples that are marked as wrong, and a finding for each.

    Under pseudonyms, marks name samples by these or by the keys of the source.
    """
    wrong, keys = context.wrong, loaded.samples["key"]
    if context.secret is not None:
        hidden = [pseudonyms.pseudonym(context.secret, "key", key) for key in wrong]
        known = pc.is_in(pa.array(hidden, TEXT), value_set=keys).to_pylist()
        names = zip(wrong, hidden, known, strict=True)
        wrong = {other if there else key: wrong[key] for key, other, there in names}
    marked = pc.is_in(keys, value_set=pa.array(sorted(wrong), TEXT))
    left_out = loaded.samples.select(["key", "image"]).filter(marked).to_pylist()
    findings = []
    for row in left_out:
        mark = wrong[row["key"]]
        said = f": {'; '.join(mark.notes)}" * bool(mark.notes)
        said += f" (but {', '.join(mark.others)})" * bool(mark.others)
        findings.append(Finding(EXCLUDED, row["key"], row["image"], values={"said": said}))
    unknown: dict[str, list[str]] = {}
    for key in sorted(set(wrong) - {row["key"] for row in left_out}):
        for path in wrong[key].files:
            unknown.setdefault(path, []).append(key)
    for path, missing in sorted(unknown.items()):
        values = {
            "count": counted(len(missing), "key that is", "keys that are"),
            "are": "is" if len(missing) == 1 else "are",
            "keys": few(missing),
        }
        findings.append(Finding("exclude-unknown", "", path, values=values))
    return replace(
        loaded,
        samples=loaded.samples.filter(pc.invert(marked)),
        findings=(*loaded.findings, *findings),
    )
