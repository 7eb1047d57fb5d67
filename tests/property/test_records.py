"""Properties of the format: what goes in comes out, and no damage goes unseen."""

import io
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrecord.errors import RecordError
from segrecord.format.example import decode, encode
from segrecord.format.schemas import SCHEMAS, Layout, Stored, features, stored_of
from segrecord.format.tfrecord import compressed, frame, open_shard, read_records

few = settings(max_examples=50, deadline=None)
payloads = st.lists(st.binary(max_size=40), min_size=3, max_size=3)
text = st.text(st.characters(codec="utf-8"), max_size=20)
int64 = st.integers(-(1 << 63), (1 << 63) - 1)
float32 = st.floats(width=32, allow_nan=False)
values = st.one_of(
    st.binary(max_size=40),
    int64,
    float32,
    st.lists(st.binary(max_size=10), min_size=1, max_size=5),
    st.lists(int64, min_size=1, max_size=5),
    st.lists(float32, min_size=1, max_size=5),
)


def shard_of(records):
    return b"".join(part for payload in records for part in frame(payload))


def read(data, size=None):
    return [payload for _, payload in read_records(io.BytesIO(data), "s", size)]


@few
@given(payloads, st.booleans())
def test_a_shard_of_3_records_cut_anywhere_is_refused_or_ends_at_a_border(records, sized):
    shard = shard_of(records)
    borders = [0, *accumulate(len(payload) + 16 for payload in records)]
    for end in range(len(shard)):
        size = end if sized else None
        if end in borders:
            assert read(shard[:end], size) == records[: borders.index(end)]
        else:
            with pytest.raises(RecordError):
                read(shard[:end], size)


@few
@given(payloads, st.data())
def test_a_shard_with_a_flipped_bit_is_refused(records, data):
    shard = bytearray(shard_of(records))
    bit = data.draw(st.integers(0, len(shard) * 8 - 1))
    shard[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RecordError):
        read(bytes(shard), len(shard))


@few
@given(st.binary(max_size=100))
def test_hostile_bytes_end_in_records_or_a_record_error(data):
    try:
        records = read(data, len(data))
    except RecordError:
        return
    assert shard_of(records) == data


@few
@given(payloads, st.sampled_from(["none", "gzip", "zlib"]))
def test_every_compression_reads_back(tmp_path_factory, records, compression):
    path = tmp_path_factory.mktemp("shards") / "shard"
    path.write_bytes(b"".join(compressed([shard_of(records)], compression)))
    with open_shard(path, compression) as stream:
        assert [payload for _, payload in read_records(stream, "s")] == records


@few
@given(st.dictionaries(text, values, max_size=6), st.randoms())
def test_features_read_back_whatever_their_order(found, random):
    pairs = list(found.items())
    random.shuffle(pairs)
    data = encode(found)
    assert encode(dict(pairs)) == data
    listed = {key: value if isinstance(value, list) else [value] for key, value in pairs}
    assert decode(data) == listed


@few
@given(st.binary(max_size=60))
def test_hostile_bytes_end_in_features_or_a_value_error(data):
    try:
        found = decode(data)
    except ValueError:
        return
    assert all(isinstance(values, list) for values in found.values())


@few
@given(st.data())
def test_what_a_record_holds_reads_back_in_every_schema(data):
    schema = data.draw(st.sampled_from(sorted(SCHEMAS)))
    masks, classes = data.draw(st.booleans()), data.draw(st.booleans())
    layout = Layout(schema, masks=masks, classes=classes, keep_columns=("age",))
    mask = data.draw(st.none() | st.binary(max_size=5)) if masks else None
    label = data.draw(st.none() | st.integers(0, 1 << 40)) if classes else None
    age = data.draw(text)
    stored = Stored(
        key=data.draw(text),
        filename=data.draw(text),
        image=b"\xff\xd8\xff" + data.draw(st.binary(max_size=5)),
        image_format="jpeg",
        height=data.draw(st.integers(1, 1 << 20)),
        width=data.draw(st.integers(1, 1 << 20)),
        channels=1,
        image_sha256="00" * 32,
        mask=mask,
        has_mask=bool(mask),
        label=label,
        class_name=data.draw(text),
        meta=(("age", age),),
        num_classes=3,
    )
    back = stored_of(layout, decode(encode(features(layout, stored))))
    assert (back.image, back.mask, back.label) == (stored.image, mask, label)
    assert back.meta == stored.meta
    for name in ("key", "filename", "height", "width", "image_sha256"):
        assert getattr(back, name) in {getattr(stored, name), None}
