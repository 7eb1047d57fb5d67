"""Facts, pixels and stored bytes of image files of every kind."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from segrecord.errors import PixelError
from segrecord.images import files, image, pillow, png
from segrecord.images.exif import turn

HEIGHT, WIDTH = 24, 40


def photo(mode: str = "RGB") -> Image.Image:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(3).normal(0, 20, (HEIGHT, WIDTH, 4))
    smooth = np.stack((rows * 5, columns * 5, rows + columns, 255 - rows * columns / 4), axis=2)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).convert(mode)


def save(picture: Image.Image, form: str, **how) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **how)
    return out.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk before its pixels."""
    at = data.index(b"IDAT") - 4
    return data[:at] + chunk(kind, body) + data[at:]


def low_depth(depth: int, *extra: bytes) -> bytes:
    """A grey PNG of 1, 2 or 4 bits; Pillow writes 2 and 4 only as palettes."""
    rows = b"".join(b"\0" + bytes([0x1B, 0xE4]) for _ in range(3))
    header = struct.pack(">IIBBBBB", 16 // depth, 3, depth, 0, 0, 0, 0)
    body = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND"))
    return png.SIGNATURE + b"".join(body)


def exif(order: str, value: int) -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)


def colour_key() -> bytes:
    red, green, blue = photo().getpixel((0, 0))
    return struct.pack(">HHH", red, green, blue)


KEPT = {
    "jpeg rgb": (save(photo(), "JPEG"), "RGB"),
    "jpeg grey": (save(photo("L"), "JPEG"), "L"),
    "jpeg progressive": (save(photo(), "JPEG", progressive=True), "RGB"),
    "jpeg 4:4:4": (save(photo(), "JPEG", subsampling=0), "RGB"),
    "jpeg 4:2:0": (save(photo(), "JPEG", subsampling=2), "RGB"),
    "jpeg stored as RGB": (save(photo(), "JPEG", keep_rgb=True), "RGB"),
    "png grey": (save(photo("L"), "PNG"), "L"),
    "png grey alpha": (save(photo("LA"), "PNG"), "LA"),
    "png rgb": (save(photo(), "PNG"), "RGB"),
    "png rgba": (save(photo("RGBA"), "PNG"), "RGBA"),
    "png colour key": (with_chunk(save(photo(), "PNG"), b"tRNS", colour_key()), "RGB"),
    "png text bomb": (
        with_chunk(save(photo(), "PNG"), b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24))),
        "RGB",
    ),
}
ENCODED = {
    "palette": (save(photo("P"), "PNG"), "P", "palette"),
    "palette 4-bit": (save(photo().quantize(16), "PNG"), "P", "palette"),
    "1-bit": (save(photo("1"), "PNG"), "1", "1-bit"),
    "2-bit": (low_depth(2), "L", "2-bit"),
    "4-bit": (low_depth(4), "L", "4-bit"),
    "bmp": (save(photo(), "BMP"), "RGB", "format bmp"),
    "bmp grey": (save(photo("L"), "BMP"), "L", "format bmp"),
    "bmp 1-bit": (save(photo("1"), "BMP"), "1", "format bmp"),
    "gif": (save(photo("P"), "GIF"), "P", "format gif"),
    "tiff": (save(photo(), "TIFF"), "RGB", "format tiff"),
    "tiff big-endian lzw": (
        save(photo("L"), "TIFF", compression="tiff_lzw", big_endian=True),
        "L",
        "format tiff",
    ),
    "tiff cmyk": (save(photo("CMYK"), "TIFF"), "CMYK", "format tiff"),
    "tiff 1-bit": (save(photo("1"), "TIFF", compression="group4"), "1", "format tiff"),
    "webp": (save(photo(), "WEBP"), "RGB", "format webp"),
    "webp alpha": (save(photo("RGBA"), "WEBP", lossless=True), "RGBA", "format webp"),
    "ppm": (save(photo(), "PPM"), "RGB", "format ppm"),
    "pgm": (save(photo("L"), "PPM"), "L", "format ppm"),
    "pbm": (save(photo("1"), "PPM"), "1", "format ppm"),
    "cmyk": (save(photo("CMYK"), "JPEG"), "CMYK", "CMYK"),
    "turned png": (save(photo(), "PNG", exif=exif("<", 6)), "RGB", "EXIF orientation 6"),
}
SOUND = {name: case[0] for name, case in (KEPT | ENCODED).items()}


