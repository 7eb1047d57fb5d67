"""The options, in groups by stage: frozen, validated where they are made, one flag each.

Each field is one keyword of `segrecord.build` and one flag of the command line (`mask_fit` is
`--mask-fit`), and holds all that is known of the option: type, default, help, rule, whether
`segrecord scan` takes it, and whether it changes bytes. Flags, docs/cli.md, the fingerprint and
what dataset.json records follow from it. A wrong value raises `UsageError` that states rule and
value.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

from segrecord import _rules, split_names
from segrecord._rules import Option, option
from segrecord.catalogue import CODES
from segrecord.errors import UsageError

Checks = Literal["full", "basic", "none"]
Unlabelled = Literal["error", "keep"]
MaskChoice = Literal["first", "union"]
MaskFit = Literal["error", "resize", "resize-any"]
OnError = Literal["stop", "quarantine"]
SchemaName = Literal["deeplab", "plain", "raw", "tfds"]
MaskStored = Literal["ids", "keep"]
MissingMask = Literal["empty", "ignore", "zeros", "omit", "error"]
Compression = Literal["none", "gzip", "zlib"]
NearDuplicates = Literal["group", "warn", "off"]
KeepDuplicates = Literal["all", "one"]

# The types of values with the rules that they keep.
FilePath = Annotated[str, _rules.path]
FilePaths = Annotated[tuple[str, ...], _rules.paths]
Columns = Annotated[tuple[str, ...], _rules.names]
Codes = Annotated[tuple[str, ...], _rules.codes]
MaskMap = Annotated[tuple[tuple[int, str], ...], _rules.mask_map]
Shares = Annotated[tuple[tuple[str, float], ...], _rules.shares]
Size = Annotated[tuple[int, int], _rules.size]
ByteCount = Annotated[int, _rules.byte_count]
Count = Annotated[int, _rules.Integer(1)]
Threshold = Annotated[int, _rules.Integer(1, _rules.IGNORE)]
Folds = Annotated[int, _rules.Integer(2, split_names.MAX_FOLDS)]
Seed = Annotated[int, _rules.Integer(0, (1 << 63) - 1)]

MAPPING_FILE = "class_mapping.json"
"""The class ids by name, beside a source and in a dataset."""

IGNORE, IGNORE_NAME = _rules.IGNORE, _rules.IGNORE_NAME


def _check_each(stage: Any) -> None:
    """Replace the values of the stage's options by what their rules make of them."""
    for one in dataclasses.fields(stage):
        value = OPTIONS[one.name].checked(getattr(stage, one.name))
        object.__setattr__(stage, one.name, value)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How the source is loaded."""

    root: FilePath | None = option(
        None, "folder that relative paths of a listing start from", "DIR", changes_bytes=False
    )
    metadata: FilePaths = option(
        (),
        "table (CSV, TSV, Parquet, XLSX) that gives the samples of a folder their class, group, "
        "split and other columns, joined on key or file stem; may be given several times",
        "FILE",
    )
    image_column: str | None = option(None, "column of the image paths", "NAME")
    mask_column: str | None = option(None, "column of the mask paths", "NAME")
    label_column: str | None = option(
        None,
        "column of the class names; one of 0 and 1 gives the classes NAME and not NAME",
        "NAME",
    )
    group_column: str | None = option(
        None, "column of the patient or lesion: its samples never stand in two splits", "NAME"
    )
    split_column: str | None = option(None, "column that fixes each sample's split", "NAME")
    key_column: str | None = option(None, "column of the samples' unique keys", "NAME")
    keep_columns: Columns = option(
        (), "further columns to keep in the records and the index", "A,B,..."
    )
    classes: FilePath | None = option(
        None,
        "JSON file that maps class names to integers; default: names sorted",
        "FILE",
        changes_bytes=False,
    )
    rest_class: str | None = option(
        None, "class of the rows in which no one-hot column is set", "NAME"
    )
    unlabelled: Unlabelled = option("error", "a partly labelled set: an error, or kept as it is")
    mask_choice: MaskChoice | None = option(
        None, "which mask to take where an image has several: the first, or all painted together"
    )

    def __post_init__(self) -> None:
        _check_each(self)


@dataclass(frozen=True, kw_only=True)
class PixelOptions:
    """How pixels are read; every lossy step has to be asked for here."""

    mask_map: MaskMap | None = option(
        None,
        "what each mask value means; class ids follow the order of the names, and the name "
        f"{IGNORE_NAME} stands for pixels not to train on",
        "0=background,255=lung,...",
    )
    mask_threshold: Threshold | None = option(
        None, "read mask values from N on as class 1 and lower ones as class 0", "N"
    )
    mask_invert: bool = option(
        False, "swap background and foreground of two-valued masks: black is the foreground"
    )
    mask_fit: MaskFit = option(
        "error",
        "what to do with a mask of another size than its image: refuse it, resize it (nearest "
        "neighbour), or resize it even where the aspect ratios differ",
    )
    size: Size | None = option(
        None, "resize images (antialiased) and masks (nearest neighbour) to this size", "HxW"
    )

    def __post_init__(self) -> None:
        _check_each(self)
        _rules.require(
            self.mask_map is None or self.mask_threshold is None,
            "mask-threshold and mask-map exclude each other",
            "both",
        )
        _rules.require(
            self.mask_map is None or not self.mask_invert,
            "mask-invert and mask-map exclude each other: name the values in mask-map the other "
            "way round",
            "both",
        )

    @property
    def mask_class_names(self) -> tuple[str, ...] | None:
        """The names of the mask classes by id, or None where no mask map names them."""
        if self.mask_map is None:
            return None
        return tuple(dict.fromkeys(name for _, name in self.mask_map if name != IGNORE_NAME))


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """How closely the files are looked at, and what an error does."""

    checks: Checks = option(
        "full",
        "full: every file is checked and decoded; basic: every file is checked, masks are "
        "decoded; none: headers only, bytes are copied and masks stay unchecked",
    )
    on_error: OnError = option(
        "stop",
        "stop before a shard is written, or leave the bad samples out and list them",
        scan=False,
        changes_bytes=False,
    )
    ignore: Codes = option(
        (),
        "findings of these codes are reported as info and stop nothing; see docs/checks.md",
        "CODE",
    )
    error: Codes = option((), "findings of these codes are errors", "CODE")
    near_duplicates: NearDuplicates = option(
        "group", "near-duplicate images: keep them in one split, warn only, or do not look for them"
    )
    keep_duplicates: KeepDuplicates = option(
        "all",
        "samples whose pixels, mask and class are equal: keep all, or the first of each",
        scan=False,
    )
    facts: FilePath | None = option(
        None,
        "facts of an earlier scan: files that have not changed are not decoded again",
        "FILE",
        scan=False,
        changes_bytes=False,
    )

    def __post_init__(self) -> None:
        _check_each(self)
        for code in self.ignore:
            if not CODES[code].ignorable:
                raise UsageError(
                    f"{code} cannot be ignored, there would be nothing sound to write: "
                    f"{CODES[code].fix}; --on-error quarantine leaves such samples out"
                )
        for code in sorted(set(self.ignore) & set(self.error)):
            raise UsageError(f"{code} cannot be both ignored and an error; name it once")
        _rules.require(
            self.keep_duplicates == "all" or self.checks == "full",
            "keep-duplicates one compares pixels and needs checks full",
            self.checks,
        )


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Which sample goes where."""

    split: Shares | None = option(
        None,
        "shares of the splits, stratified by class; they replace splits that the source gives",
        "train=0.8,val=0.1,...",
    )
    folds: Folds | None = option(
        None, "K equal splits fold0, fold1, ... for cross-validation, stratified by class", "K"
    )
    extend: FilePath | None = option(
        None,
        "dataset whose samples keep their split; the others join them",
        "DATASET",
        changes_bytes=False,
    )
    exclude: FilePaths = option(
        (),
        "marks of `segrecord view`: samples that are marked as wrong are left out; may be given "
        "several times",
        "FILE",
        changes_bytes=False,
    )
    shards: Count | None = option(
        None,
        "shards of the largest split; the others have as many as suit their share (default 10)",
        "N",
        scan=False,
    )
    shard_size: ByteCount | None = option(
        None, "approximate size of a shard, in bytes of the source files", "128MB", scan=False
    )
    seed: Seed = option(0, "seed of the shuffle and the splits", "N")

    def __post_init__(self) -> None:
        _check_each(self)
        for left, right in (("split", "folds"), ("shards", "shard_size")):
            both = getattr(self, left) is not None and getattr(self, right) is not None
            flag = right.replace("_", "-")
            _rules.require(not both, f"{left} and {flag} exclude each other", "both")

    @property
    def shares(self) -> tuple[tuple[str, float], ...] | None:
        """Names and shares of the splits; None: everything is `train`, or the source says."""
        if self.folds is None:
            return self.split
        return tuple((name, 1 / self.folds) for name in split_names.fold_names(self.folds))


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """What a record looks like."""

    schema: SchemaName = option(
        "deeplab", "the feature keys of the records; see docs/format.md", scan=False
    )
    missing_mask: MissingMask | None = option(
        None,
        "what a record without a mask holds: empty bytes (default of plain), a mask of 255 = "
        "ignore (default of the others), zeros, no key, or an error",
        scan=False,
    )
    one_hot: bool = option(
        False, "store masks as height x width x classes (schema raw)", scan=False
    )
    mask_values: MaskStored = option(
        "ids",
        "what masks hold: class ids, or (schemas plain and raw) the 0 and 255 of black and white "
        "masks; readers of segrecord give class ids either way",
        scan=False,
    )
    compression: Compression = option("none", "compression of the shards", scan=False)
    keep_metadata: bool = option(
        False,
        "keep EXIF, XMP, comments and whatever else the image files hold beside pixels",
        scan=False,
    )
    keep_profile: bool = option(False, "keep the colour profiles of the image files", scan=False)
    pseudonymize: FilePath | None = option(
        None,
        "replace keys and groups by HMAC-SHA-256 under the secret in this file",
        "KEYFILE",
        changes_bytes=False,
    )
    crosswalk: FilePath | None = option(
        None,
        "CSV to write: which key and group became which pseudonym",
        "FILE",
        scan=False,
        changes_bytes=False,
    )

    def __post_init__(self) -> None:
        _check_each(self)
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
        keep = self.mask_values == "keep"
        if self.missing_mask is None:
            default = "empty" if self.schema == "plain" or keep else "ignore"
            object.__setattr__(self, "missing_mask", default)
        _rules.require(
            not keep or self.schema in {"plain", "raw"},
            "mask-values keep needs the schema plain or raw: readers of the others expect class "
            "ids",
            self.schema,
        )
        _rules.require(
            not keep or self.missing_mask != "ignore",
            "mask-values keep has no value for missing-mask ignore: 255 is foreground there; "
            "missing-mask must be empty, zeros, omit or error",
            self.missing_mask,
        )
        _rules.require(
            not (keep and self.one_hot),
            "mask-values keep and one-hot exclude each other: one-hot masks hold 0 and 1",
            "both",
        )
        _rules.require(
            not self.one_hot or self.schema == "raw",
            "one-hot masks need the schema raw",
            self.schema,
        )


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is said of the dataset beside its records."""

    card: FilePath | None = option(
        None,
        "TOML file with licence, source, citation ... of the dataset's card",
        "FILE",
        scan=False,
        changes_bytes=False,
    )
    no_report: bool = option(False, "write no report.html", scan=False, changes_bytes=False)
    no_thumbnails: bool = option(
        False, "leave pictures out of the report", scan=False, changes_bytes=False
    )

    def __post_init__(self) -> None:
        _check_each(self)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the work is run; nothing here changes a byte of the output."""

    workers: Count | None = option(
        None, "worker processes (default: one a core)", "N", changes_bytes=False
    )
    overwrite: bool = option(
        False, "replace a finished dataset at the output", scan=False, changes_bytes=False
    )

    def __post_init__(self) -> None:
        _check_each(self)


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
        column = self.source.split_column
        for flag in ("split", "folds"):
            _rules.require(
                column is None or getattr(self.plan, flag) is None,
                f"split-column fixes the splits and {flag} shares them out; leave one of them out",
                column,
            )
        _rules.require(
            self.records.mask_values == "ids" or self.pixels.mask_map is None,
            "mask-values keep and mask-map exclude each other: a map gives class ids",
            "both",
        )
        if self.checks.checks == "none":
            self._check_unread()

    def _check_unread(self) -> None:
        """Refuse what needs pixels."""
        pixels, records, choice = self.pixels, self.records, self.source.mask_choice
        for holds, what, value in (
            (pixels.mask_map is None, "mask-map reads pixels", pixels.mask_map),
            (pixels.mask_threshold is None, "mask-threshold reads pixels", pixels.mask_threshold),
            (pixels.size is None, "size reads pixels", pixels.size),
            (not pixels.mask_invert, "mask-invert reads pixels", pixels.mask_invert),
            (records.mask_values == "ids", "mask-values keep reads pixels", records.mask_values),
            (pixels.mask_fit == "error", "mask-fit resizes masks", pixels.mask_fit),
            (choice != "union", "mask-choice union paints masks together", choice),
            (records.schema != "raw", "schema raw decodes pixels", records.schema),
        ):
            _rules.require(holds, f"{what}, which checks none leaves unread", value)

    @classmethod
    def of(cls, **flat: Any) -> Options:
        """The options of these keywords, each put into its stage.

        Raises:
            UsageError: a keyword that is no option, or a value against a rule.
        """
        stages: dict[str, dict[str, Any]] = {stage: {} for stage in STAGES}
        for name, value in flat.items():
            if name not in OPTIONS:
                near = difflib.get_close_matches(name, OPTIONS, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UsageError(f"there is no option {name!r}{hint}")
            stages[OPTIONS[name].stage][name] = value
        return cls(**{stage: STAGES[stage](**values) for stage, values in stages.items()})

    def value(self, option: Option) -> Any:
        """The value of this option."""
        return getattr(getattr(self, option.stage), option.name)


STAGES: dict[str, Any] = get_type_hints(Options)
OPTIONS = {
    one.name: Option(one.name, stage, hints[one.name], one.default, **one.metadata)
    for stage, kind in STAGES.items()
    for hints in [get_type_hints(kind, include_extras=True)]
    for one in dataclasses.fields(kind)
}
"""Every option by its name, in the order of the help."""
