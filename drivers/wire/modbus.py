"""Modbus RTU, the frames that a thermometer and a relay board need: pure, no reading.

Source: Modbus over Serial Line V1.02 §2.5.1 and Modbus Application Protocol V1.1b3 §6.3, §6.4.

    ask     slave  03|04  register hi lo  count hi lo  CRC lo hi
    answer  slave  03|04  2 · count       words, BE    CRC lo hi
    error   slave  83|84  code                         CRC lo hi
"""

from __future__ import annotations

from drivers.wire.framing import before

ERROR_FLAG = 0x80
ERROR_BYTES = 5


def crc16(data: bytes | bytearray) -> int:
    """CRC-16/MODBUS: polynomial 0x8005 reflected, initial value 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def sealed(body: bytes) -> bytes:
    """A frame with its CRC."""
    return body + crc16(body).to_bytes(2, "little")


def read_request(slave: int, function: int, register: int, count: int) -> bytes:
    """The question for `count` registers."""
    return sealed(bytes((slave, function)) + register.to_bytes(2, "big") + count.to_bytes(2, "big"))


def answer(pending: bytearray, slave: int, function: int, count: int) -> tuple[int, tuple[int, ...] | int | None]:
    """Bytes pending → bytes spent and the words, or the error's code; resynchronises by single bytes."""
    good, bad = bytes((slave, function, 2 * count)), bytes((slave, function | ERROR_FLAG))
    skip = min(before(pending, good), before(pending, bad))
    size = ERROR_BYTES if pending[skip : skip + 2] == bad else 2 * count + 5
    if skip or len(pending) < size:
        return skip, None
    frame = pending[:size]
    if crc16(frame[:-2]).to_bytes(2, "little") != frame[-2:]:
        return 1, None
    if size == ERROR_BYTES and frame[1] & ERROR_FLAG:
        return size, frame[2]
    words = tuple(int.from_bytes(frame[3 + 2 * i : 5 + 2 * i], "big") for i in range(count))
    return size, words
