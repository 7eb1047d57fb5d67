"""The deeplab schema in the readers of DeepLab, DeepLab2 and TensorFlow Model Garden.

Each reader here is what the original does to a record up to the point where it augments, written
anew after the public source that it names: the same feature specification (types, shapes and
defaults), decoder and its arguments, reshape and cast.
"""

import numpy as np
import pytest

import segrecord
from make import encoded, listing, picture, put
from segrecord.format import example, manifest, tfrecord

tf = pytest.importorskip("tensorflow")
pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("inline")]

IGNORE = 255
CLASSES = ("melanoma", "nevus")

# Name: height, width and channels of the image, and whether it has a mask. None is square.
SAMPLES = {
    "colour.png": (8, 6, 3, True),
    "grey.png": (5, 9, 1, True),
    "photo.jpg": (24, 40, 3, True),
    "film.jpg": (33, 17, 1, True),
    "bare.png": (7, 10, 3, False),
    "maskless.jpg": (20, 12, 3, False),
}


def ids(number, height, width):
    """(H, W) uint8 class ids 0, 1, 2 and IGNORE; no two rows or columns are equal in all."""
    return np.array([0, 1, 2, IGNORE, 1], np.uint8)[
        (np.arange(height * width).reshape(height, width) * (number + 2)) % 5
    ]


def draw(folder, name, number):
    """Write a sample's files; gives the bytes of the image and the mask that it has."""
    height, width, channels, has_mask = SAMPLES[name]
    form = "PNG" if name.endswith("png") else "JPEG"
    data = encoded(picture(number, height, width, channels), form)
    put(folder / "images" / name, data)
    mask = ids(number, height, width) if has_mask else None
    if mask is not None:
        put(folder / "masks" / f"{name}.png", encoded(mask))
    return data, mask


def build(folder, names=tuple(SAMPLES), **options):
    """A dataset of these samples: name -> (serialized record, image file, mask, label)."""
    drawn = {name: draw(folder, name, number) for number, name in enumerate(names)}
    rows = [
        f"images/{name},{f'masks/{name}.png' if mask is not None else ''},{CLASSES[number % 2]}"
        for number, (name, (_, mask)) in enumerate(drawn.items())
    ]
    listing(folder / "index.csv", rows)
    built = segrecord.build(folder / "index.csv", folder / "out", shards=2, **options)
    found = {}
    for shard in manifest.load(built.path).splits["train"].shards:
        with tfrecord.open_shard(built.path / shard.name, "none") as stream:
            for _, payload in tfrecord.read_records(stream, shard.name):
                name = example.decode(payload)["image/filename"][0].decode().rpartition("/")[2]
                found[name] = payload
    assert set(found) == set(names)
    return {name: (found[name], *drawn[name], number % 2) for number, name in enumerate(drawn)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        from segrecord.executors import InlineEngine
        from segrecord.pipeline import build_dataset, scan_source

        for module in (scan_source, build_dataset):
            patch.setattr(module, "LocalEngine", lambda *_: InlineEngine())
        return build(tmp_path_factory.mktemp("readers"))


def rgb(data):
    """(H, W, 3) uint8: the source file as TensorFlow's plain decoder, which all of them use, has
    it. Test images of PNG are checked against what was drawn besides."""
    return tf.io.decode_image(data, channels=3, expand_animations=False).numpy()


def stored_ids(mask, image):
    """(H, W): the mask that was drawn, or what stands for a missing one."""
    return np.full(image.shape[:2], IGNORE, np.uint8) if mask is None else mask


def edited(record, **values):
    """The record with these features changed (`__` for `/`); None takes one away."""
    features = example.decode(record)
    features |= {name.replace("__", "/"): value for name, value in values.items()}
    return example.encode({name: value for name, value in features.items() if value is not None})


def swapped(record):
    features = example.decode(record)
    return edited(
        record, image__height=features["image/width"], image__width=features["image/height"]
    )


def same(found, expected):
    return found.dtype == expected.dtype and np.array_equal(found, expected)


every_sample = pytest.mark.parametrize("name", SAMPLES)


def test_the_samples_are_stored_as_the_files_they_were_and_png_pixels_are_those_drawn(built):
    for number, (name, (_, data, _, _)) in enumerate(built.items()):
        height, width, channels, _ = SAMPLES[name]
        drawn = picture(number, height, width, channels)
        drawn = drawn[..., None].repeat(3, 2) if drawn.ndim == 2 else drawn
        assert rgb(data).shape == (height, width, 3)
        assert name.endswith("jpg") or np.array_equal(rgb(data), drawn)
        assert example.decode(built[name][0])["image/encoded"] == [data]


# DeepLab, https://github.com/tensorflow/models, research/deeplab/datasets/data_generator.py,
# Dataset._parse_function; TensorFlow 1's tf.FixedLenFeature is tf.io.FixedLenFeature.

DEEPLAB = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string, default_value=""),
    "image/filename": tf.io.FixedLenFeature((), tf.string, default_value=""),
    "image/format": tf.io.FixedLenFeature((), tf.string, default_value="jpeg"),
    "image/height": tf.io.FixedLenFeature((), tf.int64, default_value=0),
    "image/width": tf.io.FixedLenFeature((), tf.int64, default_value=0),
    "image/segmentation/class/encoded": tf.io.FixedLenFeature((), tf.string, default_value=""),
    "image/segmentation/class/format": tf.io.FixedLenFeature((), tf.string, default_value="png"),
}


