"""The release that was signed comes to the kiosk: from a mirror that breaks off, checked, at a quiet moment."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from agent import __version__
from agent.cli import main
from agent.credentials import bundle
from agent.crypto import signing
from agent.events import Topics
from agent.events.state import ReleaseState
from agent.model import AgentChange, ClockState, InForce, TimeBounds
from agent.ruleset.bundle_store import BundleStore
from agent.supervisor import upgrade
from agent.supervisor.upgrade import QUIET_S, Upgrades

NOW = 1_800_000_000
DAY_S = 86_400
PACKAGE = bytes(range(256)) * 4096
SOURCE = "/gatepost/v1/east/k1"


class Mirror:
    """Serves one file by ranges, and breaks off after so many bytes."""

    def __init__(self) -> None:
        mirror = self
        self.content, self.breaks_after, self.starts = PACKAGE, len(PACKAGE), []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                start = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
                mirror.starts.append(start)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(mirror.content) - 1}/{len(mirror.content)}")
                self.send_header("Content-Length", str(len(mirror.content) - start))
                self.end_headers()
                self.wfile.write(mirror.content[start : start + mirror.breaks_after])

            def log_message(self, *_words: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/x.deb"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Kiosk:
    def __init__(self, folder: Path, mirror: Mirror) -> None:
        self.folder, self.mirror, self.key = folder, mirror, signing.new_private_key()
        self.events: list[AgentChange] = []
        self.quiet_s, self.version = 1e6, 0
        self.store = BundleStore(folder / "bundles")
        kid = self.key.public.kid.hex()
        roles = {kind: {"threshold": 1, "keyids": [kid]} for kind in ("root", "release")}
        self.root = self.signed("root", {"keys": {kid: b64encode(self.key.public.spki).decode()}, "roles": roles})
        self.store.install(self.root)
        self.upgrades = Upgrades(
            folder,
            self.store,
            SOURCE,
            self.events.append,
            lambda _now_s: self.quiet_s,
            notice=folder / "notice.json",
        )

    def signed(self, kind: str, content: object, *beside: signing.PrivateKey, target: str = "") -> bytes:
        self.version += 1
        times = {"issued_at": NOW, "expires_at": NOW + 9 * DAY_S, "warn_age_s": DAY_S, "max_age_s": DAY_S}
        head = {"type": kind, "name": "", "fleet": "city", "version": self.version}
        head |= {"target": target} if target else {}
        return bundle.sign({**head, **times, "content": content}, [self.key, *beside])

    def release(self, version: str = "9.9", *, urls: list[str] | None = None, **more: object) -> None:
        file = {"sha256": sha256(PACKAGE).hexdigest(), "size": len(PACKAGE), "urls": urls or [self.mirror.url]}
        plain = {"version": version, "files": {"amd64": file, "arm64": file}, **more}
        self.store.accept(self.signed("release", json.dumps(plain)), TimeBounds(NOW, NOW, ClockState.SYNCED))

    def asked(self) -> dict[str, str] | None:
        path = self.folder / "upgrade/request.json"
        return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def kiosk(tmp_path: Path, mirror: Mirror) -> Kiosk:
    return Kiosk(tmp_path, mirror)


def test_it_comes_and_is_asked_for_at_a_quiet_moment(kiosk: Kiosk) -> None:
    kiosk.release()
    kiosk.quiet_s = QUIET_S - 1
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is None
    kiosk.quiet_s = QUIET_S
    kiosk.upgrades.step(1001.0)
    asked = kiosk.asked()
    assert asked is not None
    assert asked["version"] == "9.9"
    assert (kiosk.folder / "upgrade" / asked["package"]).read_bytes() == PACKAGE


def test_a_download_that_breaks_off_goes_on_where_it_was(kiosk: Kiosk, mirror: Mirror) -> None:
    kiosk.release()
    mirror.breaks_after = 300_000
    for turn in range(12):
        kiosk.upgrades.step(turn * upgrade.RETRY_S)
    assert kiosk.asked() is not None
    assert mirror.starts[0] == 0
    assert mirror.starts == sorted(set(mirror.starts)), "nothing is fetched twice"
    assert len(mirror.starts) > 2


def test_what_is_not_what_was_signed_is_thrown_away(kiosk: Kiosk, mirror: Mirror) -> None:
    kiosk.release()
    mirror.content = PACKAGE[:-1] + b"!"
    kiosk.upgrades.step(0.0)
    assert "not what was signed" in kiosk.upgrades.fault
    assert not list((kiosk.folder / "upgrade").glob("*.deb*"))
    mirror.content = PACKAGE
    kiosk.upgrades.step(upgrade.RETRY_S)
    assert kiosk.asked() is not None
    assert kiosk.upgrades.fault == ""


def test_a_stick_goes_before_the_network(kiosk: Kiosk, mirror: Mirror, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(upgrade, "STICKS", (str(tmp_path / "media"),))
    (tmp_path / "media/stick").mkdir(parents=True)
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"media/stick/gatepost-release_9.9_{architecture}.deb").write_bytes(PACKAGE)
    kiosk.release()
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is not None
    assert mirror.starts == []


def test_a_copy_from_a_stick_is_taken_by_the_disk_in_parts(
    kiosk: Kiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at once would hold up the events' own syncs."""
    monkeypatch.setattr(upgrade, "STICKS", (str(tmp_path / "media"),))
    monkeypatch.setattr(upgrade, "_SYNC_EVERY", 1 << 18)
    (tmp_path / "media").mkdir()
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"media/gatepost-release_9.9_{architecture}.deb").write_bytes(PACKAGE)
    synced: list[int] = []
    real = os.fdatasync

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", note)
    kiosk.release()
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is not None
    assert len(synced) == len(PACKAGE) >> 18
    assert synced == sorted(set(synced))


