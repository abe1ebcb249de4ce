"""Many connections to a broker in one process, each by the link's own rule of when to try again.

    python tests/bench/storm_load.py PORT KIOSKS [AUTHORITY [CERTIFICATE KEY]]

Each is what a kiosk's link is to a broker: MQTT 3.1.1, a session that outlives the connection, a last will, the
subscriptions of a kiosk, a retained state. Threads of real links would be the limit on two cores, not the broker.
With the file of an authority they speak TLS 1.3, and offer the session that the broker gave them last, as the
link does. Every quarter of a second a line of JSON says how they are. A line `down` on standard input is an outage
of the network, `up` its end; all ends with the input.
"""

from __future__ import annotations

import heapq
import json
import queue
import selectors
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from agent.events import Topics
from agent.events.state import State, state_payload
from agent.model import InForce
from agent.mqtt.retry import ReconnectBackoff

REPORT_S, PING_S, GIVE_UP_S = 0.25, 45.0, 20.0
FIRST_PER_S = 100
"""So many begin in a second, before there was an outage."""
RECONNECT_MAX_S = 30.0
HELD = tuple(InForce("list", name, 7, "bundle") for name in ("status", "watch", "tested"))
PING = b"\xc0\x00"


def text(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def packet(kind: int, body: bytes) -> bytes:
    left, length = len(body), bytearray()
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (128 if left else 0))
        if not left:
            return bytes((kind,)) + bytes(length) + body


@dataclass(eq=False)
class Connection:
    hello: bytes
    """CONNECT, and what is sent once it is answered."""
    then: bytes
    backoff: ReconnectBackoff
    link: socket.socket | None = None
    session: ssl.SSLSession | None = None
    """Of TLS, to be resumed."""
    offers: bool = True
    """No more since a handshake failed that offered one."""
    read: bytearray = field(default_factory=bytearray)
    connected: bool = False
    greeted: bool = False
    missing: int = 0
    """Answers until it is online."""
    accepted: bool = False
    turn: int = 0
    """Counts connections: a timer of an earlier one means nothing."""


def connection(number: int, kiosks: int) -> Connection:
    topics = Topics(f"site-{number // 50}", f"gate-{number}")
    will = b'{"type": "gatepost.state.v1", "state": "offline", "software_version": "1", "kiosk": "%b"}' % (
        topics.kiosk.encode()
    )
    root = topics.state.removesuffix("/state")
    hello = (
        text(b"MQTT")
        + b"\x04\x2c\x00\x3c"
        + text(f"gp-{number}".encode())
        + text(topics.state.encode())
        + text(will)
    )
    wanted = [f"{root}/command", f"{root}/bundle/#", f"{root}/receipt", "gatepost/v1/$all/#"]
    filters = b"".join(text(each.encode()) + b"\x01" for each in wanted)
    state = state_payload(topics, State("1.0", in_force=HELD))
    then = packet(0x82, b"\x00\x01" + filters) + packet(0x33, text(topics.state.encode()) + b"\x00\x02" + state)
    return Connection(packet(0x10, hello), then, ReconnectBackoff(RECONNECT_MAX_S, kiosks))


