"""The TensorFlow adapter as a training uses it: targets, augmentation, and the exact order."""

import re

import numpy as np
import pytest

import datasets
import segrecord
from segrecord.errors import UsageError
from segrecord.images import png
from segrecord.read.sampler import permute
from segrecord.tensorflow import Augment, dataset, state_after

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

SIZE = (12, 16)
IGNORE = 255


def told(mask):
    """An image (H, W, 3) that tells its mask: 50 more a class, so that black is beyond it."""
    return np.repeat((50 + 50 * np.minimum(mask, 3))[..., None], 3, axis=2).astype(np.uint8)


def blocks(number):
    """A mask without symmetry: classes 0, 1, 2 and a pixel to ignore."""
    mask = np.zeros(SIZE, np.uint8)
    mask[1:5, 2 + number % 3 : 9] = 1
    mask[6:9, 9:14] = 2
    mask[7, 1] = IGNORE
    return mask


@pytest.fixture
def write(tmp_path, inline):
    def built(masks, **options):
        source = tmp_path / "source"
        for folder in ("images", "masks"):
            (source / folder).mkdir(parents=True)
        for number, mask in enumerate(masks):
            image = told(blocks(number) if mask is None else mask)
            (source / "images" / f"{number}.png").write_bytes(png.encode(image))
            if mask is not None:
                (source / "masks" / f"{number}.png").write_bytes(png.encode(mask))
        options = {"mask_map": "0=a,1=b,2=c,255=ignore", "shards": 2} | options
        return segrecord.build(source, tmp_path / "out", **options).path

    return built


@pytest.fixture
def six(write):
    return write([blocks(number) for number in range(6)])


def pictures(data):
    """(image, mask) of each element, NumPy arrays (H, W, 3) and (H, W)."""
    return [(one["image"], one["mask"][..., 0]) for one in data.as_numpy_iterator()]


def assert_aligned(image, mask):
    """The image tells this very mask, and what a crop brought in is black and to be ignored."""
    beyond = image[..., 0] == 0
    assert np.array_equal(image[~beyond], told(mask)[~beyond])
    assert (mask[beyond] == IGNORE).all()


# --- augmentation


@pytest.mark.parametrize(
    ("flip", "turn"),
    [
        ((1, 0), np.s_[:, ::-1]),
        ((0.0, 1.0), np.s_[::-1]),
        ((1.0, 1.0), np.s_[::-1, ::-1]),
        ((0.0, 0.0), np.s_[:]),
    ],
)
def test_a_certain_flip_turns_image_and_mask(six, flip, turn):
    plain, flipped = (
        pictures(dataset(six, augment=augment)) for augment in (None, Augment(flip=flip))
    )
    for (image, mask), (other_image, other_mask) in zip(plain, flipped, strict=True):
        assert np.array_equal(image[turn], other_image)
        assert np.array_equal(mask[turn], other_mask)


def test_a_flip_of_one_half_turns_some(write):
    augment = Augment(flip=(0.5, 0.5))
    found = pictures(dataset(write([blocks(0)]), augment=augment, seed=1, repeat=True).take(40))
    kinds = {image.tobytes() for image, _ in found}
    assert len(kinds) == 4


@pytest.mark.parametrize("crop", [(5, 7), (20, 30), (5, 30), (12, 16)])
def test_a_crop_keeps_mask_and_image_aligned(six, crop):
    augment = Augment(flip=(0.5, 0.5), crop=crop)
    for image, mask in pictures(dataset(six, augment=augment, seed=2, repeat=True).take(30)):
        assert image.shape == (*crop, 3)
        assert mask.shape == crop
        assert_aligned(image, mask)
        inside = min(crop[0], SIZE[0]) * min(crop[1], SIZE[1])
        assert (image[..., 0] > 0).sum() == inside


def test_a_crop_is_cut_at_every_place_it_can_be(write):
    mask = blocks(0)[:6, :6]
    augment = Augment(crop=(5, 4))
    data = dataset(write([mask]), augment=augment, seed=3, repeat=True).take(100)
    found = {found.tobytes() for _, found in pictures(data)}
    every = {mask[y : y + 5, x : x + 4].tobytes() for y in range(2) for x in range(3)}
    assert found == every


