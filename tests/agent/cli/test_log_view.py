"""`gatepost log`: JSON lines of the journal as a person reads them."""

from __future__ import annotations

import io
import json
import os
import time

import pytest

from agent import cli
from agent.cli.log import readable


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(message: str, level: str = "info", **facts: object) -> str:
    return json.dumps({"at": "2026-11-20T08:09:10.123Z", "level": level, "message": message, **facts})


def test_a_decision_has_its_mark() -> None:
    assert readable(line("entry: REFER – fever", decision="refer")) == "08:09:10 ?  entry: REFER – fever"
    assert readable(line("exit: ADMIT – code_green", decision="admit")) == "08:09:10 ✓  exit: ADMIT – code_green"


def test_a_warning_stands_out() -> None:
    assert readable(line("entry: gate DOWN", "warning")) == "08:09:10 !  entry: gate DOWN"
    assert readable(line("stopped")) == "08:09:10 ·  stopped"


@pytest.mark.parametrize(
    "text", ["Started gatepost.service", "{}", "[]", "3", '{"at": 3}', '{"at": "x", "message": "y"}']
)
def test_what_is_no_line_of_the_agent_stays(text: str) -> None:
    assert readable(text + "\n") == text


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    assert "\x1b" not in readable(line("\x1b[2Jgone")) + readable("\x1b[2Jgone")


def test_from_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    piped = line("one") + "\n" + line("two") + "\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(piped.encode() + b"\xff\n")))
    assert cli.main(["log", "-"]) == 0
    assert capsys.readouterr().out == "08:09:10 ·  one\n08:09:10 ·  two\n\ufffd\n"
