"""Rules for values: what a value must be, and the `UsageError` that states rule and value.

The words of the options' messages stand here once; which rule holds for which option stands in
`segrecord.options`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, get_args

from segrecord.errors import UsageError


def require(holds: bool, rule: str, value: object) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse the value unless the rule holds.

    Raises:
        UsageError: "rule, got value".
    """
    if not holds:
        raise UsageError(f"{rule}, got {value!r}")


def is_int(value: object, lowest: int, highest: int = 1 << 62) -> bool:
    """Whether this is a whole number in the range; True and False are none."""
    return type(value) is int and lowest <= value <= highest


def one_of(name: str, choices: Any, value: object) -> None:
    """Refuse a value that is none of this Literal's."""
    allowed = get_args(choices)
    require(value in allowed, f"{name} must be one of {', '.join(allowed)}", value)


def text(name: str, value: object) -> None:
    """Refuse what is neither a text nor None."""
    require(value is None or isinstance(value, str), f"{name} must be a text", value)


def path(name: str, value: object) -> str | None:
    """A path as text; None stays None."""
    found: Any = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    require(found is None or isinstance(found, str), f"{name} must be a path", value)
    return None if found is None else str(found)


def paths(name: str, value: object) -> tuple[str, ...]:
    """A path, or a sequence of paths, as a tuple of texts; None is none."""
    parts = value if isinstance(value, list | tuple) else [] if value is None else [value]
    found = tuple(path(name, part) for part in parts)
    require(None not in found, f"{name} must be a path or a list of paths", value)
    return tuple(str(one) for one in found)


def flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False: the text "no" would count as true."""
    require(isinstance(value, bool), f"{name} must be True or False", value)


def names(name: str, value: Any, what: str = "column") -> tuple[str, ...]:
    """A comma-separated text, or a sequence of texts, as a tuple of names."""
    parts = value.split(",") if isinstance(value, str) else () if value is None else value
    texts = isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts)
    require(texts, f"{name} must be a text or a list of texts", value)
    found = [part.strip() for part in parts if part.strip()]
    require(len(set(found)) == len(found), f"{name} must name each {what} once", value)
    return tuple(found)


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


def size(value: Any) -> tuple[int, int]:
    """`HxW`, or two whole numbers, as (height, width) in pixels."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)[xX](\d+)", value.strip())
        require(match is not None, "size must read like 512x512 (height x width)", value)
        assert match is not None  # noqa: S101 - for the type checker
        value = (int(match[1]), int(match[2]))
    require(
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004 - height and width
        and all(is_int(number, 1, 1 << 15) for number in value),
        f"size must be a height and a width from 1 to {1 << 15}",
        value,
    )
    return (value[0], value[1])


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20}
_UNITS["GIB"] = 2**30


def byte_count(value: Any) -> int:
    """A number of bytes, or a text such as 128MB (decimal) or 128MiB (binary), in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(value).strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    require(unit is not None, "shard-size must read like 128MB or 128MiB", value)
    assert match is not None and unit is not None  # noqa: S101, PT018 - for the type checker
    size = int(float(match[1]) * unit)
    require(size >= 1, "shard-size must be at least 1 byte", value)
    return size
