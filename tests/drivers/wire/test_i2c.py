import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadOptions, BadReply, DeviceGone
from drivers.simulators.i2c_adapter import PLAIN, STUB, Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.i2c_thermometers import Mlx90614
from drivers.wire.i2c import I2cBus, crc8

NODE = "/dev/i2c-79"
SMBUS_ONLY_WITH_PEC = STUB | 0x8


@pytest.fixture
def chip(world):
    world.stand(36.5)
    return Mlx90614(world)


@pytest.fixture
def adapter(chip, tmp_path):
    with Adapter(tmp_path / "i2c", chip) as adapter, mounted({NODE: str(adapter.path)}):
        yield adapter


@pytest.fixture
def bus(adapter):
    bus = I2cBus(NODE)
    bus.open()
    yield bus
    bus.close()


def test_checksum_of_the_datasheet_frames(vectors):
    for entry in [*vectors("mlx90614", "smbus_read_word"), *vectors("mlx90614", "smbus_write_word")]:
        frame = bytes.fromhex(entry["hex"])
        assert crc8(frame[:-1]) == frame[-1], entry["hex"]


@given(st.binary(min_size=1, max_size=8), st.integers(0, 63))
def test_checksum_notices_every_single_bit(data, bit):
    wrong = bytearray(data)
    wrong[bit // 8 % len(data)] ^= 1 << bit % 8
    assert crc8(bytes(wrong)) != crc8(data)


@pytest.mark.parametrize("functions", [PLAIN, SMBUS_ONLY_WITH_PEC])
def test_a_word_comes_with_its_checksum_whatever_the_adapter_can(adapter, bus, chip, functions):
    adapter.functions = functions
    bus.open()
    assert bus.read_word(0x5A, 0x07, pec=True) == round((36.5 + 273.15) * 50)
    chip.faults.bad_pec = True
    with pytest.raises(BadReply, match="checksum"):
        bus.read_word(0x5A, 0x07, pec=True)


def test_an_adapter_without_checksum_is_not_trusted_by_default(adapter, bus):
    adapter.functions = STUB
    bus.open()
    with pytest.raises(BadOptions, match='pec = "off"'):
        bus.read_word(0x5A, 0x07, pec=True)
    assert bus.read_word(0x5A, 0x07, pec=False)
    with pytest.raises(BadOptions, match="plain"):
        bus.transfer(0x5A, b"\x07", 2)


def test_a_silent_address_says_what_to_check(bus):
    with pytest.raises(DeviceGone, match=r"0x33: does not answer \(check its wiring"):
        bus.transfer(0x33, b"\x00", 1)


def test_a_stuck_bus_says_so_and_comes_back_when_freed(adapter, bus):
    adapter.stuck_s = 0.01
    with pytest.raises(BadReply, match=errno.errorcode[errno.ETIMEDOUT]):
        bus.read_word(0x5A, 0x07, pec=True)
    adapter.stuck_s = 0.0
    bus.recover()
    assert bus.read_word(0x5A, 0x07, pec=True)


def test_an_absent_bus_says_how_to_enable_it():
    with pytest.raises(DeviceGone, match=r"i2c_arm|buses there are"):
        I2cBus("/dev/i2c-250").open()


def test_a_bus_that_goes_away_says_so(adapter, bus):
    adapter.unplug()
    with pytest.raises(DeviceGone, match="went away"):
        bus.read_word(0x5A, 0x07, pec=True)


def test_what_has_no_real_node_is_simulated(bus):
    assert bus.simulated


def test_a_file_is_no_bus(tmp_path):
    (tmp_path / "i2c-1").write_bytes(b"")
    with pytest.raises(DeviceGone, match="is not an I²C bus"):
        I2cBus(str(tmp_path / "i2c-1")).open()


def test_recovery_does_not_open_a_closed_bus(adapter, bus):
    bus.close()
    bus.recover()
    with pytest.raises(DeviceGone, match="not open"):
        bus.transfer(0x5A, b"\x07", 2)
