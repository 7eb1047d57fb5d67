"""`verify` against damage: every kind of it is found, and named with shard, record and offset."""

import hashlib
import io
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests import datasets

from segrecord.errors import RecordError
from segrecord.executors import InlineEngine
from segrecord.format import example, tfrecord
from segrecord.format import manifest as manifests
from segrecord.images import png
from segrecord.read.index import open_index
from segrecord.verification.checker import check_dataset, tasks_of
from segrecord.verification.shard_check import check_shard

FIRST, SECOND = (f"train-{number:05d}-of-00002.tfrecord" for number in (0, 1))
COPY = "is a second copy of key 'set/000', which the index lists once"


@pytest.fixture
def folder(tmp_path):
    return datasets.make(tmp_path / "set")


def problems(folder, *, decode=True):
    return check_dataset(folder, InlineEngine(), decode=decode).problems


def told(folder, **options):
    return [str(problem) for problem in problems(folder, **options)]


def offset_of(folder, shard, number):
    rows = [row for row in datasets.read_index(folder).to_pylist() if row["split"] == "train"]
    return [row for row in rows if row["shard"] == int(shard[6:11])][number]["offset"]


def place(folder, shard, number):
    return f"{shard} record {number} at byte {offset_of(folder, shard, number)}: "


# The file as a whole.


def test_a_missing_shard(folder):
    (folder / SECOND).unlink()
    assert told(folder) == [f"{SECOND}: the file is missing"]


def test_an_unreadable_shard(folder):
    (folder / SECOND).unlink()
    (folder / SECOND).mkdir()
    rule = "it is a folder and no regular file; put the file itself in its place"
    assert told(folder) == [f"{SECOND}: cannot be read: {rule}"]


def test_an_emptied_shard(folder):
    size = (folder / FIRST).stat().st_size
    (folder / FIRST).write_bytes(b"")
    assert told(folder) == [
        f"{FIRST}: has 0 bytes, the manifest says {size}",
        f"{FIRST}: holds 0 records, the index lists 4",
    ]


def test_a_shard_cut_inside_a_record_says_how_many_were_not_reached(folder):
    data = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(data[: offset_of(folder, FIRST, 1) + 100])
    found, size = told(folder), offset_of(folder, FIRST, 1) + 100
    assert found[0] == f"{FIRST}: has {size} bytes, the manifest says {len(data)}"
    assert found[1].startswith(place(folder, FIRST, 1) + "the file is cut")
    assert found[1].endswith("; 2 records after it could not be reached")
    assert len(found) == 2


def test_a_shard_cut_between_two_records_names_the_lost_ones(folder):
    data = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(data[: offset_of(folder, FIRST, 2)])
    assert told(folder)[1:] == [
        f"{FIRST}: holds 2 records, the index lists 4",
        place(folder, FIRST, 2) + "the record of key 'set/002' is missing",
        place(folder, FIRST, 3) + "the record of key 'set/003' is missing",
    ]


def test_a_swapped_pair_of_shards(tmp_path):
    folder = datasets.make(tmp_path / "set", {"train": (3, 3)})
    first, second = ((folder / name).read_bytes() for name in (FIRST, SECOND))
    (folder / FIRST).write_bytes(second)
    (folder / SECOND).write_bytes(first)
    found = told(folder)
    assert found[0] == f"{FIRST}: has the content of {SECOND}"
    assert f"{SECOND}: has the content of {FIRST}" in found
    assert (
        f"{FIRST} record 0 at byte 0: holds key 'set/003', where the index lists key 'set/000'; "
        "none of the 3 records is one that the index lists"
    ) in found
    assert len(found) == 6  # for each: whose content, size or hash, and the first record


def test_a_shard_copied_over_another(tmp_path):
    folder = datasets.make(tmp_path / "set", {"train": (3, 3)})
    (folder / SECOND).write_bytes((folder / FIRST).read_bytes())
    assert told(folder)[0] == f"{SECOND}: has the content of {FIRST}"


