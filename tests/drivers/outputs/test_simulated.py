import pytest

from drivers.contract import BadOptions
from drivers.outputs.simulated import Driver, Options


def test_remembers_what_it_was_told_and_says_that_it_is_not_real():
    gate = Driver(Options())
    gate.open()
    gate.pulse(1.0)
    gate.check()
    gate.close()
    assert [seconds for _, seconds in gate.pulses] == [1.0]
    assert gate.simulated


@pytest.mark.parametrize("seconds", [0.0, -1.0, 11.0, float("nan")])
def test_refuses_what_a_relay_would_refuse(seconds):
    with pytest.raises(BadOptions):
        Driver(Options()).pulse(seconds)
