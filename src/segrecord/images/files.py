"""A path in, the file's bytes out, and which format they are of, by content.

The one place where source files are opened; a file's name is only ever compared with its format.
"""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from segrecord.errors import PixelError
from segrecord.executors import note
from segrecord.images import jpeg, png

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused: an Example must stay below protobuf's 2 GiB, mask included."""

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Opening a pipe must not wait for a writer; regular files do not mind."""

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


class Head(NamedTuple):
    """The beginning of a file."""

    data: bytes
    size: int
    """Of the whole file, in bytes."""
    modified: int
    """Nanoseconds since the epoch."""


def load(path: str) -> bytes:
    """All bytes of a file.

    Notes the path first, so that an engine can name the file a worker died on.

    Raises:
        PixelError: the file is missing, unreadable, no regular file or over MAX_FILE_BYTES.
    """
    return load_head(path, MAX_FILE_BYTES).data


def load_head(path: str, limit: int) -> Head:
    """The first `limit` bytes of a file, or all if it is shorter; raises as `load`."""
    note(path)
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PixelError("unreadable-file", case="irregular")
            if status.st_size > MAX_FILE_BYTES:
                raise PixelError("file-too-large", size=status.st_size, limit=MAX_FILE_BYTES)
            wanted = min(status.st_size, limit)
            data = os.read(descriptor, wanted)
            while len(data) < wanted and (more := os.read(descriptor, wanted - len(data))):
                data += more
            return Head(data, status.st_size, status.st_mtime_ns)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise PixelError("missing-file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise PixelError("unreadable-file", reason=reason) from None


def identify(data: bytes) -> str:
    """The format: png, jpeg, gif, tiff, webp, bmp or ppm.

    Raises:
        PixelError: the bytes are of none of these; the code says what else they are, if anything
            that is recognised.
    """
    for name, magic in _MAGIC:
        if magic.match(data):
            return name
    if not data:
        raise PixelError("empty-file")
    if data.startswith(_LFS):
        raise PixelError("lfs-pointer")
    if data.startswith(_APPLE_DOUBLE):
        raise PixelError("apple-double")
    head = repr(bytes(data[:8]))
    raise PixelError("not-an-image", formats=", ".join(_EXTENSIONS), head=head)


def extension_agrees(path: str, form: str) -> bool:
    """Whether a file's extension, if it is that of a format, is one of this format."""
    extension = os.path.splitext(path)[1][1:].lower()  # noqa: PTH122 - text, in a hot loop
    return _FORMAT_OF.get(extension, form) == form
