"""Six hundred pairs, 33 kinds of planted defects: all are found, no sound pair is accused."""

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import listing, put, saved
from segrecord.images import png

SAMPLES, SIDE, TIMES = 600, 64, 3
CLASSES = ("cyst", "naevus", "melanoma")
OPTIONS = {
    "label_column": "class",
    "group_column": "patient",
    "split_column": "split",
    "mask_map": "0=background,255=lesion",
}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"5" * 64 + b"\nsize 9\n"


def mixed(seed, count):
    """(count,) uint64 that look random: SplitMix64, by integers alone."""
    with np.errstate(over="ignore"):
        steps = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 24)
        value = steps * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return value ^ value >> np.uint64(31)


def texture(seed, height=SIDE, width=SIDE):
    """(H, W, 3): 8 x 8 patches of different colours, with grain on them."""
    patches = (30 + mixed(seed, 192) % 190).astype(np.uint8).reshape(8, 8, 3)
    grain = (mixed(seed + 5000, height * width) % 16).astype(np.uint8).reshape(height, width, 1)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return patches[rows][:, columns] + grain


def rectangle(seed, height=SIDE, width=SIDE):
    """(H, W) 0 and 255: a tenth to a half of it is foreground."""
    top, left, more, wider = (int(value) for value in mixed(seed + 9000, 4) % 8)
    plane = np.zeros((height, width), np.uint8)
    plane[height * (8 + top) // 64 : height * (40 + more) // 64, width * (8 + left) // 64 :][
        :, : width * (24 + wider) // 64
    ] = 255
    return plane


def jpeg(pixels, **options):
    return saved(Image.fromarray(pixels), "JPEG", quality=95, **options)


def exif(tag, value):
    tags = Image.Exif()
    tags[tag] = value
    return tags


