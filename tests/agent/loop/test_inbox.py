"""What waits for the loop: bounded, fresh, and fair, whatever one source does."""

from __future__ import annotations

import math
import queue
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.loop import inbox as inbox_module
from agent.loop.inbox import CODE_SHARE_S, LAPSE_S, LEAVING_S, MOST, Inbox
from agent.model import (
    AgentChange,
    CommandResult,
    CommandStatus,
    DeviceDown,
    DeviceUp,
    LaneCommand,
    LaneCommandRequest,
    Observation,
    Role,
)
from drivers.contract import Departure, Distance, Reading, Sighting

AS_IT_CAME_S = math.inf
"""Seen no earlier than it came here."""


class Hand:
    """The clock of these tests."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def hand(monkeypatch):
    made = Hand()
    monkeypatch.setattr(inbox_module.time, "monotonic", made.monotonic)
    return made


def code(number, lane="entry"):
    return Observation(lane, Role.SCANNER, Sighting(b"%d" % number, AS_IT_CAME_S))


def reading(number, lane="entry"):
    return Observation(lane, Role.THERMOMETER, Reading(float(number), AS_IT_CAME_S, 0.1))


def drain(inbox):
    found = []
    while (message := inbox.pop(0.0)) is not None:
        found.append(message)
    return found


def test_what_comes_at_the_pace_of_people_comes_out_as_it_came(hand):
    inbox, put = Inbox(), []
    for number in range(20):
        put += [code(number), reading(number), code(number, "exit")]
        for message in put[-3:]:
            inbox.add(message)
            hand.now_s += CODE_SHARE_S / 2
    assert drain(inbox) == put


def test_a_flood_is_bounded_and_the_newest_stay():
    inbox = Inbox()
    for number in range(100_000):
        inbox.add(code(number))
    assert inbox.waiting() == MOST
    assert inbox.dropped == 100_000 - MOST
    assert drain(inbox) == [code(number) for number in range(100_000 - MOST, 100_000)]


@pytest.mark.parametrize(
    "flood", [code, reading, lambda n: Observation("entry", Role.RANGE, Distance(1.0 * n, AS_IT_CAME_S))]
)
@pytest.mark.parametrize(
    "other",
    [
        code(0, "exit"),
        reading(0, "exit"),
        Observation("exit", Role.GATE, LaneCommandRequest(0.0, LaneCommand.OPEN)),
    ],
)
def test_another_lane_is_not_behind_a_flood(hand, flood, other):
    inbox = Inbox()
    for number in range(200):  # 2,000 a second, and the loop keeps up with none
        inbox.add(flood(number))
        hand.now_s += 0.0005
    hand.now_s += 0.1
    inbox.add(other)
    taken = drain(inbox)
    before = taken.index(other)
    assert before <= 45, "as many as are its share in this time, at most"
    for number in range(200):
        inbox.add(flood(number))
        hand.now_s += 0.0005
    inbox.add(other)
    assert drain(inbox).index(other) <= 21


def test_what_was_seen_lapses_and_what_is_so_stays(hand):
    inbox = Inbox()
    stays = [
        Observation("entry", Role.SCANNER, DeviceUp(0.0, "line")),
        Observation("entry", Role.SCANNER, Departure(0.0)),
        Observation("entry", Role.CLINICAL, Reading(36.8, 0.0, 0.2)),
        Observation("entry", Role.GATE, LaneCommandRequest(0.0, LaneCommand.OPEN)),
        CommandResult("open", CommandStatus.SUCCEEDED),
        AgentChange("clock_synchronised", "1"),
    ]
    for message in (code(1), reading(1), *stays):
        inbox.add(message)
    hand.now_s += LAPSE_S + 0.01
    inbox.add(code(2))
    left = drain(inbox)
    assert {str(each) for each in left} == {str(each) for each in (*stays, code(2))}
    assert inbox.dropped == 2


def test_what_was_seen_before_it_came_here_lapses_by_that(hand):
    """A driver that was held up hands on what has waited in its device's line."""
    inbox = Inbox(["exit"])
    late_s, soon_s = hand.now_s - LAPSE_S - 0.1, hand.now_s - LAPSE_S + 0.1
    put = [
        Observation(lane, role, item)
        for lane in ("entry", "exit")
        for at_s in (late_s, soon_s)
        for role, item in (
            (Role.SCANNER, Sighting(b"1", at_s)),
            (Role.THERMOMETER, Reading(34.0, at_s, 0.1)),
            (Role.RANGE, Distance(60.0, at_s)),
        )
    ]
    for message in put:
        inbox.add(message)
    kept = {str(each) for each in put[3:6] + put[6:7] + put[9:12]}
    assert {str(each) for each in drain(inbox)} == kept, "a code at an exit waits longer"


def test_a_code_at_an_exit_waits_for_a_loop_that_stood_still(hand):
    """A person who wants to leave shows it once; what is measured there lapses as everywhere."""
    inbox = Inbox(["exit"])
    for message in (code(1), code(2, "exit"), reading(1, "exit")):
        inbox.add(message)
    hand.now_s += LEAVING_S - 0.01
    assert [str(each) for each in drain(inbox)] == [str(code(2, "exit"))]
    inbox.add(code(3, "exit"))
    hand.now_s += LEAVING_S + 0.01
    assert drain(inbox) == []


