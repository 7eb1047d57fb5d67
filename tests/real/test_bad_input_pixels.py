"""Real files, broken, odd and sound, end in a named error or in a trusted decoder's pixels."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from segrecord.errors import PixelError
from segrecord.images import files, image

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NOT_SOUND = {"bad-input", "dicom"}
IMAGES = {".png", ".jpg", ".jpeg"}

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository"),
]

BAD = sorted(path for path in DATA.glob("bad-input/*") if path.is_file())
SOUND = sorted(
    path
    for path in DATA.rglob("*")
    if path.suffix.lower() in IMAGES and path.relative_to(DATA).parts[0] not in NOT_SOUND
)


def trusted(data: bytes) -> np.ndarray:
    """Pillow's pixels, upright, grey or RGB, alpha dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if picture.mode == "LA":
            return np.asarray(picture)[:, :, 0]
        return np.asarray(picture.convert("L" if picture.mode in "1L" else "RGB"))


def test_there_are_files_to_look_at():
    assert len(BAD) >= 41
    assert len(SOUND) >= 300


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_bad_input_ends_in_a_named_error_or_in_pillows_pixels(path):
    data = path.read_bytes()
    try:
        facts, pixels = image.examine(data)
    except PixelError:
        return
    assert np.array_equal(image.decode(data), trusted(data))
    assert pixels is None or np.array_equal(pixels, trusted(data))
    assert np.array_equal(trusted(image.store(data, facts)[0]), trusted(data))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_bad_input_read_as_a_mask_or_by_its_header_ends_in_a_pixel_error_at_worst(path):
    for read in (image.open_checked, image.examine_header):
        with contextlib.suppress(PixelError):
            read(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("._ISIC_0034524.jpg", "apple-double"),
        ("lfs-pointer COVID (1).png", "lfs-pointer"),
        ("badadler.png", "png-adler"),
        ("badcrc.png", "png-crc"),
        ("truncated_image.png", "png-truncated"),
        ("truncated_jpeg.jpg", "jpeg-truncated"),
        ("16bit.cropped.tif", "sixteen-bit"),
        ("basn2c16.png", "sixteen-bit"),
        ("xdtn0g01.png", "png-chunk"),
        ("xd9n2c08.png", "png-header"),
        ("decompression_bomb.gif", "too-many-pixels"),
        ("no_rows_per_strip.tif", "several-frames"),
    ],
)
def test_bad_input_is_named_for_what_it_is(name, code):
    with pytest.raises(PixelError) as caught:
        image.examine((DATA / "bad-input" / name).read_bytes())
    assert caught.value.code == code


def test_every_sound_file_passes_and_its_stored_bytes_show_the_same_pixels():
    for path in SOUND:
        data = path.read_bytes()
        facts, pixels = image.examine(data)
        assert facts.handling != "encode" or facts.reason, path
        assert files.extension_agrees(str(path), facts.format) or path.suffix, path
        stored, form, height, width = image.store(data, facts, keep="all")
        expected = trusted(data) if pixels is None else pixels
        assert expected.shape[:2] == (height, width), path
        if facts.handling == "keep":
            assert (stored, form) == (data, facts.format), path
        else:
            assert np.array_equal(trusted(stored), expected), path
        image.open_checked(data)
