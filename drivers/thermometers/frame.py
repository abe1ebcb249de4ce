"""Any serial thermometer that sends fixed frames, described in the configuration.

Sources: the frame tables of some twenty kiosk modules, which differ only in header, offsets, scale and checksum;
the names of the checksums are those of the CRC catalogue (reveng.sourceforge.io).

Wiring: 8N1 at the module's speed; 3.3 V levels on a Raspberry Pi's own UART, or a USB adapter.

    header … object … [sensor] … [checksum over a range of bytes]

Accuracy: what its own datasheet states, option `u_c`. Quirks: without a checksum junk can pass for a frame, so
then a header of two bytes or more is demanded, and `least_c` and `most_c` should be tight.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.bounds import Ge, Gt, Le
from drivers.contract import Proof
from drivers.plausibility import FROZEN_S
from drivers.serial_thermometer import CHECKSUMS, FORMATS, FixedFrame, Measured, SerialThermometer
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial", Proof.SIMULATOR
Format = Literal["int16 be", "int16 le", "uint16 be", "uint16 le", "int8", "uint8"]
SAFE_HEADER_BYTES = 2


@dataclass(frozen=True)
class Options:
    """The frame of a thermometer."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)]
    """Line speed."""
    header: str
    """First bytes of a frame, hexadecimal: `5a 5a 45 04`."""
    length: Annotated[int, Gt(0), Le(256)]
    """Bytes of a whole frame."""
    object_at: Annotated[int, Ge(0)]
    """Offset of the object's temperature."""
    object_format: Format = "int16 be"
    """How it is written."""
    scale_c: Annotated[float, Gt(0)] = 0.01
    """Degrees Celsius of one count, for object and sensor."""
    zero_c: float = 0.0
    """Degrees Celsius at a count of zero: -273.15 for kelvin."""
    sensor_at: Annotated[int, Ge(-1)] = -1
    """Offset of the sensor's own temperature; -1: none. Its format is the object's."""
    checksum: Literal["none", "sum8", "xor8", "negative sum8", "sum16 be", "crc16 modbus", "crc16 xmodem"] = "sum8"
    """Kind of checksum; it stands at the end of the frame."""
    checksum_from: Annotated[int, Ge(0)] = 0
    """First byte that the checksum covers; the last is the one before it."""
    poll: str = ""
    """Bytes that ask for a frame, hexadecimal; empty when it sends by itself."""
    hello: str = ""
    """Bytes sent once on opening, hexadecimal."""
    period_s: Annotated[float, Gt(0)] = 0.2
    """Seconds between questions."""
    least_c: float = -20.0
    """Readings below are dropped, degrees Celsius."""
    most_c: float = 120.0
    """Readings above are dropped, degrees Celsius."""
    u_c: Annotated[float, Gt(0)] = 1.0
    """Expanded uncertainty that the datasheet states, degrees Celsius."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without a frame after which the module counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of identical frames after which it counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""

    def __post_init__(self) -> None:
        """Refuse a frame that contradicts itself."""
        for name in ("header", "poll", "hello"):
            try:
                bytes.fromhex(getattr(self, name))
            except ValueError:
                raise ValueError(f"{name} must be hexadecimal, like `5a 5a`") from None
        header, end = len(bytes.fromhex(self.header)), self.length - CHECKSUMS[self.checksum][0]
        width = struct.calcsize(FORMATS[self.object_format])
        if header < (SAFE_HEADER_BYTES if self.checksum == "none" else 1):
            raise ValueError("without a checksum the header must have two bytes or more, and one with it")
        for at in (self.object_at, self.sensor_at):
            if at >= 0 and not header <= at <= end - width:
                raise ValueError(f"a field at {at} does not lie between header and checksum")
        if not self.checksum_from < end or not self.least_c < self.most_c:
            raise ValueError("checksum_from must lie within the frame, and least_c below most_c")


def frame_of(options: Options) -> FixedFrame:
    """The frame that the options describe."""
    return FixedFrame(
        bytes.fromhex(options.header),
        options.length,
        options.object_at,
        options.sensor_at,
        options.object_format,
        options.scale_c,
        options.zero_c,
        options.checksum,
        options.checksum_from,
    )


class Driver(SerialThermometer):
    """Readings on the module's own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        stream = FrameStream[Measured](
            wire or Uart(options.port, options.baud, simulated=options.simulated),
            frame_of(options).step,
            (options.baud,),
            hello=bytes.fromhex(options.hello),
            poll=bytes.fromhex(options.poll),
            period_s=options.period_s,
            silent_s=options.silent_s,
        )
        bounds_c = (options.least_c, options.most_c)
        super().__init__(stream, u_c=options.u_c, bounds_c=bounds_c, frozen_s=options.frozen_s)
