"""Small datasets made without the writer, and the means to damage them, for the reader's tests."""

import hashlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from segrecord.format import example, schemas, tfrecord
from segrecord.format import manifest as manifests
from segrecord.images import png
from segrecord.options import IGNORE, Options
from segrecord.tables import FINDINGS, META_PREFIX, RECORDS, SAMPLES

CLASSES = {"cat": 0, "dog": 1}
MASK_CLASSES = ("background", "lesion", "hair")


class Sample(NamedTuple):
    key: str
    image: np.ndarray
    mask: np.ndarray | None
    label: int | None
    group: str
    age: str


def sample(number, *, masks=True, labelled=True):
    """One sample; every fourth has no mask; sizes differ."""
    rng = np.random.default_rng(number)
    height, width = 8 + number % 3, 7
    mask = np.zeros((height, width), np.uint8)
    mask[2:5, 1 + number % 3 : 5] = 1 + number % 2
    mask[0, number % 4] = IGNORE
    return Sample(
        key=f"set/{number:03d}",
        image=rng.integers(0, 256, (height, width, 3), np.uint8),
        mask=mask if masks and number % 4 != 3 else None,
        label=number % 2 if labelled else None,
        group=f"patient {number // 2}",
        age=str(20 + number),
    )


def _stored_mask(mask, shape, options, *, masks):
    missing = options.records.missing_mask
    if mask is None:
        if not masks or missing == "omit":
            return None
        if missing == "empty":
            return b""
        mask = np.full(shape, 0 if missing == "zeros" else IGNORE, np.uint8)
    if options.records.one_hot:
        return (mask[:, :, None] == np.arange(len(MASK_CLASSES))).astype(np.uint8).tobytes()
    return mask.tobytes() if options.records.schema == "raw" else png.encode(mask)


def stored_of(made, options, *, masks):
    raw = options.records.schema == "raw"
    image = made.image.tobytes() if raw else png.encode(made.image)
    height, width = made.image.shape[:2]
    return schemas.Stored(
        key=made.key,
        filename=f"{made.key}.png",
        image=image,
        image_format="raw" if raw else "png",
        height=height,
        width=width,
        channels=3,
        image_sha256=hashlib.sha256(image).hexdigest(),
        mask=_stored_mask(made.mask, (height, width), options, masks=masks),
        has_mask=made.mask is not None,
        label=made.label,
        class_name="" if made.label is None else list(CLASSES)[made.label],
        meta=(("age", made.age),),
        num_classes=len(MASK_CLASSES),
    )


def _index_row(made, stored, place, offset, length):
    counts = None if made.mask is None else np.bincount(made.mask.ravel(), minlength=256)
    return {
        "key": made.key,
        "split": place[0],
        "shard": place[1],
        "offset": offset,
        "length": length,
        "label": made.label,
        "group": made.group,
        "height": stored.height,
        "width": stored.width,
        "has_mask": stored.has_mask,
        "mask_pixels": None if counts is None else counts[: len(MASK_CLASSES)].tolist(),
        "ignore_pixels": None if counts is None else int(counts[IGNORE]),
        "sha256": bytes.fromhex(stored.image_sha256),
        f"{META_PREFIX}age": made.age,
    }


