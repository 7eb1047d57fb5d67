"""What a folder's name says: images or masks, train or test, a class, or nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Role = Literal["", "image", "mask", "instance"]
Folder = tuple[str, ...]
"""A folder's path below the source, by its parts."""

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""The names of splits in lower case, and what each is called from here on."""

_IMAGE_NAMES = frozenset(
    [
        "image",
        "images",
        "img",
        "imgs",
        "jpegimages",
        "pngimages",
        "jpgimages",
        "data",
        "photo",
        "photos",
        "picture",
        "pictures",
        "scan",
        "scans",
        "x",
        "input",
        "inputs",
        "original",
        "originals",
        "raw",
        "rgb",
        "xray",
        "xrays",
        "cxr",
    ]
)
_MASK_NAMES = frozenset(
    [
        "mask",
        "masks",
        "label",
        "labels",
        "annotation",
        "annotations",
        "segmentationclass",
        "segmentationclassraw",
        "segmentationmask",
        "segmentationmasks",
        "segmentation",
        "segmentations",
        "seg",
        "segs",
        "gt",
        "gts",
        "groundtruth",
        "groundtruths",
        "y",
    ]
)
# PASCAL VOC's object numbers: pixels of an object, not of a class.
_INSTANCE_NAMES = frozenset(["segmentationobject", "segmentationobjects"])

# Words within longer names: HAM10000_images_part_1, ISIC-2017_Training_Part1_GroundTruth,
# train_masks, leftMask, nnU-Net's imagesTr and labelsTr.
_IMAGE_WORDS = frozenset(["image", "images", "img", "imgs"])
_DATA_WORDS = frozenset(["data", "input", "inputs", "x"])
_MASK_WORDS = frozenset(
    [
        "mask",
        "masks",
        "label",
        "labels",
        "annotation",
        "annotations",
        "segmentation",
        "segmentations",
        "seg",
        "gt",
        "groundtruth",
    ]
)
_SPLIT_WORDS = SPLITS | {"tr": "train", "ts": "test"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Seat(NamedTuple):
    """What is known of a folder that holds images or masks."""

    role: Role
    split: str | None
    place: Folder
    """Its path without the parts that name a role or a split: a mask's image has the same."""
    label: str | None
    """The folder's class, if class folders are what these are."""
    beside: bool
    """It lies beside folders of images and masks without being either."""
    shown: str
    """The path as the sentence shows it, for example "{class}/images/"."""


class _Name(NamedTuple):
    role: Role
    split: str | None
    exact: bool


def split_of(name: str) -> str | None:
    """The split that goes by this name, or None."""
    return SPLITS.get(name.strip().lower())


def _read_name(name: str, soft: bool) -> _Name:  # noqa: FBT001 - private, reads well
    plain = re.sub(r"[\W_]+", "", name.lower())
    if plain in _INSTANCE_NAMES:
        return _Name("instance", None, exact=True)
    if plain in _MASK_NAMES or plain in _IMAGE_NAMES:
        return _Name("mask" if plain in _MASK_NAMES else "image", None, exact=True)
    if not soft:
        return _Name("", None, exact=False)
    words = [word.lower() for word in _WORD.findall(name)]
    split = next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)
    role: Role = ""
    if "groundtruth" in plain or not _MASK_WORDS.isdisjoint(words):
        role = "mask"
    elif not _IMAGE_WORDS.isdisjoint(words) or (split and not _DATA_WORDS.isdisjoint(words)):
        role = "image"
    return _Name(role, split if role else None, exact=False)


def seats(
    folders: Collection[Folder], masks_by_content: Collection[Folder] = (), *, soft: bool
) -> dict[Folder, Seat]:
    """What each folder that holds image files is.

    Args:
        folders: the folders that directly hold image files.
        masks_by_content: those in which every file is named like a mask.
        soft: whether words within names, contents and neighbours count as well as whole names.
    """
    wrapper = _shared_depth(folders)
    names = {part: _read_name(part, soft) for folder in folders for part in folder}
    roles = {folder: _roles(folder, names, wrapper) for folder in folders}
    if soft:
        _by_content(roles, masks_by_content)
        if not any("mask" in parts for parts in roles.values()):
            _drop_words(roles, names)
        _by_neighbour(roles)
    both = _parents_of_both(roles)
    return {folder: _seat(folder, roles[folder], names, wrapper, both) for folder in folders}