@tf.function
def read_deeplab(record):
    def decode(content, channels):
        return tf.cond(
            tf.image.is_jpeg(content),
            lambda: tf.image.decode_jpeg(content, channels),
            lambda: tf.image.decode_png(content, channels),
        )

    parsed = tf.io.parse_single_example(record, DEEPLAB)
    image = decode(parsed["image/encoded"], 3)
    label = decode(parsed["image/segmentation/class/encoded"], 1)
    assert label.shape.as_list() == [None, None, 1]  # the original raises ValueError
    size = tf.stack([parsed["image/height"], parsed["image/width"]])
    return image, label, size, parsed["image/filename"]


@every_sample
def test_deeplab_reads_image_mask_and_size(built, name):
    record, data, mask, _ = built[name]
    image, label, size, filename = (found.numpy() for found in read_deeplab(record))
    assert same(image, rgb(data))
    assert same(label[..., 0], stored_ids(mask, image))
    assert tuple(size) == image.shape[:2]
    assert filename.decode().endswith(name)


# DeepLab2, https://github.com/google-research/deeplab2: data/data_utils.py, SegmentationDecoder;
# keys in common.py; the checks and casts that follow in data/sample_generator.py,
# PanopticSampleGenerator.call. No feature has a default.

DEEPLAB2 = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string),
    "image/filename": tf.io.FixedLenFeature((), tf.string),
    "image/format": tf.io.FixedLenFeature((), tf.string),
    "image/height": tf.io.FixedLenFeature((), tf.int64),
    "image/width": tf.io.FixedLenFeature((), tf.int64),
    "image/channels": tf.io.FixedLenFeature((), tf.int64),
    "image/segmentation/class/encoded": tf.io.FixedLenFeature((), tf.string),
}


def read_deeplab2(record, *, panoptic=False):
    parsed = tf.io.parse_single_example(record, DEEPLAB2)
    image = tf.io.decode_image(
        parsed["image/encoded"], channels=3, dtype=tf.uint8, expand_animations=False
    )
    image.set_shape([None, None, 3])
    height = tf.cast(parsed["image/height"], tf.int32)
    width = tf.cast(parsed["image/width"], tf.int32)
    encoded_label = parsed["image/segmentation/class/encoded"]
    if panoptic:
        flat = tf.io.decode_raw(encoded_label, out_type=tf.int32)
        label = tf.reshape(flat, tf.stack([height, width, 1]))
    else:
        label = tf.io.decode_image(encoded_label, channels=1)
        label.set_shape([None, None, 1])
    label.shape.assert_is_compatible_with(tf.TensorShape([None, None, 1]))
    label = tf.cast(label, tf.int32)
    return image, label, tf.stack([height, width]), parsed["image/filename"]


@every_sample
def test_deeplab2_reads_image_mask_and_size(built, name):
    record, data, mask, _ = built[name]
    read = tf.function(read_deeplab2)
    image, label, size, filename = (found.numpy() for found in read(record))
    assert same(image, rgb(data))
    assert same(label[..., 0], stored_ids(mask, image).astype(np.int32))
    assert tuple(size) == image.shape[:2]
    assert filename.decode().endswith(name)


