"""Makes simulated I²C adapters appear as bus nodes to the real smbus2 of this process.

    python -m drivers.simulators.i2c_host SOCKET NODE [SOCKET NODE …] -- gatepost run …

Only what smbus2 asks of the kernel is replaced (`os.open`, `os.close`, `ioctl`), and only for the nodes named; what
becomes of a request is said in `i2c_node`. Needs nothing but Python; `i2c_testbed` goes one layer deeper.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from drivers.simulators.i2c_node import BLOCK_BYTES, FUNCS, RDWR, READ_FLAG, SMBUS, Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
            _ioctl(self._nodes[fd], request, argument)
            return 0
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


def _ioctl(node: Node, request: int, argument: Any) -> None:
    """`argument` is a number, or what smbus2 has laid out for the kernel."""
    if request == FUNCS:
        argument.value = node.functions
    elif request == RDWR:
        _transfer(node, [argument.msgs[i] for i in range(argument.nmsgs)])
    elif request == SMBUS:
        block = ctypes.string_at(argument.data, BLOCK_BYTES)
        block = node.smbus(argument.command, argument.size, block, is_read=bool(argument.read_write))
        ctypes.memmove(argument.data, block, BLOCK_BYTES)
    else:
        node.set(request, int(argument))


def _transfer(node: Node, messages: list[Any]) -> None:
    plan: list[tuple[int, bytes | int]] = [
        (each.addr, each.len if each.flags & READ_FLAG else ctypes.string_at(each.buf, each.len))
        for each in messages
    ]
    readers = [each for each in messages if each.flags & READ_FLAG]
    for each, data in zip(readers, node.transfer(plan), strict=True):
        ctypes.memmove(each.buf, data, each.len)


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
