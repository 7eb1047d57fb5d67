"""The one catalogue of all findings: what each code says, where its rule comes from, the way out.

docs/checks.md is generated from it. Levels may be changed by --ignore and --error (`releveled`).
A rule that is no matter of taste has the source "definition": without it the word has no meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from segrecord.errors import Finding, Level, UsageError


class Code(NamedTuple):
    """What holds for all findings of one code."""

    code: str
    level: Level
    problem: str
    """What happened, of each finding, in words that may stand beside a count; of an info: what was
    done or counted."""
    rule: str
    """What holds where there is no such finding; "" of an info, which breaks no rule."""
    source: str
    """Where the rule's threshold comes from: a measurement, a standard, a publication."""
    fix: str
    ignorable: bool
    """Whether --ignore may make it an info: what it is about can be written as it is."""
    training: bool
    """Whether a training, or its score, may suffer where the samples are used as they are."""


class Section(NamedTuple):
    """Codes that belong together."""

    title: str
    text: str
    codes: tuple[Code, ...]


def _error(code: str, problem: str, rule: str, source: str, fix: str) -> Code:
    return Code(code, "error", problem, rule, source, fix, ignorable=False, training=True)


def _objection(code: str, problem: str, rule: str, source: str, fix: str) -> Code:
    """An error that a person may overrule: the data can be written, only are they sound?"""
    return Code(code, "error", problem, rule, source, fix, ignorable=True, training=True)


def _warning(code: str, problem: str, rule: str, source: str, fix: str) -> Code:
    return Code(code, "warning", problem, rule, source, fix, ignorable=True, training=True)


def _aside(code: str, problem: str, rule: str, source: str, fix: str) -> Code:
    """A warning about what no training sees: names, metadata, what was left out on request."""
    return Code(code, "warning", problem, rule, source, fix, ignorable=True, training=False)


def _info(code: str, problem: str, source: str, fix: str = "nothing") -> Code:
    return Code(code, "info", problem, "", source, fix, ignorable=True, training=False)


def problem_of(code: str) -> str:
    """What happened, where findings of this code are told without their messages."""
    return CODES[code].problem if code in CODES else ""


def way_out(found: Finding) -> str:
    """The finding's own fix, and --ignore where a person may accept the data as they are.

    Not where there is nothing to do: that needs no option.
    """
    entry = CODES.get(found.code)
    settled = "--ignore" in found.fix or found.fix.startswith("nothing")
    if not entry or not entry.ignorable or found.level == "info" or settled:
        return found.fix
    accept = f"to accept it: --ignore {found.code}"
    return f"{found.fix}; {accept}" if found.fix else accept


def releveled(
    findings: Iterable[Finding], ignore: Collection[str], error: Collection[str]
) -> list[Finding]:
    """The findings with the levels that were asked for, in their order.

    Args:
        findings: as the checks give them.
        ignore: codes whose findings become infos.
        error: codes whose findings become errors.
    """

    def level(found: Finding) -> Level:
        if found.code in ignore:
            return "info"
        return "error" if found.code in error else found.level

    return [found._replace(level=level(found)) for found in findings]


def require(ignore: Collection[str], error: Collection[str]) -> None:
    """Refuse codes whose level cannot be changed so.

    Raises:
        UsageError: there is no such code, it cannot be ignored, or it stands in both.
    """
    for code in (*ignore, *error):
        if code not in CODES:
            near = difflib.get_close_matches(code, CODES, n=1)
            hint = f"did you mean {near[0]}?" if near else "all codes stand in docs/checks.md"
            raise UsageError(f"there is no code {code!r}; {hint}")
    for code in ignore:
        if not CODES[code].ignorable:
            raise UsageError(
                f"{code} cannot be ignored, there would be nothing sound to write: "
                f"{CODES[code].fix}; --on-error quarantine leaves such samples out"
            )
    for code in sorted(set(ignore) & set(error)):
        raise UsageError(f"{code} cannot be both ignored and an error; name it once")


