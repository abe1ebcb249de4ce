import contextlib
import os
import re
import socket

import pytest

from agent.cli import main, outputs
from agent.model.effects import Cue
from agent.supervisor.state_files import StateFiles
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.i2c_thermometers import Mlx90614
from drivers.simulators.pty import Port
from drivers.simulators.rangers import TfLuna
from drivers.simulators.relays import LcusRelay
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World

NOBODY = 65534


@pytest.fixture
def port(tmp_path):
    world = World(noise_c=0.0)
    world.stand(36.5)
    with Port(tmp_path / "usb", GyMcu90615(world)) as port:
        yield port


def devices(*words):
    return main(["devices", *map(str, words)])


def test_try_shows_readings_with_their_quality(port, capsys):
    assert devices("try", "thermometers/gy_mcu", f"port={port.link}", "--seconds", 0.5) == 0
    said = capsys.readouterr().out
    assert "gy_mcu is open (simulated)" in said
    assert "surface 36.50 °C ± 0.5, sensor 24.50 °C, spread 0.00" in said
    assert "per second" in said


def test_record_makes_what_replayed_plays(port, tmp_path, capsys):
    file = tmp_path / "recording"
    assert devices("record", "thermometers/gy_mcu", file, f"port={port.link}", "--seconds", 0.5) == 0
    capsys.readouterr()
    assert devices("try", "thermometers/replayed", f"file={file}", "speed=5", "--seconds", 0.3) == 0
    assert "surface 36.50" in capsys.readouterr().out
    assert devices("record", "thermometers/gy_mcu", file, f"port={port.link}", "--seconds", 0.1) == 1
    assert "is there already" in capsys.readouterr().err


