"""Whatever segments and chunks stand where: no pixel changes, nothing planted stays."""

import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

import planted_metadata
from segrecord.errors import PixelError
from segrecord.images import jpeg, metadata
from segrecord.images.metadata import stripped

COLOURS = {1: "GRAY", 3: "RGB", 4: "CMYK"}
TOKEN = b"PLANTED"


@st.composite
def bodies(draw):
    """Bytes around a token, some of which begin like what decoders know."""
    start = draw(
        st.sampled_from(
            [b"", b"Exif\0\0", b"XMP\0", b"ICC_PROFILF\0\1\1", b"JFXX\0\x10", b"MPF\0", b"Adobf"]
        )
    )
    body = start + draw(st.binary(max_size=40)) + TOKEN + draw(st.binary(max_size=20))
    assume(not body.startswith((b"Adobe", b"JFIF")))  # their fields stay, whatever they hold
    assume(not body.startswith(b"ICC_PROFILE"))  # the strict decoder refuses damaged profiles
    return body


SPOKEN = st.sampled_from([*range(0xE0, 0xF0), 0xFE])
KINDS = st.from_regex(rb"[a-z][A-Za-z]{3}", fullmatch=True)


@st.composite
def planted_metadata_jpegs(draw):
    """A JPEG, and the same with segments anywhere between its own, behind its scans too."""
    plain = planted_metadata.PLAIN_JPEGS[
        draw(st.sampled_from(sorted(planted_metadata.PLAIN_JPEGS)))
    ]
    places = [start - (2 if code == 0xD9 else 4) for code, start, _ in jpeg.segments(plain)]
    data = plain
    for at in sorted(draw(st.lists(st.sampled_from(places), max_size=6)), reverse=True):
        data = data[:at] + planted_metadata.segment(draw(SPOKEN), draw(bodies())) + data[at:]
    return plain, data + draw(st.sampled_from([b"", TOKEN]))


@st.composite
def planted_metadata_pngs(draw):
    """A PNG, and the same with unknown ancillary chunks before and behind its pixels."""
    plain = planted_metadata.PLAIN_PNGS[draw(st.sampled_from(sorted(planted_metadata.PLAIN_PNGS)))]
    data = plain
    for kind, body in draw(st.lists(st.tuples(KINDS, bodies()), max_size=6)):
        before = draw(st.sampled_from([b"IDAT", b"IEND"]))
        known = kind in {b"tRNS", b"acTL", b"fcTL", b"fdAT", b"cHRM", b"pHYs"}  # these may stay
        more = planted_metadata.chunk(b"teXt" if known else kind, body)
        data = planted_metadata.with_chunks(data, more, before=before)
    return plain, data + draw(st.sampled_from([b"", TOKEN]))


def decoded(data):
    colour = COLOURS[jpeg.walk(data).components]
    return simplejpeg.decode_jpeg(data[: jpeg.markers(data).end], colour, strict=True)


@given(planted_metadata_jpegs())
def test_jpeg_loses_all_that_was_planted_and_no_pixel(case):
    plain, data = case
    found = stripped(data, "jpeg", profile=False)
    assert TOKEN not in found
    assert found == plain
    assert np.array_equal(decoded(data), decoded(found))
    assert metadata.held(found, "jpeg") == ()


@given(planted_metadata_pngs())
def test_png_loses_all_that_was_planted_and_no_pixel(case):
    plain, data = case
    found = stripped(data, "png", profile=False)
    assert TOKEN not in found
    assert found == plain
    assert metadata.held(found, "png") == ()


@given(st.data(), st.one_of(planted_metadata_jpegs(), planted_metadata_pngs()))
def test_damaged_file_is_refused_or_loses_what_follows_its_end(data, case):
    _, whole = case
    form = "png" if whole.startswith(b"\x89") else "jpeg"
    length = data.draw(st.integers(0, len(whole)))
    try:
        found = stripped(whole[:length], form, profile=False)
    except PixelError:
        return
    assert found == stripped(whole, form, profile=False)


@given(st.binary(max_size=200), st.sampled_from(["jpeg", "png", "gif", "webp", "tiff", "ppm"]))
def test_held_takes_any_bytes(data, form):
    starts = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "tiff": b"II*\0\x08\0\0\0"}
    assert isinstance(metadata.held(starts.get(form, b"") + data, form), tuple)


@pytest.mark.parametrize("keep_rgb", [True, False])
def test_pictures_of_this_module_are_coloured(keep_rgb):
    """Else no test here could tell one colour conversion from another."""
    name = "Adobe RGB" if keep_rgb else "RGB"
    with Image.open(io.BytesIO(planted_metadata.PLAIN_JPEGS[name])) as opened:
        bands = np.asarray(opened).astype(int)
    assert np.ptp(bands, axis=2).max() > 30
