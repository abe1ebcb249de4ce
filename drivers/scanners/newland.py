"""Newland engines and readers with the UDI protocol (NLS-HR, -FM, -EM series; also in Sunmi and Telpo devices).

Source: Newland NLS-HR52 user guide, p. 35 ("Unified Device Interface": command and reply format, programming
commands).

Wiring: USB-CDC (scan the guide's "USB CDC" code), or RS-232/TTL 8N1 at 9600 baud.

    order  7E 01 "0000" "#" tag sub data ; 03      "#" temporary, "@" permanent
    reply  02 01 "0000" … 06 | 15 | 05 ; 03        done, bad value, unknown
    look   ~ SOH 0000#SCNTRG1; ETX                 stop: SCNTRG0

Quirks: replies come in the middle of scanned text and are taken out by form; only temporary orders are sent, since
permanent ones wear the flash; orders need 50 ms between them; factory exposure suits phone screens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from drivers.scan_engine import ScanEngine
from drivers.wire.uart import Line, Uart

HEAD, TAIL = b"\x02\x010000", b";\x03"
LONGEST = 64
START = b"\x7e\x010000#SCNTRG1;\x03"
STOP = b"\x7e\x010000#SCNTRG0;\x03"


@dataclass(frozen=True)
class Options:
    """Settings of a Newland engine."""

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

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        by_order = options.trigger == "host"
        super().__init__(
            wire or Uart(options.port, options.baud, simulated=options.simulated),
            terminator=options.terminator,
            idle_gap_s=options.idle_gap_s,
            start=START if by_order else b"",
            stop=STOP if by_order else b"",
            rearm_s=options.rearm_s,
            answer=answer,
        )
