"""Which folders and files of a source are images, which are masks, and whose."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from segrecord.sources.loaded import Note, named, nfc
from segrecord.sources.names import (
    NO_MATCH,
    ImageNames,
    Match,
    Name,
    Role,
    mask_bases,
    read_name,
    split_of,
    split_of_folder,
    split_within,
)
from segrecord.wording import FEW, few

Folder = tuple[str, ...]
"""A folder's path below the source, by its parts."""

Roles = dict[Folder, list[Role]]
"""The role of each part of each folder's path."""

_COUNTERPARTS: dict[Role, Role] = {"image": "mask", "mask": "image"}

# Affixes that mean a mask even where no image of that name is found.
_SURE_WORDS = ("mask", "seg", "ground", "gt")


class FolderRole(NamedTuple):
    """What is known of a folder that holds images or masks."""

    role: Role
    split: str | None
    pairs_with: Folder
    """Its path without the parts that name a role or a split: a mask's image has the same."""
    label: str | None
    """The folder's class, if class folders are what these are."""
    beside: bool
    """It lies beside folders of images and masks without being either."""
    shown: str
    """The path as the sentence shows it, for example "{class}/images/"."""


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

    folders: dict[Folder, FolderRole]
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

    def add_mixed(self, folders: Sequence[list[File]]) -> None:
        """Sort files of folders of both: a mask is named like an image there, with an affix."""
        words: set[str] = set()
        undecided: list[File] = []
        for held in folders:
            names = ImageNames((file.stem, i) for i, file in enumerate(held))
            for file in held:
                bases = mask_bases(file.stem)
                word = names.match_affixed(file.stem) if bases else ""
                if word:
                    words.add(word)
                    self.masks.append(file)
                else:
                    (undecided if bases else self.images).append(file)
        for file in undecided:
            sure = any(
                bare.word in words or (self.images and bare.word.startswith(_SURE_WORDS))
                for bare in mask_bases(file.stem)
            )
            (self.masks if sure else self.images).append(file)

    def pair(self) -> None:
        """Give each mask its image, among the images in the corresponding folder of the same split.

        Where only the one or the other names a split (train beside train_masks), the path decides.
        """
        groups: dict[tuple[str | None, Folder], list[tuple[str, int]]] = {}
        for number, file in enumerate(self.images):
            kind = self.folders[file.folder]
            groups.setdefault((kind.split, kind.pairs_with), []).append((file.stem, number))
        names = {group: ImageNames(stems) for group, stems in groups.items()}
        splits: dict[Folder, list[str | None]] = {}
        for split, path in names:
            splits.setdefault(path, []).append(split)
        for file in self.masks:
            kind = self.folders[file.folder]
            split, others = kind.split, splits.get(kind.pairs_with, [])
            if split not in others and len(others) == 1 and None in (split, others[0]):
                split = others[0]
            group = names.get((split, kind.pairs_with))
            self.matches.append(group.match(file.stem) if group else NO_MATCH)

    def reads_as(self, classes: tuple[str, ...]) -> Iterator[Note]:
        """How the files read, for a person to agree with; `classes` are the folders' names."""

        def path(folder: FolderRole) -> str:
            text = folder.shown.replace("{split}", "SPLIT")
            return text.replace("{class}", "CLASS" if classes else "*")

        folders = {folder: path(kind) for folder, kind in self.folders.items()}
        pairs: Counter[str] = Counter()
        for file, match in zip(self.masks, self.matches, strict=True):
            if len(match.images) == 1:
                image = folders[self.images[match.images[0]].folder] + match.image_pattern
                mask = folders[file.folder] + match.mask_pattern + os.path.splitext(file.path)[1]  # noqa: PTH122 - text
                pairs[f"{image} with {mask}"] += 1
        if pairs:
            ways = [
                name if len(pairs) == 1 else f"{name} ({count})"
                for name, count in pairs.most_common(FEW)
            ]
            more = f" and {len(pairs) - FEW} more ways" if len(pairs) > FEW else ""
            yield Note("samples", f"paired {', '.join(ways)}{more}")
        else:
            paths = sorted({folders[file.folder] for file in self.images})
            yield Note("samples", f"images {few(path + 'X' for path in paths)}, none with a mask")
        if classes:
            yield Note("class", f"class = folder name ({few(classes)})")
        splits = {split for file in self.images if (split := self.folders[file.folder].split)}
        if splits:
            yield Note("split", f"split = folder name ({', '.join(sorted(splits))})")

    def label_sizes(self) -> Counter[str]:
        """How many images each folder holds that could be a class."""
        labels = (self.folders[file.folder].label for file in self.images)
        return Counter(named(label) for label in labels if label)


