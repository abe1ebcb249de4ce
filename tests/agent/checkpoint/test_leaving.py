"""Egress is never blocked by software: whichever devices of an exit are down, its gate opens as soon as it can."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lane_bench import AT_MARK_MM, FEVER_C, NORMAL_C, ROOM_C, Bench

from agent.checkpoint import Options
from agent.model import DeviceDown, DeviceUp, Role
from agent.model.effects import Cue, OpenGate, ShowCue
from drivers.contract import Pressed

EXITS = ["out", "out marked"]
PARTS = [Role.SCANNER, Role.THERMOMETER, Role.RANGE, Role.GATE]
SETS = [frozenset(each) for count in range(len(PARTS) + 1) for each in combinations(PARTS, count)]


def down(bench: Bench, part: Role, lane: str) -> None:
    bench.put(lane, part, DeviceDown(bench.at_s, "fake", "unplugged"))


def up(bench: Bench, part: Role, lane: str) -> None:
    bench.put(lane, part, DeviceUp(bench.at_s, "fake"))


def stand(bench: Bench, lane: str, missing: frozenset[Role] | set[Role], seconds: float) -> None:
    """Somebody stands at the exit; a thermometer that is down says nothing."""
    if Role.THERMOMETER in missing:
        bench.wait(seconds)
    else:
        bench.measure(NORMAL_C, lane, count=round(seconds / 0.1))


@pytest.mark.parametrize("lane", EXITS)
@pytest.mark.parametrize("begins", ["body", "card"])
def test_who_still_waits_once_the_gate_has_shut_opens_it_again(lane: str, begins: str) -> None:
    bench = Bench()
    bench.distances_mm["out marked"] = AT_MARK_MM
    if begins == "card":
        bench.show(b"proof:anna", lane)
    stand(bench, lane, frozenset(), 4.0)
    assert bench.openings == [lane]
    if begins == "card":
        bench.show(b"green:anna", lane)
    else:
        bench.put(lane, Role.BUTTON, Pressed(bench.at_s))
    assert bench.openings == [lane, lane]
    stand(bench, lane, frozenset(), 8.0)
    assert len(bench.passages) == 1


@pytest.mark.parametrize("has_scanner", [True, False])
@pytest.mark.parametrize(
    "seen",
    [
        [(NORMAL_C, 40), (NORMAL_C, 60)],
        [(NORMAL_C, 40), (NORMAL_C + 0.2, 60)],
        [(NORMAL_C, 40), (ROOM_C, 4), (NORMAL_C + 0.2, 60)],
        [(NORMAL_C - 0.4, 1300), (NORMAL_C, 60)],
    ],
    ids=["hesitates", "follows at once", "follows soon", "something warm stays"],
)
def test_where_no_code_can_be_shown_who_is_seen_gets_out(seen: list[tuple[float, int]], has_scanner: bool) -> None:
    """The gate has shut by then; he is one passage with who was before him, as nobody was seen to leave."""
    lane = "out" if has_scanner else "seen out"
    bench = Bench()
    if has_scanner:
        down(bench, Role.SCANNER, lane)
    *before, (surface_c, count) = seen
    for each_c, ticks in before:
        bench.measure(each_c, lane, ticks)
    opened = len(bench.openings)
    bench.measure(surface_c, lane, count)
    assert bench.openings[opened:], "who stands there for six seconds gets out"
    assert len(bench.openings) <= 1 + sum(ticks for _, ticks in seen) / 50
    bench.wait(30)
    assert len(bench.passages) == 1


@pytest.mark.parametrize("missing", SETS, ids=lambda each: "+".join(sorted(each)) or "none")
@pytest.mark.parametrize("before", [True, False], ids=["down before", "down after"])
def test_a_code_opens_once_whatever_is_down(missing: frozenset[Role], before: bool) -> None:
    """Also a scanner that has told a code just before it went."""
    codes = [b"green:anna", b"red:bert", b"half1:carl", b"https://example.org/"]
    for lane, code, stays_s in product(EXITS, codes, [0.0, 0.5, 2.0, 8.0, 30.0]):
        bench = Bench()
        bench.distances_mm["out marked"] = AT_MARK_MM
        for part in missing if before else ():
            down(bench, part, lane)
        bench.show(code, lane)
        for part in () if before else missing:
            down(bench, part, lane)
        is_only_seen = Role.SCANNER in missing and Role.THERMOMETER not in missing
        stand(bench, lane, missing, min(stays_s, 2.0) if is_only_seen else stays_s)
        shut_out = before and Role.GATE in missing
        assert bench.openings == ([] if shut_out else [lane])
        for part in missing:
            up(bench, part, lane)
        lost = not before and Role.GATE in missing
        assert bench.openings == [lane] * (2 if lost else 1), (
            "what was commanded just before may not have been done"
        )
        assert ShowCue(lane, Cue.ADMIT) in bench.results


@given(
    st.sampled_from(EXITS),
    st.lists(
        st.one_of(
            st.tuples(st.just("flap"), st.sampled_from(PARTS)),
            st.tuples(st.just("stand"), st.floats(0.1, 5.0)),
            st.tuples(st.just("show"), st.sampled_from([b"green:anna", b"red:bert", b"x"])),
        ),
        max_size=15,
    ),
)
def test_whoever_stands_there_gets_out_once_the_gate_is_back(lane: str, steps: list[tuple[str, object]]) -> None:
    """Devices come and go in any order while codes are shown: each code is followed by an opening as soon as the
    gate is up.
    """
    bench = Bench()
    bench.distances_mm["out marked"] = AT_MARK_MM
    missing: set[Role] = set()
    owed, before_eve = False, 0
    opened_s = shown_s = -100.0
    for kind, value in [*steps, ("show", b"green:eve"), *(("up", part) for part in PARTS)]:
        known = len(bench.openings)
        if kind == "flap" and value not in missing:
            down(bench, value, lane)  # type: ignore[arg-type]
            missing.add(value)  # type: ignore[arg-type]
        elif kind in ("flap", "up") and value in missing:
            up(bench, value, lane)  # type: ignore[arg-type]
            missing.discard(value)  # type: ignore[arg-type]
        elif kind == "stand":
            stand(bench, lane, missing, value)  # type: ignore[arg-type]
        elif kind == "show":
            before_eve = known
            bench.show(value, lane)  # type: ignore[arg-type]
            owed, shown_s = True, bench.at_s
        if len(bench.openings) > known:
            owed, opened_s = False, bench.at_s
        if Role.GATE not in missing:
            recently = shown_s - opened_s < bench.options.temperature_timeout_s + bench.options.rescan_after_admit_s
            assert not owed or recently, "he has shown a code, and the gate is there"
    assert len(bench.openings) > before_eve, "eve has shown her code only now"


@pytest.mark.parametrize("thermometer", [True, False])
def test_whoever_shows_no_code_waits_for_the_gate_too(thermometer: bool) -> None:
    bench = Bench()
    down(bench, Role.GATE, "out")
    bench.measure(FEVER_C, "out", count=round((bench.options.credential_timeout_s + 0.2) / 0.1))
    if not thermometer:
        down(bench, Role.THERMOMETER, "out")
        bench.wait(5.0)
    up(bench, Role.GATE, "out")
    assert bench.openings == ["out"]


def test_a_gate_that_fails_at_the_command_opens_when_it_is_back(bench: Bench) -> None:
    bench.show(b"green:anna", "out")
    bench.wait(0.5)
    down(bench, Role.GATE, "out")
    bench.measure(NORMAL_C, "out", count=6)
    assert not bench.only().gate_opened
    up(bench, Role.GATE, "out")
    assert bench.openings == ["out", "out"]


def test_a_gate_that_fails_long_after_it_has_opened_does_not_open_again(bench: Bench) -> None:
    bench.show(b"green:anna", "out")
    bench.measure(NORMAL_C, "out", count=90)
    down(bench, Role.GATE, "out")
    up(bench, Role.GATE, "out")
    assert bench.openings == ["out"]


@pytest.mark.parametrize("found_s", [0.5, 3.5, 7.0])
def test_a_gate_whose_thread_hung_opens_for_who_had_asked_before(bench: Bench, found_s: float) -> None:
    bench.show(b"green:anna", "out")
    bench.wait(found_s)
    down(bench, Role.GATE, "out")
    bench.wait(2.0)
    up(bench, Role.GATE, "out")
    assert bench.openings == ["out", "out"]


def test_a_gate_does_not_open_for_somebody_who_was_seen_to_leave(bench: Bench) -> None:
    down(bench, Role.GATE, "out")
    bench.show(b"green:anna", "out")
    bench.measure(NORMAL_C, "out", count=6)
    bench.measure(ROOM_C, "out", count=12)
    up(bench, Role.GATE, "out")
    assert not bench.openings
    bench.show(b"green:anna", "out")
    assert bench.openings == ["out"], "and at once for the same code"


def test_nor_for_somebody_of_a_minute_ago_whom_nobody_sees(bench: Bench) -> None:
    down(bench, Role.THERMOMETER, "out")
    down(bench, Role.GATE, "out")
    bench.show(b"green:anna", "out")
    bench.wait(61.0)
    up(bench, Role.GATE, "out")
    assert not bench.openings


def test_a_code_that_was_not_let_out_is_no_repeat_once_the_gate_is_there(bench: Bench) -> None:
    down(bench, Role.GATE, "out")
    bench.show(b"green:anna", "out")
    bench.measure(NORMAL_C, "out", count=6)
    bench.measure(ROOM_C, "out", count=9)
    bench.show(b"green:anna", "out")
    bench.wait(0.1)
    up(bench, Role.GATE, "out")
    assert OpenGate("out") in bench.results, "shown again while the gate was down"


def test_at_an_entry_nobody_is_let_in_by_a_gate_that_comes_back(bench: Bench) -> None:
    down(bench, Role.GATE, "in")
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    up(bench, Role.GATE, "in")
    assert not bench.openings


@pytest.mark.parametrize("rescan_s", [1.0, 5.0, 60.0])
@pytest.mark.parametrize("begins", ["card", "body"])
def test_no_setting_keeps_somebody_in_for_longer_than_the_gate_is_shut(rescan_s: float, begins: str) -> None:
    bench = Bench(Options(rescan_after_admit_s=rescan_s))
    for _ in range(120):
        before_s = bench.at_s
        if begins == "card":
            bench.show(b"green:anna", "out")
            bench.wait(0.5)
        else:
            bench.measure(NORMAL_C, "seen out", count=5)
        assert bench.at_s == pytest.approx(before_s + 0.5)
    lane = "out" if begins == "card" else "seen out"
    assert bench.openings.count(lane) >= 60 / 5.5, "it shuts after three seconds"
    assert len(bench.passages) <= 1


@pytest.mark.parametrize("again_s", [1.0, 2.0, 4.0])
def test_who_did_not_get_through_is_let_out_again_and_is_one_passage(again_s: float) -> None:
    """However often he shows the code: also more often than it takes to count as another showing."""
    bench = Bench()
    for _ in range(round(30 / again_s)):
        bench.show(b"green:anna", "out")
        bench.measure(NORMAL_C, "out", count=round(again_s / 0.1))
    shut_s = bench.options.rescan_after_admit_s
    assert 30 / (shut_s + again_s) <= len(bench.openings) <= 30 / shut_s + 1
    assert len(bench.passages) == 1
