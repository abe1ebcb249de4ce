"""MLX90614: Melexis infrared thermometer on SMBus, by far the most common one.

Source: Melexis datasheet 3901090614 "MLX90614 family", Rev 13, September 2019: §8.4 SMBus protocol and PEC, table 5
(RAM), table 8 (settling times), §10.1.2 and fig. 24 (medical accuracy), §8.1 (supply dependence).

Wiring: 3.3 V (Bxx, Dxx) or 5 V (Axx) with SDA/SCL at 3.3 V, 100 kHz or slower, pull-ups; enable I²C on a Raspberry
Pi. Address 0x5A. The part can only Read Word and Write Word: some scans do not show it.

    read   S addr+W command Sr addr+R LSB MSB PEC P        PEC: CRC-8 0x07 over all bytes with both addresses
    word   0x06 die, 0x07 object: value x 0.02 - 273.15 °C; bit 15 set = the part says the value is wrong

Accuracy: ±0.5 °C (object 0–60, die 0–50 °C); medical parts Dxx ±0.2 °C around 36–38 °C and ±0.3 °C for the rest of
22–40 °C with the die at 16–40 °C. Valid only with the field of view filled and the housing isothermal.
Quirks: read faster than it settles, the part repeats itself and errs more, so the variant sets the pace; bits of
EEPROM that hold the emissivity are factory calibration, so emissivity is corrected here and never written; on 3 V
parts the object reads 0.6 °C higher per volt above 3 V.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BadReply, Proof, Reading
from drivers.plausibility import FROZEN_S, radiometric_c
from drivers.polled_i2c import PolledI2cDriver
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "SMBus", Proof.KERNEL
DIE, OBJECT = 0x06, 0x07
"""RAM cells as SMBus commands (table 5)."""
ERROR_BIT = 0x8000
LSB_K = 0.02
ZERO_K = 273.15
VOLT_C = 0.6
"""Supply dependence of 3 V parts, °C per volt above 3 V (§8.1)."""
SETTLING_S = {
    "AAA": 0.10,
    "BAA": 0.10,
    "DAA": 0.10,
    "ABA": 0.14,
    "BBA": 0.14,
    "ACC": 0.14,
    "BCC": 0.14,
    "DCC": 0.14,
    "BCH": 0.65,
    "DCH": 0.65,
    "BCI": 0.65,
    "DCI": 0.65,
    "ACF": 1.33,
    "BCF": 1.33,
    "ACK": 3.23,
    "BCK": 3.23,
}
"""Seconds until a reading has settled, by the part's suffix (table 8)."""
Variant = Literal[
    "AAA", "BAA", "DAA", "ABA", "BBA", "ACC", "BCC", "DCC", "BCH", "DCH", "BCI", "DCI", "ACF", "BCF", "ACK", "BCK"
]  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Settings of an MLX90614."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x03), Le(0x77)] = 0x5A
    """7-bit bus address."""
    variant: Variant = "BAA"
    """Suffix printed on the part: field of view and settling time follow from it."""
    pec: Literal["require", "off"] = "require"
    """Whether a reading must carry a correct checksum; `off` only for adapters that cannot carry it."""
    emissivity: Annotated[float, Ge(0.1), Le(1.0)] = 1.0
    """Emissivity of the surface, corrected in software; skin 0.98, 1 leaves the part's own scale."""
    surroundings_c: float = 23.0
    """Temperature of what the surface reflects, °C; matters only with an emissivity below 1."""
    supply_v: Annotated[float, Ge(2.6), Le(5.5)] = 3.0
    """Supply voltage of a 3 V part; 3.3 corrects the reading by -0.18 °C. Without meaning for Axx parts."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical readings after which the part counts as hung; 0 never."""
    period_s: Annotated[float, Gt(0)] | None = None
    """Seconds between readings; at least, and by default, the settling time."""
    simulated: bool = False
    """Mark all readings as simulated. A node that is no real bus is always marked."""


def celsius(word: int) -> float | None:
    """A RAM word as degrees Celsius; None when the part marks it as wrong."""
    return None if word & ERROR_BIT else word * LSB_K - ZERO_K


def uncertainty_c(variant: str, object_c: float, die_c: float) -> float:
    """Expanded uncertainty the datasheet states at these temperatures (fig. 24 for medical parts)."""
    if variant.startswith("D") and 16 <= die_c <= 40 and 22 <= object_c <= 40:  # noqa: PLR2004 - zones of fig. 24
        return 0.2 if 36 <= object_c <= 38 else 0.3  # noqa: PLR2004 - zone of fig. 24
    if 0 <= object_c <= 60 and 0 <= die_c <= 50:  # noqa: PLR2004 - central zone of table 12
        return 0.5
    return 1.0


class Driver(PolledI2cDriver[Reading]):
    """One reading per settling time."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._options = options
        period_s = max(options.period_s or 0.0, SETTLING_S[options.variant])
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), period_s, options.frozen_s)

    def start(self) -> None:
        """Read the die's temperature, as any scan of the bus should."""
        self._word(DIE)

    def measure(self) -> Reading:
        """Both temperatures, checked and corrected."""
        die, seen = self._word(DIE), self._word(OBJECT)
        at_s = time.monotonic()
        die_c, object_c = celsius(die), celsius(seen)
        if die_c is None or object_c is None:
            raise BadReply(self._bus.name, "the MLX90614 marks its reading as wrong", "power-cycle the sensor")
        self.must_move((die, seen), at_s)
        options = self._options
        if not options.variant.startswith("A"):
            object_c -= (options.supply_v - 3.0) * VOLT_C
        surface_c = radiometric_c(object_c, options.emissivity, options.surroundings_c)
        u_c = uncertainty_c(options.variant, object_c, die_c)
        return Reading(surface_c, at_s, u_c, sensor_c=die_c, simulated=self._bus.simulated)

    def _word(self, command: int) -> int:
        return self._bus.read_word(self._options.address, command, pec=self._options.pec == "require")
