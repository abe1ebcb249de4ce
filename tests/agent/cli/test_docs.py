"""Every command, action and option that a document names is there."""

import argparse
import re
from pathlib import Path

import pytest

from agent import cli

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "systemd").glob("*.md"))]
CODE = re.compile(r"`([^`\n]+)`|^ {4,}(.+)$", re.MULTILINE)
"""A span of code, or a line of an indented block."""
CALL = re.compile(r"(?<!user )\bgatepost (?=[a-z])(?!gatepost )([^|;&#`]*)")


def calls(text):
    """The words after `gatepost`, of each call that the text shows."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for span in CODE.finditer(joined):
        yield from (match[1].split() for match in CALL.finditer(span[1] or span[2]))


def understood(parser, words):
    """Which options and actions of `words` are unknown to `parser`."""
    options = {name for action in parser._actions for name in action.option_strings}
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if nested and words and re.fullmatch(r"[a-z-]+", words[0]) and not words[0].startswith("-"):
        child = nested[0].choices.get(words[0])
        return [words[0]] if child is None else understood(child, words[1:])
    given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    return sorted(given - options)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_are_there(document):
    unknown = []
    for command, *words in calls(document.read_text()):
        if not re.fullmatch(r"[a-z-]+", command) or command == "COMMAND":
            continue
        if command not in cli.COMMANDS:
            unknown.append(command)
            continue
        (commands,) = (
            each for each in cli.parser_of(command)._actions if isinstance(each, argparse._SubParsersAction)
        )
        unknown += [f"{command}: {word}" for word in understood(commands.choices[command], words)]
    assert not unknown


def test_what_is_not_there_is_found():
    text = "`gatepost privacy open`, `gatepost check --quick`\n\n    gatepost keys take x\n    gatepost command\n"
    found = list(calls(text))
    assert found == [["privacy", "open"], ["check", "--quick"], ["keys", "take", "x"], ["command"]]
    (commands,) = (each for each in cli.parser_of("keys")._actions if isinstance(each, argparse._SubParsersAction))
    assert understood(commands.choices["keys"], ["take", "x"]) == ["take"]
    assert understood(commands.choices["keys"], ["new", "x", "--nothing"]) == ["--nothing"]
