"""What the name of one folder, or of a split, says by itself."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Role = Literal["", "image", "mask", "instance"]

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
        "annot",
        "segmentation",
        "segmentations",
        "seg",
        "gt",
        "groundtruth",
    ]
)
_SPLIT_WORDS = SPLITS | {"tr": "train", "ts": "test"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ANY_SPLIT = "|".join(SPLITS)
_ANY_ROLE = "|".join(sorted(_IMAGE_WORDS | _MASK_WORDS))
# CamVid's trainannot.
_JOINED = re.compile(rf"({_ANY_SPLIT})({_ANY_ROLE})|({_ANY_ROLE})({_ANY_SPLIT})")
# COCO's train2017, training_set, "Test Data".
_SPLIT_FOLDER = re.compile(
    rf"[\W\d_]*({_ANY_SPLIT})[\W\d_]*((data)?set|data|split)?[\W\d_]*", re.IGNORECASE
)


class Name(NamedTuple):
    """What a folder's name says."""

    role: Role
    split: str | None
    exact: bool
    """The whole name says it, not a word within."""


def split_of(name: str) -> str | None:
    """The split that goes by this name, or None."""
    return SPLITS.get(name.strip().lower())


def split_of_folder(name: str) -> str | None:
    """As `split_of`, for names that add a number or the word "set" to the split's."""
    match = _SPLIT_FOLDER.fullmatch(name)
    return SPLITS[match[1].lower()] if match else None


def split_within(name: str) -> str | None:
    """The split of which a word stands somewhere in the name: stage1_train."""
    return next((SPLITS[word] for word in _words(name) if word in SPLITS), None)


def _words(name: str) -> list[str]:
    """The words of a name in lower case; trainannot is two."""
    found: list[str] = []
    for word in _WORD.findall(name):
        joined = _JOINED.fullmatch(word.lower())
        found += filter(None, joined.groups()) if joined else [word.lower()]
    return found


def read_name(name: str, *, soft: bool) -> Name:
    """The role that a folder's name gives it, and the split where the same name gives one.

    Args:
        name: the name of one folder.
        soft: whether words within the name count as well as the whole name.
    """
    plain = re.sub(r"[\W_]+", "", name.lower())
    if plain in _INSTANCE_NAMES:
        return Name("instance", None, exact=True)
    if plain in _MASK_NAMES or plain in _IMAGE_NAMES:
        return Name("mask" if plain in _MASK_NAMES else "image", None, exact=True)
    if not soft:
        return Name("", None, exact=False)
    words = _words(name)
    split = next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)
    role: Role = ""
    if "groundtruth" in plain or not _MASK_WORDS.isdisjoint(words):
        role = "mask"
    elif not _IMAGE_WORDS.isdisjoint(words) or (split and not _DATA_WORDS.isdisjoint(words)):
        role = "image"
    return Name(role, split if role else None, exact=False)
