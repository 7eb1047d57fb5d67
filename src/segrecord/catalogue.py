"""The one catalogue of all findings: what each code says, where its rule comes from, the fix.

docs/checks.md is generated from it. A rule that is no matter of taste has the source "definition":
without it the word has no meaning.
"""

# ruff: noqa: ISC004 - long texts stand in the table as they are; each ends at its comma

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Literal, NamedTuple

Level = Literal["error", "warning", "info"]

Texts = Mapping[str, tuple[str, str]]
"""Message and fix of each case, as templates that are filled with a finding's values."""


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
    texts: Texts
    """The message and the fix of one finding, by case; "": where there is but one."""


class Section(NamedTuple):
    """Codes that belong together."""

    title: str
    text: str
    codes: tuple[Code, ...]


def _texts(text: str, fix: str, cases: Texts | None) -> Texts:
    return {**({"": (text, fix)} if text else {}), **(cases or {})}


def _error(
    code: str, problem: str, rule: str, source: str, fix: str,
    text: str = "", cases: Texts | None = None, *, ignorable: bool = False,
) -> Code:  # fmt: skip
    told = _texts(text, fix, cases)
    return Code(code, "error", problem, rule, source, fix, ignorable, training=True, texts=told)


def _objection(
    code: str, problem: str, rule: str, source: str, fix: str,
    text: str = "", cases: Texts | None = None,
) -> Code:  # fmt: skip
    """An error that a person may overrule: the data can be written, only are they sound?"""
    return _error(code, problem, rule, source, fix, text, cases, ignorable=True)


def _warning(
    code: str, problem: str, rule: str, source: str, fix: str,
    text: str = "", cases: Texts | None = None, *, training: bool = True,
) -> Code:  # fmt: skip
    told = _texts(text, fix, cases)
    return Code(code, "warning", problem, rule, source, fix, True, training, told)


def _aside(
    code: str, problem: str, rule: str, source: str, fix: str,
    text: str = "", cases: Texts | None = None,
) -> Code:  # fmt: skip
    """A warning about what no training sees: names, metadata, what was left out on request."""
    return _warning(code, problem, rule, source, fix, text, cases, training=False)


def _info(
    code: str, problem: str, source: str, fix: str = "nothing",
    text: str = "", cases: Texts | None = None,
) -> Code:  # fmt: skip
    told = _texts(text, "" if fix == "nothing" else fix, cases)
    return Code(code, "info", problem, "", source, fix, True, False, told)


_BY_DEFINITION = "definition"
_COPY = "get a sound copy, or leave the file out"
_ANEW = "build the dataset again"
_UNREADABLE = "build the dataset again, or read with on_error='skip'"
_MIX_UP = "measured: TensorFlow misreads such masks without an error"
_FLOOR = "measured: of random pairs of real sets the most alike have 0.94; 0.98 as near-duplicate"
_PRIVACY = "identifiers of the HIPAA Safe Harbor list (45 CFR 164.514(b)(2))"
_LOOK = "look at it; leave it out if it shows nothing"
_SPLITS = "correct the splits, or split all samples again: --split"

_ORIENTED = "{where} says orientation {value}, which some programs apply and others do not"
_PAIR = (
    "add its image, move the mask away, or list the pairs in a CSV (image_path,mask_path) and "
    "build from that"
)
_ALONE = "no image has the name of this mask, with or without a suffix such as _mask"
_FITS = "the mask fits {count} images equally well: {keys}"
_UNUSED = (
    "it has a row for {rows} of {samples} samples and gives them nothing: none of its columns "
    "({columns}) is taken for class, group or split"
)
_NAME_MASK = "name the mask, or leave the cell empty"
_NO_IMAGE = "put the file there, fix the path, or delete the row"
_NO_MASK = "put the file there, fix the path, or empty the cell if there is no mask"
_UNMATCHED = "nothing, if the image is meant to be left out; else add the image"
_SAME_KEY = "{count} samples have the key {name}: {paths}; none of them is taken"
_RENAME = "rename all but one of the files, or move what is no image away"
_DELETE_ROWS = "delete the rows that are too many, or name a column of unique keys: --key-column"
_ONE_SET = "leave one of them set, or name the column of the class with --label-column"
_IS_CLASS = "is the class, pass --label-column"
_TAKE = "for other columns --group-column or --keep-columns; or leave the table out"

_LIES = "look at it beside its mask; if it lies wrong, save it turned and without that entry"
_SAVE_PNG = "save it as an 8-bit PNG, or leave it out"
_ONE_FRAME = "save the frame that is meant as a file of its own"
_GREY_PNG = "save the mask as an 8-bit grey PNG in which each value is a class id"


def _cases(fix: str, **texts: str) -> Texts:
    """Texts that have one fix."""
    return {case: (text, fix) for case, text in texts.items()}


_ALPHA = (
    "{pixels} of its pixels, {share:.3g} %, are transparent: what is read is the colours under them"
)
_PREMULTIPLIED = f"{_ALPHA}, divided by the alpha they are stored multiplied by"
_GROUND = "look at it; if those colours are not meant, save it without alpha on the right ground"
_LEFT_OVER = "leave it out if it is a left-over; nothing if the name means something else"
_DIFFER = "the mask is {mask} (height x width), its image {image}"
_RESIZED = (
    "{pictures} resized (antialiased), with the masks (nearest neighbour), as --size asks: "
    "{changes} (height x width)"
)
_DRAW = "draw it, or nothing if the picture shows none"
_COVERED = "{pixels} of {all} of the mask are foreground, {share:.3g} %"
_SURROUNDS = (
    "as in {inverted} of {masks} masks that show something, the foreground surrounds the "
    "picture and the background lies inside"
)
_LACKS = "class {class!r} is in no sample of split {lacking}: it has {groups} for {splits} splits"
_FEW = (
    "class {class!r} has few {units} to be judged by: {counts}; each is over {share} % of what "
    "a score says of the class"
)
_ONE_SPLIT = "give both the same split, remove one, or leave the splits out and pass --split"
_OR_BOTH = ", or leave both out: --on-error quarantine; to accept it: --ignore "
_NEAR = "nearly the same picture as {others}{more}; "
_CROWDED = (
    "{pictures} of {total} pictures ({others}, ...) look nearly the same, each as one or "
    "more of the others: too many to be copies of one picture, so they were not grouped by "
    "their looks"
)
_TOGETHER = "if they belong together say so: --group-column (patient, lesion, video)"

