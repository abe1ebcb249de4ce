import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadOptions, BadReply
from drivers.simulators.pty import Port
from drivers.simulators.uart_thermometers import CalexPyroUsb
from drivers.thermometers.modbus_ir import Driver, Options, Registers
from drivers.wire import modbus
from drivers.wire.framing import Framer


def read_for_ever(driver):
    while True:
        driver.read(0.5)


def test_a_status_of_the_device_is_a_fault_and_never_a_number(world, tmp_path):
    device = CalexPyroUsb(world)
    device.status = 0x0008
    with Port(tmp_path / "rs485", device) as port:
        driver = Driver(Options(str(port.link), "pyrousb", period_s=0.05))
        driver.open()
        with pytest.raises(BadReply, match="status 0x0008"):
            read_for_ever(driver)
        driver.close()


def test_registers_that_are_not_there_are_named(world, tmp_path):
    with Port(tmp_path / "rs485", CalexPyroUsb(world)) as port:
        driver = Driver(Options(str(port.link), object_register=0x40, period_s=0.05))
        driver.open()
        with pytest.raises(BadReply, match="Modbus error 2"):
            read_for_ever(driver)
        driver.close()


def test_own_registers_are_read_with_their_sign_and_scale():
    registers = Registers(Options("x", object_register=5, sensor_register=3, scale_c=0.01))
    assert (registers.first, registers.count) == (3, 3)
    words = (2450, 0, -150 & 0xFFFF)
    body = bytes((1, 4, 6)) + b"".join(word.to_bytes(2) for word in words)
    assert registers(bytearray(modbus.sealed(body))) == (11, (-1.5, 24.5))


def test_registers_too_far_apart_are_refused():
    with pytest.raises(BadOptions, match="too far apart"):
        Registers(Options("x", object_register=0, sensor_register=500))


@given(st.lists(st.integers(0, 0xFFFF), min_size=3, max_size=3), st.binary(max_size=30), st.integers(1, 12))
def test_an_answer_is_found_amid_junk_and_echo_however_split(words, junk, piece):
    asked = modbus.read_request(1, 4, 0x13, 3)
    answered = modbus.sealed(bytes((1, 4, 6)) + b"".join(word.to_bytes(2) for word in words))
    stream = junk + asked + answered * 3
    framer = Framer(lambda pending: modbus.answer(pending, 1, 4, 3))
    got = [each for i in range(0, len(stream), piece) for each in framer.feed(stream[i : i + piece])]
    assert got[-1] == tuple(words)
