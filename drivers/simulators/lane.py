"""A lane of simulated devices: scanner, thermometer, gate, perhaps a ranger, each on its wire, before one world.

Lamp and buzzer, where there are, hang on the gate's board.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drivers.simulators.camera import CameraSimulator
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.stand_ins import StandIn, stand_in
from drivers.simulators.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drivers.simulators.i2c_adapter import Adapter

PARTS = {"scanner": "scanners", "thermometer": "thermometers", "gate": "outputs", "range": "ranging"}
"""What a device is to its lane → the kind of its driver."""
LIGHTS = ("red", "amber", "green")
_RED, _AMBER, _GREEN, _SOUND = 2, 3, 4, 5
"""Relays of the board; 1 is the gate."""


class Lane:
    """One lane. `plug` it before its `tables` are asked for: a camera has no address before."""

    def __init__(
        self,
        folder: Path,
        *,
        scanner: str = "line",
        thermometer: str = "mlx90614",
        gate: str = "serial_relay",
        ranger: str = "",
        lamp: bool = False,
        world: World | None = None,
    ) -> None:
        """`folder`: of this lane alone, with a short path (Unix sockets); the names are those of drivers; without a
        `ranger` the lane has none; `lamp`: with a lamp and a buzzer.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.world = world or World(noise_c=0.03)
        drivers = {"scanner": scanner, "thermometer": thermometer, "gate": gate, "range": ranger}
        self._drivers = {part: driver for part, driver in drivers.items() if driver}
        self._lamp = lamp
        self._camera: CameraSimulator | None = None
        self._stand_ins: dict[str, StandIn] = {}
        for part, driver in self._drivers.items():
            if driver == "camera":
                self._camera = CameraSimulator(lambda: self.world.code, width=640, height=480, fps=15)
            else:
                self._stand_ins[part] = stand_in(PARTS[part], driver, self.world, folder)

    def device(self, part: str) -> Any:
        """The simulated device itself: what it did, and its faults."""
        return self._camera if self._is_camera(part) else self._stand_ins[part].device

    @property
    def mounts(self) -> dict[str, str]:
        """Bus nodes → sockets, for `i2c_host`."""
        return {node: path for each in self._stand_ins.values() for node, path in each.mounts.items()}

    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """What a configuration has to say of each part."""
        tables = {part: {"driver": self._drivers[part], **each.options} for part, each in self._stand_ins.items()}
        if self._camera is not None:
            tables["scanner"] = {
                "driver": "camera",
                "device": self._camera.url,
                "width": 640,
                "height": 480,
                "fps": 15,
            }
        if self._lamp:
            name, first = ("channel", 1) if "relay" in self._drivers["gate"] else ("pin", 0)
            lights = {light: first + 1 + place for place, light in enumerate(LIGHTS)}
            tables["lamp"] = {**tables["gate"], **lights}
            tables["buzzer"] = {**tables["gate"], name: first + _SOUND - 1}
        return tables

    def shown(self) -> frozenset[str]:
        """Which of `red`, `amber`, `green` and `sound` is on."""
        board = self.device("gate")
        return frozenset(of for relay, of in enumerate((*LIGHTS, "sound"), 2) if self._lamp and board.is_on(relay))

    def greens(self) -> int:
        """How often the lamp has turned green, and dark again. It winks: only after red or amber is it another."""
        if not self._lamp:
            return 0
        board = self.device("gate")
        with board.changed:
            edges = [(relay, on) for _, relay, on in board.changes]
        count, is_new, is_another = 0, False, True
        for relay, on in edges:
            if relay == _GREEN and on:
                is_new, is_another = is_new or is_another, False
            elif relay == _GREEN:
                count, is_new = count + is_new, False
            elif relay in (_RED, _AMBER) and on:
                is_another = True
        return count

    def plug(self, *parts: str) -> None:
        """Plug in these parts; without any, all."""
        for part in parts or self._drivers:
            if self._is_camera(part):
                self.device(part).start()
            else:
                self._wire(part).plug()

    def unplug(self, *parts: str) -> None:
        """Pull these plugs; without any, all."""
        for part in parts or self._drivers:
            if self._is_camera(part):
                self.device(part).stop()
            else:
                self._wire(part).unplug()

    def close(self) -> None:
        """Clear everything away; may be called twice."""
        for part in self._drivers:
            if self._is_camera(part):
                self.device(part).stop()
            else:
                self._wire(part).close()

    def show(self, code: bytes) -> None:
        """Hold a code before the scanner; a scan engine reads it once."""
        self.world.show(code)
        if self._camera is None:
            engine, port = self.device("scanner"), self._wire("scanner")
            if isinstance(engine, LineScanner) and isinstance(port, Port):
                port.send(engine.encode(code))

    def unread(self, part: str) -> int:
        """Bytes that this part has sent and the agent has not read; 0 on a bus, where nothing waits."""
        wire = self._wire(part)
        return wire.unread if isinstance(wire, Port) else 0

    def _is_camera(self, part: str) -> bool:
        return part == "scanner" and self._camera is not None

    def _wire(self, part: str) -> Port | Adapter:
        return self._stand_ins[part].plugged
