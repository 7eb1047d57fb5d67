"""`dataset.json`: what a dataset is, and the point at which it is committed.

The file is written last; a folder without it holds no dataset. Docs: docs/format.md.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from segrecord import split_names, storage
from segrecord.errors import OutputError, RecordError, UsageError
from segrecord.options import Compression, Options, SchemaName

MANIFEST = "dataset.json"
INDEX = "records.arrow"
FACTS_FILE = "facts.arrow"
FORMAT_VERSION = 1

SHOWN_VALUES = 6
"""Mask values that a line names."""

_EXTENSIONS: dict[str, str] = {"none": "", "gzip": ".gz", "zlib": ".zlib"}


def file_name_rule(name: str) -> str:
    """The rule that the name of a dataset's file breaks, or ""."""
    # Not printable: control characters and bidirectional overrides.
    plain = name.isprintable() and not re.search(r"^\.|[/\\]|^[A-Za-z]:", name)
    if not name or not plain:
        return (
            "must be the plain name of a file beside dataset.json: not empty, without /, \\, "
            "control characters or a drive letter, and not beginning with a dot"
        )
    return ""


def _refused(rule_of: Callable[[str], str], text: str) -> AfterValidator:
    def check(name: str) -> str:
        if rule := rule_of(name):
            raise PydanticCustomError("name", text, {"name": repr(name), "rule": rule})
        return name

    return AfterValidator(check)


FileName = Annotated[str, _refused(file_name_rule, "{name} {rule}")]
"""Refused once, here, so that no reader of a manifest opens a file outside its folder."""

SplitName = Annotated[str, _refused(split_names.name_rule, "{rule}")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Part):
    """One shard file."""

    name: FileName
    records: int
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the file, in hexadecimal."""
    class_counts: dict[str, int]
    """Records of each class, by name; empty where the dataset has no classes."""
    first_row: int
    """Row of the shard's first record in records.arrow; the others follow in their order."""


class Split(_Part):
    """One split: its shards and their sums."""

    records: int
    bytes: int
    class_counts: dict[str, int]
    shards: tuple[Shard, ...]


class Masks(_Part):
    """What the masks' values mean."""

    classes: tuple[str, ...]
    """Names by class id; "class 0", ... where nothing names them; empty: unchecked or no masks."""
    values: dict[int, int]
    """Class id (255: ignore) of each value that occurs in the source; empty where unchecked."""
    threshold: int | None
    """Values from here on are class 1, lower ones class 0; None: `values` decides."""
    checked: bool
    """False under --checks none: mask bytes were copied unread."""
    missing: int
    """Samples without a mask."""


