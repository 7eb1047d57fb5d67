"""TensorFlow reads what we write: by hand-written pipelines, the README's code and the adapter.

The shards are made here, by framing, codec and schema alone.
"""

import hashlib
import io
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.format.example import encode
from segrecord.format.manifest import Manifest, Masks, Shard, Split, dumps, shard_name
from segrecord.format.schemas import SCHEMAS, Layout, Stored, features, layout_of, parse_function
from segrecord.format.tfrecord import compressed, frame
from segrecord.tensorflow import dataset, parse

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

CLASSES = {"melanoma": 0, "nevus": 1}
MASK_CLASSES = ("background", "lesion")
IGNORE = 255


class Sample(NamedTuple):
    image: np.ndarray  # (H, W, 3) or (H, W) uint8
    mask: np.ndarray | None  # (H, W) uint8
    label: int | None
    jpeg: bool = False


def sample(seed, *, height=8, width=6, mask=True, label=1, grey=False, jpeg=False):
    rng = np.random.default_rng(seed)
    shape = (height, width) if grey else (height, width, 3)
    ids = rng.integers(0, 2, (height, width), dtype=np.uint8)
    ids[0, 0], ids[0, 1] = IGNORE, 1
    return Sample(rng.integers(0, 256, shape, np.uint8), ids if mask else None, label, jpeg)


SAMPLES = [sample(0), sample(1, mask=False, label=0), sample(2, grey=True), sample(3, jpeg=True)]


def file_of(pixels, jpeg=False):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG" if jpeg else "PNG")
    return out.getvalue()


def rgb(a_sample):
    """The pixels (H, W, 3) that Pillow reads from the stored image."""
    data = file_of(a_sample.image, a_sample.jpeg)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def stored_mask(a_sample, schema, policy, one_hot):
    size = a_sample.image.shape[:2]
    mask = a_sample.mask
    if mask is None:
        if policy in {"empty", "omit"}:
            return b"" if policy == "empty" else None
        mask = np.full(size, IGNORE if policy == "ignore" else 0, np.uint8)
    if one_hot:
        return (mask[..., None] == np.arange(len(MASK_CLASSES))).astype(np.uint8).tobytes()
    return mask.tobytes() if schema == "raw" else file_of(mask)


def stored(i, a_sample, schema, policy, one_hot):
    raw = schema == "raw"
    image = a_sample.image.tobytes() if raw else file_of(a_sample.image, a_sample.jpeg)
    return Stored(
        key=f"key {i}",
        filename=f"{i}.png",
        image=image,
        image_format="raw" if raw else "jpeg" if a_sample.jpeg else "png",
        height=a_sample.image.shape[0],
        width=a_sample.image.shape[1],
        channels=1 if a_sample.image.ndim == 2 else 3,
        image_sha256=hashlib.sha256(image).hexdigest(),
        mask=stored_mask(a_sample, schema, policy, one_hot),
        has_mask=a_sample.mask is not None,
        label=a_sample.label,
        class_name="" if a_sample.label is None else list(CLASSES)[a_sample.label],
        meta=(),
        num_classes=len(MASK_CLASSES),
    )


def build(
    folder, schema, samples=SAMPLES, *, policy="empty", compression="none", shards=2, one_hot=False
):
    """A dataset of these samples, dealt to the shards in turn; gives its manifest."""
    folder.mkdir(exist_ok=True)
    layout = Layout(
        schema,
        masks=any(s.mask is not None for s in samples),
        classes=any(s.label is not None for s in samples),
        keep_columns=(),
    )
    parts = []
    for shard in range(shards):
        frames = []
        for i in range(shard, len(samples), shards):
            record = stored(i, samples[i], schema, policy, one_hot)
            frames += frame(encode(features(layout, record)))
        data = b"".join(compressed(frames, compression))
        name = shard_name("train", shard, shards, compression)
        (folder / name).write_bytes(data)
        parts.append(
            Shard(
                name=name,
                records=len(frames) // 3,
                bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                class_counts={},
                first_row=0,
            )
        )
    manifest = manifest_of(schema, samples, parts, compression, one_hot)
    (folder / "dataset.json").write_bytes(dumps(manifest))
    return manifest


