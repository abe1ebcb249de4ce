"""The door for screens: what the queue may know, in time, and whether a screen shows it."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import policy
from agent.checkpoint import cues
from agent.checkpoint.cues import cue_for, hint_for
from agent.control.watch import BEAT_S, LATE_S, NAME, SILENT_S, STARTING_S, LanePictures, Watch
from agent.indicators import LampPanel
from agent.model import Decision, Direction, Outcome, Screening, Temperature, WatchClass
from agent.model.effects import Cue, ShowCue
from agent.policy.facts import DIMENSIONS, CodeFact, Facts, TestFact
from agent.texts import CATALOGUE
from agent.web.options import PanelOptions
from tests.profiles import PROFILES, profile

if TYPE_CHECKING:
    from collections.abc import Iterator

GREEN_S, ANSWER_S = 3.0, 5.0
PRIVATE: dict[str, tuple[dict[str, Any], Temperature]] = {
    "red": ({"code": CodeFact.RED}, Temperature(Screening.NORMAL)),
    "forged": ({"code": CodeFact.BAD_SIGNATURE}, Temperature(Screening.NORMAL)),
    "revoked": ({"code": CodeFact.REVOKED}, Temperature(Screening.NORMAL)),
    "watched": ({"code": CodeFact.RED, "watch": WatchClass.HIT}, Temperature(Screening.NORMAL)),
    "positive": ({"test": TestFact.POSITIVE}, Temperature(Screening.NORMAL)),
    "fever, to rest": ({}, Temperature(Screening.ELEVATED, next_step="rest")),
    "fever, to be measured by staff": ({}, Temperature(Screening.ELEVATED, next_step="second_instrument")),
}


def cue_of(table: policy.Table, given_facts: dict[str, Any], temperature: Temperature) -> ShowCue:
    facts = Facts(Direction.ENTRY, given_facts.pop("code", CodeFact.GREEN), temperature.outcome, **given_facts)
    decision = policy.decide(table, facts)
    cue = cue_for(decision, temperature)
    return ShowCue("entry", cue.discreet, hint_for(decision, cue))


def public_bytes(effect: ShowCue) -> bytes:
    lane = LanePictures("entry", LampPanel(GREEN_S, ANSWER_S), 0.0)
    lane.show(ShowCue("entry", Cue.READY), 1.0)
    lane.now(1.0)
    lane.show(effect, 2.0)
    return json.dumps(asdict(lane.now(2.0))).encode()


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_private_looks_the_same(name: str) -> None:
    seen = {who: public_bytes(cue_of(profile(name), dict(facts), t)) for who, (facts, t) in PRIVATE.items()}
    assert len(set(seen.values())) == 1, seen
    assert json.loads(seen["red"]) == {
        "lane": "entry", "number": 2, "picture": "refer", "hint": "", "for_ms": 5000, "rest_s": 0
    }  # fmt: skip


FACTS = st.builds(Facts, *(st.sampled_from(values) for values in DIMENSIONS.values()))


@given(FACTS, st.sampled_from(PROFILES))
def test_no_hint_stands_beside_a_private_reason(facts: Facts, name: str) -> None:
    decision = policy.decide(profile(name), facts)
    hint = hint_for(decision, Cue(decision.outcome))
    if hint == "full":
        assert "room_full" in decision.reasons
        assert {*decision.reasons, *decision.actions} <= cues._FULL
    elif hint:
        public = {*CATALOGUE["hint"], *cues._UNTOLD}
        assert set(decision.reasons + decision.actions) <= public
        assert hint in decision.reasons + decision.actions
        assert facts.test is not TestFact.POSITIVE or facts.direction is Direction.EXIT or "test" not in hint


@pytest.mark.parametrize("open_outcome", [Outcome.REFUSE, Outcome.REFER])
def test_once_more_has_no_hint(open_outcome: Outcome) -> None:
    decision = policy.left_to_staff(
        policy.decide(profile(), Facts(Direction.ENTRY, CodeFact.NONE, Screening.NORMAL))
    )
    assert hint_for(decision, Cue(open_outcome)) == "safe_mode"
    assert hint_for(decision, Cue.RETRY) == ""


def test_no_room_has_a_picture_of_its_own_and_hides_nothing_private() -> None:
    full = Decision(Outcome.REFER, ("room_full",), actions=("wait_outside",))
    assert json.loads(public_bytes(ShowCue("entry", Cue.REFER, hint_for(full, Cue.REFER))))["picture"] == "full"
    private = Decision(Outcome.REFER, ("room_full", "fever"))
    assert hint_for(private, Cue.REFER) == ""


class Lane:
    """One lane's pictures, and the time."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.pictures = LanePictures("entry", LampPanel(GREEN_S, ANSWER_S), 0.0)

    def show(self, cue: Cue, hint: str = "") -> None:
        self.pictures.show(ShowCue("entry", cue, hint), self.at_s)

    @property
    def now(self) -> tuple[int, str, str, int]:
        picture = self.pictures.now(self.at_s)
        return picture.number, picture.picture, picture.hint, picture.for_ms


