"""What an option is, and the rules for values: each raises a `UsageError` of rule and value.

The words of the options' messages stand here once; which rule holds for which option stands in
`segrecord.options`.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from segrecord import split_names
from segrecord.catalogue import CODES
from segrecord.errors import UsageError

IGNORE = 255
"""The mask value that stands for "do not train on this pixel" (PASCAL VOC's void label)."""

IGNORE_NAME = "ignore"
"""The name that maps a mask value to IGNORE in a mask map."""


@dataclass(frozen=True)
class Option:
    """One option: all that its field says of it."""

    name: str
    stage: str
    """The group that it stands in: a field of `Options`, and a heading of the help."""
    hint: Any
    """The type of its value: a Literal, bool, str, or one that is annotated with its rule."""
    default: Any
    help: str
    metavar: str
    """The word for its value in the help; "" where the type says it."""
    scan: bool
    """Whether `segrecord scan` takes it: what a scan finds changes with it."""
    changes_bytes: bool
    """Whether a record may change with it. Where things lie, and what to do with errors, changes
    none, and a path has no place in an output."""

    @property
    def flag(self) -> str:
        """The flag's name, without its dashes."""
        return self.name.replace("_", "-")

    @property
    def kind(self) -> Any:
        """The type of a value that is not None."""
        return get_args(self.hint)[0] if self.optional else self.hint

    @functools.cached_property
    def optional(self) -> bool:
        """Whether None is a value."""
        return get_origin(self.hint) in (Union, UnionType) and type(None) in get_args(self.hint)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values to choose from; empty where it is no choice."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @functools.cached_property
    def rule(self) -> Callable[[str, Any], Any]:
        """Gives the value for the flag's name and what was passed, or raises a UsageError."""
        if self.choices:
            return functools.partial(one_of, self.choices)
        plain: dict[Any, Callable[[str, Any], Any]] = {bool: boolean, str: text}
        return plain[self.kind] if self.kind in plain else get_args(self.kind)[1]

    @property
    def repeated(self) -> bool:
        """Whether its flag is given once for each value: a path may hold a comma."""
        return self.rule is paths

    def checked(self, value: Any) -> Any:
        """The value that was passed as the option holds it; raises as the rule."""
        return None if value is None and self.optional else self.rule(self.flag, value)


def option(
    default: Any, text: str, metavar: str = "", *, scan: bool = True, changes_bytes: bool = True
) -> Any:
    """A field that is an option; see `Option`."""
    about = {"help": text, "metavar": metavar, "scan": scan, "changes_bytes": changes_bytes}
    return field(default=default, metadata=about)


def require(holds: bool, rule: str, value: object) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse the value unless the rule holds.

    Raises:
        UsageError: "rule, got value".
    """
    if not holds:
        raise UsageError(f"{rule}, got {value!r}")


class Integer(NamedTuple):
    """The rule of a whole number in a range; True and False are none."""

    lowest: int
    highest: int | None = None

    def __call__(self, name: str, value: Any) -> int:
        low, high = self
        span = f"an integer from {low} to {'2**63 - 1' if high == (1 << 63) - 1 else high}"
        holds = type(value) is int and low <= value <= (1 << 62 if high is None else high)
        require(holds, f"{name} must be {f'at least {low}' if high is None else span}", value)
        return int(value)


def one_of(choices: tuple[str, ...], name: str, value: Any) -> str:
    """A text that is one of these."""
    require(value in choices, f"{name} must be one of {', '.join(choices)}", value)
    return str(value)


def text(name: str, value: Any) -> str:
    """A text as it is."""
    require(isinstance(value, str), f"{name} must be a text", value)
    return str(value)


def path(name: str, value: Any) -> str:
    """A path as text."""
    as_text = os.fspath(value) if isinstance(value, os.PathLike) else value
    require(isinstance(as_text, str), f"{name} must be a path", value)
    return str(as_text)


def paths(name: str, value: Any) -> tuple[str, ...]:
    """A path, or a sequence of paths, as a tuple of texts; None is none."""
    parts = value if isinstance(value, list | tuple) else [] if value is None else [value]
    texts = tuple(path(name, part) for part in parts)
    require(len(set(texts)) == len(texts), f"{name} must name each file once", value)
    return texts


def boolean(name: str, value: Any) -> bool:
    """True or False and nothing else: the text "no" would count as true."""
    require(isinstance(value, bool), f"{name} must be True or False", value)
    return bool(value)


def names(name: str, value: Any, what: str = "column") -> tuple[str, ...]:
    """A comma-separated text, or a sequence of texts, as a tuple of names."""
    parts = value.split(",") if isinstance(value, str) else () if value is None else value
    texts = isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts)
    require(texts, f"{name} must be a text or a list of texts", value)
    stripped = [part.strip() for part in parts if part.strip()]
    require(len(set(stripped)) == len(stripped), f"{name} must name each {what} once", value)
    return tuple(stripped)


def pairs(name: str, value: str | Mapping[Any, Any] | tuple[Any, ...]) -> list[tuple[str, str]]:
    """`a=b,c=d`, a mapping, or a tuple of pairs, as pairs of texts in their order."""
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        for left, sign, right in parts:
            require(
                bool(left.strip() and sign and right.strip()),
                f"{name} must read like a=b,c=d",
                value,
            )
        return [(left.strip(), right.strip()) for left, _, right in parts]
    items: Any = value.items() if isinstance(value, Mapping) else value
    try:
        items = [(left, right) for left, right in items]
    except (TypeError, ValueError):
        raise UsageError(f"{name} must read like a=b,c=d or be pairs, got {value!r}") from None
    return [(str(left).strip(), str(right).strip()) for left, right in items]


def size(name: str, value: Any) -> tuple[int, int]:
    """`HxW`, or two whole numbers, as (height, width) in pixels."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)[xX](\d+)", value.strip())
        require(match is not None, f"{name} must read like 512x512 (height x width)", value)
        assert match is not None  # noqa: S101 - for the type checker
        value = (int(match[1]), int(match[2]))
    require(
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004 - height and width
        and all(type(number) is int and 1 <= number <= 1 << 15 for number in value),
        f"{name} must be a height and a width from 1 to {1 << 15}",
        value,
    )
    return (value[0], value[1])


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def byte_count(name: str, value: Any) -> int:
    """A number of bytes, or a text such as 128MB (decimal) or 128MiB (binary), in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(value).strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    require(unit is not None, f"{name} must read like 128MB or 128MiB", value)
    assert match is not None and unit is not None  # noqa: S101, PT018 - for the type checker
    size = int(float(match[1]) * unit)
    require(size >= 1, f"{name} must be at least 1 byte", value)
    return size


def shares(name: str, value: Any) -> tuple[tuple[str, float], ...]:
    """Names and shares of splits, of `train=0.8,val=0.2`, a mapping or pairs."""
    splits = []
    for split, text in pairs(name, value):
        broken = split_names.name_rule(split)
        require(not broken, broken, split)
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        require(0 < share <= 1, f"the share of {name} {split} must be over 0 and at most 1", text)
        splits.append((split, share))
    require(len(dict(splits)) == len(splits), f"{name} must name each split once", value)
    broken = split_names.together_rule(dict(splits))
    require(not broken, broken, value)
    total = sum(share for _, share in splits)
    require(abs(total - 1) < 1e-6, f"the shares of {name} must add up to 1", round(total, 6))  # noqa: PLR2004 - rounding
    return tuple(splits)


def mask_map(flag: str, value: Any) -> tuple[tuple[int, str], ...]:
    values_names = pairs(flag, value)
    for number, name in values_names:
        require(bool(name), f"{flag} must name each value", value)
        require(
            re.fullmatch(r"\d{1,5}", number) is not None and int(number) < 1 << 16,
            f"{flag} must map values from 0 to 65535",
            number,
        )
    values = [int(number) for number, _ in values_names]
    require(len(set(values)) == len(values), f"{flag} must name each value once", value)
    names = {name for _, name in values_names} - {IGNORE_NAME}
    require(1 <= len(names) <= IGNORE, f"{flag} must name 1 to {IGNORE} classes", len(names))
    return tuple((number, name) for number, (_, name) in zip(values, values_names, strict=True))


def codes(flag: str, value: Any) -> tuple[str, ...]:
    """Codes of findings, each of which there is."""
    given = names(flag, value, "code")
    for code in given:
        if code not in CODES:
            near = difflib.get_close_matches(code, CODES, n=1)
            hint = f"did you mean {near[0]}?" if near else "all codes stand in docs/checks.md"
            raise UsageError(f"there is no code {code!r}; {hint}")
    return given
