import pytest

from drivers.contract import DeviceGone
from drivers.signals.modbus_relay import Driver, Options, flash_on, switch_off
from drivers.simulators.pty import Port
from drivers.simulators.relays import WaveshareRelay


def test_orders_are_those_of_the_makers_table():
    assert flash_on(1, 1, 0.7) == bytes.fromhex("01 05 02 00 00 07 8d b0")
    assert switch_off(1, 1) == bytes.fromhex("01 05 00 00 00 00 cd ca")


def test_the_board_ends_the_pulse_although_nobody_tells_it_to(tmp_path):
    board = WaveshareRelay()
    with Port(tmp_path / "relay", board) as port:
        gate = Driver(Options(str(port.link)))
        gate.open()
        gate.pulse(0.2)
        with board.changed:
            assert board.changed.wait_for(board.is_on, 5.0)
        port.unplug()
        with board.changed:
            assert board.changed.wait_for(board.pulses, 5.0)
        gate.close()


def test_a_board_that_does_not_answer_is_missed(tmp_path):
    with Port(tmp_path / "relay", WaveshareRelay(slave=2)) as port:
        gate = Driver(Options(str(port.link)))
        with pytest.raises(DeviceGone, match="does not answer"):
            gate.open()
        gate.close()
