"""Any scan engine in serial line mode: text, then a terminator or a pause.

Sources: the suffix and interface chapters that scan engines have in common: Newland NLS-HR52 user guide (p. 35,
`TSUENA`, default CR LF), GM65 user manual (zone 0x0060: CR, CR LF, TAB or none), Honeywell/HHP quick guides.

Wiring: USB-CDC ("virtual COM", appears as /dev/ttyACM*) or TTL/RS-232 8N1, 9600 baud unless the engine was told
otherwise. Set the engine to continuous or presentation mode; this driver gives no commands.

    frame  code bytes, then CR, LF, CR LF or TAB; or nothing, and a pause of more than `idle_gap_s`

The bytes are handed over as they came; text encoding (UTF-8, GB18030) is decided where the code is read. Quirks: a
code without terminator waits for the pause; a TAB may be part of a code, so in `auto` it ends one only before a
pause; accuracy does not apply, an engine checks each symbol's own error correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from drivers.bounds import Gt
from drivers.contract import Proof
from drivers.scan_engine import LONGEST_CODE, LineOptions, ScanEngine

if TYPE_CHECKING:
    from drivers.wire.uart import Line

BUS, PROOF = "serial, USB-CDC", Proof.KERNEL


@dataclass(frozen=True)
class Options(LineOptions):
    """Settings of a scan engine in line mode."""

    longest: Annotated[int, Gt(0)] = LONGEST_CODE
    """Most bytes a code may have; the largest QR code holds 4,296 characters."""


class Driver(ScanEngine):
    """Sightings from an engine that scans by itself."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        super().__init__(options, wire, longest=options.longest)
