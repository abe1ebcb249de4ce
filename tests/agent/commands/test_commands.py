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
