"""A base among the kiosks of a site: over the line once, each piece proved, and nobody is held up for ever."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from base_bench import PIECE, Base, Web, serving
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials import base_chunks
from agent.ruleset import base_fetch, base_siblings
from agent.ruleset.base_fetch import BaseFetcher
from agent.ruleset.base_siblings import LineTurn, Offer, Sibling, SiteSharing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"
PATIENCE_S = 90.0


@pytest.fixture
def web() -> Iterator[Web]:
    yield from serving()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a site, but everything that is awaited is there twenty times as soon."""
    for name in ("EVERY_S", "GONE_S", "CLAIM_S"):
        monkeypatch.setattr(base_siblings, name, getattr(base_siblings, name) / 20)
    monkeypatch.setattr(base_fetch, "EVERY_S", base_siblings.EVERY_S)


@pytest.fixture
def port() -> int:
    """For the multicast of one test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


class Site:
    """Kiosks that want one base, and what has been sent to them."""

    def __init__(self, port: int) -> None:
        self.port, self.fetchers = port, []

    def kiosk(self, folder: Path, url: str, *, held: bool = False, spread_s: int = 0) -> Base:
        folder.mkdir()
        base = Base(folder, keys=20_000)
        wanted = replace(base.at(url), chunks=base_chunks.cut(base.pieces, PIECE, url, spread_s), head=base.head)
        if held:
            base.path.write_bytes(base.data)
        fetcher = BaseFetcher(
            lambda: [] if base.next.exists() or held else [wanted],
            lambda: self,
            lambda *_: None,
            bytes_per_s=1e12,
            source=folder.name,
            sharing=SiteSharing(self.port, LOOPBACK),
            held=lambda: [wanted] if held else [],
        )
        self.fetchers.append(fetcher)
        fetcher.start()
        return base

    def stop(self) -> None:
        for each in self.fetchers:
            each.stop(5.0)


@pytest.fixture
def site(port: int, quick: None) -> Iterator[Site]:
    made = Site(port)
    yield made
    made.stop()


def wait_for(holds: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_a_site_fetches_a_base_once(site: Site, web: Web, tmp_path: Path) -> None:
    bases = [site.kiosk(tmp_path / f"k{number}", web.url) for number in range(6)]
    web.data = bases[0].data
    wait_for(lambda: all(base.next.exists() for base in bases))
    assert all(base.next.read_bytes() == base.data for base in bases)
    assert len(web.ranges) <= 2, "two may begin at the same moment: one of them stops at the next piece"


def test_from_one_that_has_it_already_no_line_is_needed(site: Site, web: Web, tmp_path: Path) -> None:
    site.kiosk(tmp_path / "old", web.url, held=True)
    base = site.kiosk(tmp_path / "new", web.url, spread_s=100_000)
    wait_for(base.next.exists)
    assert base.next.read_bytes() == base.data
    assert not web.ranges


def test_a_kiosk_whose_address_does_not_work_has_it_from_the_others(site: Site, web: Web, tmp_path: Path) -> None:
    lone = site.kiosk(tmp_path / "lone", "http://127.0.0.1:1/people.gpl")
    base = site.kiosk(tmp_path / "well", web.url)
    web.data = base.data
    wait_for(lambda: base.next.exists() and lone.next.exists())
    assert lone.next.read_bytes() == base.data


def test_who_sends_other_bytes_is_left_alone(site: Site, web: Web, tmp_path: Path) -> None:
    base = site.kiosk(tmp_path / "k1", web.url)
    web.data = base.data
    with liar(site.port, base) as served:
        wait_for(base.next.exists)
        assert base.next.read_bytes() == base.data
        assert len(served) <= 2


class liar:  # noqa: N801 - used as a function
    """Says that it has everything, and answers each request with bytes of its own."""

    def __init__(self, port: int, base: Base) -> None:
        self.sharing = SiteSharing(port, LOOPBACK)
        self.served: list[bytes] = []
        self.base = base

    def __enter__(self) -> list[bytes]:
        def lie(request: bytes) -> bytes:
            self.served.append(request)
            return b"\xee" * PIECE

        self.sharing._piece = lie  # type: ignore[method-assign]
        self.sharing.offer([Offer(self.base.wanted)])
        self.sharing.start()
        return self.served

    def __exit__(self, *_: object) -> None:
        self.sharing.stop()


def test_who_gives_nothing_holds_nobody_up(site: Site, web: Web, tmp_path: Path) -> None:
    """It says that it has everything and is always busy."""
    base = site.kiosk(tmp_path / "k1", web.url)
    web.data = base.data
    liar = SiteSharing(site.port, LOOPBACK)
    liar._clients = threading.Semaphore(0)
    liar.offer([Offer(base.wanted)])
    liar.start()
    try:
        wait_for(base.next.exists)
    finally:
        liar.stop()


def test_junk_in_the_network_changes_nothing(site: Site, web: Web, tmp_path: Path) -> None:
    base = site.kiosk(tmp_path / "k1", web.url)
    good = {
        "type": "gatepost.base.v1", "base": base.wanted.chunks.id, "kiosk": "x", "port": 9, "pieces": "/w==",
        "uses_line": False,
    }  # fmt: skip
    junk: list[object] = [7, [], good | {"port": 0}, good | {"pieces": "€"}, good | {"uses_line": 1}, {"type": 1}]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        for each in [*(json.dumps(each).encode() for each in junk), b"\xff", b"[" * 50_000, b""]:
            sender.sendto(each, (base_siblings.GROUP, site.port))
    sharing = site.fetchers[0]._sharing
    wait_for(lambda: sharing._sockets)
    nothing = b"GET /base/%b/999999 HTTP/1.1\r\n\r\n" % base.wanted.chunks.id.encode()
    for request in (b"", b"GET /etc/passwd HTTP/1.1\r\n\r\n", b"\xff" * 2000, nothing):
        with socket.create_connection(sharing._sockets[1].getsockname(), 1.0) as client, suppress(OSError):
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            assert b"200" not in client.recv(100)
    web.data = base.data
    wait_for(base.next.exists)


def test_sharing_that_was_stopped_before_it_began_keeps_no_socket_open(site: Site) -> None:
    """A kiosk that stops at once: the thread that begins to share is not there yet."""
    sharing = SiteSharing(site.port, LOOPBACK)
    sharing.stop()
    sharing.start()
    wait_for(lambda: all(each.fileno() < 0 for each in sharing._sockets))


NOW = 1000.0


def sibling(token: str, *, uses_line: bool, grew_s: float = NOW) -> Sibling:
    return Sibling((LOOPBACK, 1), token, 0, uses_line, NOW, grew_s)


def test_one_kiosk_uses_the_line_and_the_others_wait() -> None:
    turn = LineTurn("m", NOW, NOW + 100.0)
    assert not turn.is_ours([], NOW - 1), "its moment has not come"
    assert not turn.is_ours([sibling("z", uses_line=True)], NOW), "another one uses it"
    assert not turn.uses_line
    assert not turn.is_ours([sibling("z", uses_line=False)], NOW)
    assert turn.uses_line, "claimed, so that others hear it"
    assert turn.is_ours([], NOW + 1.1)
    assert turn.is_ours([sibling("z", uses_line=True)], NOW + 1.1), "both have claimed it: the smaller goes on"
    assert not turn.is_ours([sibling("a", uses_line=True)], NOW + 1.1)
    assert not turn.uses_line


def test_nobody_is_held_up_for_ever() -> None:
    turn = LineTurn("m", NOW, NOW + 1000.0)
    stalled = [sibling("a", uses_line=True, grew_s=NOW)]
    assert not turn.is_ours(stalled, NOW + base_siblings.STALL_S - 1)
    turn.is_ours(stalled, NOW + base_siblings.STALL_S)
    assert turn.is_ours(stalled, NOW + base_siblings.STALL_S + 1.1), "it gets no more pieces"
    turn = LineTurn("m", NOW, NOW + 1000.0, gained_s=NOW + 50)
    busy = [sibling("a", uses_line=True, grew_s=NOW + 10_000)]
    assert not turn.is_ours(busy, NOW + 50 + base_siblings.ALONE_AFTER_S)
    assert turn.is_ours(busy, NOW + 51 + base_siblings.ALONE_AFTER_S), "we get none of them"
    turn.gained_s = NOW + 1000
    assert turn.is_ours(busy, NOW + 1001), "our patience has an end"


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 2**32))
def test_of_any_number_that_claim_it_at_once_one_is_left(claimed: list[bool], seed: int) -> None:
    turns = [LineTurn(f"{(seed * 7919 + number) % 100_003:06}", NOW, 1e9, NOW) for number in range(len(claimed))]
    for turn, is_claimed in zip(turns, claimed, strict=True):
        turn.claimed_s = NOW - 5 if is_claimed else None
    for at_s in (NOW + 2, NOW + 4, NOW + 6):
        seen = [sibling(each.token, uses_line=each.uses_line, grew_s=at_s) for each in turns]
        ours = [turn.is_ours([each for each in seen if each.token != turn.token], at_s) for turn in turns]
    assert sum(ours) == 1


def test_a_kiosk_finds_its_moment_again_and_a_late_one_does_not_wait() -> None:
    chunks = base_chunks.BaseChunks(4096, b"\1" * 32, spread_s=3600)
    waits = [chunks.fetch_wait_s(f"/gatepost/v1/site/k{number}", 1e9, 1e9) for number in range(400)]
    assert waits == [chunks.fetch_wait_s(f"/gatepost/v1/site/k{number}", 1e9, 1e9) for number in range(400)]
    assert all(0 <= each <= 3600 for each in waits)
    assert 80 < sum(each < 900 for each in waits) < 120, "a quarter in each quarter"
    assert chunks.fetch_wait_s("k", 1e9, 1e9 + 3600) == 0.0
    assert chunks.fetch_wait_s("k", 1e9, 0.0) <= 3600, "a clock of 1970 waits no longer than the window"
    again = base_chunks.from_json(json.loads(json.dumps(base_chunks.to_json(chunks))))
    assert again == chunks
    for wrong in (-1, 1.5, True, 10**9, "1"):
        with pytest.raises(ValueError, match=r"spread_s|chunks"):
            base_chunks.from_json({"bytes": 4096, "sha256": b64encode(b"\1" * 32).decode(), "spread_s": wrong})
