import threading

import pytest

from drivers.contract import BadReply
from drivers.outputs import mcp23017, pcf8574
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.relays import Mcp23017, Pcf8574

NODE = "/dev/i2c-76"
PARTS = {"pcf8574": (pcf8574, Pcf8574), "mcp23017": (mcp23017, Mcp23017)}


@pytest.fixture(params=sorted(PARTS))
def part(request, tmp_path):
    module, chip = PARTS[request.param]
    chip = chip()
    with Adapter(tmp_path / "i2c", chip), mounted({NODE: str(tmp_path / "i2c")}):
        yield module, chip


def test_two_lanes_share_a_chip_without_touching_each_other(part):
    module, chip = part
    gates = [module.Driver(module.Options(bus=NODE, pin=pin)) for pin in (0, 5)]
    for gate in gates:
        gate.open()
    threads = [threading.Thread(target=gate.pulse, args=(0.1,)) for gate in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for channel in (1, 6):
        with chip.changed:
            assert chip.changed.wait_for(lambda channel=channel: chip.pulses(channel), 120)
    for gate in gates:
        gate.close()
    assert len(chip.changes) == 4


def test_opening_never_makes_the_relay_twitch(part):
    module, chip = part
    gate = module.Driver(module.Options(bus=NODE, pin=3))
    gate.open()
    gate.close()
    assert chip.changes == []


def test_an_output_that_does_not_follow_is_a_fault(part):
    module, chip = part
    gate = module.Driver(module.Options(bus=NODE, pin=3))
    gate.open()
    stuck = b"\xff" if module is pcf8574 else b"\x00"
    chip.read = lambda _, count: stuck * count
    with pytest.raises(BadReply, match="does not follow"):
        gate.pulse(0.1)
    gate.close()
