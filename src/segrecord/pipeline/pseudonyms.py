"""`--pseudonymize`: keys and groups replaced by keyed hashes, before any file is read.

A pseudonym is HMAC-SHA-256 (RFC 2104, FIPS 198-1) under the bytes of the key file, cut to 128 bits:
NIST SP 800-107 (section 5.3) allows the cut, and the chance that any two of 10 million names
collide is below 10^-24.
Whoever holds the key file, or the original pictures, can tell whose record is whose.

What hangs on names hangs on pseudonyms from then on: the order of rows too, since a table in the
order of the names would give them away to whoever has a list of them.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa

from segrecord.errors import UsageError
from segrecord.sources.understood import Understood
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

_SENTENCE = "How the source names its files is not told: keys and groups are pseudonyms."

CROSSWALK = pa.schema(
    [
        pa.field("key", TEXT, nullable=False),
        pa.field("pseudonym", TEXT, nullable=False),
        pa.field("group", TEXT),
        pa.field("group_pseudonym", TEXT),
    ]
)


class Disguised(NamedTuple):
    """A source under pseudonyms, and what they stand for."""

    understood: Understood
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
    return _mac(secret, kind, text)[:_BYTES].hex()


def check_value(secret: bytes) -> str:
    """16 hexadecimal digits that tell this secret from another one; the manifest keeps them."""
    return _mac(secret, "check", "")[:_CHECK_BYTES].hex()


def _mac(secret: bytes, kind: str, text: str) -> bytes:
    return hmac.digest(secret, f"{_DOMAIN}\0{kind}\0{text}".encode(), "sha256")


def require_same(known: str, secret: bytes | None, dataset: str | Path) -> None:
    """Refuse a secret that is not the one which a dataset was built with.

    Args:
        known: the check value in the dataset's manifest; "": it has no pseudonyms.
        secret: that of this run; None: none was given.
        dataset: its folder.

    Raises:
        UsageError: one of the two has a secret and the other has none or another.
    """
    if known and secret is None:
        raise UsageError(
            f"{dataset} holds pseudonyms; pass --pseudonymize with the key file of its build"
        )
    if secret is not None and not known:
        raise UsageError(
            f"{dataset} was built without --pseudonymize, its keys are those of the source; leave "
            "--pseudonymize out"
        )
    if secret is not None and not hmac.compare_digest(known, check_value(secret)):
        raise UsageError(
            f"{dataset} was built with another key file; pass that one to --pseudonymize"
        )


def disguise(understood: Understood, secret: bytes) -> Disguised:
    """The source with a pseudonym for every key and group, sorted by the keys'.

    Paths stay, they are needed to read the files; so do classes and kept columns, which the user
    chose, and the texts of findings, which `segrecord.pipeline.disclosure` takes care of.

    Raises:
        UsageError: a kept column tells most keys, groups or file names, or two keys or groups
            have the same pseudonym.
    """
    samples = understood.samples
    _refuse_kept_names(samples)
    crosswalk = _crosswalk(samples, {found.key for found in understood.findings} - {""}, secret)
    own = crosswalk.slice(0, len(samples))
    for name, column in (("key", own["pseudonym"]), ("group", own["group_pseudonym"])):
        place = samples.schema.get_field_index(name)
        samples = samples.set_column(place, samples.schema.field(place), column)
    findings = tuple(
        found._replace(key=pseudonym(secret, "key", found.key)) if found.key else found
        for found in understood.findings
    )
    hidden = replace(
        understood, samples=samples.sort_by("key"), findings=findings, sentence=_SENTENCE
    )
    return Disguised(hidden, crosswalk)


def _refuse_kept_names(samples: pa.Table) -> None:
    names = {
        "key": samples["key"].to_pylist(),
        "group": samples["group"].to_pylist(),
        "file name": [_stem(path) for path in samples["image"].to_pylist()],
    }
    for column in samples.schema.names:
        if not column.startswith(META_PREFIX):
            continue
        cells = samples[column].to_pylist()
        for what, own in names.items():
            if _tells(cells, own) or (what == "file name" and _tells(map(_stem, cells), own)):
                raise UsageError(
                    f"the kept column {column.removeprefix(META_PREFIX)} is the {what} of each "
                    "sample or holds it, nearly always, which --pseudonymize is to replace; leave "
                    "it out of --keep-columns"
                )


def _stem(path: str | None) -> str | None:
    return os.path.splitext(os.path.basename(path))[0] if path else None  # noqa: PTH119, PTH122 - text, in a hot loop


def _tells(cells: Iterable[str | None], names: list[str | None]) -> bool:
    """Whether more than half of the cells that are filled are their sample's name, or hold it.

    Upper and lower case are not told apart: people who type names do not either.
    """
    filled = [_holds(cell, name) for cell, name in zip(cells, names, strict=True) if cell]
    return 2 * sum(filled) > len(filled)


def _holds(cell: str, name: str | None) -> bool:
    if not name:
        return False
    cell, name = cell.casefold(), name.casefold()
    return cell == name or (len(name) >= _LETTERS and name in cell)


def _crosswalk(samples: pa.Table, told: set[str], secret: bytes) -> pa.Table:
    """See `Disguised`: the samples in their order, then the other keys that were told of."""
    keys = samples["key"].to_pylist()
    more = sorted(told.difference(keys))
    groups = samples["group"].to_pylist()
    of_group = {group: pseudonym(secret, "group", group) for group in {*groups} - {None}}
    of_key = [pseudonym(secret, "key", key) for key in (*keys, *more)]
    if len(set(of_key)) < len(of_key) or len(set(of_group.values())) < len(of_group):
        raise UsageError("two names have the same pseudonym; make another key file")
    none = [None] * len(more)
    columns = (
        [*keys, *more],
        of_key,
        [*groups, *none],
        [*map(of_group.get, groups), *none],
    )
    return pa.table([pa.array(column, TEXT) for column in columns], schema=CROSSWALK)


def rekeyed(facts: pa.Table, secret: bytes) -> pa.Table:
    """Facts that were found under the original keys, under their pseudonyms.

    So a scan's facts serve a build with --pseudonymize too.
    """
    keys = [pseudonym(secret, "key", key) for key in facts["key"].to_pylist()]
    place = facts.schema.get_field_index("key")
    return facts.set_column(place, facts.schema.field(place), pa.array(keys, TEXT))