_OFF = "{number} ({shown}), {what}: {pixels}, {share:.3g} % of the mask"
_ODD_VALUES = {
    f"{kind} {way}": (_OFF.replace("{what}", what), fix)
    for kind, what in (
        ("unmapped", "not in the mask map"),
        ("odd", "neither 0/255 nor class ids"),
        ("smooth", "looking like smoothed edges or JPEG"),
        ("changed", "which JPEG may have changed"),
        ("outvoted", "beside {beside} only 0 and 255"),
    )
    for way, fix in (
        ("add", "add them to --mask-map"),
        ("threshold", "pass --mask-threshold {threshold}"),
        (
            "png",
            "get the masks as PNG; or pass --mask-threshold N, which reads values from N on as "
            "class 1",
        ),
        ("single", "other masks hold class ids: correct this one, or pass --on-error quarantine"),
        ("few", "say what each value means, for example --mask-map {example}"),
        (
            "many",
            "say what each value means with --mask-map VALUE=NAME,..., or where class 1 "
            "begins with --mask-threshold N",
        ),
    )
} | {
    "range": ("the mask holds values from {low} to {high}", "save it as an 8-bit PNG of class ids")
}
"""By what is odd about values and what can be done."""


def _case(text: str, fix: str) -> Texts:
    """The one text of a code, whose fix says more than the code's."""
    return {"": (text, fix)}


def _witnesses(text: str, fix: str) -> Texts:
    """By what binds a new sample to each of two splits: a sample, a group, or equal pixels."""
    cases = {}
    for first, second in product(("sample", "group", "pixels"), repeat=2):
        number = 1 if first == "sample" else 0  # of the second side's sample
        sides = [
            {
                "sample": f"{{related[{at}].key!r}} in {{{other}split}}",
                "group": f"the group {{{other}group!r}} in {{{other}split}}",
                "pixels": f"a picture of the same pixels in {{{other}split}}",
            }[kind]
            for kind, at, other in ((first, 0, ""), (second, number, "other_"))
        ]
        cases[f"{first} and {second}"] = (text.replace("{sides}", " and ".join(sides)), fix)
    return cases


