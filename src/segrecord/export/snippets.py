"""The code in a dataset's card: the command that builds it again, and programs that read it.

Each program runs as it stands, put into a file; tests run them all. `FOLDER` stands for where the
dataset lies, words in capitals (SOURCE, KEYFILE ...) for what no dataset tells.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from segrecord.catalogue import CODES
from segrecord.errors import UsageError
from segrecord.export import tfds
from segrecord.findings import Level
from segrecord.format import schemas
from segrecord.format.manifest import Manifest
from segrecord.options import OPTIONS, Options
from segrecord.split_names import fold_names

FOLDER = "<this folder>"

_BATCH = 16


def level_of(code: str, manifest: Manifest) -> Level:
    """The level that findings of this code have in the dataset."""
    checks = manifest.build_options().checks
    if code in checks.ignore:
        return "info"
    return "error" if code in checks.error else CODES[code].level


def build_command(manifest: Manifest, *, card: bool = False) -> tuple[str, str]:
    """The language, sh or python, and the code that builds the dataset again.

    It is Python where a value fits no flag: a comma in the name of a column, say.

    Args:
        manifest: of the dataset.
        card: whether the user gave fields of its card.
    """
    options, places = flags(manifest), _places(manifest, card=card)
    given = options | places
    if _readable({name: value for name, value in options.items() if name not in places}):
        words = [
            f"--{OPTIONS[name].flag}" + ("" if one is True else f" {shlex.quote(_text(one))}")
            for name, value in given.items()
            for one in (value if OPTIONS[name].repeated and isinstance(value, list) else [value])
        ]
        return "sh", " ".join(["segrecord build SOURCE OUT", *words]) + "\n"
    lines = [f"    {name}={value!r},\n" for name, value in given.items()]
    return "python", "".join(
        ["import segrecord\n\nsegrecord.build(\n", '    "SOURCE",\n    "OUT",\n', *lines, ")\n"]
    )


def flags(manifest: Manifest) -> dict[str, Any]:
    """The options that are not as they are by default, by name, as JSON holds them."""
    built = manifest.build_options()
    usual = Options.of(schema=manifest.schema_name)  # on which --missing-mask hangs
    given = {
        name: _plain(built.value(option))
        for name, option in OPTIONS.items()
        if built.value(option) != usual.value(option)
    }
    tables = list(manifest.metadata_tables)
    if tables:
        given["metadata"] = tables[0] if len(tables) == 1 else tables
    default = manifest.schema_name == Options().records.schema
    return given if default else given | {"schema": manifest.schema_name}


def _places(manifest: Manifest, *, card: bool) -> dict[str, Any]:
    """The options that say where things lie; the dataset shows that they were given."""
    given: dict[str, Any] = {}
    ids = {name: number for number, name in enumerate(sorted(manifest.classes))}
    tables = manifest.metadata_tables
    if "" in tables:
        several = [f"TABLE{number}" for number, _ in enumerate(tables, 1)]
        given["metadata"] = "TABLE" if len(tables) == 1 else several
    if manifest.classes != ids:
        given["classes"] = "class_mapping.json"  # it stands in the dataset
    if manifest.extends:
        given["extend"] = "EARLIER_DATASET"
    if "excluded" in manifest.findings:
        given["exclude"] = "MARKS.csv"
    if manifest.pseudonymized:
        given["pseudonymize"] = "KEYFILE"
    if any(level_of(code, manifest) == "error" for code in manifest.findings):
        given["on_error"] = "quarantine"  # else there would be no dataset
    if card:
        given["card"] = "CARD.toml"
    return given


def _plain(value: Any) -> Any:
    """As JSON holds it: with lists for tuples."""
    return json.loads(json.dumps(value))


def _readable(options: dict[str, Any]) -> bool:
    """Whether the flags say these options and nothing else."""
    texts = {
        name: _text(value) if isinstance(value, list) and not OPTIONS[name].repeated else value
        for name, value in options.items()
    }
    try:
        read = Options.of(**texts)
    except UsageError:
        return False
    again = {name: _plain(read.value(OPTIONS[name])) for name in options}
    return all(again[name] in (value, [value]) for name, value in options.items())


def _text(value: Any) -> str:
    """A value as its flag takes it."""
    if not isinstance(value, list):
        return str(value)
    if all(isinstance(item, list) for item in value):
        return ",".join(f"{left}={right}" for left, right in value)
    return ("x" if all(isinstance(item, int) for item in value) else ",").join(map(str, value))


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
    call = _call("source = segrecord.grain.dataset", [*_chosen(manifest), *_size(equal=equal)])
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


def _folds(manifest: Manifest) -> int:
    """How many; 0: it has splits of other names."""
    return manifest.build_options().plan.folds or 0


def _chosen(manifest: Manifest) -> list[str]:
    return ["fold=0", 'part="train"'] if _folds(manifest) else [f'split="{_split(manifest)}"']


def _batch(manifest: Manifest) -> str:
    """A size that the records fill: what does not is dropped."""
    if folds := _folds(manifest):
        first = manifest.splits.get(fold_names(folds)[0])
        records = manifest.samples - (first.records if first else 0)
    else:
        records = manifest.splits[_split(manifest)].records
    return f"batch_size={min(_BATCH, records)}"


def _size(*, equal: bool) -> list[str]:
    return [] if equal else ["image_size=(256, 256)"]


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
