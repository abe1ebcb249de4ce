"""A GPIO line of this machine, through the kernel's character device: Pi 5 safe.

Sources: libgpiod 2 Python reference (request_lines, LineSettings); kernel documentation, "GPIO Character Device
Userspace API" (what becomes of a line when it is released); Raspberry Pi documentation for the chips' labels.

Wiring: BCM line number to a transistor or optocoupler that drives the relay, never the relay itself; a resistor
(10 kΩ) to the level that means off, since before the agent starts and after it ends the line is an input or keeps
its level: what it does then is the board's choice, not the kernel's promise.

Needs the extra `gatepost[gpio]`. If the process is killed during a pulse the line is released and most chips leave
it as it was until the agent starts again; where that matters let the gate controller need only an edge. Quirks:
the chip is found by label, since its number changed between kernels. Accuracy of the pulse: the scheduler's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Gt
from drivers.contract import BOARD, OUTPUT, Proof
from drivers.relay_board import PulsedOutput
from drivers.wire.gpio import GpioOutput, Output

BUS, PROOF = "GPIO", Proof.KERNEL


@dataclass(frozen=True)
class Options:
    """Settings of a GPIO output."""

    line: Annotated[int, Ge(0), OUTPUT]
    """Line of the chip; on a Raspberry Pi the BCM number."""
    chip: Annotated[str, BOARD] = ""
    """Label of the chip (`gpiodetect` lists them); empty: the header of a Raspberry Pi."""
    active_low: bool = False
    """Low is on."""
    longest_s: Annotated[float, Gt(0)] = 10.0
    """Longest pulse that may be requested, seconds."""
    simulated: bool = False
    """Mark this output as simulated. A chip of the kernel's gpio-sim is always marked."""


class Driver(PulsedOutput):
    """One line, pulsed."""

    def __init__(self, options: Options, wire: Output | None = None) -> None:
        self._output = wire or GpioOutput(
            options.chip, options.line, active_low=options.active_low, simulated=options.simulated
        )
        super().__init__(self._output.name, options.longest_s)
        self._is_on = False

    @property
    def simulated(self) -> bool:
        """True when no real line is behind it; known once open."""
        return self._output.simulated

    def acquire(self) -> None:
        """Request the line."""
        self._output.open()

    def switch(self, *, on: bool) -> None:
        """Drive the line."""
        self._output.set(active=on)
        self._is_on = on

    def verify_present(self) -> None:
        """Drive the line once more as it is; a chip that is gone refuses."""
        self._output.set(active=self._is_on)

    def let_go(self) -> None:
        """Release the line."""
        self._output.close()
