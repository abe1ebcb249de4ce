"""docs/reference.md is made from the code: commands, codes, drivers, formats, messages."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from agent import cli
from agent.commands import COMMANDS
from agent.credentials import formats
from agent.credentials.trust import key_uses
from agent.model import problems, reasons
from agent.texts import CATALOGUE
from drivers import registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import StrEnum
    from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
HEAD = """\
# Reference

Made from the code by `tests/test_reference.py`; do not edit it. All settings of a kiosk, with their ranges, are
in [config/agent.toml](../config/agent.toml) (on a kiosk: `gatepost show --manual`).
"""


def first_sentence(docstring: str | None) -> str:
    """The first paragraph, in one line, without the name of what it is about."""
    text = re.sub(r"^`\w+`: ", "", " ".join((docstring or "").split("\n\n")[0].split()))
    return text.replace("|", "\\|")


def described(module: ModuleType, enum: type[StrEnum]) -> dict[str, str]:
    """Value → the docstring below each member; every member has one."""
    (found,) = (
        node
        for node in ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == enum.__name__
    )
    texts: dict[str, str] = {}
    for node, after in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            assert isinstance(after, ast.Expr), f"{enum.__name__}: say below it what {ast.unparse(node)} means"
            texts[ast.literal_eval(node.value)] = first_sentence(ast.literal_eval(after.value))
    return texts


def table(*head: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    """A table in Markdown; the first column is code."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for name, *cells in rows:
        yield f"| `{name}` | {' | '.join(cells)} |"


def codes(title: str, note: str, enum: type[StrEnum], module: ModuleType) -> Iterator[str]:
    """A section of one registry of codes."""
    yield from ("", f"### {title}", "", note, "")
    yield from table("code", "means", rows=list(described(module, enum).items()))


def page() -> Iterator[str]:
    """The page, line by line."""
    yield from (HEAD, "## Commands of `gatepost`", "", "Each has `--help`, with examples.")
    for group, commands in cli.GROUPS.items():
        yield from ("", f"### {group}", "")
        yield from table("command", "what it does", rows=list(commands.items()))
    yield from (
        "",
        "## Signed commands",
        "",
        "How they are sent and answered: [commands.md](commands.md). In brackets: what may be left out.",
        "",
    )
    yield from table(
        "command",
        "arguments",
        "may go to many kiosks",
        "what it does",
        rows=[
            (
                name,
                ", ".join([*sorted(spec.needs), *(f"[{each}]" for each in sorted(spec.may))]),
                "yes" if spec.harmless else "",
                first_sentence(importlib.import_module(f"agent.commands.{name}").__doc__),
            )
            for name, spec in COMMANDS.items()
        ],
    )
    yield from (
        "",
        "## Codes",
        "",
        "A code keeps its meaning: for programs. The text beside it is for people.",
    )
    yield from ("", "### Reasons of a decision", "", "In events, in the log, and on the pages.", "")
    yield from table("code", "text", "中文", rows=[(code, *text) for code, text in CATALOGUE["reason"].items()])
    yield from ("", "### About a temperature", "", "In events, as `reason` and `next_step` of a temperature.", "")
    words = CATALOGUE["temperature"] | CATALOGUE["next_step"]
    yield from table("code", "text", "中文", rows=[(code, *text) for code, text in words.items()])
    yield from ("", "### Problems", "", "In `gatepost status` and the retained state.", "")
    meanings = described(problems, problems.ProblemCode)
    yield from table(
        "code",
        "severity",
        "means",
        rows=[(code, problems.SEVERITY[problems.ProblemCode(code)], text) for code, text in meanings.items()],
    )
    yield from codes("Results of commands", "In `command_result`, as `reason`.", reasons.CommandReason, reasons)
    yield from codes("Rejected bundles", "In `command_result` of a bundle.", reasons.Rejection, reasons)
    yield from codes("Refusals on the kiosk", "From the local socket.", reasons.LocalRefusal, reasons)
    yield from codes("Refused statements", "What staff state, and is not taken.", reasons.StatementRefusal, reasons)
    yield from ("", "## Code formats", "", "What a scanner may show; how to pin keys: [codes.md](codes.md).", "")
    yield from table(
        "format",
        "what it is",
        "keys that sign it",
        rows=[
            (name, title, ", ".join(key_uses()[name].kinds) or "any" if name in key_uses() else "")
            for name, title in formats.titles().items()
        ],
    )
    yield from ("", "## Drivers", "", "Wiring and choice: [devices.md](devices.md).", "")
    yield from table(
        "driver",
        "bus",
        "what it is",
        rows=[
            (f"{kind}/{name}", module.BUS, first_sentence(module.__doc__))
            for kind in registry.KINDS
            for name in registry.names(kind)
            for module in [registry.load(kind, name)]
        ],
    )
    yield from (
        "",
        "## Messages",
        "",
        "JSON schemas; how they travel: [events.md](events.md), [commands.md](commands.md).",
        "",
    )
    yield "| schema | what it is |"
    yield "|---|---|"
    for file in sorted((ROOT / "docs" / "contract").glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        about = document.get("description") or document.get("info", {}).get("title") or document.get("title", "")
        yield f"| [{file.name}](contract/{file.name}) | {first_sentence(about)} |"


def test_the_reference_is_current() -> None:
    """Update with: GATEPOST_WRITE_DOCS=1 pytest tests/test_reference.py."""
    fresh = "\n".join(page()) + "\n"
    if os.environ.get("GATEPOST_WRITE_DOCS"):
        PAGE.write_text(fresh, encoding="utf-8")
        return
    assert PAGE.read_text(encoding="utf-8") == fresh