@every_sample
def test_deeplab2_refuses_class_ids_where_it_is_told_to_expect_panoptic_labels(built, name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        read_deeplab2(built[name][0], panoptic=True)


@pytest.mark.parametrize("key", DEEPLAB2)
def test_deeplab2_needs_each_of_its_keys(built, key):
    record = edited(built["colour.png"][0], **{key: None})
    with pytest.raises(tf.errors.InvalidArgumentError, match=key):
        read_deeplab2(record)


# Model Garden, https://github.com/tensorflow/models,
# official/vision/dataloaders/segmentation_input.py: Decoder, Parser._prepare_image_and_label up to
# the normalization, and valid_masks of Parser._parse_eval_data. The image feature is that of
# DenseFeatureConfig's defaults (official/vision/configs/semantic_segmentation.py): image/encoded,
# three channels.

GARDEN_SEGMENTATION = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string, default_value=""),
    "image/height": tf.io.FixedLenFeature((), tf.int64, default_value=0),
    "image/width": tf.io.FixedLenFeature((), tf.int64, default_value=0),
    "image/segmentation/class/encoded": tf.io.FixedLenFeature((), tf.string, default_value=""),
}


@tf.function
def read_garden_segmentation(record):
    parsed = tf.io.parse_single_example(record, GARDEN_SEGMENTATION)
    height, width = parsed["image/height"], parsed["image/width"]
    label = tf.io.decode_image(parsed["image/segmentation/class/encoded"], channels=1)
    label = tf.cast(tf.reshape(label, (1, height, width)), tf.float32)
    image = tf.io.decode_image(parsed["image/encoded"], channels=3, dtype=tf.uint8)
    image = tf.reshape(image, (height, width, 3))
    return image, label, tf.not_equal(label, IGNORE)


def garden_reads_right(record, data, mask):
    image, label, valid = (found.numpy() for found in read_garden_segmentation(record))
    expected = stored_ids(mask, rgb(data))
    return (
        same(image, rgb(data))
        and same(label[0], expected.astype(np.float32))
        and same(valid[0], expected != IGNORE)
    )


@every_sample
def test_model_garden_segmentation_reads_image_and_mask(built, name):
    record, data, mask, _ = built[name]
    assert garden_reads_right(record, data, mask)


@pytest.mark.parametrize("name", ["bare.png", "maskless.jpg"])
def test_a_missing_mask_counts_in_no_pixel_of_model_garden(built, name):
    record = built[name][0]
    assert example.decode(record)["image/segmentation/present"] == [0]
    assert not read_garden_segmentation(record)[2].numpy().any()


@every_sample
def test_swapped_height_and_width_would_scramble_model_garden_and_this_suite_would_tell(
    built, name
):
    record, data, mask, _ = built[name]
    assert not garden_reads_right(swapped(record), data, mask)


def test_a_height_that_is_not_the_images_stops_model_garden(built):
    record, data, _, _ = built["colour.png"]
    wrong = edited(record, image__height=[rgb(data).shape[0] + 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        read_garden_segmentation(wrong)


# Model Garden, official/vision/dataloaders/tf_example_decoder.py, TfExampleDecoder, which its
# detection readers use: of its keys the schema has those of the image; objects there are none.

GARDEN_EXAMPLE = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string),
    "image/height": tf.io.FixedLenFeature((), tf.int64, -1),
    "image/width": tf.io.FixedLenFeature((), tf.int64, -1),
    "image/object/bbox/xmin": tf.io.VarLenFeature(tf.float32),
    "image/object/bbox/xmax": tf.io.VarLenFeature(tf.float32),
    "image/object/bbox/ymin": tf.io.VarLenFeature(tf.float32),
    "image/object/bbox/ymax": tf.io.VarLenFeature(tf.float32),
    "image/object/class/label": tf.io.VarLenFeature(tf.int64),
    "image/object/area": tf.io.VarLenFeature(tf.float32),
    "image/object/is_crowd": tf.io.VarLenFeature(tf.int64),
    "image/source_id": tf.io.FixedLenFeature((), tf.string),
}


