"""Which files of a folder are images, which are masks, and whose."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from segrecord.sources.pairing import NO_MATCH, ImageNames, Match, mask_bases
from segrecord.sources.roles import Folder, Seat, masks_by_name, seats
from segrecord.sources.understood import named, nfc

if TYPE_CHECKING:
    from collections.abc import Sequence

# Affixes that mean a mask even where no image of that name is found.
_SURE_WORDS = ("mask", "seg", "ground", "gt")


class File(NamedTuple):
    """An image file, be it an image or a mask."""

    path: str
    """Relative to the source, with "/"."""
    folder: Folder
    stem: str

    @property
    def key(self) -> str:
        """The sample's key, should this be an image."""
        return nfc(os.path.splitext(self.path)[0])  # noqa: PTH122 - text, in a hot loop


@dataclass
class Layout:
    """Which files are images, which are masks, and whose."""

    seats: dict[Folder, Seat]
    """What each folder is."""
    images: list[File] = field(default_factory=list)
    masks: list[File] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    """Of each mask; the numbers count `images`."""
    beside: list[File] = field(default_factory=list)
    """Files beside folders of images and masks, in neither."""
    instances: list[str] = field(default_factory=list)
    """Files that number objects (PASCAL VOC's SegmentationObject)."""

    @property
    def pairs(self) -> int:
        """How many masks have their one image."""
        return sum(len(match.images) == 1 for match in self.matches)


def _file(path: str) -> File:
    *folder, name = path.split("/")
    return File(path, tuple(folder), nfc(os.path.splitext(name)[0]))  # noqa: PTH122 - text


def lay_out(paths: Sequence[str]) -> Layout:
    """The layout of these image files, by relative path with "/".

    Words within names, contents and neighbours count; if that pairs nothing, whole names alone.
    But train_masks beside train_images holds masks, whether or not a single one pairs.
    """
    files = [_file(path) for path in paths]
    layout = _arrange(files, soft=True)
    if not layout.masks and masks_by_name(layout.seats.keys()):
        outer = _arrange(files, soft=True, outer=True)  # images/data beside masks/data
        return outer if outer.masks and outer.pairs == len(outer.masks) else layout
    if layout.pairs or not layout.masks:
        return layout
    plain = _arrange(files, soft=False)
    if plain.pairs:
        return plain
    # All may lie in one folder called "masks": there only the files' own names tell them apart.
    unnamed = _arrange(files, soft=False, named=False)
    if unnamed.pairs:
        return unnamed
    return layout if layout.images and masks_by_name(layout.seats.keys()) else plain


def _arrange(files: list[File], *, soft: bool, named: bool = True, outer: bool = False) -> Layout:
    """The layout by the names of folders (`named`) and files, and words within them (`soft`).

    Where `outer`, a folder within one of masks holds masks, whatever its own name.
    """
    by_folder: dict[Folder, list[File]] = {}
    for file in files:
        by_folder.setdefault(file.folder, []).append(file)
    all_masks = [
        folder
        for folder, held in by_folder.items()
        if soft and all(mask_bases(file.stem) for file in held)
    ]
    layout = Layout(seats(by_folder, all_masks, soft=soft, outer=outer))
    if not named:
        layout.seats = {
            folder: seat._replace(role="", place=folder) for folder, seat in layout.seats.items()
        }
    masks_apart = any(seat.role == "mask" for seat in layout.seats.values())
    mixed: list[list[File]] = []
    of_images: list[list[File]] = []
    for folder, held in by_folder.items():
        seat = layout.seats[folder]
        if seat.beside:
            layout.beside += held
        elif seat.role == "instance":
            layout.instances += [file.path for file in held]
        elif seat.role == "mask":
            layout.masks += held
        elif seat.role == "image" and masks_apart:
            of_images.append(held)
        else:
            mixed.append(held)
    _pick_out_masks(of_images, layout)
    _tell_apart(mixed, layout)
    layout.matches = _match(layout)
    return layout


def _pick_out_masks(folders: Sequence[list[File]], layout: Layout) -> None:
    """Masks in a folder of images: x_mask beside x, unless x_mask has a mask of its own."""
    masked = {file.stem for file in layout.masks}
    masked |= {bare.base for file in layout.masks for bare in mask_bases(file.stem)}
    for held in folders:
        names = ImageNames((file.stem, i) for i, file in enumerate(held))
        for file in held:
            sure = names.match_affixed(file.stem).startswith(_SURE_WORDS)
            (layout.masks if sure and file.stem not in masked else layout.images).append(file)


def _tell_apart(folders: Sequence[list[File]], layout: Layout) -> None:
    """Images and masks that share a folder: a mask is named like an image there, with an affix."""
    words: set[str] = set()
    undecided: list[File] = []
    for held in folders:
        names = ImageNames((file.stem, i) for i, file in enumerate(held))
        for file in held:
            bases = mask_bases(file.stem)
            word = names.match_affixed(file.stem) if bases else ""
            if word:
                words.add(word)
                layout.masks.append(file)
            else:
                (undecided if bases else layout.images).append(file)
    for file in undecided:
        sure = any(
            bare.word in words or (layout.images and bare.word.startswith(_SURE_WORDS))
            for bare in mask_bases(file.stem)
        )
        (layout.masks if sure else layout.images).append(file)


def _match(layout: Layout) -> list[Match]:
    """The image of each mask, among the images in the corresponding folder of the same split.

    Where only the one or the other names a split (train beside train_masks), the place decides.
    """
    groups: dict[tuple[str | None, Folder], list[tuple[str, int]]] = {}
    for number, file in enumerate(layout.images):
        seat = layout.seats[file.folder]
        groups.setdefault((seat.split, seat.place), []).append((file.stem, number))
    names = {group: ImageNames(stems) for group, stems in groups.items()}
    at: dict[Folder, list[str | None]] = {}
    for split, place in names:
        at.setdefault(place, []).append(split)
    matches = []
    for file in layout.masks:
        seat = layout.seats[file.folder]
        split, others = seat.split, at.get(seat.place, [])
        if split not in others and len(others) == 1 and None in (split, others[0]):
            split = others[0]
        group = names.get((split, seat.place))
        matches.append(group.match(file.stem) if group else NO_MATCH)
    return matches


def label_sizes(layout: Layout) -> Counter[str]:
    """How many images each folder holds that could be a class."""
    labels = (layout.seats[file.folder].label for file in layout.images)
    return Counter(named(label) for label in labels if label)
