"""Every golden vector of the thermometers, through the driver's own decoding."""

import contextlib
import math
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.thermometers import amg8833, cjmcu, gy_614v, mlx90632, omron_d6t, optris
from drivers.wire import modbus


def numbers(text):
    return [float(each) for each in re.findall(r"-?\d+\.\d+", text)]


def test_gy_614v(vectors):
    for entry in vectors("gy614v", "frame"):
        object_c, board_c, _ = numbers(entry["meaning"])
        assert gy_614v.step(bytearray.fromhex(entry["hex"])) == (12, (object_c, board_c))
    assert gy_614v.ASK.hex(" ") in [entry["hex"] for entry in vectors("gy614v", "cmd")]
    for entry in vectors("gy614v", "cmd"):
        order = bytes.fromhex(entry["hex"])
        assert gy_614v.sum8(order[:-1]) == order[-1]


def test_cjmcu(vectors):
    for entry in vectors("cjmcu90614"):
        frame = bytearray.fromhex(entry["hex"])
        assert cjmcu.step(frame) == (9, (26.91, 26.91))
        frame[8] = sum(frame[:8]) & 0xFF
        assert cjmcu.step(frame) == (1, None)


def test_optris(vectors):
    for entry in vectors("optris", "reply"):
        assert optris.celsius(bytes.fromhex(entry["hex"])) == 23.5
    for entry in vectors("optris_hs"):
        assert optris.celsius(bytes.fromhex(entry["hex"]), high_resolution=True) == 23.5
    for entry in vectors("optris", "set_emissivity"):
        assert int.from_bytes(bytes.fromhex(entry["hex"])[1:]) == 950


def test_modbus(vectors):
    asked, answered = (bytes.fromhex(entry["hex"]) for entry in vectors("modbus_rtu"))
    assert modbus.ask(1, 4, 0x0F, 3) == asked
    assert modbus.answer(bytearray(asked + answered), 1, 4, 3) == (8, None)
    assert modbus.answer(bytearray(answered), 1, 4, 3) == (11, (345, 251, 0))
    assert modbus.answer(bytearray(modbus.sealed(b"\x01\x84\x02")), 1, 4, 3) == (5, 2)


def test_omron_d6t(vectors):
    for entry in vectors("d6t_1a"):
        assert omron_d6t.temperatures_c(bytes.fromhex(entry["hex"])) == (25.2, [34.1])
        assert omron_d6t.temperatures_c(bytes.fromhex(entry["hex"])[:-1] + b"\x00") is None


def test_amg8833(vectors):
    for entry in vectors("amg8833"):
        word = int.from_bytes(bytes.fromhex(entry["hex"]), "little")
        assert amg8833.pixel_c(word) == numbers(entry["meaning"])[0]
    assert amg8833.thermistor_c(0x801) == -0.0625
    assert amg8833.thermistor_c(0x190) == 25.0


def constants(text):
    pairs = re.findall(r"(\w+) (0x[0-9a-f]+|-?\d+)", text)
    values = {name.lower(): int(value, 0) for name, value in pairs}
    values["p_t"] -= 1 << 32
    return mlx90632.Calibration(**values)


def test_mlx90632(vectors):
    for entry in vectors("mlx90632"):
        raw = mlx90632.Raw(entry["an"], entry["ao"], (entry["on"] + entry["oo"]) / 2)
        celsius = mlx90632.object_c(raw, constants(entry["consts"]), emissivity=entry["eps"])
        assert celsius == pytest.approx(entry["expect_c"], abs=entry["tol"])


def test_mlx90632_more_of_the_makers_results(vectors):
    k = constants(vectors("mlx90632")[0]["consts"])
    raw = mlx90632.Raw(22454, 23030, 610)
    assert mlx90632.die_c(raw, k) == pytest.approx(48.724, abs=0.002)
    extended = mlx90632.Raw(22454, 23030, 305)
    assert mlx90632.object_c(extended, k, extended=True) == pytest.approx(55.507, abs=0.02)
    for around_c, expected_c in ((49.66, 98.141), (40.0, 143.956)):
        celsius = mlx90632.object_c(raw, k, emissivity=0.1, surroundings_c=around_c)
        # the library drops the fractions of both ratios, which emissivity 0.1 makes ten times worse
        assert celsius == pytest.approx(expected_c, abs=0.1)


def test_mlx90632_reads_its_constants_in_the_order_of_the_registers(vectors):
    k = constants(vectors("mlx90632")[0]["consts"])
    longs = [k.p_r, k.p_g, k.p_t, k.p_o]
    words = [word for value in longs for word in (value & 0xFFFF, value >> 16 & 0xFFFF)]
    words += [0] * (0x2424 - 0x2414)
    words += [word for value in (k.ea, k.eb, k.fa, k.fb, k.ga) for word in (value & 0xFFFF, value >> 16 & 0xFFFF)]
    words += [k.gb, k.ka]
    assert mlx90632.Calibration.parse(struct.pack(">36H", *words), struct.pack(">2h", k.ha, k.hb)) == k


@given(st.integers(-32768, 32767), st.integers(-32768, 32767), st.integers(-65536, 65534))
def test_mlx90632_makes_a_number_or_a_refusal_of_any_words(an, ao, counts):
    k = mlx90632.Calibration(0x587F5B, 0x4A10289, -432392, 0x1E0F, 4859535, 5686508, 53855361, 42874149, -14556410,
                             9728, 10752, 16384, 0)  # fmt: skip
    with contextlib.suppress(ValueError, ZeroDivisionError, OverflowError):
        assert math.isfinite(mlx90632.object_c(mlx90632.Raw(an, ao, counts / 2), k))
