"""Card readers, from their manuals."""

from __future__ import annotations

from functools import reduce
from operator import xor

from drivers.simulators.i2c_adapter import Nack


class Em4100Reader:
    """RDM6300 after its specification: the frame of the card that lies there, again and again."""

    def __init__(self) -> None:
        self.baud, self.period_s = 9600, 0.065
        self._card = b""

    def lay(self, number: bytes) -> None:
        """Lay a card of five bytes there; nothing takes it away."""
        self._card = number

    def encode(self, number: bytes) -> bytes:
        """The frame of a card."""
        check = reduce(xor, number)
        return b"\x02" + number.hex().upper().encode() + f"{check:02X}".encode() + b"\x03"

    def speak(self) -> bytes:
        """The card that lies there."""
        return self.encode(self._card) if self._card else b""

    def respond(self, data: bytes) -> bytes:  # noqa: ARG002 - it takes no commands
        """Nothing to answer."""
        return b""


class Pn532:
    """PN532 after UM0701-02, on either wire: frames in, acknowledgement and reply out."""

    addresses = (0x24,)

    def __init__(self) -> None:
        self.baud, self.period_s = 115200, 0.0
        self.asleep = True
        self._card = b""
        self._found = b""
        self._replies: list[bytes] = []

    def lay(self, uid: bytes) -> None:
        """Lay a card there, or take it away with no bytes."""
        self._card = uid

    def speak(self) -> bytes:
        """Nothing by itself."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """A serial line: nothing is understood before 55 55."""
        if b"\x55\x55" in data:
            self.asleep = False
        return b"" if self.asleep else b"".join(self._answers(data))

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """I²C: a frame. What was not read is gone."""
        self._replies = self._answers(data)
        if not self._replies:
            raise Nack

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """I²C: the ready byte and the next frame, filled up; not ready when there is none."""
        frame = b"\x01" + self._replies.pop(0) if self._replies else b"\x00"
        return frame[:count].ljust(count, b"\x00")

    def _answers(self, data: bytes) -> list[bytes]:
        self._found += data[-300:]
        at = self._found.find(b"\x00\x00\xff")
        size = self._found[at + 3] if 0 <= at < len(self._found) - 3 else 0
        if at < 0 or len(self._found) < at + size + 7:
            return []
        body, self._found = self._found[at + 5 : at + 5 + size], b""
        if body[:1] != b"\xd4":
            return []
        reply = b"\xd5" + bytes((body[1] + 1,)) + self._obey(body[1:])
        head = bytes((0, 0, 0xFF, len(reply), -len(reply) & 0xFF))
        return [b"\x00\x00\xff\x00\xff\x00", head + reply + bytes((-sum(reply) & 0xFF, 0))]

    def _obey(self, body: bytes) -> bytes:
        if body[0] == 0x02:  # noqa: PLR2004 - GetFirmwareVersion
            return b"\x32\x01\x06\x07"
        if body[0] != 0x4A:  # noqa: PLR2004 - SAMConfiguration and RFConfiguration are answered with nothing
            return b""
        if not self._card:
            return b"\x00"
        return b"\x01\x01\x00\x04\x08" + bytes((len(self._card),)) + self._card


class SdtModule:
    """An identity-card module after GA/T 450: find, select, read. A card that was read is not found again."""

    def __init__(self) -> None:
        self.baud, self.period_s = 115200, 0.0
        self._number = ""
        self._there = False
        self._pending = b""

    def lay(self, number: bytes) -> None:
        """Lay a card with this number there, or take it away with no bytes."""
        self._number, self._there = number.decode(), bool(number)

    def speak(self) -> bytes:
        """Nothing by itself."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """Commands with a right check."""
        self._pending = (self._pending + data)[-64:]
        at = self._pending.find(b"\xaa\xaa\xaa\x96\x69")
        frame = self._pending[at + 5 : at + 10] if at >= 0 else b""
        if len(frame) < 5:  # noqa: PLR2004 - size, command, check
            return b""
        self._pending = b""
        return b"" if reduce(xor, frame) else self._obey(frame[2:4])

    def _obey(self, command: bytes) -> bytes:
        if command == b"\x20\x01":
            return self._reply(b"\x00\x00\x9f" + bytes(4) if self._there else b"\x00\x00\x80")
        if not self._there:
            return self._reply(b"\x00\x00\x81" if command == b"\x20\x02" else b"\x00\x00\x41")
        if command == b"\x20\x02":
            return self._reply(b"\x00\x00\x90" + bytes(8))
        self._there = False
        text = "测试".ljust(15).encode("utf-16-le") + bytes(92) + self._number.ljust(18).encode("utf-16-le")
        return self._reply(b"\x00\x00\x90\x01\x00\x04\x00" + text.ljust(256, b"\x00") + bytes(1024))

    def _reply(self, data: bytes) -> bytes:
        content = (len(data) + 1).to_bytes(2, "big") + data
        return b"\xaa\xaa\xaa\x96\x69" + content + bytes((reduce(xor, content),))