def test_a_disk_that_fills_while_a_stick_is_copied_gets_its_room_back(
    kiosk: Kiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the fault names it, not the addresses that were not tried."""
    monkeypatch.setattr(upgrade, "STICKS", (str(tmp_path / "media"),))
    monkeypatch.setattr(upgrade, "_SYNC_EVERY", 1 << 18)
    (tmp_path / "media").mkdir()
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"media/gatepost-release_9.9_{architecture}.deb").write_bytes(PACKAGE)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    kiosk.release()
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is None
    assert "No space left" in kiosk.upgrades.fault
    assert not list((kiosk.folder / "upgrade").glob("*.deb*"))


def test_a_stick_that_is_pulled_out_while_it_is_copied_does_not_hold_up_the_network(
    kiosk: Kiosk, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "STICKS", (str(tmp_path / "media"),))
    monkeypatch.setattr(upgrade, "_SYNC_EVERY", 1 << 18)
    (tmp_path / "media").mkdir()
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"media/gatepost-release_9.9_{architecture}.deb").write_bytes(PACKAGE)
    troubles = [OSError(errno.EIO, "Input/output error")]
    real = os.fdatasync

    def pulled(descriptor: int) -> None:
        if troubles:
            raise troubles.pop()
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", pulled)
    kiosk.release()
    kiosk.upgrades.step(1000.0)
    assert mirror.starts == [0]
    assert kiosk.asked() is not None


def test_a_stick_with_a_spoilt_file_does_not_hold_up_the_network(
    kiosk: Kiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "STICKS", (str(tmp_path / "media"),))
    (tmp_path / "media").mkdir()
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"media/gatepost-release_9.9_{architecture}.deb").write_bytes(PACKAGE[:-1] + b"!")
    kiosk.release()
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is not None


def test_a_stick_that_cannot_be_read_does_not_hold_up_the_network(
    kiosk: Kiosk, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in the file's place, of the file's size: nobody, not even root, can read it."""
    monkeypatch.setattr(upgrade, "STICKS", (str(tmp_path / "media"),))
    for architecture in ("amd64", "arm64"):
        (folder := tmp_path / f"media/gatepost-release_9.9_{architecture}.deb").mkdir(parents=True)
        (folder / "file").touch()
    monkeypatch.setitem(globals(), "PACKAGE", bytes(folder.stat().st_size))
    mirror.content = PACKAGE
    kiosk.release()
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is not None


@pytest.mark.parametrize("breaks_after", [300_000, len(PACKAGE)])
def test_a_mirror_with_a_spoilt_file_does_not_hold_up_the_next_one(
    kiosk: Kiosk, mirror: Mirror, breaks_after: int
) -> None:
    """Also when it breaks off, and what it began is gone on with at the next one."""
    spoilt = Mirror()
    spoilt.content, spoilt.breaks_after = b"!" * len(PACKAGE), breaks_after
    kiosk.release(urls=[spoilt.url, mirror.url])
    kiosk.upgrades.step(1000.0)
    spoilt.server.shutdown()
    spoilt.server.server_close()
    assert spoilt.starts == [0]
    assert mirror.starts[-1] == 0
    assert kiosk.asked() is not None


@pytest.mark.parametrize("wave", [{"salt": "s", "permille": 0}, None])
def test_who_is_not_in_or_has_it_does_nothing(kiosk: Kiosk, mirror: Mirror, wave: dict[str, object] | None) -> None:
    if wave:
        kiosk.release(wave=wave)
    else:
        kiosk.release(__version__)
    kiosk.upgrades.step(1000.0)
    assert kiosk.asked() is None
    assert mirror.starts == []


def test_its_moment_comes_also_where_the_power_is_cut_each_night(kiosk: Kiosk, tmp_path: Path) -> None:
    kiosk.release(spread_s=7 * DAY_S)
    release = upgrade.parse_release(kiosk.store.current("release").content)  # type: ignore[union-attr]
    moment_s = upgrade.moment_s(release, SOURCE)
    for came_ago_s, is_asked in ((moment_s - 60, False), (moment_s, True)):
        came = time.time() - came_ago_s
        os.utime(tmp_path / "bundles/release.bundle", (came, came))
        again = Upgrades(tmp_path, kiosk.store, SOURCE, kiosk.events.append, lambda _: 1e6)
        again.step(0.0)
        assert (kiosk.asked() is not None) is is_asked


def test_it_begins_at_its_own_moment(kiosk: Kiosk, mirror: Mirror) -> None:
    kiosk.release(spread_s=DAY_S)
    release = upgrade.parse_release(kiosk.store.current("release").content)  # type: ignore[union-attr]
    moment_s = upgrade.moment_s(release, SOURCE)
    kiosk.upgrades.step(0.0)
    kiosk.upgrades.step(moment_s - 1)
    assert mirror.starts == []
    kiosk.upgrades.step(moment_s)
    assert mirror.starts == [0]


def test_what_came_of_it_is_told_once_and_a_bad_one_is_not_asked_for_again(kiosk: Kiosk) -> None:
    kiosk.release()
    rollout = upgrade.parse_release(kiosk.store.current("release").content).rollout  # type: ignore[union-attr]
    notice = {"type": "release_rolled_back", "version": "9.9", "detail": "it fell 3 times", "done": [rollout]}
    (kiosk.folder / "notice.json").write_text(json.dumps(notice))
    for turn in range(3):
        kiosk.upgrades.step(1000.0 + turn)
    assert [(event.type, event.detail) for event in kiosk.events] == [
        ("release_rolled_back", "9.9: it fell 3 times")
    ]
    assert kiosk.asked() is None
    kiosk.release(wave={"salt": "", "permille": 900}, spread_s=5)
    kiosk.upgrades.step(2000.0)
    assert kiosk.asked() is None, "nor by a later wave of the same rollout"
    kiosk.release(wave={"salt": "once more", "permille": 1000})
    kiosk.upgrades.step(3000.0)
    assert kiosk.asked() is not None, "another rollout is tried"


def test_what_the_helper_did_not_answer_for_is_asked_again_more_and_more_seldom(kiosk: Kiosk) -> None:
    """It puts off what comes while people stand at the gate, and may not be able to read a request."""
    kiosk.release()
    asked_s = []
    for now_s in range(0, 86_400, 60):
        kiosk.upgrades.step(float(now_s))
        if kiosk.asked() is not None:
            asked_s.append(now_s)
            (kiosk.folder / "upgrade/request.json").unlink()
    waits_s = [later - sooner for sooner, later in pairwise(asked_s)]
    assert "asked for 9 times" in kiosk.upgrades.fault
    assert waits_s == [300, 600, 1200, 2400, 4800, 9600, 19_200, 21_600, 21_600]
    kiosk.release("9.10")
    kiosk.upgrades.step(86_400.0)
    assert kiosk.asked() is not None, "another rollout need not wait"


@pytest.mark.parametrize(
    ("version", "permille", "on_trial", "status"),
    [
        ("9.9", 1000, False, "waiting"),
        ("9.9", 0, False, "not_in_wave"),
        (__version__, 1000, True, "on_trial"),
        (__version__, 0, False, "in_use"),
    ],
)
def test_the_state_says_how_far_it_is(kiosk, version, permille, on_trial, status) -> None:
    kiosk.release(version, wave={"salt": "s", "permille": permille})
    if on_trial:
        (kiosk.folder / "trial").touch()
    kiosk.quiet_s = 0.0
    kiosk.upgrades.step(1000.0)
    assert kiosk.upgrades.release == ReleaseState(version, status)
    assert kiosk.upgrades.in_force == (InForce("release", version=2),)


@pytest.mark.parametrize(
    ("kind", "version", "status", "detail"),
    [
        ("release_rolled_back", "9.9", "rolled_back", "why"),
        ("release_rejected", "9.9", "rejected", "why"),
        ("release_applied", "9.9", "rolled_back", "why"),  # by somebody at the kiosk
        ("release_rejected", "9.8", "rolled_back", ""),  # what was told last is of another one
    ],
)
def test_the_state_says_what_has_become_of_it(kiosk, kind, version, status, detail) -> None:
    kiosk.release()
    rollout = upgrade.parse_release(kiosk.store.current("release").content).rollout
    notice = {"type": kind, "version": version, "detail": "why", "done": [rollout]}
    (kiosk.folder / "notice.json").write_text(json.dumps(notice))
    kiosk.upgrades.step(1000.0)
    assert kiosk.upgrades.release == ReleaseState("9.9", status, detail)


def test_the_state_says_why_it_does_not_come(kiosk: Kiosk, mirror: Mirror) -> None:
    kiosk.release()
    mirror.content = PACKAGE[:-1] + b"!"
    kiosk.upgrades.step(0.0)
    kiosk.upgrades.step(5.0)
    assert kiosk.upgrades.release is not None
    assert "not what was signed" in kiosk.upgrades.release.detail


def test_the_state_says_why_roots_helper_has_put_it_off(kiosk: Kiosk) -> None:
    kiosk.release()
    rollout = upgrade.parse_release(kiosk.store.current("release").content).rollout
    for digest, says in (("of the one before", ""), (rollout, "no room")):  # also of the same version
        told = {"version": "9.9", "digest": digest, "detail": "no room"}
        (kiosk.folder / "postponed.json").write_text(json.dumps(told))
        kiosk.upgrades.step(0.0)
        assert kiosk.upgrades.release is not None
        assert (kiosk.upgrades.release.status, kiosk.upgrades.release.detail) == ("waiting", says)
    (kiosk.folder / "upgrade/request.json").unlink()
    kiosk.upgrades.step(upgrade.RETRY_S)
    assert kiosk.upgrades.fault == "release 9.9 was asked for 1 times and is not used yet: no room"


def test_a_package_that_the_disk_has_spoilt_is_fetched_again(kiosk: Kiosk, mirror: Mirror) -> None:
    """As a power cut leaves it, or a bad card. The helper would take it for a wrong release."""
    kiosk.release()
    kiosk.quiet_s = 0.0
    kiosk.upgrades.step(0.0)
    (package,) = (kiosk.folder / "upgrade").glob("*.deb")
    package.write_bytes(b"")
    kiosk.quiet_s = QUIET_S
    kiosk.upgrades.step(5.0)
    assert kiosk.asked() is None
    for turn in range(2):
        kiosk.upgrades.step(10.0 + turn * upgrade.RETRY_S)
    assert kiosk.asked() is not None
    assert package.read_bytes() == PACKAGE
    assert mirror.starts == [0, 0]


def test_a_card_that_spoils_every_package_does_not_fetch_it_all_day(kiosk: Kiosk, mirror: Mirror) -> None:
    kiosk.release()
    for number in range(2 * 1440):
        kiosk.quiet_s = (0.0, QUIET_S)[number % 2]
        kiosk.upgrades.step(60.0 * (number // 2))
        for package in (kiosk.folder / "upgrade").glob("*.deb"):
            package.write_bytes(b"")
    assert kiosk.asked() is None
    assert 2 < len(mirror.starts) < 12
    kiosk.upgrades.step(2 * 86_400.0)
    kiosk.upgrades.step(2 * 86_400.0)
    assert kiosk.asked() is not None, "once it keeps one"


def test_a_release_leaves_events_their_room(kiosk: Kiosk, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that is full to its last byte stores no event: they would wait in memory until the next power cut."""
    kiosk.release()
    mirror.breaks_after = 300_000
    kiosk.upgrades.step(0.0)
    (part,) = (kiosk.folder / "upgrade").glob("*.part")
    usage = shutil.disk_usage(kiosk.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=50 << 20))
    kiosk.upgrades.step(upgrade.RETRY_S)
    assert "the disk has 50 MB free" in kiosk.upgrades.fault
    assert not part.exists(), "what has come so far gives its room back"
    assert len(mirror.starts) == 1
    monkeypatch.undo()
    mirror.breaks_after = len(PACKAGE)
    kiosk.upgrades.step(2 * upgrade.RETRY_S)
    assert kiosk.asked() is not None


def test_a_download_leaves_no_heap_of_bytes_to_be_written_at_once(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events' own syncs would wait for it."""
    sizes: list[int] = []
    really = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        really(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(upgrade, "_SYNC_EVERY", 1 << 18)
    kiosk.release()
    kiosk.upgrades.step(0.0)
    assert sizes == [1 << 18, 2 << 18, 3 << 18, 4 << 18]


@pytest.mark.parametrize("status", ["in_use", "rolled_back", "not_in_wave"])
def test_the_package_of_a_release_at_its_end_goes(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    kiosk.release()
    kiosk.upgrades.step(0.0)
    (package,) = (kiosk.folder / "upgrade").glob("*.deb")
    match status:
        case "in_use":
            monkeypatch.setattr(upgrade, "__version__", "9.9")
        case "rolled_back":
            rollout = upgrade.parse_release(kiosk.store.current("release").content).rollout  # type: ignore[union-attr]
            (kiosk.folder / "notice.json").write_text(json.dumps({"done": [rollout]}))
        case "not_in_wave":
            kiosk.release(wave={"salt": "", "permille": 0})
    kiosk.upgrades.step(5.0)
    assert kiosk.upgrades.release is not None
    assert kiosk.upgrades.release.status == status
    assert package.exists() == (status == "not_in_wave"), "the next wave may bring it"


def test_another_release_is_asked_for_after_a_bad_one(kiosk: Kiosk) -> None:
    kiosk.release()
    rollout = upgrade.parse_release(kiosk.store.current("release").content).rollout  # type: ignore[union-attr]
    (kiosk.folder / "notice.json").write_text(json.dumps({"done": [rollout]}))
    kiosk.release("9.10")
    kiosk.upgrades.step(2000.0)
    assert kiosk.asked() is not None


def verify(kiosk: Kiosk, package: Path, trusted: Path, capsys, *, floor: int = 0, code: int = 0) -> str:
    words = ["--trusted", trusted, "--store", kiosk.folder / "bundles", "--package", package]
    assert main(["upgrade", "verify", *map(str, words), "--architecture", "amd64", "--floor", str(floor)]) == code
    said = capsys.readouterr()
    return said.out + said.err


@pytest.mark.parametrize(
    ("target", "permille", "ours", "says"),
    [
        ("", 1000, True, {"target": "*/*", "permille": 1000, "kiosk": "east/k1", "takes": True}),
        ("@north", 1000, True, {"target": "@north", "takes": True}),
        ("@south", 1000, True, {"takes": False, "why": "it is for @south, to which this kiosk does not belong"}),
        ("west/k1", 1000, False, {"target": "west/k1", "architectures": ["amd64", "arm64"]}),
        ("", 0, True, {"takes": False, "why": "its wave has 0 of a thousand kiosks, and this is none of them"}),
    ],
)
def test_a_release_that_is_verified_says_for_whom_it_is(
    kiosk: Kiosk, tmp_path: Path, capsys, target: str, permille: int, ours: bool, says: dict[str, object]
) -> None:
    file = {"sha256": sha256(PACKAGE).hexdigest(), "size": len(PACKAGE), "urls": []}
    plain = {"version": "9.9", "files": {"amd64": file, "arm64": file}, "wave": {"salt": "", "permille": permille}}
    (kiosk.folder / "bundles/release.bundle").write_bytes(kiosk.signed("release", json.dumps(plain), target=target))
    if ours:
        BundleStore(kiosk.folder / "bundles").serve(Topics("east", "k1", ("north",)).targets)
    (package := tmp_path / "x.deb").write_bytes(PACKAGE)
    found = json.loads(verify(kiosk, package, tmp_path / "trusted.bundle", capsys))
    assert {name: found[name] for name in says} == says
    assert ours or "takes" not in found, "nobody knows who this kiosk is"


def test_a_release_that_was_brought_by_hand_counts_for_whomever_it_is(kiosk: Kiosk, tmp_path: Path, capsys) -> None:
    kiosk.store.serve(Topics("east", "k1").targets)
    file = {"sha256": sha256(PACKAGE).hexdigest(), "size": len(PACKAGE)}
    data = kiosk.signed("release", json.dumps({"version": "9.9", "files": {"amd64": file}}), target="west/k1")
    kiosk.store.accept(data, TimeBounds(NOW, NOW, ClockState.SYNCED))
    (package := tmp_path / "x.deb").write_bytes(PACKAGE)
    assert json.loads(verify(kiosk, package, tmp_path / "trusted.bundle", capsys))["takes"] is True


def test_roots_helper_verifies_again_by_a_root_of_its_own(kiosk: Kiosk, tmp_path: Path, capsys) -> None:
    kiosk.release()
    package, trusted = tmp_path / "x.deb", tmp_path / "trusted.bundle"
    package.write_bytes(PACKAGE)
    found = json.loads(verify(kiosk, package, trusted, capsys))
    assert (found["version"], found["bundle"]) == ("9.9", 2)
    assert trusted.read_bytes() == kiosk.root
    verify(kiosk, package, trusted, capsys, floor=2)
    assert "older" in verify(kiosk, package, trusted, capsys, floor=3, code=1)
    package.write_bytes(PACKAGE + b"!")
    assert "not the package that was signed" in verify(kiosk, package, trusted, capsys, code=1)
    package.write_bytes(PACKAGE)
    stranger = Kiosk(tmp_path / "stranger", kiosk.mirror)
    stranger.release()
    assert "0 signatures hold" in verify(stranger, package, trusted, capsys, code=1), (
        "the agent's root does not count"
    )
    assert trusted.read_bytes() == kiosk.root


def test_roots_helper_follows_all_roots_that_came_since(kiosk: Kiosk, tmp_path: Path, capsys) -> None:
    """A kiosk that was not upgraded for years has taken several roots meanwhile, each signed by the one before."""
    kiosk.release()
    package, trusted = tmp_path / "x.deb", tmp_path / "trusted.bundle"
    package.write_bytes(PACKAGE)
    verify(kiosk, package, trusted, capsys)
    kiosk.version = 1
    for _ in range(3):
        before, kiosk.key = kiosk.key, signing.new_private_key()
        kid = kiosk.key.public.kid.hex()
        roles = {kind: {"threshold": 1, "keyids": [kid]} for kind in ("root", "release")}
        content = {"keys": {kid: b64encode(kiosk.key.public.spki).decode()}, "roles": roles}
        newer = kiosk.signed("root", content, before)
        kiosk.store.accept(newer, TimeBounds(NOW, NOW, ClockState.SYNCED))
    kiosk.release("9.10")
    found = json.loads(verify(kiosk, package, trusted, capsys))
    assert found["version"] == "9.10"
    assert trusted.read_bytes() == newer


def test_the_content_of_a_bundle_is_made_from_packages(tmp_path: Path, capsys) -> None:
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"gatepost-release_0.2.0_{architecture}.deb").write_bytes(PACKAGE)
    words = [
        "upgrade",
        "content",
        *map(str, sorted(tmp_path.glob("*.deb"))),
        "--url",
        "https://m.example/r/",
        "--permille",
        "50",
    ]
    assert main(words) == 0
    found = upgrade.parse_release(capsys.readouterr().out)
    assert found.files["arm64"].urls == ("https://m.example/r/gatepost-release_0.2.0_arm64.deb",)
    assert (found.version, found.permille) == ("0.2.0", 50)
