"""What is plugged in, and what each thing probably is. Probing is harmless.

Serial ports are only listened to, at each usual speed, since a byte sent to a relay board may move a gate; a
question is sent only when the caller allows it (`ask_too`). I²C chips are recognised by registers that are made to
be read. At addresses where a PCF8574 may sit nothing is written, since every byte sent to one moves its relays.
Addresses that no chip known here uses are not touched. Nothing is ever configured.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.contract import BadOptions, BadReply, DeviceGone, DriverError
from drivers.positioning import nmea0183
from drivers.ranging import tf_luna
from drivers.thermometers import cjmcu, gy_614v, gy_mcu
from drivers.wire import i2c, kernel_text, uart
from drivers.wire.framing import Framer
from drivers.wire.modbus import answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.wire.framing import Step

LISTEN_S = 0.5
FRAMES = 2
"""Frames with a right checksum before a guess is ventured."""
STEPS: dict[str, Step[object]] = {
    "thermometers/gy_mcu": gy_mcu.step,
    "thermometers/gy_614v": gy_614v.step,
    "thermometers/cjmcu": cjmcu.step,
    "ranging/tf_luna": tf_luna.step,
    "positioning/nmea0183": nmea0183.step,
}
"""Devices that talk unasked."""
BAUDS = (115200, 9600, 57600)
QUESTIONS: dict[str, tuple[int, bytes, Callable[[bytes], bool]]] = {
    "thermometers/gy_614v": (9600, gy_614v.ASK, lambda heard: heard.startswith(gy_614v.HEADER)),
    "thermometers/raytek_mi3": (9600, b"\r?U\r", lambda heard: b"!UC\r\n" in heard or b"!UF\r\n" in heard),
    "thermometers/modbus_ir": (
        9600,
        read_request(1, 4, 0x13, 3),
        lambda heard: isinstance(answer(bytearray(heard), 1, 4, 3)[1], tuple),
    ),
    "scanners/gm65": (
        9600,
        bytes.fromhex("7e 00 07 01 00 0a 01 ee 8a"),
        lambda heard: heard.startswith(b"\x02\x00\x00\x01"),
    ),
}
"""Devices that talk only when asked: speed, question, what the answer is known by."""


@dataclass(frozen=True)
class Found:
    """One thing that is there."""

    bus: str
    """`serial`, `i2c` or `camera`."""
    name: str
    """The path to use in the configuration: the most lasting one."""
    node: str = ""
    """The kernel's own name."""
    maker: str = ""
    """What it says of itself, or its USB numbers."""
    driver: str = ""
    """`kind/driver` that it probably needs; empty when unknown."""
    options: dict[str, object] = field(default_factory=dict)
    """Options for that driver that probing found."""
    note: str = ""
    """What stands in the way, with the remedy."""


def everything(*, ask_too: bool = False) -> Iterator[Found]:
    """All that is there, one after the other, as it is found."""
    for name in uart.ports():
        yield serial_port(name, ask_too=ask_too)
    for name in i2c.buses():
        yield from i2c_bus(name, ask_too=ask_too)
    yield from cameras()


def serial_port(name: str, *, ask_too: bool = False) -> Found:
    """What is on a serial port."""
    node = os.path.realpath(name)
    maker = usb_identity(node)
    lasting = name if name.startswith("/dev/serial/") else _by_path(node) or name
    who = uart.holders(name)
    if who:
        return Found("serial", lasting, node, maker, note=f"in use by {', '.join(who)}")
    try:
        driver, options = listen(name) or (probe(name) if ask_too else None) or ("", {})
    except DriverError as trouble:
        return Found("serial", lasting, node, maker, note=str(trouble))
    note = "" if driver else "says nothing by itself; scan engines and relay boards are like that"
    return Found("serial", lasting, node, maker, driver, options, note)


