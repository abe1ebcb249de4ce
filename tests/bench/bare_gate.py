"""The least a kiosk could do, in C calls only: wait for a line on one pty, write ON to another. A yardstick.

What this takes is the machine's: two ptys, two schedulings and what else is busy.
"""

from __future__ import annotations

import os
import sys
import termios

if __name__ == "__main__":
    scanner, gate = (os.open(name, os.O_RDWR | os.O_NOCTTY) for name in sys.argv[1:3])
    settings = termios.tcgetattr(gate)
    settings[4:6] = [termios.B9600] * 2
    termios.tcsetattr(gate, termios.TCSANOW, settings)
    on, off = bytes.fromhex("a00101a2"), bytes.fromhex("a00100a1")
    while line := os.read(scanner, 4096):
        if line.endswith(b"\n"):
            os.write(gate, on + off)
