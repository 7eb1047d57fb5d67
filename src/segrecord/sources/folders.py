"""A folder in, samples out: images, masks, classes and splits, and the words to say so."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from segrecord.errors import Finding, SourceError
from segrecord.sources.hints import folder_hints
from segrecord.sources.layout import File, Layout, label_sizes, lay_out
from segrecord.sources.understood import (
    FEW,
    PassedOver,
    Sample,
    Understood,
    checked_path,
    choose_masks,
    duplicate_key,
    few,
    named,
    samples_table,
    shown,
    without_mask,
)
from segrecord.sources.walk import OTHER, Walk, walk

if TYPE_CHECKING:
    from segrecord.options import SourceOptions
    from segrecord.sources.roles import Seat

_MOST_SINGLE = 10
"""Up to so many folders of a single image each may be classes; more are patients or cases."""


def understand_folder(source: str, options: SourceOptions) -> Understood:
    """The samples of a folder.

    Findings: mask-without-image, several-masks, duplicate-key, image-without-mask,
    file-beside-images, name-not-unicode, unreadable-folder.

    Raises:
        SourceError: the folder holds no images.
    """
    found = walk(checked_path(source), options.metadata)
    layout = lay_out(found.images)
    if not layout.images:
        raise SourceError(_nothing(source, found, layout))
    classes = _classes(layout)
    samples, findings = _samples(source, layout, classes, options, found.passed_over)
    found.passed_over.add("SegmentationObject", *layout.instances)
    return Understood(
        samples_table(samples),
        (*found.findings, *findings, *without_mask(samples)),
        _sentence(layout, classes),
        found.passed_over.told(),
        tuple(folder_hints(source, found, layout, classes)),
        passed_names=found.passed_over.told_names(),
    )


def _classes(layout: Layout) -> tuple[str, ...]:
    """The class folders, sorted; none unless there are at least two and they may be classes."""
    sizes = label_sizes(layout)
    if len(sizes) < 2 or _are_cases(sizes):  # noqa: PLR2004 - one class tells nothing apart
        return ()
    return tuple(sorted(sizes))


def _are_cases(sizes: Counter[str]) -> bool:
    return len(sizes) > _MOST_SINGLE and max(sizes.values()) == 1


def _samples(
    source: str,
    layout: Layout,
    classes: tuple[str, ...],
    options: SourceOptions,
    passed_over: PassedOver,
) -> tuple[list[Sample], list[Finding]]:
    masks, findings = _masks_of_images(source, layout)
    by_key: dict[str, list[int]] = {}
    for number, file in enumerate(layout.images):
        by_key.setdefault(file.key, []).append(number)
    samples = []
    for key, numbers in by_key.items():
        if len(numbers) > 1:
            files = [_joined(source, layout.images[number]) for number in numbers]
            fix = "rename all but one of the files, or move what is no image away"
            findings.append(duplicate_key(key, files, fix))
            continue
        file = layout.images[numbers[0]]
        seat = layout.seats[file.folder]
        chosen, several = choose_masks(
            key, masks.get(numbers[0], ()), options.mask_choice, passed_over
        )
        findings += several
        labels = (named(seat.label),) if classes and seat.label else ()
        samples.append(Sample(key, _joined(source, file), chosen, labels, split=seat.split))
    if layout.beside:
        findings.append(_beside(source, layout))
    return samples, findings


def _masks_of_images(
    source: str, layout: Layout
) -> tuple[dict[int, tuple[str, ...]], list[Finding]]:
    """The masks of each image by its number, shortest name first (`x_mask` before `x_mask_1`)."""
    masks: dict[int, list[str]] = {}
    findings = []
    for file, match in zip(layout.masks, layout.matches, strict=True):
        keys = {layout.images[number].key for number in match.images}
        if len(keys) != 1:
            findings += _orphan(source, file, sorted(keys), some=layout.pairs > 0)
        for number in match.images if len(keys) == 1 else ():
            masks.setdefault(number, []).append(_joined(source, file))
    ordered = {
        number: tuple(sorted(paths, key=lambda path: (len(path), path)))
        for number, paths in masks.items()
    }
    return ordered, findings


def _orphan(source: str, file: File, keys: list[str], *, some: bool) -> list[Finding]:
    """A finding for each image that the mask may belong to, or one where there is none.

    Where not even some masks have their image, to leave masks out mends nothing.
    """
    if keys:
        message = f"the mask fits {len(keys)} images equally well: {few(keys)}"
    else:
        message = "no image has the name of this mask, with or without a suffix such as _mask"
    fix = (
        "add its image, move the mask away, or list the pairs in a CSV (image_path,mask_path) "
        "and build from that"
    )
    if some:
        left = " and these images" * bool(keys)
        fix += f"; --on-error quarantine leaves the mask{left} out"
    path = _joined(source, file)
    return [Finding("error", "mask-without-image", key, path, message, fix) for key in keys or [""]]


def _beside(source: str, layout: Layout) -> Finding:
    return Finding(
        "warning",
        "file-beside-images",
        "",
        _joined(source, layout.beside[0]),
        f"{len(layout.beside)} files beside the folders of images and masks are not taken: "
        f"{few(file.path for file in layout.beside)}",
        "move them into the folder of images if they belong to the set",
    )


def _joined(source: str, file: File) -> str:
    return os.path.join(source, file.path)  # noqa: PTH118 - text, in a hot loop


def _sentence(layout: Layout, classes: tuple[str, ...]) -> str:
    """What was understood, for a person to agree with."""
    folders = {folder: _shown_folder(seat, classes) for folder, seat in layout.seats.items()}
    pairs: Counter[str] = Counter()
    for file, match in zip(layout.masks, layout.matches, strict=True):
        if len(match.images) == 1:
            image = folders[layout.images[match.images[0]].folder] + match.image_pattern
            mask = folders[file.folder] + match.mask_pattern + os.path.splitext(file.path)[1]  # noqa: PTH122 - text
            pairs[f"{image} with {mask}"] += 1
    if pairs:
        more = f" and {len(pairs) - FEW} more ways" if len(pairs) > FEW else ""
        text = (
            "paired "
            + ", ".join(
                name if len(pairs) == 1 else f"{name} ({count})"
                for name, count in pairs.most_common(FEW)
            )
            + more
        )
    else:
        places = sorted({folders[file.folder] for file in layout.images})
        text = f"images {few(place + 'X' for place in places)}, none with a mask"
    if classes:
        text += f"; class = folder name ({few(classes)})"
    splits = {layout.seats[file.folder].split for file in layout.images} - {None}
    return text + (f"; split = folder name ({', '.join(sorted(map(str, splits)))})" * bool(splits))


def _shown_folder(seat: Seat, classes: tuple[str, ...]) -> str:
    text = seat.shown.replace("{split}", "SPLIT")
    return text.replace("{class}", "CLASS" if classes else "*")


def _nothing(source: str, found: Walk, layout: Layout) -> str:
    if layout.masks:
        return (
            f"{source} holds {len(layout.masks)} files in folders of masks and no images "
            f"(for example {shown(layout.masks[0].path)}); pass the folder above, which holds both"
        )
    held = Counter({kind or "without extension": n for kind, n in found.extensions.items()})
    held += Counter({kind: n for kind, n in found.passed_over.counts.items() if kind != OTHER})
    held += Counter({"numbered objects (SegmentationObject)": len(layout.instances)})
    held += Counter({"beside folders of images and masks": len(layout.beside)})
    kinds = ", ".join(f"{count} {kind}" for kind, count in held.most_common(FEW))
    return (
        f"{source} holds no images (.png, .jpg, .bmp, .gif, .tif, .webp, .ppm were looked for); "
        f"there lie {kinds or 'no files'}"
    )
