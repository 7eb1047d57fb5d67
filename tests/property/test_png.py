"""Whatever we encode, the strict walk passes and Pillow reads back."""

import contextlib
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segrecord.errors import PixelError
from segrecord.images import image, png


@st.composite
def pictures(draw):
    height, width, samples = (
        draw(st.integers(1, 80)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 4)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    levels = draw(st.sampled_from([1, 2, 4, 256]))
    return rng.integers(0, levels, (height, width, samples), dtype=np.uint8)


@given(pictures(), st.booleans())
def test_encode_then_walk_then_pillow_gives_the_pixels_back(pixels, photo):
    data = png.encode(pixels, photo=photo)
    found = png.walk(data)
    assert (found.height, found.width, found.end) == (*pixels.shape[:2], len(data))
    with Image.open(io.BytesIO(data)) as opened:
        assert np.array_equal(np.asarray(opened).reshape(pixels.shape), pixels)


@given(pictures(), st.booleans())
def test_encode_is_deterministic(pixels, photo):
    assert png.encode(pixels, photo=photo) == png.encode(pixels.copy(order="F"), photo=photo)


@given(
    st.sampled_from([b"", png.SIGNATURE, b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"P5 2 2 "]),
    st.binary(max_size=300),
)
def test_any_bytes_end_in_an_image_or_a_pixel_error(start, rest):
    for read in (image.examine, image.examine_header, image.open_checked, image.decode):
        with contextlib.suppress(PixelError):
            read(start + rest)
