"""Flags, made from the option objects: each option stands once, in segrecord/options.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from segrecord._rules import Integer
from segrecord.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from segrecord._rules import Option


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


def title_of(parameter: click.Parameter) -> str:
    """The stage that a flag belongs to, as a heading."""
    option = OPTIONS.get(parameter.name or "")
    return (option.stage if option else "options").capitalize()


def flags(options: Iterable[Option]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The flags of these options, as a decorator.

    Values are passed on as text where the option's rule reads text.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(list(options)):
            settings: dict[str, Any] = {"help": option.help, "default": None}
            if option.choices:
                settings["type"] = click.Choice(option.choices)
                if option.default is not None:
                    settings["help"] += f" [default: {option.default}]"
            elif option.kind is bool:
                settings["is_flag"] = True
            else:
                settings["metavar"] = option.metavar
            if isinstance(option.rule, Integer):
                settings["type"] = int
            if option.repeated:
                settings |= {"multiple": True, "callback": several}
            elif isinstance(option.default, tuple):  # given twice, the last would win in silence
                settings |= {"multiple": True, "callback": _together}
            command = click.option(f"--{option.flag}", option.name, **settings)(command)
        return command

    return decorate


def _together(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> str | None:
    """`--ignore a --ignore b,c` as `a,b,c`."""
    return ",".join(values) or None


def several(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    """A flag that was given several times: its values; None, so that the default stands."""
    return values or None


def source_flags(purpose: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The flags of a command that reads a dataset's source again, as a decorator."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        tables = "each --metadata of the build, where it does not lie beside the source"
        for flag in (
            click.option("--pseudonymize", metavar="KEYFILE", help="the build's --pseudonymize"),
            click.option("--root", metavar="DIR", help="the build's --root"),
            click.option(
                "--metadata", multiple=True, callback=several, metavar="FILE", help=tables
            ),
            click.option("--source", metavar="SOURCE", help=purpose),
        ):
            command = flag(command)
        return command

    return decorate


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user has passed: the object knows the defaults of the others."""
    return {name: value for name, value in options.items() if value is not None}