def manifest_of(schema, samples, shards, compression, one_hot):
    missing = sum(s.mask is None for s in samples)
    classes = MASK_CLASSES if missing < len(samples) else ()
    return Manifest(
        segrecord="0",
        versions={},
        fingerprint="",
        schema_name=schema,
        compression=compression,
        seed=0,
        options={"records": {"one_hot": one_hot}},
        reads_as="",
        classes=CLASSES if any(s.label is not None for s in samples) else {},
        masks=Masks(classes=classes, values={}, threshold=None, checked=True, missing=missing),
        keep_columns=(),
        samples=len(samples),
        quarantined=0,
        findings={},
        not_checked=(),
        splits={
            "train": Split(
                records=len(samples),
                bytes=sum(shard.bytes for shard in shards),
                class_counts={},
                shards=tuple(shards),
            )
        },
        files={},
    )


def by_image(elements, samples):
    """Each sample's element, found by its image."""
    elements = list(elements)
    assert len(elements) == len(samples)
    found = []
    for a_sample in samples:
        pixels = rgb(a_sample)
        found += [
            e
            for e in elements
            if e["image"].shape == pixels.shape and np.array_equal(e["image"], pixels)
        ]
    assert len(found) == len(samples)
    return found


every_schema = pytest.mark.parametrize("schema", SCHEMAS)
every_policy = pytest.mark.parametrize("policy", ["empty", "ignore", "zeros", "omit"])
every_compression = pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])

# --- pipelines written by hand, in the usual way


def shards_of(folder):
    return [str(path) for path in sorted(folder.glob("train-*.tfrecord"))]