def test_a_rest_is_a_picture_with_what_is_left_of_it_until_the_next_one() -> None:
    lane = Lane()
    lane.show(Cue.READY)
    lane.pictures.show(ShowCue("entry", Cue.REFER, "", 90.5), 0.0)
    lane.at_s = 1.0
    lane.show(Cue.READY)
    assert (lane.now[1], lane.pictures.now(1.0).rest_s) == ("rest", 90)
    number = lane.now[0]
    lane.at_s = 3.0
    assert lane.now[0] == number, "it counts by itself"
    lane.show(Cue.REFER)
    assert (lane.now[1], lane.pictures.now(3.0).rest_s) == ("refer", 0)


def test_it_starts_then_is_out_of_service() -> None:
    lane = Lane()
    lane.show(Cue.FAULT)
    assert lane.now[1] == "starting"
    lane.at_s = STARTING_S
    assert lane.now[1] == "fault"


def test_once_it_was_ready_a_fault_is_one() -> None:
    lane = Lane()
    lane.show(Cue.READY)
    lane.show(Cue.FAULT)
    assert lane.now[1] == "fault"


def test_green_ends() -> None:
    lane = Lane()
    lane.show(Cue.READY)
    lane.show(Cue.ADMIT)
    assert lane.now == (1, "admit", "", 3000)
    lane.at_s = GREEN_S / 2
    assert lane.now == (1, "admit", "", 1500)
    lane.at_s = GREEN_S
    assert lane.now == (2, "ready", "", 0)


def test_two_people_in_a_row_are_two_pictures() -> None:
    lane = Lane()
    lane.show(Cue.ADMIT)
    first = lane.now
    lane.at_s = 1.0
    lane.show(Cue.ADMIT)
    assert lane.now[0] == first[0] + 1


def test_pictures_of_their_own() -> None:
    lane = Lane()
    lane.show(Cue.RETRY, "another_card")
    assert lane.now[1:3] == ("another_card", "")
    lane.show(Cue.RETRY)
    lane.at_s += 0.1
    lane.show(Cue.RETRY)
    assert lane.now[1] == "once_more"
    lane.show(Cue.REFER, "show_id")
    assert lane.now[1:3] == ("refer", "show_id")


