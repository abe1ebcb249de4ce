"""What `--help` shows: every command and action says what it is for, and every example would be understood."""

import argparse
import io
import os
import re
import shlex
import subprocess
import sys

import pytest

from agent import cli
from agent.cli.help import Parser


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
        assert "|---" not in parser.format_help(), "a table is filled like prose: write its lines with an indent"
        for action in parser._actions:
            assert action.help or action.choices or action.dest in {"issuer", "file", "subject"}, parser.prog


EXAMPLE = re.compile(r"    (?:sudo (?:-u gatepost )?)?(gatepost .*?)(?:   .*)?")
CALL = re.compile(rf"(?<!`)\bgatepost (?:{'|'.join(cli.COMMANDS)}) ")
"""A command to type; the name of one, in prose, stands in backticks."""


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_example_has_its_own_line_and_is_understood(command, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    (whole,) = (each for each in parsers(cli.parser_of(command)) if each.prog == f"gatepost {command}")
    shown = whole.format_help().partition("\n\n")[2].splitlines()  # without the usage
    examples = [match[1] for line in shown if (match := EXAMPLE.fullmatch(line))]
    assert examples, "a command whose help shows no example"
    for line in shown:
        assert len(CALL.findall(f"{line} ")) == (EXAMPLE.fullmatch(line) is not None), line
    for example in examples:
        program, *words = shlex.split(example.partition(" |")[0])
        assert (program, words[0]) == ("gatepost", command)
        cli.parser_of(command).parse_args(words)


def test_lines_of_examples_alone_are_not_filled_like_prose():
    text = "What it is\nfor.\n\ngatepost show\nsudo gatepost show --json   for programs\n    indented already"
    shown = Parser(prog="x", description=text, add_help=False).format_help()
    assert shown.splitlines()[2:] == [
        "What it is for.",
        "",
        "    gatepost show",
        "    sudo gatepost show --json   for programs",
        "    indented already",
    ]


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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("issue --key k --colour blue", "'blue' should be one of green, yellow, red"),
        ("issue --key k --days soon", "'soon' should be a number from 0 to 36500, for example 9"),
        ("issue --key k --seconds inf", "'inf' should be a number from 0 to 31622400, for example 30"),
        ("verify --direction entrance x", "'entrance' should be one of entry, exit, check; did you mean entry?"),
        ("verify --temperature warm x", "'warm' should be one of normal"),
        (
            "keys sign f --type list --version 1.5 --key k",
            "'1.5' should be a whole number from 0 to 9007199254740992",
        ),
        (
            "command flush --to a/b --fleet c --key k --seconds 100000",
            "'100000' should be a whole number from 1 to 86400",
        ),
        ("keys nwe", "'nwe' should be one of new, "),
        ("camera look --seconds nan", "'nan' should be a number from 0 to 31622400, for example 30"),
        ("devices try entry.gate --seconds 1,5", "'1,5' should be a number from 0 to 31622400, for example 30"),
        ("remeasure entry --for 0", "'0' should be a whole number from 1 to 999"),
    ],
)
def test_a_word_that_does_not_do_is_told_what_does(words, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words.split())
    assert left.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_number_on_the_command_line_has_a_range_and_an_example(command):
    (whole,) = (each for each in parsers(cli.parser_of(command)) if each.prog == f"gatepost {command}")
    for parser in parsers(whole):
        for action in parser._actions:
            assert action.type not in (int, float) or action.choices, f"{parser.prog} {action.dest}: no range"
            if (example := getattr(action.type, "example", None)) is None:
                continue
            assert action.type(f"{example:g}") == example
            if action.default not in (None, argparse.SUPPRESS, 0):
                assert action.type(str(action.default)) == action.default
            for word in ("inf", "nan", "1e300", "-1e300", "9" * 5000, "1,5", "soon", ""):
                with pytest.raises(argparse.ArgumentTypeError, match=r"number from .* to .*, for example"):
                    action.type(word)


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_the_help_of_every_command_can_be_read_on_a_terminal_without_all_letters(command, monkeypatch):
    """As under LC_ALL=C; in this process, since a command takes a third of a second to start."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    with pytest.raises(SystemExit) as left:
        cli.main([*command.split(), "--help"])
    assert left.value.code == 0
    shown.flush()
    assert shown.buffer.getvalue().startswith(b"usage: gatepost")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gb18030", "utf-8"])
@pytest.mark.parametrize("words", [["show", "--manual"], ["--help"], ["policy", "explain", "--language", "zh"]])
def test_a_terminal_without_all_letters_ends_no_command(words, encoding):
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", "import sys; from agent.cli import main; sys.exit(main())", *words]
    done = subprocess.run(command, capture_output=True, env=env, check=False, timeout=120)
    assert b"Traceback" not in done.stderr, done.stderr
    assert (done.stdout + done.stderr).decode(encoding).strip()
