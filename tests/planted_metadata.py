"""Small JPEG and PNG files with all that files may hold beside pixels; each text is planted.

`PLANTED` stands in every metadata field that is made here, so it must stand in no stripped file.
"""

import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

import make
from segrecord.images import jpeg, png

PLANTED = b"Jane Doe, Ward 7"
HEIGHT, WIDTH = 24, 40
GPS = {0: b"\2\3\0\0", 1: b"N", 2: ((52, 1), (31, 1), (12, 1))}


def photo(mode="RGB"):
    """A picture of smooth colours and some noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(3).normal(0, 20, (HEIGHT, WIDTH, 3))
    smooth = np.stack((rows * 5, columns * 5, rows + columns), axis=2)
    pixels = (smooth + noise).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def segment(code, body=b""):
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ascii_entry(tag, text, at):
    """An entry of a little-endian directory, whose text lies at this offset."""
    return struct.pack("<HHII", tag, 2, len(text), at)


def exif(fields, *, gps=False, thumbnail=b"", extra=()):
    """A little-endian EXIF structure, from its byte order on.

    Args:
        fields: texts by tag; tags over 0x9000 go into the EXIF directory.
        gps: add a GPS directory.
        thumbnail: bytes of a preview, in a second directory.
        extra: whole 12-byte entries of the first directory.
    """
    parts, blob = [list(extra), []], b""
    at = 2000
    for tag, text in sorted(fields.items()):
        parts[tag >= 0x9000].append(ascii_entry(tag, text.ljust(5, b"\0"), at + len(blob)))
        blob += text.ljust(5, b"\0")
    main, inner = parts
    if inner:
        main.append(struct.pack("<HHII", 0x8769, 4, 1, 1000))
    if gps:
        main.append(struct.pack("<HHII", 0x8825, 4, 1, 1500))
    behind = 1800 if thumbnail else 0
    out = b"II*\0\x08\0\0\0" + _directory(main, behind)
    out = out.ljust(1000, b"\0") + _directory(inner)
    places = [struct.pack("<HHI4s", 0, 1, 4, b"\2\3\0\0"), struct.pack("<HHI4s", 1, 2, 2, b"N\0")]
    out = out.ljust(1500, b"\0") + _directory(places if gps else places[:1])
    preview = struct.pack("<HHII", 0x0201, 4, 1, at + len(blob))
    out = out.ljust(1800, b"\0") + _directory([preview] if thumbnail else [])
    return out.ljust(at, b"\0") + blob + thumbnail


def _directory(entries, behind=0):
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", behind)


def iptc(number=80, text=PLANTED):
    return b"\x1c\2" + bytes((number,)) + struct.pack(">H", len(text)) + text


def resource(kind, body):
    """A Photoshop image resource without a name."""
    padded = body + b"\0" * (len(body) % 2)
    return b"8BIM" + struct.pack(">H", kind) + b"\0\0" + struct.pack(">I", len(body)) + padded


def icc(text=PLANTED):
    """The body of a colour profile that names someone."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile + text


FULL_EXIF = exif(
    {0x010E: PLANTED, 0x013B: PLANTED, 0x9003: PLANTED, 0x927C: PLANTED},
    gps=True,
    thumbnail=PLANTED,
)
JFIF = b"JFIF\0\1\1\0\0\1\0\1"
"""A body up to the size of its thumbnail."""

THUMBNAIL = (PLANTED * 3)[:48]
ICC = icc()
MPF = b"II*\0" + struct.pack("<IHHHIIHHIII", 8, 2, 0xB001, 4, 1, 1, 0xB002, 7, 16, 38, 0)
MPF += bytes(16)
"""CIPA DC-007: there is one picture."""


SEGMENTS = {
    "EXIF": segment(0xE1, b"Exif\0\0" + FULL_EXIF),
    "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + PLANTED),
    "extended XMP": segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + PLANTED),
    "Photoshop": segment(0xED, b"Photoshop 3.0\0" + resource(0x0404, iptc())),
    "profile in three": b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes((part, 3)) + ICC[at : at + 250])
        for part, at in enumerate(range(len(ICC) - 750, len(ICC), 250), 1)
    ),
    "MPF": segment(0xE2, b"MPF\0" + MPF + PLANTED),
    "comment": segment(0xFE, PLANTED),
    "JFXX": segment(0xE0, b"JFXX\0\x13\4\4" + THUMBNAIL),
    "short JFIF": segment(0xE0, b"JFIF\0\1\1"),
    "other APP0": segment(0xE0, b"AVI1" + PLANTED),
    "other APP14": segment(0xEE, PLANTED),
    "short Adobe": segment(0xEE, b"Adobe\0d\0\0"),
    "empty": segment(0xE5),
} | {f"APP{number}": segment(0xE0 + number, PLANTED) for number in (3, 7, 11, 12, 15)}