def test_shards_swapped_in_the_manifest_too(tmp_path):
    """Right size, right hash, right CRCs: only the index tells."""
    folder = datasets.make(tmp_path / "set", {"train": (3, 3)})
    first, second = ((folder / name).read_bytes() for name in (FIRST, SECOND))
    for name, data in ((FIRST, second), (SECOND, first)):
        (folder / name).write_bytes(data)
        datasets.adopt_file(folder / name)
    assert [found.partition(":")[0] for found in told(folder)] == [
        f"{FIRST} record 0 at byte 0",
        f"{SECOND} record 0 at byte 0",
    ]


@pytest.mark.parametrize("compression", ["gzip", "zlib"])
def test_compressed_shards_cut_emptied_and_flipped(tmp_path, compression):
    folder = datasets.make(tmp_path / "set", compression=compression)
    path = next(folder.glob("val-*"))
    data = path.read_bytes()
    for damaged in (data[:-9], data[: len(data) // 2], b"", data + b"\0", flipped(data, 1000)):
        path.write_bytes(damaged)
        found = told(folder)
        assert all(found_one.startswith(path.name) for found_one in found)
        assert any(re.search(r"record \d at byte \d+: ", found_one) for found_one in found)


# Records moved, copied and lost, all with right CRCs.


def test_a_record_duplicated(folder):
    payloads = datasets.payloads_of(folder / FIRST)
    datasets.rewrite(folder / FIRST, [*payloads[:2], payloads[0], *payloads[2:]])
    at = offset_of(folder, FIRST, 2)
    assert told(folder) == [
        f"{FIRST}: holds 5 records, the index lists 4",
        f"{FIRST} record 2 at byte {at}: {COPY}",
    ]


def test_a_record_duplicated_over_another(folder):
    payloads = datasets.payloads_of(folder / FIRST)
    datasets.rewrite(folder / FIRST, [payloads[0], payloads[0], *payloads[2:]])
    at = offset_of(folder, FIRST, 1)
    assert told(folder) == [
        f"{FIRST} record 1 at byte {at}: {COPY}",
        place(folder, FIRST, 1) + "the record of key 'set/001' is missing",
    ]


def test_two_records_swapped(folder):
    payloads = datasets.payloads_of(folder / FIRST)
    datasets.rewrite(folder / FIRST, [payloads[1], payloads[0], *payloads[2:]])
    (found,) = told(folder)
    assert found.startswith(f"{FIRST} record 1 at byte ")
    assert found.endswith("holds key 'set/000', which the index lists before key 'set/001'")


def test_two_records_swapped_where_the_schema_stores_no_key(tmp_path):
    folder = datasets.make(tmp_path / "set", schema="plain")
    payloads = datasets.payloads_of(folder / FIRST)
    datasets.rewrite(folder / FIRST, [*payloads[:2], payloads[3], payloads[2]])
    (found,) = told(folder)
    assert found.startswith(f"{FIRST} record 3 at byte ")
    assert found.endswith("holds key 'set/002', which the index lists before key 'set/003'")


def test_a_record_left_out(folder):
    payloads = datasets.payloads_of(folder / FIRST)
    datasets.rewrite(folder / FIRST, [payloads[0], *payloads[2:]])
    assert told(folder) == [
        f"{FIRST}: holds 3 records, the index lists 4",
        place(folder, FIRST, 1) + "the record of key 'set/001' is missing",
    ]


def test_a_record_of_another_shard(folder):
    payloads = datasets.payloads_of(folder / FIRST)
    stranger = datasets.payloads_of(folder / SECOND)[0]
    datasets.rewrite(folder / FIRST, [payloads[0], stranger, *payloads[2:]])
    assert told(folder) == [
        place(folder, FIRST, 1) + "holds key 'set/004', where the index lists key 'set/001'"
    ]


# What a record holds, with right CRCs.

EDITS = {
    "label": ({"image__class__label": [1]}, "has the label 1, the index says 0"),
    "class name": (
        {"image__class__text": [b"dog"]},
        "has the label 0 and the class name 'dog'",
    ),
    "height": ({"image__height": [7]}, "says height 7, the index says 10"),
    "width": ({"image__width": [10]}, "says width 10, the index says 7"),
    "hash": ({"image__key__sha256": [b"0"]}, "says SHA-256 0 of its image"),
    "presence": (
        {"image__segmentation__present": [0]},
        "has not a mask, the index says it has one",
    ),
    "absent key": ({"image__width": None}, "the key image/width is absent"),
    "wrong kind": ({"image__width": [b"7"]}, "the key image/width must hold int64, holds bytes"),
    "two values": ({"image__width": [7, 7]}, "the key image/width must hold one value, holds 2"),
    "no mask": ({"image__segmentation__class__encoded": [b""]}, "says 1, the mask has 0 bytes"),
    "no image": ({"image__encoded": [b"GIF89a"]}, "must hold a JPEG or PNG file"),
    "mask format": (
        {"image__segmentation__class__format": [b"raw"]},
        "the key image/segmentation/class/format must hold png, holds raw",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("decode", [False, True])
def test_a_record_that_says_something_else(folder, edit, decode):
    features, rule = EDITS[edit]
    datasets.edit_record(folder / FIRST, 2, **features)
    found = told(folder, decode=decode)
    assert any(one.startswith(place(folder, FIRST, 2)) and rule in one for one in found), found


def test_a_payload_that_is_no_example(folder):
    payloads = datasets.payloads_of(folder / FIRST)
    payloads[1] = b"\xff" * len(payloads[1])
    datasets.rewrite(folder / FIRST, payloads)
    (found,) = told(folder)
    assert found.startswith(place(folder, FIRST, 1) + "the data is no tensorflow.Example")


def with_image(folder, data):
    """Put image bytes into record 1; index and record agree on their hash."""
    digest = hashlib.sha256(data)
    features = {"image__encoded": [data], "image__key__sha256": [digest.hexdigest().encode()]}
    datasets.edit_record(folder / FIRST, 1, **features)
    datasets.edit_index(folder, 1, sha256=digest.digest())
    return [found for found in told(folder) if "bytes, the index says" not in found]


def test_another_image_with_right_crcs(folder):
    datasets.edit_record(folder / FIRST, 1, image__encoded=[png.encode(np.zeros((9, 7), np.uint8))])
    found = told(folder)
    assert any("the image has the SHA-256" in one and "the index says" in one for one in found)


def test_an_image_of_another_size(folder):
    (found,) = with_image(folder, png.encode(np.zeros((7, 9), np.uint8)))
    assert (
        found
        == place(folder, FIRST, 1) + "the image is 7 x 9 (height x width), the index says 9 x 7"
    )


def test_a_damaged_image(folder):
    data = bytearray(png.encode(datasets.sample(1).image))
    data[60] ^= 1
    (found,) = with_image(folder, bytes(data))
    assert found.startswith(place(folder, FIRST, 1) + "the image is damaged: ")
    assert "png-" in found


def test_an_image_that_tensorflow_reads_otherwise(folder):
    buffer = io.BytesIO()
    Image.fromarray(datasets.sample(1).image).convert("P").save(buffer, "PNG")
    (found,) = with_image(folder, buffer.getvalue())
    assert found.endswith("in a way that TensorFlow reads otherwise: palette")


def with_mask(folder, data, shard=FIRST, number=1):
    features = {"image__segmentation__class__encoded": [data]}
    datasets.edit_record(folder / shard, number, **features)
    return [found for found in told(folder) if "bytes, the index says" not in found]


def test_a_mask_id_out_of_range(folder):
    ids = datasets.sample(1).mask
    ids[8, 6] = 3
    found = with_mask(folder, png.encode(ids))
    rule = "the mask holds the id 3 in 1 pixels, ids run from 0 to 2 (255: ignore)"
    assert found[0] == place(folder, FIRST, 1) + rule


def test_a_mask_whose_pixels_are_not_those_of_the_index(folder):
    ids = datasets.sample(1).mask
    ids[8, 6] = 1
    ids[8, 5] = 255
    found = with_mask(folder, png.encode(ids))
    assert len(found) == 2
    assert "pixels a class, the index says" in found[0]
    assert "2 pixels to ignore, the index says 1" in found[1]


def test_a_mask_of_another_size(folder):
    found = with_mask(folder, png.encode(np.ascontiguousarray(datasets.sample(1).mask.T)))
    assert found == [
        place(folder, FIRST, 1) + "the mask is 7 x 9 (height x width), the image 9 x 7"
    ]


def test_a_damaged_mask(folder):
    data = bytearray(png.encode(datasets.sample(1).mask))
    data[-8] ^= 1
    (found,) = with_mask(folder, bytes(data))
    assert found.startswith(place(folder, FIRST, 1) + "the mask is damaged: ")


@pytest.mark.parametrize("kind", ["palette", "rgb", "bilevel", "jpeg", "16-bit"])
def test_a_mask_in_another_encoding_than_8_bit_single_channel_png(folder, kind):
    ids = datasets.sample(1).mask
    picture = Image.fromarray(ids)
    made = {
        "palette": picture.convert("P"),
        "rgb": picture.convert("RGB"),
        "bilevel": picture.convert("1"),
        "jpeg": picture,
        "16-bit": Image.fromarray(ids.astype(np.uint16)),
    }[kind]
    buffer = io.BytesIO()
    made.save(buffer, "JPEG" if kind == "jpeg" else "PNG")
    (found,) = with_mask(folder, buffer.getvalue())
    assert found.startswith(place(folder, FIRST, 1))
    assert "mask-format" in found


@pytest.mark.parametrize(
    ("policy", "stored", "rule"),
    [
        ("ignore", np.zeros((8, 7), np.uint8), "filled with 0, the policy 'ignore' says 255"),
        ("zeros", np.full((8, 7), 255, np.uint8), "filled with 255, the policy 'zeros' says 0"),
        ("ignore", b"", "holds a mask of 0 bytes, which is not the policy 'ignore'"),
        ("empty", np.zeros((8, 7), np.uint8), "which is not the policy 'empty'"),
        ("omit", np.zeros((8, 7), np.uint8), "which is not the policy 'omit'"),
        ("ignore", None, "holds no mask key, which is not the policy 'ignore'"),
        ("error", b"", "missing masks are an error in this dataset"),
    ],
)
def test_a_missing_mask_stored_otherwise_than_the_policy_says(tmp_path, policy, stored, rule):
    folder = datasets.make(tmp_path / "set", missing_mask=policy)
    data = stored if stored is None or isinstance(stored, bytes) else png.encode(stored)
    name = "image__segmentation__class__"
    parts = {f"{name}encoded": None, f"{name}format": None}
    if data is not None:
        parts = {f"{name}encoded": [data], f"{name}format": [b"png"]}
    datasets.edit_record(folder / FIRST, 3, **parts)
    found = told(folder)
    assert any(one.startswith(place(folder, FIRST, 3)) and rule in one for one in found), found


@pytest.mark.parametrize(
    ("features", "rule"),
    [
        ({"image": [b"\0" * 10]}, "holds an image of SHA-256"),
        ({"channels": [4]}, "says 4 channels, there may be 1 or 3"),
        (
            {"channels": [1]},
            "the image has 189 bytes, 9 x 7 x 1 (height x width x channels) are 63",
        ),
        ({"label": [b"\0" * 10]}, "the mask is damaged: it has 10 bytes, 9 x 7 x 3 are 189"),
        ({"label": [b"\1" * 189]}, "a pixel must have one class at most"),
        ({"label": [b"\0\0\2" * 63]}, "a pixel must have one class at most"),
        ({"num_classes": [2]}, "says 2 mask classes, the manifest says 3"),
    ],
    ids=str,
)
def test_raw_records_that_do_not_add_up(tmp_path, features, rule):
    folder = datasets.make(tmp_path / "set", schema="raw", one_hot=True)
    datasets.edit_record(folder / FIRST, 1, **features)
    found = told(folder)
    assert any(one.startswith(place(folder, FIRST, 1)) and rule in one for one in found), found


def test_independent_findings_are_all_gathered(folder):
    datasets.edit_record(folder / FIRST, 0, image__width=[1], image__class__label=[1])
    datasets.edit_record(folder / FIRST, 2, image__height=[1])
    datasets.edit_record(folder / SECOND, 1, image__height=[1])
    found = problems(folder)
    assert {(one.shard, one.record) for one in found} == {(FIRST, 0), (FIRST, 2), (SECOND, 1)}
    assert sum(one.record == 0 for one in found) == 3  # width, label, label against its name


# Every byte.


def flipped(data, position, bit=0):
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A shard's task, with its file's hash right for any content: only the records can tell."""
    folder = datasets.make(tmp_path_factory.mktemp("small") / "set", {"train": (2,)})
    task = next(tasks_of(folder, manifests.load(folder), open_index(folder), decode=False))
    return task, (folder / task.name).read_bytes(), folder / "copy"


def test_a_bit_flipped_in_any_byte_is_found_and_its_record_named(small):
    task, data, copy = small
    second = task.rows[1].offset
    for position in range(len(data)):
        damaged = flipped(data, position, position % 8)
        copy.write_bytes(damaged)
        found = check_shard(
            task._replace(path=str(copy), sha256=hashlib.sha256(damaged).hexdigest())
        )
        assert [one.record for one in found] == [int(position >= second)]
        assert found[0].offset == (second if position >= second else 0)


@given(data=st.data())
def test_any_cut_or_overwritten_stretch_is_found_and_nothing_is_raised(small, data):
    task, sound, copy = small
    start = data.draw(st.integers(0, len(sound) - 1))
    length = data.draw(st.integers(0, 40))
    filling = data.draw(st.binary(max_size=40))
    damaged = sound[:start] + filling + sound[start + length :]
    copy.write_bytes(damaged)
    found = check_shard(task._replace(path=str(copy)))
    assert bool(found) == (damaged != sound)
    assert all(isinstance(one, RecordError) for one in found)


@given(payload=st.binary(max_size=200), position=st.integers(0, 1))
def test_any_payload_with_right_crcs_is_a_finding_not_an_exception(small, payload, position):
    task, sound, copy = small
    payloads = [sound[row.offset + 12 :][: row.length] for row in task.rows]
    payloads[position] = payload
    copy.write_bytes(datasets.shard_bytes(payloads))
    assert check_shard(task._replace(path=str(copy), decode=True))


@given(data=st.data())
def test_any_damage_inside_stored_images_is_a_finding_not_an_exception(small, data):
    task, sound, copy = small
    row = task.rows[0]
    content = example.decode(sound[12 : 12 + row.length])
    name = data.draw(st.sampled_from(["image/encoded", "image/segmentation/class/encoded"]))
    old = content[name][0]
    at = data.draw(st.integers(8, len(old) - 1))
    content[name] = [flipped(old, at, data.draw(st.integers(0, 7)))]
    copy.write_bytes(datasets.shard_bytes([example.encode(content)]))
    found = check_shard(task._replace(path=str(copy), decode=True, rows=(row,)))
    assert any("damaged" in one.rule and one.record == 0 for one in found)


# The index.


def index_problem(folder):
    with pytest.raises(RecordError) as caught:
        open_index(folder)
    found = problems(folder)
    assert str(caught.value) in map(str, found)
    return caught.value


def test_a_missing_index(folder):
    (folder / "records.arrow").unlink()
    assert index_problem(folder).rule == "the file is missing"


@pytest.mark.parametrize("cut", [0, 7, 100, 1000, -1])
def test_a_cut_index(folder, cut):
    path = folder / "records.arrow"
    path.write_bytes(path.read_bytes()[:cut])
    assert index_problem(folder).rule.startswith("is no sound Arrow file")


def test_with_a_damaged_index_the_files_are_still_checked(folder):
    (folder / "records.arrow").write_bytes(b"ARROW1")
    (folder / FIRST).write_bytes(flipped((folder / FIRST).read_bytes(), 50))
    (folder / SECOND).unlink()
    found = told(folder)
    assert len(found) == 3
    assert "records.arrow" in found[0]
    assert found[1].startswith(f"{FIRST}: has the SHA-256")
    assert found[2].startswith(f"{SECOND}: cannot be read")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda table: table.slice(0, 8), "has 8 rows, the manifest counts 9 records"),
        (lambda table: table.drop_columns(["offset"]), "has the columns key, split, shard, length"),
        (
            lambda table: table.set_column(3, "offset", table["offset"].cast(pa.int32())),
            "column offset must be int64, is int32",
        ),
        (
            lambda table: table.set_column(3, "offset", pa.nulls(9, pa.int64())),
            "column offset must have a value in every row",
        ),
        (
            lambda table: table.take([0, 4, 2, 3, 1, 5, 6, 7, 8]),
            "row 1 says shard 1 of split 'train', which the manifest has elsewhere",
        ),
        (
            lambda table: table.set_column(1, "split", pa.array(["other"] * 9)),
            "row 0 says shard 0 of split 'other', which the manifest has elsewhere",
        ),
    ],
)
def test_an_index_that_contradicts_the_manifest(folder, change, rule):
    table = change(datasets.read_index(folder))
    with pa.ipc.new_file(str(folder / "records.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert rule in index_problem(folder).rule


@pytest.mark.parametrize(
    ("offsets", "text"),
    [
        ([0, 7, 14, 21, 28, 35, 42, 49, 56, 63], b"\xff" * 63),
        ([0, 9, 8, 21, 28, 35, 42, 49, 56, 63], b"a" * 63),
    ],
    ids=["text that is no UTF-8", "offsets that go back"],
)
def test_an_index_whose_columns_are_broken_inside(folder, offsets, text):
    """Opened unread, such a column would crash the process or give wrong keys."""
    table = datasets.read_index(folder)
    buffers = [None, pa.py_buffer(np.array(offsets, np.int64)), pa.py_buffer(text)]
    keys = pa.Array.from_buffers(pa.large_string(), 9, buffers)
    with pa.ipc.new_file(str(folder / "records.arrow"), table.schema) as writer:
        writer.write_table(table.set_column(0, table.schema.field("key"), keys))
    assert index_problem(folder).rule.startswith("is no sound Arrow file")


def test_a_manifest_whose_row_ranges_have_a_gap(folder):
    def change(content):
        content["splits"]["train"]["shards"][1]["first_row"] += 1

    datasets.edit_manifest(folder, change)
    assert index_problem(folder).rule == f"the rows of {SECOND} begin at 4, the manifest says 5"


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"offset": 1}, "stands at byte 0, the index says 1"),
        ({"length": 1}, "bytes, the index says 1"),
        ({"label": None}, "has the label 0, the index says None"),
        ({"label": 7}, "of 'cat', the index counts 1"),
        ({"has_mask": False}, "has a mask, the index says it has not one"),
        ({"height": 9}, "says height 8, the index says 9"),
        ({"mask_pixels": None}, "pixels a class, the index says none"),
        ({"ignore_pixels": 0}, "1 pixels to ignore, the index says 0"),
        ({"sha256": b"\0" * 32}, "the index says 0000"),
        ({"key": "set/001"}, "keys that occur more than once: 1"),
        ({"key": "other"}, "holds key 'set/000', where the index lists key 'other'"),
    ],
    ids=str,
)
def test_a_wrong_value_in_the_index(folder, values, rule):
    datasets.edit_index(folder, 0, **values)
    assert any(rule in one for one in told(folder)), told(folder)


@given(data=st.data())
def test_any_damage_of_the_index_is_a_finding_or_harmless_never_an_exception(index_copy, data):
    folder, sound = index_copy
    at = data.draw(st.integers(0, len(sound) - 1))
    (folder / "records.arrow").write_bytes(flipped(sound, at, data.draw(st.integers(0, 7))))
    assert all(isinstance(one, RecordError) for one in problems(folder, decode=False))


@pytest.fixture(scope="module")
def index_copy(tmp_path_factory):
    folder = datasets.make(tmp_path_factory.mktemp("index") / "set", {"train": (3,)})
    return folder, (folder / "records.arrow").read_bytes()


def test_frames_of_the_helper_are_those_of_the_format():
    assert datasets.shard_bytes([b"a", b"bc"]) == b"".join(
        (*tfrecord.frame(b"a"), *tfrecord.frame(b"bc"))
    )
