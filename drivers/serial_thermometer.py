"""What all serial thermometers share: frames in, believable readings out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from drivers.contract import BadReply, Reading
from drivers.plausibility import FreezeDetector

if TYPE_CHECKING:
    from drivers.wire.stream import FrameStream

Fault: TypeAlias = str
"""What a device says is wrong with it, in a correct frame."""
Measured: TypeAlias = "tuple[float, float | None] | Fault"
"""Object and sensor in degrees Celsius, as one frame says; None where the device does not tell the second."""
FAULT_S = 3.0
"""How long a device may report a fault before it is given up: warming up and saturation pass."""


class SerialThermometer:
    """A driver is this with its own line, step function and bounds."""

    def __init__(
        self,
        stream: FrameStream[Measured],
        *,
        u_c: float,
        bounds_c: tuple[float, float],
        frozen_s: float,
    ) -> None:
        """`bounds_c`: what the device can report; a value outside is no reading."""
        self._stream = stream
        self._u_c = u_c
        self._bounds_c = bounds_c
        self._pulse: FreezeDetector[Measured] = FreezeDetector(frozen_s)
        self._faulty_since_s: float | None = None

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._stream.line.simulated

    def open(self) -> None:
        """Take the port and make the device talk."""
        self._stream.open()
        self._pulse.reset()
        self._faulty_since_s = None

    def read(self, limit_s: float) -> Reading | None:
        """The next frame's temperatures."""
        if (got := self._stream.next(limit_s)) is None:
            return None
        measured, at_s = got
        line = self._stream.line
        if isinstance(measured, str):
            self._endure(measured, at_s)
            return None
        self._faulty_since_s = None
        if self._pulse.is_frozen(measured, at_s):
            raise BadReply(line.name, "repeats one value", "switch its power off and on")
        surface_c, sensor_c = measured
        least_c, most_c = self._bounds_c
        if not least_c <= surface_c <= most_c:
            return None
        return Reading(surface_c, at_s, self._u_c, sensor_c=sensor_c, simulated=line.simulated)

    def _endure(self, fault: Fault, at_s: float) -> None:
        if self._faulty_since_s is None:
            self._faulty_since_s = at_s
        if at_s - self._faulty_since_s > FAULT_S:
            raise BadReply(self._stream.line.name, fault, "see the device's manual")

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()
