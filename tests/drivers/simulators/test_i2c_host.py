import subprocess
import sys

import pytest
import smbus2

from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.i2c_thermometers import Mlx90614, crc8

NODE = "/dev/i2c-77"


@pytest.fixture
def chip(world):
    return Mlx90614(world)


@pytest.fixture
def adapter(chip, tmp_path):
    with Adapter(tmp_path / "i2c", chip) as adapter:
        yield adapter


def test_real_smbus2_talks_to_the_chip_and_checks_its_checksum(adapter, chip, world):
    with mounted({NODE: str(adapter.path)}), smbus2.SMBus(NODE) as bus:
        bus.pec = 1
        assert bus.read_word_data(0x5A, 0x07) == round((world.ambient_c + 273.15) * 50)
        bus.write_word_data(0x5A, 0x24, 0)
        bus.write_word_data(0x5A, 0x24, 0xFAE0)
        assert chip.eeprom[4] == 0xFAE0
        chip.faults.bad_pec = True
        with pytest.raises(OSError, match="74"):
            bus.read_word_data(0x5A, 0x07)


def test_the_chip_refuses_a_write_without_its_checksum(adapter, chip):
    with mounted({NODE: str(adapter.path)}), smbus2.SMBus(NODE) as bus, pytest.raises(OSError, match="121"):
        bus.write_word_data(0x5A, 0x24, 0)


def test_other_nodes_are_left_alone(adapter):
    with mounted({NODE: str(adapter.path)}), pytest.raises(FileNotFoundError):
        smbus2.SMBus("/dev/i2c-251")
    with pytest.raises(FileNotFoundError):
        smbus2.SMBus(NODE)


def test_the_launcher_becomes_the_program_it_is_given(adapter):
    ran = subprocess.run(
        [sys.executable, "-m", "drivers.simulators.i2c_host", adapter.path, NODE, "--", "gatepost", "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "usage: gatepost" in ran.stdout


def test_its_own_checksum_agrees_with_the_datasheet():
    assert crc8(bytes.fromhex("b407b5d23a")) == 0x30
