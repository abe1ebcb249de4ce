"""An I²C bus: the one place where smbus2 is met.

SMBus words are read as plain transfers where the adapter can do them, so that the packet error code is computed and
judged here (the kernel's plain transfers have none, and not every adapter checks it for SMBus calls). Error numbers
become a sentence with a remedy. A dead bus holds each call for the adapter's time-out (1 s on a Raspberry Pi), so
that is set to 0.2 s; time-out, lock and recovery are the bus's and shared by all its devices.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import smbus2

from drivers.contract import BadOptions, BadReply, DeviceGone, DriverError
from drivers.wire import kernel_text

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

I2C_MAJOR = 89
"""Character device number of i2c-dev (kernel Documentation/admin-guide/devices.txt)."""
I2C_RETRIES, I2C_TIMEOUT = 0x0701, 0x0702
"""ioctl requests of uapi/linux/i2c-dev.h; the time-out counts in units of 10 ms."""
TIMEOUT_10MS = 20
NOBODY = 0x7C
"""A reserved address (10-bit prefix of the I²C specification UM10204, table 4) that no 7-bit device answers."""
SILENT = (errno.EREMOTEIO, errno.ENXIO)
STUCK = (errno.ETIMEDOUT, errno.EIO, errno.EAGAIN)

_locks: dict[str, threading.RLock] = {}


class Bus(Protocol):
    """An I²C bus as the drivers see it. All methods raise DeviceGone, BadReply or BadOptions."""

    name: str
    simulated: bool

    def open(self) -> None:
        """Take the bus."""

    def read_word(self, address: int, command: int, *, pec: bool) -> int:
        """SMBus Read Word; with `pec` its checksum must hold."""

    def transfer(self, address: int, data: bytes, count: int) -> bytes:
        """Write `data`, then after a repeated start read `count` bytes; either may be nothing."""

    def recover(self) -> None:
        """Try to free a bus that a device holds."""

    def held(self) -> AbstractContextManager[object]:
        """Keep all others off the bus between several transfers."""

    def close(self) -> None:
        """Let go. Never raises."""


class I2cBus:
    """A bus of this machine, by its device node."""

    def __init__(self, name: str, *, simulated: bool = False) -> None:
        """`name`: `/dev/i2c-N`."""
        self.name = name
        self.simulated = simulated
        self._forced = simulated
        self._bus: smbus2.SMBus | None = None
        self._lock = _locks.setdefault(os.path.realpath(name), threading.RLock())

    def open(self) -> None:
        """Take the bus and shorten its time-out. Raises DriverError."""
        with self._lock:
            self.close()
            bus = smbus2.SMBus()
            try:
                bus.open(self.name)
            except OSError as trouble:
                bus.close()
                raise _not_opened(self.name, trouble) from trouble
            self._bus = bus
            self.simulated = self._forced or is_simulated(self.name)
            if bus.fd is not None:
                with contextlib.suppress(OSError):  # a comfort: a bus that cannot be told only stays slower
                    fcntl.ioctl(bus.fd, I2C_TIMEOUT, TIMEOUT_10MS)
                    fcntl.ioctl(bus.fd, I2C_RETRIES, 0)

    def read_word(self, address: int, command: int, *, pec: bool) -> int:
        """SMBus Read Word; with `pec` its checksum must hold. A stub without a wire has nothing to check. Raises
        DriverError.
        """
        with self._lock:
            bus = self._open_bus()
            if bus.funcs & smbus2.I2cFunc.I2C:
                reply = self.transfer(address, bytes((command,)), 3 if pec else 2)
                if pec and crc8(bytes((address << 1, command, address << 1 | 1)) + reply[:2]) != reply[2]:
                    raise BadReply(self._at(address), "checksum is wrong", "shorten the wires or slow the bus")
                return reply[0] | reply[1] << 8
            try:
                if pec and not is_stub(self.name):
                    self._demand_pec(bus)
                return int(bus.read_word_data(address, command))
            except OSError as trouble:
                raise self._failed(address, trouble) from trouble

    def transfer(self, address: int, data: bytes, count: int) -> bytes:
        """Write `data`, then after a repeated start read `count` bytes; either may be nothing. Raises
        DriverError.
        """
        messages = [smbus2.i2c_msg.write(address, data)] if data else []
        if count:
            messages.append(smbus2.i2c_msg.read(address, count))
        with self._lock:
            bus = self._open_bus()
            try:
                bus.i2c_rdwr(*messages)
            except OSError as trouble:
                raise self._failed(address, trouble) from trouble
        return bytes(messages[-1]) if count else b""

    def recover(self) -> None:
        """Clock the bus and take it again.

        A device that was cut off in the middle of a byte holds the data line until it has seen the rest of its
        clocks. Addressing nobody gives nine of them and a stop, and needs no right beyond the bus; adapters with a
        recovery of their own (i2c-gpio, the Pi 5's) run it on such a call.
        """
        with self._lock:
            if self._bus is None:
                return
            for _ in range(2):
                with contextlib.suppress(DriverError):
                    self.transfer(NOBODY, b"", 1)
            self.open()

    def held(self) -> AbstractContextManager[object]:
        """Keep all others off the bus between several transfers."""
        return self._lock

    def close(self) -> None:
        """Let go of the bus."""
        with self._lock:
            bus, self._bus = self._bus, None
            if bus is not None:
                with contextlib.suppress(OSError):
                    bus.close()

    def _open_bus(self) -> smbus2.SMBus:
        if self._bus is None:
            raise DeviceGone(self.name, "the bus is not open")
        return self._bus

    def _demand_pec(self, bus: smbus2.SMBus) -> None:
        if not bus.funcs & smbus2.I2cFunc.SMBUS_PEC:
            raise BadOptions(self.name, "this adapter cannot check the checksum", 'set pec = "off"')
        bus.pec = 1

    def _at(self, address: int) -> str:
        return f"{self.name} address 0x{address:02x}"

    def _failed(self, address: int, trouble: OSError) -> DriverError:
        """The sentence for a transfer that failed."""
        code = trouble.errno
        if code in SILENT:
            return DeviceGone(self._at(address), "does not answer", "check its wiring, power and address")
        if code == errno.EBADMSG:
            return BadReply(self._at(address), "checksum is wrong", "shorten the wires or slow the bus")
        if code in STUCK:
            return BadReply(
                self._at(address),
                f"the bus is stuck ({errno.errorcode[code]})",
                "check the wires and pull-ups; power-cycle the sensor",
            )
        if code == errno.EBUSY:
            return DeviceGone(
                self._at(address), "a kernel driver holds this address", "remove its overlay or unbind it"
            )
        if code == errno.EOPNOTSUPP:
            return BadOptions(self.name, "this adapter cannot do what the device needs", "use a plain I²C bus")
        return DeviceGone(self.name, "the bus went away", "check the adapter")


def crc8(data: bytes) -> int:
    """SMBus packet error code: polynomial 0x07, initial value 0, most significant bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def is_simulated(name: str) -> bool:
    """True unless `name` is a node of i2c-dev with a real adapter behind it; a simulated one is called so."""
    try:
        node = os.stat(name)  # noqa: PTH116 - device numbers are what is asked for
    except OSError:
        return True
    if not (stat.S_ISCHR(node.st_mode) and os.major(node.st_rdev) == I2C_MAJOR):
        return True
    return is_stub(name) or _is_called(name, "simulated")


def is_stub(name: str) -> bool:
    """True for the kernel's i2c-stub, a memory without a wire."""
    return _is_called(name, "stub")


def _is_called(name: str, word: str) -> bool:
    with contextlib.suppress(OSError):
        return word in adapter_name(name).lower()
    return False


def adapter_name(name: str) -> str:
    """What the kernel calls the adapter behind a node. Raises OSError when it says nothing."""
    node = Path(os.path.realpath(name)).name
    return kernel_text(Path("/sys/class/i2c-dev") / node / "name")


def buses() -> list[str]:
    """The I²C buses of this machine."""
    return sorted((str(path) for path in Path("/dev").glob("i2c-[0-9]*")), key=lambda name: int(name[9:]))


def _not_opened(name: str, trouble: OSError) -> DriverError:
    """The sentence for a bus that could not be opened."""
    if trouble.errno in (errno.EACCES, errno.EPERM):
        return DeviceGone(name, "permission denied", "add the user to group i2c")
    if trouble.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        there = ", ".join(buses())
        return DeviceGone(
            name,
            "no such bus",
            f"buses there are: {there}"
            if there
            else "enable I²C: `raspi-config nonint do_i2c 0`, or dtparam=i2c_arm=on in config.txt, then reboot",
        )
    return DeviceGone(name, "is not an I²C bus", "check the path")
