"""Lanes without gate, scanner or thermometer; a button at the exit; what staff state of somebody who waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lane_bench import FEVER_C, NORMAL_C, NOW, ROOM_C, check

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.credentials import TrustStore, check_all, combine
from agent.model import (
    Attestation,
    AttestationResult,
    CodeStatus,
    Colour,
    Decision,
    DeviceDown,
    DeviceUp,
    Direction,
    LaneSpec,
    Observation,
    Outcome,
    Passage,
    RecordState,
    Role,
    RoomState,
    Screening,
    TravelState,
    VenueFacts,
    Verdict,
)
from agent.model.effects import OpenGate
from agent.model.reasons import StatementRefusal
from drivers.contract import CARD, Pressed, Reading, Sighting

if TYPE_CHECKING:
    from agent.model import DecisionInput, Item

S, T, G = Role.SCANNER, Role.THERMOMETER, Role.GATE
LANES = {
    "in": LaneSpec(Direction.ENTRY),
    "in too": LaneSpec(Direction.ENTRY),
    "codes": LaneSpec(Direction.ENTRY, parts=frozenset({S, G})),
    "heat": LaneSpec(Direction.ENTRY, parts=frozenset({T, G})),
    "two": LaneSpec(Direction.ENTRY, parts=frozenset({S, Role.CARD, G})),
    "ward": LaneSpec(Direction.CHECK, parts=frozenset({S, T})),
    "out": LaneSpec(Direction.EXIT, parts=frozenset({G})),
    "out warm": LaneSpec(Direction.EXIT, parts=frozenset({T, G})),
    "out codes": LaneSpec(Direction.EXIT, parts=frozenset({S, G})),
    "out both": LaneSpec(Direction.EXIT),
}


def decide(case: DecisionInput) -> Decision:
    """Green, or no code where none is asked for; normal, or unmeasured where nobody is; `tess` must be recorded."""
    verdict = case.verdict
    if case.lane.direction is Direction.EXIT:
        return Decision(Outcome.ADMIT, ("egress_free",))
    if verdict is not None and verdict.colour is Colour.RED:
        return Decision(Outcome.REFUSE, ("code_red",))
    if S in case.lane.parts and (verdict is None or verdict.colour is not Colour.GREEN):
        return Decision(Outcome.REFER, ("no_code",))
    if case.temperature.outcome not in (Screening.NORMAL, Screening.UNASKED):
        return Decision(Outcome.REFER, (str(case.temperature.outcome),))
    if verdict is not None and verdict.subject.startswith(b"tess") and case.facts.record is RecordState.NONE:
        return Decision(Outcome.REFER, ("record_missing",))
    return Decision(Outcome.ADMIT, ("green",))


def facts(_lane, _verdict, attested, _now, _at_s) -> VenueFacts:
    return VenueFacts(record=RecordState(attested.get("record", "none")))


class Bench:
    def __init__(self, *, drill: bool = False, checks=check, decides=None, options: Options | None = None) -> None:
        def check_as(payloads, now):
            verdict = checks(payloads, now)
            return replace(verdict, drill=True) if drill else verdict

        self.at_s, self.done = 100.0, []
        rules = DecisionRules(check_as, decides or decide, screening.Options(), venue=facts)
        self.checkpoint = Checkpoint(LANES, rules, options or Options())
        for lane, spec in LANES.items():
            for role in spec.parts:
                self.put(lane, role, DeviceUp(self.at_s, "fake"))
        self.done.clear()

    def put(self, lane: str, role: Role, item: Item) -> None:
        self.done += self.checkpoint.handle(Observation(lane, role, item), NOW)

    def show(self, code: bytes, lane: str) -> None:
        self.put(lane, S, Sighting(code, self.at_s))

    def measure(self, celsius: float, lane: str, count: int = 8) -> None:
        for _ in range(count):
            self.put(lane, T, Reading(celsius, self.at_s, 0.4))
            self.at_s += 0.1
            self.done += self.checkpoint.tick(self.at_s)

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.at_s += 0.1
            self.done += self.checkpoint.tick(self.at_s)

    def state(self, lane: str, what: str, value: str, number: int = 0) -> AttestationResult:
        before = len(self.done)
        self.put(lane, Role.CLINICAL, Attestation(self.at_s, what, value, number))
        return [each for each in self.done[before:] if isinstance(each, AttestationResult)][-1]

    @property
    def numbers(self) -> list[int]:
        """Of those who were not let in, the first first."""
        return list(dict.fromkeys(each.number for each in self.passages if each.number))

    @property
    def passages(self) -> list[Passage]:
        return [each for each in self.done if isinstance(each, Passage)]

    @property
    def openings(self) -> list[str]:
        return [each.lane for each in self.done if isinstance(each, OpenGate)]


@pytest.fixture(name="bench")
def _bench() -> Bench:
    return Bench()


def test_a_lane_without_a_thermometer_decides_by_the_code_at_once(bench: Bench) -> None:
    bench.show(b"green:anna", "codes")
    assert bench.openings == ["codes"]
    assert bench.passages[0].temperature.outcome is Screening.UNASKED
    bench.show(b"red:bert", "codes")
    assert bench.openings == ["codes"]


def test_a_lane_without_a_scanner_decides_by_the_temperature(bench: Bench) -> None:
    bench.measure(NORMAL_C, "heat")
    assert bench.openings == ["heat"]
    bench.measure(ROOM_C, "heat", 20)
    bench.measure(FEVER_C, "heat", 20)
    assert bench.openings == ["heat"]
    assert bench.passages[-1].decision.outcome is Outcome.REFER


def test_a_check_opens_nothing_and_says_what_an_entry_would(bench: Bench) -> None:
    bench.show(b"green:anna", "ward")
    bench.measure(NORMAL_C, "ward")
    (passage,) = bench.passages
    assert (passage.decision.outcome, passage.gate_opened) == (Outcome.ADMIT, False)
    assert not bench.openings


def test_a_button_opens_an_exit_and_no_entry(bench: Bench) -> None:
    bench.put("out", Role.BUTTON, Pressed(bench.at_s))
    assert bench.openings == ["out"]
    assert (bench.passages[0].gate_opened, bench.passages[0].verdict) == (True, None)
    bench.put("in", Role.BUTTON, Pressed(bench.at_s))
    assert bench.openings == ["out"]


def test_whoever_presses_the_button_again_leaves_once(bench: Bench) -> None:
    for _ in range(5):
        bench.put("out", Role.BUTTON, Pressed(bench.at_s))
        bench.wait(1.0)
    assert bench.openings == ["out"] * 5, "it opens each time"
    assert len(bench.passages) == 1
    bench.wait(LANES["out"].release_s)
    bench.put("out", Role.BUTTON, Pressed(bench.at_s))
    assert len(bench.passages) == 2, "the gate has shut: that is the next one"


def test_whoever_shows_a_code_again_at_an_exit_leaves_once_unless_he_came_in_meanwhile(bench: Bench) -> None:
    for _ in range(3):
        bench.show(b"green:anna", "out codes")
        bench.wait(20)
    assert bench.openings == ["out codes"] * 3
    assert [each.is_repeat for each in bench.passages] == [False, True, True]
    bench.show(b"green:anna", "codes")
    bench.wait(20)
    bench.show(b"green:anna", "out codes")
    bench.wait(20)
    assert [each.gate_opened and not each.is_repeat for each in bench.passages[-2:]] == [True, True]


def test_a_code_that_is_shown_again_while_the_gate_is_open_leaves_once_without_any_window() -> None:
    bench = Bench(options=Options(passback_window_s=0.0, rescan_after_admit_s=1.0))
    for code in (b"green:anna", b"green:anna", b"green:bert"):
        bench.show(code, "out codes")
        bench.wait(2)
    bench.wait(4)
    bench.show(b"green:bert", "out codes")
    assert [each.is_repeat for each in bench.passages] == [False, True, False, False]


def test_who_names_nobody_and_comes_while_the_gate_is_open_leaves_by_the_same_opening(bench: Bench) -> None:
    for number in range(4):
        bench.show(b"junk %d" % number, "out codes")
        bench.wait(1.0)
    bench.show(b"green:anna", "out codes")
    bench.wait(10)
    assert len(bench.openings) == 5, "nobody is kept in"
    assert [each.is_repeat for each in bench.passages] == [False, True, True, True, False]


def test_who_steps_on_and_off_before_an_exit_leaves_once(bench: Bench) -> None:
    for _ in range(3):
        bench.measure(NORMAL_C, "out warm", 2)
        bench.measure(ROOM_C, "out warm", 10)
    bench.wait(LANES["out warm"].release_s)
    bench.measure(NORMAL_C, "out warm", 2)
    bench.measure(ROOM_C, "out warm", 10)
    assert bench.openings == ["out warm"] * 4
    assert [each.is_repeat for each in bench.passages] == [False, True, True, False]


def test_an_exit_opens_for_whoever_stands_there_and_counts_him_once(bench: Bench) -> None:
    bench.measure(NORMAL_C, "out warm", 2)
    assert bench.openings == ["out warm"]
    bench.measure(ROOM_C, "out warm", 20)
    bench.wait(15)
    assert len(bench.passages) == 1
    assert bench.passages[0].gate_opened


def test_what_staff_state_has_the_table_decide_again(bench: Bench) -> None:
    bench.show(b"green:tess", "in")
    bench.measure(NORMAL_C, "in")
    bench.measure(ROOM_C, "in", 20)
    assert bench.passages[-1].decision.reasons == ("record_missing",)
    assert bench.state("in", "mask", "worn").passage.decision.outcome is Outcome.REFER
    answer = bench.state("in", "record", "done")
    assert (answer.reason, answer.passage.decision.outcome) == (None, Outcome.ADMIT)
    assert bench.openings == ["in"]
    assert answer.passage.temperature.outcome is Screening.NORMAL, "as it was measured"
    assert bench.state("in", "record", "done").reason is StatementRefusal.NO_CANDIDATE


@pytest.mark.parametrize(("code", "celsius"), [(b"red:rita", NORMAL_C), (b"green:fay", FEVER_C), (None, NORMAL_C)])
def test_no_statement_opens_for_red_fever_or_nobody(bench: Bench, code: bytes | None, celsius: float) -> None:
    if code is not None:
        bench.show(code, "in")
    bench.measure(celsius, "in", 12)
    bench.measure(ROOM_C, "in", 20)
    bench.wait(15)
    for what, value in (("record", "done"), ("document", "seen"), ("mask", "worn"), ("travel", "clear")):
        bench.state("in", what, value)
    assert not bench.openings


def test_of_several_who_wait_staff_say_whom_they_mean(bench: Bench) -> None:
    for name in (b"green:tess", b"green:tessa"):
        bench.show(name, "in")
        bench.measure(NORMAL_C, "in")
        bench.measure(ROOM_C, "in", 30)
    assert bench.state("in", "record", "done").reason is StatementRefusal.AMBIGUOUS_PERSON
    assert bench.state("in", "record", "done", bench.numbers[0]).passage.decision.outcome is Outcome.ADMIT


@pytest.mark.parametrize("next_one", [None, b"green:tess2"])
def test_what_staff_state_of_whoever_waits_goes_to_nobody_who_has_stepped_up_since(
    bench: Bench, next_one: bytes | None
) -> None:
    bench.show(b"green:tess1", "in")
    bench.measure(NORMAL_C, "in")
    bench.measure(ROOM_C, "in", 30)
    if next_one:
        bench.show(next_one, "in")
    bench.measure(NORMAL_C, "in", 1)
    assert bench.state("in", "record", "done").reason is StatementRefusal.AMBIGUOUS_PERSON
    bench.measure(NORMAL_C, "in")
    assert not bench.openings
    bench.measure(ROOM_C, "in", 150)
    assert bench.state("in", "record", "done", bench.numbers[0]).passage.decision.outcome is Outcome.ADMIT


def test_who_waits_and_shows_the_code_again_is_no_other(bench: Bench) -> None:
    bench.show(b"green:tess1", "in")
    bench.measure(NORMAL_C, "in")
    bench.measure(ROOM_C, "in", 30)
    bench.show(b"green:tess1", "in")
    assert bench.state("in", "record", "done").reason is None
    bench.measure(NORMAL_C, "in")
    assert bench.openings == ["in"]
    assert [each.decision.outcome for each in bench.passages] == [Outcome.REFER, Outcome.ADMIT]


def test_a_drill_opens_no_entry_but_every_exit() -> None:
    bench = Bench(drill=True)
    bench.show(b"green:anna", "in")
    bench.measure(NORMAL_C, "in")
    assert bench.passages[-1].decision.reasons[0] == "drill"
    assert not bench.openings
    bench.measure(NORMAL_C, "out warm", 2)
    assert bench.openings == ["out warm"]


def _check_drill(payloads, now):
    """`drill-green:` and the like are codes of an exercise, of a key of its own."""
    found = []
    for payload in payloads:
        verdict = replace(check((payload.removeprefix(b"drill-"),), now), code=payload.ljust(16, b".")[:16])
        found.append(replace(verdict, drill=payload.startswith(b"drill-")))
    return combine.combine(found)


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"drill-green:anna", b"red:anna"), (b"drill-green:actor", b"red:anna"), (b"test:anna", b"drill-red:anna")],
)
def test_a_code_of_an_exercise_hides_no_real_one(first: bytes, then: bytes) -> None:
    bench = Bench(checks=_check_drill)
    bench.show(first, "in")
    bench.show(then, "in")
    assert [each.verdict.drill for each in bench.passages] == [first[:5] == b"drill", then[:5] == b"drill"]
    assert [each.decision.reasons for each in bench.passages] == [("another_code",), ("code_red",)]
    bench.measure(NORMAL_C, "in")
    assert not bench.openings


def _check_added(payloads, now):
    """`trip:` joins a code, `badge:` too; alone they decide nothing. Both by the real combination."""
    found = []
    for payload in payloads:
        word = payload.partition(b":")[0]
        if word in (b"trip", b"risk"):
            travel = TravelState.RISK if word == b"risk" else TravelState.CLEAR
            key = payload.ljust(16, b".")[:16]
            found.append(
                Verdict(CodeStatus.UNDECIDED, "opaque", key, code=key, adds="travel", travel=travel, kind="other")
            )
        else:
            found.append(check((payload,), now))
    return combine.combine(found)


def _decide_travel(case: DecisionInput) -> Decision:
    if case.verdict is not None and case.verdict.travel is TravelState.RISK:
        return Decision(Outcome.REFER, ("travel_risk",))
    return decide(case)


@pytest.fixture(name="added")
def _added() -> Bench:
    return Bench(checks=_check_added, decides=_decide_travel)


def test_a_travel_record_before_or_after_the_code_is_one_person(added: Bench) -> None:
    for first, then in ((b"trip:t1", b"green:anna"), (b"green:bea", b"trip:t2")):
        added.show(first, "in")
        added.show(then, "in")
        added.measure(NORMAL_C, "in")
        added.measure(ROOM_C, "in", 20)
        assert added.passages[-1].verdict.travel is TravelState.CLEAR
    assert added.openings == ["in", "in"]
    assert len(added.passages) == 2


def test_a_travel_record_shown_after_the_gate_has_opened_is_no_second_person(added: Bench) -> None:
    added.show(b"green:anna", "codes")
    added.at_s += 1.0
    added.show(b"trip:t1", "codes")
    added.wait(20)
    assert (added.openings, len(added.passages)) == (["codes"], 1)


def test_a_record_that_follows_the_code_at_an_exit_is_of_who_leaves(added: Bench) -> None:
    added.show(b"green:anna", "out codes")
    added.wait(1)
    added.show(b"trip:t1", "out codes")
    added.wait(20)
    for record in (b"trip:t2", b"trip:t3"):  # two who have no code
        added.show(record, "out codes")
        added.wait(1)
    added.wait(20)
    assert len(added.openings) == 4, "nobody is kept in"
    assert [each.is_repeat for each in added.passages] == [False, True, False, False]


def test_a_record_of_the_body_that_was_let_out_and_stands_there_is_his(added: Bench) -> None:
    added.show(b"green:anna", "out both")
    added.measure(NORMAL_C, "out both", 60)
    added.show(b"trip:t1", "out both")
    added.measure(NORMAL_C, "out both", 70)
    added.measure(ROOM_C, "out both", 20)
    added.show(b"trip:t2", "out both")
    added.measure(NORMAL_C, "out both", 70)
    assert [each.is_repeat for each in added.passages] == [False, True, False]


@pytest.mark.parametrize("code", [b"trip:t1", b"green:anna"])
def test_who_was_not_let_out_by_his_code_counts_by_what_he_shows_next(added: Bench, code: bytes) -> None:
    """The gate was down for the code."""
    added.put("out both", G, DeviceDown(added.at_s, "fake", "gone"))
    added.measure(NORMAL_C, "out both", 3)
    added.show(b"green:anna", "out both")
    added.measure(NORMAL_C, "out both", 70)
    added.put("out both", G, DeviceUp(added.at_s, "fake"))
    added.measure(NORMAL_C, "out both", 70)
    added.show(code, "out both")
    added.measure(NORMAL_C, "out both", 70)
    assert [(each.gate_opened, each.is_repeat) for each in added.passages] == [(False, False), (True, False)]


def test_one_that_shows_a_risk_is_looked_at_whenever_it_comes(added: Bench) -> None:
    added.show(b"green:anna", "codes")
    added.show(b"risk:t1", "codes")
    added.wait(20)
    assert added.passages[-1].decision.outcome is Outcome.REFER
    for first, then in ((b"risk:t1", b"green:bert"), (b"green:cleo", b"risk:t1")):
        added.show(first, "in")
        added.show(then, "in")
        added.measure(NORMAL_C, "in")
        added.measure(ROOM_C, "in", 20)
        assert added.passages[-1].decision.reasons == ("travel_risk",)
    assert added.openings == ["codes"]


def test_a_travel_record_alone_lets_nobody_in(added: Bench) -> None:
    added.show(b"trip:t1", "codes")
    added.show(b"trip:t2", "in")
    added.measure(NORMAL_C, "in")
    added.measure(ROOM_C, "in", 20)
    added.wait(20)
    assert not added.openings
    assert [each.decision.outcome for each in added.passages] == [Outcome.REFER] * 2


def test_a_lane_with_two_scanners_goes_on_with_one(bench: Bench) -> None:
    bench.put("two", Role.SCANNER, DeviceDown(bench.at_s, "fake", "gone"))
    bench.put("two", Role.CARD, Sighting(b"green:anna", bench.at_s))
    assert bench.openings == ["two"]
    bench.put("two", Role.CARD, DeviceDown(bench.at_s, "fake", "gone"))
    assert not bench.checkpoint._lanes["two"].scanner_works


def test_a_printed_code_that_looks_like_a_card_is_judged_as_no_card(bench: Bench) -> None:
    seen = []
    bench.checkpoint._rules = replace(
        bench.checkpoint._rules, check=lambda payloads, now: seen.append(payloads) or check(payloads, now)
    )
    bench.show(b"card:em4100:0F00C0FFEE", "codes")
    bench.put("codes", Role.CARD, Sighting(b"card:em4100:0F00C0FFEE", bench.at_s, symbology="card"))
    assert [payload.startswith(b"card:") for (payload,) in seen] == [False, True]


def vouched(case: DecisionInput) -> Decision:
    """Who is normal and was recorded, once in the window."""
    if case.lane.direction is Direction.EXIT:
        return Decision(Outcome.ADMIT, ("egress_free",))
    is_normal = case.temperature.outcome is Screening.NORMAL
    may = is_normal and case.facts.record is not RecordState.NONE and not case.shown_again
    return Decision(Outcome.ADMIT_WITH_NOTICE if may else Outcome.REFER, ("vouched",))


@pytest.fixture(name="anonymous", params=[b"card:prc-id:", b"card:iso14443a:random"])
def _anonymous(request) -> tuple[Bench, bytes]:
    """Cards that all look alike: of identity cards whose numbers may not be read, of telephones."""
    return Bench(checks=lambda codes, now: check_all(codes, TrustStore(), now), decides=vouched), request.param


def _lay(bench: Bench, payload: bytes, celsius: float, lane: str = "in") -> int:
    """Somebody lays such a card down, is measured and goes aside; his number."""
    before = len(bench.passages)
    bench.put(lane, Role.CARD, Sighting(payload, bench.at_s, symbology=CARD))
    bench.measure(celsius, lane, 70)
    bench.measure(ROOM_C, lane, 20)
    (passage,) = bench.passages[before:]
    return passage.number


def test_two_with_cards_that_look_alike_are_two_people(anonymous) -> None:
    bench, payload = anonymous
    anna = _lay(bench, payload, FEVER_C)
    bert = _lay(bench, payload, NORMAL_C)
    assert anna != bert
    bench.state("in", "record", "done", anna)
    assert not bench.openings, "hers is the fever"
    bench.state("in", "record", "done", bert)
    assert bench.openings == ["in"]
    bench.wait(6)  # a card that is laid down at once may be Bert's still
    carl = _lay(bench, payload, NORMAL_C)
    bench.state("in", "record", "done", carl)
    assert bench.openings == ["in"] * 2, "nobody has shown his card before"


def test_who_lays_such_a_card_down_again_where_he_stands_is_the_same(anonymous) -> None:
    bench, payload = anonymous
    for _ in range(3):
        bench.put("in", Role.CARD, Sighting(payload, bench.at_s, symbology=CARD))
        bench.measure(NORMAL_C, "in", 10)
    bench.measure(NORMAL_C, "in", 90)
    bench.put("in", Role.CARD, Sighting(payload, bench.at_s, symbology=CARD))
    bench.measure(NORMAL_C, "in", 70)
    assert len(bench.passages) == 2
    assert len(bench.numbers) == 1
    bench.state("in", "record", "done", bench.numbers[0])
    assert bench.openings == ["in"]


def test_who_leaves_with_such_a_card_counts_once(anonymous) -> None:
    bench, payload = anonymous
    for _ in range(3):
        bench.put("out codes", Role.CARD, Sighting(payload, bench.at_s, symbology=CARD))
        bench.wait(20)
    assert [each.is_repeat for each in bench.passages] == [False, True, True]
    bench.state("in", "record", "done", _lay(bench, payload, NORMAL_C))
    bench.put("out codes", Role.CARD, Sighting(payload, bench.at_s, symbology=CARD))
    bench.wait(20)
    assert not bench.passages[-1].is_repeat


def test_two_who_are_let_in_at_one_moment_do_not_both_take_the_last_place() -> None:
    bench, places = Bench(), 1

    def facts_of_room(_lane, _verdict, attested, _now, _at_s) -> VenueFacts:
        is_full = len(bench.openings) >= places
        vouched = {"document", "record"} <= attested.keys()
        return VenueFacts(room=RoomState.FULL if is_full else RoomState.FREE, vouched=vouched)

    def vouched_for(case: DecisionInput) -> Decision:
        may = case.facts.vouched and case.facts.room is RoomState.FREE
        return Decision(Outcome.ADMIT_WITH_NOTICE if may else Outcome.REFER, ("vouched",))

    rules = bench.checkpoint._rules
    bench.checkpoint._rules = replace(rules, venue=facts_of_room, decide=vouched_for)
    for lane in ("in", "in too"):
        for _ in range(8):
            bench.put(lane, T, Reading(NORMAL_C, bench.at_s, 0.4))
        for what, value in (("document", "seen"), ("record", "done")):
            assert bench.state(lane, what, value).reason is None
    for _ in range(2):  # both deadlines are over
        bench.at_s += Options().credential_timeout_s
        for lane in ("in", "in too"):
            bench.checkpoint._lanes[lane].warm_s = bench.at_s
        while bench.checkpoint.wait_s(bench.at_s) == 0.0:
            bench.done += bench.checkpoint.tick(bench.at_s)
    assert bench.openings == ["in"]
    assert [each.decision.outcome for each in bench.passages] == [Outcome.ADMIT_WITH_NOTICE, Outcome.REFER]
