"""Readers of the Chinese resident identity card (居民身份证) with an SDT serial module: SS-628, CVR-100.

Source: GA/T 450-2013 "Technical requirements for resident identity card readers", the makers' serial protocol
("SDTAPI communication protocol"): frame, commands 20 01 (find), 20 02 (select), 30 01 (read); GB 11643-1999 for the
number's check digit.

Wiring: USB serial or RS-232 at 115200 8N1.

    frame   AA AA AA 96 69  LEN(2)  command(2) or status(3)  data…  exclusive or of LEN to the last byte before it
    reply   … 00 00 9F found, 00 00 90 done, 00 00 80/81/41 no card, not selected, not read
    data of a read: 2 bytes size of the text, 2 of the picture, then text (UTF-16LE; the number: bytes 122 to 157)

Only the number is taken, and the rest of the reply, name and picture included, goes no further than this file's
buffer. A card that was read is not found again until it has left the field.

Quirks: a number can be guessed, so a list of numbers betrays whom it names; whether documents are read at all is
the venue's signed decision. Accuracy: the module has verified the card's signature; this
file only the check digit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Annotated

from drivers.bounds import Gt
from drivers.card_reader import AWAY_S, PATIENCE, PolledCardReader, payload
from drivers.contract import BadReply, DeviceGone, DriverError, Proof
from drivers.wire.framing import Framer, before
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial", Proof.DOCUMENT
HEADER = b"\xaa\xaa\xaa\x96\x69"
FIND, SELECT, READ = b"\x20\x01", b"\x20\x02", b"\x30\x01"
FOUND, DONE = b"\x00\x00\x9f", b"\x00\x00\x90"
NUMBER_AT, NUMBER_BYTES = 122, 36
SIZES_BYTES = 4
LONGEST_FRAME = 2000
ANSWER_S, READ_S = 0.25, 2.0
"""Find and select take some 20 ms, a read with its picture up to a second."""
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_DIGITS = "10X98765432"


@dataclass(frozen=True)
class Options:
    """Settings of an identity-card reader."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 115200
    """Line speed."""
    period_s: Annotated[float, Gt(0)] = 0.3
    """Seconds between two looks for a card."""
    away_s: Annotated[float, Gt(0)] = AWAY_S
    """Seconds without it after which the same card counts as shown again."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal is always marked."""


def frame(body: bytes) -> bytes:
    """The frame that carries a command: the length counts the body and the check."""
    content = (len(body) + 1).to_bytes(2, "big") + body
    return HEADER + content + bytes((reduce(xor, content),))


def step(pending: bytearray) -> tuple[int, bytes | None]:
    """Bytes pending → bytes spent and a reply: three bytes of status and its data."""
    skip = before(pending, HEADER)
    head = len(HEADER) + 2
    if skip or len(pending) < head:
        return skip, None
    size = int.from_bytes(pending[len(HEADER) : head], "big")
    if not 4 <= size <= LONGEST_FRAME:  # noqa: PLR2004 - status and check
        return 1, None
    if len(pending) < head + size:
        return 0, None
    if reduce(xor, pending[len(HEADER) : head + size]):
        return 1, None
    return head + size, bytes(pending[head : head + size - 1])


def number(reply: bytes) -> str:
    """The citizen's number in the reply to READ. Raises ValueError, without a digit of it, when there is none."""
    at = len(DONE) + SIZES_BYTES + NUMBER_AT
    text = reply[at : at + NUMBER_BYTES].decode("utf-16-le", "replace")
    digits = text[:17]
    if len(text) != 18 or not (digits.isascii() and digits.isdecimal()):  # noqa: PLR2004 - GB 11643
        raise ValueError("the card's number has not 18 characters")
    total = sum(int(digit) * weight for digit, weight in zip(digits, WEIGHTS, strict=True))
    if CHECK_DIGITS[total % 11] != text[17]:
        raise ValueError("the card's number has a wrong check digit")
    return text


class Driver(PolledCardReader):
    """A sighting for each card that is laid before the reader."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        self._line = wire or Uart(options.port, options.baud, simulated=options.simulated)
        super().__init__(options.period_s, options.away_s)

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._line.simulated

    def open(self) -> None:
        """Take the port, and see that a module answers."""
        self._line.open()
        try:
            if not any(self._query(FIND, ANSWER_S) for _ in range(PATIENCE)):
                raise self.silence()
        except DriverError:
            self._line.close()
            raise
        self.begin()

    def close(self) -> None:
        """Let go of the port."""
        self._line.close()

    def find(self) -> bytes | None:
        """A card that has come; empty when there is none, or it was taken away too soon. Raises BadReply also when
        the card's number is none.
        """
        for command, limit_s, wanted in ((FIND, ANSWER_S, FOUND), (SELECT, ANSWER_S, DONE), (READ, READ_S, DONE)):
            reply = self._query(command, limit_s)
            if not reply:
                return None
            if not reply.startswith(wanted):
                return b""
        try:
            return payload("prc-id", number(reply))
        except ValueError as trouble:
            raise BadReply(self._line.name, str(trouble), "try another card") from trouble

    def silence(self) -> DeviceGone:
        """The fault of a module that does not answer."""
        return DeviceGone(self._line.name, "does not answer", "check its power, and that its TX goes to our RX")

    def _query(self, body: bytes, limit_s: float) -> bytes:
        """The reply to a command; empty on silence. Raises BadReply on junk."""
        self._line.drain()
        self._line.write(frame(body))
        framer: Framer[bytes] = Framer(step)
        end_s, heard = time.monotonic() + limit_s, 0
        while (left_s := end_s - time.monotonic()) > 0:
            data = self._line.read(left_s)
            heard += len(data)
            for reply in framer.feed(data):
                return reply
        if heard:
            raise BadReply(self._line.name, "answers with what is no frame of an SDT module", "check its speed")
        return b""
