"""The GPIO gate on a line that only remembers; the kernel's own lines need hardware or its gpio-sim."""

import importlib.util

import pytest

from drivers.contract import BadOptions, DeviceGone
from drivers.outputs.gpio import Driver, Options
from drivers.simulators.relays import Contacts


class Line(Contacts):
    """A line that is a relay."""

    name = "GPIO 17 of a desk"
    simulated = True

    def __init__(self):
        super().__init__()
        self.is_there = True

    def open(self):
        self.set(active=False)

    def set(self, *, active):
        if not self.is_there:
            raise DeviceGone(self.name, "the line went away")
        self.switch(1, on=active)

    def close(self):
        pass


def test_a_pulse_ends_by_itself():
    line = Line()
    gate = Driver(Options(17), line)
    gate.open()
    gate.pulse(0.05)
    with line.changed:
        assert line.changed.wait_for(line.pulses, 120)
    gate.check()
    gate.close()
    assert not line.is_on()


def test_a_line_that_went_away_is_missed():
    line = Line()
    gate = Driver(Options(17), line)
    gate.open()
    line.is_there = False
    with pytest.raises(DeviceGone):
        gate.check()
    gate.close()


@pytest.mark.skipif(importlib.util.find_spec("gpiod") is not None, reason="gpiod is installed")
def test_without_the_extra_it_says_what_to_install():
    with pytest.raises(BadOptions, match=r"gatepost\[gpio\]"):
        Driver(Options(17)).open()


@pytest.mark.skipif(importlib.util.find_spec("gpiod") is None, reason="the extra gatepost[gpio] is not installed")
def test_an_unknown_chip_lists_those_that_there_are():
    with pytest.raises(DeviceGone, match="labels there are"):
        Driver(Options(17, chip="no such chip")).open()
