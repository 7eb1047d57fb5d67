"""The options, in groups by stage: frozen, validated where they are made, one flag each.

Each field is one keyword of `segrecord.build` and one flag of the command line (`mask_fit` is
`--mask-fit`); both, and docs/cli.md, are made from this page. A wrong value raises `UsageError`
that states rule and value.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from segrecord import _rules, codes, splits
from segrecord.errors import UsageError

Checks = Literal["full", "basic", "none"]
Unlabelled = Literal["error", "keep"]
MaskChoice = Literal["first", "union"]
MaskFit = Literal["error", "resize", "resize-any"]
OnError = Literal["stop", "quarantine"]
SchemaName = Literal["deeplab", "plain", "raw", "tfds"]
MissingMask = Literal["empty", "ignore", "zeros", "omit", "error"]
Compression = Literal["none", "gzip", "zlib"]
NearDuplicates = Literal["group", "warn", "off"]
KeepDuplicates = Literal["all", "one"]

IGNORE = 255
"""The mask value that stands for "do not train on this pixel" (PASCAL VOC's void label)."""

IGNORE_NAME = "ignore"
"""The name that maps a mask value to IGNORE in a mask map."""


def _option(default: Any, text: str, metavar: str = "", *, paths: bool = False) -> Any:
    """A field that is a flag: its default, its help and the word for its value.

    With `paths` the values of a flag given several times stay apart: a path may hold a comma.
    """
    return field(default=default, metadata={"help": text, "metavar": metavar, "paths": paths})


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How the source is understood."""

    root: str | None = _option(None, "folder that relative paths of a listing start from", "DIR")
    metadata: str | None = _option(
        None,
        "table (CSV, TSV, Parquet, XLSX) that gives the samples of a folder their class, group, "
        "split and other columns, joined on key or file stem",
        "FILE",
    )
    image_column: str | None = _option(None, "column of the image paths", "NAME")
    mask_column: str | None = _option(None, "column of the mask paths", "NAME")
    label_column: str | None = _option(None, "column of the class names", "NAME")
    group_column: str | None = _option(
        None, "column of the patient or lesion: its samples never stand in two splits", "NAME"
    )
    split_column: str | None = _option(None, "column that fixes each sample's split", "NAME")
    key_column: str | None = _option(None, "column of the samples' unique keys", "NAME")
    keep_columns: tuple[str, ...] = _option(
        (), "further columns to keep in the records and the index", "A,B,..."
    )
    classes: str | None = _option(
        None, "JSON file that maps class names to integers; default: names sorted", "FILE"
    )
    rest_class: str | None = _option(
        None, "class of the rows in which no one-hot column is set", "NAME"
    )
    unlabelled: Unlabelled = _option("error", "what a partly labelled set is: an error, or kept")
    mask_choice: MaskChoice | None = _option(
        None, "which mask to take where an image has several: the first, or all painted together"
    )

    def __post_init__(self) -> None:
        for name in ("root", "metadata", "classes"):
            object.__setattr__(self, name, _rules.path(name, getattr(self, name)))
        for name in ("image", "mask", "label", "group", "split", "key"):
            _rules.text(f"{name}-column", getattr(self, f"{name}_column"))
        _rules.text("rest-class", self.rest_class)
        _rules.one_of("unlabelled", Unlabelled, self.unlabelled)
        if self.mask_choice is not None:
            _rules.one_of("mask-choice", MaskChoice, self.mask_choice)
        object.__setattr__(self, "keep_columns", _rules.names("keep-columns", self.keep_columns))


@dataclass(frozen=True, kw_only=True)
class PixelOptions:
    """How pixels are read; every lossy step has to be asked for here."""

    mask_map: tuple[tuple[int, str], ...] | None = _option(
        None,
        "what each mask value means; class ids follow the order of the names, and the name "
        f"{IGNORE_NAME} stands for pixels not to train on",
        "0=background,255=lung,...",
    )
    mask_threshold: int | None = _option(
        None, "read mask values from N on as class 1 and lower ones as class 0", "N"
    )
    mask_fit: MaskFit = _option(
        "error",
        "what to do with a mask of another size than its image: refuse it, resize it (nearest "
        "neighbour), or resize it even where the aspect ratios differ",
    )
    size: tuple[int, int] | None = _option(
        None, "resize images (antialiased) and masks (nearest neighbour) to this size", "HxW"
    )

    def __post_init__(self) -> None:
        _rules.one_of("mask-fit", MaskFit, self.mask_fit)
        if self.mask_map is not None:
            object.__setattr__(self, "mask_map", _mask_map(self.mask_map))
        if self.mask_threshold is not None:
            _rules.require(
                _rules.is_int(self.mask_threshold, 1, IGNORE),
                "mask-threshold must be an integer from 1 to 255",
                self.mask_threshold,
            )
            _rules.require(
                self.mask_map is None, "mask-threshold and mask-map exclude each other", "both"
            )
        if self.size is not None:
            object.__setattr__(self, "size", _rules.size(self.size))

    @property
    def mask_class_names(self) -> tuple[str, ...] | None:
        """The names of the mask classes by id, or None where no mask map names them."""
        if self.mask_map is None:
            return None
        return tuple(dict.fromkeys(name for _, name in self.mask_map if name != IGNORE_NAME))


def _mask_map(value: Any) -> tuple[tuple[int, str], ...]:
    pairs = _rules.pairs("mask-map", value)
    for number, name in pairs:
        _rules.require(bool(name), "mask-map must name each value", value)
        _rules.require(
            re.fullmatch(r"\d{1,5}", number) is not None and int(number) < 1 << 16,
            "mask-map must map values from 0 to 65535",
            number,
        )
    values = [int(number) for number, _ in pairs]
    _rules.require(len(set(values)) == len(values), "mask-map must name each value once", value)
    names = {name for _, name in pairs} - {IGNORE_NAME}
    _rules.require(
        1 <= len(names) <= IGNORE, f"mask-map must name 1 to {IGNORE} classes", len(names)
    )
    return tuple((number, name) for number, (_, name) in zip(values, pairs, strict=True))


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """How closely the files are looked at, and what an error does."""

    checks: Checks = _option(
        "full",
        "full: every file is checked and decoded; basic: every file is checked, masks are "
        "decoded; none: headers only, bytes are copied and masks stay unchecked",
    )
    on_error: OnError = _option(
        "stop", "stop before a shard is written, or leave the bad samples out and list them"
    )
    ignore: tuple[str, ...] = _option(
        (),
        "findings of these codes are reported as info and stop nothing; see docs/checks.md",
        "CODE",
    )
    error: tuple[str, ...] = _option((), "findings of these codes are errors", "CODE")
    near_duplicates: NearDuplicates = _option(
        "group",
        "pictures that are nearly the same: keep them in one split, warn only, or do not look",
    )
    keep_duplicates: KeepDuplicates = _option(
        "all", "samples whose pixels, mask and class are equal: keep all, or the first of each"
    )
    facts: str | None = _option(
        None, "facts of an earlier scan: files that have not changed are not decoded again", "FILE"
    )

    def __post_init__(self) -> None:
        _rules.one_of("checks", Checks, self.checks)
        _rules.one_of("on-error", OnError, self.on_error)
        for name in ("ignore", "error"):
            object.__setattr__(self, name, _rules.names(name, getattr(self, name), "code"))
        codes.require(self.ignore, self.error)
        _rules.one_of("near-duplicates", NearDuplicates, self.near_duplicates)
        _rules.one_of("keep-duplicates", KeepDuplicates, self.keep_duplicates)
        _rules.require(
            self.keep_duplicates == "all" or self.checks == "full",
            "keep-duplicates one compares pixels and needs checks full",
            self.checks,
        )
        object.__setattr__(self, "facts", _rules.path("facts", self.facts))


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Which sample goes where."""

    split: tuple[tuple[str, float], ...] | None = _option(
        None, "shares of the splits, stratified by class", "train=0.8,val=0.1,..."
    )
    folds: int | None = _option(
        None, "K equal splits fold0, fold1, ... for cross-validation, stratified by class", "K"
    )
    extend: str | None = _option(
        None, "dataset whose samples keep their split; the others join them", "DATASET"
    )
    exclude: tuple[str, ...] = _option(
        (),
        "marks of `segrecord view`: leave out the samples that are marked as wrong; given several "
        "times, those that any file marks so",
        "FILE",
        paths=True,
    )
    shards: int | None = _option(
        None,
        "shards of the largest split; the others have as many as their share asks for (default 10)",
        "N",
    )
    shard_size: int | None = _option(
        None, "approximate size of a shard, in bytes of the source files", "128MB"
    )
    seed: int = _option(0, "seed of the shuffle and the splits", "N")

    def __post_init__(self) -> None:
        if self.split is not None:
            object.__setattr__(self, "split", splits.shares(self.split))
        if self.folds is not None:
            _rules.require(
                _rules.is_int(self.folds, 2, splits.MAX_FOLDS),
                f"folds must be an integer from 2 to {splits.MAX_FOLDS}",
                self.folds,
            )
            _rules.require(self.split is None, "split and folds exclude each other", "both")
        object.__setattr__(self, "extend", _rules.path("extend", self.extend))
        object.__setattr__(self, "exclude", _rules.paths("exclude", self.exclude))
        if self.shards is not None:
            _rules.require(
                _rules.is_int(self.shards, 1),
                "shards must be at least 1",
                self.shards,
            )
            _rules.require(
                self.shard_size is None, "shards and shard-size exclude each other", "both"
            )
        if self.shard_size is not None:
            object.__setattr__(self, "shard_size", _rules.byte_count(self.shard_size))
        _rules.require(
            _rules.is_int(self.seed, 0, (1 << 63) - 1),
            "seed must be an integer from 0 to 2**63 - 1",
            self.seed,
        )

    @property
    def shares(self) -> tuple[tuple[str, float], ...] | None:
        """Names and shares of the splits; None: everything is `train`, or the source says."""
        if self.folds is None:
            return self.split
        return tuple((name, 1 / self.folds) for name in splits.fold_names(self.folds))


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """What a record looks like."""

    schema: SchemaName = _option("deeplab", "the feature keys of the records; see docs/format.md")
    missing_mask: MissingMask | None = _option(
        None,
        "what a record without a mask holds: empty bytes (default of plain), a mask of 255 = "
        "ignore (default of the others), zeros, no key, or an error",
    )
    one_hot: bool = _option(False, "store masks as height x width x classes (schema raw)")
    compression: Compression = _option("none", "compression of the shards")
    keep_metadata: bool = _option(
        False, "keep EXIF, XMP, comments and whatever else the image files hold beside pixels"
    )
    keep_profile: bool = _option(False, "keep the colour profiles of the image files")
    pseudonymize: str | None = _option(
        None, "replace keys and groups by HMAC-SHA-256 under the secret in this file", "KEYFILE"
    )
    crosswalk: str | None = _option(
        None, "write which key and group became which pseudonym to this CSV", "FILE"
    )

    def __post_init__(self) -> None:
        for name in ("one_hot", "keep_metadata", "keep_profile"):
            _rules.flag(name.replace("_", "-"), getattr(self, name))
        for name in ("pseudonymize", "crosswalk"):
            object.__setattr__(self, name, _rules.path(name, getattr(self, name)))
        _rules.require(
            self.crosswalk is None or self.pseudonymize is not None,
            "crosswalk needs pseudonymize",
            self.crosswalk,
        )
        _rules.require(
            not (self.keep_metadata and self.pseudonymize),
            "pseudonymize and keep-metadata exclude each other: metadata name people too",
            "both",
        )
        _rules.one_of("schema", SchemaName, self.schema)
        _rules.one_of("compression", Compression, self.compression)
        if self.missing_mask is None:
            default = "empty" if self.schema == "plain" else "ignore"
            object.__setattr__(self, "missing_mask", default)
        _rules.one_of("missing-mask", MissingMask, self.missing_mask)
        _rules.require(
            not self.one_hot or self.schema == "raw",
            "one-hot masks need the schema raw",
            self.schema,
        )


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is said of the dataset beside its records."""

    card: str | None = _option(
        None, "TOML file with licence, source, citation ... of the dataset's card", "FILE"
    )
    no_report: bool = _option(False, "write no report.html")
    no_thumbnails: bool = _option(False, "leave pictures out of the report")

    def __post_init__(self) -> None:
        object.__setattr__(self, "card", _rules.path("card", self.card))
        for name in ("no_report", "no_thumbnails"):
            _rules.flag(name.replace("_", "-"), getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the work is run; nothing here changes a byte of the output."""

    workers: int | None = _option(None, "worker processes (default: one a core)", "N")
    overwrite: bool = _option(False, "replace a finished dataset at the output")

    def __post_init__(self) -> None:
        _rules.flag("overwrite", self.overwrite)
        _rules.require(
            self.workers is None or _rules.is_int(self.workers, 1),
            "workers must be at least 1",
            self.workers,
        )


@dataclass(frozen=True, kw_only=True)
class Options:
    """All options of a build, by stage."""

    source: SourceOptions = field(default_factory=SourceOptions)
    pixels: PixelOptions = field(default_factory=PixelOptions)
    checks: CheckOptions = field(default_factory=CheckOptions)
    plan: PlanOptions = field(default_factory=PlanOptions)
    records: RecordOptions = field(default_factory=RecordOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    run: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        if self.checks.checks == "none":
            self._check_unread()

    def _check_unread(self) -> None:
        """Refuse what needs pixels."""
        unread = "which checks none leaves unread"
        for name in ("mask_map", "mask_threshold", "size"):
            value = getattr(self.pixels, name)
            _rules.require(value is None, f"{name.replace('_', '-')} reads pixels, {unread}", value)
        fit, choice, schema = self.pixels.mask_fit, self.source.mask_choice, self.records.schema
        _rules.require(fit == "error", f"mask-fit resizes masks, {unread}", fit)
        _rules.require(
            choice != "union", f"mask-choice union paints masks together, {unread}", choice
        )
        _rules.require(schema != "raw", f"schema raw decodes pixels, {unread}", schema)

    @classmethod
    def of(cls, **flat: Any) -> Options:
        """The options of these keywords, each put into its group.

        Raises:
            UsageError: a keyword that no group has, or a value against a rule.
        """
        groups: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        for name, value in flat.items():
            group = _GROUP_OF.get(name)
            if group is None:
                near = difflib.get_close_matches(name, _GROUP_OF, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UsageError(f"there is no option {name!r}{hint}")
            groups[group][name] = value
        return cls(**{group: GROUPS[group](**values) for group, values in groups.items()})


GROUPS: dict[str, Any] = {
    "source": SourceOptions,
    "pixels": PixelOptions,
    "checks": CheckOptions,
    "plan": PlanOptions,
    "records": RecordOptions,
    "report": ReportOptions,
    "run": RunOptions,
}

_GROUP_OF = {
    option.name: group for group, kind in GROUPS.items() for option in dataclasses.fields(kind)
}
