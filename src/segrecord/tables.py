"""The five tables: every stage takes an Arrow table and gives one.

Column names, types and units stand here once. Text is `large_string` where a table may hold
millions of rows (`string` overflows at 2 GiB); a SHA-256 is 32 bytes.
"""

from __future__ import annotations

import pyarrow as pa

SHA256 = pa.binary(32)
TEXT = pa.large_string()

META_PREFIX = "meta/"
"""Columns that the user keeps stand in samples and records under this prefix, as text."""

MASK_PART = pa.struct(
    [
        # "file": `source` is a path. The other encodings of the design (rle, polygon) come later.
        pa.field("encoding", pa.string(), nullable=False),
        pa.field("source", TEXT, nullable=False),
        # Class id painted where the part is not 0; null: the values are read from the pixels.
        pa.field("value", pa.int32()),
        # Where the part's upper left corner lies on the image's canvas, in pixels.
        pa.field("top", pa.int32(), nullable=False),
        pa.field("left", pa.int32(), nullable=False),
    ]
)

SAMPLES = pa.schema(
    [
        pa.field("key", TEXT, nullable=False),
        pa.field("image", TEXT, nullable=False),  # a path that open() takes
        pa.field("frame", pa.int32(), nullable=False),  # 0 unless the file holds several
        pa.field("mask", pa.list_(MASK_PART), nullable=False),  # in painting order; may be empty
        pa.field("labels", pa.list_(pa.string()), nullable=False),  # class names; may be empty
        pa.field("group", TEXT),  # patient or lesion; null: the sample stands alone
        pa.field("split", pa.string()),  # when the user fixed it; null otherwise
        # further columns: META_PREFIX + name, large_string, null where the cell is empty
    ]
)

MASK_FACTS = pa.struct(
    [
        pa.field("bytes", pa.int64()),
        pa.field("sha256", SHA256),
        pa.field("format", pa.string()),
        pa.field("mode", pa.string()),
        pa.field("kind", pa.string()),  # grey, bilevel or palette
        pa.field("height", pa.int32()),  # pixels
        pa.field("width", pa.int32()),
        pa.field("values", pa.list_(pa.int32())),  # ascending
        pa.field("counts", pa.list_(pa.int64())),  # pixels of each value
        # Share of the pixels between the lowest and the highest value that lie within 2 pixels of
        # both; null where too few values lie between for a smoothed mask (checks/mask_values.py).
        pa.field("edge_share", pa.float32()),
        pa.field("pixels_sha256", SHA256),  # of the decoded values, as they stand in the file
        # 16 x 16 cells in C order: the share of a cell's pixels that are not 0, as 0 to 255.
        pa.field("map", pa.binary(256)),
    ]
)

PROBLEM = pa.struct(
    [
        pa.field("code", pa.string()),
        pa.field("path", TEXT),
        pa.field("values", TEXT),  # of the finding, as JSON
    ]
)

FACTS = pa.schema(
    [
        pa.field("key", TEXT, nullable=False),
        pa.field("checks", pa.string(), nullable=False),  # full, basic or none
        pa.field("image_bytes", pa.int64()),
        pa.field("image_sha256", SHA256),  # of the file; null under --checks none
        pa.field("image_format", pa.string()),  # by content: jpeg, png, bmp, gif, tiff, webp, ...
        pa.field("image_mode", pa.string()),  # Pillow's name of the pixel layout
        pa.field("bit_depth", pa.int32()),
        pa.field("orientation", pa.int32()),  # EXIF, 1 to 8
        pa.field("stored_height", pa.int32()),  # pixels as stored in the file
        pa.field("stored_width", pa.int32()),
        pa.field("height", pa.int32()),  # pixels as oriented
        pa.field("width", pa.int32()),
        pa.field("image_handling", pa.string()),  # keep, trim or encode
        pa.field("image_reason", pa.string()),  # why it is not kept as it is; "" where it is
        # How it says what is transparent: straight, premultiplied or unread (images/pillow.py);
        # "" where all is opaque by its header.
        pa.field("image_alpha", pa.string()),
        pa.field("masks", pa.list_(MASK_FACTS)),  # one for each mask part
        pa.field("pixels_sha256", SHA256),  # of the decoded image; full checks only
        pa.field("mean", pa.list_(pa.float32())),  # a channel, 0 to 255; full checks only
        pa.field("std", pa.list_(pa.float32())),
        # Pixels that are not wholly opaque; full checks only, null without alpha.
        pa.field("transparent", pa.int64()),
        # Share of the values (of all channels) in each of 32 equal bins: little-endian uint16,
        # 65535 is all of them; full checks only.
        pa.field("histogram", pa.binary(64)),
        # Perceptual hash (images/perceptual.py); full checks only, null where contrast is low.
        pa.field("phash", pa.uint64()),
        # What the image file holds that may name a person, a place or a time.
        pa.field("metadata", pa.list_(pa.string())),
        pa.field("problems", pa.list_(PROBLEM), nullable=False),
    ]
)

FINDINGS = pa.schema(
    [
        pa.field("level", pa.string(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("key", TEXT, nullable=False),
        pa.field("path", TEXT, nullable=False),
        pa.field("related", TEXT, nullable=False),  # JSON, [[key, path], ...]; "" for none
        pa.field("values", TEXT, nullable=False),  # JSON, {name: value}; "" for none
        pa.field("message", TEXT, nullable=False),
        pa.field("fix", TEXT, nullable=False),
    ]
)

PLAN = pa.schema(
    [
        pa.field("key", TEXT, nullable=False),
        pa.field("row", pa.int64(), nullable=False),  # of the sample in the samples table
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),  # within the split, from 0
        pa.field("position", pa.int64(), nullable=False),  # within the shard, from 0
    ]
)

RECORDS = pa.schema(
    [
        pa.field("key", TEXT, nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),  # within the split, from 0
        pa.field("offset", pa.int64(), nullable=False),  # of the record's frame, in bytes
        pa.field("length", pa.int64(), nullable=False),  # of the serialized Example, in bytes
        pa.field("label", pa.int64()),  # null: no label
        pa.field("group", TEXT),
        pa.field("height", pa.int32(), nullable=False),  # of the stored image, in pixels
        pa.field("width", pa.int32(), nullable=False),
        pa.field("has_mask", pa.bool_(), nullable=False),
        # Pixels of each mask class, by id; null where there is no mask or masks are unchecked.
        pa.field("mask_pixels", pa.list_(pa.int64())),
        pa.field("ignore_pixels", pa.int64()),
        pa.field("sha256", SHA256, nullable=False),  # of the image bytes as stored in the record
        # further columns: META_PREFIX + name
    ]
)
