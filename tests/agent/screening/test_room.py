"""A lane's sensor of the room: configured, fed, and in force in the running agent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import cli
from agent.app import App
from agent.config import BadConfig, parse, references
from agent.config.effective import effective
from agent.model import Role
from agent.ruleset import calibration_files
from agent.screening import Options
from drivers.simulators.pty import Port
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World

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
{screening}
[outbox]
path = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = 1
[lanes.entry]
direction = "entry"
scanner = {{ driver = "line", port = "{folder}/scanner" }}
thermometer = {{ driver = "gy_mcu", port = "{folder}/thermometer", baud = 115200 }}
gate = {{ driver = "simulated" }}
room = {{ driver = "{room}", port = "{folder}/room", baud = 115200 }}
"""


def config_of(folder: Path, room: str = "gy_mcu", screening: str = "") -> str:
    return CONFIG.format(folder=folder, room=room, screening=screening)


def test_a_room_sensor_is_any_thermometer() -> None:
    config = parse(config_of(Path("dev")), Path("agent.toml"))
    room = config.lanes["entry"].room
    assert room is not None
    assert (room.kind, room.driver) == ("thermometers", "gy_mcu")
    assert effective(config)["lanes"]["entry"]["room"]["port"] == "dev/room"


def test_a_lane_may_be_without() -> None:
    text = "\n".join(line for line in config_of(Path("dev")).splitlines() if not line.startswith("room"))
    config = parse(text, Path("agent.toml"))
    assert config.lanes["entry"].room is None
    assert "room" not in effective(config)["lanes"]["entry"]


def test_a_wrong_driver_is_a_fault_with_its_line() -> None:
    with pytest.raises(
        BadConfig, match=r"lanes\.entry\.room\.driver: unknown driver 'gy_mcv'; did you mean gy_mcu"
    ):
        parse(config_of(Path("dev"), room="gy_mcv"), Path("agent.toml"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("always_elevated_c = 35.0", "threshold_c ≤ always_elevated_c ≤ max_skin_c must hold"),
        ("retest_memory_s = 60.0", "retest_memory_s must be longer than retest_wait_s"),
        ("baseline_people = 5", "at least 20, not 5"),
        ('estimate = "mean"', "'median' or 'peak'"),
    ],
)
def test_options_that_cannot_be(options: str, says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        parse(config_of(Path("dev"), screening=options), Path("agent.toml"))


def test_check_finds_a_broken_calibration(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[lanes.entry.model]\nb = 1")
    config = parse(config_of(tmp_path, screening='calibration = "site.toml"'), tmp_path / "agent.toml")
    assert any("lanes.entry.model" in str(fault) for fault in references.faults(config))


def test_the_running_agent_knows_the_room_and_keeps_the_baseline(
    tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    trust = ["--private", str(tmp_path / "x.key"), "--keys", str(tmp_path / "issuers.toml")]
    assert cli.main(["keys", "new", "x", *trust]) == 0
    app = App(parse(config_of(tmp_path), tmp_path / "agent.toml"))
    thread = threading.Thread(target=app.run)
    with Port(tmp_path / "room", GyMcu90615(World(ambient_c=21.5))):
        thread.start()
        try:
            wait_for(
                lambda: any(f.role is Role.ROOM and f.items > 3 for f in (feed.status() for feed in app._workers))
            )
        finally:
            app.stop()
            thread.join(90)
    assert not thread.is_alive()
    assert calibration_files.load_baselines(tmp_path / "baseline.json", Options()) == {}, "nobody passed"