class Row:
    """One sample: its files and cells."""

    def __init__(self, number):
        group = number // 2
        self.seed, self.name = number, f"s{number:03d}"
        self.pixels, self.plane = texture(number), rectangle(number)
        self.coded = mixed(number + 20_000, 1)[0] % 2 == 0
        self.image = jpeg(self.pixels) if self.coded else png.encode(self.pixels)
        self.ending = "jpg" if self.coded else "png"
        self.mask_name = None
        self.label, self.group = CLASSES[group % 3], f"p{group}"
        self.split = {0: "val", 1: "test"}.get(group // 3 % 10, "train")

    @property
    def key(self):
        return f"images/{self.name}"

    @property
    def mask(self):
        return self.plane if isinstance(self.plane, bytes | None) else png.encode(self.plane)

    def draw(self, pixels, plane=None, **options):
        """Other pixels, as a JPEG."""
        self.image, self.ending = jpeg(pixels, **options), "jpg"
        self.plane = self.plane if plane is None else plane

    def paths(self):
        mask = self.mask_name or f"masks/{self.name}.png"
        return f"images/{self.name}.{self.ending}", mask


def copy(first, second):
    """The second becomes the same pair as the first."""
    second.image, second.ending, second.plane = first.image, first.ending, first.plane


def other_split(row):
    return "val" if row.split == "train" else "train"


# One kind of defect each: changes the two samples of a patient, and says what has to be found.


def truncated_jpeg(row, _):
    row.draw(row.pixels)
    row.image = row.image[:-300]
    return ("jpeg-truncated", row)


def flipped_crc(row, _):
    row.image, row.ending = bytearray(png.encode(row.pixels)), "png"
    row.image[-13] ^= 1  # of the last IDAT chunk, before IEND
    return ("png-crc", row)


def zeroed_sector(row, _):
    row.draw(row.pixels)
    middle = len(row.image) // 2
    row.image = row.image[:middle] + bytes(512) + row.image[middle + 512 :]
    return ("jpeg-data", row)


def empty_file(row, _):
    row.image = b""
    return ("empty-file", row)


def pointer(row, _):
    row.plane = POINTER
    return ("lfs-pointer", row)


def missing_image(row, _):
    row.image = None
    return ("missing-image", row)


def missing_mask(row, _):
    row.plane = None
    return ("missing-mask-file", row)


def half_mask(row, _):
    row.plane = rectangle(row.seed, SIDE // 2, SIDE // 2)
    return ("size-mismatch", row)


def cropped_mask(row, _):
    row.plane = rectangle(row.seed, SIDE, SIDE - 16)
    return ("aspect-mismatch", row)


def turned(row, _):
    row.draw(texture(row.seed, 48, 64), rectangle(row.seed, 48, 64), exif=exif(0x0112, 6))
    return ("mask-not-turned", row)


def upside_down(row, _):
    row.draw(row.pixels, exif=exif(0x0112, 3))
    return ("mask-maybe-turned", row)


def unknown_value(row, _):
    row.plane = np.where(row.plane > 0, np.uint8(200), row.plane)
    return ("mask-values", row)


def colour_mask(row, _):
    row.plane = png.encode(np.stack([row.plane, row.plane // 2, row.plane], axis=2))
    return ("colour-mask", row)


def empty_mask(row, _):
    row.plane = np.zeros((SIDE, SIDE), np.uint8)
    return ("empty-mask", row)


def speck(row, _):
    row.plane = np.zeros((SIDE, SIDE), np.uint8)
    row.plane[20, 30:33] = 255
    return ("small-mask", row)


def full_mask(row, _):
    row.plane = np.full((SIDE, SIDE), 255, np.uint8)
    row.plane[0, :30] = 0
    return ("full-mask", row)


def constant(row, _):
    row.draw(np.full((SIDE, SIDE, 3), 40 + row.seed, np.uint8))
    return ("constant-image", row)


def black(row, _):
    row.image, row.ending = png.encode(row.pixels // 32), "png"
    return ("dark-image", row)


def white(row, _):
    row.image, row.ending = png.encode(255 - row.pixels // 32), "png"
    return ("bright-image", row)


def strip(row, _):
    row.draw(texture(row.seed, 28, 144), rectangle(row.seed, 28, 144))
    return ("extreme-aspect", row)


def giant(row, _):
    row.draw(texture(row.seed, 160, 160), rectangle(row.seed, 160, 160))
    return ("outlier-size", row)


def wrong_extension(row, _):
    row.ending = "png" if row.coded else "jpg"
    return ("wrong-extension", row)


def stale_name(row, _):
    row.name += "_downsampled"
    return ("stale-name", row)


def located(row, _):
    row.draw(row.pixels, exif=exif(0x8825, {1: "N", 2: (48.0, 8.0, 1.0)}))
    return ("personal-metadata", row)


def shared_mask(row, other):
    other.mask_name = f"masks/{row.name}.png"
    return ("shared-file", row)


def unlabelled(row, _):
    row.label = ""
    return ("unlabelled", row)


def divided_group(row, other):
    other.split = other_split(row)
    return ("divided-group", row, other)


def other_label(row, other):
    copy(row, other)
    other.label = CLASSES[CLASSES.index(row.label) - 1]
    return ("duplicate-label", row, other)


def other_mask(row, other):
    copy(row, other)
    other.plane = np.roll(row.plane, 5, axis=0)
    return ("duplicate-mask", row, other)


def copy_apart(row, other):
    copy(row, other)
    other.split, other.group = other_split(row), f"{row.group} again"
    return ("duplicate-split", row, other)


def copied(row, other):
    copy(row, other)
    return ("duplicate", other)


def half_size(row, other):
    other.draw(row.pixels.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)).astype(np.uint8))
    other.plane = row.plane[::2, ::2]
    return ("near-duplicate", other)


def half_size_apart(row, other):
    half_size(row, other)
    other.split, other.group = other_split(row), f"{row.group} again"
    return ("near-duplicate-split", other)


KINDS = (
    *(truncated_jpeg, flipped_crc, zeroed_sector, empty_file, pointer, missing_image, missing_mask),
    *(half_mask, cropped_mask, turned, upside_down, unknown_value, colour_mask),
    *(empty_mask, speck, full_mask, constant, black, white, strip, giant),
    *(wrong_extension, stale_name, located, shared_mask, unlabelled, divided_group),
    *(other_label, other_mask, copy_apart, copied, half_size, half_size_apart),
)


def plant():
    """(rows, what has to be found as (code, key), the keys of all samples that were touched)."""
    rows = [Row(number) for number in range(SAMPLES)]
    expected, touched = [], []
    for at, kind in enumerate(KINDS * TIMES):
        pair = rows[2 * at : 2 * at + 2]
        code, *guilty = kind(*pair)
        expected += [(code, row) for row in guilty]
        touched += pair
    return rows, {(code, row.key) for code, row in expected}, {row.key for row in touched}


def write(folder, rows):
    lines = []
    for row in rows:
        image, mask = row.paths()
        if row.image is not None:
            put(folder / image, row.image)
        if row.mask is not None:
            put(folder / "masks" / f"{row.name}.png", row.mask)
        lines.append(f"{image},{mask},{row.label},{row.group},{row.split}")
    return listing(folder / "index.csv", lines, "image,mask,class,patient,split")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """What was planted, and the findings of a scan."""
    rows, expected, touched = plant()
    path = write(tmp_path_factory.mktemp("planted"), rows)
    found = segrecord.scan(path, workers=2, **OPTIONS).findings
    return found, expected, {row.key for row in rows} - touched


def test_every_planted_defect_is_found_by_its_code_and_key(planted):
    found, expected, _ = planted
    assert len(KINDS) >= 20
    assert len({code for code, _ in expected}) == len(KINDS)
    assert expected - {(finding.code, finding.key) for finding in found} == set()


def test_no_sound_sample_has_an_error_and_one_in_a_hundred_at_most_a_warning(planted):
    found, _, sound = planted
    assert len(sound) >= 400
    accused = [finding for finding in found if finding.key in sound and finding.level != "info"]
    assert [finding for finding in accused if finding.level == "error"] == []
    assert 100 * len({finding.key for finding in accused}) <= len(sound)


def test_the_set_as_a_whole_is_accused_of_nothing(planted):
    found, _, _ = planted
    assert [f for f in found if not f.key and f.level != "info"] == []


def test_the_same_set_without_defects_has_no_finding_but_how_masks_are_read(tmp_path):
    rows = [Row(number) for number in range(SAMPLES // 2)]
    found = segrecord.scan(write(tmp_path, rows), workers=2, **OPTIONS).findings
    assert [(finding.code, finding.level) for finding in found] == [("mask-mapped", "info")]
