"""Orientation: found wherever it stands, applied once, and told of where it is not applied."""

import io
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

import segrecord
from make import blob, encoded, exif, picture, put, segment, with_chunk
from scanned import finding_of
from segrecord.errors import DataError, PixelError, RecordError
from segrecord.images import image, mask, png
from segrecord.scanning.worker import Row, ScanTask, scan_rows
from segrecord.write import shard_writer

pytestmark = pytest.mark.usefixtures("inline")

UPRIGHT = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.rot90(pixels, 2), 0, 1),
    8: np.rot90,
}
SIDES = (b"IDAT", b"IEND")
XMP = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/>'


def xmp(value):
    return XMP.format(value).encode()


def profile(value, name="exif"):
    """ImageMagick's text of EXIF: a name, a length, hexadecimal digits."""
    body = b"Exif\0\0" + exif(value)
    return f"\n{name}\n{len(body):8}\n{body.hex()}\n".encode()


def jpeg_with(*bodies):
    data = encoded(picture(height=9, width=13), "JPEG")
    return data[:2] + b"".join(segment(0xE1, body) for body in bodies) + data[2:]


def png_with(kind, body, before=b"IDAT"):
    return with_chunk(png.encode(picture(height=9, width=13)), kind, body, before=before)


def itxt(text, *, packed=False):
    text = zlib.compress(text) if packed else text
    return b"XML:com.adobe.xmp\0" + bytes([packed, 0]) + b"\0\0" + text


@pytest.mark.parametrize("before", SIDES)
@pytest.mark.parametrize("value", UPRIGHT)
@pytest.mark.parametrize("height", [9, 13])
def test_png_is_turned_on_whichever_side_of_the_pixels_its_exif_stands(value, before, height):
    pixels = picture(height=height, width=13)
    data = with_chunk(png.encode(pixels), b"eXIf", exif(value), before=before)
    upright = UPRIGHT[value](pixels)
    facts, _ = image.examine(data)
    stored, _, *size = image.store(data, facts)
    assert (facts.height, facts.width) == tuple(size) == upright.shape[:2]
    assert np.array_equal(image.decode(data), upright)
    assert np.array_equal(image.decode(stored), upright)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored))), upright)
    drawn = blob(height=height, width=13)
    plane = mask.read(with_chunk(png.encode(drawn), b"eXIf", exif(value), before=before))
    assert np.array_equal(plane.values, UPRIGHT[value](drawn))


@pytest.mark.parametrize("height", [9, 13])
@pytest.mark.parametrize("schema", ["deeplab", "raw"])
def test_built_picture_stands_upright_and_verify_accepts_it(tmp_path, height, schema):
    pixels, drawn = picture(height=height, width=13), blob(height=height, width=13)
    upright = UPRIGHT[6](pixels)
    turned = with_chunk(png.encode(pixels), b"eXIf", exif(6), before=b"IEND")
    put(tmp_path / "in/images/a.png", turned)
    put(tmp_path / "in/masks/a.png", png.encode(np.ascontiguousarray(UPRIGHT[6](drawn))))
    out = tmp_path / "out"
    segrecord.build(tmp_path / "in", out, schema=schema, ignore=("empty-split", "no-group"))
    opened = segrecord.open(out)
    row = pa.ipc.open_file(str(out / "records.arrow")).read_all().to_pylist()[0]
    assert (row["height"], row["width"]) == upright.shape[:2]
    assert np.array_equal(opened[0].image, upright)
    assert segrecord.verify(out, source=tmp_path / "in").problems == ()


