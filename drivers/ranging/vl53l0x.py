"""VL53L0X: ST laser ranger on I²C, up to 1.2 m.

Sources: ST DS11555 (identity registers, accuracy); ST's API STSW-IMG005 and Adafruit_CircuitPython_VL53L0X for the
registers of a single measurement, which ST does not print.

Wiring: 2.8 V, or a breakout with 3.3/5 V; SDA/SCL with pull-ups, up to 400 kHz; address 0x29 (7 bits).

    8-bit register address
    0xC0 identity EE   0x00 ← 01 measure once   0x13 bits 2:0 ready   0x0B ← 01 clear
    0x14 status, bits 6:3, 11 valid             0x1E distance, mm, high byte first

Accuracy: ±3 % with ST's tuning on a white target; here the part runs with the settings it wakes with, since the
tuning is not documented: take ±10 %, enough to tell whether somebody stands at the mark. Quirks: any status but
11, and 8190 mm or more, is no distance; the register 0x91 must be put back before each measurement.
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
START, CLEAR, READY, STATUS, RANGE, STOP, IDENTITY = 0x00, 0x0B, 0x13, 0x14, 0x1E, 0x91, 0xC0
MODEL = 0xEE
READY_MASK = 0x07
VALID = 11
NOTHING_MM = 8190
ENTER = ((0x80, 0x01), (0xFF, 0x01), (0x00, 0x00))
LEAVE = ((0x00, 0x01), (0xFF, 0x00), (0x80, 0x00))
"""Register page of the stop variable, there and back."""
LOOK_S = 0.02
STALLED_S = 2.0


@dataclass(frozen=True)
class Options:
    """Settings of a VL53L0X."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x08), Le(0x77)] = 0x29
    """7-bit bus address."""
    simulated: bool = False
    """Mark all distances as simulated. A node that is no real bus is always marked."""


class Driver(PolledI2cDriver[Distance]):
    """One measurement after the other."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._address = options.address
        self._stop = 0
        self._started_s = 0.0
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), LOOK_S, frozen_s=0.0)

    def start(self) -> None:
        """See what part it is, note its stop variable, start the first measurement."""
        if self._get(IDENTITY, 1)[0] != MODEL:
            raise BadReply(self._bus.name, "is no VL53L0X", "check the address; a VL53L1X has the same one")
        self._set(*ENTER)
        self._stop = self._get(STOP, 1)[0]
        self._set(*LEAVE)
        self._start()

    def measure(self) -> Distance | None:
        """The distance that was measured, once the part says that it is there."""
        ready = self._get(READY, 1)[0] & READY_MASK
        at_s = time.monotonic()
        if not ready:
            if at_s - self._started_s > STALLED_S:
                raise BadReply(self._bus.name, "the VL53L0X has stopped ranging", "power-cycle the sensor")
            return None
        status = self._get(STATUS, 1)[0] >> 3 & 0x0F
        distance_mm = int.from_bytes(self._get(RANGE, 2))
        self._set((CLEAR, 0x01))
        self._start()
        is_valid = status == VALID and distance_mm < NOTHING_MM
        return Distance(float(distance_mm) if is_valid else None, at_s, self.simulated)

    def _start(self) -> None:
        self._set(*ENTER, (STOP, self._stop), *LEAVE, (START, 0x01))
        self._started_s = time.monotonic()

    def _get(self, register: int, count: int) -> bytes:
        return self._bus.transfer(self._address, bytes((register,)), count)

    def _set(self, *pairs: tuple[int, int]) -> None:
        with self._bus.held():
            for register, value in pairs:
                self._bus.transfer(self._address, bytes((register, value)), 0)
