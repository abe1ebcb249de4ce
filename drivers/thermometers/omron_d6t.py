"""Omron D6T: thermal presence sensors with 1, 8, 16 or 1024 pixels.

Sources: Omron D6T user's manual A284 (commands, output format); Omron's sample code
github.com/omron-devhub/d6t-2jcieev01-raspberrypi for the range that the checksum covers.

Wiring: 5 V supply, SDA/SCL pulled up to 3.3 or 5 V, 100 kHz, address 0x0A. The part stretches the clock: on a
Raspberry Pi 3 or older slow the bus down (`dtparam=i2c_baudrate=10000`) or use the i2c-gpio overlay.

    write  4C (1A, 8L, 44L) or 4D (32L), then read: PTAT, pixels … (int16, low byte first, 0.1 °C; 8LH 0.2), PEC
    PEC    CRC-8 0x07 over 0x15 (the address byte of the read) and the data

Accuracy: ±1.5 °C; presence and hot spot, not fever-grade. The reading is the warmest pixel, an upper bound of what
a point sensor would see. Quirks: needs 0.2 s (1A) to 0.6 s (44L) after power-on; the sample code's test of the
32L's checksum has an `&&` where `&` is meant.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from drivers.bounds import Ge
from drivers.contract import BadReply, Proof, Reading
from drivers.plausibility import FROZEN_S
from drivers.polled_i2c import PolledI2cDriver
from drivers.wire.i2c import Bus, I2cBus, crc8

BUS, PROOF = "I²C", Proof.COMPUTED
ADDRESS = 0x0A
MODELS = {"1A": (0x4C, 1, 0.10), "8L": (0x4C, 8, 0.25), "44L": (0x4C, 16, 0.30), "32L": (0x4D, 1024, 0.20)}
"""Command, pixels, seconds between frames."""
WAKE_8L = ("020001ee", "05903ab8", "0300038b", "03000797", "020000e9")
"""Set-up writes of the 8L, each with its checksum (sample code, d6t-8l)."""
U_C = 1.5


@dataclass(frozen=True)
class Options:
    """Settings of a D6T."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: ClassVar[int] = ADDRESS
    model: Literal["1A", "8L", "44L", "32L"] = "44L"
    """Type: D6T-1A, -8L, -44L or -32L."""
    scale_c: Annotated[float, Ge(0.1)] = 0.1
    """Degrees Celsius of one count: 0.1, and 0.2 for the 8LH."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical frames after which the part counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A node that is no real bus is always marked."""


def temperatures_c(frame: bytes, scale_c: float = 0.1) -> tuple[float, list[float]] | None:
    """A frame as (own temperature, pixels) in degrees Celsius; None when the checksum is wrong."""
    if crc8(bytes((ADDRESS << 1 | 1,)) + frame[:-1]) != frame[-1]:
        return None
    own, *pixels = struct.unpack(f"<{len(frame) // 2}h", frame[:-1])
    return own / 10, [round(pixel * scale_c, 6) for pixel in pixels]


class Driver(PolledI2cDriver[Reading]):
    """The warmest pixel, once per frame."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._options = options
        self._command, self._pixels, period_s = MODELS[options.model]
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), period_s, options.frozen_s)

    def start(self) -> None:
        """See that it answers; wake an 8L."""
        if self._options.model == "8L":
            for command in WAKE_8L:
                self._bus.transfer(ADDRESS, bytes.fromhex(command), 0)
        self._frame()

    def measure(self) -> Reading:
        """One frame's hot spot."""
        frame = self._frame()
        at_s = time.monotonic()
        got = temperatures_c(frame, self._options.scale_c)
        if got is None:
            raise BadReply(self._bus.name, "the D6T's checksum is wrong", "shorten the wires or slow the bus")
        self.must_move(frame, at_s)
        own_c, pixels_c = got
        return Reading(max(pixels_c), at_s, U_C, sensor_c=own_c, simulated=self.simulated)

    def _frame(self) -> bytes:
        return self._bus.transfer(ADDRESS, bytes((self._command,)), 2 * (self._pixels + 1) + 1)
