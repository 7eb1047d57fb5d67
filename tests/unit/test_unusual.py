"""Files that strict decoders refuse though they are sound: accepted, told of, stored as PNG."""

import io
import random
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import segrecord
from drawn_jpeg import jpeg as drawn
from make import blob, chunk, encoded, files, picture, put, saved, segment
from scanned import finding_of
from segrecord.errors import PixelError
from segrecord.images import image, jpeg, mask, png
from segrecord.scanning.worker import Row, ScanTask, scan_rows

pytestmark = pytest.mark.usefixtures("inline")

HEIGHT, WIDTH = 45, 61


def photo():
    """(H, W, 3): soft colours, so that no encoder loses much."""
    small = Image.fromarray(picture(3, 4, 6)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(small)


def pillows(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def padded_png(pixels, padding=b"\0" * 7, *, apart=False):
    """A PNG with bytes behind the zlib stream, in its IDAT or in one of their own."""
    data = png.encode(pixels)
    at, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    stream = data[at + 8 : end - 4]
    own = chunk(b"IDAT", stream) + chunk(b"IDAT", padding) if apart else None
    return data[:at] + (own or chunk(b"IDAT", stream + padding)) + data[end:]


def padded_jpeg(zeros, **how):
    data = saved(Image.fromarray(photo()), "JPEG", quality=90, **how)
    return data[:-2] + bytes(zeros) + data[-2:]


FACTORS = {
    "4:1:0": ((4, 2), (1, 1), (1, 1)),
    "2x4": ((2, 4), (1, 1), (1, 1)),
    "3x1": ((3, 1), (1, 1), (1, 1)),
    "2x2, 2x1, 1x1": ((2, 2), (2, 1), (1, 1)),
}
JPEGS = {name: drawn(photo(), factors) for name, factors in FACTORS.items()}
JPEGS |= {
    "4:1:0 in intervals": drawn(photo(), FACTORS["4:1:0"], interval=2),
    "zeros before EOI": padded_jpeg(9),
    "zeros, progressive": padded_jpeg(300, progressive=True),
    "zeros, grey": saved(Image.fromarray(photo()).convert("L"), "JPEG")[:-2]
    + bytes(5)
    + b"\xff\xd9",
}
PNGS = {
    "padding": padded_png(photo()),
    "padding apart": padded_png(photo(), apart=True),
    "padding that is not zero": padded_png(photo(), b"x"),
    "padding, alpha": padded_png(picture(1, 6, 9, 4)),
    "padding, grey": padded_png(picture(1, 6, 9, 1)[:, :]),
}
UNUSUAL = JPEGS | PNGS


def test_the_drawn_jpegs_are_sound_by_the_strict_decoder_where_it_knows_the_factors():
    for factors in (((1, 1),) * 3, ((2, 2), (1, 1), (1, 1)), ((4, 1), (1, 1), (1, 1))):
        for interval in (0, 2):
            data = drawn(photo(), factors, interval=interval)
            facts, pixels = jpeg.walk_and_decode(data)
            assert (facts.unusual, facts.notes) == ("", ())
            assert np.array_equal(pixels, pillows(data))
            assert np.abs(pixels.astype(int) - photo()).mean() < 8


@pytest.mark.parametrize("name", UNUSUAL)
def test_sound_file_is_stored_losslessly_as_png_with_a_warning(name, tmp_path):
    data = UNUSUAL[name]
    facts, pixels = image.examine(data, decoded=True)
    assert facts.handling == "encode"
    assert [note.code for note in facts.notes] == ["unusual-encoding"]
    stored, form, *size = image.store(data, facts)
    assert (form, tuple(size)) == ("png", (facts.height, facts.width))
    if name in JPEGS:
        truth = pillows(data)
        assert (
            np.abs(
                truth.astype(int) - pillows(JPEGS["zeros, grey"] if "grey" in name else data)
            ).max()
            == 0
        )
    else:
        truth = np.asarray(Image.open(io.BytesIO(data)))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored))), truth)
        truth = pillows(data)
    assert np.array_equal(pillows(stored), truth)
    assert png.walk(stored).padding == 0
    assert np.array_equal(np.broadcast_to(np.atleast_3d(pixels), truth.shape), truth)
    path = str(put(tmp_path / "picture", data))
    (found,) = scan_rows(ScanTask((Row("a", path, ()),), "basic", None, (None,)))
    (problem,) = found.facts["problems"]
    told = finding_of(problem)
    assert (told.level, told.code, told.path) == ("warning", "unusual-encoding", path)


