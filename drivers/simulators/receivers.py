"""A satellite receiver, after NMEA 0183: once a second RMC, GGA and GST, with or without a fix."""

from __future__ import annotations

from functools import reduce
from operator import xor


def sentence(text: str) -> bytes:
    """With its frame and checksum."""
    return f"${text}*{reduce(xor, text.encode(), 0):02X}\r\n".encode()


class NmeaReceiver:
    """Stands or drives; `lat`, `lon` in degrees, `sigma_m` of each axis."""

    def __init__(self, lat: float = 31.2304, lon: float = 121.4737, period_s: float = 0.05) -> None:
        self.baud, self.period_s = 9600, period_s
        self.lat, self.lon, self.sigma_m = lat, lon, 1.5
        self.has_fix, self.tells_spread = True, True

    def speak(self) -> bytes:
        """What a second brings."""
        lat, lon = _minutes(self.lat, 2), _minutes(self.lon, 3)
        north, east = "N" if self.lat >= 0 else "S", "E" if self.lon >= 0 else "W"
        place = f"{lat},{north},{lon},{east}" if self.has_fix else ",,,"
        said = [f"GNRMC,083559.00,{'A' if self.has_fix else 'V'},{place},0.004,77.52,091202,,,A"]
        if self.tells_spread and self.has_fix:
            said.append(f"GNGST,083559.00,1.8,,,,{self.sigma_m:.1f},{self.sigma_m:.1f},2.2")
        said.append(f"GNGGA,083559.00,{place},{int(self.has_fix)},08,1.01,499.6,M,48.0,M,,")
        return b"".join(map(sentence, said))

    def respond(self, data: bytes) -> bytes:  # noqa: ARG002 - it takes no commands here
        """Nothing to answer."""
        return b""


def _minutes(value: float, digits: int) -> str:
    whole, part = divmod(abs(value), 1)
    return f"{int(whole):0{digits}}{part * 60:08.5f}"
