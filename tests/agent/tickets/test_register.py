"""Used tickets at work: on a real disk, over a real broker, and before a gate opens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import vectors_today as vectors

from agent import credentials, mqtt, policy, screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.events import Encoder, Topics
from agent.events.state import State
from agent.model import (
    ClockState,
    Decision,
    DecisionInput,
    DeviceUp,
    Direction,
    LaneSpec,
    LaneTickets,
    Observation,
    Outcome,
    Passage,
    Role,
    TimeBounds,
    Tristate,
)
from agent.model.effects import OpenGate
from agent.model.problems import ProblemCode
from agent.outbox import Options as OutboxOptions
from agent.outbox import Outbox
from agent.tickets.exchange import Use
from agent.tickets.register import EXPIRE_EVERY_S, UsedTickets
from agent.tickets.register import Options as TicketOptions
from agent.tickets.store import SqliteUses
from drivers.contract import Reading, Sighting
from tests.profiles import profile

NOW = TimeBounds(1_675_000_000.0, 1_675_000_000.5, ClockState.SYNCED)
KEYS = [bytes((number,)) * 16 for number in range(4)]


def later(seconds: float) -> TimeBounds:
    return TimeBounds(NOW.earliest_utc + seconds, NOW.latest_utc + seconds, ClockState.SYNCED)


YES, NO, UNKNOWN = Tristate
TRUST = vectors.pretix_trust()


class Kiosk:
    """Used tickets of one kiosk, linked to a broker if there is one."""

    def __init__(self, name: str, folder: Path, kiosks: tuple[str, ...] = (), port: int = 0) -> None:
        self.doubles: list[tuple[str, str]] = []
        self.told = threading.Event()
        options = TicketOptions(folder / f"{name}.sqlite", kiosks)
        self.tickets = UsedTickets(name, options, self._report, wait_s=5.0)
        self.link = None
        if port:
            mqtt_options = mqtt.Options(host="127.0.0.1", port=port)
            topics = Topics("hall", name)
            self.outbox = Outbox(OutboxOptions(folder / f"{name}.db"), Encoder(topics))
            self.link = mqtt.Link(mqtt_options, topics, self.outbox, lambda: State(software_version="1"))
            self.channel = self.link.share("used", self.tickets, lambda: self.tickets.tick(NOW))
            self.tickets.send = self.channel.send
            self.outbox.start()
            self.link.start()
            self.channel.start()

    def _report(self, second: Use, first: Use) -> None:
        self.doubles.append((first.kiosk, second.kiosk))
        self.told.set()

    def stop(self) -> None:
        if self.link is not None:
            self.channel.stop()
            self.link.stop(0.0)
            self.outbox.stop(5.0)
        self.tickets.close()


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Callable[..., Kiosk]]:
    made: list[Kiosk] = []

    def make(name: str, *how: object) -> Kiosk:
        made.append(Kiosk(name, tmp_path, *how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.stop()


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.02)
    pytest.fail("not within 20 s")


def test_a_use_outlives_the_agent(kiosk: Callable[..., Kiosk]) -> None:
    one = kiosk("gate-1")
    assert one.tickets.claim(KEYS[0]) is NO
    assert one.tickets.record(KEYS[0], None, NOW)
    again = kiosk("gate-1")
    assert again.tickets.used(KEYS[0]) is YES
    assert again.tickets.used(KEYS[1]) is NO


def test_on_a_disk_that_is_an_older_copy_no_ticket_is_known_to_be_unused(
    kiosk: Callable[..., Kiosk], tmp_path: Path
) -> None:
    one = kiosk("gate-1")
    assert one.tickets.used(KEYS[0]) is NO
    one.tickets.note_older()
    assert one.tickets.lost
    assert one.tickets.used(KEYS[0]) is UNKNOWN
    one.tickets.close()
    assert kiosk("gate-1").tickets.lost, "also after a restart"


def test_a_ticket_that_has_ended_is_forgotten(kiosk: Callable[..., Kiosk]) -> None:
    one = kiosk("gate-1")
    one.tickets.record(KEYS[0], NOW.earliest_utc - 1, NOW)
    one.tickets.record(KEYS[1], NOW.earliest_utc + 60, NOW)
    one.tickets.tick(NOW, at_s=0.0)
    one.tickets.tick(later(EXPIRE_EVERY_S), at_s=EXPIRE_EVERY_S)
    assert (one.tickets.used(KEYS[0]), one.tickets.used(KEYS[1])) == (NO, YES)


@pytest.mark.parametrize("wrong_for_s", [0.0, 600.0, 5400.0])
def test_a_clock_that_was_ahead_for_an_hour_makes_no_used_ticket_good_again(
    kiosk: Callable[..., Kiosk], wrong_for_s: float
) -> None:
    """What a source of time says is believed at once, and known to be wrong within an hour."""
    one = kiosk("gate-1")
    one.tickets.record(KEYS[0], NOW.earliest_utc + 7200, NOW)
    for at_s in (0.0, 700.0):
        one.tickets.tick(later(at_s), at_s=at_s)
    for ahead_s in {0.0, wrong_for_s / 2, wrong_for_s}:
        one.tickets.tick(later(3 * 86_400 + ahead_s), at_s=701.0 + ahead_s)
    for at_s in (6200.0, 7000.0):
        one.tickets.tick(later(at_s), at_s=at_s)
    assert one.tickets.used(KEYS[0]) is YES


def test_what_cannot_be_kept_is_said(kiosk: Callable[..., Kiosk]) -> None:
    one = kiosk("gate-1")
    one.tickets.close()
    assert not one.tickets.record(KEYS[0], None, NOW)
    assert one.tickets.used(KEYS[0]) is UNKNOWN
    assert one.tickets.claim(KEYS[0]) is UNKNOWN
    (component,) = one.tickets.health()
    assert [finding.code for finding in component.findings] == [ProblemCode.TICKETS_NOT_KEPT]
    assert "used tickets cannot be kept" in component.findings[0].text


def test_what_can_be_kept_again_is_no_problem(kiosk: Callable[..., Kiosk]) -> None:
    one = kiosk("gate-1")
    one.tickets.fault = "used tickets cannot be kept: disk I/O error"
    assert one.tickets.record(KEYS[0], None, NOW)
    (component,) = one.tickets.health()
    assert not component.findings


@pytest.mark.parametrize("damage", ["garbage", "cut", "a page", "gone"])
def test_what_was_used_and_is_lost_is_not_known(kiosk: Callable[..., Kiosk], tmp_path: Path, damage: str) -> None:
    """Never as if nothing had been used; and the agent starts all the same."""
    one = kiosk("gate-1")
    for number in range(200):
        one.tickets.record(number.to_bytes(16), None, NOW)
    one.tickets.close()
    file = tmp_path / "gate-1.sqlite"
    whole = file.read_bytes()
    match damage:
        case "garbage":
            file.write_bytes(b"x" * 5000)
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
        case "a page":
            file.write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])
        case "gone":
            file.unlink()
    again = kiosk("gate-1")
    assert again.tickets.used(KEYS[1]) is UNKNOWN
    assert again.tickets.claim(KEYS[1]) is UNKNOWN
    assert again.tickets.lost
    (component,) = again.tickets.health()
    assert "used tickets were lost" in component.findings[0].text
    assert again.tickets.record(KEYS[1], None, NOW), "what is used from now on is kept"
    assert again.tickets.used(KEYS[1]) is YES
    (tmp_path / "gate-1.sqlite.lost").unlink()
    again.tickets.tick(NOW)
    assert again.tickets.used(KEYS[2]) is NO
    (component,) = again.tickets.health()
    assert not component.findings


def test_a_store_that_cannot_be_opened_sends_to_staff_until_it_can(
    kiosk: Callable[..., Kiosk], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gate-1.sqlite").mkdir()
    one = kiosk("gate-1")
    assert [component.findings != () for component in one.tickets.health()] == [True], "before anybody comes"
    for _ in range(3):
        one.tickets.tick(NOW)
    one.tickets.report_late()
    one.tickets.connected()
    assert one.tickets.used(KEYS[0]) is UNKNOWN
    assert not one.tickets.record(KEYS[0], None, NOW)
    assert [component.findings != () for component in one.tickets.health()] == [True]
    (said,) = caplog.messages
    assert said.startswith(f"used tickets cannot be kept in {tmp_path / 'gate-1.sqlite'}: ")
    (tmp_path / "gate-1.sqlite").rmdir()
    one.tickets.tick(NOW)
    assert one.tickets.used(KEYS[0]) is NO
    assert one.tickets.record(KEYS[0], None, NOW)


def test_a_lost_list_is_fetched_from_the_others(make_broker, kiosk: Callable[..., Kiosk], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Also where nothing is left that says that there was one: a new card. What others know of is used; the rest
    cannot be known, here and at the others, until somebody says that no such ticket is valid any more.
    """
    broker = make_broker()
    broker.start()
    names = ("gate-1", "gate-2")
    one, two = (kiosk(name, names, broker.port) for name in names)
    wait_until(lambda: one.tickets.used(KEYS[0]) is NO and two.tickets.used(KEYS[0]) is NO)
    used = [number.to_bytes(16) for number in range(450)]
    for key in used:
        assert one.tickets.record(key, NOW.earliest_utc + 3600, NOW)
    wait_until(lambda: two.tickets.used(used[-1]) is YES)
    one.stop()
    for left in tmp_path.glob("gate-1.sqlite*"):
        left.unlink()
    again = kiosk("gate-1", names, broker.port)
    wait_until(lambda: all(again.tickets.used(key) is YES for key in used))
    assert again.tickets.lost
    assert again.tickets.used(KEYS[1]) is UNKNOWN
    wait_until(lambda: two.tickets.used(KEYS[1]) is UNKNOWN)
    (component,) = again.tickets.health()
    assert "staff must look at each" in component.findings[0].text
    (tmp_path / "gate-1.sqlite.lost").unlink()
    wait_until(lambda: again.tickets.used(KEYS[1]) is NO and two.tickets.used(KEYS[1]) is NO)


