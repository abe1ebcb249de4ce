"""Bases of lists among the kiosks of one site: fetched once over the site's line, and then from each other.

A kiosk that lacks pieces of a base says so every two seconds, by multicast in the site's own network: which pieces
it has, and whether it fetches over the line. One that has them all does the same while somebody lacks some.
A piece is then had by HTTP from one that has it:

    GET /base/<id of the pieces>/<index>

Nothing that a sibling says or sends is trusted: the fetcher proves each piece by its signed digest, and nobody
holds it off the line for longer than `LineTurn` says.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import select
import socket
import threading
import time
from base64 import b64decode, b64encode
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model.lazy import dataclass
from agent.ruleset.base_assembly import part_path
from agent.ruleset.list_files import next_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.ruleset.base_assembly import WantedBase

log = logging.getLogger(__name__)

GROUP = "239.255.71.80"
"""Of the addresses that no network routes to another (RFC 2365)."""
EVERY_S = 2.0
GONE_S = 7.0
"""Who has not been heard for so long is not asked."""
CLAIM_S = 1.0
"""From saying that we use the line until we do: who has claimed it at the same moment is heard by then."""
STALL_S = 60.0
"""Who fetches over the line, and has no more pieces after so long, does not fetch."""
ALONE_AFTER_S = 120.0
"""Without a piece for so long, a kiosk goes on without the others."""
MOST_SIBLINGS = 64
MOST_AT_ADDRESS = 8
MOST_CLIENTS = 8
_ANSWER_S = 10.0
_DATAGRAM = 60_000
_HEAD = 200
"""More than the head of an answer is long."""
_BUSY = b"HTTP/1.0 503 Busy"
_REQUEST = re.compile(rb"GET /base/([0-9a-f]{32})/([0-9]{1,6}) HTTP/1")
_TYPE = "gatepost.base.v1"


class SiblingBusy(Exception):
    """It serves as many as it can: somebody else, or later."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """What another kiosk of the site has said last of one base."""

    address: tuple[str, int]
    token: str
    """Names its process."""
    pieces: int
    """A bit for each piece that it has, the first one the lowest."""
    uses_line: bool
    heard_s: float
    grew_s: float
    """When it had more pieces than before. On the monotonic clock, as `heard_s`."""

    def has(self, index: int) -> bool:
        """Whether it says so of this piece."""
        return bool(self.pieces >> index & 1)


def bits_of(indices: Iterable[int]) -> int:
    """A number with these bits set."""
    found = bytearray()
    for index in indices:
        if index // 8 >= len(found):
            found += bytes(index // 8 + 1 - len(found))
        found[index // 8] |= 1 << index % 8
    return int.from_bytes(found, "little")


@dataclass(slots=True)
class LineTurn:
    """Whose turn it is to use the site's line for one base: one kiosk at a time. Pure."""

    token: str
    begin_s: float
    """When this kiosk may begin, on the monotonic clock."""
    limit_s: float
    """When it lets others go first no longer."""
    gained_s: float = 0.0
    """When it had its last piece."""
    claimed_s: float | None = None

    @property
    def uses_line(self) -> bool:
        """Whether this kiosk has claimed the line."""
        return self.claimed_s is not None

    def is_ours(self, siblings: Iterable[Sibling], now_s: float) -> bool:
        """Whether to fetch over the line now. Of several who claim it the one with the smallest token goes on."""
        if now_s < self.begin_s:
            return False
        if self.is_alone(now_s):
            self.claimed_s = self.claimed_s or now_s
            return True
        others = [each for each in siblings if each.uses_line and now_s - each.grew_s < STALL_S]
        if any(not self.uses_line or each.token < self.token for each in others):
            self.claimed_s = None
            return False
        if self.claimed_s is None:
            self.claimed_s = now_s
        return now_s >= self.claimed_s + CLAIM_S

    def is_alone(self, now_s: float) -> bool:
        """Whether this kiosk waits for no other, and asks none."""
        return now_s > min(self.limit_s, max(self.begin_s, self.gained_s) + ALONE_AFTER_S)

    def release(self, until_s: float) -> None:
        """Let others go first for a while: the line does not lead this kiosk to the base."""
        self.claimed_s, self.begin_s = None, max(self.begin_s, until_s)