def test_a_picture_smaller_than_the_crop_lies_at_every_place_within_it(write):
    data = dataset(write([blocks(0)[:10, :15]]), augment=Augment(crop=(12, 16)), seed=3)
    corners = {tuple(np.argwhere(image[..., 0])[0]) for image, _ in pictures(data.repeat(60))}
    assert corners == {(y, x) for y in range(3) for x in range(2)}


def middle(weights):
    """The centre of gravity, in pixels."""
    rows, columns = np.indices(weights.shape)
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / weights.sum()


def square():
    mask = np.zeros((24, 30), np.uint8)
    mask[6:12, 12:24] = 1
    return mask


@pytest.mark.parametrize("size", [(72, 90), (12, 15), (48, 20)])
def test_resizing_shifts_image_and_mask_alike(write, size):
    # Corner-aligned nearest neighbours would lie half a pixel away.
    ((image, mask),) = pictures(dataset(write([square()]), image_size=size))
    grey = image[..., 0].astype(float) - 50
    expected = (middle(square()) + 0.5) * np.array(size) / square().shape - 0.5
    assert middle(mask == 1) == pytest.approx(expected, abs=0.01)
    assert middle(grey) == pytest.approx(expected, abs=0.05)


def test_scaling_keeps_image_and_mask_together_and_makes_no_new_ids(write):
    built = write([square()])
    augment = Augment(scale=(0.6, 1.4), crop=(40, 50))
    data = dataset(built, augment=augment, seed=4, repeat=True).take(25)
    sizes = set()
    for image, mask in pictures(data):
        inside = image[..., 0] > 0
        assert set(np.unique(mask)) <= {0, 1, IGNORE}
        assert (mask[~inside] == IGNORE).all()
        grey = np.where(inside, image[..., 0].astype(float) - 50, 0)
        # Nearest neighbours move an edge by half a pixel at most, so a middle by less.
        assert middle(mask == 1) == pytest.approx(middle(grey), abs=0.5)
        sizes.add(int(inside.sum()))
    assert len(sizes) > 10


def test_scaling_without_a_crop_keeps_the_size(six):
    data = dataset(six, augment=Augment(scale=(0.5, 2)), batch_size=6, seed=1)
    ((image, mask),) = [(one["image"], one["mask"]) for one in data]
    assert image.shape == (6, *SIZE, 3)
    assert mask.shape == (6, *SIZE, 1)


def test_image_size_and_crop_give_static_shapes(six):
    augment = Augment(crop=(8, 9), scale=(0.5, 2), flip=(0.5, 0))
    spec = dataset(six, augment=augment, image_size=(20, 20)).element_spec
    assert spec["image"].shape == (8, 9, 3)
    assert spec["mask"].shape == (8, 9, 1)
    spec = dataset(six, augment=Augment(), image_size=(20, 24)).element_spec
    assert spec["image"].shape == (20, 24, 3)


def digest(data):
    return [(image.tobytes(), mask.tobytes()) for image, mask in pictures(data)]


def test_a_seed_repeats_the_augmentation_and_each_epoch_has_its_own(six):
    augment = Augment(flip=(0.5, 0.5), crop=(7, 7), scale=(0.7, 1.5))
    one, other = (dataset(six, augment=augment, shuffle=True, seed=5) for _ in range(2))
    first, second = digest(one), digest(one)
    assert first != second
    assert [digest(other), digest(other)] == [first, second]
    assert digest(dataset(six, augment=augment, shuffle=True, seed=6)) != first


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"flip": (0.5, 1.5)}, r"flip must be two probabilities, each in \[0, 1\], got \(0.5, 1.5"),
        ({"flip": (0.5,)}, "flip must be two"),
        ({"crop": (0, 4)}, r"crop must be \(height, width\), each at least 1, got \(0, 4\)"),
        ({"crop": (4, 4, 3)}, "crop must be"),
        ({"scale": (2, 1)}, r"scale must be \(low, high\), 0 < low <= high, got \(2, 1\)"),
        ({"scale": (0, 1)}, "scale must be"),
        ({"scale": (1,)}, "scale must be"),
    ],
)
def test_an_augmentation_that_cannot_be_is_refused(options, rule):
    with pytest.raises(UsageError, match=rule):
        Augment(**options)


