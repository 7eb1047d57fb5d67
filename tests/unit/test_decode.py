"""Stored bytes to arrays: equal pixels by every backend, and an error where they would be wrong."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from drawn_jpeg import jpeg as drawn
from make import blob, encoded, palette_image, picture, saved
from segrecord.errors import PixelError, UsageError
from segrecord.format.schemas import Layout
from segrecord.images import png
from segrecord.read import decode
from segrecord.read.decode import codec

SIZE = (8, 6)
ENCODED = Layout("deeplab", masks=True, classes=True, keep_columns=())
RAW = Layout("raw", masks=True, classes=True, keep_columns=())
ONE_HOT = Layout("raw", masks=True, classes=True, keep_columns=(), one_hot=True)

GREY, COLOUR = picture(1, channels=1), picture(2)
BLOCKS = np.kron(picture(3, 5, 4), np.ones((8, 8, 1), np.uint8))  # (40, 32, 3): chroma to smooth

STORED = {
    "grey png": encoded(GREY),
    "rgb png": encoded(COLOUR),
    "our own rgb png": png.encode(COLOUR, photo=True),
    "png of filter up": png.encode(GREY),
    "grey and alpha png": encoded(np.dstack((GREY, 255 - GREY))),
    "rgba png": encoded(np.dstack((COLOUR, GREY))),
    "palette png": saved(palette_image(GREY % 3, [(9, 8, 7), (200, 0, 1), (0, 255, 30)])),
    "1-bit png": encoded(GREY, mode="1"),
    "grey jpeg": encoded(GREY, "JPEG"),
    "jpeg 4:4:4": encoded(BLOCKS, "JPEG", subsampling=0, quality=95),
    "jpeg 4:2:2": encoded(BLOCKS, "JPEG", subsampling=1),
    "jpeg 4:2:0": encoded(BLOCKS, "JPEG", subsampling=2),
    "progressive jpeg": encoded(BLOCKS, "JPEG", progressive=True),
    # The decoder knows 4:4:1, but its list of names, which its header function asks, does not.
    "jpeg 4:4:1": drawn(BLOCKS, ((1, 4), (1, 1), (1, 1))),
}


def rgb(data):
    """What Pillow reads, as RGB (H, W, 3): the other opinion."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(params=["core", "fast"])
def backend(request):
    if request.param == "fast":
        pytest.importorskip("cv2")
    return request.param


@pytest.mark.parametrize("kind", STORED)
def test_an_image_has_the_pixels_that_pillow_reads_by_every_backend(kind, backend):
    data = STORED[kind]
    expected = rgb(data)
    found = codec(ENCODED, 2, backend).image(data, expected.shape[:2])
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", STORED)
def test_an_image_lands_in_its_place_of_a_batch_and_nowhere_else(kind, backend):
    expected = rgb(STORED[kind])
    batch = np.full((3, *expected.shape), 77, np.uint8)
    codec(ENCODED, 2, backend).image(STORED[kind], expected.shape[:2], None, batch[1])
    assert np.array_equal(batch[1], expected)
    assert (batch[[0, 2]] == 77).all()


