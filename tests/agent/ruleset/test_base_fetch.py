"""A base is fetched from the signed address, whatever the server does, and as messages in whatever order."""

from __future__ import annotations

import ssl
import threading
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from base_bench import PIECE, Base, Web, serving

from agent import credentials, policy
from agent.cli import main
from agent.credentials import bundle, lists
from agent.crypto import signing
from agent.model import ClockState, TimeBounds
from agent.ruleset import Ruleset, base_download, base_fetch, load
from agent.ruleset.base_assembly import part_path
from agent.ruleset.base_fetch import BaseFetcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.ruleset.base_assembly import WantedBase


@pytest.fixture
def web() -> Iterator[Web]:
    yield from serving()


class Kiosk:
    """A fetcher whose steps the test makes."""

    def __init__(self, base: Base, url: str, **options: object) -> None:
        self.base = base
        self.asked: list[Sequence[tuple[str, int]]] = []
        self.wanted: list[WantedBase] = [base.at(url)]
        self.version = object()
        self.fetcher = BaseFetcher(
            lambda: self.wanted,
            lambda: self.version,
            lambda chunks, _: self.asked.append(chunks),
            bytes_per_s=1e12,
            paths=[base.path],
            **options,
        )  # type: ignore[arg-type]

    def step(self, *, at_once: bool = True) -> str:
        """What is wrong after another look; `at_once`: whatever wait there would be before it."""
        if at_once:
            self.fetcher._retry = {url: (0.0, wait_s) for url, (_, wait_s) in self.fetcher._retry.items()}
        self.fetcher.step(wait_s=0.0)
        return self.fetcher.fault


def test_the_whole_from_the_address(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data = base.data
    assert not kiosk.step()
    assert base.next.read_bytes() == base.data
    assert not base.part.exists()
    assert web.ranges == ["bytes=0-"]
    assert not kiosk.asked, "no message is asked for while the address works"


def test_what_has_come_is_not_fetched_again(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data, web.cut_after = base.data, 10 * PIECE + 17
    assert "breaks off" in kiosk.step() or "ends after" in kiosk.fetcher.fault
    assert "10 of " in kiosk.fetcher.fault
    assert not base.next.exists()
    kiosk = Kiosk(base, web.url)  # the kiosk was switched off and on
    web.cut_after = None
    assert not kiosk.step()
    assert base.next.read_bytes() == base.data
    first = next(at for at in range(10, len(base.pieces)) if any(base.pieces[at]))
    assert web.ranges == ["bytes=0-", f"bytes={first * PIECE}-"]


def test_a_server_without_ranges_is_read_from_the_beginning(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data, web.cut_after = base.data, 30 * PIECE
    kiosk.step()
    web.cut_after, web.ignores_ranges = None, True
    assert not kiosk.step()
    assert base.next.read_bytes() == base.data


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"data": lambda data: bytes([data[0] ^ 1]) + data[1:]}, "gives other bytes than were signed, in piece 0"),
        ({"data": lambda data: data[: 20 * PIECE]}, "before the base does"),
        ({"data": lambda data: data[:-1] + b"\xee"}, "gives other bytes than were signed"),
        ({"says_another_range": True}, "answers with others"),
        ({"status": 404}, "answers 404"),
        ({"status": 503}, "answers 503"),
        ({"redirects_to": "file:///etc/hostname"}, "is not allowed"),
        ({"redirects_to": "ftp://localhost/a"}, "another kind"),
    ],
)
def test_a_lying_server_changes_nothing(tmp_path: Path, web: Web, lie: dict[str, object], why: str) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data = base.data
    for name, value in lie.items():
        setattr(web, name, value(base.data) if callable(value) else value)
    assert why in kiosk.step()
    assert not base.next.exists()
    asked = len(web.ranges)
    kiosk.step(at_once=False)
    assert len(web.ranges) == asked, "it is left alone for a while"
    assert kiosk.asked[-1], "and the pieces are asked for over MQTT"
    web.__dict__.update(data=base.data, says_another_range=False, status=0, redirects_to="")
    assert not kiosk.step()
    assert base.next.read_bytes() == base.data