def lay_out(paths: Sequence[str]) -> Layout:
    """The layout of these image files, by relative path with "/".

    Words within names, contents and neighbours count; if that pairs nothing, whole names alone.
    But train_masks beside train_images holds masks, whether or not a single one pairs.
    """
    files = []
    for path in paths:
        *folder, name = path.split("/")
        files.append(File(path, tuple(folder), nfc(os.path.splitext(name)[0])))  # noqa: PTH122 - text
    layout = _arrange(files, soft=True)
    shared = _shared_depth(layout.folders)
    parts = {part for folder in layout.folders for part in folder[shared:]}
    masks_named = any(read_name(part, soft=True).role == "mask" for part in parts)
    if not layout.masks and masks_named:  # images/data beside masks/data
        outer = _arrange(files, soft=True, outer=True)
        return outer if outer.masks and outer.pairs == len(outer.masks) else layout
    if layout.pairs or not layout.masks:
        return layout
    plain = _arrange(files, soft=False)
    if plain.pairs:
        return plain
    # All may lie in one folder called "masks": there only the files' own names tell them apart.
    unnamed = _arrange(files, soft=False, by_folder_names=False)
    if unnamed.pairs:
        return unnamed
    return layout if layout.images and masks_named else plain


def _arrange(
    files: list[File], *, soft: bool, by_folder_names: bool = True, outer: bool = False
) -> Layout:
    """The layout by the names of files and, if asked for, folders, and words within them.

    Where `outer`, a folder within one of masks holds masks, whatever its own name.
    """
    by_folder: dict[Folder, list[File]] = {}
    for file in files:
        by_folder.setdefault(file.folder, []).append(file)
    named_like_masks = {
        folder
        for folder, held in by_folder.items()
        if soft and all(mask_bases(file.stem) for file in held)
    }
    layout = Layout(folder_roles(by_folder, named_like_masks, soft=soft, outer=outer))
    if not by_folder_names:
        layout.folders = {
            folder: kind._replace(role="", pairs_with=folder)
            for folder, kind in layout.folders.items()
        }
    masks_apart = any(kind.role == "mask" for kind in layout.folders.values())
    mixed: list[list[File]] = []
    of_images: list[list[File]] = []
    for folder, held in by_folder.items():
        kind = layout.folders[folder]
        if kind.beside:
            layout.beside += held
        elif kind.role == "instance":
            layout.instances += [file.path for file in held]
        elif kind.role == "mask":
            layout.masks += held
        elif kind.role == "image" and masks_apart:
            of_images.append(held)
        else:
            mixed.append(held)
    # Masks in a folder of images: x_mask beside x, unless x_mask has a mask of its own.
    masked = {file.stem for file in layout.masks}
    masked |= {bare.base for file in layout.masks for bare in mask_bases(file.stem)}
    for held in of_images:
        names = ImageNames((file.stem, i) for i, file in enumerate(held))
        for file in held:
            sure = names.match_affixed(file.stem).startswith(_SURE_WORDS)
            (layout.masks if sure and file.stem not in masked else layout.images).append(file)
    layout.add_mixed(mixed)
    layout.pair()
    return layout


def folder_roles(
    folders: Collection[Folder],
    named_like_masks: Collection[Folder] = (),
    *,
    soft: bool,
    outer: bool = False,
) -> dict[Folder, FolderRole]:
    """What each folder that holds image files is.

    Args:
        folders: the folders that directly hold image files.
        named_like_masks: those in which every file is named like a mask.
        soft: whether words within names, contents and neighbours count as well as whole names.
        outer: whether all within a folder of masks are masks, whatever the names of folders there.
    """
    shared = _shared_depth(folders)
    names = {part: read_name(part, soft=soft) for folder in folders for part in folder}
    holders = _holders(folders, named_like_masks, names)
    roles: Roles = {}
    for folder in folders:
        # Words within names count only where no whole name does. Parts that all folders share (a
        # set's own name, "Dataset_with_GT") and those that hold images and masks say nothing.
        whole = any(names[part].exact for i, part in enumerate(folder) if i not in holders[folder])
        roles[folder] = [
            names[part].role
            if i not in holders[folder] and (names[part].exact or (not whole and i >= shared))
            else ""
            for i, part in enumerate(folder)
        ]
        if folder in named_like_masks and folder and not any(roles[folder]):
            roles[folder][-1] = "mask"
    if soft:
        if not any("mask" in parts for parts in roles.values()):
            # Without masks, `normal_images` is a class rather than a role; `train_images` is a
            # split.
            roles = {
                folder: [
                    role if names[part].exact or names[part].split else ""
                    for part, role in zip(folder, parts, strict=True)
                ]
                for folder, parts in roles.items()
            }
        _use_neighbours(roles)
    _use_outer_masks(roles, outer=outer)
    below: dict[Folder, set[Role]] = {}
    without_role: dict[Folder, set[str]] = {}
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            below.setdefault(folder[:i], set()).add(parts[i])
            if not parts[i]:
                without_role.setdefault(folder[:i], set()).add(part)
    splits: dict[Folder, str | None] = {}
    for parent, children in without_role.items():
        # stage1_train beside stage1_test, but not train_station beside bridge.
        within = {name: split_within(name) for name in children}
        several = all(within.values()) and len(set(within.values())) > 1
        for name, split in within.items():
            splits[*parent, name] = split if several else split_of_folder(name)
    both = {parent for parent, kinds in below.items() if {"image", "mask"} <= kinds}
    return {
        folder: _folder_role(folder, parts, names, shared, holders[folder], both, splits)
        for folder, parts in roles.items()
    }


