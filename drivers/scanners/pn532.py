"""NXP PN532 boards: contactless cards of ISO/IEC 14443 type A (MIFARE, DESFire, phones), by serial line or I²C.

Source: NXP UM0701-02 "PN532 User Manual" Rev 02: §6.2.1 (frames), §6.2.3 (I²C), §7.2.2 (GetFirmwareVersion),
§7.2.10 (SAMConfiguration), §7.3.1 (RFConfiguration), §7.3.5 (InListPassiveTarget).

Wiring: board switches to HSU (serial, 115200 8N1, 3.3 V levels) or to I²C (SDA, SCL with pull-ups, address 0x24);
supply 3.3 or 5 V as the board says, 150 mA in bursts.

    frame  00 00 FF  LEN LCS  D4|D5 command data…  DCS  00        LEN + LCS = 0, sum from D4 on + DCS = 0 (mod 256)
    ack    00 00 FF 00 FF 00                                      on I²C each read begins with a byte: 01 is ready

Quirks: after power-on a serial board sleeps until it hears 55 55; a board on I²C stretches the clock, so use a bus
that can (a Raspberry Pi's `i2c-gpio`, not its own controller, when reads fail). An id of four bytes that begins
with 08 is random each time (ISO/IEC 14443-3 §6.5.4): it names no card and is handed over as `random`. An id
can be copied: use it for a list, never as a proof. Resident identity cards answer to type B only: see `id_card`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Protocol, cast

from drivers.bounds import Ge, Gt, Le
from drivers.card_reader import AWAY_S, PolledCardReader, payload
from drivers.contract import BadReply, DeviceGone, DriverError, Proof
from drivers.wire.framing import Framer, before
from drivers.wire.i2c import Bus, I2cBus
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial, I²C", Proof.COMPUTED
START = b"\x00\xff"
ACK = b"\x00\x00\xff\x00\xff\x00"
BAUD = 115200
WAKE = b"\x55\x55" + bytes(14)
TO_CHIP, FROM_CHIP = 0xD4, 0xD5
READY = 0x01
ANSWER_S = 0.25
"""A command is answered within 40 ms with the retries that are set; a board that is there never needs longer."""
FIRMWARE, SAM, RF, FIND = b"\x02", b"\x14\x01\x00\x00", b"\x32\x05\xff\x01\x02", b"\x4a\x01\x00"
"""Version; no security module; two tries to wake a card; find one card of type A at 106 kbit/s."""
ADVICE = "check power, wires and switches (HSU: both 0; I²C: 1, 0), and that it talks at 115200 baud"
RANDOM = 0x08
I2C_READ_BYTES = 40
"""Ready byte and the longest answer to the commands above: one card with an id of ten bytes and its ATS."""


@dataclass(frozen=True)
class Options:
    """Settings of a PN532 board."""

    port: str = ""
    """Serial port of a board switched to HSU, best by its /dev/serial/by-id name; empty: it is on `bus`."""
    bus: str = "/dev/i2c-1"
    """I²C bus device of a board switched to I²C."""
    address: Annotated[int, Ge(0x08), Le(0x77)] = 0x24
    """7-bit bus address."""
    period_s: Annotated[float, Gt(0)] = 0.1
    """Seconds between two looks for a card."""
    away_s: Annotated[float, Gt(0)] = AWAY_S
    """Seconds without it after which the same card counts as shown again."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal, or a node that is no real bus, is always marked."""


def frame(body: bytes) -> bytes:
    """The frame that carries a command."""
    content = bytes((TO_CHIP,)) + body
    return (
        b"\x00\x00\xff" + bytes((len(content), -len(content) & 0xFF)) + content + bytes((-sum(content) & 0xFF, 0))
    )


def step(pending: bytearray) -> tuple[int, bytes | None]:
    """Bytes pending → bytes spent and the body of a reply; an acknowledgement is an empty body."""
    skip = before(pending, START)
    if skip or len(pending) < 4:  # noqa: PLR2004 - start code, length and its check
        return skip, None
    if pending[2:4] == b"\x00\xff":
        return 4, b""
    size = pending[2]
    if (size + pending[3]) & 0xFF or not size:
        return 1, None
    if len(pending) < 5 + size:
        return 0, None
    content = bytes(pending[4 : 4 + size])
    if (sum(content) + pending[4 + size]) & 0xFF or content[0] != FROM_CHIP:
        return 1, None
    return 5 + size, content[1:]