@pytest.mark.parametrize("wrong", ["image", "mask"])
@pytest.mark.parametrize("schema", ["deeplab", "raw"])
def test_read_back_compares_the_size_of_what_is_stored_with_the_index(
    tmp_path, monkeypatch, wrong, schema
):
    put(tmp_path / "in/images/a.png", png.encode(picture(height=9, width=13)))
    put(tmp_path / "in/masks/a.png", png.encode(blob(height=9, width=13)))
    if wrong == "image":
        other = shard_writer._Image(png.encode(picture(height=13, width=9)), "png", 9, 13, 3)
        if schema == "raw":
            other = shard_writer._Image(bytes(9 * 12 * 3), "raw", 9, 13, 3)
        monkeypatch.setattr(shard_writer, "_image", lambda *_: other)
    else:
        stored = png.encode(blob(height=13, width=9)) if schema == "deeplab" else bytes(9 * 12)
        monkeypatch.setattr(
            shard_writer,
            "_mask",
            lambda *_: shard_writer.Mask(stored, present=True, pixels={0: 117}),
        )
    with pytest.raises(RecordError, match=rf"the {wrong} (is 13 x 9|has \d+ bytes)"):
        segrecord.build(tmp_path / "in", tmp_path / "out", schema=schema, ignore=("no-group",))
    assert not (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("which", ["images", "masks"])
def test_headers_alone_do_not_let_an_exif_behind_the_pixels_through(tmp_path, which, keep):
    files = {"images": png.encode(picture(height=9, width=9)), "masks": png.encode(blob(0, 9, 9))}
    files[which] = with_chunk(files[which], b"eXIf", exif(6), before=b"IEND")
    for folder, data in files.items():
        put(tmp_path / "in" / folder / "a.png", data)
    with pytest.raises(DataError) as caught:
        segrecord.build(tmp_path / "in", tmp_path / "out", checks="none", keep_metadata=keep)
    (found,) = [one for one in caught.value.findings if one.level == "error"]
    assert (found.code, found.fix) == ("header-not-enough", "pass --checks basic")
    assert found.path.endswith(f"{which}/a.png")


def warned(tmp_path, data, *, masks=()):
    """The orientations that are there and not applied: (path, message)."""
    path = str(put(tmp_path / "picture", data))
    task = ScanTask((Row("a", path, masks),), "full", None, (None,))
    (found,) = scan_rows(task)
    problems = found.facts["problems"]
    told = [finding_of(problem) for problem in problems]
    assert {one.level for one in told} <= {"warning"}
    assert {one.code for one in told} <= {"orientation-ignored"}
    return [(one.path, one.message) for one in told]


IGNORED = {
    "jpeg XMP": (jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + xmp(6)), "XMP"),
    "png XMP": (png_with(b"iTXt", itxt(xmp(6))), "XMP"),
    "png XMP packed": (png_with(b"iTXt", itxt(xmp(6), packed=True)), "XMP"),
    "png XMP behind": (png_with(b"iTXt", itxt(xmp(6)), b"IEND"), "XMP"),
    "png profile": (
        png_with(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile(6))),
        "PNG text Raw profile type exif",
    ),
    "png profile behind": (
        png_with(b"tEXt", b"Raw profile type APP1\0" + profile(6, "APP1"), b"IEND"),
        "PNG text Raw profile type APP1",
    ),
    "png wrong form": (png_with(b"eXIf", b"Exif\0\0" + exif(6)), "an eXIf chunk of the wrong form"),
    "jpeg second EXIF": (
        jpeg_with(b"Exif\0\0" + exif(1), b"Exif\0\0" + exif(6)),
        "a second EXIF",
    ),
    "webp XMP": (
        encoded(picture(height=9, width=13), "WEBP", lossless=True, xmp=xmp(6)),
        "XMP",
    ),
    "tiff XMP": (encoded(picture(height=9, width=13), "TIFF", tiffinfo={700: xmp(6)}), "XMP"),
    "tiff XMP packed": (
        encoded(
            picture(height=9, width=13), "TIFF", tiffinfo={700: xmp(6)}, compression="tiff_lzw"
        ),
        "XMP",
    ),
}


