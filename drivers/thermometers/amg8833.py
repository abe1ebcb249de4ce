"""AMG8833 Grid-EYE: Panasonic 8 x 8 thermal array.

Sources: Panasonic "Infrared Array Sensor Grid-EYE (AMG88)" specification, register table and number formats; the
open drivers of Adafruit (Adafruit_CircuitPython_AMG88xx) and SparkFun agree with it.

Wiring: 3.3 V, SDA/SCL with pull-ups, 400 kHz or slower; address 0x69 (AD_SELECT high) or 0x68.

    0x00 power: 00 normal   0x01 reset: 3F initial   0x02 rate: 00 10 fps, 01 1 fps
    0x0E thermistor, 12-bit sign and magnitude x 0.0625 °C    0x80 64 pixels, 12-bit two's complement x 0.25 °C

Accuracy: ±2.5 °C; presence and hot spot, never fever-grade. The reading is the warmest pixel. Quirks: no checksum,
so values outside the part's range (-20…100 °C) are a fault; after a reset the first two frames are not settled.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.bounds import Ge
from drivers.contract import BadReply, Proof, Reading
from drivers.plausibility import FROZEN_S
from drivers.polled_i2c import PolledI2cDriver
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "I²C", Proof.COMPUTED
POWER, RESET, RATE, THERMISTOR, PIXELS = 0x00, 0x01, 0x02, 0x0E, 0x80
PIXEL_BYTES = 128
PERIOD_S = 0.1
U_C = 2.5
BOUNDS_C = (-20.0, 100.0)
MAGNITUDE, SIGN, TWELVE_BITS = 0x7FF, 0x800, 0xFFF


@dataclass(frozen=True)
class Options:
    """Settings of an AMG8833."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: Literal[0x68, 0x69] = 0x69
    """7-bit bus address."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical frames after which the part counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A node that is no real bus is always marked."""


def thermistor_c(word: int) -> float:
    """The part's own temperature."""
    size = (word & MAGNITUDE) * 0.0625
    return -size if word & SIGN else size


def pixel_c(word: int) -> float:
    """One pixel's temperature."""
    value = word & TWELVE_BITS
    return (value - 0x1000 if value & SIGN else value) * 0.25


class Driver(PolledI2cDriver[Reading]):
    """The warmest pixel, once per frame."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._options = options
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), PERIOD_S, options.frozen_s)

    def start(self) -> None:
        """Wake it, reset it, ten frames a second."""
        for register, value in ((POWER, 0x00), (RESET, 0x3F), (RATE, 0x00)):
            self._bus.transfer(self._options.address, bytes((register, value)), 0)

    def measure(self) -> Reading:
        """One frame's hot spot."""
        own = self._bus.transfer(self._options.address, bytes((THERMISTOR,)), 2)
        frame = self._bus.transfer(self._options.address, bytes((PIXELS,)), PIXEL_BYTES)
        at_s = time.monotonic()
        warmest_c = max(pixel_c(word) for word in struct.unpack("<64H", frame))
        own_c = thermistor_c(int.from_bytes(own, "little"))
        if not all(BOUNDS_C[0] <= each <= BOUNDS_C[1] for each in (warmest_c, own_c)):
            raise BadReply(self._bus.name, "the Grid-EYE measures out of its range", "power-cycle the sensor")
        self.must_move((own, frame), at_s)
        return Reading(warmest_c, at_s, U_C, sensor_c=own_c, simulated=self.simulated)
