"""What names say: a file's extension, a folder's words, and which mask belongs to which image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

IMAGE_EXTENSIONS = frozenset(
    [
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
        *(".ppm", ".pgm", ".pbm"),
    ]
)
TABLE_EXTENSIONS = frozenset([".csv", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx"])

# What systems, storage servers (thumbnails in @eaDir, bins) and SLIC tools leave beside images
# (ISIC 2016-2017 ship superpixels as PNG), as it is shown.
_JUNK = (
    *("._*", ".DS_Store", "Thumbs.db", "__MACOSX", "*_superpixels.png"),
    *("@eaDir", "#recycle", "$RECYCLE.BIN"),
)

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
        *("image", "images", "img", "imgs", "jpegimages", "pngimages", "jpgimages", "data"),
        *("photo", "photos", "picture", "pictures", "scan", "scans", "x", "input", "inputs"),
        *("original", "originals", "raw", "rgb", "xray", "xrays", "cxr"),
    ]
)
_MASK_NAMES = frozenset(
    [
        *("mask", "masks", "label", "labels", "annotation", "annotations", "segmentationclass"),
        *("segmentationclassraw", "segmentationmask", "segmentationmasks", "segmentation"),
        *("segmentations", "seg", "segs", "gt", "gts", "groundtruth", "groundtruths", "y"),
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
        *("mask", "masks", "label", "labels", "annotation", "annotations", "annot", "segmentation"),
        *("segmentations", "seg", "gt", "groundtruth"),
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
    words: list[str] = []
    for word in _WORD.findall(name):
        joined = _JOINED.fullmatch(word.lower())
        words += filter(None, joined.groups()) if joined else [word.lower()]
    return words


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


def extension(name: str) -> str:
    """The last extension of a file name in lower case, with its dot; "" where it has none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - text, in a hot loop


def junk(name: str) -> str:
    """The pattern by which a file or folder is skipped, or ""."""
    lower = name.lower()
    for pattern in _JUNK:
        if fnmatchcase(lower, pattern.lower()):
            return pattern
    return "hidden files" if name.startswith(".") else ""


# The words by which public sets name masks: ISIC and HAM10000 `_segmentation`, BUSI `_mask` and
# `_mask_1`, JSRT `-mask`, PH2 `_lesion`, GlaS `_anno`, Cityscapes `_gtFine`, and their spellings.
_MASK_AFFIXES = (
    r"masks?|segmentations?|segs?|lesions?|gt|gtfine|ground[ _-]?truth"
    r"|labels?|labelids|annotations?|annotated|anno|manual"
)
_IMAGE_AFFIXES = r"images?|img|orig|original|input|rgb|sat|leftimg8bit"
_GAP = r"[ _.\-]"
_NUMBER = r"(?:[ _\-]?\(?\d{1,4}\)?)?"


def _suffix(words: str, number: str = "") -> re.Pattern[str]:
    return re.compile(rf"(.+)({_GAP}({words}){number})", re.IGNORECASE | re.DOTALL)


def _prefix(words: str) -> re.Pattern[str]:
    return re.compile(rf"(({words}){_GAP})(.+)", re.IGNORECASE | re.DOTALL)


_MASK_SUFFIXES = (_suffix(_MASK_AFFIXES, _NUMBER), _suffix("segmentation[ _-]?masks?", _NUMBER))
_MASK_PREFIX = _prefix(_MASK_AFFIXES)
_IMAGE_SUFFIXES = (_suffix(_IMAGE_AFFIXES),)
_IMAGE_PREFIX = _prefix(_IMAGE_AFFIXES)


class Bare(NamedTuple):
    """A stem with one affix taken off."""

    base: str
    pattern: str
    """The stem with X in the place of its base: "X_mask"."""
    word: str
    """The affix's word in lower case."""


def mask_bases(stem: str) -> list[Bare]:
    """The stems that are left when one mask suffix or prefix is taken off; none: no affix.

    Less taken off comes first: `x__mask` gives `x_`, then `x`.
    """
    return _bases(stem, _MASK_SUFFIXES, _MASK_PREFIX)


def image_bases(stem: str) -> list[Bare]:
    """As `mask_bases`, for the affixes by which images are marked."""
    return _bases(stem, _IMAGE_SUFFIXES, _IMAGE_PREFIX)


def _bases(stem: str, suffixes: tuple[re.Pattern[str], ...], prefix: re.Pattern[str]) -> list[Bare]:
    bares = []
    for suffix in suffixes:
        if match := suffix.fullmatch(stem):
            bases = dict.fromkeys((match[1], match[1].rstrip(" _.-")))
            bares += [Bare(b, "X" + stem[len(b) :], match[3].lower()) for b in bases if b]
    if match := prefix.fullmatch(stem):
        bases = dict.fromkeys((match[3], match[3].lstrip(" _.-")))
        bares += [Bare(b, stem[: len(stem) - len(b)] + "X", match[2].lower()) for b in bases if b]
    return bares


class Match(NamedTuple):
    """The image of a mask."""

    images: tuple[int, ...]
    """Numbers of the images that fit equally well; empty: none fits."""
    image_pattern: str
    mask_pattern: str


NO_MATCH = Match((), "", "")


class ImageNames:
    """The stems of the images among which a mask may have its image.

    Args:
        stems: (stem, number of the image) pairs.
    """

    def __init__(self, stems: Iterable[tuple[str, int]]) -> None:
        self._whole: dict[str, list[int]] = {}
        self._bare: dict[str, list[tuple[int, str]]] = {}
        for stem, number in stems:
            self._whole.setdefault(stem, []).append(number)
            for bare in image_bases(stem):
                self._bare.setdefault(bare.base, []).append((number, bare.pattern))

    def match(self, stem: str) -> Match:
        """The image of the mask with this stem: same stem first, then one affix taken off.

        An affix comes off the mask before one comes off the image, so that `x_mask` belongs to
        `x` rather than to `x_image`.
        """
        tries = [("X", stem), *((bare.pattern, bare.base) for bare in mask_bases(stem))]
        for pattern, base in tries:
            if base in self._whole:
                return Match(tuple(self._whole[base]), "X", pattern)
        for pattern, base in tries:
            if base in self._bare:
                numbers = tuple(number for number, _ in self._bare[base])
                return Match(numbers, self._bare[base][0][1], pattern)
        return NO_MATCH

    def match_affixed(self, stem: str) -> str:
        """The word of the affix that makes this stem a mask of one of the images, or ""."""
        for bare in mask_bases(stem):
            if bare.base in self._whole or bare.base in self._bare:
                return bare.word
        return ""