# --- targets


def by_weight(data):
    """The elements (image, target, weight), that of the least weight first."""
    return sorted(data.as_numpy_iterator(), key=lambda one: one[2].sum())


def test_mask_targets_weigh_each_pixel(write):
    built = write([blocks(0), None])
    missing, sound = by_weight(dataset(built, target="mask"))
    image, mask, weight = sound
    assert (image.dtype, mask.dtype, weight.dtype) == (np.uint8, np.uint8, np.float32)
    assert (image.shape, mask.shape, weight.shape) == ((*SIZE, 3), (*SIZE, 1), SIZE)
    expected = blocks(0)
    assert np.array_equal(weight, expected != IGNORE)
    assert np.array_equal(mask[..., 0], np.where(expected == IGNORE, 0, expected))
    assert not missing[1].any()
    assert not missing[2].any()


def test_mask_targets_can_be_one_hot(write):
    built = write([blocks(0), None])
    missing, sound = by_weight(dataset(built, target="mask", one_hot=True))
    assert np.array_equal(sound[1], blocks(0)[..., None] == [0, 1, 2])
    assert np.array_equal(sound[2], blocks(0) != IGNORE)
    assert (sound[1].dtype, sound[2].dtype) == (np.float32, np.float32)
    assert not missing[1].any()
    assert not missing[2].any()


def test_what_a_crop_brings_in_has_no_weight(six):
    augment = Augment(crop=(20, 30))
    for image, mask, weight in dataset(six, target="mask", augment=augment).as_numpy_iterator():
        beyond = image[..., 0] == 0
        assert beyond.any()
        assert not weight[beyond].any()
        assert not mask[beyond].any()


def segmenter(loss):
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 1, activation="relu"),
            layers.Conv2D(3, 1),
        ]
    )
    model.compile(optimizer=tf.keras.optimizers.Adam(0.1), loss=loss)
    return model


@pytest.mark.parametrize("one_hot", [False, True])
def test_keras_learns_masks(write, one_hot):
    built = write([blocks(0), None, blocks(1), blocks(2)])
    data = dataset(
        built, target="mask", one_hot=one_hot, batch_size=2, augment=Augment(flip=(0.5, 0)), seed=0
    )
    losses = tf.keras.losses
    kind = losses.CategoricalCrossentropy if one_hot else losses.SparseCategoricalCrossentropy
    model = segmenter(kind(from_logits=True))
    found = model.fit(data, epochs=40, verbose=0, shuffle=False).history["loss"]
    assert found[-1] < found[0] / 2
    *_, (image, mask, weight) = by_weight(dataset(built, target="mask"))
    guess = model(image[None]).numpy()[0].argmax(-1)
    assert np.mean((guess == mask[..., 0])[weight > 0]) > 0.95


@pytest.mark.parametrize("one_hot", [False, True])
def test_ignored_pixels_and_missing_masks_leave_the_loss_alone(write, one_hot):
    losses = tf.keras.losses
    kind = losses.CategoricalCrossentropy if one_hot else losses.SparseCategoricalCrossentropy
    built = write([blocks(0), None])
    model = segmenter(kind(from_logits=True, reduction="sum"))
    found = model.evaluate(dataset(built, target="mask", one_hot=one_hot, batch_size=2), verbose=0)
    mask = blocks(0)
    logits = model(told(mask)[None]).numpy()[0].astype(np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    known = mask != IGNORE
    right = np.take_along_axis(chances, np.where(known, mask, 0)[..., None].astype(int), 2)[..., 0]
    assert found == pytest.approx(-np.log(right[known]).sum(), rel=1e-3)


def test_label_targets_train_a_classifier(tmp_path):
    built = datasets.make(tmp_path / "d", {"train": (4, 4)})
    data = dataset(built, target="label", batch_size=4, image_size=(8, 8))
    assert [spec.dtype for spec in data.element_spec] == [tf.uint8, tf.int64, tf.float32]
    labels = [label for _, batch, _ in data.as_numpy_iterator() for label in batch]
    assert sorted(labels) == [0] * 4 + [1] * 4
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss=loss)
    found = model.fit(data, epochs=15, verbose=0, shuffle=False).history["loss"]
    assert found[-1] < found[0] / 2