@pytest.mark.parametrize("name", FACTORS)
def test_what_the_drawn_pixels_were_is_what_is_stored(name):
    stored = image.store(JPEGS[name], image.examine(JPEGS[name])[0])[0]
    assert np.abs(pillows(stored).astype(int) - photo()).mean() < 10


def test_a_set_of_such_files_is_built_verified_and_told_by_file(tmp_path):
    for number, data in enumerate(UNUSUAL.values()):
        put(tmp_path / f"in/images/{number}.png", data)
        size = image.examine(data)[0]
        put(tmp_path / f"in/masks/{number}.png", padded_png(blob(0, size.height, size.width)))
    ignored = ("no-group",)
    built = segrecord.build(tmp_path / "in", tmp_path / "out", ignore=ignored)
    told = [found.path for found in built.findings if found.code == "unusual-encoding"]
    assert len(told) == 2 * len(UNUSUAL)
    assert {found.level for found in built.findings if found.code == "unusual-encoding"} == {
        "warning"
    }
    assert segrecord.verify(tmp_path / "out", source=tmp_path / "in").problems == ()
    shutil.copytree(tmp_path / "in", tmp_path / "moved")
    segrecord.build(tmp_path / "moved", tmp_path / "again", ignore=ignored)
    once, again = files(tmp_path / "out"), files(tmp_path / "again")
    assert once == again
    assert not any(str(tmp_path).encode() in data for data in once.values())


def test_padded_mask_has_its_values_and_a_warning():
    pixels = blob(0, 9, 7)
    for padded in (padded_png(pixels), padded_png(np.repeat(pixels[:, :, None], 3, axis=2))):
        plane = mask.read(padded)
        assert np.array_equal(plane.values, pixels)
        assert [note.code for note in plane.notes] == ["unusual-encoding"]


# What is damaged is refused as before.


def test_damage_beside_padding_in_a_png_is_refused():
    data = bytearray(padded_png(photo()))
    start, end = data.index(b"IDAT") + 4, data.index(b"IEND") - 8
    rng = random.Random(2)
    for _ in range(200):
        at, bit = rng.randrange(start + 2, end - 11), 1 << rng.randrange(8)
        data[at] ^= bit
        body = bytes(data[start:end])
        crc = struct.pack(">I", zlib.crc32(b"IDAT" + body))
        with pytest.raises(PixelError):
            png.walk(bytes(data[:start]) + body + crc + bytes(data[end + 4 :]))
        data[at] ^= bit


def zeroed(data, at, length):
    return data[:at] + bytes(min(length, len(data) - 2 - at)) + data[at + length : -2] + data[-2:]


@pytest.mark.parametrize("name", ["zeros before EOI", "zeros, progressive", "4:2:0", "4:1:0"])
def test_sectors_of_zeros_up_to_the_end_are_no_padding(name):
    """Zeroed to the end, a picture's last bytes look like padding, which Pillow reads as grey."""
    data = {"4:2:0": padded_jpeg(0, subsampling=2), "4:1:0": JPEGS["4:1:0"]}.get(name) or JPEGS[
        name
    ]
    whole, first = pillows(data), data.rindex(b"\xff\xda") + 14
    for at in range(first, len(data) - 2):
        broken = data[:at] + bytes(len(data) - 2 - at) + data[-2:]
        try:
            _, pixels = image.examine(broken)
        except PixelError:
            continue
        assert np.array_equal(pixels, whole), at


@pytest.mark.parametrize("name", FACTORS)
def test_truncated_or_lengthened_scan_of_unusual_factors_is_refused(name):
    data = JPEGS[name]
    for body in (data[:-3], data[:-20], data[:-2] + b"\x55", data[:-2] + bytes(3)):
        with pytest.raises(PixelError) as caught:
            jpeg.walk(body.rstrip(b"\xff") + b"\xff\xd9")
        assert caught.value.code == "jpeg-subsampling"
        assert "if it is whole" in caught.value.fix


def test_zeroed_sectors_of_unusual_factors_are_refused():
    data = JPEGS["4:1:0"]
    first = data.index(b"\xff\xda") + 14
    for at in range(first, len(data) - 70, 16):
        with pytest.raises(PixelError):
            jpeg.walk(data[:at] + bytes(64) + data[at + 64 :])


