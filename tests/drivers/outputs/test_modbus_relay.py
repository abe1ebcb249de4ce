import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import DeviceGone
from drivers.outputs.modbus_relay import Driver, Options, flash_on, states, switch_off, tells_states
from drivers.simulators.pty import Port
from drivers.simulators.relays import WaveshareRelay
from drivers.wire.modbus import sealed


def test_commands_are_those_of_the_makers_table():
    assert flash_on(1, 1, 0.7) == bytes.fromhex("01 05 02 00 00 07 8d b0")
    assert switch_off(1, 1) == bytes.fromhex("01 05 00 00 00 00 cd ca")


def test_the_board_ends_the_pulse_although_nobody_tells_it_to(tmp_path):
    board = WaveshareRelay()
    with Port(tmp_path / "relay", board) as port:
        gate = Driver(Options(str(port.link)))
        gate.open()
        gate.pulse(0.2)
        with board.changed:
            assert board.changed.wait_for(board.is_on, 120)
        port.unplug()
        with board.changed:
            assert board.changed.wait_for(board.pulses, 120)
        gate.close()


def test_a_board_that_does_not_answer_is_missed(tmp_path):
    with Port(tmp_path / "relay", WaveshareRelay(slave=2)) as port:
        gate = Driver(Options(str(port.link)))
        with pytest.raises(DeviceGone, match="does not answer"):
            gate.open()
        gate.close()


@pytest.fixture
def board(tmp_path):
    board = WaveshareRelay()
    with Port(tmp_path / "relay", board) as port:
        board.port = port
        yield board


@pytest.mark.parametrize("echo", [False, True], ids=["plain", "echoing"])
def test_a_board_behind_an_adapter_that_echoes_works_as_any(board, echo):
    board.port.faults.echo = echo
    gate = Driver(Options(str(board.port.link)))
    gate.open()
    gate.pulse(0.2)
    assert board.is_on()
    with board.changed:
        assert board.changed.wait_for(board.pulses, 120)
    gate.check()
    gate.close()


def test_a_frame_that_is_lost_is_sent_again(board):
    gate = Driver(Options(str(board.port.link)))
    gate.open()
    respond, lost = board.respond, []

    def lose_every_other(data):
        lost.append(data)
        return respond(data) if len(lost) % 2 == 0 else b""

    board.respond = lose_every_other
    gate.pulse(0.2)
    assert len(lost) >= 4, "the command and the question for the states, twice each"
    with board.changed:
        assert board.changed.wait_for(board.pulses, 120)
    assert len(board.pulses()) == 1
    gate.close()


def dead(board):
    """Its power is off; only the adapter is left."""
    board.respond = lambda _: b""


def test_an_echo_is_no_answer_when_opening(board):
    board.port.faults.echo = True
    dead(board)
    gate = Driver(Options(str(board.port.link)))
    with pytest.raises(DeviceGone, match="only the echo of our own command"):
        gate.open()


@pytest.mark.parametrize("since", ["always", "now"])
def test_an_echo_is_no_answer_to_a_command_once_the_board_has_died(board, since):
    """Also when the line has begun to echo only after the last answer, so that nobody could know."""
    board.port.faults.echo = since == "always"
    gate = Driver(Options(str(board.port.link)))
    gate.open()
    dead(board)
    board.port.faults.echo = True
    for act in (lambda: gate.pulse(0.2), gate.off):
        with pytest.raises(DeviceGone, match="echo"):
            act()
    gate.close()


@given(st.binary(max_size=40), st.integers(1, 247))
def test_only_a_whole_answer_with_its_checksum_tells_states(noise, slave):
    question, told = states(slave), sealed(bytes((slave, 1, 1, 0b101)))
    assert not tells_states(question, slave)
    assert not tells_states(question + told[:-1], slave)
    assert tells_states(told, slave)
    assert not tells_states(noise, slave) or any(
        sealed(noise[i : i + 4]) == noise[i : i + 6] for i in range(len(noise))
    )
