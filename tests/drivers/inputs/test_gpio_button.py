"""The button on a line that a test presses; the kernel's own lines need hardware or its gpio-sim."""

import importlib.util
import threading
import time

import pytest

from drivers.contract import DeviceGone, Pressed
from drivers.inputs.gpio import Driver, Options


class Contact:
    """A line that a hand closes."""

    simulated = True

    def __init__(self):
        self.pressed, self.is_there = threading.Semaphore(0), True

    def open(self):
        if not self.is_there:
            raise DeviceGone("GPIO 5", "no chip")

    def wait_active(self, limit_s):
        if not self.is_there:
            raise DeviceGone("GPIO 5", "the line went away")
        return self.pressed.acquire(timeout=limit_s)

    def close(self):
        pass


def test_a_press_is_told_once():
    line = Contact()
    button = Driver(Options(5), line)
    button.open()
    assert button.read(0.01) is None
    line.pressed.release()
    press = button.read(0.5)
    assert isinstance(press, Pressed)
    assert press.simulated
    assert press.at_s <= time.monotonic()
    assert button.read(0.01) is None
    button.close()


def test_a_line_that_went_away_is_missed_and_comes_back():
    line = Contact()
    button = Driver(Options(5), line)
    for _ in range(200):
        button.open()
        line.is_there = False
        with pytest.raises(DeviceGone):
            button.read(0.01)
        button.close()
        with pytest.raises(DeviceGone):
            button.open()
        line.is_there = True


@pytest.mark.skipif(importlib.util.find_spec("gpiod") is None, reason="the extra gatepost[gpio] is not installed")
def test_an_unknown_chip_lists_those_that_there_are():
    with pytest.raises(DeviceGone, match="labels there are"):
        Driver(Options(17, chip="no such chip")).open()
