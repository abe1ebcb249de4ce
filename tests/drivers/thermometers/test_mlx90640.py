"""The MLX90640's arithmetic against the worked example of its datasheet (§11.2.2), step by step."""

import numpy as np
import pytest

from drivers.thermometers.mlx90640 import (
    COLUMNS,
    WORDS,
    Calibration,
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
