"""TensorFlow, Pillow and the strict decoder read the same pixels before and after stripping."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import planted_metadata
from segrecord.errors import PixelError
from segrecord.images import files, image, metadata
from segrecord.images.metadata import stripped

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

JPEGS, PNGS = planted_metadata.jpegs(), planted_metadata.pngs()
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def decoded(data, channels):
    """uint8 (H, W, C); None where TensorFlow cannot (CMYK, palettes with alpha as grey)."""
    try:
        return tf.io.decode_image(data, channels=channels, expand_animations=False).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def same(one, other):
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_decodes_to_the_same_pixels(name, channels):
    data, _ = JPEGS[name]
    found = stripped(data, "jpeg", profile=False)
    assert found != data
    assert same(decoded(data, channels), decoded(found, channels))
    if "CMYK" not in name:
        assert decoded(found, channels) is not None


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("name", PNGS)
def test_png_decodes_to_the_same_pixels(name, channels):
    data, _ = PNGS[name]
    found = stripped(data, "png", profile=False)
    assert same(decoded(data, channels), decoded(found, channels))
    assert decoded(found, 3) is not None


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("kind", [*planted_metadata.NUMBERS, "all"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_png_with_numbers_about_its_colours_decodes_to_the_same_pixels(mode, kind, channels):
    numbers = (
        planted_metadata.NUMBERS.values() if kind == "all" else [planted_metadata.NUMBERS[kind]]
    )
    data = planted_metadata.with_chunks(
        planted_metadata.PLAIN_PNGS[mode],
        *numbers,
        *planted_metadata.CHUNKS.values(),
        planted_metadata.PROFILES["cICP"],
    )
    found = stripped(data, "png", profile=False)
    assert planted_metadata.PLANTED not in found
    assert same(decoded(data, channels), decoded(found, channels))


@pytest.mark.parametrize("kind", ["gAMA", "sRGB"])
def test_chunk_that_stays_decides_about_the_grey_of_colours(kind):
    """Why it stays: without it `channels=1` gives another grey."""
    plain = planted_metadata.PLAIN_PNGS["RGB"]
    data = planted_metadata.with_chunks(plain, planted_metadata.NUMBERS[kind])
    assert stripped(data, "png", profile=False) is data
    assert same(decoded(data, 3), decoded(plain, 3))
    assert not same(decoded(data, 1), decoded(plain, 1))


def test_damaged_chromaticities_stay_since_they_switch_gamma_off():
    plain = planted_metadata.PLAIN_PNGS["RGB"]
    bad, gamma = planted_metadata.chunk(b"cHRM", bytes(32)), planted_metadata.NUMBERS["gAMA"]
    data = planted_metadata.with_chunks(plain, bad, gamma)
    assert stripped(data, "png", profile=False) is data
    assert not same(decoded(data, 1), decoded(planted_metadata.with_chunks(plain, gamma), 1))


@pytest.mark.parametrize("channels", [0, 3, 4])
def test_png_without_its_profile_decodes_to_the_same_colours(channels):
    data = planted_metadata.with_chunks(
        planted_metadata.PLAIN_PNGS["RGB"], planted_metadata.PROFILES["iCCP"]
    )
    found = stripped(data, "png", profile=False)
    assert found == planted_metadata.PLAIN_PNGS["RGB"]
    assert same(decoded(data, channels), decoded(found, channels))


# --- real files


def pillows(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(io.BytesIO(data)))


def real():
    """Path and bytes of each real JPEG or PNG that is stored as it is."""
    for path in sorted(DATA.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        try:
            if files.identify(data) not in {"jpeg", "png"}:
                continue
            facts, _ = image.examine(data)
        except PixelError:
            continue
        if facts.handling != "encode":
            yield path, data, facts


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")
def test_every_real_image_keeps_its_pixels_and_loses_its_metadata():
    cut, seen = 0, 0
    for path, data, facts in real():
        found, form, _, _ = image.store(data, facts)
        whole, _, _, _ = image.store(data, facts, keep="all")
        assert metadata.held(found, form) == (), path
        assert stripped(found, form, profile=False) is found, path
        assert np.array_equal(pillows(found), pillows(whole)), path
        assert np.array_equal(image.decode(found), image.decode(whole)), path
        if found is not data:
            cut += 1
            assert same(decoded(found, 3), decoded(data, 3)), path
            assert same(decoded(found, 0), decoded(data, 0)), path
        seen += 1
    assert seen >= 250
    assert cut >= 8
