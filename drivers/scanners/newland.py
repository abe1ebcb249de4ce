"""Newland engines and readers with the UDI protocol (NLS-HR, -FM, -EM series; also in Sunmi and Telpo devices).

Source: Newland NLS-HR52 user guide, p. 35 ("Unified Device Interface": command and reply format, programming
commands).

Wiring: USB-CDC (scan the guide's "USB CDC" code), or RS-232/TTL 8N1 at 9600 baud.

    command  7E 01 "0000" "#" tag sub data ; 03      "#" temporary, "@" permanent
    reply  02 01 "0000" … 06 | 15 | 05 ; 03        done, bad value, unknown
    look   ~ SOH 0000#SCNTRG1; ETX                 stop: SCNTRG0

Quirks: replies come in the middle of scanned text and are taken out by form; only temporary commands are sent,
since permanent ones wear the flash; commands need 50 ms between them; factory exposure suits phone screens.
"""

from __future__ import annotations

from drivers.contract import Proof
from drivers.scan_engine import ScanEngine, TriggerOptions

BUS, PROOF = "serial, USB-CDC", Proof.DOCUMENT
HEAD, TAIL = b"\x02\x010000", b";\x03"
LONGEST = 64
START = b"\x7e\x010000#SCNTRG1;\x03"
STOP = b"\x7e\x010000#SCNTRG0;\x03"


class Options(TriggerOptions):
    """Settings of a Newland engine."""


def answer(data: bytes) -> int | None:
    """Length of the reply that `data` begins with; 0 when it is none, None when more bytes are needed."""
    if not data.startswith(HEAD[: len(data)]):
        return 0
    end = data.find(TAIL, len(HEAD), LONGEST)
    if end < 0:
        return 0 if len(data) >= LONGEST else None
    return end + len(TAIL)


class Driver(ScanEngine):
    """Sightings, with the trigger kept pulled where the host has it."""

    start, stop = START, STOP
    answer = staticmethod(answer)
