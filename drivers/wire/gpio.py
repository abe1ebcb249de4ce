"""GPIO lines: the one place where gpiod (libgpiod 2) is met, which is an optional extra.

A chip is found by its label, never by its number: the header of a Raspberry Pi 5 was gpiochip4 and became gpiochip0
with kernel 6.6.45, but its label has always been pinctrl-rp1.
"""

from __future__ import annotations

import contextlib
import errno
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from drivers.contract import BadOptions, DeviceGone

if TYPE_CHECKING:
    from gpiod import LineRequest

HEADERS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chips that the 40-pin header hangs on: Pi 5, Pi 4, older ones."""
DEVICES = Path("/sys/bus/gpio/devices")
SIMULATORS = ("gpio-sim", "gpio-mockup")
"""Drivers of the kernel's simulated chips, whose labels may say anything."""


class Output(Protocol):
    """One output line."""

    name: str
    simulated: bool

    def open(self) -> None:
        """Request the line as an output, inactive. Raises DriverError."""

    def set(self, *, active: bool) -> None:
        """Drive the line. Raises DeviceGone."""

    def close(self) -> None:
        """Release the line. Never raises."""


class GpioOutput:
    """A line of a chip of this machine."""

    def __init__(self, label: str, line: int, *, active_low: bool = False, simulated: bool = False) -> None:
        """`label`: of the chip; empty finds the header of any Raspberry Pi."""
        self.name = f"GPIO {line} of {label or 'the header'}"
        self.simulated = simulated
        self._label = label
        self._line = line
        self._active_low = active_low
        self._request: LineRequest | None = None

    def open(self) -> None:
        """Request the line as an output, inactive. Raises DeviceGone, BadOptions."""
        self.close()
        try:
            import gpiod  # noqa: PLC0415 - an extra: only who uses it needs it
            from gpiod.line import Direction, Value  # noqa: PLC0415 - an extra
        except ImportError:
            raise BadOptions(self.name, "gpiod is not installed", "install the extra: gatepost[gpio]") from None
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, active_low=self._active_low, output_value=Value.INACTIVE
        )
        try:
            path = self._chip()
            self._request = gpiod.request_lines(path, {self._line: settings}, consumer="gatepost")
        except (OSError, ValueError) as trouble:
            raise self._not_opened(trouble) from trouble

    def set(self, *, active: bool) -> None:
        """Drive the line. Raises DeviceGone."""
        from gpiod.line import Value  # noqa: PLC0415 - an extra

        if self._request is None:
            raise DeviceGone(self.name, "the line is not requested")
        try:
            self._request.set_value(self._line, Value.ACTIVE if active else Value.INACTIVE)
        except OSError as trouble:
            raise DeviceGone(self.name, "the line went away", "check the chip") from trouble

    def close(self) -> None:
        """Release the line."""
        request, self._request = self._request, None
        if request is not None:
            with contextlib.suppress(Exception):  # whatever libgpiod says, the line is let go
                request.release()

    def _chip(self) -> str:
        wanted = (self._label,) if self._label else HEADERS
        there = chips()
        for path, label in there.items():
            if label in wanted:
                self.simulated = self.simulated or is_simulated(path)
                return path
        known = ", ".join(sorted(there.values())) or "none"
        raise DeviceGone(self.name, "no chip with this label", f"labels there are: {known}")

    def _not_opened(self, trouble: OSError | ValueError) -> DeviceGone:
        code = getattr(trouble, "errno", None)
        if code in (errno.EACCES, errno.EPERM):
            return DeviceGone(self.name, "permission denied", "add the user to group gpio")
        if code == errno.EBUSY:
            return DeviceGone(self.name, "the line is in use", "`gpioinfo` says by whom")
        return DeviceGone(self.name, "the chip has no such line", "check the number")


class Input(Protocol):
    """One input line."""

    simulated: bool

    def open(self) -> None:
        """Request the line as an input. Raises DriverError."""

    def wait_active(self, limit_s: float) -> bool:
        """Whether it became active within the limit. Raises DeviceGone."""

    def close(self) -> None:
        """Release the line. Never raises."""


class GpioInput(GpioOutput):
    """A line that is read: the kernel tells when it becomes active."""

    def __init__(
        self, label: str, line: int, *, active_low: bool = False, pull: str = "none", debounce_ms: int = 0,
        simulated: bool = False,
    ) -> None:  # fmt: skip
        """`pull`: `up`, `down` or `none`; a change counts once it has lasted `debounce_ms`."""
        super().__init__(label, line, active_low=active_low, simulated=simulated)
        self._pull, self._debounce_ms = pull, debounce_ms

    def open(self) -> None:
        """Request the line as an input. Raises DeviceGone, BadOptions."""
        self.close()
        try:
            import gpiod  # noqa: PLC0415 - an extra: only who uses it needs it
            from gpiod.line import Bias, Direction, Edge  # noqa: PLC0415 - an extra
        except ImportError:
            raise BadOptions(self.name, "gpiod is not installed", "install the extra: gatepost[gpio]") from None
        pulls = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN}
        settings = gpiod.LineSettings(
            direction=Direction.INPUT, active_low=self._active_low, edge_detection=Edge.RISING,
            bias=pulls.get(self._pull, Bias.DISABLED), debounce_period=timedelta(milliseconds=self._debounce_ms),
        )  # fmt: skip
        try:
            self._request = gpiod.request_lines(self._chip(), {self._line: settings}, consumer="gatepost")
        except (OSError, ValueError) as trouble:
            raise self._not_opened(trouble) from trouble

    def wait_active(self, limit_s: float) -> bool:
        """Whether it became active within the limit; several times count as one. Raises DeviceGone."""
        request = self._request
        if request is None:
            raise DeviceGone(self.name, "the line is not requested")
        try:
            return request.wait_edge_events(limit_s) and bool(request.read_edge_events())
        except (OSError, ValueError) as trouble:
            raise DeviceGone(self.name, "the line went away", "check the chip") from trouble
        except Exception as trouble:  # closed by another thread while it waited
            if self._request is None:
                raise DeviceGone(self.name, "the line was released") from trouble
            raise


def is_simulated(path: str) -> bool:
    """Whether the chip is one of the kernel's simulators, by the device that it hangs on."""
    device = os.path.realpath(DEVICES / Path(path).name)
    return any(f"/{driver}." in device for driver in SIMULATORS)


def chips() -> dict[str, str]:
    """GPIO chips of this machine: path → label. Those that may not be opened are left out."""
    import gpiod  # noqa: PLC0415 - an extra

    found = {}
    for path in sorted(str(path) for path in Path("/dev").glob("gpiochip*")):
        with contextlib.suppress(OSError), gpiod.Chip(path) as chip:
            found[path] = chip.get_info().label
    return found
