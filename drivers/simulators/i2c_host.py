"""Makes simulated I²C adapters appear as bus nodes to the real smbus2 of this process.

    python -m drivers.simulators.i2c_host SOCKET NODE [SOCKET NODE …] -- gatepost run …

Only what smbus2 asks of the kernel is replaced (`os.open`, `os.close`, `ioctl`), and only for the nodes named; the
SMBus calls are broken down into plain messages as the kernel's i2c-core-smbus does it, packet error code included.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import socket
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# requests of uapi/linux/i2c-dev.h, sizes of uapi/linux/i2c.h
SLAVE, SLAVE_FORCE, FUNCS, RDWR, PEC, SMBUS = 0x0703, 0x0706, 0x0705, 0x0707, 0x0708, 0x0720
QUICK, BYTE, BYTE_DATA, WORD_DATA, BLOCK_DATA = 0, 1, 2, 3, 8
CAN_I2C, CAN_PEC = 0x1, 0x8
READ_FLAG = 0x1


class Node:
    """One opened bus node: the file's state in the kernel."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        self.fd = self._socket.fileno()
        self._lines = self._socket.makefile("rw", encoding="ascii")
        self._address = 0
        self._pec = False
        self._functions = int(self._ask({"do": "functions"})["functions"])

    def close(self) -> None:
        """Let go of the adapter."""
        with contextlib.suppress(OSError):  # what was still to be sent has nobody to read it
            self._lines.close()
        self._socket.close()

    def ioctl(self, request: int, argument: Any) -> int:
        """What the kernel would do. Raises OSError as it would."""
        if request in (SLAVE, SLAVE_FORCE):
            self._address = int(argument)
        elif request == PEC:
            self._pec = bool(argument)
        elif request == FUNCS:
            argument.value = self._functions
        elif request == SMBUS:
            self._smbus(argument)
        elif request == RDWR and self._functions & CAN_I2C:
            self._plain([argument.msgs[i] for i in range(argument.nmsgs)])
        else:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return 0

    def _plain(self, messages: list[Any]) -> None:
        plan: list[tuple[int, bytes | int]] = [
            (each.addr, each.len if each.flags & READ_FLAG else ctypes.string_at(each.buf, each.len))
            for each in messages
        ]
        readers = [each for each in messages if each.flags & READ_FLAG]
        for each, data in zip(readers, self._transfer(plan), strict=True):
            ctypes.memmove(each.buf, data, each.len)

    def _smbus(self, call: Any) -> None:
        is_read = bool(call.read_write)
        union = call.data.contents
        sent = b"" if call.size == QUICK or (call.size == BYTE and is_read) else bytes((call.command,))
        width = {QUICK: 0, BYTE: int(is_read), BYTE_DATA: 1, WORD_DATA: 2, BLOCK_DATA: union.block[0]}.get(
            call.size
        )
        if width is None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        if not is_read:
            sent += bytes(union.block[1 : 1 + width]) if call.size == BLOCK_DATA else bytes(union.block[:width])
            self._write(sent)
            return
        data = self._read(sent, width)
        start = 1 if call.size == BLOCK_DATA else 0
        for i, byte in enumerate(data):
            union.block[start + i] = byte

    def _write(self, data: bytes) -> None:
        if self._pec and data:
            data += bytes((_pec(bytes((self._address << 1,)) + data),))
        self._transfer([(self._address, data)])

    def _read(self, sent: bytes, width: int) -> bytes:
        head = bytes((self._address << 1,)) + sent if sent else b""
        plan: list[tuple[int, bytes | int]] = [(self._address, sent)] if sent else []
        data = self._transfer([*plan, (self._address, width + self._pec)])[-1]
        if self._pec and _pec(head + bytes((self._address << 1 | 1,)) + data[:-1]) != data[-1]:
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        return data[:width]

    def _transfer(self, plan: list[tuple[int, bytes | int]]) -> list[bytes]:
        messages = [[address, what if isinstance(what, int) else what.hex()] for address, what in plan]
        answer = self._ask({"do": "transfer", "messages": messages})
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return [bytes.fromhex(data) for data in answer["read"]]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._lines.write(json.dumps(request) + "\n")
            self._lines.flush()
            line = self._lines.readline()
        except (OSError, ValueError):
            line = ""
        if not line:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        answer: dict[str, Any] = json.loads(line)
        return answer


class Kernel:
    """Stands in for `os` and `ioctl` inside smbus2; all else is passed through."""

    def __init__(self, real_os: Any, real_ioctl: Any, sockets: Mapping[str, str]) -> None:
        self._os = real_os
        self._ioctl = real_ioctl
        self._sockets = dict(sockets)
        self._nodes: dict[int, Node] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._os, name)

    def open(self, path: str, flags: int) -> int:
        """As `os.open`."""
        if path not in self._sockets:
            return int(self._os.open(path, flags))
        node = Node(self._sockets[path])
        self._nodes[node.fd] = node
        return node.fd

    def close(self, fd: int) -> None:
        """As `os.close`."""
        if fd in self._nodes:
            self._nodes.pop(fd).close()
        else:
            self._os.close(fd)

    def ioctl(self, fd: int, request: int, argument: Any = 0) -> Any:
        """As `fcntl.ioctl`."""
        if fd in self._nodes:
            return self._nodes[fd].ioctl(request, argument)
        return self._ioctl(fd, request, argument)


@contextlib.contextmanager
def mounted(sockets: Mapping[str, str]) -> Iterator[None]:
    """Bus nodes (`/dev/i2c-77`) that lead to adapters' sockets, for as long as this lasts."""
    library: Any = import_module("smbus2.smbus2")  # reached into, not used
    kernel = Kernel(library.os, library.ioctl, sockets)
    real = library.os, library.ioctl
    library.os, library.ioctl = kernel, kernel.ioctl
    try:
        yield
    finally:
        library.os, library.ioctl = real


def _pec(data: bytes) -> int:
    """Packet error code by the SMBus specification: the remainder of the message times x⁸ by x⁸+x²+x+1."""
    remainder = int.from_bytes(data) << 8
    for shift in range(remainder.bit_length() - 9, -1, -1):
        if remainder >> shift + 8 & 1:
            remainder ^= 0x107 << shift
    return remainder


def main(arguments: list[str]) -> None:
    """Mount the pairs of socket and node, then become the console program after `--`."""
    cut = arguments.index("--")
    pairs, program = arguments[:cut], arguments[cut + 1 :]
    (entry,) = entry_points(group="console_scripts", name=program[0])
    sys.argv = program
    with mounted(dict(zip(pairs[1::2], pairs[::2], strict=True))):
        sys.exit(entry.load()())


if __name__ == "__main__":
    main(sys.argv[1:])
