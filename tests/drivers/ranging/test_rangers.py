import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply
from drivers.ranging import tf_luna, vl53l0x, vl53l1x
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.pty import Port
from drivers.simulators.rangers import TfLuna, Vl53l0x, Vl53l1x
from drivers.wire.framing import Framer

NODE = "/dev/i2c-75"


def test_golden_frames(vectors):
    good, weak = vectors("tfluna")
    assert tf_luna.step(bytearray.fromhex(good["hex"])) == (9, (450.0,))
    assert tf_luna.step(bytearray.fromhex(weak["hex"])) == (9, (None,))


@given(st.binary(max_size=60), st.integers(1, 9))
def test_frames_survive_junk_and_splitting(junk, piece):
    frame = bytes.fromhex("59 59 2d 00 d0 07 c8 08 86")
    stream = junk + frame * 3
    framer = Framer(tf_luna.step)
    got = [each for i in range(0, len(stream), piece) for each in framer.feed(stream[i : i + piece])]
    assert got[-1] == (450.0,)


def next_of(driver):
    end_s = time.monotonic() + 5.0
    while time.monotonic() < end_s:
        if item := driver.read(0.2):
            return item
    pytest.fail("no distance came")


def test_tf_luna_follows_who_comes_and_goes(world, tmp_path):
    device = TfLuna(world)
    with Port(tmp_path / "luna", device) as port:
        driver = tf_luna.Driver(tf_luna.Options(str(port.link), period_s=0.0))
        driver.open()
        assert next_of(driver).distance_mm == 2000.0
        world.stand(36.5, distance_mm=450)
        end_s = time.monotonic() + 5.0
        while next_of(driver).distance_mm != 450.0:
            assert time.monotonic() < end_s
        device.strength = 40
        while next_of(driver).distance_mm is not None:
            assert time.monotonic() < end_s
        driver.close()


@pytest.mark.parametrize(("part", "chip"), [(vl53l0x, Vl53l0x), (vl53l1x, Vl53l1x)])
def test_laser_rangers_follow_who_comes_and_goes(part, chip, world, tmp_path):
    with Adapter(tmp_path / "i2c", chip(world)), mounted({NODE: str(tmp_path / "i2c")}):
        driver = part.Driver(part.Options(bus=NODE))
        driver.open()
        assert next_of(driver).distance_mm == 2000.0
        world.stand(36.5, distance_mm=455)
        end_s = time.monotonic() + 5.0
        while next_of(driver).distance_mm != 455.0:
            assert time.monotonic() < end_s
        world.stand(36.5, distance_mm=6000)
        while next_of(driver).distance_mm is not None:
            assert time.monotonic() < end_s
        driver.close()


@pytest.mark.parametrize(("part", "chip"), [(vl53l0x, Vl53l0x), (vl53l1x, Vl53l1x)])
def test_a_dip_of_the_supply_is_ridden_out(part, chip, world, tmp_path):
    there = chip(world)
    driver = part.Driver(part.Options(bus=NODE))
    with Adapter(tmp_path / "i2c", there) as adapter, mounted({NODE: str(adapter.path)}):
        driver.open()
        assert next_of(driver)
        there.power_cycle()
        assert next_of(driver), "it is set up again without being given up"
        driver.close()


def test_another_part_at_the_same_address_is_named(world, tmp_path):
    chip = Vl53l1x(world)
    chip.registers[0x010F] = 0xEE
    driver = vl53l1x.Driver(vl53l1x.Options(bus=NODE))
    socket = str(tmp_path / "i2c")
    with Adapter(tmp_path / "i2c", chip), mounted({NODE: socket}), pytest.raises(BadReply, match="no VL53L1X"):
        driver.open()


def test_settings_fill_the_registers_up_to_the_start():
    assert len(vl53l1x.DEFAULTS) == 0x87 - 0x2D + 1
    assert vl53l1x.DEFAULTS[-1] == 0
