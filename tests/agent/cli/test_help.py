"""What `--help` shows: every command and action says what it is for, and every example would be understood."""

import argparse
import re
import shlex
import subprocess
import sys

import pytest

from agent import cli


def parsers(parser):
    """The parser, and those of its actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_action_says_what_it_is_for(command):
    (whole,) = (each for each in parsers(cli.parser_of(command)) if each.prog == f"gatepost {command}")
    for parser in parsers(whole):
        assert parser.description, parser.prog
        for action in parser._actions:
            assert action.help or action.choices or action.dest in {"issuer", "file", "subject"}, parser.prog


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_example_is_understood(command):
    (whole,) = (each for each in parsers(cli.parser_of(command)) if each.prog == f"gatepost {command}")
    examples = re.findall(
        r"^    (?:sudo (?:-u gatepost )?)?gatepost (.*?)(?:   .*)?$", whole.description, re.MULTILINE
    )
    assert len(examples) == whole.description.count("\n    "), "an example that is none"
    for example in examples:
        words = shlex.split(example.partition(" |")[0])
        assert words[0] == command
        cli.parser_of(command).parse_args(words)


def test_the_overview_fits_a_narrow_terminal_and_names_all(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("    ")] == list(cli.COMMANDS)


def test_what_was_imported_is_not_looked_through_for_garbage_while_the_agent_runs():
    script = """if True:
        import gc
        from agent import cli
        cli.main(["show", "--manual"])
        print(gc.isenabled(), gc.get_freeze_count())"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    enabled, kept = done.stdout.split()[-2:]
    assert enabled == "True"
    assert int(kept) > 10_000