_BY_DEFINITION = "definition"
_COPY = "get a sound copy, or leave the file out"
_ANEW = "build the dataset again"
_PNG8 = "save it as an 8-bit grey PNG of class ids"
_MIX_UP = "measured: TensorFlow misreads such masks without an error"
_FLOOR = "measured: of random pairs of real sets the most alike have 0.94; 0.98 as near-duplicate"
_PRIVACY = "identifiers of the HIPAA Safe Harbor list (45 CFR 164.514(b)(2))"
_LOOK = "look at it; leave it out if it shows nothing"
_SPLITS = "correct the splits, or split all samples again: --split"

# A row: code, problem, rule (not of an info), source, fix. Short, to be read as a table.
# fmt: off
SECTIONS = (
    Section("Files that cannot be used", "", (
        _error("missing-file", "the file does not exist", "the file exists", _BY_DEFINITION,
               "fix the path"),
        _error("unreadable-file", "the file cannot be opened or read",
               "the file can be opened and read", _BY_DEFINITION,
               "fix the permissions, or check the disk"),
        _error("empty-file", "the file is empty", "the file holds bytes", _BY_DEFINITION,
               "fetch it again"),
        _error("file-too-large", "the file is larger than 1 GiB", "a file has at most 1 GiB",
               "an image and its mask share a record, which protobuf limits to 2 GiB",
               "make it smaller, or leave it out"),
        _error("lfs-pointer", "the file is a Git LFS pointer, not the picture",
               "the file is the picture, not Git LFS's note about it",
               "Git LFS specification: a pointer begins with its version line", "run git lfs pull"),
        _error("apple-double", "the file is macOS' metadata about a picture, not the picture",
               "the file is the picture, not macOS' metadata about it",
               "RFC 1740: the magic number of AppleDouble", "delete it"),
        _error("not-an-image", "the file is no image of a known format",
               "the bytes are PNG, JPEG, GIF, TIFF, WebP, BMP or PPM",
               "the signatures of these formats", "save it as PNG, or leave it out"),
        _error("broken-image", "the image file is damaged",
               "Pillow decodes the file without a complaint (all but PNG and JPEG)", _BY_DEFINITION,
               _COPY),
        _error("too-many-pixels", "the picture has more than 100 megapixels",
               "a picture has at most 100 megapixels",
               "300 MB as RGB in every worker; Pillow warns of decompression bombs from 89 on",
               "make it smaller"),
        _error("several-frames", "the file holds several pictures", "the file holds one picture",
               _BY_DEFINITION, "save the frame that is meant as a file of its own"),
        _error("sixteen-bit", "the image has more than 8 bits a channel",
               "images have 8 bits a channel; more are not supported yet",
               "measured: decoded as uint8, 16 bits lose the lower 8 without a word",
               "save it as an 8-bit PNG: you decide how values are scaled"),
        _error("unsupported-mode", "the pixels are of a kind that has no one meaning as RGB",
               "the pixels are grey, RGB, RGBA, palette or CMYK", "what has one meaning as RGB",
               "save it as an 8-bit PNG"),
        _error("crashed", "reading the file ended the worker process",
               "reading the file ends no worker", _BY_DEFINITION,
               "open it with another program; repair it or leave it out"),
        _error("record-too-large", "the record would have 2 GiB or more",
               "a record has less than 2 GiB", "protobuf's limit of a message",
               "pass --size HxW, or another schema than raw"),
        _error("changed-since-scan", "the file changed between the scan and the writing",
               "a file holds at writing what it held at the scan", "SHA-256 of the file",
               "do not change files during a build; run it again"),
        _aside("unusual-encoding", "strict decoders refuse the file, though it is sound",
               "the file is written as strict decoders expect",
               "measured: unusual sampling factors, zeros before EOI and padding in IDAT; Pillow "
               "and TensorFlow read the same pixels", "nothing: pixels are stored losslessly"),
        _warning("several-pictures", "the JPEG holds several pictures, of which the first is taken",
                 "a JPEG holds one picture and previews (no MPO)",
                 "CIPA DC-007; each record holds one picture",
                 "save the others as files of their own if they are meant"),
        _warning("orientation-ignored", "the file says an orientation that was not applied",
                 "nothing but EXIF says how the picture is to be turned",
                 "measured: Pillow goes by XMP, TensorFlow, OpenCV and browsers do not",
                 "look at it beside its mask; if it lies wrong, save it turned"),
        _aside("wrong-extension", "the extension names another format than the bytes have",
               "the extension says what the bytes are", "the signatures of the formats",
               "rename it; it is read by its content"),
    )),
    Section("PNG", "Decoders let most of these through with wrong pixels: of 600 PNG files with "
            "one bit turned round, Pillow read 120 wrong and complained of nothing (measured). "
            "Sections are those of the specification's third edition (W3C).", (
        _error("png-crc", "the CRC-32 of a chunk is wrong", "the CRC-32 of each chunk holds",
               "PNG, section 5.5", _COPY),
        _error("png-adler", "the Adler-32 of the pixels is wrong",
               "the Adler-32 of the pixels holds", "RFC 1950, section 2.2", _COPY),
        _error("png-chunk", "a chunk is unknown, incomplete or out of order",
               "the chunks are known, complete and in order", "PNG, section 5.6", _COPY),
        _error("png-header", "size, bit depth and colour type contradict each other",
               "size, bit depth and colour type exist together", "PNG, section 11.2.1", _COPY),
        _error("png-filter", "a row has a filter type that does not exist",
               "rows have filter types 0 to 4", "PNG, section 9.2", _COPY),
        _error("png-length", "the pixels inflate to another length than the size needs",
               "the pixels inflate to exactly the length of the picture's size", "PNG, section 7.2",
               _COPY),
        _error("png-data", "the pixels cannot be inflated", "the pixels can be inflated",
               "RFC 1950 and 1951", _COPY),
        _error("png-truncated", "the file ends before its IEND chunk", "the file ends with IEND",
               "PNG, section 11.2.4", _COPY),
    )),
    Section("JPEG", "JPEG has no checksum: most damage can only be seen by a strict decoder.", (
        _error("jpeg-marker", "the markers do not follow each other as they must",
               "the markers follow each other as they must", "ITU-T T.81, annex B", _COPY),
        _error("jpeg-header", "the frame's header contradicts itself",
               "the frame's header agrees with itself", "ITU-T T.81, B.2.2", _COPY),
        _error("jpeg-scans", "the picture has more than 500 scans",
               "a picture has at most 500 scans", "libjpeg-turbo's guidance: more are an attack",
               "save it again"),
        _error("jpeg-data", "the strict decoder finds the data damaged",
               "the strict decoder has no complaint", "measured: of 100 files with a zeroed sector "
               "Pillow and TensorFlow accept all, it none; no false alarm on 4,805 sound files",
               _COPY),
        _error("jpeg-subsampling", "nothing shows that the JPEG of unusual sampling is undamaged",
               "the strict decoder knows the sampling factors, or the scan is a sequential one "
               "whose codes are all sound", "TurboJPEG's list", "if it is whole, save it as PNG"),
        _error("jpeg-truncated", "the file ends before its EOI marker", "the file ends with EOI",
               "ITU-T T.81, B.2.1", _COPY),
    )),
    Section("Masks", "", (
        _error("mask-values", "the mask holds values that are neither 0/255 nor class ids",
               "all masks' values are 0/255, or class ids, or named by --mask-map",
               "measured: smoothed masks have 88 odd values or more, masks with 127 as ignore one",
               "smoothed or JPEG: --mask-threshold 128; else --mask-map 0=background,1=..."),
        _error("mask-not-two-valued", "--mask-invert is given and masks hold more than two classes",
               "with --mask-invert, masks hold two classes", _BY_DEFINITION,
               "leave --mask-invert out; name the values with --mask-map"),
        _error("mask-not-black-white", "--mask-values keep is given and masks hold other values",
               "with --mask-values keep, masks hold 0 and 255", _BY_DEFINITION,
               "leave --mask-values out"),
        _warning("mask-ignore-only", "the mask of 0 and 255 alone stands among masks of class ids",
                 "no mask of 0 and 255 alone stands among masks of class ids",
                 "PASCAL VOC: 255 is void", "if 255 is a class, name it with --mask-map"),
        _error("palette-threshold", "--mask-threshold is given and the mask has a palette",
               "palette masks hold ids, which have no threshold", _BY_DEFINITION,
               "leave --mask-threshold out"),
        _error("palette-order", "the greys of the palette do not rise with the index",
               "where a palette holds greys, they rise with the index",
               "else index and grey say different classes", _PNG8),
        _error("colour-mask", "the mask holds colours",
               "a mask holds one channel, or colours that are grey", _MIX_UP, _PNG8),
        _error("mask-alpha", "the alpha channel of the mask contradicts its colours",
               "an alpha channel does not contradict the colours", _BY_DEFINITION,
               "save it without alpha"),
        _error("mask-mode", "the pixels of the mask are no whole numbers",
               "a mask's pixels are whole numbers", _BY_DEFINITION, _PNG8),
        _error("size-mismatch", "mask and image differ in size", "mask and image have one size",
               _BY_DEFINITION, "--mask-fit resize (nearest neighbour)"),
        _error("aspect-mismatch", "mask and image differ in aspect ratio",
               "where they differ in size, the aspect ratio is equal to 1 %",
               "rounding a side of 100 pixels or more to whole pixels changes it by less",
               "--mask-fit resize-any where most pairs differ alike and show the same area; else "
               "get the right mask, or --on-error quarantine"),
        _warning("mask-stretched", "the mask was resized to another aspect ratio than most",
                 "with --mask-fit resize-any, the aspect ratio of mask and image is equal, or "
                 "differs as in most pairs, to 1 %", "as aspect-mismatch",
                 "look at image and mask together"),
        _info("mask-resized", "masks were resized to their image's size", "asked for: --mask-fit"),
        _error("mask-not-turned", "the mask fits the image only without its EXIF orientation",
               "image and mask agree in size once EXIF orientation is applied",
               "Exif 2.3, tag 0x0112: the mask was drawn on the picture as it lies in the file",
               "turn the mask as the image's EXIF orientation says, or draw it again"),
        _warning("mask-maybe-turned", "the image has an EXIF orientation, and the mask may lack it",
                 "no image with a mask has an EXIF orientation that the sizes cannot check: "
                 "square, 180 degrees, mirrored", "as mask-not-turned",
                 "look at image and mask together: segrecord show"),
        _error("several-masks", "the image has several masks", "an image has one mask",
               _BY_DEFINITION, "--mask-choice first or --mask-choice union"),
        _error("mask-parts-size", "masks that are painted together differ in size",
               "masks that are painted together have one size", _BY_DEFINITION,
               "correct the mask, or leave it out"),
        _error("mask-without-image", "the mask belongs to no image",
               "each mask belongs to one image", _BY_DEFINITION,
               "add the image, move the mask away, or list the pairs in a CSV"),
        _error("mask-is-image", "a row names an image as its mask", "no row's mask is an image",
               _BY_DEFINITION, "name the mask, or empty the cell"),
        _info("image-without-mask", "some images have no mask", "counted",
              "nothing if that is right; --missing-mask says what their records hold"),
        _error("missing-mask", "the image has no mask",
               "with --missing-mask error, each image has a mask", "asked for",
               "add it, or pass another --missing-mask"),
        _warning("empty-mask", "the mask is empty", "a mask has foreground",
                 "what was not drawn looks the same as what is not there",
                 "draw it, or nothing if the picture shows none"),
        _warning("small-mask", "less than 0.1 % of the mask is foreground",
                 "at least 0.1 % of a mask is foreground", "ISIC 2017: 0.3 to 93.8 % (measured)",
                 "look for stray pixels in the mask"),
        _warning("full-mask", "more than 99 % of the mask is foreground",
                 "at most 99 % of a mask is foreground", "ISIC 2017: 0.3 to 93.8 % (measured)",
                 "look: is it inverted, or painted over?"),
        _warning("inverted-masks", "the foreground of most masks surrounds the picture",
                 "where masks hold two classes, most have no foreground that surrounds the picture "
                 "with the background inside",
                 "measured: in 102 of 105 real masks the background fills 93 % of the border",
                 "--mask-invert if they are inverted"),
    )),
    Section("Names, rows and classes", "", (
        _error("missing-image", "the row names an image that does not exist",
               "a row names an image that exists", _BY_DEFINITION,
               "put the file there, fix the path, or delete the row"),
        _error("missing-mask-file", "the row names a mask that does not exist",
               "a row names a mask that exists, or none", _BY_DEFINITION,
               "put the file there, fix the path, or empty the cell"),
        _error("ambiguous-file", "the path without extension means several files",
               "a path without extension means one file", _BY_DEFINITION, "write its extension"),
        _error("duplicate-key", "another sample has the same key",
               "each sample has a key of its own; none of the equal ones is taken", _BY_DEFINITION,
               "rename or delete, or --key-column"),
        _error("name-not-unicode", "the file name is not valid UTF-8", "file names are valid UTF-8",
               "a key is text in every reader", "rename the file"),
        _error("unreadable-folder", "the folder cannot be listed", "each folder can be listed",
               _BY_DEFINITION, "fix the permissions, or move it away"),
        _warning("file-beside-images",
                 "an image lies beside the folders of images and was not taken",
                 "images lie in the folders of images", "the folder's layout",
                 "move them there if they belong to the set"),
        _warning("shared-file", "several samples name the file", "a file belongs to one sample",
                 "equal paths", "correct the row that is wrong, or nothing if both mean it"),
        _warning("stale-name", "the name ends like that of a copy or of a step between",
                 "no name ends like a copy's or a step's (_downsampled, _copy, _tmp) while most "
                 "others do not", "ISIC 2019 names some images _downsampled",
                 "look: is it a left-over? Leave it out, or rename it"),
        _aside("metadata-unmatched-row", "a row of --metadata names no sample",
               "each row of --metadata names a sample", _BY_DEFINITION,
               "nothing if the image is left out on purpose"),
        _warning("metadata-missing-row", "the sample has no row in --metadata",
                 "each sample has a row in --metadata", _BY_DEFINITION,
                 "add the row, if the sample needs one"),
        _error("metadata-ambiguous-row", "a row of --metadata names several samples",
               "a row of --metadata names one sample", _BY_DEFINITION,
               "write the path below the source instead of the name alone"),
        _objection("metadata-duplicate-row", "several rows of --metadata name the sample",
                   "one row of --metadata names a sample; the first is taken", _BY_DEFINITION,
                   "delete the others"),
        _objection("metadata-conflict", "two --metadata tables say different things of the sample",
                   "two --metadata tables say the same of a sample; the first is taken",
                   _BY_DEFINITION, "correct the row that is wrong"),
        _warning("metadata-unused", "nothing is taken of a --metadata table",
                 "a class, a group, a split or a kept column is taken of each --metadata table",
                 "the columns' names and values",
                 "--label-column, --group-column or --keep-columns NAME"),
        _info("excluded", "the sample is marked as wrong and was left out", "asked for: --exclude"),
        _aside("exclude-unknown", "a key marked as wrong is not in the source",
               "each key marked as wrong is in the source", _BY_DEFINITION,
               "nothing if it is gone, else correct the key"),
        _error("unknown-class", "the class is not in the mapping",
               "each class stands in the mapping: --classes, or the file beside the source",
               _BY_DEFINITION, "add it, or correct the label"),
        _info("mapping-taken", "class_mapping.json in the source, or beside its table, gives the "
              "class ids", "the file", "nothing; to number sorted names, move it away"),
        _objection("mapping-contradicts", "two files of class ids contradict each other",
                   "files of class ids, and --classes, agree", _BY_DEFINITION,
                   "correct one of them"),
        _warning("mapping-unread", "class_mapping.json beside the source was not used",
                 "class_mapping.json beside the source holds class ids, and there are classes",
                 _BY_DEFINITION, "correct it, or move it away"),
        _error("several-classes", "the sample has several classes", "a sample has one class",
               "a record holds one label", "give it one"),
        _error("no-class", "none of the one-hot columns is set",
               "one of the one-hot columns is set", _BY_DEFINITION,
               "--rest-class NAME says what the other rows are"),
        _error("unlabelled", "the sample has no class while others have one",
               "all samples have a class, or none", "a reader asks all records alike",
               "add the classes, or --unlabelled keep"),
        _error("no-split", "the sample has no split while others have one",
               "all samples have a split, or none", _BY_DEFINITION,
               "add the splits, or share all samples out: --split"),
        _warning("split-replaced", "the source's own splits were not taken",
                 "the source's splits are taken where it fixes several",
                 "asked for: --split or --folds", "leave --split or --folds out to keep them"),
        _info("split-alone", "all samples lie in one split of the source, and are shared out",
              "asked for: --split, --folds or --extend"),
        _error("unsupported-part",
               "a function's sample is a frame, or has a mask that is not a whole file",
               "a function's samples are whole images with whole mask files",
               "what the scan can read", "save frame and mask as files"),
    )),
    Section("Copies", "Merged public sets hold many: the training images of ISIC 2016 to 2020 hold "
            "14,310 duplicates, 1,035 of them of test images.", (
        _warning("duplicate", "another picture has exactly the same pixels",
                 "no two pictures have exactly the same pixels", "SHA-256 of the decoded pixels",
                 "remove it, or --keep-duplicates one"),
        _objection("duplicate-split", "pictures with the same pixels stand in different splits",
                   "pictures with the same pixels stand in one split",
                   "SHA-256 of the decoded pixels", _SPLITS),
        _objection("duplicate-label", "pictures with the same pixels have different classes",
                   "pictures with the same pixels have the same class",
                   "SHA-256 of the decoded pixels", "correct the label that is wrong"),
        _objection("duplicate-mask", "pictures with the same pixels have different masks",
                   "pictures with the same pixels have the same mask",
                   "SHA-256 of the masks' values", "correct the mask that is wrong"),
        _warning("near-duplicate", "another picture is nearly the same", "no two pictures are "
                 "nearly equal: hashes within 4 of 64 bits, a correlation of 0.98 at 32x32, more "
                 "where the set's pictures are alike (at most 1/16 of their usual difference)",
                 "measured: re-saved, half-size and grey copies are, no random pair is",
                 "look; if no copies: --near-duplicates warn"),
        _warning("near-duplicate-split",
                 "pictures that are nearly the same stand in different splits",
                 "pictures that are nearly the same stand in one split", "as near-duplicate",
                 _SPLITS),
        _warning("near-duplicate-crowd",
                 "very many pictures look nearly the same, too many to be copies",
                 "at most 20 pictures or 1 % of all are joined as nearly the same",
                 "measured: one chain of hashes joined 49 different ISIC pictures",
                 "look at them; if they belong together, say so: --group-column"),
        _info("similar-pair", "two pictures resemble each other (correlation of 0.95 or more) and "
              "are not joined; the best 200 are listed", _FLOOR,
              "if they are one patient's: --group-column"),
        _aside("duplicate-dropped", "the sample was left out: an equal one is there",
               "with --keep-duplicates one, the first of equal samples is taken",
               "SHA-256 of pixels and mask, the class and the split",
               "leave --keep-duplicates one out to keep all"),
    )),
    Section("Splits and classes", "What makes a score look better than the model is.", (
        _objection("divided-group", "the group stands in several of the source's splits",
                   "a group stands in one of the source's splits",
                   "HAM10000 split at random: 35 % of the test pictures show a lesion of train",
                   _SPLITS),
        _warning("no-group", "no sample has a group", "samples have a group: patient or lesion",
                 "as divided-group: without it leakage cannot be excluded",
                 "--group-column NAME, or --metadata FILE with such a column"),
        _objection("empty-split", "a split has no sample", "each split has samples", _BY_DEFINITION,
                   "give it a larger share, or leave it out"),
        _objection("split-lacks-class", "a split has no sample of a class",
                   "each class stands in each split",
                   "no score can be told of a class that is not there",
                   "get more groups of the class, or make fewer splits"),
        _warning("few-groups", "a class has fewer than 5 groups in a split that is held out",
                 "a class has 5 groups in each split but the largest (val and test)",
                 "of 4 groups, each is a quarter of what the score of the class says",
                 "get more groups of the class, or pass --folds K"),
        _warning("class-ratio", "one class has over 10 times the samples of another",
                 "no class has over 10 times the samples of another",
                 "ratios over 9 count as high: Fernandez et al. 2008, Fuzzy Sets and Systems 159",
                 "train with the class weights of segrecord stats"),
        _warning("shortcut", "a property of the files tells the class", "height, width, mode, "
                 "format and folder tell no class in 75 % or more (balanced; 50 % by chance)",
                 "half of what guessing leaves; DeGrave et al. 2021, "
                 "doi:10.1038/s42256-021-00338-7", "take all classes from the same sources"),
        _error("extend-tie", "the new sample belongs with samples of several splits",
               "with --extend, a new sample belongs with samples of one split",
               "no sample of the extended dataset may move", "--on-error quarantine leaves it out"),
        _warning("extend-divided",
                 "what belongs together is divided over the splits of the extended dataset",
                 "what belongs together is in one split of the extended dataset",
                 "its samples keep their splits", "leave --extend out to split all samples again"),
        _warning("extend-changed", "the key names another picture than in the extended dataset",
                 "a key names the picture that the extended dataset has under it",
                 "SHA-256 of the decoded pixels", "give another picture another key"),
        _info("extend-gone", "some samples of the extended dataset are no longer there", "counted",
              "nothing, if they were taken out on purpose"),
    )),
    Section("What pictures show", "", (
        _warning("constant-image", "the picture has one colour",
                 "some channel deviates by 1 grey level or more", "measured: JPEG of one colour "
                 "deviates by 0, the flattest of 150 real pictures by 7.1", _LOOK),
        _warning("dark-image", "the picture is nearly black",
                 "under 99 % of the values are below 8 of 255, or they deviate by 8",
                 "measured: the darkest of the real pictures, of nuclei, has 96 % there, and 9.7",
                 _LOOK),
        _warning("bright-image", "the picture is nearly white",
                 "under 99 % of the values are 248 or more, or they deviate by 8",
                 "as dark-image, at the other end", _LOOK),
        _warning("extreme-aspect", "one side of the picture is over 4 times the other",
                 "no side is over 4 times the other",
                 "dental panoramas have about 2, radiographs of a spine 3",
                 "look at it; leave it out if it is a strip of something else"),
        _warning("outlier-size", "the picture is much smaller or larger than the others",
                 "no few pictures (1 in 20 or less) have a quarter of the median area or less, or "
                 "4 times it or more, and a modified z-score over 3.5", "Iglewicz and Hoaglin 1993",
                 "look: a thumbnail, or a picture of another kind?"),
    )),
    Section("Privacy and what was done to the bytes", "", (
        _aside("personal-metadata", "the file holds names, places, times or comments",
               "files hold no names, places, times or comments", _PRIVACY,
               "nothing: it is not written, but with --keep-metadata; mind the files themselves"),
        _info("metadata-removed", "what stood beside the pixels was not written", _PRIVACY,
              "nothing; --keep-metadata keeps it"),
        _info("re-encoded", "the pixels are stored as PNG, without loss", "measured: TensorFlow "
              "cannot read the file, or misreads it (palette, 1 bit, CMYK, EXIF orientation, BMP, "
              "TIFF ...)"),
        _warning("transparent-pixels", "over 1 % of the picture's pixels are transparent",
                 "at most 1 % of a picture's pixels are transparent",
                 "corners rounded by a tenth of the side are 0.9 %; TensorFlow and we read the "
                 "colours under alpha (measured)",
                 "look; if other colours are meant, save it without alpha"),
        _warning("unread-channel", "the picture has a channel that is neither colour nor alpha",
                 "a picture's channels are colours and alpha",
                 "ExtraSamples of TIFF 6.0, the fourth byte of BMP: nothing says what they show",
                 "nothing if it can be spared, else save it as a file of its own"),
        _info("alpha-channel", "alpha is not read: it is opaque, or but for 1 % of the pixels, or "
              "(--checks basic, none) was not looked at", "as transparent-pixels"),
        _info("resized", "pictures were resized", "--size asked for it"),
        _info("trimmed", "bytes after the end of the picture are cut off", "no decoder reads them"),
        _info("mask-mapped", "the values of the masks were mapped to class ids",
              "what the masks of the set hold together, or --mask-map and --mask-threshold",
              "nothing; --mask-map reads them otherwise"),
        _info("passed-over", "some files were not taken", "counted",
              "nothing, if they do not belong to the set"),
        _error("header-not-enough", "the header alone does not prove that the bytes can be copied",
               "with --checks none the header alone proves that the bytes can be copied",
               _BY_DEFINITION, "--checks basic"),
    )),
    Section("In a dataset", "These come from segrecord verify, show and the readers: the dataset "
            "is damaged, or others wrote it and it cannot be read without guessing.", (
        _error("jpeg-colours", "the stored JPEG is neither grey nor RGB nor YCbCr",
               "a stored JPEG is grey, RGB or YCbCr",
               "decoders make different RGB of CMYK (measured)", _ANEW),
        _error("mask-format", "the stored mask is no PNG of one channel and 8 bits",
               "a stored mask is a PNG of one channel and 8 bits", _MIX_UP, _ANEW),
        _error("mask-length", "the raw mask has another number of bytes than its size needs",
               "a raw mask has the bytes of its size", _BY_DEFINITION, _ANEW),
        _error("mask-not-kept", "a mask stored under --mask-values keep holds other values",
               "a mask stored under --mask-values keep holds 0 and 255", _BY_DEFINITION, _ANEW),
        _error("mask-one-hot", "a pixel of the one-hot mask has several classes",
               "a pixel of a one-hot mask has one class at most", _BY_DEFINITION, _ANEW),
        _error("raw-length", "the raw image has another number of bytes than its size needs",
               "a raw image has the bytes of its size", _BY_DEFINITION, _ANEW),
        _error("size", "the stored image or mask has another size than the index says",
               "a stored image has the size that the index says, and its mask the same",
               _BY_DEFINITION, "build it again; pass image_size for batches of unequal images"),
    )),
)
# fmt: on

CODES = {row.code: row for section in SECTIONS for row in section.codes}
