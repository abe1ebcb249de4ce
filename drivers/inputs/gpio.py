"""A push button or contact on a GPIO line of this machine: the button beside an exit.

Source: libgpiod 2 Python reference (request_lines, edge events, debounce); kernel documentation, "GPIO Character
Device Userspace API". A button of the kind that access control uses: a contact without voltage.

Wiring: the contact between the line (BCM number) and GND, with `pull = "up"` and `active_low = true` as by
default; cable up to some metres, beyond that an optocoupler. Let the gate's own release also hang on the button
directly: what lets people out must not need a computer.

Needs the extra `gatepost[gpio]`. Accuracy: an event within milliseconds. Quirks: contacts bounce, so a change
counts once it has lasted `debounce_ms`; a button that is held, or stuck, is one press.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.bounds import Ge, Le
from drivers.contract import Pressed, Proof
from drivers.wire.gpio import GpioInput, Input

BUS, PROOF = "GPIO", Proof.SIMULATOR


@dataclass(frozen=True)
class Options:
    """Settings of a button on a GPIO line."""

    line: Annotated[int, Ge(0)]
    """Line of the chip; on a Raspberry Pi the BCM number."""
    chip: str = ""
    """Label of the chip (`gpiodetect` lists them); empty: the header of a Raspberry Pi."""
    active_low: bool = True
    """Low is pressed."""
    pull: Literal["up", "down", "none"] = "up"
    """The line's own resistor: up, down or none."""
    debounce_ms: Annotated[int, Ge(0), Le(500)] = 30
    """A change counts once it has lasted so long, milliseconds."""
    simulated: bool = False
    """Mark all presses as simulated. A chip of the kernel's gpio-sim is always marked."""


class Driver:
    """A press each time that the contact closes."""

    def __init__(self, options: Options, wire: Input | None = None) -> None:
        self._input = wire or GpioInput(
            options.chip, options.line, active_low=options.active_low, pull=options.pull,
            debounce_ms=options.debounce_ms, simulated=options.simulated,
        )  # fmt: skip

    @property
    def simulated(self) -> bool:
        """True when no real line is behind it; known once open."""
        return self._input.simulated

    def open(self) -> None:
        """Request the line."""
        self._input.open()

    def read(self, limit_s: float) -> Pressed | None:
        """The next press."""
        return Pressed(time.monotonic(), self.simulated) if self._input.wait_active(limit_s) else None

    def close(self) -> None:
        """Release the line."""
        self._input.close()
