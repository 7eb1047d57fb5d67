"""Whether to train on a dataset, in three levels: ready; ready, but look at something; fix first.

The report and the command line ask here, so that both say the same. What was left out because a
person chose --on-error quarantine is named and need not be fixed: it is no part of the dataset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from segrecord.catalogue import CODES
from segrecord.export.snippets import level_of
from segrecord.findings import problem_of
from segrecord.read.stats import shard_balance_of
from segrecord.split_names import SPLIT_NAMES, are_folds
from segrecord.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from segrecord.findings import Level
    from segrecord.format.manifest import Manifest

FEW = 25
"""With fewer samples in a split, one standard error of a score (up to 0.5 / sqrt(n)) is over 10
percent points, and no training learns much from them."""

_LISTED = 30
"""Lines of each part of the verdict."""

_NAMED = 6
"""Things that one line names."""

_REASONS = 3
"""Reasons why samples were left out that the same line names."""

_SPLIT = "--split train=0.8,val=0.1,test=0.1, or --folds K"


class Tally(NamedTuple):
    """How many findings of one code and level there are."""

    level: Level
    code: str
    times: int
    fix: str = ""
    """What to do about it."""


class Outcome(NamedTuple):
    """What a scan or a build has come to, beside its findings."""

    built: bool
    """Whether there is a dataset, which holds no sample that has an error; False: a scan."""
    samples: int
    """Written, or of a scan all."""
    left_out: int
    checked: bool
    """Whether pixels were looked at."""
    splits: Mapping[str, int]
    """Samples of each split."""
    unmixed: tuple[str, ...] = ()
    """The splits whose classes are not mixed over their shards."""
    damage: int = 0
    """Damaged files and records that the report has met."""


class Item(NamedTuple):
    """One thing that the verdict names."""

    level: Level
    text: str
    problem: str
    """What happened; "": the text says it."""
    fix: str
    """What to do; "": the text says it."""
    anchor: str
    """Of the part of the report that says more."""


class Verdict(NamedTuple):
    """Whether to train."""

    state: str
    """"ready"; "look": ready, but for what a person should look at; "fix": something is wrong;
    "open": nobody has looked."""
    headline: str
    text: str
    fix: tuple[Item, ...]
    look: tuple[Item, ...]
    left_out: tuple[Item, ...]
    """Why samples or files are not in the dataset."""
    aside: tuple[Item, ...]
    """Warnings that concern no training."""

    @property
    def line(self) -> str:
        """The verdict in a line, with the first few things by name."""
        named = {"fix": self.fix, "look": self.look}.get(self.state, ())
        if not named:
            return f"{self.headline[:1].lower()}{self.headline[1:]}"
        more = [f"and {len(named) - _NAMED} more"] * (len(named) > _NAMED)
        listed = "; ".join([*(item.text for item in named[:_NAMED]), *more])
        start = "fix first" if self.state == "fix" else "ready to train, but look at"
        return f"{start}: {listed}"


def of_manifest(manifest: Manifest) -> Verdict:
    """The verdict on a dataset that was just built."""
    counts = manifest.findings.items()
    tallies = [Tally(level_of(code, manifest), code, count) for code, count in counts]
    return verdict(tallies, outcome_of(manifest))


def outcome_of(manifest: Manifest, damage: int = 0) -> Outcome:
    """What a build has come to.

    Args:
        manifest: of the dataset.
        damage: damaged files and records that were met.
    """
    balances = {
        name: shard_balance_of({shard.name: shard.class_counts for shard in split.shards})
        for name, split in manifest.splits.items()
    }
    return Outcome(
        built=True,
        samples=manifest.samples,
        left_out=manifest.quarantined,
        checked=manifest.build_options().checks.checks != "none",
        splits={name: split.records for name, split in manifest.splits.items()},
        unmixed=tuple(name for name, balance in balances.items() if balance.mixed is False),
        damage=damage,
    )


def verdict(tallies: Iterable[Tally], outcome: Outcome) -> Verdict:
    """Whether to train.

    To be fixed are errors that stop a build, and damage; to be looked at are the warnings that
    concern a training, what was left out, and splits that are missing, tiny or not mixed.
    """
    errors: list[Item] = []
    look: list[Item] = []
    aside: list[Item] = []
    for tally in tallies:
        text, anchor = f"{tally.code} ({tally.times:,})", f"{tally.level}-{tally.code}"
        item = Item(tally.level, text, problem_of(tally.code), tally.fix, anchor)
        if tally.level == "error":
            errors.append(item)
        elif tally.level == "warning":
            training = CODES[tally.code].training if tally.code in CODES else True
            (look if training else aside).append(item)
    look = [*_of_splits(outcome), *look]
    if outcome.built and errors:
        total = outcome.samples + outcome.left_out
        what = (
            f"{outcome.left_out:,} of {counted(total, 'sample')}" if outcome.left_out else "files"
        )
        why = [*(item.text for item in errors[:_REASONS]), *["..."] * (len(errors) > _REASONS)]
        said = f"{what} left out: {', '.join(why)}"
        hint = "see whether the others still are what you want to train on"
        look.insert(0, Item("warning", said, "", hint, "findings"))
    fix = [] if outcome.built else errors
    if outcome.damage:
        said = counted(outcome.damage, "damaged file or record", "damaged files or records")
        fix = [*fix, Item("error", f"{said} in the dataset", "", "", "damage")]
    state, headline, text = _state(outcome, len(fix), len(look), len(aside))
    gone = f", {outcome.left_out:,} left out" if outcome.left_out else ""
    done = "written" if outcome.built else "scanned"
    return Verdict(
        state,
        headline,
        f"{counted(outcome.samples, 'sample')} {done}{gone}. {text}",
        fix=tuple(fix[:_LISTED]),
        look=tuple(look[:_LISTED]),
        left_out=tuple(errors[:_LISTED]) if outcome.built else (),
        aside=tuple(aside[:_LISTED]),
    )


def _of_splits(outcome: Outcome) -> Iterator[Item]:
    """Splits that a training or a score needs and that are missing, tiny or not mixed."""
    splits = outcome.splits
    verbs = dict(zip(SPLIT_NAMES, ("train", "validate", "test"), strict=True))
    there = {usual for usual in SPLIT_NAMES for name in splits if usual in name.lower()}
    if not there and len(splits) == 1:  # one split of a name of its own is trained on
        there = {SPLIT_NAMES[0]}
    # Nothing can be said of several names that are none of the usual.
    missing = [verb for usual, verb in verbs.items() if there and usual not in there]
    if missing and not are_folds(splits):
        said = f"no split to {' or '.join(missing)} on"
        yield Item("warning", said, "", _SPLIT, "built")
    few = [f"{count:,} in {name}" for name, count in splits.items() if count < FEW]
    if few:
        said = f"few samples: {', '.join(few[:_NAMED])}{', ...' * (len(few) > _NAMED)}"
        problem = f"of fewer than {FEW}, chance moves a score by 10 percent points and more"
        yield Item("warning", said, problem, "get more, or make fewer splits", "built")
    for name in outcome.unmixed:
        said = f"the classes of {name} are not mixed over its shards"
        yield Item("warning", said, "", "", "classes")


def _state(outcome: Outcome, fix: int, look: int, aside: int) -> tuple[str, str, str]:
    """State, headline and what it means, by the numbers of things to fix and to look at."""
    if fix:
        text = "Errors stop a build."
        if outcome.damage:
            text = "What was written cannot be trusted before the damage is repaired."
        return "fix", f"{counted(fix, 'thing')} to fix first", text
    if not outcome.checked:
        text = "No pixel was looked at: build with --checks basic or full before you train."
        return "open", "Not checked", text
    if look:
        text = "What is listed may make a model, or its score, misleading."
        return "look", f"Ready to train, but look at {counted(look, 'thing')}", text
    text = "No warning concerns the training." if aside else "No error and no warning."
    return "ready", "Ready to train", text
