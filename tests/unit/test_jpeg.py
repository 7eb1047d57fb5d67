"""The walk over a JPEG's markers and the strict decode."""

import contextlib
import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from segrecord.errors import PixelError
from segrecord.images import jpeg


def photo(height: int = 96, width: int = 120) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(3).normal(0, 20, (height, width, 3))
    smooth = np.stack((rows * 2, columns * 2, rows + columns), axis=2)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def make(mode: str = "RGB", **how) -> bytes:
    out = io.BytesIO()
    photo().convert(mode).save(out, "JPEG", **how)
    return out.getvalue()


SOUND = {
    "RGB": make(),
    "4:4:4": make(subsampling=0),
    "4:2:2": make(subsampling=1, quality=95),
    "4:2:0": make(subsampling=2),
    "progressive": make(progressive=True),
    "restarts": make(restart_marker_rows=1),
    "grey": make("L"),
    "grey progressive": make("L", progressive=True),
    "RGB without YCbCr": make(keep_rgb=True),
    "comment": make(comment=b"\xff\xd9" * 9),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_file_decodes_to_pillows_pixels(name):
    found, pixels = jpeg.walk_and_decode(SOUND[name])
    with Image.open(io.BytesIO(SOUND[name])) as image:
        expected = np.asarray(image).reshape(found.height, found.width, found.components)
    assert np.array_equal(pixels, expected)
    assert found.end == len(SOUND[name]) == jpeg.markers(SOUND[name]).end
    assert found.process == (2 if "progressive" in name else 0)


def test_cmyk_is_walked_and_decoded_strictly():
    found, pixels = jpeg.walk_and_decode(make("CMYK"))
    assert (found.components, pixels.shape[2]) == (4, 4)
    with pytest.raises(PixelError, match="cannot be decoded"):
        jpeg.walk(zeroed(make("CMYK", quality=95)))


def zeroed(data: bytes) -> bytes:
    at = len(data) // 2 // 512 * 512
    return data[:at] + bytes(512) + data[at + 512 :]


@pytest.mark.parametrize("name", ["RGB", "4:4:4", "4:2:2", "progressive", "grey"])
def test_zeroed_sector_is_refused_though_pillow_reads_it(name):
    broken = zeroed(SOUND[name])
    with Image.open(io.BytesIO(broken)) as image:
        image.load()
    with pytest.raises(PixelError) as caught:
        jpeg.walk(broken)
    assert caught.value.code == "jpeg-data"


@pytest.mark.parametrize("name", SOUND)
def test_truncation_at_many_lengths_is_refused(name):
    data = SOUND[name]
    lengths = {*range(40), *range(40, len(data), 37), *range(len(data) - 20, len(data))}
    for length in lengths:
        with pytest.raises(PixelError) as caught:
            jpeg.walk(data[:length])
        assert caught.value.code == "jpeg-truncated"


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xff\xff"])
def test_data_cut_and_closed_with_eoi_is_refused(end):
    data = SOUND["RGB"][: len(SOUND["RGB"]) // 2].rstrip(b"\xff") + end + b"\xff\xd9"
    with pytest.raises(PixelError) as caught:
        jpeg.walk(data)
    assert caught.value.code == "jpeg-data"


def test_trailing_bytes_are_told_by_the_end():
    data = SOUND["RGB"]
    for trailing in (b"\0", b"\xff", data, b"\xff\xd9"):
        assert jpeg.walk(data + trailing).end == len(data) == jpeg.markers(data + trailing).end


def test_fill_bytes_before_a_marker_are_legal():
    data = SOUND["RGB"]
    at = data.index(b"\xff\xdb")
    assert jpeg.walk(data[:at] + b"\xff" * 5 + data[at:-2] + b"\xff\xff" + data[-2:]).end


def test_fill_byte_before_a_stuffed_one_is_read_as_libjpeg_reads_it():
    data = SOUND["RGB"]
    at = data.index(b"\xff\x00", data.index(b"\xff\xda"))
    _, pixels = jpeg.walk_and_decode(data[:at] + b"\xff" + data[at:])
    assert np.array_equal(pixels, jpeg.walk_and_decode(data)[1])


def test_long_run_of_fill_bytes_takes_linear_time():
    data = SOUND["RGB"]
    with pytest.raises(PixelError):
        jpeg.walk(data[:-2] + b"\xff" * 1_000_000 + b"\0")


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def sof(height=8, width=8, components=1, precision=8, process=0) -> bytes:
    parts = b"".join(bytes((number, 0x11, 0)) for number in range(components))
    size = struct.pack(">BHHB", precision, height, width, components)
    return segment(0xC0 + process, size + parts)


SOI, EOI, SOS = b"\xff\xd8", b"\xff\xd9", segment(0xDA, b"\1\0\0\0\x3f\0") + b"\x12\x34"

BAD = {
    "no jpeg": ("not-an-image", b"BM" + bytes(40)),
    "SOI alone": ("jpeg-truncated", SOI),
    "no marker": ("jpeg-marker", SOI + b"\xff\xe0\0\2junk" + sof() + SOS + EOI),
    "no picture": ("jpeg-marker", SOI + EOI),
    "no scan": ("jpeg-marker", SOI + sof() + EOI),
    "scan before frame": ("jpeg-marker", SOI + SOS + sof() + EOI),
    "second frame": ("jpeg-marker", SOI + sof() + sof() + SOS + EOI),
    "second SOI": ("jpeg-marker", SOI + SOI + sof() + SOS + EOI),
    "restart outside a scan": ("jpeg-marker", SOI + b"\xff\xd0" + sof() + SOS + EOI),
    "DNL": ("jpeg-marker", SOI + sof() + SOS + segment(0xDC, b"\0\x08") + EOI),
    "length 1": ("jpeg-marker", SOI + b"\xff\xe0\0\1" + sof() + SOS + EOI),
    "height 0": ("jpeg-header", SOI + sof(height=0) + SOS + EOI),
    "width 0": ("jpeg-header", SOI + sof(width=0) + SOS + EOI),
    "no components": ("jpeg-header", SOI + sof(components=0) + SOS + EOI),
    "short frame": ("jpeg-header", SOI + segment(0xC0, b"\x08\0\x08") + SOS + EOI),
    "too many pixels": ("too-many-pixels", SOI + sof(10_001, 10_000) + SOS + EOI),
    "segment over the end": ("jpeg-truncated", SOI + b"\xff\xe0\x7f\xff" + bytes(9)),
    "length over the end": ("jpeg-truncated", SOI + b"\xff\xe0\x7f"),
    "no EOI": ("jpeg-truncated", SOI + sof() + SOS),
    "501 scans": ("jpeg-scans", SOI + sof() + SOS * 501 + EOI),
    "no tables": ("jpeg-data", SOI + sof() + SOS + EOI),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_rule_is_refused_by_its_code(name):
    code, data = BAD[name]
    with pytest.raises(PixelError) as caught:
        jpeg.walk(data)
    assert caught.value.code == code
    assert caught.value.fix


@pytest.mark.parametrize(
    "how", [{"precision": 12}, {"components": 2}, {"process": 5}, {"process": 11}]
)
def test_kinds_the_decoder_does_not_know_are_told_without_pixels(how):
    found, pixels = jpeg.walk_and_decode(SOI + sof(**how) + SOS + EOI)
    assert pixels is None
    assert (found.precision, found.components, found.process) == (
        how.get("precision", 8),
        how.get("components", 1),
        how.get("process", 0),
    )


def test_unusual_sampling_factors_are_refused_by_name():
    data = bytearray(SOUND["4:4:4"])
    at = data.index(b"\xff\xc0") + 11
    data[at : at + 9 : 3] = b"\x22" * 3
    with pytest.raises(PixelError) as caught:
        jpeg.walk(bytes(data))
    assert caught.value.code == "jpeg-subsampling"


def exif(order: str, value: int) -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)
    return segment(0xE1, b"Exif\0\0" + start + entry)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", range(10))
def test_orientation_is_read_from_exif_in_both_byte_orders(order, value):
    data = SOI + exif(order, value) + SOUND["RGB"][2:]
    expected = value if 1 <= value <= 8 else 1
    assert jpeg.walk(data).orientation == expected
    assert jpeg.header(data).orientation == expected


def test_other_app1_segments_are_no_exif():
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>")
    assert jpeg.walk(SOI + xmp + SOUND["RGB"][2:]).orientation == 1


def test_header_is_none_until_the_frame_is_read_and_equal_to_the_walk_then():
    data = SOI + exif("<", 6) + SOUND["RGB without YCbCr"][2:]
    end = data.index(b"\xff\xc0") + 2 + 17
    for length in range(end):
        assert jpeg.header(data[:length]) is None
    for length in range(end, len(data), 50):
        assert jpeg.header(data[:length]) == jpeg.walk(data)._replace(end=0)


@pytest.mark.parametrize(
    "name", ["no jpeg", "no marker", "height 0", "too many pixels", "no picture"]
)
def test_header_refuses_what_it_sees(name):
    code, data = BAD[name]
    with pytest.raises(PixelError) as caught:
        jpeg.header(data)
    assert caught.value.code == code


def test_damaged_files_end_in_pixels_or_a_pixel_error_and_print_nothing(capfd):
    rng = random.Random(5)
    for _ in range(300):
        data = bytearray(SOUND[rng.choice(list(SOUND))])
        for _ in range(rng.choice((1, 1, 20))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with contextlib.suppress(PixelError):
            jpeg.walk(bytes(data))
    assert capfd.readouterr() == ("", "")
