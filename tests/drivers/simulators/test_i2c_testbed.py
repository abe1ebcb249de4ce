"""I²C drivers on a bus node that the process under trial cannot tell from a kiosk's, through the real smbus2."""

import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from drivers import registry
from drivers.simulators.i2c_adapter import STUB
from drivers.simulators.stand_ins import MAKERS, stand_in

SYSTEM_PYTHON = "/usr/bin/python3"  # python3-gi belongs to it
ASK = "import gi; gi.require_version('UMockdev', '1.0'); from gi.repository import UMockdev"
GATEPOST = Path(sys.executable).with_name("gatepost")
ROOT = Path(__file__).parents[3]
SMBUS_ONLY_WITH_PEC = STUB | 0x8
CHIPS = [each for each in MAKERS if "bus" in {option.name for option in fields(registry.options_class(*each))}]
MEASURING = [each for each in CHIPS if each[0] in {"thermometers", "ranging"}]
SWITCHING = [name for kind, name in CHIPS if kind == "outputs"]

PULSE = """
import sys, time
from drivers import registry
module = registry.load("outputs", sys.argv[1])
gate = module.Driver(module.Options(bus=sys.argv[2]))
gate.open()
gate.pulse(0.05)
gate.check()
time.sleep(0.2)
gate.close()
print("simulated" if gate.simulated else "real")
"""


@pytest.fixture(scope="module", autouse=True)
def _umockdev():
    there = shutil.which("umockdev-wrapper") and Path(SYSTEM_PYTHON).exists()
    if not there or subprocess.run([SYSTEM_PYTHON, "-c", ASK], capture_output=True, check=False).returncode:
        pytest.skip("umockdev is not here: apt install umockdev gir1.2-umockdev-1.0 python3-gi")


@pytest.fixture
def plugged(world, tmp_path):
    world.stand(36.5)

    def plug(kind, name):
        return stand_in(kind, name, world, tmp_path)

    return plug


def on_the_bus(stand, *program):
    """What a program says that sees the stand-in's adapter as a bus node of its machine."""
    ((node, path),) = stand.mounts.items()
    return subprocess.run(
        ["umockdev-wrapper", SYSTEM_PYTHON, "-m", "drivers.simulators.i2c_testbed", path, node, "--", *program],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )


def tried(stand, kind, name, *options):
    return on_the_bus(
        stand,
        *(GATEPOST, "devices", "try", f"{kind}/{name}", f"bus={stand.options['bus']}", *options, "--seconds", "1"),
    )


@pytest.mark.parametrize(("kind", "name"), MEASURING, ids="/".join)
def test_every_chip_is_read_through_the_kernels_calls(plugged, kind, name):
    stand = plugged(kind, name)
    with stand.plugged:
        said = tried(stand, kind, name)
    assert said.returncode == 0, said.stderr
    assert f"{name} is open (simulated)" in said.stdout
    assert "surface 36." in said.stdout or "50 mm" in said.stdout, said.stdout


@pytest.mark.parametrize("name", SWITCHING)
def test_an_expander_is_switched_through_the_kernels_calls(plugged, name):
    stand = plugged("outputs", name)
    with stand.plugged:
        said = on_the_bus(stand, sys.executable, "-c", PULSE, name, stand.options["bus"])
    assert said.stdout == "simulated\n", said.stderr
    assert len(stand.device.pulses()) == 1
    assert not stand.device.is_on()


def test_an_adapter_without_plain_transfers_checks_the_checksum_itself(plugged):
    stand = plugged("thermometers", "mlx90614")
    stand.plugged.functions = SMBUS_ONLY_WITH_PEC
    with stand.plugged:
        assert "surface 36." in tried(stand, "thermometers", "mlx90614").stdout
        stand.device.faults.bad_pec = True
        assert "checksum is wrong" in tried(stand, "thermometers", "mlx90614").stderr


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("nack", "does not answer (check its wiring, power and address)"), ("bad_pec", "checksum is wrong")],
)
def test_a_fault_on_the_wire_becomes_a_sentence(plugged, fault, sentence):
    stand = plugged("thermometers", "mlx90614")
    setattr(stand.device.faults, fault, True)
    with stand.plugged:
        said = tried(stand, "thermometers", "mlx90614")
    assert said.returncode == 1
    assert sentence in said.stderr


def test_a_node_whose_adapter_was_pulled_says_so(plugged):
    said = tried(plugged("thermometers", "mlx90614"), "thermometers", "mlx90614")
    assert said.returncode == 1
    assert "no such bus" in said.stderr


def test_the_listing_names_the_chip(plugged):
    stand = plugged("thermometers", "mlx90614")
    with stand.plugged:
        said = on_the_bus(stand, GATEPOST, "devices")
    assert f"{stand.options['bus']}" in said.stdout
    assert 'driver = "mlx90614"' in said.stdout
