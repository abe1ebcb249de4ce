"""Commands are found by themselves: each file names its arguments and carries its command out."""

from __future__ import annotations

import inspect

import pytest

from agent import commands


def test_every_command_is_there() -> None:
    assert set(commands.COMMANDS) >= {
        "diagnose", "flush", "open", "recover", "reload", "restart", "retest", "rotate", "wipe",
    }  # fmt: skip


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_a_file_is_a_command(name: str) -> None:
    file = commands._FILES[name]
    assert isinstance(file.SPEC, commands.CommandSpec)
    assert len(inspect.signature(file.run).parameters) == 2
    assert (file.__doc__ or "").startswith(f"`{name}`: ")


def test_an_option_names_commands_that_there_are() -> None:
    with pytest.raises(
        ValueError, match="there is no command dance; there are close, count, diagnose, flush, open"
    ):
        commands.Options(allow=("open", "dance"))


@pytest.mark.parametrize(("name", "argument"), [("count", "inside"), ("shut", "minutes")])
@pytest.mark.parametrize("text", ["", "-1", "1.5", "٣", "9" * 5000])
def test_what_is_no_whole_number_is_a_bad_argument(name: str, argument: str, text: str) -> None:
    with pytest.raises(commands.CommandFailed) as caught:
        commands.run(name, None, {argument: text})  # type: ignore[arg-type]  # it is not reached
    assert (caught.value.reason, caught.value.outcome) == ("bad_arguments", "rejected")
