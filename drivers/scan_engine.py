"""What all serial scan engines share: codes out of a byte stream, answers taken out of it, a trigger kept pulled.

An engine mixes its answers with what it scans, so whatever has the exact form of an answer, checksum included, is
removed first; the rest is split into codes at a terminator, or where a pause follows. An engine that ends its codes
with a terminator may pause within one: that is learned from what it sends. What engines are set to add around a
code (STX and ETX, a byte order mark, a symbology identifier of ISO/IEC 15424, ECI marks) is taken off again.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from drivers.bounds import Gt
from drivers.contract import BadReply, DriverError, Sighting
from drivers.wire.read_times import ReadTimes
from drivers.wire.uart import Uart

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.wire.uart import Line

Answer: TypeAlias = "Callable[[bytes], int | None]"
"""Bytes from a possible answer's first on → its length, 0 when it is none, None when more bytes are needed."""
LONGEST_ANSWER = 300
LONGEST_CODE = 7089
"""Digits that the largest QR code holds."""
ENDS: dict[str, tuple[bytes, ...]] = {
    "auto": (b"\r", b"\n"),
    "cr": (b"\r",),
    "lf": (b"\n",),
    "crlf": (b"\r\n",),
    "tab": (b"\t",),
    "none": (),
}


LONGEST_PAUSE_S = 1.0
"""Pause that ends a code of an engine that sends terminators: the rest is not coming any more."""
FIRST_PAUSE_S = 0.4
"""The same while it is not known yet whether it sends them."""
STX, ETX, BYTE_COMMAND_MARK = b"\x02", b"\x03", b"\xef\xbb\xbf"
_IDENTIFIER = re.compile(rb"\]([A-Za-z])([0-9A-Za-z])")
_ECI = re.compile(rb"\\([0-9]{6}|\\)")
_ECI_MODIFIERS = {b"Q": b"246", b"d": b"456"}
"""ISO/IEC 15424, annex F: with these the engine writes ECI marks, and each backslash of the code twice."""


_SYMBOLOGIES = {
    b"Q": "qr", b"z": "aztec", b"L": "pdf417", b"d": "datamatrix", b"C": "code128", b"E": "ean", b"A": "code39",
}  # fmt: skip


def symbology(heard: bytes) -> str:
    """What the symbol is, by the identifier that the engine was set to add; empty when it adds none."""
    code = heard.removeprefix(STX).removeprefix(BYTE_COMMAND_MARK)
    identifier = _IDENTIFIER.match(code)
    return "" if identifier is None else _SYMBOLOGIES.get(identifier[1], "")


def bare(heard: bytes) -> bytes:
    """The code in what an engine sent for it, without what it was set to add."""
    code = heard
    if code.startswith(STX):
        code = code[1:].removesuffix(ETX)
    code = code.removeprefix(BYTE_COMMAND_MARK)
    identifier = _IDENTIFIER.match(code)
    if identifier:
        code = code[identifier.end() :]
    if identifier and identifier[2] in _ECI_MODIFIERS.get(identifier[1], b""):
        return _ECI.sub(lambda found: b"\\" if found[1] == b"\\" else b"", code)
    mark = _ECI.match(code)  # no code that is known here begins with a backslash and six digits
    return code[mark.end() :] if mark and mark[1] != b"\\" else code


@dataclass(frozen=True)
class LineOptions:
    """Settings of every engine that sends what it scans over a serial port."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed; without meaning on USB-CDC."""
    terminator: Literal["auto", "cr", "lf", "crlf", "tab", "none"] = "auto"
    """What ends a code: `auto` is CR, LF or, of an engine that sends neither, a pause; `none` lets a code hold line
    ends, and only a pause ends it. Where there is a terminator, only a pause of a second ends a code without it."""
    idle_gap_s: Annotated[float, Gt(0)] = 0.08
    """Pause that ends a code of an engine that sends no terminator, seconds."""
    simulated: bool = False
    """Mark all sightings as simulated. A pseudo-terminal is always marked."""