def parse_plain_by_hand(record):
    """The usual code of a notebook; PNG images of three channels."""
    example = tf.io.parse_single_example(
        record,
        {
            "image": tf.io.FixedLenFeature([], tf.string),
            "mask": tf.io.FixedLenFeature([], tf.string, default_value=""),
            "class": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    image = tf.io.decode_png(example["image"], channels=3)
    mask = tf.cond(
        tf.equal(tf.strings.length(example["mask"]), 0),
        lambda: tf.zeros([tf.shape(image)[0], tf.shape(image)[1], 1], tf.uint8),
        lambda: tf.io.decode_png(example["mask"], channels=1),
    )
    return {"image": image, "mask": mask, "class": example["class"]}


@every_policy
def test_a_hand_written_pipeline_reads_plain(tmp_path, policy):
    samples = SAMPLES[:3]
    build(tmp_path, "plain", samples, policy=policy)
    found = tf.data.TFRecordDataset(shards_of(tmp_path)).map(parse_plain_by_hand)
    for element, a_sample in zip(
        by_image(found.as_numpy_iterator(), samples), samples, strict=True
    ):
        fill = IGNORE if policy == "ignore" else 0
        expected = np.full((8, 6), fill) if a_sample.mask is None else a_sample.mask
        assert np.array_equal(element["mask"][..., 0], expected)
        assert element["class"] == a_sample.label


def parse_deeplab_by_hand(record):
    """The eight keys of the DeepLab research reader, decoded unconditionally as there."""
    text = tf.io.FixedLenFeature([], tf.string, default_value="")
    number = tf.io.FixedLenFeature([], tf.int64, default_value=0)
    example = tf.io.parse_single_example(
        record,
        {
            "image/encoded": text,
            "image/filename": text,
            "image/format": tf.io.FixedLenFeature([], tf.string, default_value="jpeg"),
            "image/height": number,
            "image/width": number,
            "image/channels": number,
            "image/segmentation/class/encoded": text,
            "image/segmentation/class/format": text,
        },
    )
    image = tf.io.decode_image(example["image/encoded"], channels=3, expand_animations=False)
    mask = tf.io.decode_image(example["image/segmentation/class/encoded"], channels=1)
    shape = [example["image/height"], example["image/width"], example["image/channels"]]
    return {
        "image": tf.reshape(image, shape),
        "mask": tf.reshape(mask, [*shape[:2], 1]),
        "name": example["image/filename"],
    }


def test_a_hand_written_pipeline_with_the_eight_deeplab_keys_reads_deeplab(tmp_path):
    samples = SAMPLES[:3]
    build(tmp_path, "deeplab", samples, policy="ignore")
    found = tf.data.TFRecordDataset(shards_of(tmp_path)).map(parse_deeplab_by_hand)
    elements = by_image(found.as_numpy_iterator(), samples)
    for i, (element, a_sample) in enumerate(zip(elements, samples, strict=True)):
        expected = np.full((8, 6), IGNORE) if a_sample.mask is None else a_sample.mask
        assert np.array_equal(element["mask"][..., 0], expected)
        assert element["name"] == f"{i}.png".encode()


# --- the code printed in a dataset's README


def readme_code(layout, manifest):
    names = {}
    exec(compile(parse_function(layout, manifest), "README.md", "exec"), names)
    return names


@every_schema
@every_policy
def test_the_readme_code_reads_every_schema_and_policy(tmp_path, schema, policy):
    manifest = build(tmp_path, schema, policy=policy)
    code = readme_code(layout_of(manifest), manifest)
    found = code["dataset"](str(tmp_path / "train-*.tfrecord"))
    assert found.element_spec["image"] == tf.TensorSpec([None, None, 3], tf.uint8)
    assert found.element_spec["mask"] == tf.TensorSpec([None, None, 1], tf.uint8)
    samples = [s._replace(jpeg=s.jpeg and schema != "raw") for s in SAMPLES]
    elements = by_image(found.as_numpy_iterator(), samples)
    for element, a_sample in zip(elements, samples, strict=True):
        fill = IGNORE if policy == "ignore" else 0
        expected = np.full((8, 6), fill) if a_sample.mask is None else a_sample.mask
        assert np.array_equal(element["mask"][..., 0], expected)
        assert element["label"] == a_sample.label
        assert element["label"].dtype == np.int64


@every_compression
def test_the_readme_code_opens_every_compression_by_its_default_glob(
    tmp_path, compression, monkeypatch
):
    manifest = build(tmp_path, "plain", compression=compression)
    monkeypatch.chdir(tmp_path)
    found = readme_code(layout_of(manifest), manifest)["dataset"]()
    by_image(found.as_numpy_iterator(), SAMPLES)


def test_the_readme_code_reads_one_hot_masks(tmp_path):
    manifest = build(tmp_path, "raw", SAMPLES[:1], one_hot=True, shards=1)
    found = readme_code(layout_of(manifest), manifest)["dataset"](str(tmp_path / "train-*"))
    (element,) = found.as_numpy_iterator()
    assert np.array_equal(element["mask"], SAMPLES[0].mask[..., None] == [0, 1])


@every_schema
def test_the_readme_code_reads_images_alone(tmp_path, schema):
    samples = [sample(0, mask=False, label=None), sample(1, mask=False, label=None)]
    manifest = build(tmp_path, schema, samples)
    found = readme_code(layout_of(manifest), manifest)["dataset"](str(tmp_path / "train-*"))
    elements = by_image(found.as_numpy_iterator(), samples)
    assert [e.keys() - {"label"} for e in elements] == [{"image"}] * 2
    assert [e.get("label") for e in elements] == [-1 if schema == "plain" else None] * 2


# --- the adapter


@every_schema
@pytest.mark.parametrize("policy", ["empty", "ignore", "omit"])
def test_the_adapter_reads_every_schema_and_policy(tmp_path, schema, policy):
    build(tmp_path, schema, policy=policy)
    samples = [s._replace(jpeg=s.jpeg and schema != "raw") for s in SAMPLES]
    elements = by_image(dataset(tmp_path).as_numpy_iterator(), samples)
    for element, a_sample in zip(elements, samples, strict=True):
        has = a_sample.mask is not None
        assert np.array_equal(element["mask"][..., 0], a_sample.mask if has else np.zeros((8, 6)))
        assert (element["has_mask"], element["sample_weight"]) == (has, float(has))
        assert element["label"] == a_sample.label


def test_deeplab_records_tell_a_missing_mask_from_one_of_zeros(tmp_path):
    zeros = SAMPLES[0]._replace(mask=np.zeros((8, 6), np.uint8))
    build(tmp_path, "deeplab", [zeros, SAMPLES[1]], policy="zeros")
    elements = by_image(dataset(tmp_path).as_numpy_iterator(), [zeros, SAMPLES[1]])
    assert [bool(e["has_mask"]) for e in elements] == [True, False]


def test_elements_have_the_promised_types(tmp_path):
    build(tmp_path, "deeplab")
    assert dataset(tmp_path).element_spec == {
        "image": tf.TensorSpec([None, None, 3], tf.uint8),
        "mask": tf.TensorSpec([None, None, 1], tf.uint8),
        "has_mask": tf.TensorSpec([], tf.bool),
        "label": tf.TensorSpec([], tf.int64),
        "sample_weight": tf.TensorSpec([], tf.float32),
    }


@every_compression
def test_the_adapter_reads_every_compression(tmp_path, compression):
    build(tmp_path, "deeplab", compression=compression)
    by_image(dataset(tmp_path).as_numpy_iterator(), SAMPLES)


@every_schema
def test_a_dataset_without_masks_or_labels_gives_zeros_and_minus_1(tmp_path, schema):
    build(tmp_path, schema, [sample(0, mask=False, label=None)], shards=1)
    (element,) = dataset(tmp_path).as_numpy_iterator()
    assert np.array_equal(element["mask"], np.zeros((8, 6, 1)))
    assert (element["has_mask"], element["sample_weight"], element["label"]) == (False, 0, -1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 5), ({"batch_size": 2}, 3), ({"batch_size": 2, "drop_remainder": True}, 2)],
)
def test_the_cardinality_is_known_and_true(tmp_path, options, expected):
    build(tmp_path, "plain", [sample(i) for i in range(5)])
    found = dataset(tmp_path, **options)
    assert found.cardinality() == expected
    assert len(list(found)) == expected