def unlabelled(folder):
    """A dataset whose second of two records has no label."""
    built = datasets.make(folder, {"train": (2,)}, unlabelled="keep")
    shard = built / "train-00000-of-00001.tfrecord"
    datasets.edit_record(shard, 1, image__class__label=[-1])
    return built


def test_a_sample_without_a_label_has_no_weight(tmp_path):
    found = list(dataset(unlabelled(tmp_path / "d"), target="label").as_numpy_iterator())
    assert [(label, weight) for _, label, weight in found] == [(0, 1), (0, 0)]


def test_a_repeated_dataset_gives_epoch_after_epoch(six):
    data = dataset(six, repeat=True, shuffle=True, seed=1, batch_size=4)
    assert data.cardinality() == tf.data.INFINITE_CARDINALITY
    found = [image.tobytes() for batch in data.take(3) for image in batch["image"].numpy()]
    stored = {image.tobytes() for image, _ in pictures(dataset(six))}
    assert set(found[:6]) == set(found[6:]) == stored


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"target": "masks"}, "target must be mask, label or None, got 'masks'"),
        ({"target": "label", "one_hot": True}, "one_hot is for masks"),
        ({"target": "label"}, "target='label': .* has no labels to learn"),
        ({"rank": 1, "world_size": 2}, "there is no option rank, world_size without exact=True"),
        ({"exact": True}, "exact=True gives batches: pass batch_size"),
        ({"exact": True, "batch_size": 2, "drop_remainder": True}, "drop_last decides"),
        ({"exact": True, "batch_size": 7}, "6 records hold no batch of 7"),
        (
            {
                "exact": True,
                "batch_size": 1,
                "repeat": True,
                "drop_last": False,
                "rank": 7,
                "world_size": 8,
            },
            "6 records holds no batch of 1 .* so it cannot repeat",
        ),
        ({"exact": True, "batch_size": 2, "rank": 2, "world_size": 2}, r"rank must be in \[0, 2\)"),
    ],
)
def test_options_that_do_not_fit_are_refused(six, options, rule):
    with pytest.raises(UsageError, match=rule):
        dataset(six, **options)


def test_an_option_that_does_not_exist_is_refused(six):
    with pytest.raises(UsageError, match="no option batchsize"):
        dataset(six, batchsize=2)
    with pytest.raises(TypeError, match="batchsize"):
        dataset(six, exact=True, batch_size=2, batchsize=2)


def test_a_mask_target_needs_masks(tmp_path):
    built = datasets.make(tmp_path / "d", masks=False)
    with pytest.raises(UsageError, match=r"target='mask': .* has no masks to learn"):
        dataset(built, target="mask")


def test_an_open_dataset_is_read_in_the_exact_order_alone(six):
    with pytest.raises(UsageError, match=r"Dataset\(.* is open .*: pass its folder, or exact=True"):
        dataset(segrecord.open(six))


# --- exact: what the other adapters are tested for too, and what is TensorFlow's own

COUNT = 23
EXACT = {"exact": True, "image_size": (9, 7), "shuffle": True, "seed": 5}


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return datasets.make(tmp_path_factory.mktemp("set") / "d", {"train": (9, 8, 6), "val": (2,)})


@pytest.fixture(scope="module")
def expected(numbered):
    """The keys of epochs 0, 1 and 2, in their order."""
    keys = segrecord.open(numbered, "train").records["key"].to_pylist()
    return [[keys[permute(place, COUNT, 5, epoch)] for place in range(COUNT)] for epoch in range(3)]


def keys_of(data):
    return [
        key.decode()
        for batch in data.as_numpy_iterator()
        for key, valid in zip(batch["key"], batch["valid"], strict=True)
        if valid
    ]