class Client:
    """A screen process."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(90)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rwb")

    def read(self) -> dict[str, Any]:
        return json.loads(self.file.readline())

    def next_picture(self, lane: str = "") -> dict[str, Any]:
        return next(line for line in iter(self.read, None) if "picture" in line and lane in ("", line["lane"]))

    def say(self, line: bytes) -> None:
        self.file.write(line + b"\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class Bench:
    """A door with a clock moved by hand, and whether the loop moves."""

    def __init__(self, folder: Path) -> None:
        self.at_s = 100.0
        self.moves = True
        self.path = folder / NAME
        self.watch = Watch(
            self.path,
            {"entry": LampPanel(GREEN_S, ANSWER_S), "exit": LampPanel(GREEN_S, ANSWER_S)},
            {"entry": PanelOptions()},
            moves=lambda: self.moves,
            clock=lambda: self.at_s,
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="gp-") as folder:
        made = Bench(Path(folder))
        made.watch.start()
        yield made
        made.watch.stop()


@contextmanager
def client(bench: Bench) -> Iterator[Client]:
    made = Client(bench.path)
    try:
        yield made
    finally:
        made.close()


def test_a_screen_is_told_its_glass_then_every_picture(bench: Bench) -> None:
    with client(bench) as screen:
        assert screen.read() == {"lanes": {"entry": asdict(PanelOptions()), "exit": {}}}
        assert {screen.next_picture()["lane"], screen.next_picture()["lane"]} == {"entry", "exit"}
        bench.watch.on_effect(ShowCue("exit", Cue.ADMIT))
        shown = screen.next_picture()
        assert (shown["lane"], shown["picture"], shown["for_ms"]) == ("exit", "admit", 3000)


def test_it_beats_only_while_the_loop_moves(bench: Bench) -> None:
    with client(bench) as screen:
        assert any("beat" in screen.read() for _ in range(4))
        bench.moves = False
        bench.at_s += 10 * BEAT_S
        bench.watch.on_effect(ShowCue("exit", Cue.ADMIT))
        assert "picture" in screen.read()


def test_a_screen_is_down_until_it_paints_and_when_it_is_late(bench: Bench, wait_for: Any) -> None:
    with client(bench) as screen:
        assert bench.watch.trouble("entry") == "shows nothing"
        number = screen.next_picture("entry")["number"]
        screen.say(json.dumps({"lane": "entry", "painted": number}).encode())
        wait_for(lambda: bench.watch.trouble("entry") == "")
        bench.watch.on_effect(ShowCue("entry", Cue.ADMIT))
        assert bench.watch.trouble("entry") == ""
        bench.at_s += LATE_S + 0.01
        assert "has not painted" in bench.watch.trouble("entry")
        screen.say(json.dumps({"lane": "entry", "painted": screen.next_picture("entry")["number"]}).encode())
        wait_for(lambda: bench.watch.trouble("entry") == "")
        bench.at_s += SILENT_S + 0.01
        assert bench.watch.trouble("entry") != ""


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"lane": 3}',
        b'{"lane": "none", "painted": 1}',
        b'{"lane": "entry", "painted": "1"}',
    ],
)
def test_what_is_no_acknowledgement_changes_nothing(bench: Bench, line: bytes) -> None:
    with client(bench) as screen:
        screen.say(line)
        bench.watch.on_effect(ShowCue("exit", Cue.ADMIT))
        assert next(p for p in iter(screen.next_picture, None) if p["picture"] == "admit")["lane"] == "exit"
        assert bench.watch.trouble("entry") == "shows nothing"


def test_a_line_without_an_end_is_hung_up_on(bench: Bench) -> None:
    with client(bench) as screen:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - what fits is the kernel's
            for _ in range(100):
                screen.socket.sendall(b"x" * 4096)
        assert bench.watch.trouble("entry") == "shows nothing"


def test_a_screen_that_says_too_much_waits_and_is_told_every_picture_all_the_same(bench: Bench) -> None:
    with client(bench) as screen, client(bench) as other:
        lines, sent, until_s = b'{"lane": "entry", "painted": 1}\n' * 100, 0, time.monotonic() + 0.5
        screen.socket.setblocking(False)
        while time.monotonic() < until_s:
            try:
                sent += screen.socket.send(lines)
            except BlockingIOError:
                time.sleep(0.005)
        buffer = screen.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert sent < 2 * buffer + 100_000, "the kernel's buffer, and what 50 reads a second take"
        screen.socket.settimeout(90)
        bench.watch.on_effect(ShowCue("exit", Cue.ADMIT))
        for each in (screen, other):
            assert next(p for p in iter(each.next_picture, None) if p["picture"] == "admit")["lane"] == "exit"


def test_where_the_pages_are_is_heard_from_their_process(bench: Bench, wait_for: Any) -> None:
    with client(bench) as screen:
        screen.say(b'{"port": 70000}')
        screen.say(b'{"port": 8499}')
        wait_for(lambda: bench.watch.local_port == 8499)


def test_a_screen_works_that_paints(bench: Bench, wait_for: Any) -> None:
    with client(bench) as screen:
        assert not bench.watch.has_screen()
        number = screen.next_picture("entry")["number"]
        screen.say(json.dumps({"lane": "entry", "painted": number}).encode())
        wait_for(bench.watch.has_screen)
