"""What files hold that may name a person, a place or a time is told by short names, and no more."""

import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import make
import planted_metadata
from planted_metadata import PLANTED, chunk, exif, segment
from segrecord.images import files
from segrecord.images.metadata import held

RGB, PNG = planted_metadata.PLAIN_JPEGS["RGB"], planted_metadata.PLAIN_PNGS["RGB"]
GEO = (0.1, 0.1, 0.0)


def jpeg_with(code, body):
    return planted_metadata.with_segments(RGB, segment(code, body))


def with_exif(*fields, **how):
    return jpeg_with(0xE1, b"Exif\0\0" + exif(dict.fromkeys(fields, PLANTED), **how))


def with_resources(*some):
    parts = [planted_metadata.resource(kind, body) for kind, body in some]
    return jpeg_with(0xED, b"Photoshop 3.0\0" + b"".join(parts))


def with_text(kind, body):
    return planted_metadata.with_chunks(PNG, chunk(kind, body))


def other(form, mode="L", **how):
    return make.saved(planted_metadata.photo(mode), form, **how)


def tiff_with(tag, value):
    return other("TIFF", tiffinfo={tag: value})


def big_tiff(tag, text):
    """A BigTIFF directory with one text; no picture."""
    entry = struct.pack("<HHQQ", tag, 2, len(text), 16 + 8 + 20 + 8)
    head = b"II+\0" + struct.pack("<HHQ", 8, 0, 16)
    return head + struct.pack("<Q", 1) + entry + struct.pack("<Q", 0) + text


def big_endian(tag, text):
    head = struct.pack(">2sHIH", b"MM", 42, 8, 1)
    return head + struct.pack(">HHII", tag, 2, len(text), 26) + struct.pack(">I", 0) + text


NAMED = {
    "EXIF GPS": with_exif(gps=True),
    "EXIF ImageDescription": with_exif(0x010E),
    "EXIF DateTime": with_exif(0x0132),
    "EXIF Artist": with_exif(0x013B),
    "EXIF HostComputer": with_exif(0x013C),
    "EXIF Copyright": with_exif(0x8298),
    "EXIF MakerNote": with_exif(0x927C),
    "EXIF UserComment": jpeg_with(0xE1, b"Exif\0\0" + exif({0x9286: b"ASCII\0\0\0" + PLANTED})),
    "EXIF XPAuthor": with_exif(0x9C9D),
    "EXIF CameraOwnerName": with_exif(0xA430),
    "EXIF serial number": with_exif(0xA431, 0xA435),
    "EXIF thumbnail": with_exif(thumbnail=RGB),
    "XMP": jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + PLANTED),
    "IPTC": with_resources(
        (0x03ED, bytes(15)), (0x0404, planted_metadata.iptc(0) + planted_metadata.iptc())
    ),
    "Photoshop thumbnail": with_resources((0x040C, PLANTED)),
    "JPEG comment": jpeg_with(0xFE, PLANTED),
    "JFIF thumbnail": planted_metadata.with_thumbnail(RGB),
    "content credentials": jpeg_with(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb" + PLANTED),
    "JPEG APP6": jpeg_with(0xE6, PLANTED),
    "PNG text Author": with_text(b"tEXt", b"Author\0" + PLANTED),
    "PNG text Comment": with_text(b"zTXt", b"Comment\0\0" + zlib.compress(PLANTED)),
    "PNG text Title": with_text(b"iTXt", b"Title\0\0\0\0\0" + PLANTED),
    "PNG time": with_text(b"tIME", struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5)),
    "TIFF Artist": tiff_with(315, "Jane Doe"),
    "TIFF DateTime": tiff_with(306, "2020:01:02 03:04:05"),
    "TIFF GeoTIFF": tiff_with(33550, GEO),
    "TIFF DocumentName": big_tiff(0x010D, PLANTED),
    "TIFF ImageDescription": big_endian(0x010E, PLANTED),
    "GIF comment": other("GIF", comment=PLANTED),
    "PPM comment": b"P5\n# by Jane Doe\n2 1\n#\n255\n\1\2",
}
SAME_NAME = [
    ("XMP", jpeg_with(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + PLANTED)),
    ("XMP", with_resources((0x0424, PLANTED))),
    ("XMP", with_text(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PLANTED)),
    ("XMP", other("WEBP", xmp=PLANTED)),
    ("XMP", tiff_with(700, PLANTED)),
    ("IPTC", tiff_with(33723, planted_metadata.iptc())),
    ("IPTC", tiff_with(34377, planted_metadata.resource(0x0404, planted_metadata.iptc()))),
    ("JFIF thumbnail", planted_metadata.with_segments(RGB, planted_metadata.SEGMENTS["JFXX"])),
    ("EXIF GPS", with_text(b"eXIf", exif({}, gps=True))),
    (
        "EXIF GPS",
        planted_metadata.with_chunks(PNG, chunk(b"eXIf", exif({}, gps=True)), before=b"IEND"),
    ),
    ("EXIF Artist", other("WEBP", exif=b"Exif\0\0" + exif({0x013B: PLANTED}))),
    ("content credentials", with_text(b"caBX", PLANTED)),
    ("PNG text " + "n" * 40, with_text(b"tEXt", b"n" * 79 + b"\0" + PLANTED)),
]


@pytest.mark.parametrize(("name", "data"), [*NAMED.items(), *SAME_NAME])
def test_personal_field_is_told_by_its_name_alone(name, data):
    found = held(data, files.identify(data))
    assert found == (name,)
    assert not any("Jane" in told for told in found)


