"""One turn at a time: what comes in, what follows from it, and that nothing else ends the waiting."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.loop import Loop
from agent.model import (
    AgentChange,
    AttestationRecord,
    ClockState,
    CodeStatus,
    Colour,
    CommandResult,
    CommandStatus,
    Decision,
    DeviceChange,
    DeviceUp,
    Direction,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    LaneSpec,
    Observation,
    Outcome,
    Passage,
    Redacted,
    RemeasureResult,
    Role,
    Screening,
    TimeBounds,
    Verdict,
)
from agent.model.effects import Cue, ShowCue
from agent.platform.clock import boottime_s
from drivers.contract import Pressed, Reading, Sighting

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)


def check(payloads, now):
    return Verdict(CodeStatus.VALID, "test", subject=payloads[0], colour=Colour.GREEN)


def decide(case):
    if case.temperature.outcome is Screening.NORMAL:
        return Decision(Outcome.ADMIT, ("code_green",))
    return Decision(Outcome.REFER, ("temperature_missing",))


class Bench:
    """A real loop around a real checkpoint of one entry lane; keeps what the loop hands on, in order."""

    def __init__(self, *, trial=False, wait_s=0.2, **parts):
        self.done = []
        self.shown = []
        """(cue, how much had been done before)."""
        self.now = NOW
        self.loop = Loop(
            Checkpoint(
                {"entry": LaneSpec(Direction.ENTRY)},
                DecisionRules(check, decide, screening.Options()),
                Options(temperature_timeout_s=wait_s),
            ),
            open_gate={"entry": lambda: self.done.append(("gate", None))},
            show={"entry": lambda cue, _after: self.shown.append((cue, len(self.done)))},
            store=lambda event: self.done.append(("keep", event)),
            log_event=lambda event: self.done.append(("tell", event)),
            now=lambda: self.now,
            boot_id="boot",
            simulated=trial,
            **parts,
        )

    def ask(self, item, part):
        """What the loop says to it, with the turns that this takes."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.loop.request, Observation("entry", part, item), 10.0)
            while not answer.done():
                self.loop.step(limit_s=0.01)
            return answer.result()

    def turn(self, *items, part=Role.SCANNER):
        for item in items:
            self.loop.inbox.add(Observation("entry", part, item))
            self.loop.step()

    def events(self, body):
        return [event for what, event in self.done if what == "keep" and isinstance(event.body, body)]


@pytest.fixture
def bench():
    made = Bench()
    made.turn(DeviceUp(time.monotonic(), "fake"))
    made.turn(DeviceUp(time.monotonic(), "fake"), part=Role.THERMOMETER)
    made.turn(DeviceUp(time.monotonic(), "fake"), part=Role.GATE)
    made.done.clear()
    return made


def admit(bench):
    bench.turn(Sighting(b"anna", time.monotonic()))
    begin_s = time.monotonic()
    bench.turn(*(Reading(34.4, begin_s + turn * 0.02, 0.5) for turn in range(8)), part=Role.THERMOMETER)


def test_an_admission_opens_the_gate_before_it_is_kept_and_is_kept_before_it_is_told(bench):
    admit(bench)
    assert [what for what, _ in bench.done] == ["gate", "keep", "tell"]
    assert (Cue.ADMIT, 1) in bench.shown, "the lamp is told after the gate and before the event is kept"
    (event,) = bench.events(Passage)
    assert bench.done[2][1] is event
    assert isinstance(event.body, Passage)
    assert (event.now, event.boot_id) == (NOW, "boot")
    assert event.at_s <= boottime_s()
    assert bench.loop.decided == 1


def test_a_deadline_passes_without_anything_new_to_see(bench):
    bench.turn(Sighting(b"anna", time.monotonic()))
    assert not bench.done
    end_s = time.monotonic() + 20
    while not bench.done and time.monotonic() < end_s:
        bench.loop.step(limit_s=10)  # the checkpoint's own deadline ends the waiting
    (event,) = bench.events(Passage)
    assert event.body.decision.outcome is Outcome.REFER
    assert ("gate", None) not in bench.done


def test_devices_and_the_agent_are_events_too(bench):
    bench.turn(DeviceUp(1.0, "camera", simulated=True))
    bench.loop.record(AgentChange("started", "1"))
    (device,), (agent,) = bench.events(DeviceChange), bench.events(AgentChange)
    assert device.body == DeviceChange("entry", Role.SCANNER, "camera", up=True, simulated=True)
    assert agent.body == AgentChange("started", "1")
    assert bench.loop.decided == 0


def test_a_defect_lets_nobody_in_and_forgets_who_stood_there(bench, caplog):
    bench.turn(Sighting(b"anna", time.monotonic()))
    bench.loop.inbox.add(Observation("nowhere", Role.SCANNER, Sighting(b"bert", time.monotonic())))
    bench.loop.step()
    assert bench.loop.internal_errors == 1
    assert (Cue.REFER, 0) in bench.shown
    begin_s = time.monotonic()
    bench.turn(*(Reading(34.4, begin_s + turn * 0.02, 0.5) for turn in range(8)), part=Role.THERMOMETER)
    assert not bench.done
    assert "an internal error" in caplog.text


