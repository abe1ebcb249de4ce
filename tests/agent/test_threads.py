"""The thread table of docs/architecture.md is that of a running agent."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from pathlib import Path

from agent.app import App
from agent.config import parse

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
LIMIT_S = 90.0
ALWAYS = {"MainThread", "health", "outbox", "mqtt", "housekeeping", "commands", "control"}
"""Rows of threads that every running agent has."""


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