def saved(mode="RGB", **how):
    return make.saved(photo(mode), "JPEG", **how)


def without(data, *codes):
    """A JPEG without the segments of these codes."""
    for code, start, end in reversed(list(jpeg.segments(data))):
        if code in codes:
            data = data[: start - 4] + data[end:]
    return data


def numbered(data):
    """A JPEG stored as RGB whose components are called 1, 2, 3 and no longer R, G, B."""
    frame = data.index(b"\xff\xc0") + 10
    scan = data.index(b"\xff\xda") + 5
    out = bytearray(data)
    out[frame : frame + 9 : 3] = out[scan : scan + 6 : 2] = b"\1\2\3"
    return bytes(out)


PLAIN_JPEGS = {
    "RGB": saved(),
    "4:4:4": saved(subsampling=0),
    "progressive": saved(progressive=True),
    "restarts": saved(restart_marker_rows=1),
    "progressive with restarts": saved(progressive=True, restart_marker_blocks=2),
    "grey": saved("L"),
    "grey progressive": saved("L", progressive=True),
    "CMYK": saved("CMYK"),
    "Adobe RGB": saved(keep_rgb=True),
    "Adobe RGB, numbered": numbered(saved(keep_rgb=True)),
    "RGB by its letters": without(saved(keep_rgb=True), 0xEE),
    "YCbCr without JFIF": without(saved(), 0xE0),
}
"""Nothing has to be taken out of these."""


def with_segments(data, *more):
    """A JPEG with these segments before its frame."""
    at = next(start - 4 for code, start, _ in jpeg.segments(data) if 0xC0 <= code <= 0xC2)
    return data[:at] + b"".join(more) + data[at:]


def between_scans(data, more):
    """A JPEG with these bytes before every marker that follows a scan, EOI included."""
    places, scanned = [], False
    for code, start, _ in jpeg.segments(data):
        if scanned:
            places.append(start - (2 if code == 0xD9 else 4))
        scanned = code == 0xDA
    for at in reversed(places):
        data = data[:at] + more + data[at:]
    return data


def with_thumbnail(data):
    """A JPEG whose JFIF segment holds a thumbnail of 4 x 4 pixels."""
    at = data.index(b"JFIF\0")
    return (
        data[: at - 2]
        + struct.pack(">H", 64)
        + data[at : at + 12]
        + b"\4\4"
        + THUMBNAIL
        + data[at + 14 :]
    )


def jpegs():
    """JPEG files by name that hold it all, and what each is to become byte by byte."""
    everything = b"".join(SEGMENTS.values())
    found = {
        f"{name}, all": (with_segments(data, everything), data)
        for name, data in PLAIN_JPEGS.items()
    }
    found |= {
        f"RGB, {name}": (
            with_segments(PLAIN_JPEGS["RGB"], more, SEGMENTS["comment"]),
            PLAIN_JPEGS["RGB"],
        )
        for name, more in SEGMENTS.items()
    }
    found |= {
        f"{name}, between scans": (between_scans(data, everything), data)
        for name, data in PLAIN_JPEGS.items()
    }
    found |= {
        f"{name}, after the end": (data + PLANTED, data) for name, data in PLAIN_JPEGS.items()
    }
    rgb, adobe = PLAIN_JPEGS["RGB"], PLAIN_JPEGS["Adobe RGB, numbered"]
    fill = b"\xff" * 3
    end = adobe.index(b"Adobe") + 12
    longer = adobe[: end - 14] + struct.pack(">H", 14 + len(PLANTED)) + adobe[end - 12 : end]
    return found | {
        "JFIF thumbnail": (with_thumbnail(rgb), rgb),
        "fill bytes": (rgb[:2] + fill + segment(0xFE, PLANTED) + rgb[2:], rgb[:2] + fill + rgb[2:]),
        "fill bytes after a scan": (
            between_scans(rgb, fill + SEGMENTS["comment"]),
            between_scans(rgb, fill),
        ),
        "second JFIF": (
            with_segments(rgb, segment(0xE0, JFIF + b"\4\4" + THUMBNAIL)),
            with_segments(rgb, segment(0xE0, JFIF + b"\0\0")),
        ),
        "long Adobe": (longer + PLANTED + adobe[end:], adobe),
    }


