"""Scan engines, from their manuals."""

from __future__ import annotations


class LineScanner:
    """An engine in serial mode: a code's bytes, then the suffix it is set to. Gives no heed to commands."""

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

    def respond(self, data: bytes) -> bytes:  # noqa: ARG002 - it hears nothing
        """Nothing to answer."""
        return b""


class _Triggered(LineScanner):
    """An engine that reads only while it was told to look, and once per command."""

    def __init__(self, suffix: bytes = b"\r\n", *, by_command: bool = False) -> None:
        super().__init__(suffix, baud=9600)
        self.looks = not by_command
        self.chatters = False
        """Fault: an answer goes out in the middle of the scanned text."""
        self._by_command = by_command

    def encode(self, code: bytes) -> bytes:
        """What goes over the line; nothing when it is not looking."""
        if not self.looks:
            return b""
        self.looks = not self._by_command
        middle = len(code) // 2
        return code[:middle] + (self.acknowledgement() if self.chatters else b"") + code[middle:] + self._suffix

    def acknowledgement(self) -> bytes:
        """What it answers to a command that it takes."""
        return b""


class Gm65(_Triggered):
    """GM65 after its manual: 7E 00 commands with CRC-16/XMODEM over type to data; a wrong one gets no answer."""

    def respond(self, data: bytes) -> bytes:
        """Zone reads and writes, one or several; AB CD stands for "do not check"."""
        said = b""
        while len(data) >= 9 and data[:2] == b"\x7e\x00":  # noqa: PLR2004 - the shortest command
            size = 8 + (data[3] if data[2] == 0x08 else 1)  # noqa: PLR2004 - a write carries its data
            said += self._obey(data[2 : size - 2], data[size - 2 : size])
            data = data[size:]
        return said

    def _obey(self, body: bytes, check: bytes) -> bytes:
        if check not in (self._crc(body), b"\xab\xcd"):
            return b""
        if body[:1] == b"\x07":
            return self._reply(b"\x3e" * body[4])
        if body == b"\x08\x01\x00\x02\x01":
            self.looks = True
        return self.acknowledgement()

    def acknowledgement(self) -> bytes:
        """02 00 00 01 00 33 31."""
        return self._reply(b"\x00")

    def _reply(self, data: bytes) -> bytes:
        body = b"\x00" + bytes((len(data),)) + data
        return b"\x02\x00" + body + self._crc(body)

    @staticmethod
    def _crc(data: bytes) -> bytes:
        """x¹⁶+x¹²+x⁵+1 from 0, bit by bit."""
        register = 0
        for bit in (byte >> shift & 1 for byte in data for shift in range(7, -1, -1)):
            register = (register << 1 & 0xFFFF) ^ (0x1021 if register >> 15 ^ bit else 0)
        return register.to_bytes(2)


class GrowSsi(_Triggered):
    """GM72 after its manual: length, opcode, source, status; sixteen-bit sum zero; NAK 06 unless in host mode."""

    def respond(self, data: bytes) -> bytes:
        """Start E4 and stop E5, one or several."""
        said = b""
        while data and len(data) >= data[0] + 2:
            said += self._obey(data[: data[0] + 2])
            data = data[data[0] + 2 :]
        return said

    def _obey(self, data: bytes) -> bytes:
        if len(data) < 6 or (sum(data[:-2]) + int.from_bytes(data[-2:])) & 0xFFFF:  # noqa: PLR2004 - the shortest
            return b""
        if not self._by_command:
            return bytes.fromhex("05 d1 00 00 06 ff 24")
        if data[1] in (0xE4, 0xE5):
            self.looks = data[1] == 0xE4  # noqa: PLR2004 - start
        return self.acknowledgement()

    def acknowledgement(self) -> bytes:
        """04 D0 00 00 FF 2C."""
        return bytes.fromhex("04 d0 00 00 ff 2c")


class Newland(_Triggered):
    """NLS-HR52 after its guide: answers with the command's text and 06, or 05 for what it does not know."""

    def respond(self, data: bytes) -> bytes:
        """SCNTRG1 and SCNTRG0, one or several."""
        return b"".join(self._obey(each) for each in data.split(b";\x03")[:-1])

    def _obey(self, data: bytes) -> bytes:
        if data[:6] != b"\x7e\x010000":
            return b""
        command = data[6:]
        known = command in (b"#SCNTRG1", b"#SCNTRG0")
        if known:
            self.looks = command.endswith(b"1") or not self._by_command
        return b"\x02\x010000" + command + (b"\x06" if known else b"\x05") + b";\x03"

    def acknowledgement(self) -> bytes:
        """The answer to SCNTRG1."""
        return b"\x02\x010000#SCNTRG1\x06;\x03"


class Honeywell(_Triggered):
    """Xenon and kin after their guides: SYN T CR looks, SYN U CR stops; no answer; suffix CR."""

    def __init__(self, suffix: bytes = b"\r", *, by_command: bool = True) -> None:
        super().__init__(suffix, by_command=by_command)

    def respond(self, data: bytes) -> bytes:
        """The two commands."""
        if b"\x16T\r" in data:
            self.looks = True
        elif b"\x16U\r" in data:
            self.looks = not self._by_command
        return b""
