"""What is shown for what: never a wrong green, never too long, and nothing that only colour tells apart."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import indicators
from agent.indicators import PATTERNS, BuzzerPanel, CuePlayer, LampPanel, Light, Panel
from agent.model.effects import GREEN_CUES, Cue
from agent.texts import CATALOGUE

ANSWERS = (Cue.ADMIT, Cue.ADMIT_WITH_NOTICE, Cue.REFER, Cue.REFUSE, Cue.RETRY)
GREEN_S, ANSWER_S = 3.0, 5.0


def test_a_lamp_asks_for_staff_only_while_nobody_is_answered() -> None:
    panel = indicators.LampPanel(3.0, 5.0)
    panel.show(Cue.READY, 0.0)
    panel.call_staff(10.0, is_on=True)
    assert panel.play(panel.showing(11.0), 11.0)[0] == (indicators.Light.RED, indicators.Light.AMBER)
    panel.show(Cue.ADMIT, 12.0)
    assert panel.play(panel.showing(12.5), 12.5)[0] == (indicators.Light.GREEN,)
    assert panel.play(panel.showing(20.0), 20.0)[0] == (indicators.Light.RED, indicators.Light.AMBER)
    panel.show(Cue.FAULT, 21.0)
    assert panel.showing(22.0).cue is Cue.FAULT
    panel.show(Cue.READY, 23.0)
    panel.call_staff(24.0, is_on=False)
    assert panel.play(panel.showing(25.0), 25.0)[0] == (indicators.Light.AMBER,)


def per_minute(rhythm: indicators.Rhythm) -> float:
    return 60 / sum(rhythm)


class Lamp:
    """Three relays that obey a player, by a clock moved by hand."""

    def __init__(self, panel: Panel | None = None) -> None:
        self.at_s = 100.0
        self.panel: Panel = panel or LampPanel(GREEN_S, ANSWER_S)
        self.player = CuePlayer(self.panel)
        self.on: list[tuple[Light, float, float]] = []
        """(light, from, to), what was cut short included."""
        self.turn()

    def turn(self) -> None:
        for light, seconds in self.player.commands(self.at_s):
            if seconds:
                assert 0 < seconds <= max(GREEN_S, indicators.HOLD_S)
                self.on.append((light, self.at_s, self.at_s + seconds))
            else:
                self.on = [
                    (which, begin_s, min(end_s, self.at_s) if which is light else end_s)
                    for which, begin_s, end_s in self.on
                ]

    def tell(self, cue: Cue) -> None:
        self.panel.show(cue, self.at_s)
        self.turn()

    def wait(self, seconds: float) -> None:
        end_s = self.at_s + seconds
        while (due_s := self.player.due_s) <= end_s:
            self.at_s = due_s
            self.turn()
        self.at_s = end_s

    def lit(self) -> set[Light]:
        return {light for light, begin_s, end_s in self.on if begin_s <= self.at_s < end_s}

    def spans(self, light: Light) -> list[tuple[float, float]]:
        """When it was on, seconds from the start."""
        joined: list[tuple[float, float]] = []
        for begin_s, end_s in sorted((b, e) for which, b, e in self.on if which is light and e > b):
            if joined and begin_s <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
            else:
                joined.append((begin_s, end_s))
        return [(round(begin_s - 100, 3), round(end_s - 100, 3)) for begin_s, end_s in joined]


# -- the patterns


def test_every_cue_has_a_pattern_and_no_two_look_alike() -> None:
    assert set(PATTERNS) == set(Cue)
    looks = [(pattern.lights, pattern.rhythm) for pattern in PATTERNS.values()]
    assert len(set(looks)) == len(looks)


def test_every_cue_has_a_label_in_both_languages() -> None:
    for cue in Cue:
        english, chinese = CATALOGUE["cue"][cue]
        assert english.isascii()
        assert not chinese.isascii()


def test_answers_are_told_apart_without_seeing_colour_or_place() -> None:
    assert len({PATTERNS[cue].rhythm for cue in ANSWERS}) == len(ANSWERS)


def test_answers_are_told_apart_by_ear_alone_and_nothing_else_sounds() -> None:
    assert len({PATTERNS[cue].sound for cue in ANSWERS}) == len(ANSWERS)
    assert all(PATTERNS[cue].sound for cue in ANSWERS)
    assert not any(PATTERNS[cue].sound for cue in set(Cue) - set(ANSWERS))


def test_green_is_in_admissions_only() -> None:
    assert {cue for cue, pattern in PATTERNS.items() if Light.GREEN in pattern.lights} == set(GREEN_CUES)


def test_blinking_keeps_to_the_standard_and_harms_nobody() -> None:
    assert 24 <= per_minute(indicators.SLOW) <= 48
    assert 84 <= per_minute(indicators.FAST) <= 168
    for pattern in PATTERNS.values():
        if pattern.rhythm != indicators.STEADY:
            flashes = list(itertools.islice(indicators.flashes(pattern.rhythm, 0.0, math.inf, 0.0), 12))
            assert all(fourth[0] - first[0] >= 1.0 for first, fourth in zip(flashes, flashes[3:], strict=False))


def test_boards_that_count_in_tenths_can_play_every_pattern() -> None:
    for pattern in PATTERNS.values():
        for seconds in (*pattern.rhythm, *pattern.sound):
            assert seconds == math.inf or math.isclose(seconds * 10, round(seconds * 10))


# -- in time


def test_the_first_thing_shown_is_out_of_service() -> None:
    lamp = Lamp()
    assert lamp.lit() == {Light.RED, Light.AMBER}


def test_in_safe_mode_a_lane_is_never_ready_but_answers() -> None:
    lamp = Lamp(LampPanel(GREEN_S, ANSWER_S, in_service=False))
    lamp.tell(Cue.READY)
    assert lamp.lit() == {Light.RED, Light.AMBER}
    lamp.tell(Cue.REFER)
    lamp.wait(0.1)
    assert lamp.lit() == {Light.RED}
    lamp.wait(ANSWER_S)
    assert lamp.lit() == {Light.RED, Light.AMBER}


def test_a_person_s_way_through() -> None:
    lamp = Lamp()
    lamp.tell(Cue.READY)
    lamp.wait(10)
    assert lamp.lit() == {Light.AMBER}
    lamp.tell(Cue.MEASURE)
    lamp.wait(0.9)
    assert lamp.lit() == set(), "slow: dark after 0.8 s"
    lamp.tell(Cue.WAIT)
    assert lamp.lit() == {Light.AMBER}
    lamp.wait(0.35)
    assert lamp.lit() == set(), "fast: dark after 0.3 s"
    lamp.tell(Cue.ADMIT)
    lamp.tell(Cue.READY)
    assert lamp.lit() == {Light.GREEN}, "being ready for the next does not cut the answer short"
    lamp.wait(2.9)
    assert lamp.lit() == {Light.GREEN}
    lamp.wait(0.2)
    assert lamp.lit() == {Light.AMBER}


def test_the_next_person_s_code_ends_the_green_of_the_one_before() -> None:
    lamp = Lamp()
    lamp.tell(Cue.ADMIT)
    lamp.wait(1.0)
    lamp.tell(Cue.MEASURE)
    assert lamp.lit() == {Light.AMBER}
    assert lamp.spans(Light.GREEN) == [(0.0, 1.0)]


def test_a_light_that_nobody_renews_goes_dark() -> None:
    lamp = Lamp()
    lamp.tell(Cue.READY)
    lamp.wait(60)
    assert lamp.spans(Light.AMBER) == [(0.0, pytest.approx(60 + indicators.HOLD_S, abs=1.0))]


def test_two_of_the_same_answers_sound_twice() -> None:
    buzzer = Lamp(BuzzerPanel())
    for _ in range(2):
        buzzer.tell(Cue.REFER)
        buzzer.wait(2)
    assert buzzer.spans(Light.SOUND) == [(0.0, 0.2), (0.4, 0.6), (2.0, 2.2), (2.4, 2.6)]


def test_a_sound_is_played_to_its_end_unless_another_begins() -> None:
    buzzer = Lamp(BuzzerPanel())
    buzzer.tell(Cue.REFUSE)
    buzzer.wait(0.7)
    for cue in (Cue.READY, Cue.MEASURE, Cue.WAIT, Cue.FAULT):
        buzzer.tell(cue)
    buzzer.wait(0.2)
    buzzer.tell(Cue.ADMIT)
    buzzer.wait(3)
    assert buzzer.spans(Light.SOUND) == [(0.0, 0.6), (0.8, 1.1)], "cut short at 0.9 by the next one's 0.2 s"


@given(st.sampled_from(ANSWERS), st.lists(st.floats(0.001, 0.9), min_size=8, max_size=8))
def test_a_busy_machine_plays_every_note_to_its_end(cue: Cue, delays: list[float]) -> None:
    buzzer = Lamp(BuzzerPanel())
    buzzer.panel.show(cue, buzzer.at_s)
    for delay_s in delays:
        buzzer.at_s += delay_s
        buzzer.turn()
    buzzer.wait(10)
    lengths = [end_s - begin_s for begin_s, end_s in buzzer.spans(Light.SOUND)]
    assert lengths == pytest.approx(PATTERNS[cue].sound[::2], abs=0.002)  # spans are told in whole milliseconds


def test_a_sound_that_is_too_late_is_not_begun() -> None:
    buzzer = Lamp(BuzzerPanel())
    buzzer.panel.show(Cue.REFER, buzzer.at_s)
    buzzer.at_s += 1.5
    buzzer.wait(5)
    assert buzzer.spans(Light.SOUND) == []


def test_a_lamp_that_comes_back_late_shows_what_is_left() -> None:
    lamp = Lamp()
    lamp.panel.show(Cue.ADMIT, lamp.at_s)
    lamp.at_s += 2.0
    lamp.player = CuePlayer(lamp.panel)
    lamp.turn()
    assert lamp.spans(Light.GREEN) == [(2.0, 3.0)]


def test_years_of_being_ready_cost_nothing_to_catch_up_with() -> None:
    shown = indicators.CueChange(Cue.READY, 0.0, math.inf)
    _, flashes = LampPanel(GREEN_S, ANSWER_S).play(shown, 1e9)
    assert next(flashes) == (1e9, 1e9 + indicators.HOLD_S)


@given(st.lists(st.tuples(st.sampled_from(Cue), st.floats(0, 7)), max_size=25))
def test_green_follows_an_admission_only_and_ends_in_time(story: list[tuple[Cue, float]]) -> None:
    lamp = Lamp()
    admitted = []
    for cue, seconds in story:
        if cue in GREEN_CUES:
            admitted.append(lamp.at_s - 100)
        lamp.tell(cue)
        lamp.wait(seconds)
    lamp.wait(GREEN_S)
    for begin_s, end_s in lamp.spans(Light.GREEN):
        told_s = [at_s for at_s in admitted if at_s <= begin_s + 0.001]
        assert told_s, "green without an admission"
        last_s = max(at_s for at_s in admitted if at_s <= end_s + 0.001)
        assert end_s <= last_s + GREEN_S + 0.001


@given(
    st.sampled_from([pattern.rhythm for pattern in PATTERNS.values() if pattern.rhythm != indicators.STEADY]),
    st.floats(0, 100),
    st.floats(0, 20),
    st.floats(0, 20),
)
def test_flashes_do_not_depend_on_when_one_begins_to_look(
    rhythm: indicators.Rhythm, since_s: float, lasts_s: float, later_s: float
) -> None:
    until_s, at_s = since_s + lasts_s, since_s + later_s
    whole, part = (
        [(begin_s, end_s) for begin_s, end_s in flashes if end_s > max(at_s, begin_s) + 1e-6]  # rounding makes none
        for flashes in (
            list(indicators.flashes(rhythm, since_s, until_s, since_s)),
            list(indicators.flashes(rhythm, since_s, until_s, at_s)),
        )
    )
    assert list(itertools.chain(*part)) == pytest.approx(list(itertools.chain(*whole)))
    assert all(since_s <= begin_s < end_s <= until_s for begin_s, end_s in part)
