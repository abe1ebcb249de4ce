"""Makes simulated I²C adapters appear as bus nodes to any program, with nothing of the program replaced.

    umockdev-wrapper /usr/bin/python3 -m drivers.simulators.i2c_testbed SOCKET NODE [SOCKET NODE …] -- PROGRAM …

umockdev stands between the program and its C library: the program sees `/dev/i2c-N` (a character device, 89:N) and
`/sys/class/i2c-dev`, opens it and calls ioctl as on a kiosk, with the pointers that the kernel would get; they are
followed here (uapi/linux/i2c.h) and served by `i2c_node`. Debian: `apt install umockdev gir1.2-umockdev-1.0
python3-gi`; the last is of the system's Python, so this file runs there and the program wherever it likes.
"""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import gi

from drivers.simulators.i2c_node import BLOCK_BYTES, FUNCS, RDWR, READ_FLAG, SMBUS, Node

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402 - after its version is chosen

DEVICE = """P: /devices/platform/gatepost/{name}
N: {name}
E: DEVNAME=/dev/{name}
E: SUBSYSTEM=i2c-dev
E: MAJOR=89
E: MINOR={number}
A: name=simulated by umockdev\\n
"""
"""One node in umockdev's words; the name of the adapter is what says that nothing is real."""
MESSAGE = struct.Struct("<HHH2xQ")
"""struct i2c_msg on a 64-bit machine: address, flags, length, pointer to the bytes."""
MESSAGES = struct.Struct("<QI4x")
"""struct i2c_rdwr_ioctl_data: pointer to the messages, their number."""
CALL = struct.Struct("<BB2xIQ")
"""struct i2c_smbus_ioctl_data: read or write, command, size, pointer to the data."""


class SimulatedBus(UMockdev.IoctlBase):  # type: ignore[misc] # umockdev publishes no types
    """What stands behind one bus node; each program that opens it is a client with a state of its own."""

    def __init__(self, path: str) -> None:
        """`path`: the adapter's socket."""
        super().__init__()
        self._path = path
        self._nodes: dict[Any, Node] = {}

    def do_client_vanished(self, client: Any) -> None:
        """A program has closed the node."""
        if node := self._nodes.pop(client, None):
            node.close()

    def do_handle_ioctl(self, client: Any) -> bool:
        """One request of one program."""
        try:
            if client not in self._nodes:
                self._nodes[client] = Node(self._path)
            client.complete(_ioctl(self._nodes[client], client.get_request(), client.get_arg()), 0)
        except OSError as trouble:  # a node that outlives its adapter has no device any more
            client.complete(-1, errno.ENODEV if trouble.errno == errno.ENOENT else trouble.errno)
        return True


def _ioctl(node: Node, request: int, argument: Any) -> int:
    """`argument` holds what the program gave: a number, or a pointer into its memory. Gives what ioctl returns."""
    if request == FUNCS:
        argument.resolve(0, 8).update(0, node.functions.to_bytes(8, sys.byteorder))
    elif request == RDWR:
        return _transfer(node, argument.resolve(0, MESSAGES.size))
    elif request == SMBUS:
        call = argument.resolve(0, CALL.size)
        is_read, command, size, _ = CALL.unpack(bytes(call.retrieve()))
        data = call.resolve(8, BLOCK_BYTES)
        data.update(0, node.smbus(command, size, bytes(data.retrieve()), is_read=bool(is_read)))
    else:
        node.set(request, int.from_bytes(bytes(argument.retrieve()), sys.byteorder))
    return 0


def _transfer(node: Node, call: Any) -> int:
    _, count = MESSAGES.unpack(bytes(call.retrieve()))
    messages = call.resolve(0, MESSAGE.size * count)
    plan: list[tuple[int, bytes | int]] = []
    readers = []
    for place, (address, flags, length, _) in enumerate(MESSAGE.iter_unpack(bytes(messages.retrieve()))):
        data = messages.resolve(place * MESSAGE.size + 8, length)
        if flags & READ_FLAG:
            readers.append(data)
        plan.append((address, length if flags & READ_FLAG else bytes(data.retrieve())))
    for data, read in zip(readers, node.transfer(plan), strict=True):
        data.update(0, read)
    return len(plan)


def main(arguments: list[str]) -> int:
    """Bring up the pairs of socket and node, run the program after `--`, and end as it ends."""
    cut = arguments.index("--")
    pairs, program = arguments[:cut], arguments[cut + 1 :]
    testbed, loop = UMockdev.Testbed.new(), GLib.MainLoop()
    ended: list[int] = []
    buses = {node: SimulatedBus(path) for path, node in zip(pairs[::2], pairs[1::2], strict=True)}
    for node, bus in buses.items():
        name = Path(node).name
        testbed.add_from_string(DEVICE.format(name=name, number=name.partition("-")[2]))
        testbed.attach_ioctl(node, bus)

    def run() -> None:
        ended.append(subprocess.run(program, check=False).returncode)  # noqa: S603 - it is what we are asked to run
        loop.quit()

    threading.Thread(target=run, daemon=True).start()
    loop.run()
    return ended[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
