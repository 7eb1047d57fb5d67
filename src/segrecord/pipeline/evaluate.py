"""Facts in, findings out: of all samples, or of those that are left when others are taken out.

`evaluate` gives all findings of a set of samples, `quarantine` the samples that are written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from segrecord.checks import mask_checks, mask_values, registry
from segrecord.checks.check_input import CheckInput
from segrecord.duplicates.copy_findings import duplicate_findings
from segrecord.duplicates.search import Duplicates
from segrecord.errors import DataError
from segrecord.findings import Finding, Related, releveled
from segrecord.pipeline.context import EXCLUDED, BuildContext
from segrecord.privacy import redact
from segrecord.sources.loaded import LoadedSource
from segrecord.splits import classes as classing
from segrecord.splits import extend
from segrecord.splits import groups as joining
from segrecord.splits import plan as planning
from segrecord.tables import TEXT
from segrecord.wording import shown

_CLASSLESS = frozenset(["no-class", "several-classes"])
"""Findings of a source that say why a sample has no class."""

_DROPPED = "duplicate-dropped"
"""The finding of a copy that was left out because one is enough."""


class Scan(NamedTuple):
    """What is known of a source before anything is written."""

    samples: pa.Table
    """All samples, those with errors included (schema tables.SAMPLES and kept columns)."""
    facts: pa.Table
    """Row by row of the same samples (schema scanning.checkpoint.KEPT)."""
    duplicates: Duplicates
    """Which of them show the same."""
    splits: tuple[str | None, ...]
    """The split of each; None where the source fixes the splits of others only."""
    findings: tuple[Finding, ...]
    classes: dict[str, int]
    """Class ids by name, ascending; empty: the set is unlabelled."""
    reading: mask_values.Reading | None
    """How mask values are read; None: no masks, or unchecked."""
    loaded: LoadedSource
    crosswalk: pa.Table | None = None
    """What the pseudonyms stand for; None: keys and groups are those of the source."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a build."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    def with_names(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings as the person who scans knows the samples: not by pseudonyms."""
        if self.crosswalk is None:
            return tuple(findings)
        return redact.with_names(findings, self.crosswalk)


class Quarantined(NamedTuple):
    """What is written, and what was left out of it."""

    scan: Scan
    """Of the samples that are written."""
    keys: frozenset[str]
    """The samples that are left out."""
    findings: tuple[Finding, ...]
    """Of the source, of the samples that are written, and why each of the others is not."""
    images: dict[str, str]
    """The image file of each sample that is left out and that the scan has met, by key."""


def evaluate(
    context: BuildContext,
    loaded: LoadedSource,
    samples: pa.Table,
    facts: pa.Table,
    duplicates: Duplicates,
) -> Scan:
    """All findings of these samples, their splits, and how classes and masks are read.

    Args:
        context: of the run.
        loaded: the source that they come from.
        samples: schema tables.SAMPLES and kept columns.
        facts: row by row of the same samples.
        duplicates: which of them show the same.
    """
    options = context.options
    explained = {found.key for found in loaded.findings if found.code in _CLASSLESS}
    assigned = classing.assign(samples, options.source, loaded.mapping, explained)
    joined = joining.join(samples["group"], duplicates.numbers)
    ties: tuple[Finding, ...] = ()
    if context.old is None:
        splits = tuple(planning.splits(samples, joined, options.plan))
    else:
        settled = extend.settle(samples, facts["pixels_sha256"], joined, context.old)
        ties = settled.findings
        splits = tuple(planning.splits(samples, settled.numbers, options.plan, settled.fixed))
    reading = None
    if options.checks.checks != "none":
        masks = mask_checks.mask_values(samples, facts)
        reading = mask_values.decide(masks, options.pixels) if masks else None
    near = options.checks.near_duplicates
    findings = [
        *registry.run("files", CheckInput(samples, facts, options)),
        *_mask_findings(context, samples, facts, reading),
        *duplicate_findings(samples, facts, duplicates, reading, near),
        *assigned.findings,
        *(reading.findings if reading else ()),
        *ties,
    ]
    names = [name for name in splits if name is not None]
    if len(names) == len(splits):  # nothing can be said of splits while some samples have none
        asked = [name for name, _ in options.plan.shares or ()]
        wanted = asked or sorted(set(names))
        given = CheckInput(samples, facts, options, splits=names, names=wanted)
        findings += registry.run("splits", given)
    return Scan(
        samples=samples,
        facts=facts,
        duplicates=duplicates,
        splits=splits,
        findings=(*_source_findings(context, loaded), *_releveled(context, findings)),
        classes=assigned.ids,
        reading=reading,
        loaded=loaded,
    )


def _mask_findings(
    context: BuildContext, samples: pa.Table, facts: pa.Table, reading: mask_values.Reading | None
) -> list[Finding]:
    """What the masks show, but those that cannot be read: these may make others mean nothing."""
    if reading is None:
        return []
    bad = {finding.key for finding in reading.findings if finding.level == "error"}
    if bad:
        keep = pc.invert(pc.is_in(samples["key"], value_set=pa.array(sorted(bad), TEXT)))
        samples, facts = samples.filter(keep), facts.filter(keep)
        left = mask_checks.mask_values(samples, facts)
        reading = mask_values.decide(left, context.options.pixels)
        if not left or any(finding.level == "error" for finding in reading.findings):
            return []
    return registry.run("masks", CheckInput(samples, facts, context.options, reading))


def _source_findings(context: BuildContext, loaded: LoadedSource) -> tuple[Finding, ...]:
    """The findings on the source itself, whichever of its samples are written."""
    findings = list(loaded.findings)
    for what, number in loaded.skipped_files.items():
        names = loaded.skipped_names.get(what, ())
        more = f" and {number - len(names)} more" * (number > len(names))
        named = f" ({', '.join(map(shown, names))}{more})" * bool(names)
        values = {"number": number, "what": what, "names": named}
        findings.append(Finding("skipped-files", values=values))
    return _releveled(context, findings)


def _releveled(context: BuildContext, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(releveled(findings, context.options.checks.ignore, context.options.checks.error))


def _evaluate_without(context: BuildContext, scan: Scan, keys: set[str]) -> Scan:
    """The scan of the other samples, evaluated again; what the source said stands already."""
    keep = pc.invert(pc.is_in(scan.samples["key"], value_set=pa.array(sorted(keys), TEXT)))
    left = evaluate(
        context,
        replace(scan.loaded, findings=(), skipped_files={}, skipped_names={}),
        scan.samples.filter(keep),
        scan.facts.filter(keep),
        scan.duplicates.only(keep.to_numpy(zero_copy_only=False)),
    )
    return left._replace(crosswalk=scan.crosswalk)


def quarantine(context: BuildContext, scanned: Scan) -> Quarantined:
    """What is written of a scan: without samples with errors, and without copies where one does.

    Args:
        context: of the run.
        scanned: all samples.

    Raises:
        DataError: there are errors and samples may not be left out, leaving them out does not
            help, or nothing would be left; its findings are by the keys of the samples table.
    """
    options = context.options.checks
    if scanned.errors and options.on_error == "stop":
        raise DataError("no shard was written", _once(scanned.findings))
    masks = pc.any(pc.greater(pc.list_value_length(scanned.samples["mask"]), 0)).as_py()
    if not masks and any(found.code == "mask-without-image" for found in scanned.findings):
        reason = "not one mask belongs to an image, so the pairing itself is wrong"
        raise DataError(reason, scanned.findings)
    # Of findings that others replace, only why they left samples out is still true.
    source, why = _source_findings(context, scanned.loaded), list[Finding]()
    sound = scanned
    gone = {finding.key for finding in source if finding.code == EXCLUDED}
    # Without the bad masks the values of the others may mean something else: evaluated again.
    while sound.errors:
        bad = {finding.key for finding in sound.errors} - {""}
        if not bad and sound is not scanned:  # what the source said of itself is reported once
            reason = "leaving samples out does not help against what concerns all of them"
            raise DataError(reason, _once(source, why, sound.findings))
        gone |= bad
        why += [finding for finding in sound.errors if finding.key]
        sound = _evaluate_without(context, sound, bad)
        if not len(sound.samples):
            reason = "every sample has an error, nothing is left to write"
            raise DataError(reason, _once(source, why, sound.findings))
    if options.keep_duplicates == "one":
        copies = releveled(_copies(sound), options.ignore, ())
        gone |= {finding.key for finding in copies}
        why += copies
        # What copies tie together stays together without them: two patients who share a picture
        # are one, or nobody knows whose it is.
        joined = joining.join(sound.samples["group"], sound.duplicates.numbers)
        tied = sound._replace(duplicates=sound.duplicates._replace(numbers=joined))
        sound = _evaluate_without(context, tied, gone)
        if sound.errors:
            reason = "leaving copies out brought them"
            raise DataError(reason, _once(source, why, sound.findings))
    columns = scanned.samples.select(["key", "image"])
    columns = columns.filter(pc.is_in(columns["key"], value_set=pa.array(sorted(gone), TEXT)))
    images = dict(zip(*(column.to_pylist() for column in columns.columns), strict=True))
    return Quarantined(sound, frozenset(gone), _once(source, why, sound.findings), images)


def _once(*findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """All of them, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(findings)))


def _copies(sound: Scan) -> list[Finding]:
    """The samples that add nothing: another one has the same pixels, mask, class and split."""
    found: list[Finding] = []
    for rows in sound.duplicates.exact:
        first: dict[object, Related] = {}
        for row in rows:
            sample = sound.samples.slice(row, 1).select(["key", "image", "labels"]).to_pylist()[0]
            masks = sound.facts["masks"][row].as_py() or ()
            planes = tuple(mask["pixels_sha256"] for mask in masks)
            own = Related(sample["key"], sample["image"])
            kept = first.setdefault((planes, tuple(sample["labels"]), sound.splits[row]), own)
            if kept is not own:
                found.append(Finding(_DROPPED, own.key, own.path, (kept,)))
    return found
