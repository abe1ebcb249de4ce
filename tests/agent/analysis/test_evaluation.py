"""What a limit would have found: intervals, limits, models, and people in a file."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.analysis import evaluation
from agent.analysis.evaluation import BadStudy, MeasuredPerson, Score
from agent.screening import Options

HEAD = ",".join(evaluation.COLUMNS)


def people_of(count: int, seed: int = 1, fevers: float = 0.1) -> list[MeasuredPerson]:
    """Skin follows the room by 0.15 and the body by 0.7; the rest is noise."""
    chance = random.Random(seed)
    people = []
    for number in range(count):
        body_c = chance.gauss(38.8, 0.3) if chance.random() < fevers else chance.gauss(36.8, 0.25)
        room_c = chance.uniform(19, 26)
        skin_c = 34.4 + 0.7 * (body_c - 36.8) + 0.15 * (room_c - 23) + chance.gauss(0, 0.25)
        people.append(MeasuredPerson(20.0 * number, "entry", "canthi", skin_c, room_c, body_c))
    return people


def test_wilson_against_published_figures() -> None:
    assert evaluation.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert evaluation.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-3)  # Newcombe 1998, table I
    assert evaluation.wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-3)
    assert evaluation.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 300), st.integers(0, 300))
def test_an_interval_holds_its_share(hits: int, more: int) -> None:
    low, high = evaluation.wilson(hits, hits + more)
    assert 0 <= low <= high <= 1
    if hits + more:
        assert low - 1e-9 <= hits / (hits + more) <= high + 1e-9


def test_the_model_finds_its_way_back() -> None:
    model = evaluation.fit(people_of(600), fever_c=38.0, specificity=0.95, reference="oral", date="2026-11-22")
    assert -model.c / model.b == pytest.approx(0.15, abs=0.02)
    assert model.people == 600
    assert model.ambient_from_c == pytest.approx(18.0, abs=0.2)
    scores = evaluation.cross_validated(people_of(600), fever_c=38.0, specificity=0.95, seeds=range(10))
    sensitivity, specificity = evaluation.mean(scores)
    assert sensitivity > 0.97
    assert specificity == pytest.approx(0.95, abs=0.02)


def test_a_few_slips_of_the_pen_do_not_tilt_the_model() -> None:
    people = people_of(300)
    wild = [*people, *(MeasuredPerson(0.0, "entry", "", 34.4, 23.0, 42.0) for _ in range(6))]
    one, other = (evaluation.fit(p, fever_c=38.0, specificity=0.95, reference="", date="") for p in (people, wild))
    assert other.b == pytest.approx(one.b, abs=0.1)
    assert other.c == pytest.approx(one.c, abs=0.03)


def test_too_few_or_senseless_people_are_refused() -> None:
    with pytest.raises(BadStudy, match="too few"):
        evaluation.fit(people_of(19), fever_c=38.0, specificity=0.95, reference="", date="")
    upside_down = [
        MeasuredPerson(0.0, "", "", 70 - person.surface_c, None, person.reference_c) for person in people_of(100)
    ]
    with pytest.raises(BadStudy, match="aimed at people"):
        evaluation.fit(upside_down, fever_c=38.0, specificity=0.95, reference="", date="")
    same = [MeasuredPerson(0.0, "", "", 34.0, None, 36.8)] * 30
    with pytest.raises(BadStudy, match="same temperature"):
        evaluation.fit(same, fever_c=38.0, specificity=0.95, reference="", date="")
    sick = [person for person in people_of(2000) if person.reference_c >= 38.0]
    with pytest.raises(BadStudy, match="without a fever"):
        evaluation.fit(sick, fever_c=38.0, specificity=0.95, reference="", date="")


def test_without_a_room_the_slope_is_that_of_skin_in_general() -> None:
    people = [MeasuredPerson(p.at_utc, p.lane, p.site, p.surface_c, None, p.reference_c) for p in people_of(100)]
    assert evaluation.ambient_slope(people) == evaluation.SLOPE


def test_the_baseline_finds_fevers_without_a_calibration() -> None:
    people = people_of(600)
    flags = evaluation.flags_of_baseline(people, Options())
    assert flags[:30] == [None] * 30
    judged = [(person, flag) for person, flag in zip(people, flags, strict=True) if flag is not None]
    score = evaluation.count([person for person, _ in judged], [flag for _, flag in judged])
    assert score.sensitivity > 0.9
    assert score.specificity > 0.9


def test_scores_and_what_a_flag_is_worth() -> None:
    score = Score(found=9, missed=1, false_alarms=50, passed=950)
    assert (score.sensitivity, score.specificity) == (0.9, 0.95)
    assert score.predictive(0.01) == pytest.approx(0.1538, abs=1e-3)
    assert math.isnan(Score().sensitivity)
    assert math.isnan(Score().predictive(0.01))


def test_the_bootstrap_holds_the_mean() -> None:
    people = people_of(300)
    low, high = evaluation.bootstrap(people, lambda drawn: sum(p.surface_c for p in drawn) / len(drawn), times=200)
    assert low < sum(p.surface_c for p in people) / len(people) < high
    assert high - low == pytest.approx(4 * 0.8 / 300**0.5, rel=0.5)


def test_people_come_in_order_of_time() -> None:
    people = evaluation.parse([HEAD, "2026-11-22T08:01:00Z,in,canthi,35.1,22.5,36.9", "1000,in,canthi,35.2,,36.8"])
    assert [person.surface_c for person in people] == [35.2, 35.1]
    assert people[0].ambient_c is None
    assert people[1].at_utc == 1795334460.0


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "line 1: no column"),
        (["time,lane"], "no column site"),
        ([HEAD, "1000,in,canthi,hot,22,36.9"], "line 2: surface_c 'hot' is no temperature"),
        ([HEAD, "1000,in,canthi,95.1,22,36.9"], "line 2: surface_c '95.1' is no temperature"),
        ([HEAD, "1000,in,canthi,nan,22,36.9"], "line 2: surface_c 'nan' is no temperature"),
        ([HEAD, "noon,in,canthi,35.1,22,36.9"], "line 2: time 'noon' is no time in ISO 8601"),
        ([HEAD, "1000,in"], "line 2"),
    ],
)
def test_a_file_that_is_none(lines: list[str], says: str) -> None:
    with pytest.raises(BadStudy, match=says):
        evaluation.parse(lines)


@given(st.lists(st.text(max_size=60), max_size=6))
def test_junk_is_refused_in_one_sentence(lines: list[str]) -> None:
    try:
        people = evaluation.parse([HEAD, *lines])
    except BadStudy as error:
        told = str(error)
    else:
        told = f"line with {len(people)} people"
    assert told.startswith("line ")
