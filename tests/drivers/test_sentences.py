"""What a technician reads when a device cannot be used: a sentence with the remedy, from every driver there is."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from drivers import registry
from drivers.contract import BadReply, DeviceGone, DriverError
from drivers.simulators.i2c_adapter import Nack
from drivers.simulators.i2c_host import mounted
from drivers.simulators.stand_ins import MAKERS, stand_in

ROOT = Path(__file__).parents[2]
OPTIONS = {each: {option.name for option in fields(registry.options_class(*each))} for each in MAKERS}
SERIAL = [each for each in MAKERS if "port" in OPTIONS[each]]
I2C = [each for each in MAKERS if "bus" in OPTIONS[each] and each not in SERIAL]
TALKING = [each for each in SERIAL if each[0] in ("thermometers", "ranging")]
"""They say something by themselves or when asked; a scanner may be silent for days, and any text is a code."""
PATIENCE_S = 60.0
DENIED = """
import json, os, sys
from drivers import registry
from drivers.contract import DriverError
drivers = [(registry.load(*each), options) for each, options in json.loads(sys.argv[1])]
if not os.getuid():
    os.setgroups([])
    os.setuid(65534)
for module, options in drivers:
    try:
        module.Driver(module.Options(**options)).open()
    except DriverError as error:
        print(error)
    else:
        print("opened")
"""


class Chatter:
    """Another device on the port: it says sentences of a satellite receiver, at the right speed."""

    baud = 0
    period_s = 0.05

    def speak(self):
        return b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n" * 3

    def respond(self, data):
        return b""


class Stranger:
    """Another chip at the address: all its registers hold the same."""

    def __init__(self, addresses):
        self.addresses = addresses

    def write(self, address, data):
        pass

    def read(self, address, count):
        return b"\x55" * count


class Nobody:
    """An address without a chip."""

    addresses = tuple(range(128))

    def write(self, address, data):
        raise Nack

    def read(self, address, count):
        raise Nack


@pytest.fixture
def complaints(world, tmp_path):
    """What comes of opening each of these devices and using it until it complains: all at once, some wait long."""
    world.stand(36.5)

    def of_all(devices, spoil=lambda _: None, *, plugged=True):
        mounts = {}
        for _, name in devices:
            (tmp_path / name).mkdir()
        stands = [stand_in(*each, world, tmp_path / each[1]) for each in devices]
        for stand in stands:
            spoil(stand)
            mounts.update(stand.mounts)
            if plugged:
                stand.plugged.plug()
        try:
            with mounted(mounts), ThreadPoolExecutor(len(stands)) as pool:
                modules = [registry.load(*each) for each in devices]
                made = pool.map(complaint, modules, [stand.options for stand in stands])
                return {"/".join(each): error for each, error in zip(devices, made, strict=True)}
        finally:
            for stand in stands:
                stand.plugged.close()

    return of_all


def complaint(module, options):
    driver = module.Driver(module.Options(**options))
    end_s = time.monotonic() + PATIENCE_S
    try:
        driver.open()
        while time.monotonic() < end_s:
            driver.read(0.1) if hasattr(driver, "read") else driver.check()
    except DriverError as error:
        return error
    finally:
        driver.close()
    return None


def told(complaints, kind=DriverError):
    """The sentences, each with a remedy, on one line."""
    assert {name: type(error) for name, error in complaints.items() if not isinstance(error, kind)} == {}
    assert [name for name, error in complaints.items() if not error.remedy] == []
    assert [name for name, error in complaints.items() if "\n" in str(error)] == []
    return {name: str(error) for name, error in complaints.items()}


def without(sentences, *words):
    return {name: said for name, said in sentences.items() if not any(word in said for word in words)}


def test_absent_port(complaints):
    assert without(told(complaints(SERIAL, plugged=False), DeviceGone), "no such port") == {}


def test_absent_bus(complaints):
    assert without(told(complaints(I2C, plugged=False), DeviceGone), "no such bus") == {}


def test_silent_address(complaints):
    def spoil(stand):
        stand.plugged.chips = (Nobody(),)

    found = told(complaints(I2C, spoil), DeviceGone)
    assert without(found, "does not answer (check its wiring, power and address)") == {}


def test_another_chip_at_the_address(complaints):
    def spoil(stand):
        stand.plugged.chips = (Stranger(stand.device.addresses),)

    told(complaints([each for each in I2C if each[0] != "outputs"], spoil), BadReply)


def test_another_device_on_the_port(complaints):
    def spoil(stand):
        stand.plugged.device = Chatter()

    assert without(told(complaints(TALKING, spoil), BadReply), "not this device's", "power") == {}


def test_wrong_speed(complaints):
    def spoil(stand):
        stand.device.baud = 38400

    assert without(told(complaints(TALKING, spoil)), "speed", "power") == {}


def test_silent_device(complaints):
    def spoil(stand):
        stand.plugged.faults.mute = True

    assert without(told(complaints(TALKING, spoil), DeviceGone), "silent for") == {}


def test_permission_denied(world, open_tmp_path):
    """In one process that gives up its rights: to start one takes longer than to ask a driver."""
    node = open_tmp_path / "node"
    node.touch()
    node.chmod(0)
    asked = [
        (each, {**stand_in(*each, world, open_tmp_path).options, "port" if each in SERIAL else "bus": str(node)})
        for each in MAKERS
    ]
    words = [sys.executable, "-c", DENIED, json.dumps(asked)]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    for each, line in zip(MAKERS, said.stdout.splitlines(), strict=True):
        group = "dialout" if each in SERIAL else "i2c"
        assert f"permission denied (add the user to group {group})" in line, (each, line, said.stderr)