def test_restart_markers_that_are_missing_or_out_of_order_are_refused():
    data = JPEGS["4:1:0 in intervals"]
    for broken in (data.replace(b"\xff\xd0", b"\xff\xd1", 1), data.replace(b"\xff\xd0", b"", 1)):
        with pytest.raises(PixelError, match="unusual sampling"):
            jpeg.walk(broken)


def test_bytes_before_eoi_that_are_not_zero_are_refused():
    data = padded_jpeg(0)
    for junk in (b"abcdef", b"\0\0\0x\0", bytes(range(1, 30))):
        with pytest.raises(PixelError) as caught:
            jpeg.walk(data[:-2] + junk + data[-2:])
        assert caught.value.code == "jpeg-data"


def test_scan_agrees_with_the_strict_decoder_on_damaged_files_of_usual_factors():
    """Where it says that a scan is whole, the strict decoder has no complaint either."""
    data = encoded(photo(), "JPEG", subsampling=2, quality=90)
    whole, rng = 0, random.Random(4)
    for number in range(400):
        broken = bytearray(data)
        for _ in range(number % 3):
            broken[rng.randrange(data.index(b"\xff\xda") + 14, len(data) - 2)] ^= (
                1 << rng.randrange(8)
            )
        try:
            facts = jpeg.markers(bytes(broken))
        except PixelError:
            continue
        at = broken.index(b"\xff\xc0") + 4
        own = bytes(broken[: facts.end])
        if jpeg.scan_is_sound(own, jpeg.segments(own), own[at : at + 15]):
            whole += 1
            assert jpeg.walk(own).unusual == ""
    assert whole > 100


# Several pictures in one JPEG.


def mpf(kinds, order="<"):
    """The index of a multi-picture file (CIPA DC-007), of pictures of these kinds."""
    entries = b"".join(struct.pack(order + "IIIHH", kind << 16, 0, 0, 0, 0) for kind in kinds)
    head = struct.pack(order + "I", 8), struct.pack(order + "H", 3)
    rows = (
        struct.pack(order + "HHI4s", 0xB000, 7, 4, b"0100"),
        struct.pack(order + "HHII", 0xB001, 4, 1, len(kinds)),
        struct.pack(order + "HHII", 0xB002, 7, len(entries), 8 + 2 + 36 + 4),
    )
    start = b"II*\0" if order == "<" else b"MM\0*"
    return b"MPF\0" + start + b"".join((*head, *rows)) + bytes(4) + entries


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kinds", "told"), [((3, 2), True), ((3, 0, 2), True), ((3, 1), False), ((3,), False)]
)
def test_second_picture_of_an_mpo_is_told_and_a_preview_is_not(tmp_path, kinds, told, order):
    one = encoded(photo(), "JPEG")
    data = one[:2] + segment(0xE2, mpf(kinds, order)) + one[2:] + one * (len(kinds) - 1)
    facts, pixels = image.examine(data)
    assert np.array_equal(pixels, pillows(one))
    messages = [note.message for note in facts.notes]
    count = sum(kind != 1 for kind in kinds)
    wanted = [f"the file holds {count} pictures (MPO); the first alone is stored"] * told
    assert messages == wanted
    path = str(put(tmp_path / "picture.jpg", data))
    for checks in ("basic", "none"):
        (found,) = scan_rows(ScanTask((Row("a", path, ()),), checks, None, (None,)))
        codes = [problem["code"] for problem in found.facts["problems"]]
        assert codes == ["several-pictures"] * told


def test_mpo_of_pillow_is_told():
    first, second = (Image.fromarray(picture(number, 40, 60)) for number in (1, 2))
    data = saved(first, "MPO", save_all=True, append_images=[second])
    (note,) = image.examine(data)[0].notes
    assert (note.code, "2 pictures" in note.message) == ("several-pictures", True)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", UNUSUAL)
def test_tensorflow_reads_the_file_itself_as_pillow_does_and_what_is_stored(name):
    tf = pytest.importorskip("tensorflow")
    data = UNUSUAL[name]
    truth = pillows(data)
    stored = image.store(data, image.examine(data)[0])[0]
    if name in JPEGS:
        own = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    else:
        own = tf.io.decode_png(data, channels=3).numpy()
    assert np.array_equal(own, truth)
    assert np.array_equal(tf.io.decode_png(stored, channels=3).numpy(), truth)
