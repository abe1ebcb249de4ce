"""One opened bus node with a simulated adapter behind it: what the kernel's i2c-dev would do of a request.

The adapter is asked over its socket (`i2c_adapter`); the SMBus calls are broken down into plain messages as the
kernel's i2c-core-smbus does it, packet error code included. Requests come from `i2c_host` (this process) or
`i2c_testbed` (any process).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from typing import Any

# requests of uapi/linux/i2c-dev.h, sizes of SMBus calls of uapi/linux/i2c.h
RETRIES, TIMEOUT = 0x0701, 0x0702
SLAVE, SLAVE_FORCE, FUNCS, RDWR, PEC, SMBUS = 0x0703, 0x0706, 0x0705, 0x0707, 0x0708, 0x0720
QUICK, BYTE, BYTE_DATA, WORD_DATA, BLOCK_DATA = 0, 1, 2, 3, 8
BLOCK_BYTES = 34
"""Size of union i2c_smbus_data: a length, 32 bytes, and one more."""
READ_FLAG = 0x1
_CAN_I2C = 0x1


class Node:
    """The state that the kernel keeps of one opened bus node. All methods raise OSError as it would."""

    def __init__(self, path: str) -> None:
        """`path`: the adapter's socket."""
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
        self.functions = int(self._query({"do": "functions"})["functions"])

    def close(self) -> None:
        """Let go of the adapter."""
        with contextlib.suppress(OSError):  # what was still to be sent has nobody to read it
            self._lines.close()
        self._socket.close()

    def set(self, request: int, value: int) -> None:
        """One of the requests that carry a number."""
        if request in (SLAVE, SLAVE_FORCE):
            self._address = value
        elif request == PEC:
            self._pec = bool(value)
        elif request not in (RETRIES, TIMEOUT):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def transfer(self, messages: list[tuple[int, bytes | int]]) -> list[bytes]:
        """Plain messages: each an address with bytes to write or a count to read. Gives what was read."""
        if not self.functions & _CAN_I2C:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return self._transfer(messages)

    def smbus(self, command: int, size: int, block: bytes, *, is_read: bool) -> bytes:
        """An SMBus call; `block` and what comes back are of the layout of union i2c_smbus_data."""
        start = 1 if size == BLOCK_DATA else 0
        sent = b"" if size == QUICK or (size == BYTE and is_read) else bytes((command,))
        width = {QUICK: 0, BYTE: int(is_read), BYTE_DATA: 1, WORD_DATA: 2, BLOCK_DATA: block[0]}.get(size)
        if width is None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        if not is_read:
            self._write(sent + block[start : start + width])
            return block
        data = self._read(sent, width)
        return block[:start] + data + block[start + len(data) :]

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
        answer = self._query({"do": "transfer", "messages": messages})
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return [bytes.fromhex(data) for data in answer["read"]]

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
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


def _pec(data: bytes) -> int:
    """Packet error code by the SMBus specification: the remainder of the message times x⁸ by x⁸+x²+x+1."""
    remainder = int.from_bytes(data) << 8
    for shift in range(remainder.bit_length() - 9, -1, -1):
        if remainder >> shift + 8 & 1:
            remainder ^= 0x107 << shift
    return remainder
