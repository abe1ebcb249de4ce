import pytest

from agent.cli import main
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World


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
    assert devices("record", file, "thermometers/gy_mcu", f"port={port.link}", "--seconds", 0.5) == 0
    capsys.readouterr()
    assert devices("try", "thermometers/replayed", f"file={file}", "speed=5", "--seconds", 0.3) == 0
    assert "surface 36.50" in capsys.readouterr().out
    assert devices("record", file, "thermometers/gy_mcu", f"port={port.link}", "--seconds", 0.1) == 1
    assert "exists" in capsys.readouterr().err


def test_a_scanner_is_recorded_only_when_that_is_meant_and_never_printed(tmp_path, capsys):
    engine = LineScanner()
    with Port(tmp_path / "scanner", engine) as port:
        words = ("scanners/line", f"port={port.link}", "--seconds", 0.3)
        assert devices("record", tmp_path / "r", *words) == 1
        assert not (tmp_path / "r").exists()
        assert devices("record", tmp_path / "r", *words, "--codes") == 0
    assert "--codes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["try", "thermometers/nonesuch"], "There is no driver thermometers/nonesuch. There are: "),
        (["try", "thermometers/gy_mcu", "prot=x"], "Its options are: port, baud"),
        (["try", "thermometers/gy_mcu"], "Its options are: port, baud"),
        (["try", "thermometers/gy_mcu", "port=/dev/absent"], "no such port"),
        (["try", "signals/simulated"], "it would open"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(words, sentence, capsys):
    assert devices(*words) == 1
    assert sentence in capsys.readouterr().err


def test_list_works_on_a_machine_with_nothing_plugged_in(capsys):
    assert devices() == 0
    assert capsys.readouterr().out
