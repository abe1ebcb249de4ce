"""An upgrade goes from wave to wave, and stops by itself when more kiosks fail than may."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import main, upgrade
from agent.crypto import signing
from agent.events import Topics
from agent.events.state import ReleaseState, State, offline_payload, state_payload
from agent.model import InForce, ReleaseStatus
from agent.upgrade import waves
from agent.upgrade.release import BadRelease, Release, is_in
from agent.upgrade.waves import Count, Fleet, Step, Wave, WaveLimits
from tests.conftest import wait_for

ALL = Wave(Release("2.0", {}, "tuesday", 1000), 7, "", "gatepost/v1/$all/bundle/release", b"")
LIMITS = WaveLimits()
PACKAGE = "gatepost-release_2.0_amd64.deb"


def online(fleet: Fleet, kiosk: str, version: str, *groups: str, site: str = "east") -> None:
    topics = Topics(site, kiosk, groups)
    fleet.read(topics.state, state_payload(topics, State(version, groups)), "2.0")


def event(kind: str, detail: str) -> bytes:
    return json.dumps({"data": {"type": kind, "detail": detail}}).encode()


@pytest.mark.parametrize(
    ("found", "well_s", "says"),
    [
        (Count(1000, 950, 10), 600, Step.NEXT),
        (Count(1000, 950, 11), 600, Step.STOP),
        (Count(1000, 950, 0), 599, Step.WAIT),
        (Count(1000, 949, 0), 9999, Step.WAIT),
        (Count(10, 0, 1), 0, Step.STOP),
        (Count(0, 0, 0), 600, Step.NEXT),
    ],
)
def test_the_next_wave_begins_when_this_one_is_well(found: Count, well_s: float, says: Step) -> None:
    assert waves.step(found, LIMITS, well_s) is says


@given(st.integers(1, 10_000), st.data())
def test_one_percent_may_fail_and_no_more(members: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, members))
    stops = waves.step(Count(members, members - failed, failed), LIMITS, 1e9) is Step.STOP
    assert stops == (failed / members > 0.01)


def test_what_kiosks_tell_is_counted() -> None:
    fleet = Fleet()
    for number in range(10):
        online(fleet, f"k{number}", "1.0")
    for number in range(4):
        online(fleet, f"k{number}", "2.0")
    fleet.read("gatepost/v1/east/k3/event/agent", event("release_rolled_back", "2.0: it fell 3 times"), "2.0")
    fleet.read("gatepost/v1/east/k4/event/agent", event("release_rejected", "2.0: the disk is full"), "2.0")
    fleet.read("gatepost/v1/east/k5/event/agent", event("release_rolled_back", "1.9: it fell"), "2.0")
    assert waves.count(fleet, ALL) == Count(10, 3, 2)
    assert fleet.failed["/gatepost/v1/east/k3"] == "it fell 3 times"
    fleet.read("gatepost/v1/east/k4/event/agent", event("release_applied", "2.0"), "2.0")
    assert waves.count(fleet, ALL).failed == 1, "a kiosk that was helped by hand counts as well"


@pytest.mark.parametrize(
    ("target", "names"),
    [("", {"k1", "k2", "k3"}), ("east/k1", {"k1"}), ("east/*", {"k1", "k2"}), ("@north", {"k2", "k3"})],
)
def test_a_wave_may_be_a_group(target: str, names: set[str]) -> None:
    fleet = Fleet()
    for site, kiosk, groups in (("east", "k1", ()), ("east", "k2", ("north",)), ("west", "k3", ("north", "first"))):
        online(fleet, kiosk, "1.0", *groups, site=site)
    found = fleet.members(Wave(ALL.release, 7, target, "", b""))
    assert {source.rpartition("/")[2] for source in found} == names


@pytest.mark.parametrize("target", ["", "@north"])
def test_a_kiosk_that_goes_away_stays_in_its_wave_and_does_not_run_the_release(target: str) -> None:
    fleet, wave = Fleet(), Wave(ALL.release, 7, target, "", b"")
    for kiosk in ("k1", "k2"):
        online(fleet, kiosk, "2.0", "north")
    assert waves.count(fleet, wave) == Count(2, 2, 0)
    away = Topics("east", "k2")
    fleet.read(away.state, offline_payload(away, "2.0"), "2.0")
    assert waves.count(fleet, wave) == Count(2, 1, 0)
    online(fleet, "k2", "2.0", "north")
    assert waves.count(fleet, wave) == Count(2, 2, 0)


def claim(status: ReleaseStatus, bundle: int, *, release: str = "2.0", runs: str = "1.0") -> bytes:
    """State of kiosk k1 of site east."""
    held = (InForce("release", "", bundle),)
    state = State(runs, release=ReleaseState(release, status, "it fell"), in_force=held)
    return state_payload(Topics("east", "k1"), state)


def test_an_event_of_a_rollout_before_that_comes_late_stops_none() -> None:
    """The release lost the broker there and was rolled back, the kiosk was switched off, and comes back now."""
    fleet, away = Fleet(), Topics("east", "k1")
    late = "gatepost/v1/east/k1/event/agent", event("release_rolled_back", "2.0: it fell")
    for state in (offline_payload(away, "1.0"), claim(ReleaseStatus.WAITING, 6)):
        fleet.read(away.state, state, "2.0", since=7)
        fleet.read(*late, "2.0", since=7)
        assert not fleet.failed
    fleet.read(away.state, claim(ReleaseStatus.WAITING, 7), "2.0", since=7)
    fleet.read(*late, "2.0", since=7)
    assert fleet.failed, "of this one"


@pytest.mark.parametrize("status", [ReleaseStatus.ROLLED_BACK, ReleaseStatus.REJECTED])
def test_who_failed_while_nobody_watched_the_rollout_counts(status: ReleaseStatus) -> None:
    fleet, state = Fleet(), Topics("east", "k1").state
    for other in (claim(status, 3), claim(status, 4, release="1.9"), claim(ReleaseStatus.WAITING, 4)):
        fleet.read(state, other, "2.0", 4)
        assert not fleet.failed, "of another rollout, or not at its end"
    fleet.read(state, claim(status, 5), "2.0", 4)
    assert fleet.failed == {"/gatepost/v1/east/k1": "it fell"}


def test_a_release_on_trial_is_not_one_that_works() -> None:
    fleet, state = Fleet(), Topics("east", "k1").state
    fleet.read(state, claim(ReleaseStatus.ON_TRIAL, 4, runs="2.0"), "2.0", 4)
    assert waves.count(fleet, ALL) == Count(1, 0, 0)
    fleet.read(state, claim(ReleaseStatus.IN_USE, 4, runs="2.0"), "2.0", 4)
    assert waves.count(fleet, ALL) == Count(1, 1, 0)


def test_it_is_said_which_kiosks_a_wave_waits_for() -> None:
    fleet = Fleet()
    online(fleet, "k0", "2.0")
    online(fleet, "k1", "1.0")
    topics = Topics("east", "k2")
    fleet.read(topics.state, offline_payload(topics, "1.0"), "2.0")
    full = State(
        "1.0", release=ReleaseState("2.0", ReleaseStatus.WAITING, "x/gatepost-release_2.0.deb answers 404")
    )
    for number, (release, topics) in enumerate(((full, Topics("east", "k3")), (full, Topics("east", "k4")))):
        fleet.read(topics.state, state_payload(topics, release), "2.0")
        assert len(fleet.waits) == 4 + number
    fleet.read("gatepost/v1/east/k4/event/agent", event("release_rejected", "2.0: it fell"), "2.0")
    assert {source[-2:]: fleet.waits[source] for source in waves.waited_for(fleet, ALL)} == {
        "k1": "runs 1.0, and has not said that it knows 2.0", "k2": "offline",
        "k3": "waiting: x/gatepost-release_2.0.deb answers 404",
    }  # fmt: skip


def test_a_kiosk_that_is_gone_is_waited_for_until_the_operator_says_so() -> None:
    """By removing its retained state, or by leaving it out of a rollout."""
    fleet = Fleet()
    for number in range(10):
        online(fleet, f"k{number}", "2.0" if number else "1.0")
    assert waves.step(waves.count(fleet, ALL), LIMITS, 1e9) is Step.WAIT
    fleet.left_out = frozenset({waves.source_of("east/k0")})
    assert waves.count(fleet, ALL) == Count(9, 9, 0)
    fleet.left_out = frozenset()
    fleet.read("gatepost/v1/east/k0/state", b"", "2.0")
    assert waves.step(waves.count(fleet, ALL), LIMITS, 1e9) is Step.NEXT
    online(fleet, "k0", "1.0")
    assert waves.count(fleet, ALL) == Count(10, 9, 0), "it is back"


@pytest.mark.parametrize("kiosk", ["k0", "east/k0/x", "/k0", "east/", ""])
def test_who_is_left_out_is_named_with_its_site(kiosk: str) -> None:
    with pytest.raises(BadRelease, match="write SITE/KIOSK"):
        waves.source_of(kiosk)


@given(st.integers(0, 2000), st.data())
def test_so_many_more_are_enough_and_one_less_is_not(members: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, members))
    done = data.draw(st.integers(0, members - failed))
    needed = waves.missing(Count(members, done, failed), LIMITS)
    assert waves.is_enough(Count(members, done + needed, failed), LIMITS)
    assert needed == 0 or not waves.is_enough(Count(members, done + needed - 1, failed), LIMITS)


@given(st.text(), st.binary())
def test_junk_is_passed_over(topic: str, payload: bytes) -> None:
    fleet = Fleet()
    fleet.read(topic, payload, "2.0")
    fleet.read("gatepost/v1/a/b/state", payload, "2.0")
    fleet.read("gatepost/v1/a/b/event/agent", payload, "2.0")
    assert fleet.failed == {}


@pytest.mark.parametrize(
    ("target", "topic"),
    [("", "$all"), ("*/*", "$all"), ("east/*", "east/$all"), ("east/k1", "east/k1"), ("@north", "$group/north")],
)
def test_a_wave_goes_where_its_kiosks_read(target: str, topic: str) -> None:
    assert waves.topic_of(target) == f"gatepost/v1/{topic}/bundle/release"


def wave(version: int, permille: int, release: str = "2.0", target: str = "") -> Wave:
    return Wave(Release(release, {}, "", permille), version, target, waves.topic_of(target), b"")


@pytest.mark.parametrize(
    ("found", "stop", "says"),
    [
        ([wave(4, 50), wave(4, 1000)], wave(5, 0), "versions 4, 4, 5"),
        ([wave(4, 50)], wave(3, 0), "versions 4, 3"),
        ([wave(4, 50)], wave(5, 10), "needs 0"),
        ([wave(4, 50), wave(5, 50, "3.0")], wave(6, 0), "one release at a time"),
        ([wave(4, 50, target="@north")], wave(5, 0), "same target"),
    ],
)
def test_bundles_that_could_not_be_stopped_are_not_sent(found: list[Wave], stop: Wave, says: str) -> None:
    with pytest.raises(BadRelease, match=says):
        waves.demand_order(found, stop)


class Sender:
    """A central server with signed waves, and kiosks that are only topics."""

    def __init__(self, folder: Path, broker) -> None:
        self.folder, self.broker, key = folder, broker, signing.new_private_key()
        (folder / "release.key").write_bytes(key.pem())
        (folder / PACKAGE).write_bytes(b"a package")
        self.sources = [f"/gatepost/v1/east/k{number}" for number in range(40)]

    def sign(self, capsys, version: int, permille: int) -> Path:
        package, content, key = (str(self.folder / name) for name in (PACKAGE, "content.json", "release.key"))
        assert main(["upgrade", "content", package, "--permille", str(permille)]) == 0
        Path(content).write_text(capsys.readouterr().out)
        words = ["--type", "release", "--fleet", "city", "--version", str(version), "--key", key]
        assert main(["keys", "sign", content, *words]) == 0
        path = self.folder / f"{version}.bundle"
        path.write_text(capsys.readouterr().out)
        return path

    def tell(self, source: str, version: str, *in_force: InForce) -> None:
        topics = Topics(*source.split("/")[3:])
        self.broker.publish(topics.state, state_payload(topics, State(version, in_force=in_force)), retain=True)


def rollout(sender: Sender, capsys, *, fails: bool) -> tuple[int, list[bytes]]:
    """Two waves; kiosks do as they are told, but in the first one of them takes the release back."""
    first, everyone, stop = (sender.sign(capsys, 4 + n, permille) for n, permille in enumerate((200, 1000, 0)))
    for source in sender.sources:
        sender.tell(source, "1.0")
    heard = sender.broker.subscriber(topics="gatepost/v1/$all/bundle/release")
    ended: list[int] = []
    words = ["upgrade", "rollout", str(first), str(everyone), "--stop", str(stop), "--plain", "--settle-s", "0"]
    words += ["--broker", f"127.0.0.1:{sender.broker.port}"]
    thread = threading.Thread(target=lambda: ended.append(main(words)))
    thread.start()
    for number, permille in enumerate((200, 1000), 1):
        heard.wait_until(lambda number=number: len(heard.messages) == number)
        members = [each for each in sender.sources if is_in(Release("2.0", {}, "", permille), each)]
        assert members
        for source in members[1:] if fails else members:
            sender.tell(source, "2.0")
        if fails:
            sender.tell(members[0], "1.0", InForce("release", "", 4))
            told = event("release_rolled_back", "2.0: it fell 3 times")
            sender.broker.publish(f"{members[0][1:]}/event/agent", told)
            break
    thread.join(90)
    heard.wait_until(lambda: len(heard.messages) == 2)
    return ended[0], [message.payload for message in heard.messages]


@pytest.fixture
def sender(tmp_path: Path, broker) -> Sender:
    return Sender(tmp_path, broker)


def test_a_rollout_sends_wave_after_wave(sender: Sender, capsys) -> None:
    code, sent = rollout(sender, capsys, fails=False)
    assert code == 0
    assert [json.loads(each) for each in sent] == [
        json.loads((sender.folder / f"{version}.bundle").read_text()) for version in (4, 5)
    ]
    assert "wave 2 of 2 (1000 ‰): well" in capsys.readouterr().out


@pytest.mark.parametrize(("kiosks", "permille"), [(0, 1000), (3, 1)])
def test_a_first_wave_that_reaches_nobody_tries_nothing(sender: Sender, capsys, kiosks: int, permille: int) -> None:
    first, everyone, stop = (sender.sign(capsys, 4 + n, each) for n, each in enumerate((permille, 1000, 0)))
    for source in sender.sources[:kiosks]:
        sender.tell(source, "1.0")
    heard = sender.broker.subscriber(topics="gatepost/v1/$all/bundle/release")
    words = ["upgrade", "rollout", str(first), str(everyone), "--stop", str(stop), "--plain", "--settle-s", "0"]
    assert main([*words, "--broker", f"127.0.0.1:{sender.broker.port}"]) == 1
    assert f"reaches none of the {kiosks} kiosks" in capsys.readouterr().err
    assert not heard.messages


@pytest.mark.parametrize(
    ("left_out", "expected"), [("east/k11", "did you mean east/k1"), ("x-y/gate", "no kiosk of this name")]
)
def test_who_is_left_out_is_one_of_the_fleet(sender: Sender, capsys, left_out: str, expected: str) -> None:
    """A wave would wait for the one that was meant."""
    everyone, stop = sender.sign(capsys, 4, 1000), sender.sign(capsys, 5, 0)
    for source in sender.sources[:4]:
        sender.tell(source, "1.0")
    heard = sender.broker.subscriber(topics="gatepost/v1/$all/bundle/release")
    words = ["upgrade", "rollout", str(everyone), "--stop", str(stop), "--plain", "--settle-s", "0"]
    words += ["--broker", f"127.0.0.1:{sender.broker.port}", "--without", "east/k2", "--without", left_out]
    assert main(words) == 1
    assert expected in capsys.readouterr().err
    assert not heard.messages


def test_a_rollout_stops_itself(sender: Sender, capsys) -> None:
    code, sent = rollout(sender, capsys, fails=True)
    told = capsys.readouterr().out
    assert code == 3
    assert json.loads(sent[-1]) == json.loads((sender.folder / "6.bundle").read_text()), "what stops it was sent"
    assert "STOPPED, 1 kiosks failed:" in told
    assert "it fell 3 times" in told


def test_a_rollout_names_who_it_waits_for_and_goes_on_when_that_one_is_gone(
    sender: Sender, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "_SAY_AFTER_S", 0.0)
    sender.sources = sender.sources[:4]
    everyone, stop = sender.sign(capsys, 4, 1000), sender.sign(capsys, 5, 0)
    for source in sender.sources:
        sender.tell(source, "1.0" if source.endswith(("k1", "k2")) else "2.0")
    words = ["upgrade", "rollout", str(everyone), "--stop", str(stop), "--plain", "--settle-s", "0"]
    words += ["--broker", f"127.0.0.1:{sender.broker.port}", "--without", "east/k2"]
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(main(words)))
    with contextlib.redirect_stdout(io.StringIO()) as told:  # capsys would lose what comes while it is read
        thread.start()
        wait_for(lambda: "SITE/KIOSK" in told.getvalue())
        assert "  waiting for 1 more of these 1 kiosks:\n  east/k1: runs 1.0" in told.getvalue()
        sender.broker.publish("gatepost/v1/east/k1/state", b"", retain=True)
        thread.join(90)
    assert ended == [0]
    assert "\n\n" not in told.getvalue()
