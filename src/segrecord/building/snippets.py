"""Python that reads a dataset, for its card: each piece runs as it stands, put into a file.

Tests run them all; `FOLDER` stands for where the dataset lies.
"""

from __future__ import annotations

from segrecord.building import tfds
from segrecord.records import schemas
from segrecord.records.manifest import Manifest
from segrecord.splits import fold_names

FOLDER = "<this folder>"

_BATCH = 16
_SIZE = "image_size=(256, 256)"


def numpy(manifest: Manifest) -> str:
    """Example by example, of compressed shards too."""
    shown = ["example.key", "example.image.shape"]
    if schemas.layout_of(manifest).classes:
        shown.append("example.label")
    call = _call("data = segrecord.open", _chosen(manifest))
    body = "for example in data:", f"    print({', '.join(shown)})", "    break"
    return _program("import segrecord", call, *body)


def tensorflow(manifest: Manifest, *, equal: bool) -> str:
    """With segrecord.

    Args:
        manifest: of the dataset.
        equal: whether all images are of one size; else batches need one.
    """
    options = [*_chosen(manifest), _batch(manifest), *_size(equal=equal)]
    call = _call("data = segrecord.tensorflow.dataset", options)
    body = "for batch in data.take(1):", _shown(manifest)
    return _program("import segrecord.tensorflow", call, *body)


def tensorflow_alone(manifest: Manifest) -> str:
    """Without segrecord."""
    code = schemas.parse_function(schemas.layout_of(manifest), manifest)
    split = _split(manifest)
    ending = manifest.splits[split].shards[0].name.partition(".")[2]
    layout = schemas.layout_of(manifest)
    parts = ["image", *["mask"] * layout.masks]
    shown = [f'example["{part}"].shape' for part in parts]
    if schemas.name_of(layout, "label"):
        shown.append('example["label"]')
    lines = (
        f'for example in dataset("{FOLDER}/{split}-*.{ending}").take(1):',
        f"    print({', '.join(shown)})",
    )
    return code + "\n\n" + "\n".join(lines) + "\n"


def torch(manifest: Manifest, *, equal: bool) -> str:
    """In PyTorch; arguments as of `tensorflow`."""
    call = _call("data = segrecord.torch.dataset", [*_chosen(manifest), *_size(equal=equal)])
    loader = _call(
        "loader = segrecord.torch.loader", ["data", _batch(manifest), "seed=0"], folder=False
    )
    body = "for batch in loader:", _shown(manifest), "    break"
    return _program("import segrecord.torch", call + loader, *body)


def grain(manifest: Manifest, *, equal: bool) -> str:
    """In JAX, with Grain; arguments as of `tensorflow`."""
    call = _call("source = segrecord.grain.source", [*_chosen(manifest), *_size(equal=equal)])
    options = ["source", _batch(manifest), "seed=0", "epochs=1"]
    call += _call("batches = segrecord.grain.batches", options, folder=False)
    body = (
        "for batch in grain.MapDataset.source(batches).to_iter_dataset():",
        *(_shown(manifest), "    break"),
    )
    return _program("import grain\nimport segrecord.grain", call, *body)


def in_tfds(manifest: Manifest) -> str:
    """With TFDS; "" where it cannot read the dataset."""
    if tfds.why_not(manifest):
        return ""
    call = f'data = tfds.builder_from_directory("{FOLDER}").as_dataset(split="{_split(manifest)}")'
    body = "for example in data.take(1):", "    print(list(example))"
    return _program("import tensorflow_datasets as tfds", f"{call}\n", *body)


def _split(manifest: Manifest) -> str:
    """The split to learn from, else the first that holds records."""
    held = [name for name, split in manifest.splits.items() if split.records]
    return "train" if "train" in held else held[0]


def _folds(manifest: Manifest) -> bool:
    return bool(manifest.options.get("plan", {}).get("folds"))


def _chosen(manifest: Manifest) -> list[str]:
    return ["fold=0", 'part="train"'] if _folds(manifest) else [f'split="{_split(manifest)}"']


def _batch(manifest: Manifest) -> str:
    """A size that the records fill: what does not is dropped."""
    if _folds(manifest):
        first = manifest.splits.get(fold_names(manifest.options["plan"]["folds"])[0])
        records = manifest.samples - (first.records if first else 0)
    else:
        records = manifest.splits[_split(manifest)].records
    return f"batch_size={min(_BATCH, records)}"


def _size(*, equal: bool) -> list[str]:
    return [] if equal else [_SIZE]


def _shown(manifest: Manifest) -> str:
    layout = schemas.layout_of(manifest)
    parts = ['batch["image"].shape']
    if layout.masks:
        parts.append('batch["mask"].shape')
    if layout.classes:
        parts.append('batch["label"]')
    return f"    print({', '.join(parts)})"


def _call(begin: str, arguments: list[str], *, folder: bool = True) -> str:
    """The call, on one line where it fits."""
    given = [f'"{FOLDER}"', *arguments] if folder else arguments
    line = f"{begin}({', '.join(given)})"
    if len(line) > 88:  # noqa: PLR2004 - characters a line, as Black has it
        line = f"{begin}(\n    {', '.join(given)}\n)"
    return f"{line}\n"


def _program(imports: str, call: str, *body: str) -> str:
    return f"{imports}\n\n{call}" + "\n".join(body) + "\n"
