"""Lanes do not wait for one another: what hangs on one wire is nobody else's business."""

import threading

import pytest

from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.i2c_thermometers import Mlx90614
from drivers.simulators.pty import Port
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.thermometers import gy_mcu, mlx90614
from drivers.wire.i2c import I2cBus

STUCK, FREE = "/dev/i2c-72", "/dev/i2c-73"
STUCK_S = 3.0


@pytest.fixture
def stuck(world, tmp_path):
    """A transfer under way on a bus that holds it for three seconds; set when it has come back."""
    adapter = Adapter(tmp_path / "stuck", Mlx90614(world))
    with adapter, mounted({STUCK: str(tmp_path / "stuck"), FREE: str(tmp_path / "free")}):
        bus = I2cBus(STUCK)
        bus.open()
        adapter.stuck_s = STUCK_S
        came_back = threading.Event()

        def hang():
            with pytest.raises(Exception, match="stuck"):
                bus.read_word(0x5A, 0x07, pec=True)
            came_back.set()

        thread = threading.Thread(target=hang)
        thread.start()
        yield came_back
        thread.join()
        bus.close()


def five_of(driver):
    driver.open()
    got = []
    while len(got) < 5:
        if reading := driver.read(0.5):
            got.append(reading)
    driver.close()
    return got


def test_a_stuck_bus_does_not_hold_another_bus(stuck, world, tmp_path):
    with Adapter(tmp_path / "free", Mlx90614(world)):
        assert five_of(mlx90614.Driver(mlx90614.Options(bus=FREE)))
    assert not stuck.is_set()


def test_a_stuck_bus_does_not_hold_a_serial_port(stuck, world, tmp_path):
    with Port(tmp_path / "gy", GyMcu90615(world)) as port:
        assert five_of(gy_mcu.Driver(gy_mcu.Options(str(port.link))))
    assert not stuck.is_set()
