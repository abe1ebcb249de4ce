"""Scan engines, from their manuals."""

from __future__ import annotations


class LineScanner:
    """An engine in serial mode: a code's bytes, then the suffix it is set to. Gives no heed to orders."""

    def __init__(self, suffix: bytes = b"\r\n", baud: int = 0) -> None:
        self.baud = baud
        self.period_s = 0.0
        self._suffix = suffix

    def encode(self, code: bytes) -> bytes:
        """What goes over the line when a code is scanned."""
        return code + self._suffix

    def speak(self) -> bytes:
        """Nothing by itself: a scan is sent by `Port.send(engine.encode(code))`."""
        return b""

    def hear(self, data: bytes) -> bytes:  # noqa: ARG002 - it hears nothing
        """Nothing to answer."""
        return b""