def test_a_scanner_is_recorded_only_when_that_is_meant_and_never_printed(tmp_path, capsys):
    engine = LineScanner()
    with Port(tmp_path / "scanner", engine) as port:
        words = ("scanners/line", tmp_path / "r", f"port={port.link}", "--seconds", 0.3)
        assert devices("record", *words) == 1
        assert not (tmp_path / "r").exists()
        assert devices("record", *words, "--codes") == 0
    assert "--codes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["try", "thermometers/nonesuch"], "There is no driver thermometers/nonesuch. There are: "),
        (["try", "thermometers/gy_mcu", "prot=x"], "Its options are: port, baud"),
        (["try", "thermometers/gy_mcu"], "port is missing and has no default. Its options are: port, baud"),
        (["try", "thermometers/mlx90614", "adress=0x5a"], "adress unknown setting; did you mean address?"),
        (
            ["try", "thermometers/mlx90614", "address=5000"],
            "address should be a whole number, without quotes, at least 0x3 and at most 0x77",
        ),
        (["try", "thermometers/gy_mcu", "port"], "'port' is not name=value"),
        (["try", "thermometers/gy_mcu", "port=/dev/absent"], "no such port"),
        (["try", "outputs/simulated"], "it would open"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(words, sentence, capsys):
    assert devices(*words) == 1
    assert sentence in capsys.readouterr().err


def test_list_works_on_a_machine_with_nothing_plugged_in(capsys):
    assert devices() == 0
    assert capsys.readouterr().out


@pytest.fixture
def bus(tmp_path):
    node = "/dev/i2c-81"
    with Adapter(tmp_path / "i2c", Mlx90614(World())), mounted({node: str(tmp_path / "i2c")}):
        yield node


def test_another_device_on_the_port_is_known_by_its_bytes(tmp_path, capsys):
    with Port(tmp_path / "usb", TfLuna(World())) as port:
        assert devices("try", "thermometers/gy_mcu", f"port={port.link}", "silent_s=0.5", "--seconds", 20) == 1
    said = capsys.readouterr().err
    assert "not this device's (wrong device, broken cable or wrong speed: tried 9600, 115200)" in said


def test_a_wrong_speed_is_told_with_the_next_to_try(port, capsys):
    assert (
        devices("try", "thermometers/gy_mcu", f"port={port.link}", "baud=9600", "silent_s=0.5", "--seconds", 20)
        == 1
    )
    assert "tried 9600, try 115200)" in capsys.readouterr().err


def test_a_silent_address_and_an_absent_bus(bus, capsys):
    assert devices("try", "thermometers/mlx90614", f"bus={bus}", "address=0x5b") == 1
    assert f"{bus} address 0x5b: does not answer (check its wiring" in capsys.readouterr().err
    assert devices("try", "thermometers/mlx90614", "bus=/dev/i2c-250") == 1
    assert "/dev/i2c-250: no such bus (" in capsys.readouterr().err


@contextlib.contextmanager
def as_anybody():
    """No superuser: what belongs to others is theirs."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_may_not_be_opened_names_the_group(port, tmp_path, capsys):
    port.link.chmod(0)
    bus = tmp_path / "i2c-1"
    bus.touch(mode=0)
    with as_anybody():
        assert devices("try", "thermometers/gy_mcu", f"port={port.link}") == 1
        assert f"{port.link}: permission denied (add the user to group dialout)" in capsys.readouterr().err
        assert devices("try", "thermometers/mlx90614", f"bus={bus}") == 1
        assert f"{bus}: permission denied (add the user to group i2c)" in capsys.readouterr().err


@pytest.fixture
def board(tmp_path):
    """A board with gate, lamp and buzzer of the lane `entry`, and a configuration that says so."""
    relays = LcusRelay()
    with Port(tmp_path / "board", relays) as port:
        driver = f'driver = "serial_relay", port = "{port.link}"'
        (tmp_path / "agent.toml").write_text(
            f"""
            kiosk.id = "k"
            [lanes.entry]
            direction = "entry"
            scanner = {{ driver = "line", port = "/dev/absent" }}
            thermometer = {{ driver = "mlx90614" }}
            gate = {{ {driver} }}
            lamp = {{ {driver}, red = 2, amber = 3, green = 4 }}
            buzzer = {{ {driver}, channel = 5 }}
            """
        )
        relays.config = ("--config", tmp_path / "agent.toml")
        yield relays


def test_try_shows_a_lamp_light_by_light_and_pattern_by_pattern(board, capsys, monkeypatch):
    monkeypatch.setattr(outputs, "_LIGHT_S", 0.2)
    monkeypatch.setattr(outputs, "_CUE_S", 0.5)
    assert devices("try", "entry.lamp", *board.config) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "the red light, above, and no other",
        "the amber light, in the middle, and no other",
        "the green light, below, and no other",
    ]
    assert [line.partition(":")[0] for line in said[3:]] == list(Cue)
    assert "refuse: Please do not enter. 请勿进入。" in said
    assert [channel for _, channel, on in board.changes if on][:3] == [2, 3, 4]
    assert not {1, 5} & {channel for _, channel, _ in board.changes}, "neither gate nor buzzer moved"
    with board.changed:
        assert board.changed.wait_for(lambda: not any(board.is_on(channel) for channel in range(1, 9)), 120)


def test_try_sounds_a_buzzer_s_patterns(board, capsys, monkeypatch):
    monkeypatch.setattr(outputs, "_CUE_S", 0.3)
    assert devices("try", "entry.buzzer", *board.config) == 0
    assert {channel for _, channel, _ in board.changes} == {5}
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "again", "admit", "admit_with_notice", "refer", "refuse",
    ]  # fmt: skip


def test_a_part_that_is_not_there_names_the_nearest(board, capsys):
    assert devices("try", "entry.lmap", *board.config) == 1
    assert "did you mean entry.lamp? There are: entry.scanner, " in capsys.readouterr().err


def test_a_gate_is_not_tried(board, capsys):
    assert devices("try", "entry.gate", *board.config) == 1
    assert "it would open" in capsys.readouterr().err
    assert not board.changes


def test_off_drops_what_a_killed_agent_left_on(board, capsys):
    for channel in (1, 4, 5, 6):
        board.switch(channel, on=True)
    assert devices("off", *board.config) == 0
    assert capsys.readouterr().out.splitlines() == [
        "entry.gate: off",
        "entry.lamp.red: off",
        "entry.lamp.amber: off",
        "entry.lamp.green: off",
        "entry.buzzer: off",
    ]
    with board.changed:
        assert board.changed.wait_for(lambda: not any(board.is_on(channel) for channel in (1, 4, 5)), 120)
    assert board.is_on(6), "what is not the kiosk's is left alone"


def test_off_after_a_failure_says_last_where_the_reason_stands(board, capsys, monkeypatch):
    monkeypatch.setenv("SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("EXIT_STATUS", "78")
    assert devices("off", *board.config) == 0
    out, err = capsys.readouterr()
    assert out == "", "the agent's last words are not pushed out of sight"
    (last,) = err.splitlines()
    assert "The agent had ended (exit-code, exit status 78)" in last
    assert "Why it ended stands above: sudo gatepost check; journalctl -u gatepost -n 50" in last


def test_off_knows_the_last_good_configuration_when_the_file_is_spoilt_or_another(board, tmp_path, capsys):
    file = tmp_path / "agent.toml"
    text = file.read_text()
    StateFiles(file).settle(lambda settings: settings.proved(text, None))
    file.write_text("[lanes")
    board.switch(1, on=True)
    assert devices("off", *board.config) == 1
    said = capsys.readouterr()
    assert "agent.toml:1: is not TOML" in said.err
    assert "entry.gate (last good configuration): off" in said.out.splitlines()
    with board.changed:
        assert board.changed.wait_for(lambda: not board.is_on(1), 120)
    file.write_text(text.replace("channel = 5", "channel = 6"))
    board.switch(5, on=True)
    assert devices("off", *board.config) == 0
    assert "entry.buzzer (last good configuration): off" in capsys.readouterr().out
    with board.changed:
        assert board.changed.wait_for(lambda: not board.is_on(5), 120)


def test_off_tries_every_light_of_a_lamp(board, tmp_path, capsys):
    text = (tmp_path / "agent.toml").read_text()
    lamp = 'lamp = { driver = "modbus_relay", port = "/dev/none", red = 1, amber = 2, green = 3 }'
    (tmp_path / "agent.toml").write_text(re.sub(r"lamp = .*", lamp, text))
    assert devices("off", *board.config) == 1
    said = capsys.readouterr()
    assert said.err.count("/dev/none: no such port") == 3
    assert [line.partition(": /")[0] for line in said.err.splitlines()] == [
        "entry.lamp.red", "entry.lamp.amber", "entry.lamp.green",
    ]  # fmt: skip
    assert "entry.buzzer: off" in said.out


def test_off_goes_on_with_the_others_when_one_is_gone(board, tmp_path, capsys):
    text = (tmp_path / "agent.toml").read_text()
    (tmp_path / "agent.toml").write_text(
        re.sub(r"gate = .*", 'gate = { driver = "modbus_relay", port = "/dev/none" }', text)
    )
    board.switch(4, on=True)
    assert devices("off", *board.config) == 1
    said = capsys.readouterr()
    assert "entry.gate: /dev/none: no such port" in said.err
    assert "entry.lamp.green: off" in said.out


def test_a_port_that_the_running_agent_holds_says_so(board, tmp_path, capsys):
    text = (tmp_path / "agent.toml").read_text()
    gone = re.sub(r"gate = .*", 'gate = { driver = "serial_relay", port = "/dev/none" }', text)
    (tmp_path / "agent.toml").write_text(f'runtime.directory = "{tmp_path}"\n{gone}')
    assert devices("off", *board.config) == 1
    assert "The agent runs" not in capsys.readouterr().err
    with socket.socket(socket.AF_UNIX) as desk:
        desk.bind(str(tmp_path / "control.sock"))
        desk.listen()
        assert devices("off", *board.config) == 1
        assert "The agent runs and holds its devices: sudo systemctl stop gatepost" in capsys.readouterr().err


def test_a_recording_is_never_written_over(board, tmp_path, capsys):
    file = tmp_path / "agent.toml"
    assert devices("record", "thermometers/gy_mcu", file, "port=/dev/none") == 1
    assert f"{file} is there already (name another)" in capsys.readouterr().err
