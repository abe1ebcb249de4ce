"""LCUS-type USB relay boards (LC Technology LCUS-1/-2/-4/-8, CH340).

Source: LC Technology "LC USB switch" communication protocol as printed with the LCUS-1 (start A0, channel, state,
checksum; 9600 8N1; ON = A0 01 01 A2, OFF = A0 01 00 A1).

Wiring: USB. COM and NO of the relay to the gate controller's "open" input.

    byte   0   1            2               3
           A0  channel 1…8  0 off, 1 on     low byte of the sum of bytes 0..2

The relay latches: it stays on until OFF arrives, so this driver sends OFF from a thread of its own, which outlives
the caller and which the interpreter waits for on its way out. What is left: if the process is killed outright while
the relay is on, it stays on until the agent starts again (opening sends OFF first) or USB power goes. Where that
matters, take a gate controller that needs only an edge, or a board that times the pulse itself. Emergency egress
must never hang on this board. Quirks: no answer to any command, so a welded or absent relay cannot be told; OFF is
sent twice. Accuracy of the pulse: the scheduler's, some milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BOARD, OUTPUT, Proof
from drivers.relay_board import PulsedOutput
from drivers.wire.framing import sum8
from drivers.wire.shared import SharedUart

if TYPE_CHECKING:
    from drivers.wire.uart import Line

BUS, PROOF = "USB", Proof.DOCUMENT
START = 0xA0
BAUD = 9600


@dataclass(frozen=True)
class Options:
    """Settings of a relay board."""

    port: Annotated[str, BOARD]
    """Serial port, best by its /dev/serial/by-path name: CH340 boards have no serial number."""
    channel: Annotated[int, Ge(1), Le(8), OUTPUT] = 1
    """Which relay of the board, from 1."""
    longest_s: Annotated[float, Gt(0)] = 10.0
    """Longest pulse that may be requested, seconds."""
    simulated: bool = False
    """Mark this output as simulated. A pseudo-terminal is always marked."""


def command(channel: int, *, on: bool) -> bytes:
    """The four bytes that switch a relay."""
    head = bytes((START, channel, int(on)))
    return head + bytes((sum8(head),))


class Driver(PulsedOutput):
    """One relay, pulsed."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        super().__init__(options.port, options.longest_s)
        self._channel = options.channel
        self._line = wire or SharedUart(options.port, BAUD, simulated=options.simulated)

    @property
    def simulated(self) -> bool:
        """True when no real board is behind the port."""
        return self._line.simulated

    def acquire(self) -> None:
        """Take the port; the board's other relays may be other parts'."""
        self._line.open()

    def switch(self, *, on: bool) -> None:
        """Command the relay; OFF is said twice, since no answer tells whether it was heard."""
        self._line.write(command(self._channel, on=on) * (1 if on else 2))

    def verify_present(self) -> None:
        """See that the port is there. The board itself never answers, and takes its relay's power with it."""
        self._line.drain()

    def let_go(self) -> None:
        """Let go of the port."""
        self._line.close()
