"""What a document promises has its test: the commands that it names select tests, and each word of `-k` does."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "systemd" / "README.md"])
PROMISES = {"docs/reliability.md": "promise", "docs/screening.md": "promise", "docs/privacy.md": "claim"}
"""Pages with a table that has a test for each row; the head of the first column."""
COMMAND = re.compile(r"`((?:[A-Z_]+=\S+ )?(?:pytest |python tests/|make |test_\w+\.py)[^`]*)`")


def spans(text: str) -> list[str]:
    return COMMAND.findall(text)


@cache
def names_in(file: Path) -> tuple[str, ...]:
    """`file::test` and `file::class::test` of a test file."""
    found = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            inner = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
            found += [f"{file.name}::{node.name}::{name}" for name in inner if name.startswith("test")]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            found.append(f"{file.name}::{node.name}")
    return tuple(found)


def files_of(path: str) -> list[Path]:
    """Test files that an argument names: a file, a folder, or a file by its name alone."""
    place = ROOT / path
    if place.is_dir():
        return sorted(place.rglob("test_*.py"))
    return [place] if place.is_file() else sorted((ROOT / "tests").rglob(path))


def holds(node: ast.expr, name: str) -> bool:
    match node:
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(holds(each, name) for each in values)
        case ast.BoolOp(values=values):
            return all(holds(each, name) for each in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not holds(operand, name)
    return ast.unparse(node).lower() in name.lower()


def alternatives(node: ast.expr) -> list[ast.expr]:
    return node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) else [node]


def faults(command: str) -> list[str]:
    """What of a command leads nowhere."""
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if words[0] == "make":
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = {target for line in re.findall(r"^([\w -]+):", text, re.MULTILINE) for target in line.split()}
        targets |= {
            f"bench-{file.stem.removeprefix('bench_')}" for file in (ROOT / "tests" / "bench").glob("bench_*.py")
        }
        return [f"no target {word}" for word in words[1:] if word not in targets]
    if words[0] == "python":
        return [f"no file {words[1]}"] * (not (ROOT / words[1]).is_file())
    words = words[1:] if words[0] == "pytest" else words
    given = words[words.index("-k") + 1] if "-k" in words else ""
    paths = [word for word in words if word not in ("-k", given) and not word.startswith("-")]
    bad = [f"no test file {path}" for path in paths if not files_of(path)]
    names = [name for path in paths for file in files_of(path) for name in names_in(file)]
    if given:
        expression = ast.parse(given, mode="eval").body
        bad += [
            f"-k {ast.unparse(each)} selects nothing"
            for each in alternatives(expression)
            if not any(holds(each, name) for name in names)
        ]
    return bad


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_commands_that_a_document_names_select_tests(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not {command: bad for command in spans(text) if (bad := faults(command))}


@pytest.mark.parametrize("name", PROMISES)
def test_each_promise_names_its_test(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    heads = [at for at, line in enumerate(lines) if re.match(rf"\| {PROMISES[name]} \| test", line)]
    assert heads
    for head in heads:
        rows = []
        for line in lines[head + 2 :]:
            if not line.startswith("|"):
                break
            rows.append(line)
        assert rows
        proof = re.compile(r"`(?:[A-Z_]+=\S+ )?(?:pytest|make|python|test_)|\]\([\w./-]+\.md")
        assert not [row for row in rows if not proof.search(row)]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("pytest tests/agent/nowhere", "no test file"),
        ("pytest tests/test_promises.py -k 'select or no_such_word'", "no_such_word"),
        ("test_promises.py -k no_such_word", "no_such_word"),
        ("make no-such-target", "no target"),
        ("python tests/nowhere.py 5", "no file"),
    ],
)
def test_a_command_that_leads_nowhere_is_found(command: str, word: str) -> None:
    assert any(word in each for each in faults(command))
