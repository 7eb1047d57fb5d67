"""The strict walk of PNG files, and the writer."""

import io
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from segrecord.errors import PixelError
from segrecord.images import png

PASSES = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ihdr(width=4, height=3, *, depth=8, colour=0, compression=0, filtering=0, interlace=0) -> bytes:
    numbers = (width, height, depth, colour, compression, filtering, interlace)
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *numbers))


GREY_ROWS = b"\0abcd" * 3  # 4x3, filter None
GREY = chunk(b"IDAT", zlib.compress(GREY_ROWS))
IEND = chunk(b"IEND")
PLTE = chunk(b"PLTE", bytes(range(12)))


def png_of(*chunks: bytes) -> bytes:
    return png.SIGNATURE + b"".join(chunks)


def filtered(rows: np.ndarray, samples: int, kind: int) -> bytes:
    """Rows (H, bytes) under one filter type, byte by byte as the specification words it."""
    out = bytearray()
    for y, row in enumerate(rows.astype(int)):
        out.append(kind)
        for x, value in enumerate(row):
            left = int(rows[y, x - samples]) if x >= samples else 0
            up = int(rows[y - 1, x]) if y else 0
            corner = int(rows[y - 1, x - samples]) if y and x >= samples else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda near: abs(guess - near))
            out.append((value - (0, left, up, (left + up) // 2, paeth)[kind]) % 256)
    return bytes(out)


def make(pixels: np.ndarray, kind: int = 0, *, interlace: bool = False, palette: bool = False):
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    steps = PASSES if interlace else [(0, 0, 1, 1)]
    raw = b""
    for x, y, dx, dy in steps:
        part = pixels[y::dy, x::dx]
        if part.size:
            raw += filtered(part.reshape(part.shape[0], -1), samples, kind)
    stream = zlib.compress(raw)
    cut = len(stream) // 2
    colour = 3 if palette else {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    table = [chunk(b"PLTE", bytes(range(256)) * 3)] if palette else []
    halves = (chunk(b"IDAT", stream[:cut]), chunk(b"IDAT", stream[cut:]))
    return png_of(
        ihdr(width, height, colour=colour, interlace=int(interlace)), *table, *halves, IEND
    )


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


SMALL = zlib.compressobj(wbits=9)  # a window of 512 bytes

SOUND = {f"filter {kind}": make(some(9, 11, 3), kind) for kind in range(5)} | {
    "grey": make(some(7, 5)),
    "grey alpha": make(some(7, 5, 2), 4),
    "rgba": make(some(7, 5, 4), 4),
    "interlaced": make(some(11, 13, 3), 4, interlace=True),
    "interlaced 1x1": make(some(1, 1), interlace=True),
    "interlaced 3x1": make(some(3, 1), 2, interlace=True),
    "palette": make(some(9, 10), palette=True),
    "small window": png_of(
        ihdr(),
        chunk(b"IDAT", SMALL.compress(GREY_ROWS) + SMALL.flush()),
        IEND,
    ),
    "many chunks": png_of(
        ihdr(),
        chunk(b"tEXt", b"a\0b"),
        *(chunk(b"IDAT", bytes([byte])) for byte in zlib.compress(GREY_ROWS)),
        chunk(b"IDAT"),
        chunk(b"tIME", b"1234567"),
        IEND,
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_file_passes_with_its_size_and_end(name):
    found = png.walk(SOUND[name])
    with Image.open(io.BytesIO(SOUND[name])) as image:
        assert (found.width, found.height) == image.size
    assert found.end == len(SOUND[name]) == png.parse(SOUND[name])[0].end


def test_600_single_bit_flips_are_refused_or_change_no_pixel():
    rng = random.Random(1)
    refused = 0
    for _ in range(600):
        data = SOUND[rng.choice(list(SOUND))]
        bit = rng.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            png.walk(bytes(flipped))
        except PixelError:
            refused += 1
        else:
            assert pixels(bytes(flipped)).tolist() == pixels(data).tolist()
    assert refused > 590


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("name", SOUND)
def test_every_truncation_is_refused(name):
    for length in range(len(SOUND[name])):
        with pytest.raises(PixelError):
            png.walk(SOUND[name][:length])


TRNS = chunk(b"tRNS", b"\0a")
EXIF_1, EXIF_6 = (
    chunk(b"eXIf", b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0))
    for value in (1, 6)
)


def bad_stream(raw: bytes = GREY_ROWS, change=lambda stream: stream) -> bytes:
    return png_of(ihdr(), chunk(b"IDAT", change(zlib.compress(raw))), IEND)


def far_back() -> bytes:
    """A stream that looks back 4097 bytes but declares a window of 256 bytes."""
    row = b"\0" + random.Random(0).randbytes(4096)
    stream = bytearray(zlib.compress(row * 20))
    stream[0], stream[1] = 0x08, 0
    stream[1] = 31 - (stream[0] << 8) % 31
    return png_of(ihdr(4096, 20), chunk(b"IDAT", bytes(stream)), IEND)


def too_wide_window() -> bytes:
    stream = bytearray(zlib.compress(GREY_ROWS))
    stream[0], stream[1] = 0x88, 0
    stream[1] = 31 - (stream[0] << 8) % 31
    return png_of(ihdr(), chunk(b"IDAT", bytes(stream)), IEND)


BAD = {
    "no png": ("not-an-image", b"GIF89a" + bytes(40)),
    "no IHDR": ("png-chunk", png_of(GREY, IEND)),
    "IHDR not first": ("png-chunk", png_of(chunk(b"tEXt", b"a\0b"), ihdr(), GREY, IEND)),
    "two IHDR": ("png-chunk", png_of(ihdr(), ihdr(), GREY, IEND)),
    "short IHDR": ("png-header", png_of(chunk(b"IHDR", bytes(12)), GREY, IEND)),
    "width 0": ("png-header", png_of(ihdr(width=0), GREY, IEND)),
    "height 0": ("png-header", png_of(ihdr(height=0), GREY, IEND)),
    "width over 2**31": ("png-header", png_of(ihdr(width=1 << 31), GREY, IEND)),
    "depth 3": ("png-header", png_of(ihdr(depth=3), GREY, IEND)),
    "RGB of 4 bits": ("png-header", png_of(ihdr(depth=4, colour=2), GREY, IEND)),
    "palette of 16 bits": ("png-header", png_of(ihdr(depth=16, colour=3), PLTE, GREY, IEND)),
    "colour type 5": ("png-header", png_of(ihdr(colour=5), GREY, IEND)),
    "compression 1": ("png-header", png_of(ihdr(compression=1), GREY, IEND)),
    "filter method 1": ("png-header", png_of(ihdr(filtering=1), GREY, IEND)),
    "interlace 2": ("png-header", png_of(ihdr(interlace=2), GREY, IEND)),
    "too many pixels": ("too-many-pixels", png_of(ihdr(10_001, 10_000), GREY, IEND)),
    "no IDAT": ("png-chunk", png_of(ihdr(), IEND)),
    "no IEND": ("png-truncated", png_of(ihdr(), GREY)),
    "IEND with body": ("png-chunk", png_of(ihdr(), GREY, chunk(b"IEND", b"x"))),
    "no palette": ("png-chunk", png_of(ihdr(colour=3), GREY, IEND)),
    "palette too late": ("png-chunk", png_of(ihdr(colour=3), GREY, PLTE, IEND)),
    "second palette": ("png-chunk", png_of(ihdr(colour=3), PLTE, PLTE, GREY, IEND)),
    "palette of 10 bytes": ("png-chunk", png_of(ihdr(), chunk(b"PLTE", bytes(10)), GREY, IEND)),
    "empty palette": ("png-chunk", png_of(ihdr(), chunk(b"PLTE"), GREY, IEND)),
    "palette of 257": ("png-chunk", png_of(ihdr(), chunk(b"PLTE", bytes(771)), GREY, IEND)),
    "split IDAT": ("png-chunk", png_of(ihdr(), GREY, chunk(b"tEXt", b"a\0b"), GREY, IEND)),
    "unknown critical": ("png-chunk", png_of(ihdr(), chunk(b"NEWX"), GREY, IEND)),
    "impossible type": ("png-chunk", png_of(ihdr(), chunk(b"a1b2"), GREY, IEND)),
    "IDAT CRC": ("png-crc", png_of(ihdr(), GREY[:-1] + b"?", IEND)),
    "ancillary CRC": ("png-crc", png_of(ihdr(), chunk(b"tEXt", b"a\0b")[:-1] + b"?", GREY, IEND)),
    "chunk over the end": ("png-truncated", png_of(ihdr(), b"\x7f\xff\xff\xffIDAT" + bytes(9))),
    "Adler-32": ("png-adler", bad_stream(change=lambda stream: stream[:-1] + b"?")),
    "no Adler-32": ("png-adler", bad_stream(change=lambda stream: stream[:-4])),
    "zlib header": ("png-adler", bad_stream(change=lambda stream: b"\x78\x9d" + stream[2:])),
    "no deflate": ("png-data", bad_stream(change=lambda stream: stream[:2] + b"\xff" * 20)),
    "preset dictionary": ("png-data", bad_stream(change=lambda stream: b"\x78\xbb" + stream[2:])),
    "empty IDAT": ("png-length", bad_stream(change=lambda stream: b"")),
    "row too few": ("png-length", bad_stream(GREY_ROWS[:-5])),
    "byte too many": ("png-length", bad_stream(GREY_ROWS + b"\0")),
    "second tRNS": ("png-chunk", png_of(ihdr(), TRNS, TRNS, GREY, IEND)),
    "tRNS too late": ("png-chunk", png_of(ihdr(), GREY, TRNS, IEND)),
    "tRNS before its palette": ("png-chunk", png_of(ihdr(colour=3), TRNS, PLTE, GREY, IEND)),
    "two orientations": ("png-chunk", png_of(ihdr(), EXIF_6, GREY, EXIF_1, IEND)),
    "filter 5": ("png-filter", bad_stream(GREY_ROWS[:10] + b"\5abcd")),
    "beyond the window": ("png-data", far_back()),
    "window of 64 KiB": ("png-data", too_wide_window()),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_rule_is_refused_by_its_code(name):
    code, data = BAD[name]
    with pytest.raises(PixelError) as caught:
        png.walk(data)
    assert caught.value.code == code
    assert caught.value.fix


def test_filter_bytes_of_every_interlace_pass_are_checked():
    sizes = [(9 - y + dy - 1) // dy * ((9 - x + dx - 1) // dx + 1) for x, y, dx, dy in PASSES]
    at = 0
    for size in sizes:
        raw = bytearray(sum(sizes))
        raw[at] = 9
        data = png_of(ihdr(9, 9, interlace=1), chunk(b"IDAT", zlib.compress(raw)), IEND)
        with pytest.raises(PixelError) as caught:
            png.walk(data)
        assert caught.value.code == "png-filter"
        at += size


def test_zlib_bomb_is_refused_without_being_inflated():
    bomb = zlib.compress(bytes(50_000_000), 9)
    data = png_of(ihdr(), chunk(b"IDAT", bomb), IEND)
    tracemalloc.start()
    with pytest.raises(PixelError) as caught:
        png.walk(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "png-length"
    assert peak < 5_000_000


def test_trailing_bytes_are_told_by_the_end():
    data = SOUND["grey"]
    assert png.walk(data + b"trailing").end == len(data) == png.parse(data + b"trailing")[0].end


def exif(order: str, value: int) -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", range(10))
def test_orientation_is_read_from_exif_in_both_byte_orders(order, value):
    data = png_of(ihdr(), chunk(b"eXIf", exif(order, value)), GREY, IEND)
    expected = value if 1 <= value <= 8 else 1
    assert png.walk(data).orientation == expected
    assert png.header(data).orientation == expected


def test_damaged_exif_is_orientation_1():
    for length in range(22):
        data = png_of(ihdr(), chunk(b"eXIf", exif("<", 6)[:length]), GREY, IEND)
        expected = 6 if length >= 20 else 1
        assert png.walk(data).orientation == expected


def test_exif_entry_of_two_orientations_is_none():
    body = bytearray(exif("<", 6))
    body[14] = 2
    assert png.walk(png_of(ihdr(), chunk(b"eXIf", bytes(body)), GREY, IEND)).orientation == 1


def test_orientation_after_the_pixels_counts():
    assert png.walk(png_of(ihdr(), GREY, chunk(b"eXIf", exif("<", 3)), IEND)).orientation == 3


def test_animation_is_told():
    two, one = chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"acTL", struct.pack(">II", 1, 0))
    assert png.walk(png_of(ihdr(), two, GREY, IEND)).animated
    assert png.walk(png_of(ihdr(), GREY, chunk(b"fdAT", b"1234"), IEND)).animated
    assert not png.walk(png_of(ihdr(), one, GREY, IEND)).animated


def test_transparency_is_told():
    assert png.walk(png_of(ihdr(), chunk(b"tRNS", b"\0a"), GREY, IEND)).transparent
    assert not png.walk(SOUND["grey"]).transparent


def test_header_is_none_until_the_first_idat_is_reached_and_equal_to_the_walk_then():
    data = png_of(ihdr(), chunk(b"tRNS", b"\0a"), chunk(b"eXIf", exif(">", 5)), GREY, IEND)
    start = data.index(b"IDAT")
    for length in range(start + 4):
        assert png.header(data[:length]) is None
    for length in range(start + 4, len(data)):
        assert png.header(data[:length]) == png.walk(data)._replace(end=0)


@pytest.mark.parametrize(
    "name", ["no png", "no IHDR", "short IHDR", "colour type 5", "too many pixels", "no IDAT"]
)
def test_header_refuses_what_it_sees(name):
    code, data = BAD[name]
    with pytest.raises(PixelError) as caught:
        png.header(data)
    assert caught.value.code == code


def test_header_checks_the_crc_of_what_it_reads():
    with pytest.raises(PixelError, match="CRC-32"):
        png.header(png_of(ihdr()[:-1] + b"?", GREY, IEND))


def test_bare_keeps_the_pixels_and_drops_the_rest():
    transparent = chunk(b"tRNS", b"\0a")
    data = png_of(ihdr(), chunk(b"zTXt", bytes(50)), transparent, GREY, chunk(b"tIME"), IEND)
    assert png.bare(data + b"trailing", png.parse(data)[1]) == png_of(
        ihdr(), transparent, GREY, IEND
    )


@pytest.mark.parametrize("photo", [False, True])
@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 7), (200, 3), (70, 9, 1), (5, 7, 2), (130, 4, 3), (6, 5, 4)]
)
def test_encoded_pixels_walk_and_decode_to_themselves(shape, photo):
    data = png.encode(some(*shape), photo=photo)
    found = png.walk(data)
    assert (found.height, found.width, found.bit_depth) == (*shape[:2], 8)
    assert pixels(data).tolist() == some(*shape).squeeze(2 if shape[2:] == (1,) else ()).tolist()


def test_encode_takes_any_memory_layout():
    picture = some(20, 30, 3)
    assert png.encode(picture[::2, ::-1]) == png.encode(picture[::2, ::-1].copy())


def test_encode_writes_three_chunks_with_filter_up_and_runs():
    rows, columns = np.mgrid[:16, :16]
    mask = ((rows - 8) ** 2 + (columns - 7) ** 2 < 30).astype(np.uint8)
    up = filtered(mask, 1, 2)
    deflater = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    stream = deflater.compress(up) + deflater.flush()
    assert png.encode(mask) == png_of(ihdr(16, 16), chunk(b"IDAT", stream), IEND)


def test_encode_writes_photographs_with_filter_paeth_whatever_the_bands():
    picture = some(150, 5, 3)
    data = png.encode(picture, photo=True)
    stream = data[data.index(b"IDAT") + 4 : -16]
    assert zlib.decompress(stream) == filtered(picture.reshape(150, 15), 3, 4)


def test_photo_compresses_a_photograph_better():
    rows, columns = np.mgrid[:64, :64]
    noise = np.random.default_rng(1).normal(0, 3, (64, 64))
    smooth = (rows * 2 + columns + noise).clip(0, 255).astype(np.uint8)
    assert len(png.encode(smooth, photo=True)) < len(png.encode(smooth))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 2), np.uint16),
        np.zeros((2, 2, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 3), np.uint8),
    ],
)
def test_encode_refuses_other_arrays(wrong):
    with pytest.raises(ValueError, match="pixels must"):
        png.encode(wrong)
