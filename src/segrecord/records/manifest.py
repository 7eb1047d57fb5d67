"""`dataset.json`: what a dataset is, and the point at which it is committed.

The file is written last; a folder without it holds no dataset. Docs: docs/format.md.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from segrecord import splits as split_names
from segrecord.errors import OutputError, RecordError
from segrecord.options import Compression, SchemaName
from segrecord.records import regular

MANIFEST = "dataset.json"
INDEX = "records.arrow"
FACTS_FILE = "facts.arrow"
FORMAT_VERSION = 1

_EXTENSIONS: dict[str, str] = {"none": "", "gzip": ".gz", "zlib": ".zlib"}


def _file_name(name: str) -> str:
    if rule := regular.name_rule(name):
        raise PydanticCustomError("file-name", "{name} {rule}", {"name": repr(name), "rule": rule})
    return name


def _split_name(name: str) -> str:
    if rule := split_names.name_rule(name):
        raise PydanticCustomError("split-name", "{rule}", {"rule": rule})
    return name


FileName = Annotated[str, AfterValidator(_file_name)]
"""Refused once, here, so that no reader of a manifest opens a file outside its folder."""

SplitName = Annotated[str, AfterValidator(_split_name)]


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
    """Versions of the libraries that the stored bytes hang on."""
    fingerprint: str
    """SHA-256 over format, versions, options, plan and source content, in hexadecimal."""
    schema_name: SchemaName
    compression: Compression
    seed: int
    options: dict[str, dict[str, Any]]
    """The options by group, without those that do not change a byte, paths as bare file names."""
    understood: str
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
    people may edit, and of the report, which can be written anew."""

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
        text = regular.read_bytes(path)
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
