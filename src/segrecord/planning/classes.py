"""Class names to class ids: from the user's mapping, or sorted."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.errors import Finding, UsageError, counted
from segrecord.options import MAPPING_FILE, SourceOptions


class Classes(NamedTuple):
    """The classes of a dataset, and what is wrong with the samples' labels."""

    ids: dict[str, int]
    """Class ids by name, ascending by id; empty: the set is unlabelled."""
    findings: tuple[Finding, ...]


def read_mapping(path: str) -> dict[str, int]:
    """The class ids by name in a JSON file `{"COVID": 0, ...}`, ascending by id.

    The ids may come first too: `{"0": "COVID", ...}`.

    Raises:
        UsageError: the file cannot be read or holds something else.
    """
    try:
        return _read(path, str)
    except _NoMappingError as error:
        raise UsageError(f"--classes {path}{error}") from None


def mapping_or_none(path: str) -> dict[str, int] | None:
    """As `read_mapping`, of a file that may be something else, with names as tables have them."""
    try:
        return _read(path, _named)
    except _NoMappingError:
        return None


class _NoMappingError(Exception):
    """What is wrong with a file of class ids, to be read after its name."""


def _read(path: str, spelled: Callable[[str], str]) -> dict[str, int]:
    try:
        if Path(path).is_fifo():  # reading would wait for a writer
            raise _NoMappingError(" is a pipe and no regular file")
        text = Path(path).read_text(encoding="utf-8-sig")
        mapping = json.loads(text, object_pairs_hook=_once)
    except OSError as error:
        raise _NoMappingError(f" cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _NoMappingError(f" is no JSON: {error}") from None
    if not isinstance(mapping, dict) or not mapping:
        raise _NoMappingError(' must hold one object like {"COVID": 0, "Normal": 1}')
    pairs = [(name, number) for name, number in mapping.items()]
    if all(_DIGITS.fullmatch(key) and isinstance(name, str) for key, name in pairs):
        pairs = [(name, int(key)) for key, name in pairs]  # {"0": "COVID", ...}
    for name, number in pairs:
        if type(number) is not int or not 0 <= number < 1 << 31:
            raise _NoMappingError(f" gives {name!r} the id {number!r}: ids are integers from 0")
    ids = {spelled(name): number for name, number in pairs}
    if len(ids) < len(pairs):
        raise _NoMappingError(" names a class twice")
    twice = [number for number, times in Counter(ids.values()).items() if times > 1]
    if twice:
        raise _NoMappingError(f" gives the id {twice[0]} to several classes")
    return dict(sorted(ids.items(), key=lambda item: item[1]))


_DIGITS = re.compile(r"[0-9]{1,10}")


def _named(name: str) -> str:
    """A class's name in the spelling that labels have: composed, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


class Beside(NamedTuple):
    """What files of class ids beside a source say."""

    path: str
    """The file whose ids are taken; "": none is."""
    ids: dict[str, int]
    findings: tuple[Finding, ...]


def beside(paths: Sequence[str], samples: pa.Table, options: SourceOptions) -> Beside:
    """The class ids of files that lie beside a source, and what is wrong with them.

    Args:
        paths: the files.
        samples: the samples table, for whether there are classes at all.
        options: --classes is taken before any such file.

    Raises:
        UsageError: the file of --classes cannot be used.
    """
    base = Beside(
        options.classes or "", read_mapping(options.classes) if options.classes else {}, ()
    )
    # Its name alone: findings go into the dataset, which tells no place.
    name = f"--classes {Path(options.classes).name}" if options.classes else ""
    labelled = bool(pc.any(pc.greater(pc.list_value_length(samples["labels"]), 0)).as_py())
    findings = []
    for path in paths:
        try:
            ids = _read(path, _named)
        except _NoMappingError as error:
            findings.append(_unread(path, f"no class ids are taken from it: the file{error}"))
            continue
        if not labelled:
            findings.append(_unread(path, "no class ids are taken from it: no sample has a class"))
        elif not base.path:
            base, name = Beside(path, ids, ()), "the other one"
            findings.append(_taken(path, ids))
        elif told := contradiction(ids, base.ids):
            findings.append(_contradicts(path, told, name))
    return base._replace(findings=tuple(findings))


def contradiction(ids: dict[str, int], others: dict[str, int]) -> str:
    """The first class or id that two mappings use differently, in words; "": there is none."""
    names = {number: name for name, number in others.items()}
    for name, number in ids.items():
        if others.get(name, number) != number:
            return f"gives {name!r} the id {number}, not {others[name]}"
        if names.get(number, name) != name:
            return f"gives the id {number} to {name!r}, not to {names[number]!r}"
    return ""


def _taken(path: str, ids: dict[str, int]) -> Finding:
    listed = "; ".join(f"{number} {name}" for name, number in list(ids.items())[:_LISTED])
    more = f"; and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
    message = f"the class ids are those of {MAPPING_FILE} beside the source: {listed}{more}"
    return Finding("info", "mapping-taken", "", path, message, "")


_LISTED = 12


def _unread(path: str, why: str) -> Finding:
    fix = (
        'write the ids as {"COVID": 0, "Normal": 1}, name the column of the class, or move the '
        "file away"
    )
    return Finding("warning", "mapping-unread", "", path, why, fix)


def _contradicts(path: str, told: str, other: str) -> Finding:
    fix = f"correct one of the two, or --ignore mapping-contradicts takes {other}"
    return Finding("error", "mapping-contradicts", "", path, f"it {told} as {other} does", fix)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's content; JSON itself lets the last of two equal names win in silence."""
    names = Counter(name for name, _ in pairs)
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise ValueError(f"it names {twice[0]!r} twice")
    return dict(pairs)


def numbered(names: Iterable[str], rest: str | None = None) -> dict[str, int]:
    """Ids by sorted name; but of two classes, one the absence of the other, that one is 0.

    So the ids are those of a column of 0 and 1 that gave the classes.

    Args:
        names: of the classes.
        rest: --rest-class, the class of the rows without any other.
    """
    ordered = sorted(names)
    if len(ordered) == 2:  # noqa: PLR2004 - a class and its absence
        absent = {rest, *(f"not {name}" for name in ordered)}
        ordered.sort(key=lambda name: name not in absent)
    return {name: number for number, name in enumerate(ordered)}


def assign(
    samples: pa.Table,
    options: SourceOptions,
    given: tuple[str, dict[str, int]] | None = None,
    told: Collection[str] = (),
) -> Classes:
    """Ids for the classes of these samples; unknown, several and absent labels are findings.

    Args:
        samples: the samples table.
        options: --classes and --unlabelled.
        given: the file beside the source that gives ids, and these, where --classes does not.
        told: keys of samples of which it is told already why they have no class.
    """
    labels = samples["labels"].to_pylist()
    keys = samples["key"]
    counts = Counter(name for names in labels for name in names)
    path, mapping = given or ("", numbered(counts, options.rest_class))
    if options.classes:
        path, mapping = options.classes, read_mapping(options.classes)
    findings = []
    unknown = set(counts) - set(mapping)
    if unknown:
        findings.append(_unknown(unknown, counts, path))
    for row, names in enumerate(labels):
        if len(names) > 1:
            findings.append(_several(keys[row].as_py(), names))
        elif names and names[0] in unknown:
            findings.append(_unknown_sample(keys[row].as_py(), names[0]))
    if counts and options.unlabelled == "error":
        findings += [
            _unlabelled(key)
            for row, names in enumerate(labels)
            if not names and (key := keys[row].as_py()) not in told
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
        "add them to the mapping, correct the labels, or move the mapping file away",
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
