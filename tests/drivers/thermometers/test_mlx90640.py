"""The MLX90640's arithmetic against the worked example of its datasheet (§11.2.2), step by step."""

import numpy as np
import pytest

from drivers.contract import BadReply
from drivers.simulators.stand_ins import stand_in
from drivers.thermometers.mlx90640 import (
    COLUMNS,
    WORDS,
    Calibration,
    Driver,
    Options,
    background,
    celsius,
    die_c,
    infrared,
    sensitivity,
    supply_v,
)

HEAD = bytes.fromhex(
    "0000" * 16 + "4210 ffbb 0202 f202 f2f2 e2e2 d1e1 b1d1 f10f f00f e0ef e0ef e1e1 f3f2 f404 e504"
    "79a6 2f44 ffdd 2210 3333 2233 ef01 9acc eedc 10ff 2221 3333 2333 0112 eeff bbdd"
    "18ef 2ff1 5952 9d68 5454 0994 6956 5354 2363 e446 fbb5 044b f020 9797 9797 2889"
)
PIXEL, ROW, COLUMN = 0x08A0, 11, 15
CONTROL = 0x1901


def words(data):
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


@pytest.fixture
def calibration():
    return Calibration(words(HEAD) + [PIXEL] * (WORDS - 64))


@pytest.fixture
def ram():
    ram = [0] * WORDS
    ram[ROW * COLUMNS + COLUMN] = 0x0261
    for at, word in (
        (0x300, 0x4BF2),
        (0x308, 0xFFCA),
        (0x30A, 0x1881),
        (0x320, 0x06AF),
        (0x328, 0xFFC8),
        (0x32A, 0xCCC5),
    ):
        ram[at] = word
    return ram


def test_supply_and_own_temperature(calibration, ram):
    assert supply_v(ram, CONTROL, calibration) == pytest.approx(3.3186237, abs=1e-6)
    assert die_c(ram, 3.3186237, calibration) == pytest.approx(39.184, abs=0.0005)


def test_what_the_memory_says_of_the_pixel(calibration):
    assert calibration.gain == 6383
    assert calibration.offset[ROW, COLUMN] == -75
    assert calibration.k_ta[ROW, COLUMN] == pytest.approx(0.005126953125)
    assert calibration.k_v[ROW, COLUMN] == 0.5
    assert calibration.alpha[ROW, COLUMN] == pytest.approx(1.26223312690854e-7)
    assert calibration.blind_offset == (-75, -77)
    assert calibration.ks_to == pytest.approx(-0.00080108642578125)


def test_what_the_pixel_receives(calibration, ram):
    """The example goes on with another blind value than its own formula gives; this is the formula's."""
    assert infrared(ram, 0, CONTROL, calibration)[ROW, COLUMN] == pytest.approx(675.2158, abs=0.002)


def test_sensitivity_and_background(calibration):
    assert sensitivity(0, 39.184, calibration)[ROW, COLUMN] == pytest.approx(1.1876487360496e-7, rel=1e-9)
    assert background(39.184, 1.0, 31.0) == pytest.approx(9516495632.56)


def test_the_temperature_of_the_pixel(calibration):
    counts, alpha = np.array([679.250909123826]), np.array([1.1876487360496e-7])
    assert celsius(counts, alpha, 9516495632.56, calibration.ks_to)[0] == pytest.approx(80.36331, abs=1e-5)


def test_what_cannot_be_is_no_temperature(calibration):
    assert np.isnan(celsius(np.array([-1e6]), np.array([1e-7]), 7e9, calibration.ks_to)[0])


@pytest.fixture
def array(world, tmp_path):
    """A simulated part before which somebody stands."""
    world.stand(36.0)
    stand = stand_in("thermometers", "mlx90640", world, tmp_path)
    with stand.here():
        yield stand


@pytest.fixture
def read(array, items_of):
    """What its driver reads: two temperatures."""
    drivers = []

    def read():
        drivers.append(Driver(Options(**array.options, frozen_s=0)))
        drivers[-1].open()
        return [item.surface_c for item in items_of(drivers[-1], 5.0, enough=2)]

    yield read
    for driver in drivers:
        driver.close()


MIDDLE = 12 * COLUMNS + 16
HOT, NONE_AT_ALL, BEYOND_ALL = 0x0285, -0x8000, 0x7FFF
"""What a pixel may give for ever: some 60 °C, less than nothing, more than it can measure."""


@pytest.mark.parametrize("gives", [HOT, NONE_AT_ALL, BEYOND_ALL, 0])
@pytest.mark.parametrize("number", [MIDDLE, MIDDLE + 1, 0])
def test_one_dead_pixel_neither_blinds_nor_warms_the_picture(array, read, gives, number):
    usual = read()
    array.device.stuck[number] = gives
    assert read() == pytest.approx(usual, abs=0.1)


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "deviating"])
def test_pixels_that_the_memory_marks_never_count(array, read, broken):
    usual = read()
    for number in range(MIDDLE, MIDDLE + 4):  # side by side: none of them stands out alone
        array.device.stuck[number] = HOT
    assert read()[0] > usual[0] + 5
    for number in range(MIDDLE, MIDDLE + 4):
        array.device.mark(number, broken=broken)
    assert read() == pytest.approx(usual, abs=0.1)


def test_more_dead_pixels_than_a_part_may_have_are_a_fault(array, read):
    for number in range(5):
        array.device.stuck[number] = NONE_AT_ALL
    with pytest.raises(BadReply, match=r"5 pixels of the MLX90640 .* 4 may"):
        read()
