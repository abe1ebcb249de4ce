import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply, DeviceGone
from drivers.simulators.pty import Port
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.thermometers.gy_mcu import CONTINUE, Driver, Options, step
from drivers.wire.framing import Framer

celsius = st.integers(-7000, 32767).map(lambda hundredths: hundredths / 100)


def frames_of(data, *, piece=None):
    framer = Framer(step)
    piece = piece or len(data) or 1
    return [frame for i in range(0, len(data), piece) for frame in framer.feed(data[i : i + piece])]


def test_golden_frames(vectors):
    for entry in vectors("gy_mcu90615"):
        to_c, ta_c = map(float, re.findall(r"-?\d+\.\d+", entry["meaning"]))
        assert frames_of(bytes.fromhex(entry["hex"])) == [(to_c, ta_c)]


@given(st.lists(st.tuples(celsius, celsius), max_size=8), st.integers(1, 20), st.sampled_from([b"", b"\x14"]))
def test_every_frame_comes_out_however_it_is_split(pairs, piece, tail):
    board = GyMcu90615(None, tail=tail)
    data = b"".join(board.frame(*pair) for pair in pairs)
    assert frames_of(data, piece=piece) == [pytest.approx(pair) for pair in pairs]


@given(st.binary(max_size=300))
def test_junk_before_a_frame_costs_at_most_what_it_pretends_to_be(junk):
    frame = GyMcu90615(None).frame(36.5, 25.0)
    assert frames_of(junk + frame * 3)[-1] == (36.5, 25.0)


def test_a_header_inside_the_payload_is_not_a_frame():
    inside = GyMcu90615(None).frame(231.30, 177.0)  # 5A 5A 45 24
    assert inside[4:7] == b"\x5a\x5a\x45"
    assert frames_of(inside[4:] + inside) == [(231.30, 177.0)]


def test_a_wrong_checksum_is_no_reading():
    frame = bytearray(GyMcu90615(None).frame(36.5, 25.0))
    frame[4] ^= 1
    assert frames_of(bytes(frame)) == []


def test_a_board_at_the_other_speed_is_found(world, tmp_path):
    world.stand(36.5)
    with Port(tmp_path / "gy", GyMcu90615(world, baud=9600)) as port:
        driver = Driver(Options(str(port.link)))
        driver.open()
        readings = [driver.read(0.5) for _ in range(8)]
        driver.close()
    assert any(reading and reading.surface_c == 36.5 for reading in readings)


def test_a_board_at_another_speed_than_configured_is_named_as_such(world, tmp_path):
    with Port(tmp_path / "gy", GyMcu90615(world, baud=9600)) as port:
        driver = Driver(Options(str(port.link), baud=115200, silent_s=0.3))
        driver.open()
        with pytest.raises(BadReply, match=r"wrong speed: tried 115200, try 9600\)"):
            read_for_ever(driver)
        driver.close()


def test_a_board_that_says_nothing_is_gone(world, tmp_path):
    port = Port(tmp_path / "gy", GyMcu90615(world))
    port.faults.mute = True
    with port:
        driver = Driver(Options(str(port.link), baud=115200, silent_s=0.1))
        driver.open()
        with pytest.raises(DeviceGone, match="silent"):
            read_for_ever(driver)
        driver.close()


def test_a_board_that_repeats_itself_is_not_believed(world, tmp_path):
    board = GyMcu90615(world)
    board.repeats = True
    with Port(tmp_path / "gy", board) as port:
        driver = Driver(Options(str(port.link), frozen_s=0.3))
        driver.open()
        with pytest.raises(BadReply, match="repeats"):
            read_for_ever(driver)
        driver.close()


def test_a_board_that_waits_to_be_asked_is_asked(scripted_line):
    line = scripted_line([])
    driver = Driver(Options("x"), line)
    driver.open()
    assert line.written == [CONTINUE]


def read_for_ever(driver):
    while True:
        driver.read(0.5)
