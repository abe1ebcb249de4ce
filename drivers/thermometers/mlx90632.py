"""MLX90632: Melexis infrared thermometer in a 3 x 3 mm package, medical, consumer and extended-range versions.

Sources: Melexis datasheet "MLX90632 FIR sensor", §11 (registers, EEPROM) and §11.2 (temperature formulas); Melexis'
own open library github.com/melexis/mlx90632-library, whose test constants and results are checked here too.

Wiring: 3.3 V, SDA/SCL with pull-ups, up to 400 kHz, address 0x3A (0x3B with ADDR high).

    16-bit register address, 16-bit words, both high byte first; 32-bit constants low word first
    0x240B version   0x240C… ambient constants   0x2424… object constants   0x3001 control   0x3FFF status
    0x4000 + 3n + m: word m of measurement n; medical mode alternates measurements 1 and 2

Accuracy: medical version (0x01xx) ±0.2 °C for a body at room temperature, others ±1 °C; valid only with the field
of view (50°) filled. Quirks: a new value must be waited for after clearing the ready bit, and the status says
which of the two measurements is fresh; everything is computed in floating point (the integer library loses up to
0.02 °C); the EEPROM is never written.
"""

from __future__ import annotations

import math
import struct
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.bounds import Ge, Le
from drivers.contract import BadOptions, BadReply, Proof, Reading
from drivers.plausibility import FROZEN_S
from drivers.polled_i2c import PolledI2cDriver
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "I²C", Proof.DOCUMENT
VERSION, CONSTANTS, CORRECTIONS, CONTROL, STATUS, RAM = 0x240B, 0x240C, 0x2481, 0x3001, 0x3FFF, 0x4000
DSP_VERSION = 5
MEDICAL_PART = 0x01
READY = 0x0001
POWER_MASK, CONTINUOUS = 0x0006, 0x0006
TYPE_MASK, MEDICAL, EXTENDED = 0x01F0, 0x0000, 0x0110
LOOK_S = 0.05
"""How often the ready bit is looked at."""
STALLED_S = 3.0
"""The slowest refresh rate is 0.5 Hz."""
ZERO_K = 273.15
ROUNDS = 5
"""Of the fixed-point iteration for the object's temperature; three are usual."""
BODY_C = (22.0, 42.0)


@dataclass(frozen=True)
class Options:
    """Settings of an MLX90632."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x03), Le(0x77)] = 0x3A
    """7-bit bus address."""
    mode: Literal["medical", "extended"] = "medical"
    """`extended` reads up to 200 °C with parts that can (version 0x05xx)."""
    emissivity: Annotated[float, Ge(0.1), Le(1.0)] = 1.0
    """Emissivity of the surface; skin 0.98."""
    surroundings_c: float | None = None
    """Temperature of what the surface reflects, °C; by default the sensor's own."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical raw values after which the part counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A node that is no real bus is always marked."""


@dataclass(frozen=True)
class FactoryConstants:
    """The factory's constants, as integers as they stand in the EEPROM."""

    p_r: int
    p_g: int
    p_t: int
    p_o: int
    ea: int
    eb: int
    fa: int
    fb: int
    ga: int
    gb: int
    ka: int
    ha: int
    hb: int

    @classmethod
    def parse(cls, constants: bytes, corrections: bytes) -> FactoryConstants:
        """From registers 0x240C…0x242F and 0x2481…0x2482 as read from the wire."""
        words: tuple[int, ...] = struct.unpack(">36H", constants)
        ha, hb = struct.unpack(">2h", corrections)

        def long(register: int) -> int:
            at = register - CONSTANTS
            return _signed(words[at] | words[at + 1] << 16, 32)

        def short(register: int) -> int:
            return _signed(words[register - CONSTANTS], 16)

        return cls(
            p_r=long(0x240C),
            p_g=long(0x240E),
            p_t=long(0x2410),
            p_o=long(0x2412),
            ea=long(0x2424),
            eb=long(0x2426),
            fa=long(0x2428),
            fb=long(0x242A),
            ga=long(0x242C),
            gb=short(0x242E),
            ka=short(0x242F),
            ha=ha,
            hb=hb,
        )


@dataclass(frozen=True)
class Raw:
    """One measurement: the ambient pair and the object's sum, halved."""

    an: int
    ao: int
    object: float


def die_c(raw: Raw, calibration: FactoryConstants) -> float:
    """The sensor's own temperature."""
    ambient = _ambient(raw, calibration) - calibration.p_r / 256
    square = calibration.p_t / 2**44 * ambient**2
    return ambient / calibration.p_g * 2**20 + square + calibration.p_o / 256


