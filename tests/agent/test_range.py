"""A lane's range sensor and its lane_type: configured, fed, and in force in the running agent."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from agent import cli
from agent.app import App
from agent.config import BadConfig, parse
from agent.config.effective import effective
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import Role
from agent.screening.stay import STEPS_UP_S
from drivers.simulators.pty import Port
from drivers.simulators.rangers import TfLuna
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World
from tests.conftest import wait_for

if TYPE_CHECKING:
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
[checkpoint]
temperature_timeout_s = 6.0
[outbox]
path = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = 1
[lanes.entry]
direction = "entry"
lane_type = "{lane_type}"
scanner = {{ driver = "line", port = "{folder}/scanner" }}
thermometer = {{ driver = "gy_mcu", port = "{folder}/thermometer", baud = 115200 }}
gate = {{ driver = "simulated" }}
range = {{ driver = "{ranger}", port = "{folder}/range" }}
"""


LIMIT_S = 90.0


def config_of(folder: Path, ranger: str = "tf_luna", lane_type: str = "pedestrian") -> str:
    return CONFIG.format(folder=folder, ranger=ranger, lane_type=lane_type)


def test_a_range_sensor_is_a_ranger(tmp_path: Path) -> None:
    config = parse(config_of(tmp_path, lane_type="vehicle"), tmp_path / "agent.toml")
    ranger = config.lanes["entry"].range
    assert ranger is not None
    assert (ranger.kind, ranger.driver) == ("ranging", "tf_luna")
    shown = effective(config)["lanes"]["entry"]
    assert (shown["range"]["driver"], shown["lane_type"]) == ("tf_luna", "vehicle")


def test_what_is_none_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(
        BadConfig, match=r"lanes\.entry\.range\.driver: unknown driver 'tf_lune'; did you mean tf_l"
    ):
        parse(config_of(tmp_path, ranger="tf_lune"), tmp_path / "agent.toml")
    with pytest.raises(BadConfig, match=r"lanes\.entry\.lane_type.*'pedestrian' or 'vehicle'"):
        parse(config_of(tmp_path, lane_type="horse"), tmp_path / "agent.toml")


def test_the_running_agent_measures_only_at_the_mark_and_nobody_without_its_range_sensor(tmp_path: Path) -> None:
    trust = ["--private", str(tmp_path / "x.key"), "--keys", str(tmp_path / "issuers.toml")]
    assert cli.main(["keys", "new", "x", *trust]) == 0
    key = signing.private_key((tmp_path / "x.key").read_bytes())
    world, engine = World(noise_c=0.03), LineScanner()
    app = App(parse(config_of(tmp_path), tmp_path / "agent.toml"))
    feeds = {feed.status().role: feed for feed in app._workers}
    thread = threading.Thread(target=app.run)

    def pass_by(holder: str, distance_mm: float) -> int:
        """Somebody with a green code comes, is decided upon and goes; returns how often the gate has opened."""
        now_utc = int(time.time())
        claims = gatepost.claims(
            "x", holder, gatepost.Colour.GREEN, issued_utc=now_utc - 60, expires_utc=now_utc + 600
        )
        decided = app._loop.decided
        world.stand(34.4, distance_mm=distance_mm)
        scanner.send(engine.encode(gatepost.issue(key, claims).encode()))
        wait_for(lambda: app._loop.decided == decided + 1)
        world.leave()
        gone_s = time.monotonic() + STEPS_UP_S  # until then it would be the same person who steps on the mark
        wait_for(lambda: time.monotonic() > gone_s)
        return feeds[Role.GATE].status().items

    with (
        Port(tmp_path / "scanner", engine) as scanner,
        Port(tmp_path / "thermometer", GyMcu90615(world)),
        Port(tmp_path / "range", TfLuna(world)) as ranger,
    ):
        thread.start()
        try:
            wait_for(lambda: all(feed.status().up for feed in feeds.values()))
            assert pass_by("far", 400.0) == 0
            assert pass_by("near", 50.0) == 1
            ranger.unplug()
            wait_for(lambda: not feeds[Role.RANGE].status().up)
            assert pass_by("blind", 50.0) == 1
            wait_for(lambda: any(problem.part == "entry range" for problem in app._health.health.problems))
        finally:
            app.stop()
            thread.join(LIMIT_S)
    assert not thread.is_alive()