class Fleet:
    def __init__(self, port: int, kiosks: int, files: list[str]) -> None:
        self.port, self.tls, self.network_is_down = port, None, False
        if files:
            self.tls = ssl.create_default_context(cafile=files[0])
            self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
            self.tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if files[1:]:
                self.tls.load_cert_chain(*files[1:])
        self.selector = selectors.DefaultSelector()
        self.timers: list[tuple[float, int, int, Connection]] = []
        self.counts = dict.fromkeys(("online", "tries", "failed", "refused", "lost", "resumed"), 0)
        self._order = 0
        now_s = time.monotonic()
        for number in range(kiosks):
            self._after(now_s + number / FIRST_PER_S, connection(number, kiosks))

    def _after(self, due_s: float, each: Connection) -> None:
        self._order += 1
        heapq.heappush(self.timers, (due_s, self._order, each.turn, each))

    def step(self) -> None:
        wait_s = max(0.0, min(0.1, self.timers[0][0] - time.monotonic())) if self.timers else 0.1
        for key, _ in self.selector.select(wait_s):
            self._ready(key.data)
        now_s = time.monotonic()
        while self.timers and self.timers[0][0] <= now_s:
            _, _, turn, each = heapq.heappop(self.timers)
            if turn == each.turn:
                self._timer(each, now_s)

    def _timer(self, each: Connection, now_s: float) -> None:
        if each.link is None:
            self._dial(each, now_s)
        elif each.missing or not each.accepted:
            self._close(each)  # no answer
        else:
            self._send(each, PING)
            self._after(now_s + PING_S, each)

    def _dial(self, each: Connection, now_s: float) -> None:
        self.counts["tries"] += 1
        if self.network_is_down:
            self.counts["failed"] += 1
            self._after(now_s + each.backoff.wait_s(on_purpose=False, worked=False), each)
            return
        each.turn += 1
        each.link = socket.socket()
        each.link.setblocking(False)
        each.link.connect_ex(("127.0.0.1", self.port))
        self.selector.register(each.link, selectors.EVENT_WRITE, each)
        self._after(now_s + GIVE_UP_S, each)

    def _ready(self, each: Connection) -> None:
        if not each.connected:
            if each.link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._close(each)
                return
            each.connected = True
            if self.tls is not None:
                self._encrypt(each)
            self._greet(each)
            return
        if not each.greeted:
            self._greet(each)
            return
        try:
            data = each.link.recv(1 << 16)
            while data and isinstance(each.link, ssl.SSLSocket) and each.link.pending():
                data += each.link.recv(1 << 16)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
        if not data:
            self._close(each)
            return
        each.read += data
        while (found := self._packet(each)) is not None:
            self._answer(each, *found)

    def _encrypt(self, each: Connection) -> None:
        self.selector.unregister(each.link)
        offered = each.session if each.offers else None
        each.link = self.tls.wrap_socket(
            each.link, server_hostname="localhost", do_handshake_on_connect=False, session=offered
        )
        self.selector.register(each.link, selectors.EVENT_READ, each)

    def _greet(self, each: Connection) -> None:
        """The handshake of TLS, and then ours."""
        wanted = selectors.EVENT_READ
        try:
            if isinstance(each.link, ssl.SSLSocket):
                each.link.do_handshake()
                self.counts["resumed"] += each.link.session_reused
            each.greeted = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            wanted = selectors.EVENT_WRITE
        except OSError:
            self._close(each)
            return
        self.selector.modify(each.link, wanted, each)
        if each.greeted:
            self._send(each, each.hello)

    @staticmethod
    def _packet(each: Connection) -> tuple[int, bytes] | None:
        length = shift = 0
        for at in range(1, min(5, len(each.read))):
            length |= (each.read[at] & 127) << shift
            shift += 7
            if each.read[at] < 128:
                end = at + 1 + length
                if len(each.read) < end:
                    return None
                found = each.read[0] >> 4, bytes(each.read[at + 1 : end])
                del each.read[:end]
                return found
        return None

    def _answer(self, each: Connection, kind: int, body: bytes) -> None:
        if kind == 2 and body[1]:
            self.counts["refused"] += 1
            self._close(each, on_purpose=True)
        elif kind == 2:
            each.accepted, each.missing = True, 2
            self._send(each, each.then)
        elif kind in (4, 9) and each.missing:
            each.missing -= 1
            if not each.missing:
                self.counts["online"] += 1
                each.turn += 1
                self._after(time.monotonic() + PING_S, each)

    def _send(self, each: Connection, data: bytes) -> None:
        if each.link is not None:
            try:
                each.link.sendall(data)
            except OSError:
                self._close(each)

    def _close(self, each: Connection, *, on_purpose: bool = False) -> None:
        if each.link is None:
            return
        self.selector.unregister(each.link)
        if isinstance(each.link, ssl.SSLSocket):
            offered, each.session = each.session, None
            with suppress(ValueError):  # OpenSSL has none yet
                each.session = each.link.session if each.greeted else None
            # as the link: some brokers end a handshake that offers a session instead of going on without
            each.offers = each.offers and (each.accepted or offered is None)
        each.link.close()
        worked = each.accepted and not each.missing
        self.counts["online"] -= worked
        self.counts["lost" if each.accepted else "failed"] += 1
        each.link, each.accepted, each.missing, each.turn = None, False, 0, each.turn + 1
        each.connected = each.greeted = False
        each.read.clear()
        self._after(time.monotonic() + each.backoff.wait_s(on_purpose=on_purpose, worked=worked), each)

    def cut(self) -> None:
        """All connections, as an outage of the network does."""
        self.network_is_down = True
        for each in [key.data for key in self.selector.get_map().values()]:
            self._close(each)


def main() -> None:
    port, kiosks, *files = sys.argv[1:]
    fleet = Fleet(int(port), int(kiosks), files)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line.strip())
        lines.put("end")

    threading.Thread(target=read, daemon=True).start()
    due_s = 0.0
    while True:
        fleet.step()
        if (now_s := time.monotonic()) >= due_s:
            due_s = now_s + REPORT_S
            print(json.dumps(fleet.counts), flush=True)
        match "" if lines.empty() else lines.get():
            case "down":
                fleet.cut()
            case "up":
                fleet.network_is_down = False
            case "end":
                return


if __name__ == "__main__":
    main()
