"""`gatepost watch`: the kiosk on 80 by 24."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from agent import cli
from agent.cli import watch

if TYPE_CHECKING:
    from pathlib import Path


def device(lane: str, role: str, *, up: bool = True, items: int = 0, error: str = "") -> dict[str, Any]:
    return {"lane": lane, "role": role, "driver": "line", "up": up, "items": items, "error": error}


def report(*devices: dict[str, Any], at_s: float = 100.0, **other: Any) -> dict[str, Any]:
    return {
        "kiosk": {"id": "k1", "site": "library"},
        "condition": "ok",
        "version": "0.1.0",
        "clock": "synced",
        "decided": 7,
        "safe": "",
        "at_s": at_s,
        "devices": list(devices),
        "problems": [],
        "outbox": {"stored": 9, "delivered": 8, "waiting": 1, "lost": 0},
        "link": {"connected": False, "next_try_s": 12.0},
        "lists": [{"name": "list status", "fault": "", "age_s": 7200.0}],
        **other,
    }


def drawn(view: Any, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(view)
    return out.getvalue().splitlines()


def test_it_fits_80_by_24_with_two_lanes_and_four_problems() -> None:
    roles = ("scanner", "thermometer", "gate", "range", "lamp", "buzzer", "screen")
    many = [device(lane, role, up=role != "gate", error="x" * 300) for lane in ("entry", "exit") for role in roles]
    problems = [{"text": "y" * 300}] * 6
    lines = drawn(watch.page(report(*many, problems=problems), watch.Rates(), 100.5, 24))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert sum("✗" in line for line in lines) == 2


def test_what_is_wrong_is_told_with_its_remedy_and_the_link_with_its_next_try() -> None:
    down = device("entry", "scanner", up=False, error="no port (plug it in)")
    text = "\n".join(drawn(watch.page(report(down), watch.Rates(), 100.5, 24)))
    assert "no port (plug it in)" in text
    assert "not connected, next try in 12 s" in text
    assert "list status: 2.0 h old" in text


def test_items_a_second() -> None:
    rates = watch.Rates()
    assert rates.of(report(device("entry", "scanner", items=10), at_s=100.0)) == {}
    assert rates.of(report(device("entry", "scanner", items=30), at_s=102.0)) == {("entry", "scanner"): 10.0}
    assert rates.of(report(device("entry", "scanner", items=30), at_s=102.0)) == {}, "the same report again"
    assert rates.of(report(device("entry", "scanner", items=0), at_s=103.0)) == {("entry", "scanner"): 0.0}


def test_an_old_report_is_called_old() -> None:
    assert any("60 s old" in line for line in drawn(watch.page(report(), watch.Rates(), 160.0, 24)))


def test_nothing_that_a_terminal_obeys_is_drawn() -> None:
    bad = device("entry", "scanner", up=False, error="\x1b[2Jgone")
    assert not any("\x1b" in line for line in drawn(watch.page(report(bad), watch.Rates(), 100.0, 24)))


def test_once_for_a_pipe(kiosk_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "--once", "--config", str(kiosk_file)]) == 3
    assert "No agent runs here" in capsys.readouterr().out
    (kiosk_file.parent / "run").mkdir()
    (kiosk_file.parent / "run" / "status.json").write_text(json.dumps(report(device("entry", "gate"))))
    assert cli.main(["watch", "--once", "--config", str(kiosk_file)]) == 0
    assert "k1 at library" in capsys.readouterr().out
