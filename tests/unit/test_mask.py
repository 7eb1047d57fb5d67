"""Masks of every pixel kind become one plane of values, and values class ids."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFilter

from make import blob, encoded, palette_image, picture, saved
from segrecord.errors import PixelError
from segrecord.images import mask, png
from segrecord.images.mask import MaskPlane, ValueMap

IDS = (np.arange(48, dtype=np.uint8) // 12).reshape(8, 6)  # 0, 1, 2, 3
VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]


def wide(plane):
    return saved(Image.fromarray(plane.astype(np.uint16)))


READ = {
    "0/255 grey": (encoded(blob()), "grey", blob()),
    "0/1 grey": (encoded(blob(high=1)), "grey", blob(high=1)),
    "ids": (encoded(IDS), "grey", IDS),
    "1-bit": (encoded(blob(), mode="1"), "bilevel", blob(high=1)),
    "1-bit TIFF": (encoded(blob(), "TIFF", mode="1"), "bilevel", blob(high=1)),
    "palette": (saved(palette_image(IDS, VOC)), "palette", IDS),
    "palette of two": (
        saved(palette_image(blob(high=1), VOC[:2]), bits=1),
        "palette",
        blob(high=1),
    ),
    "palette of rising greys": (
        saved(palette_image(IDS, [(n * 80,) * 3 for n in range(4)])),
        "palette",
        IDS,
    ),
    "RGB holding grey": (encoded(blob(), mode="RGB"), "grey", blob()),
    "RGBA holding grey": (encoded(blob(), mode="RGBA"), "grey", blob()),
    "grey and alpha": (encoded(blob(), mode="LA"), "grey", blob()),
    "GIF": (encoded(blob(), "GIF"), "grey", blob()),
    "GIF all white": (encoded(blob(low=255), "GIF"), "grey", blob(low=255)),
    "GIF of ids without 1": (encoded(blob(high=2), "GIF"), "grey", blob(high=2)),
    "BMP": (encoded(blob(), "BMP"), "grey", blob()),
    "BMP of one bit": (encoded(blob(), "BMP", mode="1"), "bilevel", blob(high=1)),
    "TIFF": (encoded(IDS, "TIFF"), "grey", IDS),
    "PGM": (encoded(IDS, "PPM"), "grey", IDS),
    "16-bit ids": (wide(IDS), "grey", IDS),
    "16-bit ids above 255": (wide(IDS * np.uint16(300)), "grey", IDS * np.uint16(300)),
    "one pixel": (encoded(blob()[2:3, 2:3]), "grey", blob()[2:3, 2:3]),
}


@pytest.mark.parametrize("name", READ)
def test_masks_of_every_kind_are_read_as_the_values_that_were_meant(name):
    data, kind, values = READ[name]
    plane = mask.read(data)
    assert plane.kind == kind
    assert (plane.values == values).all()
    assert plane.values.shape == values.shape


@pytest.mark.parametrize("bits", [2, 4])
def test_deep_grey_below_8_bits_is_read_as_stored_and_not_as_pillow_scales_it(bits):
    scale = {2: 85, 4: 17}[bits]
    rows = IDS.astype(np.uint8)
    packed = png_of_bits(rows, bits)
    assert (np.asarray(Image.open(io.BytesIO(packed))) == rows * scale).all()
    assert (mask.read(packed).values == rows).all()


def png_of_bits(rows, bits):
    """A grey PNG of this bit depth, made chunk by chunk."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    height, width = rows.shape
    lines = b""
    for row in rows:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        lines += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    ihdr = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return png.SIGNATURE + body


def test_a_palette_mask_is_read_by_index_where_tensorflow_reads_luminance():
    opened = palette_image(IDS, VOC)
    luminance = np.asarray(opened.convert("L"))
    assert set(np.unique(luminance)) == {0, 38, 75, 113}
    assert set(np.unique(mask.read(saved(opened)).values)) == {0, 1, 2, 3}


def test_jpeg_masks_are_read_with_their_odd_values():
    data = encoded(blob(height=32, width=32), "JPEG", quality=50)
    plane = mask.read(data)
    assert plane.kind == "grey"
    assert len(np.unique(plane.values)) > 2


def transparent(plane, alpha):
    return saved(Image.merge("LA", [Image.fromarray(plane), Image.fromarray(alpha)]))


