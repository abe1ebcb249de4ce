"""An agent that was built and not started, and people before its lane: what a decision costs the processor."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from typing import TYPE_CHECKING

from agent import cli
from agent.app import App
from agent.config import parse
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import Colour, DeviceUp, Observation, Role
from drivers.contract import Reading, Sighting

if TYPE_CHECKING:
    from pathlib import Path

SKIN_C, ROOM_C = 34.4, 22.0
APART_S = 30.0
PEOPLE = 1000
DOOR = """
[table]
name = "door"
version = 1
extends = "guards"
[[row]]
name = "green"
when = { code = "green", temperature = ["normal", "unasked"] }
outcome = "admit"
reasons = ["code_green"]
[[row]]
name = "else"
outcome = "refer"
reasons = ["code_undecided"]
actions = ["staff_check"]
"""
VENUE = """
name = "library"
utc_offset_min = 480
register = false
room = {capacity = 1000000, daily = 1000000}
round = [{name = "all", from = "00:00", until = "24:00"}]
"""
CONFIG = """\
[kiosk]
id = "door-1"
[runtime]
directory = "run"
[clock]
source = "system"
last_known_time_file = "clock"
[screening]
baseline_file = "baseline.json"
[outbox]
path = "outbox.db"
[commands]
journal_file = "command-journal.json"
[mqtt]
host = "127.0.0.1"
port = 1
[policy]
table = "door.toml"
[checkpoint]
passback_window_s = 0
"""
FILES = '[venue]\nfile = "venue.toml"\nroster = "roster.json"\n'
LANE = '[lanes.entry]\ndirection = "entry"\nscanner = { driver = "line", port = "/dev/null" }\n'
GATE = 'gate = { driver = "simulated" }\n'
THERMOMETER = 'thermometer = { driver = "gy_mcu", port = "/dev/zero" }\n'


class Lane:
    """One lane of an agent; nothing is written, nothing is shown."""

    def __init__(self, folder: Path, *, venue: bool, thermometer: bool) -> None:
        logging.disable(logging.CRITICAL)
        folder.mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main(
                ["keys", "new", "x", "--private", str(folder / "x.key"), "--keys", str(folder / "issuers.toml")]
            )
            rows = [f"x,p{number},pupil,{number + 1},class-{number % 30}" for number in range(PEOPLE)]
            (folder / "people.csv").write_text("\n".join(["issuer,subject,role,number,group", *rows]))
            cli.main(["roster", "build", str(folder / "people.csv"), "--out", str(folder / "roster.json")])
        for name, text in (("door.toml", DOOR), ("venue.toml", VENUE)):
            (folder / name).write_text(text)
        config = CONFIG + (FILES if venue else "") + LANE + GATE + (THERMOMETER if thermometer else "")
        app = App(parse(config, folder / "agent.toml"))
        self._loop, self._has_thermometer = app._loop, thermometer
        self._loop._to_outbox = lambda _: None
        self._loop._open_gate = {"entry": lambda: None}
        app._ledger._put_entries = lambda _entries, _replaces: None
        app._ledger.found(b"", False)
        key = signing.private_key((folder / "x.key").read_bytes())
        now, self._clock_s = int(time.time()), time.monotonic()
        self._codes = [
            gatepost.issue(
                key,
                gatepost.claims("x", f"p{n}", Colour.GREEN, issued_utc=now - 60, expires_utc=now + 9000),
            ).encode()
            for n in range(PEOPLE)
        ]
        for role in (Role.SCANNER, Role.GATE, *([Role.THERMOMETER] if thermometer else [])):
            self._loop._handle(Observation("entry", role, DeviceUp(self._clock_s, "bench")), self._loop._now())
        app._ledger.turn(self._loop._now())

    def decide(self, first: int, count: int) -> float:
        """Processor seconds for each of some people."""
        spent_s, decided = 0.0, self._loop.decided
        for number in range(first, first + count):
            seen = self._person(self._codes[number % PEOPLE])
            began_s = time.process_time()
            for each in seen:
                now = self._loop._now()
                self._loop._handle(each, now)
                self._loop._ledger.turn(now)
            spent_s += time.process_time() - began_s
        assert self._loop.decided == decided + count
        return spent_s / count

    def _person(self, code: bytes) -> list[Observation]:
        """A code, a second of readings, and an empty place."""
        self._clock_s += APART_S
        seen = [Observation("entry", Role.SCANNER, Sighting(code, self._clock_s))]
        if self._has_thermometer:
            readings = [(0.1 * step, SKIN_C) for step in range(1, 12)] + [(2.0 + step, ROOM_C) for step in range(3)]
            seen += [
                Observation("entry", Role.THERMOMETER, Reading(celsius, self._clock_s + after_s, 0.4))
                for after_s, celsius in readings
            ]
        return seen
