"""One output of an I²C port expander: what PCF8574 and MCP23017 share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import BadReply
from drivers.relay_board import PulsedOutput

if TYPE_CHECKING:
    from drivers.wire.i2c import Bus


class ExpanderOutput(PulsedOutput):
    """A driver is this with `prepare`, `read_latch` and `write_latch`.

    Other outputs of the same chip may belong to other lanes: only one bit is ever changed, under the bus's lock.
    """

    def __init__(self, bus: Bus, bit: int, *, active_low: bool, longest_s: float) -> None:
        super().__init__(bus.name, longest_s)
        self._bus = bus
        self._mask = 1 << bit
        self._active_low = active_low

    def prepare(self) -> None:
        """Set the chip up after opening. Raises DriverError."""

    def read_latch(self) -> int:
        """What the outputs are told to be. Raises DriverError."""
        raise NotImplementedError

    def write_latch(self, value: int) -> None:
        """Tell the outputs. Raises DriverError."""
        raise NotImplementedError

    @property
    def simulated(self) -> bool:
        """True when no real chip is behind the bus; known once open."""
        return self._bus.simulated

    def acquire(self) -> None:
        """Take the bus, with the output off before it becomes one."""
        self._bus.open()
        self.switch(on=False)
        self.prepare()

    def switch(self, *, on: bool) -> None:
        """Change the one bit and read it back."""
        with self._bus.held():
            latch = self.read_latch()
            wanted = latch | self._mask if on != self._active_low else latch & ~self._mask
            self.write_latch(wanted)
            if (self.read_latch() ^ wanted) & self._mask:
                raise BadReply(
                    self._bus.name, "the output does not follow", "check for a short circuit or a wrong chip"
                )

    def verify_present(self) -> None:
        """See that the chip answers."""
        self.read_latch()

    def let_go(self) -> None:
        """Let go of the bus."""
        self._bus.close()