def test_uses_that_others_give_back_are_lost_ones_before_any_time_is_told(tmp_path: Path) -> None:
    """Whether those tickets have ended cannot be told yet, and nothing has ended for certain."""
    options = TicketOptions(tmp_path / "used.sqlite", ("gate-1", "gate-2"))
    tickets = UsedTickets("gate-1", options, lambda _second, _first: None)
    tickets.connected()
    use = [KEYS[0].hex(), "gate-1/before", 1, 1.0, NOW.earliest_utc + 60]
    tickets.received("gate-2", json.dumps({"uses": [use], "after": 0}).encode())
    tickets.received("gate-2", json.dumps({"have": {"gate-1/before": 1}}).encode())
    assert (tickets.used(KEYS[0]), tickets.used(KEYS[1])) == (YES, UNKNOWN)
    assert tickets.lost
    tickets.close()


def test_two_kiosks_over_a_broker(make_broker, kiosk: Callable[..., Kiosk]) -> None:  # type: ignore[no-untyped-def]
    broker = make_broker()
    broker.start()
    names = ("gate-1", "gate-2")
    one, two = (kiosk(name, names, broker.port) for name in names)
    wait_until(lambda: one.tickets.used(KEYS[0]) is NO and two.tickets.used(KEYS[0]) is NO)
    answers: dict[str, Tristate] = {}
    threads = [
        threading.Thread(target=lambda each=each, name=name: answers.update({name: each.tickets.claim(KEYS[0])}))
        for name, each in zip(names, (one, two), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sorted(answers.values()) == sorted((NO, YES))  # both asked at once, and one was first
    first = one if answers["gate-1"] is NO else two
    assert first.tickets.record(KEYS[0], None, NOW)
    wait_until(lambda: one.tickets.used(KEYS[0]) is YES and two.tickets.used(KEYS[0]) is YES)

    broker.stop()  # nobody hears anybody
    wait_until(lambda: one.tickets.used(KEYS[1]) is UNKNOWN and two.tickets.used(KEYS[1]) is UNKNOWN)
    assert one.tickets.record(KEYS[1], None, NOW)
    assert two.tickets.record(KEYS[1], None, replace(NOW, earliest_utc=NOW.earliest_utc + 1))
    broker.start()
    assert two.told.wait(90)
    assert two.doubles == [("gate-1", "gate-2")]
    assert not one.doubles


# -- before a gate opens


class Watched:
    """A register that says in which order it was asked."""

    def __init__(self, used: Tristate = NO, *, keeps: bool = True, lost: bool = False) -> None:
        self.asked: list[str] = []
        self.answer, self.keeps, self.lost = used, keeps, lost

    def used(self, _key: bytes) -> Tristate:
        return NO

    def claim(self, key: bytes) -> Tristate:
        assert len(key) == 16
        self.asked.append("claim")
        return self.answer

    def record(self, _key: bytes, _ends_utc: float | None, _now: TimeBounds) -> bool:
        self.asked.append("record")
        return self.keeps


def decide(case: DecisionInput) -> Decision:
    lane = case.lane
    facts = policy.facts_of(
        lane.direction,
        case.verdict,
        case.temperature.outcome,
        case.now,
        site=policy.SiteFacts(),
        tickets=lane.tickets,
        used=case.used,
    )
    return policy.decide(profile("event"), facts)


def show(
    register: Watched, *, once: bool = True, place: str = "demo@14", ticket: bytes = vectors.PRETIX_VALID
) -> tuple[Passage, bool]:
    """Somebody warm shows a ticket at an entry: the passage, and whether the gate was opened."""
    lane = LaneSpec(Direction.ENTRY, tickets=LaneTickets(frozenset({place}), once=once))
    rules = DecisionRules(
        lambda payloads, now: credentials.check_all(payloads, TRUST, now),
        decide,
        screening.Options(),
        tickets=register,
    )
    checkpoint = Checkpoint({"hall": lane}, rules, Options())
    results = []
    for role in Role:
        results += checkpoint.handle(Observation("hall", role, DeviceUp(100.0, "fake")), NOW)
    results += checkpoint.handle(Observation("hall", Role.SCANNER, Sighting(ticket, 100.0)), NOW)
    for count in range(8):
        reading = Reading(34.4, 100.1 + count / 10, 0.4)
        results += checkpoint.handle(Observation("hall", Role.THERMOMETER, reading), NOW)
    (passage,) = [each for each in results if isinstance(each, Passage)]
    return passage, any(isinstance(each, OpenGate) for each in results)


def test_a_ticket_is_kept_as_used_before_its_holder_is_let_in() -> None:
    register = Watched()
    passage, opened = show(register)
    assert (passage.decision.outcome, opened, register.asked) == (Outcome.ADMIT, True, ["claim", "record"])


def test_without_a_disk_nobody_is_let_in_on_a_ticket() -> None:
    passage, opened = show(Watched(keeps=False))
    assert (passage.decision.outcome, passage.decision.reasons) == (Outcome.REFER, ("ticket_unrecorded",))
    assert not opened


def test_somebody_else_was_first() -> None:
    register = Watched(YES)
    passage, opened = show(register)
    assert (passage.decision.reasons, opened, register.asked) == (("ticket_used",), False, ["claim"])


def test_cut_off_the_holder_is_let_in_with_a_notice() -> None:
    passage, opened = show(Watched(UNKNOWN))
    assert passage.decision.outcome is Outcome.ADMIT_WITH_NOTICE
    assert "ticket_use_unknown" in passage.decision.reasons
    assert opened


def test_where_used_tickets_were_lost_staff_look_at_each() -> None:
    """A kiosk that is cut off tells a notice; one that has lost what it knew lets nobody in on a guess."""
    register = Watched(UNKNOWN, lost=True)
    passage, opened = show(register)
    assert (passage.decision.outcome, passage.decision.reasons) == (Outcome.REFER, ("ticket_use_lost",))
    assert (opened, register.asked) == (False, ["claim"])
    assert show(Watched(NO, lost=True))[1], "what is known for certain is not lost"


def test_an_inner_door_asks_nobody() -> None:
    register = Watched(YES)
    _, opened = show(register, once=False)
    assert (opened, register.asked) == (True, [])


def test_a_ticket_for_elsewhere_is_not_used_up() -> None:
    register = Watched()
    passage, opened = show(register, place="other")
    assert (passage.decision.outcome, opened, register.asked) == (Outcome.REFUSE, False, [])


@pytest.mark.parametrize("damage", ["an older one", "the log rots", "the log is gone", "the mark rots"])
def test_uses_that_are_gone_from_a_whole_file_are_noticed(tmp_path: Path, damage: str) -> None:
    """The file is sound by itself: an older copy, or what a power cut left in its log."""
    file, log, mark = (tmp_path / f"used.sqlite{suffix}" for suffix in ("", "-wal", ".known"))
    first = SqliteUses(file)
    first.add(Use(1.0, "gate-1/a", 1, KEYS[0], 9e9))
    first.close()
    older = file.read_bytes()
    second = SqliteUses(file)
    for number in (2, 3):
        second.add(Use(1.0, "gate-1/a", number, KEYS[number], 9e9))
    left = {path: path.read_bytes() for path in (file, log, mark)}
    second.close()
    for path, data in left.items():  # as after a power cut: nothing was closed
        path.write_bytes(data)
    match damage:
        case "an older one":
            file.write_bytes(older)
            log.unlink()
        case "the log rots":
            log.write_bytes(left[log][:-2000] + b"\xff" + left[log][-1999:])
        case "the log is gone":
            log.unlink()
        case "the mark rots":
            mark.write_bytes(b"?" + left[mark][1:])
    again = SqliteUses(file)
    assert again.lost
    again.close()
    (tmp_path / "used.sqlite.lost").unlink()
    once_more = SqliteUses(file)
    assert not once_more.lost, "who has removed the note has decided"
    once_more.close()


def test_a_file_of_an_earlier_release_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "used.sqlite"
    SqliteUses(file).close()
    (tmp_path / "used.sqlite.known").write_bytes(b"")
    one = SqliteUses(file)
    one.add(Use(1.0, "gate-1/a", 1, KEYS[0], 9e9))
    one.close()
    again = SqliteUses(file)
    assert (again.lost, again.have()) == ("", {"gate-1/a": 1})
    again.close()


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("bit", [0, 7])
def test_one_bit_of_a_used_ticket_that_has_changed_is_noticed(tmp_path: Path, place: int, bit: int) -> None:
    """By it another ticket would be used, and this one good again."""
    file, key = tmp_path / "used.sqlite", bytes(range(16))
    one = SqliteUses(file)
    for number in range(1, 50):
        one.add(Use(1.0, "gate-1/a", number, key if number == 25 else number.to_bytes(16), 9e9))
    one.close()
    data = bytearray(file.read_bytes())
    at = data.index(key)
    at = data.index(key, at + 1) if place else at
    data[at + 15] ^= 1 << bit
    file.write_bytes(data)
    again = SqliteUses(file)
    assert again.lost
    again.close()


@pytest.mark.parametrize("known", [-(10**30), -1, 10**30, True, 0.5, "1", None])
def test_a_number_that_no_disk_takes_is_passed_over(tmp_path: Path, known: object) -> None:
    """Each message would be an internal error in the log, with all its lines."""
    tickets = UsedTickets("gate-1", TicketOptions(tmp_path / "used.sqlite", ("gate-1", "gate-2")), lambda *_: None)
    said: list[bytes] = []
    tickets.send = lambda message: said.append(message) is None
    tickets.connected()
    assert tickets.record(KEYS[0], None, NOW)
    source = tickets._exchange.source
    said.clear()
    tickets.received("gate-2", json.dumps({"have": {source: known}}).encode())
    assert not said
    tickets.received("gate-2", json.dumps({"have": {source: 0}}).encode())
    assert b'"uses"' in said[0]
    tickets.close()


def test_a_kiosk_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """It is off, or was never there: nobody would find out why each ticket is admitted with a notice."""
    one = Kiosk("gate-1", tmp_path, ("gate-1", "gate-2", "gaet-3"))

    def named(after_s: float) -> list[str]:
        one.tickets.tick(NOW, time.monotonic() + after_s)
        (component,) = one.tickets.health()
        return [finding.text for finding in component.findings if finding.code is ProblemCode.PEERS_NOT_HEARD]

    assert not named(1000), "there is no connection: that is another problem"
    one.tickets.connected()
    assert not named(50)
    (text,) = named(62)
    assert text.startswith("gaet-3, gate-2: does not answer")
    one.tickets.disconnected()
    assert not named(1000)
