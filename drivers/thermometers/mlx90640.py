"""MLX90640: Melexis 32 x 24 thermal array on I²C.

Source: Melexis datasheet 3901090640 Rev 12, §10 (memory), §11.2.2 (calculation). Checked: each step of its worked
example for one pixel. Not checked: a whole picture of the maker's, and a real part.

Wiring: 3.3 V, SDA/SCL with 1 kΩ pull-ups, 400 kHz or faster (`dtparam=i2c_arm_baudrate=400000`): a picture is 1664
bytes, at 100 kHz it is late. Address 0x33 (7 bits), 16-bit addresses and words, high byte first.

    0x2400 EEPROM, 832 words   0x0400 RAM: 768 pixels, then 64 words of housekeeping
    0x8000 status: bit 0 subpage, bit 3 new data; ← 0030 takes the next   0x800D control: 9:7 rate, 12 chess pattern

Accuracy: ±1 °C in the middle of the picture, ±2 °C or more in its corners: presence and hot spot, not fever-grade.
The reading is the mean of the four warmest pixels. Quirks: pixels that the memory calls broken (0) or deviating
(bit 0) never count (§9), nor do up to four more that give no temperature, nor one that stands out alone; a picture
comes in two subpages like the colours of a chessboard; the part heats itself to some 8 °C above the room; no
checksum, so what lies out of range is a fault.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BadReply, Proof, Reading
from drivers.plausibility import FROZEN_S, ZERO_K
from drivers.polled_i2c import PolledI2cDriver
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "I²C", Proof.DOCUMENT
EEPROM, RAM, STATUS, CONTROL = 0x2400, 0x0400, 0x8000, 0x800D
WORDS, ROWS, COLUMNS = 832, 24, 32
PIXELS = ROWS * COLUMNS
SUBPAGES = 2
NEW_DATA, TAKE_NEXT = 0x0008, 0x0030
RATE_MASK, EIGHT_HZ, CHESS = 0x0380, 4 << 7, 0x1000
CALIBRATED_INTERLEAVED, IS_MLX90641 = 0x0800, 0x0040
LOOK_S = 0.02
STALLED_S = 2.0
SELF_HEATING_C = 8.0
U_C = 2.0
BOUNDS_C = (-40.0, 125.0)
HOTTEST = 4
MOST_DEAD = 4
"""§9: a part leaves the factory with at most so many broken or deviating pixels."""
ALONE_C = 10.0
"""A pixel warmer by more than all its neighbours shows no skin: a face covers several, up to 4 m."""

Numbers: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Words: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True)
class Options:
    """Settings of an MLX90640."""

    bus: str = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x08), Le(0x77)] = 0x33
    """7-bit bus address."""
    emissivity: Annotated[float, Gt(0.1), Le(1)] = 0.98
    """Of the surface; skin has 0.98."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical pictures after which the part counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A node that is no real bus is always marked."""


def signed(value: int, bits: int) -> int:
    """The low `bits` as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def nibbles(words: list[int]) -> Numbers:
    """Four signed numbers of each word, the lowest first."""
    return np.array([signed(word >> shift, 4) for word in words for shift in (0, 4, 8, 12)], float)


def six_bits(fields: Words) -> Numbers:
    """The low six bits of each as a two's complement number."""
    return ((fields + 32) % 64 - 32).astype(np.float64)


