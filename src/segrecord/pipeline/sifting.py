"""What is written and what is left out: samples with errors, and copies where one is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from segrecord import codes
from segrecord.errors import Finding
from segrecord.pipeline.excluding import EXCLUDED
from segrecord.planning import joined as joining
from segrecord.tables import TEXT

if TYPE_CHECKING:
    from segrecord.pipeline.judging import Judge, Scan

DROPPED = "duplicate-dropped"
"""The finding of a copy that was left out because one is enough."""

Stop = Callable[[str, tuple[Finding, ...]], NoReturn]


class LeftOut(NamedTuple):
    """What was left out, and the findings on what is written."""

    keys: frozenset[str]
    findings: tuple[Finding, ...]
    """Of the source, of the samples that are written, and why each of the others is not."""
    images: dict[str, str]
    """The image file of each such sample that the scan has met, by key."""


def sift(scanned: Scan, judge: Judge, stop: Stop) -> tuple[Scan, LeftOut]:
    """The scan of the samples that are written.

    Args:
        scanned: all samples.
        judge: judges those that are left.
        stop: ends the build; called where there are errors and the samples may not be left out,
            where leaving them out mends nothing, and where nothing would be left.
    """
    if scanned.errors and judge.options.checks.on_error == "stop":
        stop("no shard was written", _told(scanned.findings))
    if _unpaired(scanned):
        stop("not one mask belongs to an image, so the pairing itself is wrong", scanned.findings)
    # Of a judgement that is replaced by another, only why it left samples out is still true.
    source = judge.of_source(scanned.understood)
    sound, why = scanned, list[Finding]()
    gone = {finding.key for finding in source if finding.code == EXCLUDED}
    # Without the bad masks the values of the others may mean something else: judge again.
    while sound.errors:
        bad = {finding.key for finding in sound.errors} - {""}
        if not bad and sound is not scanned:  # what the source said of itself is told once
            told = _told(source, why, sound.findings)
            stop("leaving samples out does not mend what concerns all of them", told)
        gone |= bad
        why += [finding for finding in sound.errors if finding.key]
        sound = sound.without(bad, judge)
        if not len(sound.samples):
            told = _told(source, why, sound.findings)
            stop("every sample has an error, nothing is left to write", told)
    if judge.options.checks.keep_duplicates == "one":
        copies = codes.releveled(_copies(sound), judge.options.checks.ignore, ())
        gone |= {finding.key for finding in copies}
        why += copies
        sound = _tied(sound).without(gone, judge)
        if sound.errors:
            stop("leaving copies out brought them", _told(source, why, sound.findings))
    told = _told(source, why, sound.findings)
    return sound, LeftOut(frozenset(gone), told, _images(scanned, gone))


def _told(*findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """All of them, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(findings)))


def _images(scanned: Scan, keys: set[str]) -> dict[str, str]:
    columns = scanned.samples.select(["key", "image"])
    some = columns.filter(pc.is_in(columns["key"], value_set=pa.array(sorted(keys), TEXT)))
    return dict(zip(*(column.to_pylist() for column in some.columns), strict=True))


def _unpaired(scanned: Scan) -> bool:
    """Whether there are masks and none of them has found its image."""
    some = pc.any(pc.greater(pc.list_value_length(scanned.samples["mask"]), 0)).as_py()
    return not some and any(found.code == "mask-without-image" for found in scanned.findings)


def _copies(sound: Scan) -> list[Finding]:
    """The samples that add nothing: another one has the same pixels, mask, class and split."""
    found: list[Finding] = []
    for rows in sound.duplicates.exact:
        first: dict[object, str] = {}
        for row in rows:
            key = sound.samples["key"][row].as_py()
            kept = first.setdefault(_content(sound, row), key)
            if kept != key:
                found.append(_dropped(key, sound.samples["image"][row].as_py(), kept))
    return found


def _content(sound: Scan, row: int) -> object:
    masks: pa.Scalar = sound.facts["masks"][row]
    planes = tuple(mask["pixels_sha256"] for mask in masks.as_py() or ())
    return planes, tuple(sound.samples["labels"][row].as_py()), sound.splits[row]


def _tied(sound: Scan) -> Scan:
    """The same, where what copies tie together stays together when they are left out.

    Two patients who share a picture are one, or nobody knows whose it is.
    """
    joined = joining.join(sound.samples["group"], sound.duplicates.numbers)
    return sound._replace(duplicates=sound.duplicates._replace(numbers=joined))


def _dropped(key: str, path: str, kept: str) -> Finding:
    return Finding(
        "warning",
        DROPPED,
        key,
        path,
        f"left out: pixels, mask and class are those of {kept}",
        "leave out --keep-duplicates one to keep it",
    )
