"""For each driver a simulated device to point it at: for trials, demonstrations and the contract suite."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from drivers.simulators import (
    cards,
    i2c_thermometers,
    rangers,
    receivers,
    relays,
    scan_engines,
    thermal_array,
    uart_thermometers,
)
from drivers.simulators.i2c_adapter import Adapter, Chip
from drivers.simulators.i2c_host import mounted
from drivers.simulators.pty import Port, UartDevice

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.simulators.world import World

_bus_numbers = itertools.count(70)


@dataclass
class StandIn:
    """A simulated device with the options that lead its driver to it."""

    device: Any
    """The simulated device itself: a `UartDevice` or a `Chip`."""
    plugged: Port | Adapter
    """What it hangs on; `plug` and `unplug` it."""
    options: dict[str, Any]
    """For the driver's `Options`, and for its table in the configuration."""
    mounts: dict[str, str] = field(default_factory=dict)
    """Bus nodes to be mounted (`i2c_host`) in the process that runs the driver: node → socket."""

    def here(self) -> AbstractContextManager[object]:
        """Plug it in, and mount its bus in this process."""
        stack = ExitStack()
        stack.enter_context(self.plugged)
        stack.enter_context(mounted(self.mounts))
        return stack


Maker: TypeAlias = Callable[["World"], Any]


def _on_uart(make: Maker, **options: Any) -> Callable[[World, Path], StandIn]:
    def stand_in(world: World, folder: Path) -> StandIn:
        device: UartDevice = make(world)
        port = Port(folder / f"usb-simulated-{type(device).__name__.lower()}", device)
        return StandIn(device, port, {"port": str(port.link), **options})

    return stand_in


def _on_i2c(make: Maker, **options: Any) -> Callable[[World, Path], StandIn]:
    def stand_in(world: World, folder: Path) -> StandIn:
        chip: Chip = make(world)
        number = next(_bus_numbers)
        adapter = Adapter(folder / f"i2c-{number}", chip)
        node = f"/dev/i2c-{number}"
        return StandIn(chip, adapter, {"bus": node, **options}, {node: str(adapter.path)})

    return stand_in


MAKERS: dict[tuple[str, str], Callable[[World, Path], StandIn]] = {
    ("positioning", "nmea0183"): _on_uart(lambda _: receivers.NmeaReceiver(), period_s=0.0),
    ("ranging", "tf_luna"): _on_uart(rangers.TfLuna),
    ("ranging", "vl53l0x"): _on_i2c(rangers.Vl53l0x),
    ("ranging", "vl53l1x"): _on_i2c(rangers.Vl53l1x),
    ("scanners", "em4100"): _on_uart(lambda _: cards.Em4100Reader(), away_s=0.001),
    ("scanners", "gm65"): _on_uart(lambda _: scan_engines.Gm65(by_command=True), trigger="host", rearm_s=0.1),
    ("scanners", "grow_ssi"): _on_uart(
        lambda _: scan_engines.GrowSsi(by_command=True), trigger="host", rearm_s=0.1
    ),
    ("scanners", "honeywell"): _on_uart(lambda _: scan_engines.Honeywell(), rearm_s=0.1),
    ("scanners", "id_card"): _on_uart(lambda _: cards.SdtModule(), period_s=0.02, away_s=0.001),
    ("scanners", "newland"): _on_uart(lambda _: scan_engines.Newland(by_command=True), trigger="host", rearm_s=0.1),
    ("scanners", "pn532"): _on_uart(lambda _: cards.Pn532(), period_s=0.02, away_s=0.001),
    ("scanners", "line"): _on_uart(lambda _: scan_engines.LineScanner()),
    ("outputs", "mcp23017"): _on_i2c(lambda _: relays.Mcp23017()),
    ("outputs", "modbus_relay"): _on_uart(lambda _: relays.WaveshareRelay()),
    ("outputs", "pcf8574"): _on_i2c(lambda _: relays.Pcf8574()),
    ("outputs", "serial_relay"): _on_uart(lambda _: relays.LcusRelay()),
    ("thermometers", "amg8833"): _on_i2c(i2c_thermometers.Amg8833),
    ("thermometers", "cjmcu"): _on_uart(uart_thermometers.Cjmcu90614),
    ("thermometers", "frame"): _on_uart(
        uart_thermometers.GyMcu90615,
        baud=115200,
        header="5a 5a 45 04",
        length=9,
        object_at=4,
        sensor_at=6,
    ),
    ("thermometers", "gy_614v"): _on_uart(uart_thermometers.Gy614v),
    ("thermometers", "gy_mcu"): _on_uart(uart_thermometers.GyMcu90615),
    ("thermometers", "mlx90614"): _on_i2c(i2c_thermometers.Mlx90614),
    ("thermometers", "mlx90640"): _on_i2c(thermal_array.Mlx90640),
    ("thermometers", "mlx90632"): _on_i2c(i2c_thermometers.Mlx90632),
    ("thermometers", "modbus_ir"): _on_uart(uart_thermometers.CalexPyroUsb, preset="pyrousb"),
    ("thermometers", "omron_d6t"): _on_i2c(i2c_thermometers.OmronD6t),
    ("thermometers", "optris"): _on_uart(uart_thermometers.OptrisCs),
    ("thermometers", "raytek_mi3"): _on_uart(uart_thermometers.RaytekMi3),
}


def stand_in(kind: str, name: str, world: World, folder: Path) -> StandIn:
    """A simulated device for the driver `name`, not yet plugged in. Raises KeyError when there is none."""
    return MAKERS[kind, name](world, folder)
