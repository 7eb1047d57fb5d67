"""How TensorFlow and Pillow misread what is common in the wild, and that a build does not.

Each test shows the trap first, on the real library, and then what segrecord makes of it.
"""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from segrecord.errors import PixelError
from segrecord.images import image, mask

IDS = (np.arange(48, dtype=np.uint8) // 12).reshape(6, 8)  # 0, 1, 2, 3


def saved(picture, form="PNG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def palette_of(ids):
    picture = Image.fromarray(ids, "P") if ids.dtype != np.uint8 else Image.fromarray(ids)
    picture = picture.convert("L")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    return saved(picture)


def stored(data, *, white=1):
    """The mask as a build stores it, class ids being the values."""
    plane = mask.read(data)
    values = mask.ValueMap(tuple((n, n) for n in range(256)), white)
    return mask.encode(values.apply(plane, values.lut()))


KINDS = {
    "palette": (palette_of(IDS), IDS),
    "1-bit": (saved(Image.fromarray(IDS > 1)), (IDS > 1).astype(np.uint8)),
    "16-bit": (saved(Image.fromarray(IDS.astype(np.uint16))), IDS),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", KINDS)
def test_tensorflow_misreads_these_masks_and_reads_ours(kind):
    import tensorflow as tf

    data, ids = KINDS[kind]
    trap = tf.io.decode_png(data, channels=1).numpy()[:, :, 0]
    assert not np.array_equal(trap, ids)
    ours = tf.io.decode_png(stored(data), channels=1).numpy()[:, :, 0]
    assert np.array_equal(ours, ids)


@pytest.mark.tensorflow
def test_tensorflow_does_not_turn_a_jpeg_and_ours_is_turned_with_its_height_and_width():
    import tensorflow as tf

    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    data = saved(Image.fromarray(pixels), "JPEG", exif=exif)
    assert tf.io.decode_jpeg(data).shape == (16, 24, 3)
    ours, form, height, width = image.store(data, image.examine(data)[0])
    read = tf.io.decode_image(ours, channels=3).numpy()
    assert (form, height, width) == ("png", 24, 16)
    assert read.shape == (height, width, 3)
    upright = Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(read, np.asarray(upright))


def test_pillow_verifies_a_jpeg_that_was_cut_and_we_refuse_it():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = saved(Image.fromarray(pixels), "JPEG")[:-200]
    Image.open(io.BytesIO(data)).verify()  # passes: the trap
    with pytest.raises(PixelError) as caught:
        image.examine(data)
    assert caught.value.code == "jpeg-truncated"


def test_pillow_reads_masks_with_a_flipped_bit_wrong_and_we_refuse_them():
    rows, columns = np.mgrid[:100, :100]
    pixels = (((rows - 50) ** 2 + (columns - 50) ** 2 < 900) * 255).astype(np.uint8)
    data = saved(Image.fromarray(pixels))
    rng = np.random.default_rng(1)
    silently_wrong = 0
    for place in rng.integers(33, len(data) - 12, 300):
        broken = bytearray(data)
        broken[place] ^= 1 << int(rng.integers(8))
        try:
            read = np.asarray(Image.open(io.BytesIO(bytes(broken))))
            silently_wrong += not np.array_equal(read, pixels)
        except (OSError, SyntaxError, ValueError):
            pass
        with pytest.raises(PixelError):
            mask.read(bytes(broken))
    assert silently_wrong > 30


_HASH = """
import hashlib
from segrecord.format.example import encode
features = {f"key/{n}": n for n in range(40)}
print(hashlib.sha256(encode(features)).hexdigest())
"""


def test_one_example_has_the_same_bytes_in_every_process():
    command = [sys.executable, "-c", _HASH]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(4)]
    assert len({run.stdout for run in runs}) == 1