class Manifest(_Part):
    """The content of `dataset.json`."""

    format: Literal["segrecord"] = "segrecord"
    format_version: int = FORMAT_VERSION
    segrecord: str
    """Version of the library that wrote the dataset."""
    versions: dict[str, str]
    """Versions of the libraries that the stored bytes depend on."""
    fingerprint: str
    """SHA-256 over format, versions, options, plan and source content, in hexadecimal."""
    schema_name: SchemaName
    compression: Compression
    seed: int
    options: dict[str, dict[str, Any]]
    """The options by stage, without those that do not change a byte, paths as bare file names;
    to be read through `build_options`."""
    reads_as: str
    """How the source was read, in one sentence."""
    classes: dict[str, int]
    """Class ids by name, ascending; empty where the dataset has no classes."""
    masks: Masks
    keep_columns: tuple[str, ...]
    samples: int
    quarantined: int
    """Samples that were left out: those with errors, and copies under --keep-duplicates one."""
    pseudonymized: str = ""
    """What tells the secret of the pseudonyms from others, without telling it; "": keys and groups
    are those of the source."""
    extends: str = ""
    """The fingerprint of the dataset whose splits were kept; "": none."""
    findings: dict[str, int]
    """How many findings of each code, errors included where the sample was quarantined."""
    not_checked: tuple[str, ...]
    """What was not checked, in plain words."""
    splits: dict[SplitName, Split]
    files: dict[FileName, str]
    """SHA-256, in hexadecimal, of the dataset's other files by name; "" of the read-me, which
    people may edit, and of the report, which can be written again."""

    def build_options(self) -> Options:
        """The options of the build; those that change no byte have their defaults.

        The metadata tables are bare file names, and none where these are hidden or equal.

        Raises:
            RecordError: they are none that this library knows.
        """
        recorded = {"schema": self.schema_name}
        for options in self.options.values():
            recorded |= options
        tables = self.metadata_tables
        if "" in tables or len(set(tables)) < len(tables):  # files that their names do not tell
            del recorded["metadata"]
        try:
            return Options.of(**recorded)
        except UsageError as error:
            raise RecordError(MANIFEST, f"is damaged at options: {error}") from None

    @property
    def metadata_tables(self) -> tuple[str, ...]:
        """File names of the build's metadata tables; "" for each under pseudonyms."""
        names = self.options.get("source", {}).get("metadata", ())
        return (names,) if isinstance(names, str) else tuple(names)

    @property
    def mask_storage(self) -> str:
        """How the masks' values stand in the records; "" where they are those of the files."""
        masks, options = self.masks, self.build_options()
        if not masks.classes or masks.missing == self.samples or options.records.one_hot:
            return ""
        if options.records.mask_values == "keep":
            return (
                "masks are stored as 0 and 255, background and foreground; segrecord's readers "
                "give the class ids 0 and 1"
            )
        if masks.threshold is not None:
            inverted = int(options.pixels.mask_invert)
            stored = f"values from {masks.threshold} on as {1 - inverted}, lower ones as {inverted}"
        elif all(value == number for value, number in masks.values.items()):
            return ""
        else:
            pairs = [f"{value} as {number}" for value, number in masks.values.items()]
            stored = ", ".join([*pairs[:SHOWN_VALUES], *["..."] * (len(pairs) > SHOWN_VALUES)])
        keep = "; --mask-values keep stores 0 and 255"
        two = masks.threshold is not None or set(masks.values) <= {0, 255}
        unmapped = options.pixels.mask_map is None
        offered = self.schema_name in {"plain", "raw"} and two and unmapped
        return f"masks are stored as class ids: {stored}{keep * offered}"

    def with_files(self, files: dict[str, bytes]) -> Manifest:
        """The manifest with the hashes of these further files, by name."""
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        return self.model_copy(update={"files": dict(sorted((self.files | hashes).items()))})

    def with_hashes(self, sha256s: dict[str, str]) -> Manifest:
        """The manifest with these SHA-256 of its shards, by name."""
        splits = {
            name: split.model_copy(
                update={
                    "shards": tuple(
                        shard.model_copy(update={"sha256": sha256s[shard.name]})
                        for shard in split.shards
                    )
                }
            )
            for name, split in self.splits.items()
        }
        return self.model_copy(update={"splits": splits})


def shard_name(split: str, shard: int, shards: int, compression: str) -> str:
    """The file name of a shard, for example `train-00003-of-00010.tfrecord`."""
    return f"{split}-{shard:05d}-of-{shards:05d}.tfrecord{_EXTENSIONS[compression]}"


def dumps(manifest: Manifest) -> bytes:
    """The manifest as it stands in the file: JSON, UTF-8, two spaces, a newline at the end."""
    return manifest.model_dump_json(indent=2).encode() + b"\n"


def load(dataset: str | Path) -> Manifest:
    """The manifest of the dataset in this folder.

    Raises:
        OutputError: there is no finished dataset.
        RecordError: the manifest is damaged, or of a format version this library does not know.
    """
    path = Path(dataset) / MANIFEST
    if not os.path.lexists(path):
        raise OutputError(
            f"{dataset} holds no finished dataset: it has no {MANIFEST}; run segrecord build"
        )
    return read(path)


def read(path: Path) -> Manifest:
    """The manifest in this file; raises as `load`."""
    try:
        text = storage.read_bytes(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from error
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        rule = f"is damaged at {where or 'its start'}: {first['msg']}"
        raise RecordError(str(path), rule) from None
    if manifest.format_version > FORMAT_VERSION:
        raise RecordError(
            str(path),
            f"has format version {manifest.format_version}, this segrecord reads up to "
            f"{FORMAT_VERSION}; upgrade segrecord",
        )
    return manifest
