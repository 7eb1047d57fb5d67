"""Perceptual hashes: which changes of a picture they survive, and which pictures have none."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from make import put
from segrecord.images import exif, image, perceptual, png
from segrecord.images.perceptual import Wanted

DATA = Path(__file__).parents[2].parent / "shared" / "data"
REAL = (
    *("cxr-tb-parallel-folders/images/*", "cxr-covid-csv/images/*", "jsrt-csv/?.jpg"),
    *("isic2017-suffix/*.jpg", "isic2017-tiny-size-mismatch/images/*", "voc-palette/JPEGImages/*"),
)


def field(number, side=64, low=40, high=220):
    """(side, side) uint8: a smooth random picture, another for every number."""
    cells = np.random.default_rng(number).integers(low, high, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC))


def hash_of(pixels):
    return perceptual.phash(perceptual.thumbnail(pixels))


def distance(one, other):
    return (one ^ other).bit_count()


# Thumbnails.


@pytest.mark.parametrize("shape", [(80, 80), (299, 301), (33, 1000), (32, 32)])
def test_the_thumbnail_of_a_turned_picture_is_the_turned_thumbnail(shape):
    pixels = np.asarray(Image.fromarray(field(6)).resize(shape[::-1]))
    thumb = perceptual.thumbnail(pixels)
    for orientation in range(1, 9):
        turned = perceptual.thumbnail(exif.turn(pixels, orientation)).astype(int)
        assert abs(turned - exif.turn(thumb, orientation)).max() <= 1


def test_a_grey_picture_and_the_same_in_three_channels_have_one_thumbnail():
    grey = field(3, 77)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(perceptual.thumbnail(grey), perceptual.thumbnail(colour))


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 4000, 3), (4000, 1), (2, 3), (33, 5, 3), (1023, 7), (1537, 40)]
)
def test_pictures_of_any_size_have_a_thumbnail(shape):
    thumb = perceptual.thumbnail(np.full(shape, 9, np.uint8))
    assert thumb.shape == (32, 32)
    assert thumb.dtype == np.uint8
    assert (thumb == 9).all()


def test_a_high_picture_and_its_half_have_nearly_the_same_thumbnail():
    high = field(1, 2048)
    half = np.asarray(Image.fromarray(high).resize((1024, 1024)))
    found = perceptual.thumbnail(high).astype(int) - perceptual.thumbnail(half)
    assert abs(found).max() <= 2


# Hashes.


def test_the_hash_is_the_same_everywhere():
    place = np.arange(32)
    thumb = (place[:, None] * 7 + place * place * 3 + place[:, None] * place) % 256
    assert perceptual.phash(thumb.astype(np.uint8)) == 0x84151328B01F0370


def test_the_cosines_are_correctly_rounded():
    exact = 8192 * np.cos(np.arange(33) * np.pi / 64)
    assert np.array_equal(np.rint(exact), perceptual._QUARTER_WAVE)
    assert abs(exact % 1 - 0.5).min() > 0.001  # no library rounds one of them otherwise


def test_the_bits_are_the_signs_of_a_cosine_transform():
    thumb = field(8, 32).astype(float)
    waves = np.cos((2 * np.arange(32) + 1) * np.arange(11)[:, None] * np.pi / 64)
    coefficients = waves @ thumb @ waves.T
    bits = [coefficients[row, column] > 0 for row, column in perceptual._layout()]
    assert perceptual.phash(field(8, 32)) == sum(1 << bit for bit in np.flatnonzero(bits).tolist())


def test_the_hash_tells_of_64_coefficients_closed_under_transposition():
    layout = {tuple(pair) for pair in perceptual._layout().tolist()}
    assert len(layout) == 64
    assert {pair[::-1] for pair in layout} == layout
    assert (0, 0) not in layout


@pytest.mark.parametrize("turn", range(8))
def test_the_hash_of_a_turned_picture_is_derived_from_the_picture_s(turn):
    thumbs = np.stack([field(number, 32) for number in range(20)])
    hashes = np.array([perceptual.phash(thumb) for thumb in thumbs], np.uint64)
    turned = [perceptual.phash(exif.turn(thumb, turn + 1)) for thumb in thumbs]
    assert perceptual.turns(hashes)[turn].tolist() == turned


@pytest.mark.parametrize("turn", range(8))
def test_each_turn_is_undone_by_its_inverse(turn):
    thumbs = np.stack([field(number, 32) for number in range(3)])
    turned = perceptual.turned(thumbs, turn)
    assert np.array_equal(turned[0], exif.turn(thumbs[0], turn + 1))
    assert np.array_equal(perceptual.turned(turned, perceptual.INVERSE[turn]), thumbs)


def test_brightness_and_contrast_leave_the_hash_as_it_is():
    thumb = field(5, 32, 40, 120)
    first = perceptual.phash(thumb)
    assert perceptual.phash(thumb + np.uint8(50)) == first
    assert perceptual.phash(thumb * np.uint8(2)) == first


def chequered(deviation):
    thumb = np.full((32, 32), 100, np.uint8)
    thumb[::2] += np.uint8(2 * deviation)
    return thumb


def test_constant_and_flat_pictures_have_no_hash():
    assert hash_of(np.full((50, 50), 128, np.uint8)) is None
    assert perceptual.phash(chequered(3)) is None
    assert perceptual.phash(chequered(4)) is not None


# Likeness.


def with_turned_pixels(count):
    """A thumbnail of 500 pixels above its mean and 500 below, and one with so many exchanged."""
    thumb = np.full(1024, 100, np.uint8)
    thumb[:500] += 1
    thumb[500:1000] -= 1
    other = thumb.copy()
    other[:count], other[500 : 500 + count] = 99, 101
    return thumb.reshape(1, 32, 32), other.reshape(1, 32, 32)


@pytest.mark.parametrize(("count", "same"), [(0, True), (4, True), (5, True), (6, False)])
def test_the_limit_of_likeness_is_met_exactly(count, same):
    found = perceptual.likeness(*with_turned_pixels(count))
    assert found.correlation[0] == pytest.approx(1 - count / 250)  # 0.98 for 5
    assert found.same.tolist() == [same]


def test_likeness_is_pearson_s_correlation():
    random = np.random.default_rng(4)
    one, other = random.integers(0, 256, (2, 6, 32, 32), dtype=np.uint8)
    other[3:] = one[3:] // 2 + 20
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]
    found = perceptual.likeness(one, other)
    assert found.correlation == pytest.approx(expected)
    assert found.same.tolist() == [False] * 3 + [True] * 3


def test_the_pictures_of_a_set_that_are_alike_raise_the_limit():
    apart = np.random.default_rng(0).integers(0, 256, (8, 32, 32), dtype=np.uint8)
    assert perceptual.same_from(apart) == 980_000
    alike = (np.arange(1024).reshape(32, 32) // 8 + apart // 8).astype(np.uint8)
    first, second = np.triu_indices(8, 1)
    usual = np.median(perceptual.likeness(alike[first], alike[second]).correlation)
    assert usual > 0.9
    limit = perceptual.same_from(alike)
    assert 0 <= limit / 1e6 - (1 - (1 - usual) / 16) < 2e-6
    assert perceptual.same_from(alike[:7]) == 980_000  # too few to tell
    assert perceptual.same_from(np.repeat(alike[:1], 8, axis=0)) == 1_000_000


def test_a_negative_is_not_alike_and_a_constant_one_correlates_with_nothing():
    thumb = field(2, 32)
    others = np.stack([255 - thumb, np.full_like(thumb, 7)])
    found = perceptual.likeness(np.stack([thumb, thumb]), others)
    assert found.correlation == pytest.approx([-1, 0])
    assert found.same.tolist() == [False, False]
    constant = perceptual.likeness(others[1:], others[1:])
    assert constant.correlation.tolist() == [0]
    assert not constant.same[0]


def test_the_largest_values_do_not_overflow():
    thumb = np.zeros((1, 32, 32), np.uint8)
    thumb[:, :16] = 255
    found = perceptual.likeness(thumb, thumb)
    assert found.same[0]
    assert Fraction(found.correlation[0]) == 1


# Reading again.


def test_files_that_are_gone_changed_or_broken_have_no_thumbnail(tmp_path):
    import hashlib

    def wanted(name, data, said=None):
        path = put(tmp_path / name, data)
        return Wanted(str(path), hashlib.sha256(said or data).digest())

    data = png.encode(field(1))
    sound = wanted("sound.png", data)
    changed = wanted("changed.png", png.encode(field(2)), data)
    broken = wanted("broken.png", data[:200])
    gone = Wanted(str(tmp_path / "gone.png"), sound.sha256)
    found = perceptual.thumbnails((changed, sound, broken, gone))
    assert found == [None, perceptual.thumbnail(field(1)).tobytes(), None, None]


# Real pictures.


def real():
    """Those of up to a million pixels, for the sake of time."""
    paths = sorted(path for pattern in REAL for path in DATA.glob(pattern))
    pictures = (image.decode(path.read_bytes()) for path in paths if path.suffix != ".csv")
    return [pixels for pixels in pictures if pixels.shape[0] * pixels.shape[1] < 1_000_000]


def resaved(quality):
    def change(pixels):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=quality)
        return np.asarray(Image.open(out))

    return change


def halved(pixels):
    opened = Image.fromarray(pixels)
    return np.asarray(opened.resize((opened.width // 2, opened.height // 2)))


def greyed(pixels):
    return np.asarray(Image.fromarray(pixels).convert("L"))


CHANGES = {
    **{f"JPEG of quality {quality}": resaved(quality) for quality in (50, 75, 95)},
    "half size": halved,
    "grey": greyed,
    "half size, then JPEG": lambda pixels: resaved(50)(halved(pixels)),
}


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")
def test_real_pictures_are_known_again_after_each_change_and_in_each_turn():
    pictures = real()
    assert len(pictures) >= 80
    thumbs = [perceptual.thumbnail(pixels) for pixels in pictures]
    hashes = perceptual.turns(np.array([perceptual.phash(thumb) for thumb in thumbs], np.uint64))
    for number, pixels in enumerate(pictures):
        for turn, (name, change) in enumerate(CHANGES.items()):
            copy = perceptual.thumbnail(exif.turn(change(pixels), turn + 1))
            assert distance(perceptual.phash(copy), int(hashes[turn, number])) <= 4, (number, name)
            aligned = perceptual.turned(thumbs[number][None], turn)
            assert perceptual.likeness(copy[None], aligned).same[0], (number, name)