@dataclass(frozen=True, slots=True)
class Offer:
    """A base of which this kiosk has pieces, or wants them."""

    base: WantedBase
    missing: Callable[[], Sequence[int]] = tuple
    """Which pieces are not here; called from another thread."""
    uses_line: Callable[[], bool] = bool


class SiteSharing:
    """One thread, and one for each client that is served. Every method may be called from any thread."""

    def __init__(self, port: int, interface: str = "0.0.0.0") -> None:  # noqa: S104 - the site's own network
        """`port`: of the multicast, the same at all kiosks, and of HTTP if it is free. `interface`: address of the
        network's, if it is not the one of the default route.
        """
        self.token = secrets.token_hex(8)
        self._port, self._interface = port, interface
        self._offers: dict[str, Offer] = {}
        self._siblings: dict[tuple[str, str], Sibling] = {}
        """By the base's id and the token."""
        self._lock = threading.Lock()
        self._clients = threading.Semaphore(MOST_CLIENTS)
        self._stopping = threading.Event()
        self._sockets: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._due_s = 0.0

    def start(self) -> None:
        """Listen. The kiosk works without: then that is logged, and bases come over the line."""
        try:
            with ExitStack() as opened:
                self._sockets = [opened.enter_context(self._multicast()), opened.enter_context(self._server())]
                opened.pop_all()
        except OSError as error:
            log.warning("lists: bases are not shared with the site's kiosks: %s", error.strerror)
            return
        self._thread = threading.Thread(target=self._run, name="base-sharing", daemon=True)
        self._thread.start()

    def stop(self, limit_s: float = EVERY_S) -> None:
        """May be called without `start`, or before it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(limit_s)

    def offer(self, offers: Sequence[Offer]) -> None:
        """From now on these are served and spoken of."""
        self._offers = {each.base.chunks.id: each for each in offers}

    def announce(self) -> None:
        """Say soon what is here: something has changed that others wait for."""
        self._due_s = 0.0

    def siblings(self, chunks_id: str) -> list[Sibling]:
        """Who has spoken of this base lately."""
        since_s = time.monotonic() - GONE_S
        with self._lock:
            return [each for (of, _), each in self._siblings.items() if of == chunks_id and each.heard_s >= since_s]

    def fetch(self, sibling: Sibling, base: WantedBase, index: int) -> bytes:
        """A piece, not proved. Raises SiblingBusy, OSError."""
        start, end = base.chunks.span(index, base.size)
        until_s, answer = time.monotonic() + _ANSWER_S, bytearray()
        with socket.create_connection(sibling.address, timeout=_ANSWER_S) as link:
            link.sendall(f"GET /base/{base.chunks.id}/{index} HTTP/1.0\r\n\r\n".encode())
            while len(answer) < end - start + _HEAD and (left_s := until_s - time.monotonic()) > 0:
                link.settimeout(left_s)
                if not (more := link.recv(1 << 16)):
                    break
                answer += more
        head, _, data = bytes(answer).partition(b"\r\n\r\n")
        if head.startswith(_BUSY):
            raise SiblingBusy
        return data

    # -- the thread

    def _multicast(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((GROUP, self._port))
            here = socket.inet_aton(self._interface)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + here)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            made.setblocking(False)
        except OSError:
            made.close()
            raise
        return made

    def _server(self) -> socket.socket:
        try:
            return socket.create_server((self._interface, self._port))
        except OSError:  # another program has that port: which one it is, is announced
            return socket.create_server((self._interface, 0))

    def _run(self) -> None:
        multicast, server = self._sockets
        with multicast, server:
            while not self._stopping.is_set():
                try:
                    self._turn(multicast, server)
                except Exception:
                    log.exception("lists: an internal error in sharing bases; going on")
                    self._stopping.wait(EVERY_S)

    def _turn(self, multicast: socket.socket, server: socket.socket) -> None:
        readable, _, _ = select.select([multicast, server], [], [], 0.2)
        if multicast in readable:
            with suppress(OSError):
                self._read(*multicast.recvfrom(_DATAGRAM))
        if server in readable:
            self._accept(server)
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + EVERY_S
            for each in self._offers.values():
                if data := self._announcement(each, server.getsockname()[1]):
                    with suppress(OSError):  # no network now
                        multicast.sendto(data, (GROUP, self._port))

    def _announcement(self, offer: Offer, port: int) -> bytes:
        """Empty: nobody needs to hear it."""
        missing, count = offer.missing(), len(offer.base.chunks)
        whole = (1 << count) - 1
        pieces = (whole & ~bits_of(missing)).to_bytes(-(-count // 8), "little")
        chunks_id = offer.base.chunks.id
        if not missing and all(each.pieces == whole for each in self.siblings(chunks_id)):
            return b""
        members = {
            "type": _TYPE, "base": chunks_id, "kiosk": self.token, "port": port,
            "pieces": b64encode(pieces).decode(), "uses_line": offer.uses_line(),
        }  # fmt: skip
        return json.dumps(members).encode()

    def _read(self, data: bytes, sender: tuple[str, int]) -> None:
        """What somebody has said; anything else is passed over."""
        try:
            match json.loads(data):
                case {
                    "type": "gatepost.base.v1", "base": str(chunks_id), "kiosk": str(token), "port": int(port),
                    "pieces": str(text), "uses_line": bool(uses_line),
                } if 0 < port < 1 << 16 and chunks_id in self._offers and token != self.token:  # fmt: skip
                    self._remember(chunks_id, (sender[0], port), token[:64], b64decode(text), uses_line=uses_line)
        except (ValueError, RecursionError):
            pass

    def _remember(
        self, chunks_id: str, address: tuple[str, int], token: str, announced: bytes, *, uses_line: bool
    ) -> None:
        """`announced`: a bit for each piece that it has, the first one the lowest of the first byte."""
        now_s, key, pieces = time.monotonic(), (chunks_id, token), int.from_bytes(announced, "little")
        with self._lock:
            before = self._siblings.get(key)
            if before is None:
                self._siblings = {
                    each: found for each, found in self._siblings.items() if now_s - found.heard_s < GONE_S
                }
                here = sum(found.address[0] == address[0] for found in self._siblings.values())
                if here >= MOST_AT_ADDRESS or len(self._siblings) >= MOST_SIBLINGS:
                    return
                self._siblings[key] = Sibling(address, token, pieces, uses_line, now_s, now_s)
                return
            grew = pieces.bit_count() > before.pieces.bit_count()
            grew_s = now_s if grew else before.grew_s
            self._siblings[key] = replace(
                before, address=address, pieces=pieces, uses_line=uses_line, heard_s=now_s, grew_s=grew_s
            )

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            client, _ = server.accept()
            client.settimeout(_ANSWER_S)
            if self._clients.acquire(blocking=False):
                threading.Thread(target=self._host, args=(client,), name="base-sharing client", daemon=True).start()
                return
            with client:
                client.sendall(_BUSY + b"\r\n\r\n")

    def _host(self, client: socket.socket) -> None:
        try:
            with client, suppress(OSError):
                data = self._piece(client.recv(1024))  # a request is one packet: no kiosk splits it
                if data is None:
                    client.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")
                else:
                    client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
        finally:
            self._clients.release()

    def _piece(self, request: bytes) -> bytes | None:
        """The piece that is asked for, as it was signed; None: it is not here."""
        asked = _REQUEST.match(request)
        offer = self._offers.get(asked[1].decode()) if asked else None
        if asked is None or offer is None or (index := int(asked[2])) >= len(offer.base.chunks):
            return None
        base = offer.base
        start, end = base.chunks.span(index, base.size)
        for path in (part_path(base.path), next_path(base.path), base.path):
            with suppress(OSError), path.open("rb") as file:
                file.seek(start)
                data = file.read(end - start)
                if base.chunks.is_chunk(index, data):
                    return data
        return None
