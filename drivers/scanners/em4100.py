"""125 kHz card readers with a serial output: RDM6300, RDM630, ID-12LA and others for EM4100 cards and fobs.

Source: "RDM6300 specification" (Seeed, 125 kHz card mini-module), section "Digital output format"; the data sheet
EM4100 of EM Microelectronic for the number itself.

Wiring: supply 5 V, GND, reader TX to our RX through a divider (5 V levels on the RDM6300); 9600 8N1. Antenna of
50 mm; a card is read within some 40 mm.

    byte   0    1..10                11..12                   13
           02   5 bytes as hex text  exclusive or, hex text   03

Quirks: the reader repeats the frame about each 65 ms while the card lies there, so one sighting is made of them; it
takes no commands, so one that is not there cannot be told from one without a card, except that its port is gone. An
EM4100 number is neither secret nor hard to copy: use it for a list, never as a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from drivers.bounds import Gt
from drivers.card_reader import AWAY_S, CardPresence, payload
from drivers.contract import Proof
from drivers.wire.framing import before
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

if TYPE_CHECKING:
    from drivers.contract import Sighting

BUS, PROOF = "serial", Proof.DOCUMENT
START, END = b"\x02", 0x03
FRAME_BYTES = 14
NUMBER = slice(1, 11)
CHECKED = slice(1, 13)


@dataclass(frozen=True)
class Options:
    """Settings of an EM4100 reader."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed."""
    away_s: Annotated[float, Gt(0)] = AWAY_S
    """Seconds without a frame after which the same card counts as shown again."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal is always marked."""


def step(pending: bytearray) -> tuple[int, str | None]:
    """Bytes pending → bytes spent and the card's number, ten hexadecimal digits."""
    skip = before(pending, START)
    if skip or len(pending) < FRAME_BYTES:
        return skip, None
    text = bytes(pending[CHECKED])
    if pending[FRAME_BYTES - 1] != END or not all(byte in b"0123456789ABCDEFabcdef" for byte in text):
        return 1, None
    check = 0
    for byte in bytes.fromhex(text.decode()):
        check ^= byte
    return (1, None) if check else (FRAME_BYTES, bytes(pending[NUMBER]).decode().upper())


class Driver:
    """A sighting for each card that is laid before the reader."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        line = wire or Uart(options.port, options.baud, simulated=options.simulated)
        self._stream = FrameStream[str](line, step, (options.baud,), silent_s=float("inf"))
        self._presence = CardPresence(options.away_s)

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._stream.line.simulated

    def open(self) -> None:
        """Take the port."""
        self._stream.open()
        self._presence.reset()

    def read(self, limit_s: float) -> Sighting | None:
        """The next card."""
        if (got := self._stream.next(limit_s)) is None:
            return None
        number, at_s = got
        return self._presence.sighting(payload("em4100", number), at_s, simulated=self.simulated)

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()
