"""Train a DeepLabv3+ from scratch in Keras, on a segrecord dataset; nothing is downloaded.

    python examples/deeplabv3plus.py                          # draws the demo set into ./demo first
    python examples/deeplabv3plus.py out/lesions --out runs/lesions

DATASET is a folder that `segrecord build ... --split train=0.8,val=0.1,test=0.1` made, with masks
in the splits train and test; or one that does not exist yet: the demo set is drawn into it. Prints
a line an epoch, then the mean IoU on the test split beside two baselines, and writes the model and
a picture of its predictions.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np

import segrecord
import segrecord.demo
import segrecord.tensorflow
from scoring import Scores, count_mask_classes, save_picture


def main() -> None:
    """Train, then score on the test split."""
    options = parse_options()
    keras.utils.set_random_seed(options.seed)
    options.dataset = found_or_drawn(options.dataset)
    # Asked now, so that a missing split is told before the training and not after it.
    classes = count_mask_classes(options.dataset)
    train = train_data(options)
    model = deeplabv3plus(classes, steps=options.epochs * int(train.cardinality()))
    start = time.perf_counter()
    model.fit(train, epochs=options.epochs, verbose=2, shuffle=False)  # the data shuffle themselves
    print(f"trained in {(time.perf_counter() - start) / 60:.1f} minutes")
    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "deeplabv3plus.keras")
    print(score(model, classes, options))
    print(f"deeplabv3plus.keras and predictions.png are in {options.out}")


def parse_options() -> argparse.Namespace:
    """What stands on the command line."""
    parser = argparse.ArgumentParser(description="Train a DeepLabv3+ on a segrecord dataset.")
    parser.add_argument("dataset", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--out", type=Path, default=Path("runs/deeplab"), help="for what is made")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=128, help="pixels, a multiple of 16")
    parser.add_argument("--limit-steps", type=int, default=-1, help="batches an epoch, for a trial")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.image_size <= 0 or options.image_size % 16:
        parser.error(f"--image-size must be a multiple of 16, got {options.image_size}")
    options.image_size = (options.image_size, options.image_size)
    return options


def found_or_drawn(folder: Path) -> Path:
    """The dataset in this folder; the demo set is drawn into one that does not exist."""
    if not folder.exists():
        print(f"drawing the demo set into {folder}")
        return segrecord.demo.tour(folder).built.path
    drawn_before = folder / "dataset"
    return drawn_before if drawn_before.exists() else folder


def train_data(options: argparse.Namespace) -> Any:
    """Batches of image (N, H, W, 3), mask (N, H, W, 1) and weight (N, H, W), for `fit`."""
    data = segrecord.tensorflow.dataset(
        options.dataset,
        "train",
        batch_size=options.batch_size,
        image_size=options.image_size,
        target="mask",
        augment=segrecord.tensorflow.Augment(flip=(0.5, 0.5), scale=(0.8, 1.3)),
        shuffle=True,
        seed=options.seed,
    )
    return data.take(options.limit_steps)


def deeplabv3plus(classes: int, steps: int) -> keras.Model:
    """A small DeepLabv3+ with random weights: (N, H, W, 3) uint8 to logits (N, H, W, classes).

    Args:
        classes: of the mask.
        steps: of the whole training, over which the learning rate falls to 0.
    """
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256],
        stackwise_num_blocks=[2, 2, 2],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        spatial_pyramid_pooling_key="P4",  # a sixteenth of the image's size
        low_level_feature_key="P2",  # a quarter: this is the "+"
        upsampling_size=4,
        dilation_rates=[2, 4, 6],  # wider ones would reach beyond 8 x 8 features
    )
    model = keras_hub.models.DeepLabV3ImageSegmenter(
        backbone=backbone,
        num_classes=classes,
        preprocessor=keras_hub.models.DeepLabV3ImageSegmenterPreprocessor(
            image_converter=keras_hub.layers.DeepLabV3ImageConverter(scale=1 / 255)
        ),
    )
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=None,
        weighted_metrics=[keras.metrics.MeanIoU(classes, sparse_y_pred=False, dtype="float32")],
    )
    return model


def score(model: keras.Model, classes: int, options: argparse.Namespace) -> Scores:
    """Mean IoU on the test split, and a picture of the first predictions."""
    test = segrecord.tensorflow.dataset(
        options.dataset, "test", batch_size=options.batch_size, image_size=options.image_size
    )
    scores = Scores(classes)
    shown: list[Any] = []
    for batch in test.take(options.limit_steps).as_numpy_iterator():
        known = batch["has_mask"]
        images, truths = batch["image"][known], batch["mask"][known, ..., 0]
        predicted = model.predict_on_batch(batch["image"]).argmax(-1).astype(np.uint8)[known]
        scores.add(images, truths, predicted)
        shown += zip(images, truths, predicted, strict=True)
    save_picture(options.out / "predictions.png", shown[:8])
    return scores


if __name__ == "__main__":
    try:
        main()
    except segrecord.SegrecordError as error:  # no split test, for example: it says what to do
        sys.exit(f"error: {error}")
