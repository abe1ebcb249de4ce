"""Relay boards, from their sellers' protocol sheets. They keep what they did, with the time."""

from __future__ import annotations

import itertools
import threading
import time

START = 0xA0
COMMAND_BYTES = 4


class Contacts:
    """Relays that keep what they did."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, int, bool]] = []
        """(monotonic seconds, channel, on) for each command that changed a relay."""
        self.changed = threading.Condition()
        """Notified with each change."""
        self._on: dict[int, bool] = {}

    def is_on(self, channel: int = 1) -> bool:
        """Whether a relay is pulled in."""
        return self._on.get(channel, False)

    def pulses(self, channel: int = 1) -> list[tuple[float, float]]:
        """(start, length) of each completed pulse, seconds."""
        with self.changed:
            edges = [(at_s, on) for at_s, of, on in self.changes if of == channel]
        return [
            (start_s, end_s - start_s)
            for (start_s, on), (end_s, after) in itertools.pairwise(edges)
            if on and not after
        ]

    def switch(self, channel: int, *, on: bool) -> None:
        """Pull a relay in or drop it."""
        with self.changed:
            if self.is_on(channel) != on:
                self._on[channel] = on
                self.changes.append((time.monotonic(), channel, on))
                self.changed.notify_all()


class LcusRelay(Contacts):
    """LC Technology LCUS board: A0, channel, 0 or 1, low byte of the sum; 9600 baud, never answers; latches."""

    baud = 9600
    period_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._heard = bytearray()

    def speak(self) -> bytes:
        """Silent."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """Obey whole, correct commands; skip anything else."""
        self._heard += data
        while len(self._heard) >= COMMAND_BYTES:
            start, channel, state, check = self._heard[:COMMAND_BYTES]
            if start == START and state in (0, 1) and (start + channel + state) % 256 == check:
                self.switch(channel, on=bool(state))
                del self._heard[:COMMAND_BYTES]
            else:
                del self._heard[:1]
        return b""


class WaveshareRelay(Contacts):
    """Waveshare Modbus RTU Relay after its command table: coil 0x0200 + n with a value is a pulse in tenths."""

    baud = 9600
    period_s = 0.0

    def __init__(self, slave: int = 1) -> None:
        super().__init__()
        self._slave = slave
        self._timers: dict[int, threading.Timer] = {}

    def speak(self) -> bytes:
        """Silent unless asked."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """Commands 05 and 01, told apart by their eight bytes."""
        return b"".join(self._obey(data[i : i + 8]) for i in range(0, len(data), 8))

    def _obey(self, command: bytes) -> bytes:
        if command[:1] != bytes((self._slave,)) or self._crc(command[:-2]) != command[-2:]:
            return b""
        _, function, kind, coil, high, low = command[:6]
        if function == 0x01:
            bits = sum(1 << i for i in range(8) if self.is_on(i + 1))
            body = bytes((self._slave, 1, 1, bits))
            return body + self._crc(body)
        if kind == 0x02:  # noqa: PLR2004 - flash on
            self._stop_timer(coil)
            self.switch(coil + 1, on=True)
            timer = threading.Timer((high << 8 | low) / 10, self.switch, (coil + 1,), {"on": False})
            timer.daemon = True
            self._timers[coil] = timer
            timer.start()
        else:
            self._stop_timer(coil)
            self.switch(coil + 1, on=bool(high))
        return command

    def _stop_timer(self, coil: int) -> None:
        """What is left of a pulse counts no more: another command has come."""
        timer = self._timers.pop(coil, None)
        if timer is not None:
            timer.cancel()

    @staticmethod
    def _crc(data: bytes) -> bytes:
        """Bit by bit as in the Modbus specification, appendix B."""
        register = 0xFFFF
        for bit in (byte >> shift & 1 for byte in data for shift in range(8)):
            register = register >> 1 ^ (0xA001 if register & 1 ^ bit else 0)
        return bytes((register & 0xFF, register >> 8))


class Pcf8574(Contacts):
    """PCF8574 after its data sheet: one byte, all pins; high after power-on. Relays pull in on low."""

    addresses = (0x20,)

    def __init__(self) -> None:
        super().__init__()
        self._pins = 0xFF

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """The last byte stays."""
        if data:
            self._pins = data[-1]
            for bit in range(8):
                self.switch(bit + 1, on=not self._pins >> bit & 1)

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """The pins, again and again."""
        return bytes((self._pins,)) * count


class Mcp23017(Contacts):
    """MCP23017 after its data sheet, BANK 0: 22 registers, inputs after power-on. High pulls a relay in."""

    addresses = (0x20,)

    def __init__(self) -> None:
        super().__init__()
        self.registers = bytearray(b"\xff\xff" + bytes(20))
        self._pointer = 0

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """A register address, and values for it and those after."""
        if data:
            self._pointer = data[0]
            for i, value in enumerate(data[1:]):
                self.registers[(self._pointer + i) % 22] = value
        for pin in range(16):
            port, bit = divmod(pin, 8)
            is_output = not self.registers[port] >> bit & 1
            self.switch(pin + 1, on=bool(is_output and self.registers[0x14 + port] >> bit & 1))

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Registers from the address on."""
        return bytes(self.registers[(self._pointer + i) % 22] for i in range(count))
