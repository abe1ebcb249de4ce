"""Ten million bytes of junk through every serial parser.

Nine tenths are noise; the rest is made to hurt: headers, true frames with a byte or a bit changed, frames cut off
and run together. Whatever a parser takes for a frame is judged again by the simulated device's own arithmetic.
"""

from __future__ import annotations

import random
import time
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

from rows import Row

from drivers.positioning import nmea0183
from drivers.ranging import tf_luna
from drivers.scan_engine import LineSplitter, ResponseFilter
from drivers.scanners import em4100, gm65, grow_ssi, id_card, newland, pn532
from drivers.simulators import cards
from drivers.simulators.rangers import TfLuna
from drivers.simulators.receivers import NmeaReceiver
from drivers.simulators.scan_engines import Gm65, GrowSsi, Newland
from drivers.simulators.uart_thermometers import CalexPyroUsb, Cjmcu90614, Gy614v, GyMcu90615, RaytekMi3
from drivers.simulators.world import World
from drivers.thermometers import cjmcu, frame, gy_614v, gy_mcu, modbus_ir, raytek_mi3
from drivers.wire.framing import Framer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BYTES = 10_000_000
HARD_SHARE = 0.1
PIECE_BYTES = 4096


def _sum_all(data: bytes) -> bool:
    return sum(data[:-1]) % 256 == data[-1]


def _calex(data: bytes) -> bool:
    return CalexPyroUsb._crc(data[:-2]) == data[-2:]


def _mi3(data: bytes) -> bool:
    return data.rstrip(b"\r\n").lstrip(b"0123456789").startswith(b"!T")


def _em4100(data: bytes) -> bool:
    return reduce(xor, bytes.fromhex(data[1:13].decode())) == 0


def _pn532(data: bytes) -> bool:
    size, is_acknowledgement = data[2], data[2:4] == b"\x00\xff"
    return is_acknowledgement or ((size + data[3]) % 256 == 0 and sum(data[4 : 5 + size]) % 256 == 0)


def _sdt(data: bytes) -> bool:
    return reduce(xor, data[5:]) == 0


def _nmea(data: bytes) -> bool:
    text, _, told = data.strip()[1:].partition(b"*")
    return told.upper() == b"%02X" % reduce(xor, text)


def run() -> Iterator[Row]:
    """One row a parser."""
    world = World()
    board = GyMcu90615(world)
    described = frame.Options("x", 9600, "5a 5a 45 04", 9, 4, sensor_at=6)
    pyro = modbus_ir.Options("x", "pyrousb")
    calex = CalexPyroUsb(world)
    asked = modbus_ir.read_request(1, 4, 0x13, 3)
    parsers: dict[str, tuple[Callable, bytes, Callable[[bytes], bool]]] = {
        "gy_mcu": (gy_mcu.step, board.speak(), _sum_all),
        "frame": (frame.frame_of(described).step, board.speak(), _sum_all),
        "gy_614v": (gy_614v.step, Gy614v(world).speak(), _sum_all),
        "cjmcu": (cjmcu.step, Cjmcu90614(world).speak(), lambda data: sum(data[4:8]) % 256 == data[8]),
        "tf_luna": (tf_luna.step, TfLuna(world).speak(), _sum_all),
        "modbus_ir": (modbus_ir.Registers(pyro), calex.respond(asked), _calex),
        "em4100": (em4100.step, cards.Em4100Reader().encode(bytes.fromhex("0F00C0FFEE")), _em4100),
        "pn532": (pn532.step, bytes.fromhex("0000ff06fad50332010607e800"), _pn532),
        "id_card": (id_card.step, id_card.frame(b"\x00\x00\x90"), _sdt),
        "nmea0183": (nmea0183.step, NmeaReceiver().speak().splitlines(keepends=True)[-1], _nmea),
        "raytek_mi3": (raytek_mi3.Lines(), RaytekMi3(world).respond(b"?U\r?T\r"), _mi3),
    }
    for name, (step, true, is_right) in parsers.items():
        yield _frames(name, step, true, is_right)
    for name, module, engine, leads in (
        ("gm65", gm65, Gm65, b"\x02"),
        ("grow_ssi", grow_ssi, GrowSsi, b"\x04\x05"),
        ("newland", newland, Newland, b"\x02"),
    ):
        yield _codes(name, ResponseFilter(leads, module.answer), engine().acknowledgement())
    yield _codes("line", ResponseFilter(b"", None), b"CODE\r\n")


def _frames(name: str, step: Callable, true: bytes, is_right: Callable[[bytes], bool]) -> Row:
    seen = wrong = 0

    def judged(pending: bytearray) -> tuple[int, object]:
        nonlocal seen, wrong
        spent, got = step(pending)
        if got is not None:
            seen += 1
            wrong += not is_right(bytes(pending[:spent]))
        return spent, got

    framer = Framer(judged)
    begun_s, failures = time.perf_counter(), 0
    for piece in _junk(true):
        try:
            for _ in framer.feed(piece):
                pass
        except Exception:  # noqa: BLE001 - counted: none may come
            failures += 1
    return _row(name, failures, wrong, seen, time.perf_counter() - begun_s)


def _codes(name: str, sieve: ResponseFilter, true: bytes) -> Row:
    lines, longest = LineSplitter("auto", 4296), 0
    begun_s, failures, seen = time.perf_counter(), 0, 0
    for piece in _junk(true):
        try:
            for code in lines.feed(sieve.feed(piece)):
                seen += 1
                longest = max(longest, len(code))
        except ValueError:
            pass  # a code that never ends: the driver's BadReply
        except Exception:  # noqa: BLE001 - counted: none may come
            failures += 1
    return _row(name, failures, int(longest > 4296), seen, time.perf_counter() - begun_s)


def _row(name: str, failures: int, wrong: int, seen: int, took_s: float) -> Row:
    here = f"{failures} exceptions, {wrong} wrong of {seen} taken, {BYTES / took_s / 1e6:.1f} MB/s"
    return Row(
        f"{name}, {BYTES / 1e6:.0f} million bytes", here, bar="0 exceptions, 0 wrong", met=not failures + wrong
    )


def _junk(true: bytes) -> Iterator[bytes]:
    noise = random.Random(2026)
    done = 0
    while done < BYTES:
        if noise.random() < HARD_SHARE:
            piece = b"".join(_spoilt(true, noise) for _ in range(PIECE_BYTES // max(1, len(true))))
        else:
            piece = noise.randbytes(PIECE_BYTES)
        done += len(piece)
        yield piece


def _spoilt(true: bytes, noise: random.Random) -> bytes:
    data = bytearray(true)
    match noise.randrange(4):
        case 0:
            data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        case 1:
            data[noise.randrange(len(data))] = noise.randrange(256)
        case 2:
            del data[noise.randrange(len(data)) :]
        case 3:
            data[:0] = true[: noise.randrange(len(data))]
    return bytes(data)
