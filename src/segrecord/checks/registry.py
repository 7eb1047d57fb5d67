"""Facts in, findings out: what a person should know before training on this.

Each check is one function over whole columns, from a `CheckInput` to findings. The facts say what
stands in the files; here it is held against the options, against the other samples, and against
what is known of sets that went wrong. Copies are looked for in `segrecord.duplicates.search`;
rules, levels, texts and the sources of thresholds are listed in `segrecord.catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from segrecord.checks import class_checks, image_checks, mask_checks
from segrecord.checks.check_input import CheckInput
from segrecord.findings import Finding

Stage = Literal["files", "masks", "splits"]
"""What has to be known before a check can run: the facts alone, how mask values are read, or the
splits."""


class Check(NamedTuple):
    """One check, and what it may say."""

    findings: Callable[[CheckInput], Iterator[Finding]]
    stage: Stage
    codes: tuple[str, ...]
    """Of the findings; empty: those of the `PixelError`s that reading files ends in."""


CHECKS = (
    Check(image_checks.broken_files, "files", ()),
    Check(
        mask_checks.mask_sizes,
        "files",
        (
            *("mask-parts-size", "mask-not-turned", "mask-maybe-turned"),
            *("aspect-mismatch", "size-mismatch", "mask-stretched", "mask-resized"),
        ),
    ),
    Check(mask_checks.resized_pictures, "files", ("resized",)),
    Check(image_checks.handling, "files", ("re-encoded", "trimmed")),
    Check(
        image_checks.transparency,
        "files",
        ("transparent-pixels", "unread-channel", "alpha-channel"),
    ),
    Check(image_checks.extensions, "files", ("wrong-extension",)),
    Check(class_checks.missing_splits, "files", ("no-split",)),
    Check(class_checks.divided_groups, "files", ("divided-group",)),
    Check(image_checks.unread_parts, "files", ("unsupported-part",)),
    Check(image_checks.missing_masks, "files", ("missing-mask",)),
    Check(image_checks.shared_files, "files", ("shared-file",)),
    Check(image_checks.stale_names, "files", ("stale-name",)),
    Check(image_checks.flat_pictures, "files", ("constant-image", "dark-image", "bright-image")),
    Check(image_checks.strips, "files", ("extreme-aspect",)),
    Check(image_checks.odd_sizes, "files", ("outlier-size",)),
    Check(image_checks.personal_metadata, "files", ("personal-metadata", "metadata-removed")),
    Check(class_checks.no_group, "files", ("no-group",)),
    Check(class_checks.class_ratio, "files", ("class-ratio",)),
    Check(class_checks.shortcuts, "files", ("shortcut",)),
    Check(mask_checks.mapped, "masks", ("mask-mapped",)),
    Check(mask_checks.not_black_and_white, "masks", ("mask-not-black-white",)),
    Check(mask_checks.foregrounds, "masks", ("empty-mask", "small-mask", "full-mask")),
    Check(mask_checks.surrounding, "masks", ("inverted-masks",)),
    Check(class_checks.empty_splits, "splits", ("empty-split",)),
    Check(class_checks.spread_classes, "splits", ("split-lacks-class", "few-groups")),
)
"""All checks, in the order in which their findings stand."""


def run(stage: Stage, given: CheckInput) -> list[Finding]:
    """The findings of the checks of a stage.

    Args:
        stage: which checks.
        given: with `reading` (which has no errors) for masks, with `splits` and `names` for splits.
    """
    checks = (check for check in CHECKS if check.stage == stage)
    return [finding for check in checks for finding in check.findings(given)]
