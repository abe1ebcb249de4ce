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
        "in_force": [{"type": "list", "name": "status", "version": 7}],
        "lanes": [lane("entry"), lane("exit")],
        "machine": [{"what": "power", "text": "under-voltage now"}, {"what": "heat", "text": "61 °C"}],
        "decision_p99_ms": 2.5,
        "commit_p99_ms": 25.0,
        "log": [f"12:00:0{number} line {number}" for number in range(9)],
        **other,
    }


def lane(name: str, **other: Any) -> dict[str, Any]:
    told = {"cue": "ready", "outcome": "admit", "decided_s": 90.0, "duration_ms": 812, "limit_c": 36.1}
    return {"lane": name, **told, "basis": "population", "room_c": 21.5, **other}


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
    assert "list status v7 2 h 0 min old" in text


def test_a_lane_says_what_it_shows_what_it_decided_limit_and_room() -> None:
    text = "\n".join(drawn(watch.page(report(), watch.Rates(), 100.0, 24), 100))
    assert "entry    ready" in text
    assert "admit 10 s ago in 812 ms  limit 36.1 °C (population)  room 21.5 °C" in text
    assert "disk p99 ≤ 25 ms" in text
    assert "power under-voltage now; heat 61 °C; decisions p99 ≤ 2.5 ms" in text
    bare = report(lanes=[lane("entry", decided_s=None, limit_c=None, room_c=None, cue="")])
    assert "lane    entry    -" in "\n".join(drawn(watch.page(bare, watch.Rates(), 100.0, 24), 100))


@pytest.mark.parametrize("height", [24, 40])
def test_the_end_of_the_log_fills_what_is_left(height: int) -> None:
    lines = drawn(watch.page(report(device("entry", "gate")), watch.Rates(), 100.0, height))
    assert len(lines) <= height
    assert lines[-2].endswith("line 8")
    assert lines[-1].startswith("? keys")


def pressed(text: str) -> watch.WatchKeys:
    return watch.WatchKeys().press_all(text)


def test_keys() -> None:
    assert pressed("q").act == "quit"
    assert pressed("r").act == ""
    assert pressed("ry").act == "restart"
    assert pressed("rn") == pressed("rny") == watch.WatchKeys()
    assert pressed("c").act == "camera"
    assert [pressed(text).act for text in ("q\n", "cq", "ryq")] == ["quit", "camera", "restart"]  # come at once
    assert pressed("?").shows == "help"
    assert pressed("??").shows == pressed("l\x1b").shows == ""
    assert pressed("/gaq\x7f\r").needle == "ga"
    assert not pressed("/ga\r").is_typing
    assert pressed("/ga\x1b").needle == ""
    assert pressed("\r").shows == "problems"


def test_each_view_of_the_keys() -> None:
    made = report(device("entry", "gate"), device("exit", "lamp"), problems=[{"text": "y" * 200}])
    views = {
        text: drawn(watch.page(made, watch.Rates(), 100.0, 24, pressed(text)))
        for text in ("?", "\r", "l", "/lamp", "r")
    }
    assert "restart the service, after y" in "".join(views["?"])
    assert "".join(views["\r"]).count("y") >= 200, "in full"
    assert sum("line" in line for line in views["l"]) == 9
    assert not any("gate " in line for line in views["/lamp"][3:5])
    assert views["r"][-1] == "restart the service? y"


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