def listen(name: str, bauds: Sequence[int] = BAUDS) -> tuple[str, dict[str, object]] | None:
    """Who talks unasked on a port, and at what speed. Writes nothing. Raises DriverError."""
    line = uart.Uart(name, bauds[0])
    line.open()
    try:
        for baud in bauds:
            line.retune(baud)
            framers: dict[str, Framer[object]] = {driver: Framer(step) for driver, step in STEPS.items()}
            frames = dict.fromkeys(framers, 0)
            heard = 0
            for data in _read_for(line, LISTEN_S):
                heard += len(data)
                for driver, framer in framers.items():
                    frames[driver] += sum(1 for _ in framer.feed(data))
                    if frames[driver] >= FRAMES:
                        return driver, {"baud": baud}
            if not heard:
                return None  # at a wrong speed there would be junk, not silence
    finally:
        line.close()
    return None


def probe(name: str) -> tuple[str, dict[str, object]] | None:
    """Who answers a question on a port. Writes to the device. Raises DriverError."""
    line = uart.Uart(name, BAUDS[0])
    line.open()
    try:
        for driver, (baud, question, is_known) in QUESTIONS.items():
            line.retune(baud)
            line.write(question)
            heard = b""
            for data in _read_for(line, LISTEN_S / 2):
                heard += data
                if is_known(heard.removeprefix(question)):  # an RS-485 adapter may hear itself
                    return driver, {"baud": baud}
    finally:
        line.close()
    return None


def _read_for(line: uart.Line, limit_s: float) -> Iterator[bytes]:
    end_s = time.monotonic() + limit_s
    while (left_s := end_s - time.monotonic()) > 0:
        if data := line.read(left_s):
            yield data


def i2c_bus(name: str, *, ask_too: bool = False) -> Iterator[Found]:
    """The known chips on a bus; the bus itself when it has none or cannot be opened."""
    maker = ""
    with contextlib.suppress(OSError):
        maker = i2c.adapter_name(name)
    bus = i2c.I2cBus(name)
    try:
        bus.open()
    except DriverError as trouble:
        yield Found("i2c", name, name, note=str(trouble))
        return
    found = 0
    try:
        for driver, look in CHIPS.items():
            for address, what in look(bus, ask_too):
                found += 1
                yield Found("i2c", name, name, what, driver, {"address": address})
    except DriverError as trouble:
        yield Found("i2c", name, name, note=str(trouble))
        found += 1
    finally:
        bus.close()
    if not found:
        yield Found("i2c", name, name, maker, note="no chip that is known here answers")


