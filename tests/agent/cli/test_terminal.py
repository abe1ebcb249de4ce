"""What commands print, and where their options may stand."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

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


MAIN = (sys.executable, "-c", "import sys; from agent.cli import main; sys.exit(main())")
PRINTING = [["--help"], ["fleet", "--help"], ["show", "--manual"], ["no-such-command"]]


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
@pytest.mark.parametrize("which", ["stdout", "stderr", "both"])
@pytest.mark.parametrize("buffered", [True, False])
def test_on_a_full_disk_it_is_told_and_nothing_is_thrown(words, which, buffered):
    with Path("/dev/full").open("wb") as full:
        given = {name: full if which in (name, "both") else subprocess.PIPE for name in ("stdout", "stderr")}
        env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
        done = subprocess.run([*MAIN, *words], **given, check=False, env=env)
    is_told_elsewhere = words == ["no-such-command"]
    if which == "stderr":
        assert done.returncode == (2 if is_told_elsewhere else 0)
    else:
        assert done.returncode == (2 if is_told_elsewhere else 1)
    if which == "stdout" and not is_told_elsewhere:
        assert done.stderr.splitlines() == [b"output: No space left on device"]


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_reader_that_has_left_ends_a_command_without_a_word(words):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*MAIN, *words], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    if words == ["no-such-command"]:
        assert done.returncode == 2
        return
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_connection_that_breaks_is_no_reader_that_has_left(monkeypatch, capsys):
    def broken(_args):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("agent.cli.fleet.run", broken)
    assert cli.main(["fleet", "broker.example"]) == 1
    assert "Broken pipe" in capsys.readouterr().err