def test_exact_gives_what_batches_gives(numbered):
    native = segrecord.open(numbered, "train").batches(4, seed=5, image_size=(9, 7), pad=True)
    data = dataset(numbered, batch_size=4, pad=True, **EXACT)
    assert data.cardinality() == 6
    for ours, given in zip(data.as_numpy_iterator(), native, strict=True):
        assert np.array_equal(ours["image"], given.image)
        masked = np.where(given.has_mask[:, None, None], given.mask, 0)
        assert np.array_equal(ours["mask"][..., 0], masked)
        assert np.array_equal(ours["sample_weight"], given.has_mask & given.valid)
        for name in ("has_mask", "label", "valid"):
            assert np.array_equal(ours[name], getattr(given, name))
        assert [key.decode() for key in ours["key"]] == given.key.tolist()


def test_exact_has_the_types_of_the_native_path(numbered):
    spec = dataset(numbered, batch_size=4, **EXACT).element_spec
    native = dataset(numbered, batch_size=4, image_size=(9, 7), drop_remainder=True).element_spec
    assert {name: spec[name] for name in native} == native
    assert set(spec) - set(native) == {"valid", "key"}


def test_every_iteration_of_exact_begins_at_its_state(numbered, expected):
    data = dataset(numbered, batch_size=4, drop_last=False, **EXACT)
    next(iter(data))  # as Keras looks at a batch to build a model
    assert keys_of(data) == keys_of(data) == expected[0]


def test_exact_repeats_epoch_after_epoch(numbered, expected):
    data = dataset(numbered, batch_size=4, drop_last=False, repeat=True, **EXACT)
    assert data.cardinality() == tf.data.INFINITE_CARDINALITY
    assert keys_of(data.take(18)) == [key for epoch in expected for key in epoch]


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 6, 8, 11])
def test_exact_goes_on_where_a_training_stood_with_other_ranks(numbered, expected, stop):
    order = {"batch_size": 4, "shuffle": True, "seed": 5, "drop_last": False}
    data = dataset(numbered, exact=True, image_size=(9, 7), repeat=True, **order)
    first = keys_of(data.take(stop))
    state = state_after(stop, numbered, **order)
    parts = [
        keys_of(
            dataset(
                numbered,
                exact=True,
                image_size=(9, 7),
                batch_size=3,
                world_size=2,
                rank=rank,
                drop_last=False,
                state=state,
            )
        )
        for rank in range(2)
    ]
    rest = [key for pair in zip(*parts, strict=False) for key in pair]
    rest += parts[0][len(parts[1]) :]
    epoch = state.epoch
    assert first[epoch * COUNT :] + rest == expected[epoch]


def test_the_state_is_that_of_batches(numbered):
    ds = segrecord.open(numbered, "train")
    for ranks, last in ((1, {}), (2, {"pad": True}), (3, {"drop_last": False})):
        order = {"batch_size": 2, "shuffle": True, "world_size": ranks, "rank": 1 % ranks, **last}
        native = ds.batches(seed=3, image_size=(4, 4), **order)
        states = [native.state]
        for _ in range(2):
            states += [native.state for _ in native]
        found = [state_after(number, ds, seed=3, **order) for number in range(len(states))]
        assert found == states


def test_a_resumed_state_counts_on(numbered):
    order = {"batch_size": 4, "shuffle": True, "seed": 5}
    state = state_after(3, numbered, **order)
    assert state_after(4, numbered, state=state, **order) == state_after(7, numbered, **order)


def test_repeats_of_the_pad_tail_have_no_weight(numbered):
    for target in ("mask", "label"):
        data = dataset(numbered, batch_size=4, pad=True, target=target, **EXACT)
        *_, (_, _, weight) = data.as_numpy_iterator()
        assert weight[:3].any()
        assert not weight[3].any()


