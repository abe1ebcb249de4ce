"""A serial device that speaks in frames: its line, its framer, its speed and its silence in one place.

A device may ship at one of several speeds, so each is tried in turn until frames come. Junk for too long is
`BadReply`; silence for too long is `DeviceGone`: a thermometer that says nothing must not look healthy.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from drivers.contract import BadReply, DeviceGone
from drivers.wire.framing import LONGEST_FRAME, EchoFilter, Framer, Step
from drivers.wire.read_times import ReadTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.wire.uart import Line

T = TypeVar("T")

TRY_S = 1.0
"""How long one speed may stay without a frame while the right one is sought."""
USUAL_BAUDS = (9600, 115200)
JUNK_BYTES = 2048
"""Bytes without a frame after which it is not this device that talks (or not at this speed)."""


class FrameStream(Generic[T]):
    """Frames from a line, each with the time its last byte came."""

    def __init__(
        self,
        line: Line,
        step: Step[T],
        bauds: Sequence[int],
        *,
        hello: bytes = b"",
        poll: bytes = b"",
        period_s: float = 0.0,
        silent_s: float = 3.0,
        whole: bool = False,
    ) -> None:
        """`bauds`: to be tried in this order; `hello`: sent on opening and at each new speed, to make a sleeping
        device talk; `poll`: sent every `period_s` to a device that waits to be asked; `silent_s`: without a frame
        for so long, the device is gone; `whole`: an answer has no checksum, so it is judged only when the next
        poll is due, and by itself: a late byte of the one before must not pass for its first.
        """
        self.line = line
        self._echo = EchoFilter(step, (poll, hello))
        self._framer: Framer[T] = Framer(self._echo)
        self._bauds = list(bauds)
        self._untried = len(self._bauds) - 1
        self._hello = hello
        self._poll = poll
        self._period_s = period_s
        self._silent_s = silent_s
        self._whole = whole
        self._answer = bytearray()
        self._heard_s = 0.0
        self._polled_s = 0.0
        self._times = ReadTimes()
        self._ready: deque[tuple[T, float]] = deque()

    def open(self) -> None:
        """Take the line at the speed that worked last and say hello."""
        self.line.open()
        self._untried = len(self._bauds) - 1
        self._tune(self._bauds[0])

    def next(self, limit_s: float) -> tuple[T, float] | None:
        """The next frame and when it came (`time.monotonic()`), or None within `limit_s`."""
        end_s = time.monotonic() + limit_s
        while not self._ready:
            began_s = time.monotonic()
            self._poll_if_due(began_s)
            wait_s = min(max(0.0, end_s - began_s), self._until_asking_s(began_s))
            data = self.line.read(wait_s)
            now_s = time.monotonic()
            came_s = self._times.of(began_s, wait_s, now_s)
            if self._whole:
                self._answer += data[: LONGEST_FRAME - len(self._answer)]
            else:
                self._frame(data, came_s)
            if not self._ready:
                self._handle_silence(now_s)
            if now_s >= end_s:
                break
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Let go of the line."""
        self.line.close()

    def _tune(self, baud: int) -> None:
        self.line.retune(baud)
        self._framer.clear()
        self._times = ReadTimes()
        self._echo.heard = 0
        self._ready.clear()
        self._answer.clear()
        self._heard_s = time.monotonic()
        self._polled_s = float("-inf")
        if self._hello:
            self.line.write(self._hello)

    def _poll_if_due(self, now_s: float) -> None:
        if self._poll and now_s - self._polled_s >= self._period_s:
            if self._whole:
                self._frame(bytes(self._answer), self._polled_s)
                self._answer.clear()
                self._framer.forget()
            self.line.write(self._poll)
            self._polled_s = now_s

    def _frame(self, data: bytes, at_s: float) -> None:
        self._ready.extend((frame, at_s) for frame in self._framer.feed(data))
        if self._ready:
            self._heard_s, self._untried = time.monotonic(), 0
            self._echo.heard = 0

    def _until_asking_s(self, now_s: float) -> float:
        return max(0.0, self._polled_s + self._period_s - now_s) if self._poll else float("inf")

    def _handle_silence(self, now_s: float) -> None:
        """Decide what no frame means: wait on, try another speed, or give up."""
        quiet_s, junk = now_s - self._heard_s, self._framer.junk - self._echo.heard
        if self._untried and (quiet_s > TRY_S or junk > JUNK_BYTES):
            self._untried -= 1
            self._bauds.append(self._bauds.pop(0))
            self._tune(self._bauds[0])
        elif junk > JUNK_BYTES or (quiet_s > self._silent_s and junk):
            raise BadReply(self.line.name, "sends bytes that are not this device's", self._advice())
        elif quiet_s > self._silent_s and self._echo.heard:
            fact = f"nothing for {quiet_s:.0f} s but the echo of our own questions"
            raise DeviceGone(self.line.name, fact, "the adapter hears itself; check the device's power, A and B")
        elif quiet_s > self._silent_s:
            raise DeviceGone(
                self.line.name, f"silent for {quiet_s:.0f} s", "check its power and that its TX goes to our RX"
            )

    def _advice(self) -> str:
        tried = ", ".join(str(baud) for baud in sorted(self._bauds))
        left = " or ".join(str(baud) for baud in USUAL_BAUDS if baud not in self._bauds)
        return f"wrong device, broken cable or wrong speed: tried {tried}" + (f", try {left}" if left else "")