COLOUR = picture(0)
REFUSED = {
    "colour": (encoded(COLOUR), "colour-mask", "8-bit grey PNG"),
    "GIF in colour": (saved(palette_image(IDS, VOC), "GIF"), "colour-mask", "8-bit grey PNG"),
    "palette from white to black": (
        saved(palette_image(blob(high=1), [(255,) * 3, (0,) * 3])),
        "palette-order",
        "8-bit grey PNG",
    ),
    "CMYK": (encoded(COLOUR, "TIFF", mode="CMYK"), "mask-mode", "8-bit PNG"),
    "alpha is the mask": (
        transparent(np.full((8, 6), 255, np.uint8), blob()),
        "mask-alpha",
        "without an alpha",
    ),
    "alpha hides foreground": (
        transparent(blob(), 255 - blob(1)),
        "mask-alpha",
        "without an alpha",
    ),
    "GIF whose foreground is transparent": (
        saved(palette_image(blob(high=1), [(0,) * 3, (255,) * 3]), "GIF", transparency=1),
        "mask-alpha",
        "without an alpha",
    ),
    "broken": (encoded(blob())[:-20], "png-truncated", ""),
    "empty": (b"", "empty-file", ""),
    "several frames": (
        saved(
            Image.fromarray(blob()), "GIF", save_all=True, append_images=[Image.fromarray(blob(1))]
        ),
        "several-frames",
        "frame",
    ),
    "negative numbers": (
        saved(Image.fromarray(np.full((8, 6), -1, np.int32)), "TIFF"),
        None,
        "",
    ),
    "floats": (saved(Image.fromarray(np.full((8, 6), 0.5, np.float32)), "TIFF"), None, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_masks_that_are_no_masks_are_refused_with_a_way_out(name):
    data, code, fix = REFUSED[name]
    with pytest.raises(PixelError) as raised:
        mask.read(data)
    assert code in {None, raised.value.code}
    assert fix in raised.value.fix


def test_an_alpha_channel_that_agrees_is_passed_over():
    assert (mask.read(transparent(blob(), blob())).values == blob()).all()
    shown = palette_image(blob(high=1), [(0,) * 3, (255,) * 3])
    assert (mask.read(saved(shown, "GIF", transparency=0)).values == blob()).all()


def test_the_values_are_counted_for_8_and_16_bits():
    assert mask.count_values(MaskPlane(IDS, "grey", "png", "L")) == (
        [int(v) for v in np.unique(IDS)],
        [int(n) for n in np.unique(IDS, return_counts=True)[1]],
    )
    deep = IDS.astype(np.uint16) * 300
    assert mask.count_values(MaskPlane(deep, "grey", "png", "I;16"))[0] == [0, 300, 600, 900]
    one = np.full((2, 2), 9, np.uint8)
    assert mask.count_values(MaskPlane(one, "grey", "png", "L")) == ([9], [4])


def test_smoothed_edges_lie_at_edges_and_a_third_value_does_not():
    round_shape = np.zeros((60, 60), np.uint8)
    round_shape[20:40, 20:40] = 255
    shape = Image.fromarray(round_shape)
    smooth = np.asarray(shape.resize((83, 83), Image.Resampling.BILINEAR))
    assert mask.edge_share(MaskPlane(smooth, "grey", "png", "L")) > 0.9
    inner = np.zeros((60, 60), np.uint8)
    inner[5:20, 5:20] = 127
    inner[30:50, 30:50] = 255
    assert mask.edge_share(MaskPlane(inner, "grey", "png", "L")) == 0


def by_rank_filters(values):
    """What `edge_share` is, from Pillow's filters of 5 x 5 pixels."""
    low, high = values.min(), values.max()
    lowest, highest = (
        np.asarray(Image.fromarray(values).filter(kind(5)))
        for kind in (ImageFilter.MinFilter, ImageFilter.MaxFilter)
    )
    between = (values != low) & (values != high)
    return (between & (lowest == low) & (highest == high)).sum() / between.sum()


@pytest.mark.parametrize("width", [5, 7, 8, 9, 15, 16, 17, 64])
def test_the_edge_share_is_that_of_rank_filters(width):
    for seed in range(20):
        chance = np.random.default_rng([width, seed])
        shape = (int(chance.integers(5, 30)), width)
        values = chance.choice(np.array([0, 90, 255], np.uint8), shape, p=[0.05, 0.9, 0.05])
        values[0, 0], values[-1, -1] = 0, 255
        plane = MaskPlane(values, "grey", "png", "L")
        assert mask.edge_share(plane) == by_rank_filters(values)


def test_the_edge_share_takes_less_than_a_tenth_of_rank_filters():
    rows, columns = np.mgrid[:256, :256]
    shape = ((rows - 128) ** 2 + (columns - 128) ** 2 < 90**2).astype(np.uint8) * np.uint8(255)
    smooth = np.asarray(Image.fromarray(shape).filter(ImageFilter.GaussianBlur(2)))
    plane = MaskPlane(smooth, "grey", "png", "L")

    def fastest(work, *given):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            work(*given)
            times.append(time.perf_counter() - start)
        return min(times)

    assert fastest(mask.edge_share, plane) < fastest(by_rank_filters, smooth) / 10


def test_there_is_no_edge_share_without_values_between():
    assert mask.edge_share(MaskPlane(blob(), "grey", "png", "L")) is None
    assert mask.edge_share(MaskPlane(IDS, "palette", "png", "P")) is None
    assert mask.edge_share(MaskPlane(IDS.astype(np.uint16), "grey", "png", "I;16")) is None


def test_a_value_map_gives_ids_and_ignores_what_is_off_it():
    value_map = ValueMap(((0, 0), (255, 1)), 1)
    plane = MaskPlane(np.array([[0, 255, 7]], np.uint8), "grey", "png", "L")
    assert value_map.apply(plane, value_map.lut()).tolist() == [[0, 1, 255]]


def test_a_threshold_cuts_8_and_16_bit_masks_alike():
    value_map = ValueMap((), 1, 128)
    for dtype in (np.uint8, np.uint16):
        plane = MaskPlane(np.array([[0, 127, 128, 255]], dtype), "grey", "png", "L")
        assert value_map.apply(plane, value_map.lut()).tolist() == [[0, 0, 1, 1]]


def test_black_and_white_of_a_bilevel_mask_follow_the_map():
    plane = MaskPlane(np.array([[0, 1]], np.uint8), "bilevel", "png", "1")
    inverted = ValueMap(((0, 1), (255, 0)), 0)  # --mask-map 255=background,0=lesion
    assert inverted.apply(plane, inverted.lut()).tolist() == [[1, 0]]
    cut = ValueMap((), 1, 128)
    assert cut.apply(plane, cut.lut()).tolist() == [[0, 1]]


def test_parts_are_painted_in_order_with_one_id_transparent():
    parts = [np.array([row], np.uint8) for row in ([1, 1, 0, 0], [0, 2, 2, 0], [0, 0, 0, 0])]
    assert mask.paint(parts, 0).tolist() == [[1, 2, 2, 0]]
    assert mask.paint(parts[:1], 0) is parts[0]
    parts = [np.array([row], np.uint8) for row in ([0, 1, 1], [1, 0, 1])]
    assert mask.paint(parts, 1).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("names", "ids", "clear"),
    [
        (("background", "lung"), {0: 0, 255: 1}, 0),
        (("lung", "background"), {255: 0, 0: 1}, 1),
        (("background", "lesion"), {255: 0, 0: 1}, 0),
        (("lung", "rest"), {255: 0, 0: 1}, 1),
        (("a", "b"), {0: 255, 1: 0, 2: 1}, 255),
        (("a", "b"), {1: 0, 2: 1}, 0),
    ],
)
def test_the_background_by_name_or_else_by_value_is_transparent(names, ids, clear):
    assert mask.clear_of(names, ids) == clear


def test_fitting_takes_the_nearest_value_and_makes_no_new_ones():
    fitted = mask.fit(IDS, 31, 17)
    assert fitted.shape == (31, 17)
    assert set(np.unique(fitted)) <= set(np.unique(IDS))
    assert mask.fit(IDS, *IDS.shape) is IDS


def test_the_stored_form_is_a_grey_8_bit_png_of_ids():
    data = mask.encode(IDS)
    assert (np.asarray(Image.open(io.BytesIO(data))) == IDS).all()
    found = png.walk(data)
    assert (found.bit_depth, found.colour_type) == (8, 0)


def test_pixels_of_each_id_are_counted_with_ignore():
    ids = np.array([[0, 0, 3, 255]], np.uint8)
    assert mask.count_ids(ids) == {0: 2, 3: 1, 255: 1}


@pytest.mark.parametrize("side", [40, 1100])
@pytest.mark.parametrize("photo", [False, True])
def test_of_many_colours_the_most_frequent_are_named(side, photo):
    pixels = np.zeros((side, side, 3), np.uint8)
    for at in range(1, 9):
        pixels[at::10, :, 0] = 20 * at
    pixels[: side // 2] = (9, 200, 30)
    if photo:
        rows, columns = np.ogrid[: side // 2, :side]
        pixels[side // 2 :, :, 1] = rows * 7 + columns % 3
        pixels[side // 2 :, :, 2] = columns
    with pytest.raises(PixelError) as caught:
        mask.read(encoded(pixels))
    assert "more than 6, most often (9, 200, 30), (" in caught.value.message


def test_few_colours_are_all_named_by_their_number():
    pixels = np.zeros((1200, 1200, 3), np.uint8)
    pixels[:9, :9], pixels[20, 20] = (0, 0, 255), (255, 0, 0)
    with pytest.raises(PixelError) as caught:
        mask.read(encoded(pixels))
    assert "holds colours ((0, 0, 0), (0, 0, 255), (255, 0, 0))," in caught.value.message
