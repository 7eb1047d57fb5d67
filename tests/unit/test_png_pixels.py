"""The grey plane of a PNG from its filtered rows: equal to Pillow's for every filter type."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segrecord.images import png


def png_of(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def filtered_png(plane, filters, channels):
    """A PNG of the plane repeated over channels, row y filtered by filters[y], by the book."""
    import struct
    import zlib

    height, width = plane.shape
    rows = np.repeat(plane, channels, axis=1).astype(int)
    raw = b""
    for y, kind in enumerate(filters):
        above = rows[y - 1] if y else np.zeros_like(rows[0])
        left = np.concatenate((np.zeros(channels, int), rows[y][:-channels]))
        corner = np.concatenate((np.zeros(channels, int), above[:-channels]))
        near = left + above - corner
        paeth = np.select(
            [
                (abs(near - left) <= abs(near - above)) & (abs(near - left) <= abs(near - corner)),
                abs(near - above) <= abs(near - corner),
            ],
            [left, above],
            corner,
        )
        guess = [np.zeros_like(left), left, above, (left + above) // 2, paeth][kind]
        raw += bytes([kind]) + ((rows[y] - guess) % 256).astype(np.uint8).tobytes()

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return png.SIGNATURE + body


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 12),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    channels=st.sampled_from([1, 3]),
)
def test_every_filter_type_gives_the_pixels_that_pillow_gives(seed, width, filters, channels):
    plane = np.random.default_rng(seed).integers(0, 256, (len(filters), width), dtype=np.uint8)
    data = filtered_png(plane, filters, channels)
    found = png.grey(*png.walk_rows(data))
    assert np.array_equal(found, plane)
    opened = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(opened if channels == 1 else opened[:, :, 2], plane)


@pytest.mark.parametrize("band", [0, 1, 2])
@pytest.mark.parametrize("place", [(0, 0), (5, 7), (30, 40)])
def test_one_pixel_of_colour_by_one_level_is_noticed(band, place):
    rng = np.random.default_rng(1)
    pixels = np.repeat(rng.integers(0, 255, (31, 41, 1), dtype=np.uint8), 3, axis=2)
    assert png.grey(*png.walk_rows(png_of(pixels))) is not None
    pixels[*place, band] += 1
    assert png.grey(*png.walk_rows(png_of(pixels))) is None


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16"])
def test_other_kinds_are_left_to_pillow(mode):
    picture = Image.new(mode, (5, 4))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert png.grey(*png.walk_rows(file.getvalue())) is None
