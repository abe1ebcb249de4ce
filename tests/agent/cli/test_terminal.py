"""What commands print, and where their options may stand."""

import argparse
import sys

import pytest

from agent import cli
from agent.cli import terminal

HOSTILE = "scanners/\x1b]0;owned\x07\x1b[2J\x9b31m\u202egod"


@pytest.mark.parametrize("words", [["devices", "try", HOSTILE], ["verify", "--keys", HOSTILE, HOSTILE]])
def test_nothing_that_a_terminal_would_obey_is_printed(words, capsys):
    cli.main(words)
    said = "".join(capsys.readouterr())
    assert said
    assert not set(said) & set("\x1b\x07\x9b\u202e")


def test_lines_and_tabs_stay_and_what_is_drawn_is_drawn(capsys):
    before = sys.stdout
    with terminal.printable_only():
        print("a\tb\nc\x1b[31m 体温 °C")
        terminal.draw("\x1b[H")
    assert sys.stdout is before
    assert capsys.readouterr().out == "a\tb\nc�[31m 体温 °C\n\x1b[H"


def repeated(parser, path):
    """Options of an action that its command has too, with a default that undoes what stands before the action."""
    own = {action.dest for action in parser._actions if action.option_strings}
    for actions in (each for each in parser._actions if isinstance(each, argparse._SubParsersAction)):
        for name, below in actions.choices.items():
            yield from (
                (*path, name, action.dest)
                for action in below._actions
                if action.option_strings
                and action.dest in own - {"help"}
                and action.default is not argparse.SUPPRESS
            )
            yield from repeated(below, (*path, name))


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_an_option_is_heard_before_and_after_the_action(command):
    commands = cli.parser_of(command)._subparsers._group_actions[0]
    assert not list(repeated(commands.choices[command], (command,)))
