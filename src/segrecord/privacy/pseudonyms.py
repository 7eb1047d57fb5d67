"""`--pseudonymize`: keys and groups replaced by keyed hashes, before any file is read.

A pseudonym is HMAC-SHA-256 (RFC 2104, FIPS 198-1) under the bytes of the key file, cut to 128 bits:
NIST SP 800-107 (section 5.3) allows the cut, and the chance that any two of 10 million names
collide is below 10^-24.
Whoever holds the key file, or the original pictures, can tell whose record is whose.

What depends on names depends on pseudonyms from then on: the order of rows too, since a table in
the order of the names would give them away to whoever has a list of them.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from segrecord.errors import UsageError
from segrecord.findings import Finding
from segrecord.sources.loaded import LoadedSource, Note
from segrecord.tables import META_PREFIX, TEXT

Kind = Literal["key", "group"]

MIN_SECRET = 16
"""Bytes: 128 bits, the strength of the pseudonyms themselves."""

MAX_SECRET = 1 << 16
"""Bytes; what is larger was not meant to be a key file."""

_LETTERS = 4
"""Shorter names, such as 7, stand in other texts by chance."""

_DOMAIN = "segrecord.pseudonym1"
"""Set apart from every other use of the same secret; 1: the version of the rule."""

_BYTES = 16
_CHECK_BYTES = 8

_READS_AS = (
    Note("samples", "How the source names its files is left out: keys and groups are pseudonyms."),
)

_GROUP_VALUES = ("group", "other_group")
"""Values of findings that are the name of one group."""

CROSSWALK = pa.schema(
    [
        pa.field("key", TEXT, nullable=False),
        pa.field("pseudonym", TEXT, nullable=False),
        pa.field("group", TEXT),
        pa.field("group_pseudonym", TEXT),
    ]
)


class Pseudonymized(NamedTuple):
    """A source under pseudonyms, and what they stand for."""

    loaded: LoadedSource
    crosswalk: pa.Table
    """Columns key, pseudonym, group, group_pseudonym: every sample, and every further key that a
    finding names (its group is null). Never part of a dataset."""


def read_secret(path: str | Path) -> bytes:
    """The secret: all bytes of the key file as they stand, a line's end at the end included.

    Raises:
        UsageError: there is no such file, or it holds too little or too much.
    """
    make = f"make one with: head -c 32 /dev/urandom > {path}"
    try:
        with Path(path).open("rb") as file:
            secret = file.read(MAX_SECRET + 1)
    except FileNotFoundError:
        raise UsageError(f"the key file {path} does not exist; {make}") from None
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be read: {error.strerror}") from None
    if len(secret) < MIN_SECRET:
        raise UsageError(
            f"a key file must hold at least {MIN_SECRET} bytes, {path} holds {len(secret)}; {make}"
        )
    if len(secret) > MAX_SECRET:
        raise UsageError(f"a key file must hold at most {MAX_SECRET} bytes, {path} holds more")
    return secret


def pseudonym(secret: bytes, kind: Kind, text: str) -> str:
    """32 hexadecimal digits; a key and a group of the same text have different ones."""
    return _hexadecimal(secret, kind, text)[: 2 * _BYTES]


def check_value(secret: bytes) -> str:
    """16 hexadecimal digits that tell this secret from another one; the manifest keeps them."""
    return _hexadecimal(secret, "check", "")[: 2 * _CHECK_BYTES]


def _hexadecimal(secret: bytes, kind: str, text: str) -> str:
    return hmac.digest(secret, f"{_DOMAIN}\0{kind}\0{text}".encode(), "sha256").hex()


def require_same(check: str, secret: bytes | None, dataset: str | Path) -> None:
    """Refuse a secret that is not the one which a dataset was built with.

    Args:
        check: the check value in the dataset's manifest; "": it has no pseudonyms.
        secret: that of this run; None: none was given.
        dataset: its folder.

    Raises:
        UsageError: one of the two has a secret and the other has none or another.
    """
    if check and secret is None:
        raise UsageError(
            f"{dataset} holds pseudonyms; pass --pseudonymize with the key file of its build"
        )
    if secret is not None and not check:
        raise UsageError(
            f"{dataset} was built without --pseudonymize, its keys are those of the source; leave "
            "--pseudonymize out"
        )
    if secret is not None and not hmac.compare_digest(check, check_value(secret)):
        raise UsageError(
            f"{dataset} was built with another key file; pass that one to --pseudonymize"
        )


def pseudonymize(loaded: LoadedSource, secret: bytes) -> Pseudonymized:
    """The source with a pseudonym for every key and group, sorted by the keys'.

    Paths stay, they are needed to read the files; so do classes and kept columns, which the user
    chose.

    Raises:
        UsageError: a kept column tells most keys, groups or file names, or two keys or groups
            have the same pseudonym.
    """
    samples = loaded.samples
    _refuse_kept_names(samples)
    keys, groups = samples["key"].to_pylist(), samples["group"].to_pylist()
    named = (
        (finding.key, *(other.key for other in finding.related)) for finding in loaded.findings
    )
    more = sorted({*chain.from_iterable(named)}.difference(keys, [""]))
    of_key = {key: pseudonym(secret, "key", key) for key in (*keys, *more)}
    of_group = {group: pseudonym(secret, "group", group) for group in {*groups} - {None}}
    if len({*of_key.values()}) < len(of_key) or len({*of_group.values()}) < len(of_group):
        raise UsageError("two names have the same pseudonym; make another key file")
    crosswalk = pa.table(
        [
            pa.array([*keys, *more], TEXT),
            pa.array(of_key.values(), TEXT),
            pa.array([*groups, *[None] * len(more)], TEXT),
            pa.array([*map(of_group.get, groups), *[None] * len(more)], TEXT),
        ],
        schema=CROSSWALK,
    )
    own = crosswalk.slice(0, len(samples))
    for name, column in (("key", own["pseudonym"]), ("group", own["group_pseudonym"])):
        at = samples.schema.get_field_index(name)
        samples = samples.set_column(at, samples.schema.field(at), column)
    hidden = replace(
        loaded,
        samples=samples.sort_by("key"),
        findings=renamed(loaded.findings, of_key, of_group),
        reads_as=_READS_AS,
    )
    return Pseudonymized(hidden, crosswalk)


def names_in(finding: Finding) -> set[str]:
    """The keys and groups that a finding names."""
    keys = (finding.key, *(other.key for other in finding.related))
    groups = (finding.values.get(name) or "" for name in _GROUP_VALUES)
    return {*keys, *_groups_of(finding.values), *groups} - {""}


def _groups_of(values: Mapping[str, Any]) -> list[str]:
    groups = values.get("groups")
    return list(groups) if isinstance(groups, list | tuple) else []  # else it is their number


def renamed(
    findings: Iterable[Finding], keys: Mapping[str, str], groups: Mapping[str, str]
) -> tuple[Finding, ...]:
    """The findings with other names for samples and groups; names that are not listed stay.

    Args:
        findings: whose key, related keys, and values of `_GROUP_VALUES` and `groups` are names.
        keys: the new names of keys.
        groups: the new names of groups.
    """

    def of_values(values: Mapping[str, Any]) -> dict[str, Any]:
        new = dict(values)
        for name in _GROUP_VALUES:
            if name in values:
                new[name] = groups.get(values[name], values[name])
        if several := _groups_of(values):
            new["groups"] = [groups.get(group, group) for group in several]
        return new

    return tuple(
        replace(
            finding,
            key=keys.get(finding.key, finding.key),
            related=tuple(
                other._replace(key=keys.get(other.key, other.key)) for other in finding.related
            ),
            values=of_values(finding.values),
        )
        for finding in findings
    )


def _refuse_kept_names(samples: pa.Table) -> None:
    """Refuse a kept column that names most samples.

    Upper and lower case are not told apart: people who type names do not either.
    """

    def stem(path: str | None) -> str | None:
        return os.path.splitext(os.path.basename(path))[0] if path else None  # noqa: PTH119, PTH122 - text, in a hot loop

    def holds(cell: str, name: str | None) -> bool:
        if not name:
            return False
        cell, name = cell.casefold(), name.casefold()
        return cell == name or (len(name) >= _LETTERS and name in cell)

    def names_most(cells: Iterable[str | None], names: list[str | None]) -> bool:
        filled = [holds(cell, name) for cell, name in zip(cells, names, strict=True) if cell]
        return 2 * sum(filled) > len(filled)

    names = {
        "key": samples["key"].to_pylist(),
        "group": samples["group"].to_pylist(),
        "file name": [stem(path) for path in samples["image"].to_pylist()],
    }
    for column in samples.schema.names:
        if not column.startswith(META_PREFIX):
            continue
        cells = samples[column].to_pylist()
        for what, own in names.items():
            if names_most(cells, own) or (
                what == "file name" and names_most(map(stem, cells), own)
            ):
                raise UsageError(
                    f"the kept column {column.removeprefix(META_PREFIX)} is the {what} of each "
                    "sample or holds it, nearly always, which --pseudonymize is to replace; leave "
                    "it out of --keep-columns"
                )


def rekeyed(facts: pa.Table, secret: bytes) -> pa.Table:
    """Facts that were found under the original keys, under their pseudonyms.

    So a scan's facts serve a build with --pseudonymize too.
    """
    keys = [pseudonym(secret, "key", key) for key in facts["key"].to_pylist()]
    at = facts.schema.get_field_index("key")
    return facts.set_column(at, facts.schema.field(at), pa.array(keys, TEXT))
