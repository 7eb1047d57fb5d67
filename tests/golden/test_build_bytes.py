"""The bytes of a small build, as they were when they were last looked at, and for any workers.

The pictures are drawn by integer arithmetic and written by our own PNG writer, so the hashes hang
on our code and on zlib alone. Where another zlib is linked the pixels are compared instead.
"""

import hashlib
import io
import zlib

import numpy as np
import pytest
from PIL import Image

import segrecord
from make import blob, files, picture, put, source
from segrecord.pixels import png
from segrecord.records import example, manifest, schemas, tfrecord

ZLIB = "1.2.13"
"""The version of zlib that made the hashes below."""

GOLDEN = {
    "deeplab": {
        "train": "af9c120badf7a5d4a53f6c318e64e53179aec099107172a448f0efd5d0c5909d",
        "val": "f504c088786aa5eb211c7b6868e6c3b228605c47c5764cd5e6ae0eeaf95d8682",
    },
    "plain": {
        "train": "833da42cda49ffb22a948037cfb0dc8a6afac63232462de663bf4776f0347f59",
        "val": "e1d91e3d8f6bf958e11a5eb51adc82513f549d0b56a68e653e3fe708584c7604",
    },
    "raw": {
        "train": "b794212f1115d0171d6a8f52a8541c47353b5c43131620c6bd9abe1f00a55ecf",
        "val": "1e8ba934bb275c9661622bfda0dc7629a55c92bd5c7df4e3b56cc527838bde83",
    },
    "tfds": {
        "train": "e6fd48603cddcc9c9d58506b90934b7689cf9b222d60ea09c79afe7c4fdaefc7",
        "val": "c8da535707b606ec54c305ab152293bf3ef450f168815673c46230a817621aea",
    },
    "resized": {
        "train": "74cffb3901454430856e0c6c773ec39d2a392885f8c6999850a851c6925a1e68",
        "val": "0e89e56bf499110337e5810fc7f6af00e1942b277c13b3246e821881ee58f00a",
    },
}

PIXELS = {
    "deeplab": "7c9961d1019fa60e7dd4814c5b323b20402870497eb178424d1f784ec85d99d0",
    "plain": "322299394ec68a88fe5f30bd93c26d881d793121f2296c8c13afc707e5ef50c9",
    "raw": "a28bd93ec3186838334e46f3cd5da850db248919af4a0652ee1baf601b0c8a65",
    "tfds": "70df7091952ac73ae31b0bcf990be38169b9dd87e35b249509bcbe1244a3b11a",
    "resized": "839a1986e1ef365c20cbf8de9295296e5993ee38910fe3fa8920dc7adb0e36ac",
}


def draw(folder):
    """Eight pairs, one without a mask, and an image that has to be re-encoded."""
    root = source(folder, 8, without=(5,))
    put(root / "a/images/8.png", turned(png.encode(picture(8))))
    put(root / "a/masks/8.png", png.encode(blob(8, 6, 8)))
    return root


def turned(data):
    """The PNG with EXIF orientation 6: it is stored turned, so re-encoded."""
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    chunk = len(tiff).to_bytes(4, "big") + b"eXIf" + tiff
    return data[:33] + chunk + zlib.crc32(b"eXIf" + tiff).to_bytes(4, "big") + data[33:]


BUILDS = {
    "deeplab": {},
    "plain": {"schema": "plain", "compression": "zlib"},
    "raw": {"schema": "raw", "one_hot": True},
    "tfds": {"schema": "tfds", "compression": "gzip", "missing_mask": "zeros"},
    "resized": {"size": "12x10", "seed": 3},
}


def shards(out):
    return {name: data for name, data in files(out).items() if ".tfrecord" in name}


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.usefixtures("inline")
def test_the_bytes_of_a_small_build_are_what_they_were(tmp_path, name):
    out = tmp_path / "out"
    segrecord.build(
        str(draw(tmp_path / "src")), out, shards=1, split="train=0.7,val=0.3", **BUILDS[name]
    )
    assert content(out) == PIXELS[name]
    if zlib.ZLIB_RUNTIME_VERSION != ZLIB:
        pytest.skip(f"zlib is {zlib.ZLIB_RUNTIME_VERSION}, the hashes are of {ZLIB}; pixels agree")
    hashes = {
        shard.split("-")[0]: hashlib.sha256(data).hexdigest() for shard, data in shards(out).items()
    }
    assert hashes == GOLDEN[name]


def records(out):
    """What every record holds, in the order of the shards."""
    described = manifest.load(out)
    layout = schemas.layout_of(described)
    for split in described.splits.values():
        for shard in split.shards:
            with tfrecord.open_shard(out / shard.name, described.compression) as stream:
                for _, payload in tfrecord.read_records(stream, shard.name):
                    yield schemas.stored_of(layout, example.decode(payload))


def pixels(data):
    """The pixels of a PNG, or raw ones as they are."""
    if not data.startswith(png.SIGNATURE):
        return data
    plane = np.asarray(Image.open(io.BytesIO(data)))
    return str(plane.shape).encode() + plane.tobytes()


def content(out):
    """SHA-256 over the pixels of all images and masks, and the labels."""
    digest = hashlib.sha256()
    for found in records(out):
        for part in (pixels(found.image), pixels(found.mask or b""), str(found.label).encode()):
            digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def test_the_pixels_of_the_golden_build_are_those_that_were_drawn(tmp_path, inline):
    segrecord.build(str(draw(tmp_path / "src")), tmp_path / "out", shards=1)
    seen = set()
    for found in records(tmp_path / "out"):
        number = int(found.key.rsplit("/", 1)[1])
        wanted = np.rot90(picture(8), -1) if number == 8 else picture(number)
        assert (np.asarray(Image.open(io.BytesIO(found.image))) == wanted).all()
        seen.add(number)
    assert seen == set(range(9))


def test_the_bytes_are_equal_for_any_number_of_workers(tmp_path):
    root = draw(tmp_path / "src")
    for workers in (1, 2, 4):
        segrecord.build(str(root), tmp_path / f"out {workers}", shards=3, workers=workers)
    one = files(tmp_path / "out 1")
    assert one == files(tmp_path / "out 2") == files(tmp_path / "out 4")
    assert len(shards(tmp_path / "out 1")) == 3


def test_the_bytes_are_equal_whatever_the_order_of_the_source(tmp_path, inline):
    from segrecord.options import SourceOptions
    from segrecord.sources.source import understand

    samples = understand(str(draw(tmp_path / "src")), SourceOptions()).samples
    for name, rows in (("one", range(9)), ("other", range(8, -1, -1))):
        table = samples.take(list(rows))
        segrecord.build(lambda table=table: table, tmp_path / name, shards=2)
    assert shards(tmp_path / "one") == shards(tmp_path / "other")