def _shared_depth(folders: Collection[Folder]) -> int:
    """How many parts all these paths begin with."""
    first, last = min(folders, default=()), max(folders, default=())
    return next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )


def _roles(folder: Folder, names: dict[str, _Name], wrapper: int) -> list[Role]:
    """The role of each part; words within names count only where no whole name does.

    Parts that all folders share (a set's own name, "Dataset_with_GT") tell nothing apart.
    """
    exact = any(names[part].exact for part in folder)
    return [
        names[part].role if names[part].exact or (not exact and i >= wrapper) else ""
        for i, part in enumerate(folder)
    ]


def _by_content(roles: dict[Folder, list[Role]], masks: Collection[Folder]) -> None:
    for folder in masks:
        if folder and not any(roles[folder]):
            roles[folder][-1] = "mask"


def _drop_words(roles: dict[Folder, list[Role]], names: dict[str, _Name]) -> None:
    """Without masks, `normal_images` is a class rather than a role; `train_images` is a split."""
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            if not names[part].exact and names[part].split is None:
                parts[i] = ""


def _by_neighbour(roles: dict[Folder, list[Role]]) -> None:
    """The one other folder beside a folder of masks holds the images, whatever its name."""
    children: dict[Folder, dict[str, Role]] = {}
    for folder, parts in roles.items():
        for i, part in enumerate(folder):
            children.setdefault(folder[:i], {})[part] = parts[i]
    for parent, found in children.items():
        bare = [name for name, role in found.items() if not role]
        kinds = set(found.values())
        if kinds == {"mask", ""} and len(bare) == 1 and parent not in roles:
            _give_role(roles, (*parent, bare[0]))


def _give_role(roles: dict[Folder, list[Role]], images: Folder) -> None:
    depth = len(images)
    for folder, parts in roles.items():
        if folder[:depth] == images and not any(parts):
            parts[depth - 1] = "image"


def _parents_of_both(roles: dict[Folder, list[Role]]) -> set[Folder]:
    """The folders that directly hold both a folder of images and a folder of masks."""
    held: dict[Folder, set[Role]] = {}
    for folder, parts in roles.items():
        for i, role in enumerate(parts):
            held.setdefault(folder[:i], set()).add(role)
    return {parent for parent, kinds in held.items() if {"image", "mask"} <= kinds}


def _seat(
    folder: Folder,
    parts: Sequence[Role],
    names: dict[str, _Name],
    wrapper: int,
    both: set[Folder],
) -> Seat:
    role: Role = next((role for role in reversed(parts) if role), "")
    first_role = next((i for i, part in enumerate(parts) if part), len(folder))
    splits = [names[part].split for i, part in enumerate(folder) if parts[i]]
    split = next((name for name in splits if name), None)
    outer = [found for part in folder[:wrapper] if (found := split_of(part))]
    bare = [i for i in range(len(folder)) if not parts[i]]
    inner = [i for i in bare if i >= wrapper]
    at = inner[0] if inner and split_of(folder[inner[0]]) else None
    if at is not None:
        split, inner = split_of(folder[at]), inner[1:]
    elif split is None and outer:
        split = outer[-1]
    labelled = inner[0] if inner and inner[0] < first_role else None
    shown = [
        "{split}" if i == at else "{class}" if i == labelled else _shown(part, i, parts, wrapper)
        for i, part in enumerate(folder)
    ]
    return Seat(
        role,
        split,
        tuple(folder[i] for i in bare if i != at),
        None if labelled is None else folder[labelled],
        not role and any(folder[:i] in both for i in range(len(folder) + 1)),
        "".join(part + "/" for part in shown),
    )


def _shown(part: str, i: int, parts: Sequence[Role], wrapper: int) -> str:
    return part if parts[i] or i < wrapper else "*"
