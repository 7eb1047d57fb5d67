"""A dataset of ours as a `tf.data.Dataset`: `dataset(...)`, and `parse(record)` for one record.

TensorFlow is imported by the functions that use it, so importing this package costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from segrecord.errors import UsageError
from segrecord.read.index import Choice, Part
from segrecord.tensorflow import exact as exactly
from segrecord.tensorflow import native
from segrecord.tensorflow.exact import Sharding, state_after
from segrecord.tensorflow.native import parse
from segrecord.tensorflow.shaping import Augment, Form, Shape, Target, tensorflow

if TYPE_CHECKING:
    from segrecord.read.dataset import Dataset

__all__ = ["Augment", "dataset", "parse", "state_after"]


def dataset(
    path: str | Path | Dataset,
    split: str | None = None,
    *,
    fold: int | None = None,
    part: Part | None = None,
    batch_size: int | None = None,
    target: Target | None = None,
    one_hot: bool = False,
    image_size: tuple[int, int] | None = None,
    augment: Augment | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    repeat: bool = False,
    drop_remainder: bool = False,
    deterministic: bool = True,
    exact: bool = False,
    **sharding: Unpack[Sharding],
) -> Any:
    """A split, or a part of a fold, as a `tf.data.Dataset` of known cardinality, read in parallel.

    Args:
        path: the folder of `dataset.json`; with `exact` also an open `segrecord.Dataset`, whose
            own split, checks and selection hold then.
        split: its name; None: train, or what fold and part choose.
        fold: of a dataset built with --folds, from 0.
        part: of the fold: "train", all the other folds; "val", the fold itself.
        batch_size: elements to a batch; their images must be of one size, or `image_size` set.
        target: what Keras' `fit` is to learn, see `Target`; None: dicts as of `parse`.
        one_hot: masks as float32 (H, W, mask classes). Pixels to ignore, and all of a missing
            mask, are rows of zeros, which add nothing to a categorical cross-entropy.
        image_size: (height, width) in pixels to resize to: images bilinear with antialiasing,
            rounded to uint8; masks by the nearest neighbour.
        augment: random changes of image and mask alike, anew in each epoch.
        shuffle: the order of the shards, and the records in a buffer, anew in each epoch.
        seed: of shuffle and augmentation; None: by chance, and 0 with `exact`.
        repeat: epoch after epoch without end, for `fit(steps_per_epoch=...)`.
        drop_remainder: leave out a last batch that is not full.
        deterministic: False: elements may come as they are ready, a little faster.
        exact: the order, sharding and resume of the other adapters, see
            `segrecord.tensorflow.exact`.
        sharding: with `exact`: world_size, rank, drop_last, pad, state, see `Sharding`.

    Raises:
        UsageError: an option is out of range or does not go with another, or the dataset has no
            such split, fold, masks or classes; TensorFlow is not installed.
        OutputError: there is no finished dataset at `path`.
        RecordError: the manifest is damaged, or a shard is absent or of another size than it says.
            A CRC that does not hold is TensorFlow's DataLossError in iterating.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}")
    shape, form, tf = Shape(image_size, augment), Form(target, one_hot), tensorflow()
    choice = Choice(split, fold, part)
    if exact:
        plan = exactly.plan(path, choice, batch_size, shuffle=shuffle, seed=seed, **sharding)
        data = exactly.batches(plan, shape, form, repeat=repeat, drop_remainder=drop_remainder)
    else:
        if sharding:
            raise UsageError(f"there is no option {', '.join(sorted(sharding))} without exact=True")
        if not isinstance(path, str | Path):
            raise UsageError(
                f"{path!r} is open and perhaps a selection: pass its folder, or exact=True"
            )
        shuffled = native.Shuffle(shuffle, seed)
        data = native.elements(Path(path), choice, shape, form, shuffled, repeat=repeat)
        if batch_size is not None:
            data = data.batch(batch_size, drop_remainder=drop_remainder)
    options = tf.data.Options()
    options.deterministic = deterministic
    return data.prefetch(tf.data.AUTOTUNE).with_options(options)
