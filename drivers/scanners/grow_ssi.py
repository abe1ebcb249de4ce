"""Grow engines with the SSI protocol: GM67, GM72, GM60-S and their kin.

Source: Hangzhou Grow "GM72 Bar Code Reader Module User Manual", p. 27 (serial port commands, checksum).

Wiring: TTL 8N1 at 9600 or 115200 baud according to the unit, or USB-CDC after scanning "USB virtual serial port".

    frame  length opcode source status params… checksum    length: bytes before the checksum
    sum    16 bits, two's complement of the sum of those bytes, high byte first
    look   04 E4 04 00 FF 14     stop 04 E5 04 00 FF 13     ACK 04 D0 00 00 FF 2C     NAK 05 D1 00 00 why …

Quirks: commands work in host mode only (otherwise NAK 06); ACK and NAK come in the middle of scanned text and are
taken out by form and checksum; a sleeping unit loses the first command, which is repeated.
"""

from __future__ import annotations

from drivers.contract import Proof
from drivers.scan_engine import ScanEngine, TriggerOptions

BUS, PROOF = "serial, USB-CDC", Proof.DOCUMENT
START = bytes.fromhex("04 e4 04 00 ff 14")
STOP = bytes.fromhex("04 e5 04 00 ff 13")
ACK, NAK = 0xD0, 0xD1
LENGTHS = {ACK: 4, NAK: 5}
HEAD_BYTES = 2


class Options(TriggerOptions):
    """Settings of a Grow engine."""


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

    start, stop = START, STOP
    leads = bytes(LENGTHS.values())
    answer = staticmethod(answer)
