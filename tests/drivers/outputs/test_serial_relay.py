import os
import signal
import subprocess
import sys
import time

import pytest

from drivers.contract import BadOptions
from drivers.outputs.serial_relay import Driver, Options, command
from drivers.simulators.pty import Port
from drivers.simulators.relays import LcusRelay

PATIENCE_S = 60.0
DYING = """
import sys
from drivers.outputs.serial_relay import Driver, Options
driver = Driver(Options(sys.argv[1], channel=2))
driver.open()
driver.pulse(0.3)
raise SystemExit("the caller dies")
"""
KILLED = DYING.replace("0.3", "9").replace('raise SystemExit("the caller dies")', "sys.stdin.read()")


@pytest.fixture
def board(tmp_path):
    board = LcusRelay()
    with Port(tmp_path / "relay", board) as port:
        board.link = str(port.link)
        yield board


def wait(board, condition):
    with board.changed:
        assert board.changed.wait_for(condition, PATIENCE_S)


def test_commands_are_those_of_the_sheet():
    assert command(1, on=True) == bytes.fromhex("a00101a2")
    assert command(1, on=False) == bytes.fromhex("a00100a1")
    assert command(2, on=True) == bytes.fromhex("a00201a3")


def test_a_pulse_within_a_pulse_ends_later(board):
    driver = Driver(Options(board.link))
    driver.open()
    driver.pulse(0.2)
    called_s = time.monotonic()
    driver.pulse(0.4)
    driver.pulse(0.1)
    wait(board, board.pulses)
    ((start_s, length_s),) = board.pulses()
    assert start_s + length_s >= called_s + 0.4  # when it began the board may have heard late
    driver.close()


def test_opening_switches_off_what_a_killed_agent_left_on(board):
    board.respond(command(1, on=True))
    driver = Driver(Options(board.link))
    driver.open()
    wait(board, lambda: not board.is_on())
    driver.close()


def test_the_relay_goes_off_although_the_caller_dies(board):
    dead = subprocess.run([sys.executable, "-c", DYING, board.link], check=False, timeout=PATIENCE_S)
    assert dead.returncode == 1
    wait(board, lambda: board.pulses(2))
    assert not board.is_on(2)


def test_a_killed_process_leaves_it_on_until_the_next_one_opens(board):
    process = subprocess.Popen([sys.executable, "-c", KILLED, board.link], stdin=subprocess.PIPE)
    wait(board, lambda: board.is_on(2))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert board.is_on(2)
    driver = Driver(Options(board.link, channel=2))
    driver.open()
    wait(board, lambda: not board.is_on(2))
    driver.close()


def test_longest_pulse_is_an_option(board):
    driver = Driver(Options(board.link, longest_s=1.0))
    driver.open()
    with pytest.raises(BadOptions, match="longest_s"):
        driver.pulse(1.5)
    driver.close()
