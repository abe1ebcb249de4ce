"""Satellite receivers that speak NMEA 0183 on a serial port: GPS, BeiDou, Galileo, GLONASS.

Source: NMEA 0183 version 4.11, sentences GGA and GST; u-blox 8 / M8 "Receiver Description including Protocol
Specification" (UBX-13003221), NMEA protocol, for field numbers and examples; "GPS Standard Positioning Service
Performance Standard" (5th edition) for what one unit of HDOP means.

Wiring: VCC, GND, receiver TX to our RX (3.3 V levels), or USB; 9600 8N1 as shipped, 4800 on older ones. Antenna
with a view of the sky.

    $GNGGA,time,lat,N,lon,E,quality,satellites,hdop,…*sum     lat ddmm.mmmm, lon dddmm.mmmm
    $GNGST,time,rms,,,,σ lat,σ lon,σ height*sum               metres; optional, makes the uncertainty better
    sum: exclusive or of all between $ and *, two hexadecimal digits

Accuracy: u_m is the radius that holds the true place with 95 %: 2 √(σ lat² + σ lon²) of GST, else 2 · HDOP · 5 m.
Quirks: a receiver without a fix goes on talking, with quality 0: that is no position, and no fault. Positions by
dead reckoning, typed in or of a receiver's own simulator (6, 7, 8) are none either. Sentences without a checksum,
or cut off, are junk. Talkers differ (GP, GN, GL, GA, GB, BD): all are taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Annotated

from drivers.bounds import Ge, Gt
from drivers.contract import Fix, Proof
from drivers.wire.framing import before
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial, USB-CDC", Proof.DOCUMENT
BAUDS = (9600, 115200, 38400, 4800)
LONGEST = 120
"""Bytes of a sentence; the standard has 82, some receivers send more digits."""
GOOD = (1, 2, 3, 4, 5, 9)
"""Qualities of GGA that are positions by satellites."""
UERE_M = 5.0
"""Standard deviation of one unit of HDOP, metres: a cautious value for one frequency under an open sky."""
SIGMAS_FRESH_S = 5.0


@dataclass(frozen=True)
class Options:
    """Settings of an NMEA 0183 receiver."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Ge(0)] = 0
    """Line speed; 0 tries 9600, 115200, 38400, 4800."""
    period_s: Annotated[float, Ge(0)] = 1.0
    """Seconds between positions handed on; 0 hands on all."""
    silent_s: Annotated[float, Gt(0)] = 5.0
    """Seconds without a sentence after which the receiver counts as gone."""
    simulated: bool = False
    """Mark all positions as simulated. A pseudo-terminal is always marked."""


def step(pending: bytearray) -> tuple[int, list[str] | None]:
    """Bytes pending → bytes spent and the fields of a sentence, without its checksum."""
    skip = before(pending, b"$")
    if skip or len(pending) < 2:  # noqa: PLR2004 - nothing after the $
        return skip, None
    end = pending.find(b"\n", 0, LONGEST)
    if end < 0:
        return (1, None) if len(pending) >= LONGEST else (0, None)
    text, star, told = bytes(pending[1:end]).strip().partition(b"*")
    again = text.rfind(b"$")
    if again >= 0:  # the one before was cut off
        return again + 1, None
    if not star or len(told) != 2 or not all(0x20 <= byte < 0x7F for byte in text):  # noqa: PLR2004 - two digits
        return 1, None
    if told.upper() != b"%02X" % reduce(xor, text, 0):
        return 1, None
    return end + 1, text.decode("ascii").split(",")


def degrees(value: str, side: str, most: int) -> float | None:
    """`dddmm.mmmm` and N, S, E or W → degrees; None when it is none."""
    whole, _, _ = value.partition(".")
    if not whole.isdigit() or len(whole) not in (4, 5) or side not in ("N", "S", "E", "W"):
        return None
    try:
        found = int(whole[:-2]) + float(value[len(whole) - 2 :]) / 60
    except ValueError:
        return None
    return None if found > most else found if side in "NE" else -found


def position(fields: list[str], sigmas: tuple[float, float] | None) -> tuple[float, float, float] | None:
    """Latitude, longitude and uncertainty of a GGA sentence; None without a fix."""
    if len(fields) < 9 or not fields[6].isdigit() or int(fields[6]) not in GOOD:  # noqa: PLR2004 - up to HDOP
        return None
    lat, lon = degrees(fields[2], fields[3], 90), degrees(fields[4], fields[5], 180)
    if lat is None or lon is None or fields[3] not in "NS" or fields[5] not in "EW":
        return None
    if sigmas is not None:
        return lat, lon, 2 * math.hypot(*sigmas)
    hdop = _number(fields[8])
    return None if hdop is None else (lat, lon, 2 * hdop * UERE_M)


def spread(fields: list[str]) -> tuple[float, float] | None:
    """Standard deviations of latitude and longitude in a GST sentence, metres."""
    if len(fields) < 8:  # noqa: PLR2004 - up to longitude
        return None
    lat, lon = _number(fields[6]), _number(fields[7])
    return None if lat is None or lon is None else (lat, lon)


def _number(text: str) -> float | None:
    """A number above 0; none from 100 km on, where nothing is known of the place."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1e5 else None  # noqa: PLR2004 - metres, or HDOP


class Driver:
    """Positions at a pace that events need."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        bauds = (options.baud,) if options.baud else BAUDS
        line = wire or Uart(options.port, bauds[0], simulated=options.simulated)
        self._stream = FrameStream[list[str]](line, step, bauds, silent_s=options.silent_s)
        self._period_s = options.period_s
        self._last_s = float("-inf")
        self._sigmas: tuple[tuple[float, float], float] | None = None

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._stream.line.simulated

    def open(self) -> None:
        """Take the port."""
        self._stream.open()
        self._last_s, self._sigmas = float("-inf"), None

    def read(self, limit_s: float) -> Fix | None:
        """The next position that is due; None while there is no fix."""
        got = self._stream.next(limit_s)
        if got is None:
            return None
        fields, at_s = got
        kind = fields[0][2:]
        if kind == "GST":
            sigmas = spread(fields)
            self._sigmas = None if sigmas is None else (sigmas, at_s)
        if kind != "GGA" or at_s - self._last_s < self._period_s:
            return None
        fresh = self._sigmas is not None and at_s - self._sigmas[1] <= SIGMAS_FRESH_S
        found = position(fields, self._sigmas[0] if fresh and self._sigmas is not None else None)
        if found is None:
            return None
        self._last_s = at_s
        return Fix(*found, at_s, self.simulated)

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()
