"""Honeywell engines and readers, and others that took over their serial trigger (HHP, Datalogic in HHP mode, NCR).

Source: Honeywell user guides, chapter "Serial trigger mode" (Xenon 1900, Voyager 1400g, Vuquest 3310g).

Wiring: USB-CDC ("USB serial" code of the guide, TRMUSB130) or RS-232/TTL 8N1 at 9600 or 115200 baud.

    look  16 54 0D (SYN T CR)      stop  16 55 0D (SYN U CR)

Quirks: the orders work in manual/serial trigger mode only (TRGMOD0; presentation mode needs none) and are not
answered; Honeywell's default suffix is CR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from drivers.scan_engine import ScanEngine
from drivers.wire.uart import Line, Uart

START = b"\x16T\r"
STOP = b"\x16U\r"


@dataclass(frozen=True)
class Options:
    """Settings of a Honeywell engine."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed; without meaning on USB-CDC."""
    trigger: Literal["engine", "host"] = "host"
    """Who decides when it looks: the engine (continuous or sensing mode), or this driver, always, by order."""
    rearm_s: Annotated[float, Gt(0)] = 5.0
    """Seconds that the engine looks after one order; it is then ordered again."""
    terminator: Literal["auto", "cr", "lf", "crlf", "tab", "none"] = "auto"
    """What ends a code besides a pause; `none` lets a code hold line ends."""
    idle_gap_s: Annotated[float, Gt(0)] = 0.08
    """Pause that ends a code which has no terminator, seconds."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal is always marked."""


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
        )
