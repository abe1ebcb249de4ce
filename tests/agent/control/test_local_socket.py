"""The desk of a running agent: staff's own thermometer decides, and a technician borrows the lane's."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import cli
from agent.app import App
from agent.cli import running
from agent.config import parse
from agent.control import local_socket
from agent.control.local_socket import LocalSocket
from agent.control.socket_server import read_line
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.devices.sensor_tap import SensorTap
from agent.model import DeviceDown, DeviceUp, Observation, RemeasureResult, Role
from agent.ruleset import calibration_files
from drivers.contract import Distance, Reading, Sighting
from drivers.simulators.pty import Port
from drivers.simulators.rangers import TfLuna
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """\
[kiosk]
id = "k1"
[runtime]
directory = "run"
[clock]
source = "system"
last_known_time_file = "clock"
[screening]
baseline_file = "baseline.json"
calibration = "site.toml"
min_distance_mm = 200
max_distance_mm = 300
[checkpoint]
credential_timeout_s = 60.0
temperature_timeout_s = 60.0
presence_timeout_s = 3.0
[outbox]
path = "outbox.db"
[commands]
journal_file = "command-journal.json"
[mqtt]
host = "127.0.0.1"
port = 1
[lanes.entry]
direction = "entry"
scanner = {{ driver = "line", port = "{folder}/scanner" }}
thermometer = {{ driver = "gy_mcu", port = "{folder}/thermometer", baud = 115200 }}
gate = {{ driver = "simulated" }}
range = {{ driver = "tf_luna", port = "{folder}/range" }}
"""
LIMIT_S = 90.0
AT_MARK_MM, TOO_FAR_MM = 250.0, 800.0


class Kiosk:
    """A running agent with one lane of simulated devices."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.world, self.engine = folder, World(noise_c=0.03), LineScanner()
        trust = ["--private", str(folder / "x.key"), "--keys", str(folder / "issuers.toml")]
        assert cli.main(["keys", "new", "x", *trust]) == 0
        self.key = signing.private_key((folder / "x.key").read_bytes())
        (folder / "agent.toml").write_text(CONFIG.format(folder=folder))
        (folder / "site.toml").write_text("")
        self.app = App(parse((folder / "agent.toml").read_text(), folder / "agent.toml"))
        self.feeds = {feed.status().role: feed for feed in self.app._workers}
        self.scanner = Port(folder / "scanner", self.engine)
        self.ports = [self.scanner, Port(folder / "thermometer", GyMcu90615(self.world))]
        self.ports.append(Port(folder / "range", TfLuna(self.world)))
        self._thread = threading.Thread(target=self.app.run)

    def start(self) -> None:
        for port in self.ports:
            port.plug()
        self._thread.start()
        wait_for(lambda: all(feed.status().up for feed in self.feeds.values()))
        wait_for((self.folder / "run" / local_socket.NAME).exists)

    def stop(self) -> None:
        self.app.stop()
        self._thread.join(LIMIT_S)
        for port in self.ports:
            port.close()
        assert not self._thread.is_alive()

    def pass_by(self, holder: str, skin_c: float) -> None:
        """Somebody with a green code comes, is decided upon and steps back."""
        now_utc = int(time.time())
        times = {"issued_utc": now_utc - 60, "expires_utc": now_utc + 600}
        claims = gatepost.claims("x", holder, gatepost.Colour.GREEN, **times)
        decided = self.app._loop.decided
        self.world.stand(skin_c, distance_mm=AT_MARK_MM)
        self.scanner.send(self.engine.encode(gatepost.issue(self.key, claims).encode()))
        wait_for(lambda: self.app._loop.decided == decided + 1)
        self.world.leave()

    def opened(self) -> int:
        return self.feeds[Role.GATE].status().items

    def temperature(self, celsius: str) -> int:
        return cli.main(["remeasure", "--config", str(self.folder / "agent.toml"), "entry", celsius])

    def black_body(self, action: str, reference_c: float) -> int:
        words = ["--lane", "entry", "--reference", "black body 7", "--operator", "Li Wei"]
        file = str(self.folder / "agent.toml")
        return cli.main(["calibrate", action, "--config", file, *words, "--reference-c", str(reference_c)])


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Kiosk]:
    made = Kiosk(tmp_path)
    made.start()
    yield made
    made.stop()


def test_staffs_thermometer_opens_the_gate(kiosk: Kiosk, capsys: pytest.CaptureFixture[str]) -> None:
    kiosk.pass_by("anna", 37.0)
    assert kiosk.opened() == 0
    assert kiosk.temperature("39,1") == 0
    assert "39.1 °C: refer, the gate stays shut. The temperature is raised." in capsys.readouterr().out
    assert kiosk.temperature("36,8") == 0
    assert "36.8 °C: admit, the gate opens. Valid green code." in capsys.readouterr().out
    wait_for(lambda: kiosk.opened() == 1)
    assert kiosk.temperature("36.8") == 1
    assert "nobody waits" in capsys.readouterr().err