def test_a_defect_locks_nobody_in():
    """A code that stumbles over an internal error is no reason to keep somebody inside."""

    def fails(_payloads, _now):
        raise ZeroDivisionError

    opened = []
    lanes = {"entry": LaneSpec(Direction.ENTRY), "exit": LaneSpec(Direction.EXIT)}
    loop = Loop(
        Checkpoint(lanes, DecisionRules(fails, decide, screening.Options()), Options()),
        open_gate={lane: lambda lane=lane: opened.append(lane) for lane in lanes},
        show=dict.fromkeys(lanes, print),
        store=print,
        log_event=print,
        now=lambda: NOW,
    )
    for lane in lanes:
        loop.inbox.add(Observation(lane, Role.SCANNER, Sighting(b"anna", time.monotonic())))
        loop.step()
    assert opened == ["exit"]
    assert loop.internal_errors == 2


@pytest.mark.parametrize(
    ("part", "make"),
    [(Role.BUTTON, Pressed), (Role.THERMOMETER, lambda at_s: Reading(34.4, at_s, 0.5))],
    ids=["button", "body"],
)
def test_a_defect_locks_nobody_in_who_shows_no_code(part, make):
    def fails(*_args):
        raise ZeroDivisionError

    opened = []
    parts = frozenset({Role.BUTTON, Role.THERMOMETER, Role.GATE})
    lanes = {"entry": LaneSpec(Direction.ENTRY, parts=parts), "exit": LaneSpec(Direction.EXIT, parts=parts)}
    loop = Loop(
        Checkpoint(lanes, DecisionRules(fails, fails, screening.Options(), venue=fails), Options()),
        open_gate={lane: lambda lane=lane: opened.append(lane) for lane in lanes},
        show=dict.fromkeys(lanes, print),
        store=print,
        log_event=print,
        now=lambda: NOW,
    )
    for lane in lanes:
        for role in parts:
            loop.inbox.add(Observation(lane, role, DeviceUp(time.monotonic(), "fake")))
            loop.step()
        loop.inbox.add(Observation(lane, part, make(time.monotonic())))
        loop.step()
    assert opened == ["exit"]
    assert loop.internal_errors > 0


def test_a_reading_of_staff_s_that_comes_late_decides_nothing(bench):
    """Staff was told that nobody answers: the gate must not open for it later."""
    reading = Reading(36.6, time.monotonic() - 2, 0.2)
    assert bench.ask(reading, Role.CLINICAL) == RemeasureResult("entry", reason="timed_out")


def test_a_command_opens_the_gate_and_is_answered(bench):
    bench.turn(DeviceUp(time.monotonic(), "fake"), part=Role.GATE)
    bench.done.clear()
    assert bench.ask(LaneCommandRequest(time.monotonic(), LaneCommand.OPEN), Role.GATE) == LaneCommandResult()
    assert bench.done == [("gate", None)]


def test_an_answer_that_comes_late_is_not_the_answer_to_the_next_command(bench):
    """The gate that is down is the first one's; who asks next is told of his own."""
    with pytest.raises(TimeoutError):
        bench.loop.request(
            Observation("entry", Role.GATE, LaneCommandRequest(time.monotonic(), LaneCommand.OPEN)), 0.01
        )
    reading = Reading(36.6, time.monotonic(), 0.2)
    assert bench.ask(reading, Role.CLINICAL) == RemeasureResult("entry", reason="no_candidate")
    assert bench.ask(
        LaneCommandRequest(time.monotonic(), LaneCommand.RETEST), Role.THERMOMETER
    ) == LaneCommandResult("no_person")


def test_a_reply_becomes_an_event(bench):
    reply = CommandResult("open", CommandStatus.SUCCEEDED, command_id="7")
    bench.loop.inbox.add(reply)
    bench.loop.step()
    (event,) = bench.events(CommandResult)
    assert event.body == reply
    assert [what for what, _ in bench.done] == ["keep", "tell"]


def test_the_loop_says_once_when_the_clock_is_known_and_again_after_doubts():
    bench = Bench()
    for state in ("floor", "synced", "synced", "holdover", "synced", "suspect", "synced"):
        bench.now = TimeBounds(NOW.earliest_utc, NOW.latest_utc, ClockState(state))
        bench.loop.step(limit_s=0)
    events = bench.events(AgentChange)
    assert [event.body.type for event in events] == ["clock_synchronised", "clock_synchronised"]
    assert all(event.now.state is ClockState.SYNCED for event in events)


@pytest.mark.parametrize(("discreet", "cue"), [(True, Cue.REFER), (False, Cue.REFUSE)])
def test_a_refusal_is_shown_as_one_only_where_it_is_to_be(discreet, cue):
    observed = []
    bench = Bench(discreet=discreet, observe=observed.append)
    resting = ShowCue("entry", Cue.REFER, rest_s=600.0)
    bench.loop._run_checkpoint(lambda: [ShowCue("entry", Cue.REFUSE), resting], NOW)
    assert [shown for shown, _ in bench.shown] == [cue, Cue.REFER]
    assert observed == [ShowCue("entry", cue), ShowCue("entry", Cue.REFER, rest_s=0.0 if discreet else 600.0)]


