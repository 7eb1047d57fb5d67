"""The format's bytes as literals: a change of one of them is a change of the format.

TensorFlow reads and writes the same bytes, so that the literals are not only our own opinion.
"""

import io

import pytest

from segrecord.format.example import decode, encode
from segrecord.format.schemas import SCHEMAS, Layout, Stored, features, stored_of
from segrecord.format.tfrecord import frame, masked_crc, read_records

FRAME = bytes.fromhex(
    "0900000000000000"  # length
    "37f97139"  # masked CRC-32C of the length
    "7365677265636f7264"  # "segrecord"
    "d8b8b25b"  # masked CRC-32C of the payload
)

STORED = Stored(
    key="a/b",
    filename="a/b.png",
    image=b"\x89PNG\r\n\x1a\n",
    image_format="png",
    height=2,
    width=3,
    channels=1,
    image_sha256="00" * 32,
    mask=b"mask",
    has_mask=True,
    label=1,
    class_name="nevus",
    meta=(("age", "50"),),
    num_classes=2,
)

EXAMPLES = {
    "deeplab": (
        "0ae7030a170a0e696d6167652f6368616e6e656c7312051a030a01030a1a0a11696d6167652f636c6173732f"
        "6c6162656c12051a030a01010a1d0a10696d6167652f636c6173732f7465787412090a070a056e657675730a"
        "1d0a0d696d6167652f656e636f646564120c0a0a0a0889504e470d0a1a0a0a1d0a0e696d6167652f66696c65"
        "6e616d65120b0a090a07612f622e706e670a170a0c696d6167652f666f726d617412070a050a03706e670a15"
        "0a0c696d6167652f68656967687412051a030a01020a580a10696d6167652f6b65792f73686132353612440a"
        "420a403030303030303030303030303030303030303030303030303030303030303030303030303030303030"
        "30303030303030303030303030303030303030303030300a180a0e696d6167652f6d6574612f61676512060a"
        "040a0235300a2c0a20696d6167652f7365676d656e746174696f6e2f636c6173732f656e636f64656412080a"
        "060a046d61736b0a2a0a1f696d6167652f7365676d656e746174696f6e2f636c6173732f666f726d61741207"
        "0a050a03706e670a230a1a696d6167652f7365676d656e746174696f6e2f70726573656e7412051a030a0101"
        "0a1a0a0f696d6167652f736f757263655f696412070a050a03612f620a140a0b696d6167652f776964746812"
        "051a030a0103"
    ),
    "plain": (
        "0a4d0a0e0a05636c61737312051a030a01010a150a05696d616765120c0a0a0a0889504e470d0a1a0a0a100a"
        "046d61736b12080a060a046d61736b0a120a086d6574612f61676512060a040a023530"
    ),
    "raw": (
        "0a98010a110a086368616e6e656c7312051a030a01010a0e0a05636c61737312051a030a01010a0f0a066865"
        "6967687412051a030a01020a150a05696d616765120c0a0a0a0889504e470d0a1a0a0a110a056c6162656c12"
        "080a060a046d61736b0a120a086d6574612f61676512060a040a0235300a140a0b6e756d5f636c6173736573"
        "12051a030a01020a0e0a05776964746812051a030a0103"
    ),
    "tfds": (
        "0a740a180a0966696c655f6e616d65120b0a090a07612f622e706e670a150a05696d616765120c0a0a0a0889"
        "504e470d0a1a0a0a0e0a056c6162656c12051a030a01010a120a086d6574612f61676512060a040a0235300a"
        "1d0a117365676d656e746174696f6e5f6d61736b12080a060a046d61736b"
    ),
}

every_schema = pytest.mark.parametrize("schema", EXAMPLES)


def layout(schema):
    return Layout(schema, masks=True, classes=True, keep_columns=("age",))


def test_every_schema_has_its_literal():
    assert EXAMPLES.keys() == SCHEMAS.keys()


def test_a_framed_record():
    assert b"".join(frame(b"segrecord")) == FRAME
    assert list(read_records(io.BytesIO(FRAME), "s", len(FRAME))) == [(0, b"segrecord")]


def test_the_masked_crc_of_a_published_example():
    crc = 0x8A9136AA  # of 32 bytes of zeroes: RFC 3720, appendix B.4
    assert masked_crc(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % (1 << 32)


@every_schema
def test_an_example(schema):
    data = bytes.fromhex(EXAMPLES[schema])
    assert encode(features(layout(schema), STORED)) == data
    assert stored_of(layout(schema), decode(data)).image == STORED.image


@pytest.mark.tensorflow
@every_schema
def test_tensorflow_reads_the_literal_and_writes_it_again(schema):
    tf = pytest.importorskip("tensorflow")
    data = bytes.fromhex(EXAMPLES[schema])
    example = tf.train.Example.FromString(data)
    assert example.SerializeToString(deterministic=True) == data
    theirs = {
        key: list(getattr(feature, feature.WhichOneof("kind")).value)
        for key, feature in example.features.feature.items()
    }
    assert theirs == decode(data)


@pytest.mark.tensorflow
def test_tensorflow_frames_the_same_bytes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    path = str(tmp_path / "shard")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"segrecord")
    assert (tmp_path / "shard").read_bytes() == FRAME
    assert list(tf.data.TFRecordDataset([path]).as_numpy_iterator()) == [b"segrecord"]