def test_a_check_while_the_agent_runs_binds_at_once(kiosk: Kiosk, capsys: pytest.CaptureFixture[str]) -> None:
    kiosk.pass_by("anna", 34.4)
    wait_for(lambda: kiosk.opened() == 1)
    kiosk.world.stand(37.6, distance_mm=AT_MARK_MM)
    assert kiosk.black_body("check", 37.0) == 1
    assert "drifted" in capsys.readouterr().out
    kiosk.world.leave()
    assert calibration_files.load_sites(kiosk.folder / "site.toml")["entry"].check is not None
    wait_for(lambda: kiosk.app._ruleset.thermometer("entry").why_unusable(0.0, 0.0) == "drift")
    kiosk.pass_by("bert", 34.4)
    assert kiosk.opened() == 1, "a thermometer that has drifted lets nobody in"
    kiosk.world.stand(37.3, distance_mm=AT_MARK_MM)
    assert kiosk.black_body("zero", 37.0) == 0
    kiosk.world.leave()
    wait_for(lambda: not kiosk.app._ruleset.thermometer("entry").why_unusable(0.0, 0.0))
    kiosk.pass_by("carl", 34.4)
    wait_for(lambda: kiosk.opened() == 2)


def test_a_technician_looks_at_a_sensor_of_the_running_agent(
    kiosk: Kiosk, capsys: pytest.CaptureFixture[str]
) -> None:
    kiosk.world.stand(34.4, distance_mm=AT_MARK_MM)
    file = str(kiosk.folder / "agent.toml")
    assert cli.main(["devices", "try", "entry.thermometer", "--config", file, "--seconds", "1"]) == 0
    said = capsys.readouterr().out
    assert "sends people to staff until this ends" in said
    assert "surface 34." in said
    kiosk.world.leave()
    wait_for(lambda: not kiosk.app._local_socket._tap.diverted)
    kiosk.pass_by("anna", 34.4)
    wait_for(lambda: kiosk.opened() == 1)


@pytest.mark.parametrize(
    ("unit", "advice"),
    [("LoadState=not-found", "gatepost run --config FILE"), ("LoadState=loaded", "sudo systemctl start gatepost")],
)
def test_without_an_agent_the_remedy_is_one_that_can_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, unit: str, advice: str
) -> None:
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\necho {unit}\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "agent.toml").write_text(CONFIG.format(folder=tmp_path))
    assert cli.main(["remeasure", "--config", str(tmp_path / "agent.toml"), "entry", "36.8"]) == 3
    err = capsys.readouterr().err
    assert advice in err
    assert ("systemctl start" in err) == (unit == "LoadState=loaded")


# -- the desk alone, with the test as the loop


class Loop:
    def __init__(self, folder: Path) -> None:
        self.inbox: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        self.folder = folder
        self.tap = SensorTap(self.inbox.put)
        self.desk = LocalSocket(
            folder / local_socket.NAME, ["entry", "exit"], self.tap, lambda *_: RemeasureResult("entry"), 0.2
        )

    def items(self) -> list[object]:
        found = []
        while not self.inbox.empty():
            found.append(self.inbox.get().item)
        return found


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.desk.start()
    yield made
    made.desk.stop()


def read(borrowed: running.SensorStream) -> Observation:
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        if (seen := borrowed.read(0.1)) is not None:
            return seen
    pytest.fail("nothing was said")


UP = Observation("entry", Role.THERMOMETER, DeviceUp(1.0, "gy_mcu"))
WARM = Observation("entry", Role.THERMOMETER, Reading(37.0, 2.0, 0.5, sensor_c=24.0))


def test_only_the_agents_own_user_may_connect(loop: Loop) -> None:
    assert stat.S_IMODE((loop.folder / local_socket.NAME).stat().st_mode) == 0o600


def test_a_lent_thermometer_is_down_for_its_lane_until_it_is_back(loop: Loop) -> None:
    loop.tap.publish(UP)
    with running.SensorStream(loop.folder, "entry") as borrowed:
        assert read(borrowed) == UP
        for seen in (
            Observation("entry", Role.SCANNER, Sighting(b"GATEPOST:secret", 2.0)),
            Observation("exit", Role.THERMOMETER, Reading(30.0, 2.0, 0.5)),
            Observation("entry", Role.RANGE, Distance(None, 2.0)),
            Observation("exit", Role.ROOM, Reading(21.0, 2.0, 0.5)),
            WARM,
        ):
            loop.tap.publish(seen)
        assert [read(borrowed).role for _ in range(3)] == [Role.RANGE, Role.ROOM, Role.THERMOMETER]
        with (
            running.SensorStream(loop.folder, "entry") as second,
            pytest.raises(running.RequestRefused, match="another"),
        ):
            read(second)
        up, down, *rest = loop.items()
        assert up == UP.item
        assert isinstance(down, DeviceDown)
        assert "people go to staff" in down.error
        assert WARM.item not in rest
        assert len(rest) == 4
    wait_for(lambda: not loop.inbox.empty())
    (back,) = loop.items()
    assert isinstance(back, DeviceUp)
    loop.tap.publish(WARM)
    assert loop.items() == [WARM.item]


