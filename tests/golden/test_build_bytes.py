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
from segrecord.format import example, manifest, schemas, tfrecord
from segrecord.images import png

ZLIB = "1.2.13"
"""The version of zlib that made the hashes below."""

GOLDEN = {
    "deeplab": {
        "train": "45414ed5cdf22f29d0e61fc1401ec1a8770b242bd37b3a3e51704ae26b2ec739",
        "val": "c8b8884fd2de2d9d23a98999b26f2fae6f8d1010fecb2ff765cc67581ffef628",
    },
    "plain": {
        "train": "829b0f0a2ddc8af60833565582df0bcf6a81d2cecb73212ecf4abdc66ba36354",
        "val": "1ad9c8b4107ea6038e6d16fd5594196b18f347f0d888537f8d9d606ed648a3fe",
    },
    "raw": {
        "train": "f720987da5572061d7aab28552755c76babf45cc6958412e1afd639bac5f34fc",
        "val": "e7329ffcf83a4e5f1f1661850d34e855668e89f1877d11b02d549ad1dad6311f",
    },
    "tfds": {
        "train": "82e36bfcbb295080fa2e3d7d80fb7fdce0ee612f52111135be2afb77ba723e97",
        "val": "f598d5280013b9bcd823ab288dd396e04893bf19f7c554438337136e725464e0",
    },
    "resized": {
        "train": "1d76e072873abe7ee59947c64200c5388920c623616a4e85dd7086bc34ffb4cb",
        "val": "313dd202ffe742e16af62ac44b947d1023c4898995db4998c09beedd074d6724",
    },
}

PIXELS = {
    "deeplab": "3514cae55a7a9737916fd78fd748cf245df395e75a9db56f66027bc40d04478b",
    "plain": "d9a3ab2c888de1354f92c31a4e429a18ac2014ed58ce11880bf42184fd7c086d",
    "raw": "1474f35b473329145255bfd7c3e4979a30509a643b5b2088917d68938ee205bc",
    "tfds": "3193b02d67920ed7d85771d937bcbd82b0d435738072f33831b4f2003a2fc4b4",
    "resized": "2513557c2b56a132f0b2202161c48aef1f090b7234eef38bac9406bfa18752fc",
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
    from segrecord.sources.loading import load_source

    samples = load_source(str(draw(tmp_path / "src")), SourceOptions()).samples
    for name, rows in (("one", range(9)), ("other", range(8, -1, -1))):
        table = samples.take(list(rows))
        segrecord.build(lambda table=table: table, tmp_path / name, shards=2)
    assert shards(tmp_path / "one") == shards(tmp_path / "other")
