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

from segrecord.errors import UsageError
from segrecord.findings import Finding
from segrecord.options import MAPPING_FILE, SourceOptions
from segrecord.wording import counted, more


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
        return _read(path, _composed)
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


def _composed(name: str) -> str:
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
            ids = _read(path, _composed)
        except _NoMappingError as error:
            about = {"reason": f"the file{error}"}
            findings.append(Finding("mapping-unread", path=path, values=about))
            continue
        if not labelled:
            about = {"reason": "no sample has a class"}
            findings.append(Finding("mapping-unread", path=path, values=about))
        elif not base.path:
            base, name = Beside(path, ids, ()), "the other one"
            listed = "; ".join(f"{number} {label}" for label, number in [*ids.items()][:_LISTED])
            rest = f";{more(len(ids) - _LISTED)}" * (len(ids) > _LISTED)
            about = {"file": MAPPING_FILE, "listed": listed + rest}
            findings.append(Finding("mapping-taken", path=path, values=about))
        elif difference := contradiction(ids, base.ids):
            about = {"difference": difference, "name": name}
            findings.append(Finding("mapping-contradicts", path=path, values=about))
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


_LISTED = 12
"""Classes that a line names."""


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
    explained: Collection[str] = (),
) -> Classes:
    """Ids for the classes of these samples; unknown, several and absent labels are findings.

    Args:
        samples: the samples table.
        options: --classes and --unlabelled.
        given: the file beside the source that gives ids, and these, where --classes does not.
        explained: keys of samples of which a finding says already why they have no class.
    """
    labels = samples["labels"].to_pylist()
    keys = samples["key"]
    counts = Counter(name for names in labels for name in names)
    path, mapping = given or ("", numbered(counts, options.rest_class))
    if options.classes:
        path, mapping = options.classes, read_mapping(options.classes)
    findings = []
    unknown = sorted(set(counts) - set(mapping))
    if unknown:
        listed = ", ".join(f"{name!r} ({counted(counts[name], 'sample')})" for name in unknown)
        about = {"case": "mapping", "classes": listed}
        findings.append(Finding("unknown-class", path=path, values=about))
    for row, names in enumerate(labels):
        if len(names) > 1:
            about = {"number": str(len(names)), "classes": ", ".join(map(repr, names))}
            findings.append(Finding("several-classes", keys[row].as_py(), values=about))
        elif names and names[0] not in mapping:
            about = {"class": names[0]}
            findings.append(Finding("unknown-class", keys[row].as_py(), values=about))
    if counts and options.unlabelled == "error":
        bare = (keys[row].as_py() for row, names in enumerate(labels) if not names)
        findings += [Finding("unlabelled", key) for key in bare if key not in explained]
    # Where no sample has a label the mapping says nothing about this set.
    return Classes(mapping if counts else {}, tuple(findings))