def test_batches_of_one_size_train_a_model(tmp_path):
    build(tmp_path, "deeplab", [sample(i, mask=i != 1) for i in range(4)])
    (batch,) = dataset(tmp_path, batch_size=4, one_hot=True)
    assert batch["image"].shape == (4, 8, 6, 3)
    assert batch["mask"].shape == (4, 8, 6, 2)
    logits = tf.keras.layers.Conv2D(2, 1)(tf.cast(batch["image"], tf.float32) / 255)
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    assert np.isfinite(loss(batch["mask"], logits).numpy())
    assert sorted(batch["sample_weight"].numpy()) == [0, 1, 1, 1]


def test_different_sizes_are_batched_by_resizing(tmp_path):
    sizes = [(8, 6), (5, 9), (12, 4)]
    samples = [sample(i, height=h, width=w) for i, (h, w) in enumerate(sizes)]
    build(tmp_path, "deeplab", samples)
    (batch,) = dataset(tmp_path, batch_size=3, image_size=(16, 12))
    assert batch["image"].shape == (3, 16, 12, 3)
    assert batch["image"].dtype == batch["mask"].dtype == tf.uint8
    assert set(np.unique(batch["mask"])) == {0, 1, IGNORE}


def test_resizing_to_the_same_size_changes_nothing(tmp_path):
    build(tmp_path, "deeplab")
    by_image(dataset(tmp_path, image_size=(8, 6)).as_numpy_iterator(), SAMPLES)


def test_one_hot_rows_are_zeros_where_pixels_are_ignored_or_the_mask_is_missing(tmp_path):
    build(tmp_path, "deeplab", policy="ignore")
    elements = by_image(dataset(tmp_path, one_hot=True).as_numpy_iterator(), SAMPLES)
    for element, a_sample in zip(elements, SAMPLES, strict=True):
        assert element["mask"].dtype == np.float32
        expected = np.zeros((8, 6, 2))
        if a_sample.mask is not None:
            expected = a_sample.mask[..., None] == [0, 1]
        assert np.array_equal(element["mask"], expected)


def test_stored_one_hot_masks_come_as_class_ids(tmp_path):
    build(tmp_path, "raw", SAMPLES[:3], one_hot=True, policy="ignore")
    elements = by_image(dataset(tmp_path).as_numpy_iterator(), SAMPLES[:3])
    assert np.array_equal(elements[0]["mask"][..., 0], SAMPLES[0].mask)
    assert [e["has_mask"] for e in elements] == [True, False, True]


def test_shuffling_changes_the_order_by_its_seed_and_loses_nothing(tmp_path):
    samples = [sample(i, label=i % 2) for i in range(24)]
    build(tmp_path, "plain", samples, shards=3)

    def order(**options):
        return [e["image"].tobytes() for e in dataset(tmp_path, **options).as_numpy_iterator()]

    plain = order()
    assert plain == order()
    shuffled = order(shuffle=True, seed=1)
    assert shuffled == order(shuffle=True, seed=1)
    assert shuffled != order(shuffle=True, seed=2)
    assert shuffled != plain
    assert sorted(shuffled) == sorted(plain)