def test_a_defect_in_withholding_keeps_nothing_personal(caplog):
    def broken(event):
        raise ValueError("anna")

    bench = Bench(redact=broken)
    bench.turn(DeviceUp(time.monotonic(), "fake"))
    bench.turn(DeviceUp(time.monotonic(), "fake"), part=Role.THERMOMETER)
    admit(bench)
    (event,) = bench.events(Passage)
    assert (event.body.payloads, event.body.verdict, event.body.redacted) == ((), None, Redacted("test"))
    assert bench.loop.internal_errors > 0
    assert "anna" not in repr(event) + caplog.text
    assert "an internal error in withholding (ValueError)" in caplog.text


def test_nobody_is_named_in_what_is_kept_and_told(bench):
    admit(bench)
    (event,) = bench.events(Passage)
    assert "anna" not in repr(event)
    assert event.body.payloads == ()


def test_other_rules_judge_also_those_who_wait_already():
    """Green when it was shown; before it was decided, its issuer said otherwise."""
    trust = {"now": object()}
    green = trust["now"]

    def says(payloads, now):
        colour = Colour.GREEN if trust["now"] is green else Colour.RED
        return Verdict(CodeStatus.VALID, "test", subject=payloads[0], colour=colour)

    def by_colour(case):
        return decide(case) if case.verdict.colour is Colour.GREEN else Decision(Outcome.REFUSE, ("code_red",))

    bench = Bench(wait_s=600.0, ruleset_generation=lambda: trust["now"])
    bench.loop._checkpoint._rules = DecisionRules(says, by_colour, screening.Options())
    bench.turn(DeviceUp(time.monotonic(), "fake"))
    bench.turn(DeviceUp(time.monotonic(), "fake"), part=Role.THERMOMETER)
    bench.turn(Sighting(b"anna", time.monotonic()))
    trust["now"] = object()
    begin_s = time.monotonic()
    bench.turn(*(Reading(34.4, begin_s + turn * 0.02, 0.5) for turn in range(8)), part=Role.THERMOMETER)
    (passage,) = bench.events(Passage)
    assert passage.body.decision.outcome is Outcome.REFUSE
    assert ("gate", None) not in bench.done


def test_who_waits_is_judged_by_the_time_to_which_the_clock_was_set_though_nothing_else_is_seen():
    """A code that another could join waits for that."""

    def says(payloads, now):
        status = CodeStatus.VALID if now == NOW else CodeStatus.EXPIRED
        return Verdict(status, "test", subject=payloads[0], colour=Colour.GREEN, adds="card")

    bench = Bench(wait_s=600.0)
    bench.loop._checkpoint._rules = DecisionRules(says, decide, screening.Options())
    bench.turn(Sighting(b"anna", time.monotonic()))
    assert bench.loop._checkpoint._lanes["entry"].pending.verdict.status is CodeStatus.VALID
    bench.now = replace(NOW, earliest_utc=1_900_000_000.0, latest_utc=1_900_000_000.2)
    bench.loop.step(limit_s=0.0)
    assert bench.loop._checkpoint._lanes["entry"].pending.verdict.status is CodeStatus.EXPIRED


def test_a_trial_marks_everything():
    bench = Bench(trial=True)
    bench.turn(DeviceUp(time.monotonic(), "fake"))
    bench.turn(DeviceUp(time.monotonic(), "fake"), part=Role.THERMOMETER)
    bench.loop.record(AgentChange("started", "1"))
    admit(bench)
    events = [event for what, event in bench.done if what == "keep"]
    assert len(events) == 5  # the clock's own among them
    assert all(event.body.simulated for event in events)


def test_wake_ends_a_turn_from_another_thread(bench):
    turned = threading.Event()
    thread = threading.Thread(target=lambda: (bench.loop.step(limit_s=600), turned.set()), daemon=True)
    thread.start()
    bench.loop.wake()
    assert turned.wait(90)
    thread.join()
    assert not bench.done


def test_a_turn_is_noted_when_it_begins(bench):
    before_s = bench.loop.last_step_s
    bench.loop.wake()
    bench.loop.step()
    assert before_s < bench.loop.last_step_s <= time.monotonic()


def test_what_came_last_is_kept_when_the_agent_stops_and_what_was_seen_is_not(bench):
    last = (
        CommandResult("restart", CommandStatus.SUCCEEDED, command_id="7"),
        AgentChange("ticket_used_twice", "1.0"),
        AttestationRecord("close", "entry", by="G07"),
    )
    bench.loop.inbox.add(Observation("entry", Role.SCANNER, Sighting(b"anna", time.monotonic())))
    for each in last:
        bench.loop.inbox.add(each)
    bench.loop.finish()
    assert [event.body for what, event in bench.done if what == "keep"] == list(last)
