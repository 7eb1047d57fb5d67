"""An option that is given twice: its values accumulate, or it is refused; none wins in silence."""

import click
import pytest

from segrecord import cli
from segrecord.cli.flags import Command
from segrecord.options import Options

COMMANDS = sorted(cli.cli.commands)
ACCUMULATE = {"ignore", "error", "keep_columns", "exclude"}
"""Each of the others has one value."""


def options_of(command):
    return [each for each in command.params if isinstance(each, click.Option)]


ALL = [(name, option.name) for name in COMMANDS for option in options_of(cli.cli.commands[name])]


def test_every_command_looks_at_its_options():
    assert all(isinstance(cli.cli.commands[name], Command) for name in COMMANDS)
    assert len(ALL) > 60


@pytest.mark.parametrize(("name", "option"), ALL)
def test_every_option_given_twice_accumulates_or_is_refused(name, option, monkeypatch):
    command = cli.cli.commands[name]
    (found,) = (each for each in options_of(command) if each.name == option)
    one, other = "7", "8"
    if isinstance(found.type, click.Choice):
        one, other = found.type.choices[:2]
    seen = {}
    monkeypatch.setattr(command, "callback", lambda **given: seen.update(given))
    arguments = ["here"] * sum(isinstance(each, click.Argument) for each in command.params)
    flag = found.opts[0]

    def parse(*words):
        command.main([*arguments, *words], standalone_mode=False)

    if found.is_flag:  # twice says nothing else than once
        parse(flag, flag)
        assert seen[option] is True
    elif found.multiple:
        parse(flag, one, flag, other)
        assert seen[option] in {f"{one},{other}", (one, other)}
    else:
        with pytest.raises(click.UsageError) as raised:
            parse(flag, one, flag, other)
        assert f"{flag} takes one value and is given 2: {one} and {other}" in str(raised.value)
        with pytest.raises(click.UsageError):
            parse(f"{flag}={one}", f"{flag}={one}")
        assert not seen
        parse(flag, one)
        assert str(seen[option]) == one
    if option in ACCUMULATE:
        assert found.multiple


def test_paths_that_hold_commas_are_not_taken_apart():
    assert Options.of(exclude=("a,b.csv", "c.csv")).plan.exclude == ("a,b.csv", "c.csv")
    assert Options.of(exclude="a,b.csv").plan.exclude == ("a,b.csv",)
    assert Options.of(exclude=None).plan.exclude == ()