def test_names_are_told_once_and_in_the_order_of_the_file():
    assert held(planted_metadata.jpegs()["RGB, all"][0], "jpeg") == (
        "EXIF ImageDescription",
        "EXIF Artist",
        "EXIF DateTime",
        "EXIF MakerNote",
        "EXIF GPS",
        "EXIF thumbnail",
        "XMP",
        "IPTC",
        "JPEG comment",
        "JFIF thumbnail",
        *(f"JPEG APP{number}" for number in (3, 7, 11, 12, 15)),
    )


ORIENTATION = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
NEUTRAL = {
    "orientation and program": jpeg_with(
        0xE1, b"Exif\0\0" + exif({0x0131: b"GIMP 2.10"}, extra=[ORIENTATION])
    ),
    "camera": with_exif(0x010F, 0x0110),
    "GPS version alone": jpeg_with(
        0xE1, b"Exif\0\0" + exif({}, extra=[struct.pack("<HHII", 0x8825, 4, 1, 1500)])
    ),
    "blank artist": jpeg_with(0xE1, b"Exif\0\0" + exif({0x013B: b"      \0"})),
    "unknown time": jpeg_with(0xE1, b"Exif\0\0" + exif({0x0132: b"0000:00:00 00:00:00\0"})),
    "blank time": jpeg_with(0xE1, b"Exif\0\0" + exif({0x0132: b"    :  :     :  :  \0"})),
    "blank user comment": jpeg_with(0xE1, b"Exif\0\0" + exif({0x9286: b"ASCII\0\0\0     "})),
    "EXIF in another byte order mark": jpeg_with(0xE1, b"Exif\0\0XX*\0" + PLANTED),
    "program's comment": jpeg_with(0xFE, b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62)"),
    "blank comment": jpeg_with(0xFE, b"   \0"),
    "profile": planted_metadata.with_segments(RGB, planted_metadata.SEGMENTS["profile in three"]),
    "Ducky": jpeg_with(0xEC, b"Ducky\0\1\0\4\0\0\0<\0\0"),
    "IPTC version alone": with_resources((0x0404, planted_metadata.iptc(0, b"\0\2"))),
    "Photoshop resolution": with_resources((0x03ED, bytes(16))),
    "program's PNG text": with_text(b"tEXt", b"Software\0Matplotlib version3.9"),
    "blank PNG text": with_text(b"tEXt", b"Comment\0 "),
    "PNG profile": planted_metadata.with_chunks(PNG, planted_metadata.PROFILES["iCCP"]),
    "tifffile's shape": tiff_with(270, '{"shape": [24, 40]}'),
    "ImageJ's shape": tiff_with(270, "ImageJ=1.53\nimages=1\n"),
    "PPM of GIMP": b"P5\n# Created by GIMP version 2.10\n2 1\n255\n\1\2",
    "pixels like a comment": b"P6 2 1 255\n#Jane#\n",
    "plain tiff": other("TIFF"),
    "plain webp": other("WEBP", "RGB"),
    "plain gif": other("GIF"),
    "plain bmp": other("BMP"),
}
NEUTRAL |= {f"jpeg {name}": data for name, data in planted_metadata.PLAIN_JPEGS.items()}
NEUTRAL |= {f"png {name}": data for name, data in planted_metadata.PLAIN_PNGS.items()}


@pytest.mark.parametrize("name", NEUTRAL)
def test_file_that_names_nobody_holds_nothing(name):
    data = NEUTRAL[name]
    assert held(data, files.identify(data)) == ()


def test_entry_whose_value_lies_outside_the_file_is_blank():
    broken = exif({0x013B: PLANTED})[:1900]
    assert held(jpeg_with(0xE1, b"Exif\0\0" + broken), "jpeg") == ()


def test_directory_that_claims_more_entries_than_there_are_is_read_as_far_as_it_goes():
    entry = struct.pack("<HHI4s", 0x013B, 2, 4, b"Jane")
    body = b"II*\0\x08\0\0\0" + struct.pack("<H", 0xFFFF) + entry
    assert held(jpeg_with(0xE1, b"Exif\0\0" + body), "jpeg") == ("EXIF Artist",)


def test_what_stands_before_damage_counts():
    data = jpeg_with(0xFE, PLANTED)
    at = data.index(PLANTED) + len(PLANTED)
    assert held(data[:at] + b"junk", "jpeg") == ("JPEG comment",)


@pytest.mark.parametrize("form", ["jpeg", "png", "gif", "webp", "tiff", "ppm", "bmp"])
def test_damaged_files_end_in_names_and_never_in_an_error(form, recwarn):
    whole = [data for _, data in [*NAMED.items(), *SAME_NAME] if files.identify(data) == form]
    whole += [data for data in NEUTRAL.values() if files.identify(data) == form]
    rng = random.Random(5)
    for _ in range(300):
        data = bytearray(rng.choice(whole)[: rng.choice((None, None, rng.randrange(400)))])
        for _ in range(rng.choice((1, 20, 200))):
            if data:
                data[rng.randrange(min(len(data), 600))] = rng.randrange(256)
        assert all(isinstance(name, str) for name in held(bytes(data), form))
    assert not recwarn.list


def test_pillows_own_files_hold_what_pillow_reads():
    """An EXIF structure by another writer than this test's."""
    data = Image.Exif()
    data[0x013B] = "Jane Doe"
    data.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    pixels = np.zeros((8, 8, 3), np.uint8)
    for form in ("JPEG", "PNG", "WEBP"):
        found = held(make.encoded(pixels, form, exif=data), form.lower())
        assert found == ("EXIF Artist", "EXIF GPS"), form