# A row: code, problem, rule (not of an info), source, fix. Short, to be read as a table.
# fmt: off
SECTIONS = (
    Section("Files that cannot be used", "", (
        _error("missing-file", "the file does not exist", "the file exists", _BY_DEFINITION,
               "fix the path", "the file does not exist"),
        _error("unreadable-file", "the file cannot be opened or read",
               "the file can be opened and read", _BY_DEFINITION,
               "fix the permissions, or check the disk", "the file cannot be read: {reason}",
               {"irregular": ("it is no regular file but a folder, pipe or device",
                              "fix the path")}),
        _error("empty-file", "the file is empty", "the file holds bytes", _BY_DEFINITION,
               "fetch it again", "the file is empty"),
        _error("file-too-large", "the file is larger than 1 GiB", "a file has at most 1 GiB",
               "an image and its mask share a record, which protobuf limits to 2 GiB",
               "make it smaller, or leave it out",
               "the file has {size} bytes, the limit is {limit}"),
        _error("lfs-pointer", "the file is a Git LFS pointer, not the picture",
               "the file is the picture, not Git LFS's note about it",
               "Git LFS specification: a pointer begins with its version line", "run git lfs pull",
               "the file is a Git LFS pointer"),
        _error("apple-double", "the file is macOS' metadata about a picture, not the picture",
               "the file is the picture, not macOS' metadata about it",
               "RFC 1740: the magic number of AppleDouble", "delete it",
               "the file is AppleDouble metadata of macOS, not an image"),
        _error("not-an-image", "the file is no image of a known format",
               "the bytes are PNG, JPEG, GIF, TIFF, WebP, BMP or PPM",
               "the signatures of these formats", "save it as PNG, or leave it out",
               "the file is no image of a known format ({formats}); it begins with {head}", {
                   "png": ("does not begin with the PNG signature but with {head}", _COPY),
                   "jpeg": ("does not begin with a JPEG's marker SOI but with {head}", _COPY),
                   "header": ("the header has no end", "repair or remove the file"),
               }),
        _error("broken-image", "the image file is damaged",
               "Pillow decodes the file without a complaint (all but PNG and JPEG)", _BY_DEFINITION,
               _COPY, "the {format} image cannot be decoded: {reason}"),
        _error("too-many-pixels", "the picture has more than 100 megapixels",
               "a picture has at most 100 megapixels",
               "300 MB as RGB in every worker; Pillow warns of decompression bombs from 89 on",
               "make the image smaller, or leave it out",
               "the image has {height}x{width} pixels (height x width), more than {limit:,}",
               _cases("make the image smaller, or leave it out", pillow="{reason}")),
        _error("several-frames", "the file holds several pictures", "the file holds one picture",
               _BY_DEFINITION, _ONE_FRAME, "the {format} file holds several frames",
               _cases(_ONE_FRAME, animated="the png file is animated")),
        _error("sixteen-bit", "the image has more than 8 bits a channel",
               "images have 8 bits a channel; more are not supported yet",
               "measured: decoded as uint8, 16 bits lose the lower 8 without a word",
               "save it as an 8-bit PNG: you decide how values are scaled",
               "16-bit images are not supported yet"),
        _error("unsupported-mode", "the pixels are of a kind that has no one meaning as RGB",
               "the pixels are grey, RGB, RGBA, palette or CMYK", "what has one meaning as RGB",
               _SAVE_PNG, "{depth}-bit images of mode {mode} are not supported", _cases(
                   _SAVE_PNG,
                   jpeg="JPEG images of {components} components, {bits} bits, process {process} "
                        "(SOF) are not supported",
                   bmp="Pillow reads a bmp of several bits a pixel wrong where its palette is "
                       "black and white",
                   tiff="the tiff image has samples of format {formats}, not {{1}}")),
        _error("crashed", "reading the file ended the worker process",
               "reading the file ends no worker", _BY_DEFINITION,
               "open the file with another program; repair it or leave it out",
               "reading the file ended in: {end}"),
        _error("record-too-large", "the record would have 2 GiB or more",
               "a record has less than 2 GiB", "protobuf's limit of a message",
               "pass --size HxW, or another schema than raw",
               "image and mask take {size} bytes in the record, protobuf allows {limit}"),
        _error("changed-since-scan", "the file changed between the scan and the writing",
               "a file holds at writing what it held at the scan", "SHA-256 of the file",
               "do not change files during a build; run the same command again",
               "the file is no longer the one that was scanned"),
        _aside("unusual-encoding", "strict decoders refuse the file, though it is sound",
               "the file is written as strict decoders expect",
               "measured: unusual sampling factors, zeros before EOI and padding in IDAT; Pillow "
               "and TensorFlow read the same pixels",
               "nothing: its pixels are stored losslessly; save it again if others refuse it",
               cases=_cases(
                   "nothing: its pixels are stored losslessly; save it again if others refuse it",
                   png="the PNG has {padding} bytes of padding behind its pixels in IDAT: strict "
                       "decoders refuse that, the others read the same pixels",
                   jpeg="the JPEG has {what}: strict decoders refuse that, the others read the "
                        "same pixels")),
        _warning("several-pictures", "the JPEG holds several pictures, of which the first is taken",
                 "a JPEG holds one picture and previews (no MPO)",
                 "CIPA DC-007; each record holds one picture",
                 "save the others as files of their own if they are meant too",
                 "the file holds {pictures} pictures (MPO); the first alone is stored"),
        _warning("orientation-ignored", "the file says an orientation that was not applied",
                 "nothing but EXIF says how the picture is to be turned",
                 "measured: Pillow goes by XMP, TensorFlow, OpenCV and browsers do not",
                 "look at it beside its mask; if it lies wrong, save it turned",
                 cases={
                     "left": (f"{_ORIENTED}; the picture is left as it lies in the file", _LIES),
                     "turned": (f"{_ORIENTED}; the picture is turned by orientation {{applied}}",
                                _LIES),
                 }),
        _aside("wrong-extension", "the extension names another format than the bytes have",
               "the extension says what the bytes are", "the signatures of the formats",
               "rename it; it is read by its content",
               "the file holds {format}, whatever its name says"),
    )),
    Section("PNG", "Decoders let most of these through with wrong pixels: of 600 PNG files with "
            "one bit turned round, Pillow read 120 wrong and complained of nothing (measured). "
            "Sections are those of the specification's third edition (W3C).", (
        _error("png-crc", "the CRC-32 of a chunk is wrong", "the CRC-32 of each chunk holds",
               "PNG, section 5.5", _COPY,
               "the {kind} chunk at byte {at} has CRC-32 {crc:08x}, {stored:08x} is stored"),
        _error("png-adler", "the Adler-32 of the pixels is wrong",
               "the Adler-32 of the pixels holds", "RFC 1950, section 2.2", _COPY,
               "the pixels of the PNG cannot be inflated: {reason}", _cases(
                   _COPY, missing="the compressed pixels of the PNG end before their Adler-32 "
                                  "checksum")),
        _error("png-chunk", "a chunk is unknown, incomplete or out of order",
               "the chunks are known, complete and in order", "PNG, section 5.6", _COPY,
               cases=_cases(
                   _COPY,
                   no_pixels="the PNG holds no IDAT chunk",
                   type="the PNG has a chunk of the impossible type {kind} at byte {at}",
                   gap="the IDAT chunks of the PNG do not follow each other",
                   first="the PNG has {kind} where IHDR must come first and once",
                   palette="the PNG has a second PLTE chunk, or one after its IDAT",
                   palette_length="the PLTE chunk of the PNG holds {length} bytes",
                   no_palette="the PNG has colour type 3 but no PLTE chunk before its IDAT",
                   end="the IEND chunk of the PNG holds {length} bytes, not 0",
                   critical="the PNG has a critical chunk of unknown type {kind}",
                   exif="the PNG has two eXIf chunks of different orientations",
                   transparency="the PNG has a second tRNS chunk, or one before its PLTE or after "
                                "its IDAT, and decoders differ on what is transparent")),
        _error("png-header", "size, bit depth and colour type contradict each other",
               "size, bit depth and colour type exist together", "PNG, section 11.2.1", _COPY,
               cases=_cases(
                   _COPY,
                   length="the IHDR chunk of the PNG holds {length} bytes, not {expected}",
                   size="the PNG has the impossible size {height}x{width} (height x width)",
                   depth="the PNG has bit depth {depth} with colour type {colour}",
                   method="the PNG has compression {compression}, filter {filter} and interlace "
                          "method {interlace}; only 0, 0 and 0 or 1 exist")),
        _error("png-filter", "a row has a filter type that does not exist",
               "rows have filter types 0 to 4", "PNG, section 9.2", _COPY,
               "the PNG has a row of filter type {type}; only 0 to 4 exist"),
        _error("png-length", "the pixels inflate to another length than the size needs",
               "the pixels inflate to exactly the length of the picture's size", "PNG, section 7.2",
               _COPY, cases=_cases(
                   _COPY,
                   less="the PNG inflates to {length} bytes, not to the {expected} of its size",
                   more="the PNG inflates to more than the {expected} bytes of its size")),
        _error("png-data", "the pixels cannot be inflated", "the pixels can be inflated",
               "RFC 1950 and 1951", _COPY, "the pixels of the PNG cannot be inflated: {reason}",
               _cases(_COPY, window="the PNG declares a window of 2**{bits} bytes, which is too "
                                    "small: {reason}")),
        _error("png-truncated", "the file ends before its IEND chunk", "the file ends with IEND",
               "PNG, section 11.2.4", _COPY,
               "the PNG ends after {length} bytes without an IEND chunk",
               _cases(_COPY, inside="the PNG ends inside its {kind} chunk at byte {at}")),
    )),
    Section("JPEG", "JPEG has no checksum: most damage can only be seen by a strict decoder.", (
        _error("jpeg-marker", "the markers do not follow each other as they must",
               "the markers follow each other as they must", "ITU-T T.81, annex B", _COPY,
               cases=_cases(
                   _COPY,
                   second="the JPEG has a second SOF marker",
                   empty="the JPEG holds no picture: SOF or SOS is missing",
                   early="the JPEG has SOS where SOF must come first",
                   junk="the JPEG has {junk} at byte {at}, not a marker",
                   misplaced="the JPEG has marker 0x{marker:02x} at byte {at}, out of place",
                   length="the segment at byte {at} of the JPEG claims a length of {length}",
                   reserved="the JPEG has a segment of the reserved marker 0x{marker:02x}")),
        _error("jpeg-header", "the frame's header contradicts itself",
               "the frame's header agrees with itself", "ITU-T T.81, B.2.2", _COPY,
               "the JPEG has {height}x{width} pixels (height x width), {components} components",
               _cases(_COPY, length="the SOF segment of the JPEG has the wrong length {length}")),
        _error("jpeg-scans", "the picture has more than 500 scans",
               "a picture has at most 500 scans", "libjpeg-turbo's guidance: more are an attack",
               "save it again", "the JPEG has more than {limit} scans"),
        _error("jpeg-data", "the strict decoder finds the data damaged",
               "the strict decoder has no complaint", "measured: of 100 files with a zeroed sector "
               "Pillow and TensorFlow accept all, it none; no false alarm on 4,805 sound files",
               _COPY, "the JPEG cannot be decoded: {reason}",
               {"stored": ("the JPEG cannot be decoded: {reason}", _UNREADABLE)}),
        _error("jpeg-subsampling", "nothing shows that the JPEG of unusual sampling is undamaged",
               "the strict decoder knows the sampling factors, or the scan is a sequential one "
               "whose codes are all sound", "TurboJPEG's list",
               "look at it: if it is whole, save it as PNG; else get a sound copy",
               "the JPEG has unusual sampling factors, and nothing shows that it is undamaged"),
        _error("jpeg-truncated", "the file ends before its EOI marker", "the file ends with EOI",
               "ITU-T T.81, B.2.1", _COPY,
               "the JPEG ends after {length} bytes without an EOI marker"),
    )),
    Section("Masks", "", (
        _error("mask-values", "the mask holds values that are neither 0/255 nor class ids",
               "all masks' values are 0/255, or class ids, or named by --mask-map",
               "measured: smoothed masks have 88 odd values or more, masks with 127 as ignore one",
               "smoothed or JPEG: --mask-threshold 128; else --mask-map 0=background,1=...",
               cases=_ODD_VALUES),
        _error("mask-not-two-valued", "--mask-invert is given and masks hold more than two classes",
               "with --mask-invert, masks hold two classes", _BY_DEFINITION,
               "leave --mask-invert out; name the values with --mask-map",
               "--mask-invert swaps the two classes of two-valued masks, and this one holds the "
               "value {value}, read as class {number}"),
        _error("mask-not-black-white", "--mask-values keep is given and masks hold other values",
               "with --mask-values keep, masks hold 0 and 255", _BY_DEFINITION,
               "leave --mask-values out",
               "--mask-values keep stores 0 and 255, and this mask holds {value}"),
        _warning("mask-ignore-only", "the mask of 0 and 255 alone stands among masks of class ids",
                 "no mask of 0 and 255 alone stands among masks of class ids",
                 "PASCAL VOC: 255 is void", "if 255 is a class, name it with --mask-map",
                 "holds only {held} while other masks hold class ids up to {highest}: 255 is read"
                 " as ignore"),
        _error("palette-threshold", "--mask-threshold is given and the mask has a palette",
               "palette masks hold ids, which have no threshold", _BY_DEFINITION,
               "leave --mask-threshold out",
               "a palette mask holds class ids, which have no threshold"),
        _error("palette-order", "the greys of the palette do not rise with the index",
               "where a palette holds greys, they rise with the index",
               "else index and grey say different classes", _GREY_PNG,
               "the palette's greys ({greys}) do not rise with the index, so it is unclear whether "
               "index or grey is the class"),
        _error("colour-mask", "the mask holds colours",
               "a mask holds one channel, or colours that are grey", _MIX_UP, _GREY_PNG,
               "the mask holds colours ({colours}), not grey levels",
               _cases(_GREY_PNG, gif="the mask is a GIF in colour, whose palette has another order "
                                     "in every file")),
        _error("mask-alpha", "the alpha channel of the mask contradicts its colours",
               "an alpha channel does not contradict the colours", _BY_DEFINITION,
               "save the mask without an alpha channel",
               "{pixels} pixels are transparent and it is unclear whether colour or alpha is the "
               "mask", {
                   "unread": (
                       "the mask has a channel beside its values, and it is unclear which is meant",
                       "save the mask as an 8-bit PNG of one channel"),
               }),
        _error("mask-mode", "the pixels of the mask are no whole numbers",
               "a mask's pixels are whole numbers", _BY_DEFINITION,
               "save it as an 8-bit PNG of class ids", "a mask cannot be of mode {mode}"),
        _error("size-mismatch", "mask and image differ in size", "mask and image have one size",
               _BY_DEFINITION, "pass --mask-fit resize (nearest neighbour)",
               _DIFFER),
        _error("aspect-mismatch", "mask and image differ in aspect ratio",
               "where they differ in size, the aspect ratio is equal to 1 %",
               "rounding a side of 100 pixels or more to whole pixels changes it by less",
               "--mask-fit resize-any where most pairs differ alike and show the same area; else "
               "get the right mask, or --on-error quarantine",
               cases={
                   "usual": (_DIFFER + ": the aspect ratios differ, as in most pairs",
                             "if both show the same area pass --mask-fit resize-any, else correct"
                             " the masks"),
                   "unusual": (_DIFFER
                               + ": the aspect ratios differ, and not as in most pairs: one of the "
                               "two may be cropped",
                               "get the mask of this very picture, or pass --on-error quarantine "
                               "to leave it out"),
               }),
        _warning("mask-stretched", "the mask was resized to another aspect ratio than most",
                 "with --mask-fit resize-any, the aspect ratio of mask and image is equal, or "
                 "differs as in most pairs, to 1 %", "as aspect-mismatch",
                 "look at image and mask together",
                 cases=_case(_DIFFER
                             + ": it was resized although the aspect ratios differ, and not as in "
                             "most pairs: one of the two may be cropped",
                             "look at image and mask together; with --mask-fit resize such a pair"
                             " is an error")),
        _info("mask-resized", "masks were resized to their image's size", "asked for: --mask-fit",
              text="{masks} resized to the size of the image (nearest neighbour), as --mask-fit "
                   "{fit} asks: {changes} (height x width)"),
        _error("mask-not-turned", "the mask fits the image only without its EXIF orientation",
               "image and mask agree in size once EXIF orientation is applied",
               "Exif 2.3, tag 0x0112: the mask was drawn on the picture as it lies in the file",
               "turn the mask as the image's EXIF orientation says, or draw it again",
               _DIFFER
               + ", {stored} before EXIF orientation {orientation} turns it: the mask was drawn on "
               "the picture as it lies in the file"),
        _warning("mask-maybe-turned", "the image has an EXIF orientation, and the mask may lack it",
                 "no image with a mask has an EXIF orientation that the sizes cannot check: "
                 "square, 180 degrees, mirrored", "as mask-not-turned",
                 "look at image and mask together: segrecord show",
                 "EXIF orientation {orientation} turns the image, and whether the mask was drawn "
                 "on it before or after that its size cannot tell ("
                 + _DIFFER
                 + ")"),
        _error("several-masks", "the image has several masks", "an image has one mask",
               _BY_DEFINITION, "pass --mask-choice first or --mask-choice union",
               "{count} masks for one image: {masks}"),
        _error("mask-parts-size", "masks that are painted together differ in size",
               "masks that are painted together have one size", _BY_DEFINITION,
               "correct the mask, or leave it out",
               _DIFFER + "; masks of one image must have one size"),
        _error("mask-without-image", "the mask belongs to no image",
               "each mask belongs to one image", _BY_DEFINITION,
               "add the image, move the mask away, or list the pairs in a CSV", cases={
                   "none": (_ALONE, _PAIR),
                   "none-quarantine": (
                       _ALONE, f"{_PAIR}; --on-error quarantine leaves the mask out"),
                   "several": (_FITS, _PAIR),
                   "several-quarantine": (
                       _FITS,
                       f"{_PAIR}; --on-error quarantine leaves the mask and these images out"),
               }),
        _error("mask-is-image", "a row names an image as its mask", "no row's mask is an image",
               _BY_DEFINITION, _NAME_MASK, cases={
                   "own": ("{mask} is the mask and its own image", _NAME_MASK),
                   "other": ("{mask} is the mask and the image of {other.key!r}", _NAME_MASK),
               }),
        _info("image-without-mask", "some images have no mask", "counted",
              "nothing if that is right; --missing-mask says what their records hold",
              "{count} of {samples} images have no mask: {keys}"),
        _error("missing-mask", "the image has no mask",
               "with --missing-mask error, each image has a mask", "asked for",
               "add it, or pass another --missing-mask"),
        _warning("empty-mask", "the mask is empty", "a mask has foreground",
                 "what was not drawn looks the same as what is not there",
                 "draw it, or nothing if the picture shows none",
                 cases={
                     "ignore": ("the mask is all ignore", _DRAW),
                     "none": ("the mask has no foreground: all its pixels are background or "
                              "ignore",
                              _DRAW),
                 }),
        _warning("small-mask", "less than 0.1 % of the mask is foreground",
                 "at least 0.1 % of a mask is foreground", "ISIC 2017: 0.3 to 93.8 % (measured)",
                 "look for stray pixels in the mask",
                 _COVERED),
        _warning("full-mask", "more than 99 % of the mask is foreground",
                 "at most 99 % of a mask is foreground", "ISIC 2017: 0.3 to 93.8 % (measured)",
                 "look: is it inverted, or painted over?",
                 cases={
                     "": (_COVERED, "look at it: is it inverted, or painted over?"),
                     "all": ("{full} of {masks} show foreground alone: class 0 is not the "
                             "background here, or all masks are inverted",
                             "nothing if there is no background; else --mask-invert, or name it "
                             "with --mask-map VALUE=background,..."),
                 }),
        _warning("inverted-masks", "the foreground of most masks surrounds the picture",
                 "where masks hold two classes, most have no foreground that surrounds the picture "
                 "with the background inside",
                 "measured: in 102 of 105 real masks the background fills 93 % of the border",
                 "--mask-invert if they are inverted",
                 cases={
                     "": (_SURROUNDS, "if they are inverted pass --mask-invert"),
                     "map": (_SURROUNDS,
                             "if they are inverted name the values in --mask-map the other way "
                             "round"),
                     "inverted": (_SURROUNDS, "if they are inverted now leave --mask-invert out"),
                 }),
    )),
    Section("Names, rows and classes", "", (
        _error("missing-image", "the row names an image that does not exist",
               "a row names an image that exists", _BY_DEFINITION,
               _NO_IMAGE, cases={
                   "relative": ("image {cell} does not exist in {root}", _NO_IMAGE),
                   "absolute": ("image {cell} does not exist", _NO_IMAGE),
                   "empty": ("the {column} cell is empty", "fill it in"),
               }),
        _error("missing-mask-file", "the row names a mask that does not exist",
               "a row names a mask that exists, or none", _BY_DEFINITION,
               _NO_MASK, cases={
                   "relative": ("mask {cell} does not exist in {root}", _NO_MASK),
                   "absolute": ("mask {cell} does not exist", _NO_MASK),
               }),
        _error("ambiguous-file", "the path without extension means several files",
               "a path without extension means one file", _BY_DEFINITION,
               "write its extension as well", "{what} {cell} may be any of {files}"),
        _error("duplicate-key", "another sample has the same key",
               "each sample has a key of its own; none of the equal ones is taken", _BY_DEFINITION,
               "rename or delete, or --key-column", cases={
                   "folder": (_SAME_KEY, _RENAME),
                   "listing": (_SAME_KEY, _DELETE_ROWS),
                   "function": (_SAME_KEY, "let {function} give each sample a key of its own"),
               }),
        _error("name-not-unicode", "the file name is not valid UTF-8", "file names are valid UTF-8",
               "a key is text in every reader", "rename the file",
               "the name is not valid UTF-8, so that it cannot be a key"),
        _error("unreadable-folder", "the folder cannot be listed", "each folder can be listed",
               _BY_DEFINITION, "grant the permission to read the folder, or move it away",
               "{reason}"),
        _warning("file-beside-images",
                 "an image lies beside the folders of images and was not taken",
                 "images lie in the folders of images", "the folder's layout",
                 "move them into the folder of images if they belong to the set",
                 "{count} files beside the folders of images and masks are not taken: {files}"),
        _warning("shared-file", "several samples name the file", "a file belongs to one sample",
                 "equal paths", "correct the row that is wrong, or nothing if both mean it",
                 "{samples} samples name this file: {key!r}, {others}{more}"),
        _warning("stale-name", "the name ends like that of a copy or of a step between",
                 "no name ends like a copy's or a step's (_downsampled, _copy, _tmp) while most "
                 "others do not", "ISIC 2019 names some images _downsampled",
                 "look: is it a left-over? Leave it out, or rename it",
                 cases={
                     "ending": ("its name ends in {ending!r}, most others do not: a left-over of "
                                "some step?",
                                _LEFT_OVER),
                     "numbered": ("it is named as a second copy, and the first is there too",
                                  _LEFT_OVER),
                 }),
        _aside("metadata-unmatched-row", "a row of --metadata names no sample",
               "each row of --metadata names a sample", _BY_DEFINITION,
               _UNMATCHED, cases={
                   "unknown": ("no sample is called {cell} (column {column})", _UNMATCHED),
                   "empty": ("the cell of column {column} is empty", _UNMATCHED),
               }),
        _warning("metadata-missing-row", "the sample has no row in --metadata",
                 "each sample has a row in --metadata", _BY_DEFINITION,
                 "add the row, or nothing if the sample needs none",
                 "{table}: no row for this sample"),
        _error("metadata-ambiguous-row", "a row of --metadata names several samples",
               "a row of --metadata names one sample", _BY_DEFINITION,
               "write the path below the source instead of the name alone",
               "{cell} names {count} samples: {keys}"),
        _objection("metadata-duplicate-row", "several rows of --metadata name the sample",
                   "one row of --metadata names a sample; the first is taken", _BY_DEFINITION,
                   "delete the rows that are too many; to accept it: --ignore "
                   "metadata-duplicate-row",
                   "{count} rows name this sample: rows {rows}; the first is taken"),
        _objection("metadata-conflict", "two --metadata tables say different things of the sample",
                   "two --metadata tables say the same of a sample; the first is taken",
                   _BY_DEFINITION,
                   "correct the row that is wrong, or leave one of the tables out",
                   "{column} is {here} here and {there} in {other.path}; the first is taken"),
        _warning("metadata-unused", "nothing is taken of a --metadata table",
                 "a class, a group, a split or a kept column is taken of each --metadata table",
                 "the columns' names and values",
                 "--label-column, --group-column or --keep-columns NAME", cases={
                     "none": (_UNUSED, f"if a column {_IS_CLASS} NAME; {_TAKE}"),
                     "one": (_UNUSED, f"if {{likely}} {_IS_CLASS} {{likely}}; {_TAKE}"),
                     "several": (_UNUSED, f"if a column ({{likely}}) {_IS_CLASS} NAME; {_TAKE}"),
                 }),
        _info("excluded", "the sample is marked as wrong and was left out", "asked for: --exclude",
              text="left out: it is marked as wrong{said}"),
        _aside("exclude-unknown", "a key marked as wrong is not in the source",
               "each key marked as wrong is in the source", _BY_DEFINITION,
               "nothing if it is gone, else correct the key", cases={
                   "": ("{count} marked as wrong {are} not in this source: {keys}",
                        "nothing, if they are gone; else correct the keys of the marks")}),
        _error("unknown-class", "the class is not in the mapping",
               "each class stands in the mapping: --classes, or the file beside the source",
               _BY_DEFINITION, "add it, or correct the label",
               cases={
                   "": ("class {class!r} is not in the mapping",
                        "add it to the mapping, or correct the label"),
                   "mapping": ("the mapping lacks {classes}",
                               "add them to the mapping, correct the labels, or move the mapping "
                               "file away"),
               }),
        _info("mapping-taken", "class_mapping.json in the source, or beside its table, gives the "
              "class ids", "the file", "nothing; to number sorted names, move it away",
              text="the class ids are those of {file} beside the source: {listed}"),
        _objection("mapping-contradicts", "two files of class ids contradict each other",
                   "files of class ids, and --classes, agree", _BY_DEFINITION,
                   "correct one of them",
                   cases=_case("it {difference} as {name} does",
                               "correct one of the two, or --ignore mapping-contradicts takes "
                               "{name}")),
        _warning("mapping-unread", "class_mapping.json beside the source was not used",
                 "class_mapping.json beside the source holds class ids, and there are classes",
                 _BY_DEFINITION, "correct it, or move it away",
                 cases=_case("no class ids are taken from it: {reason}",
                             'write the ids as {{"COVID": 0, "Normal": 1}}, name the column of '
                             'the class, or move the file away')),
        _error("several-classes", "the sample has several classes", "a sample has one class",
               "a record holds one label", "give it one",
               "the sample has {number} classes: {classes}", cases={
                   "one-hot": ("{count} class columns are set: {columns}", _ONE_SET),
               }),
        _error("no-class", "none of the one-hot columns is set",
               "one of the one-hot columns is set", _BY_DEFINITION,
               "pass --rest-class NAME to say what such rows are",
               "none of the class columns is set: {columns}"),
        _error("unlabelled", "the sample has no class while others have one",
               "all samples have a class, or none", "a reader asks all records alike",
               "add the classes, or --unlabelled keep"),
        _error("no-split", "the sample has no split while others have one",
               "all samples have a split, or none", _BY_DEFINITION,
               "add the splits, or split all samples: --split"),
        _warning("split-replaced", "the source's own splits were not taken",
                 "the source's splits are taken where it fixes several",
                 "asked for: --split or --folds", "leave --split or --folds out to keep them",
                 cases=_case("the source's own splits ({splits}) are not taken: {flag} shares all"
                             " samples out",
                             "leave {flag} out to keep the source's splits")),
        _info("split-alone", "all samples lie in one split of the source, and are shared out",
              "asked for: --split, --folds or --extend",
              text="the source has one split alone, {split!r}; {flag} shares its samples out"),
        _error("unsupported-part",
               "a function's sample is a frame, or has a mask that is not a whole file",
               "a function's samples are whole images with whole mask files",
               "what the scan can read", "save frame and mask as files",
               "frames, and mask parts that are not a file of the image's size, cannot be read "
               "yet"),
    )),
    Section("Copies", "Merged public sets hold many: the training images of ISIC 2016 to 2020 hold "
            "14,310 duplicates, 1,035 of them of test images.", (
        _warning("duplicate", "another picture has exactly the same pixels",
                 "no two pictures have exactly the same pixels", "SHA-256 of the decoded pixels",
                 "remove it, or --keep-duplicates one",
                 "the picture has exactly the pixels of {other.key!r}"),
        _objection("duplicate-split", "pictures with the same pixels stand in different splits",
                   "pictures with the same pixels stand in one split",
                   "SHA-256 of the decoded pixels", _SPLITS,
                   cases=_case("it stands in split {split!r}, and a picture with exactly its "
                               "pixels, {other.key!r}, in split {other_split!r}",
                               _ONE_SPLIT + _OR_BOTH + "duplicate-split")),
        _objection("duplicate-label", "pictures with the same pixels have different classes",
                   "pictures with the same pixels have the same class",
                   "SHA-256 of the decoded pixels", "correct the label that is wrong",
                   cases=_case("its label is {label}, that of {other.key!r}, whose picture has "
                               "exactly the same pixels, {other_label}",
                               "correct the label that is wrong" + _OR_BOTH + "duplicate-label")),
        _objection("duplicate-mask", "pictures with the same pixels have different masks",
                   "pictures with the same pixels have the same mask",
                   "SHA-256 of the masks' values", "correct the mask that is wrong",
                   cases=_case("its mask differs from that of {other.key!r}, whose picture has "
                               "exactly the same pixels",
                               "correct the mask that is wrong" + _OR_BOTH + "duplicate-mask")),
        _warning("near-duplicate", "another picture is nearly the same", "no two pictures are "
                 "nearly equal: hashes within 4 of 64 bits, a correlation of 0.98 at 32x32, more "
                 "where the set's pictures are alike (at most 1/16 of their usual difference)",
                 "measured: re-saved, half-size and grey copies are, no random pair is",
                 "look; if no copies: --near-duplicates warn",
                 cases={
                     "fixed": (_NEAR + "not grouped: the source fixes the splits",
                               "look at both; remove one if it is a copy"),
                     "group": (_NEAR + "grouped: they go to one split",
                               "look at both; if they are no copies, pass --near-duplicates warn"),
                     "warn": (_NEAR + "not grouped",
                              "look at both; pass --near-duplicates group to keep copies in one "
                              "split"),
                 }),
        _warning("near-duplicate-split",
                 "pictures that are nearly the same stand in different splits",
                 "pictures that are nearly the same stand in one split", "as near-duplicate",
                 _SPLITS,
                 "it stands in split {split!r}, and nearly the same picture, {other.key!r} "
                 "({likeness}), in split {other_split!r}"),
        _warning("near-duplicate-crowd",
                 "very many pictures look nearly the same, too many to be copies",
                 "at most 20 pictures or 1 % of all are joined as nearly the same",
                 "measured: one chain of hashes joined 49 different ISIC pictures",
                 "look at them; if they belong together, say so: --group-column",
                 cases={
                     "": (_CROWDED, _TOGETHER),
                     "splits": (_CROWDED + "; they stand in the splits {splits}", _TOGETHER),
                 }),
        _info("similar-pair", "two pictures resemble each other (correlation of 0.95 or more) and "
              "are not joined; the best 200 are listed", _FLOOR,
              "if they are one patient's: --group-column",
              cases={
                  "": ("it resembles {other.key!r} ({likeness}; from {same} on they would count "
                       "as one picture): not grouped",
                       _TOGETHER),
                  "alike": ("it resembles {other.key!r} ({likeness}; many pictures of the set are"
                            " about as like): not grouped",
                            _TOGETHER),
              }),
        _aside("duplicate-dropped", "the sample was left out: an equal one is there",
               "with --keep-duplicates one, the first of equal samples is taken",
               "SHA-256 of pixels and mask, the class and the split",
               "leave --keep-duplicates one out to keep all",
               "left out: pixels, mask and class are those of {other.key!r}"),
    )),
    Section("Splits and classes", "What makes a score look better than the model is.", (
        _objection("divided-group", "the group stands in several of the source's splits",
                   "a group stands in one of the source's splits",
                   "HAM10000 split at random: 35 % of the test pictures show a lesion of train",
                   _SPLITS,
                   cases=_case("it is of group {group!r}, which stands in several splits, here in"
                               " {split!r}",
                               "correct the splits, split all samples again with --split, or leave "
                               "the group out: --on-error quarantine; to accept it: --ignore "
                               "divided-group")),
        _warning("no-group", "no sample has a group", "samples have a group: patient or lesion",
                 "as divided-group: without it leakage cannot be excluded",
                 "--group-column NAME, or --metadata FILE with such a column",
                 "no sample has a group: patient leakage cannot be excluded"),
        _objection("empty-split", "a split has no sample", "each split has samples", _BY_DEFINITION,
                   "give it a larger share, or leave it out",
                   cases={
                       "": ("split {split!r} has no sample",
                            "give it a larger share, or leave it out; to accept it: --ignore "
                            "empty-split"),
                       "few groups": ("split {split!r} has no sample: {groups} for {splits}",
                                      "make fewer splits: no group is divided; to accept it: "
                                      "--ignore empty-split"),
                       "few samples": ("split {split!r} has no sample: {groups} for {splits}",
                                       "make fewer splits; to accept it: --ignore empty-split"),
                   }),
        _objection("split-lacks-class", "a split has no sample of a class",
                   "each class stands in each split",
                   "no score can be told of a class that is not there",
                   "get more groups of the class, or make fewer splits",
                   cases={
                       "": (_LACKS, _SPLITS + "; to accept it: --ignore split-lacks-class"),
                       "few": (_LACKS,
                               "get more {units} of the class, make fewer splits, or leave the "
                               "class out; to accept it: --ignore split-lacks-class"),
                   }),
        _warning("few-groups", "a class has fewer than 5 groups in a split that is held out",
                 "a class has 5 groups in each split but the largest (val and test)",
                 "of 4 groups, each is a quarter of what the score of the class says",
                 "get more groups of the class, or pass --folds K",
                 cases={
                     "": (_FEW,
                          "get more {units} of the class, give the split a larger share, or pass "
                          "--folds K"),
                     "folds": (_FEW, "get more {units} of the class, or make fewer folds"),
                 }),
        _warning("class-ratio", "one class has over 10 times the samples of another",
                 "no class has over 10 times the samples of another",
                 "ratios over 9 count as high: Fernandez et al. 2008, Fuzzy Sets and Systems 159",
                 "train with the class weights of segrecord stats",
                 "class {largest!r} has {samples}, class {smallest!r} {few}: {ratio:.3g} to 1"),
        _warning("shortcut", "a property of the files tells the class", "height, width, mode, "
                 "format and folder tell no class in 75 % or more (balanced; 50 % by chance)",
                 "half of what guessing leaves; DeGrave et al. 2021, "
                 "doi:10.1038/s42256-021-00338-7", "take all classes from the same sources",
                 cases=_case("the {attribute} alone tells class {class!r} from the rest in "
                             "{accuracy:.0f} % (balanced; 50 % by chance): {value} in {share:.0f}"
                             " % of the class and {rest:.0f} % of the rest",
                             "take all classes from the same sources, in the same sizes and "
                             "formats: a model may learn this instead of the picture")),
        _error("extend-tie", "the new sample belongs with samples of several splits",
               "with --extend, a new sample belongs with samples of one split",
               "no sample of the extended dataset may move", "--on-error quarantine leaves it out",
               cases=_witnesses(
                   "the new sample belongs with {sides}, by its group or as a copy or "
                   "near-duplicate, and neither of them may move",
                   "leave it out (--on-error quarantine does), or leave --extend out to split all"
                   " again")),
        _warning("extend-divided",
                 "what belongs together is divided over the splits of the extended dataset",
                 "what belongs together is in one split of the extended dataset",
                 "its samples keep their splits", "leave --extend out to split all samples again",
                 cases=_witnesses(
                     "the dataset that is extended has {sides}, which belong together by their "
                     "group or as copies or near-duplicates; they stay where they are",
                     "leave --extend out to split all samples again, if scores on the old splits "
                     "do not bind")),
        _warning("extend-changed", "the key names another picture than in the extended dataset",
                 "a key names the picture that the extended dataset has under it",
                 "SHA-256 of the decoded pixels", "give another picture another key",
                 "the picture is not the one that the extended dataset has under this key; it "
                 "keeps the split {split}"),
        _info("extend-gone", "some samples of the extended dataset are no longer there", "counted",
              "nothing, if they were taken out on purpose",
              text="{gone} of {samples} samples of the extended dataset are not among these"),
    )),
    Section("What pictures show", "", (
        _warning("constant-image", "the picture has one colour",
                 "some channel deviates by 1 grey level or more", "measured: JPEG of one colour "
                 "deviates by 0, the flattest of 150 real pictures by 7.1", _LOOK,
                 "all its pixels have one value: {colour}"),
        _warning("dark-image", "the picture is nearly black",
                 "under 99 % of the values are below 8 of 255, or they deviate by 8",
                 "measured: the darkest of the real pictures, of nuclei, has 96 % there, and 9.7",
                 _LOOK,
                 "it is almost black: {share} % of its values are below 8 of 255"),
        _warning("bright-image", "the picture is nearly white",
                 "under 99 % of the values are 248 or more, or they deviate by 8",
                 "as dark-image, at the other end", _LOOK,
                 "it is almost white: {share} % of its values are 248 or more of 255"),
        _warning("extreme-aspect", "one side of the picture is over 4 times the other",
                 "no side is over 4 times the other",
                 "dental panoramas have about 2, radiographs of a spine 3",
                 "look at it; leave it out if it is a strip of something else",
                 "one side is {times:.3g} times the other: {size} (height x width)"),
        _warning("outlier-size", "the picture is much smaller or larger than the others",
                 "no few pictures (1 in 20 or less) have a quarter of the median area or less, or "
                 "4 times it or more, and a modified z-score over 3.5", "Iglewicz and Hoaglin 1993",
                 "look: a thumbnail, or a picture of another kind?",
                 "it has {size} pixels (height x width), the median of all is an area of {usual}"),
    )),
    Section("Privacy and what was done to the bytes", "", (
        _aside("personal-metadata", "the file holds names, places, times or comments",
               "files hold no names, places, times or comments", _PRIVACY,
               "nothing: it is not written, but with --keep-metadata; mind the files themselves",
               cases={
                   "": ("the file holds {held}, which is not written to the record",
                        "nothing for the dataset; mind it where you pass on the files themselves"),
                   "kept": ("the file holds {held}, which is kept in the record",
                            "leave --keep-metadata out; an image that has to be re-encoded "
                            "loses it anyway"),
               }),
        _info("metadata-removed", "what stood beside the pixels was not written", _PRIVACY,
              "nothing; --keep-metadata keeps it",
              text="what {images} held beside pixels is not written to the records"),
        _info("re-encoded", "the pixels are stored as PNG, without loss", "measured: TensorFlow "
              "cannot read the file, or misreads it (palette, 1 bit, CMYK, EXIF orientation, BMP, "
              "TIFF ...)",
              text="{reason}: is stored losslessly as PNG"),
        _warning("transparent-pixels", "over 1 % of the picture's pixels are transparent",
                 "at most 1 % of a picture's pixels are transparent",
                 "corners rounded by a tenth of the side are 0.9 %; TensorFlow and we read the "
                 "colours under alpha (measured)",
                 "look; if other colours are meant, save it without alpha",
                 cases={
                     "": (_ALPHA, _GROUND),
                     "premultiplied": (_PREMULTIPLIED, _GROUND),
                 }),
        _warning("unread-channel", "the picture has a channel that is neither colour nor alpha",
                 "a picture's channels are colours and alpha",
                 "ExtraSamples of TIFF 6.0, the fourth byte of BMP: nothing says what they show",
                 "nothing if it can be spared, else save it as a file of its own",
                 "the file has a channel beside the colours that is not read and not stored"),
        _info("alpha-channel", "alpha is not read: it is opaque, or but for 1 % of the pixels, or "
              "(--checks basic, none) was not looked at", "as transparent-pixels",
              cases={
                  "opaque": ("{images} an alpha channel that is opaque everywhere: it is not read",
                             ""),
                  "unseen": ("the file has an alpha channel, which is not read; these checks do "
                             "not look into it",
                             "pass --checks full to know whether pixels are transparent"),
                  "": (_ALPHA, ""),
                  "premultiplied": (_PREMULTIPLIED, ""),
              }),
        _info("resized", "pictures were resized", "--size asked for it",
              cases={
                  "": (_RESIZED, ""),
                  "bent": (_RESIZED + "; the aspect ratio changes in {bent} of them", ""),
              }),
        _info("trimmed", "bytes after the end of the picture are cut off", "no decoder reads them",
              text="{reason}: cut off, no decoder reads them"),
        _info("mask-mapped", "the values of the masks were mapped to class ids",
              "what the masks of the set hold together, or --mask-map and --mask-threshold",
              "nothing; --mask-map reads them otherwise",
              text="the masks' values are read so: {meanings}"),
        _info("skipped-files", "some files were not taken", "counted",
              "nothing, if they do not belong to the set",
              cases={"": ("{number} x {what}: not taken{names}", "")}),
        _error("header-not-enough", "the header alone does not prove that the bytes can be copied",
               "with --checks none the header alone proves that the bytes can be copied",
               _BY_DEFINITION, "pass --checks basic",
               "the image cannot be copied unread but has to be re-encoded: {reason}", _cases(
                   "pass --checks basic",
                   turned="EXIF turns the image (orientation {orientation}): it has to be turned, "
                          "not cut",
                   mask="a mask of format {format}, mode {mode} cannot be copied unread: one "
                        "8-bit single-channel PNG is needed",
                   masks="{masks} masks of one image cannot be copied unread: one 8-bit "
                         "single-channel PNG is needed")),
    )),
    Section("In a dataset", "These come from segrecord verify, show and the readers: the dataset "
            "is damaged, or others wrote it and it cannot be read without guessing.", (
        _error("jpeg-colours", "the stored JPEG is neither grey nor RGB nor YCbCr",
               "a stored JPEG is grey, RGB or YCbCr",
               "decoders make different RGB of CMYK (measured)", _UNREADABLE,
               "a JPEG of colours {colours} cannot be read"),
        _error("mask-format", "the stored mask is no PNG of one channel and 8 bits",
               "a stored mask is a PNG of one channel and 8 bits", _MIX_UP, _ANEW, cases={
                   "read": ("a mask must be stored as a grey 8-bit PNG, not interlaced; this is a "
                            "{kind}", "build it with --checks basic, which stores masks so"),
                   "stored": ("it must be an 8-bit single-channel PNG, is {kind}", _ANEW)}),
        _error("mask-length", "the raw mask has another number of bytes than its size needs",
               "a raw mask has the bytes of its size", _BY_DEFINITION, _ANEW, cases={
                   "": ("it has {size} bytes, {shape} are {expected}", _ANEW)}),
        _error("mask-not-kept", "a mask stored under --mask-values keep holds other values",
               "a mask stored under --mask-values keep holds 0 and 255", _BY_DEFINITION, _ANEW,
               "a mask that was stored under --mask-values keep holds 0 and 255 alone, this one "
               "others"),
        _error("mask-one-hot", "a pixel of the one-hot mask has several classes",
               "a pixel of a one-hot mask has one class at most", _BY_DEFINITION, _ANEW, cases={
                   "": ("a pixel must have one class at most", _ANEW)}),
        _error("raw-length", "the raw image has another number of bytes than its size needs",
               "a raw image has the bytes of its size", _BY_DEFINITION, _UNREADABLE,
               "the image has {bytes} bytes, {expected} are expected", {
                   "compared": ("its raw pixels are not of its size", _ANEW)}),
        _error("size", "the stored image or mask has another size than the index says",
               "a stored image has the size that the index says, and its mask the same",
               _BY_DEFINITION, "build it again; pass image_size for batches of unequal images",
               cases={"": ("the {what} is {height} x {width} (height x width), it should be "
                           "{expected}", _UNREADABLE)}),
    )),
)
# fmt: on

CODES = {row.code: row for section in SECTIONS for row in section.codes}
