import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply, DeviceGone
from drivers.plausibility import radiometric_c
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.i2c_thermometers import Mlx90614
from drivers.thermometers.mlx90614 import Driver, Options, celsius, uncertainty_c

NODE = "/dev/i2c-78"


@pytest.fixture
def chip(world):
    world.stand(36.5)
    return Mlx90614(world)


@pytest.fixture
def adapter(chip, tmp_path):
    with Adapter(tmp_path / "i2c", chip) as adapter, mounted({NODE: str(adapter.path)}):
        yield adapter


@pytest.fixture
def opened(adapter):
    drivers = []

    def opened(**options):
        driver = Driver(Options(bus=NODE, **options))
        drivers.append(driver)
        driver.open()
        return driver

    yield opened
    for driver in drivers:
        driver.close()


def read_on(driver):
    for _ in range(20):
        driver.read(0.5)


def test_golden_words(vectors):
    for entry in vectors("mlx90614", "raw_tobj"):
        seen_c = celsius(int(entry["hex"], 16))
        if isinstance(entry["meaning"], float):
            assert seen_c == pytest.approx(entry["meaning"], abs=0.005)
        else:
            assert seen_c is None


def test_golden_frames_through_the_wire(vectors):
    for entry in vectors("mlx90614", "smbus_read_word"):
        frame = bytes.fromhex(entry["hex"])
        assert celsius(frame[3] | frame[4] << 8) is not None


def test_simulated_chip_answers_as_the_datasheet_prints_it(vectors, world):
    chip = Mlx90614(world)
    for entry in vectors("mlx90614", "smbus_read_word"):
        frame = bytes.fromhex(entry["hex"])
        world.stand(celsius(frame[3] | frame[4] << 8))
        chip = Mlx90614(world)
        chip.write(0x5A, frame[1:2])
        assert chip.read(0x5A, 3) == frame[3:]


def test_simulated_chip_takes_the_writes_that_the_datasheet_prints(vectors, world):
    chip = Mlx90614(world)
    for entry in [*vectors("mlx90614", "eeprom_emissivity"), *vectors("mlx90614", "smbus_write_word")]:
        frame = bytes.fromhex(entry["hex"])
        chip.write(frame[0] >> 1, frame[1:])
        assert chip.eeprom[frame[1] & 0x1F] == frame[2] | frame[3] << 8


@given(st.integers(0x8000, 0xFFFF))
def test_the_error_bit_is_never_a_number(word):
    assert celsius(word) is None


@pytest.mark.parametrize("fault", ["bad_pec", "error_bit", "nack"])
def test_a_fault_gives_no_reading_and_after_a_while_a_complaint(opened, chip, fault):
    driver = opened()
    setattr(chip.faults, fault, True)
    seen = []

    def read_until_it_complains():
        while len(seen) < 20:
            seen.append(driver.read(0.5))

    with pytest.raises((BadReply, DeviceGone)):
        read_until_it_complains()
    assert seen
    assert not any(seen)


def test_a_short_fault_is_ridden_out(opened, chip):
    driver = opened()
    chip.faults.bad_pec = True
    assert driver.read(0.5) is None
    chip.faults.bad_pec = False
    assert driver.read(0.5).surface_c == pytest.approx(36.5, abs=0.01)


def test_it_is_asked_no_faster_than_it_settles(opened, adapter, world):
    driver = opened(variant="BCC")
    seen = []
    end_s = time.monotonic() + 1.0
    while time.monotonic() < end_s:
        if reading := driver.read(0.01):
            seen.append(reading.at_s)
    assert all(later - earlier >= 0.13 for earlier, later in pairwise(seen))
    assert len(seen) > 1


def test_a_hung_converter_is_not_believed(opened, chip):
    driver = opened(frozen_s=0.3)
    chip.faults.repeats = True
    with pytest.raises(BadReply, match="repeats"):
        read_on(driver)


def test_supply_and_emissivity_are_corrected_in_software(opened, chip):
    plain = opened().read(0.5).surface_c
    assert opened(supply_v=3.3).read(0.5).surface_c == pytest.approx(plain - 0.18)
    assert opened(supply_v=3.3, variant="AAA").read(0.5).surface_c == pytest.approx(plain)
    assert opened(emissivity=0.98, surroundings_c=25.0).read(0.5).surface_c == pytest.approx(plain + 0.22, abs=0.02)
    assert chip.eeprom[0x04] == 0xFFFF


@given(st.floats(10, 42), st.floats(0.9, 1.0), st.floats(0, 40))
def test_emissivity_correction_undoes_what_the_surface_does(surface_c, emissivity, around_c):
    kelvin4 = emissivity * (surface_c + 273.15) ** 4 + (1 - emissivity) * (around_c + 273.15) ** 4
    assert radiometric_c(kelvin4**0.25 - 273.15, emissivity, around_c) == pytest.approx(surface_c, abs=1e-6)


def test_uncertainty_is_the_datasheets():
    assert uncertainty_c("DCC", 37.0, 25.0) == 0.2
    assert uncertainty_c("DCC", 34.0, 25.0) == 0.3
    assert uncertainty_c("DCC", 37.0, 45.0) == 0.5
    assert uncertainty_c("BAA", 37.0, 25.0) == 0.5
    assert uncertainty_c("BAA", 80.0, 25.0) == 1.0


def test_an_absent_sensor_is_found_on_opening(adapter, opened):
    with pytest.raises(DeviceGone, match="does not answer"):
        opened(address=0x33)


def test_a_stuck_bus_is_given_up_and_comes_back(adapter, opened):
    driver = opened()
    adapter.stuck_s = 0.02
    with pytest.raises(BadReply, match="stuck"):
        read_on(driver)
    adapter.stuck_s = 0.0
    driver.open()
    assert driver.read(0.5)
