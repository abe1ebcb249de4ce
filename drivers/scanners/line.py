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

import time
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from drivers.contract import BadReply, Sighting
from drivers.wire.uart import Line, Uart

ENDS: dict[str, tuple[bytes, ...]] = {
    "auto": (b"\r", b"\n"),
    "cr": (b"\r",),
    "lf": (b"\n",),
    "crlf": (b"\r\n",),
    "tab": (b"\t",),
    "none": (),
}


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


class Lines:
    """Bytes → codes. Pure: the caller says when a pause has passed."""

    def __init__(self, terminator: str, longest: int) -> None:
        self._ends = ENDS[terminator]
        self._longest = longest
        self._pending = bytearray()

    @property
    def is_waiting(self) -> bool:
        """True when a code has begun and not ended."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """The codes that `data` ends. Raises ValueError, with nothing kept, when one grows too long."""
        self._pending += data
        codes = []
        while (cut := self._first_end()) is not None:
            at, width = cut
            codes.append(bytes(self._pending[:at]))
            del self._pending[: at + width]
        if len(self._pending) > self._longest or any(len(code) > self._longest for code in codes):
            self._pending.clear()
            raise ValueError
        return [code for code in codes if code]

    def pause(self) -> bytes:
        """The code that a pause ends; empty when there is none."""
        code = bytes(self._pending).rstrip(b"\r\n\t")
        self._pending.clear()
        return code

    def _first_end(self) -> tuple[int, int] | None:
        found = [(at, len(end)) for end in self._ends if (at := self._pending.find(end)) >= 0]
        return min(found, default=None)


class Driver:
    """Sightings from an engine that scans by itself."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        self._options = options
        self._line = wire or Uart(options.port, options.baud, simulated=options.simulated)
        self._lines = Lines(options.terminator, options.longest)
        self._heard_s = 0.0
        self._ready: deque[Sighting] = deque()

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire."""
        return self._line.simulated

    def open(self) -> None:
        """Take the port; what was scanned before is thrown away."""
        self._line.open()
        self._ready.clear()
        self._lines.pause()

    def read(self, limit_s: float) -> Sighting | None:
        """The next code."""
        end_s = time.monotonic() + limit_s
        while not self._ready:
            left_s = max(0.0, end_s - time.monotonic())
            data = self._line.read(min(left_s, self._options.idle_gap_s) if self._lines.is_waiting else left_s)
            now_s = time.monotonic()
            if data:
                self._take(data, now_s)
            elif self._lines.is_waiting and now_s - self._heard_s >= self._options.idle_gap_s:
                self._sight(self._lines.pause(), self._heard_s)
            if now_s >= end_s:
                break
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Let go of the port."""
        self._line.close()

    def _take(self, data: bytes, now_s: float) -> None:
        self._heard_s = now_s
        try:
            codes = self._lines.feed(data)
        except ValueError:
            fact = f"sent more than {self._options.longest} bytes without an end"
            raise BadReply(self._line.name, fact, "check its speed and its suffix setting") from None
        for code in codes:
            self._sight(code, now_s)

    def _sight(self, code: bytes, at_s: float) -> None:
        if code:
            self._ready.append(Sighting(code, at_s, self._line.simulated))