@every_sample
def test_model_gardens_example_decoder_reads_image_size_and_source_id(built, name):
    record, data, _, _ = built[name]
    parsed = tf.io.parse_single_example(record, GARDEN_EXAMPLE)
    image = tf.io.decode_image(parsed["image/encoded"], channels=3)
    assert same(image.numpy(), rgb(data))
    size = (int(parsed["image/height"]), int(parsed["image/width"]))
    assert size == image.shape[:2]
    assert parsed["image/source_id"].numpy().decode() == f"images/{name.rpartition('.')[0]}"
    assert tf.size(parsed["image/object/class/label"].values) == 0


# What the default of --missing-mask is for: these readers decode the mask of every record.


@pytest.mark.parametrize("read", [read_deeplab, read_deeplab2, read_garden_segmentation])
@pytest.mark.parametrize("policy", ["empty", "omit"])
def test_no_such_reader_takes_a_mask_that_is_empty_or_absent(tmp_path, read, policy):
    made = build(tmp_path, ("colour.png", "bare.png"), missing_mask=policy)
    read(made["colour.png"][0])
    with pytest.raises(tf.errors.InvalidArgumentError):
        read(made["bare.png"][0])


# Model Garden, official/vision/dataloaders/classification_input.py: Decoder, and
# Parser._parse_eval_image up to the resize; the crop is center_crop_image_v2 of
# official/vision/ops/preprocess_ops.py, CENTER_CROP_FRACTION 0.875.

GARDEN_CLASSIFICATION = {
    "image/encoded": tf.io.FixedLenFeature((), tf.string, default_value=""),
    "image/class/label": tf.io.FixedLenFeature((), tf.int64, default_value=-1),
}
CROP = 0.875


@tf.function
def read_garden_classification(record):
    """decode_jpeg_only=False and aug_crop=False."""
    parsed = tf.io.parse_single_example(record, GARDEN_CLASSIFICATION)
    image = tf.io.decode_image(parsed["image/encoded"], channels=3)
    image.set_shape([None, None, 3])
    return image, tf.cast(parsed["image/class/label"], tf.int32)


@tf.function
def read_garden_classification_jpeg(record):
    """decode_jpeg_only=True and aug_crop=True, the defaults."""
    parsed = tf.io.parse_single_example(record, GARDEN_CLASSIFICATION)
    shape = tf.cast(tf.image.extract_jpeg_shape(parsed["image/encoded"]), tf.float32)
    side = CROP * tf.minimum(shape[0], shape[1])
    offset = tf.cast((shape - side) / 2.0, tf.int32)
    side = tf.cast(side, tf.int32)
    window = tf.stack([offset[0], offset[1], side, side])
    image = tf.image.decode_and_crop_jpeg(parsed["image/encoded"], window, channels=3)
    return image, tf.cast(parsed["image/class/label"], tf.int32)


@every_sample
def test_model_garden_classification_reads_image_and_label(built, name):
    record, data, _, label = built[name]
    image, found = (value.numpy() for value in read_garden_classification(record))
    assert same(image, rgb(data))
    assert same(found, np.int32(label))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith("jpg")])
def test_model_garden_classification_crops_a_jpeg_as_its_source(built, name):
    record, data, _, label = built[name]
    image, found = (value.numpy() for value in read_garden_classification_jpeg(record))
    height, width = rgb(data).shape[:2]
    side = CROP * min(height, width)
    top, left, side = int((height - side) / 2), int((width - side) / 2), int(side)
    whole = rgb(data)[top : top + side, left : left + side]
    assert image.shape == whole.shape
    # At the border of a crop the colours of the pixel beyond are not there to be smoothed with.
    assert same(image[1:-1, 1:-1], whole[1:-1, 1:-1])
    assert found == label


def test_model_garden_classification_needs_decode_jpeg_only_false_for_png(built):
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG"):
        read_garden_classification_jpeg(built["colour.png"][0])


def test_an_unlabelled_set_gives_model_garden_its_default_label(built):
    record = edited(built["colour.png"][0], **{"image/class/label": None})
    assert read_garden_classification(record)[1].numpy() == -1


def test_the_labels_are_those_of_the_listing_and_not_all_one(built):
    labels = [int(read_garden_classification(record)[1]) for record, _, _, _ in built.values()]
    assert labels == [label for _, _, _, label in built.values()]
    assert set(labels) == {0, 1}
