"""Which format a file's bytes are of, by content; a file's name is only ever compared with it."""

from __future__ import annotations

import os
import re

from segrecord.errors import PixelError
from segrecord.pixels import jpeg, png

_MAGIC = (
    ("png", re.compile(re.escape(png.SIGNATURE))),
    ("jpeg", re.compile(re.escape(jpeg.SIGNATURE))),
    ("gif", re.compile(rb"GIF8[79]a")),
    ("tiff", re.compile(rb"II[*+]\0|MM\0[*+]")),
    ("webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("bmp", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)),
    ("ppm", re.compile(rb"P[1-6][ \t\r\n#]")),
)
"""First bytes of each format that is read. BM alone would catch text: the header's size follows."""

_EXTENSIONS = {
    "png": ("png", "apng"),
    "jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "gif": ("gif",),
    "tiff": ("tif", "tiff"),
    "webp": ("webp",),
    "bmp": ("bmp", "dib"),
    "ppm": ("ppm", "pgm", "pbm", "pnm"),
}
_FORMAT_OF = {extension: name for name, some in _EXTENSIONS.items() for extension in some}

_LFS = b"version https://git-lfs.github.com/spec/"
_APPLE_DOUBLE = b"\0\x05\x16\x07"
"""RFC 1740: what macOS writes beside a file as ._name on a foreign file system."""


def identify(data: bytes) -> str:
    """The format: png, jpeg, gif, tiff, webp, bmp or ppm.

    Raises:
        PixelError: the bytes are of none of these; the code says what else they are, if known.
    """
    for name, magic in _MAGIC:
        if magic.match(data):
            return name
    if not data:
        raise PixelError("empty-file", "the file is empty", "fetch the file again")
    if data.startswith(_LFS):
        raise PixelError("lfs-pointer", "the file is a Git LFS pointer", "run `git lfs pull`")
    if data.startswith(_APPLE_DOUBLE):
        raise PixelError(
            "apple-double",
            "the file is AppleDouble metadata of macOS, not an image",
            "delete it, or leave it out",
        )
    raise PixelError(
        "not-an-image",
        f"the file is no image of a known format ({', '.join(_EXTENSIONS)}); "
        f"it begins with {bytes(data[:8])!r}",
        "save it as PNG, or leave it out",
    )


def extension_agrees(path: str, form: str) -> bool:
    """Whether a file's extension, if it is a known one, is one of this format."""
    extension = os.path.splitext(path)[1][1:].lower()  # noqa: PTH122 - text, in a hot loop
    return _FORMAT_OF.get(extension, form) == form
