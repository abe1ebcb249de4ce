"""The thread table of docs/architecture.md is that of a running agent, and has every thread that the code names."""

from __future__ import annotations

import ast
import contextlib
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.app import App
from agent.config import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
LIMIT_S = 90.0
ALWAYS = {"MainThread", "health", "outbox", "mqtt", "housekeeping", "commands", "control"}
"""Rows of threads that every running agent has."""
OF_OTHER_PROCESSES = ("agent/cli/", "agent/web/", "drivers/simulators/")


def rows() -> dict[str, re.Pattern[str]]:
    """Thread, as the page names it → the names that it means."""
    table = PAGE.read_text(encoding="utf-8").partition("## Threads")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    return {name: re.compile(re.sub(r"<\w+>", r"[^/]+", name)) for name in named}


def test_every_thread_of_a_running_agent_has_its_row_and_ends_with_it(kiosk_file: Path) -> None:
    before = set(threading.enumerate())
    expected, port = ALWAYS, 0
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("", 0))
        group = socket.inet_aton("239.255.71.80") + bytes(4)
        found.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        port, expected = found.getsockname()[1], ALWAYS | {"base-sharing"}  # there is a network
    app = App(parse(kiosk_file.read_text().replace("[codes]", f"[codes]\nshare_port = {port}"), kiosk_file))
    thread = threading.Thread(target=app.run, name="MainThread")  # a test has the real one
    thread.start()
    names: set[str] = set()
    end_s = time.monotonic() + LIMIT_S
    while not (names >= expected and any("/" in name for name in names)) and time.monotonic() < end_s:
        time.sleep(0.01)
        names |= {each.name for each in set(threading.enumerate()) - before}
    app.stop()
    thread.join(LIMIT_S)
    table = rows()
    assert names >= expected
    assert table.keys() >= ALWAYS | {"base-sharing"}
    assert not [name for name in names if not any(row.fullmatch(name) for row in table.values())]
    assert not [each.name for each in set(threading.enumerate()) - before if each.is_alive()]


def thread_names(file: Path) -> Iterator[str]:
    """The names that a file gives to its threads; `x` stands for what is filled in."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="Thread" | "__init__"), keywords=given):
                names = [each.value for each in given if each.arg == "name"]
            case ast.Assign(targets=[ast.Attribute(value=ast.Attribute(attr="_timer"), attr="name")], value=value):
                names = [value]
            case _:
                continue
        for name in names:
            if isinstance(name, ast.Constant):
                yield str(name.value)
            elif isinstance(name, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in name.values)


def test_every_thread_that_the_code_names_has_its_row() -> None:
    files = [file for part in ("agent", "drivers") for file in (ROOT / part).rglob("*.py")]
    ours = [file for file in files if not file.relative_to(ROOT).as_posix().startswith(OF_OTHER_PROCESSES)]
    named = {name for file in ours for name in thread_names(file)}
    assert {"health", "list-bases", "close x", "frames of x", "output-off"} <= named
    known = [re.compile(row.replace("<lane>/<role>", "x").replace("<camera>", "x")) for row in rows()]
    assert not [name for name in named if not any(row.fullmatch(name) for row in known)]
