"""The Example codec: kinds, determinism, hostile bytes, and peace with TensorFlow's own classes."""

import subprocess
import sys

import pytest

from segrecord.format.example import decode, encode


def test_every_kind_reads_back_as_a_list():
    features = {
        "bytes": b"\x00\xff",
        "text": "Läsion",
        "int": -(1 << 63),
        "float": 0.5,
        "ints": [1, 2, 3],
        "floats": (1.5, 2.0),
        "many": [b"", b"a"],
    }
    assert decode(encode(features)) == {
        "bytes": [b"\x00\xff"],
        "text": ["Läsion".encode()],
        "int": [-(1 << 63)],
        "float": [0.5],
        "ints": [1, 2, 3],
        "floats": [1.5, 2.0],
        "many": [b"", b"a"],
    }


def test_empty_bytes_are_one_value_not_none():
    assert decode(encode({"mask": b""})) == {"mask": [b""]}


def test_the_order_of_the_features_changes_no_byte():
    features = {f"key {i}": i for i in range(50)}
    backwards = dict(reversed(features.items()))
    assert encode(features) == encode(backwards)
    assert list(decode(encode(backwards))) == sorted(features)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_writes_the_same_bytes(seed):
    code = (
        "from segrecord.format.example import encode;"
        "print(encode({f'key {i}': i for i in range(50)}).hex())"
    )
    out = run(code, PYTHONHASHSEED=seed)
    assert out == encode({f"key {i}": i for i in range(50)}).hex()


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ([], ValueError, "at least one value"),
        (True, TypeError, "got a boolean"),
        (1 << 63, ValueError, "feature 'k'"),
        ("\udcff", ValueError, "UTF-8"),
        ([None], TypeError, "bytes, int or float, got NoneType"),
        ([1, b"x"], TypeError, "feature 'k'"),
        (None, TypeError, "feature 'k'"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named_by_its_key(value, error, text):
    with pytest.raises(error, match=text) as caught:
        encode({"k": value})
    assert "feature 'k'" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\x0a\x05abc",
        encode({"key": b"value"})[:-1],
        encode({"key": 1}).replace(b"key", b"\xff\xffy"),
    ],
)
def test_bytes_that_are_no_example_are_a_value_error(data):
    with pytest.raises(ValueError, match=r"no tensorflow\.Example"):
        decode(data)


def test_a_feature_without_a_kind_is_an_empty_list():
    entry = b"\x0a\x01k\x12\x00"
    feature = b"\x0a" + bytes([len(entry)]) + entry
    assert decode(b"\x0a" + bytes([len(feature)]) + feature) == {"k": []}


OURS = "from segrecord.format.example import encode, decode; data = encode({'a': 1, 'b': b'x'})"
THEIRS = "import tensorflow as tf"
CHECK = (
    "theirs = tf.train.Example.FromString(data);"
    "assert theirs.SerializeToString(deterministic=True) == data;"
    "assert decode(theirs.SerializeToString()) == {'a': [1], 'b': [b'x']};"
    "print('equal')"
)


@pytest.mark.tensorflow
@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)], ids=["before", "after"])
def test_tensorflow_may_be_imported_before_or_after(order):
    pytest.importorskip("tensorflow")
    assert run(";".join([*order, CHECK])) == "equal"


def run(code, **environment):
    """What a fresh process prints that runs this code."""
    paths = "import sys; sys.path[:0] = " + repr([p for p in sys.path if p])
    done = subprocess.run(
        [sys.executable, "-c", f"{paths};{code}"],
        capture_output=True,
        text=True,
        check=False,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
