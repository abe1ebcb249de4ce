"""Grow engines with the SSI protocol: GM67, GM72, GM60-S and their kin.

Source: Hangzhou Grow "GM72 Bar Code Reader Module User Manual", p. 27 (serial port commands, checksum).

Wiring: TTL 8N1 at 9600 or 115200 baud according to the unit, or USB-CDC after scanning "USB virtual serial port".

    frame  length opcode source status params… checksum    length: bytes before the checksum
    sum    16 bits, two's complement of the sum of those bytes, high byte first
    look   04 E4 04 00 FF 14     stop 04 E5 04 00 FF 13     ACK 04 D0 00 00 FF 2C     NAK 05 D1 00 00 why …

Quirks: orders work in host mode only (otherwise NAK 06); ACK and NAK come in the middle of scanned text and are
taken out by form and checksum; a sleeping unit loses the first order, which is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from drivers.scan_engine import ScanEngine
from drivers.wire.uart import Line, Uart

START = bytes.fromhex("04 e4 04 00 ff 14")
STOP = bytes.fromhex("04 e5 04 00 ff 13")
ACK, NAK = 0xD0, 0xD1
LENGTHS = {ACK: 4, NAK: 5}
HEAD_BYTES = 2


@dataclass(frozen=True)
class Options:
    """Settings of a Grow engine."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed; without meaning on USB-CDC."""
    trigger: Literal["engine", "host"] = "engine"
    """Who decides when it looks: the engine (continuous or sensing mode), or this driver, always, by order."""
    rearm_s: Annotated[float, Gt(0)] = 5.0
    """Seconds that the engine looks after one order; it is then ordered again."""
    terminator: Literal["auto", "cr", "lf", "crlf", "tab", "none"] = "auto"
    """What ends a code besides a pause; `none` lets a code hold line ends."""
    idle_gap_s: Annotated[float, Gt(0)] = 0.08
    """Pause that ends a code which has no terminator, seconds."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal is always marked."""


def checksum(body: bytes) -> bytes:
    """Two bytes that make the sum of the frame zero."""
    return (-sum(body) & 0xFFFF).to_bytes(2, "big")


def answer(data: bytes) -> int | None:
    """Length of the ACK or NAK that `data` begins with; 0 when it is none, None when more bytes are needed."""
    if len(data) < HEAD_BYTES:
        return None
    length = LENGTHS.get(data[1], 0)
    if data[0] != length:
        return 0
    if len(data) < length + 2:
        return None
    return length + 2 if checksum(data[:length]) == data[length : length + 2] else 0


class Driver(ScanEngine):
    """Sightings, with the trigger kept pulled where the host has it."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        by_order = options.trigger == "host"
        super().__init__(
            wire or Uart(options.port, options.baud, simulated=options.simulated),
            terminator=options.terminator,
            idle_gap_s=options.idle_gap_s,
            start=START if by_order else b"",
            stop=STOP if by_order else b"",
            rearm_s=options.rearm_s,
            leads=bytes(LENGTHS.values()),
            answer=answer,
        )