def trusted(data: bytes) -> np.ndarray:
    """Pillow's pixels, upright, grey or RGB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if picture.mode == "LA":
            return np.asarray(picture)[:, :, 0]
        return np.asarray(picture.convert("L" if picture.mode in "1L" else "RGB"))


@pytest.mark.parametrize("name", sorted(SOUND.keys() - {"png text bomb"}))
def test_decode_gives_pillows_pixels_and_examine_the_same_or_none(name):
    facts, pixels = image.examine(SOUND[name])
    wanted = image.examine(SOUND[name], decoded=True)[1]
    assert np.array_equal(wanted, image.decode(SOUND[name]))
    assert wanted.flags.c_contiguous
    decoded = image.decode(SOUND[name])
    assert np.array_equal(decoded, trusted(SOUND[name]))
    assert decoded.dtype == np.uint8
    assert decoded.shape[:2] == (facts.height, facts.width)
    assert pixels is None or np.array_equal(pixels, decoded)


@pytest.mark.parametrize("name", KEPT)
def test_kept_kind_is_stored_as_it_is_and_its_header_alone_says_so(name):
    data, mode = KEPT[name]
    facts, _ = image.examine(data)
    assert (facts.mode, facts.handling, facts.reason, facts.bit_depth) == (mode, "keep", "", 8)
    assert image.store(data, facts, keep="all") == (data, name.split()[0], HEIGHT, WIDTH)
    assert image.examine_header(data) == facts


@pytest.mark.parametrize("name", ENCODED)
def test_other_kind_is_encoded_losslessly_and_its_header_is_not_enough(name):
    data, mode, reason = ENCODED[name]
    facts, _ = image.examine(data)
    assert (facts.mode, facts.handling, facts.reason) == (mode, "encode", reason)
    stored, form, height, width = image.store(data, facts)
    assert (form, height, width) == ("png", facts.height, facts.width)
    assert png.walk(stored).bit_depth == 8
    assert np.array_equal(image.decode(stored), trusted(data))
    with pytest.raises(PixelError) as caught:
        image.examine_header(data)
    assert caught.value.code == "header-not-enough"
    assert reason in caught.value.message


def test_undecodable_text_chunk_does_not_hinder_the_pixels():
    assert np.array_equal(image.decode(SOUND["png text bomb"]), np.asarray(photo()))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_bytes_after_the_end_are_trimmed(form):
    data = save(photo(), form)
    facts, _ = image.examine(data + b"trailing")
    assert (facts.handling, facts.reason) == ("trim", "bytes after the end")
    assert image.store(data + b"trailing", facts) == (data, form.lower(), HEIGHT, WIDTH)


def test_alpha_stays_where_the_source_has_it():
    rgba = photo("RGBA")
    for data in (
        save(rgba, "PNG", exif=exif("<", 2)),
        save(rgba, "WEBP", lossless=True, exact=True),
    ):
        stored = image.store(data, image.examine(data)[0])[0]
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored))), np.asarray(expected))


def test_palette_transparency_becomes_alpha():
    data = save(photo("P"), "PNG", transparency=bytes(range(255, 0, -5)))
    stored = image.store(data, image.examine(data)[0])[0]
    expected = Image.open(io.BytesIO(data)).convert("RGBA")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored))), np.asarray(expected))
    assert np.array_equal(image.decode(data), np.asarray(expected)[:, :, :3])


@pytest.mark.parametrize("depth", [2, 4])
def test_transparent_grey_level_of_few_bits_becomes_alpha(depth):
    data = low_depth(depth, chunk(b"tRNS", b"\0\1"))
    stored = np.asarray(Image.open(io.BytesIO(image.store(data, image.examine(data)[0])[0])))
    level = 255 // ((1 << depth) - 1)
    assert (stored[:, :, 0] == level).any()
    assert np.array_equal(stored[:, :, 1] == 0, stored[:, :, 0] == level)


CLEAR = np.asarray(photo("RGBA"))[:, :, 3] % 4 * 85  # 0, 85, 170 and, opaque, 255


def with_alpha(mode: str) -> Image.Image:
    picture = photo(mode[:-1])
    picture.putalpha(Image.fromarray(CLEAR))
    return picture


def extra_samples(data: bytes, meaning: int) -> bytes:
    """A little-endian TIFF whose ExtraSamples (tag 338) says this."""
    changed = bytearray(data)
    at = changed.index(struct.pack("<HHI", 338, 3, 1))
    changed[at + 8 : at + 10] = struct.pack("<H", meaning)
    return bytes(changed)


def masked_bmp() -> bytes:
    """A 32-bit BMP whose header names the bits of alpha (BITMAPV4HEADER)."""
    pixels = np.asarray(with_alpha("RGBA"))[::-1, :, [2, 1, 0, 3]].tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(52)
    info = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    start = 14 + len(info) + len(masks)
    head = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    return head + info + masks + pixels


GREY, COLOUR = np.asarray(photo("L")), np.asarray(photo())
INDICES = np.asarray(photo("P"))
CLEAR_ALPHA = int((CLEAR != 255).sum())
ALPHA = {
    "png grey alpha": (save(with_alpha("LA"), "PNG"), "straight", CLEAR_ALPHA),
    "png rgba": (save(with_alpha("RGBA"), "PNG"), "straight", CLEAR_ALPHA),
    "png opaque": (save(photo().convert("RGBA"), "PNG"), "straight", 0),
    "png turned": (save(with_alpha("RGBA"), "PNG", exif=exif("<", 6)), "straight", CLEAR_ALPHA),
    "png grey level": (
        with_chunk(save(photo("L"), "PNG"), b"tRNS", bytes([0, GREY[0, 0]])),
        "straight",
        int((GREY[0, 0] == GREY).sum()),
    ),
    "png colour key": (
        SOUND["png colour key"],
        "straight",
        int((COLOUR[0, 0] == COLOUR).all(axis=2).sum()),
    ),
    "png palette": (
        save(photo("P"), "PNG", transparency=bytes([255] * int(INDICES[0, 0]) + [0])),
        "straight",
        int((INDICES[0, 0] == INDICES).sum()),
    ),
    "gif": (save(photo("P"), "GIF", transparency=int(INDICES[0, 0])), "straight", None),
    "webp": (save(with_alpha("RGBA"), "WEBP", lossless=True), "straight", CLEAR_ALPHA),
    "bmp": (masked_bmp(), "straight", CLEAR_ALPHA),
    "tiff": (save(with_alpha("RGBA"), "TIFF"), "straight", CLEAR_ALPHA),
    "tiff grey": (save(with_alpha("LA"), "TIFF"), "straight", CLEAR_ALPHA),
    "tiff multiplied": (
        extra_samples(save(with_alpha("RGBA"), "TIFF"), 1),
        "premultiplied",
        CLEAR_ALPHA,
    ),
    "tiff grey multiplied": (
        extra_samples(save(with_alpha("LA"), "TIFF"), 1),
        "premultiplied",
        CLEAR_ALPHA,
    ),
    "tiff of four channels": (extra_samples(save(with_alpha("RGBA"), "TIFF"), 0), "unread", None),
    "tiff of two channels": (extra_samples(save(with_alpha("LA"), "TIFF"), 0), "unread", None),
    "bmp of four bytes": (save(with_alpha("RGBA"), "BMP"), "unread", None),
    "bmp of three bytes and 255": (save(photo().convert("RGBA"), "BMP"), "", None),
    "tiff rgb": (SOUND["tiff"], "", None),
    "png rgb": (SOUND["png rgb"], "", None),
    "jpeg": (SOUND["jpeg rgb"], "", None),
}


@pytest.mark.parametrize("name", ALPHA)
def test_alpha_is_known_of_every_kind_and_its_transparent_pixels_are_counted(name):
    data, alpha, clear = ALPHA[name]
    facts, pixels = image.examine(data, decoded=True)
    if name == "gif":  # its palette is made anew when it is saved
        shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        clear = int((shown[:, :, 3] != 255).sum())
        assert clear
    assert (facts.alpha, facts.transparent) == (alpha, clear)
    assert np.array_equal(pixels, image.decode(data))
    assert pixels.flags.c_contiguous
    if facts.handling == "keep":
        assert image.examine_header(data).alpha == alpha
        assert image.examine(data)[0].transparent is None  # nothing was decoded


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_as_pillow_does(form, value, order):
    if form == "TIFF":
        out = {"tiffinfo": {0x0112: value}, "big_endian": order == ">"}
    else:
        prefix = b"Exif\0\0" if form == "JPEG" else b""
        out = {"exif": prefix + exif(order, value)}
    data = save(photo(), form, **out)
    facts, _ = image.examine(data)
    assert facts.orientation == value
    assert (facts.stored_height, facts.stored_width) == (HEIGHT, WIDTH)
    assert (facts.height, facts.width) == ((HEIGHT, WIDTH) if value < 5 else (WIDTH, HEIGHT))
    assert np.array_equal(image.decode(data), trusted(data))
    stored, _, height, width = image.store(data, facts)
    assert np.array_equal(trusted(stored), trusted(data))
    assert (height, width) == (facts.height, facts.width)
    checked, stored_picture = image.open_checked(data)
    assert checked == facts
    assert np.array_equal(turn(np.asarray(stored_picture), value), trusted(data))


def animated(form: str) -> bytes:
    other = photo().transpose(Image.Transpose.ROTATE_180)
    return save(photo(), form, save_all=True, append_images=[other])


def deep(mode: str) -> Image.Image:
    return Image.fromarray(np.arange(12, dtype=mode).reshape(3, 4))


def rgb16_tiff() -> bytes:
    """2x1 RGB pixels of 16 bits, which Pillow reads as 8 bits without a word."""
    entries = [(256, 2), (257, 1), (259, 1), (262, 2), (277, 3), (278, 1), (279, 12)]
    offset = 8 + 2 + 12 * (len(entries) + 2) + 4
    rows = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries]
    rows += [struct.pack("<HHII", 258, 3, 3, offset + 12), struct.pack("<HHII", 273, 4, 1, offset)]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(rows))
    return (
        head
        + b"".join(sorted(rows))
        + bytes(4)
        + bytes(range(12))
        + struct.pack("<HHH", 16, 16, 16)
    )


def signed_tiff() -> bytes:
    return save(photo("L"), "TIFF", tiffinfo={339: 2})


def big_bmp() -> bytes:
    data = bytearray(save(photo(), "BMP"))
    data[18:26] = struct.pack("<II", 10_001, 10_000)
    return bytes(data)


def black_and_white_bmp() -> bytes:
    """8 bits a pixel, two palette entries: Pillow takes it for 1 bit a pixel, and reads zeros."""
    rows = b"".join(bytes([y % 2, 1, 0, 1]) for y in range(4))
    palette = b"\0\0\0\0\xff\xff\xff\0"
    info = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 8, 0, len(rows), 0, 0, 2, 2)
    start = 14 + len(info) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + info + palette + rows


def png16(colour: int, samples: int) -> bytes:
    header = struct.pack(">IIBBBBB", 2, 1, 16, colour, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1 + 4 * samples)))
    return png.SIGNATURE + chunk(b"IHDR", header) + rows + chunk(b"IEND")


def sof(**changes: int) -> bytes:
    """A JPEG whose frame header claims something else."""
    data = bytearray(save(photo(), "JPEG"))
    at = data.index(b"\xff\xc0")
    if "process" in changes:
        data[at + 1] = 0xC0 + changes["process"]
    if "precision" in changes:
        data[at + 4] = changes["precision"]
    return bytes(data)


REFUSED = {
    "empty": ("empty-file", b""),
    "lfs": ("lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "apple": ("apple-double", b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(60)),
    "html": ("not-an-image", b"<!DOCTYPE html><html></html>"),
    "text": ("not-an-image", b"BM is how this sentence begins, yet it is no bitmap at all"),
    "pfm": ("not-an-image", b"PF\n1 1\n-1.0\n" + bytes(12)),
    "png grey 16": ("sixteen-bit", save(deep("uint16"), "PNG")),
    "png rgb 16": ("sixteen-bit", png16(2, 3)),
    "png grey alpha 16": ("sixteen-bit", png16(4, 2)),
    "tiff grey 16": ("sixteen-bit", save(deep("uint16"), "TIFF")),
    "tiff rgb 16": ("sixteen-bit", rgb16_tiff()),
    "ppm rgb 16": ("sixteen-bit", b"P6 2 1 65535\n" + bytes(12)),
    "pgm 16": ("sixteen-bit", b"P5 2 1 65535\n" + bytes(4)),
    "tiff 32": ("unsupported-mode", save(deep("int32"), "TIFF")),
    "tiff float": ("unsupported-mode", save(deep("float32"), "TIFF")),
    "tiff signed": ("unsupported-mode", signed_tiff()),
    "tiff lab": ("unsupported-mode", save(photo().convert("RGB").convert("LAB"), "TIFF")),
    "jpeg 12-bit": ("unsupported-mode", sof(precision=12)),
    "jpeg hierarchical": ("unsupported-mode", sof(process=5)),
    "gif frames": ("several-frames", animated("GIF")),
    "png frames": ("several-frames", animated("PNG")),
    "webp frames": ("several-frames", animated("WEBP")),
    "tiff pages": ("several-frames", animated("TIFF")),
    "bmp too large": ("too-many-pixels", big_bmp()),
    "ppm bomb": ("too-many-pixels", b"P6 99999 99999 255\n" + bytes(12)),
    "ppm too large": ("too-many-pixels", b"P6 10001 10000 255\n" + bytes(12)),
    "gif damaged": ("broken-image", b"GIF89a" + bytes(9)),
    "webp damaged": ("broken-image", SOUND["webp"][:60]),
    "tiff damaged": ("broken-image", b"II*\0\xff\xff\xff\x7f"),
    "ppm damaged": ("broken-image", b"P6 -4 4 255\n" + bytes(48)),
    "bmp black and white": ("unsupported-mode", black_and_white_bmp()),
    "bmp truncated": ("broken-image", SOUND["bmp"][:-9]),
    "ppm truncated": ("broken-image", SOUND["ppm"][:-9]),
    "tiff truncated": ("broken-image", SOUND["tiff big-endian lzw"][:300]),
    "gif truncated": ("broken-image", SOUND["gif"][:-200]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_kind_is_named_by_its_code(name):
    code, data = REFUSED[name]
    with pytest.raises(PixelError) as caught:
        image.examine(data)
    assert caught.value.code == code
    assert caught.value.fix
    assert "0x7f" not in caught.value.message  # an address would differ from run to run


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"png grey 16", "tiff grey 16", "pgm 16"}))
def test_open_checked_refuses_the_same_but_for_planes_of_16_bits(name):
    code, data = REFUSED[name]
    with pytest.raises(PixelError) as caught:
        image.open_checked(data)
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["png grey 16", "tiff grey 16"])
def test_open_checked_gives_planes_of_16_bits_as_they_are(name):
    facts, picture = image.open_checked(REFUSED[name][1])
    assert facts.bit_depth == 16
    assert np.asarray(picture).tolist() == np.arange(12).reshape(3, 4).tolist()


def test_decode_refuses_16_bits_too():
    with pytest.raises(PixelError, match="16-bit"):
        image.decode(REFUSED["png rgb 16"][1])


@pytest.mark.parametrize("name", ["empty", "lfs", "apple", "html", "png grey 16", "png frames"])
def test_header_refuses_what_it_sees(name):
    code, data = REFUSED[name]
    with pytest.raises(PixelError) as caught:
        image.examine_header(data)
    assert caught.value.code == code


def test_header_that_is_too_short_is_none():
    for data in (SOUND["png rgb"], SOUND["jpeg rgb"]):
        assert image.examine_header(data[:30]) is None


def test_truncated_files_of_every_format_end_in_an_error_or_in_pillows_pixels():
    for name, data in SOUND.items():
        for length in range(0, len(data), max(1, len(data) // 15)):
            try:
                _, pixels = image.examine(data[:length])
            except PixelError:
                continue
            assert pixels is not None, name
            assert np.array_equal(pixels, trusted(data[:length])), name


def test_damaged_group_4_tiff_is_refused_where_libtiff_complains_and_pillow_does_not(capfd):
    data = bytearray(SOUND["tiff 1-bit"])
    data[40] ^= 16
    with pytest.raises(PixelError, match="Fax4Decode") as caught:
        image.examine(bytes(data))
    assert caught.value.code == "broken-image"
    assert capfd.readouterr() == ("", "")


def test_what_others_print_while_a_tiff_is_decoded_is_kept(capfd):
    with pillow._libtiff_heard():
        os.write(2, b"progress 3 of 4\n")
    assert capfd.readouterr().err == "progress 3 of 4\n"


def test_no_warning_of_pillow_escapes_and_none_is_swallowed():
    tiff = bytearray(save(photo("L"), "TIFF"))
    at = tiff.index(struct.pack("<HH", 0x0100, 4 if struct.pack("<HH", 256, 4) in tiff else 3))
    tiff[at + 4] = 2  # a second width: Pillow warns of it
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(PixelError):
            image.examine(bytes(tiff))
    assert not seen


@pytest.mark.parametrize("name", ["jpeg rgb", "png rgba", "1-bit", "palette", "turned png", "gif"])
def test_resized_image_is_the_upright_pixels_antialiased(name):
    data = SOUND[name]
    facts, _ = image.examine(data)
    stored, form, height, width = image.store(data, facts, (11, 13))
    assert (form, height, width) == ("png", 11, 13)
    expected = Image.fromarray(trusted(data)).resize((13, 11), Image.Resampling.BICUBIC)
    assert np.array_equal(trusted(stored), np.asarray(expected))


def test_size_that_the_image_has_leaves_its_bytes():
    data = SOUND["jpeg rgb"]
    assert image.store(data, image.examine(data)[0], (HEIGHT, WIDTH))[0] == data


def test_histogram_counts_values_by_channel():
    pixels = np.asarray(photo())
    counts = image.histogram(pixels)
    assert counts.shape == (3, 256)
    for channel in range(3):
        assert np.array_equal(
            counts[channel], np.bincount(pixels[..., channel].ravel(), minlength=256)
        )
    assert image.histogram(pixels[:, :, 0].copy()).shape == (1, 256)


@pytest.mark.parametrize(
    ("path", "form", "agrees"),
    [
        ("a/b.JPG", "jpeg", True),
        ("b.jfif", "jpeg", True),
        ("b.tif", "tiff", True),
        ("b.png", "jpeg", False),
        ("b.jpg", "png", False),
        ("b.pgm", "ppm", True),
        ("b.orig", "png", True),
        ("b", "png", True),
        (".png", "jpeg", True),
    ],
)
def test_extension_is_compared_with_the_content(path, form, agrees):
    assert files.extension_agrees(path, form) is agrees


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [*SOUND, *(f"alpha: {name}" for name in ALPHA)])
def test_tensorflow_reads_what_is_stored_as_decode_does(name):
    tf = pytest.importorskip("tensorflow")
    data = SOUND[name] if name in SOUND else ALPHA[name.removeprefix("alpha: ")][0]
    stored, form, height, width = image.store(data, image.examine(data)[0])
    read = (
        tf.io.decode_jpeg(stored, channels=3, dct_method="INTEGER_ACCURATE")
        if form == "jpeg"
        else tf.io.decode_image(stored, channels=3)
    ).numpy()
    pixels = image.decode(data)
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    assert read.shape == (height, width, 3)
    assert np.array_equal(read, expected)
