"""Whatever filters a PNG's rows have, its pixels are those that Pillow reads."""

import io
import struct
import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from segrecord.errors import PixelError
from segrecord.format.schemas import Layout
from segrecord.images import png
from segrecord.read.decode import codec

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
CODEC = codec(Layout("deeplab", masks=True, classes=True, keep_columns=()), 2)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@st.composite
def pngs(draw):
    """A PNG of any bytes in its rows under any filters: they always mean some pixels."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels = draw(st.sampled_from(sorted(COLOUR_TYPES)))
    rows = draw(arrays.arrays(np.uint8, (height, 1 + width * channels)))
    kinds = st.lists(st.integers(0, 4), min_size=height, max_size=height)
    rows[:, 0] = draw(st.one_of(kinds, st.just([2] * height)))
    size = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    chunks = (b"IHDR", size), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    return png.SIGNATURE + b"".join(chunk(*each) for each in chunks)


def rgb(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@given(pngs())
def test_any_filters_give_the_pixels_that_pillow_reads(data):
    assert np.array_equal(CODEC.image(data), rgb(data))


@given(pngs(), st.data())
def test_a_changed_byte_is_an_error_or_changes_no_pixel(data, draws):
    at = draws.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[at] ^= draws.draw(st.integers(1, 255))
    try:
        found = CODEC.image(bytes(changed))
    except PixelError:
        return
    assert np.array_equal(found, rgb(data))