def _mlx90614(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    with contextlib.suppress(BadReply, BadOptions, DeviceGone):
        word = bus.read_word(0x5A, 0x06, pec=True)
        yield 0x5A, f"MLX90614, die at {word * 0.02 - 273.15:.1f} °C"


def _mlx90632(bus: i2c.Bus, ask_too: bool) -> Iterator[tuple[int, str]]:
    for address in (0x3A, 0x3B):
        if not ask_too and _may_be_pcf8574(bus, address):
            continue
        version = _registers(bus, address, b"\x24\x0b", 2)
        if version[1:] == b"\x05":
            yield address, f"MLX90632, {'medical' if version[0] & 0x7F == 1 else 'consumer or extended'} version"


def _omron_d6t(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    for model, pixels in (("1A", 1), ("8L", 8), ("44L", 16)):
        frame = _registers(bus, 0x0A, b"\x4c", 2 * pixels + 3)
        if frame and i2c.crc8(b"\x15" + frame[:-1]) == frame[-1]:
            yield 0x0A, f"Omron D6T-{model}"
            return


def _amg8833(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    for address in (0x68, 0x69):
        frame = _registers(bus, address, b"\x80", 128)
        words = [frame[i] | frame[i + 1] << 8 for i in range(0, len(frame), 2)]
        if words and any(words) and all(word >> 12 == 0 and 0 < word < 400 for word in words):  # noqa: PLR2004
            yield address, "AMG8833 Grid-EYE, by the look of its 64 pixels"


def _mlx90640(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    memory = _registers(bus, 0x33, b"\x24\x30", 8)  # gain, own temperature twice, supply
    gain, supply = memory[:2], memory[6:7]
    if b"\x10\x00" < gain < b"\x30\x00" and supply > b"\x80":
        yield 0x33, "MLX90640, by the look of its memory"


def _vl53l1x(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    if any(_vl53l0x(bus, _)):
        return  # to its brother the second address byte would be a value to write
    if _registers(bus, 0x29, b"\x01\x0f", 2) == b"\xea\xcc":
        yield 0x29, "VL53L1X"


def _vl53l0x(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    if _registers(bus, 0x29, b"\xc0", 1) == b"\xee":
        yield 0x29, "VL53L0X"


def _mcp23017(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    for address in range(0x20, 0x28):
        if len(set(_registers(bus, address, b"", 22))) > 1:
            yield address, "MCP23017: answers with registers that differ"


def _pcf8574(bus: i2c.Bus, _: bool) -> Iterator[tuple[int, str]]:
    for address in (*range(0x20, 0x28), *range(0x38, 0x40)):
        if _may_be_pcf8574(bus, address):
            yield address, "PCF8574 or PCF8574A: answers with one byte again and again"


def _may_be_pcf8574(bus: i2c.Bus, address: int) -> bool:
    """True when an address answers with one byte over and over: reading moves nothing, writing would."""
    return len(set(_registers(bus, address, b"", 8))) == 1


CHIPS: dict[str, Callable[[i2c.Bus, bool], Iterator[tuple[int, str]]]] = {
    "thermometers/mlx90614": _mlx90614,
    "thermometers/mlx90632": _mlx90632,
    "thermometers/omron_d6t": _omron_d6t,
    "thermometers/amg8833": _amg8833,
    "thermometers/mlx90640": _mlx90640,
    "ranging/vl53l0x": _vl53l0x,
    "ranging/vl53l1x": _vl53l1x,
    "outputs/mcp23017": _mcp23017,
    "outputs/pcf8574": _pcf8574,
}
"""How each chip is recognised: bus, and whether asking is allowed → addresses and what answers there."""


def _registers(bus: i2c.Bus, address: int, start: bytes, count: int) -> bytes:
    """Bytes from a register on; empty when nothing answers."""
    try:
        return bus.transfer(address, start, count)
    except (DeviceGone, BadOptions):
        return b""


def cameras() -> Iterator[Found]:
    """Cameras by their lasting names, without opening them: `gatepost camera` shows what they see."""
    lasting = {os.path.realpath(path): str(path) for path in sorted(Path("/dev/v4l/by-id").glob("*-index0"))}
    for entry in sorted(Path("/sys/class/video4linux").glob("video*")):
        node = f"/dev/{entry.name}"
        with contextlib.suppress(OSError):
            if kernel_text(entry / "index") != "0":
                continue  # its metadata, not its pictures
        maker = ""
        with contextlib.suppress(OSError):
            maker = kernel_text(entry / "name")
        note = "" if os.access(node, os.R_OK | os.W_OK) else "permission denied (add the user to group video)"
        name = lasting.get(node, node)
        yield Found("camera", name, node, maker, "scanners/camera", {"device": name}, note)


def usb_identity(node: str) -> str:
    """Maker, product and numbers of the USB device behind a serial node; empty when there is none."""
    folder = Path("/sys/class/tty") / Path(node).name / "device"
    with contextlib.suppress(OSError):
        for above in folder.resolve().parents:
            if (above / "idVendor").exists():
                words = [_text(above / each) for each in ("manufacturer", "product")]
                numbers = f"{_text(above / 'idVendor')}:{_text(above / 'idProduct')}"
                return " ".join([*filter(None, words), numbers])
    return ""


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return kernel_text(path)
    return ""


def _by_path(node: str) -> str:
    paths = sorted(Path("/dev/serial/by-path").glob("*"))
    return next((str(path) for path in paths if os.path.realpath(path) == node), "")
