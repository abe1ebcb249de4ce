"""Every golden vector, by family and kind; one that nothing here judges fails."""

import json
import re
from pathlib import Path

import pytest

from drivers.ranging import tf_luna
from drivers.scanners import gm65, grow_ssi, honeywell, newland
from drivers.thermometers import amg8833, cjmcu, gy_614v, gy_mcu, mlx90614, mlx90632, omron_d6t, optris
from drivers.wire import modbus
from drivers.wire.framing import crc16_xmodem, sum8
from drivers.wire.i2c import crc8

FILE = Path(__file__).parents[3] / "shared" / "data" / "sensors" / "vectors.json"
ENTRIES = json.loads(FILE.read_text()) if FILE.exists() else []


def numbers(entry):
    return [float(each) for each in re.findall(r"-?\d+\.\d+", entry["meaning"])]


def frame(entry):
    return bytes.fromhex(entry["hex"])


def whole(step):
    def judge(entry):
        spent, measured = step(bytearray(frame(entry)))
        assert spent == len(frame(entry))
        assert list(measured) == numbers(entry)[: len(measured)]

    return judge


def ends_with(check):
    def judge(entry):
        data = frame(entry)
        made = check(data)
        assert data.endswith(made)
        assert made

    return judge


def is_answer(answer):
    def judge(entry):
        assert answer(frame(entry)) == len(frame(entry))

    return judge


def equals(known):
    def judge(entry):
        assert frame(entry) == known

    return judge


def raw_word(entry):
    seen_c = mlx90614.celsius(int(entry["hex"], 16))
    is_error = isinstance(entry["meaning"], str)
    assert seen_c == (None if is_error else pytest.approx(entry["meaning"], abs=0.005))


def read_word(entry):
    data = frame(entry)
    assert crc8(data[:-1]) == data[-1]
    assert mlx90614.celsius(data[3] | data[4] << 8) == pytest.approx(numbers(entry)[-1], abs=0.005)


def modbus_frame(entry):
    data = frame(entry)
    assert modbus.sealed(data[:-2]) == data
    if len(data) > 8:
        assert modbus.answer(bytearray(data), 1, 4, 3) == (len(data), (345, 251, 0))
    else:
        assert modbus.read_request(1, 4, 0x0F, 3) == data


def ranged(entry):
    spent, (distance_mm,) = tf_luna.step(bytearray(frame(entry)))
    assert spent == 9
    assert distance_mm == (450.0 if "45 cm" in entry["meaning"] else None)


def d6t(entry):
    assert omron_d6t.temperatures_c(frame(entry)) == (25.2, [34.1])


def pixel(entry):
    assert amg8833.pixel_c(int.from_bytes(frame(entry), "little")) == numbers(entry)[0]


def optris_reply(entry):
    fine = entry["family"] == "optris_hs"
    assert optris.celsius(frame(entry), high_resolution=fine) == numbers(entry)[-1]


def optris_emissivity(entry):
    assert frame(entry) == b"\x84" + (950).to_bytes(2)


def triggers(entry):
    assert frame(entry) in (gm65.START, gm65.START[:-2] + b"\xab\xcd")


def medical(entry):
    pairs = re.findall(r"(\w+) (0x[0-9a-f]+|-?\d+)", entry["consts"])
    values = {name.lower(): int(value, 0) for name, value in pairs}
    values["p_t"] -= 1 << 32
    raw = mlx90632.Raw(entry["an"], entry["ao"], (entry["on"] + entry["oo"]) / 2)
    celsius = mlx90632.object_c(raw, mlx90632.FactoryConstants(**values), emissivity=entry["eps"])
    assert celsius == pytest.approx(entry["expect_c"], abs=entry["tol"])


smbus_pec = ends_with(lambda data: bytes((crc8(data[:-1]),)))
gm65_crc = ends_with(lambda data: crc16_xmodem(data[2:-2]).to_bytes(2))
sum_of_all = ends_with(lambda data: bytes((sum8(data[:-1]),)))
JUDGES = {
    ("mlx90614", "raw_tobj"): raw_word,
    ("mlx90614", "smbus_read_word"): read_word,
    ("mlx90614", "smbus_write_word"): smbus_pec,
    ("mlx90614", "sleep"): smbus_pec,
    ("mlx90614", "eeprom_emissivity"): smbus_pec,
    ("gy_mcu90615", "frame"): whole(gy_mcu.step),
    ("gy614v", "frame"): whole(gy_614v.step),
    ("gy614v", "cmd"): sum_of_all,
    ("cjmcu90614", "frame"): whole(cjmcu.step),
    ("optris", "reply"): optris_reply,
    ("optris_hs", "reply"): optris_reply,
    ("optris", "set_emissivity"): optris_emissivity,
    ("modbus_rtu", "frame"): modbus_frame,
    ("gm65", "read"): gm65_crc,
    ("gm65", "reply"): is_answer(gm65.answer),
    ("gm65", "ack"): is_answer(gm65.answer),
    ("gm65", "trigger"): triggers,
    ("gm65", "save"): gm65_crc,
    ("gm67_ssi", "start"): equals(grow_ssi.START),
    ("gm67_ssi", "stop"): equals(grow_ssi.STOP),
    ("gm67_ssi", "ack"): is_answer(grow_ssi.answer),
    ("gm67_ssi", "nak"): is_answer(grow_ssi.answer),
    ("nls_udi", "start"): equals(newland.START),
    ("nls_udi", "ack"): is_answer(newland.answer),
    ("honeywell", "start"): equals(honeywell.START),
    ("honeywell", "stop"): equals(honeywell.STOP),
    ("tfluna", "frame"): ranged,
    ("d6t_1a", "read"): d6t,
    ("amg8833", "pixel"): pixel,
    ("mlx90632", "medical"): medical,
}


@pytest.mark.skipif(not ENTRIES, reason=f"golden vectors are not there: {FILE}")
@pytest.mark.parametrize("number", range(54))
def test_golden_vector(number):
    entry = ENTRIES[number]
    JUDGES[entry["family"], entry["kind"]](entry)


@pytest.mark.skipif(not ENTRIES, reason=f"golden vectors are not there: {FILE}")
def test_no_vector_is_left_out():
    assert len(ENTRIES) == 54
