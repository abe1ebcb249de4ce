"""Modbus RTU relay boards that time the pulse themselves (Waveshare "Modbus RTU Relay" and its kin).

Source: Waveshare wiki "Modbus RTU Relay", command table: "flash on" 01 05 02 00 00 07 8D B0 switches relay 0 on for
7 x 100 ms; relay on 05 00 0n FF 00, off 05 00 0n 00 00; read states 01 00 00 00 08.

Wiring: RS-485 two-wire or the board's USB lead; 9600 8N1, address 1 as shipped. COM and NO to the gate's "open"
input.

    pulse   slave 05  02 channel  tenths of a second, hi lo  CRC lo hi     answered by the same bytes

The board counts the time, so the relay drops even when this process is killed or the cable is cut: the safest
choice of gate here. Quirks: channels count from 0 on the wire and from 1 in the options; tenths of a second.
Accuracy of the pulse: the board's, 0.1 s. Every command is answered, so an absent or dead board is told. An RS-485
adapter may hear what it sends itself, and the answer to a command is the command's own bytes: so each command is
followed by the question for the states, whose answer is never its echo: only that proves that the board is there.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BOARD, OUTPUT, BadOptions, BadReply, DeviceGone, DriverError, Proof
from drivers.wire.modbus import sealed
from drivers.wire.shared import SharedUart

if TYPE_CHECKING:
    from collections.abc import Callable

BUS, PROOF = "RS-485, USB", Proof.DOCUMENT
WRITE_COIL, READ_COILS = 0x05, 0x01
FLASH_ON = 0x02
"""High byte of the coil's address that makes the value a time."""
TICK_S = 0.1
ANSWER_S, TRIES = 0.3, 3
STATES_BYTES = 6
GAP_CHARACTERS, CHARACTER_BITS, LEAST_GAP_S = 3.5, 11, 0.00175
"""Silence between two frames (Modbus over Serial Line V1.02, §2.5.1.1); from 19200 baud up it is fixed."""
MOST_BYTES = 256
"""The longest frame of the bus: what sends more in answer to a command is no board."""
FRESH_S = 0.9
"""A check a second for each part of a board would keep the wire busy: one answer serves all."""


@dataclass(frozen=True)
class Options:
    """Settings of a Modbus relay board."""

    port: Annotated[str, BOARD]
    """Serial port, best by its /dev/serial/by-id name."""
    channel: Annotated[int, Ge(1), Le(32), OUTPUT] = 1
    """Which relay of the board, from 1."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed."""
    slave: Annotated[int, Ge(1), Le(247), BOARD] = 1
    """Address on the bus."""
    longest_s: Annotated[float, Gt(0), Le(3276.7)] = 10.0
    """Longest pulse that may be requested, seconds."""
    simulated: bool = False
    """Mark this output as simulated. A pseudo-terminal is always marked."""


def switch_off(slave: int, channel: int) -> bytes:
    """The command that drops a relay."""
    return sealed(bytes((slave, WRITE_COIL, 0, channel - 1, 0, 0)))


def flash_on(slave: int, channel: int, seconds: float) -> bytes:
    """The command that pulls a relay in for a time."""
    ticks = max(1, round(seconds / TICK_S))
    return sealed(bytes((slave, WRITE_COIL, FLASH_ON, channel - 1)) + ticks.to_bytes(2, "big"))


def states(slave: int) -> bytes:
    """The question for the first eight relays."""
    return sealed(bytes((slave, READ_COILS, 0, 0, 0, 8)))


def tells_states(heard: bytes, slave: int) -> bool:
    """Whether an answer to `states` is in it, its checksum right."""
    head = bytes((slave, READ_COILS, 1))
    at = heard.find(head)
    frame = heard[at : at + STATES_BYTES]
    return at >= 0 and len(frame) == STATES_BYTES and sealed(frame[:-2]) == frame


class Driver:
    """One relay, pulsed by the board."""

    def __init__(self, options: Options, wire: SharedUart | None = None) -> None:
        self._options = options
        self._line = wire or SharedUart(options.port, options.baud, simulated=options.simulated)

    @property
    def simulated(self) -> bool:
        """True when no real board is behind the port."""
        return self._line.simulated

    def open(self) -> None:
        """Take the port and switch off."""
        self._line.open()
        try:
            self.off()
        except DriverError:
            self._line.close()
            raise

    def pulse(self, seconds: float) -> None:
        """Command the pulse; a new one replaces what is left of the last."""
        options = self._options
        if not 0 < seconds <= options.longest_s:
            raise BadOptions(options.port, f"a pulse of {seconds} s is out of bounds", "see longest_s")
        self._command(flash_on(options.slave, options.channel, seconds))

    def off(self) -> None:
        """Drop the relay before the time is up."""
        self._command(switch_off(self._options.slave, self._options.channel))

    def check(self) -> None:
        """Ask for the relays' states, unless the board has answered any of its parts just now; raises DeviceGone
        when it does not answer.
        """
        slave, line = self._options.slave, self._line
        with line.held():
            line.drain()
            if time.monotonic() - line.answered_s.get(slave, 0.0) > FRESH_S:
                self._query_states()

    def close(self) -> None:
        """Switch off and let go of the port."""
        with contextlib.suppress(DriverError):  # the board times its pulses itself
            self.off()
        self._line.close()

    def _command(self, command: bytes) -> None:
        """Send it, wait for the board's answer (the same bytes), and have it proved that a board gave it."""
        with self._line.held():
            if self._line.echoes is None:
                self._query_states()
            answers = 2 if self._line.echoes else 1
            self._exchange(command, lambda heard: heard.count(command) >= answers)
            self._query_states()

    def _query_states(self) -> None:
        """Ask for the states; find out on the way whether the adapter echoes."""
        slave, line = self._options.slave, self._line
        question = states(slave)
        with line.held():
            self._exchange(question, lambda heard: tells_states(heard.removeprefix(question), slave))
            line.answered_s[slave] = time.monotonic()

    def _exchange(self, sent: bytes, is_answered: Callable[[bytes], bool]) -> None:
        """Send and wait for the answer: on two wires nobody else may speak before. Silence is asked again: a frame
        may be lost, and every command here may be obeyed twice.
        """
        line, heard = self._line, b""
        for _ in range(TRIES):
            line.drain()
            line.write(sent)
            end_s = time.monotonic() + ANSWER_S
            while (left_s := end_s - time.monotonic()) > 0 and len(heard) < MOST_BYTES:
                heard += line.read(left_s)
                if is_answered(heard):
                    if sent == states(self._options.slave):
                        line.echoes = heard.startswith(sent)
                    time.sleep(max(GAP_CHARACTERS * CHARACTER_BITS / self._options.baud, LEAST_GAP_S))
                    return
            if heard:
                break
        if heard and not heard.replace(sent, b""):
            fact = "the relay board does not answer: only the echo of our own command comes back"
            raise DeviceGone(line.name, fact, "the adapter hears itself; check the board's power, address, A and B")
        if heard:
            raise BadReply(line.name, "answers, but not as a relay board", "check its speed and address")
        raise DeviceGone(line.name, "the relay board does not answer", "check its power and address")