def by_parity(hi_hi: float, hi_lo: float, lo_hi: float, lo_lo: float) -> Numbers:
    """Rows x columns, from four values: odd rows with odd columns, then even ones; even rows so too (from 1)."""
    return np.tile(np.array([[hi_hi, hi_lo], [lo_hi, lo_lo]], float), (ROWS // 2, COLUMNS // 2))


class Calibration:
    """What the EEPROM says of this very part, in the datasheet's terms."""

    def __init__(self, words: list[int]) -> None:
        """`words`: all 832 of them."""
        head, pixels = words[:64], np.array(words[64:], np.int64).reshape(ROWS, COLUMNS)
        self.is_foreign = bool(head[0x0A] & (CALIBRATED_INTERLEAVED | IS_MLX90641))
        self.works = (pixels != 0) & (pixels & 1 == 0)
        self.k_vdd = 32.0 * signed(head[0x33] >> 8, 8)
        self.vdd_25 = ((head[0x33] & 0xFF) - 256) * 32 - 8192
        self.resolution = head[0x38] >> 12 & 3
        self.k_v_ptat, self.k_t_ptat = signed(head[0x32] >> 10, 6) / 4096, signed(head[0x32], 10) / 8
        self.v_ptat_25, self.alpha_ptat = signed(head[0x31], 16), (head[0x10] >> 12) / 4 + 8
        self.gain = signed(head[0x30], 16)
        self.tgc, self.ks_ta = signed(head[0x3C], 8) / 32, signed(head[0x3C] >> 8, 8) / 8192
        self.ks_to = signed(head[0x3D] >> 8, 8) / 2 ** ((head[0x3F] & 15) + 8)
        self._read_pixels(head, pixels)
        self._read_compensation(head)

    def _read_pixels(self, head: list[int], pixels: Words) -> None:
        """§11.2.2.5.2 and .3, §11.2.2.8: offset, temperature and supply dependence, sensitivity of each pixel."""
        occ, acc = head[0x10], head[0x20]
        self.offset = (
            signed(head[0x11], 16)
            + nibbles(head[0x12:0x18])[:, None] * 2 ** (occ >> 8 & 15)
            + nibbles(head[0x18:0x20]) * 2 ** (occ >> 4 & 15)
            + six_bits(pixels >> 10) * 2 ** (occ & 15)
        )
        self.alpha = (
            head[0x21]
            + nibbles(head[0x22:0x28])[:, None] * 2 ** (acc >> 8 & 15)
            + nibbles(head[0x28:0x30]) * 2 ** (acc >> 4 & 15)
            + six_bits(pixels >> 4) * 2 ** (acc & 15)
        ) / 2.0 ** ((acc >> 12) + 30)
        one, two, three = (head[0x38] >> 4 & 15) + 8, head[0x38] & 15, head[0x38] >> 8 & 15
        average = by_parity(*(signed(head[at] >> shift, 8) for shift in (8, 0) for at in (0x36, 0x37)))
        own = ((pixels >> 1) + 4) % 8 - 4
        self.k_ta = (average + own * 2**two) / 2**one
        self.k_v = by_parity(*(signed(head[0x34] >> shift, 4) for shift in (12, 4, 8, 0))) / 2**three
        self._ta_scale, self._v_scale = 2**one, 2**three

    def _read_compensation(self, head: list[int]) -> None:
        """§11.2.2.6 and .8: the two blind pixels, one per subpage."""
        first = signed(head[0x3A], 10)
        self.blind_offset = (first, first + signed(head[0x3A] >> 10, 6))
        self.blind_k_ta = signed(head[0x3B], 8) / self._ta_scale
        self.blind_k_v = signed(head[0x3B] >> 8, 8) / self._v_scale
        alpha = signed(head[0x39], 10) / 2 ** ((head[0x20] >> 12) + 27)
        self.blind_alpha = (alpha, alpha * (1 + signed(head[0x39] >> 10, 6) / 128))


def supply_v(ram: list[int], control: int, k: Calibration) -> float:
    """§11.2.2.2: the part's own supply."""
    return float((2.0 ** (k.resolution - (control >> 10 & 3)) * signed(ram[0x32A], 16) - k.vdd_25) / k.k_vdd + 3.3)


def die_c(ram: list[int], vdd: float, k: Calibration) -> float:
    """§11.2.2.3: the part's own temperature."""
    v_be, v_ptat = signed(ram[0x300], 16), signed(ram[0x320], 16)
    art = v_ptat / (v_ptat * k.alpha_ptat + v_be) * 2**18
    return (art / (1 + k.k_v_ptat * (vdd - 3.3)) - k.v_ptat_25) / k.k_t_ptat + 25


def infrared(ram: list[int], subpage: int, control: int, k: Calibration) -> Numbers:
    """§11.2.2.4 to .7: what each pixel receives, less what the part itself adds; rows x columns in counts."""
    vdd = supply_v(ram, control, k)
    warm, high = die_c(ram, vdd, k) - 25, vdd - 3.3
    gain = k.gain / signed(ram[0x30A], 16)
    seen = np.array(ram[:PIXELS], np.uint16).astype(np.int16).reshape(ROWS, COLUMNS) * gain
    seen = seen - k.offset * (1 + k.k_ta * warm) * (1 + k.k_v * high)
    blind = signed(ram[(0x308, 0x328)[subpage]], 16) * gain
    blind -= k.blind_offset[subpage] * (1 + k.blind_k_ta * warm) * (1 + k.blind_k_v * high)
    counts: Numbers = seen - k.tgc * blind
    return counts


def sensitivity(subpage: int, own_c: float, k: Calibration) -> Numbers:
    """§11.2.2.8: counts per fourth power of a kelvin, of each pixel."""
    alpha: Numbers = (k.alpha - k.tgc * k.blind_alpha[subpage]) * (1 + k.ks_ta * (own_c - 25))
    return alpha


def celsius(counts: Numbers, alpha: Numbers, around: float, ks_to: float) -> Numbers:
    """§11.2.2.9: °C, right from 0 up. `around`: as from `background`. NaN: no temperature."""
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = ks_to * (alpha**3 * counts + alpha**4 * around) ** 0.25
        warm: Numbers = (counts / (alpha * (1 - ks_to * ZERO_K) + bend) + around) ** 0.25 - ZERO_K
    return warm


def background(own_c: float, emissivity: float, surroundings_c: float) -> float:
    """§11.2.2.9: the part's and the surroundings' share in what is seen, as a fourth power of kelvins."""
    reflected = (surroundings_c + ZERO_K) ** 4
    return reflected - (reflected - (own_c + ZERO_K) ** 4) / emissivity


def warmest_neighbours(picture: Numbers) -> Numbers:
    """The warmest of the eight around each pixel."""
    rows, columns = picture.shape
    framed = np.pad(picture, 1, constant_values=-np.inf)
    around = [
        framed[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    ]
    warmest: Numbers = np.max(around, axis=0)
    return warmest


class Driver(PolledI2cDriver[Reading]):
    """The hot spot, once for each subpage."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._options = options
        self._calibration: Calibration | None = None
        self._control = 0
        self._picture = np.full((ROWS, COLUMNS), np.nan)
        self._drawn: set[int] = set()
        """Subpages that the picture has."""
        self._fresh_s = 0.0
        super().__init__(wire or I2cBus(options.bus, simulated=options.simulated), LOOK_S, options.frozen_s)

    def start(self) -> None:
        """Read what the part says of itself, set eight subpages a second."""
        calibration = Calibration(self._words(EEPROM, WORDS))
        sound = calibration.k_vdd and calibration.k_t_ptat and calibration.gain and calibration.works.any()
        if not sound or calibration.is_foreign:
            raise BadReply(self._bus.name, "has no memory of an MLX90640", "check the part and its address")
        self._calibration = calibration
        self._control = self._words(CONTROL, 1)[0] & ~RATE_MASK | EIGHT_HZ | CHESS
        self._write(CONTROL, self._control)
        self._write(STATUS, TAKE_NEXT)
        self._picture = np.full((ROWS, COLUMNS), np.nan)
        self._drawn = set()
        self._fresh_s = time.monotonic()

    def measure(self) -> Reading | None:
        """The hot spot once a subpage is there, and its sister was."""
        status = self._words(STATUS, 1)[0]
        at_s = time.monotonic()
        k = self._calibration
        if k is None or not status & NEW_DATA:
            if at_s - self._fresh_s > STALLED_S:
                raise BadReply(self._bus.name, "the MLX90640 has stopped", "power-cycle the sensor")
            return None
        self._write(STATUS, TAKE_NEXT)
        ram = self._words(RAM, WORDS)
        self._fresh_s = at_s
        self.must_move(tuple(ram), at_s)
        if not ram[0x30A] or not ram[0x320]:
            raise BadReply(self._bus.name, "sends no MLX90640 picture", "check the wiring; slow the bus")
        subpage = status & 1
        own_c = die_c(ram, supply_v(ram, self._control, k), k)
        self._draw(ram, subpage, own_c, k)
        self._drawn.add(subpage)
        if len(self._drawn) < SUBPAGES:
            return None
        hot_c = self._hot_spot(k)
        if not BOUNDS_C[0] <= own_c <= BOUNDS_C[1]:
            raise BadReply(self._bus.name, "the MLX90640 measures out of its range", "power-cycle the sensor")
        return Reading(hot_c, at_s, U_C, sensor_c=own_c, simulated=self.simulated)

    def _hot_spot(self, k: Calibration) -> float:
        """Mean of the warmest pixels that work. Raises BadReply when too many do not."""
        good = k.works & (self._picture >= BOUNDS_C[0]) & (self._picture <= BOUNDS_C[1])  # NaN is neither
        dead = int(k.works.sum() - good.sum())
        if dead > MOST_DEAD:
            fact = f"{dead} pixels of the MLX90640 measure out of its range, {MOST_DEAD} may"
            raise BadReply(self._bus.name, fact, "power-cycle the sensor; if that does not help, replace it")
        seen = np.where(good, self._picture, -np.inf)
        seen[seen > warmest_neighbours(seen) + ALONE_C] = -np.inf
        return float(np.sort(seen, axis=None)[-HOTTEST:].mean())

    def _draw(self, ram: list[int], subpage: int, own_c: float, k: Calibration) -> None:
        """Put a subpage into the picture."""
        emissivity = self._options.emissivity
        counts = infrared(ram, subpage, self._control, k) / emissivity
        around = background(own_c, emissivity, own_c - SELF_HEATING_C)
        new = np.indices((ROWS, COLUMNS)).sum(axis=0) % 2 == subpage
        self._picture[new] = celsius(counts, sensitivity(subpage, own_c, k), around, k.ks_to)[new]

    def _words(self, address: int, count: int) -> list[int]:
        data = self._bus.transfer(self._options.address, address.to_bytes(2), 2 * count)
        return [int(word) for word in np.frombuffer(data, ">u2")]

    def _write(self, address: int, value: int) -> None:
        self._bus.transfer(self._options.address, address.to_bytes(2) + value.to_bytes(2), 0)
