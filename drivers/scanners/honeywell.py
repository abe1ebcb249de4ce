"""Honeywell engines and readers, and others that took over their serial trigger (HHP, Datalogic in HHP mode, NCR).

Source: Honeywell user guides, chapter "Serial trigger mode" (Xenon 1900, Voyager 1400g, Vuquest 3310g).

Wiring: USB-CDC ("USB serial" code of the guide, TRMUSB130) or RS-232/TTL 8N1 at 9600 or 115200 baud.

    look  16 54 0D (SYN T CR)      stop  16 55 0D (SYN U CR)

Quirks: the commands work in manual/serial trigger mode only (TRGMOD0; presentation mode needs none) and are not
answered; Honeywell's default suffix is CR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.contract import Proof
from drivers.scan_engine import ScanEngine, TriggerOptions

BUS, PROOF = "serial, USB-CDC", Proof.DOCUMENT
START = b"\x16T\r"
STOP = b"\x16U\r"


@dataclass(frozen=True)
class Options(TriggerOptions):
    """Settings of a Honeywell engine."""

    trigger: Literal["engine", "host"] = "host"
    """Who decides when it looks: the engine (presentation mode), or this driver, always, by command."""


class Driver(ScanEngine):
    """Sightings, with the trigger kept pulled where the host has it."""

    start, stop = START, STOP
