"""Facts in, findings out: of all samples, or of those that are left after some were taken out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from segrecord import codes
from segrecord.errors import Finding, UsageError
from segrecord.options import Options
from segrecord.pipeline import disclosure, excluding, pseudonyms
from segrecord.pipeline.extending import read_old
from segrecord.planning import classes as classing
from segrecord.planning import extending
from segrecord.planning import joined as joining
from segrecord.planning import plan as planning
from segrecord.quality import checks, duplicates, values
from segrecord.quality.duplicates import Duplicates
from segrecord.sources.understood import Understood
from segrecord.tables import TEXT


class Scan(NamedTuple):
    """What is known of a source before anything is written."""

    samples: pa.Table
    """All samples, those with errors included (schema tables.SAMPLES and kept columns)."""
    facts: pa.Table
    """Row by row of the same samples (schema quality.kept.KEPT)."""
    duplicates: Duplicates
    """Which of them show the same."""
    splits: tuple[str | None, ...]
    """The split of each; None where the source fixes the splits of others only."""
    findings: tuple[Finding, ...]
    classes: dict[str, int]
    """Class ids by name, ascending; empty: the set is unlabelled."""
    reading: values.Reading | None
    """How mask values are read; None: no masks, or unchecked."""
    understood: Understood
    crosswalk: pa.Table | None = None
    """What the pseudonyms stand for; None: keys and groups are those of the source."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a build."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    def recognised(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings as the person who scans knows the samples: not by pseudonyms."""
        if self.crosswalk is None:
            return tuple(findings)
        return disclosure.recognised(findings, self.crosswalk)

    def without(self, keys: set[str], judge: Judge) -> Scan:
        """The scan of the other samples, judged anew; what the source said stands already."""
        gone = pa.array(sorted(keys), pa.large_string())
        keep = pc.invert(pc.is_in(self.samples["key"], gone))
        judged = judge(
            replace(self.understood, findings=(), passed_over={}),
            self.samples.filter(keep),
            self.facts.filter(keep),
            self.duplicates.only(keep.to_numpy(zero_copy_only=False)),
        )
        return judged._replace(crosswalk=self.crosswalk)


class Judge(NamedTuple):
    """Facts in, findings out: of all samples, or of those that are left."""

    options: Options
    """With the shares of the dataset that is extended."""
    secret: bytes | None
    """Of the pseudonyms."""
    old: extending.Old | None
    """The dataset that is extended."""
    wrong: dict[str, excluding.Wrong]
    """The samples that are to be left out, by key."""

    @classmethod
    def of(cls, options: Options, out: Path | None = None) -> Judge:
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
            options = replace(options, plan=extending.extended(options.plan, old))
        return cls(options, secret, old, excluding.read_wrong(options.plan.exclude))

    def __call__(
        self, understood: Understood, samples: pa.Table, found: pa.Table, copies: Duplicates
    ) -> Scan:
        """All findings of these samples, their splits, and how classes and masks are read."""
        options = self.options
        assigned = classing.assign(samples, options.source)
        reading = None
        if options.checks.checks != "none":
            masks = checks.mask_values(samples, found)
            reading = values.decide(masks, options.pixels) if masks else None
        splits, ties = self._splits(samples, found, copies)
        near = options.checks.near_duplicates
        findings = (
            *checks.check(samples, found, options),
            *_mask_findings(samples, found, reading, options),
            *duplicates.findings(samples, found, copies, reading, near),
            *assigned.findings,
            *(reading.findings if reading else ()),
            *ties,
            *_split_findings(samples, splits, options),
        )
        told = (*self.of_source(understood), *self._releveled(findings))
        return Scan(samples, found, copies, splits, told, assigned.ids, reading, understood)

    def of_source(self, understood: Understood) -> tuple[Finding, ...]:
        """The findings on the source itself, whichever of its samples are written."""
        return self._releveled((*understood.findings, *_passed_over(understood)))

    def _releveled(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        checks = self.options.checks
        return tuple(codes.releveled(findings, checks.ignore, checks.error))

    def _splits(
        self, samples: pa.Table, found: pa.Table, copies: Duplicates
    ) -> tuple[tuple[str | None, ...], tuple[Finding, ...]]:
        """The split of each sample, and the new samples that tie old splits together."""
        joined = joining.join(samples["group"], copies.numbers)
        if self.old is None:
            return tuple(planning.splits(samples, joined, self.options.plan)), ()
        settled = extending.settle(samples, found["pixels_sha256"], joined, self.old)
        plan = self.options.plan
        splits = planning.splits(samples, settled.numbers, plan, settled.fixed)
        return tuple(splits), settled.findings


def _mask_findings(
    samples: pa.Table, found: pa.Table, reading: values.Reading | None, options: Options
) -> list[Finding]:
    """What the masks show, but those that cannot be read: these may make others mean nothing."""
    if reading is None:
        return []
    bad = {finding.key for finding in reading.findings if finding.level == "error"}
    if bad:
        keep = pc.invert(pc.is_in(samples["key"], value_set=pa.array(sorted(bad), TEXT)))
        samples, found = samples.filter(keep), found.filter(keep)
        reading = values.decide(checks.mask_values(samples, found), options.pixels)
        if any(finding.level == "error" for finding in reading.findings):
            return []
    return checks.check_masks(samples, found, reading, options)


def _split_findings(
    samples: pa.Table, splits: tuple[str | None, ...], options: Options
) -> list[Finding]:
    """What is wrong with the splits; nothing can be said while some samples have none."""
    names = [name for name in splits if name is not None]
    if len(names) < len(splits):
        return []
    asked = [name for name, _ in options.plan.shares or ()]
    return checks.check_splits(samples, names, asked or sorted(set(names)))


def _passed_over(understood: Understood) -> list[Finding]:
    return [
        Finding("info", "passed-over", "", "", f"{number} x {what}: not taken", "")
        for what, number in understood.passed_over.items()
    ]