def test_a_longer_file_is_no_use_to_it(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data = base.data + bytes(1 << 20)
    assert not kiosk.step()
    assert base.next.read_bytes() == base.data


def test_what_is_wrong_with_one_list_is_told_until_that_one_comes(tmp_path: Path, web: Web) -> None:
    (tmp_path / "other").mkdir()
    base, other = Base(tmp_path), Base(tmp_path / "other", keys=100)
    kiosk = Kiosk(base, web.url)
    kiosk.wanted = [base.at(web.url), replace(other.at(f"{web.url}?other"), name="other")]
    web.data = other.data  # of the first list that is another's
    assert "list people: " in kiosk.step()
    assert other.next.exists()
    assert [each.code for part in kiosk.fetcher.health() for each in part.findings] == ["list_fetch_failed"]
    assert "list people: " in kiosk.fetcher.fault, "that the other has come hides nothing"
    kiosk.wanted, kiosk.version = [], object()
    assert not kiosk.step(), "nobody wants it any more"
    assert [part.up for part in kiosk.fetcher.health()] == [True]


def test_nobody_there(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(Base(tmp_path), web.url)
    web.close()
    assert "cannot be read: Connection refused" in kiosk.step()


@pytest.mark.parametrize("trusted", [True, False])
def test_https_with_an_authority_of_the_site(tmp_path: Path, pair, trusted: bool) -> None:
    authority = pair(tmp_path, "ca")
    pair(tmp_path, "localhost", authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "localhost.crt", tmp_path / "localhost.key")
    for web in serving(tls):
        base = Base(tmp_path)
        kiosk = Kiosk(base, web.url, ca_file=tmp_path / "ca.crt" if trusted else None)
        web.data = base.data
        assert ("CERTIFICATE_VERIFY_FAILED" in kiosk.step()) is not trusted
        assert base.next.exists() is trusted


def test_a_newer_base_takes_the_place_of_the_one_that_comes(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data, web.cut_after = base.data, 5 * PIECE
    kiosk.step()
    newer = Base(tmp_path, keys=9000)
    kiosk.wanted, kiosk.version = [newer.at(web.url)], object()
    web.data, web.cut_after = newer.data, None
    assert not kiosk.step()
    assert newer.next.read_bytes() == newer.data


def test_what_is_not_wanted_any_more_is_removed(tmp_path: Path, web: Web) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data, web.cut_after = base.data, 5 * PIECE
    kiosk.step()
    assert part_path(base.path).exists()
    kiosk.wanted, kiosk.version = [], object()
    assert not kiosk.step()
    assert not part_path(base.path).exists()


def test_a_full_disk_is_told_and_tried_again(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    kiosk = Kiosk(base := Base(tmp_path), web.url)
    web.data = base.data
    monkeypatch.setattr(base_fetch, "FIRST_RETRY_S", 0.0)
    base.part.mkdir()
    assert "cannot be taken" in kiosk.step()
    base.part.rmdir()
    assert not kiosk.step()
    assert base.next.read_bytes() == base.data


def test_as_messages_in_any_order_again_and_wrong_ones_between(tmp_path: Path) -> None:
    kiosk = Kiosk(base := Base(tmp_path), "")
    name = base.wanted.chunks.id
    for _ in range(2 * len(base.pieces)):
        kiosk.step()
        if base.next.exists():
            break
        wanted = kiosk.asked[-1]
        assert 0 < len(wanted) <= base_fetch.AT_ONCE
        for _, index in reversed(list(wanted)):
            kiosk.fetcher.on_message(name, index, base.pieces[index])
        kiosk.fetcher.on_message(name, wanted[0][1], b"not that")
        kiosk.fetcher.on_message("0" * 32, wanted[0][1], base.pieces[0])
        kiosk.fetcher.on_message(name, 10**8, base.pieces[0])
    assert base.next.read_bytes() == base.data
    kiosk.step()
    assert not kiosk.asked[-1], "nothing more is asked for"


def test_a_flood_of_messages_costs_no_memory(tmp_path: Path) -> None:
    kiosk = Kiosk(base := Base(tmp_path), "")
    for _ in range(10_000):
        kiosk.fetcher.on_message(base.wanted.chunks.id, 0, base.pieces[0])
    assert kiosk.fetcher._messages.qsize() == base_fetch.MOST_WAITING


def test_whoever_is_decided_comes_first(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = threading.Event()
    looked = []

    def is_busy() -> bool:
        looked.append(len(looked))
        return len(looked) < 3

    kiosk = Kiosk(base := Base(tmp_path), web.url, is_busy=is_busy)
    web.data = base.data
    monkeypatch.setattr(base_fetch, "MOST_BUSY_S", 0.3)
    assert not kiosk.step()
    assert len(looked) >= len(base.pieces)
    assert not busy.is_set()


def test_the_thread_ends_in_the_midst_of_it(tmp_path: Path, web: Web) -> None:
    base = Base(tmp_path)
    web.data = base.data
    fetcher = BaseFetcher(lambda: [base.at(web.url)], lambda: web, lambda *_: None, bytes_per_s=1.0)
    fetcher.start()
    fetcher.stop(10.0)
    assert not fetcher.is_alive()
    assert not base.next.exists()


def test_a_fetcher_that_waits_for_messages_ends_at_once(tmp_path: Path) -> None:
    """No gate moves while the agent stops."""
    fetcher = BaseFetcher(list, lambda: tmp_path, lambda *_: None)
    waiting = threading.Thread(target=fetcher.step, args=(3600.0,))
    waiting.start()
    fetcher.stop()
    waiting.join(60.0)
    assert not waiting.is_alive()


SERVER = signing.new_private_key()
NOW = TimeBounds(1_700_000_000, 1_700_000_001, ClockState.SYNCED)


def _bundle(kind: str, content: object, version: int, name: str = "") -> bytes:
    members = {"type": kind, "name": name, "fleet": "city", "version": version, "issued_at": 1_699_999_990}
    members |= {"expires_at": 1_700_086_400, "warn_age_s": 1000, "max_age_s": 2000, "content": content}
    return bundle.sign(members, [SERVER])


def test_the_old_list_stays_in_force_until_the_new_one_is_proved(tmp_path: Path, web: Web) -> None:
    kid, public = SERVER.public.kid.hex(), b64encode(SERVER.public.spki).decode()
    roles = {kind: {"threshold": 1, "keyids": [kid]} for kind in ("root", "list")}
    (tmp_path / "issuers.toml").write_text("")
    load.write_list(tmp_path / "people.gpl", lists.ListHeader("revoked", "demo", 1, 1.7e9 - 50, 1000, 2000), b"")
    store = load.BundleStore(tmp_path / "bundles")
    store.install(_bundle("root", {"keys": {kid: public}, "roles": roles}, 1))
    old = load.open_list(tmp_path / "people.gpl")
    store.accept(_bundle("list", load.list_content(old), 1, "people"), NOW)
    rules = Ruleset(
        credentials.Options(bundles="bundles", lists=("people.gpl",)), policy.Options(table="default"), tmp_path
    )
    fetcher = BaseFetcher(rules.wanted_bases, rules.generation, lambda *_: None, bytes_per_s=1e12)
    base = Base(tmp_path, web.url)
    fetcher.step(0.0)
    assert not rules.wanted_bases()

    content = load.list_content(load.open_list(tmp_path / "server.gpl"), base.wanted.chunks)
    store.accept(_bundle("list", content, 2, "people"), NOW)
    rules.refresh()
    assert rules.awaits("list", "people")
    web.data = bytes(len(base.data))
    fetcher.step(0.0)
    rules.refresh()
    assert rules.awaits("list", "people"), "what was fetched is not what was signed"
    web.data = base.data
    fetcher._retry.clear()
    fetcher.step(0.0)
    assert not fetcher.fault
    rules.refresh()
    assert not rules.awaits("list", "people")
    assert not rules.lacks("list", "people")
    assert (tmp_path / "people.gpl").read_bytes() == base.data
    assert not rules.wanted_bases()


def test_a_base_that_has_rotted_is_fetched_again(tmp_path: Path, web: Web) -> None:
    test_the_old_list_stays_in_force_until_the_new_one_is_proved(tmp_path, web)
    data = web.data
    (tmp_path / "people.gpl").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    rules = Ruleset(
        credentials.Options(bundles="bundles", lists=("people.gpl",)), policy.Options(table="default"), tmp_path
    )
    assert rules.lacks("list", "people")
    BaseFetcher(rules.wanted_bases, rules.generation, lambda *_: None, bytes_per_s=1e12).step(0.0)
    rules.refresh()
    assert not rules.lacks("list", "people")


def test_what_the_commands_make_is_what_a_kiosk_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    base = Base(tmp_path)
    assert main(["keys", "new", "c", "--server"]) == 0
    capsys.readouterr()
    words = [
        "keys",
        "sign",
        "server.gpl",
        "--type",
        "list",
        "--name",
        "people",
        "--fleet",
        "city",
        "--version",
        "2",
    ]
    words += ["--chunk-kb", "4", "--key", "c.key"]
    assert main([*words, "--url", "https://lists.example.org/status.gpl"]) == 0
    content = bundle.unverified_header(capsys.readouterr().out.encode()).content
    chunks = load.list_word(content).chunks
    assert chunks is not None
    assert chunks.url == "https://lists.example.org/status.gpl"
    assert main(["lists", "chunks", "server.gpl", "out", "--chunk-kb", "4"]) == 0
    assert f"gatepost/v1/$all/base/{chunks.id}/INDEX" in capsys.readouterr().out
    files = tmp_path / "out" / chunks.id
    assert [(files / str(index)).read_bytes() for index in range(len(chunks))] == base.pieces
    for wrong in (["--url", "file:///etc/shadow"], ["--url", "https://a:b@c/d"]):
        assert main([*words, *wrong]) == 1
        assert capsys.readouterr().out == ""


def test_a_plain_authority_of_a_site_is_accepted_by_every_python(monkeypatch):
    """Python 3.13 asks for more by default, for lists as for releases."""
    default = ssl.create_default_context

    def as_in_3_13():
        made = default()
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", as_in_3_13)
    assert not base_download.context(None).verify_flags & ssl.VERIFY_X509_STRICT
