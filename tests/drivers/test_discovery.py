import pytest

from drivers import discovery
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.i2c_thermometers import Amg8833, Mlx90614, Mlx90632, OmronD6t
from drivers.simulators.pty import Port
from drivers.simulators.rangers import TfLuna, Vl53l0x, Vl53l1x
from drivers.simulators.relays import LcusRelay, Mcp23017, Pcf8574
from drivers.simulators.scan_engines import Gm65
from drivers.simulators.thermal_array import Mlx90640
from drivers.simulators.uart_thermometers import CalexPyroUsb, Cjmcu90614, Gy614v, GyMcu90615, RaytekMi3
from drivers.wire.uart import Uart

NODE = "/dev/i2c-74"
TALKERS = {
    "thermometers/gy_mcu": (GyMcu90615, 115200),
    "thermometers/cjmcu": (Cjmcu90614, 115200),
    "ranging/tf_luna": (TfLuna, 115200),
    "thermometers/gy_614v": (lambda world: Gy614v(world, period_s=0.1), 9600),
}
ANSWERERS = {
    "thermometers/gy_614v": Gy614v,
    "thermometers/raytek_mi3": RaytekMi3,
    "thermometers/modbus_ir": CalexPyroUsb,
    "scanners/gm65": lambda _: Gm65(),
}
CHIPS = {
    "thermometers/mlx90614": Mlx90614,
    "thermometers/omron_d6t": OmronD6t,
    "thermometers/amg8833": Amg8833,
    "thermometers/mlx90640": Mlx90640,
    "ranging/vl53l0x": Vl53l0x,
    "ranging/vl53l1x": Vl53l1x,
    "outputs/mcp23017": lambda _: Mcp23017(),
    "outputs/pcf8574": lambda _: Pcf8574(),
}


@pytest.mark.parametrize("driver", TALKERS)
def test_knows_who_talks_and_at_what_speed(driver, world, tmp_path):
    make, baud = TALKERS[driver]
    with Port(tmp_path / "port", make(world)) as port:
        found = discovery.serial_port(str(port.link))
    assert (found.driver, found.options) == (driver, {"baud": baud})


@pytest.mark.parametrize("driver", ANSWERERS)
def test_asks_only_when_told_to(driver, world, tmp_path):
    with Port(tmp_path / "port", ANSWERERS[driver](world)) as port:
        assert discovery.serial_port(str(port.link)).driver == ""
        assert discovery.serial_port(str(port.link), ask_too=True).driver == driver


@pytest.mark.parametrize("ask_too", [False, True])
def test_a_relay_board_is_never_moved(ask_too, tmp_path):
    board = LcusRelay()
    with Port(tmp_path / "port", board) as port:
        assert discovery.serial_port(str(port.link), ask_too=ask_too).driver == ""
    assert board.changes == []


def test_a_port_in_use_is_left_alone(world, tmp_path):
    with Port(tmp_path / "port", GyMcu90615(world)) as port:
        uart = Uart(str(port.link), 9600)
        uart.open()
        assert "in use" in discovery.serial_port(str(port.link)).note
        uart.close()


@pytest.mark.parametrize("driver", CHIPS)
def test_knows_a_chip_and_its_address(driver, world, tmp_path):
    chip = CHIPS[driver](world)
    with Adapter(tmp_path / "i2c", chip), mounted({NODE: str(tmp_path / "i2c")}):
        (found,) = discovery.i2c_bus(NODE)
    assert found.driver == driver
    assert found.options["address"] in chip.addresses


def test_several_chips_on_a_bus(world, tmp_path):
    with (
        Adapter(tmp_path / "i2c", Mlx90614(world), Vl53l1x(world), Pcf8574()),
        mounted({NODE: str(tmp_path / "i2c")}),
    ):
        drivers = {found.driver for found in discovery.i2c_bus(NODE)}
    assert drivers == {"thermometers/mlx90614", "ranging/vl53l1x", "outputs/pcf8574"}


def test_nothing_is_written_where_relays_may_hang(world, tmp_path):
    class Relays(Pcf8574):
        addresses = (*range(0x20, 0x28), *range(0x38, 0x40))

    chip = Relays()
    with Adapter(tmp_path / "i2c", chip), mounted({NODE: str(tmp_path / "i2c")}):
        assert len(list(discovery.i2c_bus(NODE))) == 16
    assert chip.changes == []


def test_a_part_at_an_expanders_address_is_asked_when_allowed(world, tmp_path):
    with Adapter(tmp_path / "i2c", Mlx90632(world)), mounted({NODE: str(tmp_path / "i2c")}):
        drivers = [found.driver for found in discovery.i2c_bus(NODE, ask_too=True)]
    assert "thermometers/mlx90632" in drivers


def test_an_empty_bus_and_an_absent_one_say_so(tmp_path):
    with Adapter(tmp_path / "i2c"), mounted({NODE: str(tmp_path / "i2c")}):
        (found,) = discovery.i2c_bus(NODE)
    assert "no chip" in found.note
    (found,) = discovery.i2c_bus("/dev/i2c-249")
    assert "no such bus" in found.note


def test_what_is_here_can_be_listed_without_any_device():
    assert all(found.bus in ("serial", "i2c", "camera") for found in discovery.cameras())