@dataclass(frozen=True)
class TriggerOptions(LineOptions):
    """Settings of an engine that takes commands."""

    trigger: Literal["engine", "host"] = "engine"
    """Who decides when it looks: the engine (continuous or sensing mode), or this driver, always, by command."""
    rearm_s: Annotated[float, Gt(0)] = 5.0
    """Seconds that the engine looks after one command; it is then triggered again."""


class LineSplitter:
    """Bytes → codes. Pure: the caller says when a pause has passed."""

    def __init__(self, terminator: str, longest: int) -> None:
        self._ends = ENDS[terminator]
        self._longest = longest
        self._pending = bytearray()
        self.terminated: bool | None = None if terminator == "auto" else bool(self._ends)
        """Whether the engine ends its codes with a terminator; None: not known yet."""
        self._learns = terminator == "auto"

    @property
    def is_waiting(self) -> bool:
        """True when a code has begun and not ended."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """The codes that `data` ends. Raises ValueError, with nothing kept, when one grows too long."""
        self._pending += data
        codes = []
        while (cut := self._first_end()) is not None:
            at, width = cut
            codes.append(bytes(self._pending[:at]))
            del self._pending[: at + width]
            self.terminated = True
        if len(self._pending) > self._longest or any(len(code) > self._longest for code in codes):
            self._pending.clear()
            raise ValueError
        return [code for code in codes if code]

    def pause(self) -> bytes:
        """The code that a pause ends; empty when there is none."""
        code = bytes(self._pending)
        if self._ends or code.isascii():  # the last byte of a code that is no text may be any
            code = code.rstrip(b"\r\n\t")
        self._pending.clear()
        if code and self._learns:
            self.terminated = False
        return code

    def forget(self) -> None:
        """Another engine may be there: nothing is pending, nothing known."""
        self._pending.clear()
        self.terminated = None if self._learns else bool(self._ends)

    def _first_end(self) -> tuple[int, int] | None:
        found = [(at, len(end)) for end in self._ends if (at := self._pending.find(end)) >= 0]
        if self._ends and self._pending.startswith(STX) and (at := self._pending.find(ETX)) >= 0:
            found.append((at, len(ETX)))
        return min(found, default=None)


class ResponseFilter:
    """Takes answers out of a stream. Pure."""

    def __init__(self, leads: bytes, answer: Answer | None) -> None:
        """`leads`: the bytes that an answer may begin with."""
        self._leads = leads
        self._answer = answer
        self._kept = bytearray()

    @property
    def is_waiting(self) -> bool:
        """True when an answer may have begun."""
        return bool(self._kept)

    def feed(self, data: bytes) -> bytes:
        """What in `data`, and in what was kept back, is no answer."""
        if self._answer is None:
            return data
        pending, text, at = bytes(self._kept) + data, bytearray(), 0
        self._kept.clear()
        while at < len(pending):
            found = (pending.find(lead, at) for lead in self._leads)
            start = min((each for each in found if each >= 0), default=len(pending))
            text += pending[at:start]
            if start == len(pending):
                break
            size = self._answer(pending[start : start + LONGEST_ANSWER])
            if size is None:
                self._kept += pending[start:]
                break
            text += b"" if size else pending[start : start + 1]
            at = start + (size or 1)
        return bytes(text)

    def pause(self) -> bytes:
        """What was kept back is no answer after all."""
        text = bytes(self._kept)
        self._kept.clear()
        return text


class ScanEngine:
    """A driver is this with its own commands and answers."""

    start = b""
    """The command that pulls the trigger; empty when the engine takes none."""
    stop = b""
    leads = b"\x02"
    """What an answer may begin with."""
    answer: Answer | None = None

    def __init__(self, options: LineOptions, wire: Line | None = None, *, longest: int = LONGEST_CODE) -> None:
        """`longest`: bytes that a code may have."""
        self._line = wire or Uart(options.port, options.baud, simulated=options.simulated)
        self._lines = LineSplitter(options.terminator, longest)
        self._sieve = ResponseFilter(*self._not_text(options))
        self._idle_gap_s = options.idle_gap_s
        self._longest = longest
        self._rearm_s = options.rearm_s if isinstance(options, TriggerOptions) else 0.0
        self._by_command = isinstance(options, TriggerOptions) and options.trigger == "host"
        self._armed_s = float("-inf")
        self._heard_s = self._came_s = 0.0
        """When bytes were read last, and when they came."""
        self._times = ReadTimes()
        self._ready: deque[Sighting] = deque()

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._line.simulated

    def open(self) -> None:
        """Take the port; what was scanned before is thrown away."""
        self._line.open()
        self._times = ReadTimes()
        self._ready.clear()
        self._sieve.pause()
        self._lines.forget()
        self._armed_s = float("-inf")

    def read(self, limit_s: float) -> Sighting | None:
        """The next code."""
        end_s = time.monotonic() + limit_s
        while not self._ready:
            began_s = time.monotonic()
            self._retrigger_if_due(began_s)
            left_s = max(0.0, end_s - began_s)
            pause_s = self._pause_s
            wait_s = min(left_s, pause_s) if self._is_waiting else left_s
            data = self._line.read(wait_s)
            now_s = time.monotonic()
            came_s = self._times.of(began_s, wait_s, now_s)
            if data:
                self._heard_s, self._came_s = now_s, came_s
                self._on_text(self._sieve.feed(data))
            elif self._is_waiting and now_s - self._heard_s >= pause_s:
                self._on_text(self._sieve.pause())
                self._sight(self._lines.pause())
            if now_s >= end_s:
                break
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Let go of the trigger and of the port."""
        try:
            if self._by_command and self.stop:
                self._line.write(self.stop)
        except DriverError:
            pass  # a port that is gone has no trigger to let go
        finally:
            self._line.close()

    def _not_text(self, options: LineOptions) -> tuple[bytes, Answer | None]:
        """What may begin something that was not scanned, and what is: answers, and our own commands where the line
        echoes.
        """
        takes_commands = isinstance(options, TriggerOptions) and options.trigger == "host"
        commands = [each for each in (self.start, self.stop) if each and takes_commands]
        answer, leads = self.answer, self.leads
        if not commands:
            return leads, answer

        def known(data: bytes) -> int | None:
            for command in commands:
                if data.startswith(command):
                    return len(command)
            if any(command.startswith(data) for command in commands):
                return None
            return answer(data) if answer is not None and data[:1] in leads else 0

        return leads + b"".join(command[:1] for command in commands), known

    @property
    def _pause_s(self) -> float:
        """Seconds of silence that end what has begun."""
        if self._lines.terminated is None:
            return max(self._idle_gap_s, FIRST_PAUSE_S)
        return max(self._idle_gap_s, LONGEST_PAUSE_S) if self._lines.terminated else self._idle_gap_s

    @property
    def _is_waiting(self) -> bool:
        return self._lines.is_waiting or self._sieve.is_waiting

    def _retrigger_if_due(self, now_s: float) -> None:
        if self._by_command and not self._is_waiting and now_s - self._armed_s >= self._rearm_s:
            self._armed_s = now_s
            self._line.write(self.start)

    def _on_text(self, text: bytes) -> None:
        try:
            codes = self._lines.feed(text)
        except ValueError:
            fact = f"sent more than {self._longest} bytes without an end"
            raise BadReply(self._line.name, fact, "check its speed and its suffix setting") from None
        for code in codes:
            self._sight(code)

    def _sight(self, heard: bytes) -> None:
        if code := bare(heard):
            self._armed_s = float("-inf")  # an engine stops looking when it has read
            self._ready.append(Sighting(code, self._came_s, self.simulated, symbology(heard)))