def test_augmentation_of_exact_is_the_same_after_a_resume(numbered):
    augment = Augment(flip=(0.5, 0.5), scale=(0.7, 1.4), crop=(6, 8))
    order = {"batch_size": 4, "drop_last": False, "augment": augment}

    def by_key(data):
        return {
            (key, number // COUNT): (image.tobytes(), mask.tobytes())
            for number, (key, image, mask) in enumerate(
                (key, image, mask)
                for batch in data.as_numpy_iterator()
                for key, image, mask in zip(
                    batch["key"], batch["image"], batch["mask"], strict=True
                )
            )
        }

    data = dataset(numbered, repeat=True, **order, **EXACT).take(12)
    assert data.element_spec["image"].shape == (None, 6, 8, 3)
    whole = by_key(data)
    assert len(whole) == 2 * COUNT
    assert any(whole[key, 0] != whole[key, 1] for key, epoch in whole if epoch == 0)
    state = state_after(3, numbered, batch_size=4, shuffle=True, seed=5, drop_last=False)
    rest = by_key(dataset(numbered, state=state, **order | {"batch_size": 2}, **EXACT))
    assert len(rest) == COUNT - 12
    assert rest == {key: whole[key] for key in rest}


def test_exact_trains_keras(numbered):
    data = dataset(
        numbered, batch_size=4, target="mask", repeat=True, augment=Augment(flip=(0.5, 0)), **EXACT
    )
    model = segmenter(tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found = model.fit(data, epochs=2, steps_per_epoch=7, verbose=0, shuffle=False)
    assert np.isfinite(found.history["loss"]).all()


def test_exact_takes_a_selection(numbered):
    ds = segrecord.open(numbered, "train").select(label="dog")
    data = dataset(ds, batch_size=2, drop_last=False, **EXACT)
    assert sorted(keys_of(data)) == sorted(ds.records["key"].to_pylist())


def damaged(tmp_path):
    built = datasets.make(tmp_path / "d", {"train": (6,)})
    shard = built / "train-00000-of-00001.tfrecord"
    row = segrecord.open(built).records.slice(2, 1).to_pylist()[0]
    data = bytearray(shard.read_bytes())
    data[row["offset"] + 60] ^= 4
    shard.write_bytes(data)
    return built


def test_exact_names_a_damaged_record(tmp_path):
    data = dataset(damaged(tmp_path), exact=True, batch_size=2, image_size=(8, 8))
    with pytest.raises(tf.errors.UnknownError, match=r"tfrecord record 2 at byte \d+"):
        list(data)


@pytest.mark.filterwarnings("ignore::segrecord.DamagedRecordWarning")
@pytest.mark.parametrize("batch_size", [1, 2])
def test_exact_leaves_damaged_records_out_where_it_shall(tmp_path, batch_size):
    ds = segrecord.open(damaged(tmp_path), "train", on_error="skip")
    data = dataset(ds, exact=True, batch_size=batch_size, image_size=(8, 8))
    assert keys_of(data) == [datasets.sample(number).key for number in (0, 1, 3, 4, 5)]


def test_exact_refuses_at_once_what_it_cannot_read(tmp_path, numbered):
    with pytest.raises(UsageError, match=r"pass image_size=\(height, width\)"):
        dataset(numbered, exact=True, batch_size=2)
    gzip = datasets.make(tmp_path / "d", compression="gzip")
    with pytest.raises(UsageError, match="compressed"):
        dataset(gzip, exact=True, batch_size=2, image_size=(8, 8))


def test_a_state_past_the_end_is_refused(numbered):
    state = segrecord.State(segrecord.open(numbered, "train").fingerprint, 5, 0, COUNT + 1)
    with pytest.raises(UsageError, match="the state counts 24 samples, an epoch has 23"):
        dataset(numbered, batch_size=2, state=state, **EXACT)
    with pytest.raises(UsageError, match="the state counts 24 samples, an epoch has 23"):
        state_after(1, numbered, batch_size=2, state=state)


def test_a_state_of_other_data_is_refused(numbered):
    state = segrecord.State("ab" * 32, 5)
    with pytest.raises(UsageError, match="open the same dataset, split and selection"):
        dataset(numbered, exact=True, batch_size=2, state=state)


def test_a_number_of_batches_below_0_is_refused(numbered):
    with pytest.raises(UsageError, match=re.escape("delivered must be at least 0, got -1")):
        state_after(-1, numbered, batch_size=2)