CHUNKS = {
    "tEXt": chunk(b"tEXt", b"Author\0" + PLANTED),
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(PLANTED)),
    "iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PLANTED),
    "eXIf": chunk(b"eXIf", FULL_EXIF),
    "tIME": chunk(b"tIME", struct.pack(">HBBBBB", 2020, 1, 2, 3, 4, 5)),
    "sPLT": chunk(b"sPLT", PLANTED + b"\0\x08" + bytes(6)),
    "private": chunk(b"prIv", PLANTED),
    "long pHYs": chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0) + PLANTED),
    "long gAMA": chunk(b"gAMA", struct.pack(">I", 45455) + PLANTED),
    "one frame": chunk(b"acTL", struct.pack(">II", 1, 0))
    + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0)),
}
"""What goes."""

NUMBERS = {
    "gAMA": chunk(b"gAMA", struct.pack(">I", 30000)),
    "sRGB": chunk(b"sRGB", b"\0"),
    "cHRM": chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 1)),
    "sBIT": chunk(b"sBIT", b"\5\6\5"),
    "bKGD": chunk(b"bKGD", struct.pack(">HHH", 70, 80, 90)),
    "pHYs": chunk(b"pHYs", struct.pack(">IIB", 2835, 2000, 1)),
}
"""What stays in an RGB PNG."""

PROFILES = {
    "iCCP": chunk(b"iCCP", b"name\0\0" + zlib.compress(ICC)),
    "cICP": chunk(b"cICP", bytes((9, 16, 0, 1))),
}


def with_chunks(data, *more, before=b"IDAT"):
    """A PNG with these chunks before the first of this type."""
    at = next(start - 8 for kind, start, _ in png.chunks(data, 8) if kind == before)
    return data[:at] + b"".join(more) + data[at:]


def _keyed(mode, key):
    return with_chunks(make.saved(photo(mode), "PNG"), chunk(b"tRNS", key))


def in_pieces(data, size):
    """A PNG of one IDAT chunk divided into such of so many bytes."""
    ((start, end),) = [
        (start, end - 4) for kind, start, end in png.chunks(data, 8) if kind == b"IDAT"
    ]
    pieces = [chunk(b"IDAT", data[at : min(at + size, end)]) for at in range(start, end, size)]
    return data[: start - 8] + b"".join(pieces) + chunk(b"IEND")


PLAIN_PNGS = {mode: make.saved(photo(mode), "PNG") for mode in ("L", "LA", "RGB", "RGBA", "P")} | {
    "grey key": _keyed("L", struct.pack(">H", photo("L").getpixel((0, 0)))),
    "colour key": _keyed("RGB", struct.pack(">HHH", *photo().getpixel((0, 0)))),
    "palette with alpha": make.saved(photo("P"), "PNG", transparency=bytes(range(200))),
    "many IDAT": in_pieces(make.saved(photo(), "PNG"), 100),
    "numbers": with_chunks(make.saved(photo(), "PNG"), *NUMBERS.values()),
}
"""Nothing has to be taken out of these."""


def pngs():
    """PNG files by name that hold it all, and what each is to become byte by byte."""
    everything = b"".join(CHUNKS.values())
    found = {
        f"{name}, all": (with_chunks(data, everything), data) for name, data in PLAIN_PNGS.items()
    }
    found |= {
        f"{name}, behind": (with_chunks(data, CHUNKS["tEXt"], CHUNKS["eXIf"], before=b"IEND"), data)
        for name, data in PLAIN_PNGS.items()
    }
    rgb = PLAIN_PNGS["RGB"]
    found |= {f"RGB, {name}": (with_chunks(rgb, more), rgb) for name, more in CHUNKS.items()}
    found |= {f"{name}, after the end": (data + PLANTED, data) for name, data in PLAIN_PNGS.items()}
    return found