def card_id(reply: bytes) -> bytes:
    """The id in the reply to FIND; empty when no card is there. Raises ValueError when it is no such reply."""
    if len(reply) < 2 or reply[0] != FIND[0] + 1:  # noqa: PLR2004 - code and count
        raise ValueError("no reply to InListPassiveTarget")
    if reply[1] == 0:
        return b""
    size = reply[6] if len(reply) > 6 else 0  # noqa: PLR2004 - after target, SENS_RES and SEL_RES
    found = reply[7 : 7 + size]
    if size not in (4, 7, 10) or len(found) != size:
        raise ValueError("a card's id has 4, 7 or 10 bytes")
    return found


def number(found: bytes) -> str:
    """How an id is written in a payload."""
    return "random" if len(found) == 4 and found[0] == RANDOM else found.hex().upper()  # noqa: PLR2004


class Pn532Wire(Protocol):
    """How a board is reached."""

    name: str

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""

    def open(self) -> None:
        """Take the wire, and wake the board."""

    def query(self, body: bytes) -> bytes:
        """The body of the reply to a command; empty when there is none in time.

        Raises DeviceGone when the wire is gone, ValueError on junk.
        """

    def close(self) -> None:
        """Let go. Never raises."""


class SerialLink:
    """A board switched to HSU."""

    def __init__(self, line: Line) -> None:
        self.name = line.name
        self._line = line

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._line.simulated

    def open(self) -> None:
        """Take the line, and wake the board."""
        self._line.open()
        self._line.write(WAKE)

    def query(self, body: bytes) -> bytes:
        """The body of the reply to a command."""
        self._line.drain()
        self._line.write(frame(body))
        framer: Framer[bytes] = Framer(step)
        end_s, heard = time.monotonic() + ANSWER_S, 0
        while (left_s := end_s - time.monotonic()) > 0:
            data = self._line.read(left_s)
            heard += len(data)
            for reply in framer.feed(data):
                if reply:
                    return reply
        if heard:
            raise ValueError("answers with what is no frame of a PN532")
        return b""

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()


class I2cLink:
    """A board switched to I²C."""

    def __init__(self, bus: Bus, address: int) -> None:
        self.name = f"{bus.name} 0x{address:02x}"
        self._bus = bus
        self._address = address

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._bus.simulated

    def open(self) -> None:
        """Take the bus."""
        self._bus.open()

    def query(self, body: bytes) -> bytes:
        """The body of the reply to a command: acknowledgement and reply are two reads."""
        self._bus.transfer(self._address, frame(body), 0)
        end_s = time.monotonic() + ANSWER_S
        while time.monotonic() < end_s:
            read = self._bus.transfer(self._address, b"", I2C_READ_BYTES)
            if read[0] != READY:
                time.sleep(0.002)
                continue
            for reply in Framer(step).feed(read[1:]):
                if reply:
                    return reply
        return b""

    def close(self) -> None:
        """Let go of the bus."""
        self._bus.close()


class Driver(PolledCardReader):
    """A sighting for each card that is laid before the reader."""

    def __init__(self, options: Options, wire: Line | Bus | None = None) -> None:
        self._link: Pn532Wire = _link(options, wire)
        super().__init__(options.period_s, options.away_s)

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._link.simulated

    def open(self) -> None:
        """Take the wire, see that a PN532 answers, and set it up."""
        self._link.open()
        try:
            replies = [self._link.query(each)[:1] for each in (FIRMWARE, SAM, RF)]
        except ValueError as trouble:
            self._link.close()
            raise BadReply(self._link.name, str(trouble), ADVICE) from trouble
        except DriverError:
            self._link.close()
            raise
        if replies != [b"\x03", b"\x15", b"\x33"]:
            self._link.close()
            fact = "is no PN532" if any(replies) else "does not answer"
            raise DeviceGone(self._link.name, fact, ADVICE)
        self.begin()

    def find(self) -> bytes | None:
        """The card that lies there."""
        try:
            if not (reply := self._link.query(FIND)):
                return None
            found = card_id(reply)
        except ValueError as trouble:
            raise BadReply(self._link.name, str(trouble), ADVICE) from trouble
        return payload("iso14443a", number(found)) if found else b""

    def silence(self) -> BadReply:
        """The fault of a chip that does not answer."""
        return BadReply(self._link.name, "does not answer", ADVICE)

    def close(self) -> None:
        """Let go of the wire."""
        self._link.close()


def _link(options: Options, wire: Line | Bus | None) -> Pn532Wire:
    if not options.port:
        return I2cLink(
            cast("Bus | None", wire) or I2cBus(options.bus, simulated=options.simulated), options.address
        )
    return SerialLink(cast("Line | None", wire) or Uart(options.port, BAUD, simulated=options.simulated))