def test_an_order_that_is_not_deterministic_loses_nothing(tmp_path):
    build(tmp_path, "plain")
    by_image(dataset(tmp_path, deterministic=False).as_numpy_iterator(), SAMPLES)


def test_parse_takes_deeplab_records_by_default_and_bears_absent_keys():
    image = sample(0)
    found = parse(encode({"image/encoded": file_of(image.image)}))
    assert np.array_equal(found["image"], image.image)
    assert (int(found["label"]), bool(found["has_mask"])) == (-1, False)


def test_an_unknown_split_is_named_with_those_there_are(tmp_path):
    build(tmp_path, "plain")
    with pytest.raises(UsageError, match="no split 'val', it has train"):
        dataset(tmp_path, "val")


def test_one_hot_without_mask_classes_says_why(tmp_path):
    build(tmp_path, "plain", [sample(0, mask=False)])
    with pytest.raises(UsageError, match=r"one_hot needs mask classes.*it has no masks"):
        dataset(tmp_path, one_hot=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"image_size": (0, 5)}, r"image_size must be .* got \(0, 5\)"),
    ],
)
def test_a_wrong_size_is_refused(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        dataset(tmp_path, **options)


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    with pytest.raises(OutputError, match="no finished dataset"):
        dataset(tmp_path)


def test_an_emptied_or_missing_shard_is_named_before_reading(tmp_path):
    manifest = build(tmp_path, "plain")
    shard = tmp_path / manifest.splits["train"].shards[1].name
    shard.write_bytes(b"")
    with pytest.raises(RecordError, match=r"train-00001-of-00002.tfrecord: has 0 bytes"):
        dataset(tmp_path)
    shard.unlink()
    with pytest.raises(RecordError, match=r"train-00001-of-00002.tfrecord: cannot be opened"):
        dataset(tmp_path)


def test_a_flipped_bit_stops_tensorflow(tmp_path):
    manifest = build(tmp_path, "plain")
    shard = tmp_path / manifest.splits["train"].shards[0].name
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    with pytest.raises(tf.errors.DataLossError):
        list(dataset(tmp_path))


# --- traps of TensorFlow that the format avoids


def test_trap_fixed_len_feature_takes_an_absent_key_and_empty_bytes_but_no_empty_list():
    spec = {"mask": tf.io.FixedLenFeature([], tf.string, default_value="")}
    assert tf.io.parse_single_example(encode({"other": 1}), spec)["mask"] == b""
    assert tf.io.parse_single_example(encode({"mask": b""}), spec)["mask"] == b""
    empty = tf.train.Feature(bytes_list=tf.train.BytesList(value=[]))
    example = tf.train.Example(features=tf.train.Features(feature={"mask": empty}))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.parse_single_example(example.SerializeToString(), spec)


def test_trap_tensorflow_ends_silently_on_an_empty_and_a_cut_shard(tmp_path):
    path = tmp_path / "shard"
    for tail in (b"", frame(b"lost")[0][:11]):
        path.write_bytes(tail)
        assert list(tf.data.TFRecordDataset([str(path)])) == []


def test_trap_a_cut_shard_is_told_by_the_cardinality_even_where_its_size_is_right(tmp_path):
    manifest = build(tmp_path, "plain", shards=1)
    (shard,) = manifest.splits["train"].shards
    path = tmp_path / shard.name
    first = int.from_bytes(path.read_bytes()[:8], "little") + 16
    path.write_bytes(path.read_bytes()[: first + 11])  # TensorFlow would end after one record
    split = manifest.splits["train"]
    cut = shard.model_copy(update={"bytes": path.stat().st_size})
    changed = split.model_copy(update={"shards": (cut,)})
    text = dumps(manifest.model_copy(update={"splits": {"train": changed}}))
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(tf.errors.FailedPreconditionError, match="contain 4 elements"):
        list(dataset(tmp_path))


def test_importing_the_adapter_loads_no_tensorflow():
    code = (
        f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}; import segrecord.tensorflow;"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_tensorflow_the_error_says_what_to_install(tmp_path, monkeypatch):
    build(tmp_path, "plain")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UsageError, match=r"pip install segrecord\[tensorflow\]"):
        dataset(tmp_path)