@pytest.mark.parametrize("name", IGNORED)
def test_orientation_that_decoders_differ_on_is_told_and_not_applied(tmp_path, name):
    data, where = IGNORED[name]
    pixels = picture(height=9, width=13)
    if not name.startswith("jpeg"):
        assert np.array_equal(image.decode(data), pixels)
        assert np.array_equal(image.decode(image.store(data, image.examine(data)[0])[0]), pixels)
    facts, _ = image.examine(data)
    assert (facts.height, facts.width) == (9, 13)
    ((path, message),) = warned(tmp_path, data)
    assert path.endswith("picture")
    assert message == (
        f"{where} says orientation 6, which some programs apply and others do not; the picture is "
        "left as it lies in the file"
    )


def test_the_fault_is_real_pillow_turns_by_xmp(tmp_path):
    """Should Pillow stop it, the warning is for nothing."""
    for name in ("jpeg XMP", "png XMP", "png XMP packed", "png profile", "webp XMP", "tiff XMP"):
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(IGNORED[name][0])))
        assert upright.size == (9, 13), name


AGREED = {
    "XMP says upright": jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + xmp(1)),
    "EXIF says upright": jpeg_with(
        b"Exif\0\0" + exif(1), b"http://ns.adobe.com/xap/1.0/\0" + xmp(6)
    ),
    "both say the same": jpeg_with(
        b"http://ns.adobe.com/xap/1.0/\0" + xmp(6), b"Exif\0\0" + exif(6)
    ),
    "png EXIF behind": with_chunk(
        png_with(b"iTXt", itxt(xmp(6))), b"eXIf", exif(1), before=b"IEND"
    ),
    "webp both": encoded(picture(height=9, width=13), "WEBP", xmp=xmp(6), exif=exif(3)),
    "tiff both": encoded(picture(height=9, width=13), "TIFF", tiffinfo={700: xmp(6), 274: 3}),
    "broken text": png_with(b"zTXt", b"Raw profile type exif\0\0nothing packed"),
    "no digits": png_with(b"tEXt", b"Raw profile type exif\0\nexif\n 4\nxyz\n"),
}


@pytest.mark.parametrize("name", AGREED)
def test_no_warning_where_exif_has_the_say_or_nothing_is_turned(tmp_path, name):
    assert warned(tmp_path, AGREED[name]) == []


def test_webp_and_tiff_are_turned_by_exif_though_xmp_says_otherwise():
    pixels = picture(height=9, width=13)
    webp = encoded(pixels, "WEBP", lossless=True, xmp=xmp(6), exif=exif(3))
    for data in (webp, AGREED["tiff both"]):
        assert np.array_equal(image.decode(data), UPRIGHT[3](pixels))


def test_masks_are_told_of_too(tmp_path):
    drawn = with_chunk(png.encode(blob(0, 9, 13)), b"iTXt", itxt(xmp(6)), before=b"IDAT")
    path = str(put(tmp_path / "mask.png", drawn))
    assert [at for at, _ in warned(tmp_path, png.encode(picture(0, 9, 13)), masks=(path,))] == [
        path
    ]


def test_second_exif_of_a_jpeg_does_not_turn_it_and_may_be_stripped():
    data = IGNORED["jpeg second EXIF"][0]
    facts, _ = image.examine(data)
    assert (facts.handling, facts.orientation) == ("keep", 1)
    assert np.array_equal(image.decode(image.store(data, facts)[0]), image.decode(data))


def test_exif_behind_the_first_scan_of_a_jpeg_does_not_turn_it():
    data = encoded(picture(height=9, width=13), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    data = data[:at] + segment(0xE1, b"Exif\0\0" + exif(6)) + data[at:]
    facts, _ = image.examine(data)
    assert (facts.orientation, facts.handling) == (1, "keep")
    assert [note.code for note in facts.notes] == ["orientation-ignored"]
    assert Image.open(io.BytesIO(data)).getexif().get(0x0112) is None
    assert b"Exif" not in image.store(data, facts)[0]


def test_transparency_out_of_place_is_refused(tmp_path):
    """Pillow makes the picture transparent by it, TensorFlow and browsers do not."""
    data = png_with(b"tRNS", bytes(6), b"IEND")
    with pytest.raises(PixelError, match="decoders differ on what is transparent"):
        image.examine(data)
