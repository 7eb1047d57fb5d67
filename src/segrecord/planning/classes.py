"""Class names to class ids: from the user's mapping, or sorted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from segrecord.errors import Finding, UsageError, counted
from segrecord.options import SourceOptions


class Classes(NamedTuple):
    """The classes of a dataset, and what is wrong with the samples' labels."""

    ids: dict[str, int]
    """Class ids by name, ascending by id; empty: the set is unlabelled."""
    findings: tuple[Finding, ...]


def read_mapping(path: str) -> dict[str, int]:
    """The class ids by name in a JSON file `{"COVID": 0, ...}`, ascending by id.

    Raises:
        UsageError: the file cannot be read or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        mapping = json.loads(text, object_pairs_hook=_once)
    except OSError as error:
        raise UsageError(f"--classes {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--classes {path} is no JSON: {error}") from None
    if not isinstance(mapping, dict) or not mapping:
        raise UsageError(f'--classes {path} must hold one object like {{"COVID": 0, "Normal": 1}}')
    for name, number in mapping.items():
        if type(number) is not int or not 0 <= number < 1 << 31:
            raise UsageError(
                f"--classes {path}: the id of {name!r} must be an integer from 0, got {number!r}"
            )
    twice = [number for number, times in Counter(mapping.values()).items() if times > 1]
    if twice:
        raise UsageError(f"--classes {path}: id {twice[0]} stands for several classes")
    return dict(sorted(mapping.items(), key=lambda item: item[1]))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's content; JSON itself lets the last of two equal names win in silence."""
    names = Counter(name for name, _ in pairs)
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise ValueError(f"it names {twice[0]!r} twice")
    return dict(pairs)


def assign(samples: pa.Table, options: SourceOptions) -> Classes:
    """Ids for the classes of these samples; unknown, several and absent labels are findings."""
    labels = samples["labels"].to_pylist()
    keys = samples["key"]
    counts = Counter(name for names in labels for name in names)
    mapping = read_mapping(options.classes) if options.classes else None
    if mapping is None:
        mapping = {name: number for number, name in enumerate(sorted(counts))}
    findings = []
    unknown = set(counts) - set(mapping)
    if unknown:
        findings.append(_unknown(unknown, counts, options.classes or ""))
    for row, names in enumerate(labels):
        if len(names) > 1:
            findings.append(_several(keys[row].as_py(), names))
        elif names and names[0] in unknown:
            findings.append(_unknown_sample(keys[row].as_py(), names[0]))
    if counts and options.unlabelled == "error":
        findings += [
            _unlabelled(keys[row].as_py()) for row, names in enumerate(labels) if not names
        ]
    # Where no sample has a label the mapping says nothing about this set.
    return Classes(mapping if counts else {}, tuple(findings))


def _unknown(unknown: set[str], counts: Counter[str], path: str) -> Finding:
    listed = ", ".join(f"{name!r} ({counted(counts[name], 'sample')})" for name in sorted(unknown))
    return Finding(
        "error",
        "unknown-class",
        "",
        path,
        f"the mapping lacks {listed}",
        "add them to the mapping, or correct the labels",
    )


def _unknown_sample(key: str, name: str) -> Finding:
    return Finding(
        "error",
        "unknown-class",
        key,
        "",
        f"class {name!r} is not in the mapping",
        "add it to the mapping, or correct the label",
    )


def _several(key: str, names: list[str]) -> Finding:
    return Finding(
        "error",
        "several-classes",
        key,
        "",
        f"the sample has {len(names)} classes: {', '.join(map(repr, names))}",
        "give it one class",
    )


def _unlabelled(key: str) -> Finding:
    return Finding(
        "error",
        "unlabelled",
        key,
        "",
        "the sample has no class while others have one",
        "give it a class, or pass --unlabelled keep",
    )