def object_c(
    raw: Raw,
    calibration: FactoryConstants,
    *,
    emissivity: float = 1.0,
    surroundings_c: float | None = None,
    extended: bool = False,
) -> float:
    """The object's temperature. Raises ValueError when the values cannot come from a working part."""
    k = calibration
    reference = raw.ao + k.ka / 1024 * raw.an / 12
    signal = raw.object / 12 / reference * 2**19
    die = (_ambient(raw, k) - k.eb / 256) / (k.ea / 65536) + 25
    die4 = (die + ZERO_K) ** 4
    around4 = die4
    if surroundings_c is not None:
        reflected4 = (surroundings_c + ZERO_K) ** 4
        around4 = reflected4 - (reflected4 - die4) / emissivity
    gain = k.fa / 2**46 * k.ha / 16384 / (2 if extended else 1)
    celsius = 25.0
    for _ in range(ROUNDS):
        alpha = gain * (1 + k.ga * (celsius - 25) / 2**36 + k.fb * (die - 25) / 2**36)
        fourth = signal / (emissivity * alpha) + around4
        celsius = math.sqrt(math.sqrt(fourth)) - ZERO_K - k.hb / 1024
    return celsius


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def _ambient(raw: Raw, calibration: FactoryConstants) -> float:
    reference = raw.ao + calibration.gb / 1024 * raw.an / 12
    return raw.an / 12 / reference * 2**19


class Driver(PolledI2cDriver[Reading]):
    """One reading per fresh measurement."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._options = options
        self._extended = options.mode == "extended"
        self._calibration: FactoryConstants | None = None
        self._is_medical = False
        self._fresh_s = 0.0
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), LOOK_S, options.frozen_s)

    def start(self) -> None:
        """See what part it is, read its constants, let it measure."""
        (version,) = struct.unpack(">H", self._registers(VERSION, 1))
        if version & 0xFF != DSP_VERSION:
            raise BadReply(self._bus.name, f"is no MLX90632 (version 0x{version:04x})", "check the address")
        if self._extended and version >> 8 & 0x7F != DSP_VERSION:
            raise BadOptions(self._bus.name, "this MLX90632 has no extended range", 'set mode = "medical"')
        self._is_medical = version >> 8 & 0x7F == MEDICAL_PART
        self._calibration = FactoryConstants.parse(self._registers(CONSTANTS, 36), self._registers(CORRECTIONS, 2))
        (control,) = struct.unpack(">H", self._registers(CONTROL, 1))
        wanted = control & ~(TYPE_MASK | POWER_MASK) | (EXTENDED if self._extended else MEDICAL)
        if control != wanted | CONTINUOUS:
            self._set(CONTROL, wanted)
            self._set(CONTROL, wanted | CONTINUOUS)
        self._rearm()

    def measure(self) -> Reading | None:
        """The next measurement, once the part says that it is there."""
        (status,) = struct.unpack(">H", self._registers(STATUS, 1))
        at_s = time.monotonic()
        if not status & READY:
            if at_s - self._fresh_s > STALLED_S:
                raise BadReply(self._bus.name, "the MLX90632 has stopped measuring", "power-cycle the sensor")
            return None
        raw = self._extended_raw() if self._extended else self._medical_raw(status >> 2 & 0x1F)
        self._rearm()
        self.must_move(raw, at_s)
        return self._reading(raw, at_s)

    def _reading(self, raw: Raw, at_s: float) -> Reading:
        options, calibration = self._options, self._calibration
        if calibration is None:
            raise BadReply(self._bus.name, "is not open")
        try:
            surface_c = object_c(
                raw,
                calibration,
                emissivity=options.emissivity,
                surroundings_c=options.surroundings_c,
                extended=self._extended,
            )
            sensor_c = die_c(raw, calibration)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise BadReply(self._bus.name, "measures what cannot be", "power-cycle the sensor") from None
        fine = self._is_medical and BODY_C[0] <= surface_c <= BODY_C[1]
        return Reading(surface_c, at_s, 0.2 if fine else 1.0, sensor_c=sensor_c, simulated=self.simulated)

    def _medical_raw(self, position: int) -> Raw:
        if position not in (1, 2):
            raise BadReply(self._bus.name, f"is at measurement {position} of 2", "power-cycle the sensor")
        first1, first2, an, second1, second2, ao = struct.unpack(">6h", self._registers(RAM + 3, 6))
        return Raw(an, ao, (first1 + first2 + second1 + second2) / 4)

    def _extended_raw(self) -> Raw:
        a1, a2, an, b1, b2, ao, c1, c2, _ = struct.unpack(">9h", self._registers(RAM + 3 * 17, 9))
        return Raw(an, ao, (a1 - a2 - b1 + b2) / 2 + c1 + c2)

    def _rearm(self) -> None:
        (status,) = struct.unpack(">H", self._registers(STATUS, 1))
        self._set(STATUS, status & ~READY)
        self._fresh_s = time.monotonic()

    def _registers(self, register: int, count: int) -> bytes:
        return self._bus.transfer(self._options.address, register.to_bytes(2, "big"), 2 * count)

    def _set(self, register: int, word: int) -> None:
        self._bus.transfer(self._options.address, struct.pack(">HH", register, word), 0)
