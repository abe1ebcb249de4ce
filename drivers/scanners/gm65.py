"""GM65 family: GM65, GM66, GM805, GM810, GM861, EM1365 and boards sold by Waveshare and others.

Source: "GM65 Bar Code Reader Module User Manual" (protocol chapter, zone table; as kept in
github.com/bezahl-online/gm65, docs/gm65_manual.pdf).

Wiring: TTL 8N1 at 9600 baud, or USB-CDC after scanning the manual's "virtual serial port" code.

    command   7E 00 type len address CRC-16         type 07 read, 08 write, 09 save; CRC over type … data
    answer  02 00 type len data… CRC-16           CRC-16/XMODEM; a command that is wrong gets no answer
    look    7E 00 08 01 00 02 01 02 DA            write 1 to zone 0002 (needs command mode, zone 0000 = xx01)

Quirks: answers come in the middle of scanned text and are taken out by length and checksum; text is sent as GBK
unless zone 000D says otherwise, so code payloads should be ASCII; nothing is ever saved to its flash.
"""

from __future__ import annotations

from drivers.contract import Proof
from drivers.scan_engine import ScanEngine, TriggerOptions
from drivers.wire.framing import crc16_xmodem

BUS, PROOF = "serial, USB-CDC", Proof.DOCUMENT
HEAD = b"\x02\x00"
START = bytes.fromhex("7e 00 08 01 00 02 01 02 da")
STOP = b""
FRAME_BYTES = 6
"""Of an answer without data."""


class Options(TriggerOptions):
    """Settings of a GM65."""


def answer(data: bytes) -> int | None:
    """Length of the answer that `data` begins with; 0 when it is none, None when more bytes are needed."""
    if not data.startswith(HEAD[: len(data)]):
        return 0
    size = FRAME_BYTES + data[3] if len(data) >= FRAME_BYTES else FRAME_BYTES
    if len(data) < size:
        return None
    return size if crc16_xmodem(data[2 : size - 2]).to_bytes(2, "big") == data[size - 2 : size] else 0


class Driver(ScanEngine):
    """Sightings, with the trigger kept pulled where the host has it."""

    start, stop = START, STOP
    answer = staticmethod(answer)
