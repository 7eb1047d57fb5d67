"""Names that belong together: which mask is whose, told by file names alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# The words by which public sets mark a mask: ISIC and HAM10000 `_segmentation`, BUSI `_mask` and
# `_mask_1`, JSRT `-mask`, PH2 `_lesion`, GlaS `_anno`, Cityscapes `_gtFine`, and their spellings.
_MASK_WORDS = (
    r"masks?|segmentations?|segs?|lesions?|gt|gtfine|ground[ _-]?truth"
    r"|labels?|labelids|annotations?|annotated|anno|manual"
)
_IMAGE_WORDS = r"images?|img|orig|original|input|rgb|sat|leftimg8bit"
_GAP = r"[ _.\-]"
_NUMBER = r"(?:[ _\-]?\(?\d{1,4}\)?)?"


def _suffix(words: str, number: str = "") -> re.Pattern[str]:
    return re.compile(rf"(.+)({_GAP}({words}){number})", re.IGNORECASE | re.DOTALL)


def _prefix(words: str) -> re.Pattern[str]:
    return re.compile(rf"(({words}){_GAP})(.+)", re.IGNORECASE | re.DOTALL)


_MASK_SUFFIXES = (_suffix(_MASK_WORDS, _NUMBER), _suffix("segmentation[ _-]?masks?", _NUMBER))
_MASK_PREFIX = _prefix(_MASK_WORDS)
_IMAGE_SUFFIXES = (_suffix(_IMAGE_WORDS),)
_IMAGE_PREFIX = _prefix(_IMAGE_WORDS)


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
    found = []
    for suffix in suffixes:
        if match := suffix.fullmatch(stem):
            bases = dict.fromkeys((match[1], match[1].rstrip(" _.-")))
            found += [Bare(b, "X" + stem[len(b) :], match[3].lower()) for b in bases if b]
    if match := prefix.fullmatch(stem):
        bases = dict.fromkeys((match[3], match[3].lstrip(" _.-")))
        found += [Bare(b, stem[: len(stem) - len(b)] + "X", match[2].lower()) for b in bases if b]
    return found


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
