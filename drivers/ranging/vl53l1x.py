"""VL53L1X: ST laser ranger on I²C, up to 4 m.

Sources: ST UM2510 "A guide to using the VL53L1X ultra lite driver" and the register defaults that STSW-IMG009 and
Adafruit_CircuitPython_VL53L1X load; ST DS12385 for accuracy.

Wiring: 2.8 V, or a breakout with 3.3/5 V; SDA/SCL with pull-ups, up to 400 kHz; address 0x29 (7 bits).

    16-bit register address, high byte first
    0x010F identity EA CC   0x002D…0x0087 configuration   0x0031 ready bit (polarity in 0x0030 bit 4)
    0x0089 status, 09 valid   0x0096 distance, mm, high byte first   0x0086 ← 01 clear   0x0087 ← 40 start

Accuracy: ±20 mm in the dark, ±5 % otherwise. Quirks: any status but 09 is no distance; sunlight halves the range.
Ranging goes on by itself after one start, about ten times a second with these settings.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Le
from drivers.contract import BadReply, Distance, Proof
from drivers.polled_i2c import PolledI2cDriver
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "I²C", Proof.SIMULATOR
IDENTITY, CONFIGURATION, POLARITY, READY, CLEAR, START = 0x010F, 0x002D, 0x0030, 0x0031, 0x0086, 0x0087
STATUS, RANGE = 0x0089, 0x0096
MODEL = b"\xea\xcc"
VALID = 0x09
DEFAULTS = bytes.fromhex(
    "00 00 00 01 02 00 02 08 00 08 10 01 01 00 00 00 00 ff 00 0f 00 00 00 00 00 20 0b 00 00 02 0a 21"
    "00 00 05 00 00 00 00 c8 00 00 38 ff 01 00 08 00 00 01 cc 0f 01 f1 0d 01 68 00 80 08 b8 00 00 00"
    "00 0f 89 00 00 00 00 00 00 00 01 0f 0d 0e 0e 00 00 02 c7 ff 9b 00 00 00 01 00 00"
)
"""Values of registers 0x2D to 0x87, stopped; long distance mode."""
LOOK_S = 0.05
STALLED_S = 2.0


@dataclass(frozen=True)
class Options:
    """Settings of a VL53L1X."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x08), Le(0x77)] = 0x29
    """7-bit bus address."""
    simulated: bool = False
    """Mark all distances as simulated. A node that is no real bus is always marked."""


class Driver(PolledI2cDriver[Distance]):
    """One distance per measurement."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._address = options.address
        self._ready_level = 1
        self._fresh_s = 0.0
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), LOOK_S, frozen_s=0.0)

    def start(self) -> None:
        """See what part it is, load its settings, let it range."""
        if self._get(IDENTITY, 2) != MODEL:
            raise BadReply(self._bus.name, "is no VL53L1X", "check the address; a VL53L0X has the same one")
        self._set(CONFIGURATION, DEFAULTS)
        self._ready_level = 0 if self._get(POLARITY, 1)[0] & 0x10 else 1
        self._set(CLEAR, b"\x01")
        self._set(START, b"\x40")
        self._fresh_s = time.monotonic()

    def measure(self) -> Distance | None:
        """The next distance, once the part says that it is there."""
        ready = self._get(READY, 1)[0] & 1 == self._ready_level
        at_s = time.monotonic()
        if not ready:
            if at_s - self._fresh_s > STALLED_S:
                raise BadReply(self._bus.name, "the VL53L1X has stopped ranging", "power-cycle the sensor")
            return None
        status, distance = self._get(STATUS, 1)[0], self._get(RANGE, 2)
        self._set(CLEAR, b"\x01")
        self._fresh_s = at_s
        return Distance(float(int.from_bytes(distance)) if status == VALID else None, at_s, self.simulated)

    def _get(self, register: int, count: int) -> bytes:
        return self._bus.transfer(self._address, register.to_bytes(2), count)

    def _set(self, register: int, data: bytes) -> None:
        self._bus.transfer(self._address, register.to_bytes(2) + data, 0)
