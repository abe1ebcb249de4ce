"""What docs/policy.md and docs/codes.md tell is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from agent import cli
from agent.credentials.trust import parse_keys
from agent.policy.facts import DIMENSIONS
from agent.ruleset import load

DOCS = Path(__file__).parents[3] / "docs"
POLICY, CODES = ((DOCS / name).read_text(encoding="utf-8") for name in ("policy.md", "codes.md"))


def test_every_fact_with_its_values() -> None:
    for name, values in DIMENSIONS.items():
        (row,) = [line for line in POLICY.splitlines() if line.startswith(f"| `{name}` |")]
        assert re.findall(r"`(\w+)`", row.split("|")[3]) == list(values)


def test_every_profile_is_named() -> None:
    assert all(path.stem in POLICY for path in load.profiles())


def test_the_examples_of_tables_are_toml() -> None:
    blocks = re.findall(r"(?:^    .*\n|^\n)+", POLICY, re.MULTILINE)
    tables = [block.replace("…", "") for block in blocks if "[" in block]
    assert len(tables) >= 4
    for table in tables:
        tomllib.loads(table)


def test_the_example_of_a_keys_file_is_one() -> None:
    block = re.search(r"(?:^    .*\n|^\n)*^    \[\[opaque\]\](?:.*\n)(?:^    .*\n|^\n)*", CODES, re.MULTILINE)
    assert block
    opaque = block[0][block[0].index("[[opaque]]") : block[0].index("[[revoked]]")]
    (issuer,) = parse_keys(opaque, "docs").opaque
    assert issuer.pattern.fullmatch("https://s.sh.gov.cn/0123456789abcdef")


@pytest.mark.parametrize("text", [POLICY, CODES])
def test_the_commands_are_there(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command, action in set(re.findall(r"gatepost ([\w-]+) ([\w-]+)", text)):
        assert command in cli.COMMANDS
        if command in {"keys", "lists", "policy"}:
            with pytest.raises(SystemExit) as caught:
                cli.main([command, action, "--help"])
            assert caught.value.code == 0
    capsys.readouterr()
