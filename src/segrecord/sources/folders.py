"""A folder in, samples out: images, masks, classes and splits, and the words to say so."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segrecord.errors import SourceError
from segrecord.findings import Finding, Related
from segrecord.options import MAPPING_FILE, SourceOptions
from segrecord.sources.layout import File, Folder, Layout, lay_out
from segrecord.sources.loaded import (
    LoadedSource,
    Note,
    Sample,
    SkippedFiles,
    checked_path,
    choose_masks,
    duplicate_key,
    named,
    nfc,
    samples_table,
    without_mask,
)
from segrecord.sources.names import (
    IMAGE_EXTENSIONS,
    TABLE_EXTENSIONS,
    ImageNames,
    extension,
    junk,
    read_name,
)
from segrecord.wording import FEW, few, is_unicode, shown

_OTHER = "other files"

_MOST_SINGLE = 10
"""Up to so many folders of a single image each may be classes; more are patients or cases."""

_LETTERED_ENDING = re.compile(r"[ _.\-](?=.*[^\W\d_])")
_OFTEN = 0.25
"""An ending that this share of the files have means something."""


@dataclass
class FolderFiles:
    """What lies in a folder; paths are relative to it, with "/", sorted."""

    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    skipped_files: SkippedFiles = field(default_factory=SkippedFiles)
    extensions: Counter[str] = field(default_factory=Counter)
    """Of the files that are no images."""
    findings: list[Finding] = field(default_factory=list)
    taken: frozenset[str] = frozenset()
    """The real paths of tables that were passed as --metadata: they are not skipped."""

    def add(self, path: str) -> None:
        """Sort in one file by its extension."""
        kind = extension(path)
        if kind not in IMAGE_EXTENSIONS:
            self.skipped_files.add(_OTHER, path)
            self.extensions[kind] += 1
            if kind in TABLE_EXTENSIONS:
                self.tables.append(path)
        elif not is_unicode(path):
            self.findings.append(Finding("name-not-unicode", "", repr(path)))
        else:
            # A broken link is taken as well: the scan names it as a file that cannot be read.
            self.images.append(path)


def walk(folder: str, metadata: Sequence[str] = ()) -> FolderFiles:
    """All files below the folder, symlinked folders included, sorted by name.

    Args:
        folder: the path.
        metadata: tables that are taken, wherever they lie.

    Raises:
        SourceError: the folder itself cannot be listed.
    """
    files = FolderFiles(taken=frozenset(map(os.path.realpath, metadata)))
    try:
        _walk(folder, "", frozenset(), files)
    except RecursionError:
        raise SourceError(f"{folder} is nested too deeply; pass a folder further down") from None
    if files.findings and files.findings[0].path == folder:
        raise SourceError(f"{folder} cannot be listed: {files.findings[0].message}")
    return files


def _walk(folder: str, prefix: str, above: frozenset[tuple[int, int]], files: FolderFiles) -> None:
    try:
        status = os.stat(folder)  # noqa: PTH116 - text, in a hot loop
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        path = folder if is_unicode(folder) else repr(folder)
        reason = error.strerror or "cannot be listed"
        files.findings.append(Finding("unreadable-folder", "", path, values={"reason": reason}))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        # A link back to a folder above: everything below it has been or will be seen.
        files.skipped_files.add("links to a folder above", prefix.rstrip("/"))
        return
    for entry in listed:
        kind = junk(entry.name)
        if kind:
            files.skipped_files.add(kind, prefix + entry.name)
        elif entry.is_dir():
            _walk(entry.path, f"{prefix}{entry.name}/", above | {identity}, files)
        elif not (entry.is_file() or entry.is_symlink()):
            files.skipped_files.add("devices, pipes and sockets", prefix + entry.name)
        # The mapping is read, and reported, with the classes.
        elif prefix + entry.name != MAPPING_FILE and not (
            files.taken and os.path.realpath(entry.path) in files.taken
        ):
            files.add(prefix + entry.name)


def load_folder(source: str, options: SourceOptions) -> LoadedSource:
    """The samples of a folder.

    Findings: mask-without-image, several-masks, duplicate-key, image-without-mask,
    file-beside-images, name-not-unicode, unreadable-folder.

    Raises:
        SourceError: the folder holds no images.
    """
    files = walk(checked_path(source), options.metadata)
    layout = lay_out(files.images)
    if not layout.images:
        raise SourceError(_no_images(source, files, layout))
    # Classes are at least two folders that may not be cases: one class tells nothing apart.
    sizes = layout.label_sizes()
    cases = len(sizes) > _MOST_SINGLE and max(sizes.values()) == 1
    classes = tuple(sorted(sizes)) if len(sizes) > 1 and not cases else ()
    masks, findings = _masks_of_images(source, layout)
    by_key: dict[str, list[int]] = {}
    for number, file in enumerate(layout.images):
        by_key.setdefault(file.key, []).append(number)
    samples = []
    for key, numbers in by_key.items():
        paths = [_joined(source, layout.images[number]) for number in numbers]
        if len(paths) > 1:
            findings.append(duplicate_key(key, paths, "folder"))
            continue
        folder = layout.folders[layout.images[numbers[0]].folder]
        own, several = choose_masks(
            key, masks.get(numbers[0], ()), options.mask_choice, files.skipped_files
        )
        findings += several
        labels = (named(folder.label),) if classes and folder.label else ()
        samples.append(Sample(key, paths[0], own, labels, split=folder.split))
    if layout.beside:
        names = few(file.path for file in layout.beside)
        values = {"count": len(layout.beside), "files": names}
        path = _joined(source, layout.beside[0])
        findings.append(Finding("file-beside-images", "", path, values=values))
    files.skipped_files.add("SegmentationObject", *layout.instances)
    return LoadedSource(
        samples_table(samples),
        (*files.findings, *findings, *without_mask(samples)),
        tuple(layout.reads_as(classes)),
        files.skipped_files.sorted_counts(),
        tuple(_suggestions(source, files, layout, classes)),
        skipped_names=files.skipped_files.sorted_names(),
    )


def _masks_of_images(
    source: str, layout: Layout
) -> tuple[dict[int, tuple[str, ...]], list[Finding]]:
    """The masks of each image by its number, shortest name first (`x_mask` before `x_mask_1`)."""
    masks: dict[int, list[str]] = {}
    findings: list[Finding] = []
    # Where not even some masks have their image, to leave masks out does not help.
    some = "-quarantine" if layout.pairs else ""
    for file, match in zip(layout.masks, layout.matches, strict=True):
        path = _joined(source, file)
        keys = sorted({layout.images[number].key for number in match.images})
        if len(keys) == 1:
            for number in match.images:
                masks.setdefault(number, []).append(path)
        elif not keys:
            none = {"case": f"none{some}"}
            findings.append(Finding("mask-without-image", "", path, values=none))
        for key in keys if len(keys) > 1 else ():
            related = tuple(Related(other) for other in keys if other != key)
            values: dict[str, Any] = {"case": f"several{some}"}
            values |= {"count": len(keys), "keys": few(keys)}
            findings.append(Finding("mask-without-image", key, path, related, values))
    ordered = {
        number: tuple(sorted(paths, key=lambda path: (len(path), path)))
        for number, paths in masks.items()
    }
    return ordered, findings


def _joined(source: str, file: File) -> str:
    return os.path.join(source, file.path)  # noqa: PTH118 - text, in a hot loop


def _no_images(source: str, files: FolderFiles, layout: Layout) -> str:
    if layout.masks:
        return (
            f"{source} holds {len(layout.masks)} files in folders of masks and no images "
            f"(for example {shown(layout.masks[0].path)}); pass the folder above, which holds both"
        )
    held = Counter({kind or "without extension": n for kind, n in files.extensions.items()})
    held += Counter({kind: n for kind, n in files.skipped_files.counts.items() if kind != _OTHER})
    held += Counter({"numbered objects (SegmentationObject)": len(layout.instances)})
    held += Counter({"beside folders of images and masks": len(layout.beside)})
    kinds = ", ".join(f"{count} {kind}" for kind, count in held.most_common(FEW))
    return (
        f"{source} holds no images (.png, .jpg, .bmp, .gif, .tif, .webp, .ppm were looked for); "
        f"there lie {kinds or 'no files'}"
    )


def _suggestions(
    source: str,
    files: FolderFiles,
    layout: Layout,
    classes: tuple[str, ...],
) -> Iterator[Note]:
    """What files that are not read, and folders that are not taken for classes, may mean."""
    unpaired = len(layout.matches) > layout.pairs or (not layout.masks and not classes)
    for table in files.tables[:FEW]:
        path = os.path.join(source, table)  # noqa: PTH118 - text
        lies = f"{shown(table)} lies in the folder; if it"
        if unpaired:
            yield Note("table", f"{lies} lists the pairs, run: segrecord build {shown(path)} OUT")
        if not classes:
            yield Note("class", f"{lies} gives the classes, pass --metadata {shown(path)}")
    for kind, count in files.extensions.items():
        if kind not in TABLE_EXTENSIONS and 1 < count >= len(layout.images) / 2:
            text = f"{count} {kind or 'extensionless'} files are not read; if they are images or "
            yield Note("files", text + "masks, convert them to PNG")
    below = {
        folder.pairs_with[-1]
        for folder in layout.folders.values()
        if folder.role == "image" and folder.pairs_with and not folder.label
        if not folder.shown.endswith("{split}/")
    }
    if not classes and len(below) > 1:
        text = f"the folders below the images ({few(sorted(below))}) are not taken for classes; if "
        text += "they are, write the pairs with segrecord scan --write-samples and fill in class"
        yield Note("samples", text)
    sizes = layout.label_sizes()
    if len(sizes) > 1 and max(sizes.values()) == 1:
        taken = "for classes" if classes else "for patients or cases, not for classes"
        text = f"each of {len(sizes)} folders holds a single image; they are taken {taken}; if "
        yield Note("samples", text + "that is wrong, build from a CSV (image_path,mask_path,class)")
    yield from (Note("samples", text) for text in _mask_suggestions(source, layout))


def _mask_suggestions(source: str, layout: Layout) -> Iterator[str]:
    """Where the masks may be: beside the source, or among what is taken for images."""
    if not layout.pairs and len(layout.masks) > 2 * len(layout.images):
        yield (
            "there are many more masks than images and none pairs by name: masks of one object "
            "each have to be merged before"
        )
    if layout.masks:
        return
    yield from _masks_beside(source, layout)
    stems: dict[Folder, set[str]] = {}
    for file in layout.images:
        stems.setdefault(file.folder, set()).add(file.stem)
    alike: dict[tuple[str | None, frozenset[str]], list[str]] = {}
    for folder, names in stems.items():
        same = alike.setdefault((layout.folders[folder].split, frozenset(names)), [])
        same.append("/".join(folder) or ".")
    pairs = [same for (_, names), same in alike.items() if len(names) > 1 and len(same) > 1]
    for same in pairs[:1]:
        yield (
            f"{' and '.join(map(shown, same[:2]))} hold files of the same names; if one "
            'holds the masks of the other, call it "masks"'
        )
    files = {(file.folder, file.stem) for file in layout.images}
    endings = Counter(
        file.stem[gap.start() :]
        for file in layout.images
        for gap in _LETTERED_ENDING.finditer(file.stem)
        if (file.folder, file.stem[: gap.start()]) in files
    )
    for ending, count in endings.most_common(1):
        if 1 < count >= _OFTEN * len(layout.images):
            yield (
                f"{count} files are called like another with {shown(ending)} at the end; if they "
                "are its masks, call them X_mask"
            )


def _masks_beside(source: str, layout: Layout) -> Iterator[str]:
    """Folders of masks beside the source, which is the folder of images itself."""
    here = Path(source).resolve()
    own = ImageNames([(here.name, 0)])
    images = ImageNames((file.stem, i) for i, file in enumerate(layout.images))
    try:
        for other in sorted(here.parent.iterdir()):
            # Called "masks", or as this folder with an affix: train_masks beside train_images.
            like = read_name(other.name, soft=False).role == "mask" or own.match(other.name).images
            if not like or other == here or not other.is_dir():
                continue
            stems = [nfc(path.stem) for path in other.iterdir() if path.suffix]
            if pairs := sum(bool(images.match(stem).images) for stem in stems):
                yield (
                    f"{shown(str(other))} holds {pairs} masks of these images; to take them, build "
                    f"the folder above: segrecord build {shown(str(here.parent))} OUT"
                )
    except OSError:
        return  # what cannot be listed gives no suggestion