def make(folder, shards=None, *, masks=True, labelled=True, **flat):
    """A dataset: `shards` gives the records of each shard of each split; options as of a build."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    options = Options.of(keep_columns=("age",), **flat)
    schema, compression = options.records.schema, options.records.compression
    layout = schemas.Layout(schema, masks, labelled, ("age",), options.records.one_hot)
    splits, rows, number, missing = {}, [], 0, 0
    for split, counts in (shards or {"train": (4, 3), "val": (2,)}).items():
        parts = []
        for shard, count in enumerate(counts):
            payloads, first, labels, offset = [], len(rows), [], 0
            for _ in range(count):
                made = sample(number, masks=masks, labelled=labelled)
                stored = stored_of(made, options, masks=masks)
                payload = example.encode(schemas.features(layout, stored))
                rows.append(_index_row(made, stored, (split, shard), offset, len(payload)))
                offset += len(payload) + tfrecord.FRAME_OVERHEAD
                labels.append(made.label)
                missing += made.mask is None
                payloads.append(payload)
                number += 1
            name = manifests.shard_name(split, shard, len(counts), compression)
            data = shard_bytes(payloads, compression)
            (folder / name).write_bytes(data)
            parts.append(
                manifests.Shard(
                    name=name,
                    records=count,
                    bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    class_counts={n: labels.count(i) for n, i in CLASSES.items() if labelled},
                    first_row=first,
                )
            )
        splits[split] = manifests.Split(
            records=sum(part.records for part in parts),
            bytes=sum(part.bytes for part in parts),
            class_counts={
                name: sum(part.class_counts[name] for part in parts) for name in CLASSES if labelled
            },
            shards=tuple(parts),
        )
    write_index(folder, index_table(rows))
    files = ["findings.csv", manifests.INDEX]
    (folder / "findings.csv").write_text(",".join(FINDINGS.names) + "\n")
    if labelled:
        (folder / "class_mapping.json").write_text(json.dumps(CLASSES))
        files.append("class_mapping.json")
    manifest = manifests.Manifest(
        segrecord="0",
        versions={},
        fingerprint="",
        schema_name=schema,
        compression=compression,
        seed=0,
        options={
            "records": vars(options.records),
            "pixels": {"size": options.pixels.size, "mask_map": options.pixels.mask_map},
        },
        reads_as="",
        classes=CLASSES if labelled else {},
        masks=manifests.Masks(
            classes=MASK_CLASSES if masks else (),
            values={0: 0, 1: 1, 2: 2, 255: 255} if masks else {},
            threshold=None,
            checked=True,
            missing=missing,
        ),
        keep_columns=("age",),
        samples=number,
        quarantined=0,
        findings={},
        not_checked=(),
        splits=splits,
        # Unhashed, so that a test may damage one file and see what else tells of it.
        files=dict.fromkeys(sorted(files), ""),
    )
    write_manifest(folder, manifest)
    return folder


def index_table(rows):
    schema = pa.schema([*RECORDS, pa.field(f"{META_PREFIX}age", pa.large_string())])
    return pa.Table.from_pylist(rows, schema)


def write_index(folder, table):
    with pa.ipc.new_file(str(Path(folder) / manifests.INDEX), table.schema) as writer:
        writer.write_table(table)


def read_index(folder):
    data = (Path(folder) / manifests.INDEX).read_bytes()
    return pa.ipc.open_file(io.BytesIO(data)).read_all()


def edit_index(folder, row, **values):
    """Change values of one row of the index."""
    rows = read_index(folder).to_pylist()
    rows[row] |= values
    write_index(folder, index_table(rows))


def write_manifest(folder, manifest):
    (Path(folder) / manifests.MANIFEST).write_bytes(manifests.dumps(manifest))


def edit_manifest(folder, change):
    """Change the manifest as the plain JSON it is: `change(content)`."""
    path = Path(folder) / manifests.MANIFEST
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def shard_bytes(payloads, compression="none"):
    frames = (piece for payload in payloads for piece in tfrecord.frame(payload))
    return b"".join(tfrecord.compressed(frames, compression))


def payloads_of(path, compression="none"):
    with tfrecord.open_shard(path, compression) as stream:
        return [payload for _, payload in tfrecord.read_records(stream, str(path))]


def rewrite(path, payloads, *, adopt=True):
    """Frame these payloads into the shard; `adopt`: the manifest is told of size and hash."""
    path = Path(path)
    data = shard_bytes(payloads)
    path.write_bytes(data)
    if adopt:
        adopt_file(path)


def adopt_file(path):
    """Tell the manifest the size and hash of a shard as it lies there now."""
    data = path.read_bytes()

    def change(content):
        for split in content["splits"].values():
            for shard in split["shards"]:
                if shard["name"] == path.name:
                    split["bytes"] += len(data) - shard["bytes"]
                    shard["bytes"] = len(data)
                    shard["sha256"] = hashlib.sha256(data).hexdigest()

    edit_manifest(path.parent, change)


def edit_record(path, number, **features):
    """Change features of one record, with right CRCs, and tell the manifest of the new file."""
    payloads = payloads_of(path)
    content = example.decode(payloads[number])
    for name, value in features.items():
        content[name.replace("__", "/")] = value
    payloads[number] = example.encode({k: v for k, v in content.items() if v is not None})
    rewrite(path, payloads)


def write_source(folder, count, *, masks=True, labelled=True):
    """The files that `make` takes for granted, and their samples table."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        made = sample(number, masks=masks, labelled=labelled)
        image, mask = folder / f"{number:03d}.png", folder / f"{number:03d}_mask.png"
        image.write_bytes(png.encode(made.image))
        parts = []
        if made.mask is not None:
            mask.write_bytes(png.encode(made.mask))
            part = {"encoding": "file", "source": str(mask), "value": None, "top": 0, "left": 0}
            parts.append(part)
        rows.append(
            {
                "key": made.key,
                "image": str(image),
                "frame": 0,
                "mask": parts,
                "labels": [list(CLASSES)[made.label]] if labelled else [],
                "group": made.group,
                "split": None,
                f"{META_PREFIX}age": made.age,
            }
        )
    schema = pa.schema([*SAMPLES, pa.field(f"{META_PREFIX}age", pa.large_string())])
    return pa.Table.from_pylist(rows, schema)
