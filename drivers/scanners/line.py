"""Any scan engine in serial line mode: text, then a terminator or a pause.

Sources: the suffix and interface chapters that scan engines have in common: Newland NLS-HR52 user guide (p. 35,
`TSUENA`, default CR LF), GM65 user manual (zone 0x0060: CR, CR LF, TAB or none), Honeywell/HHP quick guides.

Wiring: USB-CDC ("virtual COM", appears as /dev/ttyACM*) or TTL/RS-232 8N1, 9600 baud unless the engine was told
otherwise. Set the engine to continuous or presentation mode; this driver gives no orders.

    frame  code bytes, then CR, LF, CR LF or TAB; or nothing, and a pause of more than `idle_gap_s`

The bytes are handed over as they came; text encoding (UTF-8, GB18030) is decided where the code is read. Quirks: a
code without terminator waits for the pause; a TAB may be part of a code, so in `auto` it ends one only before a
pause; accuracy does not apply, an engine checks each symbol's own error correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from drivers.scan_engine import ScanEngine
from drivers.wire.uart import Line, Uart


@dataclass(frozen=True)
class Options:
    """Settings of a scan engine in line mode."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed; without meaning on USB-CDC."""
    terminator: Literal["auto", "cr", "lf", "crlf", "tab", "none"] = "auto"
    """What ends a code besides a pause; `none` lets a code hold line ends."""
    idle_gap_s: Annotated[float, Gt(0)] = 0.08
    """Pause that ends a code which has no terminator, seconds."""
    longest: Annotated[int, Gt(0)] = 4296
    """Most bytes a code may have; the largest QR code holds 4,296 characters."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal is always marked."""


class Driver(ScanEngine):
    """Sightings from an engine that scans by itself."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        super().__init__(
            wire or Uart(options.port, options.baud, simulated=options.simulated),
            terminator=options.terminator,
            idle_gap_s=options.idle_gap_s,
            longest=options.longest,
        )
