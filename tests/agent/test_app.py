"""The composition root in this process: what it builds, in which order it ends, and what an internal error does to
it."""

import json
import sqlite3
import threading
import time
from itertools import pairwise

import pytest

from agent import credentials
from agent.app import App
from agent.config import parse, references
from agent.model import DeviceUp, Observation, Role
from agent.outbox.compression import decompress
from drivers.contract import Reading, Sighting

LIMIT_S = 90.0
EXIT = """\
[lanes.exit]
direction = "exit"
scanner = { driver = "line", port = "nothing-there" }
thermometer = { driver = "mlx90614", bus = "/dev/i2c-98" }
gate = { driver = "simulated" }
"""


@pytest.fixture
def config(kiosk_file):
    """A configuration with devices that are not there and no broker."""
    text = kiosk_file.read_text() + EXIT

    def load(changed=None):
        return parse(changed or text, kiosk_file)

    load.text = text
    return load


class Running:
    """An app, and the thread that runs it."""

    def __init__(self, app, folder):
        self.app = app
        self.folder = folder
        self.error = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.wait((folder / "run" / "status.json").exists)

    def _run(self):
        try:
            self.app.run()
        except Exception as error:  # noqa: BLE001 - it is what the test wants to see
            self.error = error

    def wait(self, condition):
        end_s = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end_s
            time.sleep(0.01)

    def see(self, *items, lane="entry", part=Role.SCANNER):
        for item in items:
            self.app._loop.inbox.add(Observation(lane, part, item))

    def stop(self):
        self.app.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def stored(self):
        """All events on disk, in order."""
        with sqlite3.connect(self.folder / "outbox.db") as file:
            tables = [name for (name,) in file.execute("select name from sqlite_master where type = 'table'")]
            rows = [row for table in tables for row in file.execute(f"select * from {table}")]  # noqa: S608 - our own names
        file.close()
        cells = [cell for row in rows for cell in row if isinstance(cell, bytes)]
        events = [json.loads(decompress(cell)) for cell in cells]
        return sorted(events, key=lambda event: event["sequence"])


@pytest.fixture
def running(config, tmp_path):
    made = Running(App(config()), tmp_path)
    yield made
    made.stop()


def test_all_of_a_life_is_on_disk_when_it_ends(running):
    running.see(DeviceUp(time.monotonic(), "fake"))
    running.see(DeviceUp(time.monotonic(), "fake"), part=Role.THERMOMETER)
    running.see(*(Reading(34.4, time.monotonic() + n * 0.05, 0.5) for n in range(8)), part=Role.THERMOMETER)
    running.see(Sighting(b"https://example.org/", time.monotonic()))
    running.wait(lambda: running.app._loop.decided == 1)
    running.stop()
    events = running.stored()
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    assert all(a["epoch"] == b["epoch"] for a, b in pairwise(events))
    assert events[0]["data"]["type"] == "started"
    assert events[-1]["data"]["type"] == "stopped", "nothing comes after the last word"
    (passage,) = [event["data"] for event in events if event["type"] == "gatepost.passage.v1"]
    assert (passage["decision"], passage["gate_opened"]) == ("refer", False)
    assert not (running.folder / "run" / "status.json").exists()
    assert running.error is None


def test_an_exit_opens_its_own_gate(running):
    running.see(Sighting(b"https://example.org/", time.monotonic()), lane="exit")
    gates = {feed.status().lane: feed for feed in running.app._workers if feed.status().role is Role.GATE}
    running.wait(lambda: gates["exit"].status().items >= 1)  # twice if it was not up yet
    assert gates["entry"].status().items == 0


def test_a_defect_in_judging_does_not_stop_the_gate_and_shows_in_health(running, caplog):
    """Somebody shows what makes the agent stumble, over and over: the next person is judged all the same."""
    running.see(*(Sighting(b"", time.monotonic()) for _ in range(3)), lane="no such lane")
    running.see(Sighting(b"https://example.org/", time.monotonic()), lane="exit")
    running.wait(lambda: running.app._loop.decided == 1)
    running.wait(
        lambda: any("an internal error" in problem.text for problem in running.app._health.health.problems)
    )
    running.stop()
    assert running.error is None
    assert "an internal error in judging" in caplog.text
    events = running.stored()
    assert [event["type"] for event in events].count("gatepost.passage.v1") == 1
    assert events[-1]["data"]["type"] == "stopped"


def test_stop_before_anything_was_seen_is_quick_and_clean(config, tmp_path):
    app = App(config())
    app.stop()
    app.run()
    assert not (tmp_path / "run" / "status.json").exists()


def test_a_loop_that_does_not_turn_is_stuck_and_a_device_that_is_gone_is_not(config, monkeypatch):
    app = App(config())
    app._outbox.start()
    app._link.start()
    told = []
    monkeypatch.setattr("agent.supervisor.systemd.notify", lambda *lines: told.extend(lines))
    for feed in app._workers:
        feed.start()
    app._loop.wake()
    app._loop.step()
    app._health.check()
    assert "WATCHDOG=1" in told, "devices that are not there do not stop the watchdog"
    assert any(line.startswith("STATUS=degraded; ") for line in told)
    told.clear()
    app._loop.last_step_s -= 9
    app._health.check()
    assert "WATCHDOG=1" not in told
    assert "WATCHDOG=trigger" in told
    assert any(line.startswith("STATUS=stuck; loop: no progress for more than 8 s") for line in told)
    assert not any("internal error" in line for line in told), "it hangs, and has none"
    (loop,) = (part for part in app._health.components() if part.name == "loop")
    assert (loop.up, loop.error) == (True, "")
    for feed in app._workers:
        feed.request_stop()
    for feed in app._workers:
        feed.join(LIMIT_S)
    app._link.stop()
    app._outbox.stop()
    app._health.stop()


def test_all_who_ask_get_one_answer(config, tmp_path, monkeypatch):
    app = App(config())
    app._link.start()
    told = []
    monkeypatch.setattr("agent.supervisor.systemd.notify", lambda *lines: told.extend(lines))
    app._health.check()
    report = json.loads((tmp_path / "run" / "status.json").read_text())
    assert report["problems"]
    assert "clock" in {part["name"] for part in report["parts"]}
    assert [problem.text for problem in app._state().problems] == [told["text"] for told in report["problems"]]
    lines = [f"{each['part']}: {each['text']}" for each in report["problems"]]
    assert f"STATUS={report['condition']}; {'; '.join(lines)}" in told
    assert "WATCHDOG=1" in told
    app._shut_down()  # the look has started the devices' threads


def test_what_a_configuration_names_is_looked_at(config):
    assert list(references.faults(config())) == []
    wrong = config(config.text.replace('"issuers.toml"', '"nowhere.toml"') + '[policy]\ntable = "none.toml"\n')
    faults = list(references.faults(wrong))
    assert len(faults) == 2
    assert "nowhere.toml" in str(faults[0])
    assert "none.toml" in str(faults[1])


def test_an_app_that_cannot_be_built_says_why(config):
    with pytest.raises(credentials.BadTrustStore, match=r"nowhere\.toml"):
        App(config(config.text.replace('"issuers.toml"', '"nowhere.toml"')))


def test_receipts_need_somebody_who_may_sign_them(config):
    (fault,) = references.faults(config(config.text.replace("[mqtt]\n", '[mqtt]\ndelivery = "receipt"\n')))
    assert "mqtt.delivery: receipts need a root" in str(fault)
