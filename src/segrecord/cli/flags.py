"""Flags, made from the option objects: each option stands once, in segrecord/options.py."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from segrecord.options import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable


class Command(click.Command):
    """A command that shows its options by stage, and takes none twice that has one value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what click lets pass: of two values the last would win in silence."""
        single = [
            option
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and not (option.multiple or option.is_flag)
        ]
        for option in single:
            option.multiple = True
        try:
            opts, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        finally:
            for option in single:
                option.multiple = False
        for option in single:
            values = opts.get(option.name or "") or ()
            if len(values) > 1:
                listed = " and ".join(map(str, values))
                raise click.UsageError(
                    f"{option.opts[0]} takes one value and is given {len(values)}: {listed}; "
                    "leave one out",
                    ctx,
                )
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under a heading a stage."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            # The text above tells of the arguments.
            record = (
                parameter.get_help_record(ctx) if parameter.param_type_name == "option" else None
            )
            if record is not None:
                groups.setdefault(title_of(parameter), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


_GROUP_OF = {
    option.name: group for group, kind in GROUPS.items() for option in dataclasses.fields(kind)
}


def title_of(parameter: click.Parameter) -> str:
    """The stage that a flag belongs to, as a heading."""
    return _GROUP_OF.get(parameter.name or "", "options").capitalize()


def flags(
    *groups: str, only: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The flags of these option groups, or of these options of theirs alone, as a decorator."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for group in reversed(groups):
            hints = get_type_hints(GROUPS[group])
            for option in reversed(dataclasses.fields(GROUPS[group])):
                if not only or option.name in only:
                    command = _flag(option, hints[option.name])(command)
        return command

    return decorate


def _flag(option: dataclasses.Field[Any], hint: Any) -> Any:
    """One flag. Values are passed on as text where the option object reads text itself."""
    name = f"--{option.name.replace('_', '-')}"
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    settings: dict[str, Any] = {"help": option.metadata["help"], "default": None}
    literal = hint if get_origin(hint) is Literal else kinds[0]
    if get_origin(literal) is Literal:
        settings["type"] = click.Choice(get_args(literal))
        if option.default is not None:
            settings["help"] += f" [default: {option.default}]"
    elif hint is bool:
        settings |= {"is_flag": True}
    elif hint == tuple[str, ...]:  # given twice, the last would win in silence
        settings |= {"multiple": True, "metavar": option.metadata["metavar"]}
        settings["callback"] = _apart if option.metadata["paths"] else _together
    else:
        settings["metavar"] = option.metadata["metavar"]
        if int in kinds and option.name != "shard_size":
            settings["type"] = int
    return click.option(name, option.name, **settings)


def _together(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> str | None:
    """`--ignore a --ignore b,c` as `a,b,c`."""
    return ",".join(values) or None


def _apart(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Any:
    """The values as they are; None where there are none, so that the default stands."""
    return values or None


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user has passed: the object knows the defaults of the others."""
    return {name: value for name, value in options.items() if value is not None}