def test_a_lent_thermometer_that_is_pulled_stays_down_when_it_is_back(loop: Loop) -> None:
    loop.tap.publish(UP)
    gone = Observation("entry", Role.THERMOMETER, DeviceDown(3.0, "gy_mcu", "pulled"))
    with running.SensorStream(loop.folder, "entry") as borrowed:
        assert read(borrowed) == UP
        loop.tap.publish(gone)
        assert read(borrowed) == gone
    wait_for(lambda: not loop.tap.diverted)
    assert loop.items()[-1] == gone.item


def test_a_guest_that_is_killed_gives_back(loop: Loop) -> None:
    loop.tap.publish(UP)
    guest = socket.socket(socket.AF_UNIX)
    guest.connect(str(loop.folder / local_socket.NAME))
    guest.sendall(b'{"do": "borrow", "lane": "entry"}\n')
    wait_for(lambda: loop.tap.diverted)
    guest.close()
    wait_for(lambda: not loop.tap.diverted)
    assert isinstance(loop.items()[-1], DeviceUp)


def test_who_has_borrowed_gives_back_before_the_desk_is_closed(loop: Loop) -> None:
    loop.tap.publish(UP)
    with running.SensorStream(loop.folder, "entry") as borrowed:
        assert read(borrowed) == UP
        loop.desk.stop()
        assert isinstance(loop.items()[-1], DeviceUp)
        wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("desk")])


def test_a_guest_that_is_busy_with_his_operator_keeps_the_loan_and_hears_what_is_new(loop: Loop) -> None:
    loop.tap.publish(UP)
    with running.SensorStream(loop.folder, "entry") as borrowed:
        assert read(borrowed) == UP
        unread = loop.tap._readers["entry"]
        for number in range(20_000):
            loop.tap.publish(Observation("entry", Role.THERMOMETER, Reading(30.0, float(number), 0.5)))
            if not number % 500:
                wait_for(unread.empty)
        wait_for(unread.empty)
        assert loop.tap.diverted, "20,000 lines are more than a socket holds"
        seen = [read(borrowed)]
        loop.tap.publish(WARM)
        while seen[-1] != WARM:
            if (got := borrowed.read(0.2)) is None:
                loop.tap.publish(WARM)
            else:
                seen.append(got)


def ask(loop: Loop, request: object) -> object:
    with socket.socket(socket.AF_UNIX) as guest:
        guest.connect(str(loop.folder / local_socket.NAME))
        guest.settimeout(LIMIT_S)
        guest.sendall(json.dumps(request).encode() + b"\n")
        with guest.makefile("rb") as lines:
            return json.loads(lines.readline())


def test_what_is_no_request_gets_no_answer_and_does_no_harm(loop: Loop) -> None:
    for words in (b"\n", b"junk\n", b"{}\n", b'{"do": "open", "lane": "entry"}\n', b"x" * 5000, b"[1]\n"):
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(str(loop.folder / local_socket.NAME))
            guest.settimeout(LIMIT_S)
            guest.sendall(words)
            with contextlib.suppress(ConnectionResetError):
                assert guest.recv(100) == b""
    for lane in (
        "attic",
        None,
        1,
        ["entry"],
        {"entry": 1},
    ):  # in the loop these would be internal errors in judging
        for do in ("remeasure", "borrow"):
            assert ask(loop, {"do": do, "lane": lane, "celsius": 36.8}) == {"refused": "no_such_lane"}
    for celsius in (True, 10**400, -1, 1e300):
        assert ask(loop, {"do": "remeasure", "lane": "entry", "celsius": celsius}) == {"refused": "out_of_range"}
    with pytest.raises(running.RequestRefused, match="no such lane"):
        running.temperature(loop.folder, "attic", 36.8)
    with pytest.raises(running.RequestRefused, match="no temperature of a body"):
        running.temperature(loop.folder, "entry", float("nan"))
    assert loop.items() == []


@pytest.mark.parametrize("end", ["closes", "has said all", "waits"])
def test_what_was_asked_by_a_client_that_has_given_up_is_not_done(end: str) -> None:
    """As it is when the agent was stopped, or starved, for longer than the client waits."""
    theirs, ours = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"do": "remeasure"}\n')
        if end == "closes":
            theirs.close()
            with pytest.raises(ConnectionAbortedError):
                read_line(ours, 100)
            return
        if end == "has said all":  # as `nc -U` does
            theirs.shutdown(socket.SHUT_WR)
        assert read_line(ours, 100) == b'{"do": "remeasure"}\n'


def test_a_place_that_takes_no_socket_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = tmp_path / ("x" * 120)
    made = Loop(deep)
    made.desk.start()
    made.tap.publish(WARM)
    assert made.items() == [WARM.item]
    assert "no program can connect to this agent" in caplog.text
    made.desk.stop()


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.from_type(dict).map(lambda any_: json.dumps(str(any_)).encode())))
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        local_socket.read(line)