@pytest.mark.parametrize("width", [65_533, 65_534, 65_535, 131_069, 131_070])
def test_a_png_is_read_whole_where_its_rows_fill_one_stored_block_or_more(width, backend):
    pixels = picture(5, 1, width, 1)  # with its filter type a row is one byte longer
    found = codec(ENCODED, 2, backend).image(encoded(pixels), (1, width))
    assert np.array_equal(found, np.dstack([pixels] * 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_pixels_are_taken_as_they_are(channels, backend):
    pixels = picture(4, channels=channels)
    out = np.empty((*SIZE, 3), np.uint8)
    found = codec(RAW, 2, backend).image(pixels.tobytes(), SIZE, channels, out)
    assert found is out
    assert np.array_equal(found, pixels if channels == 3 else np.dstack([pixels] * 3))


@pytest.mark.parametrize("data", [png.encode(blob(1, high=2)), encoded(blob(1, high=2))])
def test_a_mask_has_its_class_ids(data, backend):
    out = np.empty(SIZE, np.uint8)
    assert codec(ENCODED, 3, backend).mask(data, SIZE, out) is out
    assert np.array_equal(out, blob(1, high=2))
    assert np.array_equal(codec(ENCODED, 3, backend).mask(data, SIZE), out)


def test_a_raw_mask_is_a_view_of_its_bytes():
    ids = blob(2, high=1)
    assert np.array_equal(codec(RAW, 2).mask(ids.tobytes(), SIZE), ids)


def test_a_one_hot_mask_becomes_class_ids_and_rows_of_zeros_are_ignored():
    ids = blob(2, high=1)
    ids[0, 0] = 255
    planes = (ids[..., None] == np.arange(2)).astype(np.uint8)
    assert np.array_equal(codec(ONE_HOT, 2).mask(planes.tobytes(), SIZE), ids)


def test_an_image_of_another_size_is_refused(backend):
    for kind in ("grey png", "rgb png", "grey jpeg", "palette png"):
        with pytest.raises(PixelError, match=r"8 x 6.*7 x 6"):
            codec(ENCODED, 2, backend).image(STORED[kind], (7, 6))


def test_a_jpeg_is_not_decoded_into_a_place_of_as_many_bytes_but_another_shape(backend):
    out = np.zeros((6, 8, 3), np.uint8)
    with pytest.raises(PixelError, match=r"8 x 6.*6 x 8"):
        codec(ENCODED, 2, backend).image(STORED["grey jpeg"], None, None, out)
    assert not out.any()


def test_a_mask_of_another_size_is_refused(backend):
    with pytest.raises(PixelError, match=r"8 x 6.*8 x 7"):
        codec(ENCODED, 2, backend).mask(png.encode(blob()), (8, 7))


@pytest.mark.parametrize(
    ("stored", "channels", "rule"),
    [
        (picture().tobytes()[:-1], 3, "143 bytes, 8 x 6 x 3"),
        (picture().tobytes(), 1, "144 bytes, 8 x 6 x 1"),
        (picture().tobytes(), None, "144 bytes, 8 x 6 x 0"),
    ],
)
def test_raw_pixels_of_another_number_are_refused(stored, channels, rule):
    with pytest.raises(PixelError, match=rule):
        codec(RAW, 2).image(stored, SIZE, channels)


def test_a_raw_mask_of_another_length_is_refused():
    with pytest.raises(PixelError, match="47 bytes, 8 x 6 are 48"):
        codec(RAW, 2).mask(blob().tobytes()[1:], SIZE)


DEEP = saved(Image.fromarray(np.full(SIZE, 30_000, np.uint16)))
CMYK = encoded(BLOCKS, "JPEG", mode="CMYK")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-file"),
        (b"hello world", "not-an-image"),
        (STORED["rgb png"][:-20], "png-truncated"),
        (STORED["jpeg 4:2:0"][:-40], "jpeg-data"),
        (STORED["jpeg 4:2:0"][:4], "jpeg-data"),
        (DEEP, "sixteen-bit"),
        (CMYK, "jpeg-colours"),
    ],
)
def test_an_image_that_would_be_read_wrong_is_refused(data, code, backend):
    with pytest.raises(PixelError) as found:
        codec(ENCODED, 2, backend).image(data)
    assert found.value.code == code


def test_a_flipped_bit_of_a_png_is_an_error_and_no_other_picture(backend):
    data = bytearray(STORED["grey png"])
    data[50] ^= 4
    with pytest.raises(PixelError, match="png-crc"):
        codec(ENCODED, 2, backend).image(bytes(data), SIZE)


@pytest.mark.parametrize("kind", ["rgb png", "grey and alpha png", "palette png", "1-bit png"])
def test_a_mask_that_tensorflow_reads_otherwise_is_refused(kind):
    with pytest.raises(PixelError, match="grey 8-bit PNG"):
        codec(ENCODED, 2).mask(STORED[kind], SIZE)


def test_a_mask_that_is_no_png_is_refused():
    with pytest.raises(PixelError, match=r"grey 8-bit PNG.*jpeg"):
        codec(ENCODED, 2).mask(STORED["grey jpeg"], SIZE)


def test_a_codec_travels_to_another_process():
    one = codec(ONE_HOT, 4, "core")
    assert pickle.loads(pickle.dumps(one)) == one


def test_an_unknown_backend_is_refused():
    with pytest.raises(UsageError, match="core or fast, got 'cuda'"):
        codec(ENCODED, 2, "cuda")


def test_fast_says_what_to_install_and_auto_does_without(monkeypatch):
    monkeypatch.setattr(decode.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install segrecord\[fast\]"):
        codec(ENCODED, 2, "fast")
    assert not codec(ENCODED, 2, "auto").fast