def test_a_flood_pushes_out_no_fault_of_its_device():
    inbox = Inbox()
    inbox.add(Observation("entry", Role.SCANNER, DeviceDown(0.0, "line", "gone")))
    for number in range(10 * MOST):
        inbox.add(code(number))
    first, *rest = drain(inbox)
    assert isinstance(first.item, DeviceDown)
    assert len(rest) == MOST


def test_whoever_waits_is_woken():
    inbox, taken = Inbox(), []
    thread = threading.Thread(target=lambda: taken.extend([inbox.pop(20.0), inbox.pop(20.0)]))
    thread.start()
    inbox.add(code(1))
    inbox.wake()
    thread.join(90)
    assert not thread.is_alive()
    assert code(1) in taken


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["entry", "exit"]), st.booleans()), max_size=300))
def test_nothing_is_doubled_or_put_out_of_its_source_s_order(story):
    inbox, put, got = Inbox(), [], []
    for number, (takes, lane, is_code) in enumerate(story):
        put.append((code if is_code else reading)(number, lane))
        inbox.add(put[-1])
        got += [message for _ in range(takes // 4) if (message := inbox.pop(0.0)) is not None]
    got += drain(inbox)
    for lane in ("entry", "exit"):
        for part in (Role.SCANNER, Role.THERMOMETER):
            own = [each for each in got if (each.lane, each.role) == (lane, part)]
            assert own == [each for each in put if each in own]
    assert len(got) + inbox.dropped == len(put)


PRESENCE_C = 30.0


def measured(surface_c: float, role: Role = Role.THERMOMETER) -> Observation:
    return Observation("entry", role, Reading(surface_c, AS_IT_CAME_S, 0.5))


@pytest.mark.parametrize(
    "message",
    [measured(22.0), measured(31.0, Role.ROOM), Observation("entry", Role.RANGE, Distance(900.0, AS_IT_CAME_S))],
    ids=["cold", "room", "range"],
)
def test_what_is_measured_of_nobody_wakes_nobody_and_is_taken_with_what_comes_next(hand, message):
    inbox, rung = Inbox(), []
    inbox._bell = type("Bell", (), {"put": lambda _, __: rung.append(None)})()
    inbox.set_vacant(PRESENCE_C)
    inbox._next(waits=True)
    for _ in range(10):
        inbox.add(message)
    assert not rung
    assert drain(inbox) == [message] * 10


def test_a_source_that_says_much_of_nobody_is_taken_before_anything_is_pushed_out(hand):
    inbox, rung = Inbox(), []
    inbox._bell = type("Bell", (), {"put": lambda _, __: rung.append(None)})()
    inbox.set_vacant(PRESENCE_C)
    inbox._next(waits=True)
    for _ in range(MOST):
        inbox.add(measured(22.0))
    assert len(rung) == 1
    assert len(drain(inbox)) == MOST
    assert not inbox.dropped


@pytest.mark.parametrize("surface_c", [PRESENCE_C, 34.0])
def test_somebody_warm_wakes_the_loop_of_an_empty_kiosk_at_once(hand, surface_c):
    inbox, rung = Inbox(), []
    inbox._bell = type("Bell", (), {"put": lambda _, __: rung.append(None)})()
    inbox.set_vacant(PRESENCE_C)
    inbox._next(waits=True)
    inbox.add(measured(surface_c))
    assert len(rung) == 1


def test_staffs_own_thermometer_wakes_the_loop_of_an_empty_kiosk(hand):
    inbox, rung = Inbox(), []
    inbox._bell = type("Bell", (), {"put": lambda _, __: rung.append(None)})()
    inbox.set_vacant(PRESENCE_C)
    inbox._next(waits=True)
    inbox.add(measured(22.0, Role.CLINICAL))
    assert len(rung) == 1


def test_a_nap_lasts_while_nobody_is_there_and_ends_when_somebody_comes():
    inbox = Inbox()
    assert not inbox.nap(1e6), "as long as nobody has said that the kiosk is empty"
    inbox.set_vacant(PRESENCE_C)
    assert inbox.nap(0.001)
    naps: queue.SimpleQueue[bool] = queue.SimpleQueue()
    sleeper = threading.Thread(target=lambda: naps.put(inbox.nap(1e6)))
    sleeper.start()
    inbox.set_vacant(-math.inf)
    assert naps.get(timeout=120) is False
    sleeper.join()
    assert not inbox.nap(1e6)


@pytest.mark.parametrize(
    "message",
    [
        code(1),
        Observation("entry", Role.GATE, DeviceDown(0.0, "relay", "gone")),
        Observation("entry", Role.SCANNER, Departure(0.0)),
    ],
)
def test_all_else_wakes_a_patient_loop_at_once_and_takes_the_readings_along(hand, message):
    inbox, rung = Inbox(), []
    inbox._bell = type("Bell", (), {"put": lambda _, __: rung.append(None)})()
    inbox.set_vacant(PRESENCE_C)
    inbox._next(waits=True)
    inbox.add(measured(22.0))
    assert not rung
    inbox.add(message)
    assert len(rung) == 1
    assert drain(inbox) == [measured(22.0), message]


def test_a_reading_wakes_a_loop_with_somebody_before_it_at_once(hand):
    inbox, rung = Inbox(), []
    inbox._bell = type("Bell", (), {"put": lambda _, __: rung.append(None)})()
    inbox._next(waits=True)
    inbox.add(reading(1))
    assert len(rung) == 1