def _shared_depth(folders: Collection[Folder]) -> int:
    """How many parts all these paths begin with."""
    first, last = min(folders, default=()), max(folders, default=())
    return next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )


def _holders(
    folders: Collection[Folder], named_like_masks: Collection[Folder], names: dict[str, Name]
) -> dict[Folder, set[int]]:
    """The parts of each path that are called like images or masks and hold a set of both.

    Such a name ("data", "Dataset_with_GT") tells nothing apart: there are folders of masks and
    others below it, and nothing outside is its counterpart. One that lies in another is found
    first.
    """
    # Most folders are one of thousands that differ in a name without a role: a case, a class.
    plain = {
        folder: tuple(part if names[part].role else "" for part in folder) for folder in folders
    }
    paths = {(path, folder in named_like_masks) for folder, path in plain.items()}
    nothing = Name("", None, exact=False)
    names = names | {"": nothing}
    holders: set[Folder] = set()
    while True:
        total: Counter[Role] = Counter()
        within: dict[Folder, Counter[Role]] = {}
        below: dict[Folder, set[Role]] = {}
        for path, is_mask in paths:
            said = [
                nothing if path[: depth + 1] in holders else names[part]
                for depth, part in enumerate(path)
            ]
            # The role of the path from each part on: by the last whole name, or the last word.
            roles: list[Role] = []
            for start in range(len(path) + 1):
                words = [name for name in reversed(said[start:]) if name.role]
                whole = [name for name in words if name.exact]
                roles += [name.role for name in (*whole, *words)][:1] or ["mask" if is_mask else ""]
            total[roles[0]] += 1
            for depth, part in enumerate(path, 1):
                if names[part].role and path[:depth] not in holders:
                    within.setdefault(path[:depth], Counter())[roles[0]] += 1
                    if depth < len(path):
                        below.setdefault(path[:depth], set()).add(roles[depth])
        more = {
            holder
            for holder, kinds in below.items()
            if "mask" in kinds
            and len(kinds) > 1
            and (other := _COUNTERPARTS.get(names[holder[-1]].role)) is not None
            and total[other] == within[holder][other]
        }
        if not more:
            break
        holders |= more
    return {
        folder: {i for i in range(len(path)) if path[: i + 1] in holders}
        for folder, path in plain.items()
    }


def _use_outer_masks(roles: Roles, *, outer: bool) -> None:
    """Within a folder of masks all folders hold masks, where the outer names count."""
    for parts in roles.values():
        if outer and "mask" in parts:
            parts[:] = ["mask" if role == "image" else role for role in parts]


def _use_neighbours(roles: Roles) -> None:
    """The one other folder beside a folder of masks holds the images, whatever its name."""
    children: dict[Folder, dict[str, Role]] = {}
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            children.setdefault(folder[:i], {})[part] = parts[i]
    for parent, kinds in children.items():
        bare = [name for name, role in kinds.items() if not role]
        if set(kinds.values()) == {"mask", ""} and len(bare) == 1 and parent not in roles:
            images, depth = (*parent, bare[0]), len(parent) + 1
            for folder, parts in roles.items():
                if folder[:depth] == images and not any(parts):
                    parts[depth - 1] = "image"


def _folder_role(
    folder: Folder,
    roles: Sequence[Role],
    names: dict[str, Name],
    shared: int,
    holders: set[int],
    both: set[Folder],
    splits: dict[Folder, str | None],
) -> FolderRole:
    """Role, split and class of one folder, once the role of each part is settled.

    Args:
        folder: its path.
        roles: those of its parts.
        names: what each part says by itself.
        shared: how many parts all folders begin with.
        holders: the parts that hold a set of images and masks.
        both: the folders directly above folders of images and folders of masks.
        splits: those of folders without a role.
    """
    role: Role = next((role for role in reversed(roles) if role), "")
    first_role = next((i for i, part in enumerate(roles) if part), len(folder))
    bare = [i for i in range(len(folder)) if not roles[i]]
    inner = [i for i in bare if i >= shared and i not in holders]
    by_name = {i: name for i in inner if (name := splits[folder[: i + 1]])}
    of_roles = [names[part].split for i, part in enumerate(folder) if roles[i]]
    outer = [split_of(part) for part in reversed(folder[:shared])]
    split = next((name for name in [*by_name.values(), *of_roles, *outer] if name), None)
    # Kaggle unpacks to training_set/training_set.
    at = {i for i, name in by_name.items() if name == split}
    inner = [i for i in inner if i not in at]
    labelled = inner[0] if inner and inner[0] < first_role else None
    shown = [
        "{split}"
        if i in at
        else "{class}"
        if i == labelled
        else part
        if roles[i] or i < shared
        else "*"
        for i, part in enumerate(folder)
    ]
    return FolderRole(
        role,
        split,
        # train1 and train2 are one split, and two paths.
        tuple(folder[i] for i in bare if i not in at or not split_of(folder[i])),
        None if labelled is None else folder[labelled],
        not role and any(folder[:i] in both for i in range(len(folder) + 1)),
        "".join(part + "/" for part in shown),
    )
